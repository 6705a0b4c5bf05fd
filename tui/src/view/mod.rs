//! The client drawn from its state: pure, into a buffer.

pub mod columns;
mod dialog;
#[cfg(test)]
mod drawn;
pub mod facts;
pub mod head;
pub mod layout;
pub mod log;
pub mod painter;
pub mod screen;
pub mod table;
#[cfg(test)]
mod tests;
pub mod text;
pub mod week;

use ratatui::{buffer::Buffer, layout::Rect};

pub use self::{dialog::WELCOME, log::HIDDEN};
use self::{
    layout::{Layout, Wants},
    painter::Painter,
};
use crate::app::{App, Dialog, ScreenId, Shell};

/// Draws everything into `area` of the buffer.
pub fn render(app: &App, area: Rect, buffer: &mut Buffer) {
    let layout = Layout::of(area.width, area.height, app.screen().wants());
    let mut painter = Painter::new(buffer, area, &app.shell, layout.framed);
    head::header(app, layout.header, &mut painter);
    match app.dialog() {
        _ if app.is_welcome() => dialog::welcome(layout.overlay(), &mut painter),
        Some(open) => dialog::render(app, open, layout.overlay(), &mut painter),
        None => app.screen().render(&app.shell, &layout, &mut painter),
    }
    painter.rule(layout.rule, &layout);
    head::footer(app, layout.footer, &mut painter);
}

/// What lies somewhere on the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Under {
    /// The name of a screen in the header.
    Screen(ScreenId),
    /// A row of the list, by its place among those that are seen.
    Row(usize),
}

/// What lies in this column and row, while no dialog lies over it.
pub fn under(app: &App, x: u16, y: u16) -> Option<Under> {
    let layout = Layout::of(app.shell.width, app.shell.height, app.screen().wants());
    if let Some(id) = head::screen_under(layout.header, x, y) {
        return Some(Under::Screen(id));
    }
    let inside = !layout.framed || (x > 0 && x + 1 < app.shell.width);
    let place = y.checked_sub(layout.list.y + 1).filter(|place| *place < layout.list_rows());
    place.filter(|_| inside && app.screen().has_rows()).map(|place| Under::Row(place.into()))
}

/// How many rows of a list are seen by a screen that wants this.
pub fn rows_of(shell: &Shell, wants: Wants) -> usize {
    usize::from(Layout::of(shell.width, shell.height, wants).list_rows())
}

/// How many rows of the open screen's list are seen.
pub fn list_rows(app: &App) -> usize {
    rows_of(&app.shell, app.screen().wants())
}

/// How many lines are seen of something that fills a screen that wants this.
pub fn overlay_rows(shell: &Shell, wants: Wants) -> usize {
    let layout = Layout::of(shell.width, shell.height, wants);
    usize::from(layout.overlay().height.saturating_sub(1))
}

/// How many columns a line has that begins one column from the border.
pub fn line_columns(shell: &Shell) -> usize {
    let framed = Layout::of(shell.width, shell.height, Wants::LIST).framed;
    usize::from(shell.width.saturating_sub(if framed { 3 } else { 1 }))
}

/// How many lines of the help are seen.
pub fn help_rows(app: &App) -> usize {
    overlay_rows(&app.shell, app.screen().wants())
}

/// How many lines of a review's list are seen.
pub fn review_rows(app: &App) -> usize {
    let height = u16::try_from(help_rows(app)).unwrap_or(u16::MAX);
    let (Some(Dialog::Review(review)), glyphs) = (app.dialog(), &app.shell.glyphs) else { return 1 };
    let width = app.shell.width;
    let framed = Layout::of(width, app.shell.height, app.screen().wants()).framed;
    // As the painter's lines between the borders, less the first column.
    let room = width.saturating_sub(if framed { 3 } else { 1 });
    usize::from(dialog::review_rows(review, room, height, glyphs)).max(1)
}

/// The whole screen as text, spaces at the ends of lines cut off.
pub fn text(app: &App) -> String {
    let area = Rect::new(0, 0, app.shell.width, app.shell.height);
    let mut buffer = Buffer::empty(area);
    render(app, area, &mut buffer);
    let mut text = String::new();
    for y in 0..area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..area.width {
            let symbol = buffer.cell((x, y)).map_or(" ", |cell| cell.symbol());
            // A wide character covers the next cell.
            if skip == 0 {
                line.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
