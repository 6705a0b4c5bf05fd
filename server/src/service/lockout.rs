//! Each door's budget for wrong codes (U7).
//!
//! One atomic word a door: how many wrong codes count against it, how many attempts are being judged, since when the
//! oldest wrong one is on its way back, how long that takes, and when the budget last ran out. An attempt is reserved
//! before its code is looked up, so that no number of connections judges more codes than there is room for; a code that
//! turns out right is given back at once and has cost nothing. Nothing here locks or waits, and on the way of a check
//! nothing allocates: words for twice the doors there are were made ahead, and a door without a word takes no code.
//!
//! Words are not written down: the access log has every attempt, and a start works them out from its last days.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use keyward_protocol::{decision::Reason, id::DoorId, time::Moment};

use crate::access_log::{CredentialKind, Outcome, Record, Who};

/// Wrong codes that a door takes before it takes none.
pub const BUDGET: u8 = 10;
/// How long until one more comes back, and after how many doublings it gets no longer.
const BACK_AFTER_SECONDS: i64 = 15 * 60;
const DOUBLINGS_MAX: u8 = 4;
/// Without running out for so long, what was doubled is forgotten.
const CALM_SECONDS: i64 = 24 * 3_600;
/// How far back a start reads the log: as long as a wrong code, or a budget that ran out, can still matter. Each of the
/// doublings may be a day old when the next comes.
pub const REMEMBERED_SECONDS: i64 = (DOUBLINGS_MAX as i64 + 2) * CALM_SECONDS;

/// The budgets of a portfolio's doors.
pub struct Budgets {
    /// Words of doors by number: the first 256, the next 512, and so on.
    words: [OnceLock<Box<[AtomicU64]>>; BUCKETS],
    /// For doors with smaller numbers there are words.
    room: AtomicU64,
    /// The log was read: codes may be judged.
    known: AtomicBool,
    /// How many times a budget ran out.
    ran_out: AtomicU64,
}

const BUCKETS: usize = 25;
const FIRST_BUCKET: u64 = 256;

/// A door whose budget is spent, or was lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Which.
    pub door: DoorId,
    /// Attempts that it takes now.
    pub left: u8,
    /// When it takes one more; `None` where it has all.
    pub more_at: Option<Moment>,
    /// When it last ran out, to ten minutes.
    pub ran_out: Moment,
}

/// The word of a door, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct State {
    /// Wrong codes that count.
    wrong: u8,
    /// Attempts that are being judged.
    judging: u8,
    /// How often the interval was doubled.
    doubled: u8,
    /// The second from which the next wrong code is on its way back.
    since: i64,
    /// When it last ran out, in [`RAN_OUT_UNIT`]s.
    ran_out: i64,
}

/// Times are counted from 2020: 31 bits of seconds, and 22 of ten minutes.
const EPOCH_SECONDS: i64 = 1_577_836_800;
const SINCE_BITS: u32 = 31;
const RAN_OUT_BITS: u32 = 22;

impl State {
    fn of(word: u64) -> State {
        let bits = |from: u32, count: u32| word >> from & ((1 << count) - 1);
        State {
            wrong: bits(0, 4) as u8,
            judging: bits(4, 4) as u8,
            doubled: bits(8, 3) as u8,
            since: bits(11, SINCE_BITS).cast_signed(),
            ran_out: bits(11 + SINCE_BITS, RAN_OUT_BITS).cast_signed(),
        }
    }

    fn word(self) -> u64 {
        let bits = |value: i64, from: u32, count: u32| (value.cast_unsigned() & ((1 << count) - 1)) << from;
        bits(self.wrong.into(), 0, 4)
            | bits(self.judging.into(), 4, 4)
            | bits(self.doubled.into(), 8, 3)
            | bits(self.since, 11, SINCE_BITS)
            | bits(self.ran_out, 11 + SINCE_BITS, RAN_OUT_BITS)
    }

    fn interval(self) -> i64 {
        BACK_AFTER_SECONDS << self.doubled.min(DOUBLINGS_MAX)
    }

    fn left(self) -> u8 {
        BUDGET.saturating_sub(self.wrong.saturating_add(self.judging))
    }

    /// What has come back by `now`.
    fn at(mut self, now: i64) -> State {
        if self.since > now {
            // The clock was set back: what is on its way begins anew, which is at most one interval late.
            self.since = now;
        }
        if self.wrong > 0 {
            let back = (now - self.since) / self.interval();
            self.wrong = self.wrong.saturating_sub(u8::try_from(back).unwrap_or(u8::MAX));
            self.since += back * self.interval();
        }
        if self.doubled > 0 && now - self.ran_out * RAN_OUT_UNIT >= CALM_SECONDS + RAN_OUT_UNIT {
            self.doubled = 0;
        }
        self
    }

    /// An attempt that was wrong.
    fn wrong(mut self, now: i64) -> (State, bool) {
        if self.wrong == 0 {
            self.since = now;
        }
        self.wrong = self.wrong.saturating_add(1).min(BUDGET);
        let out = self.wrong == BUDGET;
        if out {
            self.doubled = (self.doubled + 1).min(DOUBLINGS_MAX);
            self.ran_out = now / RAN_OUT_UNIT;
            // The longer wait begins now.
            self.since = now;
        }
        (self, out)
    }
}

/// When a budget ran out is kept to ten minutes, rounded down; "a day" is never taken for shorter than it is.
const RAN_OUT_UNIT: i64 = 600;

impl Budgets {
    /// Of a portfolio whose doors have numbers up to `doors`; no code is judged until [`Budgets::remember`] is over.
    pub fn new(doors: u32) -> Budgets {
        let budgets = Budgets {
            words: [const { OnceLock::new() }; BUCKETS],
            room: AtomicU64::new(0),
            known: AtomicBool::new(false),
            ran_out: AtomicU64::new(0),
        };
        budgets.make_room(doors);
        budgets
    }

    /// Makes words for twice as many doors, where there are none for these. To be called now and then, before a batch: it
    /// allocates when the number of doors has doubled, and looks at one number else.
    pub fn make_room(&self, doors: u32) {
        if u64::from(doors) < self.room.load(Ordering::Acquire) {
            return;
        }
        let mut room = 0;
        for (bucket, words) in self.words.iter().enumerate() {
            let words = words.get_or_init(|| (0..FIRST_BUCKET << bucket).map(|_| AtomicU64::new(0)).collect());
            room += words.len() as u64;
            if room > u64::from(doors) * 2 {
                break;
            }
        }
        self.room.fetch_max(room, Ordering::AcqRel);
    }

    fn word(&self, door: DoorId) -> Option<&AtomicU64> {
        let place = u64::from(door.0) + FIRST_BUCKET;
        let bucket = place.ilog2() - FIRST_BUCKET.ilog2();
        self.words.get(bucket as usize)?.get()?.get((place - (FIRST_BUCKET << bucket)) as usize)
    }

    /// Whether codes may be judged: the log was read.
    pub fn are_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// The log was read.
    pub fn remembered(&self) {
        self.known.store(true, Ordering::Release);
    }

    /// An attempt of the log's last days, in its order.
    pub fn remember(&self, record: &Record) {
        let Some(door) = record.door_of_log().filter(|_| was_wrong(record)) else { return };
        let Some(word) = self.word(door) else { return };
        let now = seconds(record.time);
        self.change(word, |state| Some(state.at(now).wrong(now).0));
    }

    /// Takes room for an attempt at a door, to be settled; false where there is none.
    pub fn reserve(&self, door: DoorId, now: Moment) -> bool {
        let now = seconds(now);
        let Some(word) = self.word(door) else { return false };
        let mut reserved = false;
        self.change(word, |before| {
            let state = before.at(now);
            reserved = state.left() > 0;
            match reserved {
                true => Some(State { judging: state.judging + 1, ..state }),
                // Noted, or what is on its way would never come.
                false => (before.since > now).then_some(state),
            }
        });
        reserved
    }

    /// What became of an attempt that room was taken for.
    pub fn settle(&self, door: DoorId, now: Moment, wrong: bool) {
        let now = seconds(now);
        let Some(word) = self.word(door) else { return };
        let mut ran_out = false;
        self.change(word, |state| {
            let state = State { judging: state.judging.saturating_sub(1), ..state };
            let (after, out) = if wrong { state.at(now).wrong(now) } else { (state, false) };
            ran_out = out;
            Some(after)
        });
        if ran_out {
            self.ran_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a door takes no codes at a moment, and when it takes one again.
    pub fn spent(&self, door: DoorId, at: Moment) -> Option<Moment> {
        let state = State::of(self.word(door)?.load(Ordering::Acquire)).at(seconds(at));
        (state.left() == 0).then(|| moment(state.since + state.interval()))
    }

    /// How many times a budget ran out since the start.
    pub fn times_ran_out(&self) -> u64 {
        self.ran_out.load(Ordering::Relaxed)
    }

    /// The doors whose budget ran out within the last day, by number.
    pub fn alerts(&self, now: Moment) -> Vec<Alert> {
        let seconds = seconds(now);
        let mut alerts = Vec::new();
        let words = self.words.iter().enumerate().filter_map(|(bucket, words)| Some((bucket, words.get()?)));
        for (bucket, words) in words {
            for (place, word) in (FIRST_BUCKET << bucket..).zip(words) {
                let state = State::of(word.load(Ordering::Acquire)).at(seconds);
                if state.doubled > 0 {
                    alerts.push(Alert {
                        door: DoorId(u32::try_from(place - FIRST_BUCKET).unwrap_or_default()),
                        left: state.left(),
                        more_at: (state.wrong > 0).then(|| moment(state.since + state.interval())),
                        ran_out: moment(state.ran_out * RAN_OUT_UNIT),
                    });
                }
            }
        }
        alerts
    }

    fn change(&self, word: &AtomicU64, mut change: impl FnMut(State) -> Option<State>) {
        // What changes nothing is an answer too.
        _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| change(State::of(word)).map(State::word));
    }
}

/// Whether an attempt was a wrong code. A deleted code tried during a lockdown is recorded like a live one, and does not
/// count after a restart.
fn was_wrong(record: &Record) -> bool {
    let wrong = match record.outcome {
        Outcome::Denied(Reason::UnknownCredential | Reason::DeletedCode) => true,
        Outcome::Denied(Reason::Lockdown) => record.who == Who::Nobody,
        _ => false,
    };
    wrong && record.kind == CredentialKind::Code
}

fn seconds(moment: Moment) -> i64 {
    (moment.as_micros().div_euclid(1_000_000) - EPOCH_SECONDS).clamp(0, (1 << SINCE_BITS) - 1)
}

fn moment(seconds: i64) -> Moment {
    Moment::from_micros((seconds + EPOCH_SECONDS) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use keyward_protocol::id::{KeyId, LockId, PersonId};

    use super::*;

    const DOOR: DoorId = DoorId(7);

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(1_795_000_000_000_000).plus_seconds(seconds)
    }

    fn budgets() -> Budgets {
        let budgets = Budgets::new(10);
        budgets.remembered();
        budgets
    }

    fn wrong(budgets: &Budgets, seconds: i64) -> bool {
        let reserved = budgets.reserve(DOOR, at(seconds));
        if reserved {
            budgets.settle(DOOR, at(seconds), true);
        }
        reserved
    }

    // U7
    #[test]
    fn ten_wrong_codes_then_one_more_after_longer_and_longer_waits() {
        let budgets = budgets();
        assert_eq!((0..50).filter(|_| wrong(&budgets, 0)).count(), 10);
        assert!(budgets.spent(DOOR, at(0)).is_some() && budgets.spent(DoorId(8), at(0)).is_none());
        let mut now = 0;
        for wait in [30, 60, 120, 240, 240, 240] {
            assert!(!wrong(&budgets, now + wait * 60 - 1), "not before {wait} minutes");
            assert_eq!(budgets.spent(DOOR, at(now)), Some(at(now + wait * 60)));
            now += wait * 60;
            assert!(wrong(&budgets, now), "after {wait} minutes");
            assert!(!wrong(&budgets, now));
        }
        // A day without running out: 15 minutes again, and by then six have come back at four hours each.
        let calm = now + 24 * 3_600 + 600;
        assert_eq!((0..50).filter(|_| wrong(&budgets, calm)).count(), 6);
        assert_eq!(budgets.times_ran_out(), 8);
        assert!(!wrong(&budgets, calm + 1_799) && wrong(&budgets, calm + 1_800));
    }

    // U7
    #[test]
    fn whoever_tries_all_day_has_fewer_than_forty_codes_judged() {
        let budgets = budgets();
        let tries = (0..86_400).filter(|second| wrong(&budgets, *second)).count();
        assert!((17..=18).contains(&tries), "{tries}");
    }

    // U7
    #[test]
    fn right_codes_cost_nothing_and_a_spent_budget_takes_none() {
        let budgets = budgets();
        for second in 0..1_000 {
            assert!(budgets.reserve(DOOR, at(second)));
            budgets.settle(DOOR, at(second), false);
        }
        assert!(budgets.alerts(at(1_000)).is_empty());
        (0..10).for_each(|_| assert!(wrong(&budgets, 1_000)));
        assert!(!budgets.reserve(DOOR, at(1_001)));
        let alerts = budgets.alerts(at(1_001));
        assert_eq!((alerts.len(), alerts[0].door, alerts[0].left), (1, DOOR, 0));
        assert_eq!(alerts[0].more_at, Some(at(1_000 + 1_800)));
        assert!(budgets.alerts(at(1_000 + 25 * 3_600)).is_empty());
    }

    // U7
    #[test]
    fn what_the_log_says_is_what_it_was() {
        let (lived, remembered) = (budgets(), budgets());
        let mut random = 1_u64;
        let mut second = 0;
        for _ in 0..5_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            second += (random >> 40) as i64 % 400;
            if lived.reserve(DOOR, at(second)) {
                let is_wrong = random >> 35 & 3 != 0;
                lived.settle(DOOR, at(second), is_wrong);
                let outcome = match (is_wrong, random >> 33 & 3) {
                    (false, _) => Outcome::Granted,
                    (true, 0) => Outcome::Denied(Reason::DeletedCode),
                    (true, 1) => Outcome::Denied(Reason::Lockdown),
                    (true, _) => Outcome::Denied(Reason::UnknownCredential),
                };
                let who = if outcome == Outcome::Denied(Reason::DeletedCode) {
                    Who::Person(PersonId(1))
                } else {
                    Who::Nobody
                };
                let (key, lock, kind) = (KeyId::NONE, LockId::NONE, CredentialKind::Code);
                let record = Record { time: at(second), revision: 1, door: DOOR, who, key, lock, kind, outcome };
                remembered.remember(&record);
                // Other credentials never touch it.
                remembered.remember(&Record { kind: CredentialKind::Mobile, ..record });
                remembered.remember(&Record { outcome: Outcome::Denied(Reason::TooManyWrongCodes), ..record });
            }
            assert_eq!(lived.spent(DOOR, at(second)), remembered.spent(DOOR, at(second)));
        }
        assert_eq!(lived.alerts(at(second)), remembered.alerts(at(second)));
        assert!(lived.times_ran_out() > 30, "{}", lived.times_ran_out());
    }

    // U7
    #[test]
    fn many_at_once_have_no_more_judged_than_there_is_room_for() {
        let (budgets, judged) = (budgets(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        if wrong(&budgets, 5) {
                            judged.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(judged.into_inner(), u32::from(BUDGET));
        assert_eq!(budgets.times_ran_out(), 1);
    }

    // U7, S5
    #[test]
    fn a_clock_that_is_set_gives_little_and_locks_nobody_out_for_long() {
        let budgets = budgets();
        (0..10).for_each(|_| assert!(wrong(&budgets, 100_000)));
        assert!(!wrong(&budgets, 0), "two hours or a day back give nothing");
        assert!(wrong(&budgets, 1_800), "and cost one interval");
    }

    #[test]
    fn every_door_has_a_word_of_its_own_and_words_come_back() {
        let budgets = Budgets::new(1);
        assert!(budgets.word(DoorId(u32::MAX)).is_none(), "nothing is made for a number that somebody sends");
        budgets.make_room(5_000_000);
        for door in [0, 1, 255, 256, 511, 767, 768, 100_000, 5_000_000] {
            let word = budgets.word(DoorId(door)).unwrap();
            assert_eq!(word.fetch_add(1, Ordering::Relaxed), 0, "door {door}");
        }
        assert!(Budgets::new(1_000).word(DoorId(2_000)).is_some(), "there is room for twice as many");
        let state = State { wrong: 10, judging: 9, doubled: 4, since: (1 << 31) - 1, ran_out: (1 << 22) - 1 };
        assert_eq!(State::of(state.word()), state);
    }
}
