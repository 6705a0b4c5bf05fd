//! What somebody who holds Keys asks about their own: their Keys and codes, their mobile identity, their guests.

use keyward_protocol::{
    entry::{Command, Period, PersonSpec, Refusal},
    id::*,
    message::{
        manage::{Answer, Done, Part, Request},
        mine::{Mine, MyAccess, MyDoor, MyGuest, MyKey, MyShare},
    },
    time::Moment,
};

use super::manage::{effects_shown, revealed};
use crate::{
    clock::Clock,
    domain::{
        audit::{Attempt, made},
        directory::{Directory, Giving, KeyDoors, Opening, Person, Portfolio, Property, ScheduleRef, Share},
        event::{Actor, Cause},
    },
    engine::{Asker, Engine},
    net::Peer,
};

/// Answers a holder. Blocks.
pub fn answer(engine: &Engine, clock: &Clock, who: (PortfolioId, PersonId), peer: &Peer, request: Request) -> Answer {
    let asker = Asker { actor: Actor::Holder(who.1), met: Vec::new(), from: peer.address };
    let Request::Mine(mine) = request else {
        let refusal = Refusal::NotPermitted("an operator's certificate".to_owned());
        engine.note_refused(who.0, asker, Attempt::look(None, "what managers see"), refusal.clone());
        return Answer::Refused(refusal);
    };
    let run = |command| done(engine, who.0, &asker, command);
    let answered = match mine {
        Mine::Access => access(&engine.directory(), who, clock()).map(Answer::Mine),
        Mine::Code(code) => engine.show(who.0, asker.clone(), code).map(revealed),
        Mine::RenewMobile => run(Command::RenewMobile(who.1)),
        Mine::Share { key, email, name, doors, period } => guest(engine, who.0, &asker, &email, &name)
            .and_then(|guest| run(Command::Share { key, host: who.1, guest, doors, period })),
        Mine::EndShare { key, guest } => run(Command::EndShare { key, host: who.1, guest }),
    };
    answered.unwrap_or_else(Answer::Refused)
}

fn done(engine: &Engine, portfolio: PortfolioId, asker: &Asker, command: Command) -> Result<Answer, Refusal> {
    let before = engine.directory();
    let done = engine.run(portfolio, asker.clone(), command)?;
    let after = engine.directory();
    let names = [before, after].map(|directory| directory.portfolios.get(&portfolio).cloned());
    let names = names.each_ref().map(|portfolio| portfolio.as_deref());
    let effects = effects_shown(&done.effects, done.revision, Part { skip: 0, most: 0 }, &names);
    Ok(Answer::Done(Done { revision: done.revision, made: done.causes.iter().find_map(made), effects }))
}

/// Whom an email is: somebody who is known, or who is entered now. The holder learns nothing of which it was.
fn guest(engine: &Engine, portfolio: PortfolioId, asker: &Asker, email: &str, name: &str) -> Result<PersonId, Refusal> {
    let directory = engine.directory();
    let known = directory.portfolios.get(&portfolio).and_then(|found| found.person_by_email(email));
    if let Some(known) = known {
        return Ok(known.id);
    }
    let name = if name.trim().is_empty() { email } else { name };
    let spec =
        PersonSpec { name: name.to_owned(), email: email.to_owned(), phone: None, note: None, cards: Vec::new() };
    let done = engine.run(portfolio, asker.clone(), Command::MakePerson(spec))?;
    let person = |cause: &Cause| if let Cause::PersonPut(person) = cause { Some(person.id) } else { None };
    Ok(done.causes.iter().find_map(person).unwrap_or(PersonId::NONE))
}

fn access(directory: &Directory, who: (PortfolioId, PersonId), now: Moment) -> Result<MyAccess, Refusal> {
    let gone = || Refusal::NotFound("person".to_owned());
    let portfolio = directory.portfolios.get(&who.0).ok_or_else(gone)?;
    let me: &Person = portfolio.people.get(&who.1).ok_or_else(gone)?;
    let mut keys: Vec<(GivingId, MyKey)> = Vec::new();
    let mut guest_of: Vec<(ShareId, MyShare)> = Vec::new();
    for property in portfolio.properties.values() {
        let held =
            property.givings_of(me.id).filter_map(|giving| Some((giving.id, my_key(portfolio, property, giving)?)));
        keys.extend(held);
        let shared =
            property.shares_to(me.id).filter_map(|share| Some((share.id, my_share(portfolio, property, share)?)));
        guest_of.extend(shared);
    }
    keys.sort_by_key(|(giving, _)| *giving);
    guest_of.sort_by_key(|(share, _)| *share);
    Ok(MyAccess {
        revision: portfolio.revision,
        now,
        me: me.id,
        name: me.name.clone(),
        portfolio: portfolio.name.clone(),
        mobile: me.mobile,
        keys: keys.into_iter().map(|(_, key)| key).collect(),
        guest_of: guest_of.into_iter().map(|(_, share)| share).collect(),
    })
}

fn my_key(portfolio: &Portfolio, property: &Property, giving: &Giving) -> Option<MyKey> {
    let key = property.keys.get(&giving.key)?;
    let guests = property.shares_from(giving.id).map(|share| MyGuest {
        guest: share.guest,
        email: portfolio.people.get(&share.guest).map(|guest| guest.email.clone()).unwrap_or_default(),
        doors: share.doors.clone(),
        period: Period { from: share.from, until: share.until },
        ended: share.ended || giving.ended,
    });
    Some(MyKey {
        key: key.id,
        name: key.name.clone(),
        property: property.facts.name.clone(),
        zone: property.facts.zone.clone(),
        may_share: giving.may_share,
        period: Period { from: giving.from, until: giving.until },
        ended: giving.ended,
        doors: doors(property, giving.person, &property.key_doors(key), None),
        guests: guests.collect(),
    })
}

fn my_share(portfolio: &Portfolio, property: &Property, share: &Share) -> Option<MyShare> {
    let giving = property.givings.get(&share.giving)?;
    let key = property.keys.get(&giving.key)?;
    let (from, until) = property.share_period(share);
    let bound = |moment: Moment| moment.is_civil().then_some(moment);
    Some(MyShare {
        key: key.name.clone(),
        host: portfolio.people.get(&giving.person).map(|host| host.name.clone()).unwrap_or_default(),
        property: property.facts.name.clone(),
        zone: property.facts.zone.clone(),
        period: Period { from: bound(from), until: bound(until) },
        ended: share.ended || giving.ended,
        doors: doors(property, share.guest, &property.key_doors(key), share.doors.as_deref()),
    })
}

/// The doors of a Key, or some of them, with the hours and the code that a person has there.
fn doors(property: &Property, person: PersonId, all: &KeyDoors, some: Option<&[DoorId]>) -> Vec<MyDoor> {
    let chosen = all.iter().filter(|(door, _)| some.is_none_or(|some| some.contains(door)));
    let door = |(id, openings): (&DoorId, &Vec<Opening>)| {
        let found = property.doors.get(id)?;
        let with_code = openings.iter().any(|opening| opening.code);
        Some(MyDoor {
            door: *id,
            name: found.name.clone(),
            hours: openings.iter().map(|opening| hours(property, opening)).collect(),
            code: property.code_of.get(&(person, *id)).copied().filter(|_| with_code),
        })
    };
    chosen.filter_map(door).collect()
}

fn hours(property: &Property, opening: &Opening) -> String {
    match opening.schedule {
        ScheduleRef::Always => "always".to_owned(),
        ScheduleRef::Named(id) => property.schedules.get(&id).map(|found| found.hours.to_string()).unwrap_or_default(),
    }
}
