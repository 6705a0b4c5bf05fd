//! The table of a property's door codes, by tag. In memory only: it is built from the vault and never stored.

use keyward_protocol::{id::PersonId, time::Moment};

use super::{
    prefetch::prefetch,
    source::{CodeSource, CodeState},
};

/// The keyed hash of a door and digits, as the vault makes it.
pub type Tag = [u8; 16];

const CODES_PER_LINE: usize = 4;
/// Of the four places in a line, this many are filled on average.
const CODES_PER_LINE_FILLED: usize = 3;

#[derive(Clone, Copy, Default)]
struct CodeSlot {
    /// The first 96 bits of the tag. The other 32 choose the line.
    tag: [u32; 3],
    /// 0 where no code stands here.
    person: u32,
}

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct CodeLine {
    slots: [CodeSlot; CODES_PER_LINE],
}

/// The codes of one property: the live ones in cache lines, those in quarantine in a cold list.
pub struct CodeTable {
    lines: Vec<CodeLine>,
    /// Sorted by tag.
    quarantined: Vec<(Tag, PersonId, Moment)>,
}

/// What a tag is at its door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FoundCode {
    /// This person's code.
    Live(PersonId),
    /// This person's deleted code, and until when it is known as that (C6).
    Deleted(PersonId, Moment),
    /// Nobody's.
    Unknown,
}

impl CodeTable {
    /// Builds the table. Where a tag is live and in quarantine, it is live; where it is twice in quarantine, the
    /// longer one counts.
    pub fn build(codes: &[CodeSource]) -> CodeTable {
        let live = codes.iter().filter(|code| code.state == CodeState::Live).count();
        let mut table = CodeTable {
            lines: vec![CodeLine::default(); live / CODES_PER_LINE_FILLED + 1],
            quarantined: Vec::with_capacity(codes.len() - live),
        };
        for code in codes {
            match code.state {
                CodeState::Live => table.insert(&code.tag, code.person),
                CodeState::Quarantined { until } => table.quarantined.push((code.tag, code.person, until)),
            }
        }
        table.quarantined.sort_unstable_by_key(|(tag, _, until)| (*tag, std::cmp::Reverse(*until)));
        table.quarantined.dedup_by_key(|(tag, ..)| *tag);
        table
    }

    fn insert(&mut self, tag: &Tag, person: PersonId) {
        if find_live(&self.lines, tag).is_some() {
            return;
        }
        let (line, tag) = split(tag, self.lines.len());
        let (before, from) = self.lines.split_at_mut(line);
        let free = from.iter_mut().chain(before).flat_map(|line| &mut line.slots).find(|slot| slot.person == 0);
        *free.expect("there are more places than live codes") = CodeSlot { tag, person: person.0 };
    }

    /// The lines of the live codes; at least one.
    pub(super) fn lines(&self) -> &[CodeLine] {
        &self.lines
    }

    /// Looks a tag up.
    pub fn find(&self, tag: &Tag) -> FoundCode {
        find_live(&self.lines, tag).map_or_else(|| self.find_quarantined(tag), FoundCode::Live)
    }

    /// Looks a tag up that is not live.
    #[cold]
    pub(super) fn find_quarantined(&self, tag: &Tag) -> FoundCode {
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

/// Looks a tag up among the live codes.
#[inline(always)]
pub(super) fn find_live(lines: &[CodeLine], tag: &Tag) -> Option<PersonId> {
    let (first, wanted) = split(tag, lines.len());
    let mut at = first;
    for _ in 0..lines.len() {
        let line = lines.get(at)?;
        // All are looked at: which one it is can't be guessed, so branches would cost more.
        let found = line.slots.iter().fold(0, |found, slot| if slot.tag == wanted { slot.person } else { found });
        if found != 0 || line.slots[CODES_PER_LINE - 1].person == 0 {
            return (found != 0).then_some(PersonId(found));
        }
        at = if at + 1 == lines.len() { 0 } else { at + 1 };
    }
    None
}

#[inline(always)]
fn split(tag: &Tag, lines: usize) -> (usize, [u32; 3]) {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = *tag;
    let part = u32::from_le_bytes;
    let line = (u64::from(part([d0, d1, d2, d3])) * lines as u64) >> 32;
    (line as usize, [part([a0, a1, a2, a3]), part([b0, b1, b2, b3]), part([c0, c1, c2, c3])])
}

#[cfg(test)]
mod tests {
    use keyward_protocol::id::DoorId;

    use super::*;

    fn code(tag: Tag, person: u32, state: CodeState) -> CodeSource {
        CodeSource { tag, door: DoorId(1), person: PersonId(person), state }
    }

    #[test]
    fn full_lines_run_on_into_the_next_and_around_the_end() {
        for last in [[0; 4], [0xFF; 4]] {
            let tag = |n: u8| {
                let mut tag = [n; 16];
                tag[12..].copy_from_slice(&last);
                tag
            };
            let codes: Vec<_> = (1..=40).map(|n| code(tag(n), u32::from(n), CodeState::Live)).collect();
            let table = CodeTable::build(&codes);
            for n in 1..=40 {
                assert_eq!(table.find(&tag(n)), FoundCode::Live(PersonId(u32::from(n))));
            }
            assert_eq!(table.find(&tag(41)), FoundCode::Unknown);
        }
    }

    // C6
    #[test]
    fn deleted_codes_are_known_as_such_and_live_ones_come_first() {
        let until = |micros| CodeState::Quarantined { until: Moment::from_micros(micros) };
        let table = CodeTable::build(&[
            code([1; 16], 1, until(5)),
            code([1; 16], 2, until(9)),
            code([2; 16], 3, until(5)),
            code([2; 16], 4, CodeState::Live),
        ]);
        assert_eq!(table.find(&[1; 16]), FoundCode::Deleted(PersonId(2), Moment::from_micros(9)));
        assert_eq!(table.find(&[2; 16]), FoundCode::Live(PersonId(4)));
        assert_eq!(CodeTable::build(&[]).find(&[0; 16]), FoundCode::Unknown);
    }
}
