//! What was denied, drawn as bars.

use crate::{
    app::{
        Shell,
        histogram::{By, Counted, Histogram},
        history::Past,
    },
    view::{
        layout::Band,
        painter::Painter,
        text::{counted, grouped},
    },
};

/// Room for what a bar stands for: at least, and at most.
const NAME: (u16, u16) = (16, 36);
/// Room for the count behind a bar.
const COUNT: u16 = 9;

/// How many bars are seen, by how many lines there are: the last says what was counted.
pub fn rows(lines: usize) -> usize {
    lines.saturating_sub(1).max(1)
}

/// Draws it.
pub fn render(
    histogram: &Histogram,
    told: &Counted,
    past: Option<&Past>,
    shell: &Shell,
    band: Band,
    painter: &mut Painter<'_>,
) {
    let (first, height) = painter.panel(band, &format!("DENIED by {}", histogram.by.word()));
    let (left, inner) = painter.inner();
    if height == 0 {
        return;
    }
    let theme = painter.theme;
    let last = first + height - 1;
    let room = inner.saturating_sub(2);
    if histogram.by == By::Person && shell.people_hidden {
        let shows = shell.chord(crate::app::ScreenId::Logs, crate::keymap::Action::HidePeople);
        let text = format!("People are hidden: {shows} shows them again.");
        painter.put(left + 1, first, room, &text, theme.quiet);
    } else if told.bars.is_empty() {
        painter.put(left + 1, first, room, "Nothing was denied among these rows.", theme.quiet);
    } else {
        bars(histogram, told, first, height - 1, painter);
    }
    let [whole, short] = said(told, past, shell);
    let said = if painter.columns(&whole) <= room { whole } else { short };
    painter.put(left + 1, last, room, &said, theme.quiet);
}

fn bars(histogram: &Histogram, told: &Counted, first: u16, height: u16, painter: &mut Painter<'_>) {
    let (left, inner) = painter.inner();
    let cursor = histogram.cursor(&told.bars, rows(usize::from(height) + 1));
    let name = (inner / 3).clamp(NAME.0, NAME.1).min(inner.saturating_sub(COUNT + 3));
    let room = inner.saturating_sub(name + COUNT + 3);
    let highest = told.bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    for ((place, bar), line) in told.bars.iter().enumerate().skip(cursor.top()).zip(0..height) {
        let y = first + line;
        painter.put(left + 1, y, name, &bar.name, painter.theme.text);
        // What is not 0 is never drawn as nothing.
        let length = (u128::from(bar.count) * u128::from(room)).div_ceil(u128::from(highest));
        let full = painter.glyphs.bars.last().copied().unwrap_or("#");
        let drawn = full.repeat(usize::try_from(length).unwrap_or(0).min(usize::from(room)));
        painter.put(left + 2 + name, y, room, &drawn, painter.theme.deny);
        painter.put_right(left + inner.saturating_sub(1), y, &grouped(bar.count), painter.theme.text);
        if place == cursor.at() {
            painter.put(left, y, 1, painter.glyphs.cursor, painter.theme.strong);
            painter.overlay(left, y, inner, painter.theme.cursor);
        }
    }
}

/// What was counted, and what was not; in a few words where room is short.
fn said(told: &Counted, past: Option<&Past>, shell: &Shell) -> [String; 2] {
    let denied = grouped(told.denied);
    match past {
        Some(past) => {
            let more = if past.is_whole() { "all there is" } else { "more may be recorded" };
            let short = format!("{denied} denied, of the {} read", counted(past.read(), "row", "rows"));
            [format!("{short}; {more}"), short]
        }
        None => {
            let (wanted, _) = shell.feed.logs.counts();
            let dropped = grouped(shell.feed.dropped);
            let of = counted(wanted as u64, "row", "rows");
            let whole = format!("{denied} denied, of {of} kept; {dropped} dropped uncounted; denials are not sampled");
            [whole, format!("{denied} of {of}, {dropped} dropped")]
        }
    }
}
