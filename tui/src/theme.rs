//! How things look: the colours that the terminal itself defines, and the characters for lines and bars.
//!
//! Nothing is told by colour alone: each colour stands beside a word or a sign.

use ratatui::style::{Color, Modifier, Style};

/// Styles by what they are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Theme {
    /// Plain text.
    pub text: Style,
    /// The name of the program and of the open screen.
    pub strong: Style,
    /// Titles, borders and what is only said beside.
    pub quiet: Style,
    /// A check that was granted.
    pub allow: Style,
    /// A check that was denied.
    pub deny: Style,
    /// What needs an eye: paused, disconnected, dropped rows.
    pub alert: Style,
    /// Laid over the row under the cursor.
    pub cursor: Style,
}

impl Theme {
    /// Out of the terminal's own 16 colours; readable on dark and light, since the background stays the terminal's.
    pub const COLOURS: Theme = Theme {
        text: Style::new(),
        strong: Style::new().add_modifier(Modifier::BOLD),
        quiet: Style::new().add_modifier(Modifier::DIM),
        allow: Style::new().fg(Color::Green),
        deny: Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        alert: Style::new().fg(Color::Magenta).add_modifier(Modifier::BOLD),
        cursor: Style::new().add_modifier(Modifier::REVERSED).remove_modifier(Modifier::DIM),
    };

    /// For `NO_COLOR`: modifiers only.
    pub const MONOCHROME: Theme = Theme {
        text: Style::new(),
        strong: Style::new().add_modifier(Modifier::BOLD),
        quiet: Style::new().add_modifier(Modifier::DIM),
        allow: Style::new(),
        deny: Style::new().add_modifier(Modifier::BOLD),
        alert: Style::new().add_modifier(Modifier::BOLD),
        cursor: Style::new().add_modifier(Modifier::REVERSED).remove_modifier(Modifier::DIM),
    };

    /// The theme for the value of `NO_COLOR`: any text that is not empty asks for no colours.
    pub fn for_no_color(no_color: Option<&str>) -> Theme {
        if no_color.is_some_and(|value| !value.is_empty()) { Theme::MONOCHROME } else { Theme::COLOURS }
    }
}

/// Which theme the user wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ThemeChoice {
    /// Colours, unless `NO_COLOR` asks for none.
    #[default]
    Auto,
    /// Colours, whatever `NO_COLOR` says.
    Colours,
    /// Modifiers only.
    Plain,
}

impl ThemeChoice {
    /// What the settings call it.
    pub fn name(self) -> &'static str {
        match self {
            ThemeChoice::Auto => "auto",
            ThemeChoice::Colours => "colours",
            ThemeChoice::Plain => "plain",
        }
    }

    /// The theme itself; `asked` is the one that the environment asks for.
    pub fn theme(self, asked: Theme) -> Theme {
        match self {
            ThemeChoice::Auto => asked,
            ThemeChoice::Colours => Theme::COLOURS,
            ThemeChoice::Plain => Theme::MONOCHROME,
        }
    }
}

/// The characters for lines, bars and signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glyphs {
    /// A horizontal line.
    pub across: &'static str,
    /// A vertical line.
    pub down: &'static str,
    /// Corners: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// Where a horizontal line meets the left and the right border.
    pub joints: [&'static str; 2],
    /// The sign before the row under the cursor.
    pub cursor: &'static str,
    /// The sign before a marked row.
    pub marked: &'static str,
    /// The sign before a marked row under the cursor.
    pub cursor_marked: &'static str,
    /// The sign beside the title of the column that a list is sorted by.
    pub sorted: &'static str,
    /// Stands where a text was cut.
    pub cut: char,
    /// Stands for a character that can't be shown.
    pub replaced: char,
    /// For the end of a line within a text that has several.
    pub line_break: char,
    /// Heights of a bar, lowest first. Nothing is a space.
    pub bars: &'static [&'static str],
    /// Whether characters outside ASCII can be shown.
    pub unicode: bool,
}

impl Glyphs {
    /// For any terminal.
    pub const ASCII: Glyphs = Glyphs {
        across: "-",
        down: "|",
        corners: ["+", "+", "+", "+"],
        joints: ["+", "+"],
        cursor: ">",
        marked: "*",
        cursor_marked: "#",
        sorted: "v",
        cut: '~',
        replaced: '?',
        line_break: '|',
        bars: &[".", ":", "|"],
        unicode: false,
    };

    /// For terminals that read UTF-8.
    pub const UNICODE: Glyphs = Glyphs {
        across: "─",
        down: "│",
        corners: ["┌", "┐", "└", "┘"],
        joints: ["├", "┤"],
        cursor: "▸",
        marked: "•",
        cursor_marked: "◆",
        sorted: "▾",
        cut: '…',
        replaced: '\u{FFFD}',
        line_break: '↵',
        bars: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        unicode: true,
    };

    /// What the terminal can surely show, told by the values of its locale (the first of `LC_ALL`, `LC_CTYPE` and
    /// `LANG` that is not empty) and of `TERM`.
    pub fn for_terminal(locale: Option<&str>, term: Option<&str>) -> Glyphs {
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let bare = matches!(term, None | Some("" | "dumb" | "linux"));
        if utf8 && !bare { Glyphs::UNICODE } else { Glyphs::ASCII }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_counts_only_with_a_value() {
        assert_eq!(Theme::for_no_color(None), Theme::COLOURS);
        assert_eq!(Theme::for_no_color(Some("")), Theme::COLOURS);
        assert_eq!(Theme::for_no_color(Some("1")), Theme::MONOCHROME);
    }

    #[test]
    fn who_chooses_a_theme_has_it_whatever_no_color_says() {
        for (choice, without, with) in [
            (ThemeChoice::Auto, Theme::COLOURS, Theme::MONOCHROME),
            (ThemeChoice::Colours, Theme::COLOURS, Theme::COLOURS),
            (ThemeChoice::Plain, Theme::MONOCHROME, Theme::MONOCHROME),
        ] {
            let asked = |no_color| choice.theme(Theme::for_no_color(no_color));
            assert_eq!((asked(None), asked(Some("1"))), (without, with), "{choice:?}");
        }
    }

    #[test]
    fn without_colours_only_modifiers_are_used() {
        let theme = Theme::MONOCHROME;
        for style in [theme.text, theme.strong, theme.quiet, theme.allow, theme.deny, theme.alert, theme.cursor] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }

    #[test]
    fn unicode_needs_a_utf8_locale_and_a_terminal_that_has_the_characters() {
        let cases = [
            (Some("en_US.UTF-8"), Some("xterm-256color"), true),
            (Some("C.utf8"), Some("screen"), true),
            (Some("POSIX"), Some("xterm"), false),
            (None, Some("xterm"), false),
            (Some("en_US.UTF-8"), Some("linux"), false),
            (Some("en_US.UTF-8"), None, false),
        ];
        for (locale, term, unicode) in cases {
            assert_eq!(Glyphs::for_terminal(locale, term).unicode, unicode, "{locale:?} {term:?}");
        }
    }
}
