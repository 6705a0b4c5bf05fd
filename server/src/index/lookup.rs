//! Judges checks, many at a time. No lock, no allocation, no wait: reads of a finished publication alone.
//!
//! Most checks are granted the short way, by `passes`; what is not goes through every rule here.

use keyward_protocol::{
    code::{Card, Credential, Digits},
    decision::{Decision, Reason},
    id::{CarrierId, DoorId, KeyId, PersonId, PropertyId},
    limits::CARD_BYTES_MAX,
    time::Moment,
};

use super::{
    archive::{
        ALWAYS, ArchivedPersonLine, ArchivedScheduleLine, COLD, CONSTANT_SCHEDULES, CardNumber, DELIVERS, Detail, Door,
        EVER, NEVER, NO_CHANGE, OCCUPIED, SCHEDULES_MAX, SORTED, SPILLED, SUSPENDED, View, native,
    },
    codes::{FoundCode, Tag},
    passes::{self, Step},
    prefetch::prefetch,
    publish::{Holder, PortfolioPublication},
};
use rkyv::rend::unaligned::u16_ule;

/// What sort of thing was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ShownKind {
    /// A mobile identity: 8 bytes, little-endian.
    Mobile,
    /// A card number: 1 to 10 bytes.
    Card,
    /// A door code: 4 to 10 ASCII digits.
    Code,
}

/// What was shown to a door, as it came off the wire. Bytes that can't be of their kind are nobody's credential.
/// A secret: not printed.
#[derive(Clone, Copy)]
pub struct Shown {
    /// What sort of thing.
    pub kind: ShownKind,
    /// How many of the bytes count.
    pub length: u8,
    /// The rest is ignored.
    pub bytes: [u8; CARD_BYTES_MAX],
}

impl Shown {
    /// These bytes, shown as this kind. More than ten are nobody's credential.
    pub fn new(kind: ShownKind, shown: &[u8]) -> Shown {
        let mut bytes = [0; CARD_BYTES_MAX];
        bytes.iter_mut().zip(shown).for_each(|(to, from)| *to = *from);
        Shown { kind, length: u8::try_from(shown.len()).unwrap_or(u8::MAX), bytes }
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn mobile(&self) -> Option<u64> {
        let [b0, b1, b2, b3, b4, b5, b6, b7, _, _] = self.bytes;
        (self.length == 8).then_some(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]))
    }

    #[inline(always)]
    pub(super) fn card(&self) -> Option<CardNumber> {
        CardNumber::new(self.bytes, self.length)
    }
}

impl From<&Credential> for Shown {
    fn from(credential: &Credential) -> Shown {
        match credential {
            Credential::Mobile(mobile) => Shown::new(ShownKind::Mobile, &mobile.to_le_bytes()),
            Credential::Card(card) => Shown::new(ShownKind::Card, card.bytes()),
            Credential::Code(digits) => Shown::new(ShownKind::Code, digits.expose()),
        }
    }
}

/// One check.
#[derive(Clone, Copy)]
pub struct Question {
    /// At which door.
    pub door: DoorId,
    /// What was shown.
    pub shown: Shown,
}

/// The doors that whoever asks may ask about (U3).
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All of the portfolio's.
    Portfolio,
    /// All of one property's.
    Property(PropertyId),
    /// These, sorted.
    Doors(&'a [DoorId]),
}

/// What a check is answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A decision.
    Decided(Decision),
    /// None yet: the property's codes are still being read. Ask again.
    Retry,
}

/// An answer, with what the access log records beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Who showed it, where it is known as somebody's; else none.
    pub person: PersonId,
    /// Whose share granted (G5); else none.
    pub host: PersonId,
    /// Which carrier showed it; else none.
    pub carrier: CarrierId,
    /// A code was shown at a known door, and it is not a live one there (U7).
    pub wrong_code: bool,
}

impl Verdict {
    /// What stands where nothing was judged: denied.
    pub const DENIED: Verdict = Verdict::denied(Reason::UnknownDoor);

    /// Denied for this reason, nobody known.
    pub const fn denied(reason: Reason) -> Verdict {
        Verdict {
            outcome: Outcome::Decided(Decision::Denied { reason }),
            person: PersonId::NONE,
            host: PersonId::NONE,
            carrier: CarrierId::NONE,
            wrong_code: false,
        }
    }

    pub(super) fn granted(key: KeyId) -> Verdict {
        Verdict { outcome: Outcome::Decided(Decision::Granted { key }), ..Verdict::DENIED }
    }
}

/// Judges every question by `portfolio` at `now`; the answers come in the same order. Answers past the end of
/// `out` are not given. `tagger` makes a code's tag.
pub fn check_batch(
    portfolio: &PortfolioPublication,
    scope: Scope<'_>,
    now: Moment,
    questions: &[Question],
    tagger: impl Fn(DoorId, &Digits) -> Tag,
    out: &mut [Verdict],
) {
    let now = now.as_micros();
    passes::judge(portfolio, scope, now, questions, &tagger, |step| step.judge(portfolio, scope, now), out);
}

/// What is known of who showed something, where it is nobody with a line in the property.
#[derive(Clone, Copy)]
enum Who {
    /// Of somebody whose credential is in the portfolio's table, if it is in any.
    Unsettled,
    /// A live code, of somebody who holds nothing in the property as far as is known.
    Live(PersonId),
    /// A deleted code: whose, and until when.
    Deleted(PersonId, Moment),
    /// The codes are not there yet.
    Retry,
}

impl<'a> Step<'a> {
    #[inline(always)]
    fn at_door(&self) -> AtDoor<'a> {
        let code = self.question.shown.kind == ShownKind::Code;
        AtDoor { view: &self.property.view, door: self.door, row: self.row, code }
    }

    /// Asks for what the long way of judging reads first.
    #[inline(always)]
    pub(super) fn prefetch_rest(&self, portfolio: &PortfolioPublication) {
        let (view, person) = (&self.property.view, self.person);
        if person.flags & OCCUPIED == 0 {
            if self.question.shown.kind == ShownKind::Mobile {
                portfolio.known().prefetch_mobile(self.question.shown.mobile().unwrap_or_default());
            }
            return;
        }
        if person.flags & SPILLED != 0 {
            prefetch(view.spill, person.at.to_native() as usize);
        }
        if self.door.flags() & SORTED != 0 {
            prefetch(view.sorted, self.door.at() as usize);
        }
    }

    #[inline(always)]
    fn judge(&self, portfolio: &PortfolioPublication, scope: Scope<'_>, now: i64) -> Verdict {
        let (at, door) = (self.at_door(), self.question.door);
        if door == DoorId::NONE || at.door.id() != door || !scope.has(door, at.view.property) {
            return Verdict::DENIED;
        }
        match self.known_person() {
            Some(person) => at.judge(person, now),
            None => self.judge_without_line(portfolio, at.view, at.door, now),
        }
    }

    #[inline(always)]
    fn known_person(&self) -> Option<&'a ArchivedPersonLine> {
        (self.person.flags & OCCUPIED != 0).then_some(self.person)
    }

    fn who(&self) -> Who {
        if self.question.shown.kind != ShownKind::Code {
            return Who::Unsettled;
        }
        let Some(codes) = self.property.codes else { return Who::Retry };
        match codes.find(&self.tag) {
            FoundCode::Live { .. } | FoundCode::Unknown => Who::Unsettled,
            FoundCode::Elsewhere(person) => Who::Live(person),
            FoundCode::Deleted(person, until) => Who::Deleted(person, until),
        }
    }

    /// Somebody who holds nothing here, a carrier, a deleted code, or nobody.
    #[cold]
    fn judge_without_line(
        &self,
        portfolio: &PortfolioPublication,
        view: &View<'_>,
        door: Door<'_>,
        now: i64,
    ) -> Verdict {
        let shown = &self.question.shown;
        let locked = door.lockdown() != 0;
        let deny = |reason, holder: Option<Holder>| {
            let reason = match holder {
                _ if locked => Reason::Lockdown,
                Some(holder) if holder.suspended => Reason::PersonSuspended,
                _ => reason,
            };
            Verdict { person: holder.map_or(PersonId::NONE, |holder| holder.person), ..Verdict::denied(reason) }
        };
        let holder = |person| Holder { person, suspended: portfolio.known().is_suspended(person) };
        match (self.who(), shown.kind) {
            (Who::Retry, _) => Verdict { outcome: Outcome::Retry, ..Verdict::DENIED },
            (Who::Live(person), _) => deny(Reason::NoKey, Some(holder(person))),
            (Who::Deleted(person, until), _) if now < until.as_micros() => {
                Verdict { wrong_code: true, ..deny(Reason::DeletedCode, Some(holder(person))) }
            }
            (_, ShownKind::Code) => Verdict { wrong_code: true, ..deny(Reason::UnknownCredential, None) },
            (_, ShownKind::Card) => match Card::new(shown.bytes()).and_then(|card| portfolio.known().by_card(&card)) {
                Some(holder) => deny(Reason::NoKey, Some(holder)),
                None => deny(Reason::UnknownCredential, None),
            },
            (_, ShownKind::Mobile) => {
                let Some(mobile) = shown.mobile() else { return deny(Reason::UnknownCredential, None) };
                if let Some(holder) = portfolio.known().by_mobile(mobile) {
                    return deny(Reason::NoKey, Some(holder));
                }
                let Some(carrier) = portfolio.carrier(mobile) else { return deny(Reason::UnknownCredential, None) };
                let delivers = view.deliveries != 0 && door.flags() & DELIVERS != 0 && !locked;
                let verdict =
                    if delivers { Verdict::granted(KeyId(view.deliveries)) } else { deny(Reason::NoKey, None) };
                Verdict { carrier, ..verdict }
            }
        }
    }
}

impl Scope<'_> {
    #[inline(always)]
    pub(super) fn has(&self, door: DoorId, property: PropertyId) -> bool {
        match self {
            Scope::Portfolio => true,
            Scope::Property(own) => *own == property,
            Scope::Doors(doors) => doors.binary_search(&door).is_ok(),
        }
    }
}

/// A door at which a person of the property shows something.
struct AtDoor<'a> {
    view: &'a View<'a>,
    door: Door<'a>,
    row: u32,
    code: bool,
}

/// A giving or share that has the door.
struct Candidate {
    slot: u16,
    /// A schedule, [`ALWAYS`] or [`NEVER`].
    opens: u16,
    detail: Option<Detail>,
}

impl<'a> AtDoor<'a> {
    #[inline(always)]
    fn judge(&self, person: &'a ArchivedPersonLine, now: i64) -> Verdict {
        let id = PersonId(person.id.to_native());
        let suspended = person.flags & SUSPENDED != 0;
        let excepted = match self.door.lockdown() {
            0 => None,
            list => Some(self.view.list(list).unwrap_or_default()),
        };
        if suspended && excepted.is_none() {
            return Verdict { person: id, ..Verdict::denied(Reason::PersonSuspended) };
        }
        let mut best = Reason::NoKey;
        let granted = self.find_candidate(person, |candidate| {
            if excepted.is_some_and(|excepted| !contains(excepted, candidate.slot)) {
                return false;
            }
            match candidate.reason(self.view, now) {
                None if !suspended => return true,
                None => best = Reason::PersonSuspended,
                Some(reason) => best = best.min(reason),
            }
            false
        });
        let verdict = match (granted, excepted) {
            (Some(candidate), _) => {
                let key = self.view.keys.get(usize::from(candidate.slot)).map_or(0, |key| key.to_native());
                let host = PersonId(candidate.detail.map_or(0, |detail| detail.host));
                Verdict { host, ..Verdict::granted(KeyId(key)) }
            }
            (None, None) => Verdict::denied(best),
            // Worse than these is what has ended or was never held (U8).
            (None, Some(_)) if best > Reason::NotYetValid => Verdict::denied(Reason::Lockdown),
            (None, Some(_)) if suspended => Verdict::denied(Reason::PersonSuspended),
            (None, Some(_)) => Verdict::denied(best),
        };
        Verdict { person: id, ..verdict }
    }

    /// The first candidate, in the order of U2, for which `wanted` holds.
    #[inline(always)]
    fn find_candidate(
        &self,
        person: &'a ArchivedPersonLine,
        mut wanted: impl FnMut(&Candidate) -> bool,
    ) -> Option<Candidate> {
        if person.flags & SPILLED != 0 {
            return self.find_spilled(person, wanted);
        }
        let detailed = person.detailed;
        for (i, slot) in person.slots.iter().take(usize::from(person.count)).enumerate() {
            let slot = slot.to_native();
            let Some(opens) = self.opens(slot) else { continue };
            let mut candidate = Candidate { slot, opens, detail: None };
            if detailed & 1 << i != 0 {
                candidate.detail = match (detailed & ((1 << i) - 1)).count_ones() as usize {
                    0 => Some(person.first_detail()),
                    rank => {
                        let detail = self.view.details.get(person.at.to_native() as usize + rank - 1);
                        detail.map(|detail| detail.native())
                    }
                };
            }
            if candidate.is_for(self) && wanted(&candidate) {
                return Some(candidate);
            }
        }
        None
    }

    #[cold]
    fn find_spilled(
        &self,
        person: &'a ArchivedPersonLine,
        mut wanted: impl FnMut(&Candidate) -> bool,
    ) -> Option<Candidate> {
        let at = person.at.to_native() as usize;
        self.view.spill.get(at..at + person.len.to_native() as usize)?.iter().find_map(|holding| {
            let slot = u16::try_from(holding.slot.to_native()).ok()?;
            let opens = self.opens(slot)?;
            let detail = match holding.detail.to_native() {
                0 => None,
                detail => Some(self.view.details.get(detail as usize - 1)?.native()),
            };
            let candidate = Candidate { slot, opens, detail };
            (candidate.is_for(self) && wanted(&candidate)).then_some(candidate)
        })
    }

    /// When a Key opens the door; `None` where it does not have it.
    #[inline(always)]
    fn opens(&self, slot: u16) -> Option<u16> {
        let opens = if self.door.flags() & SORTED == 0 {
            self.view.pairs_at(self.door).opens(self.door.pair(slot), self.code)
        } else {
            let at = self.door.at() as usize;
            let keys = self.view.sorted.get(at..at + usize::from(self.door.count()))?;
            let entry = keys.get(keys.binary_search_by_key(&slot, |key| key.slot.to_native()).ok()?)?;
            if self.code { entry.code.to_native() } else { entry.any.to_native() }
        };
        has_door(opens).then_some(opens)
    }
}

/// Whether that is when a Key opens a door, and not that it does not have it.
#[inline(always)]
pub(super) fn has_door(opens: u16) -> bool {
    usize::from(opens) < SCHEDULES_MAX
}

impl Candidate {
    /// Whether a share that is cut to some doors has this one.
    #[inline(always)]
    fn is_for(&self, at: &AtDoor<'_>) -> bool {
        match self.detail.map_or(0, |detail| detail.doors) {
            0 => true,
            rows => at.view.list(rows).is_some_and(|rows| contains(rows, at.row as u16)),
        }
    }

    /// Why it does not grant; `None` where it does.
    #[inline(always)]
    fn reason(&self, view: &View<'_>, now: i64) -> Option<Reason> {
        if let Some(detail) = self.detail {
            if detail.until <= now {
                return Some(Reason::Expired);
            }
            if now < detail.from {
                return Some(Reason::NotYetValid);
            }
        }
        if is_open(view, schedule_line(view, self.opens, second(view, now)), now) {
            None
        } else {
            Some(Reason::OutsideSchedule)
        }
    }
}

/// The line that tells of a schedule at this second of the property's; of what is none, the one that opens never.
#[inline(always)]
fn schedule_line<'a>(view: &View<'a>, opens: u16, second: u32) -> &'a ArchivedScheduleLine {
    let own = view.schedules.get(line_of(view, opens, second));
    CONSTANT_SCHEDULES.get(usize::from(opens)).or(own).unwrap_or(&CONSTANT_SCHEDULES[NEVER as usize])
}

#[inline(always)]
fn is_open(view: &View<'_>, line: &ArchivedScheduleLine, now: i64) -> bool {
    let head = line.head();
    if head & COLD != 0 {
        return in_horizon(view, now) && is_open_cold(view, line, now).unwrap_or(false);
    }
    let tells = in_horizon(view, now) | (head & EVER != 0);
    (line.is_open_inline(second(view, now))) & tells
}

#[inline(always)]
fn in_horizon(view: &View<'_>, now: i64) -> bool {
    (view.horizon.0 <= now) & (now < view.horizon.1)
}

#[cold]
fn is_open_cold(view: &View<'_>, line: &ArchivedScheduleLine, now: i64) -> Option<bool> {
    let openings = view.cold(line)?;
    let begun = openings.partition_point(|opening| native(&opening.from) <= now);
    let last = openings.get(begun.checked_sub(1)?)?;
    Some(now < native(&last.to))
}

/// Whole seconds since the base; below [`NO_CHANGE`].
#[inline(always)]
fn second(view: &View<'_>, now: i64) -> u32 {
    now.div_euclid(1_000_000).wrapping_sub(view.base).clamp(0, i64::from(NO_CHANGE) - 1) as u32
}

#[inline(always)]
fn line_of(view: &View<'_>, schedule: u16, second: u32) -> usize {
    let stretch = (second >> view.shift).min(u32::from(view.stretches) - 1);
    usize::from(schedule) * usize::from(view.stretches) + stretch as usize
}

fn contains(sorted: &[u16_ule], item: u16) -> bool {
    sorted.binary_search_by_key(&item, |other| other.to_native()).is_ok()
}

/// The moment until which the answer to `question` surely stands if nothing is changed (U4): never later than it
/// really does, often earlier. [`Moment::MAX`] where time alone changes nothing.
pub fn stands_until(
    portfolio: &PortfolioPublication,
    scope: Scope<'_>,
    now: Moment,
    question: &Question,
    tagger: impl Fn(DoorId, &Digits) -> Tag,
) -> Moment {
    let step = Step::of(portfolio, question, &tagger);
    let at = step.at_door();
    if at.door.id() == DoorId::NONE || !scope.has(question.door, at.view.property) {
        return Moment::MAX;
    }
    match step.who() {
        Who::Retry => return now,
        Who::Deleted(_, until) if now < until => return until,
        _ => {}
    }
    let Some(person) = step.known_person() else { return Moment::MAX };
    let view = at.view;
    let now = now.as_micros();
    let mut until = i64::MAX;
    at.find_candidate(person, |candidate| {
        let period = candidate.detail.map(|detail| [detail.from, detail.until]);
        let bounds = period.into_iter().flatten().filter(|bound| *bound > now);
        until = bounds.fold(until, i64::min).min(next_change(view, candidate.opens, now));
        false
    });
    Moment::from_micros(until)
}

/// A moment up to which a schedule surely stays as it is at `now`. One that does not open within the horizon may
/// open after it, so [`NEVER`] too is good for no longer than the horizon.
fn next_change(view: &View<'_>, opens: u16, now: i64) -> i64 {
    if opens == ALWAYS {
        return i64::MAX;
    }
    if now < view.horizon.0 {
        return view.horizon.0;
    }
    // Past the horizon a schedule is taken for closed only until the property is compiled anew.
    let within = || next_change_within(view, opens, now).unwrap_or(now);
    if now < view.horizon.1 { within().min(view.horizon.1) } else { now }
}

fn next_change_within(view: &View<'_>, schedule: u16, now: i64) -> Option<i64> {
    let second = second(view, now);
    let at = line_of(view, schedule, second);
    let line = view.schedules.get(at)?;
    if line.head() & COLD != 0 {
        let bounds = view.cold(line)?.iter().flat_map(|opening| [native(&opening.from), native(&opening.to)]);
        return Some(bounds.filter(|bound| *bound > now).min().unwrap_or(i64::MAX));
    }
    let end = (usize::from(schedule) + 1) * usize::from(view.stretches);
    let changes = view.schedules.get(at..end)?.iter().flat_map(|line| line.changes()).map(|change| change.to_native());
    let next = changes.filter(|change| *change != NO_CHANGE).find(|change| *change > second);
    Some(next.map_or(i64::MAX, |change| (view.base + i64::from(change)).saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use keyward_protocol::id::PropertyId;
    use rand::RngExt;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::index::{
        archive::Loaded,
        compile::compile,
        source::{DoorKey, DoorSource, Holding, Opens, PersonSource, PropertySource},
        testing::{PORTFOLIO, World, slow_judge, tag, world},
    };

    fn questions(world: &World, rng: &mut ChaCha8Rng, count: usize) -> Vec<Question> {
        let question = |_| {
            let doors = &world.source.doors;
            let door = match rng.random_range(0..30) {
                0 => DoorId(rng.random_range(0..5_000)),
                1 => DoorId(u32::MAX),
                _ => doors[rng.random_range(0..doors.len())].id,
            };
            Question { door, shown: world.credentials(rng) }
        };
        (0..count).map(question).collect()
    }

    fn scope<'a>(world: &World, rng: &mut ChaCha8Rng, doors: &'a mut Vec<DoorId>) -> Scope<'a> {
        match rng.random_range(0..6) {
            0 => Scope::Property(PropertyId(rng.random_range(1..9))),
            1 => Scope::Property(world.source.property),
            2 => {
                doors.extend(world.source.doors.iter().map(|door| door.id).filter(|_| rng.random_bool(0.5)));
                Scope::Doors(doors)
            }
            _ => Scope::Portfolio,
        }
    }

    // K2 U1 U2 U3 U8 C6 K7 K11 G1 V3
    #[test]
    fn the_index_answers_like_the_slow_judge() {
        let longer: u64 = std::env::var("KEYWARD_INDEX_WORLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_500);
        // What was answered, and how often: worlds that show too little prove too little.
        let mut seen: HashMap<String, u32> = HashMap::new();
        for seed in 0..longer {
            let world = world(seed);
            let published = world.published();
            let guard = published.load();
            let portfolio = guard.portfolio(PORTFOLIO).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xABCD);
            for _ in 0..10 {
                let now = world.moment(&mut rng);
                let mut doors = Vec::new();
                let scope = scope(&world, &mut rng, &mut doors);
                let questions = questions(&world, &mut rng, 20);
                let mut out = vec![Verdict::DENIED; questions.len()];
                check_batch(portfolio, scope, now, &questions, tag, &mut out);
                for (question, verdict) in questions.iter().zip(&out) {
                    let expected = slow_judge(&world, scope, now, question.door, &question.shown);
                    let shown = (question.shown.kind, question.shown.length, question.shown.bytes);
                    assert_eq!(*verdict, expected, "seed {seed}, now {}, {} {shown:?}", now.as_micros(), question.door);
                    let door = world.source.doors.iter().find(|door| door.id == question.door);
                    let locked = door.is_some_and(|door| door.lockdown.is_some());
                    *seen.entry(summary(verdict, question.shown.kind, locked)).or_default() += 1;
                }
            }
        }
        for what in EXPECTED {
            assert!(seen.get(*what).is_some_and(|times| *times >= 20), "too few of `{what}` in {seen:#?}");
        }
    }

    const EXPECTED: &[&str] = &[
        "Mobile granted",
        "Mobile granted by a share",
        "Mobile granted in lockdown",
        "Mobile granted to a carrier",
        "Mobile unknown_door",
        "Mobile lockdown in lockdown",
        "Mobile person_suspended",
        "Mobile person_suspended in lockdown",
        "Mobile outside_schedule",
        "Mobile outside_schedule in lockdown",
        "Mobile not_yet_valid",
        "Mobile not_yet_valid in lockdown",
        "Mobile expired",
        "Mobile no_key",
        "Mobile unknown_credential",
        "Card granted",
        "Card no_key",
        "Card unknown_credential",
        "Code granted",
        "Code granted in lockdown",
        "Code deleted_code",
        "Code person_suspended",
        "Code lockdown in lockdown",
        "Code outside_schedule",
        "Code no_key",
        "Code unknown_credential",
        "Code retry",
    ];

    fn summary(verdict: &Verdict, kind: ShownKind, locked: bool) -> String {
        let what = match verdict.outcome {
            Outcome::Decided(Decision::Granted { .. }) if verdict.host != PersonId::NONE => "granted by a share",
            Outcome::Decided(Decision::Granted { .. }) if verdict.carrier != CarrierId::NONE => "granted to a carrier",
            Outcome::Decided(Decision::Granted { .. }) => "granted",
            Outcome::Decided(Decision::Denied { reason }) => reason.as_str(),
            Outcome::Retry => "retry",
        };
        format!("{kind:?} {what}{}", if locked { " in lockdown" } else { "" })
    }

    // U4
    #[test]
    fn an_answer_stands_as_long_as_it_says() {
        for seed in 0..300 {
            let world = world(seed);
            let published = world.published();
            let guard = published.load();
            let portfolio = guard.portfolio(PORTFOLIO).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x1234);
            for question in questions(&world, &mut rng, 40) {
                let now = world.moment(&mut rng);
                let until = stands_until(portfolio, Scope::Portfolio, now, &question, tag);
                assert!(until >= now, "seed {seed}");
                let mut later: Vec<Moment> = (0..20).map(|_| world.moment(&mut rng)).collect();
                later.push(until.plus_micros(-1));
                let judge = |now| slow_judge(&world, Scope::Portfolio, now, question.door, &question.shown);
                for later in later.into_iter().filter(|later| now <= *later && *later < until) {
                    let both = (now.as_micros(), later.as_micros(), until.as_micros());
                    assert_eq!(judge(now), judge(later), "seed {seed}, {both:?}, {}", question.door);
                }
            }
        }
    }

    // U1
    #[test]
    fn a_long_batch_is_answered_in_its_order_as_one_by_one() {
        let world = world(17);
        let published = world.published();
        let guard = published.load();
        let portfolio = guard.portfolio(PORTFOLIO).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        let now = world.moment(&mut rng);
        for count in [1, 31, 32, 33, 255, 256, 257, 512, 700] {
            let questions = questions(&world, &mut rng, count);
            let mut together = vec![Verdict::DENIED; count];
            check_batch(portfolio, Scope::Portfolio, now, &questions, tag, &mut together);
            for (question, verdict) in questions.iter().zip(together) {
                assert_eq!(verdict, slow_judge(&world, Scope::Portfolio, now, question.door, &question.shown));
            }
        }
    }

    fn holding(slot: u16) -> Holding {
        Holding { slot, from: Moment::MIN, until: Moment::MAX, host: PersonId::NONE, doors: None }
    }

    fn publication(source: &PropertySource) -> PortfolioPublication {
        let mut portfolio = PortfolioPublication::default();
        portfolio.put_property(Arc::new(Loaded::new(&compile(source, (3, 4)).unwrap()).unwrap()));
        portfolio
    }

    fn ask(portfolio: &PortfolioPublication, door: u32, mobile: u64) -> Verdict {
        let question = Question { door: DoorId(door), shown: Shown::new(ShownKind::Mobile, &mobile.to_le_bytes()) };
        let mut out = [Verdict::DENIED];
        check_batch(portfolio, Scope::Portfolio, Moment::from_micros(0), &[question], tag, &mut out);
        out[0]
    }

    fn key(slot: u16, any: Opens) -> DoorKey {
        DoorKey { slot, any, code: Opens::Never, has_code: false }
    }

    fn property(doors: Vec<DoorSource>, people: Vec<PersonSource>, keys: u32) -> PropertySource {
        PropertySource {
            property: PropertyId(1),
            horizon: (Moment::from_micros(0), Moment::from_micros(1)),
            keys: (1..=keys).map(KeyId).collect(),
            deliveries: None,
            schedules: Vec::new(),
            doors,
            people,
        }
    }

    fn granted(key: u32) -> Outcome {
        Outcome::Decided(Decision::Granted { key: KeyId(key) })
    }

    // K2 U2
    #[test]
    fn a_person_with_300_keys_and_a_door_in_300_keys_are_judged_in_order() {
        let keys = (0..300).map(|slot| key(slot, if slot == 7 || slot == 211 { Opens::Always } else { Opens::Never }));
        let door = DoorSource { id: DoorId(5), keys: keys.collect(), delivers: false, lockdown: None };
        let person = |id: u32, holdings| PersonSource {
            id: PersonId(id),
            suspended: false,
            mobile: u64::from(id),
            cards: Vec::new(),
            holdings,
        };
        let people = vec![
            person(1, (0..300).rev().map(holding).collect()),
            person(2, (0..300).map(holding).collect()),
            person(3, (0..300).filter(|slot| *slot != 7 && *slot != 211).map(holding).collect()),
        ];
        for key_count in [300, 6_000] {
            let portfolio = publication(&property(vec![door.clone()], people.clone(), key_count));
            assert_eq!(ask(&portfolio, 5, 1).outcome, granted(212));
            assert_eq!(ask(&portfolio, 5, 2).outcome, granted(8));
            assert_eq!(
                ask(&portfolio, 5, 3).outcome,
                Outcome::Decided(Decision::Denied { reason: Reason::OutsideSchedule })
            );
        }
    }

    // U4
    #[test]
    fn a_schedule_that_is_closed_all_horizon_long_may_open_after_it() {
        let closed = DoorSource { id: DoorId(5), keys: vec![key(0, Opens::Never)], delivers: false, lockdown: None };
        let person = PersonSource {
            id: PersonId(1),
            suspended: false,
            mobile: 1,
            cards: Vec::new(),
            holdings: vec![holding(0)],
        };
        let source = property(vec![closed], vec![person], 1);
        let portfolio = publication(&source);
        let question = Question { door: DoorId(5), shown: Shown::new(ShownKind::Mobile, &1_u64.to_le_bytes()) };
        let until = |now| stands_until(&portfolio, Scope::Portfolio, Moment::from_micros(now), &question, tag);
        assert_eq!(until(0), source.horizon.1);
        assert_eq!(until(-5), source.horizon.0);
        assert_eq!(until(7).as_micros(), 7, "nothing is known past the horizon");
    }

    // U1
    #[test]
    fn ten_thousand_doors_and_fifty_thousand_people_are_right() {
        let doors = (0..10_000).map(|n: u32| DoorSource {
            id: DoorId(n + 1),
            keys: vec![key((n % 1_000) as u16, Opens::Always)],
            delivers: false,
            lockdown: None,
        });
        let people = (0..50_000_u32).map(|n| PersonSource {
            id: PersonId(n + 1),
            suspended: false,
            mobile: u64::from(n) * 0x1_0000_0001,
            cards: Vec::new(),
            holdings: vec![holding((n % 1_000) as u16)],
        });
        let portfolio = publication(&property(doors.collect(), people.collect(), 1_000));
        for n in 0..50_000_u32 {
            let (own, other) = (n % 10_000, (n + 1) % 10_000);
            assert_eq!(ask(&portfolio, own + 1, u64::from(n) * 0x1_0000_0001).outcome, granted(own % 1_000 + 1));
            let verdict = ask(&portfolio, other + 1, u64::from(n) * 0x1_0000_0001);
            assert_eq!(verdict, Verdict { person: PersonId(n + 1), ..Verdict::denied(Reason::NoKey) });
        }
    }
}
