//! The head and the foot of the screen.

use keyward_protocol::time::{Moment, human_micros};
use ratatui::style::Style;

use super::{layout::Band, painter::Painter, text::grouped};
use crate::{
    app::{App, Counts, Link, Screen},
    keymap::{Action, BINDINGS},
};

/// A word on a line, with its style. The highest rank goes first when room is short.
struct Word {
    text: String,
    style: Style,
    rank: u8,
}

/// Server, property and clock; where there are three rows, the screens with the totals, and where we are.
pub fn header(app: &App, band: Band, painter: &mut Painter<'_>) {
    if band.height == 0 {
        return;
    }
    let mut clock = app.now.map_or_else(|| "--:--:--".to_owned(), |now| clock(app, now));
    if painter.width() >= 60 {
        clock = format!("{} {clock}", zone(app));
    }
    let end = painter.width().saturating_sub(1);
    let room = end.saturating_sub(painter.columns(&clock) + 2);
    line(identity(app, painter), band.y, room, painter);
    painter.put_right(end, band.y, &clock, painter.theme.strong);
    if band.height >= 3 {
        screens(app, band.y + 1, painter);
        place(app, band.y + 2, painter);
    }
}

fn identity(app: &App, painter: &Painter<'_>) -> Vec<Word> {
    let theme = painter.theme;
    let (link, style) = link(app, painter);
    let mut words = vec![Word { text: "keyward".into(), style: theme.strong, rank: 2 }];
    let mut word = |text: &str, style, rank| words.push(Word { text: text.into(), style, rank });
    word(&app.header.server, theme.text, 3);
    word(&link, style, 0);
    if let Some(counts) = &app.counts {
        word(&format!("rev {}", counts.revision), theme.text, 4);
    }
    word(&app.header.property, theme.text, 1);
    words
}

fn link(app: &App, painter: &Painter<'_>) -> (String, Style) {
    match app.link {
        Link::Connecting => ("[connecting]".into(), painter.theme.alert),
        Link::Up { round_trip_us: None } => ("[up]".into(), painter.theme.text),
        Link::Up { round_trip_us: Some(micros) } => (format!("[up {}]", human_micros(micros)), painter.theme.text),
        Link::Down { since } => {
            let now = app.now.unwrap_or(since);
            let micros = now.as_micros().saturating_sub(since.as_micros()).max(0);
            // Whole seconds: nobody waits for the millisecond in which a connection was lost.
            let seconds = u64::try_from(micros).unwrap_or(0) / 1_000_000;
            let age = if seconds == 0 { "0s".into() } else { human_micros(seconds * 1_000_000) };
            (format!("[DOWN {age}]"), painter.theme.alert)
        }
    }
}

fn screens(app: &App, y: u16, painter: &mut Painter<'_>) {
    let mut x = 1;
    for (name, screen) in [("1 Keys", Screen::Keys), ("4 Logs", Screen::Logs)] {
        let open = app.screen == screen;
        let (text, style) = match open {
            true => (format!("[{name}]"), painter.theme.strong),
            false => (format!(" {name} "), painter.theme.quiet),
        };
        x += painter.put(x, y, u16::MAX, &text, style) + 1;
    }
    if let Some(counts) = &app.counts {
        let end = painter.width().saturating_sub(1);
        let totals = totals(counts);
        let fitting = totals.iter().find(|text| painter.columns(text) + x < end);
        painter.put_right(end, y, fitting.map_or("", String::as_str), painter.theme.text);
    }
}

/// The totals, from the fullest way to say them to the shortest.
fn totals(counts: &Counts) -> [String; 3] {
    let short = format!("{} granted  {} denied", grouped(counts.granted), grouped(counts.denied));
    let timed = format!("{short}  p50 {}  p99 {}", human_micros(counts.p50_us), human_micros(counts.p99_us));
    [format!("{:.0}/s  {timed}", counts.per_second), timed, short]
}

fn place(app: &App, y: u16, painter: &mut Painter<'_>) {
    let (screen, wanted, kept) = match app.screen {
        Screen::Keys => ("Keys", app.keys.counts().0, app.keys.counts().1),
        Screen::Logs => ("Logs > live", app.logs.counts().0, app.logs.counts().1),
    };
    let hidden = if app.people_hidden { "   people hidden" } else { "" };
    let many = match app.filter() {
        "" => grouped(kept as u64),
        _ => format!("{} of {}", grouped(wanted as u64), grouped(kept as u64)),
    };
    let noun = if app.screen == Screen::Keys { "Keys" } else { "rows kept" };
    let right = format!("{many} {noun}{hidden}");
    let end = painter.width().saturating_sub(1);
    let room = end.saturating_sub(painter.columns(&right) + 3);
    painter.put(1, y, room, &format!("{} > {screen}", app.header.property), painter.theme.text);
    painter.put_right(end, y, &right, painter.theme.quiet);
}

/// The mode with how honest the log is, then the chords. A single row is the first of them.
pub fn footer(app: &App, band: Band, painter: &mut Painter<'_>) {
    if band.height == 0 {
        return;
    }
    let width = painter.width().saturating_sub(2);
    if app.typing {
        input(app, band.y, painter);
    } else {
        line(status(app, painter, width), band.y, width, painter);
    }
    if band.height >= 2 {
        line(hints(app, painter), band.y + 1, width, painter);
    }
}

fn input(app: &App, y: u16, painter: &mut Painter<'_>) {
    let room = painter.width().saturating_sub(4);
    // The end of what is typed is where the eye is: the beginning goes when room is short.
    let mut typed = app.filter();
    while painter.columns(typed) > room {
        typed = typed.char_indices().nth(1).map_or("", |(next, _)| typed.get(next..).unwrap_or(""));
    }
    let used = painter.put(1, y, u16::MAX, "/", painter.theme.strong);
    let used = used + painter.put(1 + used, y, room, typed, painter.theme.text);
    painter.put(1 + used, y, 1, "_", painter.theme.cursor);
    let said = "Enter keeps, Esc clears";
    if 1 + used + 3 + painter.columns(said) < painter.width() {
        painter.put_right(painter.width() - 1, y, said, painter.theme.quiet);
    }
}

fn status(app: &App, painter: &Painter<'_>, width: u16) -> Vec<Word> {
    let theme = painter.theme;
    if app.interrupted {
        return vec![Word { text: "Ctrl-c again quits".into(), style: theme.alert, rank: 0 }];
    }
    let mut words = Vec::new();
    if app.screen == Screen::Logs {
        words.push(match app.logs.paused() {
            None => Word { text: "FOLLOWING".into(), style: theme.strong, rank: 0 },
            Some(new) => Word { text: format!("PAUSED +{} new", grouped(new)), style: theme.alert, rank: 0 },
        });
    }
    if !app.filter().is_empty() {
        words.push(Word { text: format!("filter: {}", app.filter()), style: theme.strong, rank: 2 });
    }
    if let Some(counts) = &app.counts {
        let style = if counts.dropped > 0 { theme.alert } else { theme.quiet };
        words.push(Word { text: honesty(counts, width < 60), style, rank: 1 });
    }
    words
}

/// What of the log is not on the screen.
fn honesty(counts: &Counts, short: bool) -> String {
    let dropped = grouped(counts.dropped);
    match (counts.shown_one_in, short) {
        (0 | 1, _) => format!("all shown, dropped {dropped}"),
        (some, false) => format!("shown 1 in {}, dropped {dropped}", grouped(some)),
        (some, true) => format!("1 in {}, dropped {dropped}", grouped(some)),
    }
}

fn hints(app: &App, painter: &Painter<'_>) -> Vec<Word> {
    let hinted = BINDINGS.iter().filter_map(|binding| binding.hint.map(|hint| (binding.action, hint)));
    let words = hinted.zip(0..).map(|((action, (chord, word)), rank)| {
        let word = match action {
            Action::Pause if app.logs.paused().is_some() => "follow",
            Action::Quit if app.overlay.is_some() => "close",
            Action::HidePeople if app.people_hidden => "show people",
            Action::HidePeople => "hide people",
            _ => word,
        };
        Word { text: format!("{chord} {word}"), style: painter.theme.quiet, rank }
    });
    words.collect()
}

/// Draws the words that fit, two spaces apart, from column 1 on. The best one is cut rather than left out.
fn line(mut words: Vec<Word>, y: u16, room: u16, painter: &mut Painter<'_>) {
    words.retain(|word| !word.text.is_empty());
    let needed = |words: &[Word]| words.iter().map(|word| painter.columns(&word.text) + 2).sum::<u16>();
    while words.len() > 1 && needed(&words) > room.saturating_add(2) {
        let Some(worst) = (0..words.len()).max_by_key(|place| words.get(*place).map(|word| word.rank)) else { break };
        words.remove(worst);
    }
    let mut used = 0;
    for word in words {
        used += painter.put(1 + used, y, room.saturating_sub(used), &word.text, word.style) + 2;
    }
}

/// The time of the day in the property's zone: `11:48:41`.
pub fn clock(app: &App, at: Moment) -> String {
    let civil = app.zone.to_datetime(at.timestamp());
    format!("{:02}:{:02}:{:02}", civil.hour(), civil.minute(), civil.second())
}

/// The time of the day to the millisecond: `11:48:41.207`.
pub fn clock_millis(app: &App, at: Moment) -> String {
    format!("{}.{:03}", clock(app, at), at.as_micros().rem_euclid(1_000_000) / 1_000)
}

/// What the zone is called now: `EST`.
fn zone(app: &App) -> String {
    let now = app.now.unwrap_or_default();
    app.zone.to_offset_info(now.timestamp()).abbreviation().to_owned()
}
