//! Damaged segments: what is whole in them is kept, the rest is told, and told again by whoever searches past it.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::*;

const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);

/// A log of so many segments, each with chunks of one, two and three records, the last without the third; 100 seconds apart.
fn log_of(segments: u32) -> TempDir {
    log_at(segments, |number| i64::from(number) * 100)
}

/// [`log_of`], each record at the second that `second` says.
fn log_at(segments: u32, second: impl Fn(u32) -> i64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { segment_bytes: 96 + 3 * 96 + 6 * 32, segment_seconds: i64::MAX, ..config() };
    let (log, _) = AccessLog::open_with(directory.path(), LINEAGE, config).unwrap();
    let mut next = 1;
    for chunk in 0..segments * 3 - 1 {
        let batch: Vec<u32> = (next..=next + chunk % 3).collect();
        next += batch.len() as u32;
        put(&log, mine(batch.into_iter().map(|number| record(1, second(number), number))));
    }
    log.shutdown().unwrap();
    assert_eq!(list(directory.path()).unwrap().len(), segments as usize);
    directory
}

/// Does what a plan says, and has nothing to do afterwards.
fn mend(directory: &Path) -> Option<Mend> {
    let mend = plan_mend(directory, &LINEAGE).unwrap()?;
    let new: Vec<(&String, Vec<u8>)> =
        mend.segments.iter().map(|(name, piece)| (name, piece.bytes().unwrap())).collect();
    mend.out.iter().for_each(|name| fs::remove_file(directory.join(name)).unwrap());
    for (name, bytes) in new {
        assert!(!directory.join(name).exists(), "{name} is in the way");
        fs::write(directory.join(name), bytes).unwrap();
    }
    fs::write(directory.join(GAPS_FILE), mend.gaps(NOW)).unwrap();
    let again = plan_mend(directory, &LINEAGE).unwrap();
    assert!(again.is_none(), "there is more to do: {again:?}");
    Some(mend)
}

fn copied(from: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// The numbers of records that can be read, whatever else is there.
fn readable(log: &AccessLog) -> Vec<u32> {
    let mut all = Vec::new();
    log.visit(&Span::Sequences(0..u64::MAX), |_, sequence, record| {
        assert_eq!(sequence, u64::from(number(record)), "a record has another number");
        all.push(number(record));
    })
    .unwrap();
    all
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn search(log: &AccessLog, query: &Query) -> (Vec<u32>, Vec<u64>) {
    let (mut rows, mut damage, mut query) = (Vec::new(), Vec::new(), query.clone());
    loop {
        let page = log.search(&query).unwrap();
        rows.extend(page.rows.iter().map(number));
        damage.extend(page.damage.iter().map(|damage| damage.sequence));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (rows, damage),
        }
    }
}

// L1 L3
#[test]
fn a_lost_chunk_is_told_with_its_number_and_time_and_every_search_past_it_says_so() {
    let directory = log_of(3);
    let files = list(directory.path()).unwrap();
    // Segments begin with records 1, 7 and 13; their chunks with 7, 8 and 10 in the second.
    assert_eq!(files.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [1, 7, 13]);
    flip(&files[1].1, 96 + 96 + 32 + 96 + 5);
    assert_eq!(examine(directory.path(), &LINEAGE).unwrap().damage.len(), 1);
    let mended = mend(directory.path()).unwrap();
    let at = |second| record(1, second, 0).time;
    // The chunks beside it, and a minute more: what two cores hand over is not in order.
    let gap = Gap { first: 8, end: 10, after: at(700 - 60), before: at(1200 + 60), told: NOW, at_most: false };
    assert_eq!(mended.lost, [Gap { told: Moment::MIN, ..gap }]);
    assert_eq!((mended.out.as_slice(), mended.kept), (&[segment::file_name(7)][..], 4));
    let names: Vec<u64> = list(directory.path()).unwrap().into_iter().map(|(first, _)| first).collect();
    assert_eq!(names, [1, 7, 10, 13]);
    let examined = examine(directory.path(), &LINEAGE).unwrap();
    assert_eq!((examined.damage, examined.gaps.as_slice()), (vec![], &[gap][..]));
    assert_eq!(gap.to_string(), format!("records 8 to 9 (2) between {} and {} can't be read", gap.after, gap.before));

    let (log, report) = open(directory.path());
    assert_eq!((report.damage, report.next_sequence, report.segments), (vec![], 16, 4));
    assert_eq!(log.verify().unwrap(), []);
    let there: Vec<u32> = (1..=7).chain(10..=15).collect();
    for newest_first in [false, true] {
        let mut expected = there.clone();
        if newest_first {
            expected.reverse();
        }
        for limit in [1, 2, 3, 7, PAGE] {
            let query = Query { limit, newest_first, ..everything(MINE) };
            assert_eq!(search(&log, &query), (expected.clone(), vec![8]), "pages of {limit}: told once");
        }
        // By time: what ends before or begins behind has no gap.
        for (from, until, told) in [(0, 640, 0), (0, 641, 1), (800, 900, 1), (1260, 2000, 1), (1261, 2000, 0)] {
            let query = Query { from: at(from), until: at(until), newest_first, ..everything(MINE) };
            assert_eq!(search(&log, &query).1.len(), told, "{from} to {until}");
            let totals = log.totals(Some(MINE), &Span::Times(at(from)..at(until))).unwrap();
            assert_eq!(totals.damage.len(), told, "{from} to {until}");
        }
    }
    put(&log, mine([record(1, 1600, 16)]));
    assert_eq!(readable(&log), [there, vec![16]].concat());
}

// L1
#[test]
fn what_was_put_back_from_a_backup_is_lost_no_more() {
    let whole = log_of(3);
    let damaged = |what: &dyn Fn(&Path)| {
        let there = copied(whole.path());
        what(there.path());
        mend(there.path()).unwrap();
        assert!(!examine(there.path(), &LINEAGE).unwrap().gaps.is_empty());
        there
    };
    let name = segment::file_name;
    let put_back = |there: &Path, first: u64| {
        fs::copy(whole.path().join(name(first)), there.join(name(first))).unwrap();
    };
    let is_whole = |there: &Path, what: &str| {
        let examined = examine(there, &LINEAGE).unwrap();
        assert_eq!((examined.gaps, examined.damage), (vec![], vec![]), "{what}");
        let (log, report) = open(there);
        assert_eq!((report.damage, readable(&log)), (vec![], (1..=15).collect::<Vec<_>>()), "{what}");
        assert_eq!(search(&log, &everything(MINE)), ((1..=15).collect(), vec![]), "{what}");
        assert_eq!(log.verify().unwrap(), [], "{what}");
    };
    let second_chunk = |there: &Path, first: u64| flip(&there.join(name(first)), 96 + 96 + 32 + 96 + 5);
    // In the middle of a segment, whose name is that of the piece before the gap; with the piece behind it, and without.
    for (first, piece) in [(1, 4), (7, 10)] {
        let there = damaged(&|there| second_chunk(there, first));
        put_back(there.path(), first);
        is_whole(there.path(), "beside the piece");
        fs::remove_file(there.path().join(name(piece))).unwrap();
        is_whole(there.path(), "without it");
    }
    // A whole segment, in the middle and at the end.
    for first in [1, 7, 13] {
        let there = damaged(&|there| fs::write(there.join(name(first)), vec![7; 400]).unwrap());
        let told: u64 = examine(there.path(), &LINEAGE).unwrap().gaps.iter().map(Gap::count).sum();
        put_back(there.path(), first);
        if first == 13 {
            // Nobody knew how many there were, and nobody knows now whether the backup has them all.
            let [gap] = examine(there.path(), &LINEAGE).unwrap().gaps[..] else { panic!("one gap") };
            assert_eq!((gap.first, gap.count(), gap.at_most), (16, told - 3, true));
            let (log, report) = open(there.path());
            assert_eq!((report.damage, readable(&log)), (vec![], (1..=15).collect::<Vec<_>>()));
            continue;
        }
        is_whole(there.path(), "a segment");
    }
    // What the backup lacks is lost still, and no more than that.
    let there = damaged(&|there| fs::remove_file(there.join(name(7))).unwrap());
    put_back(there.path(), 7);
    let cut = there.path().join(name(7));
    fs::write(&cut, &fs::read(&cut).unwrap()[..96 + 96 + 32]).unwrap();
    let examined = examine(there.path(), &LINEAGE).unwrap();
    assert_eq!(examined.damage, []);
    assert_eq!(examined.gaps.iter().map(|gap| (gap.first, gap.end)).collect::<Vec<_>>(), [(8, 13)]);
    assert_eq!(readable(&open(there.path()).0), (1..=7).chain(13..=15).collect::<Vec<_>>());
}

// L1
#[test]
fn an_anchor_that_is_behind_hides_no_records_that_a_last_segment_had() {
    let whole = log_of(3);
    let last = whole.path().join(segment::file_name(13));
    let bytes = fs::read(&last).unwrap().len();
    // Three records in two chunks have room for six in one.
    for anchored in [1, 12, 13, 14, 15, 16, 18, 19, 25] {
        let there = copied(whole.path());
        fs::write(anchor::path_of(there.path()), anchor::encode(&LINEAGE, anchored)).unwrap();
        fs::write(there.path().join(segment::file_name(13)), vec![7; bytes]).unwrap();
        let [gap] = mend(there.path()).unwrap().lost[..] else { panic!("one gap: {anchored}") };
        assert_eq!((gap.first, gap.end, gap.at_most), (13, anchored.max(19), anchored < 19), "{anchored}");
        let (log, report) = open(there.path());
        assert_eq!((report.damage, report.next_sequence), (vec![], anchored.max(19)), "numbers are used once");
        assert_eq!(search(&log, &everything(MINE)), ((1..=12).collect(), vec![13]), "{anchored}");
    }
}

// L1 L3
#[test]
fn segments_that_are_gone_are_missed_by_every_search_that_comes_past() {
    for (gone, missing) in [(1, 1), (7, 7)] {
        let directory = log_of(3);
        fs::remove_file(directory.path().join(segment::file_name(gone))).unwrap();
        let left: Vec<u32> = (1..=15).filter(|number| !(gone..gone + 6).contains(&u64::from(*number))).collect();
        assert_eq!(examine(directory.path(), &LINEAGE).unwrap().damage.len(), 1, "{gone}");
        let (log, report) = open(directory.path());
        assert_eq!(report.damage.len(), usize::from(gone == 1), "a start reads the last one only");
        assert_eq!(log.verify().unwrap().len(), 1, "{gone}");
        for newest_first in [false, true] {
            let mut expected = left.clone();
            if newest_first {
                expected.reverse();
            }
            let query = Query { newest_first, ..everything(MINE) };
            assert_eq!(search(&log, &query), (expected, vec![missing]), "{gone}");
            // Also where the segments beside it have nothing of that time, and every time again.
            let at = record(1, (gone as i64 + 2) * 100, 0).time;
            for _ in 0..2 {
                let query = Query { from: at, until: at.plus_seconds(1), newest_first, ..everything(MINE) };
                assert_eq!(search(&log, &query), (vec![], vec![missing]), "{gone}");
            }
        }
        assert_eq!(log.totals(None, &Span::Times(Moment::MIN..Moment::MAX)).unwrap().damage.len(), 1);
        assert_eq!(log.totals(None, &Span::Sequences(gone..gone + 1)).unwrap().damage.len(), 1);
        assert_eq!(log.totals(None, &Span::Sequences(13..16)).unwrap().damage, []);
        log.shutdown().unwrap();
        drop(log);
        // What is wrong elsewhere is no reason to leave the last segment.
        let files = list(directory.path()).unwrap();
        let (log, _) = open(directory.path());
        put(&log, mine([record(1, 1_600, 16)]));
        log.shutdown().unwrap();
        assert_eq!(list(directory.path()).unwrap(), files);
        drop(log);
        let mended = mend(directory.path()).unwrap();
        assert_eq!(mended.lost.iter().map(|gap| (gap.first, gap.end)).collect::<Vec<_>>(), [(gone, gone + 6)]);
        assert_eq!(open(directory.path()).1.damage, []);
    }
}

// L1 L3
#[test]
fn a_last_record_of_the_future_hides_no_gap_behind_it() {
    let directory = log_at(3, |number| if number == 13 { 2_000_000_000 } else { i64::from(number) * 100 });
    let last = directory.path().join(segment::file_name(13));
    flip(&last, 96 + 96 + 32 + 40);
    let mended = mend(directory.path()).unwrap();
    assert_eq!(mended.lost.iter().map(|gap| (gap.first, gap.end)).collect::<Vec<_>>(), [(14, 16)]);
    let at = record(1, 1_400, 0).time;
    let query = Query { from: at, until: at.plus_seconds(1), ..everything(MINE) };
    assert_eq!(search(&open(directory.path()).0, &query), (vec![], vec![14]));
}

// L1 L3
#[test]
fn no_clock_hides_a_gap_from_a_search_by_time() {
    // The clock is set back before the lost chunk, within it, behind it; one record of another century before it; and one
    // that was ahead for as long as the chunk was written, of which nothing is left where its header is lost as well.
    let clocks: [(&str, &dyn Fn(u32) -> i64); 5] = [
        ("set back before", &|number| if number < 8 { 3_000 } else { 0 } + i64::from(number) * 100),
        ("set back within", &|number| if number < 9 { 3_000 } else { 0 } + i64::from(number) * 100),
        ("set back behind", &|number| if number < 10 { 3_000 } else { 0 } + i64::from(number) * 100),
        ("far ahead before", &|number| if number == 7 { 2_000_000_000 } else { i64::from(number) * 100 }),
        ("ahead within", &|number| if number == 9 { 2_000 } else { 0 } + i64::from(number) * 100),
    ];
    for (what, clock) in clocks {
        for header_too in [false, true] {
            let directory = log_at(3, clock);
            let at = if header_too { 40 } else { 96 + 5 };
            flip(&directory.path().join(segment::file_name(7)), 96 + 96 + 32 + at);
            let mended = mend(directory.path()).unwrap();
            assert_eq!(mended.lost.iter().map(|gap| (gap.first, gap.end)).collect::<Vec<_>>(), [(8, 10)], "{what}");
            let (log, _) = open(directory.path());
            for lost in [8, 9] {
                let from = record(1, clock(lost), lost).time;
                let until = from.plus_seconds(1);
                let query = Query { from, until, ..everything(MINE) };
                let hidden = what == "ahead within" && header_too && lost == 9;
                assert_eq!(search(&log, &query).1.is_empty(), hidden, "{what}, {header_too}: {lost}, {mended:?}");
                assert_eq!(log.totals(None, &Span::Times(from..until)).unwrap().damage.is_empty(), hidden, "{what}");
            }
        }
    }
}

// L1
#[test]
fn whatever_is_damaged_what_is_whole_is_kept_and_the_rest_is_told() {
    let whole = log_of(5);
    let mut random = StdRng::seed_from_u64(20_261_127);
    let (mut lost, mut mended_ones) = (0, 0);
    for round in 0..200 {
        let there = copied(whole.path());
        let mut count = 27;
        let mut what = Vec::new();
        // Damaged, damaged again, and a segment of the backup put back.
        for pass in 0..3 {
            match pass {
                2 => what.push(put_one_back(whole.path(), there.path(), &mut random)),
                _ => what.extend((0..random.random_range(1..=3)).map(|_| damage_one(there.path(), &mut random))),
            }
            let context = format!("round {round}: {what:?}");
            let known = examine(there.path(), &LINEAGE).unwrap().gaps;
            let before = readable(&open(copied(there.path()).path()).0);
            let damage = examine(there.path(), &LINEAGE).unwrap().damage;
            let mended = mend(there.path());
            assert_eq!(mended.is_some(), !damage.is_empty(), "{context}: {damage:?}");
            let examined = examine(there.path(), &LINEAGE).unwrap();
            assert_eq!(examined.damage, [], "{context}");
            let is_new = |gap: &Gap| known.iter().all(|known| gap.end <= known.first || known.end <= gap.first);
            assert!(mended.iter().all(|mend| mend.lost.iter().all(is_new)), "{context}: {known:?}, then {mended:?}");
            let apart = examined.gaps.windows(2).all(|two| two[0].end <= two[1].first);
            assert!(apart, "{context}: {:?}", examined.gaps);
            let (log, report) = open(there.path());
            // Past the end where the last segment had room for more than it had.
            let next = examined.gaps.last().filter(|gap| gap.at_most).map_or(0, |gap| gap.end).max(count + 1);
            assert_eq!((report.damage, report.next_sequence), (vec![], next), "{context}");
            let after = readable(&log);
            assert!(before.iter().all(|number| after.contains(number)), "{context}: {before:?}, then {after:?}");
            assert!(after.is_sorted_by(|one, next| one < next), "{context}: {after:?}");
            for number in 1..=count {
                let is_told = examined.gaps.iter().any(|gap| (gap.first..gap.end).contains(&number));
                let is_there = after.contains(&u32::try_from(number).unwrap());
                assert!(is_told != is_there, "{context}: {number} is there: {is_there}, told as lost: {is_told}");
            }
            // It goes on, and stays right.
            let number = u32::try_from(next).unwrap();
            put(&log, mine([record(1, 2_800 + pass, number)]));
            assert_eq!(log.verify().unwrap(), [], "{context}");
            log.shutdown().unwrap();
            assert_eq!(examine(there.path(), &LINEAGE).unwrap().damage, [], "{context}");
            assert_eq!(readable(&open(there.path()).0), [after, vec![number]].concat(), "{context}");
            count = next;
            lost += examined.gaps.len();
            mended_ones += usize::from(mended.is_some());
        }
    }
    println!("{mended_ones} mended, {lost} gaps");
    assert!(mended_ones > 300 && lost > 400, "{mended_ones} mended, {lost} gaps");
}

/// Does something bad to a segment, and says what.
fn damage_one(directory: &Path, random: &mut StdRng) -> String {
    let files = list(directory).unwrap();
    if files.is_empty() {
        return "nothing is left".to_owned();
    }
    let (_, file) = &files[random.random_range(0..files.len())];
    let mut bytes = fs::read(file).unwrap();
    let at = random.random_range(0..=bytes.len());
    let kind = random.random_range(0..8);
    match kind {
        0 => fs::write(file, &bytes[..at]).unwrap(),
        1 => fs::remove_file(file).unwrap(),
        2 => {
            let end = bytes.len().min(at + random.random_range(1..300));
            random.fill_bytes(&mut bytes[at..end]);
            fs::write(file, bytes).unwrap();
        }
        _ if at < bytes.len() => flip(file, at as u64),
        _ => {}
    }
    format!("{} at {at}, kind {kind}", file.file_name().unwrap().display())
}

/// Puts a segment of a backup where it was, and says which.
fn put_one_back(backup: &Path, directory: &Path, random: &mut StdRng) -> String {
    let files = list(backup).unwrap();
    let (_, file) = &files[random.random_range(0..files.len())];
    let name = file.file_name().unwrap();
    fs::copy(file, directory.join(name)).unwrap();
    format!("{} put back", name.display())
}

/// Writes a segment that goes on where `framer` stands, with chunks of these records; where the log stands behind it.
fn segment_of(directory: &Path, framer: &segment::Framer, chunks: &[&[u32]]) -> segment::Framer {
    let header = SegmentHeader { lineage: LINEAGE, first: framer.sequence, previous: framer.previous };
    let (mut bytes, mut behind) = (header.encode().to_vec(), framer.clone());
    for chunk in chunks {
        let records: Vec<Record> = chunk.iter().map(|number| record(1, i64::from(*number), *number)).collect();
        behind.frame(&mut bytes, MINE, framer.sequence, records.iter());
    }
    fs::write(directory.join(segment::file_name(framer.sequence)), bytes).unwrap();
    behind
}

// L1
#[test]
fn what_an_abandoned_segment_holds_is_neither_shown_twice_nor_in_the_place_of_what_is_lost() {
    let begin = segment::Framer::new(&LINEAGE, 1, genesis(&LINEAGE));
    let directory = tempfile::tempdir().unwrap();
    // The flush of 3 to 6 failed, and the log went on in a segment that begins with 3.
    let durable = segment_of(directory.path(), &begin, &[&[1, 2]]);
    segment_of(directory.path(), &begin, &[&[1, 2], &[3], &[4, 5, 6]]);
    let next = segment_of(directory.path(), &durable, &[&[3, 4], &[5]]);
    segment_of(directory.path(), &next, &[&[6], &[7]]);
    let second = directory.path().join(segment::file_name(3));
    let all: Vec<u32> = (1..=7).collect();
    assert_eq!(readable(&open(directory.path()).0), all);
    // Without the second segment what the first one holds has its place, up to where the third begins.
    let there = copied(directory.path());
    fs::remove_file(there.path().join(segment::file_name(3))).unwrap();
    let (log, _) = open(there.path());
    assert_eq!(readable(&log), all);
    assert_eq!(search(&log, &Query { newest_first: false, ..everything(MINE) }), (all.clone(), vec![]));
    drop(log);
    // Once 3 and 4 are told as lost, nothing else with their numbers is shown.
    let whole = fs::read(&second).unwrap();
    flip(&second, 96 + 96 + 5);
    let mended = mend(directory.path()).unwrap();
    assert_eq!(mended.lost.iter().map(|gap| (gap.first, gap.end)).collect::<Vec<_>>(), [(3, 5)]);
    let (log, report) = open(directory.path());
    assert_eq!((report.damage, readable(&log)), (vec![], vec![1, 2, 5, 6, 7]));
    assert_eq!(search(&log, &Query { newest_first: false, ..everything(MINE) }), (vec![1, 2, 5, 6, 7], vec![3]));
    assert_eq!(log.verify().unwrap(), []);
    drop(log);
    // Nor is it damage where only a part of it reached the disk.
    let there = copied(directory.path());
    flip(&there.path().join(segment::file_name(1)), 96 + 96 + 64 + 5);
    let (log, _) = open(there.path());
    assert_eq!(search(&log, &Query { newest_first: false, ..everything(MINE) }), (vec![1, 2, 5, 6, 7], vec![3]));
    assert_eq!(examine(there.path(), &LINEAGE).unwrap().damage, []);
    drop(log);
    // A piece of the first one, which is damaged as well, has them as little.
    let there = copied(directory.path());
    flip(&there.path().join(segment::file_name(1)), 96 + 96 + 5);
    mend(there.path()).unwrap();
    assert_eq!(readable(&open(there.path()).0), [5, 6, 7]);
    let told: Vec<(u64, u64)> =
        examine(there.path(), &LINEAGE).unwrap().gaps.iter().map(|gap| (gap.first, gap.end)).collect();
    assert_eq!(told, [(1, 3), (3, 5)]);
    // The segment from a backup has them again.
    fs::write(second, whole).unwrap();
    assert_eq!(readable(&open(directory.path()).0), all);
    assert_eq!(examine(directory.path(), &LINEAGE).unwrap().gaps, []);
}

// L1
#[test]
fn a_chain_that_does_not_join_is_told_and_a_list_that_is_damaged_made_anew() {
    let directory = log_of(2);
    // Whole chunks of another log: nothing is missing, and it is not what was written there.
    let other = tempfile::tempdir().unwrap();
    let (log, _) = AccessLog::open_with(other.path(), LINEAGE, config()).unwrap();
    put(&log, mine([record(2, 100, 1)]));
    drop(log);
    let name = segment::file_name(1);
    let (mine, foreign) =
        (fs::read(directory.path().join(&name)).unwrap(), fs::read(other.path().join(&name)).unwrap());
    fs::write(directory.path().join(&name), [&foreign[..], &mine[foreign.len()..]].concat()).unwrap();
    let damage = examine(directory.path(), &LINEAGE).unwrap().damage;
    assert_eq!(damage.iter().map(|damage| damage.what).collect::<Vec<_>>(), ["the chain of hashes does not join here"]);
    let mended = mend(directory.path()).unwrap();
    let [gap] = mended.lost.as_slice() else { panic!("{mended:?}") };
    assert!(gap.is_empty() && gap.first == 2 && gap.to_string().contains("none is missing"), "{gap}");
    let (log, report) = open(directory.path());
    assert_eq!((report.damage, readable(&log)), (vec![], (1..=9).collect::<Vec<_>>()));
    drop(log);
    // What was written is put back: the chain joins again, beside the piece behind it and without that.
    let there = copied(directory.path());
    assert_eq!(examine(there.path(), &LINEAGE).unwrap().gaps.len(), 1);
    fs::write(there.path().join(&name), &mine).unwrap();
    assert_eq!(examine(there.path(), &LINEAGE).unwrap().gaps, []);
    fs::remove_file(there.path().join(segment::file_name(2))).unwrap();
    let examined = examine(there.path(), &LINEAGE).unwrap();
    assert_eq!((examined.gaps, examined.damage), (vec![], vec![]));

    let (_, second) = list(directory.path()).unwrap().pop().unwrap();
    fs::remove_file(second).unwrap();
    let gaps = mend(directory.path()).unwrap().gaps(NOW);
    flip(&directory.path().join(GAPS_FILE), 30);
    assert!(!examine(directory.path(), &LINEAGE).unwrap().damage.is_empty());
    mend(directory.path()).unwrap();
    let (log, report) = open(directory.path());
    assert_eq!((report.damage, report.next_sequence), (vec![], 10));
    assert_eq!(readable(&log), (1..=6).collect::<Vec<_>>());
    // What was told of the chain can't be seen any more; what is missing can.
    assert!(fs::read(directory.path().join(GAPS_FILE)).unwrap().len() <= gaps.len());
}

#[test]
fn where_nobody_knows_how_many_there_were_it_is_at_most_so_many() {
    let directory = log_of(2);
    forget_anchor(directory.path());
    let (first, last) = list(directory.path()).unwrap().pop().unwrap();
    let bytes = fs::read(&last).unwrap().len();
    fs::write(&last, vec![7; bytes]).unwrap();
    // Before a start has looked, and after one has put it aside.
    for started in [false, true] {
        let there = copied(directory.path());
        let next = if started { open(there.path()).1.next_sequence } else { first + (bytes as u64 - 192) / 32 };
        let [gap] = mend(there.path()).unwrap().lost[..] else { panic!("one gap, {started}") };
        assert_eq!((gap.first, gap.end, gap.at_most), (first, next, true), "{started}");
        assert!(gap.to_string().contains("at most"), "{gap}");
        let (log, report) = open(there.path());
        assert_eq!((report.damage, report.next_sequence), (vec![], next), "numbers are used once");
        assert_eq!(readable(&log), (1..=6).collect::<Vec<_>>());
    }
}

#[test]
fn a_segment_of_an_earlier_history_whose_header_is_gone_is_kept() {
    let directory = log_of(2);
    // The history went on under another name.
    let (log, _) = AccessLog::open_with(directory.path(), [9; 16], config()).unwrap();
    put(&log, mine([record(1, 10, 10)]));
    log.shutdown().unwrap();
    drop(log);
    flip(&list(directory.path()).unwrap()[1].1, 20);
    let mend = plan_mend(directory.path(), &[9; 16]).unwrap().unwrap();
    assert_eq!((mend.kept, mend.lost.len()), (3, 0));
    let [(name, piece)] = mend.segments.as_slice() else { panic!("{mend:?}") };
    fs::write(directory.path().join(name), piece.bytes().unwrap()).unwrap();
    let (log, report) = AccessLog::open_with(directory.path(), [9; 16], config()).unwrap();
    assert_eq!((report.damage, readable(&log)), (vec![], (1..=10).collect::<Vec<_>>()));
}
