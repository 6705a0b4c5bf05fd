//! The compiled form of a property: an rkyv archive of cache lines, used in place.
//!
//! What a check reads stands in lines of 64 bytes, so that each step costs one memory access:
//!
//! ```text
//! person   mobile id, person, up to 8 Key slots, the first period; more: `spill` and `details`
//! door     id, up to 8 (slot, schedule, schedule for codes); more: `wide` (by slot) or `sorted`
//! schedule one line for each schedule and stretch of the horizon: open at its start?, up to 15 changes
//! card     4 cards with the place of their person          by_id   8 ids with the place of their person
//! ```
//!
//! People, cards and ids stand where `place` puts them. Bytes enter through [`Loaded::new`] alone:
//! structure is checked by bytecheck, then every offset and meaning by `verify`, so that what is read afterwards
//! can be trusted; even so every read on the path is a checked one that falls back to a denial.

use keyward_protocol::{
    code::Card,
    id::{DoorId, PropertyId},
    time::Moment,
};
use rkyv::{
    Archive, Serialize,
    rancor::Error,
    rend::unaligned::{i64_ule, u16_ule, u32_ule},
    util::AlignedVec,
};
use self_cell::self_cell;
use siphasher::sip::SipHasher13;

use super::place;

/// The version of the layout. Archives of another version are compiled anew.
pub const FORMAT: u32 = 1;

/// Slots that stand in a person's line.
pub(super) const INLINE_HOLDINGS: usize = 8;
/// Keys that stand in a door's line.
pub(super) const INLINE_KEYS: usize = 8;
/// Changes that stand in a schedule's line.
pub(super) const INLINE_CHANGES: usize = 15;

/// Opens at no moment.
pub(super) const NEVER: u16 = 0xFFFF;
/// Opens at every moment.
pub(super) const ALWAYS: u16 = 0xFFFE;
/// In a code's place: no entry of the Key for this door has codes.
pub(super) const NO_CODE: u16 = 0xFFFD;
/// In a wide row: the Key does not have the door.
pub(super) const ABSENT: u16 = 0xFFFC;
/// Schedules are numbered below this.
pub(super) const SCHEDULES_MAX: usize = 0xFFF0;

/// How a door's Keys are kept.
pub(super) const KEYS_INLINE: u8 = 0;
/// One entry for each slot of the property, in `wide`.
pub(super) const KEYS_WIDE: u8 = 1;
/// Sorted by slot, in `sorted`.
pub(super) const KEYS_SORTED: u8 = 2;

/// A person stands here.
pub(super) const OCCUPIED: u8 = 1;
/// The person is suspended.
pub(super) const SUSPENDED: u8 = 2;
/// The holdings stand in `spill`.
pub(super) const SPILLED: u8 = 4;

/// The Deliveries Key has the door.
pub(super) const DELIVERS: u8 = 1;

/// In a schedule line's head: open when the line's stretch begins.
pub(super) const OPEN_AT_START: u32 = 1;
/// In a schedule line's head: the whole schedule stands in `openings`.
pub(super) const COLD: u32 = 2;

/// A period, a host, a share's doors. 24 bytes.
#[derive(Archive, Serialize, Clone, Copy, Default)]
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
    pub(super) detailed: u16,
    /// Spilled: where in `spill`. Otherwise where in `details` the second and later details stand.
    pub(super) at: u32,
    /// Spilled: how many. Otherwise how many details stand at `at`.
    pub(super) len: u32,
    pub(super) slots: [u16; INLINE_HOLDINGS],
    pub(super) first: Detail,
}

#[derive(Archive, Serialize, Clone, Copy, Default)]
pub(super) struct SpilledHolding {
    pub(super) slot: u32,
    /// 0 for none, else one more than the place in `details`.
    pub(super) detail: u32,
}

#[derive(Archive, Serialize, Clone, Copy, Default)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct DoorLine {
    pub(super) id: u32,
    /// 0 for none, else one more than the place in `rows` of a length and so many excepted slots.
    pub(super) lockdown: u32,
    /// How many Keys have the door.
    pub(super) count: u16,
    pub(super) form: u8,
    pub(super) flags: u8,
    /// Where in `wide` (lines) or `sorted` (entries) they stand.
    pub(super) at: u32,
    pub(super) slots: [u16; INLINE_KEYS],
    pub(super) any: [u16; INLINE_KEYS],
    pub(super) code: [u16; INLINE_KEYS],
}

#[derive(Archive, Serialize, Clone, Copy)]
pub(super) struct WideEntry {
    pub(super) any: u16,
    pub(super) code: u16,
}

pub(super) const WIDE_PER_LINE: usize = 16;

#[derive(Archive, Serialize, Clone, Copy)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct WideLine {
    pub(super) entries: [WideEntry; WIDE_PER_LINE],
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
    pub(super) head: u32,
    /// Seconds from the base at which it opens or closes, ascending, `u32::MAX` where there are no more.
    /// Cold: where in `openings` the schedule stands, and how many openings it has.
    pub(super) changes: [u32; INLINE_CHANGES],
}

#[derive(Archive, Serialize, Clone, Copy, Default)]
pub(super) struct CardSlot {
    /// 0 where no card stands here.
    pub(super) length: u8,
    pub(super) bytes: [u8; 10],
    pub(super) unused: u8,
    /// The place of the person.
    pub(super) person: u32,
}

pub(super) const CARDS_PER_LINE: usize = 4;

#[derive(Archive, Serialize, Clone, Copy, Default)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct CardLine {
    pub(super) slots: [CardSlot; CARDS_PER_LINE],
}

#[derive(Archive, Serialize, Clone, Copy, Default)]
pub(super) struct IdSlot {
    /// 0 where no person stands here.
    pub(super) id: u32,
    /// The place of the person.
    pub(super) person: u32,
}

pub(super) const IDS_PER_LINE: usize = 8;

#[derive(Archive, Serialize, Clone, Copy, Default)]
#[rkyv(attr(repr(C, align(64))))]
pub(super) struct IdLine {
    pub(super) slots: [IdSlot; IDS_PER_LINE],
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
    pub(super) doors: Vec<DoorLine>,
    pub(super) wide: Vec<WideLine>,
    pub(super) schedules: Vec<ScheduleLine>,
    pub(super) cards: Vec<CardLine>,
    pub(super) by_id: Vec<IdLine>,
    pub(super) people_table: Table,
    pub(super) cards_table: Table,
    pub(super) by_id_table: Table,
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
    /// Where the seconds of schedule lines begin.
    pub(super) base: i64,
    /// A schedule line's stretch is 2^shift seconds.
    pub(super) shift: u32,
    /// Lines to a schedule.
    pub(super) stretches: u32,
    pub(super) schedule_count: u32,
    /// 0 where the property did not opt in.
    pub(super) deliveries: u32,
}

const _: () = {
    assert!(size_of::<ArchivedPersonLine>() == 64 && align_of::<ArchivedPersonLine>() == 64);
    assert!(size_of::<ArchivedDoorLine>() == 64 && align_of::<ArchivedDoorLine>() == 64);
    assert!(size_of::<ArchivedWideLine>() == 64 && align_of::<ArchivedWideLine>() == 64);
    assert!(size_of::<ArchivedScheduleLine>() == 64 && align_of::<ArchivedScheduleLine>() == 64);
    assert!(size_of::<ArchivedCardLine>() == 64 && align_of::<ArchivedCardLine>() == 64);
    assert!(size_of::<ArchivedIdLine>() == 64 && align_of::<ArchivedIdLine>() == 64);
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
        owner: ArchiveBytes,
        #[covariant]
        dependent: View,
    }
);

/// A property's index in memory, verified once and read in place.
pub struct Loaded {
    cell: Cell,
}

impl Loaded {
    /// Takes over the bytes of an archive: checks their structure, every offset and every meaning.
    pub fn new(bytes: ArchiveBytes) -> Result<Loaded, ArchiveError> {
        Ok(Loaded { cell: Cell::try_new(bytes, |bytes| View::new(bytes))? })
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
        self.view().doors.iter().map(|door| DoorId(door.id.to_native()))
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

/// A verified archive as slices: the relative pointers are followed once, not at every check.
pub(super) struct View<'a> {
    pub people: &'a [ArchivedPersonLine],
    pub people_displacements: &'a [u16_ule],
    pub doors: &'a [ArchivedDoorLine],
    pub hash_key: (u64, u64),
    pub keys: &'a [u32_ule],
    pub schedules: &'a [ArchivedScheduleLine],
    pub base: i64,
    pub horizon: (i64, i64),
    pub shift: u32,
    pub stretches: u32,
    pub wide: &'a [ArchivedWideLine],
    pub by_id: &'a [ArchivedIdLine],
    pub by_id_displacements: &'a [u16_ule],
    pub by_id_places: u32,
    pub cards_places: u32,
    pub cards: &'a [ArchivedCardLine],
    pub cards_displacements: &'a [u16_ule],
    pub deliveries: u32,
    pub property: PropertyId,
    pub sorted: &'a [ArchivedSortedEntry],
    pub openings: &'a [ArchivedOpening],
    pub spill: &'a [ArchivedSpilledHolding],
    pub details: &'a [ArchivedDetail],
    pub rows: &'a [u16_ule],
    pub schedule_count: u32,
}

impl<'a> View<'a> {
    fn new(bytes: &'a ArchiveBytes) -> Result<View<'a>, ArchiveError> {
        let archive = rkyv::access::<ArchivedIndexArchive, Error>(bytes).map_err(ArchiveError::Structure)?;
        let format = archive.format.to_native();
        if format != FORMAT {
            return Err(ArchiveError::Format { found: format });
        }
        let view = View {
            people: &archive.people,
            people_displacements: &archive.people_table.displacements,
            doors: &archive.doors,
            hash_key: (archive.hash_key.0.to_native(), archive.hash_key.1.to_native()),
            keys: &archive.keys,
            schedules: &archive.schedules,
            base: archive.base.to_native(),
            horizon: (archive.horizon.0.to_native(), archive.horizon.1.to_native()),
            shift: archive.shift.to_native(),
            stretches: archive.stretches.to_native(),
            wide: &archive.wide,
            by_id: &archive.by_id,
            by_id_displacements: &archive.by_id_table.displacements,
            by_id_places: archive.by_id_table.places.to_native(),
            cards_places: archive.cards_table.places.to_native(),
            cards: &archive.cards,
            cards_displacements: &archive.cards_table.displacements,
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

    /// The place where the person with this mobile identity stands, if anywhere.
    #[inline(always)]
    pub fn person_place(&self, mobile: u64) -> usize {
        let hash = hash_mobile(self.hash_key, mobile);
        located(hash, self.people_displacements, self.people.len())
    }

    /// The place of the person with this card.
    #[inline(always)]
    pub fn card_place(&self, bytes: &[u8]) -> usize {
        located(hash_card(self.hash_key, bytes), self.cards_displacements, self.cards_places as usize)
    }

    #[inline(always)]
    pub fn card_slot(&self, place: usize) -> Option<&'a ArchivedCardSlot> {
        self.cards.get(place / CARDS_PER_LINE)?.slots.get(place % CARDS_PER_LINE)
    }

    #[inline(always)]
    pub fn id_place(&self, id: u32) -> usize {
        located(hash_id(self.hash_key, id), self.by_id_displacements, self.by_id_places as usize)
    }

    #[inline(always)]
    pub fn id_slot(&self, place: usize) -> Option<&'a ArchivedIdSlot> {
        self.by_id.get(place / IDS_PER_LINE)?.slots.get(place % IDS_PER_LINE)
    }

    /// A list in `rows`: excepted slots or a share's rows. `reference` is one more than its place.
    pub fn list(&self, reference: u32) -> Option<&'a [u16_ule]> {
        let at = (reference as usize).checked_sub(1)?;
        let len = usize::from(self.rows.get(at)?.to_native());
        self.rows.get(at + 1..at + 1 + len)
    }

    /// The openings of a cold schedule.
    pub fn cold(&self, line: &ArchivedScheduleLine) -> Option<&'a [ArchivedOpening]> {
        let at = line.changes.first()?.to_native() as usize;
        let len = line.changes.get(1)?.to_native() as usize;
        self.openings.get(at..at.checked_add(len)?)
    }
}

#[inline(always)]
fn located(hash: u64, displacements: &[u16_ule], places: usize) -> usize {
    let displacement = displacements.get(place::bucket(hash, displacements.len())).map_or(0, |d| d.to_native());
    place::place(hash, displacement, places)
}

#[inline(always)]
pub(super) fn hash_mobile(key: (u64, u64), mobile: u64) -> u64 {
    SipHasher13::new_with_keys(key.0, key.1).hash(&mobile.to_le_bytes())
}

/// Cards of different lengths differ: SipHash takes the length in.
pub(super) fn hash_card(key: (u64, u64), bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(key.0, key.1).hash(bytes)
}

/// Ids are ours, nobody chooses them: mixing is enough.
#[inline(always)]
pub(super) fn hash_id(key: (u64, u64), id: u32) -> u64 {
    let mixed = (u64::from(id) ^ key.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// Whether every number in an archive means something.
impl View<'_> {
    fn verify(&self) -> Result<(), ArchiveError> {
        let right = |what, outcome: Option<()>| outcome.ok_or(ArchiveError::Meaning(what));
        right("sizes", self.verify_sizes())?;
        right("schedules", self.verify_schedules())?;
        right("doors", self.verify_doors())?;
        right("people", self.verify_people())?;
        right("cards", self.verify_cards())?;
        right("ids", self.verify_ids())
    }

    fn verify_sizes(&self) -> Option<()> {
        let lines = |places: u32, per_line: usize| (places as usize).div_ceil(per_line);
        ensure(self.horizon.0 <= self.horizon.1 && self.shift < 32)?;
        ensure(self.base <= self.horizon.0 || self.horizon.0 == i64::MIN)?;
        ensure(self.keys.len() < usize::from(ABSENT) && self.doors.len() < usize::from(u16::MAX))?;
        ensure(self.people.len() < u32::MAX as usize && !self.people_displacements.is_empty())?;
        ensure(!self.cards_displacements.is_empty() && !self.by_id_displacements.is_empty())?;
        ensure(self.cards.len() == lines(self.cards_places, CARDS_PER_LINE))?;
        ensure(self.by_id.len() == lines(self.by_id_places, IDS_PER_LINE))?;
        ensure(self.stretches >= 1 && self.schedule_count as usize <= SCHEDULES_MAX)?;
        ensure(self.schedules.len() as u64 == u64::from(self.schedule_count) * u64::from(self.stretches))
    }

    fn verify_schedules(&self) -> Option<()> {
        self.schedules.chunks(self.stretches as usize).try_for_each(|lines| {
            if lines.first()?.head.to_native() & COLD != 0 {
                return self.verify_cold(lines);
            }
            let mut open = lines.first()?.head.to_native() & OPEN_AT_START;
            let mut stretch_from = 0_u64;
            lines.iter().try_for_each(|line| {
                let stretch_to = stretch_from + (1 << self.shift);
                ensure(line.head.to_native() == open)?;
                let mut after = None;
                line.changes.iter().map(|c| c.to_native()).try_for_each(|change| {
                    if change == u32::MAX {
                        after = Some(u32::MAX);
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

    fn verify_cold(&self, lines: &[ArchivedScheduleLine]) -> Option<()> {
        let first = lines.first()?;
        ensure(lines.iter().all(|line| line.head == first.head && line.changes == first.changes))?;
        ensure(first.head.to_native() == COLD)?;
        let openings = self.cold(first)?;
        ensure(openings.iter().all(|opening| opening.from.to_native() < opening.to.to_native()))?;
        ensure(openings.windows(2).all(|pair| match pair {
            [a, b] => a.to.to_native() <= b.from.to_native(),
            _ => false,
        }))
    }

    fn verify_doors(&self) -> Option<()> {
        ensure(ascending(self.doors.iter().map(|door| door.id.to_native())))?;
        self.doors.iter().try_for_each(|door| {
            ensure(door.id.to_native() != 0 && door.flags & !DELIVERS == 0)?;
            if door.lockdown.to_native() != 0 {
                self.verify_list(door.lockdown.to_native(), self.keys.len())?;
            }
            let count = usize::from(door.count.to_native());
            let at = door.at.to_native() as usize;
            match door.form {
                KEYS_INLINE => {
                    ensure(count <= INLINE_KEYS)?;
                    self.verify_slots(door.slots.iter().take(count).map(|slot| slot.to_native()))?;
                    ensure(door.any.iter().take(count).all(|opens| self.opens(opens.to_native())))?;
                    ensure(door.code.iter().take(count).all(|opens| self.opens_code(opens.to_native())))
                }
                KEYS_WIDE => {
                    let lines = self.wide.get(at..at + self.keys.len().div_ceil(WIDE_PER_LINE))?;
                    let mut present = 0;
                    for entry in lines.iter().flat_map(|line| &line.entries) {
                        let (any, code) = (entry.any.to_native(), entry.code.to_native());
                        ensure(any == ABSENT || self.opens(any) && self.opens_code(code))?;
                        present += usize::from(any != ABSENT);
                    }
                    ensure(present == count)
                }
                KEYS_SORTED => {
                    let entries = self.sorted.get(at..at + count)?;
                    self.verify_slots(entries.iter().map(|entry| entry.slot.to_native()))?;
                    ensure(entries.iter().all(|e| self.opens(e.any.to_native()) && self.opens_code(e.code.to_native())))
                }
                _ => None,
            }
        })
    }

    fn verify_people(&self) -> Option<()> {
        let known = OCCUPIED | SUSPENDED | SPILLED;
        self.people.iter().enumerate().filter(|(_, person)| person.flags != 0).try_for_each(|(place, person)| {
            ensure(person.flags & OCCUPIED != 0 && person.flags & !known == 0 && person.id.to_native() != 0)?;
            ensure(self.person_place(person.mobile.to_native()) == place)?;
            let (at, len) = (person.at.to_native() as usize, person.len.to_native() as usize);
            if person.flags & SPILLED != 0 {
                ensure(person.count == 0 && person.detailed.to_native() == 0)?;
                return self.spill.get(at..at.checked_add(len)?)?.iter().try_for_each(|holding| {
                    ensure((holding.slot.to_native() as usize) < self.keys.len())?;
                    match (holding.detail.to_native() as usize).checked_sub(1) {
                        None => Some(()),
                        Some(detail) => self.verify_detail(self.details.get(detail)?),
                    }
                });
            }
            let count = usize::from(person.count);
            ensure(count <= INLINE_HOLDINGS)?;
            ensure(person.slots.iter().take(count).all(|slot| usize::from(slot.to_native()) < self.keys.len()))?;
            let detailed = person.detailed.to_native();
            ensure(u32::from(detailed) >> count == 0)?;
            if detailed != 0 {
                self.verify_detail(&person.first)?;
            }
            ensure(len == (detailed.count_ones() as usize).saturating_sub(1))?;
            self.details.get(at..at.checked_add(len)?)?.iter().try_for_each(|detail| self.verify_detail(detail))
        })
    }

    fn verify_detail(&self, detail: &ArchivedDetail) -> Option<()> {
        match detail.doors.to_native() {
            0 => Some(()),
            doors => self.verify_list(doors, self.doors.len()),
        }
    }

    fn verify_cards(&self) -> Option<()> {
        self.cards.iter().flat_map(|line| &line.slots).enumerate().filter(|(_, slot)| slot.length != 0).try_for_each(
            |(place, slot)| {
                let bytes = slot.bytes.get(..usize::from(slot.length))?;
                ensure(Card::new(bytes).is_some() && self.card_place(bytes) == place)?;
                self.verify_person_at(slot.person.to_native())?;
                Some(())
            },
        )
    }

    fn verify_ids(&self) -> Option<()> {
        let mut listed = 0;
        for (place, slot) in self.by_id.iter().flat_map(|line| &line.slots).enumerate() {
            if slot.id.to_native() != 0 {
                ensure(self.id_place(slot.id.to_native()) == place)?;
                ensure(self.verify_person_at(slot.person.to_native())?.id == slot.id)?;
                listed += 1;
            }
        }
        ensure(listed == self.people.iter().filter(|person| person.flags != 0).count())
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
        opens == NEVER || opens == ALWAYS || u32::from(opens) < self.schedule_count
    }

    fn opens_code(&self, opens: u16) -> bool {
        opens == NO_CODE || self.opens(opens)
    }
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
            let Ok(loaded) = Loaded::new(bytes) else {
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
