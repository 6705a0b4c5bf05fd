//! The panels under and over the lists: rates and help.

use keyward_protocol::decision::Reason;
use ratatui::style::Style;

use super::{layout::Band, painter::Painter, text::grouped};
use crate::{
    app::{App, BARS_A_MINUTE, BARS_MAX},
    keymap::BINDINGS,
};

/// Room for the words before the bars, and for the count after them.
const BEFORE_BARS: u16 = 7;
const AFTER_BARS: u16 = 16;

/// Bars of granted and denied checks over the last minutes, and what was denied for which reason.
pub fn rates(app: &App, band: Band, painter: &mut Painter<'_>) {
    if band.height == 0 {
        return;
    }
    let (left, inner) = painter.inner();
    let room = usize::from(inner.saturating_sub(BEFORE_BARS + AFTER_BARS + 1)).min(BARS_MAX);
    // Whole minutes read easier, if there is room for one.
    let bars = if room < BARS_A_MINUTE { room } else { room - room % BARS_A_MINUTE };
    let (first, height) = painter.panel(band, &format!("RATE last {} min", bars / BARS_A_MINUTE));
    let (granted, denied) = app.rates.last_minute();
    let newest: Vec<(u64, u64)> = app.rates.newest(bars).collect();
    let (theme, offset) = (painter.theme, bars - newest.len());
    let rows = [
        ("ALLOW", theme.allow, newest.iter().map(|bar| bar.0).collect::<Vec<u64>>(), granted),
        ("DENY", theme.deny, newest.iter().map(|bar| bar.1).collect(), denied),
    ];
    for ((word, style, values, minute), line) in rows.into_iter().zip(0..height) {
        let y = first + line;
        painter.put(left + 1, y, BEFORE_BARS, word, style);
        let x = left + BEFORE_BARS;
        painter.put(x + u16::try_from(offset).unwrap_or(0), y, inner, &bars_text(&values, painter), style);
        let end = left + inner.saturating_sub(1);
        painter.put_right(end, y, &format!("{}/min", grouped(minute)), theme.text);
    }
    if height >= 3 {
        reasons(app, first + 2, painter);
    }
}

/// One character a value, on the scale of the highest. What is not 0 is never drawn as nothing.
fn bars_text(values: &[u64], painter: &Painter<'_>) -> String {
    let glyphs = painter.glyphs.bars;
    let highest = values.iter().copied().max().unwrap_or(0);
    let bar = |value: &u64| {
        let steps = u128::from(*value) * glyphs.len() as u128;
        let height = steps.div_ceil(u128::from(highest).max(1));
        let place = usize::try_from(height).ok().and_then(|height| height.checked_sub(1));
        place.and_then(|place| glyphs.get(place)).copied().unwrap_or(" ")
    };
    values.iter().map(bar).collect()
}

fn reasons(app: &App, y: u16, painter: &mut Painter<'_>) {
    let (left, inner) = painter.inner();
    let mut counted: Vec<(Reason, u64)> = app.counts.iter().flat_map(|counts| counts.by_reason.clone()).collect();
    counted.retain(|(_, count)| *count > 0);
    counted.sort_by_key(|(reason, count)| (u64::MAX - count, *reason));
    let end = left + inner;
    let mut x = left + 1 + painter.put(left + 1, y, inner, "denied so far:", painter.theme.quiet);
    if counted.is_empty() {
        painter.put(x + 1, y, end - x, "none", Style::new());
    }
    for (reason, count) in counted {
        let text = format!("  {reason} {}", grouped(count));
        if x + painter.columns(&text) + 1 > end {
            break;
        }
        x += painter.put(x, y, end - x, &text, painter.theme.text);
    }
}

/// The chords, from line `top` of the table on.
pub fn help(top: usize, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, "HELP");
    let (left, inner) = painter.inner();
    for (binding, line) in BINDINGS.iter().skip(top).zip(0..height) {
        painter.put(left + 1, first + line, 8, binding.shown, painter.theme.strong);
        painter.put(left + 10, first + line, inner.saturating_sub(10), binding.help, painter.theme.text);
    }
}
