//! The chords as the user has them: the tables, with what the settings say instead.

use super::{Action, Binding, Chord, GLOBAL, table as built_in};
use crate::{
    app::{ScreenId, screen::tables},
    servers::nearest,
};

/// A row of a table with its chords: its own, or the user's.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'k> {
    /// Every chord for it.
    pub chords: &'k [Chord],
    /// The chords as people read them; empty where it has none.
    pub shown: &'k str,
    /// The row itself.
    pub row: &'static Binding,
    /// It is the screen's own, and not everybody's.
    own: bool,
    /// Which change it has its chords from.
    by: Option<usize>,
}

/// What the settings say of one command.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Changed {
    /// On one screen only, which is one with a command of this name.
    screen: Option<ScreenId>,
    name: String,
    chords: Vec<Chord>,
    shown: String,
}

/// The user's chords. Without any it is the tables as they are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keymap {
    changed: Vec<Changed>,
}

impl Keymap {
    /// Gives a command of this name other chords than its own, or none: `sort` everywhere, `keys.sort` on one screen.
    ///
    /// # Errors
    ///
    /// There is no such command, or it can't have these chords; the message says what may be meant.
    pub fn change(&mut self, command: &str, chords: Vec<Chord>) -> Result<(), String> {
        let found = Command::find(command)?;
        if let Some(only) = chords.iter().find(|chord| found.is_everywhere() && chord.is_text()) {
            let (chord, command) = (only.shown(), found.to_string());
            return Err(format!("`{command}` counts while something is typed, too: `{chord}` would be typed no more"));
        }
        if chords.is_empty() && found.action() == Action::Interrupt {
            return Err(format!("`{command}` is the way out from everywhere: it has to have a chord"));
        }
        let shown = chords.iter().map(|chord| chord.shown()).collect::<Vec<_>>().join(" ");
        self.changed.push(Changed { screen: found.screen, name: found.row.name(), chords, shown });
        Ok(())
    }

    /// Whether no chord stands twice on any screen.
    ///
    /// # Errors
    ///
    /// Names the chord and both commands, with the numbers, from 0, of the [changes](Keymap::change) that it comes of.
    pub fn check(&self) -> Result<(), ([Option<usize>; 2], String)> {
        let all = |_| true;
        for screen in ScreenId::ALL {
            for own in tables(screen) {
                let bound = self.table(screen, own, all);
                for (place, one) in bound.iter().enumerate() {
                    let mut others = bound.iter().skip(place + 1);
                    let twice = |other: &&Bound<'_>| one.chords.iter().any(|chord| other.chords.contains(chord));
                    if let Some(other) = others.find(twice) {
                        let chord = one.chords.iter().find(|chord| other.chords.contains(chord));
                        let chord = chord.map_or_else(String::new, |chord| chord.shown());
                        let name = |bound: &Bound<'_>| {
                            Command { screen: bound.own.then_some(screen), row: bound.row }.to_string()
                        };
                        let both = format!("`{}` and `{}`", name(one), name(other));
                        let told = format!("on the {} screen `{chord}` would stand for both {both}", screen.name());
                        return Err(([one.by, other.by], told));
                    }
                }
            }
        }
        Ok(())
    }

    /// A screen's own rows, then those of every screen that it has put nothing in the place of, with the user's chords.
    /// Rows that `fits` refuses don't exist.
    pub fn table(&self, screen: ScreenId, own: &'static [Binding], fits: impl Fn(Action) -> bool) -> Vec<Bound<'_>> {
        built_in(own, fits).into_iter().map(|(own, row)| self.bound(screen, own, row)).collect()
    }

    /// The chords that a command has.
    pub fn chords(&self, command: Command) -> &[Chord] {
        match command.screen {
            Some(screen) => self.bound(screen, true, command.row).chords,
            None => self.everybodys(command.row).map_or(command.row.chords, |(_, changed)| &changed.chords),
        }
    }

    /// What the chord asks for wherever we are, on a screen or in a dialog.
    pub fn everywhere(&self, chord: Chord) -> Option<Action> {
        let chords = |row: &&'static Binding| self.everybodys(row).map_or(row.chords, |(_, changed)| &changed.chords);
        GLOBAL.iter().find(|row| chords(row).contains(&chord)).map(|row| row.action)
    }

    /// How a command of the screen is called for in a sentence: by its first chord, else by the palette.
    pub fn told(&self, screen: ScreenId, wanted: Action) -> String {
        let rows = tables(screen).iter().flat_map(|table| table.iter()).map(|row| (true, row));
        let mut rows = rows.chain(GLOBAL.iter().map(|row| (false, row)));
        let Some((own, row)) = rows.find(|(_, row)| row.action == wanted) else { return String::new() };
        match self.bound(screen, own, row).chords.first() {
            Some(chord) => chord.shown(),
            None => format!(":{}", row.name()),
        }
    }

    fn bound(&self, screen: ScreenId, own: bool, row: &'static Binding) -> Bound<'_> {
        let here = self.last(|changed| {
            changed.screen == Some(screen) && changed.name == row.name() && (own || !has_own(screen, &changed.name))
        });
        match here.or_else(|| if own { None } else { self.everybodys(row) }) {
            Some((by, changed)) => Bound { chords: &changed.chords, shown: &changed.shown, row, own, by: Some(by) },
            None => Bound { chords: row.chords, shown: row.shown, row, own, by: None },
        }
    }

    fn everybodys(&self, row: &Binding) -> Option<(usize, &Changed)> {
        self.last(|changed| changed.screen.is_none() && changed.name == row.name())
    }

    fn last(&self, is: impl Fn(&Changed) -> bool) -> Option<(usize, &Changed)> {
        self.changed.iter().enumerate().rev().find(|(_, changed)| is(changed))
    }
}

/// What the chord asks for in a table, if it asks for anything.
pub fn asked(table: &[Bound<'_>], chord: Chord) -> Option<Action> {
    table.iter().find(|bound| bound.chords.contains(&chord)).map(|bound| bound.row.action)
}

/// A command as the settings name it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The screen that it is named with.
    screen: Option<ScreenId>,
    /// Its row.
    pub row: &'static Binding,
}

impl Command {
    /// Every command that can have other chords: everybody's, then those of the screens.
    pub fn all() -> impl Iterator<Item = Command> {
        let everybodys = GLOBAL.iter().map(|row| Command { screen: None, row });
        let own = ScreenId::ALL.into_iter().flat_map(|screen| {
            let rows = move || tables(screen).iter().flat_map(|table| table.iter());
            // A row that stands in several tables of a screen is one command.
            let first = move |(place, row): &(usize, &'static Binding)| {
                !rows().take(*place).any(|before| before.action == row.action)
            };
            rows().enumerate().filter(first).map(move |(_, row)| Command { screen: Some(screen), row })
        });
        everybodys.chain(own).filter(|command| !command.is_fixed())
    }

    fn find(name: &str) -> Result<Command, String> {
        let screen = name.split_once('.').and_then(|(screen, _)| ScreenId::named(screen));
        let within = |(_, rest): (&str, &str)| {
            let here = screen.filter(|screen| !has_own(*screen, rest));
            let row = GLOBAL.iter().find(|row| row.name() == rest)?;
            here.map(|_| Command { screen, row }).filter(|command| !command.is_fixed() && !command.is_everywhere())
        };
        let listed = Command::all().find(|command| command.to_string() == name);
        // What every screen has can be named with a screen, too.
        listed.or_else(|| name.split_once('.').and_then(within)).ok_or_else(|| {
            let names: Vec<String> = Command::all().map(|command| command.to_string()).collect();
            match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("there is no command `{name}`: did you mean `{near}`?"),
                None => format!("there is no command `{name}`: `keyward settings` lists them"),
            }
        })
    }

    fn action(self) -> Action {
        self.row.action
    }

    /// Dialogs have these too, and what is said of them holds on every screen.
    fn is_fixed(self) -> bool {
        matches!(self.row.action, Action::Open | Action::Back)
    }

    /// Whether it counts while something is typed.
    fn is_everywhere(self) -> bool {
        matches!(self.row.action, Action::Interrupt | Action::Repaint)
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(screen) = self.screen {
            write!(f, "{}.", screen.name().to_lowercase())?;
        }
        f.write_str(&self.row.name())
    }
}

/// Whether the screen has a command of its own of this name.
fn has_own(screen: ScreenId, name: &str) -> bool {
    tables(screen).iter().flat_map(|table| table.iter()).any(|row| row.name() == name)
}
