//! Facts about one thing: labels with values, in as many columns as there is room for.

use super::{layout::Band, painter::Painter};

/// Labels are so many columns wide.
const LABEL: u16 = 9;
/// From so many columns on, facts stand in two columns.
const TWO_COLUMNS_FROM: u16 = 76;

/// A label and a value.
pub type Fact = (&'static str, String);

/// A panel of facts under a title, as many as there is room for.
pub fn panel(title: &str, facts: Vec<Fact>, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, title);
    let (left, inner) = painter.inner();
    let columns = if inner >= TWO_COLUMNS_FROM { 2 } else { 1 };
    let width = inner.saturating_sub(1) / columns;
    // Whole lines first, so that facts that belong together stand side by side.
    let places = (0..height).flat_map(|line| (0..columns).map(move |column| (line, column)));
    let count = facts.len();
    for (((label, value), (line, column)), place) in facts.into_iter().zip(places).zip(1..) {
        let x = left + 1 + column * width;
        painter.put(x, first + line, LABEL, label, painter.theme.quiet);
        // The last one has the room beside it as well.
        let width = if place == count { inner.saturating_sub(1 + column * width) } else { width };
        let room = width.saturating_sub(LABEL + 1);
        painter.put(x + LABEL, first + line, room, &value, painter.theme.text);
    }
}
