//! Management requests: answered from the Directory's last durable snapshot, or handed to the engine.
//!
//! Here, and nowhere else, the Directory's records become what an operator is shown. Who asks is looked up at each
//! request: what they may not see is left out or not there (M8).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_protocol::{
    decision::{Decision, Reason},
    entry::{Command, LockScope, Opening, Party, Refusal, ScheduleRef, Sha256},
    id::*,
    message::{
        manage::*,
        watch::{History, LiveRow, Names, Search},
    },
    name::fold,
    time::Moment,
};
use tokio::sync::oneshot;

use super::{
    audit,
    cursor::Seal,
    holder,
    identities::{self, Open},
    lockout::{Alert, Budgets},
    past::Past,
    portfolios::Portfolios,
    watch,
};
use crate::{
    access_log::{AccessLog, Query, Wanted},
    clock::Clock,
    domain::{
        audit::{Attempt, made},
        decide,
        directory::{DELIVERIES_NAME, Directory, Door, Giving, Key, Lockdown, Person, Portfolio, Property, Share},
        effects,
        event::Actor,
        explain,
        permission::{Managed, Sight},
        policy,
        since::{self, Proviso},
    },
    engine::{self, Asker, Engine, Shown},
    identity::Principal,
    net::{self, Activity, Handle, Later, Peer},
};

/// Answers operators. Clones are handles of the same one.
#[derive(Clone)]
pub struct Manage {
    engine: Engine,
    log: AccessLog,
    journal: Arc<PathBuf>,
    /// One page of the audit trail is read at a time: it is files that are read for one manager.
    trail: Arc<tokio::sync::Mutex<()>>,
    portfolios: Arc<Portfolios>,
    past: Arc<Past>,
    seal: Arc<Seal>,
    met: Arc<Met>,
    connections: Handle,
    clock: Clock,
}

/// Whom each manager found by exact email, made, or took a Key from since the server started: people who hold nothing that they see are
/// not there for them (M8), but this is how they are given a first Key.
#[derive(Default)]
struct Met(Mutex<HashMap<(PortfolioId, PersonId), VecDeque<PersonId>>>);

/// How many people a manager may have met and not given anything yet; past it the first are forgotten.
const MET_MAX: usize = 256;

impl Met {
    fn note(&self, who: (PortfolioId, PersonId), other: PersonId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let met = all.entry(who).or_default();
        met.retain(|known| *known != other);
        met.push_back(other);
        if met.len() > MET_MAX {
            met.pop_front();
        }
    }

    fn by(&self, who: (PortfolioId, PersonId)) -> Vec<PersonId> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&who).into_iter().flatten().copied().collect()
    }
}

impl Manage {
    /// Answers from this engine's Directory, this log, this journal and these budgets, by this clock.
    pub fn new(
        engine: Engine,
        log: AccessLog,
        journal: PathBuf,
        portfolios: Arc<Portfolios>,
        connections: Handle,
        clock: Clock,
    ) -> Manage {
        let (journal, trail, seal) = (Arc::new(journal), Arc::default(), Arc::new(Seal::new()));
        let past = Arc::new(Past::of(Arc::clone(&journal)));
        Manage { engine, log, journal, trail, portfolios, past, seal, met: Arc::default(), connections, clock }
    }

    async fn answer(&self, who: &Peer, payload: Vec<u8>) -> Answer {
        if let Err(refusal) = taken(&self.engine.directory(), who) {
            return Answer::Refused(refusal);
        }
        let request = match Request::decode(&payload) {
            Ok(request) => request,
            Err(error) => return Answer::Unreadable(error.to_string()),
        };
        let (portfolio, person) = match who.principal {
            Principal::Operator { portfolio, person } => (portfolio, person),
            Principal::Holder { portfolio, person } => {
                let (engine, clock, who) = (self.engine.clone(), Arc::clone(&self.clock), *who);
                let answer = move || holder::answer(&engine, &clock, (portfolio, person), &who, request);
                return tokio::task::spawn_blocking(answer).await.unwrap_or_else(|_| Answer::Refused(stopping()));
            }
            Principal::Lock { .. } => {
                return Answer::Refused(Refusal::NotPermitted("an operator's certificate".to_owned()));
            }
        };
        let asker = || Asker { actor: Actor::Person(person), met: self.met.by((portfolio, person)), from: who.address };
        let request = match request {
            Request::Do { command, pinned, part } => {
                return self.step((portfolio, person), asker(), command, pinned.into(), part).await;
            }
            Request::DoSince { was, command, pinned, part } => {
                let proviso = Proviso { was: Some(*was), pinned };
                return self.step((portfolio, person), asker(), *command, proviso, part).await;
            }
            look => look,
        };
        if let Request::Reveal(code) = request {
            let (engine, asker) = (self.engine.clone(), asker());
            let shown = tokio::task::spawn_blocking(move || engine.show(portfolio, asker, code)).await;
            return shown.unwrap_or_else(|_| Err(stopping())).map_or_else(Answer::Refused, revealed);
        }
        let attempt = attempt(&self.engine, portfolio, &request);
        let answer = self.look(portfolio, person, request).await;
        if let Answer::Refused(why @ (Refusal::NotPermitted(_) | Refusal::NotFound(_))) = &answer {
            let (engine, asker, why) = (self.engine.clone(), asker(), why.clone());
            // Before the answer leaves (M7).
            _ = tokio::task::spawn_blocking(move || engine.note_refused(portfolio, asker, attempt(), why)).await;
        }
        answer
    }

    /// Carries a command out, and notes whom its author has met by it. What is refused here, the engine puts in the audit
    /// trail.
    async fn step(
        &self,
        who: (PortfolioId, PersonId),
        asker: Asker,
        command: Command,
        proviso: Proviso,
        part: Part,
    ) -> Answer {
        let taken_from = taken_from(&command);
        let answer = self.carry_out(who.0, asker, command, proviso, part).await;
        if let Answer::Done(done) = &answer {
            let made = match done.made {
                Some(Made::Person(made)) => Some(made),
                _ => None,
            };
            made.into_iter().chain(taken_from).for_each(|other| self.met.note(who, other));
        }
        answer
    }

    async fn look(&self, portfolio: PortfolioId, person: PersonId, request: Request) -> Answer {
        let who = (portfolio, person);
        match request {
            Request::Search(search) => {
                let (engine, log, seal) = (self.engine.clone(), self.log.clone(), Arc::clone(&self.seal));
                let find = move || history(&engine, &log, &seal, who, &search);
                let found = tokio::task::spawn_blocking(find).await;
                found.unwrap_or_else(|_| Err(stopping())).map_or_else(Answer::Refused, Answer::History)
            }
            Request::Audit(search) => {
                let reading = Arc::clone(&self.trail).lock_owned().await;
                let (engine, journal, seal) = (self.engine.clone(), Arc::clone(&self.journal), Arc::clone(&self.seal));
                let find = move || {
                    let _reading = reading;
                    audit::page(&engine, &journal, &seal, who, &search)
                };
                let found = tokio::task::spawn_blocking(find).await;
                found.unwrap_or_else(|_| Err(stopping())).map_or_else(Answer::Refused, Answer::Audit)
            }
            look => {
                // Looking back takes long: others wait here for that, and hold no thread meanwhile.
                let (now, (from, until)) = ((self.clock)(), moments(&look));
                let looks_back = [from, until].into_iter().flatten().any(|at| at < now);
                let reading = if looks_back { Some(Arc::clone(&self.trail).lock_owned().await) } else { None };
                // Lists may be long: not on a thread that serves locks.
                let this = self.clone();
                let look_up = move || {
                    let _reading = reading;
                    this.look_up(who, look)
                };
                let looked = tokio::task::spawn_blocking(look_up).await;
                looked.unwrap_or_else(|_| Answer::Refused(stopping()))
            }
        }
    }

    /// Answers from what is there, and was. Blocks.
    fn look_up(&self, who: (PortfolioId, PersonId), request: Request) -> Answer {
        let Manage { engine, met, portfolios, past, connections, .. } = self;
        let directory = engine.directory();
        let now = (self.clock)();
        let found = directory.portfolios.get(&who.0).ok_or_else(|| Refusal::NotPermitted("being a manager".to_owned()));
        let sight = match found.and_then(|found| Sight::of(found, who.1)) {
            Ok(sight) => sight,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let door_codes = match &*engine.door_codes() {
            engine::DoorCodes::BeingRead => DoorCodes::BeingRead,
            engine::DoorCodes::Read(read) => {
                read.failed.get(&who.0).cloned().map_or(DoorCodes::There, DoorCodes::Unreadable)
            }
        };
        let kept = portfolios.load_full();
        let budgets = kept.get(&who.0).map(|kept| &kept.budgets);
        // Only who may ask is worth the time that it takes to look back.
        let look_back = |at: Option<Moment>| at.filter(|at| *at < now).map(|at| past.at(engine, who.0, at)).transpose();
        let (from, until) = moments(&request);
        let (then, until) = match (look_back(from), look_back(until)) {
            (Ok(then), Ok(until)) => (then, until),
            (Err(refusal), _) | (_, Err(refusal)) => return Answer::Refused(refusal),
        };
        let portfolio = sight.portfolio();
        let (then, until) = (then.as_deref().unwrap_or(portfolio), until.as_deref().unwrap_or(portfolio));
        // Asked only where they are shown: with thousands of locks they are a long list.
        let shown = matches!(request, Request::Identities(_) | Request::Locks(_));
        let open = Open::of(if shown { connections.connected() } else { Vec::new() });
        let asked = match request {
            Request::LockActivity(_) => connections.activities(now),
            _ => HashMap::new(),
        };
        let viewer = Viewer { portfolio, then, until, sight, met: met.by(who), door_codes, budgets, open, asked };
        let answer = viewer.answer(request, now).unwrap_or_else(Answer::Refused);
        if let Answer::Found(person) = &answer {
            met.note(who, person.id);
        }
        answer
    }

    async fn carry_out(
        &self,
        portfolio: PortfolioId,
        asker: Asker,
        command: Command,
        proviso: Proviso,
        part: Part,
    ) -> Answer {
        let (send, receive) = oneshot::channel();
        // Names of what the step takes away are there before it only.
        let before = self.engine.directory();
        let engine = self.engine.clone();
        // The engine's queue may be full, which holds up whoever hands something over.
        let handed = tokio::task::spawn_blocking(move || {
            engine.submit(portfolio, asker, command, proviso, Box::new(move |done| _ = send.send(done)));
        });
        let stopped = || Err(stopping());
        let done = match handed.await {
            Ok(()) => receive.await.unwrap_or_else(|_| stopped()),
            Err(_) => stopped(),
        };
        match done {
            Ok(done) => {
                let after = self.engine.directory();
                let names = [before, after].map(|directory| directory.portfolios.get(&portfolio).cloned());
                let names = names.each_ref().map(|portfolio| portfolio.as_deref());
                let effects = effects_shown(&done.effects, done.revision, part, &names);
                Answer::Done(Done { revision: done.revision, made: done.causes.iter().find_map(made), effects })
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }
}

impl net::Manage for Manage {
    fn request<'a>(&'a self, who: &'a Peer, payload: Vec<u8>) -> Later<'a, Vec<u8>> {
        Box::pin(async move { self.answer(who, payload).await.encode() })
    }
}

/// Refused to who was disabled or replaced, and whose connection is about to be closed.
pub(super) fn taken(directory: &Directory, who: &Peer) -> Result<(), Refusal> {
    let portfolio = directory.portfolios.get(&who.principal.portfolio());
    let proves = portfolio.is_some_and(|found| found.admissions.proves(who.identity, who.principal.party()));
    proves.then_some(()).ok_or_else(|| Refusal::NotPermitted("an identity that is not disabled".to_owned()))
}

/// Who may be out of sight after a step, and was in it before: whoever took a Key from them may give it back.
fn taken_from(command: &Command) -> Option<PersonId> {
    match command {
        Command::Revoke { person, .. } => Some(*person),
        Command::EndShare { guest, .. } => Some(*guest),
        _ => None,
    }
}

/// What somebody asks for, for the audit trail, should it be refused. Worked out only then.
fn attempt(engine: &Engine, portfolio: PortfolioId, request: &Request) -> impl FnOnce() -> Attempt + Send + use<> {
    let look = match request {
        Request::Preview(..) | Request::PreviewSince { .. } => None,
        Request::Property(id) | Request::Keys(id, _) | Request::Doors(id, _) | Request::Schedules(id, _) => {
            Some((Some(Made::Property(*id)), "a property"))
        }
        Request::Key(id) | Request::Holders(id, _) => Some((Some(Made::Key(*id)), "a Key")),
        Request::Person(id) | Request::WhatCan(id, ..) => Some((Some(Made::Person(*id)), "a person")),
        Request::Door(id) | Request::WhoCan(id, ..) => Some((Some(Made::Door(*id)), "a door")),
        Request::Explain { door, .. } => Some((Some(Made::Door(*door)), "why somebody can or can't open a door")),
        Request::People(id, _) => Some((id.map(Made::Property), "people")),
        Request::FindPerson(_) => Some((None, "somebody by their email")),
        Request::Locks(_) | Request::LockActivity(_) => Some((None, "locks")),
        Request::Search(_) => Some((None, "the access log")),
        Request::Audit(_) => Some((None, "the audit trail")),
        Request::Alerts => Some((None, "alerts")),
        Request::Identities(_) => Some((None, "keys that joined")),
        Request::Tokens(_) => Some((None, "tokens")),
        Request::Mine(_) => Some((None, "a holder's own")),
        Request::Difference { property, .. } => Some((Some(Made::Property(*property)), "who gained and lost doors")),
        Request::Overview | Request::Do { .. } | Request::DoSince { .. } | Request::Reveal(_) => {
            Some((None, "the portfolio"))
        }
    };
    let command = match request {
        Request::Preview(command, _) => Some((engine.directory(), command.clone())),
        Request::PreviewSince { command, .. } => Some((engine.directory(), Command::clone(command))),
        _ => None,
    };
    move || match (look, command) {
        (None, Some((directory, command))) => match directory.portfolios.get(&portfolio) {
            Some(portfolio) => Attempt::step(portfolio, &command),
            None => Attempt::look(None, "the portfolio"),
        },
        (look, _) => {
            let (about, what) = look.unwrap_or((None, "the portfolio"));
            Attempt::look(about, what)
        }
    }
}

pub(super) fn revealed(shown: Shown) -> Answer {
    let digits = shown.digits.expose().iter().map(|digit| char::from(*digit)).collect();
    Answer::Revealed(Revealed { code: shown.code, person: shown.person, door: shown.door, digits })
}

fn stopping() -> Refusal {
    Refusal::Unavailable("the server is shutting down".to_owned())
}

/// A page of the log, as far as its doors are in sight now (L2), past events too.
fn history(
    engine: &Engine,
    log: &AccessLog,
    seal: &Seal,
    who: (PortfolioId, PersonId),
    search: &Search,
) -> Result<History, Refusal> {
    let directory = engine.directory();
    let portfolio = directory.portfolios.get(&who.0);
    let view = portfolio.and_then(|found| watch::view(found, who.1, search.property, search.doors.as_deref()));
    let (Some(portfolio), Some(view)) = (portfolio, view) else {
        return Err(Refusal::NotPermitted("being a manager".to_owned()));
    };
    let sight = Sight::of(portfolio, who.1)?;
    let nothing = || History { rows: Vec::new(), names: Names::default(), next: None, searched_to: None, damaged: 0 };
    if search.key.is_some_and(|key| sight.key(key).is_err()) {
        return Ok(nothing());
    }
    let after = match &search.after {
        None => None,
        Some(sealed) => Some(seal.open(who, sealed).ok_or_else(|| {
            let why = "this page can't be gone on from: it is another's, or the server was started again since";
            Refusal::Invalid(why.to_owned())
        })?),
    };
    let query = Query {
        portfolio: who.0,
        from: search.from,
        until: search.until,
        view,
        wanted: Wanted { person: search.person, key: search.key, granted: search.granted, reason: search.reason },
        limit: search.most as usize,
        newest_first: search.newest_first,
        after,
    };
    let page = log.search(&query).map_err(|error| {
        tracing::error!(%error, "the access log can't be searched");
        Refusal::Unavailable("the access log can't be read: the server's operator finds why in its messages".to_owned())
    })?;
    let rows: Vec<LiveRow> = page.rows.iter().map(|record| watch::row(portfolio, who.1, record)).collect();
    Ok(History {
        names: watch::names(&directory, portfolio, &rows, std::iter::empty()),
        rows,
        next: page.next.map(|cursor| seal.seal(who, cursor)),
        searched_to: page.searched_to,
        damaged: page.damage.len() as u64,
    })
}

/// A manager who looks at their portfolio.
struct Viewer<'a> {
    portfolio: &'a Portfolio,
    /// The portfolio at the moment that is asked about, when that has passed (U6). What may be seen of it is as today.
    then: &'a Portfolio,
    /// The same at a second moment.
    until: &'a Portfolio,
    sight: Sight<'a>,
    /// Whom they may give a first Key.
    met: Vec<PersonId>,
    door_codes: DoorCodes,
    budgets: Option<&'a Budgets>,
    /// The open connections, where they are shown.
    open: Open,
    /// What each key has asked, where that is.
    asked: HashMap<Sha256, Activity>,
}

impl<'a> Viewer<'a> {
    fn answer(&self, request: Request, now: Moment) -> Result<Answer, Refusal> {
        Ok(match request {
            Request::Overview => Answer::Overview(self.overview(now)),
            Request::Property(property) => Answer::Property(self.property(property)?),
            Request::Keys(property, rows) => Answer::Keys(self.keys(property, &rows)?),
            Request::Key(key) => Answer::Key(self.key(key)?),
            Request::Holders(key, rows) => Answer::Holders(self.holders(key, &rows)?),
            Request::People(property, rows) => Answer::People(self.people(property, &rows)?),
            Request::Person(person) => Answer::Person(self.person_detail(person)?),
            Request::FindPerson(email) => Answer::Found(self.find_by_email(&email)?),
            Request::Alerts => Answer::Alerts(self.alerts(now)),
            Request::Difference { property, rows, .. } => Answer::Difference(self.difference(property, &rows)?),
            Request::Doors(property, rows) => Answer::Doors(self.doors(property, &rows)?),
            Request::Door(door) => Answer::Door(self.door(door)?),
            Request::Schedules(property, rows) => Answer::Schedules(self.schedules(property, &rows)?),
            Request::Locks(rows) => Answer::Locks(self.locks(&rows)?),
            Request::LockActivity(rows) => Answer::LockActivity(self.lock_activity(&rows)?),
            Request::Identities(rows) => Answer::Identities(identities::identities(&self.sight, &self.open, &rows)),
            Request::Tokens(rows) => Answer::Tokens(identities::tokens(&self.sight, &rows, now)),
            Request::Preview(command, part) => Answer::Preview(self.preview(&command, None, part, now)?),
            Request::PreviewSince { was, command, part } => {
                Answer::Preview(self.preview(&command, Some(&was), part, now)?)
            }
            Request::Explain { person, door, by_code, at } => {
                Answer::Explanation(self.explain(person, door, by_code, at.unwrap_or(now), now)?)
            }
            Request::WhoCan(door, at, rows) => Answer::WhoCan(self.who_can(door, at.unwrap_or(now), &rows)?),
            Request::WhatCan(person, at, rows) => Answer::WhatCan(self.what_can(person, at.unwrap_or(now), &rows)?),
            Request::Mine(_) => {
                return Err(Refusal::NotPermitted("a holder's certificate".to_owned()));
            }
            Request::Do { .. }
            | Request::DoSince { .. }
            | Request::Search(_)
            | Request::Audit(_)
            | Request::Reveal(_) => {
                return Err(Refusal::Unavailable("that is answered elsewhere".to_owned()));
            }
        })
    }

    fn overview(&self, now: Moment) -> Overview {
        Overview {
            name: self.portfolio.name.clone(),
            revision: self.portfolio.revision,
            now,
            me: self.sight.me(),
            my_name: self.name(self.sight.me()),
            people: self.sight.people().len() as u64,
            locks: if self.sight.is_portfolio_manager() { self.portfolio.locks.len() as u64 } else { 0 },
            door_codes: self.door_codes.clone(),
            properties: self.sight.properties().map(|property| self.property_row(property)).collect(),
        }
    }

    fn property_row(&self, property: &Property) -> PropertyRow {
        let managed = self.sight.managed(property);
        let doors = self.sight.doors(property).map_or(property.doors.len(), |doors| doors.len());
        PropertyRow {
            id: property.id(),
            name: property.facts.name.clone(),
            zone: property.facts.zone.clone(),
            doors: doors as u64,
            keys: property.keys.keys().filter(|key| managed.has(**key)).count() as u64,
            system_keys: u64::from(property.deliveries.is_some() && managed.sees_deliveries()),
            lockdowns: self.lockdowns(property).count() as u64,
            level: self.sight.level(property),
        }
    }

    /// The lockdowns that close a door which is there for the viewer.
    fn lockdowns(&self, property: &'a Property) -> impl Iterator<Item = &'a Lockdown> {
        let doors = self.sight.doors(property);
        let lockdowns = property.lockdowns.values().map(AsRef::as_ref);
        lockdowns.filter(move |lockdown: &&Lockdown| {
            doors.as_ref().is_none_or(|doors| doors.iter().any(|door| lockdown.covers(*door)))
        })
    }

    fn property(&self, property: PropertyId) -> Result<PropertyDetail, Refusal> {
        let property = self.sight.property(property)?;
        let managed = self.sight.managed(property);
        let doors = self.sight.doors(property);
        let sees = |door: &DoorId| doors.as_ref().is_none_or(|doors| doors.contains(door));
        let lockdowns = self.lockdowns(property).map(|lockdown| LockdownRow {
            id: lockdown.id,
            doors: lockdown.doors.as_ref().map(|doors| doors.iter().copied().filter(sees).collect()),
            except_keys: lockdown.except_keys.iter().copied().filter(|key| managed.has(*key)).collect(),
        });
        let mine = |person: &PersonId| self.sight.is_portfolio_manager() || *person == self.sight.me();
        let levels = property.levels.iter().filter(|(person, _)| mine(person));
        Ok(PropertyDetail {
            revision: self.portfolio.revision,
            row: self.property_row(property),
            codes: property.facts.codes,
            on_log_failure: property.facts.on_log_failure,
            holidays: property.holidays.clone(),
            deliveries: property.deliveries.filter(|_| managed.sees_deliveries()),
            lockdowns: lockdowns.collect(),
            levels: levels.map(|(person, level)| (*person, self.name(*person), level.clone())).collect(),
        })
    }

    fn keys(&self, property: PropertyId, rows: &Rows) -> Result<List<KeyRow>, Refusal> {
        let property = self.sight.property(property)?;
        let managed = self.sight.managed(property);
        let own = property.keys.values().filter(|key| managed.has(key.id));
        let mut found: Vec<(KeyId, &str)> = own.map(|key| (key.id, key.name.as_str())).collect();
        found.extend(property.deliveries.filter(|_| managed.sees_deliveries()).map(|key| (key, DELIVERIES_NAME)));
        found.sort_unstable();
        let chosen = Chosen::of(found, rows, |(key, _)| key.0, |(_, name)| vec![name]);
        Ok(chosen.list(self.portfolio, |(key, _)| self.key_row(property, *key)))
    }

    fn key_row(&self, property: &Property, id: KeyId) -> KeyRow {
        let Some(key) = property.keys.get(&id) else {
            let doors = property.doors.values().filter(|door| door.takes_deliveries()).count() as u64;
            let (name, hours) = (DELIVERIES_NAME.to_owned(), Some(ALWAYS.to_owned()));
            return KeyRow { id, name, doors, people: 0, guests: 0, may_share: false, hours, system: true };
        };
        let doors = property.key_doors(key);
        let schedules: BTreeSet<ScheduleRef> = doors.values().flatten().map(|opening| opening.schedule).collect();
        let hours = match schedules.iter().collect::<Vec<_>>().as_slice() {
            [one] => Some(schedule_name(property, **one)),
            _ => None,
        };
        let live: Vec<&Giving> = property.holders_of(id).filter(|giving| !giving.ended).collect();
        let guests = live.iter().flat_map(|giving| property.shares_from(giving.id)).filter(|share| !share.ended);
        KeyRow {
            id,
            name: key.name.clone(),
            doors: doors.len() as u64,
            people: live.len() as u64,
            guests: guests.count() as u64,
            may_share: key.may_share,
            hours,
            system: false,
        }
    }

    /// A Key that the viewer may see, with its property; the system's has no record of its own.
    fn find_key(&self, key: KeyId) -> Result<(&'a Property, Option<&'a Key>), Refusal> {
        let property = self.sight.key(key)?;
        Ok((property, property.keys.get(&key).map(AsRef::as_ref)))
    }

    fn key(&self, id: KeyId) -> Result<KeyDetail, Refusal> {
        let (property, key) = self.find_key(id)?;
        let always = || vec![Opening { schedule: ScheduleRef::Always, code: false }];
        let doors: BTreeMap<DoorId, Vec<Opening>> = match key {
            Some(key) => property.key_doors(key),
            None => {
                let doors = property.doors.values().filter(|door| door.takes_deliveries());
                doors.map(|door| (door.id, always())).collect()
            }
        };
        let listed = key.map(|key| key.doors.clone()).unwrap_or_default();
        let mut rules = key.map(|key| key.rules.clone()).unwrap_or_default();
        if let Some(seen) = self.sight.doors(property) {
            // What a rule leaves out may be a door that is not there for the viewer.
            rules.iter_mut().for_each(|rule| rule.except.retain(|door| seen.contains(door)));
        }
        let opens = doors.into_iter().map(|(door, openings)| KeyOpens {
            door,
            name: door_name(property, door),
            by_rule: listed.iter().all(|entry| entry.door != door),
            openings,
        });
        Ok(KeyDetail {
            revision: self.portfolio.revision,
            property: property.id(),
            row: self.key_row(property, id),
            opens: opens.collect(),
            rules,
            listed,
        })
    }

    fn holders(&self, key: KeyId, rows: &Rows) -> Result<List<HolderRow>, Refusal> {
        let (property, _) = self.find_key(key)?;
        let person = |giving: &Giving| self.portfolio.people.get(&giving.person).map(AsRef::as_ref);
        let found: Vec<(&Giving, &Person)> =
            property.holders_of(key).filter_map(|giving| Some((giving, person(giving)?))).collect();
        let chosen = Chosen::of(found, rows, |(giving, _)| giving.id.0, |(_, person)| names(person));
        Ok(chosen.list(self.portfolio, |(giving, person)| HolderRow {
            giving: giving.id,
            person: person.id,
            name: person.name.clone(),
            email: person.email.clone(),
            suspended: person.suspended,
            terms: terms(giving),
            guests: self.guests(property, giving),
        }))
    }

    fn guests(&self, property: &Property, giving: &Giving) -> Vec<GuestRow> {
        property.shares_from(giving.id).map(|share| self.guest_row(giving, share)).collect()
    }

    fn guest_row(&self, giving: &Giving, share: &Share) -> GuestRow {
        GuestRow {
            share: share.id,
            key: giving.key,
            host: giving.person,
            host_name: self.name(giving.person),
            guest: share.guest,
            guest_name: self.name(share.guest),
            doors: share.doors.clone(),
            from: share.from,
            until: share.until,
            ended: share.ended || giving.ended,
        }
    }

    fn people(&self, property: Option<PropertyId>, rows: &Rows) -> Result<List<PersonRow>, Refusal> {
        let (among, ids) = match property {
            Some(property) => {
                let property = self.sight.property(property)?;
                (vec![property], self.sight.people_of(property))
            }
            None => (self.portfolio.properties.values().map(AsRef::as_ref).collect(), self.sight.people()),
        };
        let found: Vec<&Person> =
            ids.iter().filter_map(|id| self.portfolio.people.get(id)).map(AsRef::as_ref).collect();
        let chosen = Chosen::of(found, rows, |person| person.id.0, |person| names(person));
        Ok(chosen.list(self.portfolio, |person| self.person_row(person, &among)))
    }

    /// Anybody, by their exact email: who knows it may give them a Key.
    fn find_by_email(&self, email: &str) -> Result<PersonRow, Refusal> {
        let found = self.portfolio.person_by_email(email).ok_or_else(|| not_found("person"))?;
        let properties: Vec<&Property> = self.sight.properties().collect();
        Ok(self.person_row(found, &properties))
    }

    fn person_row(&self, person: &Person, among: &[&Property]) -> PersonRow {
        let mut row = PersonRow {
            id: person.id,
            name: person.name.clone(),
            email: person.email.clone(),
            suspended: person.suspended,
            portfolio_manager: self.portfolio.managers.contains(&person.id),
            keys: 0,
            shares: 0,
        };
        for property in among {
            let managed = self.sight.managed(property);
            let held = property.givings_of(person.id).filter(|giving| !giving.ended && managed.has(giving.key));
            row.keys += held.count() as u64;
            row.shares += self.guest_of(property, &managed, person.id).filter(|share| !share.ended).count() as u64;
        }
        row
    }

    fn guest_of(&self, property: &Property, managed: &Managed, person: PersonId) -> impl Iterator<Item = GuestRow> {
        property.shares_to(person).filter_map(move |share| {
            let giving = property.givings.get(&share.giving).filter(|giving| managed.has(giving.key))?;
            Some(self.guest_row(giving, share))
        })
    }

    fn person_detail(&self, id: PersonId) -> Result<PersonDetail, Refusal> {
        let person = self.sight.person(id)?;
        let properties: Vec<&Property> = self.portfolio.properties.values().map(AsRef::as_ref).collect();
        let mut detail = PersonDetail {
            revision: self.portfolio.revision,
            row: self.person_row(person, &properties),
            phone: person.phone.clone(),
            note: person.note.clone(),
            cards: if self.sight.is_portfolio_manager() { person.cards.clone() } else { Vec::new() },
            holds: Vec::new(),
            guest_of: Vec::new(),
            codes: Vec::new(),
            levels: Vec::new(),
        };
        for property in self.sight.properties() {
            let managed = self.sight.managed(property);
            let held = property.givings_of(id).filter(|giving| managed.has(giving.key));
            detail.holds.extend(held.map(|giving| HeldRow {
                property: property.id(),
                giving: giving.id,
                key: giving.key,
                name: property.key_name(giving.key).unwrap_or_default().to_owned(),
                terms: terms(giving),
                guests: self.guests(property, giving),
            }));
            detail.guest_of.extend(self.guest_of(property, &managed, id));
            let shown = self.codes_in_sight(property);
            let codes = property.code_of.range((id, DoorId::NONE)..=(id, DoorId(u32::MAX)));
            let codes = codes.filter(|(at, _)| shown.as_ref().is_none_or(|shown| shown.contains(at)));
            detail.codes.extend(codes.filter_map(|((_, door), code)| {
                let made_at = property.codes.get(code)?.made_at;
                let name = door_name(property, *door);
                Some(CodeRow { id: *code, property: property.id(), door: *door, name, made_at })
            }));
            if self.sight.is_portfolio_manager() || id == self.sight.me() {
                detail.levels.extend(property.levels.get(&id).map(|level| (property.id(), level.clone())));
            }
        }
        Ok(detail)
    }

    /// The codes that are there for the viewer: all (`None`) where they give every Key, else those that a Key of
    /// theirs covers.
    fn codes_in_sight(&self, property: &Property) -> Option<BTreeSet<(PersonId, DoorId)>> {
        let all = self.sight.managed(property) == Managed::All;
        (!all).then(|| self.sight.codes(property))
    }

    /// How many codes are there at each door.
    fn codes_at(&self, property: &'a Property) -> impl Fn(DoorId) -> u64 + use<'a> {
        let some = self.codes_in_sight(property).map(|codes| {
            let mut at: BTreeMap<DoorId, u64> = BTreeMap::new();
            codes.into_iter().for_each(|(_, door)| *at.entry(door).or_default() += 1);
            at
        });
        move |door| match &some {
            Some(at) => at.get(&door).copied().unwrap_or(0),
            None => property.live_codes.get(&door).copied().unwrap_or(0).into(),
        }
    }

    fn doors(&self, property: PropertyId, rows: &Rows) -> Result<List<DoorRow>, Refusal> {
        let property = self.sight.property(property)?;
        let (seen, codes) = (self.sight.doors(property), self.codes_at(property));
        let sees = |door: &&Door| seen.as_ref().is_none_or(|seen| seen.contains(&door.id));
        let found: Vec<&Door> = property.doors.values().map(AsRef::as_ref).filter(sees).collect();
        let chosen = Chosen::of(found, rows, |door| door.id.0, |door| vec![door.name.as_str()]);
        let mut keys: BTreeMap<DoorId, u64> = BTreeMap::new();
        for key in self.keys_seen(property) {
            property.key_doors(key).into_keys().for_each(|door| *keys.entry(door).or_default() += 1);
        }
        Ok(chosen.list(self.portfolio, |door| {
            door_row(property, door, keys.get(&door.id).copied().unwrap_or(0), codes(door.id))
        }))
    }

    fn keys_seen(&self, property: &'a Property) -> impl Iterator<Item = &'a Key> {
        let managed = self.sight.managed(property);
        property.keys.values().map(AsRef::as_ref).filter(move |key: &&Key| managed.has(key.id))
    }

    fn door(&self, door: DoorId) -> Result<DoorDetail, Refusal> {
        let (property, found) = self.sight.door(door)?;
        let keys = self.keys_seen(property).filter_map(|key| {
            let openings = property.openings_of(key, found);
            (!openings.is_empty()).then(|| DoorKeyRow { key: key.id, name: key.name.clone(), openings })
        });
        let mut keys: Vec<DoorKeyRow> = keys.collect();
        let count = keys.len() as u64;
        let delivers = found.takes_deliveries() && self.sight.managed(property).sees_deliveries();
        keys.extend(property.deliveries.filter(|_| delivers).map(|key| DoorKeyRow {
            key,
            name: DELIVERIES_NAME.to_owned(),
            openings: vec![Opening { schedule: ScheduleRef::Always, code: false }],
        }));
        Ok(DoorDetail {
            revision: self.portfolio.revision,
            property: property.id(),
            row: door_row(property, found, count, self.codes_at(property)(door)),
            keys,
            codes_max: property.facts.codes.live_max(),
        })
    }

    fn schedules(&self, property: PropertyId, rows: &Rows) -> Result<List<ScheduleRow>, Refusal> {
        let property = self.sight.property(property)?;
        let mut keys: BTreeMap<ScheduleId, u64> = BTreeMap::new();
        for key in self.keys_seen(property) {
            let openings = key.doors.iter().map(|entry| entry.opening).chain(key.rules.iter().map(|rule| rule.opening));
            let used: BTreeSet<ScheduleId> = openings
                .filter_map(|opening| match opening.schedule {
                    ScheduleRef::Named(schedule) => Some(schedule),
                    ScheduleRef::Always => None,
                })
                .collect();
            used.into_iter().for_each(|schedule| *keys.entry(schedule).or_default() += 1);
        }
        // Below Limited, only the schedules of Keys that are managed exist.
        let all = self.sight.is_portfolio_manager() || self.sight.managed(property) == Managed::All;
        let found = property.schedules.values().filter(|schedule| all || keys.contains_key(&schedule.id)).collect();
        let chosen = Chosen::of(found, rows, |schedule| schedule.id.0, |schedule| vec![schedule.name.as_str()]);
        Ok(chosen.list(self.portfolio, |schedule| ScheduleRow {
            id: schedule.id,
            name: schedule.name.clone(),
            hours: schedule.hours.clone(),
            keys: keys.get(&schedule.id).copied().unwrap_or(0),
        }))
    }

    fn locks(&self, rows: &Rows) -> Result<List<LockRow>, Refusal> {
        self.sight.portfolio_manager()?;
        let found = self.portfolio.locks.values().collect();
        // One look at all of them: a portfolio may have thousands of locks.
        let joined: HashMap<Party, _> =
            self.portfolio.admissions.identities.values().map(|known| (known.party, known)).collect();
        let chosen = Chosen::of(found, rows, |lock| lock.id.0, |lock| vec![lock.name.as_str()]);
        Ok(chosen.list(self.portfolio, |lock| LockRow {
            id: lock.id,
            name: lock.name.clone(),
            scope: LockScope::clone(&lock.scope),
            disabled: lock.disabled,
            identity: joined.get(&Party::Lock(lock.id)).map(|known| known.id),
            connected: joined.get(&Party::Lock(lock.id)).and_then(|known| self.open.by(&known.key)),
        }))
    }

    /// Those of the locks that asked anything. A lock that joined anew has another key, and begins at nothing.
    fn lock_activity(&self, rows: &Rows) -> Result<List<LockActivity>, Refusal> {
        self.sight.portfolio_manager()?;
        let mut of_locks: HashMap<LockId, Activity> = HashMap::new();
        for known in self.portfolio.admissions.identities.values() {
            let (Party::Lock(lock), Some(asked)) = (known.party, self.asked.get(&known.key)) else { continue };
            let newest = of_locks.entry(lock).or_insert(*asked);
            *newest = if newest.last < asked.last { *asked } else { *newest };
        }
        let chosen = Chosen::of(of_locks.into_iter().collect(), rows, |(lock, _)| lock.0, |_| Vec::new());
        Ok(chosen.list(self.portfolio, |(lock, asked)| LockActivity {
            lock: *lock,
            last: asked.last,
            checks: asked.checks,
            minute: asked.minute,
        }))
    }

    /// Of the doors whose log is in sight (L2).
    fn alerts(&self, now: Moment) -> Vec<AlertRow> {
        let alerts = self.budgets.map(|budgets| budgets.alerts(now)).unwrap_or_default();
        let row = |alert: Alert| {
            let (property, door) = self.sight.door_in_sight(alert.door).ok()?;
            let (property, name) = (property.id(), door.name.clone());
            let Alert { door, left, more_at, ran_out } = alert;
            Some(AlertRow { property, door, name, left, more_at, ran_out })
        };
        alerts.into_iter().filter_map(row).collect()
    }

    /// A door whose checks may be looked into, as it was at the moment that is asked about, and the Keys there that the
    /// viewer manages today.
    fn door_then(&self, door: DoorId) -> Result<(&'a Property, &'a Door, Managed), Refusal> {
        let (today, _) = self.sight.door_in_sight(door)?;
        let property = self.then.property_with_door(door).ok_or_else(|| not_there("door"))?;
        let found = property.doors.get(&door).ok_or_else(|| not_there("door"))?;
        Ok((property, found, self.sight.managed(today)))
    }

    fn explain(
        &self,
        person: PersonId,
        door: DoorId,
        by_code: bool,
        at: Moment,
        now: Moment,
    ) -> Result<Explanation, Refusal> {
        let ((property, found, managed), person) = (self.door_then(door)?, self.sight.person(person)?.id);
        let person = self.then.people.get(&person).ok_or_else(|| not_there("person"))?;
        let explained = explain::explain(self.then, property, found, person.id, by_code, at);
        // Until then no code is looked up there (U7), if nobody tries another wrong one.
        let spent_until = self.budgets.filter(|_| by_code && at >= now).and_then(|budgets| budgets.spent(door, at));
        let denied = match explained.decision {
            _ if spent_until.is_some() => Some(Reason::TooManyWrongCodes),
            Decision::Granted { .. } => None,
            Decision::Denied { reason } => Some(reason),
        };
        let would_open = match denied {
            None | Some(Reason::TooManyWrongCodes) => Vec::new(),
            Some(_) => explain::keys_that_open(property, found, by_code, at),
        };
        Ok(Explanation {
            revision: self.then.revision,
            at,
            person: person.id,
            name: person.name.clone(),
            door,
            door_name: found.name.clone(),
            by_code,
            denied,
            suspended: person.suspended,
            no_code: by_code && !property.code_of.contains_key(&(person.id, door)),
            lockdowns: explained.lockdowns,
            held: (explained.held.iter())
                // Another Key is told of where it has the door (M8).
                .filter(|standing| managed.has(standing.key) || standing.refuses != Some(Reason::NoKey))
                .map(|standing| self.standing_row(property, &managed, standing))
                .collect(),
            flips_at: match (spent_until, explained.decision) {
                (None, _) => explained.flips_at,
                (Some(until), Decision::Granted { .. }) => Some(until),
                // What it is then is worked out by asking about then.
                (Some(_), Decision::Denied { .. }) => None,
            },
            would_open: would_open.into_iter().filter_map(|key| named_key(property, &managed, key)).collect(),
        })
    }

    fn standing_row(&self, property: &Property, managed: &Managed, standing: &explain::Standing) -> StandingRow {
        let key = named_key(property, managed, standing.key);
        let told = key.is_some();
        let opening =
            |opening: &Opening| NamedOpening { opening: *opening, schedule: schedule_name(property, opening.schedule) };
        StandingRow {
            key,
            host: standing.host.filter(|_| told).map(|host| (host, self.name(host))),
            openings: if told { standing.openings.iter().map(opening).collect() } else { Vec::new() },
            from: Some(standing.from).filter(|from| told && *from != Moment::MIN),
            until: Some(standing.until).filter(|until| told && *until != Moment::MAX),
            excepted: standing.excepted,
            refuses: standing.refuses,
        }
    }

    fn who_can(&self, door: DoorId, at: Moment, rows: &Rows) -> Result<WhoCan, Refusal> {
        let (property, found, managed) = self.door_then(door)?;
        let carriers = policy::judge(self.then, property, door, policy::Shown::Carrier, at).is_granted();
        let can = managed.people(property).into_iter().filter_map(|person| {
            let person = self.then.people.get(&person)?.as_ref();
            Some((person, explain::opens(self.then, property, found, person.id, at)?))
        });
        let chosen = Chosen::of(can.collect(), rows, |(person, _)| person.id.0, |(person, _)| names(person));
        let people = chosen.list(self.then, |(person, opens)| WhoRow {
            person: person.id,
            name: person.name.clone(),
            email: person.email.clone(),
            how: self.how(property, &managed, opens),
        });
        Ok(WhoCan { at, carriers: carriers && managed.sees_deliveries(), people })
    }

    fn what_can(&self, person: PersonId, at: Moment, rows: &Rows) -> Result<List<CanOpenRow>, Refusal> {
        let person = self.sight.person(person)?.id;
        let mut can = Vec::new();
        for today in self.sight.properties() {
            let (managed, seen) = (self.sight.managed(today), self.sight.doors_in_sight(today));
            let Some(property) = self.then.properties.get(&today.id()) else { continue };
            for door in property.doors.values().filter(|door| seen.contains(&door.id)) {
                let opens = explain::opens(self.then, property, door, person, at);
                can.extend(opens.map(|opens| (property.id(), door, self.how(property, &managed, &opens))));
            }
        }
        can.sort_by_key(|(_, door, _)| door.id);
        let chosen = Chosen::of(can, rows, |(_, door, _)| door.id.0, |(_, door, _)| vec![door.name.as_str()]);
        Ok(chosen.list(self.then, |(property, door, how)| CanOpenRow {
            property: *property,
            door: door.id,
            name: door.name.clone(),
            how: how.clone(),
        }))
    }

    /// Who gained and who lost which doors of a property between two moments: what is covered, whatever the hour. Of the
    /// doors whose log is in sight today.
    fn difference(&self, property: PropertyId, rows: &Rows) -> Result<List<DifferenceRow>, Refusal> {
        let today = self.sight.property(property)?;
        let (managed, seen) = (self.sight.managed(today), self.sight.doors_in_sight(today));
        let sides = [self.then, self.until].map(|portfolio| (portfolio, portfolio.properties.get(&property)));
        let people: BTreeSet<PersonId> =
            sides.iter().filter_map(|(_, property)| *property).flat_map(|property| managed.people(property)).collect();
        let mut doors_of = effects::KeyDoorsMemo::default();
        let mut differ = Vec::new();
        for person in people {
            let mut doors = [BTreeSet::new(), BTreeSet::new()];
            for ((portfolio, property), doors) in sides.iter().zip(&mut doors) {
                let covers = property.filter(|_| !portfolio.is_suspended(person));
                let covered =
                    covers.map(|property| effects::coverage(property, person, &mut doors_of)).unwrap_or_default();
                doors.extend(covered.into_keys().filter(|door| seen.contains(door)));
            }
            let [before, after] = doors;
            let who = self.until.people.get(&person).or_else(|| self.then.people.get(&person));
            if before != after
                && let Some(who) = who
            {
                differ.push((who.as_ref(), before, after));
            }
        }
        let chosen = Chosen::of(differ, rows, |(person, ..)| person.id.0, |(person, ..)| names(person));
        let named = |doors: &BTreeSet<DoorId>, but: &BTreeSet<DoorId>| -> Vec<(DoorId, String)> {
            doors.difference(but).map(|door| (*door, door_name(today, *door))).collect()
        };
        Ok(chosen.list(self.until, |(person, before, after)| DifferenceRow {
            person: person.id,
            name: person.name.clone(),
            email: person.email.clone(),
            gained: named(after, before),
            lost: named(before, after),
        }))
    }

    fn how(&self, property: &Property, managed: &Managed, opens: &explain::Opens) -> How {
        let key = named_key(property, managed, opens.key);
        let host = opens.host.filter(|_| key.is_some()).map(|host| (host, self.name(host)));
        How { key, host, by_code: opens.by_code }
    }

    /// What would follow (K9), worked out exactly as the step would: ends that are due come first.
    fn preview(&self, command: &Command, was: Option<&Command>, part: Part, now: Moment) -> Result<Effects, Refusal> {
        let due = decide::due(self.portfolio, now);
        let settled = (!due.is_empty()).then(|| {
            let stepped = effects::step(self.portfolio, &due, now);
            let unknown = vec![[0; 32]; stepped.effects.codes_made.len()];
            effects::finish(stepped, &unknown, now)
        });
        let portfolio = settled.as_ref().unwrap_or(self.portfolio);
        let sight = Sight::of(portfolio, self.sight.me())?.having_met(&self.met);
        let command = since::authorize(&sight, command, was, now)?;
        // Only a new person's identity depends on them, and nobody is shown that.
        let seeds = core::array::from_fn(|at| u64::MAX - at as u64);
        let decided = decide::decide(portfolio, &command, now, seeds, None)?;
        let names = [Some(portfolio), Some(&decided.stepped.after)];
        Ok(effects_shown(decided.effects(), self.portfolio.revision, part, &names))
    }

    fn name(&self, person: PersonId) -> String {
        let found = self.portfolio.people.get(&person).or_else(|| self.then.people.get(&person));
        found.map(|person| person.name.clone()).unwrap_or_default()
    }
}

/// The schedule that every property has.
const ALWAYS: &str = "always";

/// The moments that a request asks about.
fn moments(request: &Request) -> (Option<Moment>, Option<Moment>) {
    match request {
        Request::Explain { at, .. } | Request::WhoCan(_, at, _) | Request::WhatCan(_, at, _) => (*at, None),
        Request::Difference { from, until, .. } => (Some(*from), *until),
        _ => (None, None),
    }
}

/// What was there at the moment that is asked about.
fn not_there(what: &str) -> Refusal {
    Refusal::Invalid(format!("the {what} was not there yet at that moment: ask about a later one"))
}

/// A Key as whoever manages it is shown it; `None` for another Key (M8).
fn named_key(property: &Property, managed: &Managed, key: KeyId) -> Option<NamedKey> {
    let name = property.key_name(key).filter(|_| managed.has(key))?;
    Some(NamedKey { id: key, name: name.to_owned() })
}

fn not_found(what: &str) -> Refusal {
    Refusal::NotFound(what.to_owned())
}

fn names(person: &Person) -> Vec<&str> {
    vec![&person.name, &person.email]
}

fn terms(giving: &Giving) -> Terms {
    Terms { may_share: giving.may_share, from: giving.from, until: giving.until, ended: giving.ended }
}

fn door_name(property: &Property, door: DoorId) -> String {
    property.doors.get(&door).map(|door| door.name.clone()).unwrap_or_default()
}

fn schedule_name(property: &Property, schedule: ScheduleRef) -> String {
    match schedule {
        ScheduleRef::Always => ALWAYS.to_owned(),
        ScheduleRef::Named(id) => property.schedules.get(&id).map(|found| found.name.clone()).unwrap_or_default(),
    }
}

fn door_row(property: &Property, door: &Door, keys: u64, codes: u64) -> DoorRow {
    DoorRow {
        id: door.id,
        name: door.name.clone(),
        kind: door.kind,
        occupied: door.occupied,
        labels: door.labels.clone(),
        keys,
        codes,
        locked_down: property.lockdowns.values().any(|lockdown| lockdown.covers(door.id)),
    }
}

/// The rows of a list that were asked for.
pub(super) struct Chosen<T> {
    total: u64,
    rows: Vec<T>,
    next: Option<u32>,
}

impl<T> Chosen<T> {
    /// `found` is in the order of `id`.
    pub(super) fn of(found: Vec<T>, rows: &Rows, id: impl Fn(&T) -> u32, names: impl Fn(&T) -> Vec<&str>) -> Chosen<T> {
        let wanted = fold(&rows.search);
        let matches = |item: &T| wanted.is_empty() || names(item).into_iter().any(|name| fold(name).contains(&wanted));
        let mut chosen = Chosen { total: 0, rows: Vec::new(), next: None };
        for item in found.into_iter().filter(matches) {
            chosen.total += 1;
            if id(&item) <= rows.after {
                continue;
            }
            match chosen.rows.last() {
                Some(last) if chosen.rows.len() >= rows.most as usize => chosen.next = Some(id(last)),
                _ => chosen.rows.push(item),
            }
        }
        chosen
    }

    pub(super) fn list<R>(self, portfolio: &Portfolio, row: impl Fn(&T) -> R) -> List<R> {
        let rows = self.rows.iter().map(row).collect();
        List { revision: portfolio.revision, total: self.total, rows, next: self.next }
    }
}

/// A part of what follows, with the names in it: of people and doors that may be gone afterwards, or there only then.
pub(super) fn effects_shown(
    effects: &effects::Effects,
    revision: u64,
    part: Part,
    names: &[Option<&Portfolio>],
) -> Effects {
    fn cut<T, R>(all: &[T], part: Part, row: impl Fn(&T) -> R) -> Vec<R> {
        let skip = usize::try_from(part.skip).unwrap_or(usize::MAX);
        all.iter().skip(skip).take(part.most as usize).map(row).collect()
    }
    let at = |at: &effects::At| At { property: at.property, person: at.person, door: at.door };
    let losing: BTreeSet<PersonId> = (effects.doors_lost.iter().map(|lost| lost.person))
        .chain(effects.codes_deleted.iter().map(|code| code.person))
        .chain(effects.shares_ended.iter().map(|share| share.guest))
        .collect();
    let mut shown = Effects {
        revision,
        digest: effects.digest(),
        totals: Totals {
            doors_lost: effects.doors_lost.len() as u64,
            doors_gained: effects.doors_gained.len() as u64,
            codes_deleted: effects.codes_deleted.len() as u64,
            codes_made: effects.codes_made.len() as u64,
            shares_ended: effects.shares_ended.len() as u64,
            sight_lost: effects.sight_lost.len() as u64,
            people_losing: losing.len() as u64,
        },
        doors_lost: cut(&effects.doors_lost, part, at),
        doors_gained: cut(&effects.doors_gained, part, at),
        codes_deleted: cut(&effects.codes_deleted, part, |code| At {
            property: code.property,
            person: code.person,
            door: code.door,
        }),
        codes_made: cut(&effects.codes_made, part, |code| At {
            property: code.property,
            person: code.person,
            door: code.door,
        }),
        shares_ended: cut(&effects.shares_ended, part, |share| (share.share, share.guest)),
        sight_lost: cut(&effects.sight_lost, part, at),
        people: Vec::new(),
        doors: Vec::new(),
    };
    let lists = [&shown.doors_lost, &shown.doors_gained, &shown.codes_deleted, &shown.codes_made, &shown.sight_lost];
    let guests = shown.shares_ended.iter().map(|(_, guest)| *guest);
    let people: BTreeSet<PersonId> =
        lists.iter().flat_map(|list| list.iter()).map(|at| at.person).chain(guests).collect();
    let doors: BTreeSet<DoorId> = lists.iter().flat_map(|list| list.iter()).map(|at| at.door).collect();
    let places = || names.iter().flatten();
    let person = |id: &PersonId| places().find_map(|found| Some(found.people.get(id)?.name.clone()));
    let door =
        |id: &DoorId| places().find_map(|found| Some(found.property_with_door(*id)?.doors.get(id)?.name.clone()));
    shown.people = people.iter().filter_map(|id| Some((*id, person(id)?))).collect();
    shown.doors = doors.iter().filter_map(|id| Some((*id, door(id)?))).collect();
    shown
}
