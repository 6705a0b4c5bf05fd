//! Who may do what, and who may see what (M1-M8). Pure: a person, a portfolio, a command.
//!
//! [`authorize`] is asked by the engine for each command, against the data that the command is decided on, and by
//! previews. It finds everything that a command names through [`Sight`], and so does whatever answers lists, searches,
//! explanations and live views: there is one place that says what is there for a manager. What is not is refused as
//! something that never was (M8).

use std::collections::BTreeSet;

use keyward_protocol::id::*;

use super::{
    command::Command,
    decide::{self, Refusal},
    directory::*,
    effects,
};

/// The level of a manager in a property (M1): the one that was set, or Full for a Portfolio Manager (M2).
pub fn level(portfolio: &Portfolio, property: &Property, person: PersonId) -> Option<Level> {
    let by_default = || portfolio.managers.contains(&person).then_some(Level::Full);
    property.levels.get(&person).cloned().or_else(by_default)
}

/// Whether someone may be here at all: a Portfolio Manager, or a manager of some property, and not suspended.
pub fn is_manager(portfolio: &Portfolio, person: PersonId) -> bool {
    let manages = |property: &Property| property.levels.contains_key(&person);
    let known = portfolio.people.get(&person).is_some_and(|person| !person.suspended);
    known && (portfolio.managers.contains(&person) || portfolio.properties.values().any(|property| manages(property)))
}

/// Whether somebody manages this Key (M2-M4), the Deliveries Key as far as they see it. Allocates nothing.
pub fn manages(portfolio: &Portfolio, person: PersonId, key: KeyId) -> bool {
    let Some(property) = portfolio.property_with_key(key) else { return false };
    match property.levels.get(&person) {
        Some(Level::Full | Level::Limited) => true,
        Some(Level::Specific(keys)) => keys.contains(&key),
        None => portfolio.managers.contains(&person),
    }
}

/// The Keys of a property that a manager gives and revokes, and whose doors' log they see (L2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Managed {
    /// None: without a level.
    Nothing,
    /// These: Specific (M4).
    Some(BTreeSet<KeyId>),
    /// All, later ones too: Limited and Full (M2, M3).
    All,
}

impl Managed {
    /// What a manager has in a property.
    pub fn of(portfolio: &Portfolio, property: &Property, person: PersonId) -> Managed {
        match level(portfolio, property, person) {
            None => Managed::Nothing,
            Some(Level::Specific(keys)) => Managed::Some(keys.into_iter().collect()),
            Some(Level::Limited | Level::Full) => Managed::All,
        }
    }

    /// Whether this Key is among them. The Deliveries Key is nobody's to manage (V2, L4).
    pub fn has(&self, key: KeyId) -> bool {
        match self {
            Managed::Nothing => false,
            Managed::Some(keys) => keys.contains(&key),
            Managed::All => true,
        }
    }

    /// Who holds, or is a guest of, one of these Keys in a property as it is, or was.
    pub fn people(&self, property: &Property) -> BTreeSet<PersonId> {
        let givings = || property.givings.values().filter(|giving| self.has(giving.key));
        let guests = givings().flat_map(|giving| property.shares_from(giving.id)).map(|share| share.guest);
        givings().map(|giving| giving.person).chain(guests).collect()
    }

    /// Whether the Deliveries Key is shown (V2).
    pub fn sees_deliveries(&self) -> bool {
        *self == Managed::All
    }
}

/// Whether a manager may ask for this. Whether it can be done is [`decide`]'s to say.
pub fn authorize(sight: &Sight<'_>, command: &Command) -> Result<(), Refusal> {
    use Command as C;
    match command {
        C::MakeProperty(_) | C::SetPortfolioManager(..) | C::MakeLock { .. } | C::DisableLock(..) => {
            sight.portfolio_manager()
        }
        C::DeletePerson(_) | C::Suspend(_, false) => sight.portfolio_manager(),
        C::Suspend(other, true) => sight.portfolio_manager().and_then(|()| sight.leaves_a_manager(*other)),
        C::EditProperty(property, _)
        | C::RemoveProperty(property)
        | C::SetDeliveries(property, _)
        | C::MakeDoor(property, _) => sight.property(*property).and_then(|_| sight.portfolio_manager()),
        C::RemoveDoor(door) => {
            let (property, _) = sight.door(*door)?;
            sight.portfolio_manager()?;
            // Refused here, where a Key may have to go without its name (M8).
            let hidden = |key: &Key| !sight.managed(property).has(key.id);
            match decide::keys_of_this_door_alone(property, *door).any(hidden) {
                true => {
                    Err(Refusal::Invalid("it is the last door of another Key: have that one deleted first".to_owned()))
                }
                false => Ok(()),
            }
        }
        C::SetLevel(property, manager, level) => {
            let found = sight.property(*property)?;
            sight.portfolio_manager()?;
            if *manager == sight.person { sight.raises_nothing(found, level.as_ref()) } else { Ok(()) }
        }
        C::SetHolidays(property, _)
        | C::MakeSchedule(property, ..)
        | C::EditSchedule(property, ..)
        | C::DeleteSchedule(property, _)
        | C::MakeKey(property, _)
        | C::LockDown { property, .. }
        | C::LiftLockdown(property, _) => sight.property(*property).and_then(|found| sight.full(found)),
        C::EditDoor(door, _) => sight.door(*door).and_then(|(property, _)| sight.full(property)),
        C::EditKey(key, _) | C::DeleteKey(key) => sight.key(*key).and_then(|property| sight.full(property)),
        C::Give { key, person, .. } => sight.key(*key).and_then(|_| sight.person(*person)).map(|_| ()),
        C::Revoke { key, person } => sight.key(*key).and_then(|_| sight.person(*person)).map(|_| ()),
        C::Share { key, host, guest, .. } | C::EndShare { key, host, guest } => {
            sight.key(*key)?;
            sight.person(*host).and_then(|_| sight.person(*guest)).map(|_| ())
        }
        C::Move { from, to, person, .. } => {
            sight.key(*from).and_then(|_| sight.key(*to))?;
            sight.person(*person).map(|_| ())
        }
        C::MakePerson(spec) if spec.cards.is_empty() => Ok(()),
        C::MakePerson(_) => sight.portfolio_manager(),
        C::EditPerson(other, spec) => sight.edits_person(*other, &spec.cards),
        C::MakeToken { party, .. } => sight.admits(*party),
        C::RevokeToken(token) => {
            let found = sight.portfolio.admissions.tokens.get(token).ok_or_else(|| not_found("token"))?;
            sight.admits_or_hides(found.party, "token")
        }
        C::DisableIdentity(identity, disabled) => {
            let found = sight.portfolio.admissions.identities.get(identity).ok_or_else(|| not_found("identity"))?;
            // A machine that was lost is disabled by whose it was; who takes it again is somebody else's to say.
            let own = found.party.person() == Some(sight.person) && *disabled;
            if own { Ok(()) } else { sight.admits_or_hides(found.party, "identity") }
        }
        C::RenewMobile(other) => sight.person(*other).and_then(|_| sight.portfolio_manager()),
    }
}

/// Whether somebody may do this as the holder of their own Keys: share them (G1), and have another mobile identity.
pub fn authorize_holder(portfolio: &Portfolio, person: PersonId, command: &Command) -> Result<(), Refusal> {
    use Command as C;
    let known = portfolio.people.get(&person).is_some_and(|person| !person.suspended);
    known.then_some(()).ok_or_else(|| missing("being a person who is not suspended"))?;
    match command {
        C::Share { host, .. } | C::EndShare { host, .. } if *host == person => Ok(()),
        C::RenewMobile(own) if *own == person => Ok(()),
        // A guest whom nobody knows yet.
        C::MakePerson(spec) if spec.cards.is_empty() && spec.phone.is_none() && spec.note.is_none() => {
            let shares =
                |property: &Property| property.givings_of(person).any(|giving| giving.may_share && !giving.ended);
            let may = portfolio.properties.values().any(|property| shares(property));
            may.then_some(()).ok_or_else(|| missing("a Key that you may share"))
        }
        _ => Err(missing("an operator's certificate")),
    }
}

/// Whether a door code may be shown (C8): to the person themself, and to who gives a Key that covers the door for them.
/// Where it isn't there for a manager, neither is the code (M8).
pub fn shows_code(sight: &Sight<'_>, property: &Property, code: &Code) -> Result<(), Refusal> {
    let may = code.person == sight.person || sight.codes(property).contains(&(code.person, code.door));
    may.then_some(()).ok_or_else(|| not_found("door code"))
}

/// What is there for one manager of a portfolio.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    portfolio: &'a Portfolio,
    person: PersonId,
    met: &'a [PersonId],
}

impl<'a> Sight<'a> {
    /// What this person sees; refused for somebody who is no manager.
    pub fn of(portfolio: &'a Portfolio, person: PersonId) -> Result<Sight<'a>, Refusal> {
        let manages = is_manager(portfolio, person);
        manages.then_some(Sight { portfolio, person, met: &[] }).ok_or_else(|| missing("being a manager"))
    }

    /// With people who hold nothing that the manager sees, whom they found by their exact email, made, or took a Key
    /// from: to give to them.
    pub fn having_met(self, met: &'a [PersonId]) -> Sight<'a> {
        Sight { met, ..self }
    }

    /// The portfolio.
    pub fn portfolio(&self) -> &'a Portfolio {
        self.portfolio
    }

    /// Who looks.
    pub fn me(&self) -> PersonId {
        self.person
    }

    /// The level in a property (M1).
    pub fn level(&self, property: &Property) -> Option<Level> {
        level(self.portfolio, property, self.person)
    }

    /// The Keys of a property that they give and revoke.
    pub fn managed(&self, property: &Property) -> Managed {
        Managed::of(self.portfolio, property, self.person)
    }

    /// Whether they are a Portfolio Manager (M6).
    pub fn is_portfolio_manager(&self) -> bool {
        self.portfolio.managers.contains(&self.person)
    }

    /// Refused for everybody but Portfolio Managers.
    pub fn portfolio_manager(&self) -> Result<(), Refusal> {
        self.is_portfolio_manager().then_some(()).ok_or_else(|| missing("being a Portfolio Manager"))
    }

    /// A property is seen by those who have a level in it, and so by Portfolio Managers always.
    pub fn property(&self, id: PropertyId) -> Result<&'a Property, Refusal> {
        let found = self.portfolio.properties.get(&id).map(AsRef::as_ref);
        found.filter(|property| self.level(property).is_some()).ok_or_else(|| not_found("property"))
    }

    /// The properties that are seen.
    pub fn properties(&self) -> impl Iterator<Item = &'a Property> + use<'a> {
        let sight = *self;
        let properties = self.portfolio.properties.values().map(AsRef::as_ref);
        properties.filter(move |property: &&Property| sight.level(property).is_some())
    }

    /// Refused to those without Full in a property that they see.
    pub fn full(&self, property: &Property) -> Result<(), Refusal> {
        match self.level(property) {
            Some(Level::Full) => Ok(()),
            _ => Err(missing("Full key management in this property")),
        }
    }

    /// The doors of a property that are there: all (`None`) for Portfolio, Full and Limited managers, else those in
    /// Keys that they manage.
    pub fn doors(&self, property: &Property) -> Option<BTreeSet<DoorId>> {
        match self.managed(property) {
            _ if self.is_portfolio_manager() => None,
            Managed::All => None,
            Managed::Nothing | Managed::Some(_) => Some(self.doors_in_sight(property)),
        }
    }

    /// A door that is there.
    pub fn door(&self, id: DoorId) -> Result<(&'a Property, &'a Door), Refusal> {
        let property = self.portfolio.property_with_door(id).ok_or_else(|| not_found("door"))?;
        let seen = self.level(property).is_some() && self.doors(property).is_none_or(|doors| doors.contains(&id));
        let found = property.doors.get(&id).filter(|_| seen).ok_or_else(|| not_found("door"))?;
        Ok((property, found))
    }

    /// The doors of a property that the log, and what explains a check, is shown of (L2): those in a Key that they
    /// manage, at every level.
    pub fn doors_in_sight(&self, property: &Property) -> BTreeSet<DoorId> {
        effects::doors_in_sight(self.portfolio, property, self.person)
    }

    /// A door whose checks may be looked into (L2).
    pub fn door_in_sight(&self, id: DoorId) -> Result<(&'a Property, &'a Door), Refusal> {
        let (property, door) = self.door(id)?;
        let seen = self.doors_in_sight(property).contains(&id);
        seen.then_some((property, door)).ok_or_else(|| missing("a Key with this door, among those that you manage,"))
    }

    /// The property of a Key that they give and revoke. The Deliveries Key is shown to those who manage all: what to do
    /// with it is refused later, in its own words (V2).
    pub fn key(&self, id: KeyId) -> Result<&'a Property, Refusal> {
        let property = self.portfolio.property_with_key(id).map(AsRef::as_ref);
        property.filter(|property| self.managed(property).has(id)).ok_or_else(|| not_found("Key"))
    }

    /// Who holds, or is a guest of, a Key of the property that they manage.
    pub fn people_of(&self, property: &Property) -> BTreeSet<PersonId> {
        self.managed(property).people(property)
    }

    /// Everybody who is there: all for Portfolio Managers, else themselves and who has to do with a Key that they
    /// manage.
    pub fn people(&self) -> BTreeSet<PersonId> {
        if self.is_portfolio_manager() {
            return self.portfolio.people.keys().copied().collect();
        }
        let others = self.portfolio.properties.values().flat_map(|property| self.people_of(property));
        others.chain([self.person]).collect()
    }

    /// Somebody who is there, or whom they have met.
    pub fn person(&self, id: PersonId) -> Result<&'a Person, Refusal> {
        let seen = || self.is_portfolio_manager() || id == self.person || self.met.contains(&id) || self.deals_with(id);
        self.portfolio.people.get(&id).map(AsRef::as_ref).filter(|_| seen()).ok_or_else(|| not_found("person"))
    }

    /// Whether somebody holds, or is a guest of, a Key that they manage.
    fn deals_with(&self, other: PersonId) -> bool {
        self.portfolio.properties.values().any(|property| {
            let managed = self.managed(property);
            let shared = |share: &Share| property.givings.get(&share.giving).is_some_and(|from| managed.has(from.key));
            property.givings_of(other).any(|giving| managed.has(giving.key))
                || property.shares_to(other).any(|share| shared(share))
        })
    }

    /// Whose code at which doors of a property may be shown to them (C8): a Key that they give covers the door for that
    /// person.
    pub fn codes(&self, property: &Property) -> BTreeSet<(PersonId, DoorId)> {
        let managed = self.managed(property);
        let mut covered = BTreeSet::new();
        for key in property.keys.values().filter(|key| managed.has(key.id)) {
            let doors = property.key_doors(key);
            let doors = || doors.iter().filter(|(_, openings)| openings.iter().any(|opening| opening.code));
            for giving in property.holders_of(key.id).filter(|giving| !giving.ended) {
                covered.extend(doors().map(|(door, _)| (giving.person, *door)));
                for share in property.shares_from(giving.id).filter(|share| !share.ended) {
                    let shared = |door: &DoorId| share.doors.as_ref().is_none_or(|some| some.contains(door));
                    covered.extend(doors().map(|(door, _)| (share.guest, *door)).filter(|(_, door)| shared(door)));
                }
            }
        }
        covered.retain(|at| property.code_of.contains_key(at));
        covered
    }

    /// Whom they let join, and refuse: Portfolio Managers everybody. Others let those be holders whose every Key and share
    /// they manage, since whoever has the token sees all of that person's door codes (C8).
    pub fn admits(&self, party: Party) -> Result<(), Refusal> {
        let Party::Holder(person) = party else { return self.portfolio_manager() };
        self.person(person)?;
        let manages_all = |property: &Property| {
            let managed = self.managed(property);
            let from = |share: &Share| property.givings.get(&share.giving).is_none_or(|giving| managed.has(giving.key));
            property.givings_of(person).all(|giving| managed.has(giving.key))
                && property.shares_to(person).all(|share| from(share))
        };
        let all =
            self.is_portfolio_manager() || self.portfolio.properties.values().all(|property| manages_all(property));
        all.then_some(()).ok_or_else(|| missing("managing every Key that they hold or are a guest of"))
    }

    /// The same for something that may not be there for them (M8).
    fn admits_or_hides(&self, party: Party, what: &str) -> Result<(), Refusal> {
        self.admits(party).map_err(|_| not_found(what))
    }

    /// Someone must be left over the network who can undo it (M6).
    fn leaves_a_manager(&self, without: PersonId) -> Result<(), Refusal> {
        let works = |other: &PersonId| *other != without && !self.portfolio.is_suspended(*other);
        if self.portfolio.managers.contains(&without) && !self.portfolio.managers.iter().any(works) {
            let why = "a portfolio keeps at least one Portfolio Manager who is not suspended: make another one first";
            return Err(Refusal::Invalid(why.to_owned()));
        }
        Ok(())
    }

    /// M6: nobody raises their own level.
    fn raises_nothing(&self, property: &Property, to: Option<&Level>) -> Result<(), Refusal> {
        let by_default = self.is_portfolio_manager().then_some(Level::Full);
        let (before, after) = (self.level(property), to.cloned().or(by_default));
        let raises = match (&before, &after) {
            (_, None) | (Some(Level::Full), _) => false,
            (None, Some(_)) => true,
            (Some(Level::Limited), Some(after)) => *after == Level::Full,
            (Some(Level::Specific(had)), Some(Level::Specific(gets))) => gets.iter().any(|key| !had.contains(key)),
            (Some(Level::Specific(_)), Some(_)) => true,
        };
        if raises { Err(missing("another Portfolio Manager (nobody raises their own level)")) } else { Ok(()) }
    }

    /// Contact data of those who hold a Key that one manages at Full or Limited; cards are for Portfolio Managers.
    fn edits_person(&self, other: PersonId, cards: &[keyward_protocol::code::Card]) -> Result<(), Refusal> {
        let found = self.person(other)?;
        if self.is_portfolio_manager() {
            return Ok(());
        }
        let edits = |property: &Property| {
            let level = self.level(property);
            matches!(level, Some(Level::Full | Level::Limited)) && property.givings_of(other).next().is_some()
        };
        if !self.portfolio.properties.values().any(|property| edits(property)) {
            return Err(missing("Limited or Full key management where they hold a Key"));
        }
        let same: BTreeSet<_> = cards.iter().collect();
        if same != found.cards.iter().collect() {
            return Err(missing("being a Portfolio Manager (who alone changes cards)"));
        }
        Ok(())
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::NotPermitted(what.to_owned())
}

fn not_found(what: &str) -> Refusal {
    Refusal::NotFound(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        command::{KeySpec, Period, PersonSpec},
        site::Site,
    };

    const ANA: PersonId = PersonId(1);
    const TRACY: PersonId = PersonId(2);
    const SAM: PersonId = PersonId(3);
    const MAIN: PropertyId = PropertyId(1);
    const A: KeyId = KeyId(1);
    const B: KeyId = KeyId(2);

    /// The small site, with these levels in its property.
    fn portfolio(levels: &[(PersonId, Level)]) -> Portfolio {
        let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
        let mut portfolio = site.portfolio(PortfolioId(1));
        let property = Arc::make_mut(portfolio.properties.get_mut(&MAIN).unwrap());
        property.levels = levels.iter().cloned().collect();
        portfolio
    }

    fn ask(portfolio: &Portfolio, person: PersonId, command: &Command) -> Result<(), Refusal> {
        Sight::of(portfolio, person).and_then(|sight| authorize(&sight, command))
    }

    fn give(key: KeyId) -> Command {
        Command::Give { key, person: SAM, may_share: None, period: Period::default() }
    }

    fn edit_key() -> Command {
        let spec = KeySpec { name: "X".to_owned(), may_share: false, doors: Vec::new(), rules: Vec::new() };
        Command::EditKey(A, spec)
    }

    fn contact(cards: Vec<keyward_protocol::code::Card>) -> Command {
        let (name, email) = ("Tracy".to_owned(), "tracy@mail.example".to_owned());
        Command::EditPerson(TRACY, PersonSpec { name, email, phone: None, note: None, cards })
    }

    // M2 M3 M4 M8
    #[test]
    fn each_level_does_what_the_table_says_and_no_more() {
        let portfolio = portfolio(&[(SAM, Level::Limited), (TRACY, Level::Specific(vec![A]))]);
        let asks = |person, command: &Command| ask(&portfolio, person, command);
        assert_eq!(asks(ANA, &edit_key()), Ok(()));
        assert_eq!(asks(SAM, &give(A)), Ok(()));
        assert!(matches!(asks(SAM, &edit_key()), Err(Refusal::NotPermitted(_))));
        assert_eq!(asks(TRACY, &give(A)), Ok(()));
        assert_eq!(asks(TRACY, &give(B)), Err(not_found("Key")), "a Key that is not theirs does not exist");
        assert_eq!(asks(TRACY, &give(KeyId(99))), Err(not_found("Key")), "and one that is not there sounds the same");
        let moved = Command::Move { person: SAM, from: A, to: B, may_share: None, period: Period::default() };
        assert_eq!(asks(TRACY, &moved), Err(not_found("Key")));
        assert!(matches!(asks(SAM, &Command::Suspend(TRACY, true)), Err(Refusal::NotPermitted(_))));
        assert!(matches!(asks(SAM, &Command::SetDeliveries(MAIN, false)), Err(Refusal::NotPermitted(_))));
        assert_eq!(asks(SAM, &contact(Vec::new())), Ok(()));
        let card = keyward_protocol::code::Card::new(&[7]).unwrap();
        assert!(matches!(asks(SAM, &contact(vec![card])), Err(Refusal::NotPermitted(_))));
        assert!(matches!(asks(TRACY, &contact(Vec::new())), Err(Refusal::NotPermitted(_))), "Specific only sees");
        assert!(matches!(asks(PersonId(77), &give(A)), Err(Refusal::NotPermitted(_))));
    }

    // M6
    #[test]
    fn nobody_raises_their_own_level() {
        let specific = |keys: &[KeyId]| Level::Specific(keys.to_vec());
        let all = [None, Some(specific(&[A])), Some(specific(&[A, B])), Some(Level::Limited), Some(Level::Full)];
        for (had, from) in all.iter().enumerate().skip(1) {
            let portfolio = portfolio(&[(ANA, from.clone().unwrap())]);
            for (gets, to) in all.iter().enumerate() {
                // A Portfolio Manager without a level of their own has Full.
                let gets = if gets == 0 { 4 } else { gets };
                let asked = ask(&portfolio, ANA, &Command::SetLevel(MAIN, ANA, to.clone()));
                assert_eq!(asked.is_ok(), gets <= had, "{from:?} to {to:?}");
                assert_eq!(ask(&portfolio, ANA, &Command::SetLevel(MAIN, SAM, to.clone())), Ok(()));
            }
        }
    }

    // K1 M8
    #[test]
    fn a_key_that_is_not_seen_keeps_its_last_door_without_a_name() {
        let mut portfolio = portfolio(&[(ANA, Level::Specific(vec![A]))]);
        let property = Arc::make_mut(portfolio.properties.get_mut(&MAIN).unwrap());
        for key in [A, B] {
            Arc::make_mut(property.keys.get_mut(&key).unwrap()).doors.retain(|entry| entry.door == DoorId(1));
        }
        let refused = ask(&portfolio, ANA, &Command::RemoveDoor(DoorId(1))).unwrap_err().to_string();
        assert!(refused.contains("another Key") && !refused.contains("Key B"), "{refused}");
        let property = Arc::make_mut(portfolio.properties.get_mut(&MAIN).unwrap());
        property.keys.remove(&B);
        assert_eq!(ask(&portfolio, ANA, &Command::RemoveDoor(DoorId(1))), Ok(()), "their own is named by the rules");
    }

    // M2 M6
    #[test]
    fn a_portfolio_manager_with_less_in_a_property_has_that_level_for_keys_and_all_rights_for_the_rest() {
        let portfolio = portfolio(&[(ANA, Level::Limited)]);
        assert!(matches!(ask(&portfolio, ANA, &edit_key()), Err(Refusal::NotPermitted(_))));
        assert_eq!(ask(&portfolio, ANA, &give(A)), Ok(()));
        assert_eq!(ask(&portfolio, ANA, &Command::RemoveDoor(DoorId(1))), Ok(()));
        assert_eq!(ask(&portfolio, ANA, &Command::SetDeliveries(MAIN, false)), Ok(()));
    }
}
