//! What is done with Keys themselves, beside giving, revoking and moving them.

use keyward_protocol::{entry::Command, message::manage::KeyRow};

use super::{Keys, ScreenId, Shell, draft::Draft, matrix::Matrix, schedules::Schedules};
use crate::{
    app::{
        Dialog,
        review::{Review, Step},
        screen::holding::{GIVE, MOVE, REVOKE},
    },
    keymap::{Act, Binding, act, letter, write},
};

pub const NEW: Act = Act("new Key");
pub const EDIT: Act = Act("edit Key");
pub const DUPLICATE: Act = Act("duplicate Key");
pub const DELETE: Act = Act("delete Key");
pub const SCHEDULES: Act = Act("schedules");
pub const DELIVERIES: Act = Act("deliveries");
pub const MATRIX: Act = Act("matrix");

pub const BINDINGS: &[Binding] = &[
    write(&[letter('g')], "g", GIVE, Some("give"), "give the Key to somebody"),
    write(&[letter('r')], "r", REVOKE, Some("revoke"), "revoke the Key; what would follow is shown first"),
    write(&[letter('m')], "m", MOVE, Some("move"), "move holders to another Key, codes kept where both have the door"),
    write(&[letter('e')], "e", EDIT, Some("edit"), "edit doors, rules and hours; what would follow is shown first"),
    write(&[letter('n')], "n", NEW, Some("new"), "a new Key"),
    write(&[letter('d')], "d", DUPLICATE, None, "a new Key that begins as a copy of this one"),
    write(&[letter('D')], "D", DELETE, None, "delete the Key, which revokes it from everyone"),
    act(&[letter('S')], "S", SCHEDULES, None, "the named schedules, and the holidays"),
    act(&[letter('v')], "v", MATRIX, None, "people and doors against each other"),
    write(&[letter('O')], "O", DELIVERIES, None, "opt in to automated deliveries, or out"),
];

impl Keys {
    pub(super) fn do_act(&mut self, act: Act, shell: &mut Shell) {
        let Some(property) = shell.property else { return };
        match act {
            NEW => {
                let draft = Draft::empty(property, self.schedules.clone());
                shell.open(Dialog::Form(Box::new(draft.name_form())));
                self.over = Some(Box::new(draft));
            }
            EDIT | DUPLICATE => {
                let Some(facts) = self.detail().and_then(|detail| detail.facts.as_ref()) else {
                    return shell.say("the Key is not here yet");
                };
                let draft = Draft::of_key(facts, act == DUPLICATE, self.schedules.clone());
                if act == DUPLICATE {
                    shell.open(Dialog::Form(Box::new(draft.name_form())));
                }
                self.over = Some(Box::new(draft));
            }
            DELETE => {
                if let Some(key) = self.key() {
                    review_delete(key, shell);
                }
            }
            SCHEDULES => self.over = Some(Box::new(Schedules::of(property))),
            MATRIX => self.over = Some(Box::new(Matrix::of(property))),
            DELIVERIES => review_deliveries(shell),
            _ => {}
        }
    }
}

fn review_delete(key: &KeyRow, shell: &mut Shell) {
    let title = format!("DELETE \"{}\"", key.name);
    let step = Step::new(key.name.clone(), Command::DeleteKey(key.id));
    let mut review = Review::new(ScreenId::Keys, title, vec![step]);
    review.about = "It is revoked from everyone in the same step. Deleted codes never come back.".to_owned();
    review.nothing = "Nobody holds it.";
    review.afterwards = format!("deleted \"{}\"", key.name);
    shell.open(Dialog::Review(Box::new(review)));
}

fn review_deliveries(shell: &mut Shell) {
    let Some(property) = shell.property_row() else { return };
    let (id, name, out) = (property.id, property.name.clone(), property.system_keys > 0);
    let step = Step::new(name.clone(), Command::SetDeliveries(id, !out));
    let (title, about, done) = match out {
        true => ("OPT OUT OF DELIVERIES", "The Deliveries Key goes: carriers open nothing here any more.", "out of"),
        false => ("OPT IN TO DELIVERIES", "Carriers open the doors labelled `deliveries`, always.", "in to"),
    };
    let mut review = Review::new(ScreenId::Keys, format!("{title}: {name}"), vec![step]);
    review.about = about.to_owned();
    review.nothing = "Nobody's Key, code or share changes.";
    review.afterwards = format!("{name} is opted {done} automated deliveries");
    shell.open(Dialog::Review(Box::new(review)));
}
