//! The compiled form of a property: an rkyv archive of cache lines, used in place.
//!
//! What a check reads stands in lines of 64 bytes, so that each step costs one memory access:
//!
//! ```text
//! person   mobile id, person, up to 8 Key slots, the first period; more: `spill` and `details`
//! door     a line or a few: its id, then half a byte for each slot
//! pairs    up to 15 pairs (schedule, schedule for codes) that those half bytes tell of; doors share them
//! schedule one line for each schedule and stretch of the horizon: open at its start?, up to 15 changes
//! card     4 cards with the place of their person
//! ```
//!
//! People stand where `place` puts them. A card stands in the line that its hash chooses or, where that is full, in the
//! next one with room. Bytes enter through [`Loaded::new`] alone:
//! structure is checked by bytecheck, then every offset and meaning by `verify`, so that what is read afterwards
//! can be trusted; even so every read on the path is a checked one that falls back to a denial.

use std::{hint::select_unpredictable, mem::offset_of};

use keyward_protocol::{
    code::Card,
    id::{DoorId, PropertyId},
    limits::CARD_BYTES_MAX,
    time::Moment,
};
use rkyv::{
    Archive, Serialize,
    rancor::Error,
    rend::unaligned::{i64_ule, u16_ule, u32_ule, u64_ule},
    util::AlignedVec,
};
use self_cell::self_cell;

use super::{
    codes::CodeLine,
    memory::LineBytes,
    place,
    prefetch::{prefetch, prefetch_line},
};
use crate::sip::sip_round;

/// The version of the layout. Archives of another version are compiled anew.
pub const FORMAT: u32 = 6;

/// Slots that stand in a person's line.
pub(super) const INLINE_HOLDINGS: usize = 8;
/// Pairs of schedules that stand in a line, as many as half a byte can tell. The first stands for no Key.
pub(super) const PAIRS: usize = 16;
/// Bytes of a door before its slots.
pub(super) const DOOR_HEAD: usize = 20;
/// Bytes that are looked at of a door, as many as the largest has: so no slot need be compared with where it ends. What
/// follows a smaller one is the next door's, and no slot is numbered so high.
pub(super) const DOOR_WINDOW: usize = 1_024;
/// With more Keys than these in a property, its doors' Keys are kept sorted: half a byte for each Key at each door
/// would take more room than there is in a cache.
pub(super) const DENSE_KEYS_MAX: usize = 2_000;
/// Bytes after the last door, so that a window of it ends where there is something.
pub(super) const AFTER_DOORS: usize = DOOR_WINDOW - 64;
const _: () = assert!(DOOR_HEAD + DENSE_KEYS_MAX / 2 < DOOR_WINDOW);
/// Changes that stand in a schedule's line.
pub(super) const INLINE_CHANGES: usize = 15;

/// The schedule that opens at no moment. It has lines like any other, so that nothing need ask whether it is meant.
pub(super) const NEVER: u16 = 0;
/// The schedule that opens at every moment, past the horizon too.
pub(super) const ALWAYS: u16 = 1;
/// The property's own schedules are numbered from here.
pub(super) const OWN_SCHEDULES: u16 = 2;
/// In a code's place: no entry of the Key for this door has codes.
pub(super) const NO_CODE: u16 = 0xFFFD;
/// In a door's pairs: the Key does not have the door.
pub(super) const ABSENT: u16 = 0xFFFC;
/// Schedules are numbered below this.
pub(super) const SCHEDULES_MAX: usize = 0xFFF0;
const _: () = assert!(ABSENT as usize >= SCHEDULES_MAX && NO_CODE as usize >= SCHEDULES_MAX);

/// A person stands here.
pub(super) const OCCUPIED: u8 = 1;
/// The person is suspended.
pub(super) const SUSPENDED: u8 = 2;
/// The holdings stand in `spill`.
pub(super) const SPILLED: u8 = 4;

/// The Deliveries Key has the door.
pub(super) const DELIVERS: u32 = 1;
/// The door's Keys are kept in `sorted`, by slot: there are too many, or too many pairs of schedules.
pub(super) const SORTED: u32 = 2;
/// In place of a door's pairs, where its Keys are kept sorted.
pub(super) const NO_PAIRS: u16 = u16::MAX;

/// In every schedule line's head: taken for a number with a sign, a head is below every second.
pub(super) const HEAD: u32 = 1 << 31;
/// In a schedule line's head: open when the line's stretch begins.
pub(super) const OPEN_AT_START: u32 = 1;
/// In a schedule line's head: what it says holds past the horizon too.
pub(super) const EVER: u32 = 2;
/// In a schedule line's head: the whole schedule stands in `openings`.
pub(super) const COLD: u32 = 4;
/// In a change's place: there is none. Seconds stay below, so that they can be compared as numbers with a sign, which
/// every x86-64 does by four at a time.
pub(super) const NO_CHANGE: u32 = i32::MAX as u32;

/// Words of a [`Detail`], and Keys that stand in a person's line.
pub(super) const EXTRA_WORDS: usize = 6;
/// In a person's line: the first detail, if there is one, is more than a period.
pub(super) const NO_PERIOD: u8 = u8::MAX;

/// A period, a host, a share's doors. 24 bytes.
#[derive(Archive, Serialize, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Detail {
    pub(super) from: i64,
    pub(super) until: i64,
    /// 0 for an own giving.
    pub(super) host: u32,
    /// 0 for all doors, else one more than the place in `rows` of a length and so many rows.
    pub(super) doors: u32,
}

#[derive(Archive, Serialize, Clone, Copy, Default)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct PersonLine {
    pub(super) mobile: u64,
    pub(super) id: u32,
    pub(super) flags: u8,
    /// Slots in this line.
    pub(super) count: u8,
    /// Which of them have a detail, a bit each.
    pub(super) detailed: u8,
    /// Which of them has the first detail, if that is no more than a period; else [`NO_PERIOD`].
    pub(super) period: u8,
    /// Spilled: where in `spill`. Otherwise where in `details` the second and later details stand.
    pub(super) at: u32,
    /// Spilled: how many. Otherwise how many details stand at `at`.
    pub(super) len: u32,
    /// Past the last one the number of Keys, which is no slot: no door has it.
    pub(super) slots: [u16; INLINE_HOLDINGS],
    /// With any detail: the first one, as [`Detail::words`]. Without: the Keys of the first slots, so that a grant
    /// need not look them up.
    pub(super) extra: [u32; EXTRA_WORDS],
}

#[derive(Archive, Serialize, Clone, Copy, Default)]
pub(super) struct SpilledHolding {
    pub(super) slot: u32,
    /// 0 for none, else one more than the place in `details`.
    pub(super) detail: u32,
}

/// A line of a door. The first begins with its head, see [`Door`]. Then, on into its other lines, each slot has half a
/// byte that tells its pair, the even slot in the lower half.
pub(super) type DoorLine = [u8; 64];

/// Pairs of schedules: when each opens, then when each opens to a code. The first of each is [`ABSENT`].
#[derive(Archive, Serialize, Clone, Copy, PartialEq, Eq)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct PairLine {
    pub(super) pairs: [[u16; PAIRS]; 2],
}

#[derive(Archive, Serialize, Clone, Copy)]
pub(super) struct SortedEntry {
    pub(super) slot: u16,
    pub(super) any: u16,
    pub(super) code: u16,
}

#[derive(Archive, Serialize, Clone, Copy)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct ScheduleLine {
    /// First the head. Then the seconds from the base at which it opens or closes, ascending, [`NO_CHANGE`] where there
    /// are no more. Cold: where in `openings` the schedule stands, and how many openings it has. One array, so that all
    /// of it is compared at once.
    pub(super) words: [u32; 1 + INLINE_CHANGES],
}

#[derive(Archive, Serialize, Clone, Copy, Default)]
pub(super) struct CardSlot {
    /// The number as [`CardNumber`] has it; 0 where no card stands here.
    pub(super) low: u64,
    pub(super) rest: u32,
    /// The place of the person.
    pub(super) person: u32,
}

pub(super) const CARDS_PER_LINE: usize = 4;

#[derive(Archive, Serialize, Clone, Copy, Default)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct CardLine {
    pub(super) slots: [CardSlot; CARDS_PER_LINE],
}

#[derive(Archive, Serialize, Clone, Copy)]
pub(super) struct Opening {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// A table whose things stand where `place` puts them: how many places, and the displacements.
#[derive(Archive, Serialize, Default)]
pub(super) struct Table {
    pub(super) places: u32,
    pub(super) displacements: Vec<u16>,
}

/// One property, compiled.
///
/// INVARIANT: the lists of lines come first. They are written in this order, so that each begins where a line ends:
/// rkyv 0.8 can't pad by more than 31 bytes.
#[derive(Archive, Serialize)]
pub(super) struct IndexArchive {
    pub(super) people: Vec<PersonLine>,
    pub(super) cards: Vec<CardLine>,
    /// [`IndexArchive::door_lines`] for each door, then as many zeros as a window has past its first line.
    pub(super) doors: Vec<DoorLine>,
    // From here to the Keys: little that every check reads, side by side so that it shares a page or two.
    pub(super) pairs: Vec<PairLine>,
    pub(super) schedules: Vec<ScheduleLine>,
    pub(super) people_table: Table,
    pub(super) keys: Vec<u32>,
    pub(super) sorted: Vec<SortedEntry>,
    pub(super) openings: Vec<Opening>,
    pub(super) spill: Vec<SpilledHolding>,
    pub(super) details: Vec<Detail>,
    pub(super) rows: Vec<u16>,
    pub(super) format: u32,
    pub(super) property: u32,
    /// Of the keyed hash that places people and cards. Secret.
    pub(super) hash_key: (u64, u64),
    pub(super) horizon: (i64, i64),
    /// The second in which the horizon begins, and from which schedule lines count: whole seconds since 1970.
    pub(super) base: i64,
    /// A schedule line's stretch is 2^shift seconds.
    pub(super) shift: u32,
    /// Lines to a schedule.
    pub(super) stretches: u32,
    pub(super) schedule_count: u32,
    /// Lines to a door.
    pub(super) door_lines: u32,
    /// 0 where the property did not opt in.
    pub(super) deliveries: u32,
}

const _: () = {
    assert!(size_of::<ArchivedPersonLine>() == 64 && align_of::<ArchivedPersonLine>() == 64);
    assert!(size_of::<ArchivedPairLine>() == 64 && align_of::<ArchivedPairLine>() == 64);
    assert!(size_of::<ArchivedScheduleLine>() == 64 && align_of::<ArchivedScheduleLine>() == 64);
    assert!(size_of::<ArchivedCardLine>() == 64 && align_of::<ArchivedCardLine>() == 64);
};

/// The bytes of an archive.
pub type ArchiveBytes = AlignedVec<64>;

/// Why bytes are no index.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// rkyv can't read them.
    #[error("the compiled index is damaged ({0}): compile the property anew")]
    Structure(Error),
    /// Another version of the layout.
    #[error("the compiled index has layout {found}, not {FORMAT}: compile the property anew")]
    Format {
        /// The version it has.
        found: u32,
    },
    /// It can be read but does not make sense.
    #[error("the compiled index is damaged (its {0} make no sense): compile the property anew")]
    Meaning(&'static str),
}

self_cell!(
    struct Cell {
        owner: LineBytes,
        #[covariant]
        dependent: View,
    }
);

/// A property's index in memory, verified once and read in place.
pub struct Loaded {
    cell: Cell,
}

impl Loaded {
    /// Copies the bytes of an archive to where checks read them: checks their structure, every offset and every meaning.
    pub fn new(bytes: &[u8]) -> Result<Loaded, ArchiveError> {
        Ok(Loaded { cell: Cell::try_new(LineBytes::copy(bytes), |bytes| View::new(bytes))? })
    }

    /// The bytes, as they are stored.
    pub fn bytes(&self) -> &[u8] {
        self.cell.borrow_owner()
    }

    /// Which property it is.
    pub fn property(&self) -> PropertyId {
        self.view().property
    }

    /// The doors by row.
    pub fn doors(&self) -> impl ExactSizeIterator<Item = DoorId> {
        self.view().doors().map(|door| door.id())
    }

    /// `[from, to)`: outside it schedules are taken for closed, so the property is to be compiled anew before.
    pub fn horizon(&self) -> (Moment, Moment) {
        let view = self.view();
        (Moment::from_micros(view.horizon.0), Moment::from_micros(view.horizon.1))
    }

    #[inline(always)]
    pub(super) fn view(&self) -> &View<'_> {
        self.cell.borrow_dependent()
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("property", &self.property()).field("bytes", &self.bytes().len()).finish()
    }
}

impl Detail {
    /// Moments in two words each, the lower first.
    pub fn words(self) -> [u32; EXTRA_WORDS] {
        let halves = |micros: i64| [micros as u32, (micros >> 32) as u32];
        let ([a, b], [c, d]) = (halves(self.from), halves(self.until));
        [a, b, c, d, self.host, self.doors]
    }
}

impl ArchivedDetail {
    #[inline(always)]
    pub fn native(&self) -> Detail {
        let (from, until) = (self.from.to_native(), self.until.to_native());
        Detail { from, until, host: self.host.to_native(), doors: self.doors.to_native() }
    }
}

impl ScheduleLine {
    /// A line with no changes.
    pub fn new(head: u32) -> ScheduleLine {
        let mut words = [NO_CHANGE; 1 + INLINE_CHANGES];
        words[0] = HEAD | head;
        ScheduleLine { words }
    }

    pub fn changes_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.words.iter_mut().skip(1)
    }
}

impl ArchivedScheduleLine {
    #[inline(always)]
    pub fn head(&self) -> u32 {
        self.words[0].to_native()
    }

    pub fn changes(&self) -> impl Iterator<Item = &u32_ule> {
        self.words.iter().skip(1)
    }

    /// Whether it is open at this second, which is below [`NO_CHANGE`]; a cold one is not.
    #[inline(always)]
    pub fn is_open_inline(&self, second: u32) -> bool {
        // Each change that has passed turns it. There is an odd number, so as many are ahead, give or take an even
        // number and one. The head is never ahead.
        let words = self.words.map(|word| word.to_native() as i32);
        let ahead = words.into_iter().fold(0, |ahead, word| ahead ^ i32::from(word > second as i32));
        ahead as u32 == self.head() & (OPEN_AT_START | COLD)
    }
}

impl ArchivedPersonLine {
    /// Whether what stands at this place of the slots is surely held at this moment, and not as a share.
    #[inline(always)]
    pub fn surely_holds(&self, place: usize, now: i64) -> bool {
        let plain = u32::from(self.detailed) >> place & 1 == 0;
        // Where there is none, these are something else, and it does not matter.
        let Detail { from, until, .. } = self.first_detail();
        plain | ((usize::from(self.period) == place) & (from <= now) & (now < until))
    }

    /// The first detail; only where there is one.
    #[inline(always)]
    pub fn first_detail(&self) -> Detail {
        let [a, b, c, d, host, doors] = self.extra.map(|word| word.to_native());
        let whole = |low: u32, high: u32| (u64::from(low) | u64::from(high) << 32) as i64;
        Detail { from: whole(a, b), until: whole(c, d), host, doors }
    }
}

/// A door's lines: its head, then its slots.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    bytes: &'a [u8; DOOR_WINDOW],
}

impl Door<'_> {
    /// What stands where no door does: nothing has its id.
    pub const NONE: Door<'static> = Door { bytes: &[0; DOOR_WINDOW] };

    /// Asks for its first two lines: nearly always all there is.
    #[inline(always)]
    pub fn prefetch(self) {
        prefetch_line(&self.bytes[0]);
        prefetch_line(&self.bytes[64]);
    }

    #[inline(always)]
    pub fn id(self) -> DoorId {
        DoorId(self.word::<0>())
    }

    /// 0 for none, else one more than the place in `rows` of a length and so many excepted slots.
    #[inline(always)]
    pub fn lockdown(self) -> u32 {
        self.word::<1>()
    }

    /// Where in `sorted` its Keys stand, if they do.
    #[inline(always)]
    pub fn at(self) -> u32 {
        self.word::<2>()
    }

    /// How many Keys have the door.
    #[inline(always)]
    pub fn count(self) -> u16 {
        self.word::<3>() as u16
    }

    /// Where its pairs stand; [`NO_PAIRS`] where there are none.
    #[inline(always)]
    pub fn pairs(self) -> u16 {
        (self.word::<3>() >> 16) as u16
    }

    /// [`DELIVERS`], [`SORTED`].
    #[inline(always)]
    pub fn flags(self) -> u32 {
        self.word::<4>()
    }

    #[inline(always)]
    fn word<const AT: usize>(self) -> u32 {
        u32::from_le_bytes(self.bytes.as_chunks::<4>().0[AT])
    }

    /// The number of a slot's pair.
    #[inline(always)]
    pub fn pair(self, slot: u16) -> u8 {
        self.shifted_pair(slot) & 0xF
    }

    /// The same, and maybe another's in the upper half.
    #[inline(always)]
    fn shifted_pair(self, slot: u16) -> u8 {
        let both = self.bytes[(DOOR_HEAD + usize::from(slot / 2)) % DOOR_WINDOW];
        both >> (slot % 2 * 4)
    }

    /// The numbers of the pairs of these slots, a byte each.
    #[inline(always)]
    pub fn pairs_of(self, slots: &[u16_ule; INLINE_HOLDINGS / 2]) -> u64 {
        let pair = |slot: u16_ule| u64::from(self.shifted_pair(slot.to_native()));
        let [a, b, c, d] = *slots;
        (pair(a) | pair(b) << 8 | pair(c) << 16 | pair(d) << 24) & 0x0F0F_0F0F
    }
}

impl ArchivedPairLine {
    /// When a pair opens: a schedule, [`ABSENT`], or for codes [`NO_CODE`].
    #[inline(always)]
    pub fn opens(&self, pair: u8, code: bool) -> u16 {
        self.pairs[usize::from(code)][usize::from(pair) % PAIRS].to_native()
    }
}

/// A card number in words, so that hashing and comparing take no loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct CardNumber {
    /// The first 8 bytes, little-endian, 0 where there are fewer.
    pub low: u64,
    /// The other 2, and their number in the third byte: never 0.
    pub rest: u32,
}

impl CardNumber {
    /// Nobody's.
    pub const NONE: CardNumber = CardNumber { low: 0, rest: u32::MAX };

    /// The first `length` of these bytes; `None` unless they are 1 to 10.
    #[inline(always)]
    pub fn new(bytes: [u8; CARD_BYTES_MAX], length: u8) -> Option<CardNumber> {
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9] = bytes;
        if length == 0 || usize::from(length) > CARD_BYTES_MAX {
            return None;
        }
        let low = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        let all = u128::from(low) | u128::from(u16::from_le_bytes([b8, b9])) << 64;
        let counted = all & ((1 << (8 * u32::from(length))) - 1);
        Some(CardNumber { low: counted as u64, rest: (counted >> 64) as u32 | u32::from(length) << 16 })
    }

    /// Equality without a branch.
    #[inline(always)]
    fn is(self, other: CardNumber) -> bool {
        (self.low ^ other.low) | u64::from(self.rest ^ other.rest) == 0
    }

    /// The bytes, zeros after them, and how many count.
    fn bytes(self) -> ([u8; CARD_BYTES_MAX], u8) {
        let mut bytes = [0; CARD_BYTES_MAX];
        let both = self.low.to_le_bytes().into_iter().chain(self.rest.to_le_bytes());
        bytes.iter_mut().zip(both).for_each(|(to, from)| *to = from);
        (bytes, (self.rest >> 16) as u8)
    }

    pub fn of(card: &Card) -> CardNumber {
        let mut bytes = [0; CARD_BYTES_MAX];
        bytes.iter_mut().zip(card.bytes()).for_each(|(to, from)| *to = *from);
        CardNumber::new(bytes, card.bytes().len() as u8).expect("a card has 1 to 10 bytes")
    }
}

impl ArchivedCardSlot {
    /// The card that stands here.
    #[inline(always)]
    pub fn number(&self) -> CardNumber {
        CardNumber { low: self.low.to_native(), rest: self.rest.to_native() }
    }
}

/// A verified archive as slices: the relative pointers are followed once, not at every check.
///
/// INVARIANT: in the first cache line stands what every check reads first, in the second what finds and reads a
/// schedule, in the third what cards and codes need beside it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct View<'a> {
    /// The lines one after the other.
    pub doors: &'a [u8],
    pub people_displacements: &'a [u16_ule],
    pub people: &'a [ArchivedPersonLine],
    pub hash_key: (u64, u64),

    pub schedules: &'a [ArchivedScheduleLine],
    pub pairs: &'a [ArchivedPairLine],
    pub keys: &'a [u32_ule],
    pub base: i64,
    /// Seconds from the base, but for the first, that are whole within the horizon.
    pub whole_seconds: u32,
    /// Bytes of a door.
    pub door_bytes: u16,
    pub shift: u8,
    pub stretches: u8,

    /// Not of the archive: publication puts it here, where a check finds it.
    pub codes: &'a [CodeLine],
    pub cards: &'a [ArchivedCardLine],
    pub horizon: (i64, i64),
    pub property: PropertyId,
    pub deliveries: u32,

    pub details: &'a [ArchivedDetail],
    pub rows: &'a [u16_ule],
    pub spill: &'a [ArchivedSpilledHolding],
    pub sorted: &'a [ArchivedSortedEntry],
    pub openings: &'a [ArchivedOpening],
    pub schedule_count: u32,
}

const _: () = {
    assert!(offset_of!(View<'_>, schedules) == 64);
    assert!(offset_of!(View<'_>, codes) == 128);
    assert!(offset_of!(View<'_>, details) == 184);
};

/// Who stands where nobody does.
pub(super) static NOBODY: ArchivedPersonLine = ArchivedPersonLine {
    mobile: u64_ule::from_native(0),
    id: u32_ule::from_native(0),
    flags: 0,
    count: 0,
    detailed: 0,
    period: NO_PERIOD,
    at: u32_ule::from_native(0),
    len: u32_ule::from_native(0),
    slots: [u16_ule::from_native(0); INLINE_HOLDINGS],
    extra: [u32_ule::from_native(0); EXTRA_WORDS],
};

/// Pairs of nothing.
pub(super) static NONE_PAIRED: ArchivedPairLine =
    ArchivedPairLine { pairs: [[u16_ule::from_native(ABSENT); PAIRS]; 2] };

/// The lines of [`NEVER`] and [`ALWAYS`], the same in each archive: reading these costs no access to memory.
pub(super) static CONSTANT_SCHEDULES: [ArchivedScheduleLine; OWN_SCHEDULES as usize] =
    [constant_schedule(0), constant_schedule(OPEN_AT_START | EVER)];

const fn constant_schedule(head: u32) -> ArchivedScheduleLine {
    let mut words = [u32_ule::from_native(NO_CHANGE); 1 + INLINE_CHANGES];
    words[0] = u32_ule::from_native(HEAD | head);
    ArchivedScheduleLine { words }
}

impl View<'static> {
    /// Of a property with nothing in it.
    pub const EMPTY: View<'static> = View {
        doors: &[],
        people_displacements: &[],
        people: &[],
        hash_key: (0, 0),
        schedules: &[],
        pairs: &[],
        horizon: (0, 0),
        base: 0,
        whole_seconds: 0,
        shift: 0,
        stretches: 1,
        door_bytes: 64,
        codes: &[],
        cards: &[],
        keys: &[],
        property: PropertyId::NONE,
        deliveries: 0,
        details: &[],
        rows: &[],
        spill: &[],
        sorted: &[],
        openings: &[],
        schedule_count: 0,
    };
}

impl<'a> View<'a> {
    fn new(bytes: &'a [u8]) -> Result<View<'a>, ArchiveError> {
        let archive = rkyv::access::<ArchivedIndexArchive, Error>(bytes).map_err(ArchiveError::Structure)?;
        let format = archive.format.to_native();
        if format != FORMAT {
            return Err(ArchiveError::Format { found: format });
        }
        let small = |number: u32, what| u8::try_from(number).map_err(|_| ArchiveError::Meaning(what));
        let horizon = (archive.horizon.0.to_native(), archive.horizon.1.to_native());
        let base = archive.base.to_native();
        let whole_seconds = horizon.1.div_euclid(MICROS).saturating_sub(base).saturating_sub(1);
        let view = View {
            people: &archive.people,
            people_displacements: &archive.people_table.displacements,
            doors: archive.doors.as_flattened(),
            hash_key: (archive.hash_key.0.to_native(), archive.hash_key.1.to_native()),
            keys: &archive.keys,
            schedules: &archive.schedules,
            base,
            whole_seconds: whole_seconds.clamp(0, i64::from(NO_CHANGE) - 1) as u32,
            horizon,
            shift: small(archive.shift.to_native(), "schedules")?,
            stretches: small(archive.stretches.to_native(), "schedules")?,
            door_bytes: u16::from(small(archive.door_lines.to_native(), "doors")?) * 64,
            pairs: &archive.pairs,
            cards: &archive.cards,
            codes: &[],
            deliveries: archive.deliveries.to_native(),
            property: PropertyId(archive.property.to_native()),
            sorted: &archive.sorted,
            openings: &archive.openings,
            spill: &archive.spill,
            details: &archive.details,
            rows: &archive.rows,
            schedule_count: archive.schedule_count.to_native(),
        };
        if archive.people_table.places.to_native() as usize != view.people.len() {
            return Err(ArchiveError::Meaning("people"));
        }
        view.verify()?;
        Ok(view)
    }

    /// What leads whoever has a mobile identity with this hash to their place.
    #[inline(always)]
    pub fn displacement(&self, hash: u64) -> &'a u16_ule {
        let displacements = self.people_displacements;
        displacements.get(place::bucket(hash, displacements.len())).unwrap_or(const { &u16_ule::from_native(0) })
    }

    /// The place where the person with this hash of a mobile identity stands, if anywhere.
    #[inline(always)]
    pub fn person_place(&self, hash: u64, displacement: &u16_ule) -> usize {
        place::place(hash, displacement.to_native(), self.people.len())
    }

    /// The place of the person with this card, whose hash this is; [`NOWHERE`] where nobody has it.
    #[inline(always)]
    pub fn find_card(&self, hash: u64, card: CardNumber) -> u32 {
        probe(self.cards, hash, |line| {
            let same = line.slots.iter().map(|slot| (slot.number().is(card), slot.person.to_native()));
            (chosen(same), line.slots[CARDS_PER_LINE - 1].rest.to_native() == 0)
        })
    }

    /// How many doors there are.
    fn door_count(&self) -> u32 {
        (self.doors.len().saturating_sub(AFTER_DOORS) / usize::from(self.door_bytes).max(1)) as u32
    }

    /// The door of this row; [`Door::NONE`] where there is none.
    #[inline(always)]
    pub fn door(&self, row: u32) -> Door<'a> {
        let from = self.doors.get(row as usize * usize::from(self.door_bytes)..);
        from.and_then(|from| from.first_chunk()).map_or(Door::NONE, |bytes| Door { bytes })
    }

    /// By row.
    pub fn doors(&self) -> impl ExactSizeIterator<Item = Door<'a>> + use<'a, '_> {
        (0..self.door_count()).map(|row| self.door(row))
    }

    /// What the pairs of a door are.
    #[inline(always)]
    pub fn pairs_at(&self, door: Door<'_>) -> &'a ArchivedPairLine {
        self.pairs.get(usize::from(door.pairs())).unwrap_or(&NONE_PAIRED)
    }

    /// A list in `rows`: excepted slots or a share's rows. `reference` is one more than its place.
    pub fn list(&self, reference: u32) -> Option<&'a [u16_ule]> {
        let at = (reference as usize).checked_sub(1)?;
        let len = usize::from(self.rows.get(at)?.to_native());
        self.rows.get(at + 1..at + 1 + len)
    }

    /// The openings of a cold schedule.
    pub fn cold(&self, line: &ArchivedScheduleLine) -> Option<&'a [ArchivedOpening]> {
        let at = line.words.get(1)?.to_native() as usize;
        let len = line.words.get(2)?.to_native() as usize;
        self.openings.get(at..at.checked_add(len)?)
    }
}

/// Asks for the line that a hash chooses.
#[inline(always)]
pub(super) fn prefetch_home<L>(hash: u64, lines: &[L]) {
    prefetch(lines, place::bucket(hash, lines.len()));
}

const MICROS: i64 = 1_000_000;

/// Past the end of every table.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Looks for something in the line that its hash chooses, and while that is full in the next one. `find` tells where
/// in a line it leads, and whether the line has room.
#[inline(always)]
fn probe<L>(lines: &[L], hash: u64, find: impl Fn(&L) -> (u32, bool)) -> u32 {
    let mut at = place::bucket(hash, lines.len());
    for _ in 0..lines.len() {
        let Some((found, has_room)) = lines.get(at).map(&find) else { break };
        if (found != NOWHERE) | has_room {
            return found;
        }
        at = if at + 1 == lines.len() { 0 } else { at + 1 };
    }
    NOWHERE
}

/// Where the chosen one leads. All are looked at: which one it is can't be guessed, so branches would cost more.
#[inline(always)]
fn chosen(places: impl Iterator<Item = (bool, u32)>) -> u32 {
    places.fold(NOWHERE, |found, (same, place)| select_unpredictable(same, place, found))
}

/// Where the server made the thing that is hashed, a random number, nobody can choose many that fall together; two
/// multiplications are enough to spread them. Somebody may show whatever they like: it costs one place to look at.
#[inline(always)]
pub(super) fn hash_mobile(key: (u64, u64), mobile: u64) -> u64 {
    fold(fold(mobile ^ key.0, 0x9E37_79B9_7F4A_7C15) ^ key.1, 0xD6E8_FEB8_6659_FD93)
}

/// Both halves of a product, so that every bit of one factor has a say in every bit of the result.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Card numbers are chosen by people, so they are spread by a hash that is made to stand against that.
#[inline(always)]
pub(super) fn hash_card(key: (u64, u64), card: CardNumber) -> u64 {
    let CardNumber { low, rest } = card;
    sip13(key, low, u64::from(rest & 0xFFFF) | u64::from(rest >> 16) << 56)
}

/// SipHash-1-3 of two words, of which the second holds the length as SipHash wants it.
#[inline(always)]
fn sip13(key: (u64, u64), first: u64, second: u64) -> u64 {
    let mut v = [
        key.0 ^ 0x736f_6d65_7073_6575,
        key.1 ^ 0x646f_7261_6e64_6f6d,
        key.0 ^ 0x6c79_6765_6e65_7261,
        key.1 ^ 0x7465_6462_7974_6573,
    ];
    for word in [first, second] {
        v[3] ^= word;
        v = sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xFF;
    let [a, b, c, d] = sip_round(sip_round(sip_round(v)));
    a ^ b ^ c ^ d
}

/// Whether every number in an archive means something.
impl View<'_> {
    fn verify(&self) -> Result<(), ArchiveError> {
        let right = |what, outcome: Option<()>| outcome.ok_or(ArchiveError::Meaning(what));
        right("sizes", self.verify_sizes())?;
        right("schedules", self.verify_schedules())?;
        right("doors", self.verify_doors())?;
        right("people", self.verify_people())?;
        right("cards", self.verify_cards())
    }

    fn verify_sizes(&self) -> Option<()> {
        ensure(self.horizon.0 <= self.horizon.1 && self.shift < 32)?;
        ensure(self.base == self.horizon.0.div_euclid(MICROS))?;
        ensure(self.keys.len() < usize::from(ABSENT) && self.pairs.len() < usize::from(NO_PAIRS))?;
        ensure(self.people.len() < NOWHERE as usize && !self.people_displacements.is_empty())?;
        ensure(self.cards.len() < u32::MAX as usize)?;
        let lines = self.doors.len().checked_sub(AFTER_DOORS)?;
        ensure(self.door_bytes >= 64 && lines.is_multiple_of(usize::from(self.door_bytes)))?;
        ensure(usize::from(self.door_bytes) <= DOOR_WINDOW)?;
        ensure(self.doors().len() < usize::from(u16::MAX))?;
        ensure(self.stretches >= 1 && self.schedule_count as usize <= SCHEDULES_MAX)?;
        ensure(self.schedules.len() as u64 == u64::from(self.schedule_count) * u64::from(self.stretches))
    }

    fn verify_schedules(&self) -> Option<()> {
        self.verify_constant(NEVER, 0)?;
        self.verify_constant(ALWAYS, OPEN_AT_START | EVER)?;
        let own = usize::from(OWN_SCHEDULES) * self.stretches as usize;
        self.schedules.get(own..)?.chunks(self.stretches as usize).try_for_each(|lines| {
            if lines.first()?.head() & COLD != 0 {
                return self.verify_cold(lines);
            }
            let mut open = lines.first()?.head() & OPEN_AT_START;
            let mut stretch_from = 0_u64;
            lines.iter().try_for_each(|line| {
                let stretch_to = stretch_from + (1 << self.shift);
                ensure(line.head() == HEAD | open)?;
                let mut after = None;
                line.changes().map(|c| c.to_native()).try_for_each(|change| {
                    if change == NO_CHANGE {
                        after = Some(NO_CHANGE);
                        return Some(());
                    }
                    ensure(after.is_none_or(|after| after < change))?;
                    ensure((stretch_from..stretch_to).contains(&u64::from(change)))?;
                    after = Some(change);
                    open ^= 1;
                    Some(())
                })?;
                stretch_from = stretch_to;
                Some(())
            })
        })
    }

    fn verify_constant(&self, schedule: u16, head: u32) -> Option<()> {
        let at = usize::from(schedule) * self.stretches as usize;
        let lines = self.schedules.get(at..at + self.stretches as usize)?;
        let constant = |line: &ArchivedScheduleLine| {
            line.head() == HEAD | head && line.changes().all(|change| change.to_native() == NO_CHANGE)
        };
        ensure(lines.iter().all(constant))
    }

    fn verify_cold(&self, lines: &[ArchivedScheduleLine]) -> Option<()> {
        let first = lines.first()?;
        ensure(lines.iter().all(|line| line.words == first.words))?;
        ensure(first.head() == HEAD | COLD)?;
        let openings = self.cold(first)?;
        ensure(openings.iter().all(|opening| opening.from.to_native() < opening.to.to_native()))?;
        ensure(openings.windows(2).all(|pair| match pair {
            [a, b] => a.to.to_native() <= b.from.to_native(),
            _ => false,
        }))
    }

    fn verify_doors(&self) -> Option<()> {
        self.pairs.iter().try_for_each(|pairs| self.verify_pairs(pairs))?;
        ensure(ascending(self.doors().map(|door| door.id().0)))?;
        self.doors().try_for_each(|door| {
            ensure(door.id() != DoorId::NONE && door.flags() & !(DELIVERS | SORTED) == 0)?;
            if door.lockdown() != 0 {
                self.verify_list(door.lockdown(), self.keys.len())?;
            }
            let (count, at) = (usize::from(door.count()), door.at() as usize);
            if door.flags() & SORTED == 0 {
                return ensure(self.verify_dense(door)? == count);
            }
            let entries = self.sorted.get(at..at + count)?;
            self.verify_slots(entries.iter().map(|entry| entry.slot.to_native()))?;
            ensure(door.pairs() == NO_PAIRS)?;
            ensure(entries.iter().all(|e| self.opens(e.any.to_native()) && self.opens_code(e.code.to_native())))
        })
    }

    fn verify_pairs(&self, pairs: &ArchivedPairLine) -> Option<()> {
        (0..PAIRS as u8).try_for_each(|pair| match (pairs.opens(pair, false), pairs.opens(pair, true)) {
            (ABSENT, ABSENT) => Some(()),
            (any, code) => ensure(pair != 0 && self.opens(any) && self.opens_code(code)),
        })
    }

    /// How many slots have the door, each with a pair that makes sense. All that are numbered stand in its own lines,
    /// and one more that no Key has.
    fn verify_dense(&self, door: Door<'_>) -> Option<usize> {
        let slots = (usize::from(self.door_bytes) - DOOR_HEAD) * 2;
        ensure(self.keys.len() < slots)?;
        let pairs = self.pairs.get(usize::from(door.pairs()))?;
        let mut count = 0;
        for slot in 0..u16::try_from(slots).ok()? {
            let pair = door.pair(slot);
            if pair != 0 {
                ensure(usize::from(slot) < self.keys.len() && pairs.opens(pair, false) != ABSENT)?;
                count += 1;
            }
        }
        Some(count)
    }

    fn verify_people(&self) -> Option<()> {
        let known = OCCUPIED | SUSPENDED | SPILLED;
        self.people.iter().enumerate().filter(|(_, person)| person.flags != 0).try_for_each(|(place, person)| {
            ensure(person.flags & OCCUPIED != 0 && person.flags & !known == 0 && person.id.to_native() != 0)?;
            let hash = hash_mobile(self.hash_key, person.mobile.to_native());
            ensure(self.person_place(hash, self.displacement(hash)) == place)?;
            let (at, len) = (person.at.to_native() as usize, person.len.to_native() as usize);
            if person.flags & SPILLED != 0 {
                ensure(person.count == 0 && person.detailed == 0)?;
                ensure(person.slots.iter().all(|slot| usize::from(slot.to_native()) == self.keys.len()))?;
                return self.spill.get(at..at.checked_add(len)?)?.iter().try_for_each(|holding| {
                    ensure((holding.slot.to_native() as usize) < self.keys.len())?;
                    match (holding.detail.to_native() as usize).checked_sub(1) {
                        None => Some(()),
                        Some(detail) => self.verify_detail(&self.details.get(detail)?.native()),
                    }
                });
            }
            let count = usize::from(person.count);
            ensure(count <= INLINE_HOLDINGS)?;
            ensure(person.slots.iter().take(count).all(|slot| usize::from(slot.to_native()) < self.keys.len()))?;
            ensure(person.slots.iter().skip(count).all(|slot| usize::from(slot.to_native()) == self.keys.len()))?;
            let detailed = person.detailed;
            ensure(u32::from(detailed) >> count == 0)?;
            if detailed != 0 {
                let first = person.first_detail();
                self.verify_detail(&first)?;
                ensure(person.period == period_at(detailed, &first))?;
            } else {
                ensure(person.period == NO_PERIOD)?;
                let keys = person.slots.iter().take(count).map(|slot| self.keys.get(usize::from(slot.to_native())));
                ensure(keys.zip(&person.extra).all(|(key, extra)| key.is_some_and(|key| key == extra)))?;
            }
            ensure(len == (detailed.count_ones() as usize).saturating_sub(1))?;
            self.details
                .get(at..at.checked_add(len)?)?
                .iter()
                .try_for_each(|detail| self.verify_detail(&detail.native()))
        })
    }

    fn verify_detail(&self, detail: &Detail) -> Option<()> {
        match detail.doors {
            0 => Some(()),
            doors => self.verify_list(doors, self.doors().len()),
        }
    }

    fn verify_cards(&self) -> Option<()> {
        let slots = self.cards.iter().flat_map(|line| &line.slots);
        slots.filter(|slot| slot.rest.to_native() != 0).try_for_each(|slot| {
            let number = slot.number();
            let (bytes, length) = number.bytes();
            ensure(CardNumber::new(bytes, length) == Some(number))?;
            ensure(self.find_card(hash_card(self.hash_key, number), number) == slot.person.to_native())?;
            self.verify_person_at(slot.person.to_native()).map(|_| ())
        })
    }

    fn verify_person_at(&self, place: u32) -> Option<&ArchivedPersonLine> {
        self.people.get(place as usize).filter(|person| person.flags & OCCUPIED != 0)
    }

    fn verify_list(&self, reference: u32, below: usize) -> Option<()> {
        let list = self.list(reference)?;
        ensure(ascending(list.iter().map(|item| u32::from(item.to_native()))))?;
        ensure(list.last().is_none_or(|last| usize::from(last.to_native()) < below))
    }

    fn verify_slots(&self, slots: impl Iterator<Item = u16> + Clone) -> Option<()> {
        ensure(ascending(slots.clone().map(u32::from)))?;
        ensure(slots.last().is_none_or(|last| usize::from(last) < self.keys.len()))
    }

    fn opens(&self, opens: u16) -> bool {
        u32::from(opens) < self.schedule_count
    }

    fn opens_code(&self, opens: u16) -> bool {
        opens == NO_CODE || self.opens(opens)
    }
}

/// What stands in a person's line for [`PersonLine::period`]. `first` is the detail of the first that has one.
pub(super) fn period_at(detailed: u8, first: &Detail) -> u8 {
    if first.host | first.doors == 0 { detailed.trailing_zeros() as u8 } else { NO_PERIOD }
}

fn ensure(holds: bool) -> Option<()> {
    holds.then_some(())
}

fn ascending(mut items: impl Iterator<Item = u32>) -> bool {
    let Some(mut last) = items.next() else { return true };
    items.all(|item| std::mem::replace(&mut last, item) < item)
}

/// Microseconds, as [`i64_ule`] keeps them.
pub(super) fn native(micros: &i64_ule) -> i64 {
    micros.to_native()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::index::{
        compile::compile,
        lookup::{Question, Scope, Verdict, check_batch},
        publish::PortfolioPublication,
        testing::{tag, world},
    };

    #[test]
    fn cards_are_hashed_by_siphash_1_3() {
        for card in [&[0][..], &[1, 2, 3], &[255; 8], &[7; 10]] {
            let number = CardNumber::of(&Card::new(card).unwrap());
            assert_eq!(
                number.bytes(),
                (std::array::from_fn(|at| card.get(at).copied().unwrap_or(0)), card.len() as u8)
            );
            // SipHash of fifteen bytes is two words, the number of bytes in the last.
            let mut message = [0; 15];
            message.iter_mut().zip(card).for_each(|(to, byte)| *to = *byte);
            let length = card.len() as u64;
            let sip = |bytes: &[u8]| siphasher::sip::SipHasher13::new_with_keys(3, 4).hash(bytes);
            let ours = sip13((3, 4), number.low, u64::from(number.rest & 0xFFFF) | 15 << 56);
            assert_eq!(ours, sip(&message));
            assert_eq!(
                hash_card((3, 4), number),
                sip13((3, 4), number.low, u64::from(number.rest & 0xFFFF) | length << 56)
            );
        }
    }

    #[test]
    fn mobile_identities_are_spread_whatever_they_and_the_key_are() {
        for key in [(0, 0), (1, 2), (u64::MAX, 3), (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210)] {
            for step in [1, 2, 1 << 20, 1 << 32, 1 << 48, 0x1_0000_0001] {
                let mut counts = [0_u32; 64];
                for n in 0..6_400_u64 {
                    counts[place::bucket(hash_mobile(key, n * step), 64)] += 1;
                }
                assert!(counts.iter().all(|count| (40..180).contains(count)), "{key:?} {step} {counts:?}");
            }
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_still_make_sense_and_never_panic() {
        let mut refused = 0;
        let mut accepted = 0;
        for seed in 0..2_000 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let world = world(seed % 40);
            let mut bytes = compile(&world.source, (1, 2)).unwrap();
            if rng.random_bool(0.1) {
                bytes.resize(rng.random_range(0..bytes.len()), 0);
            }
            for _ in 0..rng.random_range(1..4) {
                if !bytes.is_empty() {
                    let at = rng.random_range(0..bytes.len());
                    bytes.as_mut_slice()[at] = rng.random();
                }
            }
            let Ok(loaded) = Loaded::new(&bytes) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let mut portfolio = PortfolioPublication::default();
            portfolio.put_property(std::sync::Arc::new(loaded));
            let doors = &world.source.doors;
            let questions: Vec<Question> = (0..50)
                .map(|_| Question {
                    door: doors[rng.random_range(0..doors.len())].id,
                    shown: world.credentials(&mut rng),
                })
                .collect();
            let now = world.moment(&mut rng);
            check_batch(&portfolio, Scope::Portfolio, now, &questions, tag, &mut [Verdict::DENIED; 50]);
        }
        assert!(refused > 100 && accepted > 100, "{refused} refused, {accepted} accepted");
    }
}
