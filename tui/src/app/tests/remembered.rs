//! What is remembered from one start to the next.

use super::*;
use crate::app::{
    remembered::{Remembered, Unread},
    testing,
};

fn remembering(text: Option<&str>) -> Client {
    let mut client = Client::unconnected(Glyphs::ASCII, 120, 40);
    let read = text.map(|text| Remembered::parse(text).unwrap());
    let empty = App::new(Shell::new("prod", client.app.shell.theme, Glyphs::ASCII));
    client.app = std::mem::replace(&mut client.app, empty).remembering(read);
    client
}

/// What was to be written since the last look.
fn kept(client: &mut Client) -> Vec<String> {
    let kept = |effect| match effect {
        Effect::Keep(text) => Some(text),
        _ => None,
    };
    std::mem::take(&mut client.effects).into_iter().filter_map(kept).collect()
}

fn left(client: &mut Client) -> String {
    client.tell(Event::Stop);
    assert_eq!(client.effects.last(), Some(&Effect::Quit));
    kept(client).pop().unwrap_or_default()
}

#[test]
fn a_start_goes_on_where_the_last_one_ended() {
    let mut client = remembering(None);
    client.up();
    client.chords("ss/key\n2s/tr\n3sss4/door:gar\n7/by:dana\n4t");
    let text = left(&mut client);
    let mut next = remembering(Some(&text));
    assert_eq!(next.app.screen_id(), ScreenId::Logs);
    next.up();
    assert!(next.app.shell.utc && !next.app.shell.people_hidden);
    assert_eq!(next.app.screen().filtered(), "door:gar");
    for (chord, filtered) in [("1", "key"), ("2", "tr"), ("3", ""), ("7", "by:dana"), ("4", "door:gar")] {
        next.press(chord);
        assert_eq!(next.app.screen().filtered(), filtered, "{chord}");
    }
    let sorts = |app: &App| [ScreenId::Keys, ScreenId::People, ScreenId::Doors].map(|id| app.kept(id).unwrap().sort);
    assert_eq!(sorts(&next.app), [Some(1), Some(0), Some(2)]);
    assert_eq!(sorts(&next.app), sorts(&client.app));
    next.press("2");
    assert!(next.drawn().contains("Tracy") && !next.drawn().contains("Lee "), "{}", next.drawn());
    next.press("4");
    assert_eq!(left(&mut next), "", "what is the same is not written again");
}

#[test]
fn nobody_is_named_and_no_code_is_kept() {
    let mut client = remembering(None);
    client.up();
    client.chords("/key\n2/tracy\n4/person:tracy\n7/by:tracy\n");
    kept(&mut client);
    client.later(61_000);
    assert!(kept(&mut client).concat().contains("tracy"));
    // Hiding people is not waited for the next minute.
    client.chords("P");
    let hidden = kept(&mut client);
    let [text] = hidden.as_slice() else { panic!("{hidden:?}") };
    assert!(!text.contains("tracy") && text.contains("people-hidden = true"), "{text}");
    client.later(200_000);
    assert_eq!(kept(&mut client).concat(), "");
    assert_eq!(left(&mut client), "");
    let mut next = remembering(Some(text));
    next.up();
    assert!(next.app.shell.people_hidden);
    assert!(next.app.screen().filtered().is_empty());
    // C8
    let filters = [
        ("4071936", false),
        ("4071936.", false),
        ("x4071936", false),
        ("-4071936", false),
        ("door:gate 407193", false),
        ("1205", false),
        ("since:2026-12-01", true),
        ("since:2026-12-01T08:30", true),
        ("door:unit206", true),
    ];
    for (filter, stays) in filters {
        let mut client = remembering(None);
        client.up();
        client.chords(&format!("4/{filter}\n"));
        assert_eq!(left(&mut client).contains(filter), stays, "{filter}");
    }
    // Whatever was written otherwise: hidden people are not named by what is read, either.
    let text = "version = 1\nscreen = 'people'\nutc = false\npeople-hidden = true\n[screens.people]\nfilter = 'tracy'";
    let mut client = remembering(Some(text));
    client.up();
    assert!(client.app.screen().filtered().is_empty());
    // Nor are they where the settings hide them and not what was written.
    let text = text.replace("people-hidden = true", "people-hidden = false");
    let mut client = remembering(None);
    let mut shell = Shell::new("prod", client.app.shell.theme, Glyphs::ASCII);
    shell.people_hidden = true;
    client.app = App::new(shell).remembering(Some(Remembered::parse(&text).unwrap()));
    client.up();
    client.chords("2");
    assert!(client.app.screen().filtered().is_empty());
}

#[test]
fn it_is_written_now_and_then_where_it_changed_and_at_the_end() {
    let mut client = remembering(None);
    client.up();
    client.chords("/key\n");
    assert_eq!(kept(&mut client).len(), 0, "not with each chord");
    client.later(61_000);
    assert_eq!(kept(&mut client).len(), 1);
    client.later(61_000);
    assert_eq!(kept(&mut client).len(), 0, "it is the same");
    client.press("2");
    client.tell(Event::NotKept("the disk is full".into()));
    assert!(client.drawn().contains("is not remembered: the disk is full"), "{}", client.drawn());
    client.press("3");
    client.later(61_000);
    assert_eq!(left(&mut client), "", "it is not tried for ever");
    // But what was written before may name somebody, and goes whenever people are hidden.
    for _ in 0..2 {
        client.press("P");
        assert!(kept(&mut client).concat().contains("people-hidden = true"));
        client.press("P");
    }
    client.later(61_000);
    assert_eq!(left(&mut client), "");
    // Where nobody wants it nothing is written at all.
    let mut client = Client::new(Glyphs::ASCII, 80, 24);
    client.press("2P");
    client.later(61_000);
    assert_eq!(left(&mut client), "");
}

#[test]
fn what_was_not_shown_yet_is_not_lost() {
    let text = "version = 1\nscreen = 'doors'\nproperty = 7\nutc = false\npeople-hidden = false\n[screens.doors]\nfilter = 'gar'";
    let mut client = remembering(Some(text));
    assert_eq!(left(&mut client), "", "there was no connection: it is as it was");
    let mut client = remembering(Some(text));
    client.press("2");
    let again = left(&mut client);
    assert!(again.contains("gar") && again.contains("property = 7") && again.contains("people"), "{again}");
    // The property is not there any more: the first one is shown, and the filter is back all the same.
    let mut client = remembering(Some(text));
    client.up();
    assert_eq!((client.app.shell.property, client.app.screen().filtered()), (Some(PropertyId(1)), "gar"));
}

#[test]
fn the_property_that_was_looked_at_is_shown_again() {
    let text = "version = 1\nscreen = 'keys'\nproperty = 2\nutc = false\npeople-hidden = false";
    let mut client = remembering(Some(text));
    let mut overview = testing::overview(None);
    let mut second = overview.properties[0].clone();
    (second.id, second.zone) = (PropertyId(2), "Asia/Tokyo".into());
    overview.properties.push(second);
    assert_eq!(client.app.shell.overviewed(overview.clone()), (true, true));
    assert_eq!(client.app.shell.property, Some(PropertyId(2)));
    assert_eq!(client.app.shell.zone().iana_name(), Some("Asia/Tokyo"));
    client.app.shell.choose(Some(PropertyId(1)));
    assert_eq!(client.app.shell.overviewed(overview), (false, false));
}

#[test]
fn what_is_none_of_ours_is_not_taken() {
    let good = "version = 1\nscreen = 'keys'\nutc = false\npeople-hidden = false\n";
    assert!(Remembered::parse(good).is_ok());
    let long = format!("{good}[screens.keys]\nfilter = '{}'", "x".repeat(101));
    let cases = [
        ("", Unread::Damaged),
        ("version = 0", Unread::Damaged),
        ("version = 'x'", Unread::Damaged),
        ("version = 1", Unread::Damaged),
        ("version = 2\nnew = [1, 2]", Unread::Newer),
        ("version = 1\nscreen = 'cellar'\nutc = false\npeople-hidden = false", Unread::Damaged),
        ("version = 1\nscreen = 'keys'\nutc = false\npeople-hidden = false\nmore = 1", Unread::Damaged),
        (
            "version = 1\nscreen = 'keys'\nutc = false\npeople-hidden = false\n[screens.cellar]\nsort = 1",
            Unread::Damaged,
        ),
        (
            "version = 1\nscreen = 'keys'\nutc = false\npeople-hidden = false\n[screens.keys]\nsort = -1",
            Unread::Damaged,
        ),
        (
            "version = 1\nscreen = 'keys'\nutc = false\npeople-hidden = false\n[screens.keys]\nfilter = \"a\\u202eb\"",
            Unread::Damaged,
        ),
        (&long, Unread::Damaged),
    ];
    for (text, why) in cases {
        assert_eq!(Remembered::parse(text), Err(why), "{text}");
    }
    // A sort that the list has not is not taken, and is no reason to lose the rest.
    let mut client = remembering(Some(&format!("{good}[screens.keys]\nsort = 99\nfilter = 'key'")));
    client.up();
    assert_eq!(client.app.screen().filtered(), "key");
    assert_eq!(client.app.kept(ScreenId::Keys).unwrap().sort, None);
}
