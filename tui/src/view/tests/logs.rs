//! Screen 4 as it is drawn: history, the explanation, exports.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::{after, same};
use crate::{
    app::testing::{Client, batch},
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;
const UNICODE: Glyphs = Glyphs::UNICODE;

fn live(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> String {
    after(chords, glyphs, width, height).drawn()
}

/// The history around now, when many rows are recorded, after these chords.
fn past(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> String {
    let mut client = Client::new(glyphs, width, height);
    client.recorded = 500;
    client.tell(batch());
    client.chords_at_once(&format!("4T\n\n{chords}"));
    client.drawn()
}

#[test]
fn the_recorded_log() {
    same(
        &past("", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > history                                    100 rows here
+-TIME-----------RESULT-REASON------------DOOR----------PERSON------KEY--------+
| 11-20 11:35:55 ALLOW  --                Main entrance Tracy       Key A      |
| 11-20 11:36:55 ALLOW  --                Garage        Tracy       Key A      |
| 11-20 11:37:55 ALLOW  --                Main entrance Tracy       Key A      |
| 11-20 11:38:55 DENY   no_key            Garage        Tracy       Key A      |
| 11-20 11:39:55 ALLOW  --                Main entrance Tracy       Key A      |
| 11-20 11:40:55 ALLOW  --                Garage        Tracy       Key A      |
| 11-20 11:41:55 ALLOW  --                Main entrance Tracy       Key A      |
| 11-20 11:42:55 ALLOW  --                Garage        Tracy       Key A      |
| 11-20 11:43:55 DENY   no_key            Main entrance Tracy       Key A      |
| 11-20 11:44:55 ALLOW  --                Garage        Tracy       Key A      |
| 11-20 11:45:55 ALLOW  --                Main entrance Tracy       Key A      |
| 11-20 11:46:55 ALLOW  --                Garage        Tracy       Key A      |
|>11-20 11:47:55 ALLOW  --                Main entrance Tracy       Key A      |
+-DETAIL-----------------------------------------------------------------------+
| Time     2026-11-20T11:47:55-05:00    Result   ALLOW                         |
| Door     Main entrance                Person   Tracy                         |
| Key      Key A                        With     code                          |
+------------------------------------------------------------------------------+
 HISTORY 2026-11-20
 Space live  x explain  T history  e denied  = door  @ person  ? help  q back
"#,
    );
    same(
        &past("kkm=", UNICODE, 120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit                                    1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Logs > history                                                            100 rows here
┌─TIME────────────────────RESULT─REASON──────────────DOOR────────────PERSON────────KEY───────────WITH─────GUEST OF─────┐
│ 2026-11-20 10:54:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 10:56:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 10:58:55.000 DENY   no_key              Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:00:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:02:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:04:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:06:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:08:55.000 DENY   no_key              Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:10:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:12:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:14:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:16:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:18:55.000 DENY   no_key              Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:20:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:22:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:24:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:26:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:28:55.000 DENY   no_key              Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:30:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:32:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:34:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:36:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:38:55.000 DENY   no_key              Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:40:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:42:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│ 2026-11-20 11:44:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
│▸2026-11-20 11:46:55.000 ALLOW  --                  Garage          Tracy         Key A         code     --           │
├─DETAIL───────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ Time     2026-11-20T11:46:55-05:00                        Result   ALLOW                                             │
│ Door     Garage                                           Person   Tracy                                             │
│ Key      Key A                                            With     code                                              │
│                                                                                                                      │
│                                                                                                                      │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 HISTORY 2026-11-20  filter: door:"Garage"
 Space live  x explain  T history  e denied  = door  @ person  X export  Enter open  / filter  ? help  q back
"#,
    );
    same(
        &past("E", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-TIME--------RESULT-DOOR----------------
 11-20 11:41 ALLOW  Main entrance
 11-20 11:42 ALLOW  Garage
>11-20 11:43 DENY   Main entrance
 11-20 11:44 ALLOW  Garage
 11-20 11:45 ALLOW  Main entrance
 11-20 11:46 ALLOW  Garage
 11-20 11:47 ALLOW  Main entrance
----------------------------------------
 HISTORY 2026-11-20
 Space live  x explain  ? help  q back
"#,
    );
}

#[test]
fn a_filter_with_a_problem_and_marks() {
    same(
        &live("4/since:x\nEm", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > live                                    4 of 4 rows kept
+-TIME---------RESULT-REASON-------------DOOR-----------PERSON------KEY--------+
| 11:48:41.207 DENY   outside_schedule   Main entrance  Lee         --         |
|*11:48:43.950 DENY   unknown_credential Main entrance  --          --         |
|>11:48:51.113 ALLOW  --                 Main entrance  Visitor     Residences |
| 11:48:54.871 ALLOW  --                 Main entrance  Tracy       Key A      |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-RATE last 4 min--------------------------------------------------------------+
| ALLOW                                                |             1,331/min |
| DENY                                                 |                17/min |
| denied so far:  outside_schedule 1  unknown_credential 1                     |
+------------------------------------------------------------------------------+
 PAUSED +0 new  1 marked  write it like since:15m, 2h or 7d
 Space follow  x explain  T history  e denied  = door  @ person  ? help  q quit
"#,
    );
}

#[test]
fn why_a_line_came_out_as_it_did() {
    same(
        &live("4EEx", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > explain
+-WHY: Lee at Main entrance, Fri 2026-11-20 11:48:41.207 EST-------------------+
| RECORDED  DENY  outside_schedule  at rev 18204, by code                      |
|           a Key has the door, but not at this time                           |
|                                                                              |
| 1 person  not suspended                                                   ok |
| 2 door    no lockdown                                                     ok |
| 3 code    they have a live code here                                      ok |
| 4 Keys    Key B                                                           NO |
|            period  the beginning to 2026-12-31 00:00                      ok |
|            hours   business hours                                         NO |
|           another Key: does not have this door                            -- |
|                                                                              |
| NOW       ALLOW  (rev 18204, 11:48)                                          |
|           until Fri 2026-11-20 17:48:55 EST                                  |
|                                                                              |
| WHAT WOULD HAVE OPENED IT                                                    |
|  - holding Employee All Access 24/7                                          |
|  - other hours of Key B at this door                                         |
+------------------------------------------------------------------------------+

 Tab who can open it  T another time  : command  ? help  q back
"#,
    );
    same(
        &live("4EEx", UNICODE, 120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit                                    1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Logs > explain
┌─WHY: Lee at Main entrance, Fri 2026-11-20 11:48:41.207 EST───────────────────────────────────────────────────────────┐
│ RECORDED  DENY  outside_schedule  at rev 18204, by code                                                              │
│           a Key has the door, but not at this time                                                                   │
│                                                                                                                      │
│ 1 person  not suspended                                                                                           ok │
│ 2 door    no lockdown                                                                                             ok │
│ 3 code    they have a live code here                                                                              ok │
│ 4 Keys    Key B                                                                                                   NO │
│            period  the beginning to 2026-12-31 00:00                                                              ok │
│            hours   business hours                                                                                 NO │
│           another Key: does not have this door                                                                    -- │
│                                                                                                                      │
│ NOW       ALLOW  (rev 18204, 11:48)                                                                                  │
│           until Fri 2026-11-20 17:48:55 EST                                                                          │
│                                                                                                                      │
│ WHAT WOULD HAVE OPENED IT                                                                                            │
│  - holding Employee All Access 24/7                                                                                  │
│  - other hours of Key B at this door                                                                                 │
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
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

 Tab who can open it  T another time  : command  ? help  q back
"#,
    );
    same(
        &live("4EEx", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
--WHY: Lee at Main entrance, F 16 more -
 RECORDED  DENY  outside_schedule  at
 rev 18204, by code
           a Key has the door, but not
 at this time

 1 person  not suspended             ok
 2 door    no lockdown               ok
----------------------------------------

 Tab who can open it  ? help  q back
"#,
    );
    same(
        &live("4EExj", UNICODE, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
──WHY: Lee at Main entrance, F 15 more ─
 rev 18204, by code
           a Key has the door, but not
 at this time

 1 person  not suspended             ok
 2 door    no lockdown               ok
 3 code    they have a live code     ok
────────────────────────────────────────

 Tab who can open it  ? help  q back
"#,
    );
}

#[test]
fn who_can_open_the_door_at_that_time() {
    same(
        &live("4EEx\t", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > explain
+-WHO CAN OPEN Main entrance, Fri 2026-11-20 11:48:41.207 EST------------------+
| 3 people, and carriers                                                       |
| Tracy  by Key A                                                              |
| Visitor  by another Key, shared by Tracy (no code)                           |
| and 1 more                                                                   |
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
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+

 Tab who can open it  T another time  : command  ? help  q back
"#,
    );
}

#[test]
fn why_somebody_can_or_cant_open_a_door() {
    same(
        &live(":explain lee garage 18:00\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs   5 Managers   6 Locks   7 Audit
 1800 Main St > Keys                             5 + 1 Keys  4 in use  1 unused
+-EXPLAIN why somebody can or can't open a door--------------------------------+
|>Person      lee_                         type a part of the name             |
|             Lee                              lee@mail.example                |
| Door        (not chosen yet)                                                 |
| With        phone or card                                                    |
| When        18:00                                                            |
|                                                                              |
| [ Explain ]                                                                  |
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
        &live(":explain lee garage 18:00\n\n\n\n\n\n", UNICODE, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > explain
┌─WHY: Lee at Garage, Fri 2026-11-20 18:00 EST──────────────────────── 1 more ─┐
│ RESULT    DENY  outside_schedule  by rev 18204                               │
│           a Key has the door, but not at this time                           │
│           it would open from Fri 2026-11-20 17:48:55 EST                     │
│                                                                              │
│ 1 person  not suspended                                                   ok │
│ 2 door    no lockdown                                                     ok │
│ 3 code    they have a live code here                                      ok │
│ 4 Keys    Key B                                                           NO │
│            period  the beginning to 2026-12-31 00:00                      ok │
│            hours   business hours                                         NO │
│           another Key: does not have this door                            -- │
│                                                                              │
│ NOW       ALLOW  (rev 18204, 11:48)                                          │
│           until Fri 2026-11-20 17:48:55 EST                                  │
│                                                                              │
│ WHAT WOULD HAVE OPENED IT                                                    │
│  - holding Employee All Access 24/7                                          │
└──────────────────────────────────────────────────────────────────────────────┘

 Tab who can open it  T another time  : command  ? help  q back
"#,
    );
    same(
        &live(":explain lee garage\n\n\n\n\n\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > explain
+-WHY: Lee at Garage, now------------------------------------------------------+
| RESULT    ALLOW  by rev 18204                                                |
|           until Fri 2026-11-20 17:48:55 EST                                  |
|                                                                              |
| 1 person  not suspended                                                   ok |
| 2 door    no lockdown                                                     ok |
| 3 code    they have a live code here                                      ok |
| 4 Keys    Key B                                                           ok |
|            period  the beginning to 2026-12-31 00:00                      ok |
|            hours   business hours                                         ok |
|           another Key: does not have this door                            -- |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+

 Tab who can open it  T another time  : command  ? help  q back
"#,
    );
}

#[test]
fn how_the_server_is() {
    same(
        &live(":server\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  2 People   3 Doors   4 Logs   5 Managers   6 Locks   7 Audit
 1800 Main St > Keys                             5 + 1 Keys  4 in use  1 unused
+-SERVER prod------------------------------------------------------------------+
| Link        up, 4ms there and back                                           |
| WRONG CODES RAN OUT                                                          |
|   Garage  at 11:28; takes 0 codes now, one more at 11:58                     |
| Door codes  are judged                                                       |
| Lockdowns   1                                                                |
| Portfolio   Harbor Living, revision 18204                                    |
| Has         1 property, 400 people, 30 locks                                 |
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

 Esc close
"#,
    );
    same(
        &live(":server\n", UNICODE, 120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
 [1 Keys]  2 People   3 Doors   4 Logs   5 Managers   6 Locks   7 Audit               1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Keys                                                     5 + 1 Keys  4 in use  1 unused
┌─SERVER prod──────────────────────────────────────────────────────────────────────────────────────────────────────────┐
│ Link        up, 4ms there and back                                                                                   │
│ WRONG CODES RAN OUT                                                                                                  │
│   Garage  at 11:28; takes 0 codes now, one more at 11:58                                                             │
│ Door codes  are judged                                                                                               │
│ Lockdowns   1                                                                                                        │
│ Portfolio   Harbor Living, revision 18204                                                                            │
│ Has         1 property, 400 people, 30 locks                                                                         │
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
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

 Esc close
"#,
    );
    same(
        &live(":server\n", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
--SERVER prod---------------------------
 Link        up, 4ms there and back
 WRONG CODES RAN OUT
   Garage  at 11:28; takes 0 codes now,~
 Door codes  are judged
 Lockdowns   1
 Portfolio   Harbor Living, revision 18~
 Has         1 property, 400 people, 30~
----------------------------------------

 Esc close
"#,
    );
}

#[test]
fn exports() {
    same(
        &live("4EmX", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > live                                         4 rows kept
+-EXPORT the access log--------------------------------------------------------+
|>What        < the marked rows >                                              |
| As          CSV, for spreadsheets                                            |
|                                                                              |
| [ Write the file ]                                                           |
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
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+
 PAUSED +0 new  1 marked  shown 1 in 1,240, dropped 3
 Esc cancel  Enter next  Tab next  Up Down choose  Left Right change
"#,
    );
    same(
        &live("4X\n\n\n:jobs\n", UNICODE, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]  5 Managers   6 Locks   7 Audit
 1800 Main St > Logs > live                                         4 rows kept
┌─JOBS─────────────────────────────────────────────────────────────────────────┐
│ log of 1800 Main St, 4 rows            running                               │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘
 FOLLOWING  shown 1 in 1,240, dropped 3  exporting, 4 rows
 Esc close  Up Down scroll
"#,
    );
    same(
        &live("4X\n\n\n:jobs\n", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
--JOBS----------------------------------
 log of 1800 Main S~ running






----------------------------------------
 FOLLOWING  1 in 1,240, dropped 3
 Esc close  Up Down scroll
"#,
    );
}

#[test]
fn hostile_names_in_history_and_explanations_are_drawn_harmlessly() {
    super::harmless(&["4T\n\n", "4T\n\nx", "4T\n\nx\t", "4T\n\n=", "4T\n\nX\n\n\n:jobs\n", ":server\n"]);
}

#[test]
fn an_explanation_in_colours_has_the_same_words_and_what_refuses_stands_out() {
    let mut client = after("4EEx", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("business hours") && line.contains("NO")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("NO").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Red);
}
