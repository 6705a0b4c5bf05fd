//! Every limit of keyward in one place, with the relations between them checked when it is compiled.

/// Bytes of a check frame's header.
pub const FRAME_HEADER_BYTES: usize = 24;
/// Bytes of one check in a frame.
pub const CHECK_BYTES: usize = 16;
/// Bytes of one detailed answer in a frame.
pub const DETAILED_ANSWER_BYTES: usize = 16;
/// The most checks in one frame.
pub const CHECKS_PER_FRAME_MAX: usize = 1_024;
/// The most bytes that a check frame can have, its header included.
pub const CHECK_FRAME_BYTES_MAX: usize = FRAME_HEADER_BYTES + CHECKS_PER_FRAME_MAX * CHECK_BYTES;
/// The most bytes of a management request.
pub const REQUEST_BYTES_MAX: usize = 8 << 20;
/// The most bytes of a management answer.
pub const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Bytes of the longest card number (K: 4, 7 and 10 are in use).
pub const CARD_BYTES_MAX: usize = 10;
/// Digits of the shortest and the longest door code (C2).
pub const CODE_DIGITS_MIN: u8 = 4;
/// See [`CODE_DIGITS_MIN`].
pub const CODE_DIGITS_MAX: u8 = 10;
/// Digits of a door code unless the property says otherwise (C2).
pub const CODE_DIGITS_DEFAULT: u8 = 7;
/// Shorter codes than this need an explicit limit (C2).
pub const CODE_DIGITS_WITHOUT_LIMIT_MIN: u8 = 6;
/// One in so many of what the length allows may be live at a door unless the property says otherwise (C2).
pub const CODE_SHARE: u64 = 5_000;
/// An explicit limit may be at most one in so many of what the length allows, so that drawing one stays quick.
pub const CODE_SHARE_EXPLICIT: u64 = 10;
/// Days that a deleted code is kept from being handed out again, unless told otherwise (C6).
pub const CODE_QUARANTINE_DAYS_DEFAULT: u16 = 90;
/// The longest quarantine, in days.
pub const CODE_QUARANTINE_DAYS_MAX: u16 = 3_650;
/// The most characters of a name.
pub const NAME_CHARS_MAX: usize = 200;
/// The most characters of a note.
pub const NOTE_CHARS_MAX: usize = 4_000;
/// The most doors of a property.
pub const DOORS_PER_PROPERTY_MAX: usize = 60_000;
/// The most Keys of a property.
pub const KEYS_PER_PROPERTY_MAX: usize = 60_000;
/// The most windows of a schedule.
pub const WINDOWS_PER_SCHEDULE_MAX: usize = 200;
/// The most holidays of a property.
pub const HOLIDAYS_PER_PROPERTY_MAX: usize = 2_000;
/// The most cards of a person.
pub const CARDS_PER_PERSON_MAX: usize = 16;
/// The most rules of a Key (K10).
pub const RULES_PER_KEY_MAX: usize = 64;
/// The most rows of one answer to a list, and of each list of effects in one answer.
pub const ROWS_PER_ANSWER_MAX: u32 = 10_000;
/// The most labels of a door, and of a rule.
pub const LABELS_PER_DOOR_MAX: usize = 64;
/// How long a token to join with may be good for, in seconds.
pub const TOKEN_SECONDS_MAX: i64 = 7 * 86_400;
/// The most tokens of a portfolio that wait to be used.
pub const TOKENS_MAX: usize = 10_000;
/// The most keys that prove one person to be who they are; a lock has one.
pub const IDENTITIES_PER_PERSON_MAX: usize = 16;
/// The most characters of the name that a machine gives itself when it joins.
pub const LABEL_CHARS_MAX: usize = 60;
/// The most bytes of a request to join or to renew, and of its answer.
pub const JOIN_BYTES_MAX: usize = 16 << 10;

const _: () = assert!(CHECKS_PER_FRAME_MAX <= u16::MAX as usize);
const _: () = assert!(CHECK_FRAME_BYTES_MAX <= 64 << 10);
const _: () = assert!(DETAILED_ANSWER_BYTES <= CHECK_BYTES, "an answer never outgrows its frame");
const _: () = assert!(CARD_BYTES_MAX + 6 == CHECK_BYTES, "a check holds the longest card");
const _: () = assert!(CODE_DIGITS_MAX as usize <= CARD_BYTES_MAX, "a check holds the longest code");
const _: () =
    assert!(CODE_DIGITS_MIN < CODE_DIGITS_WITHOUT_LIMIT_MIN && CODE_DIGITS_WITHOUT_LIMIT_MIN <= CODE_DIGITS_DEFAULT);
const _: () = assert!(DOORS_PER_PROPERTY_MAX < u16::MAX as usize);
const _: () = assert!(KEYS_PER_PROPERTY_MAX < u16::MAX as usize);
