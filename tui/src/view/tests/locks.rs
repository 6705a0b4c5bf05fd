//! Screen 6 as it is drawn.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::{after, same};
use crate::{
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;
const UNICODE: Glyphs = Glyphs::UNICODE;

fn drawn(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> String {
    after(&format!("6{chords}"), glyphs, width, height).drawn()
}

#[test]
fn the_locks() {
    same(
        &drawn("", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers  [6 Locks]  7 Audit
 1800 Main St > Locks                    4 locks  1 connected  2 tokens waiting
+-NAME--------------ASKS ABOUT------STATE--------CONNECTED----CERTIFICATE UNTIL+
|>Gateway 1         all of 1800 Ma~ connected    since 09:48  2026-12-10 11:48 |
| Garage reader     2 doors         not here     --           --               |
| Roof              1 door          never joined --           --               |
| Old gateway       2 doors         DISABLED     --           --               |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-LOCK Gateway 1---------------------------------------------------------------+
| Is       lock-1                       Identity identity-1                    |
| From     203.0.113.9:40404            Since    09:48                         |
| Cert. to 2026-12-10 11:48             Asks     all of 1800 Main St           |
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+

 n enrol  T token  d disable  Tab locks, tokens  / filter  ? help  q quit
"#,
    );
    same(
        &drawn("j", UNICODE, 120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
  1 Keys   4 Logs   5 Managers  [6 Locks]  7 Audit                                    1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Locks                                            4 locks  1 connected  2 tokens waiting
┌─NAME────────────────────────────ASKS ABOUT───────────────────STATE────────CONNECTED─────────────────CERTIFICATE UNTIL┐
│ Gateway 1                       all of 1800 Main St          connected    since 09:48               2026-12-10 11:48 │
│▸Garage reader                   2 doors                      not here     --                        --               │
│ Roof                            1 door                       never joined --                        --               │
│ Old gateway                     2 doors                      DISABLED     --                        --               │
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
├─LOCK Garage reader───────────────────────────────────────────────────────────────────────────────────────────────────┤
│ Is       lock-2                                           Identity identity-2                                        │
│ From     --                                               Since    --                                                │
│ Cert. to --                                               Asks     2 doors                                           │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
├─TIME─────────RESULT─REASON───────────────DOOR───────────────PERSON───────────KEY─────────────WITH─────GUEST OF───────┤
│ 11:48:41.207 DENY   outside_schedule     Main entrance      Lee              --              code     --             │
│ 11:48:43.950 DENY   unknown_credential   Main entrance      --               --              code     --             │
│ 11:48:51.113 ALLOW  --                   Main entrance      Visitor          Residences      code     Tracy          │
│ 11:48:54.871 ALLOW  --                   Main entrance      Tracy            Key A           code     --             │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

 n enrol  T token  d disable  Tab locks, tokens  / filter  : command  ? help  q quit  s sort
"#,
    );
    same(
        &drawn("", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-NAME-----------------------STATE-------
>Gateway 1                  connected
 Garage reader              not here
 Roof                       never joined
 Old gateway                DISABLED



----------------------------------------

 n enrol  T token  ? help  q quit
"#,
    );
}

#[test]
fn the_tokens_that_wait() {
    same(
        &drawn("\t", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers  [6 Locks]  7 Audit
 1800 Main St > Locks > tokens           4 locks  1 connected  2 tokens waiting
+-FOR---------------------------------------JOINS AS---UNTIL-------------------+
|>Roof                                      lock       12:48                   |
| Ana                                       operator   12:48                   |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+

 n enrol  r revoke  Tab locks, tokens  / filter  : command  ? help  q back
"#,
    );
    same(
        &drawn("\tj", UNICODE, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
─FOR──────────────────────────JOINS AS──
 Roof                         lock
▸Ana                          operator





────────────────────────────────────────

 n enrol  r revoke  ? help  q back
"#,
    );
}

#[test]
fn enrolling_a_lock() {
    same(
        &drawn("nRoof", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers  [6 Locks]  7 Audit
 1800 Main St > Locks                    4 locks  1 connected  2 tokens waiting
+-ENROL a lock-----------------------------------------------------------------+
|>Name        Roof_                            what people call it             |
| Property    (not chosen yet)                                                 |
| Doors       every door of the property, future ones too                      |
| Token for   an hour                                                          |
|                                                                              |
| [ Continue ]                                                                 |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+

 Esc cancel  Enter next  Tab next  Up Down choose  Left Right change
"#,
    );
    same(
        &drawn("nRoof\n\n \n\n\n ", UNICODE, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers  [6 Locks]  7 Audit
 1800 Main St > Locks > Roof > doors                               1 of 2 doors
┌─────DOOR─────────────────────────────────────────────KIND────────────────────┐
│•[x] Main entrance                                    entrance                │
│▸[ ] Garage                                           entrance                │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
├──────────────────────────────────────────────────────────────────────────────┤
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘

 Space choose  s save  / filter  : command  ? help  q back
"#,
    );
    same(
        &drawn("nRoof\n\n \n\n\n ", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-----DOOR---------------------KIND------
*[x] Main entrance            entrance
>[ ] Garage                   entrance





----------------------------------------

 Space choose  s save  ? help  q back
"#,
    );
    same(
        &drawn("nRoof\n\n\n\n\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers  [6 Locks]  7 Audit
 1800 Main St > Locks                    4 locks  1 connected  2 tokens waiting
+-ENROL Roof: every door of 1800 Main St, future ones too----------------------+
| The token that it joins with is made then, and shown once.                   |
|                                                                              |
| Nobody loses anything, and no code changes.                                  |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
| TOTAL  nothing lost                                                          |
|                                                                              |
| [ Do it ]  [ Cancel ]                                                        |
|                                                                              |
|                                                      worked out at rev 18204 |
+------------------------------------------------------------------------------+

 Esc cancel  Tab confirm or cancel  Up Down scroll
"#,
    );
}

#[test]
fn disabling_a_lock() {
    same(
        &drawn("d", UNICODE, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers  [6 Locks]  7 Audit
 1800 Main St > Locks                    4 locks  1 connected  2 tokens waiting
┌─DISABLE Gateway 1────────────────────────────────────────────────────────────┐
│ It is refused at once: its doors open for nobody who asks by it.             │
│                                                                              │
│ Nobody loses anything, and no code changes.                                  │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│ TOTAL  nothing lost                                                          │
│                                                                              │
│ [ Do it ]  [ Cancel ]                                                        │
│                                                                              │
│                                                      worked out at rev 18204 │
└──────────────────────────────────────────────────────────────────────────────┘

 Esc cancel  Tab confirm or cancel  Up Down scroll
"#,
    );
}

#[test]
fn hostile_names_of_locks_and_tokens_are_drawn_harmlessly() {
    super::harmless(&["6", "6\t", "6d", "6\tr", "6nA\n\n \n\n\n", "6T\n\n"]);
}

#[test]
fn the_locks_in_colours_have_the_same_words_and_what_needs_an_eye_stands_out() {
    let mut client = after("6", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("DISABLED")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("DISABLED").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Magenta);
}
