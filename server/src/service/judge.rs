//! Judges what came in one wake-up and hands its records to the log.
//!
//! Between a decoded frame and its decisions nothing is locked, allocated or awaited: the publication is pinned once,
//! the scratch lists are this thread's and keep their memory, the records go into a pooled list. What may wait is the
//! log's ring, by design, when it is full.

use std::{
    cell::{Cell, RefCell},
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use keyward_protocol::{
    decision::{Decision, Reason},
    frame::{Batch as Frames, Frame},
    id::{DoorId, KeyId, LockId, PersonId},
    message::check::{AnswerWriter, DetailedAnswer, Outcome as Told, RawCheck},
    time::Moment,
};

use super::{lockout::Budgets, portfolios::Portfolios};
use crate::{
    access_log::{self, Batch, CredentialKind, Mode, Producer, PushError, Record, Who},
    clock::Clock,
    domain::{
        directory::{Directory, LockScope, OnLogFailure, Portfolio},
        permission,
    },
    engine::Engine,
    identity::Principal,
    index::{
        lookup::{Outcome, Question, Scope, Shown, ShownKind, Verdict, check_batch, stands_until},
        publish::PortfolioPublication,
    },
    net::{self, Peer, Settled},
    vault::Tagger,
};

/// Judges checks by what is published.
pub struct Judge {
    engine: Engine,
    portfolios: Arc<Portfolios>,
    producers: Vec<Producer>,
    mode: Mode,
    clock: Clock,
    /// Answers that were given without a record, where a property asks for that.
    unrecorded: AtomicU64,
}

/// This thread's lists, kept from batch to batch.
#[derive(Default)]
struct Scratch {
    questions: Vec<Question>,
    verdicts: Vec<Verdict>,
    codes: Vec<CodeAttempt>,
}

/// What a question is to its door's budget for wrong codes (U7).
#[derive(Clone, Copy, PartialEq, Eq)]
enum CodeAttempt {
    /// No code, or a code at a door that isn't there for who asks.
    None,
    /// A code that room was taken for.
    Reserved,
    /// A code that there is no room for: not looked up.
    Refused,
    /// A code, and what came before a restart is still being read.
    Unknown,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    static SHARD: Cell<usize> = Cell::new({
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    });
}

impl Judge {
    /// A judge that records to `producers`, one for each core.
    pub fn new(
        engine: Engine,
        portfolios: Arc<Portfolios>,
        producers: Vec<Producer>,
        mode: Mode,
        clock: Clock,
    ) -> Judge {
        Judge { engine, portfolios, producers, mode, clock, unrecorded: AtomicU64::new(0) }
    }

    /// What it judges each portfolio by, besides what is published.
    pub fn portfolios(&self) -> Arc<Portfolios> {
        Arc::clone(&self.portfolios)
    }

    /// Hands a batch's records over and says when its answers may be written.
    fn record(&self, producer: &Producer, who: &Peer, batch: Batch) -> Ticket {
        if batch.records.is_empty() {
            return Ticket::Settled(Settled::Answer);
        }
        let count = batch.records.len() as u64;
        let handed = match producer.try_push(batch) {
            Ok(ticket) => Ok(ticket),
            // A full ring holds the stream up, and drops nothing.
            Err(PushError::Full(batch)) => producer.push_blocking(batch).map_err(|_| ()),
            Err(PushError::Ended(_)) => Err(()),
        };
        match (handed, self.mode) {
            (Err(()), _) => Ticket::Settled(self.without_record(who, count)),
            (Ok(_), Mode::Relaxed) => Ticket::Settled(Settled::Answer),
            (Ok(ticket), Mode::Strict) => {
                let producer = producer.clone();
                let otherwise =
                    if answers_unrecorded(&self.engine.directory(), who) { Settled::Answer } else { Settled::Deny };
                Ticket::Waits(Box::pin(async move {
                    match producer.durable(ticket).await {
                        Ok(()) => Settled::Answer,
                        Err(_) => otherwise,
                    }
                }))
            }
        }
    }

    /// The log has failed: as the property says (`on_log_failure`).
    fn without_record(&self, who: &Peer, count: u64) -> Settled {
        if !answers_unrecorded(&self.engine.directory(), who) {
            return Settled::Deny;
        }
        let total = self.unrecorded.fetch_add(count, Ordering::Relaxed) + count;
        tracing::error!(total, "checks are answered without a record, as the property asks");
        Settled::Answer
    }
}

/// Whether every property that `who` may ask about wants answers when the log can't be written.
fn answers_unrecorded(directory: &Directory, who: &Peer) -> bool {
    let Some(portfolio) = directory.portfolios.get(&who.principal.portfolio()) else { return false };
    let wants =
        |property: &crate::domain::directory::Property| property.facts.on_log_failure == OnLogFailure::AnswerAndCount;
    match lock_scope(directory, &who.principal) {
        Some(LockScope::Property(property)) => portfolio.properties.get(property).is_some_and(|found| wants(found)),
        Some(LockScope::Doors(doors)) => {
            doors.iter().all(|door| portfolio.property_with_door(*door).is_some_and(|found| wants(found)))
        }
        None => false,
    }
}

/// The doors that a registered, enabled lock may ask about.
fn lock_scope<'a>(directory: &'a Directory, principal: &Principal) -> Option<&'a LockScope> {
    let Principal::Lock { portfolio, lock } = principal else { return None };
    let lock = directory.portfolios.get(portfolio)?.locks.get(lock)?;
    (!lock.disabled).then_some(&lock.scope)
}

/// A Portfolio Manager who may ask about every door, with their portfolio.
fn viewer<'a>(directory: &'a Directory, principal: &Principal) -> Option<(&'a Portfolio, PersonId)> {
    let Principal::Operator { portfolio, person } = principal else { return None };
    let portfolio = directory.portfolios.get(portfolio)?;
    let manages = portfolio.managers.contains(person) && !portfolio.is_suspended(*person);
    manages.then_some((portfolio, *person))
}

impl net::Judge for Judge {
    type Ticket = Ticket;

    fn judge(&self, who: &Peer, frames: &Frames<'_>, answers: &mut AnswerWriter) -> Ticket {
        let shard = SHARD.get();
        let Some(producer) = self.producers.get(shard % self.producers.len().max(1)) else {
            return Ticket::Settled(Settled::Deny);
        };
        let portfolio = who.principal.portfolio();
        let directory = self.engine.directory_now();
        let proves = |found: &Arc<Portfolio>| found.admissions.proves(who.identity, who.principal.party());
        let taken = directory.portfolios.get(&portfolio).is_some_and(proves);
        let viewer = viewer(&directory, &who.principal);
        let scope = match (&who.principal, lock_scope(&directory, &who.principal)) {
            // Disabled or replaced, and its connection about to be closed: every door is unknown to it.
            _ if !taken => Scope::Doors(&[]),
            (Principal::Operator { .. }, _) if viewer.is_some() => Scope::Portfolio,
            // Below a Portfolio Manager nobody tries credentials out: a door that is not in sight is not there (M8).
            (Principal::Operator { .. } | Principal::Holder { .. }, _) => Scope::Doors(&[]),
            (Principal::Lock { .. }, Some(LockScope::Property(property))) => Scope::Property(*property),
            (Principal::Lock { .. }, Some(LockScope::Doors(doors))) => Scope::Doors(doors),
            // Unknown or disabled: every door is unknown to it.
            (Principal::Lock { .. }, None) => Scope::Doors(&[]),
        };
        let publication = self.engine.published().load();
        let kept = self.portfolios.load_with(portfolio);
        let (Some(published), Some(kept), Some(doors)) =
            (publication.portfolio(portfolio), kept.get(&portfolio), directory.portfolios.get(&portfolio))
        else {
            return Ticket::Settled(Settled::Deny);
        };
        let (tagger, budgets) = (&kept.tagger, &kept.budgets);
        budgets.make_room(doors.next.door);
        let lock = match who.principal {
            Principal::Lock { lock, .. } => lock,
            Principal::Operator { .. } | Principal::Holder { .. } => LockId::NONE,
        };
        let now = (self.clock)();
        let at = Judged { published, scope, tagger, now, lock, viewer, budgets, doors };
        let mut records = producer.buffer();
        SCRATCH.with_borrow_mut(|scratch| {
            for frame in frames.frames() {
                at.frame(&frame, scratch, answers, &mut records);
            }
        });
        self.record(producer, who, Batch { portfolio, records })
    }
}

/// What a batch is judged by.
struct Judged<'a> {
    published: &'a PortfolioPublication,
    scope: Scope<'a>,
    tagger: &'a Tagger,
    now: Moment,
    lock: LockId,
    /// Who is told more than a lock.
    viewer: Option<(&'a Portfolio, PersonId)>,
    budgets: &'a Budgets,
    /// Where doors are looked up whose code budget is to be touched.
    doors: &'a Portfolio,
}

impl Judged<'_> {
    fn frame(&self, frame: &Frame<'_>, scratch: &mut Scratch, answers: &mut AnswerWriter, records: &mut Vec<Record>) {
        let header = frame.header();
        answers.begin(header, self.published.revision);
        if header.revision > self.published.revision {
            // U4: not there yet, which is no decision.
            (0..header.count).for_each(|_| answers.put(Told::Behind));
            return;
        }
        scratch.begin(frame);
        self.judge_in_turn(scratch);
        let Scratch { questions, verdicts, .. } = scratch;
        for (question, verdict) in questions.iter().zip(verdicts.iter()) {
            records.extend(self.record(question, verdict));
            match answers.detailed() {
                true => answers.put_detailed(&self.detailed(question, verdict)),
                false => answers.put(told(verdict)),
            }
        }
    }

    /// Judges the questions in their order. Room for codes is taken ahead, and what is judged is only cut where a door has
    /// none left: then what came before is settled first, which may give some back. So it comes out as if each code had
    /// been judged before the next was looked at, and whoever is out of room does not slow the others down.
    fn judge_in_turn(&self, scratch: &mut Scratch) {
        let (mut from, mut reserved) = (0, false);
        for at in 0..scratch.questions.len() {
            let Some(door) = scratch.code_at(at).filter(|door| self.may_ask(*door)) else { continue };
            let mut attempt = self.attempt(door);
            if attempt == CodeAttempt::Refused && reserved {
                self.judge_part(scratch, from..at);
                (from, reserved) = (at, false);
                attempt = self.attempt(door);
            }
            reserved |= attempt == CodeAttempt::Reserved;
            scratch.note(at, attempt);
        }
        self.judge_part(scratch, from..scratch.questions.len());
    }

    fn attempt(&self, door: DoorId) -> CodeAttempt {
        if !self.budgets.are_known() {
            return CodeAttempt::Unknown;
        }
        if self.budgets.reserve(door, self.now) { CodeAttempt::Reserved } else { CodeAttempt::Refused }
    }

    /// Whether a door is there for who asks: what they may not ask about has its budget from others.
    fn may_ask(&self, door: DoorId) -> bool {
        let of = self.doors.property_of_door.get(&door);
        of.is_some_and(|property| match self.scope {
            Scope::Portfolio => true,
            Scope::Property(own) => own == *property,
            Scope::Doors(doors) => doors.binary_search(&door).is_ok(),
        })
    }

    fn judge_part(&self, scratch: &mut Scratch, part: Range<usize>) {
        let Scratch { questions, verdicts, codes } = scratch;
        let (Some(questions), Some(verdicts), Some(codes)) =
            (questions.get(part.clone()), verdicts.get_mut(part.clone()), codes.get(part))
        else {
            return;
        };
        let tag = |door, digits: &_| self.tagger.tag(door, digits).0;
        check_batch(self.published, self.scope, self.now, questions, tag, verdicts);
        for ((question, verdict), attempt) in questions.iter().zip(verdicts).zip(codes) {
            let is_there = verdict.outcome != Verdict::DENIED.outcome;
            match attempt {
                CodeAttempt::None => {}
                CodeAttempt::Reserved => self.budgets.settle(question.door, self.now, verdict.wrong_code),
                // A door that isn't there comes first (U1).
                CodeAttempt::Refused if is_there => *verdict = Verdict::denied(Reason::TooManyWrongCodes),
                CodeAttempt::Unknown if is_there => *verdict = Verdict { outcome: Outcome::Retry, ..Verdict::DENIED },
                CodeAttempt::Refused | CodeAttempt::Unknown => {}
            }
        }
    }

    fn detailed(&self, question: &Question, verdict: &Verdict) -> DetailedAnswer {
        let told_of = |key: KeyId| self.viewer.filter(|(portfolio, who)| permission::manages(portfolio, *who, key));
        let (reason, key) = match verdict.outcome {
            // Another Key is not named (M8).
            Outcome::Decided(Decision::Granted { key }) => (None, told_of(key).map_or(KeyId::NONE, |_| key)),
            Outcome::Decided(Decision::Denied { reason }) => (Some(reason), KeyId::NONE),
            Outcome::Retry => (None, KeyId::NONE),
        };
        let tag = |door, digits: &_| self.tagger.tag(door, digits).0;
        let stands_until = match reason {
            Some(Reason::TooManyWrongCodes) => self.budgets.spent(question.door, self.now).unwrap_or(self.now),
            _ => stands_until(self.published, self.scope, self.now, question, tag),
        };
        DetailedAnswer { outcome: told(verdict), reason, key, stands_until }
    }

    /// The record of an attempt (L1). One that was not decided is asked again, and recorded then.
    fn record(&self, question: &Question, verdict: &Verdict) -> Option<Record> {
        let Outcome::Decided(decision) = verdict.outcome else { return None };
        let (outcome, key) = match decision {
            Decision::Granted { key } => (access_log::Outcome::Granted, key),
            Decision::Denied { reason } => (access_log::Outcome::Denied(reason), KeyId::NONE),
        };
        let who = match (verdict.carrier.some(), verdict.person.some(), verdict.host.some()) {
            (Some(carrier), _, _) => Who::Carrier(carrier),
            (None, Some(person), Some(host)) => Who::Guest { person, host },
            (None, Some(person), None) => Who::Person(person),
            (None, None, _) => Who::Nobody,
        };
        let kind = match (verdict.carrier.some(), question.shown.kind) {
            (Some(_), _) => CredentialKind::Carrier,
            (None, ShownKind::Mobile) => CredentialKind::Mobile,
            (None, ShownKind::Card) => CredentialKind::Card,
            (None, ShownKind::Code) => CredentialKind::Code,
        };
        let (time, revision, door, lock) = (self.now, self.published.revision, question.door, self.lock);
        Some(Record { time, revision, door, who, key, lock, kind, outcome })
    }
}

impl Scratch {
    fn begin(&mut self, frame: &Frame<'_>) {
        self.questions.clear();
        self.questions.extend(frame.checks().map(question));
        self.verdicts.clear();
        self.verdicts.resize(self.questions.len(), Verdict::DENIED);
        self.codes.clear();
        self.codes.resize(self.questions.len(), CodeAttempt::None);
    }

    /// The door of a question that shows a code.
    fn code_at(&self, at: usize) -> Option<DoorId> {
        let question = self.questions.get(at)?;
        (question.shown.kind == ShownKind::Code).then_some(question.door)
    }

    fn note(&mut self, at: usize, attempt: CodeAttempt) {
        if let Some(code) = self.codes.get_mut(at) {
            *code = attempt;
        }
        if let (CodeAttempt::Refused | CodeAttempt::Unknown, Some(question)) = (attempt, self.questions.get_mut(at)) {
            // Nobody looks it up (U7): whether the door is there is all that is asked.
            question.shown = Shown::new(ShownKind::Code, &[]);
        }
    }
}

/// A check off the wire. Bytes that are no credential are nobody's.
fn question(raw: RawCheck<'_>) -> Question {
    let nobodys = if raw.shows_code() { ShownKind::Code } else { ShownKind::Mobile };
    let shown = raw.credential().as_ref().map_or_else(|| Shown::new(nobodys, &[]), Shown::from);
    Question { door: raw.door(), shown }
}

/// What whoever asked is told.
fn told(verdict: &Verdict) -> Told {
    match verdict.outcome {
        Outcome::Decided(Decision::Granted { .. }) => Told::Granted,
        Outcome::Decided(Decision::Denied { .. }) => Told::Denied,
        Outcome::Retry => Told::Retry,
    }
}

/// Says when a batch's answers may be written.
pub enum Ticket {
    /// Now, and how.
    Settled(Settled),
    /// When its records are on disk.
    Waits(Pin<Box<dyn Future<Output = Settled> + Send>>),
}

impl Future for Ticket {
    type Output = Settled;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Settled> {
        match &mut *self {
            Ticket::Settled(settled) => Poll::Ready(*settled),
            Ticket::Waits(wait) => wait.as_mut().poll(context),
        }
    }
}
