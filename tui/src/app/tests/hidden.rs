//! What is said of people while they are hidden.

use super::*;
use crate::remote::Failure;

/// Every screen after a filter that names Tracy was typed on it, also under a page; then people are hidden on this one.
fn hidden_on(screen: char) -> Client {
    let mut client = Client::new(Glyphs::ASCII, 120, 40);
    client.tell(batch());
    client.chords("1\n/tracy\n");
    client.chords("2/tracy\n\n3\n\t/tracy\n");
    client.chords("4/tracy\n5/dana\n6\t/tracy\n7/tracy\n");
    client.key(KeyCode::Char(screen));
    client.chords("P");
    client
}

#[test]
fn hiding_people_filters_everything_anew_wherever_it_is_said() {
    for hides in '1'..='7' {
        let mut client = hidden_on(hides);
        for screen in '1'..='7' {
            client.key(KeyCode::Char(screen));
            let drawn = client.drawn();
            for name in ["racy", "dana"] {
                assert!(!drawn.contains(name), "hidden on {hides}, seen on {screen}\n{drawn}");
            }
            // Nor when it is gone on with.
            client.chords("/");
            assert!(!client.drawn().contains("racy"), "hidden on {hides}, seen on {screen}\n{}", client.drawn());
            client.chords("\n");
        }
        // The list of people under the page is whole: a single row would say who was looked for.
        client.chords("2q");
        let drawn = client.drawn();
        let whole = drawn.contains("4 shown of 4 people");
        assert!(whole && drawn.contains("filter: (hidden)"), "hidden on {hides}\n{drawn}");
        // Shown again, it is filtered as it was.
        client.chords("P");
        let drawn = client.drawn();
        assert!(drawn.contains("filter: tracy") && drawn.contains("1 shown of 4 people"), "{drawn}");
    }
}

#[test]
fn a_filter_that_is_made_while_people_are_hidden_is_shown() {
    let mut client = Client::new(Glyphs::ASCII, 120, 40);
    client.tell(batch());
    client.chords("P3/gar\n");
    assert!(client.drawn().contains("filter: gar"), "{}", client.drawn());
    client.chords("/");
    assert!(client.drawn().contains("/gar"), "{}", client.drawn());
    client.chords("\n4=");
    assert!(client.drawn().contains("filter: door:"), "{}", client.drawn());
    // What was there before stays unsaid, whatever is added.
    let mut client = Client::new(Glyphs::ASCII, 120, 40);
    client.tell(batch());
    client.chords("4/main\nP=");
    assert!(client.drawn().contains("filter: (hidden)"), "{}", client.drawn());
}

#[test]
fn a_review_that_stopped_says_why_and_not_whom_it_is_about() {
    for (hidden, chords) in [(false, "2"), (true, "2P")] {
        let mut client = Client::new(Glyphs::ASCII, 120, 40);
        client.tell(batch());
        client.chords(chords);
        client.refusals.push(Failure::Unknown("no answer in time".into()));
        client.chords("S\n");
        let drawn = client.drawn();
        assert!(drawn.contains("unknown whether it was done"), "{drawn}");
        assert_eq!(drawn.contains("Tracy: unknown"), !hidden, "{drawn}");
        assert!(!hidden || !drawn.contains("Tracy"), "{drawn}");
        // Neither does one whose preview is refused.
        let mut client = Client::new(Glyphs::ASCII, 120, 40);
        client.chords(chords);
        client.silent = true;
        client.chords("S");
        client.fail_waiting(&Failure::Lost("no answer in time".into()));
        let drawn = client.drawn();
        assert!(drawn.contains("no answer: no answer in time"), "{drawn}");
        assert_eq!(drawn.contains("Tracy: no answer"), !hidden, "{drawn}");
    }
}
