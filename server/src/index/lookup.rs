//! Judges checks, many at a time. No lock, no allocation, no wait: reads of a finished publication alone.
//!
//! Judging one check follows a chain of reads, each of which is likely to miss the caches; judging many one after
//! the other would wait for every one of them. So a group takes each step of the chain together: a pass asks for every
//! line that the next pass needs, and the processor fetches them side by side.

use keyward_protocol::{
    code::{Card, Credential, Digits},
    decision::{Decision, Reason},
    id::{CarrierId, DoorId, KeyId, PersonId, PropertyId},
    limits::CARD_BYTES_MAX,
    time::Moment,
};

use super::{
    archive::{
        ABSENT, ALWAYS, ArchivedDoorLine, ArchivedPersonLine, ArchivedScheduleLine, AtDoorLine, COLD,
        CONSTANT_SCHEDULES, CardNumber, DELIVERS, Detail, EVER, INLINE_HOLDINGS, KEYS_DENSE, NEVER, NO_CODE, NO_DOOR,
        NOBODY, NOWHERE, OCCUPIED, OPEN_AT_START, SCHEDULES_MAX, SPILLED, SUSPENDED, View, hash_card, hash_mobile,
        native, prefetch_displacement, prefetch_home,
    },
    codes::{FoundCode, Tag, find_live, prefetch_code},
    prefetch::{prefetch, prefetch_line},
    publish::{Holder, NO_PROPERTY, PortfolioPublication, PropertyView},
};
use rkyv::rend::unaligned::u16_ule;

/// Checks that are judged together.
const GROUP: usize = 32;

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
    fn mobile(&self) -> Option<u64> {
        let [b0, b1, b2, b3, b4, b5, b6, b7, _, _] = self.bytes;
        (self.length == 8).then_some(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]))
    }

    #[inline(always)]
    fn card(&self) -> Option<CardNumber> {
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

    fn granted(key: KeyId) -> Verdict {
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
    for (questions, out) in questions.chunks(GROUP).zip(out.chunks_mut(GROUP)) {
        check_group(portfolio, scope, now.as_micros(), questions, &tagger, out);
    }
}

/// What is known of a check between the passes. Where there is no property, door or person, an empty one stands in:
/// nothing need ask at every step.
#[derive(Clone, Copy)]
struct Step<'a> {
    question: &'a Question,
    property: &'a PropertyView<'a>,
    door: &'a ArchivedDoorLine,
    /// Whoever showed it, where they hold something in the property.
    person: &'a ArchivedPersonLine,
    schedule: &'a ArchivedScheduleLine,
    /// Of a mobile identity or a card.
    hash: u64,
    tag: Tag,
    /// The door's.
    row: u32,
    /// Where the next read of the chain goes.
    at: u32,
    first: First,
    /// Where in the group.
    number: u8,
}

/// The first Key held that has the door.
#[derive(Clone, Copy)]
struct First {
    slot: u16,
    /// Which of the person's, counted from 0; past the last where there is none.
    place: u16,
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

impl Step<'_> {
    const START: Step<'static> = Step {
        question: &Question { door: DoorId::NONE, shown: Shown { kind: ShownKind::Mobile, length: 0, bytes: [0; 10] } },
        property: &NO_PROPERTY,
        door: &NO_DOOR,
        person: &NOBODY,
        schedule: &CONSTANT_SCHEDULES[NEVER as usize],
        hash: 0,
        tag: [0; 16],
        row: 0,
        at: NOWHERE,
        first: First { slot: 0, place: u16::MAX },
        number: 0,
    };
}

/// One short pass for each read of the chain: none waits for what it reads itself, and the reads of a pass are
/// fetched side by side. Checks are sorted by kind first, so that the processor guesses the branches right.
fn check_group(
    portfolio: &PortfolioPublication,
    scope: Scope<'_>,
    now: i64,
    questions: &[Question],
    tagger: &impl Fn(DoorId, &Digits) -> Tag,
    out: &mut [Verdict],
) {
    questions.iter().for_each(|question| portfolio.prefetch_place(question.door));
    let mut steps = [Step::START; GROUP];
    let (mobiles, cards) = sort(questions, &mut steps);
    let Some(steps) = steps.get_mut(..questions.len()) else { return };
    {
        let (mobiles, rest) = steps.split_at_mut(mobiles.min(questions.len()));
        let (cards, codes) = rest.split_at_mut(cards.min(rest.len()));
        find_people(portfolio, mobiles, cards, codes, tagger);
    }
    steps.iter_mut().for_each(|step| step.find_first(now));
    let mut left = [0_u8; GROUP];
    let mut left_count = 0;
    for (place, step) in (0..).zip(steps.iter()) {
        let (granted, verdict) = step.grants_at_once(scope, now);
        if let Some(left) = left.get_mut(left_count) {
            *left = place;
        }
        left_count += usize::from(!granted);
        // Where it is not granted at once, this is written over.
        if let Some(out) = out.get_mut(usize::from(step.number)) {
            *out = verdict;
        }
    }
    let left = || left.iter().take(left_count).filter_map(|place| steps.get(usize::from(*place)));
    left().for_each(|step| step.prefetch_rest(portfolio));
    for step in left() {
        if let Some(out) = out.get_mut(usize::from(step.number)) {
            *out = step.judge(portfolio, scope, now);
        }
    }
}

/// Fills the steps: mobile identities first, then cards, then codes. Returns how many of the first two.
fn sort<'a>(questions: &'a [Question], steps: &mut [Step<'a>; GROUP]) -> (usize, usize) {
    let count = |kind| questions.iter().filter(|question| question.shown.kind == kind).count();
    let (mobiles, cards) = (count(ShownKind::Mobile), count(ShownKind::Card));
    let mut next = [0, mobiles, mobiles + cards];
    for (number, question) in (0..).zip(questions) {
        let next = &mut next[question.shown.kind as usize];
        if let Some(step) = steps.get_mut(*next) {
            (step.question, step.number) = (question, number);
        }
        *next += 1;
    }
    (mobiles, cards)
}

#[inline(always)]
fn find_people<'a>(
    portfolio: &'a PortfolioPublication,
    mobiles: &mut [Step<'a>],
    cards: &mut [Step<'a>],
    codes: &mut [Step<'a>],
    tagger: &impl Fn(DoorId, &Digits) -> Tag,
) {
    mobiles.iter_mut().for_each(|step| step.find_property(portfolio));
    for step in cards.iter_mut().chain(codes.iter_mut()) {
        step.find_property(portfolio);
        step.property.prefetch_more();
    }
    codes.iter_mut().for_each(|step| step.make_tag(tagger));
    mobiles.iter_mut().for_each(Step::hash_mobile);
    cards.iter_mut().for_each(Step::hash_card);
    codes.iter_mut().for_each(Step::prefetch_code);
    mobiles.iter_mut().for_each(Step::find_mobile);
    cards.iter_mut().for_each(Step::find_card);
    codes.iter_mut().for_each(Step::find_code);
    mobiles.iter_mut().for_each(Step::meet_mobile);
    cards.iter_mut().for_each(Step::meet);
    codes.iter_mut().for_each(Step::meet);
}

impl<'a> Step<'a> {
    #[inline(always)]
    fn find_property(&mut self, portfolio: &'a PortfolioPublication) {
        let place = portfolio.place(self.question.door);
        self.row = place.row;
        self.property = portfolio.at(place);
        self.property.prefetch();
    }

    #[inline(always)]
    fn make_tag(&mut self, tagger: &impl Fn(DoorId, &Digits) -> Tag) {
        let Shown { length, bytes, .. } = self.question.shown;
        if let Some(digits) = Digits::from_padded(bytes, length) {
            self.tag = tagger(self.question.door, &digits);
        }
    }

    #[inline(always)]
    fn prefetch_door(&self) {
        let view = &self.property.view;
        prefetch(view.doors, self.row as usize);
        // Nearly always all there are.
        let at = view.at_door(self.row);
        prefetch(view.at_doors, at);
        prefetch(view.at_doors, at + size_of::<AtDoorLine>());
    }

    #[inline(always)]
    fn hash_mobile(&mut self) {
        let view = &self.property.view;
        self.prefetch_door();
        self.hash = hash_mobile(view.hash_key, self.question.shown.mobile().unwrap_or_default());
        prefetch_displacement(self.hash, view.people_displacements);
    }

    #[inline(always)]
    fn hash_card(&mut self) {
        let view = &self.property.view;
        self.prefetch_door();
        self.hash = hash_card(view.hash_key, self.question.shown.card().unwrap_or(CardNumber::NONE));
        prefetch_home(self.hash, view.cards);
    }

    #[inline(always)]
    fn prefetch_code(&mut self) {
        self.prefetch_door();
        prefetch_code(self.property.view.codes, &self.tag);
    }

    #[inline(always)]
    fn find_mobile(&mut self) {
        let place = self.property.view.person_place(self.hash);
        self.prefetch_person(place as u32);
    }

    #[inline(always)]
    fn find_card(&mut self) {
        let card = self.question.shown.card().unwrap_or(CardNumber::NONE);
        self.prefetch_person(self.property.view.find_card(self.hash, card));
    }

    #[inline(always)]
    fn find_code(&mut self) {
        // One less than 0 is nobody's place, as is one less than any other that is none.
        self.prefetch_person(find_live(self.property.view.codes, &self.tag).wrapping_sub(1));
    }

    #[inline(always)]
    fn prefetch_person(&mut self, place: u32) {
        self.at = place;
        prefetch(self.property.view.people, place as usize);
    }

    #[inline(always)]
    fn meet(&mut self) {
        let view = &self.property.view;
        self.door = view.doors.get(self.row as usize).unwrap_or(&NO_DOOR);
        self.person = view.people.get(self.at as usize).unwrap_or(&NOBODY);
    }

    #[inline(always)]
    fn meet_mobile(&mut self) {
        self.meet();
        if self.question.shown.mobile() != Some(self.person.mobile.to_native()) {
            self.person = &NOBODY;
        }
    }

    /// Finds the first Key held that has the door, and the line of its schedule there.
    #[inline(always)]
    fn find_first(&mut self, now: i64) {
        let (view, person) = (&self.property.view, self.person);
        let at_door = view.at_door(self.row);
        let (slots, rest) = person.slots.split_at(INLINE_HOLDINGS / 2);
        let mut pairs = view.pairs(at_door, slots);
        // Most people hold few Keys.
        if usize::from(person.count) > INLINE_HOLDINGS / 2 {
            pairs |= view.pairs(at_door, rest) << (4 * INLINE_HOLDINGS);
        }
        let held = u64::MAX.checked_shr(64_u32.saturating_sub(8 * u32::from(person.count))).unwrap_or_default();
        let first = (pairs & held).trailing_zeros() / 8;
        let Some(slot) = person.slots.get(first as usize) else { return };
        self.first = First { slot: slot.to_native(), place: first as u16 };
        // Where the Key has no code for the door, the line is of no schedule and grants nothing.
        let opens = self.door.pair((pairs >> (8 * first)) as u8, self.question.shown.kind == ShownKind::Code);
        self.schedule = schedule_line(view, opens, second(view, now));
        prefetch_line(self.schedule);
        if person.detailed.to_native() != 0 {
            prefetch(view.keys, usize::from(self.first.slot));
        }
    }

    #[inline(always)]
    fn at_door(&self) -> AtDoor<'a> {
        let code = self.question.shown.kind == ShownKind::Code;
        AtDoor { view: &self.property.view, door: self.door, row: self.row, code }
    }

    /// Grants where the first Key opens the door and nothing else need be asked, as most checks go: no share, no
    /// suspension, no lockdown, and within its period. Bits, not branches: whether a check is granted can't be guessed.
    #[inline(always)]
    fn grants_at_once(&self, scope: Scope<'_>, now: i64) -> (bool, Verdict) {
        let (view, door, person) = (&self.property.view, self.door, self.person);
        let grants = (person.flags == OCCUPIED)
            & (door.lockdown.to_native() == 0)
            & (door.id.to_native() == self.question.door.0)
            & scope.has(self.question.door, view.property)
            & is_open(view, self.schedule, now);
        let place = usize::from(self.first.place);
        let (held, key) = match person.detailed.to_native() {
            0 => (true, person.extra.get(place).map(|key| key.to_native())),
            _ => (self.first_is_held(now), None),
        };
        let key = key.or_else(|| view.keys.get(usize::from(self.first.slot)).map(|key| key.to_native()));
        let verdict =
            Verdict { person: PersonId(person.id.to_native()), ..Verdict::granted(KeyId(key.unwrap_or_default())) };
        (grants & held & (place < INLINE_HOLDINGS), verdict)
    }

    /// Whether the first Key is surely held at this moment, and not as a share.
    fn first_is_held(&self, now: i64) -> bool {
        let detailed = u32::from(self.person.detailed.to_native());
        let place = u32::from(self.first.place);
        let plain = detailed.wrapping_shr(place) & 1 == 0;
        let detail = self.person.first_detail();
        let own = (detail.host | detail.doors == 0) & (detail.from <= now) & (now < detail.until);
        plain | ((detailed.trailing_zeros() == place) & own)
    }

    /// Asks for what the long way of judging reads first.
    #[inline(always)]
    fn prefetch_rest(&self, portfolio: &PortfolioPublication) {
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
        if self.door.form != KEYS_DENSE {
            prefetch(view.sorted, self.door.at.to_native() as usize);
        }
    }

    #[inline(always)]
    fn judge(&self, portfolio: &PortfolioPublication, scope: Scope<'_>, now: i64) -> Verdict {
        let (at, door) = (self.at_door(), self.question.door);
        if door == DoorId::NONE || at.door.id.to_native() != door.0 || !scope.has(door, at.view.property) {
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
        door: &ArchivedDoorLine,
        now: i64,
    ) -> Verdict {
        let shown = &self.question.shown;
        let locked = door.lockdown.to_native() != 0;
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
                let delivers = view.deliveries != 0 && door.flags & DELIVERS != 0 && !locked;
                let verdict =
                    if delivers { Verdict::granted(KeyId(view.deliveries)) } else { deny(Reason::NoKey, None) };
                Verdict { carrier, ..verdict }
            }
        }
    }
}

impl Scope<'_> {
    #[inline(always)]
    fn has(&self, door: DoorId, property: PropertyId) -> bool {
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
    door: &'a ArchivedDoorLine,
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
        let excepted = match self.door.lockdown.to_native() {
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
        let detailed = person.detailed.to_native();
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
        let opens = if self.door.form == KEYS_DENSE {
            let pair = self.view.pair(self.view.at_door(self.row), slot);
            pair.map_or(ABSENT, |pair| self.door.pair(pair, self.code))
        } else {
            let at = self.door.at.to_native() as usize;
            let keys = self.view.sorted.get(at..at + usize::from(self.door.count.to_native()))?;
            let entry = keys.get(keys.binary_search_by_key(&slot, |key| key.slot.to_native()).ok()?)?;
            if self.code { entry.code.to_native() } else { entry.any.to_native() }
        };
        has_door(opens).then_some(opens)
    }
}

/// Whether that is when a Key opens a door, and not that it does not have it.
#[inline(always)]
fn has_door(opens: u16) -> bool {
    usize::from(opens) < SCHEDULES_MAX
}

const _: () = assert!(ABSENT as usize >= SCHEDULES_MAX && NO_CODE as usize >= SCHEDULES_MAX);

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
    let second = second(view, now);
    // Each change that has passed turns it, and the head, which stands for no second, turns it back.
    let turned = line.words.iter().fold(head <= second, |turned, change| turned ^ (change.to_native() <= second));
    let tells = in_horizon(view, now) | (head & EVER != 0);
    (turned ^ (head & OPEN_AT_START != 0)) & tells
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

/// Whole seconds since the base; below `u32::MAX` wherever schedules are kept in seconds.
#[inline(always)]
fn second(view: &View<'_>, now: i64) -> u32 {
    let seconds = now.wrapping_sub(view.base) as u64 / 1_000_000;
    u32::try_from(seconds).unwrap_or(u32::MAX).min(u32::MAX - 1)
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
    let mut step = Step { question, ..Step::START };
    let steps = std::slice::from_mut(&mut step);
    match question.shown.kind {
        ShownKind::Mobile => find_people(portfolio, steps, &mut [], &mut [], &tagger),
        ShownKind::Card => find_people(portfolio, &mut [], steps, &mut [], &tagger),
        ShownKind::Code => find_people(portfolio, &mut [], &mut [], steps, &tagger),
    }
    let at = step.at_door();
    if at.door.id.to_native() == 0 || !scope.has(question.door, at.view.property) {
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
    let next = changes.filter(|change| *change != u32::MAX).find(|change| *change > second);
    Some(next.map_or(i64::MAX, |change| view.base + i64::from(change) * 1_000_000))
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

    fn holding(slot: u16) -> Holding {
        Holding { slot, from: Moment::MIN, until: Moment::MAX, host: PersonId::NONE, doors: None }
    }

    fn publication(source: &PropertySource) -> PortfolioPublication {
        let mut portfolio = PortfolioPublication::default();
        portfolio.put_property(Arc::new(Loaded::new(compile(source, (3, 4)).unwrap()).unwrap()));
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
