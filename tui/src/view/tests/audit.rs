//! Screen 7 as it is drawn.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::{after, same};
use crate::{
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;
const UNICODE: Glyphs = Glyphs::UNICODE;

fn drawn(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> String {
    after(&format!("7{chords}"), glyphs, width, height).drawn()
}

#[test]
fn the_audit_trail() {
    same(
        &drawn("", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers   6 Locks  [7 Audit]
 1800 Main St > Audit                                               6 rows here
+-TIME-------------OUTCOME-ACT--------------WHO------------PROPERTY----REV-----+
|>11-20 11:47:55   done    key changed      Dana <dana@ma~ 1800 Main ~   18203 |
| 11-20 11:46:55   done    key given        Lee <lee@mail~ 1800 Main ~   18202 |
| 11-20 11:45:55   REFUSED key shared       Ana <ana@mail~ 1800 Main ~   18201 |
| 11-20 11:44:55   done    expired          the clock      --            18200 |
| 11-20 11:43:55   done    key changed      Dana <dana@ma~ 1800 Main ~   18199 |
| 11-20 11:42:55   REFUSED key given        Lee <lee@mail~ 1800 Main ~   18198 |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-DETAIL-------------------------------------------------------------- 1 more -+
| key changed  Fri 2026-11-20 11:47:55 EST  in 1800 Main St                    |
| by Dana <dana@mail.example>  from 198.51.100.7:51820  revision 18203         |
| Key `Key A` name: Key Alpha -> Key A                                         |
+------------------------------------------------------------------------------+
 back to the beginning
 @ same person  X export  Enter open  / filter  : command  ? help  q quit
"#,
    );
    same(
        &drawn("jj", UNICODE, 120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
  1 Keys   4 Logs   5 Managers   6 Locks  [7 Audit]                                   1,331 granted  17 denied a minute
 Harbor Living > 1800 Main St > Audit                                                                       6 rows here
┌─TIME────────────────OUTCOME─ACT───────────────────WHO─────────────────PROPERTY─────────FROM─────────────────REV──────┐
│ 2026-11-20 11:47:55 done    key changed           Dana <dana@mail.ex… 1800 Main St     198.51.100.7:51820     18203  │
│ 2026-11-20 11:46:55 done    key given             Lee <lee@mail.exam… 1800 Main St     198.51.100.7:51820     18202  │
│▸2026-11-20 11:45:55 REFUSED key shared            Ana <ana@mail.exam… 1800 Main St     198.51.100.7:51820     18201  │
│ 2026-11-20 11:44:55 done    expired               the clock           --               --                     18200  │
│ 2026-11-20 11:43:55 done    key changed           Dana <dana@mail.ex… 1800 Main St     198.51.100.7:51820     18199  │
│ 2026-11-20 11:42:55 REFUSED key given             Lee <lee@mail.exam… 1800 Main St     198.51.100.7:51820     18198  │
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
├─DETAIL───────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ key shared  Fri 2026-11-20 11:45:55 EST  in 1800 Main St                                                             │
│ by Ana <ana@mail.example> as holder  from 198.51.100.7:51820  revision 18201                                         │
│ REFUSED  not permitted: managing the Key is missing                                                                  │
│ and 2 more were refused before it                                                                                    │
│ Key `Key A` holder `Lee`: now always                                                                                 │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 back to the beginning
 @ same person  X export  Enter open  / filter  : command  ? help  q quit
"#,
    );
    same(
        &drawn("", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-TIME------------OUTCOME-ACT------------
>11-20 11:47:55  done    key changed
 11-20 11:46:55  done    key given
 11-20 11:45:55  REFUSED key shared
 11-20 11:44:55  done    expired
 11-20 11:43:55  done    key changed
 11-20 11:42:55  REFUSED key given

----------------------------------------
 back to the beginning
 @ same person  ? help  q quit
"#,
    );
}

#[test]
fn one_act() {
    same(
        &drawn("\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers   6 Locks  [7 Audit]
 1800 Main St > Audit > row                                         6 rows here
+-ROW--------------------------------------------------------------------------+
| key changed  Fri 2026-11-20 11:47:55 EST  in 1800 Main St                    |
| by Dana <dana@mail.example>  from 198.51.100.7:51820  revision 18203         |
| Key `Key A` name: Key Alpha -> Key A                                         |
| Key `Key A` door `Gym`: was always, is gone                                  |
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
 back to the beginning
 @ same person  X export  Enter open  / filter  : command  ? help  q back
"#,
    );
    same(
        &drawn("jj\n", UNICODE, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
──ROW────────────────────────── 1 more ─
 key shared  Fri 2026-11-20 11:45:55 EST
  in 1800 Main St
 by Ana <ana@mail.example> as holder
 from 198.51.100.7:51820  revision 18201
 REFUSED  not permitted: managing the
 Key is missing
 and 2 more were refused before it
────────────────────────────────────────
 back to the beginning
 @ same person  ? help  q back
"#,
    );
    same(
        &drawn("P\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   4 Logs   5 Managers   6 Locks  [7 Audit]
 1800 Main St > Audit > row                                         6 rows here
+-ROW--------------------------------------------------------------------------+
| key changed  Fri 2026-11-20 11:47:55 EST  in 1800 Main St                    |
| by (hidden)  from 198.51.100.7:51820  revision 18203                         |
| (hidden) (hidden): (hidden) -> (hidden)                                      |
| (hidden) (hidden): was (hidden), is gone                                     |
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
 more below  people hidden
 @ same person  X export  Enter open  / filter  : command  ? help  q back
"#,
    );
}

#[test]
fn hostile_names_in_the_trail_are_drawn_harmlessly() {
    super::harmless(&["7", "7\n", "7@", "7X"]);
}

#[test]
fn the_trail_in_colours_has_the_same_words_and_refusals_stand_out() {
    let mut client = after("7", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("REFUSED")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("REFUSED").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Red);
}
