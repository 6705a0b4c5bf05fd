//! Text made safe and cut to columns.

use keyward_protocol::name;
use unicode_width::UnicodeWidthChar;

use crate::theme::Glyphs;

/// The text as it may be drawn, in at most `columns` columns: what could steer the terminal or turn the text around
/// is replaced, the end of a line has a sign, and what is cut ends in one. Names are cleaned where they enter; this is for all that were not.
pub fn fit(text: &str, columns: usize, glyphs: &Glyphs) -> String {
    let mut fitted = String::new();
    let mut used = 0;
    // Up to here the text could be kept and the sign for a cut still follow.
    let mut before_cut = 0;
    for c in text.chars().map(|c| shown(c, glyphs)) {
        let width = c.width().unwrap_or(0);
        if used + width > columns {
            fitted.truncate(before_cut);
            if columns > 0 {
                fitted.push(glyphs.cut);
            }
            return fitted;
        }
        used += width;
        fitted.push(c);
        if used < columns {
            before_cut = fitted.len();
        }
    }
    fitted
}

/// How many columns the text takes when it is drawn.
pub fn width(text: &str, glyphs: &Glyphs) -> usize {
    text.chars().map(|c| shown(c, glyphs).width().unwrap_or(0)).sum()
}

fn shown(c: char, glyphs: &Glyphs) -> char {
    if c == '\n' {
        return glyphs.line_break;
    }
    let replaced = name::is_unsafe(c) || shows_nothing(c) || (!glyphs.unicode && !c.is_ascii());
    if replaced { glyphs.replaced } else { c }
}

/// Whether a character shows nothing by itself (Unicode's `Default_Ignorable_Code_Point`). Names may have such, and two
/// that differ by one alone would look the same; terminals don't agree how wide what is joined by one becomes.
fn shows_nothing(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// The text in lines of at most `columns` columns, parted between words where that can be done.
pub fn wrap(text: &str, columns: usize, glyphs: &Glyphs) -> Vec<String> {
    let columns = columns.max(2);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && width(&line, glyphs) + width(word.trim_end(), glyphs) > columns {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if width(&line, glyphs) + shown(c, glyphs).width().unwrap_or(0) > columns && c != ' ' {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

/// The number with a comma before every third digit: `1,204,331`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something: `1 door`, `1,204 doors`.
pub fn counted(number: u64, one: &str, more: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {more}", grouped(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_disturb_the_terminal_is_replaced_one_sign_a_character() {
        let hostile = "a\u{1b}[31mb\u{202e}c\u{9b}d\u{2066}e\nf";
        assert_eq!(fit(hostile, 40, &Glyphs::ASCII), "a?[31mb?c?d?e|f");
        assert_eq!(fit("Café 東", 40, &Glyphs::ASCII), "Caf? ?");
        assert_eq!(fit("Café 東\u{200f}", 40, &Glyphs::UNICODE), "Café 東\u{fffd}");
    }

    #[test]
    fn what_shows_nothing_is_seen_and_takes_a_column() {
        for hidden in ['\u{200b}', '\u{200d}', '\u{ad}', '\u{2060}', '\u{fe0f}', '\u{e0041}', '\u{3164}'] {
            let name = format!("To{hidden}ur");
            assert_eq!((fit(&name, 9, &Glyphs::UNICODE).as_str(), width(&name, &Glyphs::UNICODE)), ("To\u{fffd}ur", 5));
            assert_eq!(fit(&name, 9, &Glyphs::ASCII), "To?ur");
        }
        // Marks are part of what they stand on.
        assert_eq!(width("e\u{301}", &Glyphs::UNICODE), 1);
    }

    #[test]
    fn text_is_cut_at_columns_not_at_characters() {
        let cases = [
            ("Lobby", 5, "Lobby"),
            ("Lobby", 4, "Lob…"),
            ("Lobby", 1, "…"),
            ("Lobby", 0, ""),
            ("東京都", 6, "東京都"),
            ("東京都", 5, "東京…"),
            ("東京都", 4, "東…"),
            ("東京都", 3, "東…"),
            ("", 3, ""),
        ];
        for (text, columns, fitted) in cases {
            assert_eq!(fit(text, columns, &Glyphs::UNICODE), fitted, "{text} {columns}");
            assert!(width(fitted, &Glyphs::UNICODE) <= columns);
        }
    }

    #[test]
    fn long_text_is_parted_between_words_and_nothing_is_lost() {
        for (text, columns, lines) in [
            ("", 9, vec![""]),
            ("one two", 9, vec!["one two"]),
            ("one two three", 7, vec!["one two ", "three"]),
            ("unparted", 3, vec!["unp", "art", "ed"]),
            ("東京都 a", 4, vec!["東京", "都 a"]),
            ("ab", 0, vec!["ab"]),
        ] {
            let wrapped = wrap(text, columns, &Glyphs::UNICODE);
            assert_eq!(wrapped, lines, "{text} {columns}");
            assert_eq!(wrapped.concat(), text);
        }
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_204_331, "1,204,331")] {
            assert_eq!(grouped(number), text);
        }
    }
}
