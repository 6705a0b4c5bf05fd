//! Compiles a property's plain form into its archive. Equal sources and keys give equal bytes.

use std::collections::{HashMap, HashSet};

use keyward_protocol::{
    code::Card,
    id::{KeyId, PersonId, PropertyId},
    time::Moment,
};
use rkyv::rancor::Error;

use super::{
    archive::{
        ABSENT, ALWAYS, ArchiveBytes, AtDoorLine, COLD, CardLine, CardNumber, CardSlot, DELIVERS, DENSE_KEYS_MAX,
        Detail, DoorLine, EVER, FORMAT, INLINE_CHANGES, INLINE_HOLDINGS, IndexArchive, KEYS_SORTED, NEVER, NO_CODE,
        OCCUPIED, OPEN_AT_START, OWN_SCHEDULES, Opening, PAIRS, PersonLine, SCHEDULES_MAX, SLOTS_PER_LINE, SPILLED,
        SUSPENDED, ScheduleLine, SortedEntry, SpilledHolding, Table, hash_card, hash_mobile,
    },
    place::{self, Arrangement},
    source::{DoorKey, DoorSource, Holding, Opens, PersonSource, PropertySource},
};

/// Keys of the hash to try before giving up on placing credentials. One nearly always does.
const ATTEMPTS: u64 = 16;
/// The most lines to a schedule; one that needs more is kept as a list.
const STRETCHES_MAX: u64 = 16;
const SECOND: i64 = 1_000_000;
/// Of the places in a line, so many are filled on average: few lines are full.
const CARDS_PER_LINE_FILLED: usize = 2;

/// Why a property can't be compiled. None of this happens to a Directory that keeps the limits.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CompileError {
    /// More than the index can number.
    #[error("{property} has too many {what} to be compiled")]
    TooMany {
        /// Which property.
        property: PropertyId,
        /// Of what.
        what: &'static str,
    },
    /// Two people, or one twice, have the same identity or card.
    #[error("in {property} two people have the same {what}")]
    Shared {
        /// Which property.
        property: PropertyId,
        /// `mobile identity` or `card`.
        what: &'static str,
    },
    /// A slot or row that is not there.
    #[error("{property} names a Key or door that it does not have")]
    Dangling {
        /// Which property.
        property: PropertyId,
    },
}

/// Compiles one property. `hash_key` is secret: it keeps others from choosing credentials that fall together.
pub fn compile(source: &PropertySource, hash_key: (u64, u64)) -> Result<ArchiveBytes, CompileError> {
    let archive = Compiler::new(source).compile(hash_key)?;
    Ok(rkyv::api::high::to_bytes_in::<_, Error>(&archive, ArchiveBytes::new())
        .expect("writing flat lists to memory can't fail"))
}

struct Compiler<'a> {
    source: &'a PropertySource,
    archive: IndexArchive,
    lists: HashMap<&'a [u16], u32>,
}

impl<'a> Compiler<'a> {
    fn new(source: &'a PropertySource) -> Compiler<'a> {
        let archive = IndexArchive {
            format: FORMAT,
            property: source.property.0,
            hash_key: (0, 0),
            horizon: (source.horizon.0.as_micros(), source.horizon.1.as_micros()),
            base: 0,
            shift: 0,
            stretches: 1,
            schedule_count: 0,
            door_lines: door_lines(source.keys.len()),
            deliveries: source.deliveries.map_or(0, |key| key.0),
            keys: source.keys.iter().map(|KeyId(key)| *key).collect(),
            people: Vec::new(),
            people_table: Table::default(),
            cards: Vec::new(),
            doors: Vec::with_capacity(source.doors.len()),
            at_doors: Vec::new(),
            sorted: Vec::new(),
            schedules: Vec::new(),
            openings: Vec::new(),
            spill: Vec::new(),
            details: Vec::new(),
            rows: Vec::new(),
        };
        Compiler { source, archive, lists: HashMap::new() }
    }

    fn compile(mut self, hash_key: (u64, u64)) -> Result<IndexArchive, CompileError> {
        self.check_sizes()?;
        self.schedules()?;
        for door in &self.source.doors {
            let line = self.door(door)?;
            self.archive.doors.push(line);
        }
        self.place_people(hash_key)?;
        Ok(self.archive)
    }

    fn check_sizes(&self) -> Result<(), CompileError> {
        let source = self.source;
        let within = |len: usize, max: usize, what| if len < max { Ok(()) } else { Err(self.too_many(what)) };
        within(source.keys.len(), usize::from(ABSENT), "Keys")?;
        within(source.doors.len(), usize::from(u16::MAX), "doors")?;
        within(source.schedules.len() + usize::from(OWN_SCHEDULES), SCHEDULES_MAX, "schedules")?;
        within(source.people.len(), (u32::MAX / 4) as usize, "people")
    }

    fn schedules(&mut self) -> Result<(), CompileError> {
        let merged: Vec<Vec<(i64, i64)>> = self.source.schedules.iter().map(|openings| merge(openings)).collect();
        let horizon = self.archive.horizon;
        let base = horizon.0.div_euclid(SECOND).checked_mul(SECOND).unwrap_or(horizon.0);
        let seconds = (i128::from(horizon.1) - i128::from(base)).max(0) as u128 / SECOND as u128 + 1;
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        let changes: Vec<Option<Vec<u32>>> =
            merged.iter().map(|openings| changes(openings, base, horizon.1, seconds)).collect();
        let (shift, stretches) = stretch(&changes, seconds);
        for head in [0, OPEN_AT_START | EVER] {
            let line = ScheduleLine::new(head);
            self.archive.schedules.extend((0..stretches).map(|_| line));
        }
        for (openings, changes) in merged.iter().zip(&changes) {
            match changes.as_ref().filter(|changes| fits(changes, shift)) {
                Some(changes) => self.schedule_lines(changes, shift, stretches),
                None => self.cold_lines(openings, stretches)?,
            }
        }
        self.archive.base = base;
        self.archive.shift = shift;
        self.archive.stretches = stretches;
        self.archive.schedule_count = merged.len() as u32 + u32::from(OWN_SCHEDULES);
        Ok(())
    }

    fn schedule_lines(&mut self, changes: &[u32], shift: u32, stretches: u32) {
        let mut open = 0;
        for stretch in 0..stretches {
            let mut line = ScheduleLine::new(open);
            let inside = changes.iter().filter(|change| *change >> shift == stretch);
            for (to, change) in line.changes_mut().zip(inside) {
                *to = *change;
                open ^= OPEN_AT_START;
            }
            self.archive.schedules.push(line);
        }
    }

    fn cold_lines(&mut self, openings: &[(i64, i64)], stretches: u32) -> Result<(), CompileError> {
        let mut line = ScheduleLine::new(COLD);
        let at = u32::try_from(self.archive.openings.len()).map_err(|_| self.too_many("openings"))?;
        let len = u32::try_from(openings.len()).map_err(|_| self.too_many("openings"))?;
        line.changes_mut().zip([at, len]).for_each(|(to, word)| *to = word);
        self.archive.openings.extend(openings.iter().map(|(from, to)| Opening { from: *from, to: *to }));
        self.archive.schedules.extend((0..stretches).map(|_| line));
        Ok(())
    }

    fn door(&mut self, door: &'a DoorSource) -> Result<DoorLine, CompileError> {
        let mut line = DoorLine {
            id: door.id.0,
            lockdown: match &door.lockdown {
                Some(excepted) => self.list(excepted)?,
                None => 0,
            },
            count: u16::try_from(door.keys.len()).map_err(|_| self.too_many("Keys at a door"))?,
            flags: if door.delivers { DELIVERS } else { 0 },
            ..DoorLine::default()
        };
        if !self.dense(&door.keys, &mut line)? {
            line.form = KEYS_SORTED;
            line.at = u32::try_from(self.archive.sorted.len()).map_err(|_| self.too_many("Keys at doors"))?;
            let entries =
                door.keys.iter().map(|key| SortedEntry { slot: key.slot, any: opens(key.any), code: opens_code(key) });
            self.archive.sorted.extend(entries);
        }
        Ok(line)
    }

    /// Writes the door's lines of `at_doors`, and its pairs into its own. Where the pairs are too many for it, or there
    /// are no such lines, `false`: nothing there has the door.
    fn dense(&mut self, keys: &[DoorKey], line: &mut DoorLine) -> Result<bool, CompileError> {
        let mut lines: Vec<AtDoorLine> = vec![[0; SLOTS_PER_LINE / 2]; self.archive.door_lines as usize];
        let mut pairs = vec![(ABSENT, ABSENT)];
        line.pairs = [[ABSENT; PAIRS]; 2];
        for key in keys {
            let pair = (opens(key.any), opens_code(key));
            if pairs.len() > PAIRS {
                break;
            }
            let number = pairs.iter().position(|other| *other == pair).unwrap_or_else(|| {
                pairs.push(pair);
                pairs.len() - 1
            });
            let slot = usize::from(key.slot);
            if slot >= self.source.keys.len() {
                return Err(self.dangling());
            }
            let both = lines.get_mut(slot / SLOTS_PER_LINE);
            if let Some(both) = both.and_then(|line| line.get_mut(slot % SLOTS_PER_LINE / 2)) {
                // Where there are more than half a byte can tell, nothing of this is kept.
                *both |= (number as u8 & 0xF) << (slot % 2 * 4);
            }
        }
        let fits = pairs.len() <= PAIRS && (keys.is_empty() || !lines.is_empty());
        if fits {
            let [any, code] = &mut line.pairs;
            for ((any, code), pair) in any.iter_mut().zip(code).zip(&pairs) {
                (*any, *code) = *pair;
            }
        } else {
            lines.fill([0; SLOTS_PER_LINE / 2]);
        }
        self.archive.at_doors.append(&mut lines);
        Ok(fits)
    }

    fn place_people(&mut self, hash_key: (u64, u64)) -> Result<(), CompileError> {
        let people = &self.source.people;
        let cards: Vec<(usize, Card)> = (people.iter().enumerate())
            .flat_map(|(row, person)| person.cards.iter().map(move |card| (row, *card)))
            .collect();
        self.check_distinct(&cards)?;
        let (hash_key, by_mobile) = (0..ATTEMPTS)
            .find_map(|attempt| {
                let key = (hash_key.0, hash_key.1.wrapping_add(attempt));
                let hashes: Vec<u64> = people.iter().map(|person| hash_mobile(key, person.mobile)).collect();
                Some((key, place::arrange(&hashes)?))
            })
            .ok_or_else(|| self.too_many("people that fall together"))?;
        self.archive.hash_key = hash_key;
        let place_of = places_by_row(&by_mobile, people.len());
        self.people(by_mobile)?;
        self.cards(&cards, &place_of);
        Ok(())
    }

    fn check_distinct(&self, cards: &[(usize, Card)]) -> Result<(), CompileError> {
        let shared = |what| CompileError::Shared { property: self.source.property, what };
        let mut mobiles = HashSet::with_capacity(self.source.people.len());
        if !self.source.people.iter().all(|person| mobiles.insert(person.mobile)) {
            return Err(shared("mobile identity"));
        }
        let mut seen = HashSet::with_capacity(cards.len());
        if cards.iter().all(|(_, card)| seen.insert(*card)) { Ok(()) } else { Err(shared("card")) }
    }

    fn people(&mut self, arrangement: Arrangement) -> Result<(), CompileError> {
        let people = &self.source.people;
        for item in &arrangement.places {
            let line = match item.and_then(|item| people.get(item as usize)) {
                Some(person) => self.person(person)?,
                None => PersonLine::default(),
            };
            self.archive.people.push(line);
        }
        self.archive.people_table = table(arrangement);
        Ok(())
    }

    fn person(&mut self, person: &'a PersonSource) -> Result<PersonLine, CompileError> {
        let mut line = PersonLine {
            mobile: person.mobile,
            id: person.id.0,
            flags: OCCUPIED | if person.suspended { SUSPENDED } else { 0 },
            ..PersonLine::default()
        };
        if person.holdings.len() > INLINE_HOLDINGS {
            self.spill(person, &mut line)?;
            return Ok(line);
        }
        let details_at = self.archive.details.len();
        line.at = u32::try_from(details_at).map_err(|_| self.too_many("periods"))?;
        for (i, (to, holding)) in line.slots.iter_mut().zip(&person.holdings).enumerate() {
            *to = holding.slot;
            line.count += 1;
            if let Some(detail) = self.detail(holding)? {
                match line.detailed {
                    0 => line.extra = detail.words(),
                    _ => self.archive.details.push(detail),
                }
                line.detailed |= 1 << i;
            }
        }
        line.len = (self.archive.details.len() - details_at) as u32;
        if line.detailed == 0 {
            for (to, holding) in line.extra.iter_mut().zip(&person.holdings) {
                *to = self.source.keys.get(usize::from(holding.slot)).ok_or_else(|| self.dangling())?.0;
            }
        }
        Ok(line)
    }

    fn spill(&mut self, person: &'a PersonSource, line: &mut PersonLine) -> Result<(), CompileError> {
        line.flags |= SPILLED;
        line.at = u32::try_from(self.archive.spill.len()).map_err(|_| self.too_many("givings"))?;
        line.len = u32::try_from(person.holdings.len()).map_err(|_| self.too_many("givings"))?;
        for holding in &person.holdings {
            let detail = match self.detail(holding)? {
                None => 0,
                Some(detail) => {
                    self.archive.details.push(detail);
                    u32::try_from(self.archive.details.len()).map_err(|_| self.too_many("periods"))?
                }
            };
            self.archive.spill.push(SpilledHolding { slot: u32::from(holding.slot), detail });
        }
        Ok(())
    }

    /// What a holding has beside its Key, if anything.
    fn detail(&mut self, holding: &'a Holding) -> Result<Option<Detail>, CompileError> {
        let plain = holding.from == Moment::MIN && holding.until == Moment::MAX;
        if plain && holding.host == PersonId::NONE && holding.doors.is_none() {
            return Ok(None);
        }
        let doors = match &holding.doors {
            Some(rows) => self.list(rows)?,
            None => 0,
        };
        let (from, until) = (holding.from.as_micros(), holding.until.as_micros());
        Ok(Some(Detail { from, until, host: holding.host.0, doors }))
    }

    /// One more than the place of a list in `rows`; equal lists stand there once.
    fn list(&mut self, list: &'a [u16]) -> Result<u32, CompileError> {
        if let Some(reference) = self.lists.get(list) {
            return Ok(*reference);
        }
        let rows = &mut self.archive.rows;
        let reference = u32::try_from(rows.len() + 1).ok();
        let (Some(reference), Ok(len)) = (reference, u16::try_from(list.len())) else {
            return Err(self.too_many("doors in shares"));
        };
        rows.push(len);
        rows.extend_from_slice(list);
        self.lists.insert(list, reference);
        Ok(reference)
    }

    fn cards(&mut self, cards: &[(usize, Card)], place_of: &[u32]) {
        let lines = &mut self.archive.cards;
        lines.resize(cards.len() / CARDS_PER_LINE_FILLED + 1, CardLine::default());
        for (row, card) in cards {
            let number = CardNumber::of(card);
            let home = place::bucket(hash_card(self.archive.hash_key, number), lines.len());
            let CardNumber { low, high, length } = number;
            let person = place_of.get(*row).copied().unwrap_or(u32::MAX);
            let free = from(lines, home).flat_map(|line| &mut line.slots).find(|slot| slot.length == 0);
            *free.expect("there are more places than cards") = CardSlot { low, high, length, unused: 0, person };
        }
    }

    fn too_many(&self, what: &'static str) -> CompileError {
        CompileError::TooMany { property: self.source.property, what }
    }

    fn dangling(&self) -> CompileError {
        CompileError::Dangling { property: self.source.property }
    }
}

/// The lines from this one on, around the end.
fn from<L>(lines: &mut [L], at: usize) -> impl Iterator<Item = &mut L> {
    let (before, from) = lines.split_at_mut(at);
    from.iter_mut().chain(before)
}

fn table(arrangement: Arrangement) -> Table {
    Table { places: arrangement.places.len() as u32, displacements: arrangement.displacements }
}

fn places_by_row(arrangement: &Arrangement, rows: usize) -> Vec<u32> {
    let mut place_of = vec![u32::MAX; rows];
    for (place, row) in (0_u32..).zip(&arrangement.places) {
        if let Some(to) = row.and_then(|row| place_of.get_mut(row as usize)) {
            *to = place;
        }
    }
    place_of
}

/// Lines of `at_doors` to a door of a property with so many Keys.
fn door_lines(keys: usize) -> u32 {
    if keys <= DENSE_KEYS_MAX { keys.div_ceil(SLOTS_PER_LINE) as u32 } else { 0 }
}

fn opens(opens: Opens) -> u16 {
    match opens {
        Opens::Never => NEVER,
        Opens::Always => ALWAYS,
        Opens::At(schedule) => schedule.saturating_add(OWN_SCHEDULES),
    }
}

fn opens_code(key: &DoorKey) -> u16 {
    if key.has_code { opens(key.code) } else { NO_CODE }
}

/// Openings that touch become one.
fn merge(openings: &[(Moment, Moment)]) -> Vec<(i64, i64)> {
    let mut merged: Vec<(i64, i64)> = Vec::with_capacity(openings.len());
    for (from, to) in openings {
        match merged.last_mut() {
            Some(last) if last.1 == from.as_micros() => last.1 = to.as_micros(),
            _ => merged.push((from.as_micros(), to.as_micros())),
        }
    }
    merged
}

/// The seconds from `base` at which a schedule opens and closes inside the horizon; `None` where one lies between
/// seconds or the horizon is too long to be counted so.
fn changes(openings: &[(i64, i64)], base: i64, end: i64, seconds: u64) -> Option<Vec<u32>> {
    if seconds >= u64::from(u32::MAX) {
        return None;
    }
    let second = |at: i64| {
        let micros = at - base;
        if micros % SECOND == 0 { u32::try_from(micros / SECOND).ok() } else { None }
    };
    let mut changes = Vec::new();
    for (from, to) in openings.iter().filter(|(from, to)| *to > base && *from < end) {
        changes.push(second((*from).max(base))?);
        // Nobody asks past the horizon, so what happens there need not be told.
        if *to < end {
            changes.push(second(*to)?);
        }
    }
    Some(changes)
}

/// The longest stretch for which every schedule's changes fit a line each, else the shortest one allowed: its
/// length as a power of two of seconds, and how many there are.
fn stretch(changes: &[Option<Vec<u32>>], seconds: u64) -> (u32, u32) {
    let stretches = |shift: u32| seconds.div_ceil(1 << shift);
    let allowed: Vec<u32> = (0..32).rev().filter(|shift| stretches(*shift) <= STRETCHES_MAX).collect();
    let all_fit = |shift: &u32| changes.iter().flatten().all(|changes| fits(changes, *shift));
    let shift = allowed.iter().copied().skip_while(|shift| *shift > 0 && stretches(*shift - 1) == 1).find(all_fit);
    match shift.or(allowed.last().copied()) {
        Some(shift) => (shift, stretches(shift) as u32),
        // The horizon is too long to be counted in seconds; every schedule is kept as a list.
        None => (31, 1),
    }
}

fn fits(changes: &[u32], shift: u32) -> bool {
    changes.chunk_by(|a, b| a >> shift == b >> shift).all(|stretch| stretch.len() <= INLINE_CHANGES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{archive::Loaded, testing};

    #[test]
    fn equal_sources_give_equal_bytes() {
        let world = testing::world(3);
        let first = compile(&world.source, (1, 2)).unwrap();
        assert_eq!(first.as_slice(), compile(&world.source, (1, 2)).unwrap().as_slice());
        assert_eq!(Loaded::new(first).unwrap().property(), world.source.property);
    }

    #[test]
    fn people_who_share_a_credential_are_refused() {
        let mut source = testing::world(3).source;
        let mut twin = source.people[0].clone();
        twin.id = PersonId(u32::MAX);
        source.people.push(twin);
        let expected = CompileError::Shared { property: source.property, what: "mobile identity" };
        assert_eq!(compile(&source, (1, 2)).unwrap_err(), expected);
    }

    #[test]
    fn stretches_are_as_long_as_lines_allow() {
        let day = 86_400;
        let daily: Vec<u32> = (0..14).flat_map(|d| [d * day + 8 * 3600, d * day + 18 * 3600]).collect();
        assert_eq!(stretch(&[Some(daily)], 14 * 86_400), (19, 3));
        assert_eq!(stretch(&[], 1), (0, 1));
        assert_eq!(stretch(&[None], u64::MAX), (31, 1));
    }
}
