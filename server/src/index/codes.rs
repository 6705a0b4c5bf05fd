//! The table of a property's door codes, by tag. In memory only: it is built from the vault and never stored.
//!
//! A code leads straight to its person's line in the property's index. So a table is good for that one index:
//! publication makes it, and moves it along when the property is compiled anew.

use std::{borrow::Cow, collections::HashMap, hint::select_unpredictable};

use keyward_protocol::{id::PersonId, time::Moment};

use super::{
    archive::{Loaded, OCCUPIED},
    memory::{MEMORY, Memory},
    prefetch::prefetch,
    source::{CodeSource, CodeState},
};

/// The keyed hash of a door and digits, as the vault makes it.
pub type Tag = [u8; 16];

const CODES_PER_LINE: usize = 4;
/// Of the four places in a line, this many are filled on average.
const CODES_PER_LINE_FILLED: usize = 3;

/// In a slot: the code is live, but its person has no line in the index.
const ELSEWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Default)]
struct CodeSlot {
    /// The first 96 bits of the tag. The other 32 choose the line.
    tag: TagHead,
    /// One more than the place of the person, or [`ELSEWHERE`]; 0 where no code stands here.
    person: u32,
}

type TagHead = [u32; 3];

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct CodeLine {
    slots: [CodeSlot; CODES_PER_LINE],
}

type Lines = allocator_api2::vec::Vec<CodeLine, Memory>;

/// The codes of one property: the live ones in cache lines, those in quarantine in a cold list.
#[derive(Clone)]
pub struct CodeTable {
    lines: Lines,
    /// Whose the codes are whose person has no line, sorted.
    elsewhere: Vec<(TagHead, PersonId)>,
    /// Sorted by tag.
    quarantined: Vec<(Tag, PersonId, Moment)>,
}

/// What a tag is at its door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FoundCode {
    /// A live code of the person at this place in the index.
    Live {
        /// The place.
        place: u32,
    },
    /// A live code of this person, who has no line in the index.
    Elsewhere(PersonId),
    /// This person's deleted code, and until when it is known as that (C6).
    Deleted(PersonId, Moment),
    /// Nobody's.
    Unknown,
}

impl CodeTable {
    /// Builds the table of the property that `index` is of. Where a tag is live and in quarantine, it is live; where
    /// it is twice in quarantine, the longer one counts.
    pub fn build(codes: &[CodeSource], index: &Loaded) -> CodeTable {
        let live = codes.iter().filter(|code| code.state == CodeState::Live).count();
        let mut lines = Lines::new_in(&MEMORY);
        lines.resize(live / CODES_PER_LINE_FILLED + 1, CodeLine::default());
        let mut table = CodeTable { lines, elsewhere: Vec::new(), quarantined: Vec::with_capacity(codes.len() - live) };
        let places = places(index);
        for code in codes {
            match code.state {
                CodeState::Live => table.insert(&code.tag, code.person, &places),
                CodeState::Quarantined { until } => table.quarantined.push((code.tag, code.person, until)),
            }
        }
        table.elsewhere.sort_unstable();
        table.quarantined.sort_unstable_by_key(|(tag, _, until)| (*tag, std::cmp::Reverse(*until)));
        table.quarantined.dedup_by_key(|(tag, ..)| *tag);
        table
    }

    fn insert(&mut self, tag: &Tag, person: PersonId, places: &HashMap<PersonId, u32>) {
        if find_live(&self.lines, tag) != 0 {
            return;
        }
        let (line, tag) = split(tag, self.lines.len());
        let (before, from) = self.lines.split_at_mut(line);
        let free = from.iter_mut().chain(before).flat_map(|line| &mut line.slots).find(|slot| slot.person == 0);
        let at = places.get(&person).map_or(ELSEWHERE, |place| place + 1);
        *free.expect("there are more places than live codes") = CodeSlot { tag, person: at };
        if at == ELSEWHERE {
            self.elsewhere.push((tag, person));
        }
    }

    /// The same codes for the index `to` of the property, where this table is for `from`.
    pub(super) fn moved(&self, from: &Loaded, to: &Loaded) -> Cow<'_, CodeTable> {
        let (before, after) = (&from.view().people, &to.view().people);
        if before.len() == after.len() && before.iter().zip(after.iter()).all(|(a, b)| a.id == b.id) {
            return Cow::Borrowed(self);
        }
        let places = places(to);
        let mut table = CodeTable { elsewhere: Vec::new(), ..self.clone() };
        for slot in table.lines.iter_mut().flat_map(|line| &mut line.slots).filter(|slot| slot.person != 0) {
            let person = match slot.person {
                ELSEWHERE => self.find_elsewhere(slot.tag),
                at => before.get(at as usize - 1).map(|person| PersonId(person.id.to_native())),
            };
            let person = person.unwrap_or(PersonId::NONE);
            slot.person = places.get(&person).map_or(ELSEWHERE, |place| place + 1);
            if slot.person == ELSEWHERE {
                table.elsewhere.push((slot.tag, person));
            }
        }
        table.elsewhere.sort_unstable();
        Cow::Owned(table)
    }

    /// The lines of the live codes; at least one.
    pub(super) fn lines(&self) -> &[CodeLine] {
        &self.lines
    }

    /// Looks a tag up.
    pub fn find(&self, tag: &Tag) -> FoundCode {
        match find_live(&self.lines, tag) {
            0 => self.find_quarantined(tag),
            ELSEWHERE => {
                let person = self.find_elsewhere(split(tag, self.lines.len()).1);
                person.map_or(FoundCode::Unknown, FoundCode::Elsewhere)
            }
            at => FoundCode::Live { place: at - 1 },
        }
    }

    fn find_elsewhere(&self, tag: TagHead) -> Option<PersonId> {
        let at = self.elsewhere.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        self.elsewhere.get(at).map(|(_, person)| *person)
    }

    /// Looks a tag up that is not live.
    #[cold]
    fn find_quarantined(&self, tag: &Tag) -> FoundCode {
        let found = self.quarantined.binary_search_by_key(tag, |(tag, ..)| *tag).ok();
        match found.and_then(|at| self.quarantined.get(at)) {
            Some((_, person, until)) => FoundCode::Deleted(*person, *until),
            None => FoundCode::Unknown,
        }
    }
}

/// Counts only: tags are nobody's business.
impl std::fmt::Debug for CodeTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeTable").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

/// Asks for the line where a tag would stand.
#[inline(always)]
pub(super) fn prefetch_code(lines: &[CodeLine], tag: &Tag) {
    prefetch(lines, split(tag, lines.len()).0);
}

/// Where everyone stands who has a line.
fn places(index: &Loaded) -> HashMap<PersonId, u32> {
    let people = (0..).zip(index.view().people).filter(|(_, person)| person.flags & OCCUPIED != 0);
    people.map(|(place, person)| (PersonId(person.id.to_native()), place)).collect()
}

/// Looks a tag up among the live codes: one more than the place of its person, or as much as no place can be; 0 where
/// it is not there.
#[inline(always)]
pub(super) fn find_live(lines: &[CodeLine], tag: &Tag) -> u32 {
    let (first, wanted) = split(tag, lines.len());
    let mut at = first;
    for _ in 0..lines.len() {
        let Some(line) = lines.get(at) else { break };
        // All are looked at: which one it is can't be guessed, so branches would cost more.
        let found =
            line.slots.iter().fold(0, |found, slot| select_unpredictable(same(slot.tag, wanted), slot.person, found));
        if (found != 0) | (line.slots[CODES_PER_LINE - 1].person == 0) {
            return found;
        }
        at = if at + 1 == lines.len() { 0 } else { at + 1 };
    }
    0
}

#[inline(always)]
fn same([a, b, c]: TagHead, [x, y, z]: TagHead) -> bool {
    (a ^ x) | (b ^ y) | (c ^ z) == 0
}

#[inline(always)]
fn split(tag: &Tag, lines: usize) -> (usize, TagHead) {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = *tag;
    let part = u32::from_le_bytes;
    let line = (u64::from(part([d0, d1, d2, d3])) * lines as u64) >> 32;
    (line as usize, [part([a0, a1, a2, a3]), part([b0, b1, b2, b3]), part([c0, c1, c2, c3])])
}

#[cfg(test)]
mod tests {
    use keyward_protocol::id::{DoorId, KeyId, PropertyId};

    use super::*;
    use crate::index::{
        compile::compile,
        source::{PersonSource, PropertySource},
    };

    fn code(tag: Tag, person: u32, state: CodeState) -> CodeSource {
        CodeSource { tag, door: DoorId(1), person: PersonId(person), state }
    }

    /// The index of a property where these people have a line.
    fn index(people: impl IntoIterator<Item = u32>) -> Loaded {
        let person = |id: u32| PersonSource {
            id: PersonId(id),
            suspended: false,
            mobile: u64::from(id) << 7,
            cards: Vec::new(),
            holdings: Vec::new(),
        };
        let source = PropertySource {
            property: PropertyId(1),
            horizon: (Moment::MIN, Moment::MAX),
            keys: vec![KeyId(1)],
            deliveries: None,
            schedules: Vec::new(),
            doors: Vec::new(),
            people: people.into_iter().map(person).collect(),
        };
        Loaded::new(&compile(&source, (5, 6)).unwrap()).unwrap()
    }

    /// Whose a tag is, by whichever way.
    fn whose(table: &CodeTable, index: &Loaded, tag: &Tag) -> Option<PersonId> {
        match table.find(tag) {
            FoundCode::Live { place } => Some(PersonId(index.view().people[place as usize].id.to_native())),
            FoundCode::Elsewhere(person) => Some(person),
            _ => None,
        }
    }

    #[test]
    fn full_lines_run_on_into_the_next_and_around_the_end() {
        let index = index(1..=40);
        for last in [[0; 4], [0xFF; 4]] {
            let tag = |n: u8| {
                let mut tag = [n; 16];
                tag[12..].copy_from_slice(&last);
                tag
            };
            let codes: Vec<_> = (1..=40).map(|n| code(tag(n), u32::from(n), CodeState::Live)).collect();
            let table = CodeTable::build(&codes, &index);
            for n in 1..=40 {
                assert!(matches!(table.find(&tag(n)), FoundCode::Live { .. }));
                assert_eq!(whose(&table, &index, &tag(n)), Some(PersonId(u32::from(n))));
            }
            assert_eq!(table.find(&tag(41)), FoundCode::Unknown);
        }
    }

    // C6
    #[test]
    fn deleted_codes_are_known_as_such_and_live_ones_come_first() {
        let until = |micros| CodeState::Quarantined { until: Moment::from_micros(micros) };
        let index = index([1, 2, 3]);
        let codes = [
            code([1; 16], 1, until(5)),
            code([1; 16], 2, until(9)),
            code([2; 16], 3, until(5)),
            code([2; 16], 4, CodeState::Live),
        ];
        let table = CodeTable::build(&codes, &index);
        assert_eq!(table.find(&[1; 16]), FoundCode::Deleted(PersonId(2), Moment::from_micros(9)));
        assert_eq!(table.find(&[2; 16]), FoundCode::Elsewhere(PersonId(4)));
        assert_eq!(CodeTable::build(&[], &index).find(&[0; 16]), FoundCode::Unknown);
    }

    // C1: a code is its person's, wherever they come to stand.
    #[test]
    fn codes_stay_their_peoples_as_people_come_and_go() {
        let codes: Vec<_> = (1..=60_u8).map(|n| code([n; 16], u32::from(n % 30), CodeState::Live)).collect();
        let held: [Vec<u32>; 5] =
            [(1..=29).collect(), (1..=10).collect(), Vec::new(), (5..=40).collect(), (5..=40).collect()];
        let mut from = index(1..=20);
        let mut table = CodeTable::build(&codes, &from);
        for people in held {
            let to = index(people.iter().copied());
            table = table.moved(&from, &to).into_owned();
            for code in &codes {
                assert_eq!(whose(&table, &to, &code.tag), Some(code.person));
                let here = matches!(table.find(&code.tag), FoundCode::Live { .. });
                assert_eq!(here, people.contains(&code.person.0));
            }
            from = to;
        }
    }
}
