//! What can be done with a review of several steps before it is done: one is left out, or somebody who is moved keeps the
//! Key that they have. And its list, as a file.

use crossterm::event::KeyCode;
use keyward_protocol::entry::Command;

use super::{Kind, Phase, Review, Step};
use crate::{
    app::{Effect, Shell, cursor::Step as Scroll, export},
    view::{HIDDEN, text::grouped},
};

/// A title and what is said afterwards, each with whom it is about in the middle.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    title: [String; 2],
    afterwards: [String; 2],
}

impl Review {
    /// Says whom it is about by its steps, whose names are people's: between these words in the title, and between those
    /// afterwards.
    #[must_use]
    pub fn about_people(mut self, title: [String; 2], afterwards: [String; 2], shell: &Shell) -> Review {
        self.naming = Some(Naming { title, afterwards });
        self.name_people(shell);
        self
    }

    fn name_people(&mut self, shell: &Shell) {
        let Some(Naming { title, afterwards }) = &self.naming else { return };
        let moves = |step: &&Step| matches!(step.command, Command::Move { .. });
        let moved: Vec<&Step> = self.steps.iter().filter(moves).collect();
        let about = if moved.is_empty() { self.steps.iter().collect() } else { moved };
        let who = match about.as_slice() {
            [_] if shell.people_hidden => HIDDEN.to_owned(),
            [step] => step.what.clone(),
            some => format!("{} people", grouped(some.len() as u64)),
        };
        let around = |[before, after]: &[String; 2]| format!("{before}{who}{after}");
        (self.title, self.afterwards) = (around(title), around(afterwards));
    }

    /// Which step is chosen: of those that are left, once some were done.
    fn chosen(&self) -> usize {
        self.at.min(self.steps.len().saturating_sub(1))
    }

    /// The line of the step that is chosen, where there are several.
    pub fn chosen_line(&self) -> Option<usize> {
        let several = self.steps.len() > 1 && self.phase == Phase::Reading;
        let steps = self.lines.iter().enumerate().filter(|(_, line)| line.kind == Kind::Step);
        steps.map(|(place, _)| place).nth(self.chosen()).filter(|_| several)
    }

    /// Whether the chosen step may be left out: one has to stay.
    pub fn can_leave_out(&self) -> bool {
        self.naming.is_some() && self.steps.len() > 1
    }

    /// Whether whom the chosen step moves may keep the Key that they have: one has to be moved still.
    pub fn can_keep(&self) -> bool {
        let moves = self.steps.iter().filter(|step| matches!(step.command, Command::Move { .. })).count();
        moves > 1 && self.steps.get(self.chosen()).is_some_and(|step| matches!(step.command, Command::Move { .. }))
    }

    /// Takes a key that is none of the confirmation's; says whether it was one for this.
    pub(super) fn step_key(&mut self, code: KeyCode, height: usize, shell: &mut Shell) -> bool {
        match code {
            KeyCode::Char('x') => self.export(shell),
            KeyCode::Left if self.can_leave_out() => self.choose(self.chosen().saturating_sub(1), height),
            KeyCode::Right if self.can_leave_out() => self.choose(self.chosen() + 1, height),
            KeyCode::Char('s') if self.can_leave_out() => self.leave_out(height, shell),
            KeyCode::Char('k') if self.can_keep() => self.keep(shell),
            _ => return false,
        }
        true
    }

    fn choose(&mut self, at: usize, height: usize) {
        self.at = at.min(self.steps.len().saturating_sub(1));
        let Some(line) = self.chosen_line() else { return };
        // Up or down until it is seen.
        for _ in 0..self.lines.len() {
            match self.scroll.at() {
                top if line < top => self.scroll(Scroll::Up, height),
                top if line >= top + height.max(1) => self.scroll(Scroll::Down, height),
                _ => break,
            }
        }
    }

    fn leave_out(&mut self, height: usize, shell: &mut Shell) {
        let at = self.chosen();
        let step = self.steps.remove(self.chosen());
        self.changed(shell);
        let who = if shell.people_hidden { "one".to_owned() } else { step.what };
        shell.say(format!("{who} is left out: nothing changes for them"));
        self.open(shell);
        // The next one is chosen, and seen.
        self.choose(at, height);
    }

    fn keep(&mut self, shell: &mut Shell) {
        let at = self.chosen();
        let Some(step) = self.steps.get_mut(at) else { return };
        let Command::Move { person, to, may_share, period, .. } = step.command else { return };
        *step = Step::new(step.what.clone(), Command::Give { key: to, person, may_share, period });
        let who = if shell.people_hidden { "one".to_owned() } else { step.what.clone() };
        step.what.push_str(", who keeps the Key they have");
        self.changed(shell);
        shell.say(format!("{who} keeps the Key they have, and is given the other"));
        self.phase = Phase::Asking;
        self.ask(shell);
    }

    /// Steps are others now: what was typed is about those of before, and so is what was offered instead.
    fn changed(&mut self, shell: &Shell) {
        self.at = self.chosen();
        self.safe_way = None;
        self.input.reset();
        self.name_people(shell);
        self.list();
    }

    /// Writes the whole list to a file, without leaving.
    fn export(&self, shell: &mut Shell) {
        let hidden = shell.people_hidden;
        let name = |text: &str| if hidden && !text.is_empty() { HIDDEN.to_owned() } else { text.to_owned() };
        let mut text = export::csv_line(&["step", "what", "person", "of"].map(str::to_owned));
        let mut step = self.steps.first().map(|step| name(&step.what)).unwrap_or_default();
        for line in &self.lines {
            if line.kind == Kind::Step {
                step = name(&line.text);
                continue;
            }
            let what = line.kind.words().to_lowercase();
            text.push_str(&export::csv_line(&[step.clone(), what, name(&line.person), line.text.clone()]));
        }
        shell.effect(Effect::Save { name: "review".to_owned(), ending: "csv", text });
    }
}
