//! Screen 5: who manages what, a manager's contact card, their levels, and the machines of theirs that joined.

use std::collections::{BTreeMap, BTreeSet};

use crossterm::event::KeyCode;
use keyward_protocol::{
    entry::{Command, Level, Party},
    id::{DoorId, KeyId, PersonId, PropertyId},
    message::{
        admission::IdentityRow,
        manage::{Answer, KeyRow, PersonDetail, PersonRow, Request},
    },
    time::Moment,
};

use super::{Screen, ScreenId, Shell, Step, UNTOLD};
use crate::{
    app::{
        Dialog,
        explain::Asked,
        form::{Field, Form, Pickable},
        list::{List, Row, SortKey},
        remembered::Kept,
        review::{Review, Step as ReviewStep},
        token::{For, LENGTHS},
    },
    keymap::{Act, Action, Binding, act, letter, plain, write},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::{counted, grouped},
    },
};

const ADD: Act = Act("add property");
const LEVEL: Act = Act("level");
const PART: Act = Act("part");
const CHOOSE: Act = Act("choose");
const SAVE: Act = Act("save");
const UNDO: Act = Act("undo");
const PORTFOLIO: Act = Act("portfolio manager");
/// A token that somebody's client joins with.
pub const TOKEN: Act = Act("token");
const DISABLE: Act = Act("disable");

const ROW_ADD: Binding =
    write(&[letter('a')], "a", ADD, Some("add property"), "give a level in a property: Full, Limited or Specific");
const ROW_PORTFOLIO: Binding =
    write(&[letter('M')], "M", PORTFOLIO, None, "make them a Portfolio Manager, or no longer one");
const ROW_TOKEN: Binding =
    write(&[letter('n')], "n", TOKEN, Some("token"), "a token that their client joins with, shown once");

const BINDINGS: &[Binding] = &[ROW_ADD, ROW_TOKEN, ROW_PORTFOLIO];
const ROW_PART: Binding =
    act(&[plain(KeyCode::Tab)], "Tab", PART, Some("machines"), "the machines of theirs that joined, or their levels");
const CARD_BINDINGS: &[Binding] = &[
    ROW_PART,
    ROW_ADD,
    write(&[letter('c')], "c", LEVEL, Some("change level"), "another level in the property under the cursor, or none"),
    ROW_TOKEN,
    ROW_PORTFOLIO,
];
const MACHINE_BINDINGS: &[Binding] = &[
    act(&[plain(KeyCode::Tab)], "Tab", PART, Some("levels"), "their levels, or the machines of theirs that joined"),
    write(
        &[letter('d')],
        "d",
        DISABLE,
        Some("disable"),
        "refuse the machine under the cursor at once, or take it again",
    ),
    ROW_TOKEN,
    ROW_PORTFOLIO,
];
const KEY_BINDINGS: &[Binding] = &[
    write(&[letter(' ')], "Space", CHOOSE, Some("choose"), "choose the Key, or leave it out"),
    write(
        &[letter('s')],
        "s",
        SAVE,
        Some("save"),
        "give the level with the Keys chosen; what would follow is shown first",
    ),
    act(&[letter('u')], "u", UNDO, Some("undo"), "the Keys as they were chosen before"),
];

/// Every table of its chords.
pub const TABLES: &[&[Binding]] = &[BINDINGS, CARD_BINDINGS, MACHINE_BINDINGS, KEY_BINDINGS];

const ONLY_PORTFOLIO: &str = "only Portfolio Managers change levels and managers";
const LEVELS: &[&str] = &["Full", "Limited", "Specific: choose the Keys next"];
const LEVELS_OR_NONE: &[&str] = &["Full", "Limited", "Specific: choose the Keys next", "none"];
/// How many sorts the list of managers has: name, properties.
const SORTS: usize = 2;
const SPECIFIC: usize = 2;
/// So many properties are asked for at a time.
const PROPERTIES_AT_A_TIME: usize = 8;
/// Doors are counted for Specific levels of up to so many Keys.
const COUNTED_KEYS_MAX: usize = 24;
/// Everybody is gone through for Portfolio Managers at most this often.
const SCAN_MICROS: i64 = 30_000_000;

/// The levels that were set in a property.
type SetLevels = Vec<(PersonId, String, Level)>;

/// A manager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manager {
    /// Who.
    pub id: PersonId,
    /// Their name.
    pub name: String,
    /// Their email, once it was told.
    pub email: String,
    /// A Portfolio Manager (M6).
    pub portfolio: bool,
    /// Suspended (K11).
    pub suspended: bool,
    /// In how many properties a level was set.
    pub levels: u64,
}

impl Row for Manager {
    fn id(&self) -> u32 {
        self.id.0
    }

    fn texts(&self) -> Vec<&str> {
        vec![&self.name, &self.email]
    }

    fn sort_key(&self, sort: usize) -> SortKey {
        if sort == 1 { SortKey::Number(self.levels) } else { SortKey::Text }
    }

    fn sort_column(sort: usize) -> Option<&'static str> {
        (sort == 1).then_some("manages")
    }
}

/// A property on a manager's card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Managed {
    /// Which.
    pub id: PropertyId,
    /// Its name.
    pub name: String,
    /// Keys that people made, and those that the system made.
    pub keys: (u64, u64),
    /// Its doors.
    pub doors: u64,
    /// What they may do with its Keys.
    pub level: Option<Level>,
    /// By being a Portfolio Manager, not by a level that was set.
    pub by_default: bool,
}

impl Row for Managed {
    fn id(&self) -> u32 {
        self.id.0
    }

    fn texts(&self) -> Vec<&str> {
        vec![&self.name]
    }

    fn sort_key(&self, _: usize) -> SortKey {
        SortKey::Text
    }
}

/// Which part of a card has the cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Levels, property by property.
    Levels,
    /// Their machines.
    Machines,
}

/// The Keys of a Specific level, being chosen. The list's marks are those chosen.
#[derive(Clone, Debug)]
pub struct Choosing {
    /// Where.
    pub property: (PropertyId, String),
    /// The property's Keys.
    pub keys: List<KeyRow>,
    /// What was chosen before.
    pub before: BTreeSet<u32>,
    needle: String,
}

/// A manager's contact card.
#[derive(Clone, Debug)]
pub struct Card {
    /// Who.
    pub person: (PersonId, String),
    /// Which part has the cursor.
    pub part: Part,
    /// What is known of them.
    pub detail: Asked<Box<PersonDetail>>,
    /// Levels, property by property.
    pub levels: List<Managed>,
    /// Their machines.
    pub machines: List<IdentityRow>,
    /// The Keys of a Specific level, being chosen.
    pub choosing: Option<Choosing>,
    found: List<IdentityRow>,
    opens: BTreeMap<KeyId, Asked<Vec<DoorId>>>,
}

/// The screen.
#[derive(Clone, Debug, Default)]
pub struct Managers {
    list: List<Manager>,
    needle: String,
    me: Asked<Box<PersonDetail>>,
    /// Everybody, gone through for Portfolio Managers.
    people: Option<List<PersonRow>>,
    scanned_at: Option<Moment>,
    /// Levels that were set, by property; those of properties that are not here yet are asked for.
    set: BTreeMap<PropertyId, Asked<SetLevels>>,
    card: Option<Box<Card>>,
}

impl Card {
    fn new(person: (PersonId, String)) -> Card {
        let (levels, machines, found) = (List::default(), List::whole(Vec::new()), List::eager());
        let (detail, opens) = (Asked::Not, BTreeMap::new());
        Card { person, part: Part::Levels, detail, levels, machines, choosing: None, found, opens }
    }

    /// Of how many doors they see the log by a level; `None` while that is not known.
    pub fn log_doors(&self, row: &Managed) -> Option<u64> {
        match &row.level {
            None => Some(0),
            Some(Level::Full | Level::Limited) => Some(row.doors),
            Some(Level::Specific(keys)) => {
                let mut doors: BTreeSet<DoorId> = BTreeSet::new();
                for key in keys {
                    doors.extend(self.opens.get(key)?.here()?.iter().copied());
                }
                Some(doors.len() as u64)
            }
        }
    }

    fn ask(&mut self, height: usize, shell: &mut Shell) {
        self.detail.ask(|| shell.ask(ScreenId::Managers, Request::Person(self.person.0)));
        if let Some(rows) = self.found.wanted(height)
            && let Some(ticket) = shell.ask(ScreenId::Managers, Request::Identities(rows))
        {
            self.found.asked(ticket);
        }
        let keys =
            self.detail.here().into_iter().flat_map(|detail| &detail.levels).filter_map(|(_, level)| match level {
                Level::Specific(keys) if keys.len() <= COUNTED_KEYS_MAX => Some(keys),
                _ => None,
            });
        for key in keys.flatten() {
            let asked = self.opens.entry(*key).or_default();
            asked.ask(|| shell.ask(ScreenId::Managers, Request::Key(*key)));
        }
        if let Some(choosing) = &mut self.choosing
            && let Some(rows) = choosing.keys.wanted(height)
            && let Some(ticket) = shell.ask(ScreenId::Managers, Request::Keys(choosing.property.0, rows))
        {
            choosing.keys.asked(ticket);
        }
    }

    /// Takes an answer.
    fn answered(&mut self, ticket: Ticket, answer: &Result<Answer, Failure>, height: usize, shell: &Shell) {
        match answer {
            Ok(Answer::Person(found)) if self.detail.expects(ticket) => {
                self.detail = Asked::Here(Box::new(found.clone()));
            }
            Err(failure) if self.detail.expects(ticket) => self.detail.take(Err(failure)),
            Ok(Answer::Identities(list)) if self.found.expects(ticket) => {
                self.found.receive(list.clone(), height);
                let theirs = self.found.rows().iter().filter(|row| row.party.person() == Some(self.person.0));
                self.machines.replace(theirs.cloned().collect(), height);
            }
            // Nobody is told of the machines of those whom they may not let join; there are none then.
            Err(_) if self.found.expects(ticket) => self.found.failed(),
            Ok(Answer::Key(found)) => {
                if let Some(asked) = self.opens.values_mut().find(|asked| asked.expects(ticket)) {
                    *asked = Asked::Here(found.opens.iter().map(|open| open.door).collect());
                }
            }
            Ok(Answer::Keys(list)) => {
                if let Some(choosing) = self.choosing.as_mut().filter(|choosing| choosing.keys.expects(ticket)) {
                    let chosen = choosing.keys.marked_ids().clone();
                    choosing.keys.receive(list.clone(), height);
                    choosing.keys.mark_only(chosen);
                }
            }
            Err(failure) => {
                if let Some(asked) = self.opens.values_mut().find(|asked| asked.expects(ticket)) {
                    asked.take(Err(failure));
                }
                if let Some(choosing) = self.choosing.as_mut().filter(|choosing| choosing.keys.expects(ticket)) {
                    choosing.keys.failed();
                }
            }
            Ok(_) => {}
        }
        self.fill(height, shell);
    }

    /// Writes the levels down, property by property.
    fn fill(&mut self, height: usize, shell: &Shell) {
        let Some(detail) = self.detail.here() else { return };
        let rows = shell.overview.iter().flat_map(|overview| &overview.properties).map(|property| {
            let set = detail.levels.iter().find(|(id, _)| *id == property.id).map(|(_, level)| level.clone());
            let by_default = set.is_none() && detail.row.portfolio_manager;
            Managed {
                id: property.id,
                name: property.name.clone(),
                keys: (property.keys, property.system_keys),
                doors: property.doors,
                level: set.or(by_default.then_some(Level::Full)),
                by_default,
            }
        });
        self.levels.replace(rows.collect(), height);
        // What was chosen is the level now: there is nothing left to choose.
        let saved = self.choosing.as_ref().is_some_and(|choosing| {
            let level = self.levels.rows().iter().find(|row| row.id == choosing.property.0).map(|row| &row.level);
            let Some(Some(Level::Specific(keys))) = level else { return false };
            let keys: BTreeSet<u32> = keys.iter().map(|key| key.0).collect();
            keys != choosing.before && keys == *choosing.keys.marked_ids()
        });
        if saved {
            self.choosing = None;
        }
    }
}

impl Managers {
    /// The managers.
    pub fn list(&self) -> &List<Manager> {
        &self.list
    }

    /// The card that is open.
    pub fn card(&self) -> Option<&Card> {
        self.card.as_deref()
    }

    /// Whether we are a Portfolio Manager, once that was told.
    pub fn is_portfolio_manager(&self) -> Option<bool> {
        self.me.here().map(|me| me.row.portfolio_manager)
    }

    /// Who an act is about.
    fn person(&self) -> Option<(PersonId, String)> {
        match &self.card {
            Some(card) => Some(card.person.clone()),
            None => self.list.selected().map(|row| (row.id, row.name.clone())),
        }
    }

    /// Puts the list together from what is here.
    fn gather(&mut self, height: usize) {
        let mut managers: BTreeMap<PersonId, Manager> = BTreeMap::new();
        let people = self.people.iter().flat_map(|people| people.rows());
        let known: BTreeMap<PersonId, &PersonRow> = people.map(|row| (row.id, row)).collect();
        let of = |id: PersonId, name: &str| Manager {
            id,
            name: name.to_owned(),
            email: known.get(&id).map(|row| row.email.clone()).unwrap_or_default(),
            portfolio: known.get(&id).is_some_and(|row| row.portfolio_manager),
            suspended: known.get(&id).is_some_and(|row| row.suspended),
            levels: 0,
        };
        for row in known.values().filter(|row| row.portfolio_manager) {
            managers.insert(row.id, of(row.id, &row.name));
        }
        for (id, name, _) in self.set.values().filter_map(Asked::here).flatten() {
            managers.entry(*id).or_insert_with(|| of(*id, name)).levels += 1;
        }
        if let Some(me) = self.me.here() {
            let mine = managers.entry(me.row.id).or_insert_with(|| of(me.row.id, &me.row.name));
            mine.email.clone_from(&me.row.email);
            (mine.portfolio, mine.levels) = (me.row.portfolio_manager, me.levels.len() as u64);
        }
        let mut rows: Vec<Manager> = managers.into_values().collect();
        rows.sort_by_cached_key(|row| (keyward_protocol::name::fold(&row.name), row.id));
        self.list.replace(rows, height);
    }

    fn add_form(&self, shell: &mut Shell) {
        let mut fields = vec![Field::pick("Property", Pickable::Properties), Field::choice("Level", LEVELS)];
        let form = match &self.card {
            Some(card) => {
                let title = format!("ADD A PROPERTY for {}", hidden(&card.person.1, shell));
                Form::new(ScreenId::Managers, ADD, title, fields).about(card.person.0.0, &card.person.1)
            }
            None => {
                fields.insert(0, Field::pick("Person", Pickable::People));
                Form::new(ScreenId::Managers, ADD, "ADD A PROPERTY for somebody", fields)
            }
        };
        shell.open(Dialog::Form(Box::new(form)));
    }

    fn level_form(&self, shell: &mut Shell) {
        let Some(card) = &self.card else { return };
        let Some(row) = card.levels.selected() else { return };
        let title = format!("LEVEL of {} in {}", hidden(&card.person.1, shell), row.name);
        let fields = vec![Field::choice("Level", LEVELS_OR_NONE)];
        let form = Form::new(ScreenId::Managers, LEVEL, title, fields);
        let form = form.about(card.person.0.0, &card.person.1).about(row.id.0, &row.name);
        shell.open(Dialog::Form(Box::new(form)));
    }

    /// Somebody gets a level that was chosen in a form.
    fn leveled(
        &mut self,
        person: (PersonId, String),
        property: (PropertyId, String),
        choice: usize,
        shell: &mut Shell,
    ) {
        let level = match choice {
            0 => Some(Level::Full),
            1 => Some(Level::Limited),
            SPECIFIC => return self.choose(person, property),
            _ => None,
        };
        review_level(&person, &property, level, shell);
    }

    /// The Keys of a Specific level are chosen.
    fn choose(&mut self, person: (PersonId, String), property: (PropertyId, String)) {
        if self.card.as_ref().is_none_or(|card| card.person.0 != person.0) {
            self.card = Some(Box::new(Card::new(person)));
        }
        let Some(card) = &mut self.card else { return };
        let level = card.levels.rows().iter().find(|row| row.id == property.0).and_then(|row| row.level.as_ref());
        let before: BTreeSet<u32> = match level {
            Some(Level::Specific(keys)) => keys.iter().map(|key| key.0).collect(),
            _ => BTreeSet::new(),
        };
        let mut keys = List::eager();
        keys.mark_only(before.iter().copied());
        card.part = Part::Levels;
        card.choosing = Some(Choosing { property, keys, before, needle: String::new() });
    }

    fn save(&mut self, shell: &mut Shell) {
        let Some(card) = &self.card else { return };
        let Some(choosing) = &card.choosing else { return };
        let keys: Vec<KeyId> = choosing.keys.marked_ids().iter().map(|id| KeyId(*id)).collect();
        if keys.is_empty() {
            return shell.warn("choose a Key, or take the level away instead");
        }
        review_level(&card.person, &choosing.property, Some(Level::Specific(keys)), shell);
    }

    fn token_form(&self, shell: &mut Shell) {
        let Some((id, name)) = self.person() else { return };
        let lengths: Vec<&'static str> = LENGTHS.iter().map(|(words, _)| *words).collect();
        let fields = vec![Field::choice("Good for", &lengths)];
        let title = format!("TOKEN for the client of {}", hidden(&name, shell));
        let form = Form::new(ScreenId::Managers, TOKEN, title, fields).about(id.0, &name);
        shell.open(Dialog::Form(Box::new(form)));
    }

    fn review_portfolio(&self, shell: &mut Shell) {
        let Some((id, name)) = self.person() else { return };
        let on = match &self.card {
            Some(card) => card.detail.here().is_some_and(|detail| detail.row.portfolio_manager),
            None => self.list.selected().is_some_and(|row| row.portfolio),
        };
        let whom = hidden(&name, shell);
        let title = if on {
            format!("{whom} IS NO LONGER A PORTFOLIO MANAGER")
        } else {
            format!("MAKE {whom} A PORTFOLIO MANAGER")
        };
        let step = ReviewStep::new(name, Command::SetPortfolioManager(id, !on));
        let mut review = Review::new(ScreenId::Managers, title, vec![step]);
        review.about = match on {
            true => "They add properties, doors and managers no more; levels that were set stay.",
            false => "They add properties, doors, managers and levels, and have Full everywhere unless set otherwise.",
        }
        .to_owned();
        review.afterwards = format!("{whom} is {} Portfolio Manager", if on { "no longer a" } else { "a" });
        shell.open(Dialog::Review(Box::new(review)));
    }

    fn review_machine(&self, shell: &mut Shell) {
        let Some(row) = self.card.as_ref().and_then(|card| card.machines.selected()) else { return };
        shell.open(Dialog::Review(Box::new(identity_review(ScreenId::Managers, row))));
    }
}

/// The review of disabling what joined, or of taking it again.
pub fn identity_review(owner: ScreenId, row: &IdentityRow) -> Review {
    let (word, about) = match row.disabled {
        true => ("ENABLE", "It is taken again."),
        false => ("DISABLE", "It is refused at once, and its connections are closed within a moment."),
    };
    let step = ReviewStep::new(row.label.clone(), Command::DisableIdentity(row.id, !row.disabled));
    let mut review = Review::new(owner, format!("{word} {} ({})", row.label, row.id), vec![step]);
    review.about = about.to_owned();
    review.afterwards = format!("{} is {}", row.label, if row.disabled { "enabled" } else { "disabled" });
    review
}

fn review_level(person: &(PersonId, String), property: &(PropertyId, String), level: Option<Level>, shell: &mut Shell) {
    let whom = hidden(&person.1, shell);
    let word = level_word(level.as_ref());
    let step = ReviewStep::new(person.1.clone(), Command::SetLevel(property.0, person.0, level));
    let mut review = Review::new(ScreenId::Managers, format!("LEVEL of {whom} in {}: {word}", property.1), vec![step]);
    review.about = "Managing a Key is not holding it: nobody's doors change by this.".to_owned();
    review.afterwards = format!("{whom}: {word} in {}", property.1);
    shell.open(Dialog::Review(Box::new(review)));
}

/// A level in a word.
pub fn level_word(level: Option<&Level>) -> String {
    match level {
        Some(Level::Full) => "Full".to_owned(),
        Some(Level::Limited) => "Limited".to_owned(),
        Some(Level::Specific(keys)) if keys.len() == 1 => "Specific, 1 Key".to_owned(),
        Some(Level::Specific(keys)) => format!("Specific, {} Keys", keys.len()),
        None => "none".to_owned(),
    }
}

fn hidden(name: &str, shell: &Shell) -> String {
    if shell.people_hidden { view::HIDDEN.to_owned() } else { name.to_owned() }
}

fn height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::PAGE)
}

impl Screen for Managers {
    fn bindings(&self) -> &'static [Binding] {
        match &self.card {
            None => BINDINGS,
            Some(card) if card.choosing.is_some() => KEY_BINDINGS,
            Some(card) if card.part == Part::Machines => MACHINE_BINDINGS,
            Some(_) => CARD_BINDINGS,
        }
    }

    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["Managers".to_owned()];
        if let Some(card) = &self.card {
            // Without a name: people may be hidden.
            crumbs.push("card".to_owned());
            match (&card.choosing, card.part) {
                (Some(choosing), _) => crumbs.push(choosing.property.1.clone()),
                (None, Part::Levels) => crumbs.push("levels".to_owned()),
                (None, Part::Machines) => crumbs.push("machines".to_owned()),
            }
        }
        crumbs
    }

    fn summary(&self, _: &Shell) -> Vec<String> {
        match &self.card {
            None if self.list.is_unknown() => vec![UNTOLD.to_owned()],
            None => vec![counted(self.list.counts().total, "manager", "managers")],
            Some(card) => match &card.choosing {
                Some(choosing) => {
                    let unsaved = if choosing.keys.marked_ids() == &choosing.before { "" } else { ", unsaved" };
                    let chosen = grouped(choosing.keys.marked_ids().len() as u64);
                    vec![format!("{chosen} of {}{unsaved}", grouped(choosing.keys.counts().total))]
                }
                None => Vec::new(),
            },
        }
    }

    fn wants(&self) -> Wants {
        Wants::PAGE
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::managers::render(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        let Some(overview) = &shell.overview else { return };
        let (me, properties) = (overview.me, overview.properties.iter().map(|row| row.id).collect::<Vec<_>>());
        self.me.ask(|| shell.ask(ScreenId::Managers, Request::Person(me)));
        let height = height(shell);
        if self.is_portfolio_manager() == Some(true) {
            let people = self.people.get_or_insert_with(List::eager);
            if let Some(rows) = people.wanted(height)
                && let Some(ticket) = shell.ask(ScreenId::Managers, Request::People(None, rows))
            {
                people.asked(ticket);
                self.scanned_at = shell.now;
            }
            let waiting = self.set.values().filter(|asked| matches!(asked, Asked::Waiting(_))).count();
            let mut room = PROPERTIES_AT_A_TIME.saturating_sub(waiting);
            for property in properties {
                let asked = self.set.entry(property).or_default();
                if matches!(asked, Asked::Not) && room > 0 {
                    asked.ask(|| shell.ask(ScreenId::Managers, Request::Property(property)));
                    room -= 1;
                }
            }
        }
        if let Some(card) = &mut self.card {
            card.ask(height, shell);
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        let height = height(shell);
        match &answer {
            Ok(Answer::Person(found)) if self.me.expects(ticket) => self.me = Asked::Here(Box::new(found.clone())),
            Err(failure) if self.me.expects(ticket) => self.me.take(Err(failure)),
            Ok(Answer::People(list)) => {
                if let Some(people) = self.people.as_mut().filter(|people| people.expects(ticket)) {
                    people.receive(list.clone(), height);
                }
            }
            Ok(Answer::Property(found)) => {
                if let Some(asked) = self.set.values_mut().find(|asked| asked.expects(ticket)) {
                    *asked = Asked::Here(found.levels.clone());
                }
            }
            Err(failure) => {
                if let Some(people) = self.people.as_mut().filter(|people| people.expects(ticket)) {
                    people.failed();
                }
                if let Some(asked) = self.set.values_mut().find(|asked| asked.expects(ticket)) {
                    asked.take(Err(failure));
                }
            }
            Ok(_) => {}
        }
        self.gather(height);
        if let Some(card) = &mut self.card {
            card.answered(ticket, &answer, height, shell);
        }
    }

    fn refresh(&mut self, shell: &mut Shell) {
        self.me = Asked::Not;
        self.set.clear();
        let since = |then: Moment| shell.now.map_or(0, |now| now.as_micros().saturating_sub(then.as_micros()));
        if self.scanned_at.is_none_or(|then| since(then) >= SCAN_MICROS)
            && let Some(people) = &mut self.people
        {
            people.refresh();
        }
        if let Some(card) = &mut self.card {
            card.detail = Asked::Not;
            card.found.refresh();
            card.opens.clear();
            if let Some(choosing) = &mut card.choosing {
                choosing.keys.refresh();
            }
        }
    }

    // It is of all properties.
    fn forget(&mut self, _: &mut Shell) {}

    fn forbidden(&self, action: Action, _: &Shell) -> Option<String> {
        let Action::Act(act) = action else { return None };
        if matches!(act, CHOOSE | UNDO | PART) {
            return None;
        }
        let own = self.person().is_some_and(|(id, _)| self.me.here().is_some_and(|me| me.row.id == id));
        let machine = self.card.as_ref().and_then(|card| card.machines.selected());
        match (act, self.is_portfolio_manager()) {
            (DISABLE, _) if machine.is_none() => Some("there is no machine here".to_owned()),
            // A machine that was lost is disabled by whose it was (U3).
            (DISABLE, Some(false)) if own && machine.is_some_and(|machine| !machine.disabled) => None,
            (_, Some(true)) => None,
            (_, Some(false)) => Some(ONLY_PORTFOLIO.to_owned()),
            (_, None) => Some("it is not known yet what you may do".to_owned()),
        }
    }

    fn enters(&self) -> Option<Act> {
        let card = self.card.as_ref()?;
        (card.choosing.is_none() && card.part == Part::Levels).then_some(LEVEL)
    }

    fn lacks(&self, action: Action) -> bool {
        match (action, self.card.as_ref().map(|card| card.choosing.is_some())) {
            (Action::Range | Action::Mark, _) => true,
            (Action::Sort, card) => card.is_some(),
            (Action::Filter, card) => card == Some(false),
            (Action::Open, card) => {
                card == Some(true) || self.card.as_ref().is_some_and(|card| card.part == Part::Machines)
            }
            _ => false,
        }
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        let height = height(shell);
        match (action, &mut self.card) {
            (Action::Act(ADD), _) => self.add_form(shell),
            (Action::Act(TOKEN), _) => self.token_form(shell),
            (Action::Act(PORTFOLIO), _) => self.review_portfolio(shell),
            (Action::Act(DISABLE), _) => self.review_machine(shell),
            (Action::Act(SAVE), _) => self.save(shell),
            (Action::Act(LEVEL), _) => self.level_form(shell),
            (Action::Open, Some(card)) if card.choosing.is_none() && card.part == Part::Levels => {
                self.level_form(shell);
            }
            (Action::Act(UNDO), Some(card)) => {
                if let Some(choosing) = &mut card.choosing {
                    choosing.keys.mark_only(choosing.before.iter().copied());
                }
            }
            (Action::Act(CHOOSE), Some(card)) => match &mut card.choosing {
                Some(choosing) if choosing.keys.selected().is_some_and(|row| row.system) => {
                    shell.warn("Deliveries is managed by the system: it can't be assigned");
                }
                Some(choosing) => choosing.keys.mark(height),
                None => {}
            },
            (Action::Open, None) => {
                self.card = self.list.selected().map(|row| Box::new(Card::new((row.id, row.name.clone()))));
            }
            (Action::Act(PART), Some(card)) if card.choosing.is_none() => {
                card.part = if card.part == Part::Levels { Part::Machines } else { Part::Levels };
            }
            (Action::Sort, None) => self.list.sort_next(SORTS, height),
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let subject = |at: usize| form.subject.get(at).cloned().ok_or("the form is about nobody");
        match form.act {
            ADD => {
                let (first, person) = match subject(0) {
                    Ok((id, name)) => (0, (PersonId(id), name)),
                    Err(_) => {
                        let person = form.picked(0).ok_or("choose a person: type a part of the name")?;
                        (1, (PersonId(person.id), person.name.clone()))
                    }
                };
                let property = form.picked(first).ok_or("choose a property")?;
                let property = (PropertyId(property.id), property.name.clone());
                self.leveled(person, property, form.choice(first + 1), shell);
            }
            LEVEL => {
                let (person, property) = (subject(0)?, subject(1)?);
                let (person, property) = ((PersonId(person.0), person.1), (PropertyId(property.0), property.1));
                self.leveled(person, property, form.choice(0), shell);
            }
            TOKEN => {
                let (id, name) = subject(0)?;
                let until = until(form.choice(0), shell)?;
                let whose = hidden(&name, shell);
                let mut review =
                    Review::new(ScreenId::Managers, format!("TOKEN for the client of {whose}"), Vec::new());
                review.about = "Whoever has the token joins as this manager, once: hand it over safely.".to_owned();
                review.afterwards = "the token is made".to_owned();
                let party = Some(Party::Operator(PersonId(id)));
                shell.open_with_token(review, For { party, until, whose });
            }
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        let height = height(shell);
        match &mut self.card {
            None => self.list.step(step, height),
            Some(card) => match (&mut card.choosing, card.part) {
                (Some(choosing), _) => choosing.keys.step(step, height),
                (None, Part::Levels) => card.levels.step(step, height),
                (None, Part::Machines) => card.machines.step(step, height),
            },
        }
    }

    fn settle(&mut self, shell: &mut Shell) {
        let height = height(shell);
        self.list.settle(height);
        if let Some(card) = &mut self.card {
            card.levels.settle(height);
            card.machines.settle(height);
            if let Some(choosing) = &mut card.choosing {
                choosing.keys.settle(height);
            }
        }
    }

    fn filtered(&self) -> &str {
        match self.card.as_ref().map(|card| card.choosing.as_ref()) {
            None => &self.needle,
            Some(Some(choosing)) => &choosing.needle,
            Some(None) => "",
        }
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        let height = height(shell);
        match self.card.as_mut().map(|card| card.choosing.as_mut()) {
            None => {
                self.needle = needle.to_owned();
                // What is hidden isn't searched: a filter that finds people would name them.
                self.list.filter(if shell.people_hidden { "" } else { needle }, height);
            }
            Some(Some(choosing)) => {
                choosing.needle = needle.to_owned();
                let chosen = choosing.keys.marked_ids().clone();
                choosing.keys.filter(needle, height);
                choosing.keys.mark_only(chosen);
            }
            Some(None) => {}
        }
    }

    fn refilter(&mut self, shell: &mut Shell) {
        self.list.filter(if shell.people_hidden { "" } else { &self.needle }, height(shell));
    }

    fn kept(&self) -> Kept {
        Kept { sort: self.list.sort(), filter: self.needle.clone() }
    }

    fn sort_by(&mut self, sort: Option<usize>, shell: &mut Shell) {
        self.list.sort_by(sort, SORTS, height(shell));
    }

    fn back(&mut self, shell: &mut Shell) -> bool {
        if let Some(card) = &mut self.card
            && let Some(choosing) = card.choosing.take()
        {
            if choosing.keys.marked_ids() != &choosing.before {
                shell.say("nothing was changed");
            }
            return true;
        }
        self.card.take().is_some()
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        if shell.people_hidden {
            return None;
        }
        match &self.card {
            Some(card) => Some(card.person.1.clone()),
            None => self.list.selected().map(|row| format!("{} <{}>", row.name, row.email)),
        }
    }
}

/// When a token is over that was asked for this long.
pub fn until(length: usize, shell: &Shell) -> Result<Moment, String> {
    let (_, seconds) = LENGTHS.get(length).ok_or("choose for how long")?;
    Ok(shell.now.ok_or("the time is not known yet")?.plus_seconds(*seconds))
}
