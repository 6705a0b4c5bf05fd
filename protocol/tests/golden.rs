//! The wire as it is written down: one message of every kind, byte for byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

#[path = "../../tests/golden/golden.rs"]
mod golden;

use keyward_protocol::{
    code::{Card, Credential, Digits},
    codec::{Question, encode_question},
    decision::Reason,
    entry::*,
    error::FrameError,
    frame::{Broken, FLAG_DETAILED, FRAME_VERSION, Frame, FrameKind, Framer, Header},
    id::*,
    message::{
        admission::*,
        audit::*,
        check::{AnswerWriter, AnswersView, Check, DetailedAnswer, Outcome},
        join::*,
        manage::*,
        mine::*,
        watch::*,
    },
    schedule::{Hours, Window},
    time::{Date, Moment},
};
use zeroize::Zeroizing;

const AT: Moment = Moment::from_micros(1_795_000_000_123_456);

fn checks() -> Vec<Check> {
    let shown = [
        Credential::Mobile(0x0123_4567_89ab_cdef),
        Credential::Card(Card::parse_hex("04a2b9c1d2").unwrap()),
        Credential::Code(Digits::parse(b"4820195").unwrap()),
    ];
    (17..).map(DoorId).zip(shown).map(|(door, credential)| Check { door, credential }).collect()
}

fn question(detailed: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_question(Question { request: 0x1122, detailed, minimum_revision: 7 }, &checks(), &mut bytes).unwrap();
    bytes
}

fn answers(detailed: bool) -> Vec<u8> {
    let flags = if detailed { FLAG_DETAILED } else { 0 };
    let question = Header { length: 72, version: FRAME_VERSION, flags, count: 3, request: 0x1122, revision: 7 };
    let mut writer = AnswerWriter::new(true);
    writer.begin(&question, 9);
    let granted = DetailedAnswer { outcome: Outcome::Granted, reason: None, key: KeyId(5), stands_until: AT };
    writer.put_detailed(&granted);
    writer.put_detailed(&DetailedAnswer { reason: Some(Reason::OutsideSchedule), ..DetailedAnswer::default() });
    writer.put(Outcome::Retry);
    writer.bytes().to_vec()
}

fn refusal() -> Vec<u8> {
    let mut writer = AnswerWriter::new(true);
    writer.refuse(Broken { request: 0x1122, error: FrameError::Version(9) });
    writer.bytes().to_vec()
}

/// Shows the one frame in these bytes.
fn framed(kind: FrameKind, bytes: &[u8], see: impl FnOnce(Frame<'_>)) {
    let mut framer = Framer::new(kind);
    framer.space()[..bytes.len()].copy_from_slice(bytes);
    framer.filled(bytes.len());
    let batch = framer.batch();
    assert_eq!(batch.frame_count(), 1);
    see(batch.frames().next().unwrap());
}

#[test]
fn checks_and_their_answers() {
    let made = [
        ("a question: three checks (mobile identity, card, door code), at revision 7 or later", question(false)),
        ("the same, with details", question(true)),
        ("its answer: granted, denied, retry", answers(false)),
        ("its answer with details", answers(true)),
        ("a refusal: version 9 is not spoken", refusal()),
    ];
    let kept = golden::check("wire-frames.1.hex", "Check streams, frame version 1", &made);
    let [plain, detailed, answer, detailed_answer, refused] = &kept[..] else { panic!("five frames") };
    for (bytes, details) in [(plain, false), (detailed, true)] {
        framed(FrameKind::Checks, bytes, |frame| {
            let header = frame.header();
            assert_eq!((header.request, header.revision, header.detailed()), (0x1122, 7, details));
            let read: Vec<Check> = frame.checks().map(|check| check.check().unwrap()).collect();
            assert_eq!(read, checks());
        });
    }
    for bytes in [answer, detailed_answer] {
        framed(FrameKind::Answers, bytes, |frame| {
            let view = AnswersView::new(frame);
            assert_eq!((view.request(), view.revision(), view.count()), (0x1122, 9, 3));
            let outcomes = [0, 1, 2, 3].map(|index| view.outcome(index));
            assert_eq!(outcomes, [Outcome::Granted, Outcome::Denied, Outcome::Retry, Outcome::Denied]);
        });
    }
    framed(FrameKind::Answers, refused, |frame| {
        let view = AnswersView::new(frame);
        assert!(view.refused() && view.request() == 0x1122 && view.outcome(0) == Outcome::Denied);
    });
}

fn hours() -> Hours {
    Hours { windows: vec![Window::parse("Mon-Fri 08:00-18:00").unwrap()], ..Hours::default() }
}

fn rows() -> Rows {
    Rows { search: "ent".to_owned(), after: 3, most: 50 }
}

fn give() -> Command {
    let period = Period { from: Some(AT), until: None };
    Command::Give { key: KeyId(5), person: PersonId(2), may_share: Some(true), period }
}

fn requests() -> Vec<(&'static str, Request)> {
    let property = PropertyId(1);
    let pinned = Some([7; 32]);
    vec![
        ("Overview", Request::Overview),
        ("Property", Request::Property(property)),
        ("Keys", Request::Keys(property, rows())),
        ("Key", Request::Key(KeyId(5))),
        ("Holders", Request::Holders(KeyId(5), rows())),
        ("People", Request::People(Some(property), rows())),
        ("Person", Request::Person(PersonId(2))),
        ("Doors", Request::Doors(property, rows())),
        ("Door", Request::Door(DoorId(17))),
        ("Schedules", Request::Schedules(property, rows())),
        ("Locks", Request::Locks(rows())),
        ("Explain", Request::Explain { person: PersonId(2), door: DoorId(17), by_code: true, at: Some(AT) }),
        ("WhoCan", Request::WhoCan(DoorId(17), None, rows())),
        ("WhatCan", Request::WhatCan(PersonId(2), Some(AT), rows())),
        ("Search", Request::Search(search())),
        ("FindPerson", Request::FindPerson("tracy@mail.example".to_owned())),
        ("Audit", Request::Audit(AuditSearch { act: Some(Act::KeyGiven), ..AuditSearch::newest(50) })),
        ("Reveal", Request::Reveal(CodeId(7))),
        ("Alerts", Request::Alerts),
        ("Difference", Request::Difference { property, from: AT, until: None, rows: rows() }),
        ("Identities", Request::Identities(rows())),
        ("Tokens", Request::Tokens(rows())),
        ("Mine", Request::Mine(Mine::Access)),
        (
            "Mine, a share",
            Request::Mine(Mine::Share {
                key: KeyId(5),
                email: "sam@mail.example".to_owned(),
                name: "Sam".to_owned(),
                doors: Some(vec![DoorId(17)]),
                period: Period { from: None, until: Some(AT) },
            }),
        ),
        (
            "Do, with a token",
            Request::Do {
                command: Command::MakeToken { party: Party::Operator(PersonId(1)), hash: [8; 32], until: AT },
                pinned: None,
                part: Part::FIRST,
            },
        ),
        ("Preview", Request::Preview(give(), Part::FIRST)),
        ("Do", Request::Do { command: give(), pinned, part: Part { skip: 3, most: 0 } }),
        (
            "Do, with the hours of a schedule",
            Request::Do {
                command: Command::MakeSchedule(property, "day".to_owned(), hours()),
                pinned: None,
                part: Part::FIRST,
            },
        ),
        (
            "PreviewSince",
            Request::PreviewSince {
                was: Box::new(holidays(&[])),
                command: Box::new(holidays(&["Eve"])),
                part: Part::FIRST,
            },
        ),
        (
            "DoSince",
            Request::DoSince {
                was: Box::new(holidays(&[])),
                command: Box::new(holidays(&["Eve"])),
                pinned,
                part: Part::FIRST,
            },
        ),
        ("LockActivity", Request::LockActivity(rows())),
    ]
}

fn holidays(names: &[&str]) -> Command {
    let day = Date { year: 2026, month: 12, day: 24 };
    let holiday = |name: &&str| Holiday { name: (*name).to_owned(), from: day, to: day };
    Command::SetHolidays(PropertyId(1), names.iter().map(holiday).collect())
}

fn search() -> Search {
    Search {
        from: AT,
        until: AT.plus_seconds(60),
        property: Some(PropertyId(1)),
        doors: Some(vec![DoorId(17)]),
        person: Some(PersonId(2)),
        key: Some(KeyId(5)),
        granted: Some(false),
        reason: Some(Reason::OutsideSchedule),
        newest_first: true,
        most: 100,
        after: Some(vec![1, 2, 3]),
    }
}

#[test]
fn management_requests() {
    let made: Vec<(&str, Vec<u8>)> = requests().iter().map(|(what, request)| (*what, request.encode())).collect();
    let kept = golden::check("wire-requests.1.hex", "Management requests, version 1: rkyv behind four bytes", &made);
    for ((what, request), bytes) in requests().into_iter().zip(kept) {
        assert_eq!(Request::decode(&bytes), Ok(request), "{what}");
    }
}

fn list<T>(row: T) -> List<T> {
    List { revision: 9, total: 12, rows: vec![row], next: Some(4) }
}

fn opening() -> Opening {
    Opening { schedule: ScheduleRef::Named(ScheduleId(2)), code: true }
}

fn terms() -> Terms {
    Terms { may_share: true, from: Some(AT), until: None, ended: false }
}

fn guest() -> GuestRow {
    GuestRow {
        share: ShareId(8),
        key: KeyId(5),
        host: PersonId(2),
        host_name: "Tracy".to_owned(),
        guest: PersonId(3),
        guest_name: "Sam".to_owned(),
        doors: Some(vec![DoorId(17)]),
        from: None,
        until: Some(AT),
        ended: false,
    }
}

fn property_row() -> PropertyRow {
    PropertyRow {
        id: PropertyId(1),
        name: "Main".to_owned(),
        zone: "America/New_York".to_owned(),
        doors: 2,
        keys: 3,
        system_keys: 1,
        lockdowns: 1,
        level: Some(Level::Specific(vec![KeyId(5)])),
    }
}

fn key_row() -> KeyRow {
    KeyRow {
        id: KeyId(5),
        name: "Key A".to_owned(),
        doors: 2,
        people: 1,
        guests: 1,
        may_share: true,
        hours: Some("day".to_owned()),
        system: false,
    }
}

fn person_row() -> PersonRow {
    PersonRow {
        id: PersonId(2),
        name: "Tracy".to_owned(),
        email: "tracy@mail.example".to_owned(),
        suspended: false,
        portfolio_manager: true,
        keys: 1,
        shares: 0,
    }
}

fn door_row() -> DoorRow {
    DoorRow {
        id: DoorId(17),
        name: "Entrance".to_owned(),
        kind: DoorKind::Entrance,
        occupied: false,
        labels: vec!["deliveries".to_owned()],
        keys: 1,
        codes: 1,
        locked_down: true,
    }
}

fn effects() -> Effects {
    let at = At { property: PropertyId(1), person: PersonId(2), door: DoorId(17) };
    let totals = Totals { doors_lost: 1, codes_deleted: 1, people_losing: 1, ..Totals::default() };
    Effects {
        revision: 9,
        digest: [7; 32],
        totals,
        doors_lost: vec![at],
        doors_gained: Vec::new(),
        codes_deleted: vec![at],
        codes_made: Vec::new(),
        shares_ended: vec![(ShareId(8), PersonId(3))],
        sight_lost: Vec::new(),
        people: vec![(PersonId(2), "Tracy".to_owned())],
        doors: vec![(DoorId(17), "Entrance".to_owned())],
    }
}

fn named_key() -> NamedKey {
    NamedKey { id: KeyId(5), name: "Key A".to_owned() }
}

fn how() -> How {
    How { key: Some(named_key()), host: Some((PersonId(2), "Tracy".to_owned())), by_code: true }
}

fn explanation() -> Explanation {
    let standing = StandingRow {
        key: Some(named_key()),
        host: None,
        openings: vec![NamedOpening { opening: opening(), schedule: "day".to_owned() }],
        from: Some(AT),
        until: None,
        excepted: false,
        refuses: Some(Reason::OutsideSchedule),
    };
    Explanation {
        revision: 9,
        at: AT,
        person: PersonId(2),
        name: "Tracy".to_owned(),
        door: DoorId(17),
        door_name: "Entrance".to_owned(),
        by_code: true,
        denied: Some(Reason::OutsideSchedule),
        suspended: false,
        no_code: false,
        lockdowns: vec![LockdownId(1)],
        held: vec![standing],
        flips_at: Some(AT),
        would_open: vec![named_key()],
    }
}

fn answers_to_requests() -> Vec<(&'static str, Answer)> {
    let overview = Overview {
        name: "Harbor".to_owned(),
        revision: 9,
        now: AT,
        me: PersonId(1),
        my_name: "Ana".to_owned(),
        people: 3,
        locks: 1,
        door_codes: DoorCodes::Unreadable("vault: gone".to_owned()),
        properties: vec![property_row()],
    };
    let property = PropertyDetail {
        revision: 9,
        row: property_row(),
        codes: CodePolicy { digits: 7, limit: Some(9), quarantine_days: 30 },
        on_log_failure: OnLogFailure::AnswerAndCount,
        holidays: Vec::new(),
        deliveries: Some(KeyId(1)),
        lockdowns: vec![LockdownRow { id: LockdownId(1), doors: None, except_keys: vec![KeyId(5)] }],
        levels: vec![(PersonId(1), "Ana".to_owned(), Level::Limited)],
    };
    let rule = DoorRule {
        kind: Some(DoorKind::Unit),
        occupied: Some(true),
        labels: vec!["floor 2".to_owned()],
        except: vec![DoorId(18)],
        opening: opening(),
    };
    let opens = KeyOpens {
        door: DoorId(17),
        name: "Entrance".to_owned(),
        by_rule: false,
        openings: vec![Opening { schedule: ScheduleRef::Always, code: false }],
    };
    let key = KeyDetail {
        revision: 9,
        property: PropertyId(1),
        row: key_row(),
        listed: vec![KeyDoor { door: DoorId(17), opening: opening() }],
        rules: vec![rule],
        opens: vec![opens],
    };
    let holder = HolderRow {
        giving: GivingId(6),
        person: PersonId(2),
        name: "Tracy".to_owned(),
        email: "tracy@mail.example".to_owned(),
        suspended: false,
        terms: terms(),
        guests: vec![guest()],
    };
    let held = HeldRow {
        property: PropertyId(1),
        giving: GivingId(6),
        key: KeyId(5),
        name: "Key A".to_owned(),
        terms: terms(),
        guests: Vec::new(),
    };
    let code = CodeRow {
        id: CodeId(1 << 40),
        property: PropertyId(1),
        door: DoorId(17),
        name: "Entrance".to_owned(),
        made_at: AT,
    };
    let person = PersonDetail {
        revision: 9,
        row: person_row(),
        phone: Some("+1 555".to_owned()),
        note: None,
        cards: vec![Card::parse_hex("04a2b9c1d2").unwrap()],
        holds: vec![held],
        guest_of: vec![guest()],
        codes: vec![code],
        levels: vec![(PropertyId(1), Level::Full)],
    };
    let door = DoorDetail {
        revision: 9,
        property: PropertyId(1),
        row: door_row(),
        keys: vec![DoorKeyRow { key: KeyId(5), name: "Key A".to_owned(), openings: vec![opening()] }],
        codes_max: 2_000,
    };
    let who =
        WhoRow { person: PersonId(2), name: "Tracy".to_owned(), email: "tracy@mail.example".to_owned(), how: how() };
    let can = CanOpenRow { property: PropertyId(1), door: DoorId(17), name: "Entrance".to_owned(), how: how() };
    let schedule = ScheduleRow { id: ScheduleId(2), name: "day".to_owned(), hours: hours(), keys: 1 };
    let lock = LockRow {
        id: LockId(4),
        name: "Gateway".to_owned(),
        scope: LockScope::Doors(vec![DoorId(17)]),
        disabled: false,
        identity: Some(IdentityId(3)),
        connected: Some(connected()),
    };
    let identity = IdentityRow {
        id: IdentityId(3),
        party: Party::Operator(PersonId(1)),
        name: "Ana".to_owned(),
        label: "laptop".to_owned(),
        joined: AT,
        disabled: false,
        connected: Some(connected()),
    };
    let token = TokenRow { id: TokenId(2), party: Party::Lock(LockId(4)), name: "Gateway".to_owned(), until: AT };
    vec![
        ("Overview", Answer::Overview(overview)),
        ("Property", Answer::Property(property)),
        ("Keys", Answer::Keys(list(key_row()))),
        ("Key", Answer::Key(key)),
        ("Holders", Answer::Holders(list(holder))),
        ("People", Answer::People(list(person_row()))),
        ("Person", Answer::Person(person)),
        ("Doors", Answer::Doors(list(door_row()))),
        ("Door", Answer::Door(door)),
        ("Schedules", Answer::Schedules(list(schedule))),
        ("Locks", Answer::Locks(list(lock))),
        ("Explanation", Answer::Explanation(explanation())),
        ("WhoCan", Answer::WhoCan(WhoCan { at: AT, carriers: true, people: list(who) })),
        ("WhatCan", Answer::WhatCan(list(can))),
        ("History", Answer::History(history())),
        ("Found", Answer::Found(person_row())),
        ("Audit", Answer::Audit(audit_page())),
        ("Revealed", Answer::Revealed(revealed())),
        ("Alerts", Answer::Alerts(vec![alert()])),
        ("Difference", Answer::Difference(list(difference()))),
        ("Identities", Answer::Identities(list(identity))),
        ("Tokens", Answer::Tokens(list(token))),
        ("Mine", Answer::Mine(my_access())),
        ("Preview", Answer::Preview(effects())),
        ("Done", Answer::Done(Done { revision: 10, made: Some(Made::Giving(GivingId(6))), effects: effects() })),
        ("Refused", Answer::Refused(Refusal::NotFound("door `Pool`".to_owned()))),
        ("Refused, changed since", Answer::Refused(Refusal::ChangedSince)),
        ("Unreadable", Answer::Unreadable("it is too short".to_owned())),
        (
            "LockActivity",
            Answer::LockActivity(list(LockActivity { lock: LockId(7), last: AT, checks: 12_345, minute: 60 })),
        ),
    ]
}

fn connected() -> ConnectedRow {
    ConnectedRow { address: "192.0.2.7:50123".to_owned(), since: AT, certificate_until: AT }
}

fn my_access() -> MyAccess {
    let period = Period { from: None, until: Some(AT) };
    let door = || MyDoor {
        door: DoorId(17),
        name: "Entrance".to_owned(),
        hours: vec!["always".to_owned()],
        code: Some(CodeId(1 << 40)),
    };
    let guest = MyGuest { guest: PersonId(3), email: "sam@mail.example".to_owned(), doors: None, period, ended: false };
    let key = MyKey {
        key: KeyId(5),
        name: "Key A".to_owned(),
        property: "Main".to_owned(),
        zone: "America/New_York".to_owned(),
        may_share: true,
        period,
        ended: false,
        doors: vec![door()],
        guests: vec![guest],
    };
    let share = MyShare {
        key: "Key B".to_owned(),
        host: "Tracy".to_owned(),
        property: "Main".to_owned(),
        zone: "America/New_York".to_owned(),
        period,
        ended: true,
        doors: vec![door()],
    };
    MyAccess {
        revision: 9,
        now: AT,
        me: PersonId(2),
        name: "Tracy".to_owned(),
        portfolio: "Harbor".to_owned(),
        mobile: 7,
        keys: vec![key],
        guest_of: vec![share],
    }
}

#[test]
fn joining() {
    let join = JoinRequest::Join {
        secret: [7; 32],
        role: "lock".to_owned(),
        key: vec![4; 91],
        proof: vec![5; 70],
        label: "gateway".to_owned(),
    };
    let renew = JoinRequest::Renew { key: vec![4; 91], proof: vec![5; 70], certificate: Some(vec![6; 9]) };
    let certified = JoinAnswer::Certified(Certified {
        party: Party::Holder(PersonId(2)),
        name: "Tracy".to_owned(),
        portfolio: "Harbor".to_owned(),
        certificate_pem: "certificate".to_owned(),
        authorities_pem: "authority".to_owned(),
        lineage: "a1b2".to_owned(),
        valid_until: AT,
        renew_at: AT,
        join_again: Some(AT),
    });
    let refused = JoinAnswer::Refused { why: "used".to_owned(), later: true };
    let made = [
        ("Join", join.encode()),
        ("Renew", renew.encode()),
        ("Certified", certified.encode()),
        ("Refused", refused.encode()),
    ];
    let kept = golden::check("wire-join.1.hex", "Joining, version 1: rkyv behind four bytes", &made);
    assert_eq!(JoinRequest::decode(&kept[0]), Ok(join));
    assert_eq!(JoinRequest::decode(&kept[1]), Ok(renew));
    assert_eq!(JoinAnswer::decode(&kept[2]), Ok(certified));
    assert_eq!(JoinAnswer::decode(&kept[3]), Ok(refused));
    let token =
        JoinToken { secret: Zeroizing::new([7; 32]), authority: [9; 32], address: Some("a.example:1".to_owned()) };
    let written = "kwj1.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc.\
                   CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@a.example:1";
    assert_eq!(token.expose().as_str(), written);
}

fn audit_page() -> AuditPage {
    let fact =
        Fact { of: "Key `Pool`".to_owned(), what: "name".to_owned(), before: None, after: Some("Pool".to_owned()) };
    let row = AuditRow {
        at: AT,
        by: ActedBy::Person(PersonId(2)),
        name: "Tracy <tracy@mail.example>".to_owned(),
        from: Some("192.0.2.7:50123".to_owned()),
        revision: 9,
        act: Act::KeyMade,
        property: Some(PropertyId(1)),
        about: Some(Made::Key(KeyId(5))),
        facts: vec![fact],
        refused: None,
        more: 0,
        link: Some([7; 32]),
    };
    let beginning = Some(([1; 32], beginning("Harbor", "ab")));
    AuditPage { rows: vec![row], next: Some(vec![1, 2, 3]), searched_to: Some(AT), beginning }
}

fn difference() -> DifferenceRow {
    let (name, email) = ("Tracy".to_owned(), "tracy@mail.example".to_owned());
    let (gained, lost) = (vec![(DoorId(17), "Entrance".to_owned())], Vec::new());
    DifferenceRow { person: PersonId(2), name, email, gained, lost }
}

fn alert() -> AlertRow {
    let (name, more_at) = ("Pool".to_owned(), Some(AT));
    AlertRow { property: PropertyId(1), door: DoorId(17), name, left: 0, more_at, ran_out: AT }
}

fn revealed() -> Revealed {
    Revealed { code: CodeId(7), person: PersonId(2), door: DoorId(17), digits: "4820195".to_owned() }
}

#[test]
fn management_answers() {
    let made: Vec<(&str, Vec<u8>)> =
        answers_to_requests().iter().map(|(what, answer)| (*what, answer.encode())).collect();
    let kept = golden::check("wire-answers.1.hex", "Management answers, version 1: rkyv behind four bytes", &made);
    for ((what, answer), bytes) in answers_to_requests().into_iter().zip(kept) {
        assert_eq!(Answer::decode(&bytes), Ok(answer), "{what}");
    }
}

fn live_row() -> LiveRow {
    LiveRow {
        time: AT,
        revision: 9,
        door: DoorId(17),
        who: Who::Guest { person: PersonId(3), host: PersonId(2) },
        key: Some(KeyId(5)),
        another_key: false,
        lock: Some(LockId(4)),
        shown: Shown::Code,
        denied: Some(Reason::OutsideSchedule),
    }
}

fn names() -> Names {
    Names {
        people: vec![(PersonId(2), "Tracy".to_owned()), (PersonId(3), "Sam".to_owned())],
        doors: vec![(DoorId(17), "Entrance".to_owned())],
        keys: vec![(KeyId(5), "Key A".to_owned())],
        carriers: vec![(CarrierId(1), "Parcel".to_owned())],
    }
}

fn history() -> History {
    History { rows: vec![live_row()], names: names(), next: Some(vec![1, 2, 3]), searched_to: Some(AT), damaged: 1 }
}

#[test]
fn live_views() {
    let subscribe = Subscribe { property: Some(PropertyId(1)), doors: Some(vec![DoorId(17)]), ..Subscribe::all() };
    let batch = LiveBatch {
        sequence: 3,
        counts: vec![DoorSecond { door: Some(DoorId(17)), second: 1_795_000_000, granted: 4, denied: 1 }],
        rows: vec![live_row()],
        sampled_one_in: 2,
        passed_over: 4,
        dropped: 0,
        names: names(),
    };
    let made = [("Subscribe", subscribe.encode()), ("LiveBatch", batch.encode())];
    let kept = golden::check("wire-live.1.hex", "Live views, version 1: rkyv behind four bytes", &made);
    assert_eq!(Subscribe::decode(&kept[0]), Ok(subscribe));
    assert_eq!(LiveBatch::decode(&kept[1]), Ok(batch));
}

// Whoever speaks another version is told so, by number, and what to do.
#[test]
fn another_version_is_told_so() {
    let mut frame = question(false);
    frame[4] = FRAME_VERSION + 1;
    let mut framer = Framer::new(FrameKind::Checks);
    framer.space()[..frame.len()].copy_from_slice(&frame);
    framer.filled(frame.len());
    assert!(framer.batch().is_empty());
    let told = framer.broken().unwrap().error.to_string();
    assert!(told.contains("version `2`") && told.contains("speaks 1"), "{told}");
    let mut request = Request::Overview.encode();
    request[0] = MANAGE_VERSION + 1;
    let told = Request::decode(&request).unwrap_err();
    assert_eq!(told, PayloadError::Version(2));
    assert!(told.to_string().contains("version 2") && told.to_string().contains("same release"), "{told}");
}
