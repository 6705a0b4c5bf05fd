//! Reads fields out of TOML tables and keeps what is wrong with its line. No rule of keyward's stands here.

use std::{
    cell::{Cell, RefCell},
    ops::{Range, RangeInclusive},
};

use jiff::civil;
use keyward_protocol::{
    limits, name,
    time::{Date, Moment},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
    value::{Datetime, Offset},
};

use super::SiteError;

/// How much likeness is worked out for one file, in pairs of characters: well under a second of work. The first wrong
/// names get a suggestion, and a file with thousands of them is refused as quickly as any other.
const LIKENESS_MAX: usize = 200_000_000;

/// A file that is being read, with what was found wrong so far.
pub struct Reader<'t> {
    file: String,
    text: &'t str,
    line_starts: Vec<usize>,
    errors: RefCell<Vec<SiteError>>,
    likeness_left: Cell<usize>,
}

/// A table of the file, with the fields that were asked for so far.
pub struct Fields<'r, 't> {
    reader: &'r Reader<'t>,
    table: &'r DeTable<'t>,
    /// Where the table stands.
    pub line: usize,
    what: &'static str,
    asked: RefCell<Vec<&'static str>>,
}

/// A value with its line.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its line, from 1.
    pub line: usize,
}

impl<'t> Reader<'t> {
    /// Begins to read.
    pub fn new(file: &str, text: &'t str) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(n, _)| n + 1));
        Reader {
            file: file.to_owned(),
            text,
            line_starts: line_starts.collect(),
            errors: RefCell::default(),
            likeness_left: Cell::new(LIKENESS_MAX),
        }
    }

    /// How much was found wrong so far.
    pub fn faults(&self) -> usize {
        self.errors.borrow().len()
    }

    /// What was found wrong.
    pub fn into_errors(self) -> Vec<SiteError> {
        self.errors.into_inner()
    }

    /// The file as a table; `None` where it is no TOML.
    pub fn document(&self) -> Option<Spanned<DeTable<'t>>> {
        match DeTable::parse(self.text) {
            Ok(document) => Some(document),
            Err(error) => {
                let line = error.span().map_or(1, |span| self.line_of(&span));
                self.wrong(line, format!("this is no TOML: {}", error.message()));
                None
            }
        }
    }

    /// Notes that something is wrong.
    pub fn wrong(&self, line: usize, message: impl Into<String>) {
        // The file's own words stand in messages: what could steer a terminal is shown as U+001B is, not sent to it.
        let message = message.into().chars().fold(String::new(), |mut safe, c| {
            match name::is_unsafe(c) {
                true => safe.push_str(&format!("\\u{:04X}", u32::from(c))),
                false => safe.push(c),
            }
            safe
        });
        self.errors.borrow_mut().push(SiteError { file: self.file.clone(), line, message });
    }

    /// The candidate that is most like `word`, if any is like it; `None` too once enough was compared for this file.
    pub fn nearest<T: AsRef<str>>(&self, word: &str, candidates: impl Iterator<Item = T>) -> Option<T> {
        if word.len() > limits::NAME_CHARS_MAX {
            return None;
        }
        let word = word.to_lowercase();
        let mut best: Option<(f64, T)> = None;
        for candidate in candidates {
            let cost = (word.len() + 1) * (candidate.as_ref().len() + 1);
            let left = self.likeness_left.get().checked_sub(cost);
            self.likeness_left.set(left.unwrap_or(0));
            left?;
            let likeness = strsim::jaro_winkler(&word, &candidate.as_ref().to_lowercase());
            if likeness > best.as_ref().map_or(0.8, |(likeness, _)| *likeness) {
                best = Some((likeness, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    fn line_of(&self, span: &Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start)
    }

    /// A table whose fields are to be read; `what` names it in errors.
    pub fn fields<'r>(&'r self, table: &'r DeTable<'t>, span: Range<usize>, what: &'static str) -> Fields<'r, 't> {
        Fields { reader: self, table, line: self.line_of(&span), what, asked: RefCell::default() }
    }
}

impl<'r, 't> Fields<'r, 't> {
    fn value(&self, name: &'static str) -> Option<(&'r DeValue<'t>, usize)> {
        self.asked.borrow_mut().push(name);
        let value = self.table.get(name)?;
        Some((value.get_ref(), self.reader.line_of(&value.span())))
    }

    fn typed<T>(
        &self,
        name: &'static str,
        wanted: &str,
        take: impl FnOnce(&'r DeValue<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        let (value, line) = self.value(name)?;
        let taken = take(value);
        if taken.is_none() {
            self.reader.wrong(line, format!("`{name}` must be {wanted}, not {}", shown(value)));
        }
        taken.map(|value| At { value, line })
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Option<At<String>> {
        self.typed(name, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// A text that must be there.
    pub fn required_text(&self, name: &'static str) -> Option<At<String>> {
        self.missing(name);
        self.text(name)
    }

    /// A text as it stands there, without a word about it where it is none.
    pub fn peek_text(&self, name: &'static str) -> Option<At<String>> {
        let value = self.table.get(name)?;
        let text = value.get_ref().as_str()?.to_owned();
        Some(At { value: text, line: self.reader.line_of(&value.span()) })
    }

    /// Notes it when a field that must be there is not.
    pub fn missing(&self, name: &'static str) {
        if !self.table.contains_key(name) {
            self.reader.wrong(self.line, format!("{} needs `{name}`", self.what));
        }
    }

    /// true or false.
    pub fn flag(&self, name: &'static str) -> Option<At<bool>> {
        self.typed(name, "true or false", DeValue::as_bool)
    }

    /// A whole number in a range; `like` is one that it could be.
    pub fn number(&self, name: &'static str, range: RangeInclusive<u64>, like: u64) -> Option<At<u64>> {
        let bounds = match *range.end() {
            u64::MAX => format!("from {}", range.start()),
            end => format!("from {} to {end}", range.start()),
        };
        self.typed(name, &format!("a whole number {bounds}, like `{name} = {like}`"), |value| {
            let number = value.as_integer()?;
            u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number))
        })
    }

    /// A list of texts; `like` is one that could stand in it.
    pub fn texts(&self, name: &'static str, like: &str) -> Option<At<Vec<At<String>>>> {
        let wanted = format!("a list of texts in quotes, like `{name} = [\"{like}\"]`");
        let items = self.typed(name, &wanted, DeValue::as_array)?;
        let texts = items.value.iter().map(|item| {
            let line = self.reader.line_of(&item.span());
            match item.get_ref().as_str() {
                Some(text) => Some(At { value: text.to_owned(), line }),
                None => {
                    self.reader.wrong(line, format!("`{name}` must be {wanted}: it holds {}", shown(item.get_ref())));
                    None
                }
            }
        });
        texts.collect::<Option<Vec<_>>>().map(|value| At { value, line: items.line })
    }

    /// A field that is either a text or a list of texts.
    pub fn text_or_texts(&self, name: &'static str) -> Option<At<Result<String, Vec<At<String>>>>> {
        let is_text = self.table.get(name).is_some_and(|value| value.get_ref().is_str());
        if is_text {
            return self.text(name).map(|text| At { value: Ok(text.value), line: text.line });
        }
        self.texts(name, "10:00-14:00").map(|texts| At { value: Err(texts.value), line: texts.line })
    }

    /// A list of tables, `[[…]]` or inline.
    pub fn tables(&self, name: &'static str, what: &'static str) -> Vec<Fields<'r, 't>> {
        let tables = self.typed(name, "a list of tables", |value| {
            value
                .as_array()?
                .iter()
                .map(|item| Some(self.reader.fields(item.get_ref().as_table()?, item.span(), what)))
                .collect::<Option<Vec<_>>>()
        });
        tables.map(|tables| tables.value).unwrap_or_default()
    }

    /// A table.
    pub fn table(&self, name: &'static str, what: &'static str) -> Option<Fields<'r, 't>> {
        let span = self.table.get(name).map(Spanned::span);
        let table = self.typed(name, "a table", DeValue::as_table)?;
        Some(self.reader.fields(table.value, span.unwrap_or_default(), what))
    }

    /// A moment: an offset date-time, bare or in quotes.
    pub fn moment(&self, name: &'static str) -> Option<At<Moment>> {
        let (value, line) = self.value(name)?;
        let read = match value {
            DeValue::Datetime(moment) => moment_of(moment),
            DeValue::String(text) => Moment::parse_exact(text).map_err(|error| error.to_string()),
            other => Err(format!("write a moment like 2026-11-23T10:00:00-05:00, not {}", shown(other))),
        };
        match read {
            Ok(value) => Some(At { value, line }),
            Err(why) => {
                self.reader.wrong(line, format!("`{name}`: {why}"));
                None
            }
        }
    }

    /// A date without a time.
    pub fn date(&self, name: &'static str) -> Option<At<Date>> {
        self.missing(name);
        self.typed(name, "a date like 2026-11-26", |value| {
            let moment = value.as_datetime()?;
            let (date, None, None) = (moment.date?, moment.time, moment.offset) else { return None };
            let year = i16::try_from(date.year).ok()?;
            let (month, day) = (i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
            civil::Date::new(year, month, day).ok().map(Date::from_civil)
        })
    }

    /// Notes every field that was not asked for, with the nearest one that was.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.iter() {
            if asked.iter().any(|known| *known == key.get_ref()) {
                continue;
            }
            let hint = match self.reader.nearest(key.get_ref(), asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it may have {}", asked.join(", ")),
            };
            let line = self.reader.line_of(&key.span());
            self.reader.wrong(line, format!("{} has no `{}`: {hint}", self.what, key.get_ref()));
        }
    }
}

/// A value as an error shows it: what is written there, unless that is long.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(moment) => format!("`{moment}`"),
        DeValue::String(text) if text.chars().count() <= 40 => format!("`\"{text}\"`"),
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn moment_of(moment: &Datetime) -> Result<Moment, String> {
    let (Some(_), Some(_)) = (moment.date, moment.time) else {
        return Err("write a moment like 2026-11-23T10:00:00-05:00".to_owned());
    };
    let Some(offset) = moment.offset else {
        return Err(format!("`{moment}` has no offset: add one, like {moment}-05:00"));
    };
    let (Offset::Z | Offset::Custom { .. }) = offset;
    // TOML lets the seconds out; RFC 3339 does not.
    let mut whole = *moment;
    if let Some(time) = &mut whole.time {
        time.second = time.second.or(Some(0));
    }
    Moment::parse_exact(&whole.to_string()).map_err(|error| error.to_string())
}
