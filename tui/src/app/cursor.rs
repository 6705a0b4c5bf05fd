//! The cursor of a list, and which part of the list is seen.

/// How far the cursor is moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// One row towards the first.
    Up,
    /// One row towards the last.
    Down,
    /// As many rows as are seen, towards the first.
    PageUp,
    /// As many rows as are seen, towards the last.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// To the row that is seen in this place, counted from 0; nowhere, where there is none.
    Seen(usize),
}

/// A place in a list, with the first row that is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    at: usize,
    top: usize,
}

impl Cursor {
    /// The row under the cursor, counted from 0. Meaningless for an empty list.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The first row that is seen.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Moves the cursor in a list of `len` rows of which `height` are seen.
    pub fn step(&mut self, step: Step, len: usize, height: usize) {
        let page = height.max(1);
        self.at = match step {
            Step::Up => self.at.saturating_sub(1),
            Step::Down => self.at.saturating_add(1),
            Step::PageUp => self.at.saturating_sub(page),
            Step::PageDown => self.at.saturating_add(page),
            Step::First => 0,
            Step::Last => len,
            Step::Seen(place) => Some(self.top + place).filter(|at| place < page && *at < len).unwrap_or(self.at),
        };
        self.settle(len, height);
    }

    /// Puts the cursor on row `at`.
    pub fn put(&mut self, at: usize, len: usize, height: usize) {
        self.at = at;
        self.settle(len, height);
    }

    /// Brings the cursor back into a list of `len` rows, and what is seen to the cursor.
    pub fn settle(&mut self, len: usize, height: usize) {
        let height = height.max(1);
        self.at = self.at.min(len.saturating_sub(1));
        let lowest = (self.at + 1).saturating_sub(height);
        self.top = self.top.clamp(lowest, self.at).min(len.saturating_sub(height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_in_the_list_and_in_what_is_seen() {
        let steps = [
            (Step::Up, 0, 0),
            (Step::Down, 1, 0),
            (Step::PageDown, 5, 2),
            (Step::Up, 4, 2),
            (Step::Last, 9, 6),
            (Step::Down, 9, 6),
            (Step::PageUp, 5, 5),
            (Step::Seen(3), 8, 5),
            (Step::Seen(4), 8, 5),
            (Step::Seen(0), 5, 5),
            (Step::First, 0, 0),
        ];
        let mut cursor = Cursor::default();
        for (step, at, top) in steps {
            cursor.step(step, 10, 4);
            assert_eq!((cursor.at(), cursor.top()), (at, top), "{step:?}");
        }
    }

    #[test]
    fn a_shorter_list_and_a_higher_window_pull_the_cursor_along() {
        let mut cursor = Cursor::default();
        cursor.step(Step::Last, 10, 4);
        cursor.settle(3, 4);
        assert_eq!((cursor.at(), cursor.top()), (2, 0));
        cursor.settle(0, 0);
        assert_eq!((cursor.at(), cursor.top()), (0, 0));
    }
}
