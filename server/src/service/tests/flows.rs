//! What the rules promise, from an operator's request to a lock's answer and the log's row.

use keyward_protocol::{
    id::CarrierId,
    message::{audit::AuditSearch, manage::PersonDetail, watch},
};

use super::{matrix::*, *};

fn always(doors: &[u32]) -> Vec<KeyDoor> {
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect()
}

fn key(name: &str, doors: &[u32]) -> KeySpec {
    KeySpec { name: name.to_owned(), may_share: false, doors: always(doors), rules: Vec::new() }
}

/// Every code of somebody, as it is shown.
async fn shown(manager: &Connection, person: PersonId) -> Vec<(DoorId, String)> {
    let mut shown = Vec::new();
    for code in manager.person(person).await.unwrap().codes {
        shown.push((code.door, manager.reveal(code.id).await.unwrap().digits.clone()));
    }
    shown
}

// C3, C4, C5, C6, C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracys_codes_are_the_same_digits_by_give_then_revoke_and_by_move_and_others_by_revoke_then_give() {
    let (_, server) = town().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let full = server.as_person(id("full")).await.unwrap();
    let tracy = id("tracy");
    let opens = async |codes: &[(DoorId, String)]| {
        let mut outcomes = Vec::new();
        for (door, digits) in codes {
            let digits = keyward_protocol::code::Digits::parse(digits.as_bytes()).unwrap();
            outcomes.push(ask(&lock, door.0, Credential::Code(digits)).await == Outcome::Granted);
        }
        outcomes
    };
    full.carry_out(Command::LiftLockdown(MAIN, keyward_protocol::id::LockdownId(1)), None).await.unwrap();
    full.carry_out(Command::EditKey(KEY_A, key("Key A", &[1, 2])), None).await.unwrap();
    full.carry_out(Command::Revoke { key: KEY_B, person: tracy }, None).await.unwrap();
    full.carry_out(Command::EditKey(KEY_B, key("Key B", &[1, 2])), None).await.unwrap();
    let first = shown(&full, tracy).await;
    assert_eq!((first.len(), opens(&first).await), (2, vec![true, true]));
    full.carry_out(give(KEY_B, tracy), None).await.unwrap();
    full.carry_out(Command::Revoke { key: KEY_A, person: tracy }, None).await.unwrap();
    assert_eq!(shown(&full, tracy).await, first, "give, then revoke");
    let back = Command::Move { person: tracy, from: KEY_B, to: KEY_A, may_share: None, period: Period::default() };
    let done = full.carry_out(back, None).await.unwrap();
    assert_eq!((done.effects.totals.codes_made, done.effects.totals.codes_deleted), (0, 0));
    assert_eq!(shown(&full, tracy).await, first, "move");
    full.carry_out(Command::Revoke { key: KEY_A, person: tracy }, None).await.unwrap();
    assert!(
        matches!(refusal(full.person(tracy).await), Refusal::NotFound(_)),
        "who holds nothing of theirs is not there"
    );
    assert_eq!(opens(&first).await, [false, false], "gone for good");
    full.carry_out(give(KEY_B, tracy), None).await.unwrap();
    let second = shown(&full, tracy).await;
    assert!(first.iter().zip(&second).all(|(old, new)| old.0 == new.0 && old.1 != new.1), "revoke, then give");
    assert_eq!((opens(&first).await, opens(&second).await), (vec![false, false], vec![true, true]));
    // A deleted code that is tried is known as that person's.
    let tried = Search { reason: Some(Reason::DeletedCode), ..Search::newest(10) };
    let rows = full.search_log(tried).await.unwrap().rows;
    assert!(rows.len() == 4 && rows.iter().all(|row| row.who == watch::Who::Person(tracy)), "{rows:?}");
    server.stop().await;
}

// V1, V2, V3, V4, L4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_come_and_go_with_the_property_and_are_nobodys_to_manage() {
    let (_, server) = town().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let carrier = server.inside.engine.make_carrier("Parcel").unwrap();
    let mobile = |carrier: CarrierId| Credential::Mobile(server.inside.engine.directory().carriers[&carrier].mobile);
    assert_eq!(ask(&lock, 1, mobile(carrier)).await, Outcome::Granted);
    assert_eq!(ask(&lock, 3, mobile(carrier)).await, Outcome::Denied);
    let pm = server.as_person(id("pm")).await.unwrap();
    let rows = pm.search_log(Search { doors: Some(vec![DoorId(1)]), ..Search::newest(10) }).await.unwrap();
    assert_eq!(rows.rows[0].who, watch::Who::Carrier(carrier));
    assert!(rows.names.carriers.contains(&(carrier, "Parcel".to_owned())), "logged under the carrier");
    let deliveries = pm.property(MAIN).await.unwrap().deliveries.unwrap();
    let (sam, tracy, period) = (id("sam"), id("tracy"), Period::default());
    let touches = [
        give(deliveries, tracy),
        Command::Revoke { key: deliveries, person: tracy },
        Command::EditKey(deliveries, key("Mine", &[1])),
        Command::DeleteKey(deliveries),
        Command::Share { key: deliveries, host: tracy, guest: sam, doors: None, period },
        Command::Move { person: tracy, from: KEY_A, to: deliveries, may_share: None, period },
        Command::LockDown { property: MAIN, doors: None, except_keys: vec![deliveries] },
    ];
    for role in ["pm", "full", "limited", "specific"] {
        let manager = server.as_person(id(role)).await.unwrap();
        let listed =
            manager.keys(MAIN, Rows::all()).await.unwrap().rows.iter().any(|row| row.id == deliveries && row.system);
        assert_eq!(listed, role != "specific", "{role}");
        for touch in &touches {
            let refused = refusal(manager.carry_out(touch.clone(), None).await);
            let as_expected = match (role, touch) {
                ("specific", Command::LockDown { .. }) => matches!(refused, Refusal::NotPermitted(_)),
                ("specific", _) => refused == Refusal::NotFound("Key".to_owned()),
                ("limited", Command::EditKey(..) | Command::DeleteKey(_) | Command::LockDown { .. }) => {
                    matches!(refused, Refusal::NotPermitted(_))
                }
                _ => refused == Refusal::Deliveries,
            };
            assert!(as_expected, "{role}: {touch:?}: {refused:?}");
        }
    }
    // Its doors follow the labels; a door in no other Key is in no log by it.
    let labelled = |labels: Vec<String>| {
        Command::EditDoor(
            DoorId(3),
            DoorSpec { name: "Dock".to_owned(), kind: DoorKind::Service, occupied: false, labels },
        )
    };
    pm.carry_out(labelled(vec!["deliveries".to_owned()]), None).await.unwrap();
    assert_eq!(ask(&lock, 3, mobile(carrier)).await, Outcome::Granted);
    let dock = Search { doors: Some(vec![DoorId(3)]), ..Search::newest(10) };
    assert!(pm.search_log(dock).await.unwrap().rows.is_empty(), "the Deliveries Key shows nobody a log");
    pm.carry_out(labelled(Vec::new()), None).await.unwrap();
    assert_eq!(ask(&lock, 3, mobile(carrier)).await, Outcome::Denied);
    let taken = |answer| matches!(refusal(answer), Refusal::Taken(_));
    assert!(taken(pm.carry_out(Command::MakeKey(MAIN, key(" DELIVERIES", &[1])), None).await));
    pm.carry_out(Command::SetDeliveries(MAIN, false), None).await.unwrap();
    assert_eq!(ask(&lock, 1, mobile(carrier)).await, Outcome::Denied, "opted out");
    assert!(taken(pm.carry_out(Command::MakeKey(MAIN, key("Deliveries", &[1])), None).await), "nor then");
    assert!(pm.keys(MAIN, Rows::all()).await.unwrap().rows.iter().all(|row| !row.system));
    pm.carry_out(Command::SetDeliveries(MAIN, true), None).await.unwrap();
    assert_eq!(ask(&lock, 1, mobile(carrier)).await, Outcome::Granted, "opted in again");
    server.stop().await;
}

// G1, G2, G3, G4, G5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_shares_for_a_holder_and_the_guest_has_that_and_no_more() {
    let (_, server) = town().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let full = server.as_person(id("full")).await.unwrap();
    let specific = server.as_person(id("specific")).await.unwrap();
    let (tracy, sam, guest) = (id("tracy"), id("sam"), id("canary-nobody"));
    full.carry_out(Command::EditKey(KEY_A, key("Key A", &[1, 3])), None).await.unwrap();
    let share = |host, guest, doors: Option<Vec<u32>>, period| {
        let doors = doors.map(|doors| doors.into_iter().map(DoorId).collect());
        Command::Share { key: KEY_A, host, guest, doors, period }
    };
    let opens = async |guest: &str| {
        let mobile = server.mobile(&format!("{guest}@h.example"));
        [ask(&lock, 1, mobile.clone()).await, ask(&lock, 3, mobile).await].map(|outcome| outcome == Outcome::Granted)
    };
    let everything = Period::default();
    assert_eq!(opens("sam").await, [true, true], "all doors, as the Key changes");
    specific.find_person("canary-nobody@h.example").await.unwrap();
    specific.carry_out(share(tracy, guest, Some(vec![3]), everything), None).await.unwrap();
    assert_eq!(opens("canary-nobody").await, [false, true]);
    let holders = specific.holders(KEY_A, Rows::all()).await.unwrap();
    assert_eq!(holders.rows[0].guests.len(), 2);
    specific.carry_out(share(tracy, guest, None, everything), None).await.unwrap();
    assert_eq!(opens("canary-nobody").await, [true, true]);
    assert_eq!(
        specific.holders(KEY_A, Rows::all()).await.unwrap().rows[0].guests.len(),
        2,
        "changed, not a second one"
    );
    let later = Period { from: Some(clock::now().plus_seconds(3_600)), until: None };
    specific.carry_out(share(tracy, guest, None, later), None).await.unwrap();
    assert_eq!(opens("canary-nobody").await, [false, false], "not yet");
    assert!(specific.carry_out(share(sam, guest, None, everything), None).await.is_err(), "a guest can't share on");
    assert!(full.carry_out(give(KEY_A, sam), None).await.is_ok());
    let not_shareable = refusal(full.carry_out(share(sam, guest, None, everything), None).await);
    assert!(matches!(not_shareable, Refusal::Invalid(_)), "{not_shareable:?}");
    full.carry_out(Command::Revoke { key: KEY_A, person: sam }, None).await.unwrap();
    assert_eq!(opens("sam").await, [true, true], "the share is left");
    let row = full.search_log(Search { person: Some(sam), ..Search::newest(1) }).await.unwrap().rows[0];
    assert_eq!(row.who, watch::Who::Guest { person: sam, host: tracy }, "under the guest, with the host named");
    let ended = Command::Give { key: KEY_A, person: tracy, may_share: Some(false), period: everything };
    let done = specific.carry_out(ended, None).await.unwrap();
    assert_eq!(done.effects.totals.shares_ended, 2, "in the same step");
    assert_eq!((opens("sam").await, opens("canary-nobody").await), ([false, false], [false, false]));
    server.stop().await;
}

fn contact(person: &PersonDetail, change: impl FnOnce(&mut PersonSpec)) -> Command {
    let row = &person.row;
    let (phone, note, cards) = (person.phone.clone(), person.note.clone(), person.cards.clone());
    let mut spec = PersonSpec { name: row.name.clone(), email: row.email.clone(), phone, note, cards };
    change(&mut spec);
    Command::EditPerson(row.id, spec)
}

/// What was read, and that with another phone number.
fn phone(person: &PersonDetail, number: &str) -> (Command, Command) {
    (contact(person, |_| {}), contact(person, |spec| spec.phone = Some(number.to_owned())))
}

// K12 M3 M7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_edit_one_person_the_second_is_told_and_nothing_is_written_over() {
    let (layout, server) = town().await;
    let pm = server.as_person(id("pm")).await.unwrap();
    let limited = server.as_person(id("limited")).await.unwrap();
    let tracy = id("tracy");
    let carded = contact(&pm.person(tracy).await.unwrap(), |spec| {
        spec.cards = vec![keyward_protocol::code::Card::new(&[9]).unwrap()];
    });
    pm.carry_out(carded, None).await.unwrap();
    let (first, second) = (pm.person(tracy).await.unwrap(), limited.person(tracy).await.unwrap());
    assert_eq!((first.cards.len(), second.cards.len()), (1, 0), "cards are for Portfolio Managers");

    let was = contact(&second, |_| {});
    let note = contact(&second, |spec| spec.note = Some("by the back\ndoor".to_owned()));
    let preview = limited.preview_since(was.clone(), note.clone(), Part::FIRST).await.unwrap();
    let (before, phoned) = phone(&first, "555 0100");
    let done = pm.carry_out_since(before.clone(), phoned.clone(), None).await.unwrap();
    for refused in [
        refusal(limited.preview_since(was.clone(), note.clone(), Part::FIRST).await),
        refusal(limited.carry_out_since(was.clone(), note.clone(), None).await),
        refusal(limited.carry_out_since(was.clone(), note.clone(), Some(preview.digest)).await),
    ] {
        assert_eq!(refused, Refusal::ChangedSince);
    }
    let now = limited.person(tracy).await.unwrap();
    assert_eq!((now.revision, now.phone.as_deref(), now.note.as_deref()), (done.revision, Some("555 0100"), None));
    let refusals = AuditSearch { refused: Some(true), by: Some(id("limited")), ..AuditSearch::newest(10) };
    let trail = pm.search_audit(refusals).await.unwrap().rows;
    assert_eq!(trail.len(), 2, "steps that were refused are in the trail, previews are not: {trail:?}");

    // Looked at again it is done, whatever of it was read; sent once more it is still done.
    let was = contact(&now, |_| {});
    let note = contact(&now, |spec| spec.note = Some("by the back\ndoor".to_owned()));
    for _ in 0..2 {
        limited.carry_out_since(was.clone(), note.clone(), None).await.unwrap();
    }
    let now = pm.person(tracy).await.unwrap();
    assert_eq!((now.phone.as_deref(), now.note.as_deref()), (Some("555 0100"), Some("by the back\ndoor")));
    assert_eq!(now.cards, first.cards, "who doesn't see cards changes none");
    assert_eq!(refusal(pm.carry_out_since(before, phone(&first, "1").1, None).await), Refusal::ChangedSince);

    // Of two at one moment one is first.
    let [(was, one), (same, other)] = ["555 0200", "555 0201"].map(|number| phone(&now, number));
    let (one, other) = tokio::join!(pm.carry_out_since(was, one, None), pm.carry_out_since(same, other, None));
    let late = if one.is_ok() { other } else { one.and(other) };
    assert_eq!(refusal(late), Refusal::ChangedSince);
    let there = pm.person(tracy).await.unwrap();
    let dir = server.stop().await;

    // The journal has what was done, and nothing of what it started from.
    let server = start(&layout).await;
    let pm = server.as_person(id("pm")).await.unwrap();
    let replayed = pm.person(tracy).await.unwrap();
    assert_eq!((replayed.phone, replayed.note, replayed.cards), (there.phone, there.note, there.cards));
    server.stop().await;
    drop(dir);
}
