//! Which part of the screen is for what, at every size. Pure arithmetic.

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

/// Which bands a screen would like, by how many rows the terminal has: (from so many, so many rows). Of several that
/// apply the last counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wants {
    /// See [`Layout::detail`].
    pub detail: &'static [(u16, u16)],
    /// See [`Layout::strip`].
    pub strip: &'static [(u16, u16)],
    /// See [`Layout::rates`].
    pub rates: &'static [(u16, u16)],
}

impl Wants {
    /// A list with a detail under it, and with room the live log.
    pub const LIST: Wants = Wants { detail: &[(20, 5), (24, 6), (40, 7)], strip: &[(36, 8), (40, 11)], rates: &[] };
    /// A part of one thing, the thing under it.
    pub const PAGE: Wants = Wants { detail: &[(20, 4), (32, 6)], strip: &[(36, 8), (40, 11)], rates: &[] };
    /// The log as it was recorded.
    pub const RECORDED: Wants = Wants { detail: &[(20, 4), (32, 6)], strip: &[], rates: &[] };
    /// The live log.
    pub const LOG: Wants = Wants { detail: &[(32, 5)], strip: &[], rates: &[(16, 3), (24, 4)] };
}

impl Layout {
    /// The layout of a screen of this size.
    pub fn of(width: u16, height: u16, wants: Wants) -> Layout {
        let tall = |rows: u16, wanted: u16| if height >= rows { wanted } else { 0 };
        let last = |steps: &[(u16, u16)]| {
            steps.iter().rev().find(|(rows, _)| height >= *rows).map_or(0, |(_, wanted)| *wanted)
        };
        let heights = Heights {
            header: if height >= 24 && width >= 60 { 3 } else { tall(2, 1) },
            detail: last(wants.detail),
            strip: last(wants.strip),
            rates: last(wants.rates),
            rule: tall(8, 1),
            footer: if height >= 10 { 2 } else { tall(4, 1) },
        };
        heights.stacked(height, width >= 60)
    }

    /// How many rows of the list are seen.
    pub fn list_rows(&self) -> u16 {
        self.list.height.saturating_sub(1)
    }

    /// Where dialogs lie: everything between header and rule.
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
        for wants in [Wants::LIST, Wants::PAGE, Wants::RECORDED, Wants::LOG] {
            for height in 1..=120 {
                for width in [1, 40, 80, 200] {
                    let layout = Layout::of(width, height, wants);
                    assert_eq!(layout.footer.y + layout.footer.height, height, "{width}x{height}");
                    assert!(layout.list.height >= 1, "{width}x{height}");
                    assert!(height < 3 || layout.list_rows() >= 1, "{width}x{height}");
                }
            }
        }
    }
}
