//! Screens as they are drawn, without colours.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keyward_protocol::{decision::Reason, time::Moment};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier},
};

use super::*;
use crate::{
    app::{Counts, Event, Header, KeyRow, Link, LogRow, update},
    theme::{Glyphs, Theme},
};

#[test]
fn the_live_log_on_the_usual_terminal() {
    check(
        "4",
        Glyphs::ASCII,
        80,
        24,
        r"
 keyward  demo  [up 410us]  rev 18204  1800 Main St                EST 11:48:55
  1 Keys  [4 Logs]            35/s  2,331 granted  67 denied  p50 41us  p99 2ms
 1800 Main St > Logs > live                                         5 rows kept
+-TIME---------RESULT-REASON-------------DOOR-----------PERSON------KEY--------+
| 11:48:41.207 DENY   outside_schedule   Garage G2      Vera Ruiz   --         |
| 11:48:43.950 DENY   unknown_credential Garage G1      --          --         |
| 11:48:51.113 ALLOW  --                 Main entrance  Sam Park    Residences |
| 11:48:52.480 DENY   too_many_wrong_co~ Garage G1      --          --         |
|>11:48:54.871 ALLOW  --                 Loading dock ~ ?? Kova?    Employee A~|
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-RATE last 4 min--------------------------------------------------------------+
| ALLOW                                          . . | .             1,331/min |
| DENY                                           .   . |                17/min |
| denied so far:  no_key 58  outside_schedule 9                                |
+------------------------------------------------------------------------------+
 FOLLOWING  shown 1 in 1,240, dropped 3
 ? help  q quit  Space pause  / filter  Enter detail  1 Keys  4 Logs
",
    );
}

#[test]
fn the_keys_on_the_usual_terminal() {
    check(
        "1",
        Glyphs::UNICODE,
        80,
        24,
        r"
 keyward  demo  [up 410us]  rev 18204  1800 Main St                EST 11:48:55
 [1 Keys]  4 Logs             35/s  2,331 granted  67 denied  p50 41us  p99 2ms
 1800 Main St > Keys                                                     4 Keys
┌─NAME─────────────────────────────DOORS─PEOPLE─SHARE─HOURS────────────────────┐
│▸Amenities                           20    362 no    Mon-Sun 06:00-22:00      │
│ Employee All Access 24/7           214     11 no    always                   │
│ Residences                           6  1,362 yes   always                   │
│ Deliveries [system]                  4     -- --    carriers, always         │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
├─DETAIL───────────────────────────────────────────────────────────────────────┤
│ Name     Amenities                    Hours    Mon-Sun 06:00-22:00           │
│ Doors    20                           People   362                           │
│ Share    holders may not share it     Opened   not in the rows kept          │
└──────────────────────────────────────────────────────────────────────────────┘
 shown 1 in 1,240, dropped 3
 ? help  q quit  Space pause  / filter  Enter detail  1 Keys  4 Logs
",
    );
}

#[test]
fn the_live_log_on_a_large_terminal_has_every_column_and_the_row_in_full() {
    check(
        "4k",
        Glyphs::UNICODE,
        120,
        40,
        r"
 keyward  demo  [up 410us]  rev 18204  1800 Main St                                                        EST 11:48:55
  1 Keys  [4 Logs]                                                    35/s  2,331 granted  67 denied  p50 41us  p99 2ms
 1800 Main St > Logs > live                                                                                 5 rows kept
┌─TIME─────────RESULT─REASON───────────────DOOR───────────────PERSON───────────KEY─────────────WITH─────GUEST OF───────┐
│ 11:48:41.207 DENY   outside_schedule     Garage G2          Vera Ruiz        --              code     --             │
│ 11:48:43.950 DENY   unknown_credential   Garage G1          --               --              code     --             │
│ 11:48:51.113 ALLOW  --                   Main entrance      Sam Park         Residences      code     Tracy Ortiz    │
│▸11:48:52.480 DENY   too_many_wrong_codes Garage G1          --               --              code     --             │
│ 11:48:54.871 ALLOW  --                   Loading dock behi… 東京 Kovač       Employee All A… code     --             │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
├─DETAIL───────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ Time     2026-11-20T11:48:52.48-05:00                     Result   DENY too_many_wrong_codes                         │
│ Why      too many wrong codes at this door                Door     Garage G1                                         │
│ Person   --                                               Key      --                                                │
│ With     code                                                                                                        │
├─RATE last 7 min──────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ ALLOW                                                                              ▃ ▂ █ ▁                 1,331/min │
│ DENY                                                                               ▁   ▃ █                    17/min │
│ denied so far:  no_key 58  outside_schedule 9                                                                        │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 PAUSED +0 new  shown 1 in 1,240, dropped 3
 ? help  q quit  Space follow  / filter  Enter detail  1 Keys  4 Logs  P hide people
",
    );
}

#[test]
fn the_keys_on_a_large_terminal_stand_beside_the_log() {
    check(
        "1j",
        Glyphs::ASCII,
        120,
        40,
        r"
 keyward  demo  [up 410us]  rev 18204  1800 Main St                                                        EST 11:48:55
 [1 Keys]  4 Logs                                                     35/s  2,331 granted  67 denied  p50 41us  p99 2ms
 1800 Main St > Keys                                                                                             4 Keys
+-NAME----------------------------------------------DOORS-PEOPLE-SHARE-HOURS-------------------------------------------+
| Amenities                                            20    362 no    Mon-Sun 06:00-22:00                             |
|>Employee All Access 24/7                            214     11 no    always                                          |
| Residences                                            6  1,362 yes   always                                          |
| Deliveries [system]                                   4     -- --    carriers, always                                |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
+-DETAIL---------------------------------------------------------------------------------------------------------------+
| Name     Employee All Access 24/7                         Hours    always                                            |
| Doors    214                                              People   11                                                |
| Share    holders may not share it                         Opened   11:48:54 Loading dock behind the east wing        |
+-TIME---------RESULT-REASON---------------DOOR---------------PERSON-----------KEY-------------WITH-----GUEST OF-------+
| 11:48:41.207 DENY   outside_schedule     Garage G2          Vera Ruiz        --              code     --             |
| 11:48:43.950 DENY   unknown_credential   Garage G1          --               --              code     --             |
| 11:48:51.113 ALLOW  --                   Main entrance      Sam Park         Residences      code     Tracy Ortiz    |
| 11:48:52.480 DENY   too_many_wrong_codes Garage G1          --               --              code     --             |
| 11:48:54.871 ALLOW  --                   Loading dock behi~ ?? Kova?         Employee All A~ code     --             |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
|                                                                                                                      |
+-RATE last 7 min------------------------------------------------------------------------------------------------------+
| ALLOW                                                                              . . | .                 1,331/min |
| DENY                                                                               .   . |                    17/min |
| denied so far:  no_key 58  outside_schedule 9                                                                        |
+----------------------------------------------------------------------------------------------------------------------+
 shown 1 in 1,240, dropped 3
 ? help  q quit  Space pause  / filter  Enter detail  1 Keys  4 Logs  P hide people
",
    );
}

#[test]
fn a_small_terminal_keeps_what_happened_where_and_to_whom() {
    check(
        "4",
        Glyphs::ASCII,
        40,
        12,
        r"
 [up 410us]  1800 Main St      11:48:55
-TIME-----RESULT-DOOR---------PERSON----
 11:48:41 DENY   Garage G2    Vera Ruiz
 11:48:43 DENY   Garage G1    --
 11:48:51 ALLOW  Main entran~ Sam Park
 11:48:52 DENY   Garage G1    --
>11:48:54 ALLOW  Loading doc~ ?? Kova?


----------------------------------------
 FOLLOWING  1 in 1,240, dropped 3
 ? help  q quit  Space pause  / filter
",
    );
    check(
        "4",
        Glyphs::UNICODE,
        40,
        12,
        r"
 [up 410us]  1800 Main St      11:48:55
─TIME─────RESULT─DOOR─────────PERSON────
 11:48:41 DENY   Garage G2    Vera Ruiz
 11:48:43 DENY   Garage G1    --
 11:48:51 ALLOW  Main entran… Sam Park
 11:48:52 DENY   Garage G1    --
▸11:48:54 ALLOW  Loading doc… 東京 Kovač


────────────────────────────────────────
 FOLLOWING  1 in 1,240, dropped 3
 ? help  q quit  Space pause  / filter
",
    );
    check(
        "1",
        Glyphs::ASCII,
        40,
        12,
        r"
 [up 410us]  1800 Main St      11:48:55
-NAME-------------DOORS-PEOPLE-HOURS----
>Amenities           20    362 Mon-Sun ~
 Employee All A~    214     11 always
 Residences           6  1,362 always
 Deliveries [sy~      4     -- carriers~



----------------------------------------
 1 in 1,240, dropped 3
 ? help  q quit  Space pause  / filter
",
    );
}

#[test]
fn the_help_is_the_chord_table() {
    check(
        "?",
        Glyphs::ASCII,
        80,
        24,
        r"
 keyward  demo  [up 410us]  rev 18204  1800 Main St                EST 11:48:55
  1 Keys  [4 Logs]            35/s  2,331 granted  67 denied  p50 41us  p99 2ms
 1800 Main St > Logs > live                                         5 rows kept
+-HELP-------------------------------------------------------------------------+
| ?        this help                                                           |
| q        close what is open, then quit                                       |
| Space    stop the live log, or follow it again                               |
| /        filter by door, person, Key or reason; Enter keeps it               |
| Enter    show the row in full                                                |
| 1        the Keys of the property                                            |
| 4        the live access log                                                 |
| P        hide people's names, or show them again                             |
| Esc      close what is open; else clear the filter                           |
| Up k     one row up; the live log stops                                      |
| Down j   one row down                                                        |
| Left h   the screen to the left                                              |
| Right l  the screen to the right                                             |
| PgUp     one page up                                                         |
| PgDn     one page down                                                       |
| Home g   the first row                                                       |
| End G    the last row; the live log is followed again                        |
+------------------------------------------------------------------------------+
 FOLLOWING  shown 1 in 1,240, dropped 3
 ? help  q close  Space pause  / filter  Enter detail  1 Keys  4 Logs
",
    );
    let mut app = sample(Glyphs::ASCII, 80, 40);
    press(&mut app, "?");
    let screen = drawn(&app);
    for binding in crate::keymap::BINDINGS {
        assert!(screen.contains(binding.shown) && screen.contains(binding.help), "{}", binding.shown);
    }
}

#[test]
fn a_pause_a_filter_and_hidden_people_are_said() {
    let mut app = sample(Glyphs::ASCII, 80, 24);
    press(&mut app, "P /");
    update(&mut app, Event::Rows(rows(Moment::default())));
    press(&mut app, "garage");
    let screen = drawn(&app);
    assert!(screen.contains("\n /garage_ "), "{screen}");
    update(&mut app, Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)));
    let screen = drawn(&app);
    assert!(screen.contains("3 of 5 rows kept   people hidden"), "{screen}");
    assert!(screen.contains("PAUSED +5 new  filter: garage  shown 1 in 1,240, dropped 3"), "{screen}");
    assert!(screen.contains("Space follow"), "{screen}");
    assert!(screen.contains("(hidden)") && !screen.contains("Vera"), "{screen}");
    update(&mut app, Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)));
    assert!(!drawn(&app).contains("Vera"));
}

#[test]
fn a_lost_connection_is_said_with_its_age() {
    let mut app = sample(Glyphs::ASCII, 80, 24);
    let since = app.now.unwrap().plus_seconds(-75);
    update(&mut app, Event::Link(Link::Down { since }));
    assert!(drawn(&app).contains("[DOWN 1m15s]"));
}

#[test]
fn hostile_names_are_drawn_harmlessly_at_every_size() {
    let hostile = "\u{1b}[2J\u{202e}evil\u{9b}31m\u{7}\r\n\u{2066}x\u{1b}]52;c;aGk=\u{7}";
    for glyphs in [Glyphs::ASCII, Glyphs::UNICODE] {
        for (width, height) in [(1, 1), (2, 3), (20, 6), (40, 12), (61, 17), (80, 24), (120, 40), (200, 60)] {
            for chords in ["4", "1", "?", "4/\u{202e}\u{9b}"] {
                let app = poisoned(hostile, glyphs, width, height, chords);
                let screen = drawn(&app).replace('\n', "");
                let bad = screen.chars().find(|c| keyward_protocol::name::is_unsafe(*c));
                assert_eq!(bad, None, "{width}x{height} {chords:?}");
                assert!(glyphs.unicode || screen.is_ascii(), "{width}x{height} {chords:?}");
            }
        }
    }
    assert!(drawn(&poisoned(hostile, Glyphs::ASCII, 120, 40, "4")).contains(" ?[2J?evil?31m???"));
}

#[test]
fn without_colours_nothing_but_modifiers_is_drawn_and_the_cursor_is_seen() {
    let app = sample(Glyphs::ASCII, 80, 24);
    let buffer = buffer(&app);
    let coloured = |cell: &ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
    assert!(!buffer.content().iter().any(coloured));
    let under_cursor = (0..24).filter(|y| buffer[(5, *y)].modifier.contains(Modifier::REVERSED));
    assert_eq!(under_cursor.collect::<Vec<_>>(), [8]);
}

#[test]
fn an_area_that_is_not_the_whole_buffer_is_kept_to() {
    let app = sample(Glyphs::ASCII, 40, 12);
    let mut buffer = Buffer::filled(Rect::new(0, 0, 50, 20), ratatui::buffer::Cell::new("x"));
    render(&app, Rect::new(5, 5, 40, 12), &mut buffer);
    let outside = |x: u16, y: u16| !(5..45).contains(&x) || !(5..17).contains(&y);
    let cells = (0..50).flat_map(|x| (0..20).map(move |y| (x, y)));
    assert!(cells.filter(|(x, y)| outside(*x, *y)).all(|place| buffer[place].symbol() == "x"));
    // More area than buffer: what doesn't fit is left out.
    render(&app, Rect::new(30, 10, 400, 400), &mut buffer);
}

/// The screen after `chords`, compared with the drawing (whose lines begin after its first line break).
fn check(chords: &str, glyphs: Glyphs, width: u16, height: u16, expected: &str) {
    let mut app = sample(glyphs, width, height);
    press(&mut app, chords);
    let screen = drawn(&app);
    assert_eq!(screen.trim_end(), expected.trim_end().trim_start_matches('\n'), "\n{screen}");
}

/// A screen on which every text from outside is `hostile`.
fn poisoned(hostile: &str, glyphs: Glyphs, width: u16, height: u16, chords: &str) -> App {
    let mut app = sample(glyphs, width, height);
    let text = || hostile.to_owned();
    update(&mut app, Event::Header(Header { server: text(), property: text(), zone: text() }));
    let row = LogRow {
        at: Moment::MAX,
        granted: false,
        reason: None,
        door: text(),
        person: text(),
        host: Some(text()),
        key: text(),
        kind: "code",
    };
    update(&mut app, Event::Rows(vec![row; 3]));
    let key = KeyRow { name: text(), doors: u64::MAX, people: u64::MAX, may_share: false, hours: text(), system: true };
    update(&mut app, Event::Keys(vec![key; 3]));
    update(&mut app, Event::Tick(Moment::MIN));
    press(&mut app, chords);
    app
}

fn sample(glyphs: Glyphs, width: u16, height: u16) -> App {
    let mut app = App::new(Theme::MONOCHROME, glyphs);
    let now = Moment::parse("2026-11-20T11:48:55-05:00").unwrap();
    let tell = |app: &mut App, event: Event| drop(update(app, event));
    tell(&mut app, Event::Resize { width, height });
    tell(
        &mut app,
        Event::Header(Header {
            server: "demo".into(),
            property: "1800 Main St".into(),
            zone: "America/New_York".into(),
        }),
    );
    tell(&mut app, Event::Link(Link::Up { round_trip_us: Some(410) }));
    for (back, granted, denied) in [(40, 1_000, 50), (30, 1_300, 51), (20, 1_420, 51), (10, 2_320, 55), (0, 2_331, 67)]
    {
        tell(&mut app, Event::Tick(now.plus_seconds(-back)));
        tell(&mut app, Event::Counts(counts(granted, denied)));
    }
    tell(&mut app, Event::Rows(rows(now)));
    tell(&mut app, Event::Keys(keys()));
    app
}

fn counts(granted: u64, denied: u64) -> Counts {
    Counts {
        granted,
        denied,
        by_reason: vec![(Reason::OutsideSchedule, 9), (Reason::NoKey, denied - 9), (Reason::Lockdown, 0)],
        per_second: 34.6,
        shown_one_in: 1_240,
        dropped: 3,
        p50_us: 41,
        p99_us: 2_310,
        revision: 18_204,
    }
}

fn rows(now: Moment) -> Vec<LogRow> {
    let row = |back: i64, reason: Option<Reason>, door: &str, person: &str, host: Option<&str>, key: &str| LogRow {
        at: now.plus_micros(-back * 1_000),
        granted: reason.is_none(),
        reason,
        door: door.into(),
        person: person.into(),
        host: host.map(Into::into),
        key: key.into(),
        kind: "code",
    };
    vec![
        row(13_793, Some(Reason::OutsideSchedule), "Garage G2", "Vera Ruiz", None, ""),
        row(11_050, Some(Reason::UnknownCredential), "Garage G1", "", None, ""),
        row(3_887, None, "Main entrance", "Sam Park", Some("Tracy Ortiz"), "Residences"),
        row(2_520, Some(Reason::TooManyWrongCodes), "Garage G1", "", None, ""),
        row(129, None, "Loading dock behind the east wing", "東京 Kovač", None, "Employee All Access 24/7"),
    ]
}

fn keys() -> Vec<KeyRow> {
    let key = |name: &str, doors, people, may_share, hours: &str, system| KeyRow {
        name: name.into(),
        doors,
        people,
        may_share,
        hours: hours.into(),
        system,
    };
    vec![
        key("Amenities", 20, 362, false, "Mon-Sun 06:00-22:00", false),
        key("Employee All Access 24/7", 214, 11, false, "always", false),
        key("Residences", 6, 1_362, true, "always", false),
        key("Deliveries", 4, 0, false, "carriers, always", true),
    ]
}

fn press(app: &mut App, text: &str) {
    for c in text.chars() {
        update(app, Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
    }
}

/// The screen as text, spaces at the ends of lines cut off.
fn drawn(app: &App) -> String {
    let buffer = buffer(app);
    let mut text = String::new();
    for y in 0..app.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..app.width {
            let symbol = buffer[(x, y)].symbol();
            // A wide character covers the next cell.
            if skip == 0 {
                line.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn buffer(app: &App) -> Buffer {
    let area = Rect::new(0, 0, app.width, app.height);
    let mut buffer = Buffer::empty(area);
    render(app, area, &mut buffer);
    buffer
}
