//! Screen 4: the access log as it is written.

use keyward_protocol::time::Moment;

use super::{Screen, Shell, Step};
use crate::{
    keymap::{Act, Action, Binding, act, letter},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
    },
};

const PAUSE: Act = Act("pause");

const BINDINGS: &[Binding] =
    &[act(&[letter(' ')], "Space", PAUSE, Some("pause"), "stop the live log, or follow it again")];

/// The screen. Its rows are the shell's, since the strip beside other screens shows them too.
#[derive(Clone, Debug, Default)]
pub struct LogScreen {
    needle: String,
    /// The row under the cursor fills the screen.
    open: bool,
}

impl LogScreen {
    /// Whether the row under the cursor fills the screen.
    pub fn is_open(&self) -> bool {
        self.open
    }
}

fn height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::LOG)
}

impl Screen for LogScreen {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Logs".to_owned(), if self.open { "row" } else { "live" }.to_owned()]
    }

    fn summary(&self, shell: &Shell) -> Vec<String> {
        let (wanted, kept) = shell.feed.logs.counts();
        let some = format!("{} of {} rows kept", view::text::grouped(wanted as u64), view::text::grouped(kept as u64));
        match self.needle.is_empty() {
            true => vec![format!("{} rows kept", view::text::grouped(kept as u64))],
            false => vec![some],
        }
    }

    fn wants(&self) -> Wants {
        Wants::LOG
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::logs::render(self, shell, layout, painter);
    }

    fn refresh(&mut self, shell: &mut Shell) {
        shell.feed.logs.settle(height(shell));
    }

    fn forget(&mut self, _: &mut Shell) {
        *self = LogScreen::default();
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        let height = height(shell);
        match action {
            Action::Act(PAUSE) if shell.feed.logs.paused().is_some() => shell.feed.logs.follow(height),
            Action::Act(PAUSE) => shell.feed.logs.pause(),
            Action::Open => self.open = !self.open,
            _ => {}
        }
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        let height = height(shell);
        shell.feed.logs.step(step, height);
    }

    fn settle(&mut self, shell: &mut Shell) {
        let height = height(shell);
        shell.feed.logs.settle(height);
    }

    fn filtered(&self) -> &str {
        &self.needle
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        self.needle = needle.to_owned();
        let (height, hidden) = (height(shell), shell.people_hidden);
        shell.feed.logs.want(needle, hidden, height);
    }

    fn back(&mut self, _: &mut Shell) -> bool {
        std::mem::take(&mut self.open)
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        let row = shell.feed.logs.selected()?;
        let at: Moment = row.at;
        let result = row.reason.map_or("ALLOW".to_owned(), |reason| format!("DENY {reason}"));
        let person = if shell.people_hidden { view::HIDDEN } else { &row.person };
        Some(format!("{} {result} {} {person} {}", at.rfc3339(shell.zone()), row.door, row.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_chords_are_its_own() {
        crate::keymap::check(BINDINGS);
    }
}
