//! The audit trail, read back from the journal (L5), as far as who asks may see it.
//!
//! Portfolio Managers see all of it, Full managers what was done in their properties, everybody what they did themselves.
//! The journal is read a segment at a time beside the running server, up to what is durable; a page looks into a few
//! segments at most and says how far it came. A place in the journal counts everybody's acts, so it is sealed (M8, M9).

use std::{collections::VecDeque, path::Path};

use keyward_protocol::{
    entry::{Level, Refusal},
    id::*,
    message::audit::{ActedBy, AuditPage, AuditRow, AuditSearch, Link, beginning, hex},
    time::Moment,
};

use super::cursor::Seal;
use crate::{
    domain::{
        audit::{Acted, act_of_causes},
        event::{Actor, Change},
        permission::Sight,
    },
    engine::Engine,
    store::{
        journal,
        record::{Entry, RecordError},
    },
};

/// The most segments that one page looks into.
const SEGMENTS_PER_PAGE: usize = 3;

/// A place in the trail: a frame of the journal, and an entry of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    frame: u64,
    entry: u32,
}

/// Where a page ends, and the link there.
type Cursor = (Place, Link);

const CURSOR_BYTES: usize = 8 + 4 + 32;

fn write_cursor((place, link): Cursor) -> Vec<u8> {
    [place.frame.to_le_bytes().as_slice(), &place.entry.to_le_bytes(), &link].concat()
}

fn read_cursor(bytes: &[u8]) -> Option<Cursor> {
    let (frame, rest) = bytes.split_first_chunk::<8>()?;
    let (entry, link) = rest.split_first_chunk::<4>()?;
    let place = Place { frame: u64::from_le_bytes(*frame), entry: u32::from_le_bytes(*entry) };
    Some((place, link.try_into().ok()?))
}

/// A page for who asks.
pub fn page(
    engine: &Engine,
    journal: &Path,
    seal: &Seal,
    who: (PortfolioId, PersonId),
    search: &AuditSearch,
) -> Result<AuditPage, Refusal> {
    let directory = engine.directory();
    let found = directory.portfolios.get(&who.0).ok_or_else(|| Refusal::NotPermitted("being a manager".to_owned()))?;
    let sight = Sight::of(found, who.1)?;
    if search.export {
        sight.portfolio_manager()?;
        if !search.exports_all() {
            let why = "an export has everything from the beginning: leave out all conditions";
            return Err(Refusal::Invalid(why.to_owned()));
        }
    }
    let after = match &search.after {
        None => None,
        Some(sealed) => {
            Some(seal.open_bytes(who, sealed, CURSOR_BYTES).and_then(|bytes| read_cursor(&bytes)).ok_or_else(|| {
                let why = "this page can't be gone on from: it is another's, or the server was started again since";
                Refusal::Invalid(why.to_owned())
            })?)
        }
    };
    let reading = Reading { journal, head: engine.head(), sight, search };
    let read = if search.newest_first { reading.backwards(after) } else { reading.forwards(after) };
    let (acts, next, searched_to) = read.map_err(|error| {
        tracing::error!(error, "the audit trail can't be read");
        let why = "the audit trail can't be read: the server's operator finds why in its messages";
        Refusal::Unavailable(why.to_owned())
    })?;
    let mut rows: Vec<AuditRow> = acts.into_iter().map(|act| row(&sight, act)).collect();
    let mut link = after.map_or([0; 32], |(_, link)| link);
    let mut first_line = None;
    if search.export {
        if after.is_none() {
            let lineage = journal::lineage_of(journal).unwrap_or_default();
            let line = beginning(&found.name, &hex(&lineage));
            link = linked(&link, &line);
            first_line = Some((link, line));
        }
        for row in &mut rows {
            link = linked(&link, &row.line());
            row.link = Some(link);
        }
    }
    let next = next.map(|place| seal.seal_bytes(who, &write_cursor((place, link))));
    Ok(AuditPage { rows, next, searched_to, beginning: first_line })
}

/// What stands for a line and everything before it.
pub fn linked(before: &Link, line: &str) -> Link {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(line.as_bytes());
    *hasher.finalize().as_bytes()
}

/// Holds an export against itself: each line is the link in hexadecimal, a blank, and what it is of. Says how many there
/// are and the last link; or which line does not follow from those before it.
pub fn verify_export(text: impl Iterator<Item = std::io::Result<String>>) -> Result<(u64, String), String> {
    let (mut link, mut lines): (Link, u64) = ([0; 32], 0);
    for line in text {
        let line = line.map_err(|error| format!("the export can't be read: {error}"))?;
        lines += 1;
        let altered = || {
            format!(
                "line {lines} does not follow from the lines before it: it, or one before it, was altered or left out"
            )
        };
        let (told, line) = line.split_once(' ').ok_or_else(altered)?;
        link = linked(&link, line);
        if told != hex(&link) {
            return Err(altered());
        }
        if lines == 1 && !line.starts_with("{\"keyward_audit\":1,") {
            return Err("this is no export of an audit trail, or its beginning is missing".to_owned());
        }
    }
    if lines == 0 {
        return Err("the file is empty: this is no export of an audit trail".to_owned());
    }
    Ok((lines - 1, hex(&link)))
}

fn row(sight: &Sight<'_>, acted: Acted) -> AuditRow {
    AuditRow {
        at: acted.at,
        by: match acted.actor {
            Actor::Administrator => ActedBy::Administrator,
            Actor::Person(person) => ActedBy::Person(person),
            Actor::Clock => ActedBy::Clock,
            Actor::Holder(person) => ActedBy::Holder(person),
            Actor::Lock(lock) => ActedBy::Lock(lock),
        },
        name: acted.name,
        from: acted.from,
        revision: acted.revision,
        act: acted.act,
        // Of an attempt: where it would have been is nothing that asking in vain tells (M8). What Portfolio Managers
        // see stays what it was, so that its link does.
        property: acted.property.filter(|id| sight.is_portfolio_manager() || sight.property(*id).is_ok()),
        about: acted.about,
        facts: acted.facts,
        refused: acted.refused,
        more: acted.more,
        link: None,
    }
}

struct Reading<'a> {
    journal: &'a Path,
    head: u64,
    sight: Sight<'a>,
    search: &'a AuditSearch,
}

/// Acts, the place to go on from, and how far was looked.
type Read = (Vec<Acted>, Option<Place>, Option<Moment>);

/// Why a segment is not read to its end.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("there is enough")]
    Enough,
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Reading<'_> {
    fn backwards(&self, before: Option<Cursor>) -> Result<Read, String> {
        let (most, before) = (self.search.most as usize, before.map(|(place, _)| place));
        let segments = journal::segments(self.journal).map_err(|error| error.to_string())?;
        let last = before.map_or(self.head, |before| before.frame.min(self.head));
        let wanted = segments.iter().rev().filter(|(_, first)| *first <= last);
        let mut found: Vec<(Place, Acted)> = Vec::new();
        let (mut looked, mut reached, mut more) = (None, None, None);
        for (count, segment) in wanted.enumerate() {
            if count == SEGMENTS_PER_PAGE {
                more = reached;
                break;
            }
            // The last ones of the segment, and one more than there is room for: whether there are more.
            let room = most - found.len();
            let mut last: VecDeque<(Place, Acted)> = VecDeque::new();
            let mut earliest = None;
            self.read(segment, &mut |place, acted| {
                if before.is_some_and(|before| place >= before) {
                    return Err(Stop::Enough);
                }
                // When others did something is nobody else's to read (M8, M9).
                if self.sees(&acted) {
                    earliest.get_or_insert(acted.at);
                }
                if self.wants(&acted) {
                    last.push_back((place, acted));
                    if last.len() > room + 1 {
                        last.pop_front();
                    }
                }
                Ok(())
            })?;
            looked = earliest.or(looked);
            // Everything before this segment is still to be looked into.
            reached = Some(Place { frame: segment.1, entry: 0 });
            let is_full = last.len() > room;
            if is_full {
                last.pop_front();
            }
            found.extend(last.into_iter().rev());
            if is_full {
                more = found.last().map(|(place, _)| *place);
                break;
            }
        }
        let acts = found.into_iter().map(|(_, acted)| acted).collect();
        Ok((acts, more, looked.filter(|_| more.is_some())))
    }

    fn forwards(&self, after: Option<Cursor>) -> Result<Read, String> {
        let (most, after) = (self.search.most as usize, after.map(|(place, _)| place));
        let segments = journal::segments(self.journal).map_err(|error| error.to_string())?;
        let start =
            after.map_or(0, |after| segments.partition_point(|(_, first)| *first <= after.frame).saturating_sub(1));
        let mut found: Vec<Acted> = Vec::new();
        let (mut last, mut looked, mut more) = (after, None, false);
        for (count, segment) in segments.iter().skip(start).enumerate() {
            if count == SEGMENTS_PER_PAGE {
                return Ok((found, last, looked));
            }
            self.read(segment, &mut |place, acted| {
                if after.is_some_and(|after| place <= after) {
                    return Ok(());
                }
                let wanted = self.wants(&acted);
                if wanted && found.len() == most {
                    more = true;
                    return Err(Stop::Enough);
                }
                last = Some(place);
                looked = Some(acted.at).filter(|_| self.sees(&acted)).or(looked);
                if wanted {
                    found.push(acted);
                }
                Ok(())
            })?;
            if more {
                return Ok((found, last, looked));
            }
        }
        Ok((found, None, None))
    }

    /// Shows every act of a segment, in order, as far as it is durable.
    fn read(
        &self,
        segment: &journal::Segment,
        visit: &mut dyn FnMut(Place, Acted) -> Result<(), Stop>,
    ) -> Result<(), String> {
        let (mut frame, mut entry) = (0, 0);
        // A change that was journalled before acts were has none behind it.
        let mut untold: Option<(Place, Change)> = None;
        let done = journal::read_segment(segment, &mut |sequence, bytes| {
            if sequence > self.head {
                return Err(Stop::Enough);
            }
            entry = if sequence == frame { entry + 1 } else { 0 };
            frame = sequence;
            let place = Place { frame, entry };
            let decoded = Entry::decode(bytes)?;
            if let Some((waiting, change)) = untold.take()
                // An act tells of the change right before it, in the same frame.
                && (waiting.frame != frame || !matches!(decoded, Entry::Acted(_)))
            {
                visit(waiting, of_change(change))?;
            }
            match decoded {
                Entry::Acted(acted) => visit(place, acted),
                Entry::Change(change) => {
                    untold = Some((place, change));
                    Ok(())
                }
                Entry::Carrier(_) | Entry::Restored(_) => Ok(()),
            }
        });
        match done {
            Ok(()) => match untold {
                Some((place, change)) => match visit(place, of_change(change)) {
                    Ok(()) | Err(Stop::Enough) => Ok(()),
                    Err(error) => Err(error.to_string()),
                },
                None => Ok(()),
            },
            Err(journal::OpenError::Visit { cause: Stop::Enough, .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn wants(&self, acted: &Acted) -> bool {
        let search = self.search;
        let by = acted.actor.person();
        self.sees(acted)
            && (search.from..search.until).contains(&acted.at)
            && search.by.is_none_or(|wanted| by == Some(wanted))
            && search.act.is_none_or(|wanted| acted.act == wanted)
            && search.refused.is_none_or(|wanted| acted.refused.is_some() == wanted)
            && search.property.is_none_or(|wanted| {
                acted.property == Some(wanted)
                    && (self.sight.is_portfolio_manager() || self.sight.property(wanted).is_ok())
            })
    }

    /// M's table: all, the property's, or their own.
    fn sees(&self, acted: &Acted) -> bool {
        let portfolio = self.sight.portfolio();
        let full = |id: PropertyId| {
            let property = portfolio.properties.get(&id);
            property.is_some_and(|property| self.sight.level(property) == Some(Level::Full))
        };
        acted.portfolio == portfolio.id
            && (self.sight.is_portfolio_manager()
                || acted.actor.person() == Some(self.sight.me())
                || acted.property.is_some_and(full))
    }
}

/// What a change tells that has no act beside it.
fn of_change(change: Change) -> Acted {
    let (act, property, about) = act_of_causes(&change.causes);
    Acted {
        portfolio: change.portfolio,
        at: change.at,
        actor: change.actor,
        name: String::new(),
        from: None,
        revision: 0,
        act,
        property,
        about,
        facts: Vec::new(),
        refused: None,
        more: 0,
    }
}

#[cfg(test)]
mod tests {
    use keyward_protocol::message::audit::{Act, exported};

    use super::*;
    use crate::domain::event::Cause;

    fn export(lines: &[&str]) -> Vec<String> {
        let mut link = [0; 32];
        let linked = |line: &&str| {
            link = linked(&link, line);
            exported(&link, line)
        };
        lines.iter().map(linked).collect()
    }

    fn verify(lines: &[String]) -> Result<u64, String> {
        verify_export(lines.iter().map(|line| Ok(line.clone()))).map(|(rows, _)| rows)
    }

    // L5
    #[test]
    fn an_export_that_was_altered_is_found_wherever_it_was() {
        let first = "{\"keyward_audit\":1,\"portfolio\":\"H\",\"lineage\":\"ab\"}";
        let lines = export(&[first, "{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
        assert_eq!(verify(&lines), Ok(3));
        assert_eq!(verify(&lines[..2]), Ok(1), "an earlier export is the beginning of a later one");
        for at in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(at);
            assert!(verify(&without).is_err() || at == lines.len() - 1);
            for byte in 0..lines[at].len() {
                let mut altered = lines.clone();
                let mut bytes = altered[at].clone().into_bytes();
                bytes[byte] ^= 1;
                altered[at] = String::from_utf8(bytes).unwrap();
                assert!(verify(&altered).is_err(), "line {at}, byte {byte}");
            }
        }
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        assert!(verify(&swapped).is_err() && verify(&[]).is_err() && verify(&export(&["{}"])).is_err());
    }

    fn acted(number: i64, actor: Actor, act: Act) -> Acted {
        let at = Moment::from_micros(1_795_000_000_000_000).plus_seconds(number);
        let change =
            Change { portfolio: PortfolioId(1), actor, at, causes: vec![], commitments: vec![], digest: [0; 32] };
        Acted { act, revision: number.unsigned_abs(), ..of_change(change) }
    }

    /// A journal of many small segments: acts by several people, two to a frame, and in the middle a change that was
    /// journalled before there were acts.
    fn journal_of(count: i64) -> (tempfile::TempDir, u64) {
        let dir = tempfile::tempdir().unwrap();
        let place = journal::Place {
            segment_bytes: 2_000,
            ..journal::Place::new(&dir.path().join("j"), &dir.path().join("a"))
        };
        let mut journal = journal::Journal::create_at(place, [7; 16]).unwrap();
        for number in (0..count).step_by(2) {
            let entries: Vec<Vec<u8>> = [number, number + 1]
                .map(|number| {
                    let actor = Actor::Person(PersonId(1 + (number % 3) as u32));
                    let one = acted(number, actor, Act::KeyGiven);
                    match number {
                        10 | 11 => Entry::Change(Change {
                            portfolio: PortfolioId(1),
                            actor,
                            at: one.at,
                            causes: vec![Cause::HolidaysSet { property: PropertyId(1), holidays: vec![] }],
                            commitments: vec![],
                            digest: [0; 32],
                        })
                        .encode(),
                        _ => Entry::Acted(one).encode(),
                    }
                })
                .to_vec();
            let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
            journal.append(&entries).unwrap();
        }
        let other = Acted { portfolio: PortfolioId(2), ..acted(5, Actor::Clock, Act::Expired) };
        journal.append(&[&Entry::Acted(other).encode()]).unwrap();
        (dir, journal.head().sequence)
    }

    fn pages(dir: &Path, head: u64, person: u32, search: &AuditSearch) -> Vec<Acted> {
        let portfolio =
            crate::domain::site::Site::parse("site.toml", crate::testing::SITE).unwrap().portfolio(PortfolioId(1));
        let mut portfolio = portfolio;
        let property = std::sync::Arc::make_mut(portfolio.properties.get_mut(&PropertyId(1)).unwrap());
        property.levels.insert(PersonId(2), Level::Limited);
        let sight = Sight::of(&portfolio, PersonId(person)).unwrap();
        let reading = Reading { journal: dir, head, sight, search };
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let read = if search.newest_first { reading.backwards(cursor) } else { reading.forwards(cursor) };
            let (acts, next, looked) = read.unwrap();
            assert!(acts.len() <= search.most as usize && next.is_some() == looked.is_some());
            all.extend(acts);
            match next {
                Some(place) => cursor = Some((place, [0; 32])),
                None => return all,
            }
        }
    }

    // L5, M9
    #[test]
    fn pages_have_every_act_once_in_order_either_way() {
        let (dir, head) = journal_of(120);
        let journal = dir.path().join("j");
        assert!(journal::segments(&journal).unwrap().len() > 2 * SEGMENTS_PER_PAGE);
        for most in [1, 2, 7, 119, 120, 500] {
            let backwards = pages(&journal, head, 1, &AuditSearch::newest(most));
            let forwards = pages(&journal, head, 1, &AuditSearch { newest_first: false, ..AuditSearch::newest(most) });
            assert_eq!(forwards.len(), 120, "all of this portfolio's, and none of the other's");
            assert!(forwards.is_sorted_by_key(|acted| acted.at));
            assert_eq!(forwards.iter().rev().cloned().collect::<Vec<_>>(), backwards);
            assert_eq!(forwards.iter().filter(|acted| acted.act == Act::HolidaysSet).count(), 2);
            let own = pages(&journal, head, 2, &AuditSearch::newest(most));
            assert_eq!(own.len(), 40, "with Limited, their own");
            assert!(own.iter().all(|acted| acted.actor == Actor::Person(PersonId(2))));
            let some = AuditSearch { act: Some(Act::HolidaysSet), by: Some(PersonId(2)), ..AuditSearch::newest(most) };
            assert_eq!(pages(&journal, head, 1, &some).len(), 1);
        }
        let durable = pages(&journal, 3, 1, &AuditSearch::newest(500));
        assert_eq!(durable.len(), 6, "what is not durable yet is not told");
    }

    #[test]
    fn a_place_comes_back() {
        let cursor = (Place { frame: 7, entry: 3 }, [9; 32]);
        assert_eq!(write_cursor(cursor).len(), CURSOR_BYTES);
        assert_eq!(read_cursor(&write_cursor(cursor)), Some(cursor));
        assert_eq!(read_cursor(&[1; 5]), None);
    }
}
