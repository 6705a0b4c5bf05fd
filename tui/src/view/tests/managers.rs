//! Screen 5 as it is drawn, and tokens.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::{after, same};
use crate::{
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;
const UNICODE: Glyphs = Glyphs::UNICODE;

/// The managers after these chords, half a second apart: reviews hear none that comes at once.
fn drawn(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> String {
    let mut client = after("5", glyphs, width, height);
    for c in chords.chars() {
        client.later(500);
        client.key_at_once(crate::app::testing::key(c));
    }
    client.drawn()
}

#[test]
fn the_managers() {
    same(
        &drawn("", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers                                             4 managers
+-NAME----------------------EMAIL---------------------MANAGES------------------+
| Ana                       ana@mail.example          SUSPENDED, 1 property    |
|>Dana                      dana@mail.example         portfolio                |
| Lee                       lee@mail.example          1 property               |
| Sam                       sam@mail.example          portfolio                |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-MANAGERS---------------------------------------------------------------------+
| You      Portfolio Manager            Managers 4, 2 of them of the portfol~  |
| In       1 property                                                          |
|                                                                              |
+------------------------------------------------------------------------------+

 a add property  n token  Enter open  / filter  : command  ? help  q quit
"#,
    );
    same(
        &drawn("j", UNICODE, 120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:55
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit                    0 granted  0 denied a minute
 Harbor Living > 1800 Main St > Managers                                                                     4 managers
┌─NAME─────────────────────────────EMAIL────────────────────────────────MANAGES────────────────────────────────────────┐
│ Ana                              ana@mail.example                     SUSPENDED, 1 property                          │
│ Dana                             dana@mail.example                    portfolio                                      │
│▸Lee                              lee@mail.example                     1 property                                     │
│ Sam                              sam@mail.example                     portfolio                                      │
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
├─MANAGERS─────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ You      Portfolio Manager                                Managers 4, 2 of them of the portfolio                     │
│ In       1 property                                                                                                  │
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

 a add property  n token  Enter open  / filter  : command  ? help  q quit  s sort
"#,
    );
    same(
        &drawn("", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-NAME----------------MANAGES------------
 Ana                 SUSPENDED, 1 prope~
>Dana                portfolio
 Lee                 1 property
 Sam                 portfolio



----------------------------------------

 a add property  ? help  q quit
"#,
    );
}

#[test]
fn a_contact_card() {
    same(
        &drawn("\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers > card > levels
+-PROPERTY---------------KEYS--LEVEL----------CAN DO------------------LOG DOORS+
|>1800 Main St          5 + 1  Full (portf.)  everything with all Ke~       238|
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
+-CONTACT----------------------------------------------------------------------+
| Name     Dana                         Is       Portfolio Manager             |
| Email    dana@mail.example            Client   not connected                 |
| Phone    +1 212 555 0147              Holds    Key B                         |
+------------------------------------------------------------------------------+

 Tab machines  a add property  c change level  n token  ? help  q back
"#,
    );
    same(
        &drawn("kk\n", UNICODE, 120, 40),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL                                               EST 11:48:56
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit                    0 granted  0 denied a minute
 Harbor Living > 1800 Main St > Managers > card > levels
┌─PROPERTY─────────────────────────────KEYS──LEVEL────────────CAN DO───────────────────────────────────LOG DOORS───────┐
│▸1800 Main St                        5 + 1  Specific(2)      give and revoke 2 Keys                           2       │
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
├─CONTACT──────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
│ Name     Ana                                              Is       SUSPENDED                                         │
│ Email    ana@mail.example                                 Client   connected since 11:44 from 198.51.100.7:51820     │
│ Phone    +1 212 555 0147                                  Holds    Key B                                             │
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

 Tab machines  a add property  c change level  n token  Enter open  : command  ? help  q back
"#,
    );
    same(
        &drawn("\n", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:55
-PROPERTY-------------KEYS--LEVEL-------
>1800 Main St        5 + 1  Full (portf~






----------------------------------------

 Tab machines  ? help  q back
"#,
    );
}

#[test]
fn the_machines_of_a_manager() {
    same(
        &drawn("kk\n\t", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:57
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers > card > machines
+-MACHINE--------------AS-------STATE----CONNECTED------------CERTIFICATE UNTIL+
|>gw-ops2              manager  enabled  198.51.100.7:51820 ~ 19:48            |
| old laptop           manager  DISABLED -- (joined 2026-10-~ --               |
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
+-CONTACT----------------------------------------------------------------------+
| Name     Ana                          Is       SUSPENDED                     |
| Email    ana@mail.example             Client   connected since 11:44 from ~  |
| Phone    +1 212 555 0147              Holds    Key B                         |
+------------------------------------------------------------------------------+

 Tab levels  d disable  n token  : command  ? help  q back
"#,
    );
    same(
        &drawn("kk\n\tj", UNICODE, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:57
─MACHINE─────────STATE────CONNECTED─────
 gw-ops2         enabled  198.51.100.7:…
▸old laptop      DISABLED -- (joined 20…





────────────────────────────────────────

 Tab levels  d disable  ? help  q back
"#,
    );
    same(
        &drawn("kk\n\td", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:57
  1 Keys   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers > card > machines
+-DISABLE gw-ops2 (identity-1)-------------------------------------------------+
| It is refused at once, and its connections are closed within a moment.       |
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
fn keys_of_a_specific_level_are_chosen() {
    same(
        &drawn("kk\nc  \n\n jj ", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:49:01
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers > card > 1800 Main St                  0 of 6, unsaved
+-----KEY------------------------------DOORS--PEOPLE---------------------------+
| [ ] Key A                                2       1 <- was chosen             |
| [ ] Key B                                2      41                           |
| [ ] Employee All Access 24/7           214      11                           |
| [ ] Residences                           6   1,362 <- was chosen             |
|>[ ] Caf? ??                              1       0                           |
| [-] Deliveries                           4      -- carrier-managed           |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
+-CONTACT----------------------------------------------------------------------+
| Name     Ana                          Is       SUSPENDED                     |
| Email    ana@mail.example             Client   connected since 11:44 from ~  |
| Phone    +1 212 555 0147              Holds    Key B                         |
+------------------------------------------------------------------------------+

 Space choose  s save  u undo  / filter  : command  ? help  q back
"#,
    );
    same(
        &drawn("kk\nc  \n\n jj ", UNICODE, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:49:01
─────KEY───────────────────DOORS──PEOPLE
 [ ] Key A                     2       1
 [ ] Key B                     2      41
 [ ] Employee All Access…    214      11
 [ ] Residences                6   1,362
▸[ ] Café 東京                 1       0
 [-] Deliveries                4      --

────────────────────────────────────────

 Space choose  s save  ? help  q back
"#,
    );
    same(
        &drawn("kk\nc  \n\n s", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:49:00
  1 Keys   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers > card > 1800 Main St                  1 of 6, unsaved
+-LEVEL of Ana in 1800 Main St: Specific, 1 Key--------------------------------+
| Managing a Key is not holding it: nobody's doors change by this.             |
|                                                                              |
| LOSES LOG   person-3              Main entrance                              |
| LOSES LOG   person-3              Garage                                     |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
|                                                                              |
| TOTAL  2 logs lost                                                           |
|                                                                              |
| [ Cancel ]  Type  REVOKE 2  to confirm: >                                    |
|                                                                              |
|                                                      worked out at rev 18204 |
+------------------------------------------------------------------------------+

 Esc cancel  Tab confirm or cancel  Up Down scroll
"#,
    );
}

#[test]
fn forms_of_levels() {
    same(
        &drawn("a", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:55
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers                                             4 managers
+-ADD A PROPERTY for somebody--------------------------------------------------+
|>Person      _                            type a part of the name             |
|             Tracy                            tracy@mail.example              |
|             Lee                              lee@mail.example                |
|             Ana                              ana@mail.example                |
|             Sam                              sam@mail.example                |
| Property    (not chosen yet)                                                 |
| Level       Full                                                             |
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
+------------------------------------------------------------------------------+

 Esc cancel  Enter next  Tab next  Up Down choose  Left Right change
"#,
    );
    same(
        &drawn("kk\n\n", ASCII, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:57
--LEVEL of Ana in 1800 Main St----------
>Level       < Full >

 [ Continue ]




----------------------------------------

 Esc cancel  Enter next  Tab next
"#,
    );
}

#[test]
fn a_portfolio_manager_is_made() {
    same(
        &drawn("kkM", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:56
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers                                             4 managers
+-MAKE Ana A PORTFOLIO MANAGER-------------------------------------------------+
| They add properties, doors, managers and levels, and have Full everywhere un~|
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
fn a_token_is_shown_once() {
    same(
        &drawn("n\n\n\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:57
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers                                             4 managers
+-TOKEN for Dana---------------------------------------------------------------+
| kwj1.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc.CQkJCQkJCQkJCQkJCQkJCQkJCQk |
| JCQkJCQkJCQkJCQk@keyward.example:4433                                        |
|                                                                              |
| It is shown once and can't be shown again.                                   |
| Whoever has it joins with it, once, until 12:48.                             |
| A token that was lost is revoked with the locks (6).                         |
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
 the token is made
 y copy  Esc close, for good
"#,
    );
    same(
        &drawn("n\n\n\n", UNICODE, 40, 12),
        r#"
 [up 4ms]  1800 Main St        11:48:57
──TOKEN for Dana────────────────────────
 kwj1.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHB
 wcHBwcHBwc.CQkJCQkJCQkJCQkJCQkJCQkJCQk
 JCQkJCQkJCQkJCQk@keyward.example:4433

 It is shown once and can't be shown a…
 Whoever has it joins with it, once, u…
 A token that was lost is revoked with…
────────────────────────────────────────
 the token is made
 y copy  Esc close, for good
"#,
    );
    same(
        &drawn("n\n\n", ASCII, 80, 24),
        r#"
 keyward  prod  [up 4ms]  rev 18204  1800 Main St  Dana FULL       EST 11:48:56
  1 Keys   2 People   3 Doors   4 Logs  [5 Managers]  6 Locks   7 Audit
 1800 Main St > Managers                                             4 managers
+-TOKEN for the client of Dana-------------------------------------------------+
| Whoever has the token joins as this manager, once: hand it over safely.      |
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
fn hostile_names_of_machines_and_keys_are_drawn_harmlessly() {
    super::harmless(&["5", "5\n", "5kk\n\t", "5kk\n\td", "5kk\nc  \n\n", "5n\n\n"]);
}

#[test]
fn the_card_in_colours_has_the_same_words_and_what_changes_stands_out() {
    let mut client = after("5kk\nc  \n\n ", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("<- was chosen")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("<- was").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Magenta);
}
