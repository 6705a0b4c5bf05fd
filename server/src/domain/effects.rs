//! What follows from causes: one function that previews show, steps do and replays repeat (K9).
//!
//! [`step`] puts all causes into a copy of the portfolio and compares coverage before and after the whole of it (C7).
//! It depends on the data alone: the clock's part, ends that are due, is done by `Expired` causes before any other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::{OrdMap, ordmap::DiffItem};
use keyward_protocol::{id::*, time::Moment};

use super::{
    directory::*,
    edit::{self, Touched},
    event::Cause,
    hours::days_later,
    permission::Managed,
};

/// A door code that a step makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeToMake {
    /// The id it gets.
    pub code: CodeId,
    /// Where.
    pub property: PropertyId,
    /// At which door.
    pub door: DoorId,
    /// For whom.
    pub person: PersonId,
    /// How long (C2).
    pub digits: u8,
}

/// A door code that a step permanently deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeDeleted {
    /// Which.
    pub code: CodeId,
    /// Where.
    pub property: PropertyId,
    /// At which door.
    pub door: DoorId,
    /// Whose.
    pub person: PersonId,
}

/// A person and a door, at a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Where.
    pub property: PropertyId,
    /// Who.
    pub person: PersonId,
    /// Which door.
    pub door: DoorId,
}

/// A share that a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShareLost {
    /// Where.
    pub property: PropertyId,
    /// Which.
    pub share: ShareId,
    /// Who loses it.
    pub guest: PersonId,
}

/// Everything that follows from a step (K9), each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The doors each person loses: covered before, not after.
    pub doors_lost: Vec<At>,
    /// The doors each person gains.
    pub doors_gained: Vec<At>,
    /// Codes that are permanently deleted.
    pub codes_deleted: Vec<CodeDeleted>,
    /// Codes that are made.
    pub codes_made: Vec<CodeToMake>,
    /// Shares that end.
    pub shares_ended: Vec<ShareLost>,
    /// Managers who lose sight of a door's log.
    pub sight_lost: Vec<At>,
}

impl Effects {
    /// Whether anyone loses anything.
    pub fn is_harmless(&self) -> bool {
        self.doors_lost.is_empty()
            && self.codes_deleted.is_empty()
            && self.shares_ended.is_empty()
            && self.sight_lost.is_empty()
    }

    /// What a preview is pinned by: equal for equal lists, and only for those.
    pub fn digest(&self) -> [u8; 32] {
        // In one piece: the hash takes eight bytes at a time much slower.
        let mut bytes = Vec::with_capacity(1 << 10);
        let mut number = |value: u64| bytes.extend_from_slice(&value.to_le_bytes());
        for list in [&self.doors_lost, &self.doors_gained, &self.sight_lost] {
            number(list.len() as u64);
            for at in list {
                [at.property.0, at.person.0, at.door.0].into_iter().for_each(|id| number(id.into()));
            }
        }
        number(self.codes_deleted.len() as u64);
        for code in &self.codes_deleted {
            number(code.code.0);
            [code.property.0, code.door.0, code.person.0].into_iter().for_each(|id| number(id.into()));
        }
        number(self.codes_made.len() as u64);
        for code in &self.codes_made {
            // Not the code's id: it moves on with anyone's step, and the list would be the same.
            [code.property.0, code.door.0, code.person.0, code.digits.into()]
                .into_iter()
                .for_each(|id| number(id.into()));
        }
        number(self.shares_ended.len() as u64);
        for share in &self.shares_ended {
            [share.property.0, share.share.0, share.guest.0].into_iter().for_each(|id| number(id.into()));
        }
        *blake3::Hasher::new_derive_key("keyward effects 1").update(&bytes).finalize().as_bytes()
    }
}

/// A step, done on a copy.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// The portfolio afterwards, codes that are made not yet in it (their commitments come from the vault).
    pub after: Portfolio,
    /// What follows.
    pub effects: Effects,
    /// Properties whose index must be compiled again.
    pub touched: BTreeSet<PropertyId>,
}

/// Does a step on a copy and says what follows. `at` is only noted on what is deleted; no list depends on it.
pub fn step(before: &Portfolio, causes: &[Cause], at: Moment) -> Stepped {
    step_with(&mut KeyDoorsMemo::default(), before, causes, at)
}

/// [`step`] that has what the step before it resolved: for many steps one after the other, as in a replay.
pub fn step_with(doors_of: &mut KeyDoorsMemo, before: &Portfolio, causes: &[Cause], at: Moment) -> Stepped {
    let mut after = before.clone();
    let mut touched = Touched::default();
    for cause in causes {
        edit::put(&mut after, cause, &mut touched);
    }
    end_empty_subsets(&mut after, &mut touched);
    let mut effects = Effects::default();
    compare_coverage(before, &after, &touched, doors_of, &mut effects);
    effects.shares_ended = shares_lost(before, &after, &touched);
    effects.sight_lost = sight_lost(before, &after, &touched, doors_of);
    delete_codes(&mut after, &effects.codes_deleted, at);
    effects.codes_made.iter_mut().zip(before.next.code..).for_each(|(code, id)| code.code = CodeId(id));
    after.next.code += effects.codes_made.len() as u64;
    let properties =
        touched.properties.into_iter().chain(effects.codes_made.iter().map(|code| code.property)).collect();
    Stepped { after, effects, touched: properties }
}

/// The step as it is once it is durable: its codes in the books, the revision moved on.
pub fn finish(mut stepped: Stepped, commitments: &[[u8; 32]], at: Moment) -> Portfolio {
    for (made, commitment) in stepped.effects.codes_made.iter().zip(commitments) {
        let Some(property) = stepped.after.properties.get_mut(&made.property) else { continue };
        let property = Arc::make_mut(property);
        let code = Code { id: made.code, door: made.door, person: made.person, made_at: at, commitment: *commitment };
        property.codes.insert(code.id, code);
        property.code_of.insert((code.person, code.door), code.id);
        let live = property.live_codes.get(&code.door).copied().unwrap_or(0);
        property.live_codes.insert(code.door, live + 1);
    }
    stepped.after.revision += 1;
    stepped.after
}

/// A door out of the Key leaves its shares of some doors too; a share that is left with none has ended (G4).
fn end_empty_subsets(after: &mut Portfolio, touched: &mut Touched) {
    for id in std::mem::take(&mut touched.subsets) {
        let Some(property) = after.properties.get_mut(&id) else { continue };
        let with_subset: Vec<Arc<Share>> =
            property.shares.values().filter(|share| share.doors.is_some()).cloned().collect();
        for mut share in with_subset {
            let key = property.givings.get(&share.giving).and_then(|giving| property.keys.get(&giving.key));
            let left: BTreeSet<DoorId> =
                key.map(|key| property.key_doors(key).into_keys().collect()).unwrap_or_default();
            let Some(doors) = &share.doors else { continue };
            if doors.iter().all(|door| left.contains(door)) {
                continue;
            }
            let property = Arc::make_mut(property);
            touched.people.insert((id, share.guest));
            let kept: Vec<DoorId> = doors.iter().copied().filter(|door| left.contains(door)).collect();
            if kept.is_empty() {
                edit::remove_share(property, share.id, touched);
            } else {
                Arc::make_mut(&mut share).doors = Some(kept);
                property.shares.insert(share.id, share);
            }
        }
    }
}

/// The doors that someone's givings and shares cover, and whether with a code: the future and the suspended count
/// (C3), what the books have as ended does not (K7).
pub fn coverage(property: &Property, person: PersonId, doors_of: &mut KeyDoorsMemo) -> BTreeMap<DoorId, bool> {
    let mut covered: BTreeMap<DoorId, bool> = BTreeMap::new();
    for giving in property.givings_of(person).filter(|giving| !giving.ended) {
        for (door, code) in doors_of.get(property, giving.key) {
            *covered.entry(*door).or_default() |= code;
        }
    }
    for share in property.shares_to(person).filter(|share| !share.ended) {
        let Some(giving) = property.givings.get(&share.giving) else { continue };
        for (door, code) in doors_of.get(property, giving.key) {
            if share.doors.as_ref().is_none_or(|some| some.contains(door)) {
                *covered.entry(*door).or_default() |= code;
            }
        }
    }
    covered
}

/// Each Key's doors, and whether with a code, resolved once for as long as a property's Keys and doors stay as they are.
/// Of the last two that were asked about: what was before a step and what is after it, where it changed either, and
/// what is after one step is before the next.
#[derive(Default)]
pub struct KeyDoorsMemo {
    last: ResolvedKeys,
    other: ResolvedKeys,
}

#[derive(Default)]
struct ResolvedKeys {
    /// What the doors were resolved from.
    keys: OrdMap<KeyId, Arc<Key>>,
    doors: OrdMap<DoorId, Arc<Door>>,
    resolved: BTreeMap<KeyId, Vec<(DoorId, bool)>>,
}

impl KeyDoorsMemo {
    fn get(&mut self, property: &Property, key: KeyId) -> &[(DoorId, bool)] {
        if !self.last.are_of(property) {
            std::mem::swap(&mut self.last, &mut self.other);
        }
        if !self.last.are_of(property) {
            let (keys, doors) = (property.keys.clone(), property.doors.clone());
            self.last = ResolvedKeys { keys, doors, resolved: BTreeMap::new() };
        }
        self.last.resolved.entry(key).or_insert_with(|| {
            let doors = property.keys.get(&key).map(|key| property.key_doors(key)).unwrap_or_default();
            doors.into_iter().map(|(door, openings)| (door, openings.iter().any(|opening| opening.code))).collect()
        })
    }
}

impl ResolvedKeys {
    fn are_of(&self, property: &Property) -> bool {
        self.keys.ptr_eq(&property.keys) && self.doors.ptr_eq(&property.doors)
    }
}

fn compare_coverage(
    before: &Portfolio,
    after: &Portfolio,
    touched: &Touched,
    doors_of: &mut KeyDoorsMemo,
    effects: &mut Effects,
) {
    for (id, person) in touched.people.iter().copied() {
        let old = before.properties.get(&id);
        let new = after.properties.get(&id);
        let was = old.map(|property| coverage(property, person, doors_of)).unwrap_or_default();
        let is = new.map(|property| coverage(property, person, doors_of)).unwrap_or_default();
        let lost = was.keys().filter(|door| !is.contains_key(door));
        effects.doors_lost.extend(lost.map(|door| At { property: id, person, door: *door }));
        let gained = is.keys().filter(|door| !was.contains_key(door));
        effects.doors_gained.extend(gained.map(|door| At { property: id, person, door: *door }));
        if let Some(old) = old {
            let codes = old.code_of.range((person, DoorId::NONE)..=(person, DoorId(u32::MAX)));
            let gone = codes.filter(|((_, door), _)| is.get(door) != Some(&true));
            effects.codes_deleted.extend(gone.map(|((_, door), code)| CodeDeleted {
                code: *code,
                property: id,
                door: *door,
                person,
            }));
        }
        if let Some(new) = new {
            let digits = new.facts.codes.digits;
            let missing = is
                .iter()
                .filter(|(door, code)| **code && old.is_none_or(|old| !old.code_of.contains_key(&(person, **door))));
            effects.codes_made.extend(missing.map(|(door, _)| CodeToMake {
                code: CodeId::NONE,
                property: id,
                door: *door,
                person,
                digits,
            }));
        }
    }
    effects.codes_deleted.sort_unstable();
}

fn delete_codes(after: &mut Portfolio, deleted: &[CodeDeleted], at: Moment) {
    for gone in deleted {
        let Some(property) = after.properties.get_mut(&gone.property) else { continue };
        let property = Arc::make_mut(property);
        property.codes.remove(&gone.code);
        property.code_of.remove(&(gone.person, gone.door));
        let live = property.live_codes.get(&gone.door).copied().unwrap_or(0).saturating_sub(1);
        if live == 0 {
            property.live_codes.remove(&gone.door);
        } else {
            property.live_codes.insert(gone.door, live);
        }
        let quarantined_until = days_later(at, property.facts.codes.quarantine_days.into());
        property.deleted_codes.insert(
            gone.code,
            DeletedCode { id: gone.code, door: gone.door, person: gone.person, deleted_at: at, quarantined_until },
        );
    }
}

/// Shares that the step ended and that are not simply replaced.
fn shares_lost(before: &Portfolio, after: &Portfolio, touched: &Touched) -> Vec<ShareLost> {
    let mut lost: Vec<ShareLost> = touched
        .shares_ended
        .iter()
        .filter(|(property, share)| {
            let live = |portfolio: &Portfolio| {
                portfolio
                    .properties
                    .get(property)
                    .and_then(|property| property.shares.get(&share.id))
                    .is_some_and(|share| !share.ended)
            };
            live(before) && !live(after)
        })
        .map(|(property, share)| ShareLost { property: *property, share: share.id, guest: share.guest })
        .collect();
    lost.sort_unstable();
    lost.dedup();
    lost
}

/// Managers who could see a door's log before and can't after (L2, K9). Portfolio Managers see by their level too.
fn sight_lost(before: &Portfolio, after: &Portfolio, touched: &Touched, doors_of: &mut KeyDoorsMemo) -> Vec<At> {
    let mut lost = Vec::new();
    for id in touched.sight.iter().copied() {
        let Some(old) = before.properties.get(&id) else { continue };
        let new = after.properties.get(&id);
        if before.managers == after.managers && new.is_some_and(|new| keeps_all_in_sight(old, new)) {
            continue;
        }
        let managers: BTreeSet<PersonId> = old.levels.keys().chain(before.managers.iter()).copied().collect();
        for person in managers {
            let seen_after = new.map(|new| doors_seen(after, new, person, doors_of)).unwrap_or_default();
            let seen_before = doors_seen(before, old, person, doors_of);
            let gone = seen_before.into_iter().filter(|door| !seen_after.contains(door));
            lost.extend(gone.map(|door| At { property: id, person, door }));
        }
    }
    lost.sort_unstable();
    lost
}

/// Whether Keys and doors were added at most, and levels stayed: then every Key opens what it opened before, and
/// nobody loses sight of a door. Most steps are such, and resolving every Key of a property takes long.
fn keeps_all_in_sight(old: &Property, new: &Property) -> bool {
    old.levels == new.levels
        && old.keys.diff(&new.keys).all(|difference| matches!(difference, DiffItem::Add(..)))
        && old.doors.diff(&new.doors).all(|difference| matches!(difference, DiffItem::Add(..)))
}

/// The doors whose log a manager may see: those in a Key that they manage (L2). The Deliveries Key is nobody's (L4).
pub fn doors_in_sight(portfolio: &Portfolio, property: &Property, person: PersonId) -> BTreeSet<DoorId> {
    doors_seen(portfolio, property, person, &mut KeyDoorsMemo::default())
}

fn doors_seen(
    portfolio: &Portfolio,
    property: &Property,
    person: PersonId,
    doors_of: &mut KeyDoorsMemo,
) -> BTreeSet<DoorId> {
    let managed = Managed::of(portfolio, property, person);
    let mut seen = BTreeSet::new();
    for key in property.keys.keys().filter(|key| managed.has(**key)) {
        seen.extend(doors_of.get(property, *key).iter().map(|(door, _)| *door));
    }
    seen
}
