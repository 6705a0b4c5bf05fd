//! The client with a server that is played: every request is answered at once, from a small property.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keyward_protocol::{
    decision::Reason,
    entry::{Command, Level, Refusal},
    id::*,
    message::{
        audit::{Act, ActedBy, AuditPage, AuditRow, AuditSearch, Fact},
        manage::{List as Page, *},
        watch::{DoorSecond, History, LiveBatch, LiveRow, Names, Search, Shown, Who},
    },
    time::Moment,
};

use super::{App, Effect, Event, FEED, ScreenId, Shell, testing_site as site, undo, update};
use crate::{
    remote::{Failure, LinkTold, Order, Ticket, Told},
    theme::{Glyphs, Theme},
};

/// The client, and what it did.
pub struct Client {
    pub app: App,
    /// Every request that was made.
    pub asked: Vec<Request>,
    /// What was to be done outside, requests left out, since the last look.
    pub effects: Vec<Effect>,
    /// The next of these answers a step instead.
    pub refusals: Vec<Failure>,
    /// Requests wait until they are answered together.
    pub silent: bool,
    /// So many rows are recorded, a minute apart, before noon; 0: those of the live log.
    pub recorded: usize,
    /// What searches and new tokens come to instead.
    pub failures: Option<Failure>,
    /// The level that was set last.
    pub level_set: Option<Level>,
    waiting: Vec<(Ticket, Request)>,
    /// What we may do with the property's Keys.
    pub level: Option<Level>,
    /// Whether we are a Portfolio Manager.
    pub portfolio_manager: bool,
    /// Somebody else changed every Key.
    pub overtaken: bool,
    /// Who can open a door is answered with this.
    pub no_sight: Option<Failure>,
    /// What was done: what is told of one thing afterwards has it.
    pub edited: Vec<Command>,
    /// Guests alone are found in what is recorded.
    pub guests_only: bool,
    /// A name that stands in every row instead.
    pub poison: Option<String>,
    now: Moment,
}

/// The key that a character of a test's chords stands for: `\n` is Enter, `\t` Tab, `\x1b` Esc, `>` Right, `^` Up.
pub fn key(c: char) -> KeyCode {
    match c {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\x1b' => KeyCode::Esc,
        '>' => KeyCode::Right,
        '^' => KeyCode::Up,
        c => KeyCode::Char(c),
    }
}

/// Five to twelve in New York.
pub fn noon() -> Moment {
    Moment::parse("2026-11-20T11:48:55-05:00").unwrap()
}

impl Client {
    /// Without a connection yet.
    pub fn unconnected(glyphs: Glyphs, width: u16, height: u16) -> Client {
        let app = App::new(Shell::new("prod", Theme::MONOCHROME, glyphs));
        let (asked, effects, refusals) = (Vec::new(), Vec::new(), Vec::new());
        let mut client = Client {
            app,
            asked,
            effects,
            refusals,
            silent: false,
            recorded: 0,
            failures: None,
            level_set: None,
            waiting: Vec::new(),
            level: Some(Level::Full),
            portfolio_manager: true,
            overtaken: false,
            no_sight: None,
            guests_only: false,
            poison: None,
            edited: Vec::new(),
            now: noon(),
        };
        client.tell(Event::Tick(client.now));
        client.tell(Event::Resize { width, height });
        client
    }

    /// At the list of Keys.
    pub fn new(glyphs: Glyphs, width: u16, height: u16) -> Client {
        let mut client = Client::unconnected(glyphs, width, height);
        client.up();
        client
    }

    /// The connection stands.
    pub fn up(&mut self) {
        self.tell(Event::Told(Told::Link(LinkTold::Up(Duration::from_micros(4_100)))));
    }

    /// Lets something happen, and answers what is asked.
    pub fn tell(&mut self, event: Event) {
        for effect in update(&mut self.app, event) {
            match effect {
                Effect::Order(Order::Ask(ticket, request)) => {
                    self.asked.push(request.clone());
                    if self.silent {
                        self.waiting.push((ticket, request));
                    } else {
                        let answer = self.answer(&request);
                        self.tell(Event::Told(Told::Answer(ticket, Box::new(answer))));
                    }
                }
                Effect::Order(Order::NewToken) => self.tell(Event::Told(Told::NewToken(Ok(fresh())))),
                other => self.effects.push(other),
            }
        }
    }

    /// Answers what was asked in silence.
    pub fn answer_waiting(&mut self) {
        self.silent = false;
        self.answer_once();
    }

    /// Answers what was asked in silence; what is asked because of that waits again.
    pub fn answer_once(&mut self) {
        for (ticket, request) in std::mem::take(&mut self.waiting) {
            let answer = self.answer(&request);
            self.tell(Event::Told(Told::Answer(ticket, Box::new(answer))));
        }
    }

    /// Answers the first that was asked in silence; the rest waits on.
    pub fn answer_first_waiting(&mut self) {
        let (ticket, request) = self.waiting.remove(0);
        let answer = self.answer(&request);
        self.tell(Event::Told(Told::Answer(ticket, Box::new(answer))));
    }

    /// Fails what was asked in silence.
    pub fn fail_waiting(&mut self, failure: &Failure) {
        self.silent = false;
        for (ticket, _) in std::mem::take(&mut self.waiting) {
            self.tell(Event::Told(Told::Answer(ticket, Box::new(Err(failure.clone())))));
        }
    }

    /// Types these characters, each a second after the one before.
    pub fn press(&mut self, text: &str) {
        text.chars().for_each(|c| self.key(KeyCode::Char(c)));
    }

    /// Presses [these keys](key), each a second after the one before.
    pub fn chords(&mut self, chords: &str) {
        chords.chars().for_each(|c| self.key(key(c)));
    }

    /// Presses [these keys](key) at one moment.
    pub fn chords_at_once(&mut self, chords: &str) {
        chords.chars().for_each(|c| self.key_at_once(key(c)));
    }

    /// Presses a key of the keyboard a second after the one before.
    pub fn key(&mut self, code: KeyCode) {
        self.later(1_000);
        self.key_at_once(code);
    }

    /// Presses a key of the keyboard now.
    pub fn key_at_once(&mut self, code: KeyCode) {
        self.tell(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Time goes on.
    pub fn later(&mut self, millis: i64) {
        self.now = self.now.plus_micros(millis * 1_000);
        self.tell(Event::Tick(self.now));
    }

    /// The screen as text.
    pub fn drawn(&self) -> String {
        crate::view::text(&self.app)
    }

    /// The commands that were done, with whether they were pinned.
    pub fn done(&self) -> Vec<(&Command, bool)> {
        let done = self.asked.iter().filter_map(|request| match request {
            Request::Do { command, pinned, .. } => Some((command, pinned.is_some())),
            Request::DoSince { command, pinned, .. } => Some((&**command, pinned.is_some())),
            _ => None,
        });
        done.collect()
    }

    /// The screens of what was recorded and of who may what have a small site of their own.
    fn is_among_records(&self) -> bool {
        let records = [ScreenId::Logs, ScreenId::Managers, ScreenId::Locks, ScreenId::Audit];
        records.contains(&self.app.screen_id())
    }

    fn answer(&mut self, request: &Request) -> Result<Answer, Failure> {
        Ok(match request {
            Request::Overview => Answer::Overview(overview(self.level.clone())),
            Request::Keys(_, rows) => Answer::Keys(page(self.poisoned(keys(), |row| &mut row.name), rows)),
            Request::Key(key) => {
                let mut told = key_detail(*key);
                told.opens = self.poisoned(told.opens, |row| &mut row.name);
                told.row.may_share ^= self.overtaken;
                self.edited.iter().for_each(|command| site::edit_key(&mut told, command));
                Answer::Key(told)
            }
            Request::Holders(_, rows) => Answer::Holders(page(self.poisoned(holders(), |row| &mut row.name), rows)),
            Request::People(_, rows) => Answer::People(page(self.poisoned(people(), |row| &mut row.name), rows)),
            Request::Person(person) => {
                let mut told = person_detail(*person);
                told.row.portfolio_manager &= self.portfolio_manager;
                if let (Some(level), PersonId(3)) = (&self.level_set, *person) {
                    told.levels = vec![(PropertyId(1), level.clone())];
                }
                self.edited.iter().for_each(|command| site::edit_person(&mut told, command));
                self.poison.iter().for_each(|poison| site::poison_person(&mut told, poison));
                Answer::Person(told)
            }
            Request::FindPerson(email) => {
                let found = people().into_iter().next().unwrap();
                Answer::Found(PersonRow { id: PersonId(8), name: "Newcomer".into(), email: email.clone(), ..found })
            }
            Request::Reveal(code) => Answer::Revealed(site::revealed(*code)),
            Request::Doors(_, rows) if self.is_among_records() => {
                Answer::Doors(page(self.poisoned(doors(), |row| &mut row.name), rows))
            }
            Request::Doors(_, rows) => Answer::Doors(page(self.poisoned(site::doors(), |row| &mut row.name), rows)),
            Request::Door(door) => {
                let mut told = site::door(*door);
                told.keys = self.poisoned(told.keys, |row| &mut row.name);
                self.edited.iter().for_each(|command| site::edit_door(&mut told, command));
                Answer::Door(told)
            }
            Request::WhoCan(_, at, _) if self.is_among_records() => Answer::WhoCan(who_can(*at)),
            Request::WhoCan(_, at, _) => match self.no_sight.clone() {
                Some(refusal) => return Err(refusal),
                None => {
                    let mut told = site::who_can(*at);
                    told.people.rows = self.poisoned(told.people.rows, |row| &mut row.name);
                    Answer::WhoCan(told)
                }
            },
            Request::Property(property) if self.is_among_records() => Answer::Property(property_detail(*property)),
            Request::Property(_) => {
                let row = overview(self.level.clone()).properties.remove(0);
                let mut told = site::property(row);
                self.edited.iter().for_each(|command| site::edit_property(&mut told, command));
                Answer::Property(told)
            }
            Request::Alerts if self.app.screen_id() == ScreenId::Doors => Answer::Alerts(site::alerts()),
            Request::Schedules(_, rows) => {
                let mut told = self.poisoned(site::schedules(), |row| &mut row.name);
                self.edited.iter().for_each(|command| site::edit_schedules(&mut told, command));
                Answer::Schedules(page(told, rows))
            }
            Request::Search(search) => match &self.failures {
                Some(failure) => return Err(failure.clone()),
                None => Answer::History(self.history(search)),
            },
            Request::Identities(rows) => {
                Answer::Identities(page(self.poisoned(identities(), |row| &mut row.label), rows))
            }
            Request::Locks(rows) => Answer::Locks(page(self.poisoned(locks(), |row| &mut row.name), rows)),
            Request::LockActivity(rows) => Answer::LockActivity(Page {
                revision: 18_204,
                rows: activities().into_iter().filter(|row| row.lock.0 > rows.after).collect(),
                total: 2,
                next: None,
            }),
            Request::Tokens(rows) => Answer::Tokens(page(self.poisoned(tokens(), |row| &mut row.name), rows)),
            Request::Audit(search) => Answer::Audit(self.trail(search)),
            Request::Alerts => Answer::Alerts(self.poisoned(vec![alert()], |row| &mut row.name)),
            Request::Explain { at, .. } => {
                let mut found = explanation(*at);
                if let (Some(poison), Some(standing)) = (&self.poison, found.held.first_mut()) {
                    standing.key.iter_mut().for_each(|key| key.name.clone_from(poison));
                    standing.openings.iter_mut().for_each(|opening| opening.schedule.clone_from(poison));
                }
                Answer::Explanation(found)
            }
            Request::Preview(command, _) => Answer::Preview(effects(command)),
            Request::PreviewSince { was, command, .. } => {
                self.still(was, command)?;
                Answer::Preview(effects(command))
            }
            Request::DoSince { was, command, pinned, part } => {
                self.still(was, command)?;
                let (command, pinned, part) = (Command::clone(command), *pinned, *part);
                return self.answer(&Request::Do { command, pinned, part });
            }
            Request::Do { command, .. } => match self.refusals.pop() {
                Some(refusal) => return Err(refusal),
                None if matches!(command, Command::MakeToken { .. }) && self.failures.is_some() => {
                    return Err(self.failures.clone().unwrap());
                }
                None if matches!(command, Command::MakeLock { .. }) => {
                    let made = Some(Made::Lock(LockId(9)));
                    Answer::Done(Done { revision: 18_205, made, effects: effects(command) })
                }
                None => {
                    self.edited.push(command.clone());
                    let made = match command {
                        Command::LockDown { .. } => Some(Made::Lockdown(LockdownId(7))),
                        Command::Give { .. } => Some(Made::Giving(GivingId(99))),
                        _ => None,
                    };
                    Answer::Done(Done { revision: 18_205, made, effects: effects(command) })
                }
            },
            other => panic!("nobody plays {other:?}"),
        })
    }

    /// Refused where what is edited is not what was read, as the server does it.
    fn still(&mut self, was: &Command, command: &Command) -> Result<(), Failure> {
        let Some(look) = undo::look(was) else { return Ok(()) };
        let told = self.answer(&look)?;
        let holds = undo::stands(was, &told) || undo::stands(command, &told);
        holds.then_some(()).ok_or(Failure::Refused(Refusal::ChangedSince))
    }

    /// A page of what is recorded; where to go on is how many rows were told.
    fn history(&self, search: &Search) -> History {
        let told = usize::from(search.after.as_ref().and_then(|after| after.first().copied()).unwrap_or(0)) * 100;
        let mut rows = if self.recorded > 0 { recorded(self.recorded) } else { live_rows() };
        rows.retain(|row| {
            row.time >= search.from
                && row.time < search.until
                && search.granted.is_none_or(|granted| granted == row.denied.is_none())
                && search.doors.as_ref().is_none_or(|doors| doors.contains(&row.door))
                && search.person.is_none_or(|PersonId(person)| match row.who {
                    Who::Person(who) => who.0 == person,
                    Who::Guest { person: guest, host } => guest.0 == person || host.0 == person,
                    Who::Nobody | Who::Carrier(_) => false,
                })
                && (!self.guests_only || matches!(row.who, Who::Guest { .. }))
        });
        if search.newest_first {
            rows.reverse();
        }
        let most = (search.most as usize).min(100);
        let next = (rows.len() > told + most).then(|| vec![u8::try_from(told / 100 + 1).unwrap()]);
        let rows: Vec<LiveRow> = rows.into_iter().skip(told).take(most).collect();
        let searched_to = next.as_ref().and_then(|_| rows.last().map(|row| row.time));
        let mut names = names();
        if let Some(poison) = &self.poison {
            names.people.iter_mut().for_each(|(_, name)| name.clone_from(poison));
            names.doors.iter_mut().for_each(|(_, name)| name.clone_from(poison));
            names.keys.iter_mut().for_each(|(_, name)| name.clone_from(poison));
        }
        History { rows, names, next, searched_to, damaged: 0 }
    }

    /// A page of the audit trail, of at most 100 rows; where to go on is how many hundreds were told.
    fn trail(&self, search: &AuditSearch) -> AuditPage {
        let told = usize::from(search.after.as_ref().and_then(|after| after.first().copied()).unwrap_or(0)) * 100;
        let mut rows = audit_rows(self.recorded.max(6));
        if let Some(poison) = &self.poison {
            rows.iter_mut().for_each(|row| row.name.clone_from(poison));
            rows.iter_mut().flat_map(|row| &mut row.facts).for_each(|fact| fact.of.clone_from(poison));
        }
        rows.retain(|row| {
            let refused = row.refused.is_some();
            row.at >= search.from && row.at < search.until && search.refused.is_none_or(|wanted| wanted == refused)
        });
        if !search.newest_first {
            rows.reverse();
        }
        let next = (rows.len() > told + 100).then(|| vec![u8::try_from(told / 100 + 1).unwrap()]);
        let mut rows: Vec<AuditRow> = rows.into_iter().skip(told).take(100).collect();
        if search.export {
            rows.iter_mut().for_each(|row| row.link = Some([1; 32]));
        }
        let searched_to = next.as_ref().and_then(|_| rows.last().map(|row| row.at));
        let beginning = (search.export && told == 0).then(|| ([0; 32], "{\"keyward_audit\":1}".to_owned()));
        AuditPage { rows, next, searched_to, beginning }
    }

    fn poisoned<R>(&self, mut rows: Vec<R>, name: impl Fn(&mut R) -> &mut String) -> Vec<R> {
        if let Some(poison) = &self.poison {
            rows.iter_mut().for_each(|row| name(row).clone_from(poison));
        }
        rows
    }
}

/// What the data moved on under.
pub fn moved_on() -> Failure {
    Failure::Refused(Refusal::MovedOn)
}

fn page<R: super::list::Row>(rows: Vec<R>, asked: &Rows) -> Page<R> {
    let needle = keyward_protocol::name::fold(&asked.search);
    let matches = |row: &R| row.texts().iter().any(|text| keyward_protocol::name::fold(text).contains(&needle));
    let rows: Vec<R> = rows.into_iter().filter(matches).collect();
    Page { revision: 18_204, total: rows.len() as u64, rows, next: None }
}

/// The portfolio at a glance.
pub fn overview(level: Option<Level>) -> Overview {
    let property = PropertyRow {
        id: PropertyId(1),
        name: "1800 Main St".into(),
        zone: "America/New_York".into(),
        doors: 238,
        keys: 5,
        system_keys: 1,
        lockdowns: 1,
        level,
    };
    Overview {
        name: "Harbor Living".into(),
        revision: 18_204,
        now: noon(),
        me: PersonId(50),
        my_name: "Dana".into(),
        people: 400,
        locks: 30,
        door_codes: DoorCodes::There,
        properties: vec![property],
    }
}

fn keys() -> Vec<KeyRow> {
    let key = |id, name: &str, doors, people, may_share, hours: Option<&str>, system| KeyRow {
        id: KeyId(id),
        name: name.into(),
        doors,
        people,
        guests: people / 100,
        may_share,
        hours: hours.map(str::to_owned),
        system,
    };
    vec![
        key(1, "Key A", 2, 1, true, Some("always"), false),
        key(2, "Key B", 2, 41, false, Some("business hours"), false),
        key(3, "Employee All Access 24/7", 214, 11, false, Some("always"), false),
        key(4, "Residences", 6, 1_362, true, None, false),
        key(5, "Café 東京", 1, 0, true, Some("always"), false),
        key(6, "Deliveries", 4, 0, false, Some("always"), true),
    ]
}

/// What is told of a Key.
pub fn key_detail(key: KeyId) -> KeyDetail {
    use keyward_protocol::entry::{KeyDoor, Opening, ScheduleRef};
    let opening = match key {
        KeyId(2) => Opening { schedule: ScheduleRef::Named(ScheduleId(1)), code: false },
        _ => Opening { schedule: ScheduleRef::Always, code: true },
    };
    let open = |(door, name): &(u32, &str)| KeyOpens {
        door: DoorId(*door),
        name: (*name).into(),
        by_rule: false,
        openings: vec![opening],
    };
    let row = keys().into_iter().find(|row| row.id == key).unwrap();
    let doors = [(1, "Main entrance"), (2, "Garage")];
    let listed = doors.iter().map(|(door, _)| KeyDoor { door: DoorId(*door), opening }).collect();
    let opens = doors.iter().map(open).collect();
    KeyDetail { revision: 18_204, property: PropertyId(1), row, listed, rules: site::rules(key), opens }
}

fn holders() -> Vec<HolderRow> {
    let holder = |id, name: &str, until: Option<&str>| HolderRow {
        giving: GivingId(id),
        person: PersonId(id),
        name: name.into(),
        email: format!("{}@mail.example", name.to_lowercase()),
        suspended: id == 3,
        terms: Terms {
            may_share: id == 1,
            from: None,
            until: until.map(|at| Moment::parse(at).unwrap()),
            ended: false,
        },
        guests: Vec::new(),
    };
    vec![
        holder(1, "Tracy", None),
        holder(2, "Lee", Some("2026-12-31T00:00:00-05:00")),
        holder(3, "Ana", None),
        holder(4, "Sam", None),
    ]
}

fn people() -> Vec<PersonRow> {
    let row = |holder: HolderRow| PersonRow {
        id: holder.person,
        name: holder.name,
        email: holder.email,
        suspended: holder.suspended,
        portfolio_manager: holder.person == PersonId(4),
        keys: 1,
        shares: 0,
    };
    holders().into_iter().map(row).collect()
}

/// Somebody with all that is known of them.
pub fn person_detail(person: PersonId) -> PersonDetail {
    let mut row = people().into_iter().find(|row| row.id == person).unwrap_or_else(site::me);
    // Who asks, Dana, is number 1 here too.
    row.portfolio_manager |= person == PersonId(1);
    let levels: Vec<(PropertyId, Level)> = property_detail(PropertyId(1))
        .levels
        .into_iter()
        .filter(|(id, _, _)| *id == person)
        .map(|(_, _, level)| (PropertyId(1), level))
        .collect();
    let code = |id: u64, door, name: &str| CodeRow {
        id: CodeId(id),
        property: PropertyId(1),
        door: DoorId(door),
        name: name.into(),
        made_at: noon(),
    };
    PersonDetail {
        revision: 18_204,
        row,
        phone: Some("+1 212 555 0147".into()),
        note: None,
        cards: Vec::new(),
        holds: site::holds(person),
        guest_of: site::guest_of(person),
        codes: vec![code(1, 1, "Main entrance"), code(2, 2, "Garage")],
        levels,
    }
}

/// Revoking takes the code of one door and ends a share; everything else takes nothing.
fn effects(command: &Command) -> Effects {
    let mut effects = Effects {
        revision: 18_204,
        digest: [7; 32],
        totals: Totals::default(),
        doors_lost: Vec::new(),
        doors_gained: Vec::new(),
        codes_deleted: Vec::new(),
        codes_made: Vec::new(),
        shares_ended: Vec::new(),
        sight_lost: Vec::new(),
        people: vec![(PersonId(1), "Tracy".into()), (PersonId(9), "Visitor".into())],
        doors: vec![(DoorId(1), "Main entrance".into()), (DoorId(2), "Garage".into())],
    };
    let at = |person, door| At { property: PropertyId(1), person, door: DoorId(door) };
    match command {
        Command::Revoke { key: KeyId(4), person } => {
            effects.doors_lost = vec![at(*person, 2)];
            effects.totals = Totals { doors_lost: 1, people_losing: 1, ..Totals::default() };
        }
        Command::Revoke { person, .. } => {
            effects.doors_lost = vec![at(*person, 2)];
            effects.codes_deleted = vec![at(*person, 2)];
            effects.shares_ended = vec![(ShareId(1), PersonId(9))];
            effects.totals =
                Totals { doors_lost: 1, codes_deleted: 1, shares_ended: 1, people_losing: 2, ..Totals::default() };
        }
        // By cards and phones alone.
        Command::Give { key: KeyId(3), person, .. } => {
            effects.doors_gained = vec![at(*person, 1)];
            effects.totals = Totals { doors_gained: 1, ..Totals::default() };
        }
        Command::Give { person, .. } => {
            effects.doors_gained = vec![at(*person, 1)];
            effects.codes_made = vec![at(*person, 1)];
            effects.totals = Totals { doors_gained: 1, codes_made: 1, ..Totals::default() };
        }
        Command::SetLevel(_, person, Some(Level::Specific(_))) => {
            effects.sight_lost = vec![at(*person, 1), at(*person, 2)];
            effects.totals = Totals { sight_lost: 2, ..Totals::default() };
        }
        _ => {}
    }
    effects
}

fn live_rows() -> Vec<LiveRow> {
    let row = |back: i64, denied: Option<Reason>, who: Who, key: Option<u32>| LiveRow {
        time: noon().plus_micros(-back * 1_000),
        revision: 18_204,
        door: DoorId(1),
        who,
        key: key.map(KeyId),
        another_key: false,
        lock: None,
        shown: Shown::Code,
        denied,
    };
    vec![
        row(13_793, Some(Reason::OutsideSchedule), Who::Person(PersonId(2)), None),
        row(11_050, Some(Reason::UnknownCredential), Who::Nobody, None),
        row(3_887, None, Who::Guest { person: PersonId(9), host: PersonId(1) }, Some(4)),
        row(129, None, Who::Person(PersonId(1)), Some(1)),
    ]
}

/// Those rows with their names.
pub fn log_rows() -> Vec<super::LogRow> {
    let names = names();
    let named = super::Named::of(&names);
    live_rows().iter().map(|row| named.row(row)).collect()
}

fn names() -> Names {
    Names {
        people: vec![(PersonId(1), "Tracy".into()), (PersonId(2), "Lee".into()), (PersonId(9), "Visitor".into())],
        doors: vec![(DoorId(1), "Main entrance".into()), (DoorId(2), "Garage".into())],
        keys: vec![(KeyId(1), "Key A".into()), (KeyId(4), "Residences".into())],
        carriers: Vec::new(),
    }
}

/// So many rows, a minute apart, the newest a minute before noon; every fifth is denied, every other at the garage.
fn recorded(count: usize) -> Vec<LiveRow> {
    let row = |back: usize| LiveRow {
        time: noon().plus_seconds(-60 * i64::try_from(back).unwrap()),
        door: DoorId(if back.is_multiple_of(2) { 2 } else { 1 }),
        denied: back.is_multiple_of(5).then_some(Reason::NoKey),
        ..live_rows()[3]
    };
    (1..=count).rev().map(row).collect()
}

/// A token that is always the same.
pub fn fresh() -> super::token::Fresh {
    let token = format!("kwj1.{}Bwc.{}CQk@keyward.example:4433", "BwcH".repeat(10), "CQkJ".repeat(10));
    super::token::Fresh { token: token.parse().unwrap(), hash: [3; 32] }
}

/// Lee is Limited there, and Ana has Key A and the Residences.
fn property_detail(property: PropertyId) -> PropertyDetail {
    let row = overview(Some(Level::Full)).properties.into_iter().find(|row| row.id == property).unwrap();
    PropertyDetail {
        revision: 18_204,
        row,
        codes: keyward_protocol::entry::CodePolicy::default(),
        on_log_failure: keyward_protocol::entry::OnLogFailure::Deny,
        holidays: Vec::new(),
        deliveries: None,
        lockdowns: Vec::new(),
        levels: vec![
            (PersonId(2), "Lee".into(), Level::Limited),
            (PersonId(3), "Ana".into(), Level::Specific(vec![KeyId(1), KeyId(4)])),
        ],
    }
}

fn identities() -> Vec<keyward_protocol::message::admission::IdentityRow> {
    use keyward_protocol::{
        entry::Party,
        message::admission::{ConnectedRow, IdentityRow},
    };
    let row = |id, party, name: &str, label: &str, disabled, connected: bool| IdentityRow {
        id: IdentityId(id),
        party,
        name: name.into(),
        label: label.into(),
        joined: noon().plus_seconds(-40 * 86_400),
        disabled,
        connected: connected.then(|| ConnectedRow {
            address: "198.51.100.7:51820".into(),
            since: noon().plus_seconds(-240),
            certificate_until: noon().plus_seconds(8 * 3_600),
        }),
    };
    vec![
        row(1, Party::Operator(PersonId(3)), "Ana", "gw-ops2", false, true),
        row(2, Party::Operator(PersonId(3)), "Ana", "old laptop", true, false),
        row(3, Party::Lock(LockId(1)), "Gateway 1", "gw-01", false, true),
    ]
}

fn locks() -> Vec<LockRow> {
    use keyward_protocol::{entry::LockScope, message::admission::ConnectedRow};
    let row = |id, name: &str, scope, disabled, joined: bool, connected: bool| LockRow {
        id: LockId(id),
        name: name.into(),
        scope,
        disabled,
        identity: joined.then_some(IdentityId(id)),
        connected: connected.then(|| ConnectedRow {
            address: "203.0.113.9:40404".into(),
            since: noon().plus_seconds(-7_200),
            certificate_until: noon().plus_seconds(20 * 86_400),
        }),
    };
    let some = LockScope::Doors(vec![DoorId(1), DoorId(2)]);
    vec![
        row(1, "Gateway 1", LockScope::Property(PropertyId(1)), false, true, true),
        row(2, "Garage reader", some.clone(), false, true, false),
        row(3, "Roof", LockScope::Doors(vec![DoorId(1)]), false, false, false),
        row(4, "Old gateway", some, true, true, false),
    ]
}

/// The one that is connected asks, and one asked that is not any more.
fn activities() -> Vec<LockActivity> {
    let row = |lock, back: i64, checks, minute| LockActivity {
        lock: LockId(lock),
        last: noon().plus_seconds(-back),
        checks,
        minute,
    };
    vec![row(1, 2, 1_204_331, 84), row(2, 5_400, 17, 0)]
}

fn tokens() -> Vec<keyward_protocol::message::admission::TokenRow> {
    use keyward_protocol::{entry::Party, message::admission::TokenRow};
    let until = noon().plus_seconds(3_600);
    vec![
        TokenRow { id: TokenId(5), party: Party::Lock(LockId(3)), name: "Roof".into(), until },
        TokenRow { id: TokenId(6), party: Party::Operator(PersonId(3)), name: "Ana".into(), until },
    ]
}

/// So many acts, a minute apart, the newest first; every third was refused.
fn audit_rows(count: usize) -> Vec<AuditRow> {
    let fact = |of: &str, what: &str, before: Option<&str>, after: Option<&str>| Fact {
        of: of.into(),
        what: what.into(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let row = |back: usize| {
        let refused = back.is_multiple_of(3);
        let given = vec![fact("Key `Key A`", "holder `Lee`", None, Some("always"))];
        let changed = vec![
            fact("Key `Key A`", "name", Some("Key Alpha"), Some("Key A")),
            fact("Key `Key A`", "door `Gym`", Some("always"), None),
        ];
        AuditRow {
            at: noon().plus_seconds(-60 * i64::try_from(back).unwrap()),
            by: match back % 4 {
                1 => ActedBy::Person(PersonId(1)),
                2 => ActedBy::Person(PersonId(2)),
                3 => ActedBy::Holder(PersonId(3)),
                _ => ActedBy::Clock,
            },
            name: ["", "Dana <dana@mail.example>", "Lee <lee@mail.example>", "Ana <ana@mail.example>"][back % 4].into(),
            from: (!back.is_multiple_of(4)).then(|| "198.51.100.7:51820".into()),
            revision: 18_204 - back as u64,
            act: [Act::Expired, Act::KeyChanged, Act::KeyGiven, Act::KeyShared][back % 4],
            property: (!back.is_multiple_of(4)).then_some(PropertyId(1)),
            about: None,
            facts: if back % 4 == 1 { changed } else { given },
            refused: refused.then(|| "not permitted: managing the Key is missing".into()),
            more: if refused { 2 } else { 0 },
            link: None,
        }
    };
    (1..=count).map(row).collect()
}

fn alert() -> AlertRow {
    AlertRow {
        property: PropertyId(1),
        door: DoorId(2),
        name: "Garage".into(),
        left: 0,
        more_at: Some(noon().plus_seconds(600)),
        ran_out: noon().plus_seconds(-1_200),
    }
}

fn doors() -> Vec<DoorRow> {
    use keyward_protocol::entry::DoorKind;
    let row = |id, name: &str| DoorRow {
        id: DoorId(id),
        name: name.into(),
        kind: DoorKind::Entrance,
        occupied: false,
        labels: Vec::new(),
        keys: 2,
        codes: 40,
        locked_down: false,
    };
    vec![row(1, "Main entrance"), row(2, "Garage")]
}

/// In the past a Key's hours were over, its period is told, and another Key would have opened; now it opens.
fn explanation(at: Option<Moment>) -> Explanation {
    use keyward_protocol::entry::{Opening, ScheduleRef};
    let named = |id, name: &str| NamedKey { id: KeyId(id), name: name.into() };
    let opening = Opening { schedule: ScheduleRef::Named(ScheduleId(1)), code: true };
    let standing = StandingRow {
        key: Some(named(2, "Key B")),
        host: None,
        openings: vec![NamedOpening { opening, schedule: "business hours".into() }],
        from: None,
        until: Some(Moment::parse("2026-12-31T00:00:00-05:00").unwrap()),
        excepted: false,
        refuses: at.map(|_| Reason::OutsideSchedule),
    };
    let other = StandingRow {
        key: None,
        host: None,
        openings: Vec::new(),
        from: None,
        until: None,
        excepted: false,
        refuses: Some(Reason::NoKey),
    };
    Explanation {
        revision: 18_204,
        at: at.unwrap_or(noon()),
        person: PersonId(2),
        name: "Lee".into(),
        door: DoorId(1),
        door_name: "Main entrance".into(),
        by_code: true,
        denied: at.map(|_| Reason::OutsideSchedule),
        suspended: false,
        no_code: false,
        lockdowns: Vec::new(),
        held: vec![standing, other],
        flips_at: Some(noon().plus_seconds(6 * 3_600)),
        would_open: at.map(|_| named(3, "Employee All Access 24/7")).into_iter().collect(),
    }
}

fn who_can(at: Option<Moment>) -> WhoCan {
    let row = |id, name: &str, key: Option<&str>, by_code| WhoRow {
        person: PersonId(id),
        name: name.into(),
        email: format!("{}@mail.example", name.to_lowercase()),
        how: How {
            key: key.map(|name| NamedKey { id: KeyId(1), name: name.into() }),
            host: key.is_none().then(|| (PersonId(1), "Tracy".into())),
            by_code,
        },
    };
    let rows = vec![row(1, "Tracy", Some("Key A"), true), row(9, "Visitor", None, false)];
    let people = Page { revision: 18_204, total: 3, rows, next: None };
    WhoCan { at: at.unwrap_or(noon()), carriers: true, people }
}

/// Some rows of the live log.
pub fn batch() -> Event {
    let second = noon().as_micros() / 1_000_000;
    let counts = vec![DoorSecond { door: Some(DoorId(1)), second, granted: 1_331, denied: 17 }];
    let (rows, names) = (live_rows(), names());
    let batch = LiveBatch { sequence: 1, counts, rows, sampled_one_in: 1_240, passed_over: 1_329, dropped: 3, names };
    Event::Told(Told::Live(FEED, Box::new(batch)))
}

/// A batch with one row: Lee is denied at the main entrance at this moment.
pub fn batch_at(time: Moment) -> Event {
    let rows = vec![LiveRow { time, denied: Some(Reason::NoKey), ..live_rows()[0] }];
    let batch = LiveBatch {
        sequence: 2,
        counts: Vec::new(),
        rows,
        sampled_one_in: 1,
        passed_over: 0,
        dropped: 0,
        names: names(),
    };
    Event::Told(Told::Live(FEED, Box::new(batch)))
}
