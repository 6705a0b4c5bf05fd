//! The short way of judging, as most checks go: many at a time, a pass for each read.
//!
//! Judging one check follows a chain of reads, each of which is likely to miss the caches; judging many one after
//! the other would wait for every one of them. So a group takes each step of the chain together: a pass asks for every
//! line that the next pass needs, and the processor fetches them side by side. Passes say with bits, not with branches,
//! what can't be guessed: whom a credential belongs to, which Key has the door, whether it opens.

use std::hint::select_unpredictable;

use keyward_protocol::{
    code::Digits,
    decision::Reason,
    id::{DoorId, KeyId, PersonId},
};
use rkyv::rend::unaligned::{u16_ule, u32_ule};

use super::{
    archive::{
        ALWAYS, ArchivedPersonLine, ArchivedScheduleLine, COLD, CONSTANT_SCHEDULES, CardNumber, Door, INLINE_HOLDINGS,
        NEVER, NO_CHANGE, NOBODY, OCCUPIED, OWN_SCHEDULES, SORTED, hash_card, hash_mobile, prefetch_home,
    },
    codes::{Tag, find_live, prefetch_code},
    lookup::{Question, Scope, Shown, ShownKind, Verdict, has_door},
    prefetch::prefetch_line,
    publish::{NO_PROPERTY, PortfolioPublication, PropertyView},
};

/// Checks that are sorted together, by what is shown: then the processor guesses branches and loops right.
const BATCH: usize = 1 << u8::BITS;
/// Checks that take each step together: more of them push what they ask for out of the caches, fewer wait longer.
const GROUP: usize = 32;

/// What is known of a check between the passes. Where there is no property, door or person, an empty one stands in:
/// nothing need ask at every step.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub question: &'a Question,
    pub property: &'a PropertyView<'a>,
    pub door: Door<'a>,
    /// Whoever showed it, where they hold something in the property.
    pub person: &'a ArchivedPersonLine,
    /// Of the first Key held that has the door.
    schedule: &'a ArchivedScheduleLine,
    key: &'a u32_ule,
    /// Of a mobile identity or a card.
    hash: u64,
    /// What leads a mobile identity to its place.
    displacement: &'a u16_ule,
    /// Of a code.
    pub tag: Tag,
    /// The door's.
    pub row: u32,
    /// Of the slots that the person holds, each one's pair at the door, a byte each.
    pairs: u64,
    second: u32,
    /// Granted where the schedule is open.
    grants_when_open: bool,
    /// Its second is one of those that schedules' lines tell of.
    is_told: bool,
}

impl Step<'_> {
    const START: Step<'static> = Step {
        question: &Question { door: DoorId::NONE, shown: Shown { kind: ShownKind::Mobile, length: 0, bytes: [0; 10] } },
        property: &NO_PROPERTY,
        door: Door::NONE,
        person: &NOBODY,
        schedule: &CONSTANT_SCHEDULES[NEVER as usize],
        key: &u32_ule::from_native(0),
        hash: 0,
        displacement: &u16_ule::from_native(0),
        tag: [0; 16],
        row: 0,
        pairs: 0,
        second: 0,
        grants_when_open: false,
        is_told: false,
    };
}

/// Judges every question; `long` judges those that are not granted the short way.
#[inline(always)]
pub(super) fn judge<'a>(
    portfolio: &'a PortfolioPublication,
    scope: Scope<'_>,
    now: i64,
    questions: &'a [Question],
    tagger: &impl Fn(DoorId, &Digits) -> Tag,
    long: impl Fn(&Step<'a>) -> Verdict,
    out: &mut [Verdict],
) {
    let now = Now { micros: now, second: now.div_euclid(1_000_000) };
    let mut steps = [Step::START; GROUP];
    for (questions, out) in questions.chunks(BATCH).zip(out.chunks_mut(BATCH)) {
        let (mut mobiles, mut cards) = (0, 0);
        for question in questions {
            portfolio.prefetch_place(question.door);
            mobiles += usize::from(question.shown.kind == ShownKind::Mobile);
            cards += usize::from(question.shown.kind == ShownKind::Card);
        }
        let (cards_from, codes_from) = (mobiles, mobiles + cards);
        let mut order = [0; BATCH];
        sort(questions, cards_from, codes_from, &mut order);
        let Some(order) = order.get(..questions.len()) else { return };
        for (from, order) in (0..).step_by(GROUP).zip(order.chunks(GROUP)) {
            let Some(steps) = steps.get_mut(..order.len()) else { return };
            for (step, number) in steps.iter_mut().zip(order) {
                let Some(question) = questions.get(usize::from(*number)) else { return };
                step.find_property(portfolio, question);
            }
            let codes_at = codes_from.saturating_sub(from).min(order.len());
            let (rest, codes) = steps.split_at_mut(codes_at);
            let (mobiles, cards) = rest.split_at_mut(cards_from.saturating_sub(from).min(codes_at));
            find_people(mobiles, cards, codes, tagger);
            mobiles.iter_mut().for_each(|step| step.find_first(ShownKind::Mobile, now));
            cards.iter_mut().for_each(|step| step.find_first(ShownKind::Card, now));
            codes.iter_mut().for_each(|step| step.find_first(ShownKind::Code, now));
            answer(portfolio, scope, steps, order, &long, out);
        }
    }
}

/// The moment of the checks.
#[derive(Clone, Copy)]
struct Now {
    micros: i64,
    /// Whole seconds since 1970.
    second: i64,
}

/// Finishes a group.
#[inline(always)]
fn answer<'a>(
    portfolio: &PortfolioPublication,
    scope: Scope<'_>,
    steps: &[Step<'a>],
    order: &[u8],
    long: &impl Fn(&Step<'a>) -> Verdict,
    out: &mut [Verdict],
) {
    let mut left = [0_u8; GROUP];
    let mut left_count = 0;
    for (at, (step, number)) in (0..).zip(steps.iter().zip(order)) {
        let (granted, verdict) = step.grants_at_once(scope);
        // One that is not granted at once stays, and its answer is written over.
        if let Some(left) = left.get_mut(left_count) {
            *left = at;
        }
        left_count += usize::from(!granted);
        if let Some(out) = out.get_mut(usize::from(*number)) {
            *out = verdict;
        }
    }
    let left = left.get(..left_count).unwrap_or_default();
    for step in left.iter().filter_map(|at| steps.get(usize::from(*at))) {
        step.prefetch_rest(portfolio);
    }
    for at in left {
        let (Some(step), Some(number)) = (steps.get(usize::from(*at)), order.get(usize::from(*at))) else { return };
        if let Some(out) = out.get_mut(usize::from(*number)) {
            *out = step.judge_by_hours(scope).unwrap_or_else(|| long(step));
        }
    }
}

/// Writes the questions' numbers into `order`: mobile identities first, then cards, then codes, which begin there.
#[inline(always)]
fn sort(questions: &[Question], cards_from: usize, codes_from: usize, order: &mut [u8; BATCH]) {
    let (mut mobile, mut card, mut code) = (0, cards_from, codes_from);
    for (number, question) in questions.iter().enumerate() {
        let kind = question.shown.kind;
        let (is_mobile, is_card) = (kind == ShownKind::Mobile, kind == ShownKind::Card);
        let other = select_unpredictable(is_card, card, code);
        order[select_unpredictable(is_mobile, mobile, other) % BATCH] = number as u8;
        mobile += usize::from(is_mobile);
        card += usize::from(is_card);
        code += usize::from(kind == ShownKind::Code);
    }
}

/// Finds the places of who showed what, and asks for their lines and the door's.
#[inline(always)]
fn find_people<'a>(
    mobiles: &mut [Step<'a>],
    cards: &mut [Step<'a>],
    codes: &mut [Step<'a>],
    tagger: &impl Fn(DoorId, &Digits) -> Tag,
) {
    cards.iter().chain(codes.iter()).for_each(|step| step.property.prefetch_more());
    codes.iter_mut().for_each(|step| step.make_tag(tagger));
    mobiles.iter_mut().for_each(Step::hash_mobile);
    cards.iter_mut().for_each(Step::hash_card);
    codes.iter_mut().for_each(Step::prefetch_code);
    mobiles.iter_mut().for_each(Step::find_mobile);
    cards.iter_mut().for_each(Step::find_card);
    codes.iter_mut().for_each(Step::find_code);
}

impl<'a> Step<'a> {
    /// Of one question: where it is asked and who showed it.
    pub fn of(
        portfolio: &'a PortfolioPublication,
        question: &'a Question,
        tagger: &impl Fn(DoorId, &Digits) -> Tag,
    ) -> Step<'a> {
        let mut step = Step::START;
        step.find_property(portfolio, question);
        let (kind, steps) = (question.shown.kind, std::slice::from_mut(&mut step));
        match kind {
            ShownKind::Mobile => find_people(steps, &mut [], &mut [], tagger),
            ShownKind::Card => find_people(&mut [], steps, &mut [], tagger),
            ShownKind::Code => find_people(&mut [], &mut [], steps, tagger),
        }
        step.meet(kind);
        step
    }

    #[inline(always)]
    fn find_property(&mut self, portfolio: &'a PortfolioPublication, question: &'a Question) {
        let place = portfolio.place(question.door);
        self.question = question;
        self.row = place.row;
        self.property = portfolio.at(place);
        self.property.prefetch();
    }

    #[inline(always)]
    fn make_tag(&mut self, tagger: &impl Fn(DoorId, &Digits) -> Tag) {
        let Shown { length, bytes, .. } = self.question.shown;
        let digits = Digits::from_padded(bytes, length);
        self.tag = digits.map_or([0; 16], |digits| tagger(self.question.door, &digits));
    }

    #[inline(always)]
    fn find_door(&mut self) {
        self.door = self.property.view.door(self.row);
        self.door.prefetch();
    }

    #[inline(always)]
    fn hash_mobile(&mut self) {
        self.find_door();
        let view = &self.property.view;
        self.hash = hash_mobile(view.hash_key, self.question.shown.mobile().unwrap_or_default());
        self.displacement = view.displacement(self.hash);
        prefetch_line(self.displacement);
    }

    #[inline(always)]
    fn hash_card(&mut self) {
        self.find_door();
        let view = &self.property.view;
        self.hash = hash_card(view.hash_key, self.question.shown.card().unwrap_or(CardNumber::NONE));
        prefetch_home(self.hash, view.cards);
    }

    #[inline(always)]
    fn prefetch_code(&mut self) {
        self.find_door();
        prefetch_code(self.property.view.codes, &self.tag);
    }

    #[inline(always)]
    fn find_mobile(&mut self) {
        let place = self.property.view.person_place(self.hash, self.displacement);
        self.set_person(place as u32);
    }

    #[inline(always)]
    fn find_card(&mut self) {
        let card = self.question.shown.card().unwrap_or(CardNumber::NONE);
        self.set_person(self.property.view.find_card(self.hash, card));
    }

    #[inline(always)]
    fn find_code(&mut self) {
        // One less than 0 is nobody's place, as is one less than any other that is none.
        self.set_person(find_live(self.property.view.codes, &self.tag).wrapping_sub(1));
    }

    #[inline(always)]
    fn set_person(&mut self, place: u32) {
        self.person = self.property.view.people.get(place as usize).unwrap_or(&NOBODY);
        prefetch_line(self.person);
    }

    /// Sees whether the person is whoever showed it.
    #[inline(always)]
    fn meet(&mut self, kind: ShownKind) {
        // A card or a code was compared where it stands.
        if kind == ShownKind::Mobile {
            let theirs = self.question.shown.mobile() == Some(self.person.mobile.to_native());
            self.person = select_unpredictable(theirs, self.person, &NOBODY);
        }
    }

    /// Meets the person, and finds the first Key held that has the door, and the line of its schedule
    /// there. What else a grant needs is told here: no share, no suspension, no lockdown, within its period.
    #[inline(always)]
    fn find_first(&mut self, kind: ShownKind, now: Now) {
        self.meet(kind);
        let (view, person, door) = (&self.property.view, self.person, self.door);
        let [s0, s1, s2, s3, s4, s5, s6, s7] = person.slots;
        let mut pairs = door.pairs_of(&[s0, s1, s2, s3]);
        // Most people hold few Keys.
        if usize::from(person.count) > INLINE_HOLDINGS / 2 {
            pairs |= door.pairs_of(&[s4, s5, s6, s7]) << (4 * INLINE_HOLDINGS);
        }
        self.pairs = pairs;
        // Where no Key held has the door, this is the last slot and the pair that is none.
        let bit = (pairs | 1 << 63).trailing_zeros() & !7;
        let place = (bit / 8) as usize % INLINE_HOLDINGS;
        // Where the Key has no code for the door, this is no schedule.
        let opens = view.pairs_at(door).opens((pairs >> bit) as u8, kind == ShownKind::Code);
        let since = now.second.wrapping_sub(view.base) as u64;
        self.second = since.min(u64::from(NO_CHANGE) - 1) as u32;
        self.schedule = self.schedule_of(opens);
        prefetch_line(self.schedule);
        let slot = usize::from(person.slots[place].to_native());
        let listed = person.detailed == 0 && place < person.extra.len();
        let keys = select_unpredictable(listed, &person.extra[..], view.keys);
        self.key = keys.get(select_unpredictable(listed, place, slot)).unwrap_or(const { &u32_ule::from_native(0) });
        prefetch_line(self.key);
        // Of the horizon's first second it may have only a part.
        self.is_told = since.wrapping_sub(1) < u64::from(view.whole_seconds);
        self.grants_when_open = self.is_plain()
            & (self.is_told | (opens == ALWAYS))
            & has_door(opens)
            & person.surely_holds(place, now.micros);
    }

    /// Somebody who is not suspended and holds few enough Keys to stand in their line, at a door without a lockdown.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        (self.person.flags == OCCUPIED) & (self.door.lockdown() == 0) & (self.door.id() == self.question.door)
    }

    /// The line that tells of a schedule now; of what is none, any.
    #[inline(always)]
    fn schedule_of(&self, opens: u16) -> &'a ArchivedScheduleLine {
        let view = &self.property.view;
        let line = usize::from(opens) * usize::from(view.stretches) + (self.second >> view.shift) as usize;
        let own = view.schedules.get(line).unwrap_or(&CONSTANT_SCHEDULES[NEVER as usize]);
        let constant = &CONSTANT_SCHEDULES[usize::from(opens) % CONSTANT_SCHEDULES.len()];
        select_unpredictable(opens < OWN_SCHEDULES, constant, own)
    }

    /// The answer where only the hours of the Keys held can tell it: the next of them that is open at this door grants.
    #[inline(always)]
    fn judge_by_hours(&self, scope: Scope<'_>) -> Option<Verdict> {
        let view = &self.property.view;
        let by_hours = self.is_plain() & self.is_told & (self.person.detailed == 0) & (self.door.flags() & SORTED == 0);
        if !by_hours || !scope.has(self.question.door, view.property) {
            return None;
        }
        let (pairs, code) = (view.pairs_at(self.door), self.question.shown.kind == ShownKind::Code);
        let person = PersonId(self.person.id.to_native());
        let (mut reason, mut left) = (Reason::NoKey, self.pairs);
        while left != 0 {
            let bit = left.trailing_zeros() & !7;
            let opens = pairs.opens((left >> bit) as u8, code);
            left &= !(0xFF << bit);
            if !has_door(opens) {
                continue;
            }
            let schedule = self.schedule_of(opens);
            if schedule.head() & COLD != 0 {
                return None;
            }
            if schedule.is_open_inline(self.second) {
                let slot = self.person.slots.get(bit as usize / 8)?;
                let key = view.keys.get(usize::from(slot.to_native()))?;
                return Some(Verdict { person, ..Verdict::granted(KeyId(key.to_native())) });
            }
            reason = Reason::OutsideSchedule;
        }
        Some(Verdict { person, ..Verdict::denied(reason) })
    }

    #[inline(always)]
    fn grants_at_once(&self, scope: Scope<'_>) -> (bool, Verdict) {
        let grants = self.grants_when_open
            & scope.has(self.question.door, self.property.view.property)
            & self.schedule.is_open_inline(self.second);
        let person = PersonId(self.person.id.to_native());
        (grants, Verdict { person, ..Verdict::granted(KeyId(self.key.to_native())) })
    }
}
