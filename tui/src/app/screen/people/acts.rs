//! What is done with people.

use keyward_protocol::{
    entry::{Command, Party, PersonSpec},
    id::PersonId,
    limits::TOKEN_SECONDS_MAX,
    message::manage::{PersonDetail, Request},
};

use super::{
    Page, Part, People, ScreenId, Shared, Shell,
    holding::{self, GIVE, Holding, KeyNamed, MOVE, REVOKE, SHARE, Who, whom},
};
use crate::{
    app::{
        Dialog,
        form::{Field, Filled, Form, Offer},
        review::{Review, Step},
        screen::logs::{EXPLAIN, Known, LogScreen},
        token::For,
        undo::contact_of,
    },
    keymap::{Act, Action, Binding, act, letter, write},
};

pub const FIND: Act = Act("give by email");
/// A new person.
pub const NEW: Act = Act("new person");
pub const EDIT: Act = Act("edit person");
pub const END_SHARE: Act = Act("end share");
pub const SUSPEND: Act = Act("suspend");
pub const CODE: Act = Act("code");
pub const DELETE: Act = Act("delete person");
pub const RENEW: Act = Act("renew mobile");
pub const TOKEN: Act = Act("token");
/// Everybody of the portfolio, or who holds something here.
pub const EVERYBODY: Act = Act("everybody");

pub const BINDINGS: &[Binding] = &[
    write(&[letter('g')], "g", GIVE, Some("give"), "give a Key, or change how one is held"),
    write(&[letter('r')], "r", REVOKE, Some("revoke"), "revoke a Key; what would follow is shown first"),
    write(&[letter('m')], "m", MOVE, Some("move"), "move to another Key, codes kept where both have the door"),
    write(&[letter('n')], "n", NEW, Some("new"), "a new person"),
    write(&[letter('e')], "e", EDIT, None, "edit name, email, phone and note"),
    act(&[letter('x')], "x", EXPLAIN, Some("explain"), "why the person can or can't open a door"),
    write(&[letter('f')], "f", FIND, None, "find somebody by the exact email and give a first Key"),
    write(&[letter('i')], "i", SHARE, None, "let a guest in: share a Key for who holds it"),
    write(&[letter('E')], "E", END_SHARE, None, "end a share"),
    write(&[letter('c')], "c", CODE, None, "show a door code until the next chord; the audit trail has it"),
    write(&[letter('S')], "S", SUSPEND, None, "suspend, or resume who is suspended"),
    write(&[letter('M')], "M", RENEW, None, "another mobile identity; the one before opens nothing any more"),
    write(&[letter('T')], "T", TOKEN, None, "a token for the person's app, shown once"),
    write(&[letter('D')], "D", DELETE, None, "delete the person, and revoke everything"),
    act(&[letter('a')], "a", EVERYBODY, None, "everybody of the portfolio, or who holds something here"),
];

/// How long a token may be good for, in words and in seconds; the first is pre-filled.
const TOKEN_TIMES: [(&str, i64); 3] = [("1 day", 86_400), ("1 hour", 3_600), ("7 days", TOKEN_SECONDS_MAX)];

impl People {
    /// The person that is open, else those marked or under the cursor.
    fn whom(&self) -> Vec<Who> {
        match &self.page {
            Some(page) => vec![(page.person.id, page.person.name.clone())],
            None => self.list.chosen().into_iter().map(|row| (row.id, row.name.clone())).collect(),
        }
    }

    pub(super) fn do_act(&mut self, act: Act, shell: &mut Shell) {
        let people = self.whom();
        match act {
            EVERYBODY => {
                self.everybody = !self.everybody;
                self.list.restart();
                self.needle.clear();
                (self.page, self.detail) = (None, None);
            }
            NEW => {
                let form = Form::new(ScreenId::People, NEW, "NEW PERSON", contact_fields(None));
                shell.open(Dialog::Form(Box::new(form)));
            }
            EDIT => self.edit(shell),
            FIND => self.with_key(Vec::new(), None, shell, Holding::give),
            GIVE => self.with_key(people, None, shell, Holding::give),
            REVOKE | MOVE | SHARE => self.with_held(act, people, shell),
            END_SHARE => self.end_share(shell),
            CODE => {
                let code = self.page.as_ref().and_then(|page| page.codes.selected()).map(|row| row.id);
                self.revealing = code.and_then(|code| shell.ask(ScreenId::People, Request::Reveal(code)));
            }
            TOKEN => {
                let Some((person, name)) = people.first().filter(|_| people.len() == 1) else {
                    return shell.say("a token is for one person: Esc takes the marks away");
                };
                let fields = vec![Field::choice("Good for", &TOKEN_TIMES.map(|(words, _)| words))];
                let title = format!("A TOKEN FOR THE APP OF {}", whom(&people, shell));
                let form = Form::new(ScreenId::People, TOKEN, title, fields).about(person.0, name);
                shell.open(Dialog::Form(Box::new(form)));
            }
            EXPLAIN => self.explain(shell),
            SUSPEND => self.suspend(&people, shell),
            RENEW => {
                let title = format!("RENEW THE MOBILE IDENTITY OF {}", whom(&people, shell));
                let review = review(title, &people, Command::RenewMobile);
                let about = "The one before opens nothing any more; their app gets the new one.";
                open(
                    review,
                    about,
                    "Keys, codes and shares stay as they are.",
                    format!("renewed for {}", whom(&people, shell)),
                    shell,
                );
            }
            DELETE => {
                let title = format!("DELETE {}", whom(&people, shell));
                let review = review(title, &people, Command::DeletePerson);
                let about = "Everything is revoked. The access log keeps what they did.";
                open(
                    review,
                    about,
                    "They hold nothing that would be lost.",
                    format!("deleted {}", whom(&people, shell)),
                    shell,
                );
            }
            _ => {}
        }
    }

    /// An act with these people and a Key that is still to be picked.
    fn with_key(&self, people: Vec<Who>, key: Option<KeyNamed>, shell: &mut Shell, act: impl Fn(&Holding, &mut Shell)) {
        let Some(property) = shell.property else { return };
        act(&Holding { owner: ScreenId::People, property, key, people }, shell);
    }

    /// An act with a Key that is held: the one under the cursor of the page, else one that is picked.
    fn with_held(&self, act: Act, people: Vec<Who>, shell: &mut Shell) {
        let held = self.page.as_ref().filter(|page| page.part == Part::Keys).and_then(|page| page.holds.selected());
        let elsewhere = held.filter(|held| Some(held.property) != shell.property);
        if elsewhere.is_some() {
            let chooses = shell.chord(ScreenId::People, Action::Property);
            return shell.say(format!("that Key is of another property: {chooses} chooses it"));
        }
        let key = held.map(|held| KeyNamed { id: held.key, name: held.name.clone(), may_share: None });
        self.with_key(people, key, shell, |holding, shell| match act {
            REVOKE => holding.revoke(shell),
            MOVE => holding.move_away(shell),
            _ => holding.share(shell),
        });
    }

    /// Asks why the person can or can't open a door: the one of the code under the cursor, else one that is picked.
    fn explain(&self, shell: &mut Shell) {
        let Some(row) = self.person() else { return };
        let person = Offer { id: row.id.0, name: row.name.clone(), note: row.email.clone() };
        let code = self.page.as_ref().filter(|page| page.part == Part::Codes).and_then(|page| page.codes.selected());
        let code = code.filter(|code| Some(code.property) == shell.property);
        let door = code.map(|code| Offer { id: code.door.0, name: code.name.clone(), note: String::new() });
        let by_code = door.is_some();
        LogScreen::ask_explain_of(shell, Known { person: Some(person), door, by_code, at: None });
    }

    fn suspend(&self, people: &[Who], shell: &mut Shell) {
        let suspended = self.person().is_some_and(|row| row.suspended);
        let who = whom(people, shell);
        let (title, about, done) = match suspended {
            true => (format!("RESUME {who}"), "Keys, codes and shares count again.", format!("resumed {who}")),
            false => (
                format!("SUSPEND {who}"),
                "Opens nothing meanwhile, nor do their guests; Keys, codes and shares stay.",
                format!("suspended {who}"),
            ),
        };
        let review = review(title, people, |person| Command::Suspend(person, !suspended));
        open(review, about, "No Key, code or share is lost.", done, shell);
    }

    fn end_share(&self, shell: &mut Shell) {
        let chosen = self.page.as_ref().map(chosen_shares).unwrap_or_default();
        let named = |shared: &&Shared| {
            let row = &shared.row;
            let key = KeyNamed { id: row.key, name: shared.key.clone(), may_share: None };
            (key, (row.host, row.host_name.clone()), (row.guest, row.guest_name.clone()))
        };
        let shares: Vec<_> = chosen.iter().map(named).collect();
        holding::end_shares(ScreenId::People, &shares, shell);
    }

    fn edit(&self, shell: &mut Shell) {
        let Some(facts) = self.detail().and_then(|detail| detail.facts.as_ref()) else {
            return shell.say("the person's contact data is not here yet");
        };
        let title = format!("EDIT {}", whom(&[(facts.row.id, facts.row.name.clone())], shell));
        if shell.people_hidden {
            let shows = shell.chord(ScreenId::People, Action::HidePeople);
            return shell.say(format!("people are hidden: {shows} shows them again"));
        }
        let form = Form::new(ScreenId::People, EDIT, title, contact_fields(Some(facts))).since(contact_of(facts));
        shell.open(Dialog::Form(Box::new(form.about(facts.row.id.0, &facts.row.name))));
    }

    /// A form with contact data is filled in.
    pub(super) fn contact(&self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let optional = |field: usize| Some(form.text(field).to_owned()).filter(|text| !text.is_empty());
        let name = optional(0).ok_or("a person has a name")?;
        let email = optional(1).filter(|email| email.contains('@')).ok_or("a person is known by an email")?;
        let spec = PersonSpec { name: name.clone(), email, phone: optional(2), note: optional(3), cards: Vec::new() };
        let person = form.subject.first().map(|(id, _)| PersonId(*id));
        let (command, title, done) = match person {
            None => (Command::MakePerson(spec), "NEW PERSON", "made"),
            Some(person) => {
                // Cards are kept as they were read: they are not in the form.
                let Some(Command::EditPerson(_, read)) = &form.read else {
                    return Err("the person's contact data was not here: begin anew".to_owned());
                };
                let cards = read.cards.clone();
                (Command::EditPerson(person, PersonSpec { cards, ..spec }), "EDIT", "edited")
            }
        };
        let who = whom(&[(person.unwrap_or_default(), name.clone())], shell);
        let step = Step::new(name, command).since(form.read.clone());
        let review = Review::new(ScreenId::People, format!("{title}: {who}"), vec![step]);
        open(review, "", "No Key, code or share changes.", format!("{done} {who}"), shell);
        Ok(())
    }

    /// How long a token is to be good for is chosen: the review tells the server its hash, and then shows it.
    pub(super) fn invite(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let (id, name) = form.subject.first().ok_or("the form is about nobody")?;
        let (_, seconds) = *TOKEN_TIMES.get(form.choice(0)).ok_or("choose how long")?;
        let now = shell.now.ok_or("no token was made: the time is not known")?;
        let who = whom(&[(PersonId(*id), name.clone())], shell);
        // A server may be a little behind this machine's clock.
        let until = now.plus_seconds(seconds.min(TOKEN_SECONDS_MAX - 60));
        let mut review = Review::new(ScreenId::People, format!("A TOKEN FOR THE APP OF {who}"), Vec::new());
        "Whoever joins with it sees the person's Keys and all their door codes.".clone_into(&mut review.about);
        review.nothing = "Nothing changes until somebody joins with it.";
        review.afterwards = format!("made a token for {who}");
        shell.open_with_token(review, For { party: Some(Party::Holder(PersonId(*id))), until, whose: who });
        Ok(())
    }

    /// Why no share can be made or ended here.
    pub(super) fn cant_share(&self, act: Act, shell: &Shell) -> Option<String> {
        let page = self.page.as_ref();
        let chord = |action| shell.chord(ScreenId::People, action);
        if act == SHARE {
            let held = page.filter(|page| page.part == Part::Keys).and_then(|page| page.holds.selected())?;
            return (!held.terms.may_share || held.terms.ended).then(|| {
                let give = chord(Action::Act(GIVE));
                format!("\"{}\" is held without the right to share it: {give} changes that", held.name)
            });
        }
        let none = page.is_none_or(|page| chosen_shares(page).is_empty());
        none.then(|| format!("open the person and go to a guest ({}) to end a share", chord(Action::NextPart)))
    }

    /// Why no code can be shown here.
    pub(super) fn cant_reveal(&self, shell: &Shell) -> Option<String> {
        let code = self.page.as_ref().filter(|page| page.part == Part::Codes).and_then(|page| page.codes.selected());
        let chord = |action| shell.chord(ScreenId::People, action);
        match code {
            None => Some(format!("open the person and go to a code ({}) to show it", chord(Action::NextPart))),
            Some(_) if shell.people_hidden => {
                Some(format!("people and codes are hidden: {} shows them again", chord(Action::HidePeople)))
            }
            Some(_) => None,
        }
    }
}

/// The shares that are marked or under the cursor of the page.
fn chosen_shares(page: &Page) -> Vec<&Shared> {
    match page.part {
        Part::GuestOf => page.guest_of.chosen(),
        Part::Guests => page.guests.chosen(),
        Part::Keys | Part::Codes | Part::Contact => Vec::new(),
    }
}

fn contact_fields(facts: Option<&PersonDetail>) -> Vec<Field> {
    let text = |text: Option<&str>| Filled::Text(text.unwrap_or_default().to_owned());
    let row = facts.map(|facts| &facts.row);
    vec![
        Field::line("Name", "as managers see it").with(text(row.map(|row| row.name.as_str()))),
        Field::line("Email", "no two people have the same").with(text(row.map(|row| row.email.as_str()))),
        Field::line("Phone", "none").with(text(facts.and_then(|facts| facts.phone.as_deref()))),
        Field::line("Note", "none").with(text(facts.and_then(|facts| facts.note.as_deref()))),
    ]
}

/// The same done with each of the people.
fn review(title: String, people: &[Who], command: impl Fn(PersonId) -> Command) -> Review {
    let step = |(person, name): &Who| Step::new(name.clone(), command(*person));
    Review::new(ScreenId::People, title, people.iter().map(step).collect())
}

fn open(mut review: Review, about: &str, nothing: &'static str, afterwards: String, shell: &mut Shell) {
    about.clone_into(&mut review.about);
    review.nothing = nothing;
    review.afterwards = afterwards;
    shell.open(Dialog::Review(Box::new(review)));
}
