//! The user's settings: `$XDG_CONFIG_HOME/keyward/config.toml`.

use std::{fs, io, path::Path};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::{
    app::{ReadOnly, Shell},
    cli::GlyphChoice,
    keymap::{Chord, Command, Keymap},
    servers::told,
    theme::ThemeChoice,
    view::columns::{Columns, lists},
};

/// The settings that there are, with what each may be.
const SETTINGS: [(&str, &[&str]); 10] = [
    ("server", &[]),
    ("glyphs", &["auto", "ascii", "unicode"]),
    ("theme", &["auto", "colours", "plain"]),
    ("hide-people", &[]),
    ("time-zone", &["property", "utc"]),
    ("mouse", &[]),
    ("read-only", &[]),
    ("remember", &[]),
    ("columns", &[]),
    ("chords", &[]),
];

/// What the user has set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The server to open where none was used yet.
    pub server: Option<String>,
    /// The characters that lines are drawn with.
    pub glyphs: GlyphChoice,
    /// Whether there are colours.
    pub theme: ThemeChoice,
    /// Whether people's names are hidden from the beginning.
    pub hide_people: bool,
    /// Whether times are shown in UTC from the beginning, and not in the property's zone.
    pub utc: bool,
    /// Whether clicks and the wheel count from the beginning.
    pub mouse: bool,
    /// Whether nothing can be changed from here.
    pub read_only: bool,
    /// Whether how the screens are is remembered until the next start.
    pub remember: bool,
    /// The chords, where they are others than ours.
    pub keymap: Keymap,
    /// The columns of lists, where they are others than ours.
    pub columns: Columns,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            server: None,
            glyphs: GlyphChoice::default(),
            theme: ThemeChoice::default(),
            hide_people: false,
            utc: false,
            mouse: false,
            read_only: false,
            remember: true,
            keymap: Keymap::default(),
            columns: Columns::default(),
        }
    }
}

impl Config {
    /// Reads the settings in this directory; the usual ones where there is no file.
    ///
    /// # Errors
    ///
    /// The file can't be read, or something in it is not known: the message says in which line, and what may be meant.
    pub fn read(directory: &Path) -> Result<Config, String> {
        let path = directory.join("config.toml");
        match fs::read_to_string(&path) {
            Ok(text) => Config::parse(&text).map_err(|error| format!("`{}`: {error}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(format!("`{}`: {error}", path.display())),
        }
    }

    /// Reads settings.
    ///
    /// # Errors
    ///
    /// Something is not known; the message says in which line, and what may be meant.
    pub fn parse(text: &str) -> Result<Config, String> {
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            format!("line {}: {}", line(text, at), error.message())
        })?;
        let mut config = Config::default();
        for (name, value) in table.get_ref() {
            config.set(name, value, text)?;
        }
        Ok(config)
    }

    fn set(&mut self, name: &Named<'_>, value: &Valued<'_>, text: &str) -> Result<(), String> {
        let at = |error: String| format!("line {}: {error}", line(text, name.span().start));
        let word = name.get_ref().as_ref();
        match word {
            "server" => self.server = Some(string(word, value).map_err(at)?.to_owned()),
            "glyphs" => {
                self.glyphs = match one_of(word, value).map_err(at)? {
                    "ascii" => GlyphChoice::Ascii,
                    "unicode" => GlyphChoice::Unicode,
                    _ => GlyphChoice::Auto,
                }
            }
            "theme" => {
                self.theme = match one_of(word, value).map_err(at)? {
                    "colours" => ThemeChoice::Colours,
                    "plain" => ThemeChoice::Plain,
                    _ => ThemeChoice::Auto,
                }
            }
            "hide-people" => self.hide_people = truth(word, value).map_err(at)?,
            "time-zone" => self.utc = one_of(word, value).map_err(at)? == "utc",
            "mouse" => self.mouse = truth(word, value).map_err(at)?,
            "read-only" => self.read_only = truth(word, value).map_err(at)?,
            "remember" => self.remember = truth(word, value).map_err(at)?,
            "columns" => {
                let table = value.get_ref().as_table();
                let table = table.ok_or_else(|| at("`columns` is a table: write `[columns]` above them".to_owned()))?;
                self.set_columns("", table, text)?;
            }
            "chords" => {
                let table = value.get_ref().as_table();
                let table = table.ok_or_else(|| at("`chords` is a table: write `[chords]` above them".to_owned()))?;
                let mut lines = Vec::new();
                self.set_chords("", table, text, &mut lines)?;
                self.keymap.check().map_err(|(changes, error)| {
                    let lines = changes.into_iter().flatten().filter_map(|change| lines.get(change));
                    format!("line {}: {error}", lines.max().copied().unwrap_or(0))
                })?;
            }
            unknown => return Err(at(told("setting", unknown, SETTINGS.iter().map(|(name, _)| *name)))),
        }
        Ok(())
    }

    /// Sets the chords of a table: `"keys.give" = "ctrl-g"`, or what TOML makes of it without the quotes.
    /// `lines` gets the line of each.
    fn set_chords(
        &mut self,
        screen: &str,
        table: &DeTable<'_>,
        text: &str,
        lines: &mut Vec<usize>,
    ) -> Result<(), String> {
        for (name, value) in table {
            let here = line(text, name.span().start);
            let at = |error: String| format!("line {here}: {error}");
            let command = format!("{screen}{}", name.get_ref());
            if let Some(within) = value.get_ref().as_table()
                && screen.is_empty()
            {
                self.set_chords(&format!("{command}."), within, text, lines)?;
                continue;
            }
            let chords = chords(&command, value).map_err(at)?;
            self.keymap.change(&command, chords).map_err(at)?;
            lines.push(here);
        }
        Ok(())
    }

    /// Sets what all screens share, the characters aside.
    pub fn apply(&self, shell: &mut Shell) {
        (shell.people_hidden, shell.utc, shell.mouse) = (self.hide_people, self.utc, self.mouse);
        shell.read_only = if self.read_only { ReadOnly::Settings } else { ReadOnly::Off };
        (shell.keymap, shell.columns) = (self.keymap.clone(), self.columns.clone());
    }

    /// Sets the columns of lists: `keys = ["name", "doors"]`, `"keys.people" = ["name"]`, or what TOML makes of that
    /// without the quotes.
    fn set_columns(&mut self, screen: &str, table: &DeTable<'_>, text: &str) -> Result<(), String> {
        for (name, value) in table {
            let at = |error: String| format!("line {}: {error}", line(text, name.span().start));
            let list = format!("{screen}{}", name.get_ref());
            match value.get_ref().as_table() {
                Some(within) if screen.is_empty() => self.set_columns(&format!("{list}."), within, text)?,
                _ => strings(&list, value).and_then(|columns| self.columns.choose(&list, &columns)).map_err(at)?,
            }
        }
        Ok(())
    }

    /// The settings as a file that would set them as they are, every command with its chords.
    pub fn written(&self) -> String {
        let server = match &self.server {
            Some(server) => format!("server = {}\n", quoted(server)),
            None => "# server = \"NAME\"\n".to_owned(),
        };
        let glyphs = match self.glyphs {
            GlyphChoice::Auto => "auto",
            GlyphChoice::Ascii => "ascii",
            GlyphChoice::Unicode => "unicode",
        };
        let zone = if self.utc { "utc" } else { "property" };
        let mut written = format!(
            "{server}glyphs = \"{glyphs}\"\ntheme = \"{}\"\nhide-people = {}\ntime-zone = \"{zone}\"\nmouse = {}\nread-only = {}\nremember = {}\n\n# Those that go first when room is short stay the same.\n[columns]\n",
            self.theme.name(),
            self.hide_people,
            self.mouse,
            self.read_only,
            self.remember
        );
        for list in lists() {
            let columns: Vec<String> = self.columns.names(&list).into_iter().map(quoted).collect();
            written.push_str(&format!("{} = [{}]\n", quoted(list.name), columns.join(", ")));
        }
        written.push_str(
            "\n# Enter and Esc are themselves, and so is what forms and reviews are filled in with.\n[chords]\n",
        );
        for command in Command::all() {
            let chords: Vec<String> = self.keymap.chords(command).iter().map(|chord| quoted(&chord.name())).collect();
            let chords = match chords.as_slice() {
                [one] => one.clone(),
                some => format!("[{}]", some.join(", ")),
            };
            written.push_str(&format!("{} = {chords} # {}\n", quoted(&command.to_string()), command.row.help));
        }
        written
    }
}

/// A name in a table of settings, with where it stands.
type Named<'t> = Spanned<DeString<'t>>;
/// What it is set to.
type Valued<'t> = Spanned<DeValue<'t>>;

/// The line that a byte of the text stands in, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn string<'v>(name: &str, value: &'v Valued<'_>) -> Result<&'v str, String> {
    value.get_ref().as_str().ok_or_else(|| format!("`{name}` is a text: write it in quotes"))
}

fn truth(name: &str, value: &Valued<'_>) -> Result<bool, String> {
    value.get_ref().as_bool().ok_or_else(|| format!("`{name}` is true or false"))
}

fn one_of<'v>(name: &str, value: &'v Valued<'_>) -> Result<&'v str, String> {
    let value = string(name, value)?;
    let choices = SETTINGS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, choices)| choices);
    match choices.contains(&value) {
        true => Ok(value),
        false => Err(told(&format!("value of `{name}`"), value, choices.iter().copied())),
    }
}

/// The texts of a list.
fn strings<'v>(name: &str, value: &'v Valued<'_>) -> Result<Vec<&'v str>, String> {
    let wrong = || format!("`{name}` is a list of texts: [\"...\", \"...\"]");
    let list = value.get_ref().as_array().ok_or_else(wrong)?;
    list.iter().map(|one| one.get_ref().as_str().ok_or_else(wrong)).collect()
}

/// The chords that a command is to have: one, or a list, which may be empty.
fn chords(command: &str, value: &Valued<'_>) -> Result<Vec<Chord>, String> {
    let texts = match value.get_ref() {
        DeValue::String(text) => vec![text.as_ref()],
        DeValue::Array(_) => strings(command, value)?,
        _ => return Err(format!("`{command}` is a chord, or a list of chords: \"ctrl-g\", [\"g\", \"f5\"], []")),
    };
    texts.into_iter().map(|text| Chord::parse(text).map_err(|error| format!("`{command}`: {error}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::ScreenId,
        keymap::{Action, ctrl, letter},
    };

    #[test]
    fn settings_are_read_and_unknown_ones_are_told_with_what_may_be_meant() {
        let read = Config::parse(
            "server = \"prod\"\nglyphs = \"ascii\"\ntheme = \"plain\"\nhide-people = true\ntime-zone = \"utc\"\nmouse = true\nread-only = true\nremember = false",
        );
        let (glyphs, theme) = (GlyphChoice::Ascii, ThemeChoice::Plain);
        let (hide_people, utc, mouse, read_only, remember) = (true, true, true, true, false);
        let all = Config {
            server: Some("prod".into()),
            glyphs,
            theme,
            hide_people,
            utc,
            mouse,
            read_only,
            remember,
            ..Config::default()
        };
        assert_eq!(read, Ok(all));
        assert_eq!(Config::parse(""), Ok(Config::default()));
        let cases = [
            ("glyfs = \"ascii\"", "line 1: there is no setting `glyfs`: did you mean `glyphs`?"),
            ("\nglyphs = \"asci\"", "line 2: there is no value of `glyphs` `asci`: did you mean `ascii`?"),
            (
                "zzz = 1",
                "line 1: there is no setting `zzz`: there are server, glyphs, theme, hide-people, time-zone, mouse, read-only, remember, columns, chords",
            ),
            ("# ours\n\nserver = 7", "line 3: `server` is a text: write it in quotes"),
            ("hide-people = \"yes\"", "line 1: `hide-people` is true or false"),
            ("columns = 1", "line 1: `columns` is a table: write `[columns]` above them"),
            ("[columns]\nkesy = ['name']", "line 2: there is no list `kesy`: did you mean `keys`?"),
            ("[columns]\nkeys = ['nmae']", "line 2: there is no column of `keys` `nmae`: did you mean `name`?"),
            ("[columns]\nkeys = ['doors', 'doors']", "line 2: `keys` has `doors` twice"),
            ("[columns]\nlogs = []", "line 2: `logs` has to have a column"),
            ("[columns]\nkeys = 'name'", "line 2: `keys` is a list of texts: [\"...\", \"...\"]"),
            ("[columns]\n[columns.keys]\npeople = ['share', 'shore']", {
                "line 3: there is no column of `keys.people` `shore`: did you mean `share`?"
            }),
            ("chords = 1", "line 1: `chords` is a table: write `[chords]` above them"),
        ];
        for (text, told) in cases {
            assert_eq!(Config::parse(text), Err(told.to_owned()), "{text}");
        }
        assert!(Config::parse("server = \"a\"\nglyphs = ").unwrap_err().starts_with("line 2: "));
    }

    #[test]
    fn chords_are_set_for_everybody_and_for_one_screen() {
        let text =
            "[chords]\n\"keys.give\" = \"ctrl-g\"\nsort = [\"ctrl-o\", \"f5\"]\n\"keys.sort\" = \"z\"\ncopy = []\n";
        let quoted = Config::parse(text).unwrap();
        let unquoted = Config::parse(
            "[chords]\nkeys.give = \"ctrl-g\"\nkeys.sort = \"z\"\nsort = [\"ctrl-o\", \"f5\"]\ncopy = []",
        );
        let told = |config: &Config, screen, action| config.keymap.told(screen, action);
        for config in [quoted, unquoted.unwrap()] {
            let give = Action::Act(crate::app::screen::holding::GIVE);
            assert_eq!(told(&config, ScreenId::Keys, give), "Ctrl-g");
            assert_eq!(told(&config, ScreenId::People, give), "g");
            assert_eq!(told(&config, ScreenId::Keys, Action::Sort), "z");
            assert_eq!(told(&config, ScreenId::People, Action::Sort), "Ctrl-o");
            assert_eq!(told(&config, ScreenId::People, Action::Copy), ":copy");
            assert_eq!(config.keymap.everywhere(letter('y')), None);
            assert_eq!(config.keymap.everywhere(ctrl('c')), Some(Action::Interrupt));
        }
    }

    #[test]
    fn a_command_that_is_not_there_and_a_chord_that_stands_twice_are_told_with_their_line() {
        let both = |line: usize, chord: &str, screen: &str, one: &str, other: &str| {
            format!("line {line}: on the {screen} screen `{chord}` would stand for both `{one}` and `{other}`")
        };
        let cases = [
            ("\"keys.giv\" = \"G\"", "line 2: there is no command `keys.giv`: did you mean `keys.give`?".to_owned()),
            (
                "keys.zzzzzz = \"G\"",
                "line 2: there is no command `keys.zzzzzz`: `keyward settings` lists them".to_owned(),
            ),
            (
                "a.b.c = \"G\"",
                "line 2: `a.b` is a chord, or a list of chords: \"ctrl-g\", [\"g\", \"f5\"], []".to_owned(),
            ),
            ("sort = \"ctlr-g\"", "line 2: `sort`: there is no chord `ctlr-g`: did you mean `ctrl-g`?".to_owned()),
            ("sort = 7", "line 2: `sort` is a chord, or a list of chords: \"ctrl-g\", [\"g\", \"f5\"], []".to_owned()),
            ("sort = [7]", "line 2: `sort` is a list of texts: [\"...\", \"...\"]".to_owned()),
            ("keys.give = \"r\"", both(2, "r", "Keys", "keys.give", "keys.revoke")),
            ("keys.give = \"s\"", both(2, "s", "Keys", "keys.give", "sort")),
            ("sort = \"g\"", both(2, "g", "Keys", "keys.give", "sort")),
            ("sort = \"/\"", both(2, "/", "Keys", "filter", "sort")),
            ("audit.export = \"esc\"", both(2, "Esc", "Audit", "audit.export", "back")),
            ("sort = \"ctrl-o\"\nkeys.give = \"z\"\nkeys.move = \"z\"", both(4, "z", "Keys", "keys.give", "keys.move")),
            ("interrupt = []", "line 2: `interrupt` is the way out from everywhere: it has to have a chord".to_owned()),
            (
                "interrupt = \"x\"",
                "line 2: `interrupt` counts while something is typed, too: `x` would be typed no more".to_owned(),
            ),
            (
                "keys.interrupt = \"f1\"",
                "line 2: there is no command `keys.interrupt`: `keyward settings` lists them".to_owned(),
            ),
            ("back = \"b\"", "line 2: there is no command `back`: did you mean `mark`?".to_owned()),
        ];
        for (text, told) in cases {
            assert_eq!(Config::parse(&format!("[chords]\n{text}")), Err(told), "{text}");
        }
    }

    #[test]
    fn what_a_screen_has_in_the_place_of_everybodys_stays_whatever_its_chord() {
        let config =
            Config::parse("[chords]\nlogs.pause = \"ctrl-p\"\nlogs.explain = \"z\"\nmark = \"x\"").unwrap_err();
        assert_eq!(config, "line 4: on the Keys screen `x` would stand for both `keys.take-out` and `mark`");
        let config = Config::parse("[chords]\nlogs.pause = \"ctrl-p\"").unwrap();
        let table = crate::app::screen::tables(ScreenId::Logs)[0];
        let shown = config.keymap.table(ScreenId::Logs, table, |_| true);
        assert!(shown.iter().all(|bound| bound.shown != "Space"), "nobody marks by Space on the live log");
    }

    #[test]
    fn settings_that_are_written_out_are_read_as_they_are() {
        let changed = "server = \"prod\"\nhide-people = true\n[columns]\nkeys = ['doors', 'name']\n\"keys.people\" = ['email']\n[chords]\nkeys.give = \"ctrl-g\"\ncopy = []\nsort = [\"ctrl-o\", \"f5\"]";
        for text in ["", changed] {
            let config = Config::parse(text).unwrap();
            let written = config.written();
            let read = Config::parse(&written).unwrap();
            assert_eq!(read.written(), written);
            for list in lists() {
                assert_eq!(read.columns.names(&list), config.columns.names(&list), "{list:?}");
            }
            for command in Command::all() {
                assert_eq!(read.keymap.chords(command), config.keymap.chords(command), "{command}");
            }
        }
    }
}
