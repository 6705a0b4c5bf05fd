//! Changes to something as it was read (K12): what somebody else changed in between is not written over unseen. Pure.
//!
//! A command carries a person, a door or a Key as a whole, so what it doesn't mean to change it puts back to what its
//! author read. Beside it stands what that was, told as the command that would make it so, and it is compared by content:
//! a number that counts changes would refuse where nothing of it is different, and would have to be kept with every thing.
//! What is compared is a condition of the step and no part of it: the journal has nothing of it.

use std::borrow::Cow;

use keyward_protocol::{entry::PersonSpec, time::Moment};

use super::{
    command::Command,
    decide::{self, Refusal},
    directory::Portfolio,
    event::Cause,
    permission::{self, Sight},
};

/// What has to hold for a step to be made.
#[derive(Clone, Default, Debug)]
pub struct Proviso {
    /// The command that would change nothing, as things were when its author read them.
    pub was: Option<Command>,
    /// The digest of the preview (K9).
    pub pinned: Option<[u8; 32]>,
}

impl From<Option<[u8; 32]>> for Proviso {
    fn from(pinned: Option<[u8; 32]>) -> Proviso {
        Proviso { was: None, pinned }
    }
}

/// Refused to who may not do this, and where it starts from something that is not there any more. The command as it is
/// meant.
///
/// Who may not see what `was` is about hears the same whatever it says, and so does who names what never was (M8).
pub fn authorize<'c>(
    sight: &Sight<'_>,
    command: &'c Command,
    was: Option<&'c Command>,
    now: Moment,
) -> Result<Cow<'c, Command>, Refusal> {
    let Some(was) = was else {
        return permission::authorize(sight, command).map(|()| Cow::Borrowed(command));
    };
    let (command, was) = with_cards(sight, command, was);
    permission::authorize(sight, &command)?;
    let sees = permission::authorize(sight, &was).is_ok();
    stands(sight.portfolio(), &command, Some(&*was).filter(|_| sees), now)?;
    Ok(command)
}

/// Refused where `was` would change something now. Not where the command would change nothing itself: that is how one
/// finds things that is sent once more because its first answer was lost.
fn stands(portfolio: &Portfolio, command: &Command, was: Option<&Command>, now: Moment) -> Result<(), Refusal> {
    let changes_nothing = |command: &Command| {
        // Only a new identity depends on them, and that is no state which anything starts from.
        let causes = decide::causes(portfolio, command, now, [0; 4]);
        causes.is_ok_and(|causes| causes.iter().all(|cause| is_there(portfolio, cause)))
    };
    let holds = was.is_some_and(changes_nothing) || changes_nothing(command);
    holds.then_some(()).ok_or(Refusal::ChangedSince)
}

/// Whether things are as a cause would make them.
fn is_there(portfolio: &Portfolio, cause: &Cause) -> bool {
    let property = |id| portfolio.properties.get(id);
    match cause {
        Cause::PersonPut(person) => portfolio.people.get(&person.id).is_some_and(|there| **there == *person),
        Cause::PortfolioManagerSet { person, on } => portfolio.managers.contains(person) == *on,
        Cause::PropertyPut(facts) => property(&facts.id).is_some_and(|there| there.facts == *facts),
        Cause::HolidaysSet { property: of, holidays } => property(of).is_some_and(|there| there.holidays == *holidays),
        Cause::DeliveriesSet { property: of, key } => property(of).is_some_and(|there| there.deliveries == *key),
        Cause::DoorPut { property: of, door } => {
            property(of).and_then(|found| found.doors.get(&door.id)).is_some_and(|there| **there == *door)
        }
        Cause::SchedulePut { property: of, schedule } => {
            property(of).and_then(|found| found.schedules.get(&schedule.id)).is_some_and(|there| **there == *schedule)
        }
        Cause::KeyPut { property: of, key } => {
            property(of).and_then(|found| found.keys.get(&key.id)).is_some_and(|there| **there == *key)
        }
        Cause::Given { property: of, giving } => {
            property(of).and_then(|found| found.givings.get(&giving.id)).is_some_and(|there| *there == *giving)
        }
        Cause::LevelSet { property: of, person, level } => {
            property(of).is_some_and(|found| found.levels.get(person) == level.as_ref())
        }
        _ => false,
    }
}

/// Cards are shown to Portfolio Managers alone. Where somebody else sends them as they were told, they mean those that the
/// person has, be they what they may.
fn with_cards<'c>(sight: &Sight<'_>, command: &'c Command, was: &'c Command) -> (Cow<'c, Command>, Cow<'c, Command>) {
    let (Command::EditPerson(person, spec), Command::EditPerson(same, before)) = (command, was) else {
        return (Cow::Borrowed(command), Cow::Borrowed(was));
    };
    let blind = !sight.is_portfolio_manager() && person == same && spec.cards == before.cards;
    match sight.person(*person) {
        Ok(found) if blind => {
            let with = |spec: &PersonSpec| {
                let cards = found.cards.clone();
                Cow::Owned(Command::EditPerson(*person, PersonSpec { cards, ..spec.clone() }))
            };
            (with(spec), with(before))
        }
        _ => (Cow::Borrowed(command), Cow::Borrowed(was)),
    }
}

#[cfg(test)]
mod tests {
    use keyward_protocol::{
        code::Card,
        entry::{Level, Period, PropertySpec},
        id::*,
        schedule::Hours,
        time::Date,
    };

    use super::*;
    use crate::domain::{
        command::{DoorSpec, KeySpec},
        directory::*,
        effects,
        site::Site,
    };

    const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);
    const ANA: PersonId = PersonId(1);
    const TRACY: PersonId = PersonId(2);
    const SAM: PersonId = PersonId(3);
    const MAIN: PropertyId = PropertyId(1);
    const A: KeyId = KeyId(1);

    fn portfolio() -> Portfolio {
        Site::parse("site.toml", crate::testing::SITE).unwrap().portfolio(PortfolioId(1))
    }

    fn after(portfolio: &Portfolio, command: &Command) -> Portfolio {
        let decided = decide::decide(portfolio, command, NOW, [7, 8, 9, 10], None).unwrap();
        let commitments = vec![[7; 32]; decided.effects().codes_made.len()];
        effects::finish(decided.stepped, &commitments, NOW)
    }

    fn asked(portfolio: &Portfolio, by: PersonId, command: &Command, was: &Command) -> Result<Command, Refusal> {
        let sight = Sight::of(portfolio, by)?;
        authorize(&sight, command, Some(was), NOW).map(Cow::into_owned)
    }

    fn contact(name: &str, phone: Option<&str>, cards: &[u8]) -> Command {
        let (name, email, phone) = (name.to_owned(), "tracy@mail.example".to_owned(), phone.map(str::to_owned));
        let cards = cards.iter().map(|card| Card::new(&[*card]).unwrap()).collect();
        Command::EditPerson(TRACY, PersonSpec { name, email, phone, note: None, cards })
    }

    /// Of each thing: how it is, how a colleague makes it, and how the author would.
    fn things() -> Vec<[Command; 3]> {
        let opening = Opening { schedule: ScheduleRef::Always, code: true };
        let door = |name: &str, labels: &[&str]| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let (name, kind, occupied) = (name.to_owned(), DoorKind::Entrance, false);
            Command::EditDoor(DoorId(1), DoorSpec { name, kind, occupied, labels })
        };
        let key = |name: &str, doors: &[u32]| {
            let doors = doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
            Command::EditKey(A, KeySpec { name: name.to_owned(), may_share: false, doors, rules: Vec::new() })
        };
        let there = portfolio();
        let schedule = there.properties[&MAIN].schedules.values().next().unwrap();
        let hours = schedule.hours.clone();
        let schedule =
            |name: &str, hours: &Hours| Command::EditSchedule(MAIN, ScheduleId(1), name.into(), hours.clone());
        let holiday = |name: &str| {
            let day = Date { year: 2026, month: 12, day: 24 };
            Holiday { name: name.to_owned(), from: day, to: day }
        };
        let holidays = |names: &[&str]| Command::SetHolidays(MAIN, names.iter().map(|name| holiday(name)).collect());
        let facts = &there.properties[&MAIN].facts;
        let property = |name: &str, zone: &str| {
            let (name, zone) = (name.to_owned(), zone.to_owned());
            let (codes, on_log_failure) = (facts.codes, facts.on_log_failure);
            Command::EditProperty(MAIN, PropertySpec { name, zone, codes, on_log_failure })
        };
        let level = |level: Option<Level>| Command::SetLevel(MAIN, SAM, level);
        let give = |may_share, until: Option<i64>| {
            let period = Period { from: None, until: until.map(|seconds| NOW.plus_seconds(seconds)) };
            Command::Give { key: A, person: TRACY, may_share: Some(may_share), period }
        };
        vec![
            [contact("Tracy", None, &[]), contact("Tracy", Some("555"), &[]), contact("Tracy B.", None, &[])],
            [contact("Tracy", None, &[]), contact("Tracy", None, &[9]), contact("Tracy B.", None, &[])],
            // Labels have no order, and names no outer spaces.
            [door(" Door 1", &["deliveries"]), door("Door 1", &[]), door("Front", &["deliveries"])],
            [key("Key A", &[2, 1]), key("Key A", &[1]), key("Key of A", &[1, 2])],
            [schedule("business", &hours), schedule("business", &Hours::default()), schedule("work", &hours)],
            [holidays(&[]), holidays(&["Eve"]), holidays(&["Christmas Eve"])],
            [property("Main", "America/New_York"), property("Main", "UTC"), property("Major", "America/New_York")],
            [level(None), level(Some(Level::Limited)), level(Some(Level::Full))],
            [give(true, None), give(true, Some(60)), give(false, None)],
        ]
    }

    // K12
    #[test]
    fn what_a_colleague_changed_is_not_written_over_and_what_nobody_changed_is() {
        let there = portfolio();
        for [was, colleagues, mine] in things() {
            assert_eq!(asked(&there, ANA, &mine, &was).as_ref(), Ok(&mine), "nobody changed it");
            let changed = after(&there, &colleagues);
            assert_eq!(asked(&changed, ANA, &mine, &was), Err(Refusal::ChangedSince), "{colleagues:?}");
            assert_eq!(asked(&changed, ANA, &mine, &colleagues).as_ref(), Ok(&mine), "it was read again");
            assert_eq!(authorize(&Sight::of(&changed, ANA).unwrap(), &mine, None, NOW).as_deref(), Ok(&mine));
            // What was put back meanwhile is what was read.
            let back = after(&changed, &was);
            assert_eq!(asked(&back, ANA, &mine, &was).as_ref(), Ok(&mine), "{was:?}");
            // Sent once more, because the first answer was lost; and by two who want the same.
            let done = after(&there, &mine);
            assert_eq!(asked(&done, ANA, &mine, &was).as_ref(), Ok(&mine), "{mine:?}");
            // Something else that changed is no change of this.
            let make = Command::MakeSchedule(MAIN, "nights".to_owned(), Hours::default());
            assert_eq!(asked(&after(&there, &make), ANA, &mine, &was).as_ref(), Ok(&mine));
        }
    }

    // K12
    #[test]
    fn what_can_be_no_more_was_changed_since() {
        let [was, _, mine] = things().remove(3);
        let gone = after(&portfolio(), &Command::RemoveDoor(DoorId(2)));
        assert_eq!(asked(&gone, ANA, &mine, &was), Err(Refusal::ChangedSince), "the Key has lost a door");
        let [was, _, mine] = things().remove(2);
        let other = DoorSpec { name: "Door 1".into(), kind: DoorKind::Amenity, occupied: false, labels: Vec::new() };
        let [_, _, renamed] = things().remove(2);
        let taken = after(&after(&portfolio(), &renamed), &Command::EditDoor(DoorId(2), other));
        let mine = match mine {
            Command::EditDoor(door, spec) => Command::EditDoor(door, DoorSpec { name: "Back".into(), ..spec }),
            _ => unreachable!("the third thing is a door"),
        };
        assert_eq!(asked(&taken, ANA, &mine, &was), Err(Refusal::ChangedSince), "its name is another's");
    }

    // K12 M3 M8
    #[test]
    fn who_is_not_shown_cards_changes_none_and_learns_of_none() {
        let mut there = after(&portfolio(), &Command::SetLevel(MAIN, SAM, Some(Level::Limited)));
        for cards in [&[][..], &[9], &[9, 10]] {
            there = after(&there, &contact("Tracy", None, cards));
            let meant = asked(&there, SAM, &contact("Tracy B.", None, &[]), &contact("Tracy", None, &[]));
            assert_eq!(meant, Ok(contact("Tracy B.", None, cards)), "theirs stay");
            // Cards that are guessed are answered alike, right or wrong.
            let guessed = |card| asked(&there, SAM, &contact("T", None, &[card]), &contact("Tracy", None, &[card]));
            assert_eq!(guessed(9), guessed(77));
        }
        let changes = asked(&there, SAM, &contact("Tracy", None, &[7]), &contact("Tracy", None, &[]));
        assert!(matches!(changes, Err(Refusal::NotPermitted(_))));
        let changed = after(&there, &contact("Tracy", Some("555"), &[9]));
        let refused = asked(&changed, SAM, &contact("Tracy B.", None, &[]), &contact("Tracy", None, &[]));
        assert_eq!(refused, Err(Refusal::ChangedSince));
    }

    // K12 M8
    #[test]
    fn what_is_not_seen_is_answered_alike_whatever_is_said_of_it() {
        let there = after(&portfolio(), &Command::SetLevel(MAIN, SAM, Some(Level::Specific(vec![A]))));
        let suspend = |on| Command::Suspend(TRACY, on);
        let give = Command::Give { key: A, person: SAM, may_share: None, period: Period::default() };
        let door = |name: &str| {
            let spec = DoorSpec { name: name.into(), kind: DoorKind::Amenity, occupied: false, labels: Vec::new() };
            Command::EditDoor(DoorId(2), spec)
        };
        let held = Command::Give { key: KeyId(2), person: TRACY, may_share: Some(true), period: Period::default() };
        for was in [suspend(false), suspend(true), door("Door 2"), door("Door 9"), held] {
            assert_eq!(asked(&there, SAM, &give, &was), Err(Refusal::ChangedSince), "{was:?}");
        }
        for was in [contact("Tracy", None, &[]), contact("Nobody", None, &[])] {
            let refused = asked(&there, SAM, &contact("T", None, &[]), &was);
            assert!(matches!(refused, Err(Refusal::NotPermitted(_))), "{refused:?}");
        }
    }
}
