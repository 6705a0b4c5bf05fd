//! Which columns of a table have room, and how wide they are.

/// A column that a table would like to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column<T> {
    /// What it shows.
    pub field: T,
    /// Its title.
    pub title: &'static str,
    /// It is shown with at least so many columns of the screen, or not at all.
    pub narrowest: u16,
    /// More than so many it doesn't need.
    pub widest: u16,
    /// The lowest goes last when room is short.
    pub rank: u8,
}

/// A column with its place: (what it shows, its title, first column of the screen, width).
pub type Placed<T> = (T, &'static str, u16, u16);

/// Chooses the columns that fit side by side into `width`, one space apart, and shares what is left among them.
pub fn place<T: Copy>(columns: &[Column<T>], width: u16) -> Vec<Placed<T>> {
    let mut chosen = chosen(columns, width);
    let gaps = u16::try_from(chosen.len().saturating_sub(1)).unwrap_or(u16::MAX);
    let used: u16 = chosen.iter().map(|(_, width)| *width).sum();
    let mut left = width.saturating_sub(gaps).saturating_sub(used);
    // One column of the screen each in turn: all grow alike until they have what they need.
    while left > 0 {
        let mut grown = false;
        for (column, width) in &mut chosen {
            if *width < column.widest && left > 0 {
                *width += 1;
                left -= 1;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    let mut x = 0;
    let mut placed = Vec::with_capacity(chosen.len());
    for (column, width) in chosen {
        placed.push((column.field, column.title, x, width));
        x += width + 1;
    }
    placed
}

/// The columns of the best ranks that fit, in their order, with the width they have at least.
fn chosen<T: Copy>(columns: &[Column<T>], width: u16) -> Vec<(Column<T>, u16)> {
    let mut ranks: Vec<u8> = columns.iter().map(|column| column.rank).collect();
    ranks.sort_unstable();
    for lowest in ranks.into_iter().rev() {
        let fitting: Vec<_> = columns.iter().filter(|column| column.rank <= lowest).collect();
        let needed: u16 = fitting.iter().map(|column| column.narrowest + 1).sum();
        if needed <= width + 1 || fitting.len() <= 1 {
            return fitting.into_iter().map(|column| (*column, column.narrowest.min(width))).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column<char>; 3] = [
        Column { field: 'a', title: "A", narrowest: 5, widest: 5, rank: 1 },
        Column { field: 'b', title: "B", narrowest: 4, widest: 9, rank: 3 },
        Column { field: 'c', title: "C", narrowest: 4, widest: 6, rank: 2 },
    ];

    #[test]
    fn columns_drop_by_rank_and_share_what_is_left() {
        type Expected = &'static [(char, u16, u16)];
        let cases: [(u16, Expected); 6] = [
            (3, &[('a', 0, 3)]),
            (9, &[('a', 0, 5)]),
            (10, &[('a', 0, 5), ('c', 6, 4)]),
            (15, &[('a', 0, 5), ('b', 6, 4), ('c', 11, 4)]),
            (18, &[('a', 0, 5), ('b', 6, 6), ('c', 13, 5)]),
            (90, &[('a', 0, 5), ('b', 6, 9), ('c', 16, 6)]),
        ];
        for (width, expected) in cases {
            let placed: Vec<_> =
                place(&COLUMNS, width).into_iter().map(|(field, _, x, width)| (field, x, width)).collect();
            assert_eq!(placed, expected, "{width}");
        }
    }
}
