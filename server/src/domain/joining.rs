//! Who may come to prove to be whom: tokens, and the keys that join with them. Pure, as every decision.

use keyward_protocol::{
    entry::{Party, Refusal, Sha256},
    id::*,
    limits,
    name::{self, NameError},
    time::Moment,
};

use super::{
    directory::{Admissions, Identity, Portfolio, Token},
    event::Cause,
    permission,
};

/// How long an operator's key is good for after it joined, in seconds: 30 days, then they join again.
pub const OPERATOR_SECONDS: i64 = 30 * 86_400;

/// Somebody who wants to join: what they send, checked as far as that can be done without the Directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joiner {
    /// Of the token's secret.
    pub token: Sha256,
    /// What they take themselves for: `lock`, `operator` or `holder`.
    pub role: String,
    /// Of their public key.
    pub key: Sha256,
    /// What their machine calls itself.
    pub label: String,
}

/// Makes a token. Those whose time is over go with it, so that they don't pile up.
pub fn make_token(
    portfolio: &Portfolio,
    party: Party,
    hash: Sha256,
    until: Moment,
    now: Moment,
) -> Result<Vec<Cause>, Refusal> {
    may_join(portfolio, party)?;
    if until <= now || until > now.plus_seconds(limits::TOKEN_SECONDS_MAX) {
        let days = limits::TOKEN_SECONDS_MAX / 86_400;
        return Err(Refusal::Invalid(format!("a token is good until a moment within the next {days} days")));
    }
    let admissions = &portfolio.admissions;
    if admissions.token(&hash).is_some() {
        return Err(Refusal::Invalid("there is a token with this secret: make another secret".to_owned()));
    }
    let over: Vec<TokenId> =
        admissions.tokens.values().filter(|token| token.until <= now).map(|token| token.id).collect();
    if admissions.tokens.len() - over.len() >= limits::TOKENS_MAX {
        let most = limits::TOKENS_MAX;
        return Err(Refusal::Invalid(format!("{most} tokens wait to be used: revoke those that nobody will use")));
    }
    let token = Token { id: TokenId(admissions.next_token), hash, party, until };
    Ok(over.into_iter().map(Cause::TokenGone).chain([Cause::TokenMade(token)]).collect())
}

/// Takes a token back.
pub fn revoke_token(portfolio: &Portfolio, token: TokenId) -> Result<Vec<Cause>, Refusal> {
    portfolio.admissions.tokens.get(&token).ok_or_else(|| Refusal::NotFound("token".to_owned()))?;
    Ok(vec![Cause::TokenGone(token)])
}

/// Disables an identity, or enables it again.
pub fn disable(portfolio: &Portfolio, identity: IdentityId, disabled: bool) -> Result<Vec<Cause>, Refusal> {
    let found = portfolio.admissions.identities.get(&identity);
    let found = found.ok_or_else(|| Refusal::NotFound("identity".to_owned()))?;
    Ok(vec![Cause::IdentityPut(Box::new(Identity { disabled, ..Identity::clone(found) }))])
}

/// Lets a key join by a token, which is used up with it.
pub fn join(portfolio: &Portfolio, joiner: &Joiner, now: Moment) -> Result<(Party, Vec<Cause>), Refusal> {
    let admissions = &portfolio.admissions;
    let token = admissions.token(&joiner.token).ok_or_else(unknown_token)?;
    if token.until <= now {
        return Err(Refusal::Invalid("this token's time is over: ask for a new one".to_owned()));
    }
    if token.party.as_str() != joiner.role {
        let (is, asks) = (token.party.as_str(), &joiner.role);
        return Err(Refusal::Invalid(format!("this token lets join as {is}, not as {asks}: use it there")));
    }
    may_join(portfolio, token.party)?;
    if admissions.by_key(&joiner.key).is_some() {
        return Err(Refusal::Invalid(
            "this key has joined already: renew its certificate, or make a new key".to_owned(),
        ));
    }
    let label = label(&joiner.label)?;
    let mut causes = vec![Cause::TokenGone(token.id)];
    causes.extend(given_up(admissions, token.party, now)?.into_iter().map(Cause::IdentityGone));
    causes.push(Cause::IdentityPut(Box::new(Identity {
        id: IdentityId(admissions.next_identity),
        party: token.party,
        key: joiner.key,
        label,
        joined: now,
        disabled: false,
    })));
    Ok((token.party, causes))
}

/// What whoever shows a token is told that is not there: used, revoked and made up sound the same.
pub fn unknown_token() -> Refusal {
    Refusal::Invalid(
        "this token is not known: it was used or revoked, or is another server's; ask for a new one".to_owned(),
    )
}

/// Whether a party may prove to be who it is at all: there, enabled, not suspended, and for an operator a manager.
pub fn may_join(portfolio: &Portfolio, party: Party) -> Result<(), Refusal> {
    let found = |person| portfolio.people.get(&person).ok_or_else(|| Refusal::NotFound("person".to_owned()));
    match party {
        Party::Lock(lock) => {
            let lock = portfolio.locks.get(&lock).ok_or_else(|| Refusal::NotFound("lock".to_owned()))?;
            let disabled = || Refusal::Invalid(format!("the lock `{}` is disabled: enable it first", lock.name));
            if lock.disabled { Err(disabled()) } else { Ok(()) }
        }
        Party::Operator(person) => {
            let name = &found(person)?.name;
            let no_manager = || Refusal::Invalid(format!("`{name}` manages nothing: give them a level first"));
            permission::is_manager(portfolio, person).then_some(()).ok_or_else(no_manager)
        }
        Party::Holder(person) => {
            let person = found(person)?;
            let suspended = || Refusal::Invalid(format!("`{}` is suspended: resume them first", person.name));
            if person.suspended { Err(suspended()) } else { Ok(()) }
        }
    }
}

/// Identities that a new one of the same party takes the place of: a lock has one; of a person's, those that can't come
/// back.
fn given_up(admissions: &Admissions, party: Party, now: Moment) -> Result<Vec<IdentityId>, Refusal> {
    let over = |identity: &Identity| match party {
        Party::Lock(_) => true,
        Party::Operator(_) => identity.disabled || identity.joined.plus_seconds(OPERATOR_SECONDS) <= now,
        Party::Holder(_) => identity.disabled,
    };
    let gone: Vec<IdentityId> = admissions.of(party).filter(|known| over(known)).map(|known| known.id).collect();
    if admissions.of(party).count() - gone.len() >= limits::IDENTITIES_PER_PERSON_MAX {
        let most = limits::IDENTITIES_PER_PERSON_MAX;
        return Err(Refusal::Invalid(format!("{most} machines of theirs have joined: disable one first")));
    }
    Ok(gone)
}

fn label(text: &str) -> Result<String, Refusal> {
    let short: String = text.chars().take(limits::LABEL_CHARS_MAX).collect();
    match name::clean(&short) {
        Ok(label) => Ok(label),
        Err(NameError::Empty) => Ok("unnamed".to_owned()),
        Err(error) => Err(Refusal::Invalid(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        command::{Command, PersonSpec},
        decide,
        directory::LockScope,
        edit::{self, Touched},
        site::Site,
    };

    const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);
    const ANA: PersonId = PersonId(1);
    const TRACY: PersonId = PersonId(2);

    fn portfolio() -> Portfolio {
        Site::parse("site.toml", crate::testing::SITE).unwrap().portfolio(PortfolioId(1))
    }

    fn put(portfolio: &mut Portfolio, causes: &[Cause]) {
        let mut touched = Touched::default();
        causes.iter().for_each(|cause| edit::put(portfolio, cause, &mut touched));
    }

    fn act(portfolio: &mut Portfolio, command: &Command) -> Result<(), Refusal> {
        let decided = decide::decide(portfolio, command, NOW, [7, 8, 9, 10], None)?;
        put(portfolio, &decided.causes);
        Ok(())
    }

    fn token(party: Party, secret: u8) -> Command {
        Command::MakeToken { party, hash: [secret; 32], until: NOW.plus_seconds(3_600) }
    }

    fn joiner(secret: u8, role: &str, key: u8) -> Joiner {
        Joiner { token: [secret; 32], role: role.to_owned(), key: [key; 32], label: "laptop".to_owned() }
    }

    fn joined(portfolio: &mut Portfolio, joiner: &Joiner, now: Moment) -> Result<Party, Refusal> {
        let (party, causes) = join(portfolio, joiner, now)?;
        put(portfolio, &causes);
        Ok(party)
    }

    #[test]
    fn a_token_lets_one_key_join_once_in_its_role_and_time() {
        let mut portfolio = portfolio();
        act(&mut portfolio, &token(Party::Operator(ANA), 1)).unwrap();
        let refused =
            |portfolio: &Portfolio, joiner: &Joiner, now| join(portfolio, joiner, now).unwrap_err().to_string();
        assert!(refused(&portfolio, &joiner(1, "lock", 9), NOW).contains("lets join as operator, not as lock"));
        assert!(refused(&portfolio, &joiner(2, "operator", 9), NOW).contains("used or revoked"));
        assert!(refused(&portfolio, &joiner(1, "operator", 9), NOW.plus_seconds(3_600)).contains("time is over"));
        assert_eq!(joined(&mut portfolio, &joiner(1, "operator", 9), NOW), Ok(Party::Operator(ANA)));
        assert!(refused(&portfolio, &joiner(1, "operator", 8), NOW).contains("used or revoked"));
        act(&mut portfolio, &token(Party::Operator(ANA), 3)).unwrap();
        assert!(refused(&portfolio, &joiner(3, "operator", 9), NOW).contains("joined already"));
        assert!(portfolio.admissions.by_key(&[9; 32]).is_some_and(|known| known.party == Party::Operator(ANA)));
    }

    #[test]
    fn tokens_are_for_who_is_there_and_for_a_while() {
        let mut portfolio = portfolio();
        let mut ask = |command: &Command| act(&mut portfolio, command).map_err(|refusal| refusal.to_string());
        assert!(ask(&token(Party::Operator(TRACY), 1)).unwrap_err().contains("manages nothing"));
        assert!(ask(&token(Party::Operator(PersonId(99)), 1)).unwrap_err().contains("no such person"));
        assert!(ask(&token(Party::Lock(LockId(1)), 1)).unwrap_err().contains("no such lock"));
        let until = |until| Command::MakeToken { party: Party::Operator(ANA), hash: [1; 32], until };
        for bad in [NOW, NOW.plus_seconds(-1), NOW.plus_seconds(limits::TOKEN_SECONDS_MAX + 1)] {
            assert!(ask(&until(bad)).unwrap_err().contains("within the next 7 days"));
        }
        assert_eq!(ask(&until(NOW.plus_seconds(1))), Ok(()));
        assert!(ask(&until(NOW.plus_seconds(1))).unwrap_err().contains("with this secret"));
        assert_eq!(ask(&Command::Suspend(TRACY, true)), Ok(()));
        assert!(ask(&token(Party::Holder(TRACY), 2)).unwrap_err().contains("suspended"));
    }

    #[test]
    fn a_lock_has_one_key_and_the_next_one_takes_its_place() {
        let mut portfolio = portfolio();
        let scope = LockScope::Property(PropertyId(1));
        act(&mut portfolio, &Command::MakeLock { name: "Gateway".to_owned(), scope }).unwrap();
        for (secret, key) in [(1, 11), (2, 12)] {
            act(&mut portfolio, &token(Party::Lock(LockId(1)), secret)).unwrap();
            joined(&mut portfolio, &joiner(secret, "lock", key), NOW).unwrap();
        }
        let keys: Vec<Sha256> = portfolio.admissions.of(Party::Lock(LockId(1))).map(|known| known.key).collect();
        assert_eq!(keys, [[12; 32]]);
        assert!(portfolio.admissions.by_key(&[11; 32]).is_none());
        act(&mut portfolio, &token(Party::Lock(LockId(1)), 3)).unwrap();
        act(&mut portfolio, &Command::DisableLock(LockId(1), true)).unwrap();
        assert!(join(&portfolio, &joiner(3, "lock", 13), NOW).unwrap_err().to_string().contains("disabled"));
    }

    #[test]
    fn a_person_has_some_keys_and_those_that_cannot_come_back_make_room() {
        let mut portfolio = portfolio();
        let most = limits::IDENTITIES_PER_PERSON_MAX as u8;
        for key in 1..=most {
            act(&mut portfolio, &token(Party::Operator(ANA), key)).unwrap();
            joined(&mut portfolio, &joiner(key, "operator", key), NOW).unwrap();
        }
        act(&mut portfolio, &token(Party::Operator(ANA), 99)).unwrap();
        assert!(join(&portfolio, &joiner(99, "operator", 99), NOW).unwrap_err().to_string().contains("disable one"));
        let first = portfolio.admissions.by_key(&[1; 32]).unwrap().id;
        act(&mut portfolio, &Command::DisableIdentity(first, true)).unwrap();
        assert!(!portfolio.admissions.proves(first, Party::Operator(ANA)));
        joined(&mut portfolio, &joiner(99, "operator", 99), NOW).unwrap();
        assert!(portfolio.admissions.by_key(&[1; 32]).is_none(), "what can't come back made room");
    }

    #[test]
    fn who_is_deleted_proves_nothing_any_more_and_an_old_token_goes_with_the_next() {
        let mut portfolio = portfolio();
        act(&mut portfolio, &token(Party::Holder(TRACY), 1)).unwrap();
        joined(&mut portfolio, &joiner(1, "holder", 5), NOW).unwrap();
        act(&mut portfolio, &token(Party::Holder(TRACY), 2)).unwrap();
        act(&mut portfolio, &Command::DeletePerson(TRACY)).unwrap();
        assert!(portfolio.admissions.tokens.is_empty() && portfolio.admissions.identities.is_empty());
        assert!(portfolio.admissions.by_key(&[5; 32]).is_none());
        act(&mut portfolio, &token(Party::Operator(ANA), 3)).unwrap();
        let later = NOW.plus_seconds(7_200);
        let causes = make_token(&portfolio, Party::Operator(ANA), [4; 32], later.plus_seconds(60), later).unwrap();
        put(&mut portfolio, &causes);
        let left: Vec<Sha256> = portfolio.admissions.tokens.values().map(|token| token.hash).collect();
        assert_eq!(left, [[4; 32]]);
    }

    #[test]
    fn a_renewed_mobile_identity_takes_the_place_of_the_one_before() {
        let mut portfolio = portfolio();
        let before = portfolio.people.get(&TRACY).unwrap().mobile;
        act(&mut portfolio, &Command::RenewMobile(TRACY)).unwrap();
        let after = portfolio.people.get(&TRACY).unwrap().mobile;
        assert_ne!(before, after);
        assert_eq!((portfolio.mobiles.get(&before), portfolio.mobiles.get(&after)), (None, Some(&TRACY)));
        let spec = PersonSpec {
            name: "Tracy".to_owned(),
            email: "tracy@mail.example".to_owned(),
            phone: None,
            note: None,
            cards: Vec::new(),
        };
        act(&mut portfolio, &Command::EditPerson(TRACY, spec)).unwrap();
        assert_eq!(portfolio.people.get(&TRACY).unwrap().mobile, after, "an edit keeps it");
    }
}
