//! Damaged segments: what is whole in them is kept, the rest is told, and told again by whoever searches past it.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::*;

const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);

/// A log of so many segments, each with chunks of one, two and three records, the last without the third; a second apart.
fn log_of(segments: u32) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { segment_bytes: 96 + 3 * 96 + 6 * 32, ..config() };
    let (log, _) = AccessLog::open_with(directory.path(), LINEAGE, config).unwrap();
    let mut next = 1;
    for chunk in 0..segments * 3 - 1 {
        let batch: Vec<u32> = (next..=next + chunk % 3).collect();
        next += batch.len() as u32;
        put(&log, mine(batch.into_iter().map(|number| record(1, i64::from(number), number))));
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
    let gap = Gap { first: 8, end: 10, after: at(7), before: at(10), told: NOW, at_most: false };
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
        for (from, until, told) in [(0, 7, 0), (0, 8, 1), (8, 9, 1), (9, 20, 1), (10, 20, 1), (11, 20, 0)] {
            let query = Query { from: at(from), until: at(until), newest_first, ..everything(MINE) };
            assert_eq!(search(&log, &query).1.len(), told, "{from} to {until}");
            let totals = log.totals(Some(MINE), &Span::Times(at(from)..at(until))).unwrap();
            assert_eq!(totals.damage.len(), told, "{from} to {until}");
        }
    }
    put(&log, mine([record(1, 16, 16)]));
    assert_eq!(readable(&log), [there, vec![16]].concat());
    drop(log);
    // What was put back from a backup is lost no more.
    let whole = log_of(3);
    list(directory.path()).unwrap().iter().for_each(|(_, path)| fs::remove_file(path).unwrap());
    for (first, path) in list(whole.path()).unwrap() {
        fs::copy(path, directory.path().join(segment::file_name(first))).unwrap();
    }
    let cut_off = directory.path().join(segment::file_name(8));
    fs::write(cut_off, fs::read(directory.path().join(segment::file_name(7))).unwrap()).unwrap();
    assert_eq!(examine(directory.path(), &LINEAGE).unwrap().gaps, [], "a segment begins within it");
}

// L1
#[test]
fn whatever_is_damaged_what_is_whole_is_kept_and_the_rest_is_told() {
    let whole = log_of(5);
    let count = 27;
    let files: Vec<PathBuf> = list(whole.path()).unwrap().into_iter().map(|(_, path)| path).collect();
    let mut random = StdRng::seed_from_u64(20_261_127);
    let (mut lost, mut mended_ones) = (0, 0);
    for round in 0..600 {
        let there = copied(whole.path());
        let mut what = Vec::new();
        for _ in 0..random.random_range(1..=3) {
            let file = there.path().join(files[random.random_range(0..files.len())].file_name().unwrap());
            let Ok(bytes) = fs::read(&file) else { continue };
            let at = random.random_range(0..bytes.len());
            what.push(format!("{} at {at}", file.file_name().unwrap().display()));
            match random.random_range(0..8) {
                0 => fs::write(&file, &bytes[..at]).unwrap(),
                1 => fs::remove_file(&file).unwrap(),
                2 => {
                    let mut bytes = bytes.clone();
                    let end = bytes.len().min(at + random.random_range(1..300));
                    random.fill_bytes(&mut bytes[at..end]);
                    fs::write(&file, bytes).unwrap();
                }
                _ => flip(&file, at as u64),
            }
        }
        let context = format!("round {round}: {what:?}");
        let begin = list(there.path()).unwrap().first().map_or(1, |(first, _)| *first);
        let before = readable(&open(copied(there.path()).path()).0);
        let damage = examine(there.path(), &LINEAGE).unwrap().damage;
        let mended = mend(there.path());
        assert_eq!(mended.is_some(), !damage.is_empty(), "{context}: {damage:?}");
        let examined = examine(there.path(), &LINEAGE).unwrap();
        assert_eq!(examined.damage, [], "{context}");
        let (log, report) = open(there.path());
        assert_eq!((report.damage, report.next_sequence), (vec![], count + 1), "{context}");
        let after = readable(&log);
        assert!(before.iter().all(|number| after.contains(number)), "{context}: {before:?}, then {after:?}");
        assert!(after.is_sorted(), "{context}: {after:?}");
        // The first segments of all may be gone without a trace, as those that are kept no longer will be.
        for number in begin..=count {
            let is_told = examined.gaps.iter().any(|gap| (gap.first..gap.end).contains(&number));
            let is_there = after.contains(&u32::try_from(number).unwrap());
            assert!(is_told != is_there, "{context}: {number} is there: {is_there}, told as lost: {is_told}");
        }
        // It goes on, and stays right.
        put(&log, mine([record(1, 28, 28)]));
        assert_eq!(log.verify().unwrap(), [], "{context}");
        log.shutdown().unwrap();
        assert_eq!(examine(there.path(), &LINEAGE).unwrap().damage, [], "{context}");
        assert_eq!(readable(&open(there.path()).0), [after, vec![28]].concat(), "{context}");
        lost += examined.gaps.len();
        mended_ones += usize::from(mended.is_some());
    }
    println!("{mended_ones} mended, {lost} gaps");
    assert!(mended_ones > 400 && lost > 400, "{mended_ones} mended, {lost} gaps");
}

#[test]
fn a_chain_that_does_not_join_is_told_and_a_list_that_is_damaged_made_anew() {
    let directory = log_of(2);
    // Whole chunks of another log: nothing is missing, and it is not what was written there.
    let other = tempfile::tempdir().unwrap();
    let (log, _) = AccessLog::open_with(other.path(), LINEAGE, config()).unwrap();
    put(&log, mine([record(2, 1, 1)]));
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
        let next = if started { open(there.path()).1.next_sequence } else { first + bytes as u64 / 32 };
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
