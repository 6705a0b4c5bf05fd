//! The audit trail (L5): an act in the words of its moment. Pure: the portfolio before and after, and what was done.
//!
//! What a row says is worked out when the act is done, because names and values move on. A refused attempt is told by
//! nothing but what was sent and what was answered: its author reads it, and may not learn more by asking in vain (M8).

use std::collections::BTreeSet;

pub use keyward_protocol::message::audit::{Act, Fact};
use keyward_protocol::{
    code::Card,
    entry::{DoorRule, Level, LockScope, Opening, ScheduleRef},
    id::*,
    message::manage::Made,
    schedule::OnHolidays,
    time::Moment,
};

use super::{
    command::Command,
    decide::Refusal,
    directory::*,
    effects::Effects,
    event::{Actor, Cause},
};

/// The most facts of one act, and the most characters of a text in it.
const FACTS_MAX: usize = 100;
const CHARS_MAX: usize = 300;
/// A step of more causes than this is told by how many there were of each kind: a site that is put in.
const CAUSES_MAX: usize = 16;

/// One act, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]
pub struct Acted {
    /// Whose trail it is in.
    pub portfolio: PortfolioId,
    /// When, by the server's clock.
    pub at: Moment,
    /// Who.
    pub actor: Actor,
    /// Their name and email then.
    pub name: String,
    /// The address they were connected from.
    pub from: Option<String>,
    /// The portfolio's revision afterwards.
    pub revision: u64,
    /// What.
    pub act: Act,
    /// Where, when it is one property's.
    pub property: Option<PropertyId>,
    /// What it was about.
    pub about: Option<Made>,
    /// Before and after, and what followed.
    pub facts: Vec<Fact>,
    /// Why it was refused.
    pub refused: Option<String>,
    /// Attempts of theirs before this one that were refused too, and are not told one by one.
    pub more: u64,
}

/// Who acts, from where, and when.
#[derive(Clone, Debug)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// The address they are connected from.
    pub from: Option<String>,
    /// When.
    pub at: Moment,
}

/// What somebody asked for in vain.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What.
    pub act: Act,
    /// Where that would have been.
    pub property: Option<PropertyId>,
    /// About what.
    pub about: Option<Made>,
    /// The ids that were sent.
    pub named: Vec<(&'static str, String)>,
}

impl Acted {
    /// An act that was done: `causes` brought the portfolio from `before` to `after`.
    pub fn done(by: &By, before: &Portfolio, after: &Portfolio, causes: &[Cause], effects: &Effects) -> Acted {
        let mut facts = if causes.len() > CAUSES_MAX { counted(causes) } else { differences(before, after, causes) };
        facts.extend(followed(effects));
        Acted {
            revision: after.revision,
            act: act_of(before, causes),
            property: one_property(causes),
            about: causes.iter().rev().find_map(made),
            facts: bounded(facts),
            ..Acted::of(by, before)
        }
    }

    /// An attempt that was refused.
    pub fn refused(by: &By, portfolio: &Portfolio, attempt: &Attempt, why: &Refusal, more: u64) -> Acted {
        let named = attempt.named.iter();
        let facts = named.map(|(what, id)| fact("asked", what, None, Some(id.clone()))).collect();
        Acted {
            act: attempt.act,
            property: attempt.property,
            about: attempt.about,
            facts: bounded(facts),
            refused: Some(cut(&why.to_string())),
            more,
            ..Acted::of(by, portfolio)
        }
    }

    /// A door code that is about to be shown to somebody (C8).
    pub fn revealed(by: &By, portfolio: &Portfolio, property: &Property, code: &Code) -> Acted {
        let person = portfolio.people.get(&code.person).map(|person| contact(person));
        let facts = vec![
            fact("door code", "of", None, person),
            fact("door code", "at", None, Some(door_name(property, code.door))),
        ];
        let about = Some(Made::Person(code.person));
        Acted { act: Act::CodeRevealed, property: Some(property.id()), about, facts, ..Acted::of(by, portfolio) }
    }

    fn of(by: &By, portfolio: &Portfolio) -> Acted {
        let name = match by.actor {
            Actor::Administrator => "the server's administrator".to_owned(),
            Actor::Clock => "the clock".to_owned(),
            Actor::Person(person) | Actor::Holder(person) => {
                portfolio.people.get(&person).map(|found| contact(found)).unwrap_or_default()
            }
            Actor::Lock(lock) => {
                portfolio.locks.get(&lock).map(|found| format!("lock `{}`", found.name)).unwrap_or_default()
            }
        };
        Acted {
            portfolio: portfolio.id,
            at: by.at,
            actor: by.actor,
            name,
            from: by.from.clone(),
            revision: portfolio.revision,
            act: Act::Looked,
            property: None,
            about: None,
            facts: Vec::new(),
            refused: None,
            more: 0,
        }
    }
}

impl Attempt {
    /// A step. Where it would have been is for whoever reads the trail there; its author is shown what they see.
    pub fn step(portfolio: &Portfolio, command: &Command) -> Attempt {
        use Command as C;
        let of_key = |key: &KeyId| portfolio.property_with_key(*key).map(|property| property.id());
        let of_door = |door: &DoorId| portfolio.property_of_door.get(door).copied();
        let person = |id: &PersonId| Some(Made::Person(*id));
        let key = |id: &KeyId| Some(Made::Key(*id));
        let mut named: Vec<(&'static str, String)> = Vec::new();
        let (act, property, about) = match command {
            C::MakePerson(_) => (Act::PersonMade, None, None),
            C::EditPerson(id, _) => (Act::PersonChanged, None, person(id)),
            C::Suspend(id, on) => (if *on { Act::PersonSuspended } else { Act::PersonResumed }, None, person(id)),
            C::DeletePerson(id) => (Act::PersonDeleted, None, person(id)),
            C::SetPortfolioManager(id, _) => (Act::PortfolioManagerSet, None, person(id)),
            C::MakeProperty(_) => (Act::PropertyMade, None, None),
            C::EditProperty(id, _) => (Act::PropertyChanged, Some(*id), None),
            C::RemoveProperty(id) => (Act::PropertyRemoved, Some(*id), None),
            C::SetHolidays(id, _) => (Act::HolidaysSet, Some(*id), None),
            C::SetDeliveries(id, _) => (Act::DeliveriesSet, Some(*id), None),
            C::MakeDoor(id, _) => (Act::DoorMade, Some(*id), None),
            C::EditDoor(id, _) => (Act::DoorChanged, of_door(id), Some(Made::Door(*id))),
            C::RemoveDoor(id) => (Act::DoorRemoved, of_door(id), Some(Made::Door(*id))),
            C::MakeSchedule(id, ..) => (Act::ScheduleMade, Some(*id), None),
            C::EditSchedule(id, schedule, ..) => (Act::ScheduleChanged, Some(*id), Some(Made::Schedule(*schedule))),
            C::DeleteSchedule(id, schedule) => (Act::ScheduleDeleted, Some(*id), Some(Made::Schedule(*schedule))),
            C::MakeKey(id, _) => (Act::KeyMade, Some(*id), None),
            C::EditKey(id, _) => (Act::KeyChanged, of_key(id), key(id)),
            C::DeleteKey(id) => (Act::KeyDeleted, of_key(id), key(id)),
            C::Give { key: id, person, .. } => {
                named.push(("person", person.to_string()));
                (Act::KeyGiven, of_key(id), key(id))
            }
            C::Revoke { key: id, person } => {
                named.push(("person", person.to_string()));
                (Act::KeyRevoked, of_key(id), key(id))
            }
            C::Move { person, from, to, .. } => {
                named.extend([("person", person.to_string()), ("from", from.to_string())]);
                (Act::KeyMoved, of_key(to), key(to))
            }
            C::Share { key: id, host, guest, .. } => {
                named.extend([("host", host.to_string()), ("guest", guest.to_string())]);
                (Act::KeyShared, of_key(id), key(id))
            }
            C::EndShare { key: id, host, guest } => {
                named.extend([("host", host.to_string()), ("guest", guest.to_string())]);
                (Act::ShareEnded, of_key(id), key(id))
            }
            C::LockDown { property, .. } => (Act::LockedDown, Some(*property), None),
            C::LiftLockdown(property, id) => (Act::LockdownLifted, Some(*property), Some(Made::Lockdown(*id))),
            C::SetLevel(property, id, _) => (Act::LevelSet, Some(*property), person(id)),
            C::MakeLock { .. } => (Act::LockSet, None, None),
            C::DisableLock(id, _) => (Act::LockSet, None, Some(Made::Lock(*id))),
            C::MakeToken { party, .. } => {
                named.push(("as", party.as_str().to_owned()));
                (Act::TokenMade, None, Some(made_of(*party)))
            }
            C::RevokeToken(token) => {
                named.push(("token", token.to_string()));
                (Act::TokenRevoked, None, None)
            }
            C::DisableIdentity(id, _) => (Act::IdentitySet, None, Some(Made::Identity(*id))),
            C::RenewMobile(id) => (Act::MobileRenewed, None, person(id)),
        };
        // Resolved from a Key or a door, it says more than was sent.
        if let Some(property) = property.filter(|_| !matches!(about, Some(Made::Key(_) | Made::Door(_)))) {
            named.push(("property", property.to_string()));
        }
        let property = property.filter(|id| portfolio.properties.contains_key(id));
        Attempt { act, property, about, named }
    }

    /// A door code that was not shown.
    pub fn reveal(code: CodeId) -> Attempt {
        Attempt { act: Act::CodeRevealed, property: None, about: None, named: vec![("code", code.to_string())] }
    }

    /// A look at something.
    pub fn look(about: Option<Made>, what: &'static str) -> Attempt {
        Attempt { act: Act::Looked, property: None, about, named: vec![("for", what.to_owned())] }
    }
}

/// The act of a change that was journalled before acts were: all that its causes tell.
pub fn act_of_causes(causes: &[Cause]) -> (Act, Option<PropertyId>, Option<Made>) {
    let nothing = Portfolio::new(PortfolioId::NONE, String::new());
    (act_of(&nothing, causes), one_property(causes), causes.iter().rev().find_map(made))
}

/// What a step made or put, by its first cause that has an id of its own.
pub fn made(cause: &Cause) -> Option<Made> {
    match cause {
        Cause::PersonPut(person) => Some(Made::Person(person.id)),
        Cause::PropertyPut(facts) => Some(Made::Property(facts.id)),
        Cause::DoorPut { door, .. } => Some(Made::Door(door.id)),
        Cause::SchedulePut { schedule, .. } => Some(Made::Schedule(schedule.id)),
        Cause::KeyPut { key, .. } => Some(Made::Key(key.id)),
        Cause::DeliveriesSet { key: Some(key), .. } => Some(Made::Key(*key)),
        Cause::Given { giving, .. } => Some(Made::Giving(giving.id)),
        Cause::Shared { share, .. } => Some(Made::Share(share.id)),
        Cause::LockedDown { lockdown, .. } => Some(Made::Lockdown(lockdown.id)),
        Cause::LockPut(lock) => Some(Made::Lock(lock.id)),
        Cause::TokenMade(token) => Some(Made::Token(token.id)),
        Cause::IdentityPut(identity) => Some(Made::Identity(identity.id)),
        _ => None,
    }
}

/// What a party is, among what has an id.
fn made_of(party: Party) -> Made {
    match party {
        Party::Lock(lock) => Made::Lock(lock),
        Party::Operator(person) | Party::Holder(person) => Made::Person(person),
    }
}

fn act_of(before: &Portfolio, causes: &[Cause]) -> Act {
    let property = |id: &PropertyId| before.properties.get(id);
    let put = |was_there: bool, made: Act, changed: Act| if was_there { changed } else { made };
    let is_move = matches!(causes, [Cause::Given { .. }, Cause::Revoked { .. }]);
    let many =
        causes.len() > CAUSES_MAX && !matches!(causes, [Cause::Expired { .. } | Cause::QuarantineEnded { .. }, ..]);
    // A lockdown that goes with its door is not what the step was about.
    let [.., main] = causes else { return Act::SiteLoaded };
    match main {
        _ if many || matches!(causes, [Cause::PortfolioMade { .. }, ..]) => Act::SiteLoaded,
        _ if is_move => Act::KeyMoved,
        Cause::PortfolioMade { .. } => Act::SiteLoaded,
        Cause::PersonPut(person) => match before.people.get(&person.id) {
            Some(was) if was.suspended != person.suspended && person.suspended => Act::PersonSuspended,
            Some(was) if was.suspended != person.suspended => Act::PersonResumed,
            Some(was) if was.mobile != person.mobile => Act::MobileRenewed,
            was => put(was.is_some(), Act::PersonMade, Act::PersonChanged),
        },
        Cause::PersonDeleted(_) => Act::PersonDeleted,
        Cause::PortfolioManagerSet { .. } => Act::PortfolioManagerSet,
        Cause::PropertyPut(facts) => put(property(&facts.id).is_some(), Act::PropertyMade, Act::PropertyChanged),
        Cause::PropertyRemoved(_) => Act::PropertyRemoved,
        Cause::HolidaysSet { .. } => Act::HolidaysSet,
        Cause::DeliveriesSet { .. } => Act::DeliveriesSet,
        Cause::DoorPut { property: of, door } => {
            put(property(of).is_some_and(|of| of.doors.contains_key(&door.id)), Act::DoorMade, Act::DoorChanged)
        }
        Cause::DoorRemoved { .. } => Act::DoorRemoved,
        Cause::SchedulePut { property: of, schedule } => {
            let there = property(of).is_some_and(|of| of.schedules.contains_key(&schedule.id));
            put(there, Act::ScheduleMade, Act::ScheduleChanged)
        }
        Cause::ScheduleRemoved { .. } => Act::ScheduleDeleted,
        Cause::KeyPut { property: of, key } => {
            put(property(of).is_some_and(|of| of.keys.contains_key(&key.id)), Act::KeyMade, Act::KeyChanged)
        }
        Cause::KeyDeleted { .. } => Act::KeyDeleted,
        Cause::Given { .. } => Act::KeyGiven,
        Cause::Revoked { .. } => Act::KeyRevoked,
        Cause::Shared { .. } => Act::KeyShared,
        Cause::ShareEnded { .. } => Act::ShareEnded,
        Cause::Expired { .. } => Act::Expired,
        Cause::QuarantineEnded { .. } if matches!(causes, [Cause::Expired { .. }, ..]) => Act::Expired,
        Cause::QuarantineEnded { .. } => Act::QuarantineEnded,
        Cause::LockedDown { .. } => Act::LockedDown,
        Cause::LockdownLifted { .. } => Act::LockdownLifted,
        Cause::LevelSet { .. } => Act::LevelSet,
        Cause::LockPut(_) => Act::LockSet,
        Cause::TokenMade(_) => Act::TokenMade,
        Cause::TokenGone(_) => Act::TokenRevoked,
        Cause::IdentityPut(identity) => {
            put(before.admissions.identities.contains_key(&identity.id), Act::Joined, Act::IdentitySet)
        }
        Cause::IdentityGone(_) => Act::IdentitySet,
    }
}

fn property_of(cause: &Cause) -> Option<PropertyId> {
    match cause {
        Cause::PropertyPut(facts) => Some(facts.id),
        Cause::PropertyRemoved(property)
        | Cause::HolidaysSet { property, .. }
        | Cause::DeliveriesSet { property, .. }
        | Cause::DoorPut { property, .. }
        | Cause::DoorRemoved { property, .. }
        | Cause::SchedulePut { property, .. }
        | Cause::ScheduleRemoved { property, .. }
        | Cause::KeyPut { property, .. }
        | Cause::KeyDeleted { property, .. }
        | Cause::Given { property, .. }
        | Cause::Revoked { property, .. }
        | Cause::Shared { property, .. }
        | Cause::ShareEnded { property, .. }
        | Cause::Expired { property, .. }
        | Cause::QuarantineEnded { property, .. }
        | Cause::LockedDown { property, .. }
        | Cause::LockdownLifted { property, .. }
        | Cause::LevelSet { property, .. } => Some(*property),
        Cause::PortfolioMade { .. }
        | Cause::PersonPut(_)
        | Cause::PersonDeleted(_)
        | Cause::PortfolioManagerSet { .. }
        | Cause::LockPut(_)
        | Cause::TokenMade(_)
        | Cause::TokenGone(_)
        | Cause::IdentityPut(_)
        | Cause::IdentityGone(_) => None,
    }
}

/// The property that all of them are about.
fn one_property(causes: &[Cause]) -> Option<PropertyId> {
    let (first, rest) = causes.split_first()?;
    let property = property_of(first)?;
    rest.iter().all(|cause| property_of(cause) == Some(property)).then_some(property)
}

/// Something that has a state before and after.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Portfolio,
    Person(PersonId),
    Manager(PersonId),
    Property(PropertyId),
    Holidays(PropertyId),
    Deliveries(PropertyId),
    Door(PropertyId, DoorId),
    Schedule(PropertyId, ScheduleId),
    Key(PropertyId, KeyId),
    Giving(PropertyId, GivingId),
    Share(PropertyId, ShareId),
    Lockdown(PropertyId, LockdownId),
    Level(PropertyId, PersonId),
    Lock(LockId),
    Token(TokenId),
    Identity(IdentityId),
}

fn subjects(cause: &Cause) -> Vec<Subject> {
    use Subject as S;
    match cause {
        Cause::PortfolioMade { .. } => vec![S::Portfolio],
        Cause::PersonPut(person) => vec![S::Person(person.id)],
        Cause::PersonDeleted(person) => vec![S::Person(*person)],
        Cause::PortfolioManagerSet { person, .. } => vec![S::Manager(*person)],
        Cause::PropertyPut(facts) => vec![S::Property(facts.id)],
        Cause::PropertyRemoved(property) => vec![S::Property(*property)],
        Cause::HolidaysSet { property, .. } => vec![S::Holidays(*property)],
        Cause::DeliveriesSet { property, .. } => vec![S::Deliveries(*property)],
        Cause::DoorPut { property, door } => vec![S::Door(*property, door.id)],
        Cause::DoorRemoved { property, door } => vec![S::Door(*property, *door)],
        Cause::SchedulePut { property, schedule } => vec![S::Schedule(*property, schedule.id)],
        Cause::ScheduleRemoved { property, schedule } => vec![S::Schedule(*property, *schedule)],
        Cause::KeyPut { property, key } => vec![S::Key(*property, key.id)],
        Cause::KeyDeleted { property, key } => vec![S::Key(*property, *key)],
        Cause::Given { property, giving } => vec![S::Giving(*property, giving.id)],
        Cause::Revoked { property, giving } => vec![S::Giving(*property, *giving)],
        Cause::Shared { property, share } => vec![S::Share(*property, share.id)],
        Cause::ShareEnded { property, share } => vec![S::Share(*property, *share)],
        Cause::Expired { property, givings, shares } => {
            let givings = givings.iter().map(|giving| S::Giving(*property, *giving));
            givings.chain(shares.iter().map(|share| S::Share(*property, *share))).take(FACTS_MAX).collect()
        }
        Cause::QuarantineEnded { .. } => Vec::new(),
        Cause::LockedDown { property, lockdown } => vec![S::Lockdown(*property, lockdown.id)],
        Cause::LockdownLifted { property, lockdown } => vec![S::Lockdown(*property, *lockdown)],
        Cause::LevelSet { property, person, .. } => vec![S::Level(*property, *person)],
        Cause::LockPut(lock) => vec![S::Lock(lock.id)],
        Cause::TokenMade(token) => vec![S::Token(token.id)],
        Cause::TokenGone(token) => vec![S::Token(*token)],
        Cause::IdentityPut(identity) => vec![S::Identity(identity.id)],
        Cause::IdentityGone(identity) => vec![S::Identity(*identity)],
    }
}

/// What something is called, and each side of it.
struct State {
    label: String,
    sides: Vec<(String, String)>,
}

fn differences(before: &Portfolio, after: &Portfolio, causes: &[Cause]) -> Vec<Fact> {
    let subjects: BTreeSet<Subject> = causes.iter().flat_map(subjects).collect();
    let mut facts = Vec::new();
    for subject in subjects {
        let (was, is) = (state(before, subject), state(after, subject));
        let label = is.as_ref().or(was.as_ref()).map(|state| state.label.clone()).unwrap_or_default();
        let (was, is) =
            (was.map(|state| state.sides).unwrap_or_default(), is.map(|state| state.sides).unwrap_or_default());
        let find = |sides: &[(String, String)], name: &str| {
            sides.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        };
        for (name, old) in &was {
            let new = find(&is, name);
            if new.as_ref() != Some(old) {
                facts.push(fact(&label, name, Some(old.clone()), new));
            }
        }
        let known: BTreeSet<&String> = was.iter().map(|(name, _)| name).collect();
        let gained = is.iter().filter(|(name, _)| !known.contains(name));
        facts.extend(gained.map(|(name, new)| fact(&label, name, None, Some(new.clone()))));
    }
    facts
}

fn state(portfolio: &Portfolio, subject: Subject) -> Option<State> {
    use Subject as S;
    let of = |id: PropertyId| portfolio.properties.get(&id).map(AsRef::as_ref);
    let person = |id: PersonId| portfolio.people.get(&id).map(|person| contact(person)).unwrap_or_default();
    Some(match subject {
        S::Portfolio => State::of(format!("portfolio `{}`", portfolio.name), [("name", portfolio.name.clone())]),
        S::Person(id) => person_state(portfolio.people.get(&id)?),
        S::Manager(id) => {
            let is = yes(portfolio.managers.contains(&id));
            State::of(format!("person {}", person(id)), [("Portfolio Manager", is)])
        }
        S::Property(id) => property_state(of(id)?),
        S::Holidays(id) => {
            let property = of(id)?;
            let dates = property
                .holidays
                .iter()
                .map(|day| (format!("holiday `{}`", day.name), format!("{} to {}", day.from, day.to)));
            State { label: property_label(property), sides: dates.collect() }
        }
        S::Deliveries(id) => {
            let property = of(id)?;
            State::of(property_label(property), [("deliveries", yes(property.deliveries.is_some()))])
        }
        S::Door(id, door) => door_state(of(id)?.doors.get(&door)?),
        S::Schedule(id, schedule) => {
            let schedule = of(id)?.schedules.get(&schedule)?;
            let on_holidays = match &schedule.hours.on_holidays {
                OnHolidays::AsUsual => "as usual".to_owned(),
                OnHolidays::Closed => "closed".to_owned(),
                OnHolidays::Own(spans) => list(spans.iter()),
            };
            let sides =
                [("name", schedule.name.clone()), ("hours", schedule.hours.to_string()), ("on holidays", on_holidays)];
            State::of(format!("schedule `{}`", schedule.name), sides)
        }
        S::Key(id, key) => key_state(of(id)?, of(id)?.keys.get(&key)?),
        S::Giving(id, giving) => {
            let property = of(id)?;
            let giving = property.givings.get(&giving)?;
            let label = format!("Key `{}` held by {}", key_name(property, giving.key), person(giving.person));
            let mut state = State::of(label, [("may share", yes(giving.may_share)), ("held", held(giving.ended))]);
            state.period(property, giving.from, giving.until);
            state
        }
        S::Share(id, share) => {
            let property = of(id)?;
            let share = property.shares.get(&share)?;
            let giving = property.givings.get(&share.giving)?;
            let (host, guest) = (person(giving.person), person(share.guest));
            let label = format!("share of Key `{}` by {host} with {guest}", key_name(property, giving.key));
            let doors = share.doors.as_ref().map_or_else(|| "all".to_owned(), |doors| door_names(property, doors));
            let mut state = State::of(label, [("doors", doors), ("held", held(share.ended))]);
            state.period(property, share.from, share.until);
            state
        }
        S::Lockdown(id, lockdown) => {
            let property = of(id)?;
            let lockdown = property.lockdowns.get(&lockdown)?;
            let doors = lockdown.doors.as_ref().map_or_else(|| "all".to_owned(), |doors| door_names(property, doors));
            let except = list(lockdown.except_keys.iter().map(|key| format!("`{}`", key_name(property, *key))));
            State::of(format!("lockdown of {}", property_label(property)), [("doors", doors), ("except Keys", except)])
        }
        S::Level(id, manager) => {
            let property = of(id)?;
            let level = match property.levels.get(&manager) {
                None => "none set".to_owned(),
                Some(Level::Full) => "full".to_owned(),
                Some(Level::Limited) => "limited".to_owned(),
                Some(Level::Specific(keys)) => {
                    let keys = keys.iter().map(|key| format!("`{}`", key_name(property, *key)));
                    format!("specific: {}", list(keys))
                }
            };
            State::of(format!("manager {} in {}", person(manager), property_label(property)), [("level", level)])
        }
        S::Lock(id) => {
            let lock = portfolio.locks.get(&id)?;
            let scope = match &lock.scope {
                LockScope::Property(property) => of(*property).map(property_label).unwrap_or_default(),
                LockScope::Doors(doors) => {
                    let name = |door: &DoorId| portfolio.property_with_door(*door).map(|of| door_name(of, *door));
                    list(doors.iter().filter_map(name).map(|name| format!("`{name}`")))
                }
            };
            let sides = [("name", lock.name.clone()), ("asks about", scope), ("disabled", yes(lock.disabled))];
            State::of(format!("lock `{}`", lock.name), sides)
        }
        S::Token(id) => {
            let token = portfolio.admissions.tokens.get(&id)?;
            let sides = [("lets join", party_name(portfolio, token.party)), ("until", token.until.to_string())];
            State::of(format!("{id}"), sides)
        }
        S::Identity(id) => {
            let identity = portfolio.admissions.identities.get(&id)?;
            let sides = [
                ("is", party_name(portfolio, identity.party)),
                ("on", identity.label.clone()),
                ("disabled", yes(identity.disabled)),
            ];
            State::of(format!("{id}"), sides)
        }
    })
}

fn party_name(portfolio: &Portfolio, party: Party) -> String {
    let name = match party {
        Party::Lock(lock) => portfolio.locks.get(&lock).map(|lock| format!("`{}`", lock.name)),
        Party::Operator(person) | Party::Holder(person) => portfolio.people.get(&person).map(|found| contact(found)),
    };
    format!("{} {}", party.as_str(), name.unwrap_or_default())
}

impl State {
    fn of<const N: usize>(label: String, sides: [(&str, String); N]) -> State {
        State { label, sides: sides.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    /// Bounds are told in the property's zone.
    fn period(&mut self, property: &Property, from: Option<Moment>, until: Option<Moment>) {
        for (name, bound) in [("from", from), ("until", until)] {
            self.sides.extend(bound.map(|bound| (name.to_owned(), bound.rfc3339(&property.zone))));
        }
    }
}

fn person_state(person: &Person) -> State {
    // Enough of a card to tell one from another, and not enough to make one.
    let last = |card: &Card| card.bytes().last().map(|byte| format!("...{byte:02x}")).unwrap_or_default();
    let mut state = State::of(
        format!("person {}", contact(person)),
        [
            ("name", person.name.clone()),
            ("email", person.email.clone()),
            ("suspended", yes(person.suspended)),
            ("cards", list(person.cards.iter().map(last))),
        ],
    );
    for (name, text) in [("phone", &person.phone), ("note", &person.note)] {
        state.sides.extend(text.clone().map(|text| (name.to_owned(), text)));
    }
    state
}

fn property_state(property: &Property) -> State {
    let facts = &property.facts;
    let codes = &facts.codes;
    let limit = codes.limit.map_or_else(|| "usual".to_owned(), |limit| limit.to_string());
    State::of(
        property_label(property),
        [
            ("name", facts.name.clone()),
            ("time zone", facts.zone.clone()),
            ("code digits", codes.digits.to_string()),
            ("code limit", limit),
            ("quarantine days", codes.quarantine_days.to_string()),
            ("on log failure", format!("{:?}", facts.on_log_failure)),
        ],
    )
}

fn door_state(door: &Door) -> State {
    State::of(
        format!("door `{}`", door.name),
        [
            ("name", door.name.clone()),
            ("kind", format!("{:?}", door.kind).to_lowercase()),
            ("occupied", yes(door.occupied)),
            ("labels", list(door.labels.iter())),
        ],
    )
}

fn key_state(property: &Property, key: &Key) -> State {
    let opening = |opening: &Opening| {
        let hours = match opening.schedule {
            ScheduleRef::Always => "always".to_owned(),
            ScheduleRef::Named(id) => property.schedules.get(&id).map(|found| found.name.clone()).unwrap_or_default(),
        };
        format!("{hours}{}", if opening.code { "" } else { ", no code" })
    };
    let rule = |rule: &DoorRule| {
        let kind = rule.kind.map_or_else(|| "any kind".to_owned(), |kind| format!("{kind:?}").to_lowercase());
        let occupied = match rule.occupied {
            None => "",
            Some(true) => ", occupied",
            Some(false) => ", vacant",
        };
        let labels =
            if rule.labels.is_empty() { String::new() } else { format!(", labelled {}", list(rule.labels.iter())) };
        let except = if rule.except.is_empty() {
            String::new()
        } else {
            format!(", except {}", door_names(property, &rule.except))
        };
        format!("{kind}{occupied}{labels}{except}: {}", opening(&rule.opening))
    };
    let mut state =
        State::of(format!("Key `{}`", key.name), [("name", key.name.clone()), ("may share", yes(key.may_share))]);
    let doors = key.doors.iter();
    state
        .sides
        .extend(doors.map(|entry| (format!("door `{}`", door_name(property, entry.door)), opening(&entry.opening))));
    state.sides.extend((1..).zip(&key.rules).map(|(number, found)| (format!("rule {number}"), rule(found))));
    state
}

/// How many causes there were of each kind.
fn counted(causes: &[Cause]) -> Vec<Fact> {
    let mut counts: Vec<(&'static str, u64)> = Vec::new();
    for cause in causes {
        let kind = match cause {
            Cause::PersonPut(_) => "people",
            Cause::PropertyPut(_) => "properties",
            Cause::DoorPut { .. } => "doors",
            Cause::SchedulePut { .. } => "schedules",
            Cause::KeyPut { .. } => "Keys",
            Cause::Given { .. } => "givings",
            Cause::Shared { .. } => "shares",
            Cause::LevelSet { .. } => "managers",
            Cause::PortfolioManagerSet { .. } => "Portfolio Managers",
            _ => "other settings",
        };
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    counts.into_iter().map(|(kind, count)| fact("put", kind, None, Some(count.to_string()))).collect()
}

/// How much followed (K9).
fn followed(effects: &Effects) -> Vec<Fact> {
    let counts = [
        ("doors lost", effects.doors_lost.len()),
        ("doors gained", effects.doors_gained.len()),
        ("door codes deleted", effects.codes_deleted.len()),
        ("door codes made", effects.codes_made.len()),
        ("shares ended", effects.shares_ended.len()),
        ("logs out of sight", effects.sight_lost.len()),
    ];
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(what, count)| fact("followed", what, None, Some(count.to_string()))).collect()
}

fn fact(of: &str, what: &str, before: Option<String>, after: Option<String>) -> Fact {
    let cut = |text: Option<String>| text.map(|text| cut(&text));
    Fact { of: self::cut(of), what: self::cut(what), before: cut(before), after: cut(after) }
}

/// No act takes much room, whatever it was.
fn bounded(mut facts: Vec<Fact>) -> Vec<Fact> {
    if facts.len() > FACTS_MAX {
        let left_out = facts.len() - (FACTS_MAX - 1);
        facts.truncate(FACTS_MAX - 1);
        facts.push(fact("and", "more of these", None, Some(left_out.to_string())));
    }
    facts
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

fn contact(person: &Person) -> String {
    format!("{} <{}>", person.name, person.email)
}

fn property_label(property: &Property) -> String {
    format!("property `{}`", property.facts.name)
}

fn key_name(property: &Property, key: KeyId) -> &str {
    property.key_name(key).unwrap_or_default()
}

fn door_name(property: &Property, door: DoorId) -> String {
    property.doors.get(&door).map(|door| door.name.clone()).unwrap_or_default()
}

fn door_names(property: &Property, doors: &[DoorId]) -> String {
    list(doors.iter().map(|door| format!("`{}`", door_name(property, *door))))
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn held(ended: bool) -> String {
    if ended { "expired" } else { "yes" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        command::{KeySpec, Period},
        decide::{Decided, decide},
        effects,
        site::Site,
    };

    fn told(command: Command) -> Acted {
        let before = Site::parse("site.toml", crate::testing::SITE).unwrap().portfolio(PortfolioId(1));
        let at = Moment::from_micros(1_795_000_000_000_000);
        let Decided { causes, stepped } = decide(&before, &command, at, [1, 2, 3, 4], None).unwrap();
        let effects = stepped.effects.clone();
        let unknown = vec![[0; 32]; effects.codes_made.len()];
        let after = effects::finish(stepped, &unknown, at);
        let by = By { actor: Actor::Person(PersonId(1)), from: Some("[::1]:5".to_owned()), at };
        Acted::done(&by, &before, &after, &causes, &effects)
    }

    fn lines(acted: &Acted) -> Vec<String> {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
        acted
            .facts
            .iter()
            .map(|fact| format!("{}: {}: {} -> {}", fact.of, fact.what, side(&fact.before), side(&fact.after)))
            .collect()
    }

    // L5
    #[test]
    fn an_act_is_told_by_what_is_another_afterwards() {
        let always = Opening { schedule: ScheduleRef::Always, code: true };
        let door = KeyDoor { door: DoorId(1), opening: Opening { code: false, ..always } };
        let spec = KeySpec { name: "Key C".to_owned(), may_share: false, doors: vec![door], rules: Vec::new() };
        let edited = told(Command::EditKey(KeyId(1), spec));
        assert_eq!(
            (edited.act, edited.property, edited.about),
            (Act::KeyChanged, Some(PropertyId(1)), Some(Made::Key(KeyId(1))))
        );
        assert_eq!((edited.name.as_str(), edited.from.as_deref()), ("Ana <ana@harbor.example>", Some("[::1]:5")));
        assert_eq!(
            lines(&edited),
            [
                "Key `Key C`: name: Key A -> Key C",
                "Key `Key C`: door `Door 1`: always -> always, no code",
                "Key `Key C`: door `Door 2`: always -> -",
                "followed: doors lost: - -> 2",
                "followed: door codes deleted: - -> 4",
            ]
        );
        let revoked = told(Command::Revoke { key: KeyId(1), person: PersonId(2) });
        assert_eq!(revoked.act, Act::KeyRevoked);
        assert_eq!(
            lines(&revoked)[..2],
            [
                "Key `Key A` held by Tracy <tracy@mail.example>: may share: yes -> -",
                "Key `Key A` held by Tracy <tracy@mail.example>: held: yes -> -",
            ]
        );
        let moved = Command::Move {
            person: PersonId(2),
            from: KeyId(1),
            to: KeyId(2),
            may_share: None,
            period: Period::default(),
        };
        assert_eq!(told(moved).act, Act::KeyMoved);
        assert_eq!(told(Command::Suspend(PersonId(2), true)).act, Act::PersonSuspended);
        let level = told(Command::SetLevel(PropertyId(1), PersonId(3), Some(Level::Specific(vec![KeyId(2)]))));
        assert_eq!(
            lines(&level),
            ["manager Sam <sam@mail.example> in property `Main`: level: none set -> specific: `Key B`"]
        );
        let cards: Vec<String> = lines(&told(Command::DeletePerson(PersonId(2))));
        assert!(cards.iter().any(|line| line.contains("cards: none -> -")), "{cards:?}");
    }

    // M8, L5
    #[test]
    fn a_refused_attempt_is_told_by_what_was_sent_alone() {
        let portfolio = Site::parse("site.toml", crate::testing::SITE).unwrap().portfolio(PortfolioId(1));
        let by = By { actor: Actor::Person(PersonId(3)), from: None, at: Moment::from_micros(5) };
        let command = Command::Give { key: KeyId(1), person: PersonId(2), may_share: None, period: Period::default() };
        let why = Refusal::NotFound("Key".to_owned());
        let acted = Acted::refused(&by, &portfolio, &Attempt::step(&portfolio, &command), &why, 7);
        assert_eq!(
            (acted.act, acted.property, acted.about, acted.more),
            (Act::KeyGiven, Some(PropertyId(1)), Some(Made::Key(KeyId(1))), 7)
        );
        assert_eq!(lines(&acted), ["asked: person: - -> person-2"]);
        assert_eq!(acted.refused, Some(why.to_string()));
    }

    #[test]
    fn no_act_is_long() {
        let long = "x".repeat(10_000);
        assert!(fact(&long, &long, Some(long.clone()), None).before.unwrap().chars().count() < 310);
        let many = bounded(vec![fact("a", "b", None, None); 5_000]);
        assert_eq!((many.len(), many[FACTS_MAX - 1].after.as_deref()), (FACTS_MAX, Some("4901")));
    }
}
