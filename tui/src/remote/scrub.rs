//! Text from the server, made harmless where it enters: whatever a name holds, it can't steer the terminal, turn the
//! text around it, or break a line of a file that is saved.

use keyward_protocol::{
    entry::Refusal,
    message::{
        admission::{ConnectedRow, IdentityRow, TokenRow},
        audit::{AuditPage, AuditRow, Fact},
        manage::*,
        watch::{History, LiveBatch, Names},
    },
    name,
};

/// Something with text in it.
pub trait Scrub {
    /// Replaces what could do harm, one sign a character.
    fn scrub(&mut self);
}

impl Scrub for String {
    fn scrub(&mut self) {
        replace(self, name::is_unsafe);
    }
}

/// Scrubs a text that may have several lines. Where one is drawn, the end of a line is a sign.
fn scrub_lines(text: &mut String) {
    replace(text, |c| name::is_unsafe(c) && c != '\n');
}

fn replace(text: &mut String, bad: impl Fn(char) -> bool) {
    if text.chars().any(&bad) {
        *text = text.chars().map(|c| if bad(c) { '\u{FFFD}' } else { c }).collect();
    }
}

impl<T: Scrub> Scrub for Option<T> {
    fn scrub(&mut self) {
        self.iter_mut().for_each(T::scrub);
    }
}

impl<T: Scrub> Scrub for Vec<T> {
    fn scrub(&mut self) {
        self.iter_mut().for_each(T::scrub);
    }
}

/// An id with a name.
impl<T> Scrub for (T, String) {
    fn scrub(&mut self) {
        self.1.scrub();
    }
}

impl<T: Scrub> Scrub for List<T> {
    fn scrub(&mut self) {
        self.rows.scrub();
    }
}

macro_rules! scrubbed {
    ($($what:ty: $($field:ident),*;)*) => {$(
        impl Scrub for $what {
            fn scrub(&mut self) {
                $(self.$field.scrub();)*
            }
        }
    )*};
}

scrubbed! {
    Overview: name, my_name, door_codes, properties;
    PropertyRow: name, zone;
    PropertyDetail: row, holidays;
    keyward_protocol::entry::Holiday: name;
    KeyRow: name, hours;
    KeyDetail: row, rules, opens;
    keyward_protocol::entry::DoorRule: labels;
    KeyOpens: name;
    HolderRow: name, email, guests;
    GuestRow: host_name, guest_name;
    PersonRow: name, email;
    HeldRow: name, guests;
    CodeRow: name;
    DoorRow: name, labels;
    DoorDetail: row, keys;
    DoorKeyRow: name;
    ScheduleRow: name;
    LockRow: name, connected;
    IdentityRow: name, label, connected;
    TokenRow: name;
    ConnectedRow: address;
    NamedKey: name;
    Explanation: name, door_name, held, would_open;
    StandingRow: key, host, openings;
    NamedOpening: schedule;
    WhoCan: people;
    WhoRow: name, email, how;
    CanOpenRow: name, how;
    How: key, host;
    Effects: people, doors;
    Done: effects;
    DifferenceRow: name, email, gained, lost;
    AlertRow: name;
    Revealed: digits;
    AuditPage: rows;
    Fact: of, what, before, after;
    History: names;
    LiveBatch: names;
    Names: people, doors, keys, carriers;
}

impl Scrub for PersonDetail {
    fn scrub(&mut self) {
        self.row.scrub();
        // These may have several lines, and are sent back as they came: an edit leaves what it doesn't mean.
        self.phone.iter_mut().chain(&mut self.note).for_each(scrub_lines);
        self.holds.scrub();
        self.guest_of.scrub();
        self.codes.scrub();
    }
}

impl Scrub for DoorCodes {
    fn scrub(&mut self) {
        if let DoorCodes::Unreadable(why) = self {
            why.scrub();
        }
    }
}

impl Scrub for AuditRow {
    fn scrub(&mut self) {
        // A row with a link is a line of an export, which is written and never drawn; changed, its link wouldn't hold.
        if self.link.is_some() {
            return;
        }
        self.name.scrub();
        self.from.scrub();
        self.facts.scrub();
        self.refused.scrub();
    }
}

impl Scrub for Refusal {
    fn scrub(&mut self) {
        match self {
            Refusal::NotFound(text)
            | Refusal::Invalid(text)
            | Refusal::Taken(text)
            | Refusal::NotPermitted(text)
            | Refusal::Unavailable(text) => text.scrub(),
            Refusal::TooManyCodes { door, .. } => door.scrub(),
            Refusal::Deliveries | Refusal::MovedOn | Refusal::ChangedSince => {}
        }
    }
}

impl Scrub for Answer {
    fn scrub(&mut self) {
        match self {
            Answer::Overview(found) => found.scrub(),
            Answer::Property(found) => {
                found.scrub();
                found.levels.iter_mut().for_each(|(_, name, _)| name.scrub());
            }
            Answer::Keys(found) => found.scrub(),
            Answer::Key(found) => found.scrub(),
            Answer::Holders(found) => found.scrub(),
            Answer::People(found) => found.scrub(),
            Answer::Person(found) => found.scrub(),
            Answer::Doors(found) => found.scrub(),
            Answer::Door(found) => found.scrub(),
            Answer::Schedules(found) => found.scrub(),
            Answer::Locks(found) => found.scrub(),
            // Numbers alone.
            Answer::LockActivity(_) => {}
            Answer::Preview(found) => found.scrub(),
            Answer::Done(found) => found.scrub(),
            Answer::Refused(found) => found.scrub(),
            Answer::Unreadable(why) => why.scrub(),
            Answer::Explanation(found) => found.scrub(),
            Answer::WhoCan(found) => found.scrub(),
            Answer::WhatCan(found) => found.scrub(),
            Answer::History(found) => found.scrub(),
            Answer::Found(found) => found.scrub(),
            Answer::Audit(found) => found.scrub(),
            Answer::Revealed(found) => found.scrub(),
            Answer::Alerts(found) => found.scrub(),
            Answer::Difference(found) => found.scrub(),
            Answer::Identities(found) => found.scrub(),
            Answer::Tokens(found) => found.scrub(),
            // Never asked for here: a holder's own is for another client.
            Answer::Mine(found) => {
                found.name.scrub();
                found.keys.clear();
                found.guest_of.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward_protocol::id::{KeyId, PersonId};

    use super::*;
    use crate::app::testing;

    #[test]
    fn what_could_steer_a_terminal_is_replaced_wherever_a_name_stands() {
        let hostile = || "a\u{1b}[2J\u{202e}b\n".to_owned();
        let row = KeyRow {
            id: KeyId(1),
            name: hostile(),
            doors: 1,
            people: 1,
            guests: 0,
            may_share: false,
            hours: Some(hostile()),
            system: false,
        };
        let mut answer = Answer::Keys(List { revision: 1, total: 1, rows: vec![row], next: None });
        answer.scrub();
        let Answer::Keys(list) = answer else { panic!("it is still the Keys") };
        assert_eq!(list.rows[0].name, "a\u{FFFD}[2J\u{FFFD}b\u{FFFD}");
        assert_eq!(list.rows[0].hours.as_deref(), Some("a\u{FFFD}[2J\u{FFFD}b\u{FFFD}"));
        let mut person = Answer::Person(PersonDetail { note: Some(hostile()), ..testing::person_detail(PersonId(1)) });
        person.scrub();
        let Answer::Person(person) = person else { panic!("it is still the person") };
        assert_eq!(person.note.as_deref(), Some("a\u{FFFD}[2J\u{FFFD}b\n"), "a note may have lines, and no more");
        let mut refused = Answer::Refused(Refusal::Invalid(hostile()));
        refused.scrub();
        assert_eq!(refused, Answer::Refused(Refusal::Invalid("a\u{FFFD}[2J\u{FFFD}b\u{FFFD}".to_owned())));
    }
}
