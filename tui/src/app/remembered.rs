//! What is remembered of a server between two starts: where somebody was, and how lists were sorted and filtered. Nothing
//! secret, and nobody's name while people are hidden.

use std::collections::BTreeMap;

use keyward_protocol::{id::PropertyId, name, time::Moment};
use serde::{Deserialize, Serialize};

use super::{App, Effect, FILTER_CHARS_MAX, ScreenId};

/// The only version so far.
const VERSION: u32 = 1;
/// A longer text is none of ours.
pub const BYTES_MAX: usize = 64 * 1024;
/// It is written at most so often, but at once when people are hidden, and at the end.
const EVERY_MICROS: i64 = 60_000_000;
/// Words of so many digits may be door codes: filters with one are not remembered (C8).
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 4..=10;

/// What is remembered of one screen.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// By which of its sorts it is sorted, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<usize>,
    /// What it is filtered by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
}

/// What is remembered of a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Remembered {
    version: u32,
    /// The screen that was open, by its name in small letters.
    screen: String,
    /// The property that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    property: Option<u32>,
    /// Times were in UTC, not in the property's zone.
    utc: bool,
    /// People were hidden.
    people_hidden: bool,
    /// By screen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    screens: BTreeMap<String, Kept>,
}

/// Why what was remembered is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unread {
    /// A later version wrote it: it is left as it is.
    Newer,
    /// It can't be read: it is begun anew.
    Damaged,
}

/// What any version has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl Remembered {
    /// Reads what was written.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub fn parse(text: &str) -> Result<Remembered, Unread> {
        let AnyVersion { version } = toml::from_str(text).map_err(|_| Unread::Damaged)?;
        match version {
            VERSION => {}
            ..VERSION => return Err(Unread::Damaged),
            _ => return Err(Unread::Newer),
        }
        let mut read: Remembered = toml::from_str(text).map_err(|_| Unread::Damaged)?;
        let harmless = |text: &str| text.chars().count() <= FILTER_CHARS_MAX && !text.chars().any(name::is_unsafe);
        let known = |name: &String| ScreenId::named(name).is_some();
        if !known(&read.screen) || !read.screens.iter().all(|(name, kept)| known(name) && harmless(&kept.filter)) {
            return Err(Unread::Damaged);
        }
        read.hide();
        Ok(read)
    }

    /// The text that [`Remembered::parse`] reads.
    fn written(&self) -> String {
        // INVARIANT: numbers, texts and tables of them are all there is, and tables come last.
        toml::to_string(self).expect("plain values can be written as TOML")
    }

    /// A filter may be somebody's name, or have a code in it.
    fn hide(&mut self) {
        for kept in self.screens.values_mut() {
            if self.people_hidden || may_hold_code(&kept.filter) {
                kept.filter.clear();
            }
        }
        self.screens.retain(|_, kept| *kept != Kept::default());
    }
}

fn may_hold_code(filter: &str) -> bool {
    let mut words = filter.split(|c: char| !c.is_alphanumeric() && c != '-');
    words.any(|word| {
        let mut runs = word.split(|c: char| !c.is_ascii_digit());
        !begins_with_date(word) && runs.any(|run| CODE_DIGITS.contains(&run.len()))
    })
}

/// `2026-11-20`, whatever follows.
fn begins_with_date(word: &str) -> bool {
    let form = "0000-00-00".bytes();
    let as_form = |(byte, form): (u8, u8)| if form == b'-' { byte == b'-' } else { byte.is_ascii_digit() };
    word.len() >= form.len() && word.bytes().zip(form).all(as_form)
}

/// What an app needs to remember.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether anything is written at all.
    on: bool,
    /// It could not be written: it is tried again only to take names away.
    failed: bool,
    /// What was remembered and is not back yet: the property has to be known first.
    pending: Option<Remembered>,
    /// What was written last.
    written: String,
    /// Whether people were hidden in it.
    hidden: bool,
    /// Since when it stands; `None`: the clock was not told yet.
    since: Option<Moment>,
}

impl App {
    /// Remembers from now on; `read` is what was remembered, where there was anything.
    #[must_use]
    pub fn remembering(mut self, mut read: Option<Remembered>) -> App {
        let (written, hidden) = read.as_ref().map(|read| (read.written(), read.people_hidden)).unwrap_or_default();
        if let Some(read) = &mut read {
            self = match ScreenId::named(&read.screen) {
                Some(screen) => self.at(screen),
                None => self,
            };
            self.shell.utc = read.utc;
            self.shell.people_hidden |= read.people_hidden;
            self.shell.wanted_property = read.property.map(PropertyId);
            // The user's settings may hide people too.
            read.people_hidden = self.shell.people_hidden;
            read.hide();
        }
        self.memory = Memory { on: true, failed: false, pending: read, written, hidden, since: None };
        self
    }

    /// The property is known: lists are sorted and filtered as they were.
    pub(super) fn remember_lists(&mut self) {
        let Some(read) = self.memory.pending.take() else { return };
        for id in ScreenId::ALL {
            let Some(kept) = read.screens.get(&id.name().to_lowercase()) else { continue };
            if let Some((screen, shell)) = self.named(id) {
                screen.sort_by(kept.sort, shell);
                if screen.filtered().is_empty() {
                    screen.filter(&kept.filter, shell);
                }
            }
        }
    }

    /// What is to be remembered.
    pub fn remembered(&self) -> Remembered {
        let screens = match &self.memory.pending {
            // Nothing was shown yet: lists are as they were.
            Some(pending) => pending.screens.clone(),
            None => {
                let kept = |id: ScreenId| Some((id.name().to_lowercase(), self.kept(id)?));
                ScreenId::ALL.into_iter().filter_map(kept).collect()
            }
        };
        let property = self.shell.property.or(self.shell.wanted_property);
        let mut now = Remembered {
            version: VERSION,
            screen: self.screen_id().name().to_lowercase(),
            property: property.map(|property| property.0),
            utc: self.shell.utc,
            people_hidden: self.shell.people_hidden,
            screens,
        };
        now.hide();
        now
    }

    /// What is to be written now: at the end, at once when people were hidden or shown, and now and then.
    pub(super) fn keeping(&mut self, at_the_end: bool) -> Option<Effect> {
        let (now, hidden) = (self.shell.now, self.shell.people_hidden);
        let memory = &mut self.memory;
        let waited = |since: Moment| now.map_or(0, |now| now.as_micros().saturating_sub(since.as_micros()));
        // Hiding people is not given up: what was written before may name them.
        let hides = hidden && !memory.hidden;
        let due = hides
            || at_the_end
            || hidden != memory.hidden
            || memory.since.is_some_and(|since| waited(since) >= EVERY_MICROS);
        if !memory.on || !due || (memory.failed && !hides) {
            // Shown again after a failure: the next time that they are hidden counts.
            memory.hidden &= !memory.failed || hidden;
            memory.since = memory.since.or(now);
            return None;
        }
        (memory.hidden, memory.since) = (hidden, now);
        let text = self.remembered().written();
        let same = std::mem::replace(&mut self.memory.written, text.clone()) == text;
        (!same || self.memory.failed).then_some(Effect::Keep(text))
    }

    /// It can't be written: that is told once.
    pub(super) fn not_kept(&mut self, why: &str) {
        self.memory.failed = true;
        self.shell.warn(format!("how the screens are is not remembered: {why}"));
    }
}
