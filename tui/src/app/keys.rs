//! The Keys of the property, as a filtered list.

use super::cursor::{Cursor, Step};

/// One Key, as the list shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRow {
    /// Its name.
    pub name: String,
    /// How many doors it opens.
    pub doors: u64,
    /// How many people hold it.
    pub people: u64,
    /// Whether its holders may share it.
    pub may_share: bool,
    /// When it opens them, in words.
    pub hours: String,
    /// Whether it is the system's own (Deliveries): nobody gives or edits it.
    pub system: bool,
}

/// The Keys in the order in which they were told.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    rows: Vec<KeyRow>,
    /// Places in `rows` of those wanted.
    matching: Vec<usize>,
    needle: String,
    cursor: Cursor,
}

impl Keys {
    /// Takes the whole list anew. The cursor stays on the Key of the same name.
    pub fn replace(&mut self, rows: Vec<KeyRow>, height: usize) {
        let name = self.selected().map(|row| row.name.clone());
        self.rows = rows;
        self.sift();
        let at = self.wanted_from(0).position(|row| Some(&row.name) == name.as_ref());
        self.cursor.put(at.unwrap_or(self.cursor.at()), self.matching.len(), height);
    }

    /// Wants the Keys whose name or hours hold `needle`, in any case.
    pub fn want(&mut self, needle: &str, height: usize) {
        let under_cursor = self.matching.get(self.cursor.at()).copied().unwrap_or(0);
        self.needle = needle.to_lowercase();
        self.sift();
        let at = self.matching.partition_point(|place| *place < under_cursor);
        self.cursor.put(at, self.matching.len(), height);
    }

    /// Moves the cursor.
    pub fn step(&mut self, step: Step, height: usize) {
        self.cursor.step(step, self.matching.len(), height);
    }

    /// Fits what is seen to a window of another height.
    pub fn settle(&mut self, height: usize) {
        self.cursor.settle(self.matching.len(), height);
    }

    /// The Keys that are wanted, from number `from` among them.
    pub fn wanted_from(&self, from: usize) -> impl Iterator<Item = &KeyRow> {
        self.matching.iter().skip(from).filter_map(|place| self.rows.get(*place))
    }

    /// The Key under the cursor.
    pub fn selected(&self) -> Option<&KeyRow> {
        self.wanted_from(self.cursor.at()).next()
    }

    /// The cursor among the Keys that are wanted.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// How many Keys are wanted, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.matching.len(), self.rows.len())
    }

    /// Every Key, wanted or not.
    pub fn all(&self) -> &[KeyRow] {
        &self.rows
    }

    fn sift(&mut self) {
        let holds = |text: &str| text.to_lowercase().contains(&self.needle);
        let wanted = |(_, row): &(usize, &KeyRow)| holds(&row.name) || holds(&row.hours);
        self.matching = self.rows.iter().enumerate().filter(wanted).map(|(place, _)| place).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<KeyRow> {
        let key = |name: &&str| KeyRow {
            name: (*name).into(),
            doors: 1,
            people: 1,
            may_share: false,
            hours: "always".into(),
            system: false,
        };
        names.iter().map(key).collect()
    }

    #[test]
    fn the_cursor_stays_on_its_key_when_others_come_and_go() {
        let mut list = Keys::default();
        list.replace(keys(&["Amenities", "Tour", "Vendors"]), 5);
        list.step(Step::Down, 5);
        list.replace(keys(&["Amenities", "Residences", "Tour"]), 5);
        assert_eq!(list.selected().unwrap().name, "Tour");
        list.replace(keys(&["Amenities"]), 5);
        assert_eq!(list.selected().unwrap().name, "Amenities");
        list.want("zzz", 5);
        assert_eq!((list.selected(), list.counts()), (None, (0, 1)));
    }
}
