//! Joining, renewing, disabling, another authority: over real QUIC, with the client's own calls.

use keyward_protocol::{
    client::{JoinAs, JoinError, Joined, join, new_token, renew},
    entry::Party,
    message::{
        join::JoinToken,
        mine::{Mine, MyDoor},
    },
};

use super::*;
use crate::{
    control::{self, JoinRole, Reply},
    identity::{Subject, Validity},
};

const PATIENCE: Duration = Duration::from_secs(20);
const ANA: PersonId = PersonId(1);

impl Running {
    /// A token as the administrator makes one.
    fn token(&self, party: Party) -> JoinToken {
        let ca = self.inside.authority.load().certificate_pem().to_owned();
        let (token, hash) = new_token(&ca, None).unwrap();
        let until = clock::now().plus_seconds(600);
        let make = Command::MakeToken { party, hash, until };
        self.inside.engine.run(PORTFOLIO, Actor::Administrator, make).unwrap();
        token
    }

    async fn join(&self, token: &JoinToken, role: JoinAs) -> Result<Joined, JoinError> {
        join(self.inside.address, token, role, "a test's machine", PATIENCE).await
    }

    async fn joined(&self, party: Party) -> Joined {
        let role = match party {
            Party::Lock(_) => JoinAs::Lock,
            Party::Operator(_) => JoinAs::Operator,
            Party::Holder(_) => JoinAs::Holder,
        };
        self.join(&self.token(party), role).await.unwrap()
    }

    fn run(&self, command: Command) {
        self.inside.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap();
    }

    fn lock_id(&self) -> LockId {
        let make = Command::MakeLock { name: "Gateway".to_owned(), scope: LockScope::Property(MAIN) };
        self.run(make);
        *self.inside.engine.directory().portfolios[&PORTFOLIO].locks.keys().next_back().unwrap()
    }
}

fn refused(joined: Result<Joined, JoinError>) -> String {
    match joined {
        Err(JoinError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

async fn closed(connection: &Connection) -> String {
    tokio::time::timeout(PATIENCE, connection.until_closed()).await.unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_joins_one_key_in_its_role_and_what_it_joined_works() {
    let (_, server) = fresh().await;
    let lock = server.lock_id();
    let token = server.token(Party::Lock(lock));
    assert!(refused(server.join(&token, JoinAs::Operator).await).contains("lets join as lock, not as operator"));
    let joined = server.join(&token, JoinAs::Lock).await.unwrap();
    assert_eq!((joined.certified.party, joined.certified.name.as_str()), (Party::Lock(lock), "Gateway"));
    let connection = connect(&server, &joined.identity).await;
    assert_eq!(ask(&connection, 1, server.mobile(TRACY)).await, Outcome::Granted);
    assert!(refused(server.join(&token, JoinAs::Lock).await).contains("was used or revoked"));
    // Of another server: our server is not who the token is of, whatever it answers.
    let (_, other) = fresh().await;
    let foreign = other.token(Party::Operator(ANA));
    let error = server.join(&foreign, JoinAs::Operator).await.unwrap_err();
    assert!(matches!(error, JoinError::Client(ClientError::NotOurServer(_))), "{error:?}");
    // The same secret under our authority is no token of ours.
    let ours = JoinToken { authority: token.authority, ..foreign };
    assert!(refused(server.join(&ours, JoinAs::Operator).await).contains("not known"));
    // A lock that joins anew takes the place of the key before, whose connection ends.
    let again = server.joined(Party::Lock(lock)).await;
    assert!(closed(&connection).await.contains("was replaced"));
    let fresh = connect(&server, &again.identity).await;
    assert_eq!(ask(&fresh, 1, server.mobile(TRACY)).await, Outcome::Granted);
    other.stop().await;
    server.stop().await;
}

// M6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_identity_is_refused_at_once_and_its_connections_close() {
    let (_, server) = fresh().await;
    let first = server.joined(Party::Operator(ANA)).await;
    let second = server.joined(Party::Operator(ANA)).await;
    let (one, two) = (connect(&server, &first.identity).await, connect(&server, &second.identity).await);
    let mut live = one.watch_log(&Subscribe::all()).await.unwrap();
    let identities = two.identities(Rows::all()).await.unwrap().rows;
    assert_eq!(identities.len(), 2);
    assert!(identities.iter().all(|row| row.connected.is_some() && row.name == "Ana"), "{identities:?}");
    let lost = identities[0].id;
    two.carry_out(Command::DisableIdentity(lost, true), None).await.unwrap();
    let refusal = one.overview().await.unwrap_err();
    let told = refusal.to_string();
    assert!(told.contains("disabled"), "refused before it is closed, or closed: {told}");
    assert!(closed(&one).await.contains("was disabled"));
    while let Ok(Some(_)) = live.next().await {}
    let again = connect(&server, &first.identity).await;
    assert!(again.overview().await.unwrap_err().to_string().contains("disabled"));
    assert!(refused(renew(server.inside.address, &first.identity, PATIENCE).await).contains("is disabled"));
    // It has to be somebody else who takes it again.
    two.carry_out(Command::DisableIdentity(lost, false), None).await.unwrap();
    connect(&server, &first.identity).await.overview().await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_their_level_or_is_suspended_is_out_within_a_moment() {
    let (_, server) = fresh().await;
    let sam = server.person("sam@mail.example");
    server.run(Command::SetLevel(MAIN, sam, Some(Level::Limited)));
    let joined = server.joined(Party::Operator(sam)).await;
    let operator = connect(&server, &joined.identity).await;
    operator.overview().await.unwrap();
    server.run(Command::SetLevel(MAIN, sam, None));
    assert!(closed(&operator).await.contains("manage nothing any more"));
    let holder = server.joined(Party::Holder(sam)).await;
    let app = connect(&server, &holder.identity).await;
    app.my_access().await.unwrap();
    server.run(Command::Suspend(sam, true));
    assert!(closed(&app).await.contains("suspended"));
    server.stop().await;
}

/// What a joined key may do when its certificate is another one: times are the certificate's, not the test's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_out_of_their_time_are_refused_with_what_to_do_and_a_known_key_renews() {
    let (_, server) = fresh().await;
    let lock = server.lock_id();
    let joined = server.joined(Party::Lock(lock)).await;
    let key = rcgen::KeyPair::from_pem(&joined.identity.key_pem).unwrap();
    let with = |now: Moment, seconds: i64| {
        let principal = Principal::of(PORTFOLIO, Party::Lock(lock));
        let public = rcgen::PublicKeyData::subject_public_key_info(&key);
        let authority = server.inside.authority.load();
        let issued = authority.issue(&principal, Validity { now, seconds }, &Subject::PublicKeyDer(&public)).unwrap();
        ClientIdentity { cert_pem: issued.certificate_pem, ..joined.identity.clone() }
    };
    const DAY: i64 = 86_400;
    let now = clock::now();
    // Over since yesterday; and, as a server two hours ahead of ours made it, not begun yet.
    for out_of_time in [with(now.plus_seconds(-91 * DAY), 90 * DAY), with(now.plus_seconds(2 * 3_600), 90 * DAY)] {
        let told = match Connection::connect(server.inside.address, &out_of_time, PATIENCE).await {
            Ok(connection) => connection.check(DoorId(1), server.mobile(TRACY)).await.error.unwrap(),
            Err(error) => error,
        };
        assert!(matches!(told, ClientError::Refused(_)), "{told:?}");
        assert!(told.to_string().contains("renew it") && told.to_string().contains("clock"), "{told}");
        let renewed = renew(server.inside.address, &out_of_time, PATIENCE).await.unwrap();
        let connection = connect(&server, &renewed.identity).await;
        assert_eq!(ask(&connection, 1, server.mobile(TRACY)).await, Outcome::Granted);
    }
    // Somebody who has the certificate and not the key gets nothing.
    let mut thief = joined.identity.clone();
    thief.key_pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem().into();
    assert!(refused(renew(server.inside.address, &thief, PATIENCE).await).contains("not known here"));
    server.stop().await;
}

/// The clock of the server goes on, and with it what is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_renews_for_180_days_after_its_end_and_an_operator_for_30_days_after_joining() {
    use std::sync::atomic::{AtomicI64, Ordering};
    const DAY: i64 = 86_400;
    let ahead = Arc::new(AtomicI64::new(0));
    let dir = tempfile::tempdir().unwrap();
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    let layout = init(&dir.path().join("data"), &site, clock::now()).unwrap();
    let days = Arc::clone(&ahead);
    let clock: Clock = Arc::new(move || clock::now().plus_seconds(days.load(Ordering::SeqCst) * DAY));
    let server = start_by(&layout, clock).await;
    let (lock, operator) = (server.lock_id(), Party::Operator(ANA));
    let (lock, operator) = (server.joined(Party::Lock(lock)).await, server.joined(operator).await);
    assert_eq!(operator.certified.join_again.map(|at| at > operator.certified.valid_until), Some(true));
    let connected = connect(&server, &operator.identity).await;
    connected.overview().await.unwrap();
    let address = server.inside.address;
    let after = async |days: i64, identity: &ClientIdentity| {
        ahead.store(days, Ordering::SeqCst);
        renew(address, identity, PATIENCE).await
    };
    let late = after(29, &operator.identity).await.unwrap();
    assert!(late.certified.valid_until <= late.certified.join_again.unwrap());
    assert!(refused(after(31, &operator.identity).await).contains("join again with a new token"));
    assert!(closed(&connected).await.contains("time is over"));
    after(269, &lock.identity).await.unwrap();
    assert!(refused(after(272, &lock.identity).await).contains("more than 180 days ago"));
    // Renewed on the day before, it is good for as long again.
    ahead.store(260, Ordering::SeqCst);
    let renewed = renew(address, &lock.identity, PATIENCE).await.unwrap();
    after(500, &renewed.identity).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_takes_over_without_a_visit() {
    let (layout, server) = fresh().await;
    let lock = server.lock_id();
    let joined = server.joined(Party::Lock(lock)).await;
    let before = connect(&server, &joined.identity).await;
    let old_token = server.token(Party::Operator(ANA));
    let told = control::ask(&layout.control(), &control::Request::RotateAuthority {});
    let told = told.unwrap().unwrap_or_else(|why| panic!("{why}"));
    assert!(matches!(&told, Reply::Done(told) if told.contains("was replaced")));
    // Who is connected stays; who knows the one before finds the way, is taken, and learns of the new one by renewing.
    assert_eq!(ask(&before, 1, server.mobile(TRACY)).await, Outcome::Granted);
    let by_old = connect(&server, &joined.identity).await;
    assert_eq!(ask(&by_old, 1, server.mobile(TRACY)).await, Outcome::Granted);
    let renewed = renew(server.inside.address, &joined.identity, PATIENCE).await.unwrap();
    assert_ne!(renewed.identity.ca_pem, joined.identity.ca_pem);
    assert_eq!(ask(&connect(&server, &renewed.identity).await, 1, server.mobile(TRACY)).await, Outcome::Granted);
    // A token that names the one before works: the server shows who stands behind it.
    let late = server.join(&old_token, JoinAs::Operator).await.unwrap();
    assert_eq!(late.identity.ca_pem, renewed.identity.ca_pem);
    let fresh = server.joined(Party::Operator(ANA)).await;
    connect(&server, &fresh.identity).await.overview().await.unwrap();
    // After a restart it is the same.
    let _dir = server.stop().await;
    let server = start(&layout).await;
    for identity in [&joined.identity, &renewed.identity] {
        assert_eq!(ask(&connect(&server, identity).await, 1, server.mobile(TRACY)).await, Outcome::Granted);
    }
    server.stop().await;
}

/// Locks renew after thirty days, and an authority may be replaced every day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_slept_through_several_authorities_still_finds_the_way() {
    const DAY: i64 = 86_400;
    let dir = tempfile::tempdir().unwrap();
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    let begun = clock::now().plus_seconds(-20 * DAY);
    let layout = init(&dir.path().join("data"), &site, begun).unwrap();
    let server = start(&layout).await;
    let lock = server.lock_id();
    let joined = server.joined(Party::Lock(lock)).await;
    let old_token = server.token(Party::Operator(ANA));
    server.stop().await;
    for replaced in 1..=6 {
        let authority = Authority::open(layout.secrets()).unwrap();
        authority.rotate(layout.secrets(), begun.plus_seconds(replaced * 2 * DAY)).unwrap();
        let server = start(&layout).await;
        let connection = connect(&server, &joined.identity).await;
        assert_eq!(ask(&connection, 1, server.mobile(TRACY)).await, Outcome::Granted, "{replaced}");
        let renewed = renew(server.inside.address, &joined.identity, PATIENCE).await.unwrap();
        let connection = connect(&server, &renewed.identity).await;
        assert_eq!(ask(&connection, 1, server.mobile(TRACY)).await, Outcome::Granted, "{replaced}");
        if replaced == 6 {
            server.join(&old_token, JoinAs::Operator).await.unwrap();
        }
        server.stop().await;
    }
}

// M6 M7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_administrator_makes_tokens_lists_and_disables_through_the_socket() {
    let (layout, server) = fresh().await;
    let ask_for = |request| control::ask(&layout.control(), &request).unwrap();
    let portfolio = PORTFOLIO.0;
    let make = |role| ask_for(control::Request::MakeToken { portfolio, role, address: None, seconds: 600 });
    let text = |reply: control::Answer| match &reply.unwrap_or_else(|why| panic!("{why}")) {
        Reply::Token { text, .. } => text.parse::<JoinToken>().unwrap(),
        _ => panic!("no token"),
    };
    let name = "Shed".to_owned();
    let lock = JoinRole::Lock { name: name.clone(), property: Some("Main".to_owned()), doors: Vec::new() };
    let token = text(make(lock.clone()));
    assert_eq!(token.address.as_deref(), Some(server.inside.address.to_string().as_str()));
    let joined = server.join(&token, JoinAs::Lock).await.unwrap();
    let why = |reply: control::Answer| reply.err().unwrap_or_else(|| panic!("it was done"));
    assert!(why(make(lock)).contains("is registered already"));
    assert!(why(make(JoinRole::Operator { email: TRACY.to_owned() })).contains("manages nothing"));
    assert!(why(make(JoinRole::Holder { email: "nobody@x.example".to_owned() })).contains("no such person"));
    let unused = text(make(JoinRole::Lock { name, property: None, doors: Vec::new() }));
    let tokens = |reply: control::Answer| match &reply.unwrap_or_else(|why| panic!("{why}")) {
        Reply::Tokens(lines) => lines.clone(),
        _ => panic!("no tokens"),
    };
    let lines = tokens(ask_for(control::Request::Tokens { portfolio }));
    assert_eq!(
        (lines.len(), lines[0].role.as_str(), lines[0].name.as_str(), lines[0].over),
        (1, "lock", "Shed", false)
    );
    let revoke = control::Request::RevokeToken { portfolio, token: lines[0].token };
    assert!(ask_for(revoke.clone()).is_ok() && ask_for(revoke).is_err());
    assert!(refused(server.join(&unused, JoinAs::Lock).await).contains("used or revoked"));
    let connection = connect(&server, &joined.identity).await;
    assert_eq!(ask(&connection, 1, server.mobile(TRACY)).await, Outcome::Granted);
    let identity =
        server.inside.engine.directory().portfolios[&PORTFOLIO].admissions.identities.keys().next().unwrap().0;
    assert!(ask_for(control::Request::DisableIdentity { portfolio, identity, disabled: true }).is_ok());
    assert_eq!(ask(&connection, 1, server.mobile(TRACY)).await, Outcome::Denied);
    assert!(closed(&connection).await.contains("disabled"));
    server.stop().await;
}

// C8 G1 G3 M5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_sees_shares_and_renews_their_own_and_nothing_else() {
    let (_, server) = fresh().await;
    let tracy = server.person(TRACY);
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let joined = server.joined(Party::Holder(tracy)).await;
    let app = connect(&server, &joined.identity).await;
    let mine = app.my_access().await.unwrap();
    assert_eq!((mine.me, mine.name.as_str(), mine.keys.len()), (tracy, "Tracy", 1));
    assert_eq!(Credential::Mobile(mine.mobile), server.mobile(TRACY));
    let doors: Vec<&MyDoor> = mine.keys[0].doors.iter().collect();
    assert_eq!(doors.len(), 2);
    assert_eq!(mine.keys[0].guests.len(), 1, "Sam is her guest already");
    // Her code, shown and in the audit trail; it opens.
    let code = doors[0].code.unwrap();
    let shown = app.my_code(code).await.unwrap();
    assert_eq!(shown.door, doors[0].door);
    let digits = keyward_protocol::code::Digits::parse(shown.digits.as_bytes()).unwrap();
    assert_eq!(ask(&lock, doors[0].door.0, Credential::Code(digits)).await, Outcome::Granted);
    // Sam's is not hers to see, nor is anything that managers see.
    let sams = {
        let directory = server.inside.engine.directory();
        directory.portfolios[&PORTFOLIO].properties[&MAIN].code_of[&(server.person("sam@mail.example"), DoorId(1))]
    };
    assert!(matches!(refusal(app.my_code(sams).await), Refusal::NotFound(_)));
    assert!(matches!(refusal(app.overview().await), Refusal::NotPermitted(_)));
    assert!(matches!(refusal(app.keys(MAIN, Rows::all()).await), Refusal::NotPermitted(_)));
    let give = Command::Give { key: KeyId(2), person: tracy, may_share: None, period: Period::default() };
    assert!(matches!(refusal(app.carry_out(give, None).await), Refusal::NotPermitted(_)));
    assert!(app.watch_log(&Subscribe::all()).await.is_err());
    assert_eq!(ask(&app, 1, server.mobile(TRACY)).await, Outcome::Denied, "a holder tries no credentials out");
    // Somebody new is invited by email, may come in, and not any more.
    let (email, name) = ("guest@new.example".to_owned(), "Visitor".to_owned());
    let share =
        Mine::Share { key: mine.keys[0].key, email: email.clone(), name, doors: None, period: Period::default() };
    app.do_mine(share).await.unwrap();
    assert_eq!(ask(&lock, 1, server.mobile(&email)).await, Outcome::Granted);
    let guest = server.person(&email);
    let guest_app = server.joined(Party::Holder(guest)).await;
    let guest_app = connect(&server, &guest_app.identity).await;
    let theirs = guest_app.my_access().await.unwrap();
    assert_eq!((theirs.keys.len(), theirs.guest_of.len(), theirs.guest_of[0].host.as_str()), (0, 1, "Tracy"));
    let on = Mine::Share {
        key: mine.keys[0].key,
        email: "third@new.example".to_owned(),
        name: String::new(),
        doors: None,
        period: Period::default(),
    };
    assert!(matches!(guest_app.do_mine(on).await, Err(ManageError::Refused(_))), "a guest can't share on");
    app.do_mine(Mine::EndShare { key: mine.keys[0].key, guest }).await.unwrap();
    assert_eq!(ask(&lock, 1, server.mobile(&email)).await, Outcome::Denied);
    // A lost phone: the identity before opens nothing.
    let before = Credential::Mobile(mine.mobile);
    app.do_mine(Mine::RenewMobile).await.unwrap();
    assert_eq!(ask(&lock, 1, before).await, Outcome::Denied);
    assert_eq!(ask(&lock, 1, Credential::Mobile(app.my_access().await.unwrap().mobile)).await, Outcome::Granted);
    server.stop().await;
}

// C8 M4 M8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_lets_somebody_be_a_holder_only_where_they_manage_all_that_the_person_has() {
    let (_, server) = fresh().await;
    let (tracy, sam) = (server.person(TRACY), server.person("sam@mail.example"));
    server.run(Command::SetLevel(MAIN, sam, Some(Level::Specific(vec![KEY_A]))));
    let joined = server.joined(Party::Operator(sam)).await;
    let manager = connect(&server, &joined.identity).await;
    let ca = joined.identity.ca_pem.as_str();
    let until = clock::now().plus_seconds(600);
    let token = async |party| manager.make_token(ca, party, until, None).await;
    let holder = token(Party::Holder(tracy)).await.unwrap();
    assert_eq!(server.join(&holder, JoinAs::Holder).await.unwrap().certified.name, "Tracy");
    assert_eq!(manager.identities(Rows::all()).await.unwrap().total, 2, "their own and Tracy's");
    for refused in [Party::Operator(tracy), Party::Operator(ANA), Party::Lock(LockId(1))] {
        assert!(matches!(refusal(token(refused).await), Refusal::NotPermitted(_)), "{refused:?}");
    }
    assert!(matches!(refusal(token(Party::Holder(ANA)).await), Refusal::NotFound(_)), "Ana is not there for them");
    // Now she holds a Key that is not theirs to give: they would see its codes.
    server.run(give(KEY_B, tracy));
    assert!(matches!(refusal(token(Party::Holder(tracy)).await), Refusal::NotPermitted(_)));
    assert_eq!(manager.identities(Rows::all()).await.unwrap().total, 1);
    let tracys =
        server.inside.engine.directory().portfolios[&PORTFOLIO].admissions.of(Party::Holder(tracy)).next().unwrap().id;
    let disable = Command::DisableIdentity(tracys, true);
    assert!(matches!(refusal(manager.carry_out(disable, None).await), Refusal::NotFound(_)));
    assert!(matches!(refusal(manager.carry_out(Command::RenewMobile(tracy), None).await), Refusal::NotPermitted(_)));
    server.stop().await;
}
