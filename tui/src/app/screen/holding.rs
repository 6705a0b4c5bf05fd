//! Giving, revoking and moving Keys, sharing them for who holds them and ending that: forms and reviews, the same from
//! every screen.

use keyward_protocol::{
    entry::{Command, Period},
    id::{DoorId, KeyId, PersonId, PropertyId},
};

use super::{ScreenId, Shell};
use crate::{
    app::{
        Dialog,
        form::{Field, Filled, Form, Offer, Pickable},
        review::{Review, Step},
    },
    keymap::Act,
    view::{self, text::grouped},
};

/// Gives a Key.
pub const GIVE: Act = Act("give");
/// Revokes a Key.
pub const REVOKE: Act = Act("revoke");
/// Moves somebody from one Key to another.
pub const MOVE: Act = Act("move");
/// Shares a Key for who holds it.
pub const SHARE: Act = Act("share");

const NEW_CODES: &str = "Deleted codes never come back: giving the Key again makes NEW ones.";
const FROM: &str = "at once; or 2026-12-01 08:00";
const UNTIL: &str = "without an end; or 2026-12-31";

/// Somebody, by id and name.
pub type Who = (PersonId, String);

/// A Key, as far as acts need to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyNamed {
    /// Which.
    pub id: KeyId,
    /// Its name.
    pub name: String,
    /// Its default for sharing, where that is known.
    pub may_share: Option<bool>,
}

/// What an act is about, as far as it was chosen on the screen; the rest is picked in a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// Whose act it is.
    pub owner: ScreenId,
    /// Where.
    pub property: PropertyId,
    /// Which Key.
    pub key: Option<KeyNamed>,
    /// Whom it is about.
    pub people: Vec<Who>,
}

impl Holding {
    /// Gives the Key to the people.
    pub fn give(&self, shell: &mut Shell) {
        self.give_rather(None, shell);
    }

    /// The same, where the Key is still to be chosen with this one chosen until another is.
    pub fn give_rather(&self, key: Option<Offer>, shell: &mut Shell) {
        let mut fields = self.missing("Person", Pickable::People, Pickable::Keys(self.property, None));
        if let (None, Some(offer)) = (&self.key, key) {
            // The Key is the last of what is missing.
            let field = fields.pop().map(|field| field.with(Filled::Offer(offer)));
            fields.extend(field);
        }
        fields.extend(terms(self.key.as_ref().and_then(|key| key.may_share)));
        let title = match (&self.key, self.people.as_slice()) {
            (Some(key), _) => format!("GIVE \"{}\"", key.name),
            (None, []) => "GIVE a Key".to_owned(),
            (None, people) => format!("GIVE a Key TO {}", whom(people, shell)),
        };
        self.open(GIVE, title, fields, shell);
    }

    /// Revokes the Key from the people.
    pub fn revoke(&self, shell: &mut Shell) {
        if let (Some(key), false) = (&self.key, self.people.is_empty()) {
            return self.review_revoke(key, shell);
        }
        let (holders, held) = self.held();
        let title = match &self.key {
            Some(key) => format!("REVOKE \"{}\"", key.name),
            None => format!("REVOKE a Key FROM {}", whom(&self.people, shell)),
        };
        self.open(REVOKE, title, self.missing("From whom", holders, held), shell);
    }

    /// Moves the people from the Key to another.
    pub fn move_away(&self, shell: &mut Shell) {
        let form = self.move_form(shell);
        shell.open(Dialog::Form(Box::new(form)));
    }

    /// Shares the Key of the one person with a guest.
    pub fn share(&self, shell: &mut Shell) {
        let (_, held) = self.held();
        let Some(key) = &self.key else {
            let title = format!("SHARE a Key OF {}", whom(&self.people, shell));
            return self.open(SHARE, title, self.missing("Person", Pickable::People, held), shell);
        };
        let fields = vec![
            Field::pick("With", Pickable::People),
            Field::many("Doors", Pickable::DoorsOf(key.id), "all of the Key's"),
            Field::line("From", FROM),
            Field::line("Until", UNTIL),
        ];
        let title = format!("SHARE \"{}\" OF {}", key.name, whom(&self.people, shell));
        self.open(SHARE, title, fields, shell);
    }

    fn move_form(&self, shell: &Shell) -> Form {
        let (holders, held) = self.held();
        let mut fields = self.missing("Person", holders, held);
        fields.push(Field::pick("To Key", Pickable::Keys(self.property, self.key.as_ref().map(|key| key.id))));
        fields.extend(terms(None));
        let from = self.key.as_ref().map(|key| format!(" FROM \"{}\"", key.name)).unwrap_or_default();
        let title = match self.people.as_slice() {
            [] => format!("MOVE somebody{from}"),
            some => format!("MOVE {}{from}", whom(some, shell)),
        };
        self.form(MOVE, title, fields)
    }

    fn review_revoke(&self, key: &KeyNamed, shell: &mut Shell) {
        let step = |(person, name): &Who| Step::new(name.clone(), Command::Revoke { key: key.id, person: *person });
        let title = [format!("REVOKE \"{}\" FROM ", key.name), String::new()];
        let afterwards = [format!("revoked \"{}\" from ", key.name), String::new()];
        let mut review = Review::new(self.owner, "", self.people.iter().map(step).collect());
        review = review.about_people(title, afterwards, shell);
        review.about = NEW_CODES.to_owned();
        review =
            review.or_rather("move to another Key instead: codes stay where both have the door", self.move_form(shell));
        if let [(person, _)] = self.people.as_slice() {
            review = review.telling_kept(*person, key.id, shell);
        }
        shell.open(Dialog::Review(Box::new(review)));
    }

    /// Who holds the Key, and which Keys the person holds: what is offered of them.
    fn held(&self) -> (Pickable, Pickable) {
        let holders = self.key.as_ref().map_or(Pickable::People, |key| Pickable::Holders(key.id));
        let held = match self.people.as_slice() {
            [(person, _)] => Pickable::HeldBy(*person, self.property),
            _ => Pickable::Keys(self.property, None),
        };
        (holders, held)
    }

    /// Fields for what was not chosen on the screen.
    fn missing(&self, person: &'static str, people: Pickable, keys: Pickable) -> Vec<Field> {
        let person = self.people.is_empty().then(|| Field::pick(person, people));
        let key = self.key.is_none().then(|| Field::pick("Key", keys));
        person.into_iter().chain(key).collect()
    }

    fn open(&self, act: Act, title: String, fields: Vec<Field>, shell: &mut Shell) {
        shell.open(Dialog::Form(Box::new(self.form(act, title, fields))));
    }

    /// The form, about the Key (0 for none) and then the people.
    fn form(&self, act: Act, title: String, fields: Vec<Field>) -> Form {
        let form = Form::new(self.owner, act, title, fields);
        let form = match &self.key {
            Some(key) => form.about(key.id.0, &key.name),
            None => form.about(KeyId::NONE.0, ""),
        };
        self.people.iter().fold(form, |form, (person, name)| form.about(person.0, name))
    }
}

/// How a Key is held: sharing, with its default in words, and the period.
fn terms(may_share: Option<bool>) -> [Field; 3] {
    let words = match may_share {
        Some(true) => ["as the Key says: yes", "yes", "no"],
        Some(false) => ["as the Key says: no", "yes", "no"],
        None => ["as the Key says", "yes", "no"],
    };
    [Field::choice("May share", &words), Field::line("From", FROM), Field::line("Until", UNTIL)]
}

/// Opens the review that a form of this module leads to; nothing for other forms.
///
/// # Errors
///
/// What is wrong with the form.
pub fn submitted(form: &Form, shell: &mut Shell) -> Result<(), String> {
    let property = shell.property.ok_or("there is no property")?;
    match form.act {
        GIVE => given(form, shell),
        MOVE => moved(form, shell),
        REVOKE => {
            let (holding, _) = chosen(form, property)?;
            holding.revoke(shell);
            Ok(())
        }
        SHARE => shared(form, property, shell),
        _ => Ok(()),
    }
}

/// What the form is about, with what was picked, and the first field after that.
fn chosen(form: &Form, property: PropertyId) -> Result<(Holding, usize), String> {
    let mut subject = form.subject.iter();
    let (key, name) = subject.next().ok_or("the form is about nothing")?;
    let mut key = KeyNamed { id: KeyId(*key), name: name.clone(), may_share: None };
    let mut people: Vec<Who> = subject.map(|(id, name)| (PersonId(*id), name.clone())).collect();
    let mut next = 0;
    if people.is_empty() {
        let person = form.picked(next).ok_or("choose a person: type a part of the name, or the whole email")?;
        people.push((PersonId(person.id), person.name.clone()));
        next += 1;
    }
    if key.id == KeyId::NONE {
        let picked = form.picked(next).ok_or("choose a Key")?;
        key = KeyNamed { id: KeyId(picked.id), name: picked.name.clone(), may_share: None };
        next += 1;
    }
    Ok((Holding { owner: form.owner, property, key: Some(key), people }, next))
}

fn share_chosen(choice: usize) -> Option<bool> {
    match choice {
        1 => Some(true),
        2 => Some(false),
        _ => None,
    }
}

fn given(form: &Form, shell: &mut Shell) -> Result<(), String> {
    let (holding, next) = chosen(form, shell.property.unwrap_or_default())?;
    let Some(key) = &holding.key else { return Ok(()) };
    let may_share = share_chosen(form.choice(next));
    let period = period(form, next + 1, shell)?;
    let step = |(person, name): &Who| {
        let command = Command::Give { key: key.id, person: *person, may_share, period };
        Step::new(name.clone(), command)
    };
    let to = whom(&holding.people, shell);
    let title = format!("GIVE \"{}\" TO {to}", key.name);
    let mut review = Review::new(form.owner, title, holding.people.iter().map(step).collect());
    review.about = period_told(period, shell);
    review.afterwards = format!("gave \"{}\" to {to}", key.name);
    shell.open(Dialog::Review(Box::new(review)));
    Ok(())
}

fn moved(form: &Form, shell: &mut Shell) -> Result<(), String> {
    let (holding, next) = chosen(form, shell.property.unwrap_or_default())?;
    let Some(from) = &holding.key else { return Ok(()) };
    let to = form.picked(next).ok_or("choose the Key to move to")?;
    let may_share = share_chosen(form.choice(next + 1));
    let period = period(form, next + 2, shell)?;
    let step = |(person, name): &Who| {
        let command = Command::Move { person: *person, from: from.id, to: KeyId(to.id), may_share, period };
        Step::new(name.clone(), command)
    };
    let title = ["MOVE ".to_owned(), format!(": \"{}\" -> \"{}\"", from.name, to.name)];
    let afterwards = ["moved ".to_owned(), format!(" to \"{}\"", to.name)];
    let mut review = Review::new(form.owner, "", holding.people.iter().map(step).collect());
    review = review.about_people(title, afterwards, shell);
    review.about = "Given first, then revoked, in one step: codes stay where both have the door.".to_owned();
    if let [(person, _)] = holding.people.as_slice() {
        review = review.telling_kept(*person, from.id, shell);
    }
    shell.open(Dialog::Review(Box::new(review)));
    Ok(())
}

/// The first form of a share picks the Key, the second with whom and where.
fn shared(form: &Form, property: PropertyId, shell: &mut Shell) -> Result<(), String> {
    let (holding, next) = chosen(form, property)?;
    if next > 0 {
        holding.share(shell);
        return Ok(());
    }
    let (Some(key), [(host, host_name)]) = (&holding.key, holding.people.as_slice()) else { return Ok(()) };
    let guest = form.picked(0).ok_or("choose a guest: type a part of the name, or the whole email")?;
    let picked = form.picked_many(1);
    let doors = (!picked.is_empty()).then(|| picked.iter().map(|door| DoorId(door.id)).collect());
    let period = period(form, 2, shell)?;
    let command = Command::Share { key: key.id, host: *host, guest: PersonId(guest.id), doors, period };
    let with = whom(&[(PersonId(guest.id), guest.name.clone())], shell);
    let of = whom(&[(*host, host_name.clone())], shell);
    let title = format!("SHARE \"{}\" OF {of} WITH {with}", key.name);
    let mut review = Review::new(form.owner, title, vec![Step::new(guest.name.clone(), command)]);
    let doors = match picked.len() {
        0 => "All of the Key's doors.".to_owned(),
        1 => "1 of the Key's doors.".to_owned(),
        some => format!("{some} of the Key's doors."),
    };
    review.about =
        format!("{doors} {} Never outside the Key's hours and the host's own period.", period_told(period, shell));
    review.afterwards = format!("shared \"{}\" with {with}", key.name);
    shell.open(Dialog::Review(Box::new(review)));
    Ok(())
}

/// Ends shares, each of a Key by its id and name, a host and a guest.
pub fn end_shares(owner: ScreenId, shares: &[(KeyNamed, Who, Who)], shell: &mut Shell) {
    let step = |(key, host, guest): &(KeyNamed, Who, Who)| {
        Step::new(guest.1.clone(), Command::EndShare { key: key.id, host: host.0, guest: guest.0 })
    };
    let guests: Vec<Who> = shares.iter().map(|(_, _, guest)| guest.clone()).collect();
    let title = match shares {
        [(key, host, guest)] => {
            let (host, guest) = (whom(std::slice::from_ref(host), shell), whom(std::slice::from_ref(guest), shell));
            format!("END THE SHARE OF \"{}\": {host} WITH {guest}", key.name)
        }
        some => format!("END {} SHARES", some.len()),
    };
    let mut review = Review::new(owner, title, shares.iter().map(step).collect());
    review.about = NEW_CODES.to_owned();
    review.afterwards = format!("{} no longer a guest by it", whom(&guests, shell));
    shell.open(Dialog::Review(Box::new(review)));
}

/// The period in two fields of a form, of which the first is `field`.
///
/// # Errors
///
/// A moment can't be read.
pub fn period(form: &Form, field: usize, shell: &Shell) -> Result<Period, String> {
    let zone = shell.property_zone();
    Ok(Period { from: form.moment(field, zone)?, until: form.moment(field + 1, zone)? })
}

/// A period with its offsets (S5).
pub fn period_told(period: Period, shell: &Shell) -> String {
    let told = |moment: keyward_protocol::time::Moment| moment.rfc3339(shell.property_zone());
    match (period.from, period.until) {
        (None, None) => "At once and without an end.".to_owned(),
        (Some(from), None) => format!("From {} on, without an end.", told(from)),
        (None, Some(until)) => format!("At once, until {}.", told(until)),
        (Some(from), Some(until)) => format!("From {} until {}.", told(from), told(until)),
    }
}

/// The people in a word or two; nobody by name while people are hidden.
pub fn whom(people: &[Who], shell: &Shell) -> String {
    match people {
        [_] if shell.people_hidden => view::HIDDEN.to_owned(),
        [(_, name)] => name.clone(),
        some => format!("{} people", grouped(some.len() as u64)),
    }
}
