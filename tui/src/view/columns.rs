//! Which columns of a table have room, how wide they are, and which the user wants at all.

use std::collections::BTreeMap;

use super::{log, screen};
use crate::servers::told;

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

impl<T> Column<T> {
    /// What the settings call it: its title in small letters.
    pub fn name(&self) -> String {
        self.title.trim().to_lowercase().replace(' ', "-")
    }
}

/// The columns that a list would like to show.
#[derive(Clone, Copy, Debug)]
pub struct Table<'t, T> {
    /// What the settings call it; `None`: they don't, and it is always shown like this.
    pub name: Option<&'static str>,
    /// The columns, from left to right.
    pub columns: &'t [Column<T>],
}

impl<'t, T> Table<'t, T> {
    /// A table that the settings can name.
    pub const fn named(name: &'static str, columns: &'t [Column<T>]) -> Table<'t, T> {
        Table { name: Some(name), columns }
    }

    /// A table that is always shown like this.
    pub const fn fixed(columns: &'t [Column<T>]) -> Table<'t, T> {
        Table { name: None, columns }
    }

    /// The column of this name; without one that of the rows' own names, which goes last when room is short.
    pub fn shows(&self, name: Option<&str>) -> Option<Column<T>>
    where
        T: Copy,
    {
        let is = |column: &&Column<T>| match name {
            Some(name) => column.name() == name,
            None => column.rank == 0 && !column.title.is_empty(),
        };
        self.columns.iter().find(is).copied()
    }

    /// The table as the settings name it.
    pub fn listed(&self) -> Listed {
        Listed { name: self.name.unwrap_or_default(), columns: self.columns.iter().map(Column::name).collect() }
    }
}

/// A list that the settings can name, with its columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The list.
    pub name: &'static str,
    /// Its columns, from left to right.
    pub columns: Vec<String>,
}

/// Every list that the settings can name.
pub fn lists() -> Vec<Listed> {
    use screen::{audit, doors, keys, locks, managers, people, schedules};
    let parts = [
        keys::lists(),
        schedules::lists(),
        people::lists(),
        doors::lists(),
        vec![log::listed()],
        managers::lists(),
        locks::lists(),
        audit::lists(),
    ];
    parts.into_iter().flatten().collect()
}

/// The user's columns. Without any, lists show their own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Columns {
    /// By list: places in its own columns.
    chosen: BTreeMap<&'static str, Vec<usize>>,
}

impl Columns {
    /// Has a list show these columns, in this order. Those that go last when room is short stay the same.
    ///
    /// # Errors
    ///
    /// There is no such list or column, or a column stands there twice, or none: the message says what may be meant.
    pub fn choose(&mut self, list: &str, columns: &[&str]) -> Result<(), String> {
        let all = lists();
        let found = all.iter().find(|known| known.name == list);
        let found = found.ok_or_else(|| told("list", list, all.iter().map(|known| known.name)))?;
        let mut places = Vec::new();
        for column in columns {
            let place = found.columns.iter().position(|known| known == column).ok_or_else(|| {
                told(&format!("column of `{list}`"), column, found.columns.iter().map(String::as_str))
            })?;
            if places.contains(&place) {
                return Err(format!("`{list}` has `{column}` twice"));
            }
            places.push(place);
        }
        if places.is_empty() {
            return Err(format!("`{list}` has to have a column"));
        }
        self.chosen.insert(found.name, places);
        Ok(())
    }

    /// The columns that a table may show, from left to right.
    pub fn of<T: Copy>(&self, table: &Table<'_, T>) -> Vec<Column<T>> {
        match table.name.and_then(|name| self.chosen.get(name)) {
            Some(places) => places.iter().filter_map(|place| table.columns.get(*place)).copied().collect(),
            None => table.columns.to_vec(),
        }
    }

    /// The names of the columns of a list, as they are shown.
    pub fn names<'l>(&self, list: &'l Listed) -> Vec<&'l str> {
        let own = list.columns.iter().map(String::as_str);
        match self.chosen.get(list.name) {
            Some(places) => places.iter().filter_map(|place| list.columns.get(*place)).map(String::as_str).collect(),
            None => own.collect(),
        }
    }
}

/// Keeps the column with this title as long as there is room for it beside the one that goes last.
pub fn keep<T>(columns: &mut [Column<T>], title: &str) {
    for column in columns.iter_mut().filter(|column| column.rank > 0) {
        column.rank = if column.title == title { 1 } else { column.rank.saturating_add(1) };
    }
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
    #[test]
    fn lists_and_their_columns_have_names_of_their_own() {
        let all = lists();
        for (place, list) in all.iter().enumerate() {
            assert!(
                !list.name.is_empty() && all.iter().skip(place + 1).all(|other| other.name != list.name),
                "{list:?}"
            );
            let named =
                |name: &String| !name.is_empty() && list.columns.iter().filter(|other| *other == name).count() == 1;
            assert!(list.columns.iter().all(named), "{list:?}");
        }
    }

    #[test]
    fn the_users_columns_stand_in_their_order_and_drop_by_rank() {
        let table = Table::named("keys", &COLUMNS);
        let columns = Columns { chosen: [("keys", vec![1, 0])].into() };
        let fields = |width| place(&columns.of(&table), width).into_iter().map(|placed| placed.0).collect::<String>();
        assert_eq!((fields(10), fields(9)), ("ba".to_owned(), "a".to_owned()));
        assert_eq!(columns.of(&Table::fixed(&COLUMNS)), COLUMNS);
        assert_eq!(Columns::default().of(&table), COLUMNS);
    }
}
