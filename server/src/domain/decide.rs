//! Decides a command: the causes it comes to, or why it is refused. Pure; `now` is only used for periods that are
//! over before they begin, and lists of effects never depend on it (K9).

use std::collections::BTreeSet;

pub use keyward_protocol::entry::Refusal;
use keyward_protocol::{
    code::Card,
    id::*,
    limits,
    name::{self, NameError, fold, fold_email},
    schedule::Hours,
    time::Moment,
};

use super::{
    command::*,
    directory::*,
    effects::{self, Effects, Stepped},
    event::Cause,
    joining,
};

/// What a command comes to: what was done, and what follows.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The causes, in order.
    pub causes: Vec<Cause>,
    /// The step, done on a copy.
    pub stepped: Stepped,
}

impl Decided {
    /// What follows from it.
    pub fn effects(&self) -> &Effects {
        &self.stepped.effects
    }
}

/// Random numbers that a decision may need, drawn by the caller: mobile identities for new people.
pub type Seeds = [u64; 4];

/// Decides a command against the portfolio as it is. `pinned` is the digest of a preview: the command is refused
/// when its effects, computed again, differ, and only then (K9).
pub fn decide(
    portfolio: &Portfolio,
    command: &Command,
    now: Moment,
    seeds: Seeds,
    pinned: Option<[u8; 32]>,
) -> Result<Decided, Refusal> {
    let causes = causes(portfolio, command, now, seeds)?;
    decide_causes(portfolio, causes, now, pinned)
}

/// Decides causes that were put together elsewhere (a site file, expiries): the checks that hold for every step.
pub fn decide_causes(
    portfolio: &Portfolio,
    causes: Vec<Cause>,
    now: Moment,
    pinned: Option<[u8; 32]>,
) -> Result<Decided, Refusal> {
    let stepped = effects::step(portfolio, &causes, now);
    within_code_limits(&stepped)?;
    if pinned.is_some_and(|pinned| pinned != stepped.effects.digest()) {
        return Err(Refusal::MovedOn);
    }
    Ok(Decided { causes, stepped })
}

/// What the clock has ended or released by `now`: to be applied before any command or preview.
pub fn due(portfolio: &Portfolio, now: Moment) -> Vec<Cause> {
    portfolio.properties.values().flat_map(|property| due_in(property, now)).collect()
}

/// What the clock has ended or released by `now` in one property.
pub fn due_in(property: &Property, now: Moment) -> Vec<Cause> {
    let mut causes = Vec::new();
    let over = |until: Option<Moment>| until.is_some_and(|until| until <= now);
    let givings: Vec<GivingId> = property
        .givings
        .values()
        .filter(|giving| !giving.ended && over(giving.until))
        .map(|giving| giving.id)
        .collect();
    let shares: Vec<ShareId> = property
        .shares
        .values()
        .filter(|share| !share.ended && property.share_period(share).1 <= now)
        .map(|share| share.id)
        .collect();
    if !givings.is_empty() || !shares.is_empty() {
        causes.push(Cause::Expired { property: property.id(), givings, shares });
    }
    let codes: Vec<CodeId> =
        property.deleted_codes.values().filter(|code| code.quarantined_until <= now).map(|code| code.id).collect();
    if !codes.is_empty() {
        causes.push(Cause::QuarantineEnded { property: property.id(), codes });
    }
    causes
}

/// The first moment at which [`due_in`] will have something to do; `None` when nothing has an end.
pub fn next_due(property: &Property) -> Option<Moment> {
    let givings = property.givings.values().filter(|giving| !giving.ended).filter_map(|giving| giving.until);
    let shares = property.shares.values().filter(|share| !share.ended).filter_map(|share| share.until);
    let codes = property.deleted_codes.values().map(|code| code.quarantined_until);
    givings.chain(shares).chain(codes).min()
}

/// C2: past the limit the whole step is refused, naming the door and a length that would do.
fn within_code_limits(stepped: &Stepped) -> Result<(), Refusal> {
    let mut made: std::collections::BTreeMap<(PropertyId, DoorId), u64> = Default::default();
    for code in &stepped.effects.codes_made {
        *made.entry((code.property, code.door)).or_default() += 1;
    }
    for ((id, door), new) in made {
        let Some(property) = stepped.after.properties.get(&id) else { continue };
        let wanted = u64::from(property.live_codes.get(&door).copied().unwrap_or(0)) + new;
        let most = property.facts.codes.live_max();
        if wanted > most {
            let name = property.doors.get(&door).map(|door| door.name.clone()).unwrap_or_default();
            return Err(Refusal::TooManyCodes { door: name, wanted, most, digits: CodePolicy::digits_for(wanted) });
        }
    }
    Ok(())
}

/// What a command comes to, of itself: what follows, and whether that may be, is not asked yet.
pub(super) fn causes(
    portfolio: &Portfolio,
    command: &Command,
    now: Moment,
    seeds: Seeds,
) -> Result<Vec<Cause>, Refusal> {
    use Command as C;
    match command {
        C::MakePerson(spec) => make_person(portfolio, spec, seeds),
        C::EditPerson(person, spec) => edit_person(portfolio, *person, spec),
        C::Suspend(person, on) => suspend(portfolio, *person, *on),
        C::DeletePerson(person) => delete_person(portfolio, *person),
        C::SetPortfolioManager(person, on) => set_portfolio_manager(portfolio, *person, *on),
        C::MakeProperty(spec) => {
            let facts = property_facts(portfolio, PropertyId(portfolio.next.property), spec)?;
            Ok(vec![Cause::PropertyPut(facts)])
        }
        C::EditProperty(property, spec) => {
            find_property(portfolio, *property)?;
            Ok(vec![Cause::PropertyPut(property_facts(portfolio, *property, spec)?)])
        }
        C::RemoveProperty(property) => {
            find_property(portfolio, *property)?;
            Ok(vec![Cause::PropertyRemoved(*property)])
        }
        C::SetHolidays(property, holidays) => set_holidays(portfolio, *property, holidays),
        C::SetDeliveries(property, on) => set_deliveries(portfolio, *property, *on),
        C::MakeDoor(property, spec) => {
            let property = find_property(portfolio, *property)?;
            if property.doors.len() >= limits::DOORS_PER_PROPERTY_MAX {
                return Err(invalid(format!("a property has at most {} doors", limits::DOORS_PER_PROPERTY_MAX)));
            }
            let door = checked_door(property, DoorId(portfolio.next.door), spec)?;
            Ok(vec![Cause::DoorPut { property: property.id(), door }])
        }
        C::EditDoor(door, spec) => {
            let property = find_door(portfolio, *door)?;
            let door = checked_door(property, *door, spec)?;
            Ok(vec![Cause::DoorPut { property: property.id(), door }])
        }
        C::RemoveDoor(door) => remove_door(portfolio, *door),
        C::MakeSchedule(property, name, hours) => {
            put_schedule(portfolio, *property, ScheduleId(portfolio.next.schedule), name, hours)
        }
        C::EditSchedule(property, schedule, name, hours) => {
            find_schedule(find_property(portfolio, *property)?, *schedule)?;
            put_schedule(portfolio, *property, *schedule, name, hours)
        }
        C::DeleteSchedule(property, schedule) => delete_schedule(portfolio, *property, *schedule),
        C::MakeKey(property, spec) => {
            let property = find_property(portfolio, *property)?;
            if property.keys.len() >= limits::KEYS_PER_PROPERTY_MAX {
                return Err(invalid(format!("a property has at most {} Keys", limits::KEYS_PER_PROPERTY_MAX)));
            }
            let key = checked_key(property, KeyId(portfolio.next.key), spec)?;
            Ok(vec![Cause::KeyPut { property: property.id(), key }])
        }
        C::EditKey(key, spec) => {
            let (property, key) = find_key(portfolio, *key)?;
            let key = checked_key(property, key.id, spec)?;
            Ok(vec![Cause::KeyPut { property: property.id(), key }])
        }
        C::DeleteKey(key) => {
            let (property, key) = find_key(portfolio, *key)?;
            Ok(vec![Cause::KeyDeleted { property: property.id(), key: key.id }])
        }
        C::Give { key, person, may_share, period } => {
            Ok(vec![give(portfolio, *key, *person, *may_share, *period, now)?])
        }
        C::Revoke { key, person } => Ok(vec![revoke(portfolio, *key, *person)?]),
        C::Move { person, from, to, may_share, period } => {
            if from == to {
                return Err(invalid("a move needs two different Keys".to_owned()));
            }
            // C5: give first, then revoke; compared as one step, so that shared doors keep their codes.
            let revoked = revoke(portfolio, *from, *person)?;
            Ok(vec![give(portfolio, *to, *person, *may_share, *period, now)?, revoked])
        }
        C::Share { key, host, guest, doors, period } => {
            share(portfolio, *key, *host, *guest, doors.as_deref(), *period, now)
        }
        C::EndShare { key, host, guest } => {
            let (property, giving) = find_giving(portfolio, *key, *host)?;
            let share = property.share_of(giving.id, *guest).ok_or_else(|| not_found("share"))?;
            Ok(vec![Cause::ShareEnded { property: property.id(), share: share.id }])
        }
        C::LockDown { property, doors, except_keys } => lock_down(portfolio, *property, doors.as_deref(), except_keys),
        C::LiftLockdown(property, lockdown) => {
            let property = find_property(portfolio, *property)?;
            property.lockdowns.get(lockdown).ok_or_else(|| not_found("lockdown"))?;
            Ok(vec![Cause::LockdownLifted { property: property.id(), lockdown: *lockdown }])
        }
        C::SetLevel(property, person, level) => set_level(portfolio, *property, *person, level.as_ref()),
        C::MakeLock { name, scope } => make_lock(portfolio, name, scope),
        C::DisableLock(lock, disabled) => {
            let lock = portfolio.locks.get(lock).ok_or_else(|| not_found("lock"))?;
            Ok(vec![Cause::LockPut(Lock { disabled: *disabled, ..Lock::clone(lock) })])
        }
        C::MakeToken { party, hash, until } => joining::make_token(portfolio, *party, *hash, *until, now),
        C::RevokeToken(token) => joining::revoke_token(portfolio, *token),
        C::DisableIdentity(identity, disabled) => joining::disable(portfolio, *identity, *disabled),
        C::RenewMobile(person) => {
            let mobile = fresh_mobile(portfolio, seeds)?;
            Ok(vec![Cause::PersonPut(Person { mobile, ..find_person(portfolio, *person)?.clone() })])
        }
    }
}

fn not_found(what: &str) -> Refusal {
    Refusal::NotFound(what.to_owned())
}

fn invalid(why: String) -> Refusal {
    Refusal::Invalid(why)
}

fn bad_name(error: NameError) -> Refusal {
    invalid(error.to_string())
}

fn find_property(portfolio: &Portfolio, property: PropertyId) -> Result<&Property, Refusal> {
    portfolio.properties.get(&property).map(AsRef::as_ref).ok_or_else(|| not_found("property"))
}

fn find_door(portfolio: &Portfolio, door: DoorId) -> Result<&Property, Refusal> {
    portfolio.property_with_door(door).map(AsRef::as_ref).ok_or_else(|| not_found("door"))
}

fn find_person(portfolio: &Portfolio, person: PersonId) -> Result<&Person, Refusal> {
    portfolio.people.get(&person).map(AsRef::as_ref).ok_or_else(|| not_found("person"))
}

fn find_schedule(property: &Property, schedule: ScheduleId) -> Result<&Schedule, Refusal> {
    property.schedules.get(&schedule).map(AsRef::as_ref).ok_or_else(|| not_found("schedule"))
}

/// A Key that people may touch; the Deliveries Key is refused (V2).
fn find_key(portfolio: &Portfolio, key: KeyId) -> Result<(&Property, &Key), Refusal> {
    let property = portfolio.property_with_key(key).ok_or_else(|| not_found("Key"))?;
    if property.deliveries == Some(key) {
        return Err(Refusal::Deliveries);
    }
    property.keys.get(&key).map(|found| (property.as_ref(), found.as_ref())).ok_or_else(|| not_found("Key"))
}

fn find_giving(portfolio: &Portfolio, key: KeyId, person: PersonId) -> Result<(&Property, &Giving), Refusal> {
    let (property, key) = find_key(portfolio, key)?;
    find_person(portfolio, person)?;
    let giving =
        property.giving_of(key.id, person).ok_or_else(|| not_found("giving: the person does not hold this Key"))?;
    Ok((property, giving))
}

fn make_person(portfolio: &Portfolio, spec: &PersonSpec, seeds: Seeds) -> Result<Vec<Cause>, Refusal> {
    let (id, mobile) = (PersonId(portfolio.next.person), fresh_mobile(portfolio, seeds)?);
    Ok(vec![Cause::PersonPut(checked_person(portfolio, id, spec, false, mobile)?)])
}

fn fresh_mobile(portfolio: &Portfolio, seeds: Seeds) -> Result<u64, Refusal> {
    let mobile = seeds.into_iter().find(|seed| *seed != 0 && !portfolio.mobiles.contains_key(seed));
    mobile.ok_or_else(|| Refusal::Unavailable("no fresh identity could be drawn: try again".to_owned()))
}

fn edit_person(portfolio: &Portfolio, person: PersonId, spec: &PersonSpec) -> Result<Vec<Cause>, Refusal> {
    let before = find_person(portfolio, person)?;
    Ok(vec![Cause::PersonPut(checked_person(portfolio, person, spec, before.suspended, before.mobile)?)])
}

/// A person as entered, checked against the others of the portfolio.
pub fn checked_person(
    portfolio: &Portfolio,
    id: PersonId,
    spec: &PersonSpec,
    suspended: bool,
    mobile: u64,
) -> Result<Person, Refusal> {
    let name = name::clean(&spec.name).map_err(bad_name)?;
    let email = name::clean(&spec.email).map_err(bad_name)?;
    if !email.contains('@') || email.contains(char::is_whitespace) {
        return Err(invalid(format!("`{email}` is no email address")));
    }
    if portfolio.emails.get(fold_email(&email).as_str()).is_some_and(|other| *other != id) {
        return Err(Refusal::Taken(format!("the email address `{email}`")));
    }
    let taken = |card: &&Card| portfolio.cards.get(*card).is_some_and(|other| *other != id);
    if let Some(card) = spec.cards.iter().find(taken) {
        return Err(Refusal::Taken(format!("the card {card}")));
    }
    if spec.cards.len() > limits::CARDS_PER_PERSON_MAX {
        return Err(invalid(format!("a person has at most {} cards", limits::CARDS_PER_PERSON_MAX)));
    }
    let cards: BTreeSet<Card> = spec.cards.iter().copied().collect();
    Ok(Person {
        id,
        name,
        email,
        phone: spec.phone.as_deref().map(clean_text).transpose()?,
        note: spec.note.as_deref().map(clean_text).transpose()?,
        suspended,
        cards: cards.into_iter().collect(),
        mobile,
    })
}

fn clean_text(text: &str) -> Result<String, Refusal> {
    if text.chars().count() > limits::NOTE_CHARS_MAX {
        return Err(invalid(format!("the text is longer than {} characters: shorten it", limits::NOTE_CHARS_MAX)));
    }
    match text.chars().find(|c| name::is_unsafe(*c) && *c != '\n') {
        Some(bad) => Err(bad_name(NameError::Unsafe(bad.into()))),
        None => Ok(text.trim().to_owned()),
    }
}

fn suspend(portfolio: &Portfolio, person: PersonId, on: bool) -> Result<Vec<Cause>, Refusal> {
    let found = find_person(portfolio, person)?;
    Ok(vec![Cause::PersonPut(Person { suspended: on, ..found.clone() })])
}

fn delete_person(portfolio: &Portfolio, person: PersonId) -> Result<Vec<Cause>, Refusal> {
    find_person(portfolio, person)?;
    keeps_a_manager(portfolio, person)?;
    Ok(vec![Cause::PersonDeleted(person)])
}

/// M6: a portfolio keeps at least one Portfolio Manager.
fn keeps_a_manager(portfolio: &Portfolio, without: PersonId) -> Result<(), Refusal> {
    if portfolio.managers.contains(&without) && portfolio.managers.len() == 1 {
        return Err(invalid("a portfolio keeps at least one Portfolio Manager: make another one first".to_owned()));
    }
    Ok(())
}

fn set_portfolio_manager(portfolio: &Portfolio, person: PersonId, on: bool) -> Result<Vec<Cause>, Refusal> {
    find_person(portfolio, person)?;
    if !on {
        keeps_a_manager(portfolio, person)?;
    }
    Ok(vec![Cause::PortfolioManagerSet { person, on }])
}

fn property_facts(portfolio: &Portfolio, id: PropertyId, spec: &PropertySpec) -> Result<PropertyFacts, Refusal> {
    let name = name::clean(&spec.name).map_err(bad_name)?;
    if portfolio.property_by_name(&name).is_some_and(|other| other.id() != id) {
        return Err(Refusal::Taken(format!("the property name `{name}`")));
    }
    if time_zone(&spec.zone).is_none() {
        return Err(invalid("that is no IANA time zone: write one like America/New_York".to_owned()));
    }
    check_code_policy(&spec.codes)?;
    Ok(PropertyFacts { id, name, zone: spec.zone.clone(), codes: spec.codes, on_log_failure: spec.on_log_failure })
}

/// C2 and C6: lengths, limits and quarantine that can be kept.
pub fn check_code_policy(codes: &CodePolicy) -> Result<(), Refusal> {
    let space = 10_u64.checked_pow(codes.digits.into()).unwrap_or(u64::MAX);
    if !(limits::CODE_DIGITS_MIN..=limits::CODE_DIGITS_MAX).contains(&codes.digits) {
        return Err(invalid(format!("door codes have 4 to 10 digits, not {}", codes.digits)));
    }
    if codes.limit.is_none() && codes.digits < limits::CODE_DIGITS_WITHOUT_LIMIT_MIN {
        return Err(invalid(format!("{} digits need an explicit limit of live codes at a door", codes.digits)));
    }
    if codes.limit.is_some_and(|limit| limit == 0 || u64::from(limit) > space / limits::CODE_SHARE_EXPLICIT) {
        let most = space / limits::CODE_SHARE_EXPLICIT;
        return Err(invalid(format!("with {} digits the limit of live codes at a door is 1 to {most}", codes.digits)));
    }
    if codes.quarantine_days > limits::CODE_QUARANTINE_DAYS_MAX {
        return Err(invalid(format!("the quarantine is at most {} days", limits::CODE_QUARANTINE_DAYS_MAX)));
    }
    Ok(())
}

fn set_holidays(portfolio: &Portfolio, property: PropertyId, holidays: &[Holiday]) -> Result<Vec<Cause>, Refusal> {
    find_property(portfolio, property)?;
    if holidays.len() > limits::HOLIDAYS_PER_PROPERTY_MAX {
        return Err(invalid(format!("a property has at most {} holidays", limits::HOLIDAYS_PER_PROPERTY_MAX)));
    }
    let checked = |holiday: &Holiday| {
        let name = name::clean(&holiday.name).map_err(bad_name)?;
        if holiday.from.civil().is_none() || holiday.to.civil().is_none() || holiday.to < holiday.from {
            return Err(invalid(format!("holiday `{name}` must run from a date to the same or a later one")));
        }
        Ok(Holiday { name, ..holiday.clone() })
    };
    let holidays = holidays.iter().map(checked).collect::<Result<_, _>>()?;
    Ok(vec![Cause::HolidaysSet { property, holidays }])
}

fn set_deliveries(portfolio: &Portfolio, property: PropertyId, on: bool) -> Result<Vec<Cause>, Refusal> {
    let property = find_property(portfolio, property)?;
    let key = match (on, property.deliveries) {
        (true, None) => Some(KeyId(portfolio.next.key)),
        (true, known) => known,
        (false, _) => None,
    };
    Ok(vec![Cause::DeliveriesSet { property: property.id(), key }])
}

fn checked_door(property: &Property, id: DoorId, spec: &DoorSpec) -> Result<Door, Refusal> {
    let name = name::clean(&spec.name).map_err(bad_name)?;
    if property.door_by_name(&name).is_some_and(|other| other.id != id) {
        return Err(Refusal::Taken(format!("the door name `{name}`")));
    }
    if spec.occupied && spec.kind != DoorKind::Unit {
        return Err(invalid("only a unit can be occupied".to_owned()));
    }
    let labels = clean_labels(&spec.labels, "a door")?;
    Ok(Door { id, name, kind: spec.kind, occupied: spec.occupied, labels })
}

/// Labels sorted, each once.
fn clean_labels(labels: &[String], whose: &str) -> Result<Vec<String>, Refusal> {
    if labels.len() > limits::LABELS_PER_DOOR_MAX {
        return Err(invalid(format!("{whose} has at most {} labels", limits::LABELS_PER_DOOR_MAX)));
    }
    let cleaned: Result<BTreeSet<String>, Refusal> =
        labels.iter().map(|label| name::clean(label).map_err(bad_name)).collect();
    Ok(cleaned?.into_iter().collect())
}

/// The Keys whose last listed door this is, and that have no rules: it stays in them (K1).
pub fn keys_of_this_door_alone(property: &Property, door: DoorId) -> impl Iterator<Item = &Key> {
    let alone = move |key: &&Key| !key.doors.is_empty() && key.doors.iter().all(|entry| entry.door == door);
    property.keys.values().map(AsRef::as_ref).filter(|key| key.rules.is_empty()).filter(alone)
}

fn remove_door(portfolio: &Portfolio, door: DoorId) -> Result<Vec<Cause>, Refusal> {
    let property = find_door(portfolio, door)?;
    if let Some(key) = keys_of_this_door_alone(property, door).next() {
        return Err(invalid(format!("it is the last door of the Key `{}`: delete that Key first", key.name)));
    }
    let only = property.lockdowns.values().any(|lockdown| lockdown.doors.as_deref() == Some(&[door]));
    let mut causes = Vec::new();
    if only {
        // A lockdown of this door alone goes with it, so that it never comes to mean nothing.
        let gone = property.lockdowns.values().filter(|lockdown| lockdown.doors.as_deref() == Some(&[door]));
        causes.extend(gone.map(|lockdown| Cause::LockdownLifted { property: property.id(), lockdown: lockdown.id }));
    }
    causes.push(Cause::DoorRemoved { property: property.id(), door });
    Ok(causes)
}

fn put_schedule(
    portfolio: &Portfolio,
    property: PropertyId,
    id: ScheduleId,
    name: &str,
    hours: &Hours,
) -> Result<Vec<Cause>, Refusal> {
    let property = find_property(portfolio, property)?;
    let name = name::clean(name).map_err(bad_name)?;
    if fold(&name) == "always" {
        return Err(Refusal::Taken("the schedule name `always`, which exists everywhere,".to_owned()));
    }
    if property.schedule_by_name(&name).is_some_and(|other| other.id != id) {
        return Err(Refusal::Taken(format!("the schedule name `{name}`")));
    }
    if !hours.within_limits() {
        return Err(invalid(format!("a schedule has at most {} windows", limits::WINDOWS_PER_SCHEDULE_MAX)));
    }
    let schedule = Schedule { id, name, hours: hours.clone() };
    Ok(vec![Cause::SchedulePut { property: property.id(), schedule }])
}

fn delete_schedule(portfolio: &Portfolio, property: PropertyId, schedule: ScheduleId) -> Result<Vec<Cause>, Refusal> {
    let property = find_property(portfolio, property)?;
    find_schedule(property, schedule)?;
    let uses = |opening: &Opening| opening.schedule == ScheduleRef::Named(schedule);
    let user = property.keys.values().find(|key| {
        key.doors.iter().any(|entry| uses(&entry.opening)) || key.rules.iter().any(|rule| uses(&rule.opening))
    });
    match user {
        Some(key) => Err(invalid(format!("the Key `{}` uses it: give that Key another schedule first", key.name))),
        None => Ok(vec![Cause::ScheduleRemoved { property: property.id(), schedule }]),
    }
}

fn checked_key(property: &Property, id: KeyId, spec: &KeySpec) -> Result<Key, Refusal> {
    let name = name::clean(&spec.name).map_err(bad_name)?;
    if fold(&name) == fold(DELIVERIES_NAME) {
        return Err(Refusal::Taken(format!("the Key name `{DELIVERIES_NAME}`, which is the system's,")));
    }
    if property.key_by_name(&name).is_some_and(|other| other.id != id) {
        return Err(Refusal::Taken(format!("the Key name `{name}`")));
    }
    if spec.doors.is_empty() && spec.rules.is_empty() {
        return Err(invalid("a Key needs at least one door or rule".to_owned()));
    }
    if spec.rules.len() > limits::RULES_PER_KEY_MAX {
        return Err(invalid(format!("a Key has at most {} rules", limits::RULES_PER_KEY_MAX)));
    }
    let mut seen = BTreeSet::new();
    for entry in &spec.doors {
        if !property.doors.contains_key(&entry.door) {
            return Err(not_found("door in this property"));
        }
        if !seen.insert(entry.door) {
            return Err(invalid("a door stands once in a Key".to_owned()));
        }
    }
    for rule in &spec.rules {
        if rule.occupied.is_some() && rule.kind.is_some_and(|kind| kind != DoorKind::Unit) {
            return Err(invalid("`occupied` matches units only: leave the kind out, or make it unit".to_owned()));
        }
        if rule.except.iter().any(|door| !property.doors.contains_key(door)) {
            return Err(not_found("door in this property"));
        }
    }
    let openings = spec.doors.iter().map(|entry| entry.opening).chain(spec.rules.iter().map(|rule| rule.opening));
    for opening in openings {
        if let ScheduleRef::Named(schedule) = opening.schedule {
            find_schedule(property, schedule)?;
        }
    }
    let mut doors = spec.doors.clone();
    doors.sort_unstable_by_key(|entry| entry.door);
    let mut rules = spec.rules.clone();
    for rule in &mut rules {
        rule.except.sort_unstable();
        rule.except.dedup();
        rule.labels = clean_labels(&rule.labels, "a rule")?;
    }
    Ok(Key { id, name, may_share: spec.may_share, doors, rules })
}

fn check_period(period: Period, now: Moment) -> Result<(), Refusal> {
    match (period.from, period.until) {
        (Some(from), Some(until)) if until <= from => Err(invalid("the period ends before it starts".to_owned())),
        (_, Some(until)) if until <= now => Err(invalid("the period is over already: give a later end".to_owned())),
        _ => Ok(()),
    }
}

fn give(
    portfolio: &Portfolio,
    key: KeyId,
    person: PersonId,
    may_share: Option<bool>,
    period: Period,
    now: Moment,
) -> Result<Cause, Refusal> {
    let (property, key) = find_key(portfolio, key)?;
    find_person(portfolio, person)?;
    check_period(period, now)?;
    // K6: the giving that is there keeps its place; K7: one that has ended is made anew.
    let known = property.giving_of(key.id, person).filter(|giving| !giving.ended);
    let id = known.map_or(GivingId(portfolio.next.giving), |giving| giving.id);
    let may_share = may_share.unwrap_or_else(|| known.map_or(key.may_share, |giving| giving.may_share));
    let giving = Giving { id, key: key.id, person, may_share, from: period.from, until: period.until, ended: false };
    Ok(Cause::Given { property: property.id(), giving })
}

fn revoke(portfolio: &Portfolio, key: KeyId, person: PersonId) -> Result<Cause, Refusal> {
    let (property, giving) = find_giving(portfolio, key, person)?;
    Ok(Cause::Revoked { property: property.id(), giving: giving.id })
}

fn share(
    portfolio: &Portfolio,
    key: KeyId,
    host: PersonId,
    guest: PersonId,
    doors: Option<&[DoorId]>,
    period: Period,
    now: Moment,
) -> Result<Vec<Cause>, Refusal> {
    let (property, giving) = find_giving(portfolio, key, host)?;
    find_person(portfolio, guest)?;
    check_period(period, now)?;
    if giving.ended || !giving.may_share {
        return Err(invalid("this Key is held without the right to share it".to_owned()));
    }
    if host == guest {
        return Err(invalid("the guest is the holder".to_owned()));
    }
    let key = property.keys.get(&giving.key).ok_or_else(|| not_found("Key"))?;
    let doors = match doors {
        None => None,
        Some([]) => {
            return Err(invalid("a share of no doors opens nothing: name a door, or share them all".to_owned()));
        }
        Some(some) => {
            let all = property.key_doors(key);
            if some.iter().any(|door| !all.contains_key(door)) {
                return Err(not_found("door in this Key"));
            }
            let sorted: BTreeSet<DoorId> = some.iter().copied().collect();
            Some(sorted.into_iter().collect())
        }
    };
    let known = property.share_of(giving.id, guest).filter(|share| !share.ended);
    let id = known.map_or(ShareId(portfolio.next.share), |share| share.id);
    let share = Share { id, giving: giving.id, guest, doors, from: period.from, until: period.until, ended: false };
    Ok(vec![Cause::Shared { property: property.id(), share }])
}

fn lock_down(
    portfolio: &Portfolio,
    property: PropertyId,
    doors: Option<&[DoorId]>,
    except_keys: &[KeyId],
) -> Result<Vec<Cause>, Refusal> {
    let property = find_property(portfolio, property)?;
    if doors.is_some_and(|doors| doors.is_empty()) {
        return Err(invalid("name the doors to lock down, or leave them out for the whole property".to_owned()));
    }
    if doors.unwrap_or_default().iter().any(|door| !property.doors.contains_key(door)) {
        return Err(not_found("door in this property"));
    }
    if except_keys.iter().any(|key| property.deliveries == Some(*key)) {
        return Err(Refusal::Deliveries);
    }
    if except_keys.iter().any(|key| !property.keys.contains_key(key)) {
        return Err(not_found("Key in this property"));
    }
    let sorted = |doors: &[DoorId]| doors.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let except: BTreeSet<KeyId> = except_keys.iter().copied().collect();
    let lockdown = Lockdown {
        id: LockdownId(portfolio.next.lockdown),
        doors: doors.map(sorted),
        except_keys: except.into_iter().collect(),
    };
    Ok(vec![Cause::LockedDown { property: property.id(), lockdown }])
}

fn set_level(
    portfolio: &Portfolio,
    property: PropertyId,
    person: PersonId,
    level: Option<&Level>,
) -> Result<Vec<Cause>, Refusal> {
    let property = find_property(portfolio, property)?;
    find_person(portfolio, person)?;
    let level = match level {
        Some(Level::Specific(keys)) => {
            if keys.iter().any(|key| !property.keys.contains_key(key)) {
                return Err(not_found("Key in this property"));
            }
            let sorted: BTreeSet<KeyId> = keys.iter().copied().collect();
            Some(Level::Specific(sorted.into_iter().collect()))
        }
        other => other.cloned(),
    };
    Ok(vec![Cause::LevelSet { property: property.id(), person, level }])
}

fn make_lock(portfolio: &Portfolio, name: &str, scope: &LockScope) -> Result<Vec<Cause>, Refusal> {
    let name = name::clean(name).map_err(bad_name)?;
    if portfolio.locks.values().any(|lock| fold(&lock.name) == fold(&name)) {
        return Err(Refusal::Taken(format!("the lock name `{name}`")));
    }
    let scope = match scope {
        LockScope::Property(property) => LockScope::Property(find_property(portfolio, *property)?.id()),
        LockScope::Doors(doors) => {
            for door in doors {
                find_door(portfolio, *door)?;
            }
            let sorted: BTreeSet<DoorId> = doors.iter().copied().collect();
            LockScope::Doors(sorted.into_iter().collect())
        }
    };
    let id = LockId(portfolio.next.lock);
    Ok(vec![Cause::LockPut(Lock { id, name, scope, disabled: false })])
}
