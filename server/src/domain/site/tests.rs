//! Files that are wrong, line by line, and one that is right.

use super::*;
use crate::domain::directory::time_zone;

const RIGHT: &str = r#"keyward = 1
[portfolio]
name = "Harbor Living"
managers = ["ANA@harbor.example"]

[[person]]
name = "Ana"
email = "ana@harbor.example"
cards = ["04a2b9c1d2"]

[[person]]
name = "Sam"
email = "sam@mail.example"

[[property]]
name = "1800 Main St"
time_zone = "America/New_York"
deliveries = true

  [[property.door]]
  name = "Lobby"
  kind = "entrance"

  [[property.schedule]]
  name = "business"
  windows = ["Mon-Fri 08:00-18:00"]
  holidays = ["10:00-12:00"]

  [[property.key]]
  name = "Vendors"
  doors = [{ door = "lobby", schedule = "Business" }]

  [[property.giving]]
  key = "vendors"
  person = "ana@harbor.example"
  may_share = true
  until = 2026-12-31T18:00:00-05:00

  [[property.share]]
  key = "Vendors"
  host = "ana@harbor.example"
  guest = "sam@mail.example"
"#;

fn errors(text: &str) -> Vec<String> {
    Site::parse("site.toml", text).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The file that is right with one thing replaced, and the error that must name its line and the cure.
fn wrong(from: &str, to: &str, expected: &str) {
    assert!(RIGHT.contains(from), "{from}");
    let found = errors(&RIGHT.replacen(from, to, 1));
    assert!(found.iter().any(|error| error.contains(expected)), "{expected}: {found:#?}");
}

#[test]
fn a_file_that_is_right_makes_its_portfolio() {
    let portfolio = Site::parse("site.toml", RIGHT).unwrap().portfolio(PortfolioId(1));
    assert_eq!((portfolio.name.as_str(), portfolio.people.len(), portfolio.revision), ("Harbor Living", 2, 1));
    let property = portfolio.property_by_name("1800 MAIN ST").unwrap();
    assert_eq!((property.givings.len(), property.shares.len(), property.codes.len()), (1, 1, 2));
    assert!(property.deliveries.is_some());
}

// K7
#[test]
fn what_is_over_when_the_site_is_made_is_remembered_without_codes() {
    let site = Site::parse("site.toml", RIGHT).unwrap();
    let causes = site.causes(Moment::parse("2027-01-01T00:00:00Z").unwrap(), || 1);
    let after = effects::step(&Portfolio::new(PortfolioId(1), String::new()), &causes, Moment::MIN);
    assert!(after.effects.codes_made.is_empty());
    let property = after.after.property_by_name("1800 Main St").unwrap();
    assert!(property.givings.values().all(|giving| giving.ended) && property.shares.values().all(|share| share.ended));
}

// K1, K4, V4
#[test]
fn what_is_wrong_is_named_with_its_line_and_its_cure() {
    wrong("keyward = 1", "keyward = 2", "site.toml:1: format 2 is not known");
    wrong("name = \"Harbor Living\"", "nam = \"x\"", "site.toml:3: [portfolio] has no `nam`: did you mean `name`?");
    wrong("ANA@harbor.example", "anna@harbor.example", "site.toml:4: there is no person");
    wrong("[\"ANA@harbor.example\"]", "[]", "site.toml:4: a portfolio keeps at least one");
    wrong("email = \"sam@mail.example\"", "email = \"Ana@Harbor.example\"", "already on line 8");
    wrong("04a2b9c1d2", "4a2", "site.toml:9: `4a2` is no card number");
    wrong("America/New_York", "America/NewYork", "did you mean `America/New_York`?");
    wrong("kind = \"entrance\"", "kind = \"gate\"", "site.toml:22: `gate` is no kind of door");
    wrong("kind = \"entrance\"", "kind = \"entrance\"\n  occupied = true", "only a unit is vacant or occupied");
    wrong("Mon-Fri 08:00-18:00", "Mon-Fri 08:00-08:00", "starts where it ends");
    wrong("name = \"business\"", "name = \"Always\"", "exists everywhere");
    wrong("10:00-12:00", "noon", "is no stretch of time");
    wrong("name = \"Vendors\"", "name = \"DELIVERIES\"", "the Deliveries Key is the system's");
    wrong(
        "doors = [{ door = \"lobby\", schedule = \"Business\" }]",
        "doors = []",
        "a Key needs at least one door or rule",
    );
    wrong("door = \"lobby\"", "door = \"loby\"", "did you mean `Lobby`?");
    wrong("schedule = \"Business\"", "schedule = \"night\"", "there is no schedule `night`");
    wrong("}]", "}, { door = \"LOBBY\", schedule = \"always\" }]", "stands twice in this Key");
    wrong("until = 2026-12-31T18:00:00-05:00", "until = 2026-12-31T18:00:00", "has no offset");
    wrong("until = 2026", "from = 2027-01-01T00:00:00Z\n  until = 2026", "ends before it starts");
    wrong("may_share = true", "may_share = false", "without the right to share");
    wrong("guest = \"sam@mail.example\"", "guest = \"ana@harbor.example\"", "the guest is the host");
    wrong("deliveries = true", "deliveries = \"yes\"", "site.toml:18: `deliveries` must be true or false");
    wrong("deliveries = true", "code_digits = 5", "5 digits need an explicit limit");
    wrong("keyward = 1", "keyward = ", "site.toml:1: this is no TOML");
}

#[test]
fn a_value_of_the_wrong_kind_is_told_with_what_to_write() {
    let digits = "site.toml:18: `code_digits` must be a whole number from 4 to 10, like `code_digits = 7`, not ";
    for (wrong_one, shown) in [("-3", "`-3`"), ("3", "`3`"), ("7.5", "`7.5`"), ("\"7\"", "`\"7\"`"), ("[7]", "a list")]
    {
        wrong("deliveries = true", &format!("code_digits = {wrong_one}"), &format!("{digits}{shown}"));
    }
    let days =
        "`code_quarantine_days` must be a whole number from 0 to 3650, like `code_quarantine_days = 90`, not `-1`";
    wrong("deliveries = true", "code_quarantine_days = -1", days);
    let cards = "site.toml:9: `cards` must be a list of texts in quotes, like `cards = [\"04a2b9c1d2\"]`";
    wrong("[\"04a2b9c1d2\"]", "[42]", &format!("{cards}: it holds `42`"));
    wrong("[\"04a2b9c1d2\"]", "42", &format!("{cards}, not `42`"));
    wrong("keyward = 1", "keyward = -1", "`keyward` must be a whole number from 0, like `keyward = 1`, not `-1`");
    wrong("until = 2026-12-31T18:00:00-05:00", "until = 5", "write a moment like 2026-11-23T10:00:00-05:00, not `5`");
}

#[test]
fn a_period_of_no_length_is_called_empty() {
    let until = "until = 2026-12-31T18:00:00-05:00";
    wrong(until, &format!("from = 2026-12-31T23:00:00Z\n  {until}"), "the period is empty");
    assert!(
        Site::parse("site.toml", &RIGHT.replace(until, &format!("from = 2026-12-31T22:59:59Z\n  {until}"))).is_ok()
    );
}

// S4
#[test]
fn the_zone_of_nowhere_is_no_zone() {
    wrong("America/New_York", "Etc/Unknown", "site.toml:17: `Etc/Unknown` is no IANA time zone");
    wrong("America/New_York", "Etc/Unknwn", "is no IANA time zone");
    let unknown = errors(&RIGHT.replace("America/New_York", "Etc/Unknwn"));
    assert!(!unknown[0].contains("`Etc/Unknown`"), "{unknown:?}");
    assert!(time_zone("Etc/UTC").is_some() && time_zone("Etc/Unknown").is_none());
}

#[test]
fn what_leans_on_something_wrong_is_not_called_wrong_too() {
    for (from, to) in [
        ("name = \"Lobby\"", "name = \"Lob\\u001bby\""),
        ("name = \"business\"", "name = \"busi\\u202eness\""),
        ("name = \"Vendors\"", "name = \"Ven\\u0000dors\""),
        ("name = \"Vendors\"", "name = \"DELIVERIES\""),
        ("name = \"business\"", "name = \"Always\""),
        ("door = \"lobby\"", "door = \"loby\""),
        ("person = \"ana@harbor.example\"", "person = \"anna@harbor.example\""),
        ("may_share = true", "may_share = \"yes\""),
        ("email = \"sam@mail.example\"", "email = \"sam mail\""),
        ("guest = \"sam@mail.example\"", "guest = \"sam@mail.example\"\n  doors = [\"Loby\"]"),
    ] {
        assert!(RIGHT.contains(from), "{from}");
        let name = |text: &str| text.split_once(" = ").map(|(_, name)| name.to_owned()).unwrap();
        // References are changed with the name that they lead to.
        let reference = |field: &str| (format!("{field} = {}", name(from)), format!("{field} = {}", name(to)));
        let mut text = RIGHT.replacen(from, to, 1);
        let referring: &[&str] = match from {
            "name = \"Lobby\"" => &["door"],
            "name = \"business\"" => &["schedule"],
            "name = \"Vendors\"" => &["key"],
            "email = \"sam@mail.example\"" => &["guest"],
            _ => &[],
        };
        let lower = text
            .replace("door = \"lobby\"", "door = \"Lobby\"")
            .replace("schedule = \"Business\"", "schedule = \"business\"");
        text = if referring.is_empty() { text } else { lower.replace("key = \"vendors\"", "key = \"Vendors\"") };
        for field in referring {
            let (old, new) = reference(field);
            assert!(text.contains(&old), "{old}");
            text = text.replace(&old, &new);
        }
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{to}: {found:#?}");
    }
}

/// How many errors offer a name that was perhaps meant.
fn suggestions(errors: &[String]) -> usize {
    errors.iter().filter(|error| error.contains("did you mean")).count()
}

#[test]
fn thousands_of_wrong_names_are_refused_without_comparing_each_with_each() {
    let person = |n: usize| format!("[[person]]\nname = \"P\"\nemail = \"person-{n}@mail.example\"\n");
    let giving =
        |n: usize| format!("  [[property.giving]]\n  key = \"Vendors\"\n  person = \"persn-{n}@mail.example\"\n");
    let people: String = (0..20_000).map(person).collect();
    let givings: String = (0..3_000).map(giving).collect();
    let found = errors(&RIGHT.replacen("[[person]]", &format!("{people}[[person]]"), 1).replacen(
        "  [[property.share]]",
        &format!("{givings}  [[property.share]]"),
        1,
    ));
    assert_eq!(found.len(), 3_000);
    assert!((5..300).contains(&suggestions(&found)), "{}", suggestions(&found));
    // A file of a usual size gets one for each.
    let few: String = (0..100).map(giving).collect();
    let found = errors(&RIGHT.replacen("[[person]]", &format!("{}[[person]]", person(7)), 1).replacen(
        "  [[property.share]]",
        &format!("{few}  [[property.share]]"),
        1,
    ));
    assert_eq!((found.len(), suggestions(&found)), (100, 100));
}

// G1
#[test]
fn thousands_of_shares_of_a_key_with_thousands_of_doors_are_read() {
    let door = |n: usize| format!("  [[property.door]]\n  name = \"Door {n}\"\n  kind = \"service\"\n");
    let guest = |n: usize| format!("[[person]]\nname = \"G\"\nemail = \"guest-{n}@mail.example\"\n");
    let share = |n: usize| {
        let people = format!("host = \"ana@harbor.example\"\n  guest = \"guest-{n}@mail.example\"");
        format!("  [[property.share]]\n  key = \"Vendors\"\n  {people}\n  doors = [\"Door {n}\"]\n")
    };
    let all = |entry: &dyn Fn(usize) -> String| (0..2_000).map(entry).collect::<String>();
    let text = RIGHT
        .replacen("[[person]]", &format!("{}[[person]]", all(&guest)), 1)
        .replacen("  [[property.door]]", &format!("{}  [[property.door]]", all(&door)), 1)
        .replacen("schedule = \"Business\" }]", "schedule = \"Business\" }]\n  rules = [{ schedule = \"always\" }]", 1);
    let site = Site::parse("site.toml", &format!("{text}{}", all(&share))).unwrap();
    let portfolio = site.portfolio(PortfolioId(1));
    let property = portfolio.property_by_name("1800 Main St").unwrap();
    assert_eq!((property.doors.len(), property.shares.len()), (2_001, 2_001));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = RIGHT.replace("kind = \"entrance\"", "kind = \"gate\"").replace("Mon-Fri 08:00", "Monday 08:00");
    assert_eq!(errors(&text).len(), 2);
}

// G1, G2
#[test]
fn a_key_twice_and_a_share_twice_are_refused() {
    let again = "\n  [[property.giving]]\n  key = \"Vendors\"\n  person = \"ana@harbor.example\"\n";
    assert!(errors(&format!("{RIGHT}{again}"))[0].contains("holds this Key already"));
    let again = "\n  [[property.share]]\n  key = \"Vendors\"\n  host = \"ana@harbor.example\"\n  guest = \"sam@mail.example\"\n";
    assert!(errors(&format!("{RIGHT}{again}"))[0].contains("shares this Key with this guest already"));
}

#[test]
fn more_doors_than_a_property_may_have_are_refused() {
    let door = |n: usize| format!("  [[property.door]]\n  name = \"Door {n}\"\n  kind = \"service\"\n");
    let most = keyward_protocol::limits::DOORS_PER_PROPERTY_MAX;
    let doors: String = (1..=most).map(door).collect();
    let found = errors(&RIGHT.replacen("  [[property.door]]", &format!("{doors}  [[property.door]]"), 1));
    assert!(found[0].contains(&format!("at most {most} doors")), "{:?}", found.first());
}

#[test]
fn what_a_file_holds_never_steers_the_terminal_that_its_errors_are_shown_on() {
    for field in ["key = \"vendors\"", "windows = [\"Mon-Fri 08:00-18:00\"]", "name = \"Vendors\""] {
        let (name, _) = field.split_once(' ').unwrap();
        let evil = format!("{name} = \"\\u001b[2J\\u202e\"\n\"\\u001b]0;x\" = 1");
        for error in errors(&RIGHT.replacen(field, &evil, 1)) {
            assert!(!error.chars().any(keyward_protocol::name::is_unsafe), "{error:?}");
        }
    }
}

#[test]
fn a_share_of_a_door_that_is_not_there_is_one_error() {
    let found = errors(&format!("{RIGHT}  doors = [\"Loby\"]\n"));
    assert_eq!((found.len(), found[0].contains("did you mean `Lobby`?")), (1, true), "{found:?}");
}

#[test]
fn no_bytes_make_it_panic() {
    for cut in 0..RIGHT.len() {
        _ = Site::parse("cut.toml", &RIGHT[..cut]);
        let mut bytes = RIGHT.as_bytes().to_vec();
        bytes[cut] = bytes[cut].wrapping_mul(31).wrapping_add(7) & 0x7f;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            _ = Site::parse("changed.toml", text);
        }
    }
}
