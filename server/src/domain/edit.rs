//! Puts one cause into a portfolio and cascades what hangs on it: givings of a deleted Key, shares of a giving that
//! is gone. Codes are not touched here; [`effects`](super::effects) compares coverage once all causes are in.

use std::{collections::BTreeSet, sync::Arc};

use keyward_protocol::{id::*, name::fold_email};

use super::{directory::*, event::Cause};

/// What a step touched, so that only that is compared before and after.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Properties whose index must be compiled again.
    pub properties: BTreeSet<PropertyId>,
    /// People whose coverage may differ at a property.
    pub people: BTreeSet<(PropertyId, PersonId)>,
    /// Properties where a manager may see other doors than before.
    pub sight: BTreeSet<PropertyId>,
    /// Properties whose Keys may have lost doors, so that shares of some doors must be looked at (G4).
    pub subsets: BTreeSet<PropertyId>,
    /// Shares that were ended by this step, as they were.
    pub shares_ended: Vec<(PropertyId, Share)>,
    /// Givings that were ended by this step, as they were.
    pub givings_ended: Vec<(PropertyId, Giving)>,
}

/// Puts a cause into the portfolio. What it names must be there: `decide` has seen to that, and a replay repeats
/// what was decided; a cause whose subject is missing changes nothing.
pub fn put(portfolio: &mut Portfolio, cause: &Cause, touched: &mut Touched) {
    match cause {
        Cause::PortfolioMade { name } => portfolio.name.clone_from(name),
        Cause::PersonPut(person) => put_person(portfolio, person, touched),
        Cause::PersonDeleted(person) => delete_person(portfolio, *person, touched),
        Cause::PortfolioManagerSet { person, on } => {
            // Full everywhere comes and goes with it (M2), and so does the sight of logs.
            touched.sight.extend(portfolio.properties.keys().copied());
            if *on {
                portfolio.managers.insert(*person);
            } else {
                portfolio.managers.remove(person);
            }
        }
        Cause::PropertyPut(facts) => put_property(portfolio, facts, touched),
        Cause::PropertyRemoved(property) => remove_property(portfolio, *property, touched),
        Cause::DeliveriesSet { property, key } => set_deliveries(portfolio, *property, *key, touched),
        Cause::DoorPut { property, door } => {
            portfolio.next.door = portfolio.next.door.max(door.id.0 + 1);
            portfolio.property_of_door.insert(door.id, *property);
            with(portfolio, *property, touched, |property, touched| put_door(property, door, touched));
        }
        Cause::DoorRemoved { property, door } => {
            portfolio.property_of_door.remove(door);
            with(portfolio, *property, touched, |property, touched| remove_door(property, *door, touched));
        }
        Cause::KeyPut { property, key } => {
            portfolio.next.key = portfolio.next.key.max(key.id.0 + 1);
            portfolio.property_of_key.insert(key.id, *property);
            with(portfolio, *property, touched, |property, touched| put_key(property, key, touched));
        }
        Cause::KeyDeleted { property, key } => {
            portfolio.property_of_key.remove(key);
            with(portfolio, *property, touched, |property, touched| delete_key(property, *key, touched));
        }
        Cause::HolidaysSet { property, holidays } => {
            with(portfolio, *property, touched, |property, _| property.holidays.clone_from(holidays));
        }
        Cause::SchedulePut { property, schedule } => {
            portfolio.next.schedule = portfolio.next.schedule.max(schedule.id.0 + 1);
            with(portfolio, *property, touched, |property, _| {
                property.schedules.insert(schedule.id, Arc::new(schedule.clone()));
            });
        }
        Cause::ScheduleRemoved { property, schedule } => {
            with(portfolio, *property, touched, |property, _| {
                property.schedules.remove(schedule);
            });
        }
        Cause::Given { property, giving } => {
            portfolio.next.giving = portfolio.next.giving.max(giving.id.0 + 1);
            with(portfolio, *property, touched, |property, touched| put_giving(property, giving, touched));
        }
        Cause::Revoked { property, giving } => {
            with(portfolio, *property, touched, |property, touched| remove_giving(property, *giving, touched));
        }
        Cause::Shared { property, share } => {
            portfolio.next.share = portfolio.next.share.max(share.id.0 + 1);
            with(portfolio, *property, touched, |property, touched| put_share(property, share, touched));
        }
        Cause::ShareEnded { property, share } => {
            with(portfolio, *property, touched, |property, touched| remove_share(property, *share, touched));
        }
        Cause::Expired { property, givings, shares } => {
            with(portfolio, *property, touched, |property, touched| expire(property, givings, shares, touched));
        }
        Cause::QuarantineEnded { property, codes } => {
            with(portfolio, *property, touched, |property, _| {
                for code in codes {
                    property.deleted_codes.remove(code);
                }
            });
        }
        Cause::LockedDown { property, lockdown } => {
            portfolio.next.lockdown = portfolio.next.lockdown.max(lockdown.id.0 + 1);
            with(portfolio, *property, touched, |property, _| {
                property.lockdowns.insert(lockdown.id, Arc::new(lockdown.clone()));
            });
        }
        Cause::LockdownLifted { property, lockdown } => {
            with(portfolio, *property, touched, |property, _| {
                property.lockdowns.remove(lockdown);
            });
        }
        Cause::LevelSet { property, person, level } => {
            with(portfolio, *property, touched, |property, touched| {
                touched.sight.insert(property.id());
                match level {
                    Some(level) => property.levels.insert(*person, level.clone()),
                    None => property.levels.remove(person),
                };
            });
        }
        Cause::LockPut(lock) => {
            portfolio.next.lock = portfolio.next.lock.max(lock.id.0 + 1);
            portfolio.locks.insert(lock.id, Arc::new(lock.clone()));
        }
        Cause::TokenMade(token) => {
            let admissions = &mut portfolio.admissions;
            admissions.next_token = admissions.next_token.max(token.id.0 + 1);
            admissions.tokens.insert(token.id, *token);
        }
        Cause::TokenGone(token) => _ = portfolio.admissions.tokens.remove(token),
        Cause::IdentityPut(identity) => {
            let admissions = &mut portfolio.admissions;
            admissions.next_identity = admissions.next_identity.max(identity.id.0 + 1);
            admissions.identity_of_key.insert(identity.key, identity.id);
            admissions.identities.insert(identity.id, Arc::new(Identity::clone(identity)));
        }
        Cause::IdentityGone(identity) => remove_identity(&mut portfolio.admissions, *identity),
    }
}

fn remove_identity(admissions: &mut Admissions, identity: IdentityId) {
    if let Some(gone) = admissions.identities.remove(&identity) {
        admissions.identity_of_key.remove(&gone.key);
    }
}

/// Nobody proves to be somebody who is gone.
fn forget_person(admissions: &mut Admissions, person: PersonId) {
    let theirs = |party: Party| party.person() == Some(person);
    let tokens: Vec<TokenId> =
        admissions.tokens.values().filter(|token| theirs(token.party)).map(|token| token.id).collect();
    let identities: Vec<IdentityId> =
        admissions.identities.values().filter(|known| theirs(known.party)).map(|known| known.id).collect();
    tokens.into_iter().for_each(|token| _ = admissions.tokens.remove(&token));
    identities.into_iter().for_each(|identity| remove_identity(admissions, identity));
}

fn with(
    portfolio: &mut Portfolio,
    property: PropertyId,
    touched: &mut Touched,
    edit: impl FnOnce(&mut Property, &mut Touched),
) {
    if let Some(found) = portfolio.properties.get_mut(&property) {
        touched.properties.insert(property);
        edit(Arc::make_mut(found), touched);
    }
}

fn put_person(portfolio: &mut Portfolio, person: &Person, touched: &mut Touched) {
    portfolio.next.person = portfolio.next.person.max(person.id.0 + 1);
    if let Some(before) = portfolio.people.get(&person.id).cloned() {
        forget_credentials(portfolio, &before);
        // Somebody new holds nothing: not asked everywhere, which a portfolio of many properties would feel.
        touch_where_held(portfolio, person.id, touched);
    }
    portfolio.emails.insert(fold_email(&person.email).into(), person.id);
    portfolio.mobiles.insert(person.mobile, person.id);
    for card in &person.cards {
        portfolio.cards.insert(*card, person.id);
    }
    portfolio.people.insert(person.id, Arc::new(person.clone()));
}

fn forget_credentials(portfolio: &mut Portfolio, person: &Person) {
    portfolio.emails.remove(fold_email(&person.email).as_str());
    portfolio.mobiles.remove(&person.mobile);
    for card in &person.cards {
        portfolio.cards.remove(card);
    }
}

/// Properties where the person's credentials or suspension stand in the index, their guests' included.
fn touch_where_held(portfolio: &Portfolio, person: PersonId, touched: &mut Touched) {
    let held = portfolio.properties.values().filter(|property| property.holds(person));
    touched.properties.extend(held.map(|property| property.id()));
}

fn delete_person(portfolio: &mut Portfolio, person: PersonId, touched: &mut Touched) {
    touch_where_held(portfolio, person, touched);
    if let Some(before) = portfolio.people.remove(&person) {
        forget_credentials(portfolio, &before);
    }
    forget_person(&mut portfolio.admissions, person);
    if portfolio.managers.remove(&person).is_some() {
        // They saw every property's doors, also where they hold nothing (M2).
        touched.sight.extend(portfolio.properties.keys().copied());
    }
    let ids: Vec<PropertyId> = portfolio.properties.keys().copied().collect();
    for id in ids {
        let Some(property) = portfolio.properties.get(&id) else { continue };
        let manages = property.levels.contains_key(&person);
        if !property.holds(person) && !manages {
            continue;
        }
        with(portfolio, id, touched, |property, touched| {
            touched.sight.insert(id);
            property.levels.remove(&person);
            let givings: Vec<GivingId> = property.givings_of(person).map(|giving| giving.id).collect();
            givings.into_iter().for_each(|giving| remove_giving(property, giving, touched));
            let shares: Vec<ShareId> = property.shares_to(person).map(|share| share.id).collect();
            shares.into_iter().for_each(|share| remove_share(property, share, touched));
        });
    }
}

fn put_property(portfolio: &mut Portfolio, facts: &PropertyFacts, touched: &mut Touched) {
    portfolio.next.property = portfolio.next.property.max(facts.id.0 + 1);
    touched.properties.insert(facts.id);
    let fresh = Property::new(facts.clone());
    match (portfolio.properties.get_mut(&facts.id), fresh) {
        (Some(known), Some(fresh)) => {
            let known = Arc::make_mut(known);
            known.facts = fresh.facts;
            known.zone = fresh.zone;
        }
        (None, Some(fresh)) => {
            portfolio.properties.insert(facts.id, Arc::new(fresh));
        }
        (_, None) => {}
    }
}

fn remove_property(portfolio: &mut Portfolio, id: PropertyId, touched: &mut Touched) {
    let Some(property) = portfolio.properties.remove(&id) else { return };
    touched.properties.insert(id);
    touched.sight.insert(id);
    let people = property.givings.values().map(|giving| giving.person);
    let guests = property.shares.values().map(|share| share.guest);
    touched.people.extend(people.chain(guests).map(|person| (id, person)));
    touched.givings_ended.extend(property.givings.values().map(|giving| (id, *giving)));
    touched.shares_ended.extend(property.shares.values().map(|share| (id, Share::clone(share))));
    for door in property.doors.keys() {
        portfolio.property_of_door.remove(door);
    }
    for key in property.keys.keys().chain(property.deliveries.as_ref()) {
        portfolio.property_of_key.remove(key);
    }
}

fn set_deliveries(portfolio: &mut Portfolio, property: PropertyId, key: Option<KeyId>, touched: &mut Touched) {
    if let Some(key) = key {
        portfolio.next.key = portfolio.next.key.max(key.0 + 1);
        portfolio.property_of_key.insert(key, property);
    } else if let Some(gone) = portfolio.properties.get(&property).and_then(|property| property.deliveries) {
        portfolio.property_of_key.remove(&gone);
    }
    with(portfolio, property, touched, |property, _| property.deliveries = key);
}

fn put_door(property: &mut Property, door: &Door, touched: &mut Touched) {
    // What a door is decides which rules name it (K10).
    touch_rule_keys(property, touched);
    property.doors.insert(door.id, Arc::new(door.clone()));
}

fn touch_rule_keys(property: &Property, touched: &mut Touched) {
    let with_rules: Vec<KeyId> = property.keys.values().filter(|key| !key.rules.is_empty()).map(|key| key.id).collect();
    with_rules.into_iter().for_each(|key| touch_key(property, key, touched));
}

/// Everyone whose coverage hangs on a Key: its holders and their guests.
fn touch_key(property: &Property, key: KeyId, touched: &mut Touched) {
    let id = property.id();
    touched.sight.insert(id);
    touched.subsets.insert(id);
    for giving in property.holders_of(key) {
        touched.people.insert((id, giving.person));
        touched.people.extend(property.shares_from(giving.id).map(|share| (id, share.guest)));
    }
}

fn remove_door(property: &mut Property, door: DoorId, touched: &mut Touched) {
    let naming: Vec<Arc<Key>> = property
        .keys
        .values()
        .filter(|key| {
            key.doors.iter().any(|entry| entry.door == door) || key.rules.iter().any(|rule| rule.except.contains(&door))
        })
        .cloned()
        .collect();
    touch_rule_keys(property, touched);
    for mut key in naming {
        touch_key(property, key.id, touched);
        let edited = Arc::make_mut(&mut key);
        edited.doors.retain(|entry| entry.door != door);
        edited.rules.iter_mut().for_each(|rule| rule.except.retain(|except| *except != door));
        property.keys.insert(key.id, key);
    }
    let lockdowns: Vec<Arc<Lockdown>> = property
        .lockdowns
        .values()
        .filter(|lockdown| lockdown.doors.is_some() && lockdown.covers(door))
        .cloned()
        .collect();
    for mut lockdown in lockdowns {
        let edited = Arc::make_mut(&mut lockdown);
        if let Some(doors) = &mut edited.doors {
            doors.retain(|other| *other != door);
        }
        property.lockdowns.insert(lockdown.id, lockdown);
    }
    property.doors.remove(&door);
}

fn put_key(property: &mut Property, key: &Key, touched: &mut Touched) {
    touch_key(property, key.id, touched);
    property.keys.insert(key.id, Arc::new(key.clone()));
}

fn delete_key(property: &mut Property, key: KeyId, touched: &mut Touched) {
    touch_key(property, key, touched);
    let givings: Vec<GivingId> = property.holders_of(key).map(|giving| giving.id).collect();
    givings.into_iter().for_each(|giving| remove_giving(property, giving, touched));
    property.keys.remove(&key);
    let designated: Vec<(PersonId, Level)> = property
        .levels
        .iter()
        .filter_map(|(person, level)| match level {
            Level::Specific(keys) if keys.contains(&key) => {
                Some((*person, Level::Specific(keys.iter().copied().filter(|other| *other != key).collect())))
            }
            Level::Specific(_) | Level::Full | Level::Limited => None,
        })
        .collect();
    for (person, level) in designated {
        property.levels.insert(person, level);
    }
    let excepting: Vec<Arc<Lockdown>> =
        property.lockdowns.values().filter(|lockdown| lockdown.except_keys.contains(&key)).cloned().collect();
    for mut lockdown in excepting {
        Arc::make_mut(&mut lockdown).except_keys.retain(|other| *other != key);
        property.lockdowns.insert(lockdown.id, lockdown);
    }
}

fn put_giving(property: &mut Property, giving: &Giving, touched: &mut Touched) {
    touched.people.insert((property.id(), giving.person));
    // A giving made anew after its end takes the old one's place in the books, and its shares with it (K7).
    let older: Vec<GivingId> = property
        .givings_of(giving.person)
        .filter(|other| other.key == giving.key && other.id != giving.id)
        .map(|other| other.id)
        .collect();
    older.into_iter().for_each(|other| remove_giving(property, other, touched));
    property.givings_of_key.insert((giving.key, giving.id));
    property.givings_of_person.insert((giving.person, giving.id));
    property.givings.insert(giving.id, *giving);
    if !giving.may_share {
        // G4: a share ends with the right to share.
        let shares: Vec<ShareId> = property.shares_from(giving.id).map(|share| share.id).collect();
        shares.into_iter().for_each(|share| remove_share(property, share, touched));
    }
}

fn remove_giving(property: &mut Property, giving: GivingId, touched: &mut Touched) {
    let shares: Vec<ShareId> = property.shares_from(giving).map(|share| share.id).collect();
    shares.into_iter().for_each(|share| remove_share(property, share, touched));
    let Some(gone) = property.givings.remove(&giving) else { return };
    property.givings_of_key.remove(&(gone.key, gone.id));
    property.givings_of_person.remove(&(gone.person, gone.id));
    touched.people.insert((property.id(), gone.person));
    touched.givings_ended.push((property.id(), gone));
}

fn put_share(property: &mut Property, share: &Share, touched: &mut Touched) {
    touched.people.insert((property.id(), share.guest));
    if let Some(older) = property.share_of(share.giving, share.guest).filter(|older| older.id != share.id) {
        let older = older.id;
        remove_share(property, older, touched);
    }
    property.shares_of_giving.insert((share.giving, share.id));
    property.shares_of_guest.insert((share.guest, share.id));
    property.shares.insert(share.id, Arc::new(share.clone()));
}

/// Takes a share out of the books.
pub fn remove_share(property: &mut Property, share: ShareId, touched: &mut Touched) {
    let Some(gone) = property.shares.remove(&share) else { return };
    property.shares_of_giving.remove(&(gone.giving, gone.id));
    property.shares_of_guest.remove(&(gone.guest, gone.id));
    touched.people.insert((property.id(), gone.guest));
    touched.shares_ended.push((property.id(), Share::clone(&gone)));
}

fn expire(property: &mut Property, givings: &[GivingId], shares: &[ShareId], touched: &mut Touched) {
    let id = property.id();
    let mut ended: Vec<ShareId> = shares.to_vec();
    for giving in givings {
        ended.extend(property.shares_from(*giving).map(|share| share.id));
        if let Some(giving) = property.givings.get_mut(giving) {
            giving.ended = true;
            touched.people.insert((id, giving.person));
            touched.givings_ended.push((id, *giving));
        }
    }
    for share in ended {
        if let Some(share) = property.shares.get_mut(&share).filter(|share| !share.ended) {
            Arc::make_mut(share).ended = true;
            touched.people.insert((id, share.guest));
            touched.shares_ended.push((id, Share::clone(share)));
        }
    }
}
