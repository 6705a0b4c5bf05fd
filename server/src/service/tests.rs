//! The whole path over real QUIC: certificate, frame, decision, record.

use std::{net::Ipv4Addr, time::Duration};

use keyward_protocol::{
    client::{ClientIdentity, Connection},
    code::Credential,
    decision::Reason,
    id::{DoorId, KeyId, PropertyId},
    message::check::{Check, Outcome},
};
use tokio::sync::oneshot;

use super::*;
use crate::{
    access_log::{Span, Who},
    clock,
};

const PORTFOLIO: PortfolioId = PortfolioId(1);
const TRACY: &str = "tracy@mail.example";

struct Running {
    inside: Inside,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
    _dir: Option<tempfile::TempDir>,
}

async fn start(layout: &Layout) -> Running {
    let options =
        Options { address: (Ipv4Addr::LOCALHOST, 0).into(), mode: access_log::Mode::Strict, clock: clock::system() };
    let server = Server::bind(layout, options).unwrap();
    let inside = server.inside();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.serve(async move { _ = stopped.await }));
    Running { inside, stop, task, _dir: None }
}

async fn fresh() -> (Layout, Running) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    let layout = init(&dir.path().join("data"), &site, clock::now()).unwrap();
    let mut running = start(&layout).await;
    running._dir = Some(dir);
    (layout, running)
}

impl Running {
    async fn stop(self) -> Option<tempfile::TempDir> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self._dir
    }

    fn identity(&self, issued: &Issued) -> ClientIdentity {
        let key = issued.key_pem.as_ref().unwrap().as_str();
        ClientIdentity::new(self.inside.authority.certificate_pem(), issued.certificate_pem.as_str(), key)
    }

    async fn lock(&self, name: &str, scope: LockScope) -> (LockId, Connection) {
        let made =
            issue_lock(&self.inside.engine, &self.inside.authority, PORTFOLIO, name, scope, clock::now()).unwrap();
        let identity = self.identity(&made.issued);
        (made.lock, connect(self, &identity).await)
    }

    fn mobile(&self, email: &str) -> Credential {
        let directory = self.inside.engine.directory();
        Credential::Mobile(directory.portfolios[&PORTFOLIO].person_by_email(email).unwrap().mobile)
    }

    fn person(&self, email: &str) -> PersonId {
        self.inside.engine.directory().portfolios[&PORTFOLIO].person_by_email(email).unwrap().id
    }
}

async fn connect(server: &Running, identity: &ClientIdentity) -> Connection {
    Connection::connect(server.inside.address, identity, Duration::from_secs(10)).await.unwrap()
}

async fn ask(connection: &Connection, door: u32, credential: Credential) -> Outcome {
    connection.check(DoorId(door), credential).await.outcome
}

// U1, L1, G5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_revoke_and_the_very_next_check_is_denied_and_all_of_it_is_logged() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(PropertyId(1))).await;
    let tracy = server.mobile(TRACY);
    assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Granted);
    assert_eq!(ask(&lock, 1, server.mobile("sam@mail.example")).await, Outcome::Granted);
    let revoke = Command::Revoke { key: KeyId(1), person: server.person(TRACY) };
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, revoke).unwrap();
    assert_eq!(ask(&lock, 1, tracy).await, Outcome::Denied);
    assert_eq!(ask(&lock, 1, server.mobile("sam@mail.example")).await, Outcome::Denied);
    let mut records = Vec::new();
    let end = server.inside.log.next_sequence();
    server.inside.log.visit(&Span::Sequences(0..end), |_, _, record| records.push(*record)).unwrap();
    assert_eq!(records.len(), 4, "in strict, what was answered is on disk");
    let host = server.person(TRACY);
    assert!(matches!(records[1].who, Who::Guest { host: found, .. } if found == host));
    assert_eq!(records[2].outcome, access_log::Outcome::Denied(Reason::NoKey));
    server.stop().await;
}

// U3, L1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_asks_about_its_own_doors_only() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Door 2's lock", LockScope::Doors(vec![DoorId(2)])).await;
    let tracy = server.mobile(TRACY);
    assert_eq!(ask(&lock, 2, tracy.clone()).await, Outcome::Granted);
    assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Denied);
    assert_eq!(ask(&lock, 99, tracy).await, Outcome::Denied);
    let mut doors = Vec::new();
    let span = Span::Sequences(0..server.inside.log.next_sequence());
    server.inside.log.visit(&span, |_, _, record| doors.push(record.door_of_log())).unwrap();
    assert_eq!(doors, [Some(DoorId(2)), None, None], "an attempt at another's door is in no door's log");
    server.stop().await;
}

// U3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_lock_gets_nothing() {
    let (_, server) = fresh().await;
    let (id, lock) = server.lock("Gateway", LockScope::Property(PropertyId(1))).await;
    let tracy = server.mobile(TRACY);
    assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Granted);
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::DisableLock(id, true)).unwrap();
    assert_eq!(ask(&lock, 1, tracy).await, Outcome::Denied);
    let principal = Principal::Lock { portfolio: PORTFOLIO, lock: id };
    assert_eq!(server.inside.connections.disconnect(&principal), 1);
    server.stop().await;
}

// C4, C6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracys_code_opens_through_a_move_and_never_after_its_deletion() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(PropertyId(1))).await;
    let tracy = server.person(TRACY);
    let code = {
        let directory = server.inside.engine.directory();
        let id = directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)].code_of[&(tracy, DoorId(1))];
        Credential::Code(server.inside.engine.reveal(PORTFOLIO, id).unwrap())
    };
    let run = |command| server.inside.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap();
    assert_eq!(ask(&lock, 1, code.clone()).await, Outcome::Granted);
    run(Command::Move { person: tracy, from: KeyId(1), to: KeyId(2), may_share: None, period: Default::default() });
    assert_eq!(ask(&lock, 1, code.clone()).await, Outcome::Granted);
    run(Command::Revoke { key: KeyId(2), person: tracy });
    run(Command::Give { key: KeyId(2), person: tracy, may_share: None, period: Default::default() });
    assert_eq!(ask(&lock, 1, code).await, Outcome::Denied);
    server.stop().await;
}

// U4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_yet_answers_behind_and_a_stop_keeps_everything() {
    let (layout, server) = fresh().await;
    let made = issue_lock(
        &server.inside.engine,
        &server.inside.authority,
        PORTFOLIO,
        "Gateway",
        LockScope::Property(PropertyId(1)),
        clock::now(),
    )
    .unwrap();
    let identity = server.identity(&made.issued);
    let lock = connect(&server, &identity).await;
    let check = [Check { door: DoorId(1), credential: server.mobile(TRACY) }];
    let answer = lock.check_batch_at(&check, 2).await;
    assert_eq!((answer.outcomes.as_slice(), answer.revision), ([Outcome::Granted].as_slice(), 2));
    assert_eq!(lock.check_batch_at(&check, 3).await.outcomes, [Outcome::Behind]);
    let _dir = server.stop().await;
    assert_eq!(lock.check_batch(&check).await.outcomes, [Outcome::Denied], "no server, no entry");
    let again = start(&layout).await;
    assert_eq!(again.inside.log.totals(None, &Span::Sequences(0..u64::MAX)).unwrap().records(), 1);
    let lock = connect(&again, &identity).await;
    assert_eq!(lock.check_batch(&check).await.outcomes, [Outcome::Granted]);
    again.stop().await;
}

// M7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_portfolio_managers_get_an_operators_certificate() {
    let (_, server) = fresh().await;
    let directory = server.inside.engine.directory();
    let issue = |email: &str| issue_operator(&directory, &server.inside.authority, PORTFOLIO, email, clock::now());
    assert!(matches!(issue(TRACY), Err(IssueError::Refused(Refusal::NotPermitted(_)))));
    let identity = server.identity(&issue("ana@harbor.example").unwrap());
    let operator = connect(&server, &identity).await;
    assert_eq!(ask(&operator, 1, server.mobile(TRACY)).await, Outcome::Granted);
    server.stop().await;
}
