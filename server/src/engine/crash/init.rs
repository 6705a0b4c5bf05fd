//! An `init` that stops: what it leaves is whole, or says itself what to do about it.

use super::*;
use crate::{check_config, domain::site::Site, engine, identity::Authority};

/// What an `init` that stopped has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// Directories with nothing in them.
    Nothing,
    /// Something that has to be removed.
    Half,
    /// Everything.
    Whole,
}

/// Looks at what is left, does what is told about it, and then has it made.
fn look(layout: &Layout) -> Result<Left, String> {
    let left = match Books::open(layout) {
        Ok((books, report)) => {
            is_whole(layout, books, &report)?;
            Left::Whole
        }
        Err(StartError::Missing(_)) => Left::Nothing,
        Err(error @ StartError::Unfinished { .. }) => {
            let told = error.to_string();
            for place in [layout.data(), layout.secrets()] {
                if !told.contains(&format!("`{}`", place.display())) {
                    return Err(format!("{} is not named: {told}", place.display()));
                }
            }
            // Everything that looks at the directory says the same.
            let checked = check_config::check(layout, "127.0.0.1:0".parse().unwrap(), crate::access_log::Mode::Strict);
            let all = [
                engine::verify(layout).err().map(|error| error.to_string()),
                Repair::plan(layout, None).err().map(|error| error.to_string()),
                make(&Medium::default(), layout).err().map(|error| error.to_string()),
                checked.iter().map(ToString::to_string).find(|line| line.contains(&told)).map(|_| told.clone()),
            ];
            if all.iter().any(|said| said.as_ref() != Some(&told)) {
                return Err(format!("{told}, and {all:?}"));
            }
            std::fs::remove_dir_all(layout.data()).unwrap();
            std::fs::remove_dir_all(layout.secrets()).unwrap();
            Left::Half
        }
        Err(error) => return Err(format!("nobody is told what to do: {error}")),
    };
    match (left, make(&Medium::default(), layout)) {
        (Left::Whole, Err(StartError::Exists(_))) => Ok(left),
        (Left::Nothing | Left::Half, Ok(books)) => {
            drop(books);
            let (books, report) = Books::open(layout).map_err(|error| error.to_string())?;
            is_whole(layout, books, &report).map(|()| left)
        }
        (left, made) => Err(format!("{left:?}, and a further one: {:?}", made.err().map(|error| error.to_string()))),
    }
}

fn make(medium: &Medium, layout: &Layout) -> Result<Books, StartError> {
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    Books::create_at(medium, layout, &site, Moment::parse("2026-11-23T10:00:00-05:00").unwrap())
}

fn is_whole(layout: &Layout, books: Books, report: &OpenReport) -> Result<(), String> {
    let portfolio = &books.directory().portfolios[&script::PORTFOLIO];
    let codes: Vec<CodeId> = portfolio.properties.values().flat_map(|of| of.codes.keys().copied()).collect();
    let are_there = codes.iter().all(|code| books.reveal(script::PORTFOLIO, *code).is_ok());
    if portfolio.name != "Harbor" || codes.is_empty() || !are_there || *report != OpenReport::default() {
        return Err(format!("it is not whole: {report:?}"));
    }
    let lineage = keyward_protocol::message::audit::hex(&books.lineage());
    drop(books);
    let authority = Authority::open(layout.secrets()).map_err(|error| error.to_string())?;
    let findings = engine::verify(layout).map_err(|error| error.to_string())?;
    let damaged: Vec<String> =
        findings.iter().filter(|finding| finding.severity == Severity::Damaged).map(ToString::to_string).collect();
    if authority.lineage() != lineage || !damaged.is_empty() {
        return Err(format!("the authority is of {}, not {lineage}; {damaged:?}", authority.lineage()));
    }
    Ok(())
}

#[test]
fn whenever_an_init_stops_what_is_left_is_whole_or_says_what_to_do() {
    let root = room();
    let recorder = Recorder::new(root.path());
    let medium = Medium { disk: Disk::witnessed(recorder.clone()), ..Medium::default() };
    drop(make(&medium, &Layout::new(&root.path().join("data"))).unwrap());
    let mut machine = Machine::new(&Image::default());
    let mut images: Vec<(String, Image)> = Vec::new();
    let events = recorder.take();
    for (at, event) in events.iter().map(Some).chain([None]).enumerate() {
        let next = match event {
            Some(Event::Did(did)) => Some(did),
            _ => None,
        };
        let what = next.map_or("the end".to_owned(), ToString::to_string);
        let mut add = |kind: &str, image| images.push((format!("{kind} at operation {at}, {what}"), image));
        add("a kill", machine.killed(next));
        add("a power cut", machine.powerless(next, None));
        (0..MIXED).for_each(|seed| add("a power cut that kept some", machine.powerless(next, Some(seed))));
        if let Some(next) = next {
            machine.apply(next);
        }
    }
    let all: Mutex<BTreeMap<Left, usize>> = Mutex::default();
    let failures = each_on_every_core(images.len(), |at| {
        let (context, image) = &images[at];
        let room = room();
        image.lay_out(room.path());
        let left = look(&Layout::new(&room.path().join("data"))).map_err(|why| format!("{context}: {why}"))?;
        *all.lock().unwrap().entry(left).or_default() += 1;
        // Whoever made it was told so: then it is there.
        if at + 2 + MIXED as usize >= images.len() && left != Left::Whole {
            return Err(format!("{context}: {left:?}"));
        }
        Ok(())
    });
    assert_none(&failures);
    let all = all.into_inner().unwrap();
    println!("{} operations, {all:?}", events.len());
    assert!(all.len() == 3 && events.len() > 30, "{} operations, {all:?}", events.len());
}

#[test]
fn whatever_fails_in_an_init_what_is_left_is_whole_or_says_what_to_do() {
    let ways = [(Verdict::Fail, false), (Verdict::Tear(7), true), (Verdict::NoRoom(3), false)];
    for operation in 0.. {
        let mut done = false;
        for (verdict, for_good) in ways {
            let room = room();
            let recorder = match verdict {
                Verdict::NoRoom(_) => Recorder::full(room.path(), operation),
                verdict => Recorder::failing(room.path(), operation, verdict, for_good),
            };
            let medium = Medium { disk: Disk::witnessed(recorder.clone()), ..Medium::default() };
            let layout = Layout::new(&room.path().join("data"));
            let made = make(&medium, &layout).map(drop);
            done = made.is_ok();
            match look(&layout) {
                Ok(Left::Whole) => {}
                Ok(_) if !done => {}
                looked => panic!("{verdict:?} at operation {operation}, {made:?}: {looked:?}"),
            }
        }
        if done {
            assert!(operation > 30, "{operation} operations are too few");
            break;
        }
    }
}
