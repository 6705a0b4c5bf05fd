//! The engine and the toy side by side: each action is done by both, and everything that can be compared is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::{Receiver, channel},
    },
};

use keyward_protocol::{
    code::{Card, Credential, Digits},
    decision::Decision,
    entry::{Command, KeyDoor, KeySpec, Opening, Period, Refusal, ScheduleRef},
    id::*,
    time::Moment,
};
use keyward_server::{
    clock::Clock,
    domain::{
        decide,
        directory::{Directory, Portfolio},
        effects::{self, Effects},
        event::Actor,
        hours::days_later,
        policy::{self, Shown},
        site::Site,
    },
    engine::{Books, Done, Engine, Keeper, Layout, Publisher, Running},
    index::{
        archive::Loaded,
        compile::compile,
        flatten::{flatten, known_person},
        lookup::{Outcome, Question, Scope, Verdict, check_batch},
        publish::PortfolioPublication,
        source::{CodeSource, CodeState},
    },
    store::record::encode_directory,
    vault::Tagger,
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::{
    Action,
    draw::Draw,
    toy::{At, DAY, Follows, Toy},
    what,
};

const PORTFOLIO: PortfolioId = PortfolioId(1);
const START: &str = "2026-11-23T10:00:00Z";
/// Nobody but its manager: the rest is made by commands.
const SITE: &str = "keyward = 1\n[portfolio]\nname = \"Harbor\"\nmanagers = [\"p1@mail.example\"]\n\
                    [[person]]\nname = \"Person 1\"\nemail = \"p1@mail.example\"\n";

macro_rules! same {
    ($what:expr, $is:expr, $must:expr) => {
        match (&$is, &$must) {
            (is, must) if is == must => {}
            (is, must) => return Err(format!("{}:\n     is {is:?}\n   must {must:?}", $what)),
        }
    };
}

/// What a test has come through.
#[derive(Debug, Default)]
pub struct Tally {
    steps: u64,
    refused: u64,
    restarts: u64,
    checks: u64,
    granted: u64,
    codes_made: u64,
    codes_deleted: u64,
    codes_kept: u64,
    shares_ended: u64,
    ended_by_clock: u64,
}

impl Tally {
    /// That it came through enough of everything to show something.
    pub fn assert_enough(&self, steps: u64) {
        if steps < 500 {
            return;
        }
        let Tally { steps, refused, restarts, checks, granted, .. } = *self;
        assert!(refused > steps / 20 && refused < steps * 2 / 3, "{self:?}");
        assert!(granted > checks / 50 && restarts > 5 && self.shares_ended > 5, "{self:?}");
        assert!(self.codes_made > 100 && self.codes_deleted > 50 && self.ended_by_clock > 5, "{self:?}");
    }
}

/// A server's inside on a clock that the test moves, and the toy.
pub struct World {
    /// Before the folder that it writes to, so that it ends first.
    running: Option<Running>,
    dir: tempfile::TempDir,
    layout: Layout,
    engine: Engine,
    tagger: Tagger,
    now: Arc<AtomicI64>,
    toy: Toy,
    /// Every code that ever was, so that none comes back.
    codes: BTreeSet<CodeId>,
    /// All digits that ever were typed, by door.
    typed: BTreeSet<(DoorId, Vec<u8>)>,
    copies: u32,
}

impl World {
    pub fn new() -> Result<World, String> {
        // No power is cut here, so that files in memory do: flushing them to a disk would take most of the time.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let layout = Layout::new(&dir.path().join("data"));
        let now = Moment::parse(START).unwrap();
        let site = Site::parse("site.toml", SITE).map_err(|error| format!("{error:?}"))?;
        let books = Books::create(&layout, &site, now).map_err(|error| error.to_string())?;
        let clock = Arc::new(AtomicI64::new(now.as_micros()));
        let (engine, tagger, running) = start(books, &clock);
        let mut world = World {
            dir,
            layout,
            engine,
            tagger,
            now: clock,
            running: Some(running),
            toy: Toy::default(),
            codes: BTreeSet::new(),
            typed: BTreeSet::new(),
            copies: 0,
        };
        let (first, _) = world.toy.step(&prelude::person(1), now).map_err(str::to_owned)?;
        (world.toy, _) = first.step(&Command::SetPortfolioManager(PersonId(1), true), now).map_err(str::to_owned)?;
        world.settle();
        for command in prelude::commands() {
            world.step(command, false, &mut Tally::default())?;
        }
        world.agree(&mut Tally::default())?;
        Ok(world)
    }

    pub fn act(&mut self, action: Action, told: &mut Vec<String>, tally: &mut Tally) -> Result<(), String> {
        told.push(format!("{:>4}. at {} {action:?}", told.len() + 1, self.now()));
        match action {
            Action::Do(what, dice) => {
                let (toy, now) = (self.toy.clone(), self.now());
                let mut draw = Draw::new(&toy, now, dice);
                let command = draw.command(what);
                if draw.chance(8) {
                    // The command comes before the engine has noticed what is due.
                    let to = draw.jump();
                    told.push(format!("      at {to}"));
                    self.now.store(to.as_micros(), Ordering::SeqCst);
                }
                let spoil = draw.chance(5);
                told.push(format!("      {command:?}{}", if spoil { ", pinned to another preview" } else { "" }));
                self.step(command, spoil, tally)?;
            }
            Action::Burst(dice) => self.burst(dice, told, tally)?,
            Action::Jump(dice) => {
                let (toy, now) = (self.toy.clone(), self.now());
                let to = Draw::new(&toy, now, dice).jump();
                told.push(format!("      to {to}"));
                self.jump(to, tally)?;
            }
            Action::Restart => self.restart(tally)?,
            Action::Crash => self.crash(tally)?,
            Action::Carrier => _ = self.engine.make_carrier("UPS").map_err(|refusal| refusal.to_string())?,
        }
        self.agree(tally)
    }

    pub fn end(mut self) -> Result<(), String> {
        self.restart(&mut Tally::default())?;
        self.running.take().unwrap().stop();
        Ok(())
    }

    fn now(&self) -> Moment {
        Moment::from_micros(self.now.load(Ordering::SeqCst))
    }

    fn directory(&self) -> Arc<Directory> {
        self.engine.directory()
    }

    fn portfolio(&self) -> Arc<Portfolio> {
        Arc::clone(&self.directory().portfolios[&PORTFOLIO])
    }

    /// Waits until the engine has put what is due in the books and published it: the first round after the clock
    /// moved does that, the second releases codes whose quarantine is of no days, the third begins after both.
    fn settle(&mut self) -> Follows {
        for _ in 0..3 {
            _ = self.engine.reveal(PORTFOLIO, CodeId::NONE);
        }
        self.toy.settle(self.now())
    }

    fn jump(&mut self, to: Moment, tally: &mut Tally) -> Result<(), String> {
        let near = (-DAY / 2..7 * DAY).contains(&(to.as_micros() - self.now().as_micros()));
        self.now.store(to.as_micros(), Ordering::SeqCst);
        if near {
            // K7: the clock ends access, before any bookkeeping.
            self.clock_ends_access()?;
        }
        let follows = self.settle();
        if follows != Follows::default() {
            tally.ended_by_clock += 1;
        }
        tally.shares_ended += follows.shares_ended.len() as u64;
        same!("a jump makes codes", follows.codes_made, BTreeSet::new());
        Ok(())
    }

    fn clock_ends_access(&self) -> Result<(), String> {
        let mut settled = self.toy.clone();
        settled.settle(self.now());
        let questions = self.questions(&self.portfolio(), &settled);
        let answers = self.published_answers(&questions, self.now());
        for ((door, shown, _), verdict) in questions.iter().zip(answers) {
            self.compare_grant(&settled, *door, shown, self.now(), &verdict)?;
        }
        Ok(())
    }

    /// Does a command as the engine does it and as the toy does, and compares what follows.
    fn step(&mut self, command: Command, spoil: bool, tally: &mut Tally) -> Result<(), String> {
        let now = self.now();
        let before = self.portfolio();
        let nothing_due = decide::due(&before, now).is_empty();
        if self.toy.settle(now) != Follows::default() {
            tally.ended_by_clock += 1;
        }
        let unchanged = |world: &World| match *world.portfolio() == *before || !nothing_due {
            true => Ok(()),
            false => Err("M7, C2: what was refused changed something".to_owned()),
        };
        let previewed = preview(&before, &command, now);
        let must = self.toy.step(&command, now);
        let mut pin = previewed.as_ref().ok().map(Effects::digest);
        if let (true, Some(pin)) = (spoil, &mut pin) {
            pin[0] ^= 1;
        }
        let done = self.submit(command, pin).recv().map_err(|_| "the engine is gone".to_owned())?;
        tally.steps += 1;
        let (must, done) = match (must, done) {
            (Ok(_), Err(Refusal::MovedOn)) if spoil => {
                unchanged(self)?;
                return Ok(());
            }
            (Ok(must), Ok(done)) if !spoil => (must, done),
            (Err(_), Err(refusal)) if !matches!(refusal, Refusal::Unavailable(_) | Refusal::MovedOn) => {
                tally.refused += 1;
                unchanged(self)?;
                same!("K9: the preview's refusal", previewed.as_ref().err(), Some(&refusal));
                return Ok(());
            }
            (must, done) => {
                let is = done.map(|_| "done").map_err(|refusal| refusal.to_string());
                return Err(format!("the step is {is:?} and must be {:?}", must.map(|_| "done")));
            }
        };
        let (after, follows) = must;
        // What was due before it are steps of their own.
        same!("one step is one revision", done.revision == before.revision + 1, nothing_due);
        // K9
        let previewed = previewed.map_err(|refusal| format!("the preview is refused: {refusal}"))?;
        same!("K9: the preview's digest", previewed.digest(), done.effects.digest());
        same!("K9: what the preview lists", previewed, done.effects);
        same!("what follows", lists(&done.effects), follows);
        tally.codes_made += follows.codes_made.len() as u64;
        tally.codes_deleted += follows.codes_deleted.len() as u64;
        tally.shares_ended += follows.shares_ended.len() as u64;
        self.toy = after;
        for made in &done.effects.codes_made {
            let digits = self.reveal(made.code)?;
            self.take(made.property, made.person, made.door, made.code, digits)?;
        }
        tally.codes_kept += self.toy.properties.values().map(|property| property.live.len() as u64).sum::<u64>();
        Ok(())
    }

    /// Commands that are drawn from the toy as it would be after each, and handed over together.
    fn burst(&mut self, dice: u64, told: &mut Vec<String>, tally: &mut Tally) -> Result<(), String> {
        let now = self.now();
        let mut random = StdRng::seed_from_u64(dice);
        let (mut ahead, mut commands) = (self.toy.clone(), Vec::new());
        for _ in 0..random.random_range(2..6) {
            let command = Draw::new(&ahead, now, random.next_u64()).command(what(&mut random));
            if let Ok((after, _)) = ahead.step(&command, now) {
                ahead = after;
            }
            told.push(format!("      {command:?}"));
            commands.push(command);
        }
        let waiting: Vec<_> = commands.iter().map(|command| self.submit(command.clone(), None)).collect();
        for (command, waiting) in commands.into_iter().zip(waiting) {
            tally.steps += 1;
            let done = waiting.recv().map_err(|_| "the engine is gone".to_owned())?;
            match (self.toy.step(&command, now), done) {
                (Ok((after, follows)), Ok(done)) => {
                    same!("what follows in a burst", lists(&done.effects), follows);
                    self.toy = after;
                    for made in &done.effects.codes_made {
                        // One that a later command of the burst deleted is gone before anybody could see it.
                        let digits = self.reveal(made.code).unwrap_or_default();
                        self.take(made.property, made.person, made.door, made.code, digits)?;
                    }
                }
                (Err(_), Err(refusal)) if !matches!(refusal, Refusal::Unavailable(_) | Refusal::MovedOn) => {
                    tally.refused += 1;
                }
                (must, done) => {
                    let is = done.map(|_| "done").map_err(|refusal| refusal.to_string());
                    return Err(format!("{command:?} is {is:?} and must be {:?}", must.map(|_| "done")));
                }
            }
        }
        Ok(())
    }

    fn submit(&self, command: Command, pin: Option<[u8; 32]>) -> Receiver<Result<Done, Refusal>> {
        let (send, receive) = channel();
        let reply = Box::new(move |done: Result<Done, Refusal>| _ = send.send(done));
        self.engine.submit(PORTFOLIO, Actor::Administrator, command, pin, reply);
        receive
    }

    /// A new code: of the right length, not trivial, of an id that never was, and of digits that nobody has or had
    /// at the door within the quarantine (C2, C6).
    fn take(
        &mut self,
        property: PropertyId,
        person: PersonId,
        door: DoorId,
        code: CodeId,
        digits: Vec<u8>,
    ) -> Result<(), String> {
        let property = self.toy.properties.get_mut(&property).ok_or("a code at a property that is not there")?;
        let taken = property.live.iter().any(|(at, (_, other))| at.1 == door && *other == digits)
            || property.gone.values().any(|gone| gone.door == door && gone.digits == digits);
        let length = usize::from(property.spec.codes.digits);
        let unseen = digits.is_empty();
        let sound =
            unseen || digits.len() == length && Digits::parse(&digits).is_some_and(|digits| !digits.is_trivial());
        if (taken && !unseen) || !sound || !self.codes.insert(code) {
            return Err(format!("C2, C6: {code} at {door}: taken {taken}, sound {sound}"));
        }
        if !unseen {
            self.typed.insert((door, digits.clone()));
        }
        property.live.insert((person, door), (code, digits));
        Ok(())
    }

    fn reveal(&self, code: CodeId) -> Result<Vec<u8>, String> {
        let digits = self.engine.reveal(PORTFOLIO, code);
        digits.map(|digits| digits.expose().to_vec()).map_err(|error| format!("{code} is not revealed: {error}"))
    }

    fn restart(&mut self, tally: &mut Tally) -> Result<(), String> {
        let before = Directory::clone(&self.directory());
        self.running.take().unwrap().stop();
        let older = self.older_index();
        _ = fs::remove_dir_all(&older);
        copy_folder(&self.layout.index(), &older);
        self.open(before, tally)
    }

    /// The persisted index as it was at the last orderly stop.
    fn older_index(&self) -> PathBuf {
        self.dir.path().join("older-index")
    }

    /// What lies on the disk is copied while the server runs, and opened: that is what a killed one leaves. Its index
    /// is an older one, whose properties are used only where nothing in them changed since.
    fn crash(&mut self, tally: &mut Tally) -> Result<(), String> {
        let before = Directory::clone(&self.directory());
        let layout = self.copy();
        self.running.take().unwrap().stop();
        self.layout = layout;
        if self.older_index().is_dir() {
            copy_folder(&self.older_index(), &self.layout.index());
        }
        self.open(before, tally)
    }

    fn open(&mut self, before: Directory, tally: &mut Tally) -> Result<(), String> {
        tally.restarts += 1;
        // The journal alone says the same, from the first change on.
        let copy = self.copy();
        fs::remove_dir_all(copy.snapshots()).unwrap();
        fs::create_dir_all(copy.snapshots()).unwrap();
        let (replayed, report) = Books::open(&copy).map_err(|error| format!("no replay: {error}"))?;
        if *replayed.directory() != before || !report.lost.is_empty() {
            return Err(format!("the journal alone leads elsewhere: {report:?}"));
        }
        let bytes = encode_directory(&before);
        if encode_directory(replayed.directory()) != bytes {
            return Err("what the journal leads to is written down as other bytes".into());
        }
        drop(replayed);
        fs::remove_dir_all(copy.data()).unwrap();
        let (books, report) = Books::open(&self.layout).map_err(|error| format!("no start: {error}"))?;
        if *books.directory() != before || encode_directory(books.directory()) != bytes {
            return Err("a restart leads to other books".into());
        }
        same!("codes are lost", report.lost, vec![]);
        same!("bytes are torn", report.torn_bytes, 0);
        let (engine, tagger, running) = start(books, &self.now);
        (self.engine, self.tagger, self.running) = (engine, tagger, Some(running));
        self.settle();
        Ok(())
    }

    /// A copy of the files, without the index, which is made anew where it is missing.
    fn copy(&mut self) -> Layout {
        self.copies += 1;
        let to = Layout::new(&self.dir.path().join(format!("copy-{}", self.copies)));
        copy_folder(self.layout.data(), to.data());
        copy_folder(self.layout.secrets(), to.secrets());
        to
    }

    /// That everything agrees: books and toy, vault and toy, index, judge and toy.
    fn agree(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.settle();
        let portfolio = self.portfolio();
        self.agree_on_books(&portfolio)?;
        for property in self.toy.properties.values() {
            for (place, (code, digits)) in &property.live {
                // C3, C4: who kept coverage kept the code, to the digit.
                same!(format!("C4: the digits of {place:?}"), self.reveal(*code)?, *digits);
            }
            for code in property.gone.keys() {
                same!(format!("C6: {code} is revealed"), self.reveal(*code).is_ok(), false);
            }
        }
        self.agree_on_answers(&portfolio, tally)
    }

    fn agree_on_books(&self, portfolio: &Portfolio) -> Result<(), String> {
        let toy = &self.toy;
        let people: Vec<_> = portfolio.people.values().map(|person| (person.id, person.suspended)).collect();
        same!("people", people, toy.people.iter().map(|(id, person)| (*id, person.suspended)).collect::<Vec<_>>());
        same!("properties", ids(portfolio.properties.keys()), ids(toy.properties.keys()));
        for (id, must) in &toy.properties {
            let is = &portfolio.properties[id];
            same!(format!("{id}: doors"), ids(is.doors.keys()), ids(must.doors.keys()));
            same!(format!("{id}: Keys"), ids(is.keys.keys()), ids(must.keys.keys()));
            same!(format!("{id}: the Deliveries Key"), is.deliveries, must.deliveries);
            let held =
                |(key, person, may_share, period, ended)| format!("{key} {person} {may_share} {period:?} {ended}");
            let givings = is.givings.iter().map(|(id, giving)| {
                let period = Period { from: giving.from, until: giving.until };
                (*id, held((giving.key, giving.person, giving.may_share, period, giving.ended)))
            });
            let must_hold = must.held.iter().map(|(id, giving)| {
                (*id, held((giving.key, giving.person, giving.may_share, giving.period, giving.ended)))
            });
            same!(format!("{id}: givings"), givings.collect::<Vec<_>>(), must_hold.collect::<Vec<_>>());
            let shares = is.shares.iter().map(|(id, share)| {
                let doors = share.doors.as_ref().map(|doors| doors.iter().copied().collect::<BTreeSet<_>>());
                let period = Period { from: share.from, until: share.until };
                (*id, share.giving, share.guest, doors, period, share.ended)
            });
            let must_share = must
                .guests
                .iter()
                .map(|(id, share)| (*id, share.giving, share.guest, share.doors.clone(), share.period, share.ended));
            same!(format!("{id}: shares"), shares.collect::<Vec<_>>(), must_share.collect::<Vec<_>>());
            // C1: one code for each door that is covered with one.
            let live: BTreeMap<_, _> = is.code_of.iter().map(|(place, code)| (*place, *code)).collect();
            let must_live: BTreeMap<_, _> = must.live.iter().map(|(place, (code, _))| (*place, *code)).collect();
            same!(format!("{id}: C1, C3: live codes"), live, must_live);
            let covered = must.coverage().into_iter().filter(|(_, code)| *code).map(|(place, _)| place);
            same!(format!("{id}: C1: who has a code"), ids(must_live.keys()), covered.collect::<Vec<_>>());
            let codes: BTreeMap<_, _> = is.codes.values().map(|code| ((code.person, code.door), code.id)).collect();
            same!(format!("{id}: the books' codes"), codes, live);
            let mut counts: BTreeMap<DoorId, u32> = BTreeMap::new();
            live.keys().for_each(|(_, door)| *counts.entry(*door).or_default() += 1);
            same!(
                format!("{id}: C2: live codes"),
                is.live_codes.iter().map(|(d, n)| (*d, *n)).collect::<BTreeMap<_, _>>(),
                counts
            );
            let gone = is.deleted_codes.values().map(|code| (code.id, code.door, code.person, code.quarantined_until));
            // A quarantine of no days is over at the next bookkeeping.
            let now = self.now();
            let gone: Vec<_> = gone.filter(|code| now < code.3).collect();
            let must_gone = must.gone.iter().filter(|(_, gone)| now < gone.until);
            let must_gone = must_gone.map(|(id, gone)| (*id, gone.door, gone.person, gone.until));
            same!(format!("{id}: C6: deleted codes"), gone, must_gone.collect::<Vec<_>>());
        }
        Ok(())
    }

    /// U1, U2, C6: published index, one built from nothing, judge and toy give the same answers to everything.
    fn agree_on_answers(&self, portfolio: &Portfolio, tally: &mut Tally) -> Result<(), String> {
        let now = self.now();
        let fresh = self.built_from_nothing(portfolio);
        let questions = self.questions(portfolio, &self.toy);
        let near = |moment: &Moment| (-DAY / 24..7 * DAY).contains(&(moment.as_micros() - now.as_micros()));
        let mut moments = vec![now, now.plus_micros(-DAY / 24), now.plus_micros(DAY / 3)];
        let mut ends: Vec<Moment> = self.toy.ends().into_iter().filter(near).collect();
        ends.sort_unstable();
        moments.extend(ends.into_iter().take(2).flat_map(|end| [end.plus_micros(-1), end]));
        for moment in moments {
            let published = self.published_answers(&questions, moment);
            let built = self.answers(&fresh, &questions, moment);
            for (((door, credential, shown), is), must) in questions.iter().zip(published).zip(built) {
                let context = || format!("{credential:?} ({shown:?}) at {door} at {moment}");
                same!(format!("published against built from nothing: {}", context()), is, must);
                let property = portfolio.property_with_door(*door).or(portfolio.properties.values().next());
                if let Some(property) = property {
                    let judged = policy::judge(portfolio, property, *door, *shown, moment);
                    same!(format!("index against judge: {}", context()), is.outcome, Outcome::Decided(judged.decision));
                    same!(format!("the host: {}", context()), is.host.some(), judged.host);
                }
                tally.granted += u64::from(self.compare_grant(&self.toy, *door, credential, moment, &is)?);
                tally.checks += 1;
            }
        }
        Ok(())
    }

    /// That the index lets in whom the toy lets in, and by the same Key.
    fn compare_grant(
        &self,
        toy: &Toy,
        door: DoorId,
        credential: &Credential,
        moment: Moment,
        is: &Verdict,
    ) -> Result<bool, String> {
        let portfolio = self.portfolio();
        let carrier = self.directory().carriers.values().next().map(|carrier| carrier.mobile);
        let must = match credential {
            Credential::Mobile(mobile) if Some(*mobile) == carrier => {
                toy.opens_to_carriers(door).map(|key| (key, None))
            }
            Credential::Mobile(mobile) => {
                let person = portfolio.people.values().find(|person| person.mobile == *mobile);
                person.and_then(|person| toy.opens(door, person.id, false, moment))
            }
            Credential::Card(card) => {
                let person = toy.people.iter().find(|(_, person)| person.spec.cards.contains(card));
                person.and_then(|(person, _)| toy.opens(door, *person, false, moment))
            }
            Credential::Code(digits) => {
                let property = toy.property_of_door(door).map(|property| &toy.properties[&property]);
                let mut live = property.into_iter().flat_map(|property| &property.live);
                let live = live.find(|((_, at), (_, other))| *at == door && other == digits.expose());
                live.and_then(|((person, _), _)| toy.opens(door, *person, true, moment))
            }
        };
        let granted = match is.outcome {
            Outcome::Decided(Decision::Granted { key }) => Some((key, is.host.some())),
            Outcome::Decided(Decision::Denied { .. }) => None,
            Outcome::Retry => return Err(format!("{credential:?} at {door} is answered `retry`")),
        };
        same!(format!("who opens: {credential:?} ({:?}) at {door} at {moment}", is.person), granted, must);
        Ok(must.is_some())
    }

    /// Every credential of the small world at every door of it, and what it is there.
    fn questions(&self, portfolio: &Portfolio, toy: &Toy) -> Vec<(DoorId, Credential, Shown)> {
        let mut questions = Vec::new();
        let doors = toy.properties.values().flat_map(|property| property.doors.keys().copied());
        let doors: Vec<DoorId> = doors.chain([DoorId(toy.next.door + 7)]).collect();
        let (now, directory) = (self.now(), self.directory());
        for door in doors.iter().copied() {
            for person in portfolio.people.values() {
                questions.push((door, Credential::Mobile(person.mobile), Shown::Person(person.id)));
            }
            for card in (0..6).map(|number| Card::new(&[4, number]).unwrap()) {
                let person = toy.people.iter().find(|(_, person)| person.spec.cards.contains(&card));
                let shown = person.map_or(Shown::Unknown, |(person, _)| Shown::Person(*person));
                questions.push((door, Credential::Card(card), shown));
            }
            let carriers = directory.carriers.values();
            questions.extend(carriers.map(|carrier| (door, Credential::Mobile(carrier.mobile), Shown::Carrier)));
            questions.push((door, Credential::Mobile(5), Shown::Unknown));
            // Codes of this door, those that are not known any more too, and one of another door.
            let here = self.typed.iter().filter(|(at, _)| *at == door);
            let elsewhere = self.typed.iter().filter(|(at, _)| *at != door).take(1);
            for (_, digits) in here.chain(elsewhere) {
                let property = toy.property_of_door(door).map(|property| &toy.properties[&property]);
                let live = property.into_iter().flat_map(|property| &property.live);
                let live = live.filter(|((_, at), (_, other))| *at == door && other == digits);
                let live = live.map(|((person, _), _)| Shown::LiveCode(*person)).next();
                let gone = property.into_iter().flat_map(|property| &property.gone);
                let gone = gone.filter(|(_, gone)| gone.door == door && gone.digits == *digits && now < gone.until);
                let gone = gone.map(|(code, gone)| Shown::DeletedCode(gone.person, *code)).next();
                let digits = Digits::parse(digits).unwrap();
                questions.push((door, Credential::Code(digits), live.or(gone).unwrap_or(Shown::Unknown)));
            }
        }
        questions
    }

    fn published_answers(&self, questions: &[(DoorId, Credential, Shown)], at: Moment) -> Vec<Verdict> {
        let publication = self.engine.published().load();
        self.answers(publication.portfolio(PORTFOLIO).unwrap(), questions, at)
    }

    fn answers(
        &self,
        publication: &PortfolioPublication,
        questions: &[(DoorId, Credential, Shown)],
        at: Moment,
    ) -> Vec<Verdict> {
        let asked = questions.iter().map(|(door, credential, _)| Question { door: *door, shown: credential.into() });
        let asked: Vec<Question> = asked.collect();
        let mut out = vec![Verdict::DENIED; asked.len()];
        let tag = |door, digits: &_| self.tagger.tag(door, digits).0;
        for (asked, out) in asked.chunks(64).zip(out.chunks_mut(64)) {
            check_batch(publication, Scope::Portfolio, at, asked, tag, out);
        }
        out
    }

    /// An index of the Directory and of what the toy knows of the codes, which is what the vault must hold.
    fn built_from_nothing(&self, portfolio: &Portfolio) -> PortfolioPublication {
        let mut publication = PortfolioPublication::default();
        publication.revision = portfolio.revision;
        let horizon = (days_later(self.now(), -6), days_later(self.now(), 21));
        for property in portfolio.properties.values() {
            let source = flatten(portfolio, property, horizon).unwrap();
            publication.put_property(Arc::new(Loaded::new(&compile(&source, (3, 4)).unwrap()).unwrap()));
            let toy = &self.toy.properties[&property.id()];
            let tag = |door, digits: &[u8]| self.tagger.tag(door, &Digits::parse(digits).unwrap()).0;
            let live = toy.live.iter().map(|((person, door), (_, digits))| CodeSource {
                tag: tag(*door, digits),
                door: *door,
                person: *person,
                state: CodeState::Live,
            });
            let gone = toy.gone.values().filter(|gone| !gone.digits.is_empty()).map(|gone| {
                let state = CodeState::Quarantined { until: gone.until };
                CodeSource { tag: tag(gone.door, &gone.digits), door: gone.door, person: gone.person, state }
            });
            let codes: Vec<CodeSource> = live.chain(gone).collect();
            publication.set_codes(property.id(), Some(&codes));
        }
        for person in portfolio.people.values() {
            publication.put_person(known_person(person));
        }
        let directory = self.directory();
        let carriers = directory.carriers.values().map(|carrier| (carrier.mobile, carrier.id));
        publication.set_carriers(Arc::new(carriers.collect()));
        publication
    }
}

fn start(books: Books, now: &Arc<AtomicI64>) -> (Engine, Tagger, Running) {
    let tagger = books.tagger(PORTFOLIO).unwrap();
    let (shelf, _) = Keeper::open(&books.layout().index(), books.lineage());
    let publisher = Publisher::new(&books, Moment::from_micros(now.load(Ordering::SeqCst)), (1, 2), shelf);
    let shared = Arc::clone(now);
    let clock: Clock = Arc::new(move || Moment::from_micros(shared.load(Ordering::SeqCst)));
    let (engine, running) = Engine::start(books, publisher, clock);
    (engine, tagger, running)
}

/// What would follow, worked out from a snapshot as a preview is.
fn preview(portfolio: &Portfolio, command: &Command, now: Moment) -> Result<Effects, Refusal> {
    let due = decide::due(portfolio, now);
    let stepped = effects::step(portfolio, &due, now);
    let settled = if due.is_empty() { portfolio.clone() } else { effects::finish(stepped, &[], now) };
    decide::decide(&settled, command, now, [9, 8, 7, 6], None).map(|decided| decided.effects().clone())
}

fn lists(effects: &Effects) -> Follows {
    let at = |at: &effects::At| (at.property, at.person, at.door);
    Follows {
        doors_lost: effects.doors_lost.iter().map(at).collect(),
        doors_gained: effects.doors_gained.iter().map(at).collect(),
        codes_deleted: effects.codes_deleted.iter().map(|code| (code.property, code.person, code.door)).collect(),
        codes_made: effects
            .codes_made
            .iter()
            .map(|code| (code.property, code.person, code.door))
            .collect::<BTreeSet<At>>(),
        shares_ended: effects.shares_ended.iter().map(|share| share.share).collect(),
        sight_lost: effects.sight_lost.iter().map(at).collect(),
    }
}

fn ids<'a, T: Copy + 'a>(all: impl Iterator<Item = &'a T>) -> Vec<T> {
    all.copied().collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let (path, name) = (entry.path(), entry.file_name());
        match path.is_dir() {
            true if name == "index" => {}
            true => copy_folder(&path, &to.join(name)),
            false => _ = fs::copy(&path, to.join(name)).unwrap(),
        }
    }
}

/// What every run begins with.
mod prelude {
    use keyward_protocol::entry::{CodePolicy, DoorKind, DoorSpec, OnLogFailure, PersonSpec, PropertySpec};

    use super::*;

    pub fn person(number: u32) -> Command {
        Command::MakePerson(PersonSpec {
            name: format!("Person {number}"),
            email: format!("p{number}@mail.example"),
            phone: None,
            note: None,
            cards: vec![],
        })
    }

    fn property(name: &str, zone: &str) -> Command {
        Command::MakeProperty(PropertySpec {
            name: name.into(),
            zone: zone.into(),
            codes: CodePolicy { quarantine_days: 2, ..CodePolicy::default() },
            on_log_failure: OnLogFailure::Deny,
        })
    }

    fn door(property: u32, name: &str, kind: DoorKind) -> Command {
        let spec = DoorSpec { name: name.into(), kind, occupied: false, labels: vec![] };
        Command::MakeDoor(PropertyId(property), spec)
    }

    fn key(property: u32, name: &str, doors: &[u32]) -> Command {
        let opening = Opening { schedule: ScheduleRef::Always, code: true };
        let doors = doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
        Command::MakeKey(PropertyId(property), KeySpec { name: name.into(), may_share: true, doors, rules: vec![] })
    }

    pub fn commands() -> Vec<Command> {
        let mut commands: Vec<Command> = (2..=5).map(person).collect();
        commands.extend([property("Main", "Asia/Kathmandu"), property("Annex", "Etc/UTC")]);
        commands.extend([door(1, "Door 1", DoorKind::Entrance), door(1, "Door 2", DoorKind::Unit)]);
        commands.extend([door(1, "Door 3", DoorKind::Amenity), door(2, "Door 1", DoorKind::Entrance)]);
        commands.extend([key(1, "Key A", &[1, 2]), key(1, "Key B", &[1, 2]), key(2, "Key A", &[4])]);
        commands
    }
}
