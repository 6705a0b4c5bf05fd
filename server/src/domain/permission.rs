//! Who may do what (M1-M8). Pure: a person, a portfolio, a command.
//!
//! Asked by the engine for each command, against the data that the command is decided on, and by whatever answers
//! lists and live views. What a manager may not see is refused as something that is not there (M8).

use std::collections::BTreeSet;

use keyward_protocol::id::*;

use super::{command::Command, decide::Refusal, directory::*};

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

    /// Whether the Deliveries Key is shown (V2).
    pub fn sees_deliveries(&self) -> bool {
        *self == Managed::All
    }
}

/// Whether a manager may ask for this. Whether it can be done is [`decide`](super::decide)'s to say.
pub fn authorize(portfolio: &Portfolio, person: PersonId, command: &Command) -> Result<(), Refusal> {
    use Command as C;
    let by = By { portfolio, person };
    by.manager()?;
    match command {
        C::MakeProperty(_) | C::SetPortfolioManager(..) | C::MakeLock { .. } | C::DisableLock(..) => {
            by.portfolio_manager()
        }
        C::DeletePerson(_) | C::Suspend(_, false) => by.portfolio_manager(),
        C::Suspend(other, true) => by.portfolio_manager().and_then(|()| by.leaves_a_manager(*other)),
        C::EditProperty(property, _)
        | C::RemoveProperty(property)
        | C::SetDeliveries(property, _)
        | C::MakeDoor(property, _) => by.visible(*property).and_then(|()| by.portfolio_manager()),
        C::RemoveDoor(door) => by.visible_door(*door).and_then(|_| by.portfolio_manager()),
        C::SetLevel(property, manager, level) => {
            by.visible(*property)?;
            by.portfolio_manager()?;
            if *manager == person { by.raises_nothing(*property, level.as_ref()) } else { Ok(()) }
        }
        C::SetHolidays(property, _)
        | C::MakeSchedule(property, ..)
        | C::EditSchedule(property, ..)
        | C::DeleteSchedule(property, _)
        | C::MakeKey(property, _)
        | C::LockDown { property, .. }
        | C::LiftLockdown(property, _) => by.full(*property),
        C::EditDoor(door, _) => by.visible_door(*door).and_then(|property| by.full(property)),
        C::EditKey(key, _) | C::DeleteKey(key) => by.managed(*key).and_then(|property| by.full(property)),
        C::Give { key, .. } | C::Revoke { key, .. } | C::Share { key, .. } | C::EndShare { key, .. } => {
            by.managed(*key).map(|_| ())
        }
        C::Move { from, to, .. } => by.managed(*from).and_then(|_| by.managed(*to)).map(|_| ()),
        C::MakePerson(spec) if spec.cards.is_empty() => Ok(()),
        C::MakePerson(_) => by.portfolio_manager(),
        C::EditPerson(other, spec) => by.edits_person(*other, &spec.cards),
    }
}

struct By<'a> {
    portfolio: &'a Portfolio,
    person: PersonId,
}

impl By<'_> {
    fn level(&self, property: PropertyId) -> Option<Level> {
        level(self.portfolio, self.portfolio.properties.get(&property)?, self.person)
    }

    fn is_portfolio_manager(&self) -> bool {
        self.portfolio.managers.contains(&self.person)
    }

    fn manager(&self) -> Result<(), Refusal> {
        let manages = is_manager(self.portfolio, self.person);
        manages.then_some(()).ok_or_else(|| missing("being a manager"))
    }

    fn portfolio_manager(&self) -> Result<(), Refusal> {
        self.is_portfolio_manager().then_some(()).ok_or_else(|| missing("being a Portfolio Manager"))
    }

    /// A property is seen by those who have a level in it, and so by Portfolio Managers always.
    fn visible(&self, property: PropertyId) -> Result<(), Refusal> {
        self.level(property).map(|_| ()).ok_or_else(|| not_found("property"))
    }

    fn visible_door(&self, door: DoorId) -> Result<PropertyId, Refusal> {
        let property = self.portfolio.property_of_door.get(&door).copied();
        property.filter(|property| self.visible(*property).is_ok()).ok_or_else(|| not_found("door"))
    }

    fn full(&self, property: PropertyId) -> Result<(), Refusal> {
        self.visible(property)?;
        match self.level(property) {
            Some(Level::Full) => Ok(()),
            _ => Err(missing("Full key management in this property")),
        }
    }

    /// A Key that they give and revoke. The Deliveries Key is shown to those who manage all: what to do with it is
    /// refused later, in its own words (V2).
    fn managed(&self, key: KeyId) -> Result<PropertyId, Refusal> {
        let property = self.portfolio.property_with_key(key).ok_or_else(|| not_found("Key"))?;
        let managed = Managed::of(self.portfolio, property, self.person);
        managed.has(key).then(|| property.id()).ok_or_else(|| not_found("Key"))
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
    fn raises_nothing(&self, property: PropertyId, to: Option<&Level>) -> Result<(), Refusal> {
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
        if self.is_portfolio_manager() {
            return Ok(());
        }
        let Some(found) = self.portfolio.people.get(&other) else { return Err(not_found("person")) };
        let sees = |property: &Property| {
            let managed = Managed::of(self.portfolio, property, self.person);
            property.givings_of(other).any(|giving| managed.has(giving.key))
        };
        let edits = |property: &Property| {
            let level = level(self.portfolio, property, self.person);
            matches!(level, Some(Level::Full | Level::Limited)) && property.givings_of(other).next().is_some()
        };
        let properties = || self.portfolio.properties.values().map(AsRef::as_ref);
        if !properties().any(sees) {
            return Err(not_found("person"));
        }
        if !properties().any(edits) {
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
        let asks = |person, command: &Command| authorize(&portfolio, person, command);
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
                let asked = authorize(&portfolio, ANA, &Command::SetLevel(MAIN, ANA, to.clone()));
                assert_eq!(asked.is_ok(), gets <= had, "{from:?} to {to:?}");
                assert_eq!(authorize(&portfolio, ANA, &Command::SetLevel(MAIN, SAM, to.clone())), Ok(()));
            }
        }
    }

    // M2 M6
    #[test]
    fn a_portfolio_manager_with_less_in_a_property_has_that_level_for_keys_and_all_rights_for_the_rest() {
        let portfolio = portfolio(&[(ANA, Level::Limited)]);
        assert!(matches!(authorize(&portfolio, ANA, &edit_key()), Err(Refusal::NotPermitted(_))));
        assert_eq!(authorize(&portfolio, ANA, &give(A)), Ok(()));
        assert_eq!(authorize(&portfolio, ANA, &Command::RemoveDoor(DoorId(1))), Ok(()));
        assert_eq!(authorize(&portfolio, ANA, &Command::SetDeliveries(MAIN, false)), Ok(()));
    }
}
