//! Something that was read, is edited, and is something else by now (K12): what it is, beside what was entered.

use keyward_protocol::entry::{Command, Holiday};

use super::Dialog;

/// Said where a change was refused because of that.
pub const CHANGED: &str = "somebody changed it since you read it: nothing was done";

/// What is something else by now than it was, as it is now; with `hidden`, of nobody.
pub fn differs(was: &Command, now: &Command, hidden: bool) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut tell = |what: &str, was: String, now: String| {
        if was != now {
            let now = if now.is_empty() { "empty".to_owned() } else { format!("`{now}`") };
            told.push(format!("{what} is {now} now"));
        }
    };
    match (was, now) {
        (Command::EditPerson(_, was), Command::EditPerson(_, now)) if !hidden => {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            tell("Name", was.name.clone(), now.name.clone());
            tell("Email", was.email.clone(), now.email.clone());
            tell("Phone", text(&was.phone), text(&now.phone));
            tell("Note", text(&was.note), text(&now.note));
        }
        (Command::EditDoor(_, was), Command::EditDoor(_, now)) => {
            let vacancy = |occupied: bool| if occupied { "occupied" } else { "vacant" }.to_owned();
            tell("Name", was.name.clone(), now.name.clone());
            tell("Kind", was.kind.as_str().to_owned(), now.kind.as_str().to_owned());
            tell("Vacancy", vacancy(was.occupied), vacancy(now.occupied));
            tell("Labels", was.labels.join(", "), now.labels.join(", "));
        }
        (Command::EditSchedule(_, _, was, hours), Command::EditSchedule(_, _, now, hours_now)) => {
            tell("Name", was.clone(), now.clone());
            tell("Hours", hours.to_string(), hours_now.to_string());
        }
        (Command::SetHolidays(_, was), Command::SetHolidays(_, now)) => {
            let days = |days: &[Holiday]| {
                let day = |day: &Holiday| format!("{} {} to {}", day.name, day.from, day.to);
                days.iter().map(day).collect::<Vec<_>>().join("; ")
            };
            // Those that both have are nothing new.
            let rest = |these: &[Holiday], those: &[Holiday]| -> Vec<Holiday> {
                these.iter().filter(|day| !those.contains(day)).cloned().collect()
            };
            match (rest(was, now).as_slice(), rest(now, was).as_slice()) {
                (gone, []) => told.extend((!gone.is_empty()).then(|| format!("gone are: {}", days(gone)))),
                ([], new) => told.push(format!("new are: {}", days(new))),
                (gone, new) => told.push(format!("in place of {} there is {}", days(gone), days(new))),
            }
        }
        _ => {}
    }
    told.join(", ")
}

/// What [is something else](differs), as a sentence after another one.
pub fn told(was: &Command, now: &Command, hidden: bool) -> String {
    match differs(was, now, hidden) {
        told if told.is_empty() => String::new(),
        told => format!(". {told}"),
    }
}

/// What was entered, to be looked at once more: it starts from how things are now. `None` where what was edited is not
/// there any more.
pub fn again(mut entered: Dialog, now: Command, told: &str) -> Option<Dialog> {
    let problem = Some(format!("somebody changed it meanwhile{told}: Continue puts what stands here in its place"));
    match &mut entered {
        Dialog::Form(form) => {
            if let (Some(Command::SetHolidays(_, was)), Command::SetHolidays(_, now)) = (&form.read, &now) {
                // A holiday has no id: it is known by what it was, and its place may be another.
                for (place, _) in &mut form.subject {
                    let edited = was.get((*place as usize).saturating_sub(1))?;
                    *place = u32::try_from(now.iter().position(|day| day == edited)? + 1).ok()?;
                }
            }
            (form.problem, form.read) = (problem, Some(now));
        }
        Dialog::Week(week) => (week.problem, week.read) = (problem, Some(now)),
        _ => return None,
    }
    Some(entered)
}

#[cfg(test)]
mod tests {
    use keyward_protocol::{
        entry::PersonSpec,
        id::{PersonId, PropertyId},
        time::Date,
    };

    use super::*;

    #[test]
    fn only_what_is_something_else_is_told_as_it_is_now() {
        let person = |phone: Option<&str>, note: Option<&str>| {
            let (phone, note) = (phone.map(str::to_owned), note.map(str::to_owned));
            let (name, email, cards) = ("Tracy".to_owned(), "tracy@mail.example".to_owned(), Vec::new());
            Command::EditPerson(PersonId(1), PersonSpec { name, email, phone, note, cards })
        };
        let (was, now) = (person(Some("1"), Some("back door")), person(Some("2"), None));
        assert_eq!(differs(&was, &now, false), "Phone is `2` now, Note is empty now");
        assert_eq!((differs(&was, &was, false), told(&was, &now, true)), (String::new(), String::new()));
        let holidays = |names: &[&str]| {
            let day = Date { year: 2026, month: 12, day: 24 };
            let holiday = |name: &&str| Holiday { name: (*name).to_owned(), from: day, to: day };
            Command::SetHolidays(PropertyId(1), names.iter().map(holiday).collect())
        };
        let days = |was: &[&str], now: &[&str]| differs(&holidays(was), &holidays(now), false);
        assert_eq!(days(&["Eve"], &["Eve", "Boxing Day"]), "new are: Boxing Day 2026-12-24 to 2026-12-24");
        assert_eq!(days(&["Eve"], &[]), "gone are: Eve 2026-12-24 to 2026-12-24");
        assert!(days(&["Eve"], &["Christmas Eve"]).starts_with("in place of Eve "));
    }
}
