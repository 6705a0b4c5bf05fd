//! Crashes within the start that follows a crash.

use super::*;

/// What a crash may leave that a start has to do something about.
const KINDS: [&str; 8] = [
    "a torn frame of the journal",
    "slots that no change knows",
    "codes that were deleted and not destroyed",
    "half a snapshot",
    "a torn segment of the log",
    "a rotation that was not in force",
    "a rotation that was",
    "a vault of no portfolio",
];

/// Of a slot in a vault, and of the half that is destroyed with its code.
const SLOT_BYTES: usize = 128;
const SECRET_BYTES: usize = 80;

/// What one crash left.
struct First {
    what: String,
    /// The machine that the start runs on: after a kill what was not flushed is still not.
    machine: Machine,
    acknowledged: usize,
    answered: u64,
}

/// What a start did about it.
#[derive(Clone)]
struct Start {
    operations: Vec<images::Owned>,
    kinds: BTreeSet<&'static str>,
    /// The Directory that it told locks by.
    directory: Vec<u8>,
}

impl First {
    fn start(&self) -> Result<Start, String> {
        let (room, image) = (room(), self.machine.seen());
        image.lay_out(room.path());
        let layout = Layout::new(&room.path().join("data"));
        let recorder = Recorder::new(room.path());
        let disk = Disk::witnessed(recorder.clone());
        let medium = Medium { disk: disk.clone(), segment_bytes: script::SEGMENT_BYTES };
        let (books, report) = Books::open_at(&medium, &layout).map_err(|error| format!("no start: {error}"))?;
        let log = script::open_log(&disk, &layout, books.lineage())?;
        log.shutdown().map_err(|error| error.to_string())?;
        let did = recorder.take().into_iter().filter_map(|event| match event {
            Event::Did(did) => Some(did),
            Event::Mark(_) => None,
        });
        let operations: Vec<images::Owned> = did.collect();
        let kinds = kinds(&image, &report, &operations);
        Ok(Start { operations, kinds, directory: encode_directory(books.directory()) })
    }
}

fn kinds(image: &Image, report: &OpenReport, operations: &[images::Owned]) -> BTreeSet<&'static str> {
    use images::Owned::{Remove, Rename, Truncate, Write};
    let any = |of: &dyn Fn(&images::Owned) -> bool| operations.iter().any(of);
    let named = |path: &Path, part: &str| path.to_string_lossy().contains(part);
    let zeros = |did: &images::Owned, each: usize| match did {
        Write(path, _, bytes) if named(path, "vault-") => {
            bytes.len().is_multiple_of(each) && bytes.iter().all(|byte| *byte == 0)
        }
        _ => false,
    };
    let told = |what: &str| report.warnings.iter().any(|warning| warning.contains(what));
    let found = [
        report.torn_bytes > 0,
        any(&|did| zeros(did, SLOT_BYTES)),
        any(&|did| zeros(did, SECRET_BYTES)),
        image.files.keys().any(|path| named(path, ".kws.new")),
        any(&|did| matches!(did, Truncate(path, _) | Rename(path, _) if named(path, "log/") && named(path, ".kwl"))),
        told("cut short before it was in force"),
        told("it is finished"),
        any(&|did| matches!(did, Remove(path) if named(path, "vault-") && !named(path, ".next"))),
    ];
    KINDS.into_iter().zip(found).filter(|(_, found)| *found).map(|(kind, _)| kind).collect()
}

/// Starts that do the same things to the same kinds of files, however often.
fn alike(start: &Start) -> String {
    let operations = start.operations.iter().map(|did| did.to_string().replace(|c: char| c.is_ascii_digit(), ""));
    format!("{:?} {:?}", start.kinds, operations.collect::<BTreeSet<String>>())
}

// C3 C4 C6 K3 L1
#[test]
fn a_start_that_stops_as_well_leaves_everything_to_the_next_one() {
    let run = Recorded::new();
    let mut firsts: Vec<First> = Vec::new();
    run.each_moment(|at, machine, next, acknowledged, answered| {
        let what = next.map_or("the end".to_owned(), ToString::to_string);
        let cut = Machine::new(&machine.powerless(next, Some(0)));
        for (kind, machine) in [("a kill", machine.after_a_kill(next)), ("a power cut", cut)] {
            firsts.push(First { what: format!("{kind} at operation {at}, {what}"), machine, acknowledged, answered });
        }
    });
    // One of each that a start does something else about.
    let sample: Mutex<BTreeMap<String, (usize, Start)>> = Mutex::default();
    let failures = each_on_every_core(firsts.len(), |at| {
        let start = firsts[at].start().map_err(|why| format!("{}: {why}", firsts[at].what))?;
        let mut sample = sample.lock().unwrap();
        let alike = sample.entry(alike(&start)).or_insert_with(|| (usize::MAX, start.clone()));
        if at < alike.0 {
            *alike = (at, start);
        }
        Ok(())
    });
    assert_none(&failures);
    let sample: Vec<(usize, Start)> = sample.into_inner().unwrap().into_values().collect();
    let kinds: BTreeSet<&str> = sample.iter().flat_map(|(_, start)| start.kinds.iter().copied()).collect();
    assert_eq!(kinds, BTreeSet::from(KINDS), "the script leaves too little");
    let mut images: Vec<(String, Image, &First, Option<&Start>)> = Vec::new();
    for (at, start) in &sample {
        let (first, mut machine) = (&firsts[*at], firsts[*at].machine.clone());
        for (operation, next) in start.operations.iter().map(Some).chain([None]).enumerate() {
            let what = next.map_or("the end".to_owned(), ToString::to_string);
            // Each of the ways in turn: all of them at each operation take minutes.
            let ways = [
                ("a kill", machine.killed(next)),
                ("a power cut", machine.powerless(next, None)),
                ("a power cut that kept some", machine.powerless(next, Some(operation as u64))),
            ];
            let turn = (at + operation) % ways.len();
            for (way, (kind, image)) in ways.into_iter().enumerate() {
                if way == turn || next.is_none() {
                    let context = format!("{}; then {kind} at operation {operation}, {what}", first.what);
                    images.push((context, image, first, Some(start).filter(|_| next.is_none())));
                }
            }
            if let Some(next) = next {
                machine.apply(next);
            }
        }
    }
    println!("{} crashes, {} of them unlike, {} within a start", firsts.len(), sample.len(), images.len());
    let failures = each_on_every_core(images.len(), |at| {
        let (context, image, first, done) = &images[at];
        let context = |why: String| format!("{context}: {why}");
        run.check(image, first.acknowledged, first.answered).map_err(context)?;
        // What a start that was done has told locks stays true.
        let Some(done) = done else { return Ok(()) };
        let room = room();
        image.lay_out(room.path());
        let (books, _) =
            Books::open(&Layout::new(&room.path().join("data"))).map_err(|why| context(why.to_string()))?;
        match encode_directory(books.directory()) == done.directory {
            true => Ok(()),
            false => Err(context("the start had told of other books".into())),
        }
    });
    assert_none(&failures);
}
