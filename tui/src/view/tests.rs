//! Screens as they are drawn, without colours.

use crossterm::event::KeyCode;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier},
};

mod audit;
mod doors;
mod gallery;
mod keys;
mod locks;
mod logs;
mod managers;
mod page;
mod people;
mod settings;

use super::*;
use crate::{
    app::testing::{Client, batch},
    theme::{Glyphs, Theme},
};

/// The screen after these chords ([keys](crate::app::testing::key)), compared with the drawing.
pub fn check(chords: &str, glyphs: Glyphs, (width, height): (u16, u16), expected: &str) {
    let screen = after(chords, glyphs, width, height).drawn();
    same(&screen, expected);
}

/// Fails unless the screen is drawn like this, the line of all screens aside: that one grows with each of them.
pub fn same(screen: &str, expected: &str) {
    let tabs = |line: &&str| line.contains("1 Keys") && line.contains("4 Logs");
    let without = |text: &str| text.lines().filter(|line| !tabs(line)).collect::<Vec<_>>().join("\n");
    let expected = without(expected.trim_end().trim_start_matches('\n'));
    assert_eq!(without(screen.trim_end()), expected, "\n{screen}");
}

pub fn after(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> Client {
    let mut client = Client::new(glyphs, width, height);
    client.tell(batch());
    // All at one moment but for what reviews wait for: clocks and ages stay as they are.
    client.chords_at_once(chords);
    client
}

#[test]
fn the_keys_on_the_usual_terminal() {
    check(
        "",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys                             5 + 1 Keys  4 in use  1 unused
+-NAME------------------------DOORS--PEOPLE-SHARE-HOURS---------------SEEN USED+
|>Key A                           2       1 yes   always              now      |
| Key B                           2      41 no    business hours      --       |
| Employee All Access 24/7      214      11 no    always              --       |
| Residences                      6   1,362 yes   several             3s       |
| Caf? ??                         1       0 yes   always              --       |
| Deliveries [system]             4      -- --    carrier-managed     --       |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-KEY Key A--------------------------------------------------------------------+
| Doors    2 (2 listed)                 People   1, with 0 guests              |
| Hours    always                       Share    yes, unless the giving says~  |
| Opened   now, Main entrance, Tracy                                           |
|                                                                              |
|                                                                              |
+------------------------------------------------------------------------------+

 g give  r revoke  m move  e edit  n new  Enter open  / filter  ? help  q quit
"#,
    );
    check(
        "jjj",
        Glyphs::UNICODE,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys                             5 + 1 Keys  4 in use  1 unused
┌─NAME────────────────────────DOORS──PEOPLE─SHARE─HOURS───────────────SEEN USED┐
│ Key A                           2       1 yes   always              now      │
│ Key B                           2      41 no    business hours      --       │
│ Employee All Access 24/7      214      11 no    always              --       │
│▸Residences                      6   1,362 yes   several             3s       │
│ Café 東京                       1       0 yes   always              --       │
│ Deliveries [system]             4      -- --    carrier-managed     --       │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
├─KEY Residences───────────────────────────────────────────────────────────────┤
│ Doors    6 (2 listed, 1 rule)         People   1,362, with 13 guests         │
│ Hours    differ by door               Share    yes, unless the giving says…  │
│ Opened   now, Main entrance, Tracy                                           │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘

 g give  r revoke  m move  e edit  n new  Enter open  / filter  ? help  q quit
"#,
    );
}

#[test]
fn the_keys_on_a_large_terminal_stand_beside_the_log() {
    check(
        "j",
        Glyphs::UNICODE,
        (120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
 [1 Keys]  4 Logs                                                                     1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Keys                                                     5 + 1 Keys  4 in use  1 unused
┌─NAME────────────────────────────────────────────DOORS──PEOPLE─SHARE─HOURS───────────────────────────────────SEEN USED┐
│ Key A                                               2       1 yes   always                                  now      │
│▸Key B                                               2      41 no    business hours                          --       │
│ Employee All Access 24/7                          214      11 no    always                                  --       │
│ Residences                                          6   1,362 yes   several                                 3s       │
│ Café 東京                                           1       0 yes   always                                  --       │
│ Deliveries [system]                                 4      -- --    carrier-managed                         --       │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
│                                                                                                                      │
├─KEY Key B────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ Doors    2 (2 listed)                                     People   41, with 0 guests                                 │
│ Hours    business hours                                   Share    no, unless the giving says so                     │
│ Opened   now, Main entrance, Tracy                                                                                   │
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

 g give  r revoke  m move  e edit  n new  Enter open  / filter  : command  ? help  q quit  Space mark  s sort
"#,
    );
}

#[test]
fn the_keys_on_a_small_terminal() {
    check(
        "",
        Glyphs::ASCII,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-NAME-------------DOORS--PEOPLE-HOURS---
>Key A                2       1 always
 Key B                2      41 busines~
 Employee All A~    214      11 always
 Residences           6   1,362 several
 Caf? ??              1       0 always
 Deliveries [sy~      4      -- carrier~

----------------------------------------

 g give  r revoke  ? help  q quit
"#,
    );
    check(
        "jjjj",
        Glyphs::UNICODE,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
─NAME─────────────DOORS──PEOPLE─HOURS───
 Key A                2       1 always
 Key B                2      41 busines…
 Employee All A…    214      11 always
 Residences           6   1,362 several
▸Café 東京            1       0 always
 Deliveries [sy…      4      -- carrier…

────────────────────────────────────────

 g give  r revoke  ? help  q quit
"#,
    );
}

#[test]
fn the_people_of_a_key_with_marks() {
    check(
        "\n j j",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys > Key A > people                                         4
+-NAME-------------------EMAIL------------------SHARE-GUESTS-PERIOD------------+
|*Tracy                  tracy@mail.example     yes        0 always            |
| Lee                    lee@mail.example       no         0 until 2026-12-31 ~|
|*Ana                    ana@mail.example       no         0 SUSPENDED, always |
|>Sam                    sam@mail.example       no         0 always            |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-KEY Key A--------------------------------------------------------------------+
| Doors    2 (2 listed)                 People   1, with 0 guests              |
| Hours    always                       Share    yes, unless the giving says~  |
| Opened   now, Main entrance, Tracy                                           |
+------------------------------------------------------------------------------+
 2 marked
 g give  r revoke  m move  e edit  n new  Enter open  / filter  ? help  q back
"#,
    );
    check(
        "\nV j",
        Glyphs::ASCII,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-NAME------------------PERIOD-----------
*Tracy                 always
>Lee                   until 2026-12-31~
 Ana                   SUSPENDED, always
 Sam                   always



----------------------------------------
 1 marked
 g give  r revoke  ? help  q back
"#,
    );
}

#[test]
fn the_doors_of_a_key() {
    check(
        "\n\tj",
        Glyphs::UNICODE,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys > Key A > doors                                          2
┌─DOOR─────────────────────────────────HOURS───────────────────────────NAMED BY┐
│ Main entrance                        always                          list    │
│▸Garage                               always                          list    │
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
├─KEY Key A────────────────────────────────────────────────────────────────────┤
│ Doors    2 (2 listed)                 People   1, with 0 guests              │
│ Hours    always                       Share    yes, unless the giving says…  │
│ Opened   now, Main entrance, Tracy                                           │
└──────────────────────────────────────────────────────────────────────────────┘

 g give  r revoke  m move  e edit  n new  Enter open  / filter  ? help  q back
"#,
    );
}

#[test]
fn a_form() {
    check(
        "glee",
        Glyphs::UNICODE,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys                             5 + 1 Keys  4 in use  1 unused
┌─GIVE "Key A"─────────────────────────────────────────────────────────────────┐
│▸Person      lee_                         type a part of the name             │
│             Lee                              lee@mail.example                │
│ May share   as the Key says: yes                                             │
│ From        at once; or 2026-12-01 08:00                                     │
│ Until       without an end; or 2026-12-31                                    │
│                                                                              │
│ [ Continue ]                                                                 │
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

 Esc cancel  Enter next  Tab next  Up Down choose  Left Right change
"#,
    );
    check(
        "\nm",
        Glyphs::ASCII,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
--MOVE Tracy FROM "Key A"---------------
>To Key      _
             Key B         business ho~
             Employee All~ always
             Residences    several hou~
             Caf? ??       always
 May share   as the Key says
 From        at once; or 2026-12-01 08~
----------------------------------------

 Esc cancel  Enter next  Tab next
"#,
    );
}

#[test]
fn the_review_of_a_revoke() {
    check(
        "\nr",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys > Key A > people                                         4
+-REVOKE "Key A" FROM Tracy----------------------------------------------------+
| Deleted codes never come back: giving the Key again makes NEW ones.          |
|                                                                              |
| LOSES CODE  Tracy                 Garage                                     |
| ENDS SHARE  Visitor               is a guest no more                         |
| KEEPS CODE  Main entrance                                                    |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
| TOTAL  2 people lose, 1 code deleted, 1 door lost, 1 share ended             |
| [m] move to another Key instead: codes stay where both have the door         |
| [ Cancel ]  Type  DELETE 1  to confirm: >                                    |
|                                                                              |
|                                                      worked out at rev 18204 |
+------------------------------------------------------------------------------+

 Esc cancel  Tab confirm  m move instead  Up Down scroll
"#,
    );
    check(
        "\nr",
        Glyphs::ASCII,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
--REVOKE "Key A" FROM Tracy-------------
 LOSES CODE  Tracy     Garage
 ENDS SHARE  Visitor   is a guest no mo~
 KEEPS CODE  Main entrance

 TOTAL  2 people lose, 1 code deleted, ~
 [m] move to another Key instead: codes~
 Type DELETE 1:
----------------------------------------

 Esc cancel  Tab confirm
"#,
    );
    check(
        "\nr",
        Glyphs::UNICODE,
        (120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
 [1 Keys]  4 Logs                                                                     1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Keys > Key A > people                                                                 4
┌─REVOKE "Key A" FROM Tracy────────────────────────────────────────────────────────────────────────────────────────────┐
│ Deleted codes never come back: giving the Key again makes NEW ones.                                                  │
│                                                                                                                      │
│ LOSES CODE  Tracy                               Garage                                                               │
│ ENDS SHARE  Visitor                             is a guest no more                                                   │
│ KEEPS CODE  Main entrance                                                                                            │
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
│ TOTAL  2 people lose, 1 code deleted, 1 door lost, 1 share ended                                                     │
│ [m] move to another Key instead: codes stay where both have the door                                                 │
│ [ Cancel ]  Type  DELETE 1  to confirm: >                                                                            │
│                                                                                                                      │
│                                                                                              worked out at rev 18204 │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

 Esc cancel  Tab confirm  m move instead  Up Down scroll
"#,
    );
}

#[test]
fn the_review_of_a_revoke_from_several() {
    check(
        "\n  r",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys > Key A > people                                         4
+-REVOKE "Key A" FROM 2 people-------------------------------------------------+
| Deleted codes never come back: giving the Key again makes NEW ones.          |
|                                                                              |
| Tracy                                                                        |
| LOSES CODE  Tracy                 Garage                                     |
| ENDS SHARE  Visitor               is a guest no more                         |
| Lee                                                                          |
| LOSES CODE  person-2              Garage                                     |
| ENDS SHARE  Visitor               is a guest no more                         |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
| TOTAL  4 people lose, 2 codes deleted, 2 doors lost, 2 shares ended          |
| [m] move to another Key instead: codes stay where both have the door         |
| [ Cancel ]  Type  DELETE 2  to confirm: >                                    |
|                                                                              |
|                                                      worked out at rev 18204 |
+------------------------------------------------------------------------------+
 2 marked
 Esc cancel  Tab confirm  m move instead  Up Down scroll
"#,
    );
}

#[test]
fn the_review_of_a_move() {
    check(
        "\nmkey b\n\n\n\n\n",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys > Key A > people                                         4
+-MOVE Tracy: "Key A" -> "Key B"-----------------------------------------------+
| Given first, then revoked, in one step: codes stay where both have the door. |
|                                                                              |
| KEEPS CODE  Main entrance                                                    |
| KEEPS CODE  Garage                                                           |
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
fn the_palette() {
    check(
        ":rev",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys                             5 + 1 Keys  4 in use  1 unused
+-COMMAND----------------------------------------------------------------------+
| : rev_                                                                       |
|>revoke the Key; what would follow is shown first                           r |
| delete the Key, which revokes it from everyone                             D |
| draw everything anew                                                  Ctrl-l |
| move holders to another Key, codes kept where both have the door           m |
| the next sort; after the last, as the server has it                        s |
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

 Esc close  Enter do it  Up Down choose
"#,
    );
    check(
        ":",
        Glyphs::UNICODE,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
──COMMAND───────────────────────────────
 : _
▸give the Key to somebody             g
 revoke the Key; what would …         r
 move holders to another Key…         m
 edit doors, rules and hours…         e
 a new Key                            n
 a new Key that begins as a …         d
────────────────────────────────────────

 Esc close  Enter do it  Up Down choose
"#,
    );
}

#[test]
fn the_help_is_the_chord_table() {
    check(
        "?",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
 [1 Keys]  4 Logs                             1,331 granted  17 denied a minute
 1800 Main St > Keys                             5 + 1 Keys  4 in use  1 unused
+-HELP--------------------------------------------------------------- 29 more -+
| g        give the Key to somebody                                            |
| r        revoke the Key; what would follow is shown first                    |
| m        move holders to another Key, codes kept where both have the door    |
| e        edit doors, rules and hours; what would follow is shown first       |
| n        a new Key                                                           |
| d        a new Key that begins as a copy of this one                         |
| D        delete the Key, which revokes it from everyone                      |
| S        the named schedules, and the holidays                               |
| v        people and doors against each other                                 |
| O        opt in to automated deliveries, or out                              |
| Enter    open the row under the cursor                                       |
| /        filter by name; Enter keeps it, Esc clears it                       |
| :        find a command by a part of its name                                |
| ?        this help                                                           |
| q        close what is open, then quit                                       |
| Esc      close what is open; else clear marks and filter                     |
| Space    mark the row, or take its mark away                                 |
+------------------------------------------------------------------------------+

 Esc close  Up Down scroll
"#,
    );
    check(
        "?",
        Glyphs::UNICODE,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
──HELP──────────────────────── 39 more ─
 g        give the Key to somebody
 r        revoke the Key; what would fo…
 m        move holders to another Key, …
 e        edit doors, rules and hours; …
 n        a new Key
 d        a new Key that begins as a co…
 D        delete the Key, which revokes…
────────────────────────────────────────

 Esc close  Up Down scroll
"#,
    );
}

#[test]
fn the_live_log() {
    check(
        "4",
        Glyphs::ASCII,
        (80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys  [4 Logs]                            1,331 granted  17 denied a minute
 1800 Main St > Logs > live                                         4 rows kept
+-TIME---------RESULT-REASON-------------DOOR-----------PERSON------KEY--------+
| 11:48:41.207 DENY   outside_schedule   Main entrance  Lee         --         |
| 11:48:43.950 DENY   unknown_credential Main entrance  --          --         |
| 11:48:51.113 ALLOW  --                 Main entrance  Visitor     Residences |
|>11:48:54.871 ALLOW  --                 Main entrance  Tracy       Key A      |
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
 FOLLOWING  shown 1 in 1,240, dropped 3
 Space pause  x explain  T history  e denied  = door  @ person  ? help  q quit
"#,
    );
    check(
        "4",
        Glyphs::UNICODE,
        (120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
  1 Keys  [4 Logs]                                                                    1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Logs > live                                                                 4 rows kept
┌─TIME─────────RESULT─REASON───────────────DOOR───────────────PERSON───────────KEY─────────────WITH─────GUEST OF───────┐
│ 11:48:41.207 DENY   outside_schedule     Main entrance      Lee              --              code     --             │
│ 11:48:43.950 DENY   unknown_credential   Main entrance      --               --              code     --             │
│ 11:48:51.113 ALLOW  --                   Main entrance      Visitor          Residences      code     Tracy          │
│▸11:48:54.871 ALLOW  --                   Main entrance      Tracy            Key A           code     --             │
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
├─DETAIL───────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ Time     2026-11-20T11:48:54.871-05:00                    Result   ALLOW                                             │
│ Door     Main entrance                                    Person   Tracy                                             │
│ Key      Key A                                            With     code                                              │
│                                                                                                                      │
├─RATE last 7 min──────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ ALLOW                                                                                    █                 1,331/min │
│ DENY                                                                                     █                    17/min │
│ denied so far:  outside_schedule 1  unknown_credential 1                                                             │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 FOLLOWING  shown 1 in 1,240, dropped 3
 Space pause  x explain  T history  e denied  = door  @ person  X export  Enter open  / filter  ? help  q quit
"#,
    );
    check(
        "4",
        Glyphs::ASCII,
        (40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-TIME-----RESULT-DOOR---------PERSON----
 11:48:41 DENY   Main entran~ Lee
 11:48:43 DENY   Main entran~ --
 11:48:51 ALLOW  Main entran~ Visitor
>11:48:54 ALLOW  Main entran~ Tracy



----------------------------------------
 FOLLOWING  1 in 1,240, dropped 3
 Space pause  x explain  ? help  q quit
"#,
    );
}

#[test]
fn hostile_names_are_drawn_harmlessly_at_every_size() {
    harmless(&["", "\n", "\nr", "g", "\nm", "?", ":", "4", "/\u{202e}\u{9b}"]);
}

/// Fails when something is drawn, after these chords, that could steer a terminal or turn text around.
pub fn harmless(chords: &[&str]) {
    let hostile = "\u{1b}[2J\u{202e}evil\u{9b}31m\u{7}\r\n\u{2066}x\u{1b}]52;c;aGk=\u{7}";
    for glyphs in [Glyphs::ASCII, Glyphs::UNICODE] {
        for (width, height) in [(1, 1), (2, 3), (20, 6), (40, 12), (61, 17), (80, 24), (120, 40), (200, 60)] {
            for chords in chords {
                let mut client = Client::unconnected(glyphs, width, height);
                client.poison = Some(hostile.to_owned());
                client.up();
                client.tell(batch());
                client.chords_at_once(chords);
                let screen = client.drawn().replace('\n', "");
                let bad = screen.chars().find(|c| keyward_protocol::name::is_unsafe(*c));
                assert_eq!(bad, None, "{width}x{height} {chords:?}");
                assert!(glyphs.unicode || screen.is_ascii(), "{width}x{height} {chords:?}");
            }
        }
    }
}

#[test]
fn what_is_to_be_typed_is_read_whole_however_narrow_it_is() {
    for (width, height) in [(20, 5), (30, 8), (39, 12), (40, 12), (60, 17), (71, 24), (72, 24), (80, 24)] {
        let mut client = after("\nr", Glyphs::ASCII, width, height);
        client.later(500);
        assert!(client.drawn().contains("DELETE 1"), "{}", client.drawn());
        client.press("DELETE 1");
        let screen = client.drawn();
        // The end of it is what is seen, where there isn't room for all.
        let typed = if width < 30 { "DELETE 1: ELETE 1_" } else { "DELETE 1_" };
        assert!(screen.contains(typed), "{screen}");
    }
}

#[test]
fn without_colours_nothing_but_modifiers_is_drawn_and_the_cursor_is_seen() {
    let client = after("j", Glyphs::ASCII, 80, 24);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let coloured = |cell: &ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
    assert!(!buffer.content().iter().any(coloured));
    let under_cursor = (0..24).filter(|y| buffer[(5, *y)].modifier.contains(Modifier::REVERSED));
    assert_eq!(under_cursor.collect::<Vec<_>>(), [5]);
}

#[test]
fn with_colours_what_is_lost_stands_out_and_the_words_are_the_same() {
    let mut client = after("\nr", Glyphs::ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("LOSES CODE")).unwrap();
    assert_eq!(buffer[(2, u16::try_from(row).unwrap())].fg, Color::Magenta);
}

#[test]
fn an_area_that_is_not_the_whole_buffer_is_kept_to() {
    let client = after("", Glyphs::ASCII, 40, 12);
    let mut buffer = Buffer::filled(Rect::new(0, 0, 50, 20), ratatui::buffer::Cell::new("x"));
    render(&client.app, Rect::new(5, 5, 40, 12), &mut buffer);
    let outside = |x: u16, y: u16| !(5..45).contains(&x) || !(5..17).contains(&y);
    let cells = (0..50).flat_map(|x| (0..20).map(move |y| (x, y)));
    assert!(cells.filter(|(x, y)| outside(*x, *y)).all(|place| buffer[place].symbol() == "x"));
    // More area than buffer: what doesn't fit is left out.
    render(&client.app, Rect::new(30, 10, 400, 400), &mut buffer);
}
