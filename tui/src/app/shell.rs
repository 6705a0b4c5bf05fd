//! What all screens share: the connection, who and where we are, the live log, and what is to be done outside.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use keyward_protocol::{
    entry::Level,
    id::PropertyId,
    message::{
        manage::{Overview, PersonRow, PropertyRow, Request},
        watch::Subscribe,
    },
    time::Moment,
};

use super::{
    Dialog, Effect, Feed, ScreenId,
    jobs::{JobId, Jobs},
    read_only::ReadOnly,
    review::Review,
    token::For,
    undo::Undo,
};
use crate::{
    keymap::{Action, Keymap},
    remote::{LinkTold, Order, Ticket, WatchId},
    theme::{Glyphs, Theme},
    view::columns::Columns,
};

/// How often the portfolio is looked at, to see its revision move.
const LOOK_SECONDS: i64 = 5;
/// So many requests may wait for an answer; a screen that asks for more is not asking, it is stuck.
const WAITING_MAX: usize = 512;
/// The live view that the log and its strip are fed by.
pub const FEED: WatchId = WatchId(1);

/// How the connection to the server is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Link {
    /// There was none yet.
    #[default]
    Connecting,
    /// It stands.
    Up {
        /// How long a packet and its acknowledgement take.
        round_trip_us: u64,
    },
    /// It is lost.
    Down {
        /// Since when.
        since: Option<Moment>,
        /// Why.
        why: String,
    },
}

/// Who gets an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// The shell itself.
    Shell,
    /// A screen.
    Screen(ScreenId),
    /// The dialog on top.
    Dialog,
    /// An export in the background.
    Job(JobId),
    /// Whether what was done last still stands.
    Undo,
}

/// Something to be said at the foot of the screen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// What.
    pub text: String,
    /// Whether it needs an eye.
    pub alert: bool,
}

/// What all screens share.
#[derive(Debug)]
pub struct Shell {
    /// The colours.
    pub theme: Theme,
    /// The characters for lines and bars.
    pub glyphs: Glyphs,
    /// Columns of the terminal.
    pub width: u16,
    /// Rows of the terminal.
    pub height: u16,
    /// The clock, once it was told.
    pub now: Option<Moment>,
    /// What the server is called.
    pub server: String,
    /// How the connection is.
    pub link: Link,
    /// The portfolio at a glance, as last told.
    pub overview: Option<Overview>,
    /// Which property is looked at.
    pub property: Option<PropertyId>,
    /// Which property was looked at the last time, until it is known whether it is there.
    pub(super) wanted_property: Option<PropertyId>,
    /// Times are in UTC and not in the property's zone.
    pub utc: bool,
    /// Clicks and the wheel count.
    pub mouse: bool,
    /// Nothing is to be changed from here.
    pub read_only: ReadOnly,
    /// People's names and codes are hidden.
    pub people_hidden: bool,
    /// The live log.
    pub feed: Feed,
    /// The chords as the user has them.
    pub keymap: Keymap,
    /// The columns of lists as the user has them.
    pub columns: Columns,
    /// What was done last, and what takes it back.
    pub undo: Undo,
    /// What is said at the foot.
    pub notice: Option<Notice>,
    portfolio_manager: Option<bool>,
    /// Exports in the background.
    pub jobs: Jobs,
    zone: TimeZone,
    last_ticket: u64,
    askers: BTreeMap<Ticket, Asker>,
    looked_at: Option<Moment>,
    effects: Vec<Effect>,
    /// Dialogs to be opened, and closed, by whoever asked for it.
    pub(super) opening: Vec<Dialog>,
    /// Another screen to be shown.
    pub(super) going: Option<(ScreenId, Option<String>)>,
    /// A review that waits for a token.
    pub(super) token_for: Option<(Box<Review>, For)>,
}

impl Shell {
    /// 80 columns by 24 rows until told otherwise, and nothing known.
    pub fn new(server: &str, theme: Theme, glyphs: Glyphs) -> Shell {
        Shell {
            theme,
            glyphs,
            width: 80,
            height: 24,
            now: None,
            server: server.to_owned(),
            link: Link::default(),
            overview: None,
            property: None,
            wanted_property: None,
            utc: false,
            mouse: false,
            read_only: ReadOnly::default(),
            people_hidden: false,
            feed: Feed::default(),
            keymap: Keymap::default(),
            columns: Columns::default(),
            undo: Undo::default(),
            notice: None,
            portfolio_manager: None,
            jobs: Jobs::default(),
            zone: TimeZone::UTC,
            last_ticket: 0,
            askers: BTreeMap::new(),
            looked_at: None,
            effects: Vec::new(),
            opening: Vec::new(),
            going: None,
            token_for: None,
        }
    }

    /// Sends a request for a screen, whose `answered` is told what came of it. `None`: there is no connection, or too
    /// much is asked already.
    pub fn ask(&mut self, screen: ScreenId, request: Request) -> Option<Ticket> {
        self.ask_for(Asker::Screen(screen), request)
    }

    /// Sends a request for the dialog on top.
    pub fn ask_for_dialog(&mut self, request: Request) -> Option<Ticket> {
        self.ask_for(Asker::Dialog, request)
    }

    pub(super) fn ask_for(&mut self, asker: Asker, request: Request) -> Option<Ticket> {
        if !self.is_up() || self.askers.len() >= WAITING_MAX {
            return None;
        }
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.askers.insert(ticket, asker);
        self.effects.push(Effect::Order(Order::Ask(ticket, request)));
        Some(ticket)
    }

    /// Whether whoever looks is a Portfolio Manager; `None` until it was told.
    pub fn is_portfolio_manager(&self) -> Option<bool> {
        self.portfolio_manager
    }

    /// Takes what the server tells of whoever looks.
    pub(super) fn told_me(&mut self, me: &PersonRow) {
        self.portfolio_manager = Some(me.portfolio_manager);
    }

    /// Asks for what may be done here beside the levels.
    pub(super) fn ask_for_me(&mut self) {
        if let Some(me) = self.overview.as_ref().map(|overview| overview.me) {
            self.ask_for(Asker::Shell, Request::Person(me));
        }
    }

    /// Lets exports ask for more, and hands on what is to be written.
    pub(super) fn drive_jobs(&mut self) {
        let mut jobs = std::mem::take(&mut self.jobs);
        self.effects.extend(jobs.writing.drain(..).map(|(job, writing)| Effect::Write(job, writing)));
        jobs.ask(|job, request| self.ask_for(Asker::Job(job), request));
        self.jobs = jobs;
    }

    /// Who asked, once.
    pub(super) fn asker(&mut self, ticket: Ticket) -> Option<Asker> {
        self.askers.remove(&ticket)
    }

    /// Adds something to be done outside.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// What is to be done outside, since the last time.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Opens a dialog over the screen; none that is a part of a change while nothing is to be changed.
    pub fn open(&mut self, dialog: Dialog) {
        match self.refused_dialog(&dialog) {
            Some(why) => self.warn(why),
            None => self.opening.push(dialog),
        }
    }

    /// Opens a review that ends with a token being made, once there is one.
    pub fn open_with_token(&mut self, review: Review, of: For) {
        if self.read_only.is_on() {
            // It is opened once there is a token; nothing is made up for a review that won't be.
            return self.open(Dialog::Review(Box::new(review)));
        }
        self.token_for = Some((Box::new(review), of));
        self.effects.push(Effect::Order(Order::NewToken));
    }

    /// Shows another screen.
    pub fn go(&mut self, screen: ScreenId) {
        self.going = Some((screen, None));
    }

    /// Shows another screen at what has this name in its list.
    pub fn go_to(&mut self, screen: ScreenId, name: &str) {
        self.going = Some((screen, Some(name.to_owned())));
    }

    /// Says something at the foot of the screen.
    pub fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), alert: false });
    }

    /// Says something that needs an eye.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), alert: true });
    }

    /// How a command is called for on a screen, in a sentence.
    pub fn chord(&self, screen: ScreenId, action: Action) -> String {
        self.keymap.told(screen, action)
    }

    /// Whether the connection stands.
    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// The property that is looked at.
    pub fn property_row(&self) -> Option<&PropertyRow> {
        let overview = self.overview.as_ref()?;
        overview.properties.iter().find(|row| Some(row.id) == self.property)
    }

    /// What we may do with the property's Keys.
    pub fn level(&self) -> Option<&Level> {
        self.property_row().and_then(|row| row.level.as_ref())
    }

    /// The zone that times are shown in.
    pub fn zone(&self) -> &TimeZone {
        const UTC: &TimeZone = &TimeZone::UTC;
        if self.utc { UTC } else { &self.zone }
    }

    /// The property's own zone, in which periods are entered.
    pub fn property_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Looks at the portfolio when it is time to, or at once.
    pub(super) fn look(&mut self, at_once: bool) {
        let due = match (self.looked_at, self.now) {
            (Some(then), Some(now)) => now.as_micros().saturating_sub(then.as_micros()) >= LOOK_SECONDS * 1_000_000,
            _ => true,
        };
        if (at_once || due) && self.ask_for(Asker::Shell, Request::Overview).is_some() {
            self.looked_at = self.now;
        }
    }

    /// Takes how the connection is; says whether it came up just now.
    pub(super) fn linked(&mut self, told: LinkTold) -> bool {
        let was_up = self.is_up();
        self.link = match (told, &self.link) {
            (LinkTold::Up(round_trip), _) => {
                let round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
                Link::Up { round_trip_us }
            }
            // The clock of a lost connection runs from its loss, whatever is attempted meanwhile.
            (LinkTold::Connecting, Link::Down { since, why }) => Link::Down { since: *since, why: why.clone() },
            (LinkTold::Connecting, Link::Up { .. }) => Link::Down { since: self.now, why: "connecting anew".into() },
            (LinkTold::Connecting, Link::Connecting) => Link::Connecting,
            (LinkTold::Down(why, _), Link::Down { since, .. }) => Link::Down { since: *since, why },
            (LinkTold::Down(why, _), _) => Link::Down { since: self.now, why },
        };
        self.is_up() && !was_up
    }

    /// Takes the portfolio at a glance; says whether the property is another one than before, and whether the data
    /// moved on.
    pub(super) fn overviewed(&mut self, overview: Overview) -> (bool, bool) {
        let moved = self.overview.as_ref().is_none_or(|before| before.revision != overview.revision);
        let there = |id: &PropertyId| overview.properties.iter().any(|row| row.id == *id);
        let stays = self.property.or(self.wanted_property.take()).filter(there);
        let property = stays.or_else(|| overview.properties.first().map(|row| row.id));
        self.overview = Some(overview);
        let another = property != self.property;
        if another {
            self.choose(property);
        }
        (another, moved)
    }

    /// Looks at another property from now on.
    pub(super) fn choose(&mut self, property: Option<PropertyId>) {
        self.property = property;
        let zone = self.property_row().and_then(|row| TimeZone::get(&row.zone).ok());
        self.zone = zone.unwrap_or(TimeZone::UTC);
        self.feed = Feed::default();
        self.effects.push(Effect::Order(match property {
            Some(property) => Order::Watch(FEED, Subscribe { property: Some(property), ..Subscribe::all() }),
            None => Order::Unwatch(FEED),
        }));
    }
}
