//! Which part of the screen is for what, at every size. Pure arithmetic.

use crate::app::Screen;

/// A run of rows, from the top of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Band {
    /// The first row.
    pub y: u16,
    /// How many rows; 0 where there is no room for it.
    pub height: u16,
}

/// The screen from top to bottom. A band with a title has it in its first row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// Server, property and clock; with room, screens and totals, then where we are.
    pub header: Band,
    /// The list, under its titles.
    pub list: Band,
    /// The row under the cursor, under a title.
    pub detail: Band,
    /// The newest log rows beside another screen, under a title.
    pub strip: Band,
    /// Bars of granted and denied checks, under a title.
    pub rates: Band,
    /// The line under it all.
    pub rule: Band,
    /// The mode, how honest the log is, and the chords.
    pub footer: Band,
    /// Whether there are borders left and right.
    pub framed: bool,
}

impl Layout {
    /// The layout of a screen of this size.
    pub fn of(width: u16, height: u16, screen: Screen) -> Layout {
        let tall = |rows: u16, wanted: u16| if height >= rows { wanted } else { 0 };
        let heights = Heights {
            header: if height >= 24 && width >= 60 { 3 } else { tall(2, 1) },
            detail: match screen {
                Screen::Keys => tall(24, 4),
                Screen::Logs => tall(32, 5),
            },
            strip: match screen {
                Screen::Keys => tall(40, 11),
                Screen::Logs => 0,
            },
            rates: match screen {
                Screen::Keys => tall(32, 4),
                Screen::Logs if height >= 24 => 4,
                Screen::Logs => tall(16, 3),
            },
            rule: tall(8, 1),
            footer: if height >= 10 { 2 } else { tall(4, 1) },
        };
        heights.stacked(height, width >= 60)
    }

    /// How many rows of the list are seen.
    pub fn list_rows(&self) -> u16 {
        self.list.height.saturating_sub(1)
    }
}

/// How many lines of the help are seen on a screen of this size.
pub fn help_page(width: u16, height: u16, screen: Screen) -> usize {
    let layout = Layout::of(width, height, screen);
    usize::from(layout.overlay().height.saturating_sub(1))
}

impl Layout {
    /// Where help and full detail lie: everything between header and rule.
    pub fn overlay(&self) -> Band {
        let bands = [self.list, self.detail, self.strip, self.rates];
        Band { y: self.list.y, height: bands.iter().map(|band| band.height).sum() }
    }
}

struct Heights {
    header: u16,
    detail: u16,
    strip: u16,
    rates: u16,
    rule: u16,
    footer: u16,
}

impl Heights {
    /// Stacks the bands; the list gets the rows that nobody else has.
    fn stacked(&self, height: u16, framed: bool) -> Layout {
        let others = self.header + self.detail + self.strip + self.rates + self.rule + self.footer;
        let mut y = 0;
        let mut band = |height: u16| {
            let band = Band { y, height };
            y += height;
            band
        };
        Layout {
            header: band(self.header),
            list: band(height.saturating_sub(others)),
            detail: band(self.detail),
            strip: band(self.strip),
            rates: band(self.rates),
            rule: band(self.rule),
            footer: band(self.footer),
            framed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_fill_every_screen_exactly_and_the_list_never_vanishes() {
        for screen in [Screen::Keys, Screen::Logs] {
            for height in 1..=120 {
                for width in [1, 40, 80, 200] {
                    let layout = Layout::of(width, height, screen);
                    assert_eq!(layout.footer.y + layout.footer.height, height, "{width}x{height}");
                    assert!(layout.list.height >= 1, "{width}x{height}");
                    assert!(height < 3 || layout.list_rows() >= 1, "{width}x{height}");
                }
            }
        }
    }
}
