//! Why somebody could or could not open a door, drawn.

use keyward_protocol::{
    decision::Reason,
    message::manage::{Explanation, StandingRow, WhoCan},
};
use ratatui::style::Style;

use super::logs::explained;
use crate::{
    app::{
        Shell,
        explain::{Asked, Explain},
    },
    theme::Theme,
    view::{
        HIDDEN,
        head::{date, whole},
        layout::Band,
        line_columns,
        painter::Painter,
        text::{grouped, wrap},
    },
};

/// A line, with the word at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    text: String,
    style: Style,
    mark: &'static str,
}

const OK: &str = "ok";
const NO: &str = "NO";
const NEITHER: &str = "--";

/// Draws it.
pub fn render(explain: &Explain, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let title = match explain.who_shown {
        true => format!("WHO CAN OPEN {}, {}", explain.door.1, when(explain, shell)),
        false => format!("WHY: {} at {}, {}", person(explain, shell), explain.door.1, when(explain, shell)),
    };
    let (first, height) = painter.panel(band, &title);
    let (left, inner) = painter.inner();
    let lines = lines(explain, shell);
    let top = explain.top(lines.len(), usize::from(height));
    for (line, row) in lines.iter().skip(top).zip(0..height) {
        let room = inner.saturating_sub(if line.mark.is_empty() { 1 } else { 5 });
        // The space that a line was parted at may stand beyond its end.
        painter.put(left + 1, first + row, room, line.text.trim_end(), line.style);
        let style = if line.mark == NO { painter.theme.deny } else { painter.theme.quiet };
        painter.put_right(left + inner.saturating_sub(1), first + row, line.mark, style);
    }
    let rest = lines.len().saturating_sub(top + usize::from(height));
    if rest > 0 && height > 0 {
        let text = format!(" {} more ", grouped(rest as u64));
        painter.put_right(left + inner.saturating_sub(1), band.y, &text, painter.theme.strong);
    }
}

/// All of it as text, for the clipboard.
pub fn copied(explain: &Explain, shell: &Shell) -> String {
    // What is pasted elsewhere says its offset.
    let at = explain.at.map_or_else(|| "now".to_owned(), |at| at.rfc3339(shell.zone()));
    let title = format!("{} at {}, {at}", person(explain, shell), explain.door.1);
    let line = |line: &Line| match line.mark {
        "" => line.text.clone(),
        mark => format!("{}  {mark}", line.text),
    };
    let lines = lines(explain, shell);
    std::iter::once(title).chain(lines.iter().map(line)).collect::<Vec<_>>().join("\n")
}

/// All that is to be read.
pub fn lines(explain: &Explain, shell: &Shell) -> Vec<Line> {
    let mut lines = Lines { theme: shell.theme, lines: Vec::new() };
    if explain.who_shown {
        lines.who(&explain.who, shell);
    } else {
        lines.why(explain, shell);
    }
    let wrapped = |line: Line| {
        let columns = line_columns(shell).saturating_sub(if line.mark.is_empty() { 0 } else { 4 });
        let parts = wrap(&line.text, columns, &shell.glyphs).into_iter().enumerate();
        parts.map(move |(part, text)| Line { text, style: line.style, mark: if part == 0 { line.mark } else { "" } })
    };
    lines.lines.into_iter().flat_map(wrapped).collect()
}

fn person(explain: &Explain, shell: &Shell) -> String {
    if shell.people_hidden { HIDDEN.to_owned() } else { explain.person.1.clone() }
}

fn when(explain: &Explain, shell: &Shell) -> String {
    explain.at.map_or_else(|| "now".to_owned(), |at| whole(shell, at))
}

struct Lines {
    theme: Theme,
    lines: Vec<Line>,
}

impl Lines {
    fn say(&mut self, text: impl Into<String>, style: Style) {
        self.lines.push(Line { text: text.into(), style, mark: "" });
    }

    fn judge(&mut self, text: String, good: Option<bool>) {
        let mark = match good {
            Some(true) => OK,
            Some(false) => NO,
            None => NEITHER,
        };
        self.lines.push(Line { text, style: self.theme.text, mark });
    }

    fn blank(&mut self) {
        self.say("", Style::new());
    }

    fn result(&mut self, before: &str, denied: Option<Reason>, after: &str) {
        let (word, style) = match denied {
            None => ("ALLOW".to_owned(), self.theme.allow),
            Some(reason) => (format!("DENY  {reason}"), self.theme.deny),
        };
        self.say(format!("{before}{word}{after}"), style);
        if let Some(reason) = denied {
            self.say(format!("          {}", explained(reason)), self.theme.text);
        }
    }

    /// Whether there is something to be read; else why not.
    fn is_here<'a, T>(&mut self, asked: &'a Asked<T>) -> Option<&'a T> {
        match asked {
            Asked::Not => self.say("not asked yet: there is no connection", self.theme.quiet),
            Asked::Waiting(_) => self.say("...", self.theme.quiet),
            Asked::Failed(why) => self.say(why.clone(), self.theme.alert),
            Asked::Here(found) => return Some(found),
        }
        None
    }

    fn why(&mut self, explain: &Explain, shell: &Shell) {
        let recorded = explain.row.as_ref();
        if let Some(row) = recorded {
            let after = format!("  at rev {}, by {}", row.of.revision, row.kind);
            self.result("RECORDED  ", row.reason, &after);
        }
        let main = if explain.at.is_some() { &explain.then } else { &explain.now };
        if let Some(found) = self.is_here(main) {
            if recorded.is_none() {
                self.result("RESULT    ", found.denied, &format!("  by rev {}", found.revision));
                self.flips(found, shell);
            } else if recorded.is_some_and(|row| row.reason != found.denied) {
                self.result("BY RULES  ", found.denied, "  by the Keys of that moment");
            }
            self.blank();
            self.steps(found, shell);
        }
        if explain.at.is_some() {
            self.blank();
            if let Some(now) = self.is_here(&explain.now) {
                let after = format!("  (rev {}, {})", now.revision, date(shell, now.at));
                self.result("NOW       ", now.denied, &after);
                self.flips(now, shell);
            }
        }
        let keys = match (main.here(), explain.now.here()) {
            (Some(found), _) if !found.would_open.is_empty() => found,
            _ => return,
        };
        self.blank();
        self.say("WHAT WOULD HAVE OPENED IT", self.theme.strong);
        for key in &keys.would_open {
            self.say(format!(" - holding {}", key.name), self.theme.text);
        }
        self.hours_of(keys);
    }

    /// What could be changed of the Keys that they hold.
    fn hours_of(&mut self, found: &Explanation) {
        let refuses = |row: &&StandingRow, reason| row.refuses == Some(reason);
        for row in found.held.iter().filter(|row| refuses(row, Reason::OutsideSchedule)) {
            if let Some(key) = &row.key {
                self.say(format!(" - other hours of {} at this door", key.name), self.theme.text);
            }
        }
        let ended = |row: &&StandingRow| refuses(row, Reason::Expired) || refuses(row, Reason::NotYetValid);
        for row in found.held.iter().filter(ended) {
            if let Some(key) = &row.key {
                self.say(format!(" - another period of {}", key.name), self.theme.text);
            }
        }
    }

    fn steps(&mut self, found: &Explanation, shell: &Shell) {
        let suspended = if found.suspended { "suspended" } else { "not suspended" };
        self.judge(format!("1 person  {suspended}"), Some(!found.suspended));
        let closed = match found.lockdowns.len() {
            0 => "no lockdown".to_owned(),
            1 => "a lockdown closes it".to_owned(),
            some => format!("{some} lockdowns close it"),
        };
        self.judge(format!("2 door    {closed}"), Some(found.lockdowns.is_empty()));
        if found.by_code {
            let code = if found.no_code { "they have no live code here" } else { "they have a live code here" };
            self.judge(format!("3 code    {code}"), Some(!found.no_code));
        }
        let number = if found.by_code { 4 } else { 3 };
        let mut word = format!("{number} Keys   ");
        if found.held.is_empty() {
            self.judge(format!("{word} they hold none here"), Some(false));
        }
        for row in &found.held {
            self.key(row, &word, !found.lockdowns.is_empty(), shell);
            word = "         ".to_owned();
        }
    }

    fn key(&mut self, row: &StandingRow, before: &str, locked_down: bool, shell: &Shell) {
        let name = row.key.as_ref().map_or("another Key", |key| &key.name);
        let shared = match &row.host {
            Some(_) if shell.people_hidden => format!(", shared by {HIDDEN}"),
            Some((_, host)) => format!(", shared by {host}"),
            None => String::new(),
        };
        let excepted = if locked_down && row.excepted { ", excepted from the lockdown" } else { "" };
        if row.refuses == Some(Reason::NoKey) {
            return self.judge(format!("{before} {name}{shared}: does not have this door"), None);
        }
        self.judge(
            format!("{before} {name}{shared}{excepted}"),
            Some(row.refuses.is_none() && (!locked_down || row.excepted)),
        );
        if row.from.is_some() || row.until.is_some() {
            let from = row.from.map_or_else(|| "the beginning".to_owned(), |at| date(shell, at));
            let until = row.until.map_or_else(|| "no end".to_owned(), |at| date(shell, at));
            let good = !matches!(row.refuses, Some(Reason::NotYetValid | Reason::Expired));
            self.judge(format!("           period  {from} to {until}"), Some(good));
        }
        if !row.openings.is_empty() {
            let hours = row.openings.iter().map(|opening| {
                let code = if opening.opening.code { "" } else { " (no code)" };
                format!("{}{code}", opening.schedule)
            });
            let hours = hours.collect::<Vec<_>>().join(", ");
            self.judge(format!("           hours   {hours}"), Some(row.refuses != Some(Reason::OutsideSchedule)));
        }
    }

    fn flips(&mut self, now: &Explanation, shell: &Shell) {
        if let Some(at) = now.flips_at {
            let other = if now.denied.is_some() { "it would open from" } else { "until" };
            self.say(format!("          {other} {}", whole(shell, at)), self.theme.quiet);
        }
    }

    fn who(&mut self, asked: &Asked<Box<WhoCan>>, shell: &Shell) {
        let Some(found) = self.is_here(asked) else { return };
        let (total, here) = (found.people.total, found.people.rows.len() as u64);
        let carriers = if found.carriers { ", and carriers" } else { "" };
        self.say(format!("{} people{carriers}", grouped(total)), self.theme.strong);
        for row in &found.people.rows {
            let name = if shell.people_hidden { HIDDEN } else { &row.name };
            let key = row.how.key.as_ref().map_or("another Key", |key| &key.name);
            let host = match &row.how.host {
                Some(_) if shell.people_hidden => format!(", shared by {HIDDEN}"),
                Some((_, host)) => format!(", shared by {host}"),
                None => String::new(),
            };
            let code = if row.how.by_code { "" } else { " (no code)" };
            self.say(format!("{name}  by {key}{host}{code}"), self.theme.text);
        }
        if total > here {
            self.say(format!("and {} more", grouped(total - here)), self.theme.alert);
        }
    }
}
