//! The user's settings: `$XDG_CONFIG_HOME/keyward/config.toml`.

use std::{fs, io, path::Path};

use crate::{cli::GlyphChoice, servers::nearest};

/// The settings that there are, with what each may be.
const SETTINGS: [(&str, &[&str]); 4] = [
    ("server", &[]),
    ("glyphs", &["auto", "ascii", "unicode"]),
    ("hide-people", &[]),
    ("time-zone", &["property", "utc"]),
];

/// What the user has set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// The server to open where none was used yet.
    pub server: Option<String>,
    /// The characters that lines are drawn with.
    pub glyphs: GlyphChoice,
    /// Whether people's names are hidden from the beginning.
    pub hide_people: bool,
    /// Whether times are shown in UTC from the beginning, and not in the property's zone.
    pub utc: bool,
}

impl Config {
    /// Reads the settings in this directory; the usual ones where there is no file.
    ///
    /// # Errors
    ///
    /// The file can't be read, or something in it is not known: the message says what may be meant.
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
    /// Something is not known; the message says what may be meant.
    pub fn parse(text: &str) -> Result<Config, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut config = Config::default();
        for (name, value) in &table {
            config.set(name, value)?;
        }
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &toml::Value) -> Result<(), String> {
        match name {
            "server" => self.server = Some(text(name, value)?.to_owned()),
            "glyphs" => {
                self.glyphs = match one_of(name, value)? {
                    "ascii" => GlyphChoice::Ascii,
                    "unicode" => GlyphChoice::Unicode,
                    _ => GlyphChoice::Auto,
                }
            }
            "hide-people" => {
                self.hide_people = value.as_bool().ok_or_else(|| format!("`{name}` is true or false"))?;
            }
            "time-zone" => self.utc = one_of(name, value)? == "utc",
            unknown => return Err(told("setting", unknown, SETTINGS.iter().map(|(name, _)| *name))),
        }
        Ok(())
    }
}

fn text<'v>(name: &str, value: &'v toml::Value) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("`{name}` is a text: write it in quotes"))
}

fn one_of<'v>(name: &str, value: &'v toml::Value) -> Result<&'v str, String> {
    let value = text(name, value)?;
    let choices = SETTINGS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, choices)| choices);
    match choices.contains(&value) {
        true => Ok(value),
        false => Err(told(&format!("value of `{name}`"), value, choices.iter().copied())),
    }
}

fn told<'a>(what: &str, text: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(text, known.clone()) {
        Some(near) => format!("there is no {what} `{text}`: did you mean `{near}`?"),
        None => format!("there is no {what} `{text}`: there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_unknown_ones_are_told_with_what_may_be_meant() {
        let read = Config::parse("server = \"prod\"\nglyphs = \"ascii\"\nhide-people = true\ntime-zone = \"utc\"");
        let all = Config { server: Some("prod".into()), glyphs: GlyphChoice::Ascii, hide_people: true, utc: true };
        assert_eq!(read, Ok(all));
        assert_eq!(Config::parse(""), Ok(Config::default()));
        let cases = [
            ("glyfs = \"ascii\"", "there is no setting `glyfs`: did you mean `glyphs`?"),
            ("glyphs = \"asci\"", "there is no value of `glyphs` `asci`: did you mean `ascii`?"),
            ("zzz = 1", "there is no setting `zzz`: there are server, glyphs, hide-people, time-zone"),
            ("server = 7", "`server` is a text: write it in quotes"),
            ("hide-people = \"yes\"", "`hide-people` is true or false"),
        ];
        for (text, told) in cases {
            assert_eq!(Config::parse(text), Err(told.to_owned()), "{text}");
        }
    }
}
