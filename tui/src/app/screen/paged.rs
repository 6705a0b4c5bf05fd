//! A list that one thing can be opened from, in a page of its own: what screens of that kind have alike.

use super::{Shell, Step};
use crate::{
    app::list::{List, Row},
    view::{self, layout::Wants},
};

/// One thing that is open.
pub trait Page {
    /// Moves the cursor of the part that has it.
    fn step(&mut self, step: Step, height: usize);

    /// Fits every part to a window of another height.
    fn settle(&mut self, height: usize);

    /// What it is filtered by.
    fn needle(&self) -> &str;
}

/// How many rows of the list are seen.
pub fn height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::LIST)
}

/// How many rows of a page are seen.
pub fn page_height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::PAGE)
}

/// Moves the cursor of the page that is open, else that of the list.
pub fn step(list: &mut List<impl Row>, page: Option<&mut impl Page>, step: Step, shell: &Shell) {
    match page {
        None => list.step(step, height(shell)),
        Some(page) => page.step(step, page_height(shell)),
    }
}

/// Fits both to another size of the terminal.
pub fn settle(list: &mut List<impl Row>, page: Option<&mut impl Page>, shell: &Shell) {
    list.settle(height(shell));
    if let Some(page) = page {
        page.settle(page_height(shell));
    }
}

/// What the page that is open is filtered by, else the list.
pub fn filtered<'s>(needle: &'s str, page: Option<&'s impl Page>) -> &'s str {
    page.map_or(needle, Page::needle)
}
