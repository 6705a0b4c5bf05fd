//! Names: cleaned where they enter, compared as K4 says.

use unicode_normalization::UnicodeNormalization;

use crate::limits::NAME_CHARS_MAX;

/// Why a text can't be a name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// Nothing is left after trimming.
    #[error("a name can't be empty")]
    Empty,
    /// Longer than [`NAME_CHARS_MAX`] characters.
    #[error("the name is longer than {NAME_CHARS_MAX} characters: shorten it")]
    TooLong,
    /// Holds a control character or a bidirectional override, which could disturb a terminal or mislead a reader.
    #[error("the name holds the character U+{0:04X}, which can't be shown safely: remove it")]
    Unsafe(u32),
}

/// The name as it is kept: outer spaces trimmed, NFC, no control characters and no bidirectional overrides.
pub fn clean(text: &str) -> Result<String, NameError> {
    let cleaned: String = text.trim().nfc().collect();
    if let Some(bad) = cleaned.chars().find(|c| is_unsafe(*c)) {
        return Err(NameError::Unsafe(bad.into()));
    }
    match cleaned.chars().count() {
        0 => Err(NameError::Empty),
        count if count > NAME_CHARS_MAX => Err(NameError::TooLong),
        _ => Ok(cleaned),
    }
}

/// What two names have in common when they are the same name (K4): Unicode case folding, NFC, outer spaces trimmed.
pub fn fold(text: &str) -> String {
    let text = text.trim();
    // ASCII is composed as it is, and folded where it has no capitals: most names are, and lists fold many.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let once: String = caseless::default_case_fold_str(&text.nfc().collect::<String>());
    once.nfc().collect()
}

/// What two email addresses have in common when they are the same: ASCII case is ignored.
pub fn fold_email(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// Whether a character could steer a terminal or change the order of the text around it.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    // K4
    #[test]
    fn names_that_differ_in_case_composition_or_outer_spaces_are_the_same() {
        assert_eq!(fold("Straße"), fold(" STRASSE "));
        assert_eq!(fold("Cafe\u{301}"), fold("CAFÉ"));
        assert_ne!(fold("Unit 1"), fold("Unit  1"));
    }

    // K4
    #[test]
    fn ascii_is_folded_as_everything_is() {
        for c in '\0'..='\x7f' {
            let text = format!("a{c}Z");
            let folded: String = caseless::default_case_fold_str(&text.nfc().collect::<String>());
            assert_eq!(fold(&text), folded.nfc().collect::<String>());
        }
    }

    #[test]
    fn names_that_could_disturb_a_terminal_are_refused() {
        assert_eq!(clean("a\u{1b}[31m"), Err(NameError::Unsafe(0x1b)));
        assert_eq!(clean("a\u{202e}b"), Err(NameError::Unsafe(0x202e)));
        assert_eq!(clean("  "), Err(NameError::Empty));
        assert_eq!(clean(" Lobby ").as_deref(), Ok("Lobby"));
    }
}
