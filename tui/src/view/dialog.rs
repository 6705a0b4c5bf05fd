//! What lies over the screen: help, palette, forms and reviews.

use keyward_protocol::{
    message::manage::{AlertRow, DoorCodes},
    time::human_micros,
};
use ratatui::style::Style;

use super::{
    head,
    layout::Band,
    log::HIDDEN,
    painter::Painter,
    text::{self, counted, grouped},
    week,
};
use crate::{
    app::{
        App, Dialog, Link, ScreenId, Shell,
        explain::Asked,
        form::{Entry, Form, Many, Pick},
        jobs::State,
        palette::Palette,
        read_only::READ_ONLY,
        review::{Focus, Kind, Line, Phase, Review},
        server::Server,
        token::Token,
    },
    keymap::Action,
    theme::{Glyphs, Theme},
};

/// With fewer rows a review leaves out what is only said beside its list.
const REVIEW_ROOMY: u16 = 12;
/// From so many columns on, a review has its button for leaving beside what is to be typed.
const BOTH_FROM: u16 = 72;
/// So many offers of a picker are shown, where there is room.
const OFFERS_MAX: u16 = 8;
/// Room for labels of fields.
const LABEL: u16 = 11;

/// What to do next where no server is known.
pub const WELCOME: &str = "\
keyward: access control for buildings. No server is known yet.

  keyward login TOKEN   join a server, with the token that somebody gave you
  keyward demo          see it work: a server, a building and its locks

  keyward open --identity DIR --address HOST:PORT
                        open a server with an identity in a directory

  keyward server list   the servers that are known
  keyward --help        everything else

To run a server of your own, start with `keyward-server --help`.";

/// What to do next.
pub fn welcome(band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, "WELCOME");
    let (left, inner) = painter.inner();
    for (text, line) in WELCOME.lines().zip(0..height) {
        painter.put(left + 1, first + line, inner.saturating_sub(1), text, painter.theme.text);
    }
}

/// Draws a dialog.
pub fn render(app: &App, dialog: &Dialog, band: Band, painter: &mut Painter<'_>) {
    match dialog {
        Dialog::Help { top } => help(app, *top, band, painter),
        Dialog::Server(server) => self::server(app, server, band, painter),
        Dialog::Token(token) => self::token(app, token, band, painter),
        Dialog::Jobs { top } => jobs(app, *top, band, painter),
        Dialog::Palette(palette) => self::palette(palette, band, painter),
        Dialog::Form(form) => self::form(app, form, band, painter),
        Dialog::Review(review) => self::review(app, review, band, painter),
        Dialog::Week(week) => week::dialog(week, band, painter),
    }
}

/// The chords of a dialog, those first that survive longest.
pub fn hints(dialog: &Dialog) -> &'static [&'static str] {
    match dialog {
        Dialog::Help { .. } | Dialog::Jobs { .. } => &["Esc close", "Up Down scroll"],
        Dialog::Server(_) => &["Esc close"],
        Dialog::Token(_) => &["y copy", "Esc close, for good"],
        Dialog::Palette(_) => &["Esc close", "Enter do it", "Tab complete", "Up Down choose"],
        Dialog::Week(week) if week.focus() == crate::app::week::Focus::Grid => {
            &["Esc cancel", "Space open or shut", "Tab next", "arrows move", "d like the day above"]
        }
        Dialog::Week(_) => &["Esc cancel", "Tab next", "Enter next", "Left Right change"],
        Dialog::Form(form) if form.is_of_many() => {
            &["Esc cancel", "Enter in or out", "Tab next", "Ctrl-a all that match", "Up Down choose"]
        }
        Dialog::Form(_) => &["Esc cancel", "Enter next", "Tab next", "Up Down choose", "Left Right change"],
        Dialog::Review(review) => match review.phase() {
            Phase::Doing(_) => &["being done ..."],
            Phase::Stopped(_) => &["Esc close"],
            _ if review.can_keep() => &[
                "Esc cancel",
                "Tab confirm or cancel",
                "s leave out",
                "k keep both",
                "Left Right choose",
                "x export",
                "Up Down scroll",
            ],
            _ if review.can_leave_out() && review.safe_way().is_some() => {
                &["Esc cancel", "Tab confirm", "m move instead", "s leave out", "Left Right choose", "x export"]
            }
            _ if review.can_leave_out() => {
                &["Esc cancel", "Tab confirm or cancel", "s leave out", "Left Right choose", "x export"]
            }
            _ if review.safe_way().is_some() => {
                &["Esc cancel", "Tab confirm", "m move instead", "x export", "Up Down scroll"]
            }
            _ => &["Esc cancel", "Tab confirm or cancel", "x export", "Up Down scroll"],
        },
    }
}

fn help(app: &App, top: usize, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, "HELP");
    let (left, inner) = painter.inner();
    let bindings = app.bindings();
    let rest = bindings.len().saturating_sub(top + usize::from(height));
    if rest > 0 {
        painter.put_right(left + inner.saturating_sub(1), band.y, &format!(" {rest} more "), painter.theme.quiet);
    }
    for (bound, line) in bindings.iter().skip(top).zip(0..height) {
        let forbidden = app.forbidden(bound.row.action);
        let room = inner.saturating_sub(10);
        let (text, style) = explained(bound.row.help, forbidden.as_deref(), room, painter);
        painter.put(left + 1, first + line, 8, bound.shown, painter.theme.strong);
        painter.put(left + 10, first + line, room, &text, style);
    }
}

/// What a command does; where it can't be done now, dimmed with the reason. Where both have no room, what it does is cut first,
/// up to a half.
fn explained(help: &str, forbidden: Option<&str>, room: u16, painter: &Painter<'_>) -> (String, Style) {
    let Some(reason) = forbidden else { return (help.to_owned(), painter.theme.text) };
    // How it is left is said by whoever does it anyway.
    let brief = if reason.starts_with(READ_ONLY) { READ_ONLY.trim_end_matches([':', ' ']) } else { reason };
    let reason = format!(" ({brief})");
    let room = usize::from(room);
    let left = room.saturating_sub(text::width(&reason, &painter.glyphs)).max(room / 2);
    (text::fit(help, left, &painter.glyphs) + &reason, painter.theme.quiet)
}

/// How the server is: the link first, then what it says of itself, then what needs an eye.
fn server(app: &App, server: &Server, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, &format!("SERVER {}", app.shell.server));
    let (left, inner) = painter.inner();
    for ((text, style), row) in server_lines(app, server, painter.theme).into_iter().zip(0..height) {
        painter.put(left + 1, first + row, inner.saturating_sub(1), &text, style);
    }
}

/// What needs an eye comes first: there may be room for no more.
fn server_lines(app: &App, server: &Server, theme: Theme) -> Vec<(String, Style)> {
    let shell = &app.shell;
    let link = match &shell.link {
        Link::Connecting => ("Link        connecting".to_owned(), theme.alert),
        Link::Up { round_trip_us } => {
            (format!("Link        up, {} there and back", human_micros(*round_trip_us)), theme.text)
        }
        Link::Down { why, .. } => (format!("Link        down: {why}"), theme.alert),
    };
    let mut lines = vec![link];
    lines.extend(alert_lines(server, shell, theme));
    let Some(overview) = &shell.overview else { return lines };
    let codes = match &overview.door_codes {
        DoorCodes::There => ("Door codes  are judged".to_owned(), theme.text),
        DoorCodes::BeingRead => ("Door codes  are being read: none is judged yet".to_owned(), theme.alert),
        DoorCodes::Unreadable(why) => (format!("Door codes  can't be read: {why}"), theme.alert),
    };
    let lockdowns: u64 = overview.properties.iter().map(|row| row.lockdowns).sum();
    let style = if lockdowns > 0 { theme.alert } else { theme.text };
    let properties = counted(overview.properties.len() as u64, "property", "properties");
    let (people, locks) = (counted(overview.people, "person", "people"), counted(overview.locks, "lock", "locks"));
    lines.extend([
        codes,
        (format!("Lockdowns   {}", grouped(lockdowns)), style),
        (format!("Portfolio   {}, revision {}", overview.name, overview.revision), theme.text),
        (format!("Has         {properties}, {people}, {locks}"), theme.text),
    ]);
    lines
}

fn alert_lines(server: &Server, shell: &Shell, theme: Theme) -> Vec<(String, Style)> {
    match &server.alerts {
        Asked::Not | Asked::Waiting(_) => vec![("Wrong codes ...".to_owned(), theme.quiet)],
        Asked::Failed(why) => vec![(format!("Wrong codes {why}"), theme.alert)],
        Asked::Here(rows) if rows.is_empty() => {
            vec![("Wrong codes ran out at no door within a day".to_owned(), theme.text)]
        }
        Asked::Here(rows) => {
            let line = |row: &AlertRow| {
                let more =
                    row.more_at.map_or_else(String::new, |at| format!(", one more at {}", head::date(shell, at)));
                let ran_out = head::date(shell, row.ran_out);
                let takes = counted(row.left.into(), "code", "codes");
                (format!("  {}  at {ran_out}; takes {takes} now{more}", row.name), theme.alert)
            };
            let title = ("WRONG CODES RAN OUT".to_owned(), theme.strong);
            std::iter::once(title).chain(rows.iter().map(line)).collect()
        }
    }
}

/// A token, whole, over as many lines as it needs: it is shown once.
fn token(app: &App, token: &Token, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, &format!("TOKEN for {}", token.of.whose));
    let (left, inner) = painter.inner();
    let (theme, room) = (painter.theme, inner.saturating_sub(2));
    let text = token.token.expose();
    let characters: Vec<char> = text.chars().collect();
    let mut y = first;
    for line in characters.chunks(usize::from(room.max(1))) {
        if y < first + height {
            painter.put(left + 1, y, room, &line.iter().collect::<String>(), theme.strong);
        }
        y += 1;
    }
    let locks = app.shell.chord(app.screen_id(), Action::Show(ScreenId::Locks));
    let said = [
        String::new(),
        "It is shown once and can't be shown again.".to_owned(),
        format!("Whoever has it joins with it, once, until {}.", head::date(&app.shell, token.of.until)),
        format!("A token that was lost is revoked with the locks ({locks})."),
    ];
    for line in said {
        if y < first + height {
            painter.put(left + 1, y, room, &line, theme.text);
        }
        y += 1;
    }
}

fn jobs(app: &App, top: usize, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, "JOBS");
    let (left, inner) = painter.inner();
    let theme = painter.theme;
    let jobs = app.shell.jobs.all();
    if jobs.is_empty() {
        painter.put(left + 1, first, inner.saturating_sub(1), "Nothing was exported yet.", theme.quiet);
    }
    // The newest first.
    for (job, line) in jobs.iter().rev().skip(top).zip(0..height) {
        let (state, style) = match &job.state {
            State::Running | State::Ending => ("running".to_owned(), theme.strong),
            State::Done(path) => (path.clone(), theme.text),
            State::Failed(why) => (why.clone(), theme.alert),
        };
        let room = inner.saturating_sub(1);
        let used = room / 2;
        let text = format!("{}, {} rows", job.title, grouped(job.rows));
        painter.put(left + 1, first + line, used, &text, theme.text);
        painter.put(left + 2 + used, first + line, room.saturating_sub(used + 1), &state, style);
    }
}

fn palette(palette: &Palette, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, palette.title);
    let (left, inner) = painter.inner();
    if height == 0 {
        return;
    }
    let said = if palette.recalls() { "Up: what was done before" } else { "" };
    head::input(": ", palette.typed(), said, left + 1, first, painter);
    let rows = usize::from(height.saturating_sub(1));
    let top = (palette.at() + 1).saturating_sub(rows);
    if palette.matching().next().is_none() && rows > 0 {
        painter.put(left + 1, first + 1, inner.saturating_sub(1), "nothing matches", painter.theme.quiet);
    }
    for (choice, line) in palette.matching().skip(top).zip(1..height) {
        let y = first + line;
        let end = left + inner.saturating_sub(1);
        let room = inner.saturating_sub(12);
        let (text, style) = explained(&choice.text, choice.forbidden.as_deref(), room, painter);
        painter.put(left + 1, y, room, &text, style);
        painter.put_right(end, y, &choice.note, painter.theme.quiet);
        if usize::from(line) == palette.at() + 1 - top {
            painter.put(left, y, 1, painter.glyphs.cursor, painter.theme.strong);
            painter.overlay(left, y, inner, painter.theme.cursor);
        }
    }
}

fn form(app: &App, form: &Form, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, &form.title);
    let (left, inner) = painter.inner();
    let end = first + height;
    let mut y = first;
    for (place, field) in form.fields.iter().enumerate() {
        let focus = form.focus() == place;
        let label = if focus { painter.theme.strong } else { painter.theme.quiet };
        painter.put(left, y, 1, if focus { painter.glyphs.cursor } else { " " }, painter.theme.strong);
        painter.put(left + 1, y, LABEL, field.label, label);
        let (x, room) = (left + 1 + LABEL + 1, inner.saturating_sub(LABEL + 3));
        match &field.entry {
            Entry::Line(input, said) if focus => head::input("", input.value(), said, x, y, painter),
            Entry::Line(input, said) if input.value().is_empty() => {
                painter.put(x, y, room, said, painter.theme.quiet);
            }
            Entry::Line(input, _) => _ = painter.put(x, y, room, input.value(), painter.theme.text),
            Entry::Choice(words, at) => {
                let word = words.get(*at).copied().unwrap_or_default();
                let text = if focus { format!("< {word} >") } else { word.to_owned() };
                painter.put(x, y, room, &text, painter.theme.text);
            }
            Entry::Many(many) => y = self::many(app, many, focus, (x, y, room, end), painter),
            Entry::Pick(pick) => y = self::pick(app, pick, focus, (x, y, room, end), painter),
        }
        y += 1;
        if y >= end {
            return;
        }
    }
    let focus = form.focus() >= form.fields.len();
    let style = if focus { painter.theme.cursor } else { painter.theme.text };
    painter.put(left + 1, (y + 1).min(end - 1), inner, &format!("[ {} ]", form.button), style);
    if let Some(problem) = &form.problem {
        painter.put(left + 1, (y + 2).min(end - 1), inner.saturating_sub(1), problem, painter.theme.alert);
    }
}

/// A picker, with what it offers under it while it has the focus; says in which row it ends.
fn pick(app: &App, pick: &Pick, focus: bool, place: (u16, u16, u16, u16), painter: &mut Painter<'_>) -> u16 {
    let (x, y, room, _) = place;
    let hidden = app.shell.people_hidden && pick.is_of_people();
    let shown = |text: &str| if hidden { HIDDEN.to_owned() } else { text.to_owned() };
    if let Some(chosen) = pick.chosen() {
        painter.put(x, y, room, &format!("{}  {}", shown(&chosen.name), shown(&chosen.note)), painter.theme.text);
        return y;
    }
    if !focus {
        painter.put(x, y, room, NOT_CHOSEN, painter.theme.quiet);
        return y;
    }
    offers(app, pick, "type a part of the name", |_| "", place, painter)
}

/// A picker of many: how many are in it, or with the focus what is offered, each with whether it is in.
fn many(app: &App, many: &Many, focus: bool, place: (u16, u16, u16, u16), painter: &mut Painter<'_>) -> u16 {
    let (x, y, room, _) = place;
    let hidden = app.shell.people_hidden && many.pick().is_of_people();
    let names: Vec<&str> = many.chosen().take(20).map(|offer| offer.name.as_str()).collect();
    let text = match many.count() {
        0 => many.none().to_owned(),
        some if hidden => grouped(some as u64),
        some => format!("{}: {}", grouped(some as u64), names.join(", ")),
    };
    if focus {
        let said =
            if many.count() == 0 { many.none().to_owned() } else { format!("{} in", grouped(many.count() as u64)) };
        let sign = |id: u32| if many.has(id) { "[x] " } else { "[ ] " };
        return offers(app, many.pick(), &said, sign, place, painter);
    }
    let style = if many.count() == 0 { painter.theme.quiet } else { painter.theme.text };
    painter.put(x, y, room, &text, style);
    y
}

/// What is typed, with what is said beside it, and under it what is offered; says in which row it ends.
fn offers(
    app: &App,
    pick: &Pick,
    said: &str,
    sign: impl Fn(u32) -> &'static str,
    (x, y, room, end): (u16, u16, u16, u16),
    painter: &mut Painter<'_>,
) -> u16 {
    let hidden = app.shell.people_hidden && pick.is_of_people();
    let shown = |text: &str| if hidden { HIDDEN.to_owned() } else { text.to_owned() };
    head::input("", pick.typed(), said, x, y, painter);
    let (offered, at) = pick.offered();
    let rows = OFFERS_MAX.min(end.saturating_sub(y + 3));
    let top = (at + 1).saturating_sub(usize::from(rows));
    if offered.is_empty() && rows > 0 {
        let said = match (pick.is_waiting(), pick.is_told()) {
            (true, _) => "...",
            (false, true) => "nothing matches",
            (false, false) => "the server did not tell",
        };
        painter.put(x, y + 1, room, said, painter.theme.quiet);
        return y + 1;
    }
    let mut last = y;
    for (offer, line) in offered.iter().skip(top).zip(1..=rows) {
        last = y + line;
        let name = format!("{}{}", sign(offer.id), shown(&offer.name));
        painter.put(x, last, room / 2, &name, painter.theme.text);
        painter.put(x + room / 2 + 1, last, room - room / 2 - 1, &shown(&offer.note), painter.theme.quiet);
        if usize::from(line) == at + 1 - top {
            painter.overlay(x, last, room, painter.theme.cursor);
        }
    }
    last
}

/// Stands in a picker that nothing was picked in yet.
const NOT_CHOSEN: &str = "(not chosen yet)";

fn review(app: &App, review: &Review, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, &review.title);
    let (left, inner) = painter.inner();
    let room = inner.saturating_sub(1);
    let theme = painter.theme;
    let totals = self::totals(review);
    let wrapped = text::wrap(&totals, usize::from(room), &painter.glyphs);
    let (begin, list_rows) = review_list(height, wrapped.len());
    let mut say = |line: u16, text: &str, style| {
        if line < height {
            painter.put(left + 1, first + line, room, text, style);
        }
    };
    let moved_on = "The data moved on since you looked: this is what would follow now.";
    if height >= REVIEW_ROOMY {
        say(0, &review.about, theme.text);
        say(1, if review.moved_on() { moved_on } else { "" }, theme.alert);
    }
    let bottom = begin + list_rows;
    match review.phase() {
        Phase::Asking => say(begin, "The server works out what would follow ...", theme.quiet),
        Phase::Stopped(_) => {}
        Phase::Doing(_) => say(height.saturating_sub(confirms_above_end(height)), "It is being done ...", theme.strong),
        Phase::Reading => {}
    }
    if let Phase::Stopped(why) = review.phase() {
        painter.put_wrapped((left + 1, first + begin), (room, height.saturating_sub(begin)), why, theme.alert);
    }
    if matches!(review.phase(), Phase::Reading | Phase::Doing(_)) {
        painter.put_wrapped((left + 1, first + bottom), (room, height.saturating_sub(bottom)), &totals, theme.strong);
    }
    if *review.phase() == Phase::Reading {
        let confirm = height.saturating_sub(confirms_above_end(height));
        if let Some(way) = review.safe_way() {
            let text = format!("[m] {}", way.text);
            painter.put(left + 1, first + confirm.saturating_sub(1), room, &text, theme.text);
        }
        confirmation(review, (left + 1, first + confirm), painter);
    }
    let (lines, top) = review.lines();
    if matches!(review.phase(), Phase::Reading | Phase::Doing(_)) {
        for (line, row) in lines.iter().skip(top).zip(0..list_rows) {
            effect(app, line, (left + 1, first + begin + row, room), painter);
        }
        let chosen = review.chosen_line().and_then(|line| line.checked_sub(top));
        if let Some(row) = chosen.and_then(|row| u16::try_from(row).ok()).filter(|row| *row < list_rows) {
            painter.put(left, first + begin + row, 1, painter.glyphs.cursor, theme.strong);
        }
        if lines.is_empty() {
            painter.put_wrapped((left + 1, first + begin), (room, list_rows), review.nothing, theme.quiet);
        }
        let rest = lines.len().saturating_sub(top + usize::from(list_rows));
        if rest > 0 {
            let text = format!(" {} more ", grouped(rest as u64));
            painter.put_right(left + room, band.y, &text, theme.quiet);
        }
    }
    if let Some(revision) = review.revision().filter(|_| height >= REVIEW_ROOMY) {
        let text = format!("worked out at rev {revision}");
        painter.put_right(left + room, first + height.saturating_sub(1), &text, theme.quiet);
    }
}

/// Where the list of a review lies in so many rows, when its totals take so many: (the first, how many).
fn review_list(height: u16, totals: usize) -> (u16, u16) {
    let more = u16::try_from(totals.saturating_sub(1)).unwrap_or(u16::MAX);
    let (begin, rows) = if height >= REVIEW_ROOMY { (2, height - 7) } else { (0, height.saturating_sub(3)) };
    (begin, rows.saturating_sub(more))
}

/// How many rows from the end of a review the line stands that it is confirmed in.
fn confirms_above_end(height: u16) -> u16 {
    if height >= REVIEW_ROOMY { 3 } else { 1 }
}

/// How many lines of a review's list are seen in so many rows and columns.
pub fn review_rows(review: &Review, width: u16, height: u16, glyphs: &Glyphs) -> u16 {
    review_list(height, text::wrap(&totals(review), usize::from(width), glyphs).len()).1
}

fn totals(review: &Review) -> String {
    let totals = review.totals();
    let count = |number: u64, one: &str, more: &str| match number {
        0 => None,
        1 => Some(one.to_owned()),
        some => Some(format!("{} {more}", grouped(some))),
    };
    let parts = [
        count(totals.people_losing, "1 person loses", "people lose"),
        count(totals.codes_deleted, "1 code deleted", "codes deleted"),
        count(totals.doors_lost, "1 door lost", "doors lost"),
        count(totals.shares_ended, "1 share ended", "shares ended"),
        count(totals.sight_lost, "1 log lost", "logs lost"),
        count(totals.codes_made, "1 new code", "new codes"),
        count(totals.doors_gained, "1 door gained", "doors gained"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "TOTAL  nothing lost".to_owned() } else { format!("TOTAL  {}", parts.join(", ")) }
}

/// The button or the input, and Cancel.
fn confirmation(review: &Review, (x, y): (u16, u16), painter: &mut Painter<'_>) {
    let theme = painter.theme;
    let chosen = |focus: Focus| if review.focus() == focus { theme.cursor } else { theme.text };
    match review.phrase() {
        None => {
            let used = painter.put(x, y, u16::MAX, "[ Do it ]", chosen(Focus::Confirm));
            painter.put(x + used + 2, y, u16::MAX, "[ Cancel ]", chosen(Focus::Cancel));
        }
        // Where both don't fit, what is to be typed is what has to be read; Esc leaves all the same.
        Some(phrase) if painter.width() < BOTH_FROM => {
            let prompt = if painter.width() >= 40 { format!("Type {phrase}: ") } else { format!("{phrase}: ") };
            match review.focus() {
                Focus::Confirm => head::input(&prompt, review.typed(), "", x, y, painter),
                Focus::Cancel => _ = painter.put(x, y, u16::MAX, &prompt, theme.text),
            }
        }
        Some(phrase) => {
            let used = painter.put(x, y, u16::MAX, "[ Cancel ]", chosen(Focus::Cancel));
            let prompt = format!("Type  {phrase}  to confirm: > ");
            if review.focus() == Focus::Confirm {
                head::input(&prompt, review.typed(), "", x + used + 2, y, painter);
            } else {
                painter.put(x + used + 2, y, u16::MAX, &prompt, theme.text);
            }
        }
    }
}

fn effect(app: &App, line: &Line, (x, y, room): (u16, u16, u16), painter: &mut Painter<'_>) {
    const WORDS: u16 = 11;
    let theme = painter.theme;
    let person = if app.shell.people_hidden && !line.person.is_empty() { HIDDEN } else { line.person.as_str() };
    match line.kind {
        Kind::Step if app.shell.people_hidden => _ = painter.put(x, y, room, HIDDEN, theme.strong),
        Kind::Step => _ = painter.put(x, y, room, &line.text, theme.strong),
        Kind::More => _ = painter.put(x, y, room, &line.text, theme.alert),
        kind => {
            painter.put(x, y, WORDS, kind.words(), if kind.loses() { theme.alert } else { theme.text });
            let rest = room.saturating_sub(WORDS + 1);
            let (left, text) = if person.is_empty() { (0, 0) } else { (rest / 3, rest / 3 + 1) };
            painter.put(x + WORDS + 1, y, left, person, theme.text);
            painter.put(x + WORDS + 1 + text, y, rest.saturating_sub(text), &line.text, theme.text);
        }
    }
}
