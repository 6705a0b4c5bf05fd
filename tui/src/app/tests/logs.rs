//! What events make of the log, its history, explanations and exports.

use std::time::Duration;

use crossterm::event::KeyCode;
use keyward_protocol::{
    entry::{Command, Period, Refusal},
    id::{DoorId, KeyId, PersonId},
    message::{manage::Request, watch::Search},
};

use super::client;
use crate::{
    app::{
        Effect, Event, ScreenId,
        jobs::{JobId, Writing},
        testing::{Client, batch, noon},
    },
    remote::{Failure, LinkTold, Told},
    theme::Glyphs,
};

/// At the log, where so many rows are recorded.
fn recorded(count: usize) -> Client {
    let mut client = client();
    client.recorded = count;
    client.tell(batch());
    client.press("4");
    client.asked.clear();
    client
}

fn jump(client: &mut Client, when: &str) {
    client.press(&format!("T{when}"));
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
}

fn searches(client: &Client) -> Vec<&Search> {
    let searches = client.asked.iter().filter_map(|request| match request {
        Request::Search(search) => Some(search),
        _ => None,
    });
    searches.collect()
}

// L3
#[test]
fn the_recorded_log_is_paged_back_and_forth_around_a_time() {
    let mut client = recorded(500);
    jump(&mut client, "08:48:55");
    // The rows of 08:48 are the 180th before noon: there is more on both sides.
    assert!(client.drawn().contains("11-20 08:47:55"), "{}", client.drawn());
    let anchor = noon().plus_seconds(-180 * 60);
    let (back, forth) = (searches(&client)[0].clone(), searches(&client)[1].clone());
    assert_eq!((back.newest_first, back.until, forth.newest_first, forth.from), (true, anchor, false, anchor));
    for _ in 0..10 {
        client.key(KeyCode::Home);
    }
    assert!(client.drawn().contains("from the beginning"), "{}", client.drawn());
    assert!(client.drawn().contains(">11-20 03:28:55"), "{}", client.drawn());
    for _ in 0..10 {
        client.key(KeyCode::End);
    }
    assert!(client.drawn().contains(">11-20 11:47:55"), "{}", client.drawn());
    let asked = searches(&client).len();
    client.press("kkj");
    assert_eq!(searches(&client).len(), asked, "all of it is here");
    client.key(KeyCode::Esc);
    assert!(client.drawn().contains("Logs > live"), "{}", client.drawn());
}

#[test]
fn a_filter_is_asked_of_the_server_once_it_is_typed_with_the_ids_that_are_meant() {
    let mut client = recorded(500);
    jump(&mut client, "");
    client.asked.clear();
    client.tell(Event::Key(KeyCode::Char('/').into()));
    for c in "deny door:gar* reason:no_key since:2h".chars() {
        client.key_at_once(KeyCode::Char(c));
    }
    assert!(client.asked.is_empty(), "nobody is asked while it is typed");
    client.later(400);
    let last = searches(&client)[0];
    assert_eq!((last.granted, last.doors.clone()), (Some(false), Some(vec![DoorId(2)])));
    assert_eq!(last.from, client.app.shell.now.unwrap().plus_seconds(-7_200 - 1).max(last.from));
    client.key(KeyCode::Enter);
    client.press("@");
    client.later(400);
    assert_eq!(searches(&client).last().unwrap().person, Some(PersonId(1)));
    assert!(client.drawn().contains("person:#1"), "{}", client.drawn());
    client.press("@");
    assert!(!client.drawn().contains("person:#1"), "{}", client.drawn());
}

#[test]
fn what_is_found_row_by_row_is_looked_for_page_by_page_and_not_for_ever() {
    let mut client = recorded(6_000);
    jump(&mut client, "");
    client.asked.clear();
    "/person:nobody\n"
        .chars()
        .for_each(|c| client.key_at_once(if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) }));
    client.later(400);
    let pages = searches(&client).len();
    assert!((40..60).contains(&pages), "{pages}");
    assert!(client.drawn().contains("PgUp goes on"), "{}", client.drawn());
    client.key(KeyCode::PageUp);
    assert!(searches(&client).len() > pages + 15);
}

#[test]
fn a_lost_page_is_asked_again_when_somebody_goes_on() {
    let mut client = recorded(500);
    client.silent = true;
    jump(&mut client, "");
    client.failures = Some(Failure::Lost("no answer in time".into()));
    client.answer_waiting();
    assert!(client.drawn().contains("no answer in time: move on to ask again"), "{}", client.drawn());
    client.failures = None;
    client.press("k");
    assert!(client.drawn().contains("11-20 11:47:55"), "{}", client.drawn());
}

// U5, U6
#[test]
fn a_line_is_explained_at_its_moment_and_now_and_at_other_times() {
    let mut client = recorded(0);
    client.press("EEx");
    let explained = |client: &Client| -> Vec<Option<String>> {
        let at = |request: &Request| match request {
            Request::Explain { person: PersonId(2), door: DoorId(1), by_code: true, at } => {
                Some(at.map(|at| at.to_string()))
            }
            _ => None,
        };
        client.asked.iter().filter_map(at).collect()
    };
    assert_eq!(explained(&client), [Some("2026-11-20T16:48:41.207Z".into()), None]);
    client.key(KeyCode::Tab);
    assert!(client.asked.iter().any(|request| matches!(request, Request::WhoCan(DoorId(1), Some(_), _))));
    client.press("T2026-12-24 18:00");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    assert_eq!(explained(&client)[2..], [Some("2026-12-24T23:00:00Z".into()), None]);
    client.press("T2026-11-01 01:30");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("skip or repeat"), "{}", client.drawn());
    client.key(KeyCode::Esc);
    client.key(KeyCode::Esc);
    assert!(client.drawn().contains("Logs > live"), "{}", client.drawn());
}

#[test]
fn who_can_be_explained_is_asked_for_by_name_from_any_screen() {
    let mut client = client();
    client.press(":explain lee garage 2026-11-20 18:00");
    (0..6).for_each(|_| client.key(KeyCode::Enter));
    let asked = client.asked.iter().find_map(|request| match request {
        Request::Explain { person, door, by_code, at: Some(at) } => Some((*person, *door, *by_code, at.to_string())),
        _ => None,
    });
    assert_eq!(asked, Some((PersonId(2), DoorId(2), false, "2026-11-20T23:00:00Z".into())));
    assert!(client.drawn().contains("WHY: Lee at Garage"), "{}", client.drawn());
}

// U5
#[test]
fn a_person_or_a_door_is_explained_from_its_row_and_its_page() {
    let then = "2026-12-01T13:00:00Z";
    // `\n` is Enter, `\t` Tab: chords, then who, which door, by what and when.
    let cases = [
        ("2jxgar\n\n\n\n", 2, 2, false, None),
        ("2j  xgar\n\n\n\n", 4, 2, false, None),
        ("2j\nxmain\n\n\n\n", 2, 1, false, None),
        ("2jxgar\n\n2026-12-01 08:00\n\n", 2, 2, false, Some(then)),
        // The door of the code under the cursor: nothing is left to be chosen.
        ("2j\n\t\t\tjx\n", 2, 2, true, None),
        ("3jxlee\n\t\n\n\n", 2, 2, false, None),
        ("3j\nxlee\n\n\n\n\n", 2, 2, false, None),
        // Who can open it, now and at the moment that was asked for.
        ("3j\n\tx\n", 1, 2, false, None),
        ("3j\n\tT2026-12-01 08:00\n\nx\n", 1, 2, false, Some(then)),
    ];
    for (chords, person, door, by_code, at) in cases {
        let mut client = client();
        client.chords(chords);
        let explained = client.asked.iter().find_map(|request| match request {
            Request::Explain { person, door, by_code, at } => {
                Some((*person, *door, *by_code, at.map(|at| at.to_string())))
            }
            _ => None,
        });
        let expected = (PersonId(person), DoorId(door), by_code, at.map(str::to_owned));
        assert_eq!(explained, Some(expected), "{chords:?}\n{}", client.drawn());
        assert!(client.drawn().contains("Logs > explain"), "{chords:?}\n{}", client.drawn());
        assert!(client.done().is_empty(), "it only looks");
    }
}

#[test]
fn where_nobody_and_no_door_is_there_is_nothing_to_explain() {
    for (chords, why) in [("2/nowhere", "there is nobody here"), ("3/nowhere", "there is no door here")] {
        let mut client = client();
        client.press(chords);
        client.key(KeyCode::Enter);
        client.press("x");
        assert!(client.app.dialog().is_none() && client.drawn().contains(why), "{}", client.drawn());
    }
}

// U7
#[test]
fn how_the_server_is_tells_its_alerts_as_they_come() {
    let mut client = client();
    client.silent = true;
    client.press(":server");
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("Wrong codes ..."), "{}", client.drawn());
    client.answer_waiting();
    let screen = client.drawn();
    assert!(
        screen.contains("Door codes  are judged") && screen.contains("Garage  at 11:28; takes 0 codes"),
        "{screen}"
    );
    client.press("q");
    assert!(client.app.dialog().is_none());
}

fn written(client: &Client) -> (Vec<&Writing>, String) {
    let writings = client.effects.iter().filter_map(|effect| match effect {
        Effect::Write(_, writing) => Some(writing),
        _ => None,
    });
    let writings: Vec<&Writing> = writings.collect();
    let more = |writing: &&Writing| if let Writing::More(text) = writing { Some(text.clone()) } else { None };
    let text = writings.iter().filter_map(more).collect();
    (writings, text)
}

fn export(client: &mut Client, lines: bool) {
    client.press("X");
    client.key(KeyCode::Enter);
    if lines {
        client.key(KeyCode::Right);
    }
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
}

// L4
#[test]
fn an_export_of_what_was_recorded_is_written_page_by_page_and_is_whole() {
    let mut client = recorded(250);
    jump(&mut client, "");
    client.press("/deny");
    client.key(KeyCode::Enter);
    client.later(400);
    export(&mut client, true);
    let (writings, text) = written(&client);
    assert_eq!(*writings[0], Writing::Begin { name: "log", extension: "jsonl" });
    assert_eq!(**writings.last().unwrap(), Writing::End);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 50);
    assert!(lines[0].contains("2026-11-20T07:38:55") && lines[49].contains("2026-11-20T11:43:55"), "oldest first");
    client.tell(Event::Written(JobId(1), Ok("keyward-log-1.jsonl".into())));
    assert!(client.drawn().contains("50 rows written to keyward-log-1.jsonl"), "{}", client.drawn());
}

#[test]
fn an_export_of_marked_rows_is_of_those_and_hides_who_is_hidden() {
    let mut client = recorded(0);
    client.press("PEmEEm");
    export(&mut client, false);
    let (writings, text) = written(&client);
    assert_eq!((writings.len(), text.lines().count()), (3, 3), "the titles and two rows");
    assert!(!text.contains("Lee") && text.contains("(hidden)"), "{text}");
}

#[test]
fn an_export_that_is_refused_or_cant_be_written_leaves_nothing_and_says_so() {
    let mut client = recorded(250);
    jump(&mut client, "");
    client.failures = Some(Failure::Refused(Refusal::NotPermitted("being a manager".into())));
    export(&mut client, false);
    assert_eq!(written(&client).0.last(), Some(&&Writing::Drop));
    assert!(client.drawn().contains("being a manager is missing"), "{}", client.drawn());
    client.failures = None;
    export(&mut client, false);
    client.tell(Event::Written(JobId(2), Err("no space left".into())));
    assert!(client.drawn().contains("is not written: no space left"), "{}", client.drawn());
}

#[test]
fn a_long_filter_of_rows_stays_where_it_is_over_a_pause() {
    let mut client = Client::new(Glyphs::ASCII, 80, 24);
    client.tell(batch());
    client.press("4/deny");
    client.key(KeyCode::Enter);
    client.press(" ");
    client.tell(batch());
    let screen = client.drawn();
    assert!(screen.contains("PAUSED +2 of 4 new") && screen.contains("2 of 4 rows kept"), "{screen}");
    client.press(" ");
    assert!(client.drawn().contains("4 of 8 rows kept") && client.drawn().contains("filter: deny"));
}

#[test]
fn what_came_since_a_pause_is_counted_with_what_the_filter_would_show_of_it() {
    let mut client = client();
    client.tell(batch());
    client.press("4 ");
    client.tell(batch());
    assert!(client.drawn().contains("PAUSED +4 new"), "{}", client.drawn());
    // `\n` is Enter, `\x1b` Esc: chords, and what is said before and after another batch of four, of which two are denied.
    let cases = [
        ("/deny\n", "PAUSED +2 of 4 new", "PAUSED +4 of 8 new"),
        ("/ reason:outside_schedule\n", "PAUSED +2 of 8 new", "PAUSED +3 of 12 new"),
        ("\x1b/nothing of it\n", "PAUSED +0 of 12 new", "PAUSED +0 of 16 new"),
        ("\x1b", "PAUSED +16 new", "PAUSED +20 new"),
        ("  ", "PAUSED +0 new", "PAUSED +4 new"),
    ];
    for (chords, before, after) in cases {
        client.chords(chords);
        assert!(client.drawn().contains(before), "{chords:?}\n{}", client.drawn());
        client.tell(batch());
        assert!(client.drawn().contains(after), "{chords:?}\n{}", client.drawn());
    }
}

#[test]
fn moments_in_titles_are_of_the_zone_that_is_chosen() {
    // Chords, what is said of the property's zone, and of UTC.
    let cases = [
        ("4EEx", "Fri 2026-11-20 11:48:41.207 EST", "Fri 2026-11-20 16:48:41.207 UTC"),
        (":explain lee garage 2026-07-01 23:30\n\n\n\n\n\n", "Wed 2026-07-01 23:30 EDT", "Thu 2026-07-02 03:30 UTC"),
        ("3\n\tT2026-12-01 08:00\n\n", "Tue 2026-12-01 08:00 EST", "Tue 2026-12-01 13:00 UTC"),
        ("7", "Fri 2026-11-20 11:47:55 EST", "Fri 2026-11-20 16:47:55 UTC"),
    ];
    for (chords, zone, utc) in cases {
        let mut client = client();
        client.tell(batch());
        client.chords(chords);
        assert!(client.drawn().contains(zone), "{chords:?}\n{}", client.drawn());
        client.press("t");
        assert!(client.drawn().contains(utc) && !client.drawn().contains(zone), "{chords:?}\n{}", client.drawn());
    }
}

#[test]
fn enter_on_a_bar_filters_by_it_and_shows_the_rows() {
    let cases = [
        ("4i\n", "deny reason:outside_schedule", 1),
        ("4ij\n", "deny reason:unknown_credential", 1),
        ("4i\t\n", "deny door:\"Main entrance\"", 2),
        ("4i\t\t\n", "deny person:#2", 1),
        ("4i\t\t\t\n", "deny from:2026-11-20T11:00:00-05:00 until:2026-11-20T12:00:00-05:00", 2),
        // What it was filtered by before still counts, and nothing stands twice.
        ("4/deny main\ni\n", "deny main reason:outside_schedule", 1),
        ("4T\n\ni\t\t\n", "deny person:#2", 1),
    ];
    for (chords, filter, rows) in cases {
        let mut client = client();
        client.tell(batch());
        client.chords(chords);
        assert_eq!(client.app.screen().filtered(), filter, "{chords:?}\n{}", client.drawn());
        client.later(1_000);
        let drawn = client.drawn();
        assert!(!drawn.contains("DENIED by") && drawn.matches(" DENY ").count() == rows + 1, "{chords:?}\n{drawn}");
        // Back goes to the rows as they were, bars don't come back.
        client.chords("\x1b");
        assert_eq!(client.app.screen().filtered(), "", "{chords:?}");
    }
}

#[test]
fn bars_that_no_filter_finds_are_refused_and_the_histogram_is_left_as_a_page_is() {
    let mut client = client();
    client.tell(batch());
    client.chords("4i\t\tj\n");
    assert!(client.drawn().contains("no filter finds these alone"), "{}", client.drawn());
    client.press("y");
    assert!(client.effects.contains(&Effect::Copy("nobody who is known 1 denied".into())));
    client.press("P");
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("there is no bar here"), "{}", client.drawn());
    client.press("q");
    assert!(client.drawn().contains("Logs > live"), "{}", client.drawn());
    // Nothing was denied: nothing is divided by that.
    client.chords("/allow\ni");
    assert!(client.drawn().contains("Nothing was denied among these rows."), "{}", client.drawn());
    client.chords("\n");
    assert!(client.drawn().contains("there is no bar here"), "{}", client.drawn());
}

#[test]
fn a_histogram_says_of_how_many_rows_it_is() {
    let mut client = recorded(500);
    jump(&mut client, "");
    client.press("i");
    let drawn = client.drawn();
    assert!(drawn.contains("denied, of the 100 rows read; more may be recorded"), "{drawn}");
    let mut client = recorded(20);
    jump(&mut client, "");
    // The filter leaves some of what is read.
    client.chords("/deny\n");
    client.later(1_000);
    client.press("i");
    let drawn = client.drawn();
    assert!(drawn.contains("all there is"), "{drawn}");
    let mut client = recorded(0);
    client.press("i");
    let drawn = client.drawn();
    assert!(drawn.contains("2 denied, of 4 rows kept; 3 dropped uncounted; denials are not sampled"), "{drawn}");
}

#[test]
fn from_an_explanation_one_gives_a_key_and_goes_to_the_person_and_to_the_key_that_decides() {
    let explained = || {
        let mut client = client();
        client.tell(batch());
        client.chords("4EEx");
        client
    };
    let mut giving = explained();
    giving.press("g");
    let drawn = giving.drawn();
    assert!(drawn.contains("GIVE a Key TO Lee") && drawn.contains("Employee All Access 24/7"), "{drawn}");
    giving.chords("\t\t\t\t\n");
    giving.later(1_000);
    giving.key(KeyCode::Enter);
    let given = Command::Give { key: KeyId(3), person: PersonId(2), may_share: None, period: Period::default() };
    assert_eq!(giving.done(), [(&given, true)]);

    let mut looking = explained();
    looking.press("o");
    assert_eq!((looking.app.screen_id(), looking.app.screen().filtered()), (ScreenId::People, "Lee"));
    let mut looking = explained();
    looking.press("K");
    assert_eq!((looking.app.screen_id(), looking.app.screen().filtered()), (ScreenId::Keys, "Key B"));
    // A page that is open there gives way, a draft does not.
    for (open, filtered) in [("1\n", "Key B"), ("1e", "")] {
        let mut looking = client();
        looking.tell(batch());
        looking.chords(&format!("{open}4EExK"));
        assert_eq!((looking.app.screen_id(), looking.app.screen().filtered()), (ScreenId::Keys, filtered), "{open}");
        let warns = looking.drawn().contains("something is open here that would be lost");
        assert_eq!(warns, filtered.is_empty(), "{}", looking.drawn());
    }
    let mut hidden = explained();
    hidden.press("Po");
    assert!(hidden.app.screen_id() == ScreenId::Logs && hidden.drawn().contains("people are hidden"));
    let mut without = explained();
    (without.level, without.portfolio_manager) = (None, false);
    without.tell(Event::Told(Told::Link(LinkTold::Down("gone".into(), Duration::from_secs(1)))));
    without.up();
    without.press("g");
    assert!(without.drawn().contains("you manage no Keys of this property"), "{}", without.drawn());
}

#[test]
fn an_explanation_is_saved_as_json_and_hidden_people_are_not_named_in_it() {
    let saved = |chords: &str| {
        let mut client = client();
        client.tell(batch());
        client.chords(chords);
        client.press("w");
        let Some(Effect::Save { name, ending, text }) = client.effects.pop() else { panic!("nothing is saved") };
        (name, ending, text)
    };
    let (name, ending, text) = saved("4EEx");
    assert_eq!((name.as_str(), ending), ("logs", "json"));
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&told["person"], &told["door"], &told["by_code"]),
        (&"Lee".into(), &"Main entrance".into(), &true.into())
    );
    assert_eq!(
        (&told["recorded"]["result"], &told["recorded"]["reason"]),
        (&"deny".into(), &"outside_schedule".into())
    );
    assert_eq!((&told["then"]["reason"], &told["now"]["result"]), (&"outside_schedule".into(), &"allow".into()));
    assert_eq!(told["then"]["keys"][0]["schedules"][0], "business hours");
    assert_eq!(told["then"]["would_have_opened"][0], "Employee All Access 24/7");
    assert!(told["then"]["keys"][1]["key"].is_null(), "what is not told is null");
    let (_, _, hidden) = saved("P4EEx");
    assert!(!hidden.contains("Lee") && hidden.contains("(hidden)"), "{hidden}");
    // Anything else that is shown is saved as it looks.
    assert_eq!(saved("4EEx\t").1, "txt");
    assert_eq!(saved("4").1, "txt");
}
