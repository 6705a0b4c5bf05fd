//! The judge: what any check's answer is and why, by the rules alone. Slow and obvious; the compiled index and explain
//! must agree with it on every check.

use std::{collections::BTreeSet, sync::Arc};

use keyward_protocol::{
    decision::{Decision, Reason},
    id::*,
    time::Moment,
};

use super::{
    directory::*,
    hours::{days_later, open_at, openings},
};

/// Who stands at the door, found from the credential that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This person's mobile identity or card.
    Person(PersonId),
    /// This person's live code at this door.
    LiveCode(PersonId),
    /// This person's deleted code at this door (C6).
    DeletedCode(PersonId, CodeId),
    /// A carrier's own credential (V3).
    Carrier,
    /// Nobody is known by it.
    Unknown,
    /// A code at a door whose budget for wrong codes is spent: not looked up (U7).
    UnlookedCode,
}

/// One giving or share that has the door, and what it yields (U1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yield {
    /// Its Key.
    pub key: KeyId,
    /// The host, where it is a share.
    pub host: Option<PersonId>,
    /// Nothing for "it opens the door", or why it doesn't.
    pub refuses: Option<Reason>,
    /// Where the period begins and ends.
    pub period: (Moment, Moment),
}

/// The judge's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Granted or denied.
    pub decision: Decision,
    /// The host, where a share granted.
    pub host: Option<PersonId>,
    /// What each giving and share that has the door yields, in the order of U2.
    pub because: Vec<Yield>,
}

impl Judgement {
    fn denied(reason: Reason) -> Judgement {
        Judgement { decision: Decision::Denied { reason }, host: None, because: Vec::new() }
    }

    /// Whether the door opens.
    pub fn is_granted(&self) -> bool {
        matches!(self.decision, Decision::Granted { .. })
    }
}

/// How far ahead [`next_flip`] looks: 400 times 24 hours.
pub const HORIZON_DAYS: i64 = 400;

/// Judges one check at a door of `property` (an unknown door is [`Reason::UnknownDoor`]).
pub fn judge(portfolio: &Portfolio, property: &Property, door: DoorId, shown: Shown, at: Moment) -> Judgement {
    let Some(door) = property.doors.get(&door) else { return Judgement::denied(Reason::UnknownDoor) };
    if shown == Shown::UnlookedCode {
        return Judgement::denied(Reason::TooManyWrongCodes);
    }
    let excepted = excepted_keys(property, door.id);
    match shown {
        Shown::Carrier => judge_carrier(property, door, excepted.is_some()),
        Shown::Unknown | Shown::UnlookedCode => {
            Judgement::denied(if excepted.is_some() { Reason::Lockdown } else { Reason::UnknownCredential })
        }
        Shown::DeletedCode(person, code) => judge_deleted_code(portfolio, property, door, person, code, at),
        Shown::Person(person) => judge_person(portfolio, property, door, person, false, at),
        Shown::LiveCode(person) => judge_person(portfolio, property, door, person, true, at),
    }
}

/// The Keys named in each lockdown that closes the door; `None` when none does (U8).
pub(super) fn excepted_keys(property: &Property, door: DoorId) -> Option<BTreeSet<KeyId>> {
    property
        .lockdowns
        .values()
        .filter(|lockdown| lockdown.covers(door))
        .map(|lockdown| lockdown.except_keys.iter().copied().collect::<BTreeSet<KeyId>>())
        .reduce(|all, these| all.intersection(&these).copied().collect())
}

fn judge_carrier(property: &Property, door: &Door, locked_down: bool) -> Judgement {
    match property.deliveries {
        // Carriers are never excepted from a lockdown (U8).
        _ if locked_down => Judgement::denied(Reason::Lockdown),
        Some(key) if door.takes_deliveries() => {
            Judgement { decision: Decision::Granted { key }, host: None, because: Vec::new() }
        }
        _ => Judgement::denied(Reason::NoKey),
    }
}

fn judge_deleted_code(
    portfolio: &Portfolio,
    property: &Property,
    door: &Door,
    person: PersonId,
    code: CodeId,
    at: Moment,
) -> Judgement {
    let in_quarantine = property.deleted_codes.get(&code).is_some_and(|deleted| at < deleted.quarantined_until);
    Judgement::denied(if excepted_keys(property, door.id).is_some() {
        Reason::Lockdown
    } else if in_quarantine && portfolio.is_suspended(person) {
        Reason::PersonSuspended
    } else if in_quarantine {
        Reason::DeletedCode
    } else {
        Reason::UnknownCredential
    })
}

fn judge_person(
    portfolio: &Portfolio,
    property: &Property,
    door: &Door,
    person: PersonId,
    by_code: bool,
    at: Moment,
) -> Judgement {
    let because = yields(portfolio, property, door, person, by_code, at);
    let suspended = portfolio.is_suspended(person);
    let excepted = excepted_keys(property, door.id);
    let may_grant = |yielded: &&Yield| excepted.as_ref().is_none_or(|excepted| excepted.contains(&yielded.key));

    if let Some(opens) = because.iter().filter(may_grant).find(|yielded| yielded.refuses.is_none() && !suspended) {
        let (decision, host) = (Decision::Granted { key: opens.key }, opens.host);
        return Judgement { decision, host, because };
    }
    let locked_out =
        excepted.is_some() && !because.iter().filter(may_grant).any(|yielded| yielded.refuses != Some(Reason::Expired));
    let reason = if locked_out {
        Reason::Lockdown
    } else if suspended {
        Reason::PersonSuspended
    } else {
        // `Reason` is ordered as U1 asks for the first that is true.
        because.iter().filter(may_grant).filter_map(|yielded| yielded.refuses).min().unwrap_or(Reason::NoKey)
    };
    Judgement { decision: Decision::Denied { reason }, host: None, because }
}

/// What each giving and share of a person that has the door yields: own givings before shares, each earliest made
/// first (U2). A share whose host is suspended counts as absent (K11).
pub fn yields(
    portfolio: &Portfolio,
    property: &Property,
    door: &Door,
    person: PersonId,
    by_code: bool,
    at: Moment,
) -> Vec<Yield> {
    let is_absent = |held: &Held| held.host.is_some_and(|host| portfolio.is_suspended(host));
    held(property, person, door.id)
        .filter(|held| held.has_door && !is_absent(held))
        .filter_map(|Held { key, host, period, ended, .. }| {
            let refuses = refusal(property, key, door, by_code, period, ended, at)?;
            Some(Yield { key, host, refuses, period })
        })
        .collect()
}

/// A giving or share, as it stands at one door.
pub(super) struct Held {
    pub key: KeyId,
    /// The host, where it is a share.
    pub host: Option<PersonId>,
    pub period: (Moment, Moment),
    /// The books say that it has ended.
    pub ended: bool,
    /// Not a share that is cut to other doors.
    pub has_door: bool,
}

/// Everything that a person holds in the property, in the order of U2.
pub(super) fn held(property: &Property, person: PersonId, door: DoorId) -> impl Iterator<Item = Held> {
    let own = property.givings_of(person).map(|giving| Held {
        key: giving.key,
        host: None,
        period: (giving.from.unwrap_or(Moment::MIN), giving.until.unwrap_or(Moment::MAX)),
        ended: giving.ended,
        has_door: true,
    });
    let shares = property.shares_to(person).filter_map(move |share| {
        let giving = property.givings.get(&share.giving)?;
        Some(Held {
            key: giving.key,
            host: Some(giving.person),
            period: property.share_period(share),
            ended: share.ended || giving.ended,
            has_door: share.doors.as_ref().is_none_or(|doors| doors.contains(&door)),
        })
    });
    own.chain(shares)
}

/// `None` when the Key doesn't have the door (for a code: has it without a code); otherwise why it refuses, or nothing.
pub(super) fn refusal(
    property: &Property,
    key: KeyId,
    door: &Door,
    by_code: bool,
    (from, until): (Moment, Moment),
    ended: bool,
    at: Moment,
) -> Option<Option<Reason>> {
    let key: &Arc<Key> = property.keys.get(&key)?;
    let mut openings = property.openings_of(key, door);
    openings.retain(|opening| opening.code || !by_code);
    if openings.is_empty() {
        return None;
    }
    Some(if ended || until <= at {
        Some(Reason::Expired)
    } else if at < from {
        Some(Reason::NotYetValid)
    } else if openings.iter().any(|opening| schedule_open(property, opening.schedule, at)) {
        None
    } else {
        Some(Reason::OutsideSchedule)
    })
}

/// Whether a schedule of the property is open at a moment.
pub fn schedule_open(property: &Property, schedule: ScheduleRef, at: Moment) -> bool {
    match schedule {
        ScheduleRef::Always => true,
        ScheduleRef::Named(id) => property
            .schedules
            .get(&id)
            .is_some_and(|schedule| open_at(&schedule.hours, &property.holidays, &property.zone, at)),
    }
}

/// The first later moment, at most 400 times 24 hours on, at which the check would be answered the other way
/// (denied for a grant, granted for a denial), if nothing is changed.
pub fn next_flip(portfolio: &Portfolio, property: &Property, door: DoorId, shown: Shown, at: Moment) -> Option<Moment> {
    let granted = |moment| judge(portfolio, property, door, shown, moment).is_granted();
    let now = granted(at);
    let mut from = at;
    // Most answers flip within days: schedules are written out for the rest of the year only where one does not.
    for days in [2, 16, HORIZON_DAYS] {
        let to = days_later(at, days);
        let points = turning_points(portfolio, property, door, shown, (from, to));
        if let Some(flip) = points.into_iter().find(|moment| granted(*moment) != now) {
            return Some(flip);
        }
        from = to;
    }
    None
}

/// Every moment after `after` and up to `to` at which the answer could flip: the bounds of periods and the edges of
/// openings of everything that has the door and could open it then.
fn turning_points(
    portfolio: &Portfolio,
    property: &Property,
    door: DoorId,
    shown: Shown,
    (after, to): (Moment, Moment),
) -> BTreeSet<Moment> {
    let (person, by_code) = match shown {
        Shown::Person(person) => (person, false),
        Shown::LiveCode(person) => (person, true),
        Shown::DeletedCode(..) | Shown::Carrier | Shown::Unknown | Shown::UnlookedCode => return BTreeSet::new(),
    };
    let Some(door) = property.doors.get(&door) else { return BTreeSet::new() };
    let yields = could_open(portfolio, property, door, person, by_code, after);
    let schedules_of = |yielded: &Yield| {
        let openings = property.keys.get(&yielded.key).map(|key| property.openings_of(key, door)).unwrap_or_default();
        openings.into_iter().filter(|opening| opening.code || !by_code).map(|opening| opening.schedule)
    };
    // Where one stands open without a schedule, nothing closes the door before that one's end.
    let always =
        |yielded: &&Yield| yielded.refuses.is_none() && schedules_of(yielded).any(|s| s == ScheduleRef::Always);
    let open_until = yields.iter().filter(always).map(|yielded| yielded.period.1).max();
    let from = open_until.map_or(after, |until| until.plus_micros(-1).max(after));
    if from >= to {
        return BTreeSet::new();
    }
    let mut points: BTreeSet<Moment> = yields.iter().flat_map(|yielded| [yielded.period.0, yielded.period.1]).collect();
    let schedules: BTreeSet<ScheduleRef> = yields.iter().flat_map(schedules_of).collect();
    for schedule in schedules {
        let ScheduleRef::Named(id) = schedule else { continue };
        let Some(schedule) = property.schedules.get(&id) else { continue };
        // A microsecond more, so that an opening that begins exactly at the end is seen.
        let stretches = openings(&schedule.hours, &property.holidays, &property.zone, from, to.plus_micros(1));
        points.extend(stretches.into_iter().flat_map(|(from, to)| [from, to]));
    }
    points.into_iter().filter(|moment| from < *moment && *moment <= to).collect()
}

/// What of a person's might open the door at `after` or later: neither over nor locked out, and nothing while the
/// person is suspended.
fn could_open(
    portfolio: &Portfolio,
    property: &Property,
    door: &Door,
    person: PersonId,
    by_code: bool,
    after: Moment,
) -> Vec<Yield> {
    if portfolio.is_suspended(person) {
        return Vec::new();
    }
    let excepted = excepted_keys(property, door.id);
    let mut yields = yields(portfolio, property, door, person, by_code, after);
    yields.retain(|yielded| {
        let locked_out = excepted.as_ref().is_some_and(|excepted| !excepted.contains(&yielded.key));
        yielded.refuses != Some(Reason::Expired) && !locked_out
    });
    yields
}
