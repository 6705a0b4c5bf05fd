//! Questions about moments that have passed (U5, U6): by the Keys of that time, as the locks were answered then.

use keyward_protocol::{message::manage::DifferenceRow, time::Moment};

use super::{matrix::*, *};

/// A moment after everything that is done, and before everything that comes.
fn between() -> Moment {
    let moment = clock::now();
    while clock::now() <= moment {
        std::hint::spin_loop();
    }
    moment
}

// U5, U6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_explained_as_the_locks_were_answered_then() {
    let (layout, server) = town().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let people = ["tracy", "sam", "canary-hidden", "canary-nobody"].map(id);
    let mobile = |person: PersonId| server.mobile(&format!("{}@h.example", PEOPLE[person.0 as usize - 1]));
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = |doors: &[u32]| doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
    let key_b = |of: &[u32]| KeySpec { name: "Key B".to_owned(), may_share: true, doors: doors(of), rules: Vec::new() };
    let lockdown = Command::LockDown { property: MAIN, doors: Some(vec![DoorId(1)]), except_keys: vec![KEY_B] };
    let steps = [
        Command::EditKey(KEY_B, key_b(&[2])),
        Command::LiftLockdown(MAIN, keyward_protocol::id::LockdownId(1)),
        give(KEY_B, id("canary-nobody")),
        Command::EditKey(KEY_B, key_b(&[1, 2, 3])),
        Command::Suspend(id("tracy"), true),
        lockdown,
        Command::Revoke { key: KEY_A, person: id("tracy") },
        Command::Suspend(id("tracy"), false),
        Command::EditKey(KEY_B, key_b(&[3])),
        Command::DeletePerson(id("canary-hidden")),
    ];
    let mut then = Vec::new();
    for step in steps {
        server.inside.engine.run(PORTFOLIO, Actor::Administrator, step).unwrap();
        let mut answers = Vec::new();
        for person in people.into_iter().filter(|person| server.person_is_there(*person)) {
            for door in 1..4 {
                answers.push((person, DoorId(door), ask(&lock, door, mobile(person)).await == Outcome::Granted));
            }
        }
        then.push((between(), answers));
    }
    let dir = server.stop().await;
    let server = start(&layout).await;
    let pm = server.as_person(id("pm")).await.unwrap();
    let (mut compared, mut granted) = (0, 0);
    for (at, answers) in then.iter().rev() {
        let at = Some(*at);
        for (person, door, opened) in answers.iter().filter(|(person, ..)| server.person_is_there(*person)) {
            // Door 2 is in no Key today: its log, and what explains it, is out of sight (L2).
            if *door == DoorId(2) {
                assert!(matches!(refusal(pm.explain(*person, *door, false, at).await), Refusal::NotPermitted(_)));
                continue;
            }
            let explained = pm.explain(*person, *door, false, at).await.unwrap();
            assert_eq!(explained.denied.is_none(), *opened, "{explained:?}");
            let who = pm.who_can(*door, at, Rows::all()).await.unwrap().people.rows;
            assert_eq!(who.iter().any(|row| row.person == *person), *opened);
            let what = pm.what_can(*person, at, Rows::all()).await.unwrap().rows;
            assert_eq!(what.iter().any(|row| row.door == *door), *opened);
            compared += 1;
            granted += u32::from(*opened);
        }
    }
    assert!(compared > 50 && granted > 10, "{compared} {granted}");
    let early = Some(then[0].0.plus_seconds(-86_400));
    assert!(matches!(refusal(pm.explain(id("tracy"), DoorId(1), false, early).await), Refusal::Invalid(_)));

    // What a Specific manager may see of the past is what they may see today.
    let specific = server.as_person(id("specific")).await.unwrap();
    let (at, _) = then[3];
    let explained = specific.explain(id("sam"), DoorId(1), false, Some(at)).await;
    assert!(matches!(refusal(explained), Refusal::NotFound(_)), "Sam's share ended, and with it Sam is out of sight");
    let who = specific.who_can(DoorId(1), Some(at), Rows::all()).await.unwrap().people.rows;
    assert!(who.iter().all(|row| row.how.key.as_ref().is_none_or(|key| key.id == KEY_A)), "{who:?}");
    assert!(who.iter().all(|row| row.person != id("canary-nobody")), "who held Key B alone is not there: {who:?}");
    server.stop().await;
    drop(dir);
}

// U6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_difference_between_two_moments_is_who_gained_and_lost_which_doors() {
    let (_, server) = town().await;
    let pm = server.as_person(id("pm")).await.unwrap();
    let first = between();
    pm.carry_out(give(KEY_B, id("sam")), None).await.unwrap();
    pm.carry_out(Command::Revoke { key: KEY_B, person: id("canary-hidden") }, None).await.unwrap();
    let second = between();
    pm.carry_out(
        Command::Move { person: id("tracy"), from: KEY_A, to: KEY_B, may_share: None, period: Period::default() },
        None,
    )
    .await
    .unwrap();
    let shown = |rows: Vec<DifferenceRow>| -> Vec<(PersonId, Vec<u32>, Vec<u32>)> {
        let doors = |doors: Vec<(DoorId, String)>| doors.into_iter().map(|(door, _)| door.0).collect();
        rows.into_iter().map(|row| (row.person, doors(row.gained), doors(row.lost))).collect()
    };
    let between = async |from, until| shown(pm.difference(MAIN, from, until, Rows::all()).await.unwrap().rows);
    let (sam, tracy, hidden) = (id("sam"), id("tracy"), id("canary-hidden"));
    assert_eq!(between(first, Some(second)).await, [(sam, vec![2], vec![]), (hidden, vec![], vec![2])]);
    // Tracy keeps Door 2, which she had by Key B before; with Key A goes Door 1, and her guest's.
    assert_eq!(between(second, None).await, [(tracy, vec![], vec![1]), (sam, vec![], vec![1])]);
    assert_eq!(
        between(second, Some(first)).await,
        [(sam, vec![], vec![2]), (hidden, vec![2], vec![])],
        "the other way"
    );
    assert!(between(second, Some(second)).await.is_empty());
    let specific = server.as_person(id("specific")).await.unwrap();
    let rows = shown(specific.difference(MAIN, first, None, Rows::all()).await.unwrap().rows);
    assert_eq!(rows, [(tracy, vec![], vec![1]), (sam, vec![], vec![1])], "Door 2 is not there");
    assert!(matches!(refusal(specific.difference(OTHER, first, None, Rows::all()).await), Refusal::NotFound(_)));
    server.stop().await;
}
