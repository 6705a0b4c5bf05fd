//! The head and the foot of the screen.

use keyward_protocol::{
    entry::Level,
    time::{Moment, human_micros},
};
use ratatui::style::Style;

use super::{dialog, layout::Band, painter::Painter, text::grouped};
use crate::{
    app::{App, Link, SCREENS, ScreenId, Shell},
    keymap::Action,
};

/// A word on a line, with its style. The highest rank goes first when room is short.
struct Word {
    text: String,
    style: Style,
    rank: usize,
}

/// Server, property and clock; where there are three rows, the screens with the rate, and where we are.
pub fn header(app: &App, band: Band, painter: &mut Painter<'_>) {
    if band.height == 0 {
        return;
    }
    let shell = &app.shell;
    let mut time = shell.now.map_or_else(|| "--:--:--".to_owned(), |now| clock(shell, now));
    if painter.width() >= 60 {
        time = format!("{} {time}", zone(shell));
    }
    let end = painter.width().saturating_sub(1);
    let room = end.saturating_sub(painter.columns(&time) + 2);
    let mut words = identity(shell, painter);
    if app.is_welcome() {
        // There is nothing to be connected to.
        words.truncate(2);
    }
    line(words, band.y, room, painter);
    painter.put_right(end, band.y, &time, painter.theme.strong);
    if band.height >= 3 && !app.is_welcome() {
        screens(app, band.y + 1, painter);
        place(app, band.y + 2, painter);
    }
}

fn identity(shell: &Shell, painter: &Painter<'_>) -> Vec<Word> {
    let theme = painter.theme;
    let (link, style) = link(shell, painter);
    let mut words = vec![Word { text: "keyward".into(), style: theme.strong, rank: 5 }];
    let mut word = |text: &str, style, rank| words.push(Word { text: text.into(), style, rank });
    word(&shell.server, theme.text, 3);
    if shell.read_only.is_on() {
        // Stays in every width: before the link, which would go first.
        word("[READ-ONLY]", theme.alert, 0);
    } else if shell.level().is_some() {
        word("[READ-WRITE]", theme.quiet, 6);
    }
    word(&link, style, 0);
    if let Some(overview) = &shell.overview {
        word(&format!("rev {}", overview.revision), theme.text, 4);
    }
    word(shell.property_row().map_or("", |row| &row.name), theme.text, 1);
    if let Some(overview) = &shell.overview {
        word(&format!("{} {}", overview.my_name, level(shell)), theme.text, 2);
    }
    words
}

/// What we may do with the property's Keys, in a word.
fn level(shell: &Shell) -> String {
    match shell.level() {
        Some(Level::Full) => "FULL".to_owned(),
        Some(Level::Limited) => "LIMITED".to_owned(),
        Some(Level::Specific(keys)) => format!("SPECIFIC({})", keys.len()),
        None => "READ-ONLY".to_owned(),
    }
}

fn link(shell: &Shell, painter: &Painter<'_>) -> (String, Style) {
    match &shell.link {
        Link::Connecting => ("[connecting]".into(), painter.theme.alert),
        Link::Up { round_trip_us } => (format!("[up {}]", human_micros(*round_trip_us)), painter.theme.text),
        Link::Down { since, .. } => {
            let (now, since) = (shell.now.unwrap_or_default(), since.or(shell.now).unwrap_or_default());
            let micros = now.as_micros().saturating_sub(since.as_micros()).max(0);
            // Whole seconds: nobody waits for the millisecond in which a connection was lost.
            let seconds = u64::try_from(micros).unwrap_or(0) / 1_000_000;
            let age = if seconds == 0 { "0s".into() } else { human_micros(seconds * 1_000_000) };
            (format!("[DOWN {age}]"), painter.theme.alert)
        }
    }
}

/// The names of the screens, each with its first column and how many it takes: one before and one behind are its own.
fn tabs() -> impl Iterator<Item = (ScreenId, String, u16)> {
    SCREENS.iter().scan(1, |x, (id, _)| {
        let (name, at) = (format!("{} {}", id.number(), id.name()), *x);
        *x += u16::try_from(name.len()).unwrap_or(0) + 3;
        Some((*id, name, at))
    })
}

/// Which screen's name lies there in a header.
pub fn screen_under(header: Band, x: u16, y: u16) -> Option<ScreenId> {
    let named = |(id, name, at): (ScreenId, String, u16)| {
        let end = at + u16::try_from(name.len()).unwrap_or(0) + 2;
        (at..end).contains(&x).then_some(id)
    };
    (header.height >= 3 && y == header.y + 1).then(|| tabs().find_map(named)).flatten()
}

fn screens(app: &App, y: u16, painter: &mut Painter<'_>) {
    let mut x = 1;
    for (id, name, at) in tabs() {
        let (text, style) = match app.screen_id() == id {
            true => (format!("[{name}]"), painter.theme.strong),
            false => (format!(" {name} "), painter.theme.quiet),
        };
        x = at + painter.put(at, y, u16::MAX, &text, style) + 1;
    }
    let (granted, denied) = app.shell.feed.rates.last_minute();
    let end = painter.width().saturating_sub(1);
    let rate = format!("{} granted  {} denied a minute", grouped(granted), grouped(denied));
    if x + painter.columns(&rate) < end && app.shell.overview.is_some() {
        painter.put_right(end, y, &rate, painter.theme.quiet);
    }
}

fn place(app: &App, y: u16, painter: &mut Painter<'_>) {
    let shell = &app.shell;
    let end = painter.width().saturating_sub(1);
    let mut crumbs: Vec<String> = shell.property_row().map(|row| row.name.clone()).into_iter().collect();
    if let Some(overview) = &shell.overview
        && painter.width() >= 100
    {
        crumbs.insert(0, overview.name.clone());
    }
    crumbs.extend(app.screen().crumbs());
    let crumbs = crumbs.join(" > ");
    let summary = app.screen().summary(shell);
    let fits = |text: &&String| painter.columns(text) + painter.columns(&crumbs) + 4 <= end;
    // The shortest has its room before the crumbs, but no more than half of it.
    let shortest = summary.last().filter(|text| painter.columns(text) * 2 <= end);
    let right = summary.iter().find(fits).or(shortest).cloned().unwrap_or_default();
    let room = end.saturating_sub(painter.columns(&right) + 3);
    painter.put(1, y, room, &crumbs, painter.theme.text);
    painter.put_right(end, y, &right, painter.theme.quiet);
}

/// What is said, then the chords. A single row is the first of them.
pub fn footer(app: &App, band: Band, painter: &mut Painter<'_>) {
    if band.height == 0 {
        return;
    }
    let width = painter.width().saturating_sub(2);
    match app.typing() {
        Some(typed) if app.dialog().is_none() => {
            input("/", typed, app.screen().filter_terms(), 1, band.y, painter);
        }
        _ => line(status(app, painter, width), band.y, width, painter),
    }
    if band.height >= 2 {
        line(hints(app, painter), band.y + 1, width, painter);
    }
}

/// A line of input from column `x` on, with what is said beside it where there is room.
pub fn input(prompt: &str, typed: &str, said: &str, x: u16, y: u16, painter: &mut Painter<'_>) {
    let used = painter.put(x, y, u16::MAX, prompt, painter.theme.strong);
    let end = painter.width().saturating_sub(x);
    let room = end.saturating_sub(x + used + 1);
    // The end of what is typed is where the eye is: the beginning goes when room is short.
    let mut shown = typed;
    while painter.columns(shown) > room {
        shown = shown.char_indices().nth(1).map_or("", |(next, _)| shown.get(next..).unwrap_or(""));
    }
    let used = used + painter.put(x + used, y, room, shown, painter.theme.text);
    painter.put(x + used, y, 1, "_", painter.theme.cursor);
    if x + used + 3 + painter.columns(said) < end {
        painter.put_right(end, y, said, painter.theme.quiet);
    }
}

fn status(app: &App, painter: &Painter<'_>, width: u16) -> Vec<Word> {
    let (theme, shell) = (painter.theme, &app.shell);
    if app.is_interrupted() {
        return vec![Word { text: "Ctrl-c again quits".into(), style: theme.alert, rank: 0 }];
    }
    if let Some(notice) = &shell.notice {
        let style = if notice.alert { theme.alert } else { theme.strong };
        return vec![Word { text: notice.text.clone(), style, rank: 0 }];
    }
    let mut words = Vec::new();
    let mut word = |text: String, style, rank| words.push(Word { text, style, rank });
    let mut said = app.screen().status(shell, width < 60).into_iter();
    if let Some((text, alert)) = said.next() {
        word(text, if alert { theme.alert } else { theme.strong }, 0);
    }
    if let Link::Down { why, .. } = &shell.link {
        word(why.clone(), theme.alert, 1);
        word(format!("{} connects anew", shell.chord(app.screen_id(), Action::Reconnect)), theme.quiet, 6);
    }
    if app.screen().marked() > 0 {
        word(format!("{} marked", grouped(app.screen().marked() as u64)), theme.strong, 1);
    }
    if !app.screen().filtered().is_empty() {
        word(format!("filter: {}", app.told_filter()), theme.strong, 2);
    }
    if shell.people_hidden {
        word("people hidden".into(), theme.quiet, 4);
    }
    for (text, alert) in said {
        word(text, if alert { theme.alert } else { theme.quiet }, if alert { 1 } else { 3 });
    }
    if let Some(job) = shell.jobs.running() {
        word(format!("exporting, {} rows", grouped(job.rows)), theme.quiet, 5);
    }
    words
}

fn hints(app: &App, painter: &Painter<'_>) -> Vec<Word> {
    let theme = painter.theme;
    if app.is_welcome() {
        return vec![Word { text: "q quit".into(), style: theme.text, rank: 0 }];
    }
    if let Some(open) = app.dialog() {
        let hints = dialog::hints(open).iter().enumerate();
        return hints.map(|(rank, hint)| Word { text: (*hint).to_owned(), style: theme.text, rank }).collect();
    }
    let bindings = app.bindings();
    let hinted = bindings.iter().filter_map(|bound| Some((bound, bound.row.hint?))).enumerate();
    let words = hinted.map(|(rank, (bound, hint))| {
        let action = bound.row.action;
        let word = match action {
            Action::Act(act) if act.0 == "pause" && app.shell.feed.logs.paused().is_some() => "follow",
            Action::Quit if !app.screen().is_deep() => "quit",
            _ => hint,
        };
        let dimmed = app.forbidden(action).is_some();
        // The ways out and to help survive longest.
        let rank = if matches!(action, Action::Help | Action::Quit) { 0 } else { rank + 1 };
        // Without a chord there is nothing to hint at: the palette has it.
        let text = if bound.shown.is_empty() { String::new() } else { format!("{} {word}", bound.shown) };
        Word { text, style: if dimmed { theme.quiet } else { theme.text }, rank }
    });
    words.collect()
}

/// Draws the words that fit, two spaces apart, from column 1 on. The best one is cut rather than left out.
fn line(mut words: Vec<Word>, y: u16, room: u16, painter: &mut Painter<'_>) {
    words.retain(|word| !word.text.is_empty());
    let needed = |words: &[Word]| {
        words.iter().map(|word| painter.columns(&word.text).saturating_add(2)).fold(0, u16::saturating_add)
    };
    while words.len() > 1 && needed(&words) > room.saturating_add(2) {
        let Some(worst) = (0..words.len()).max_by_key(|place| words.get(*place).map(|word| word.rank)) else { break };
        words.remove(worst);
    }
    let mut used = 0;
    for word in words {
        used += painter.put(1 + used, y, room.saturating_sub(used), &word.text, word.style) + 2;
    }
}

/// The time of the day: `11:48:41`.
pub fn clock(shell: &Shell, at: Moment) -> String {
    let civil = shell.zone().to_datetime(at.timestamp());
    format!("{:02}:{:02}:{:02}", civil.hour(), civil.minute(), civil.second())
}

/// The time of the day to the millisecond: `11:48:41.207`.
pub fn clock_millis(shell: &Shell, at: Moment) -> String {
    format!("{}.{:03}", clock(shell, at), at.as_micros().rem_euclid(1_000_000) / 1_000)
}

/// Date and minute: `2026-11-20 11:48`; today's without the date.
pub fn date(shell: &Shell, at: Moment) -> String {
    let civil = shell.zone().to_datetime(at.timestamp());
    let today = shell.now.map(|now| shell.zone().to_datetime(now.timestamp()).date());
    let time = format!("{:02}:{:02}", civil.hour(), civil.minute());
    if today == Some(civil.date()) { time } else { format!("{} {time}", civil.date()) }
}

/// All of a moment, as titles have it: `Fri 2026-11-20 11:48:41.207 EST`; whole minutes without their seconds.
pub fn whole(shell: &Shell, at: Moment) -> String {
    let civil = shell.zone().to_datetime(at.timestamp());
    let millis = at.as_micros().rem_euclid(1_000_000) / 1_000;
    let mut time = format!("{:02}:{:02}", civil.hour(), civil.minute());
    if civil.second() != 0 || millis != 0 {
        time.push_str(&format!(":{:02}", civil.second()));
    }
    if millis != 0 {
        time.push_str(&format!(".{millis:03}"));
    }
    // The zone is called differently in summer.
    let zone = shell.zone().to_offset_info(at.timestamp()).abbreviation().to_owned();
    format!("{} {} {time} {zone}", civil.strftime("%a"), civil.date())
}

/// How long it is since then: `12s`, `3m05s`, `2d`; `now` within the second.
pub fn age(shell: &Shell, at: Moment) -> String {
    let now = shell.now.unwrap_or(at);
    let micros = u64::try_from(now.as_micros().saturating_sub(at.as_micros())).unwrap_or(0);
    let seconds = micros / 1_000_000;
    if seconds == 0 { "now".to_owned() } else { human_micros(seconds * 1_000_000) }
}

/// The same in a sentence: `12s ago`.
pub fn ago(shell: &Shell, at: Moment) -> String {
    match age(shell, at) {
        now if now == "now" => now,
        some => format!("{some} ago"),
    }
}

/// What the zone is called now: `EST`.
fn zone(shell: &Shell) -> String {
    let now = shell.now.unwrap_or_default();
    shell.zone().to_offset_info(now.timestamp()).abbreviation().to_owned()
}
