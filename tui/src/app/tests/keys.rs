//! What events make of what lies over the Keys' screen.

use keyward_protocol::{
    entry::{DoorKind, DoorRule, Holiday, KeyDoor, KeySpec, Level, Opening, ScheduleRef},
    schedule::{Hours, OnHolidays, Span, Window},
    time::Date,
};

use super::*;

fn after(level: Option<Level>, portfolio_manager: bool, chords: &str) -> Client {
    let mut client = Client::unconnected(Glyphs::ASCII, 120, 40);
    (client.level, client.portfolio_manager) = (level, portfolio_manager);
    client.up();
    client.chords(chords);
    client
}

const ALWAYS: Opening = Opening { schedule: ScheduleRef::Always, code: true };

fn listed(doors: &[(u32, Opening)]) -> Vec<KeyDoor> {
    doors.iter().map(|(door, opening)| KeyDoor { door: DoorId(*door), opening: *opening }).collect()
}

fn key_a(doors: &[(u32, Opening)], rules: Vec<DoorRule>) -> KeySpec {
    KeySpec { name: "Key A".into(), may_share: true, doors: listed(doors), rules }
}

fn hours(windows: &[&str], on_holidays: OnHolidays) -> Hours {
    Hours { windows: windows.iter().map(|window| Window::parse(window).unwrap()).collect(), on_holidays }
}

#[test]
fn each_act_is_one_pinned_command_that_was_read_before() {
    let property = PropertyId(1);
    let named = |id, code| Opening { schedule: ScheduleRef::Named(ScheduleId(id)), code };
    let edit = |doors: &[(u32, Opening)], rules| Command::EditKey(KeyId(1), key_a(doors, rules));
    let vacant = DoorRule {
        kind: Some(DoorKind::Unit),
        occupied: Some(false),
        labels: vec!["floor 2".into()],
        except: vec![DoorId(3)],
        opening: named(1, true),
    };
    let residences = |rule: DoorRule| {
        let doors = listed(&[(1, ALWAYS), (2, ALWAYS)]);
        Command::EditKey(KeyId(4), KeySpec { name: "Residences".into(), may_share: true, doors, rules: vec![rule] })
    };
    let date = |year, month, day| Date { year, month, day };
    let winter = Holiday { name: "Winter break".into(), from: date(2026, 12, 24), to: date(2027, 1, 1) };
    let own = OnHolidays::Own(vec![Span::parse("10:00-14:00").unwrap()]);
    let nights = ["Fri,Sat 20:10-02:00", "Sun 20:00-23:30"];
    let cases: Vec<(&str, &str, Command)> = vec![
        // A new Key with two doors, one taken out again.
        ("nBikes\n\n\nagar\n\t\n\n\naroof\n\t\n\n\nxs", "", {
            let doors = listed(&[(5, ALWAYS)]);
            Command::MakeKey(property, KeySpec { name: "Bikes".into(), may_share: false, doors, rules: vec![] })
        }),
        ("eaunit 205\n\tnights\n>\n\ns", "", edit(&[(1, ALWAYS), (2, ALWAYS), (3, named(2, false))], vec![])),
        // What is added again gets the new hours and stands once.
        ("eagar\n\tbusi\n\n\ns", "", edit(&[(1, ALWAYS), (2, named(1, true))], vec![])),
        ("e  ebusi\n>\n\ns", "", edit(&[(1, named(1, false)), (2, named(1, false))], vec![])),
        ("ejxuxs", "", edit(&[(2, ALWAYS)], vec![])),
        ("eA>>>>\t>\tfloor 2\nunit 205\n\tbusi\n\n\ns", "", edit(&[(1, ALWAYS), (2, ALWAYS)], vec![vacant.clone()])),
        ("jjjejje\t>\t\t\t\t\t\ns", "", {
            let (except, opening) = (vec![DoorId(4)], named(2, true));
            residences(DoorRule { occupied: Some(true), except, opening, ..vacant.clone() })
        }),
        ("d\n\n\ns", "", {
            let spec = key_a(&[(1, ALWAYS), (2, ALWAYS)], vec![]);
            Command::MakeKey(property, KeySpec { name: "Key A copy".into(), ..spec })
        }),
        ("D", "DELETE KEY", Command::DeleteKey(KeyId(1))),
        ("O", "OPT OUT", Command::SetDeliveries(property, false)),
        ("SnMornings\nMon,Wed 06:00-09:30\n\t\t\n", "", {
            Command::MakeSchedule(property, "Mornings".into(), hours(&["Mon,Wed 06:00-09:30"], OnHolidays::AsUsual))
        }),
        // Painted: 08:00 to 09:00 on Monday.
        ("SnDay\n\n  \t\t\n", "", {
            Command::MakeSchedule(property, "Day".into(), hours(&["Mon 08:00-09:00"], OnHolidays::AsUsual))
        }),
        ("Sje\t\t  \t\t\t\n", "", {
            let windows = ["Mon 08:00-09:00", "Fri,Sat 20:10-02:00", "Sun 20:00-23:30"];
            Command::EditSchedule(property, ScheduleId(2), "Nights".into(), hours(&windows, own))
        }),
        ("Sje\t\t\t>\t\n", "", {
            Command::EditSchedule(property, ScheduleId(2), "Nights".into(), hours(&nights, OnHolidays::AsUsual))
        }),
        ("SjD", "DELETE SCHEDULE", Command::DeleteSchedule(property, ScheduleId(2))),
        ("S\tnMay day\n2027-05-01\n\n\n", "", {
            let day = Holiday { name: "May day".into(), from: date(2027, 5, 1), to: date(2027, 5, 1) };
            Command::SetHolidays(property, vec![winter.clone(), day])
        }),
        ("S\tD", "", Command::SetHolidays(property, vec![])),
    ];
    for (chords, typed, command) in cases {
        let mut client = after(Some(Level::Full), true, chords);
        assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{chords:?}\n{}", client.drawn());
        assert!(client.done().is_empty(), "{chords:?}: a preview changes nothing");
        client.press(typed);
        client.key(KeyCode::Enter);
        assert_eq!(client.done(), [(&command, true)], "{chords:?}\n{}", client.drawn());
    }
}

#[test]
fn a_draft_that_is_saved_is_over_and_one_that_is_not_is_left_only_when_asked_twice() {
    let client = after(Some(Level::Full), true, "exs\n");
    assert!(client.drawn().contains("Keys  ") && !client.drawn().contains("DRAFT"), "{}", client.drawn());
    let mut client = after(Some(Level::Full), true, "exq");
    assert!(
        client.drawn().contains("NOT SAVED") && client.drawn().contains("once more leaves it"),
        "{}",
        client.drawn()
    );
    client.press("jq");
    assert!(client.drawn().contains("NOT SAVED"), "{}", client.drawn());
    client.press("q");
    assert!(!client.drawn().contains("NOT SAVED") && client.done().is_empty(), "{}", client.drawn());
    // Without changes there is nothing to lose.
    let client = after(Some(Level::Full), true, "eq");
    assert!(!client.drawn().contains("DRAFT"), "{}", client.drawn());
}

#[test]
fn a_draft_of_a_key_that_somebody_else_changed_is_not_saved() {
    // Between two looks at the data, too: saving looks first.
    let mut client = after(Some(Level::Full), true, "ex");
    client.overtaken = true;
    client.press("s");
    assert!(client.app.dialog().is_none() && client.drawn().contains("somebody else changed"), "{}", client.drawn());
    let mut client = after(Some(Level::Full), true, "ex");
    client.overtaken = true;
    down(&mut client);
    client.up();
    client.press("s");
    assert!(client.app.dialog().is_none(), "{}", client.drawn());
    assert!(client.drawn().contains("somebody else changed the Key since"), "{}", client.drawn());
}

#[test]
fn esc_takes_marks_away_before_it_leaves() {
    let mut client = after(Some(Level::Full), true, "e ");
    client.key(KeyCode::Esc);
    assert!(client.drawn().contains("DRAFT") && !client.drawn().contains("1 marked"), "{}", client.drawn());
    client.key(KeyCode::Esc);
    assert!(!client.drawn().contains("DRAFT"), "{}", client.drawn());
}

#[test]
fn windows_that_can_not_be_read_are_not_left_and_not_saved() {
    for (text, why) in
        [("Mon", "is no window"), ("Mon 8-9", "is no stretch of time"), ("Xyz 08:00-09:00", "names no days")]
    {
        let client = after(Some(Level::Full), true, &format!("Snx\n{text}\n"));
        assert!(client.drawn().contains(why), "{text}\n{}", client.drawn());
        assert!(matches!(client.app.dialog(), Some(Dialog::Week(week)) if week.focus() == week::Focus::Text), "{text}");
    }
    let client = after(Some(Level::Full), true, "Sn\n\n\t\t\n");
    assert!(client.drawn().contains("a schedule has a name"), "{}", client.drawn());
}

#[test]
fn people_against_doors_ask_only_for_what_is_seen_and_once() {
    let mut client = after(Some(Level::Full), true, "");
    let before = client.asked.len();
    client.chords("v");
    let of = |client: &Client, what: fn(&Request) -> bool| {
        client.asked.iter().skip(before).filter(|asked| what(asked)).count()
    };
    let people = of(&client, |asked| matches!(asked, Request::Person(_)));
    let keys = of(&client, |asked| matches!(asked, Request::Key(_)));
    // Tracy's three Keys, of which one has ended, the one that she is a guest of, and Key B of the others.
    assert_eq!((people, keys), (4, 5));
    client.chords("jj>>jk");
    assert_eq!(of(&client, |asked| matches!(asked, Request::Person(_) | Request::Key(_))), people + keys);
    let screen = client.drawn();
    assert!(screen.contains("Unit 205"), "the door under the cursor: {screen}");
}

#[test]
fn what_a_manager_may_not_do_says_why_and_opens_nothing() {
    let specific = || Some(Level::Specific(vec![KeyId(1)]));
    let cases: [(Option<Level>, bool, &str, &str); 7] = [
        (Some(Level::Limited), false, "e", "Limited: can't make, edit or delete Keys"),
        (specific(), false, "n", "Specific: can't make, edit or delete Keys"),
        (specific(), false, "S", "Specific: can't make, edit or delete Keys"),
        (Some(Level::Full), false, "O", "opting in and out of deliveries is for Portfolio Managers"),
        (None, true, "v", "you manage no Keys of this property"),
        (Some(Level::Full), true, "SD", "Keys use it"),
        (Some(Level::Full), true, "exxs", "a Key has doors or rules"),
    ];
    for (level, portfolio_manager, chords, why) in cases {
        let client = after(level, portfolio_manager, chords);
        assert!(client.app.dialog().is_none(), "{chords}\n{}", client.drawn());
        assert!(client.drawn().contains(why), "{chords}\n{}", client.drawn());
    }
}

// V2
#[test]
fn deliveries_is_neither_edited_nor_copied_nor_deleted() {
    for chord in ["e", "d", "D"] {
        let mut client = after(Some(Level::Full), true, "");
        client.key(KeyCode::End);
        client.press(chord);
        assert!(client.app.dialog().is_none() && !client.drawn().contains("DRAFT"), "{}", client.drawn());
        assert!(client.drawn().contains("managed by the system"), "{}", client.drawn());
    }
}
