//! Writes a portfolio down as a site file, which reads back as the same portfolio under new ids.
//!
//! What a site file has no words for is left out: door codes and their quarantine, mobile identities, locks, the
//! revision, a lockdown whose doors are all gone, and a giving or share that is in the books as ended although no
//! period of it or of its host's ever ends. One that ended with its period is written: whoever makes the site after
//! that end has it in the books as ended again. A bound outside the years 0 to 9999 is moved to the nearest of them,
//! or left out where that means the same.

use std::fmt::{self, Display};

use jiff::tz::TimeZone;
use keyward_protocol::{
    id::*,
    name,
    schedule::{Hours, OnHolidays},
    time::{Date, Moment},
};

use crate::domain::directory::*;

/// Lists up to this many characters stand on one line.
const LINE_CHARS: usize = 100;

/// The site file of a portfolio: entries in the order in which they were made, the same text for the same data.
pub fn write(portfolio: &Portfolio) -> String {
    let mut page = Page { text: String::new(), indent: "" };
    page.field("keyward", 1);
    page.head("[portfolio]");
    page.field("name", Quoted(&portfolio.name));
    let managers = portfolio.managers.iter().filter_map(|person| portfolio.people.get(person));
    page.field("managers", list(managers.map(|person| Quoted(&person.email)), ""));
    for person in portfolio.people.values() {
        page.person(person);
    }
    for property in portfolio.properties.values() {
        page.indent = "";
        page.property(property);
        page.indent = "  ";
        Site { portfolio, property }.write(&mut page);
    }
    page.text
}

/// The text as far as it is written.
struct Page {
    text: String,
    indent: &'static str,
}

impl Page {
    fn head(&mut self, head: &str) {
        self.text.push_str(&format!("\n{}{head}\n", self.indent));
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.text.push_str(&format!("{}{name} = {value}\n", self.indent));
    }

    fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// A list that may be left out where it is empty.
    fn texts<'a>(&mut self, name: &str, texts: impl Iterator<Item = &'a str>) {
        let texts: Vec<Quoted<'_>> = texts.map(Quoted).collect();
        self.optional(name, (!texts.is_empty()).then(|| list(texts.into_iter(), self.indent)));
    }

    fn person(&mut self, person: &Person) {
        self.head("[[person]]");
        self.field("name", Quoted(&person.name));
        self.field("email", Quoted(&person.email));
        self.optional("phone", person.phone.as_deref().map(Quoted));
        self.optional("note", person.note.as_deref().map(Quoted));
        self.optional("suspended", person.suspended.then_some(true));
        let cards: Vec<String> = person.cards.iter().map(ToString::to_string).collect();
        self.texts("cards", cards.iter().map(String::as_str));
    }

    fn property(&mut self, property: &Property) {
        let (facts, usual) = (&property.facts, CodePolicy::default());
        self.head("[[property]]");
        self.field("name", Quoted(&facts.name));
        self.field("time_zone", Quoted(&facts.zone));
        let differs = |is: u64, usually: u16| (is != u64::from(usually)).then_some(is);
        self.optional("code_digits", differs(facts.codes.digits.into(), usual.digits.into()));
        self.optional("code_limit", facts.codes.limit);
        self.optional("code_quarantine_days", differs(facts.codes.quarantine_days.into(), usual.quarantine_days));
        self.optional("deliveries", property.deliveries.map(|_| true));
        let on_log_failure = match facts.on_log_failure {
            OnLogFailure::Deny => None,
            OnLogFailure::AnswerAndCount => Some(Quoted("answer_and_count")),
        };
        self.optional("on_log_failure", on_log_failure);
    }

    fn holiday(&mut self, holiday: &Holiday) {
        let sayable = |date: Date| (0..=9_999).contains(&date.year);
        if !sayable(holiday.to) {
            return;
        }
        let first = Date { year: 0, month: 1, day: 1 };
        self.head("[[property.holiday]]");
        self.field("name", Quoted(&holiday.name));
        self.field("from", if sayable(holiday.from) { holiday.from } else { first });
        self.field("to", holiday.to);
    }

    fn door(&mut self, door: &Door) {
        self.head("[[property.door]]");
        self.field("name", Quoted(&door.name));
        self.field("kind", Quoted(door.kind.as_str()));
        self.optional("occupied", door.occupied.then_some(true));
        self.texts("labels", door.labels.iter().map(String::as_str));
    }

    fn schedule(&mut self, schedule: &Schedule) {
        self.head("[[property.schedule]]");
        self.field("name", Quoted(&schedule.name));
        let Hours { windows, on_holidays } = &schedule.hours;
        let quoted = |text: String| format!("\"{text}\"");
        self.field("windows", list(windows.iter().map(|window| quoted(window.to_string())), self.indent));
        match on_holidays {
            OnHolidays::AsUsual => {}
            OnHolidays::Closed => self.field("holidays", Quoted("closed")),
            OnHolidays::Own(spans) => {
                self.field("holidays", list(spans.iter().map(|span| quoted(span.to_string())), self.indent));
            }
        }
    }

    fn period(&mut self, from: Option<Moment>, until: Option<Moment>, zone: &TimeZone) {
        // From before all years is from ever; until after all years is for ever.
        let from = from.map(|moment| said(moment, zone)).filter(|from| *from != Said::Before);
        let until = until.map(|moment| said(moment, zone)).filter(|until| *until != Said::After);
        self.optional("from", from);
        self.optional("until", until);
    }
}

/// One property with what is needed to name what stands in it.
struct Site<'a> {
    portfolio: &'a Portfolio,
    property: &'a Property,
}

impl<'a> Site<'a> {
    fn write(&self, page: &mut Page) {
        let property = self.property;
        property.holidays.iter().for_each(|holiday| page.holiday(holiday));
        property.doors.values().for_each(|door| page.door(door));
        property.schedules.values().for_each(|schedule| page.schedule(schedule));
        property.keys.values().for_each(|key| self.key(key, page));
        property.givings.values().for_each(|giving| _ = self.giving(giving, page));
        property.shares.values().for_each(|share| _ = self.share(share, page));
        property.levels.iter().for_each(|(person, level)| _ = self.manager(*person, level, page));
        property.lockdowns.values().for_each(|lockdown| self.lockdown(lockdown, page));
    }

    fn email(&self, person: PersonId) -> Option<Quoted<'a>> {
        self.portfolio.people.get(&person).map(|person| Quoted(&person.email))
    }

    fn key_name(&self, key: KeyId) -> Option<&'a str> {
        self.property.keys.get(&key).map(|key| key.name.as_str())
    }

    fn door_name(&self, door: DoorId) -> Option<&'a str> {
        self.property.doors.get(&door).map(|door| door.name.as_str())
    }

    fn door_names(&self, doors: &[DoorId]) -> impl Iterator<Item = &'a str> {
        doors.iter().filter_map(|door| self.door_name(*door))
    }

    /// `schedule = "…"` and, where it is so, `code = false`; `None` where the schedule is not there.
    fn opening(&self, opening: Opening) -> Option<String> {
        let schedule = match opening.schedule {
            ScheduleRef::Always => "always",
            ScheduleRef::Named(id) => self.property.schedules.get(&id).map(|schedule| schedule.name.as_str())?,
        };
        let code = if opening.code { "" } else { ", code = false" };
        Some(format!("schedule = {}{code}", Quoted(schedule)))
    }

    fn key(&self, key: &Key, page: &mut Page) {
        page.head("[[property.key]]");
        page.field("name", Quoted(&key.name));
        page.optional("may_share", key.may_share.then_some(true));
        let entry = |entry: &KeyDoor| {
            let (door, opening) = (self.door_name(entry.door)?, self.opening(entry.opening)?);
            Some(format!("{{ door = {}, {opening} }}", Quoted(door)))
        };
        let doors: Vec<String> = key.doors.iter().filter_map(entry).collect();
        page.optional("doors", (!doors.is_empty()).then(|| list(doors.iter(), page.indent)));
        let rules: Vec<String> = key.rules.iter().filter_map(|rule| self.rule(rule)).collect();
        page.optional("rules", (!rules.is_empty()).then(|| list(rules.iter(), page.indent)));
    }

    fn rule(&self, rule: &DoorRule) -> Option<String> {
        let mut said: Vec<String> = Vec::new();
        said.extend(rule.kind.map(|kind| format!("kind = {}", Quoted(kind.as_str()))));
        said.extend(rule.occupied.map(|occupied| format!("occupied = {occupied}")));
        if !rule.labels.is_empty() {
            said.push(format!("labels = {}", inline(rule.labels.iter().map(|label| Quoted(label)))));
        }
        if !rule.except.is_empty() {
            said.push(format!("except = {}", inline(self.door_names(&rule.except).map(Quoted))));
        }
        said.push(self.opening(rule.opening)?);
        Some(format!("{{ {} }}", said.join(", ")))
    }

    fn giving(&self, giving: &Giving, page: &mut Page) -> Option<()> {
        let (key, person) = (self.property.keys.get(&giving.key)?, self.email(giving.person)?);
        if giving.ended && giving.until.is_none() {
            return None;
        }
        page.head("[[property.giving]]");
        page.field("key", Quoted(&key.name));
        page.field("person", person);
        page.optional("may_share", (giving.may_share != key.may_share).then_some(giving.may_share));
        page.period(giving.from, giving.until, &self.property.zone);
        Some(())
    }

    fn share(&self, share: &Share, page: &mut Page) -> Option<()> {
        let giving = self.property.givings.get(&share.giving)?;
        let (host, guest) = (self.email(giving.person)?, self.email(share.guest)?);
        let (key, ends) = (self.key_name(giving.key)?, share.until.or(giving.until).is_some());
        let of_nothing = share.doors.as_ref().is_some_and(Vec::is_empty);
        if of_nothing || ((share.ended || giving.ended) && !ends) {
            return None;
        }
        page.head("[[property.share]]");
        page.field("key", Quoted(key));
        page.field("host", host);
        page.field("guest", guest);
        page.texts("doors", self.door_names(share.doors.as_deref().unwrap_or_default()));
        page.period(share.from, share.until, &self.property.zone);
        Some(())
    }

    fn manager(&self, person: PersonId, level: &Level, page: &mut Page) -> Option<()> {
        let person = self.email(person)?;
        page.head("[[property.manager]]");
        page.field("person", person);
        match level {
            Level::Full => page.field("level", Quoted("full")),
            Level::Limited => page.field("level", Quoted("limited")),
            Level::Specific(keys) => {
                page.field("level", Quoted("specific"));
                let names = keys.iter().filter_map(|key| self.key_name(*key));
                page.field("keys", list(names.map(Quoted), page.indent));
            }
        }
        Some(())
    }

    fn lockdown(&self, lockdown: &Lockdown, page: &mut Page) {
        if lockdown.doors.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        page.head("[[property.lockdown]]");
        page.texts("doors", self.door_names(lockdown.doors.as_deref().unwrap_or_default()));
        page.texts("except_keys", lockdown.except_keys.iter().filter_map(|key| self.key_name(*key)));
    }
}

/// A text as TOML writes it on one line. What could steer a terminal is escaped, so that an export can be looked at.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c if name::is_unsafe(c) => write!(f, "\\u{:04X}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// A list on one line, or with a line for each item where it is long: a change then shows as one line.
fn list<T: Display>(items: impl Iterator<Item = T>, indent: &str) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    let line = inline(items.iter());
    if line.chars().count() <= LINE_CHARS || items.len() < 2 {
        return line;
    }
    let lines: String = items.iter().map(|item| format!("{indent}  {item},\n")).collect();
    format!("[\n{lines}{indent}]")
}

fn inline<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// A bound of a period as a site file can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Exactly(String),
    /// Before the year 0.
    Before,
    /// After the year 9999.
    After,
}

impl Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Said::Exactly(text) => text,
            Said::Before => "0000-01-01T00:00:00Z",
            Said::After => "9999-12-30T22:00:00Z",
        })
    }
}

/// With the offset of the property where that can be said, else in UTC.
fn said(moment: Moment, zone: &TimeZone) -> Said {
    let texts = [moment.rfc3339(zone), moment.to_string()];
    let said = texts.into_iter().find(|text| Moment::parse_exact(text) == Ok(moment));
    let outside = if moment < Moment::default() { Said::Before } else { Said::After };
    said.map_or(outside, Said::Exactly)
}

#[cfg(test)]
mod tests {
    use keyward_protocol::{
        code::Card,
        schedule::{Days, Span, Window},
    };
    use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

    use super::*;
    use crate::domain::{effects, event::Cause, site};

    fn read(text: &str) -> site::Site {
        site::Site::parse("written.toml", text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
    }

    fn made(causes: &[Cause]) -> Portfolio {
        let stepped = effects::step(&Portfolio::new(PortfolioId(1), String::new()), causes, Moment::MIN);
        let commitments = vec![[0; 32]; stepped.effects.codes_made.len()];
        effects::finish(stepped, &commitments, Moment::MIN)
    }

    /// Names that TOML, terminals and careless readers stumble over.
    const NAMES: [&str; 8] =
        ["Lobby", "say \"hi\"", "back\\slash", "# no comment", "Straße", "ключ", "[[person]]", "a = 1, b"];

    fn name(random: &mut StdRng, n: usize) -> String {
        format!("{} {n}", NAMES.choose(random).unwrap())
    }

    fn some<T: Copy>(random: &mut StdRng, of: &[T]) -> Vec<T> {
        of.iter().copied().filter(|_| random.random()).collect()
    }

    fn some_not_none<T: Copy>(random: &mut StdRng, of: &[T]) -> Option<Vec<T>> {
        random.random::<bool>().then(|| some(random, of)).filter(|some| !some.is_empty())
    }

    fn period(random: &mut StdRng) -> (Option<Moment>, Option<Moment>) {
        let mut bound = || match random.random_range(0..4) {
            0 => Some(Moment::from_micros(random.random_range(-62_000_000_000_000_000..250_000_000_000_000_000))),
            1 => Some(Moment::from_micros(random.random_range(0..4_000_000_000) * 1_000_000)),
            _ => None,
        };
        match (bound(), bound()) {
            (Some(from), Some(until)) if until <= from => (Some(until), Some(from.plus_micros(1))),
            bounds => bounds,
        }
    }

    fn span(random: &mut StdRng) -> Span {
        loop {
            if let Some(span) = Span::new(random.random_range(0..1_440), random.random_range(0..=1_440)) {
                return span;
            }
        }
    }

    fn hours(random: &mut StdRng) -> Hours {
        let window = |random: &mut StdRng| Window {
            days: Days::from_bits(random.random_range(1..128)).unwrap(),
            span: span(random),
        };
        let windows = (0..random.random_range(0..5)).map(|_| window(random)).collect();
        let on_holidays = match random.random_range(0..3) {
            0 => OnHolidays::AsUsual,
            1 => OnHolidays::Closed,
            _ => OnHolidays::Own((0..random.random_range(0..3)).map(|_| span(random)).collect()),
        };
        Hours { windows, on_holidays }
    }

    fn text(random: &mut StdRng) -> Option<String> {
        let texts = ["+1 212 555 0147", "two\nlines", "a \"quoted\" \\ thing", "tab-free"];
        random.random::<bool>().then(|| (*texts.choose(random).unwrap()).to_owned())
    }

    /// The causes of a random portfolio, its ids counted as a site file's are.
    fn random_causes(random: &mut StdRng) -> Vec<Cause> {
        let mut causes = vec![Cause::PortfolioMade { name: name(random, 0) }];
        let people: Vec<PersonId> = (1..=random.random_range(2..9)).map(PersonId).collect();
        for id in people.iter().copied() {
            causes.push(Cause::PersonPut(Person {
                id,
                name: name(random, 1),
                email: format!("Person.{}@mail.example", id.0),
                phone: text(random),
                note: text(random),
                suspended: random.random(),
                cards: (0..random.random_range(0..3)).map(|n| Card::new(&[id.0 as u8, n]).unwrap()).collect(),
                mobile: id.0.into(),
            }));
        }
        let managers = Some(some(random, &people)).filter(|some| !some.is_empty()).unwrap_or(vec![people[0]]);
        causes.extend(managers.into_iter().map(|person| Cause::PortfolioManagerSet { person, on: true }));
        let mut next = NextIds::default();
        for id in 1..=random.random_range(1..4) {
            property(random, PropertyId(id), &people, &mut next, &mut causes);
        }
        causes
    }

    fn property(random: &mut StdRng, id: PropertyId, people: &[PersonId], next: &mut NextIds, out: &mut Vec<Cause>) {
        let zones = ["America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia", "UTC"];
        let codes = match random.random_range(0..3) {
            0 => CodePolicy { digits: 4, limit: Some(900), quarantine_days: 0 },
            1 => CodePolicy { digits: 10, limit: None, quarantine_days: 3_650 },
            _ => CodePolicy::default(),
        };
        let on_log_failure = *[OnLogFailure::Deny, OnLogFailure::AnswerAndCount].choose(random).unwrap();
        let zone = (*zones.choose(random).unwrap()).to_owned();
        out.push(Cause::PropertyPut(PropertyFacts {
            id,
            name: name(random, id.0 as usize),
            zone,
            codes,
            on_log_failure,
        }));
        if random.random() {
            let date = |year| Date { year, month: 2, day: 28 };
            let holiday = |random: &mut StdRng| Holiday { name: name(random, 2), from: date(2020), to: date(2028) };
            let holidays = (0..random.random_range(1..4)).map(|_| holiday(random)).collect();
            out.push(Cause::HolidaysSet { property: id, holidays });
        }
        let ids = |first: &mut u32, count: u32| {
            let ids: Vec<u32> = (*first..*first + count).collect();
            *first += count;
            ids
        };
        let labels = ["deliveries".to_owned(), "floor \"2\"".to_owned()];
        let doors: Vec<DoorId> = ids(&mut next.door, random.random_range(1..9)).into_iter().map(DoorId).collect();
        for (n, door) in doors.iter().enumerate() {
            let kind = *DoorKind::ALL.choose(random).unwrap();
            let occupied = kind == DoorKind::Unit && random.random();
            let labels = labels.iter().filter(|_| random.random()).cloned().collect();
            let door = Door { id: *door, name: name(random, n), kind, occupied, labels };
            out.push(Cause::DoorPut { property: id, door });
        }
        let schedules = ids(&mut next.schedule, random.random_range(0..4));
        for (n, schedule) in schedules.iter().enumerate() {
            let schedule = Schedule { id: ScheduleId(*schedule), name: name(random, n), hours: hours(random) };
            out.push(Cause::SchedulePut { property: id, schedule });
        }
        let opening = |random: &mut StdRng| Opening {
            schedule: schedules
                .choose(random)
                .filter(|_| random.random())
                .map_or(ScheduleRef::Always, |schedule| ScheduleRef::Named(ScheduleId(*schedule))),
            code: random.random(),
        };
        let keys: Vec<KeyId> = ids(&mut next.key, random.random_range(1..9)).into_iter().map(KeyId).collect();
        // Every Key lists its first door at least, so that each share has a door to name.
        for (n, key) in keys.iter().enumerate() {
            let listed = doors.iter().enumerate().filter(|(n, _)| *n == 0 || random.random()).map(|(_, door)| *door);
            let listed: Vec<DoorId> = listed.collect();
            let rule = |random: &mut StdRng| {
                let kind = random.random::<bool>().then(|| *DoorKind::ALL.choose(random).unwrap());
                let units = kind.is_none_or(|kind| kind == DoorKind::Unit);
                DoorRule {
                    kind,
                    occupied: (units && random.random()).then(|| random.random()),
                    labels: labels.iter().filter(|_| random.random()).cloned().collect(),
                    except: some(random, &doors),
                    opening: opening(random),
                }
            };
            let rules = (0..random.random_range(0..3)).map(|_| rule(random)).collect();
            let listed = listed.into_iter().map(|door| KeyDoor { door, opening: opening(random) }).collect();
            let key = Key { id: *key, name: name(random, n), may_share: random.random(), doors: listed, rules };
            out.push(Cause::KeyPut { property: id, key });
        }
        if random.random() {
            out.push(Cause::DeliveriesSet { property: id, key: Some(KeyId(next.key)) });
            next.key += 1;
        }
        let mut shares = Vec::new();
        for (key, person) in keys.iter().flat_map(|key| people.iter().map(move |person| (*key, *person))) {
            if random.random() {
                continue;
            }
            let ((from, until), may_share) = (period(random), random.random());
            let giving = Giving { id: GivingId(next.giving), key, person, may_share, from, until, ended: false };
            next.giving += 1;
            out.push(Cause::Given { property: id, giving });
            for guest in people.iter().copied().filter(|guest| may_share && *guest != person) {
                if random.random_range(0..3) == 0 {
                    let ((from, until), doors) = (period(random), some_not_none(random, &doors[..1]));
                    let id = ShareId(next.share);
                    next.share += 1;
                    shares.push(Share { id, giving: giving.id, guest, doors, from, until, ended: false });
                }
            }
        }
        out.extend(shares.into_iter().map(|share| Cause::Shared { property: id, share }));
        for person in some(random, people) {
            let level = match random.random_range(0..3) {
                0 => Level::Full,
                1 => Level::Limited,
                _ => Level::Specific(some(random, &keys)),
            };
            out.push(Cause::LevelSet { property: id, person, level: Some(level) });
        }
        for _ in 0..random.random_range(0..3) {
            let doors = some_not_none(random, &doors);
            let lockdown = Lockdown { id: LockdownId(next.lockdown), doors, except_keys: some(random, &keys) };
            next.lockdown += 1;
            out.push(Cause::LockedDown { property: id, lockdown });
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let seed = rand::rng().next_u64();
        println!("seed {seed}");
        for n in 0..60 {
            let mut random = StdRng::seed_from_u64(seed.wrapping_add(n));
            let causes = random_causes(&mut random);
            let portfolio = made(&causes);
            let text = write(&portfolio);
            let again = read(&text).portfolio(PortfolioId(1));
            assert_eq!(again, portfolio, "seed {seed} + {n}:\n{text}");
        }
    }

    #[test]
    fn what_was_taken_away_in_between_changes_no_name_and_no_order() {
        let seed = rand::rng().next_u64();
        println!("seed {seed}");
        for n in 0..30 {
            let mut random = StdRng::seed_from_u64(seed.wrapping_add(n));
            let before = made(&random_causes(&mut random));
            let mut gone = Vec::new();
            for property in before.properties.values() {
                let id = property.id();
                let keys = property.keys.keys().filter(|_| random.random());
                gone.extend(keys.map(|key| Cause::KeyDeleted { property: id, key: *key }));
            }
            let people = before.people.keys().filter(|person| !before.managers.contains(*person));
            gone.extend(people.map(|person| Cause::PersonDeleted(*person)));
            let stepped = effects::step(&before, &gone, Moment::MIN);
            let text = write(&stepped.after);
            assert_eq!(write(&read(&text).portfolio(PortfolioId(1))), text, "seed {seed} + {n}");
        }
    }

    // K7
    #[test]
    fn what_ended_with_its_period_is_written_and_is_in_the_books_as_ended_again() {
        let site =
            read(&crate::testing::SITE.replace("may_share = true", "may_share = true\nuntil = 2026-01-01T00:00:00Z"));
        let after = Moment::parse("2026-01-02T00:00:00Z").unwrap();
        let causes = site.causes(after, || 1);
        let portfolio = made(&causes);
        assert!(portfolio.properties[&PropertyId(1)].shares.values().all(|share| share.ended));
        assert_eq!(read(&write(&portfolio)).causes(after, || 1), causes);
    }

    #[test]
    fn bounds_that_no_file_can_say_are_moved_or_left_out() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let year_0 = Moment::parse("0000-01-01T00:00:00Z").unwrap();
        assert_eq!(said(year_0, &zone), Said::Exactly("0000-01-01T00:00:00Z".to_owned()));
        assert_eq!(said(year_0.plus_micros(-1), &zone), Said::Before);
        assert_eq!((said(Moment::MIN, &zone), said(Moment::MAX, &zone)), (Said::Before, Said::After));
        for said in [Said::Before, Said::After] {
            assert!(Moment::parse_exact(&said.to_string()).is_ok());
        }
        let mut page = Page { text: String::new(), indent: "" };
        page.period(Some(Moment::MIN), Some(Moment::MAX), &zone);
        assert_eq!(page.text, "");
        page.period(Some(Moment::MAX), None, &zone);
        page.period(None, Some(Moment::MIN), &zone);
        assert_eq!(page.text, "from = 9999-12-30T22:00:00Z\nuntil = 0000-01-01T00:00:00Z\n");
    }

    #[test]
    fn a_long_list_has_a_line_for_each_item() {
        let doors: Vec<String> = (0..20).map(|n| format!("Door {n}")).collect();
        let text = list(doors.iter().map(|door| Quoted(door)), "  ");
        assert!(text.starts_with("[\n    \"Door 0\",\n") && text.ends_with("    \"Door 19\",\n  ]"), "{text}");
        assert_eq!(list(doors[..2].iter().map(|door| Quoted(door)), ""), "[\"Door 0\", \"Door 1\"]");
    }
}
