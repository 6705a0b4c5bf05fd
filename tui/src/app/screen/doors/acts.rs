//! What is done with doors.

use keyward_protocol::{
    entry::{Command, DoorKind, DoorSpec},
    id::{DoorId, KeyId, LockdownId},
    message::manage::DoorRow,
};

use super::{Doors, Part, ScreenId, Shell};
use crate::{
    app::{
        Dialog,
        form::{Field, Filled, Form, Offer, Pickable},
        review::{Review, Step},
        screen::logs::{EXPLAIN, Known, LogScreen},
        undo::door_of,
    },
    keymap::{Act, Binding, act, letter, write},
};

pub const NEW: Act = Act("new door");
pub const EDIT: Act = Act("edit door");
pub const VACANCY: Act = Act("vacancy");
pub const REMOVE: Act = Act("remove door");
pub const LOCK_DOWN: Act = Act("lock down");
pub const LIFT: Act = Act("lift lockdown");
pub const WHEN: Act = Act("when");

pub const BINDINGS: &[Binding] = &[
    write(&[letter('e')], "e", EDIT, Some("edit"), "edit name, kind, labels and vacancy; what follows is shown first"),
    write(&[letter('o')], "o", VACANCY, Some("vacancy"), "the unit is occupied now, or vacant"),
    write(&[letter('n')], "n", NEW, Some("new"), "a new door"),
    act(&[letter('x')], "x", EXPLAIN, Some("explain"), "why somebody can or can't open the door"),
    act(&[letter('T')], "T", WHEN, None, "who can open it at another moment"),
    write(&[letter('L')], "L", LOCK_DOWN, None, "lock doors or the whole property down, but for some Keys"),
    write(&[letter('U')], "U", LIFT, None, "lift a lockdown"),
    write(&[letter('D')], "D", REMOVE, None, "remove the door"),
];

const RULES: &str = "Keys with rules follow: they may gain the door, or lose it.";

impl Doors {
    /// The door that is open, else those marked or under the cursor.
    fn which(&self) -> Vec<DoorRow> {
        match &self.page {
            Some(page) => vec![page.door.clone()],
            None => self.list.chosen().into_iter().cloned().collect(),
        }
    }

    pub(super) fn do_act(&mut self, act: Act, shell: &mut Shell) {
        let doors = self.which();
        match (act, doors.as_slice()) {
            (NEW, _) => form(NEW, "NEW DOOR".to_owned(), door_fields(None), &[], shell),
            (EDIT, [door]) => {
                let form = Form::new(ScreenId::Doors, EDIT, format!("EDIT {}", door.name), door_fields(Some(door)));
                let form = form.about(door.id.0, &door.name).since(door_of(door));
                shell.open(Dialog::Form(Box::new(form)));
            }
            (EDIT, _) => shell.say("doors are edited one by one: Esc takes the marks away"),
            (EXPLAIN, _) => self.explain(shell),
            (VACANCY, _) => review_vacancy(&doors, shell),
            (REMOVE, _) => {
                let step = |door: &DoorRow| Step::new(door.name.clone(), Command::RemoveDoor(door.id));
                let review =
                    Review::new(ScreenId::Doors, format!("REMOVE {}", named(&doors)), doors.iter().map(step).collect());
                let about = "It leaves every Key, with its codes; the access log stays.";
                open(review, about, "No Key has it.", format!("removed {}", named(&doors)), shell);
            }
            (LOCK_DOWN, _) => lock_down_form(&doors, shell),
            (LIFT, _) => {
                let Some(property) = shell.property else { return };
                let fields = vec![Field::pick("Lockdown", Pickable::Lockdowns(property))];
                form(LIFT, "LIFT A LOCKDOWN".to_owned(), fields, &[], shell);
            }
            (WHEN, [door]) => {
                let fields = vec![Field::line("When", "now; or 2026-12-01 08:00, past or future")];
                form(WHEN, format!("WHO CAN OPEN {}", door.name), fields, &[], shell);
            }
            _ => {}
        }
    }

    /// Asks why somebody can or can't open the door: who is under the cursor of those who can, then, else who is picked.
    fn explain(&self, shell: &mut Shell) {
        let Some(row) = self.door() else { return };
        let door = Offer { id: row.id.0, name: row.name.clone(), note: row.kind.as_str().to_owned() };
        let page = self.page.as_ref().filter(|page| page.part == Part::People);
        let person = page.and_then(|page| page.people.selected());
        let person = person.map(|row| Offer { id: row.person.0, name: row.name.clone(), note: row.email.clone() });
        let at = page.and_then(|page| page.at);
        LogScreen::ask_explain_of(shell, Known { person, door: Some(door), by_code: false, at });
    }

    /// A form of this screen's is filled in.
    pub(super) fn filled_in(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        match form.act {
            NEW | EDIT => review_door(form, shell),
            LOCK_DOWN => review_lockdown(form, shell),
            LIFT => review_lift(form, shell),
            WHEN => {
                let at = form.moment(0, shell.property_zone())?;
                if let Some(page) = &mut self.page {
                    page.ask_for(at);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn door_fields(door: Option<&DoorRow>) -> Vec<Field> {
    let kind = door.and_then(|door| DoorKind::ALL.iter().position(|kind| *kind == door.kind));
    let text = |text: Option<String>| Filled::Text(text.unwrap_or_default());
    vec![
        Field::line("Name", "no two doors of the property have the same")
            .with(text(door.map(|door| door.name.clone()))),
        Field::choice("Kind", &DoorKind::ALL.map(DoorKind::as_str)).with(Filled::Word(kind.unwrap_or(0))),
        Field::choice("Unit is", &["vacant", "occupied"])
            .with(Filled::Word(usize::from(door.is_some_and(|door| door.occupied)))),
        Field::line("Labels", "none; or words between commas, `deliveries` for carriers")
            .with(text(door.map(|door| door.labels.join(", ")))),
    ]
}

fn review_door(form: &Form, shell: &mut Shell) -> Result<(), String> {
    let property = shell.property.ok_or("there is no property")?;
    let name = form.text(0).to_owned();
    if name.is_empty() {
        return Err("a door has a name".to_owned());
    }
    let kind = *DoorKind::ALL.get(form.choice(1)).ok_or("choose a kind")?;
    let labels = form.text(3).split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
    // Only units are occupied.
    let occupied = kind == DoorKind::Unit && form.choice(2) == 1;
    let spec = DoorSpec { name: name.clone(), kind, occupied, labels };
    let (command, title, done) = match form.subject.first() {
        None => (Command::MakeDoor(property, spec), format!("NEW DOOR {name}"), format!("made {name}")),
        Some((door, _)) => (Command::EditDoor(DoorId(*door), spec), format!("EDIT {name}"), format!("edited {name}")),
    };
    let step = Step::new(name, command).since(form.read.clone());
    let review = Review::new(ScreenId::Doors, title, vec![step]);
    open(review, RULES, "Nobody gains or loses the door.", done, shell);
    Ok(())
}

/// Every unit among the doors is what the first of them is not: occupied, or vacant.
fn review_vacancy(doors: &[DoorRow], shell: &mut Shell) {
    let units: Vec<DoorRow> = doors.iter().filter(|door| door.kind == DoorKind::Unit).cloned().collect();
    let Some(first) = units.first() else { return shell.say("only units are vacant or occupied") };
    let occupied = !first.occupied;
    let step = |door: &DoorRow| {
        let spec = DoorSpec { name: door.name.clone(), kind: door.kind, occupied, labels: door.labels.clone() };
        Step::new(door.name.clone(), Command::EditDoor(door.id, spec)).since(door_of(door))
    };
    let now = if occupied { "OCCUPIED" } else { "VACANT" };
    let is = if units.len() == 1 { "IS" } else { "ARE" };
    let title = format!("{} {is} {now} FROM NOW ON", named(&units));
    let review = Review::new(ScreenId::Doors, title, units.iter().map(step).collect());
    let done = format!("{} {} {} now", named(&units), is.to_lowercase(), now.to_lowercase());
    open(review, RULES, "Nobody gains or loses the door.", done, shell);
}

fn lock_down_form(doors: &[DoorRow], shell: &mut Shell) {
    let Some(property) = shell.property else { return };
    let offers = doors.iter().map(|door| Offer { id: door.id.0, name: door.name.clone(), note: String::new() });
    let fields = vec![
        Field::choice("Where", &["these doors", "the whole property"]),
        Field::many("Doors", Pickable::Doors(property), "none").with(Filled::Offers(offers.collect())),
        Field::many("But for", Pickable::Keys(property, None), "no Key: everybody stays out, carriers too"),
    ];
    form(LOCK_DOWN, "LOCK DOWN".to_owned(), fields, &[], shell);
}

fn review_lockdown(form: &Form, shell: &mut Shell) -> Result<(), String> {
    let property = shell.property.ok_or("there is no property")?;
    let picked = form.picked_many(1);
    let whole = form.choice(0) == 1;
    if !whole && picked.is_empty() {
        return Err("choose doors, or the whole property".to_owned());
    }
    let keys = form.picked_many(2);
    let place = match (whole, picked.as_slice()) {
        (true, _) => shell.property_row().map_or_else(|| "the property".to_owned(), |row| row.name.clone()),
        (false, [door]) => door.name.clone(),
        (false, some) => format!("{} doors", some.len()),
    };
    let doors = (!whole).then(|| picked.iter().map(|door| DoorId(door.id)).collect());
    let except_keys = keys.iter().map(|key| KeyId(key.id)).collect();
    let command = Command::LockDown { property, doors, except_keys };
    let review = Review::new(ScreenId::Doors, format!("LOCK DOWN {place}"), vec![Step::new(place.clone(), command)]);
    let about = match keys.as_slice() {
        [] => "Nobody opens them until it is lifted, carriers neither.".to_owned(),
        [key] => format!("Only \"{}\" opens them until it is lifted, in its own hours.", key.name),
        some => format!("Only {} Keys open them until it is lifted, in their own hours.", some.len()),
    };
    open(review, &about, "No Key, code or share is lost.", format!("locked down {place}"), shell);
    Ok(())
}

fn review_lift(form: &Form, shell: &mut Shell) -> Result<(), String> {
    let property = shell.property.ok_or("there is no property")?;
    let picked = form.picked(0).ok_or("choose a lockdown")?;
    let lockdown = LockdownId(picked.id);
    let what = format!("{lockdown}: {}", picked.name);
    let step = Step::new(what.clone(), Command::LiftLockdown(property, lockdown));
    let review = Review::new(ScreenId::Doors, format!("LIFT {what}"), vec![step]);
    let about = "Keys open their doors again, unless another lockdown closes them.";
    open(review, about, "No Key, code or share changes.", format!("lifted {what}"), shell);
    Ok(())
}

fn named(doors: &[DoorRow]) -> String {
    match doors {
        [door] => door.name.clone(),
        some => format!("{} doors", some.len()),
    }
}

fn form(act: Act, title: String, fields: Vec<Field>, about: &[DoorRow], shell: &mut Shell) {
    let form = Form::new(ScreenId::Doors, act, title, fields);
    let form = about.iter().fold(form, |form, door| form.about(door.id.0, &door.name));
    shell.open(Dialog::Form(Box::new(form)));
}

fn open(mut review: Review, about: &str, nothing: &'static str, afterwards: String, shell: &mut Shell) {
    about.clone_into(&mut review.about);
    (review.nothing, review.afterwards) = (nothing, afterwards);
    shell.open(Dialog::Review(Box::new(review)));
}
