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
        ABSENT, AFTER_DOORS, ALWAYS, ArchiveBytes, COLD, CardLine, CardNumber, CardSlot, DELIVERS, DENSE_KEYS_MAX,
        DOOR_HEAD, Detail, EVER, FORMAT, INLINE_CHANGES, INLINE_HOLDINGS, IndexArchive, NEVER, NO_CHANGE, NO_CODE,
        NO_PAIRS, NO_PERIOD, OCCUPIED, OPEN_AT_START, OWN_SCHEDULES, Opening, PAIRS, PairLine, PersonLine,
        SCHEDULES_MAX, SORTED, SPILLED, SUSPENDED, ScheduleLine, SortedEntry, SpilledHolding, Table, hash_card,
        hash_mobile, period_at,
    },
    place::{self, Arrangement},
    source::{DoorKey, DoorSource, Holding, Opens, PersonSource, PropertySource},
};

/// Keys of the hash to try before giving up on placing credentials. One nearly always does.
const ATTEMPTS: u64 = 16;
/// The most lines to a schedule; one that needs more is kept as a list.
const STRETCHES_MAX: u64 = 16;
/// Lines of pairs that are tried for room before another is begun.
const PAIR_LINES_TRIED: usize = 16;
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
            pairs: Vec::new(),
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
            self.door(door)?;
        }
        self.archive.doors.extend([[0; 64]; AFTER_DOORS / 64]);
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
        let base = horizon.0.div_euclid(SECOND);
        let seconds = (horizon.1.div_euclid(SECOND) - base).max(0) as u64 + 1;
        let changes: Vec<Option<Vec<u32>>> =
            merged.iter().map(|openings| changes(openings, horizon, seconds)).collect();
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

    fn door(&mut self, door: &'a DoorSource) -> Result<(), CompileError> {
        let lockdown = match &door.lockdown {
            Some(excepted) => self.list(excepted)?,
            None => 0,
        };
        let count = u16::try_from(door.keys.len()).map_err(|_| self.too_many("Keys at a door"))?;
        let delivers = if door.delivers { DELIVERS } else { 0 };
        let dense = if self.source.keys.len() <= DENSE_KEYS_MAX { self.pairs(&door.keys) } else { None };
        let (at, pairs, flags) = match dense {
            Some(pairs) => (0, pairs, delivers),
            None => (self.sorted(&door.keys)?, NO_PAIRS, delivers | SORTED),
        };
        let head = [door.id.0, lockdown, at, u32::from(count) | u32::from(pairs) << 16, flags];
        let mut bytes = vec![0; self.archive.door_lines as usize * 64];
        bytes.iter_mut().zip(head.iter().flat_map(|word| word.to_le_bytes())).for_each(|(to, byte)| *to = byte);
        if dense.is_some() {
            self.slots(&door.keys, pairs, &mut bytes)?;
        }
        self.archive.doors.extend_from_slice(bytes.as_chunks().0);
        Ok(())
    }

    /// Writes the half byte of each Key's slot.
    fn slots(&self, keys: &[DoorKey], pairs: u16, bytes: &mut [u8]) -> Result<(), CompileError> {
        let pairs = self.archive.pairs.get(usize::from(pairs));
        for key in keys {
            let pair = pairs.and_then(|pairs| number(pairs, opens(key.any), opens_code(key)));
            let both = bytes.get_mut(DOOR_HEAD + usize::from(key.slot) / 2).filter(|_| self.has_slot(key.slot));
            let (Some(pair), Some(both)) = (pair, both) else { return Err(self.dangling()) };
            *both |= pair << (key.slot % 2 * 4);
        }
        Ok(())
    }

    /// Lists the Keys of a door by slot; returns where.
    fn sorted(&mut self, keys: &[DoorKey]) -> Result<u32, CompileError> {
        let at = u32::try_from(self.archive.sorted.len()).map_err(|_| self.too_many("Keys at doors"))?;
        let entry = |key: &DoorKey| SortedEntry { slot: key.slot, any: opens(key.any), code: opens_code(key) };
        self.archive.sorted.extend(keys.iter().map(entry));
        Ok(at)
    }

    fn has_slot(&self, slot: u16) -> bool {
        usize::from(slot) < self.source.keys.len()
    }

    /// Where pairs stand that tell when these Keys open a door: some that other doors have too, where these have room
    /// for what is missing; else new ones. `None` where they are too many.
    fn pairs(&mut self, keys: &[DoorKey]) -> Option<u16> {
        let mut wanted: Vec<(u16, u16)> = keys.iter().map(|key| (opens(key.any), opens_code(key))).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let empty = PairLine { pairs: [[ABSENT; PAIRS]; 2] };
        let all = self.archive.pairs.iter().copied().chain([empty]).zip(0..NO_PAIRS);
        let mut latest = all.skip((self.archive.pairs.len() + 1).saturating_sub(PAIR_LINES_TRIED));
        let (line, at) = latest.find_map(|(line, at)| Some((with(line, &wanted)?, at)))?;
        match self.archive.pairs.get_mut(usize::from(at)) {
            Some(known) => *known = line,
            None => self.archive.pairs.push(line),
        }
        Some(at)
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
                None => PersonLine { period: NO_PERIOD, ..PersonLine::default() },
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
            period: NO_PERIOD,
            slots: [self.source.keys.len() as u16; INLINE_HOLDINGS],
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
                    0 => (line.extra, line.period) = (detail.words(), period_at(1 << i, &detail)),
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
            let CardNumber { low, rest } = number;
            let person = place_of.get(*row).copied().unwrap_or(u32::MAX);
            let free = from(lines, home).flat_map(|line| &mut line.slots).find(|slot| slot.rest == 0);
            *free.expect("there are more places than cards") = CardSlot { low, rest, person };
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

/// Lines to a door of a property with so many Keys: one slot more than there are stands there, which none has.
fn door_lines(keys: usize) -> u32 {
    if keys <= DENSE_KEYS_MAX { (DOOR_HEAD + keys / 2 + 1).div_ceil(64) as u32 } else { 1 }
}

/// The number of a pair; never 0.
fn number(line: &PairLine, any: u16, code: u16) -> Option<u8> {
    let [anys, codes] = &line.pairs;
    let at = anys.iter().zip(codes).position(|(a, c)| (*a, *c) == (any, code));
    at.filter(|_| any != ABSENT).map(|at| at as u8)
}

/// The line with these pairs too, where it has room.
fn with(mut line: PairLine, wanted: &[(u16, u16)]) -> Option<PairLine> {
    for (any, code) in wanted.iter().copied() {
        if number(&line, any, code).is_none() {
            let free = line.pairs[0].iter().skip(1).position(|any| *any == ABSENT)? + 1;
            (*line.pairs[0].get_mut(free)?, *line.pairs[1].get_mut(free)?) = (any, code);
        }
    }
    Some(line)
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

/// The seconds from the horizon's first at which a schedule opens and closes inside the horizon; `None` where one lies
/// between seconds or the horizon is too long to be counted so.
fn changes(openings: &[(i64, i64)], (begin, end): (i64, i64), seconds: u64) -> Option<Vec<u32>> {
    if seconds >= u64::from(NO_CHANGE) {
        return None;
    }
    let second = |at: i64| {
        if at % SECOND == 0 { u32::try_from(at / SECOND - begin.div_euclid(SECOND)).ok() } else { None }
    };
    let mut changes = Vec::new();
    for (from, to) in openings.iter().filter(|(from, to)| *to > begin && *from < end) {
        // What was open before the horizon is open from its first second on: nobody asks before.
        changes.push(if *from <= begin { 0 } else { second(*from)? });
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
        assert_eq!(Loaded::new(&first).unwrap().property(), world.source.property);
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
