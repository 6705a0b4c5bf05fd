//! Puts safe text into the buffer.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
};

use super::{
    columns::{Column, Table},
    layout::{Band, Layout},
    text,
};
use crate::{
    app::{ScreenId, Shell},
    keymap::{Act, Action},
    theme::{Glyphs, Theme},
};

/// The buffer with the look. Coordinates are counted from the top left of the area; what lies outside is not drawn.
pub struct Painter<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    framed: bool,
    /// What all screens share: the user's chords and columns.
    shell: &'a Shell,
    /// The colours.
    pub theme: Theme,
    /// The characters.
    pub glyphs: Glyphs,
}

impl<'a> Painter<'a> {
    /// A painter for the part of `area` that lies in the buffer.
    pub fn new(buffer: &'a mut Buffer, area: Rect, shell: &'a Shell, framed: bool) -> Painter<'a> {
        let area = area.intersection(buffer.area);
        Painter { buffer, area, framed, shell, theme: shell.theme, glyphs: shell.glyphs }
    }

    /// How something of a screen's own is called for, in a sentence.
    pub fn chord(&self, screen: ScreenId, act: Act) -> String {
        self.shell.chord(screen, Action::Act(act))
    }

    /// The columns that a table may show: the user's choice of them, where there is one.
    pub fn chosen<T: Copy>(&self, table: &Table<'_, T>) -> Vec<Column<T>> {
        self.shell.columns.of(table)
    }

    /// Columns of the whole area.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Columns between the borders: (the first, how many).
    pub fn inner(&self) -> (u16, u16) {
        if self.framed { (1, self.area.width.saturating_sub(2)) } else { (0, self.area.width) }
    }

    /// Puts the text at (x, y) in at most `width` columns and says how many it took.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let width = width.min(self.area.width.saturating_sub(x));
        if y >= self.area.height || width == 0 {
            return 0;
        }
        let text = text::fit(text, usize::from(width), &self.glyphs);
        let left = self.area.x + x;
        let (end, _) = self.buffer.set_stringn(left, self.area.y + y, text, usize::from(width), style);
        end.saturating_sub(left)
    }

    /// Puts the text from (x, y) on, broken between words, in at most `(width, rows)`.
    pub fn put_wrapped(&mut self, (x, y): (u16, u16), (width, rows): (u16, u16), text: &str, style: Style) {
        let lines = text::wrap(text, usize::from(width), &self.glyphs);
        for (line, row) in lines.iter().zip(0..rows) {
            // The last that has room says that there is more.
            let is_cut = row + 1 == rows && lines.len() > usize::from(rows);
            let rest = is_cut.then(|| lines.get(usize::from(row)..).unwrap_or_default().concat());
            // The space that a line was parted at may stand beyond its end.
            self.put(x, y + row, width, rest.as_deref().unwrap_or(line).trim_end(), style);
        }
    }

    /// Puts the text so that it ends before column `end`.
    pub fn put_right(&mut self, end: u16, y: u16, text: &str, style: Style) {
        let width = self.columns(text).min(end);
        self.put(end - width, y, width, text, style);
    }

    /// How many columns the text takes.
    pub fn columns(&self, text: &str) -> u16 {
        u16::try_from(text::width(text, &self.glyphs)).unwrap_or(u16::MAX)
    }

    /// Lays a style over `width` columns from (x, y).
    pub fn overlay(&mut self, x: u16, y: u16, width: u16, style: Style) {
        for column in x..x.saturating_add(width).min(self.area.width) {
            if let Some(cell) = self.cell(column, y) {
                cell.set_style(style);
            }
        }
    }

    /// The titled line over a band, with borders down its sides; says where the content begins: (first row, rows).
    pub fn panel(&mut self, band: Band, title: &str) -> (u16, u16) {
        if band.height == 0 {
            return (band.y, 0);
        }
        let [left, right] =
            if band.y <= 3 { [self.glyphs.corners[0], self.glyphs.corners[1]] } else { self.glyphs.joints };
        self.line(band.y, left, right);
        let width = self.area.width.saturating_sub(4);
        if !title.is_empty() {
            self.put(2, band.y, width, title, self.theme.strong);
        }
        if self.framed {
            for y in band.y + 1..band.y + band.height {
                self.put(0, y, 1, self.glyphs.down, self.theme.quiet);
                self.put(self.area.width - 1, y, 1, self.glyphs.down, self.theme.quiet);
            }
        }
        (band.y + 1, band.height - 1)
    }

    /// The line under everything.
    pub fn rule(&mut self, band: Band, layout: &Layout) {
        if layout.rule.height > 0 {
            let [_, _, left, right] = self.glyphs.corners;
            self.line(band.y, left, right);
        }
    }

    fn line(&mut self, y: u16, left: &str, right: &str) {
        let width = self.area.width;
        for x in 0..width {
            let corner = self.framed && (x == 0 || x + 1 == width);
            let glyph = match (corner, x) {
                (true, 0) => left,
                (true, _) => right,
                (false, _) => self.glyphs.across,
            };
            self.put(x, y, 1, glyph, self.theme.quiet);
        }
    }

    fn cell(&mut self, x: u16, y: u16) -> Option<&mut ratatui::buffer::Cell> {
        if x >= self.area.width || y >= self.area.height {
            return None;
        }
        self.buffer.cell_mut(Position::new(self.area.x + x, self.area.y + y))
    }
}
