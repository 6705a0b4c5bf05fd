//! The terminal screen drawn from its state: pure, into a buffer.

mod columns;
mod detail;
mod head;
pub(crate) mod layout;
mod painter;
mod panels;
mod table;
#[cfg(test)]
mod tests;
mod text;

use ratatui::{buffer::Buffer, layout::Rect};

use self::{layout::Layout, painter::Painter};
use crate::app::{App, Overlay, Screen};

/// Draws the whole screen into `area` of the buffer.
pub fn render(app: &App, area: Rect, buffer: &mut Buffer) {
    let layout = Layout::of(area.width, area.height, app.screen);
    let mut painter = Painter::new(buffer, area, app.theme, app.glyphs, layout.framed);
    head::header(app, layout.header, &mut painter);
    match app.overlay {
        Some(Overlay::Help { top }) => panels::help(top, layout.overlay(), &mut painter),
        Some(Overlay::Detail) => detail::panel(app, layout.overlay(), &mut painter),
        None => screen(app, &layout, &mut painter),
    }
    painter.rule(layout.rule, &layout);
    head::footer(app, layout.footer, &mut painter);
}

fn screen(app: &App, layout: &Layout, painter: &mut Painter<'_>) {
    match app.screen {
        Screen::Keys => table::keys(app, layout.list, painter),
        Screen::Logs => table::logs(app, layout.list, painter),
    }
    detail::panel(app, layout.detail, painter);
    table::strip(app, layout.strip, painter);
    panels::rates(app, layout.rates, painter);
}
