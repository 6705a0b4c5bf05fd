//! The audit trail and the codes that are shown, over the network.

use keyward_protocol::message::audit::{Act, ActedBy, AuditRow, AuditSearch, hex};

use super::{matrix::*, *};
use crate::{
    engine::{Severity, verify},
    service::audit::verify_export,
};

async fn trail(connection: &Connection, search: AuditSearch) -> Vec<AuditRow> {
    connection.search_audit(search).await.unwrap().rows
}

async fn export(connection: &Connection) -> Vec<String> {
    let mut lines = Vec::new();
    connection.export_audit(|line| lines.push(line.to_owned())).await.unwrap();
    lines
}

fn held(lines: &[String]) -> Result<u64, String> {
    verify_export(lines.iter().cloned().map(Ok)).map(|(rows, _)| rows)
}

// L5, M7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_has_who_when_what_before_after_revision_and_from_where_and_each_sees_their_part() {
    let (_, server) = town().await;
    let (pm, full) = (server.as_person(id("pm")).await.unwrap(), server.as_person(id("full")).await.unwrap());
    let specific = server.as_person(id("specific")).await.unwrap();
    let done = full.carry_out(give(KEY_B, id("sam")), None).await.unwrap();
    let share = Command::Give { key: KEY_A, person: id("sam"), may_share: Some(true), period: Period::default() };
    specific.carry_out(share, None).await.unwrap();
    let refused = refusal(specific.carry_out(give(KEY_B, id("tracy")), None).await);
    pm.carry_out(Command::SetDeliveries(OTHER, false), None).await.unwrap();
    let revision = server.inside.engine.directory().portfolios[&PORTFOLIO].revision;
    assert!(matches!(refusal(specific.door(DoorId(2)).await), Refusal::NotFound(_)));
    assert!(matches!(refusal(specific.locks(Rows::all()).await), Refusal::NotPermitted(_)));
    let elsewhere = refusal(specific.carry_out(Command::DeleteKey(KeyId(4)), None).await);
    assert_eq!(elsewhere, Refusal::NotFound("Key".to_owned()));
    assert_eq!(server.inside.engine.directory().portfolios[&PORTFOLIO].revision, revision, "refusals don't move it");

    let mut all = trail(&pm, AuditSearch::newest(7)).await;
    let attempt = all.remove(0);
    assert_eq!((attempt.act, attempt.property), (Act::KeyDeleted, Some(OTHER)), "who sees all is told where that was");
    let acts: Vec<(Act, bool)> = all.iter().map(|row| (row.act, row.refused.is_some())).collect();
    let expected = [
        (Act::Looked, true),
        (Act::Looked, true),
        (Act::DeliveriesSet, false),
        (Act::KeyGiven, true),
        (Act::KeyGiven, false),
        (Act::KeyGiven, false),
    ];
    assert_eq!(acts, expected);
    let given = &all[5];
    assert_eq!((given.by, given.name.as_str()), (ActedBy::Person(id("full")), "full person <full@h.example>"));
    assert_eq!((given.revision, given.property), (done.revision, Some(MAIN)));
    assert!(given.from.as_ref().unwrap().starts_with("127.0.0.1:"), "{:?}", given.from);
    let fact = |row: &AuditRow, what: &str| {
        let found = row.facts.iter().find(|fact| fact.what == what);
        found.map(|fact| (fact.before.clone(), fact.after.clone()))
    };
    assert_eq!(fact(given, "held"), Some((None, Some("yes".to_owned()))));
    assert_eq!(fact(given, "door codes made"), Some((None, Some("1".to_owned()))));
    assert_eq!(fact(&all[2], "deliveries"), Some((Some("yes".to_owned()), Some("no".to_owned()))));
    assert_eq!((all[3].refused.as_deref(), all[3].revision), (Some(refused.to_string().as_str()), given.revision + 1));

    // Full: what was done in the property, attempts there too. Specific: their own, and not where the hidden Key is.
    let fulls = trail(&full, AuditSearch::newest(100)).await;
    assert!(fulls.iter().all(|row| row.property == Some(MAIN) || row.by == ActedBy::Person(id("full"))), "{fulls:?}");
    assert!(fulls.contains(&all[3]) && fulls.contains(&all[4]) && !fulls.contains(&all[2]));
    let own = trail(&specific, AuditSearch::newest(100)).await;
    assert_eq!((own.len(), own[0].act, own[0].property), (6, Act::KeyDeleted, None), "and its author is not");
    assert_eq!(own[5].act, Act::Joined);
    assert!(own.iter().all(|row| row.by == ActedBy::Person(id("specific"))));
    let text: String = own.iter().map(AuditRow::line).collect();
    assert!(!text.contains("canary") && text.contains("key-2"), "what they sent, and nothing of what is there: {text}");
    let theirs = AuditSearch { property: Some(OTHER), ..AuditSearch::newest(100) };
    assert!(trail(&specific, theirs.clone()).await.is_empty() && trail(&full, theirs.clone()).await.is_empty());
    assert_eq!(trail(&pm, theirs).await[1].act, Act::DeliveriesSet);
    let refusals = AuditSearch { refused: Some(true), by: Some(id("specific")), ..AuditSearch::newest(100) };
    assert_eq!(trail(&pm, refusals).await.len(), 4);
    let first = trail(&pm, AuditSearch { newest_first: false, ..AuditSearch::newest(1) }).await;
    assert_eq!((first[0].act, first[0].by), (Act::SiteLoaded, ActedBy::Administrator));
    server.stop().await;
}

// L5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_held_against_itself_and_against_the_next_and_a_tampered_journal_shows() {
    let (layout, server) = town().await;
    let pm = server.as_person(id("pm")).await.unwrap();
    for _ in 0..3 {
        pm.carry_out(give(KEY_B, id("sam")), None).await.unwrap();
        pm.carry_out(Command::Revoke { key: KEY_B, person: id("sam") }, None).await.unwrap();
    }
    let first = export(&pm).await;
    assert!(held(&first).unwrap() > 6);
    let full = server.as_person(id("full")).await.unwrap();
    assert!(matches!(refusal(full.search_audit(AuditSearch::export(10)).await), Refusal::NotPermitted(_)));
    let some = AuditSearch { by: Some(id("pm")), ..AuditSearch::export(10) };
    assert!(matches!(refusal(pm.search_audit(some).await), Refusal::Invalid(_)));
    let dir = server.stop().await;
    let server = start(&layout).await;
    let pm = server.as_person(id("pm")).await.unwrap();
    let mut later = export(&pm).await;
    assert_eq!(later[..first.len()], first, "the same links, whenever they are made, in pages of whatever length");
    let mut paged = Vec::new();
    let mut search = AuditSearch::export(2);
    loop {
        let page = pm.search_audit(search.clone()).await.unwrap();
        paged.extend(page.rows.iter().filter_map(|row| row.link));
        let Some(next) = page.next else { break };
        search.after = Some(next);
    }
    assert!(later.iter().skip(1).zip(&paged).all(|(line, link)| line.starts_with(&hex(link))));
    later[2] = later[2].replace("person", "Person");
    assert!(held(&later).unwrap_err().starts_with("line 3 "));
    server.stop().await;

    // Whoever can write the journal, and knows its checksums, is given away by the chain.
    let whole = verify(&layout).unwrap();
    assert!(whole.iter().all(|finding| finding.severity != Severity::Damaged), "{whole:?}");
    assert!(whole.iter().any(|finding| finding.what.contains("acts in the audit trail")));
    let file = std::fs::read_dir(layout.journal()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "kwj")).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(9).position(|part| part == b"pm person").unwrap();
    let mut altered = bytes.clone();
    altered[at..at + 9].copy_from_slice(b"me person");
    let frames: Vec<usize> = (76..at).filter(|at| altered[*at..].starts_with(b"kwf:")).collect();
    let begins = *frames.last().unwrap();
    let length = u32::from_le_bytes(altered[begins + 8..begins + 12].try_into().unwrap()) as usize;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&altered[16..32]), &altered[begins + 8..begins + 56 + length]);
    altered[begins + 4..begins + 8].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&file, &altered).unwrap();
    let found = verify(&layout).unwrap();
    let told = found.iter().find(|finding| finding.severity == Severity::Damaged).expect("it shows");
    assert!(told.part == "journal" && told.what.contains("chain"), "{told:?}");
    drop(dir);
}

// M7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refusals_is_counted_and_fills_no_disk() {
    let (layout, server) = town().await;
    let pm = server.as_person(id("pm")).await.unwrap();
    let limited = server.as_person(id("limited")).await.unwrap();
    let size = || -> u64 {
        std::fs::read_dir(layout.journal()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    let before = size();
    for _ in 0..300 {
        assert!(matches!(refusal(limited.carry_out(Command::DeleteKey(KEY_A), None).await), Refusal::NotPermitted(_)));
        assert!(matches!(refusal(limited.door(DoorId(NEVER)).await), Refusal::NotFound(_)));
    }
    let rows = trail(&pm, AuditSearch { by: Some(id("limited")), ..AuditSearch::newest(1_000) }).await;
    assert!((60..70).contains(&rows.len()), "{}", rows.len());
    assert!(size() - before < 100_000, "{} bytes", size() - before);
    assert!(pm.carry_out(Command::DeleteKey(KEY_B), None).await.is_ok(), "nobody else's acts are left out");
    assert_eq!(trail(&pm, AuditSearch::newest(1)).await[0].act, Act::KeyDeleted);
    server.stop().await;
}

// C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_shown_to_its_owner_and_to_who_gives_a_key_for_it_and_the_trail_has_it() {
    let (_, server) = town().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let code_of = |person: &str, door: u32| {
        let directory = server.inside.engine.directory();
        directory.portfolios[&PORTFOLIO].properties[&MAIN].code_of[&(id(person), DoorId(door))]
    };
    let (theirs, hidden) = (code_of("tracy", 1), code_of("tracy", 2));
    let pm = server.as_person(id("pm")).await.unwrap();
    let revision = server.inside.engine.directory().portfolios[&PORTFOLIO].revision;
    for role in ["pm", "pmlimited", "pmspecific", "full", "limited", "specific"] {
        let manager = server.as_person(id(role)).await.unwrap();
        let shown = manager.reveal(theirs).await.unwrap();
        assert_eq!((shown.person, shown.door), (id("tracy"), DoorId(1)));
        let digits = keyward_protocol::code::Digits::parse(shown.digits.as_bytes()).unwrap();
        assert_eq!(ask(&lock, 1, Credential::Code(digits)).await, Outcome::Granted);
        let row = &trail(&pm, AuditSearch::newest(1)).await[0];
        assert_eq!((row.act, row.by, row.refused.as_ref()), (Act::CodeRevealed, ActedBy::Person(id(role)), None));
        assert!(row.facts.iter().any(|fact| fact.after.as_deref() == Some("tracy person <tracy@h.example>")));
        assert!(!row.line().contains(&shown.digits), "not what it is");
        // Key B's door is another Key's for who is Specific to Key A: the code is not there.
        let asked = manager.reveal(hidden).await;
        if role.ends_with("specific") {
            let never = manager.reveal(keyward_protocol::id::CodeId(u64::from(NEVER))).await;
            assert_eq!(refusal(asked), refusal(never));
            let row = &trail(&pm, AuditSearch::newest(1)).await[0];
            assert!(row.act == Act::CodeRevealed && row.refused.is_some());
        } else {
            asked.unwrap();
        }
    }
    // One's own, without managing a Key for it.
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, give(KEY_B, id("specific"))).unwrap();
    let specific = server.as_person(id("specific")).await.unwrap();
    specific.reveal(code_of("specific", 2)).await.unwrap();
    // A token and a key that joins with it, for each of seven managers, and the giving.
    assert_eq!(server.inside.engine.directory().portfolios[&PORTFOLIO].revision, revision + 7 * 2 + 1);
    server.stop().await;
}

/// Codes that nobody has at door 1, each another one.
fn wrong_codes(server: &Running) -> impl Iterator<Item = Check> + use<> {
    let directory = server.inside.engine.directory();
    let live: Vec<Vec<u8>> = directory.portfolios[&PORTFOLIO].properties[&MAIN]
        .codes
        .values()
        .map(|code| server.inside.engine.reveal(PORTFOLIO, code.id).unwrap().expose().to_vec())
        .collect();
    let digits = (1_000_000..9_999_999_u32).map(|number| number.to_string().into_bytes());
    let wrong = digits.filter(move |digits| !live.contains(digits));
    wrong
        .filter_map(|digits| keyward_protocol::code::Digits::parse(&digits))
        .map(|digits| Check { door: DoorId(1), credential: Credential::Code(digits) })
}

// U7, U1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_codes_at_a_door_are_limited_over_all_frames_and_connections_and_after_a_restart() {
    let (layout, server) = town().await;
    let (_, identity) = server.lock_identity("Gateway", LockScope::Property(MAIN));
    let lock = connect(&server, &identity).await;
    let pm = server.as_person(id("pm")).await.unwrap();
    let right = {
        let directory = server.inside.engine.directory();
        let code = directory.portfolios[&PORTFOLIO].properties[&MAIN].code_of[&(id("tracy"), DoorId(1))];
        Credential::Code(server.inside.engine.reveal(PORTFOLIO, code).unwrap())
    };
    let right = |door| Check { door: DoorId(door), credential: right.clone() };
    // Right codes cost nothing, however many are in one frame.
    assert_eq!(lock.check_batch(&vec![right(1); 200]).await.outcomes, vec![Outcome::Granted; 200]);
    // Nine wrong ones among right ones: each is judged after the one before it.
    let mut wrong = wrong_codes(&server);
    let mut mixed = Vec::new();
    for _ in 0..9 {
        mixed.extend([right(1), wrong.next().unwrap(), right(1)]);
    }
    let outcomes = lock.check_batch(&mixed).await.outcomes;
    let expected = [Outcome::Granted, Outcome::Denied, Outcome::Granted].repeat(9);
    assert_eq!(outcomes, expected);
    assert!(pm.alerts().await.unwrap().is_empty());
    // The tenth spends it: nothing is looked up any more, on any connection, and right codes are refused too.
    let more: Vec<Check> =
        [right(1), wrong.next().unwrap(), right(1)].into_iter().chain(wrong.by_ref().take(900)).collect();
    let outcomes = lock.check_batch(&more).await.outcomes;
    assert_eq!(outcomes[..3], [Outcome::Granted, Outcome::Denied, Outcome::Denied]);
    let others = server.lock("Another", LockScope::Doors(vec![DoorId(1)])).await.1;
    assert_eq!(ask(&others, 1, right(1).credential).await, Outcome::Denied);
    // Other credentials, and other doors, are not touched.
    assert_eq!(ask(&lock, 1, server.mobile("tracy@h.example")).await, Outcome::Granted);
    assert_eq!(ask(&lock, 2, right(2).credential).await, Outcome::Denied, "another door's code");
    let rows = pm.search_log(Search { doors: Some(vec![DoorId(1)]), ..Search::newest(1_000) }).await.unwrap().rows;
    let count = |reason| rows.iter().filter(|row| row.denied == Some(reason)).count();
    assert_eq!((count(Reason::UnknownCredential), count(Reason::TooManyWrongCodes)), (10, 902));
    let spent = rows.iter().filter(|row| row.denied == Some(Reason::TooManyWrongCodes));
    assert!(spent.into_iter().all(|row| row.who == keyward_protocol::message::watch::Who::Nobody), "not looked up");
    // A foreign lock's tries are kept against it, and leave the door its budget.
    let (_, foreign) = server.lock("Elsewhere", LockScope::Property(OTHER)).await;
    let at_two = |check: Check| Check { door: DoorId(2), ..check };
    foreign.check_batch(&wrong.by_ref().take(100).map(at_two).collect::<Vec<_>>()).await;

    let alerts = pm.alerts().await.unwrap();
    assert_eq!((alerts.len(), alerts[0].door, alerts[0].left), (1, DoorId(1), 0));
    let explained = pm.explain(id("tracy"), DoorId(1), true, None).await.unwrap();
    assert_eq!((explained.denied, explained.flips_at), (Some(Reason::TooManyWrongCodes), alerts[0].more_at));
    let then = pm.explain(id("tracy"), DoorId(1), true, alerts[0].more_at).await.unwrap();
    assert_eq!(then.denied, None, "one comes back");
    assert_eq!(pm.explain(id("tracy"), DoorId(1), false, None).await.unwrap().denied, None);
    for (role, sees) in [("full", 1), ("limited", 1), ("specific", 1), ("pmspecific", 1)] {
        assert_eq!(server.as_person(id(role)).await.unwrap().alerts().await.unwrap().len(), sees, "{role}");
    }
    let dir = server.stop().await;
    let server = start(&layout).await;
    let lock = connect(&server, &identity).await;
    let pm = server.as_person(id("pm")).await.unwrap();
    assert_eq!(pm.alerts().await.unwrap(), alerts, "as it was, from the log");
    // The codes are read while it serves.
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, give(KEY_B, id("sam"))).unwrap();
    assert_eq!(ask(&lock, 1, right(1).credential).await, Outcome::Denied);
    let search = Search { reason: Some(Reason::TooManyWrongCodes), ..Search::newest(1) };
    assert_eq!(pm.search_log(search).await.unwrap().rows[0].door, DoorId(1));
    assert_eq!(ask(&lock, 1, server.mobile("tracy@h.example")).await, Outcome::Granted);
    server.stop().await;
    drop(dir);
}
