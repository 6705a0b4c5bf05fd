//! Why someone can or can't open a door at a moment (U5), and who can, and what they can (U6). It asks the
//! [judge](policy), so it agrees with every check.

use keyward_protocol::{
    decision::{Decision, Reason},
    entry::Opening,
    id::*,
    time::Moment,
};

use super::{
    directory::*,
    policy::{self, Shown},
};

/// Everything that decides one person's check at one door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What the check is answered.
    pub decision: Decision,
    /// The host, where a share grants.
    pub host: Option<PersonId>,
    /// The lockdowns that close the door (U8).
    pub lockdowns: Vec<LockdownId>,
    /// Each Key held in the property, in the order of U2.
    pub held: Vec<Standing>,
    /// When the answer would be the other, if nothing is changed and it is within [`policy::HORIZON_DAYS`].
    pub flips_at: Option<Moment>,
}

/// A Key held, and what it does at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub key: KeyId,
    /// The host, where it is shared with them.
    pub host: Option<PersonId>,
    /// When the Key opens the door, any of them; none where it does not have it, or not with a code.
    pub openings: Vec<Opening>,
    /// From this moment on ...
    pub from: Moment,
    /// ... until this one (K7, G1).
    pub until: Moment,
    /// Not closed by the lockdowns, if there are any.
    pub excepted: bool,
    /// Nothing for "by itself it opens the door", or why it doesn't. A share of a suspended host's says so (K11).
    pub refuses: Option<Reason>,
}

/// Explains a check by a person's mobile identity or card, or by their live code.
pub fn explain(
    portfolio: &Portfolio,
    property: &Property,
    door: &Door,
    person: PersonId,
    by_code: bool,
    at: Moment,
) -> Explained {
    let shown = shown(property, door, person, by_code);
    let judgement = policy::judge(portfolio, property, door.id, shown, at);
    let excepted = policy::excepted_keys(property, door.id);
    let standing = |held: policy::Held| {
        let policy::Held { key, host, period, ended, has_door } = held;
        let mut openings = property.keys.get(&key).map(|key| property.openings_of(key, door)).unwrap_or_default();
        openings.retain(|opening| has_door && (opening.code || !by_code));
        let refuses = match policy::refusal(property, key, door, by_code, period, ended, at) {
            Some(refuses) if has_door => refuses,
            _ => Some(Reason::NoKey),
        };
        let absent = host.is_some_and(|host| portfolio.is_suspended(host));
        Standing {
            key,
            host,
            openings,
            from: period.0,
            until: period.1,
            excepted: excepted.as_ref().is_none_or(|excepted| excepted.contains(&key)),
            refuses: if absent { Some(Reason::PersonSuspended) } else { refuses },
        }
    };
    Explained {
        decision: judgement.decision,
        host: judgement.host,
        lockdowns: property.lockdowns.values().filter(|l| l.covers(door.id)).map(|lockdown| lockdown.id).collect(),
        held: policy::held(property, person, door.id).map(standing).collect(),
        flips_at: policy::next_flip(portfolio, property, door.id, shown, at),
    }
}

/// Keys that would open the door at this moment to whoever held them without a period, in the order of their ids.
pub fn keys_that_open(property: &Property, door: &Door, by_code: bool, at: Moment) -> Vec<KeyId> {
    let excepted = policy::excepted_keys(property, door.id);
    let opens = |key: &KeyId| {
        let refusal = policy::refusal(property, *key, door, by_code, (Moment::MIN, Moment::MAX), false, at);
        refusal == Some(None) && excepted.as_ref().is_none_or(|excepted| excepted.contains(key))
    };
    property.keys.keys().copied().filter(opens).collect()
}

/// How someone can open a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opens {
    /// The Key that is named (U2).
    pub key: KeyId,
    /// The host, where a share opens it.
    pub host: Option<PersonId>,
    /// By their door code too.
    pub by_code: bool,
}

/// How this person can open this door at a moment; `None` where they can't. What a code opens, their mobile identity
/// opens too.
pub fn opens(portfolio: &Portfolio, property: &Property, door: &Door, person: PersonId, at: Moment) -> Option<Opens> {
    let judgement = policy::judge(portfolio, property, door.id, Shown::Person(person), at);
    let Decision::Granted { key } = judgement.decision else { return None };
    let by_code = || policy::judge(portfolio, property, door.id, Shown::LiveCode(person), at).is_granted();
    let has_code = property.code_of.contains_key(&(person, door.id));
    Some(Opens { key, host: judgement.host, by_code: has_code && by_code() })
}

/// What stands at the door: a code only where one is live there.
fn shown(property: &Property, door: &Door, person: PersonId, by_code: bool) -> Shown {
    match by_code {
        false => Shown::Person(person),
        true if property.code_of.contains_key(&(person, door.id)) => Shown::LiveCode(person),
        true => Shown::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use keyward_protocol::entry::{Command, Period};

    use super::*;
    use crate::domain::{
        decide,
        edit::{self, Touched},
        site::Site,
    };

    const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);
    const ANA: PersonId = PersonId(1);
    const TRACY: PersonId = PersonId(2);
    const SAM: PersonId = PersonId(3);
    const A: KeyId = KeyId(1);
    const B: KeyId = KeyId(2);

    // U5 U6 U8 K7
    #[test]
    fn what_is_held_is_told_with_its_bounds_and_whether_a_lockdown_leaves_it_open() {
        let mut portfolio = Site::parse("site.toml", crate::testing::SITE).unwrap().portfolio(PortfolioId(1));
        let end = NOW.plus_seconds(3_600);
        let period = Period { from: Some(NOW), until: Some(end) };
        let main = PropertyId(1);
        for command in [
            Command::Give { key: B, person: ANA, may_share: None, period },
            Command::LockDown { property: main, doors: Some(vec![DoorId(1)]), except_keys: vec![B] },
        ] {
            let decided = decide::decide(&portfolio, &command, NOW, [7, 8, 9, 10], None).unwrap();
            let mut touched = Touched::default();
            decided.causes.iter().for_each(|cause| edit::put(&mut portfolio, cause, &mut touched));
        }
        let property = &portfolio.properties[&main];
        let lockdown = *property.lockdowns.keys().next().unwrap();
        let told = |person, door: u32, at| {
            let told = explain(&portfolio, property, &property.doors[&DoorId(door)], person, false, at);
            assert_eq!(told.held.len(), 1);
            let Standing { key, host, from, until, excepted, refuses, .. } = told.held[0].clone();
            (told.decision, told.lockdowns, (key, host), (from, until), (excepted, refuses), told.flips_at)
        };
        let (granted, locked) = (|key| Decision::Granted { key }, Decision::Denied { reason: Reason::Lockdown });
        let (closed, always) = (vec![lockdown], (Moment::MIN, Moment::MAX));
        let own = (B, None);
        assert_eq!(told(ANA, 1, NOW), (granted(B), closed.clone(), own, (NOW, end), (true, None), Some(end)));
        let last = end.plus_micros(-1);
        assert_eq!(told(ANA, 1, last), (granted(B), closed.clone(), own, (NOW, end), (true, None), Some(end)));
        let over = (true, Some(Reason::Expired));
        assert_eq!(told(ANA, 1, end), (locked, closed.clone(), own, (NOW, end), over, None));
        assert_eq!(told(TRACY, 1, NOW), (locked, closed.clone(), (A, None), always, (false, None), None));
        assert_eq!(told(SAM, 1, NOW), (locked, closed, (A, Some(TRACY)), always, (false, None), None));
        assert_eq!(told(TRACY, 2, NOW), (granted(A), vec![], (A, None), always, (true, None), None));
        let open = |door| keys_that_open(property, &property.doors[&DoorId(door)], false, NOW);
        assert_eq!((open(1), open(2)), (vec![B], vec![A, B]));
    }
}
