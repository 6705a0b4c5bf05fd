//! The entries of a site file, in the order in which they are made: people, then each property with its holidays,
//! doors, schedules, Keys, givings, shares, managers and lockdowns.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keyward_protocol::{
    code::Card,
    id::*,
    limits,
    name::{self, fold, fold_email},
    schedule::{Hours, OnHolidays, Span, Window},
    time::Moment,
};

use super::fields::{At, Fields, Reader};
use crate::domain::{
    decide::check_code_policy,
    directory::*,
    edit::{self, Touched},
    event::Cause,
};

/// Reads the whole file. What comes back counts only where the reader found nothing wrong.
pub fn read(reader: &mut Reader<'_>) -> Vec<Cause> {
    let Some(document) = reader.document() else { return Vec::new() };
    let root = reader.fields(document.get_ref(), document.span(), "a site file");
    let mut site = Building {
        reader,
        causes: Vec::new(),
        portfolio: Portfolio::new(PortfolioId(1), String::new()),
        emails: BTreeMap::new(),
        cards: BTreeMap::new(),
        key_doors: BTreeMap::new(),
    };
    site.version(&root);
    let portfolio = root.table("portfolio", "[portfolio]");
    root.missing("portfolio");
    for person in root.tables("person", "a person") {
        site.person(&person);
    }
    if let Some(portfolio) = portfolio {
        site.portfolio(&portfolio);
    }
    let mut names = Names::default();
    for property in root.tables("property", "a property") {
        site.property(&property, &mut names);
    }
    root.finish();
    site.causes
}

struct Building<'r, 't> {
    reader: &'r Reader<'t>,
    causes: Vec<Cause>,
    /// What was read so far, so that references can be looked up.
    portfolio: Portfolio,
    emails: BTreeMap<String, (PersonId, usize)>,
    cards: BTreeMap<Card, usize>,
    /// The doors of each Key that was asked for: many shares are of one Key.
    key_doors: BTreeMap<KeyId, BTreeSet<DoorId>>,
}

/// Names of one kind that were read so far, folded, with their id and line.
#[derive(Default)]
struct Names(BTreeMap<String, (u32, usize, String)>);

impl Names {
    /// Adds a name; a repeat is noted as wrong.
    fn add(&mut self, reader: &Reader<'_>, what: &str, name: &At<String>, id: u32) {
        if let Some((_, line, _)) = self.0.get(&fold(&name.value)) {
            let message =
                format!("the {what} `{}` is already on line {line}: names are unique, case aside", name.value);
            reader.wrong(name.line, message);
        }
        self.keep(name, id);
    }

    /// Keeps a name, so that references to it are none that lead nowhere.
    fn keep(&mut self, name: &At<String>, id: u32) {
        self.0.entry(fold(&name.value)).or_insert((id, name.line, name.value.clone()));
    }

    /// The id that a name stands for; an unknown one is noted as wrong, with the nearest.
    fn find(&self, reader: &Reader<'_>, what: &str, name: &At<String>) -> Option<u32> {
        if let Some((id, _, _)) = self.0.get(&fold(&name.value)) {
            return Some(*id);
        }
        let hint = reader.nearest(&name.value, self.0.values().map(|(_, _, known)| known.as_str())).map_or_else(
            || format!("add it, or name a {what} of this property"),
            |near| format!("did you mean `{near}`?"),
        );
        reader.wrong(name.line, format!("there is no {what} `{}`: {hint}", name.value));
        None
    }
}

/// The names of one property.
#[derive(Default)]
struct PropertyNames {
    doors: Names,
    schedules: Names,
    keys: Names,
    /// Keys of which something was wrong: what leans on their doors may be right.
    faulty_keys: BTreeSet<KeyId>,
    /// Something was wrong with a giving: a share that leans on one may be right.
    faulty_givings: bool,
}

impl<'r, 't> Building<'r, 't> {
    fn wrong(&self, line: usize, message: impl Into<String>) {
        self.reader.wrong(line, message);
    }

    fn push(&mut self, cause: Cause) {
        edit::put(&mut self.portfolio, &cause, &mut Touched::default());
        self.causes.push(cause);
    }

    fn version(&self, root: &Fields<'_, '_>) {
        root.missing("keyward");
        match root.number("keyward", 0..=u64::MAX, 1) {
            Some(version) if version.value != 1 => {
                self.wrong(
                    version.line,
                    format!("format {} is not known here: this keyward reads `keyward = 1`", version.value),
                );
            }
            _ => {}
        }
    }

    fn name(&self, fields: &Fields<'_, '_>) -> Option<At<String>> {
        let name = fields.required_text("name")?;
        match name::clean(&name.value) {
            Ok(value) => Some(At { value, line: name.line }),
            Err(error) => {
                self.wrong(name.line, error.to_string());
                None
            }
        }
    }

    /// The name of something that others refer to. One that can't be is kept too: what is wrong is then the name, and
    /// not each reference to it as well.
    fn named(&self, fields: &Fields<'_, '_>, what: &str, names: &mut Names, id: u32) -> Option<At<String>> {
        let name = self.name(fields);
        match &name {
            Some(name) => names.add(self.reader, what, name, id),
            None => self.keep_name(fields, names, id),
        }
        name
    }

    fn keep_name(&self, fields: &Fields<'_, '_>, names: &mut Names, id: u32) {
        if let Some(name) = fields.peek_text("name") {
            names.keep(&name, id);
        }
    }

    fn note(&self, fields: &Fields<'_, '_>, field: &'static str) -> Option<String> {
        let text = fields.text(field)?;
        if text.value.chars().count() > limits::NOTE_CHARS_MAX {
            self.wrong(
                text.line,
                format!("`{field}` is longer than {} characters: shorten it", limits::NOTE_CHARS_MAX),
            );
        }
        if let Some(bad) = text.value.chars().find(|c| name::is_unsafe(*c) && *c != '\n') {
            self.wrong(
                text.line,
                format!(
                    "`{field}` holds the character U+{:04X}, which can't be shown safely: remove it",
                    u32::from(bad)
                ),
            );
        }
        Some(text.value.trim().to_owned())
    }

    fn portfolio(&mut self, fields: &Fields<'_, '_>) {
        if let Some(name) = self.name(fields) {
            // First of all causes: everything else belongs to it.
            self.causes.insert(0, Cause::PortfolioMade { name: name.value });
        }
        fields.missing("managers");
        let managers = fields.texts("managers", "ana@mail.example");
        if let Some(line) = managers.as_ref().filter(|list| list.value.is_empty()).map(|list| list.line) {
            self.wrong(line, "a portfolio keeps at least one Portfolio Manager: name one by email");
        }
        for email in managers.map(|list| list.value).unwrap_or_default() {
            if let Some(person) = self.find_person(&email) {
                self.push(Cause::PortfolioManagerSet { person, on: true });
            }
        }
        fields.finish();
    }

    fn find_person(&self, email: &At<String>) -> Option<PersonId> {
        if let Some((person, _)) = self.emails.get(&fold_email(&email.value)) {
            return Some(*person);
        }
        let hint = self
            .reader
            .nearest(&email.value, self.emails.keys())
            .map_or_else(|| "add a [[person]] with that email".to_owned(), |near| format!("did you mean `{near}`?"));
        self.wrong(email.line, format!("there is no person `{}`: {hint}", email.value));
        None
    }

    fn person_in(&self, fields: &Fields<'_, '_>, field: &'static str) -> Option<PersonId> {
        let email = fields.required_text(field)?;
        self.find_person(&email)
    }

    fn person(&mut self, fields: &Fields<'_, '_>) {
        let name = self.name(fields);
        let email = fields.required_text("email");
        let phone = self.note(fields, "phone");
        let note = self.note(fields, "note");
        let suspended = fields.flag("suspended").is_some_and(|flag| flag.value);
        fields.text("was");
        let cards = self.cards(fields);
        fields.finish();
        let id = PersonId(self.portfolio.next.person);
        let Some(email) = email else { return };
        let cleaned = name::clean(&email.value).ok();
        if !cleaned.as_ref().is_some_and(|email| email.contains('@') && !email.contains(char::is_whitespace)) {
            self.wrong(email.line, format!("`{}` is no email address: write one like tracy@mail.example", email.value));
        }
        let value = cleaned.unwrap_or(email.value);
        if let Some((_, line)) = self.emails.get(&fold_email(&value)) {
            self.wrong(email.line, format!("`{value}` is already on line {line}: a person is known by their email"));
        }
        self.emails.insert(fold_email(&value), (id, email.line));
        let name = name.map(|name| name.value).unwrap_or_default();
        // The mobile identity is filled in when the site is made.
        self.push(Cause::PersonPut(Person { id, name, email: value, phone, note, suspended, cards, mobile: 0 }));
    }

    fn cards(&mut self, fields: &Fields<'_, '_>) -> Vec<Card> {
        let mut cards = BTreeSet::new();
        let Some(list) = fields.texts("cards", "04a2b9c1d2") else { return Vec::new() };
        if list.value.len() > limits::CARDS_PER_PERSON_MAX {
            self.wrong(list.line, format!("a person has at most {} cards", limits::CARDS_PER_PERSON_MAX));
        }
        for text in list.value {
            let Some(card) = Card::parse_hex(&text.value) else {
                self.wrong(
                    text.line,
                    format!("`{}` is no card number: write 1 to 10 bytes in hex, like 04a2b9c1d2", text.value),
                );
                continue;
            };
            if let Some(line) = self.cards.insert(card, text.line) {
                self.wrong(text.line, format!("the card {card} is already on line {line}: a card is one person's"));
            }
            cards.insert(card);
        }
        cards.into_iter().collect()
    }

    fn property(&mut self, fields: &Fields<'_, '_>, properties: &mut Names) {
        let id = PropertyId(self.portfolio.next.property);
        let name = self.named(fields, "property", properties, id.0);
        fields.text("was");
        let facts = PropertyFacts {
            id,
            name: name.map(|name| name.value).unwrap_or_default(),
            zone: self.zone(fields),
            codes: self.code_policy(fields),
            on_log_failure: self.on_log_failure(fields),
        };
        self.push(Cause::PropertyPut(facts));
        self.holidays(fields, id);
        let mut names = PropertyNames::default();
        let doors = fields.tables("door", "a door");
        self.at_most(limits::DOORS_PER_PROPERTY_MAX, "doors", &doors);
        for door in doors.iter().take(limits::DOORS_PER_PROPERTY_MAX) {
            self.door(door, id, &mut names);
        }
        for past in doors.iter().skip(limits::DOORS_PER_PROPERTY_MAX) {
            self.keep_name(past, &mut names.doors, DoorId::NONE.0);
        }
        for schedule in fields.tables("schedule", "a schedule") {
            self.schedule(&schedule, id, &mut names);
        }
        let keys = fields.tables("key", "a Key");
        self.at_most(limits::KEYS_PER_PROPERTY_MAX, "Keys", &keys);
        for key in keys.iter().take(limits::KEYS_PER_PROPERTY_MAX) {
            self.key(key, id, &mut names);
        }
        for past in keys.iter().skip(limits::KEYS_PER_PROPERTY_MAX) {
            self.keep_name(past, &mut names.keys, KeyId::NONE.0);
        }
        if fields.flag("deliveries").is_some_and(|flag| flag.value) {
            let key = Some(KeyId(self.portfolio.next.key));
            self.push(Cause::DeliveriesSet { property: id, key });
        }
        for giving in fields.tables("giving", "a giving") {
            let faults = self.reader.faults();
            self.giving(&giving, id, &names);
            names.faulty_givings |= self.reader.faults() > faults;
        }
        for share in fields.tables("share", "a share") {
            self.share(&share, id, &names);
        }
        for manager in fields.tables("manager", "a manager") {
            self.manager(&manager, id, &names);
        }
        for lockdown in fields.tables("lockdown", "a lockdown") {
            self.lockdown(&lockdown, id, &names);
        }
        fields.finish();
    }

    /// Notes the first entry that is one too many: the index numbers no more.
    fn at_most(&self, most: usize, what: &str, entries: &[Fields<'_, '_>]) {
        if let Some(past) = entries.get(most) {
            self.wrong(past.line, format!("a property has at most {most} {what}: make two properties of it"));
        }
    }

    fn zone(&self, fields: &Fields<'_, '_>) -> String {
        let utc = || "UTC".to_owned();
        let Some(zone) = fields.required_text("time_zone") else { return utc() };
        if time_zone(&zone.value).is_some() {
            return zone.value;
        }
        let known = jiff::tz::db().available().map(|name| name.as_str().to_owned());
        let hint = self
            .reader
            .nearest(&zone.value, known.filter(|name| time_zone(name).is_some()))
            .map_or_else(|| "write one like America/New_York".to_owned(), |near| format!("did you mean `{near}`?"));
        self.wrong(zone.line, format!("`{}` is no IANA time zone: {hint}", zone.value));
        utc()
    }

    fn code_policy(&self, fields: &Fields<'_, '_>) -> CodePolicy {
        let mut policy = CodePolicy::default();
        let mut line = fields.line;
        let digits = u64::from(limits::CODE_DIGITS_MIN)..=u64::from(limits::CODE_DIGITS_MAX);
        if let Some(digits) = fields.number("code_digits", digits, limits::CODE_DIGITS_DEFAULT.into()) {
            line = digits.line;
            policy.digits = u8::try_from(digits.value).unwrap_or(u8::MAX);
        }
        if let Some(limit) = fields.number("code_limit", 1..=u32::MAX.into(), 5_000) {
            line = limit.line;
            policy.limit = Some(u32::try_from(limit.value).unwrap_or(u32::MAX));
        }
        let days = 0..=limits::CODE_QUARANTINE_DAYS_MAX.into();
        if let Some(days) = fields.number("code_quarantine_days", days, limits::CODE_QUARANTINE_DAYS_DEFAULT.into()) {
            line = days.line;
            policy.quarantine_days = u16::try_from(days.value).unwrap_or(u16::MAX);
        }
        if let Err(refusal) = check_code_policy(&policy) {
            self.wrong(line, refusal.to_string());
            return CodePolicy::default();
        }
        policy
    }

    fn on_log_failure(&self, fields: &Fields<'_, '_>) -> OnLogFailure {
        let Some(word) = fields.text("on_log_failure") else { return OnLogFailure::default() };
        match word.value.as_str() {
            "deny" => OnLogFailure::Deny,
            "answer_and_count" => OnLogFailure::AnswerAndCount,
            other => {
                self.wrong(word.line, format!("`{other}` is unknown: write \"deny\" or \"answer_and_count\""));
                OnLogFailure::default()
            }
        }
    }

    fn holidays(&mut self, fields: &Fields<'_, '_>, property: PropertyId) {
        let mut holidays = Vec::new();
        for entry in fields.tables("holiday", "a holiday") {
            let name = self.name(&entry);
            let (from, to) = (entry.date("from"), entry.date("to"));
            if let (Some(name), Some(from), Some(to)) = (name, from, to) {
                if to.value < from.value {
                    self.wrong(
                        to.line,
                        format!("`{}` ends before it starts: `to` is the last day, inclusive", name.value),
                    );
                }
                holidays.push(Holiday { name: name.value, from: from.value, to: to.value });
            }
            entry.finish();
        }
        if holidays.len() > limits::HOLIDAYS_PER_PROPERTY_MAX {
            self.wrong(fields.line, format!("a property has at most {} holidays", limits::HOLIDAYS_PER_PROPERTY_MAX));
        }
        if !holidays.is_empty() {
            self.push(Cause::HolidaysSet { property, holidays });
        }
    }

    fn kind(&self, word: &At<String>) -> Option<DoorKind> {
        let kind = DoorKind::parse(&word.value);
        if kind.is_none() {
            let kinds = DoorKind::ALL.map(DoorKind::as_str).join(", ");
            self.wrong(word.line, format!("`{}` is no kind of door: write one of {kinds}", word.value));
        }
        kind
    }

    fn labels(&self, fields: &Fields<'_, '_>) -> Vec<String> {
        let Some(list) = fields.texts("labels", "floor-2") else { return Vec::new() };
        if list.value.len() > limits::LABELS_PER_DOOR_MAX {
            self.wrong(list.line, format!("there are at most {} labels", limits::LABELS_PER_DOOR_MAX));
        }
        let mut labels = BTreeSet::new();
        for label in list.value {
            match name::clean(&label.value) {
                Ok(clean) => _ = labels.insert(clean),
                Err(error) => self.wrong(label.line, error.to_string()),
            }
        }
        labels.into_iter().collect()
    }

    fn door(&mut self, fields: &Fields<'_, '_>, property: PropertyId, names: &mut PropertyNames) {
        let id = DoorId(self.portfolio.next.door);
        let name = self.named(fields, "door", &mut names.doors, id.0);
        let kind = fields.required_text("kind").and_then(|word| self.kind(&word));
        let occupied = fields.flag("occupied");
        if let (Some(occupied), Some(kind)) = (&occupied, kind)
            && kind != DoorKind::Unit
        {
            self.wrong(
                occupied.line,
                "only a unit is vacant or occupied: remove `occupied`, or make the kind \"unit\"",
            );
        }
        let labels = self.labels(fields);
        fields.text("was");
        fields.finish();
        let door = Door {
            id,
            name: name.map(|name| name.value).unwrap_or_default(),
            kind: kind.unwrap_or(DoorKind::Service),
            occupied: occupied.is_some_and(|occupied| occupied.value),
            labels,
        };
        self.push(Cause::DoorPut { property, door });
    }

    fn schedule(&mut self, fields: &Fields<'_, '_>, property: PropertyId, names: &mut PropertyNames) {
        let id = ScheduleId(self.portfolio.next.schedule);
        let name = self.named(fields, "schedule", &mut names.schedules, id.0);
        if let Some(name) = name.as_ref().filter(|name| fold(&name.value) == "always") {
            self.wrong(name.line, "the schedule `always` exists everywhere: choose another name");
        }
        fields.missing("windows");
        let mut windows = Vec::new();
        for text in fields.texts("windows", "Mon-Fri 08:00-18:00").map(|list| list.value).unwrap_or_default() {
            match Window::parse(&text.value) {
                Ok(window) => windows.push(window),
                Err(error) => self.wrong(text.line, error.to_string()),
            }
        }
        let hours = Hours { windows, on_holidays: self.on_holidays(fields) };
        if !hours.within_limits() {
            self.wrong(fields.line, format!("a schedule has at most {} windows", limits::WINDOWS_PER_SCHEDULE_MAX));
        }
        fields.text("was");
        fields.finish();
        let schedule = Schedule { id, name: name.map(|name| name.value).unwrap_or_default(), hours };
        self.push(Cause::SchedulePut { property, schedule });
    }

    fn on_holidays(&self, fields: &Fields<'_, '_>) -> OnHolidays {
        let Some(entry) = fields.text_or_texts("holidays") else { return OnHolidays::AsUsual };
        match entry.value {
            Ok(word) => match word.as_str() {
                "as usual" => OnHolidays::AsUsual,
                "closed" => OnHolidays::Closed,
                other => {
                    let message = format!(
                        "`{other}` is unknown: write \"as usual\", \"closed\" or a list like [\"10:00-14:00\"]"
                    );
                    self.wrong(entry.line, message);
                    OnHolidays::AsUsual
                }
            },
            Err(texts) => {
                let mut spans = Vec::new();
                for text in texts {
                    match Span::parse(&text.value) {
                        Ok(span) => spans.push(span),
                        Err(error) => self.wrong(text.line, error.to_string()),
                    }
                }
                OnHolidays::Own(spans)
            }
        }
    }

    fn opening(&self, fields: &Fields<'_, '_>, names: &PropertyNames) -> Opening {
        let schedule = fields.required_text("schedule").and_then(|name| {
            if fold(&name.value) == "always" {
                return Some(ScheduleRef::Always);
            }
            names.schedules.find(self.reader, "schedule", &name).map(|id| ScheduleRef::Named(ScheduleId(id)))
        });
        let code = fields.flag("code").is_none_or(|flag| flag.value);
        Opening { schedule: schedule.unwrap_or(ScheduleRef::Always), code }
    }

    fn find_doors(&self, names: &PropertyNames, list: &[At<String>]) -> Vec<DoorId> {
        let found: BTreeSet<DoorId> =
            list.iter().filter_map(|name| names.doors.find(self.reader, "door", name)).map(DoorId).collect();
        found.into_iter().collect()
    }

    fn key(&mut self, fields: &Fields<'_, '_>, property: PropertyId, names: &mut PropertyNames) {
        let id = KeyId(self.portfolio.next.key);
        let faults = self.reader.faults();
        let name = self.named(fields, "Key", &mut names.keys, id.0);
        if let Some(name) = name.as_ref().filter(|name| fold(&name.value) == fold(DELIVERIES_NAME)) {
            self.wrong(
                name.line,
                "the Deliveries Key is the system's: choose another name, or set `deliveries = true` on the property",
            );
        }
        let may_share = fields.flag("may_share").is_some_and(|flag| flag.value);
        fields.text("was");
        let mut doors: BTreeMap<DoorId, Opening> = BTreeMap::new();
        let entries = fields.tables("doors", "a Key's door");
        for entry in &entries {
            let door = entry.required_text("door");
            let opening = self.opening(entry, names);
            entry.finish();
            let Some(door) = door else { continue };
            let Some(found) = names.doors.find(self.reader, "door", &door) else { continue };
            if doors.insert(DoorId(found), opening).is_some() {
                self.wrong(door.line, format!("the door `{}` stands twice in this Key: once is enough", door.value));
            }
        }
        let rules: Vec<DoorRule> =
            fields.tables("rules", "a Key's rule").iter().map(|rule| self.rule(rule, names)).collect();
        if entries.is_empty() && rules.is_empty() {
            self.wrong(fields.line, "a Key needs at least one door or rule: add `doors` or `rules`");
        }
        fields.finish();
        if self.reader.faults() > faults {
            names.faulty_keys.insert(id);
        }
        let doors = doors.into_iter().map(|(door, opening)| KeyDoor { door, opening }).collect();
        let key = Key { id, name: name.map(|name| name.value).unwrap_or_default(), may_share, doors, rules };
        self.push(Cause::KeyPut { property, key });
    }

    fn rule(&self, fields: &Fields<'_, '_>, names: &PropertyNames) -> DoorRule {
        let kind = fields.text("kind").and_then(|word| self.kind(&word));
        let occupied = fields.flag("occupied");
        if let (Some(occupied), Some(kind)) = (&occupied, kind)
            && kind != DoorKind::Unit
        {
            self.wrong(occupied.line, "`occupied` matches units only: remove it, or make the kind \"unit\"");
        }
        let labels = self.labels(fields);
        let except =
            fields.texts("except", "Lobby").map(|list| self.find_doors(names, &list.value)).unwrap_or_default();
        let opening = self.opening(fields, names);
        fields.finish();
        DoorRule { kind, occupied: occupied.map(|flag| flag.value), labels, except, opening }
    }

    fn period(&self, fields: &Fields<'_, '_>) -> (Option<Moment>, Option<Moment>) {
        let (from, until) = (fields.moment("from"), fields.moment("until"));
        if let (Some(from), Some(until)) = (&from, &until)
            && until.value <= from.value
        {
            let what =
                if until.value == from.value { "is empty, it ends as it starts" } else { "ends before it starts" };
            self.wrong(until.line, format!("the period {what}: `until` must be after `from`"));
        }
        (from.map(|moment| moment.value), until.map(|moment| moment.value))
    }

    fn key_in(&self, fields: &Fields<'_, '_>, names: &PropertyNames) -> Option<KeyId> {
        let name = fields.required_text("key")?;
        let named_by_people = names.keys.0.contains_key(&fold(&name.value));
        if fold(&name.value) == fold(DELIVERIES_NAME) && !named_by_people {
            self.wrong(name.line, "the Deliveries Key is managed by the system: nobody gives or shares it");
            return None;
        }
        names.keys.find(self.reader, "Key", &name).map(KeyId)
    }

    fn built(&self, property: PropertyId) -> Option<&Arc<Property>> {
        self.portfolio.properties.get(&property)
    }

    fn giving(&mut self, fields: &Fields<'_, '_>, property: PropertyId, names: &PropertyNames) {
        let key = self.key_in(fields, names);
        let person = self.person_in(fields, "person");
        let may_share = fields.flag("may_share").map(|flag| flag.value);
        let (from, until) = self.period(fields);
        fields.finish();
        let (Some(key), Some(person)) = (key, person) else { return };
        let Some(built) = self.built(property) else { return };
        if built.giving_of(key, person).is_some() {
            self.wrong(fields.line, "this person holds this Key already: put both into one giving");
            return;
        }
        let default = built.keys.get(&key).is_some_and(|key| key.may_share);
        let id = GivingId(self.portfolio.next.giving);
        let may_share = may_share.unwrap_or(default);
        let giving = Giving { id, key, person, may_share, from, until, ended: false };
        self.push(Cause::Given { property, giving });
    }

    fn share(&mut self, fields: &Fields<'_, '_>, property: PropertyId, names: &PropertyNames) {
        let key = self.key_in(fields, names);
        let (host, guest) = (self.person_in(fields, "host"), self.person_in(fields, "guest"));
        let some = fields.texts("doors", "Lobby");
        let (from, until) = self.period(fields);
        fields.finish();
        let doors = some.as_ref().map(|list| self.find_doors(names, &list.value));
        let (Some(key), Some(host), Some(guest)) = (key, host, guest) else { return };
        let Some(built) = self.portfolio.properties.get(&property) else { return };
        if host == guest {
            self.wrong(fields.line, "the guest is the host: a guest is another person");
            return;
        }
        let giving = built.giving_of(key, host).copied();
        let Some(giving) = giving.filter(|giving| giving.may_share) else {
            let message = match giving {
                None => "the host does not hold this Key: add a [[property.giving]] with may_share = true",
                Some(_) => "the host holds this Key without the right to share it: set may_share = true on the giving",
            };
            if !names.faulty_givings {
                self.wrong(fields.line, message);
            }
            return;
        };
        if built.share_of(giving.id, guest).is_some() {
            self.wrong(fields.line, "this host shares this Key with this guest already: put both into one share");
            return;
        }
        if let (Some(list), Some(doors)) = (&some, &doors) {
            let doors_of = |key| built.key_doors(key).into_keys().collect();
            let all = self.key_doors.entry(key);
            let all = all.or_insert_with(|| built.keys.get(&key).map(|key| doors_of(key)).unwrap_or_default());
            let left_out = doors.iter().any(|door| !all.contains(door)) && !names.faulty_keys.contains(&key);
            if list.value.is_empty() {
                self.reader.wrong(
                    list.line,
                    "a share of no doors opens nothing: name a door, or leave `doors` out for all of them",
                );
            }
            if left_out {
                self.reader.wrong(list.line, "the Key does not have all of these doors: share doors of the Key only");
            }
        }
        let id = ShareId(self.portfolio.next.share);
        let share = Share { id, giving: giving.id, guest, doors, from, until, ended: false };
        self.push(Cause::Shared { property, share });
    }

    fn manager(&mut self, fields: &Fields<'_, '_>, property: PropertyId, names: &PropertyNames) {
        let person = self.person_in(fields, "person");
        let word = fields.required_text("level");
        let list = fields.texts("keys", "Vendors");
        fields.finish();
        let (Some(person), Some(word)) = (person, word) else { return };
        let keys = |list: &[At<String>]| -> Vec<KeyId> {
            let found: BTreeSet<KeyId> =
                list.iter().filter_map(|name| names.keys.find(self.reader, "Key", name)).map(KeyId).collect();
            found.into_iter().collect()
        };
        let level = match (word.value.as_str(), &list) {
            ("full", None) => Level::Full,
            ("limited", None) => Level::Limited,
            ("specific", Some(list)) => Level::Specific(keys(&list.value)),
            ("specific", None) => {
                self.wrong(
                    word.line,
                    "the level \"specific\" needs `keys`: name the Keys that this manager gives and revokes",
                );
                return;
            }
            ("full" | "limited", Some(list)) => {
                self.wrong(list.line, "only the level \"specific\" has `keys`: remove them");
                return;
            }
            (other, _) => {
                self.wrong(word.line, format!("`{other}` is no level: write \"full\", \"limited\" or \"specific\""));
                return;
            }
        };
        if self.built(property).is_some_and(|built| built.levels.contains_key(&person)) {
            self.wrong(fields.line, "this person has a level in this property already: keep one");
            return;
        }
        self.push(Cause::LevelSet { property, person, level: Some(level) });
    }

    fn lockdown(&mut self, fields: &Fields<'_, '_>, property: PropertyId, names: &PropertyNames) {
        let list = fields.texts("doors", "Pool");
        let except = fields.texts("except_keys", "Staff").map(|list| list.value).unwrap_or_default();
        fields.finish();
        if let Some(list) = list.as_ref().filter(|list| list.value.is_empty()) {
            self.wrong(
                list.line,
                "a lockdown of no doors closes nothing: name doors, or leave `doors` out for the whole property",
            );
        }
        let doors = list.map(|list| self.find_doors(names, &list.value));
        let keys: BTreeSet<KeyId> =
            except.iter().filter_map(|name| names.keys.find(self.reader, "Key", name)).map(KeyId).collect();
        let id = LockdownId(self.portfolio.next.lockdown);
        let lockdown = Lockdown { id, doors, except_keys: keys.into_iter().collect() };
        self.push(Cause::LockedDown { property, lockdown });
    }
}
