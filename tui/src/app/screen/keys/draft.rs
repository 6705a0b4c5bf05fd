//! A Key as it is being written: doors by list and by rule, each with its hours. Nothing is sent until it is reviewed.

use std::collections::BTreeMap;

use keyward_protocol::{
    entry::{Command, DoorKind, DoorRule, KeyDoor, KeySpec, Opening, ScheduleRef},
    id::{DoorId, KeyId, PropertyId, ScheduleId},
    message::manage::{Answer, KeyDetail, Request, Rows},
};

use super::super::{Screen, ScreenId, Shell, Step, hours};
use crate::{
    app::{
        Dialog,
        form::{Field, Filled, Form, Offer, Pickable},
        list::{List, Row, SortKey},
        review::{Review, Step as ReviewStep},
    },
    keymap::{Act, Action, Binding, act, letter, write},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
    },
};

/// Adds doors.
pub const ADD: Act = Act("add doors");
/// Adds a rule.
pub const RULE: Act = Act("add rule");
const CHANGE: Act = Act("change entry");
const TAKE_OUT: Act = Act("take out");
/// Names it.
pub const NAME: Act = Act("name Key");
const UNDO: Act = Act("undo");
/// Saves it.
pub const SAVE: Act = Act("save Key");

/// The draft's own chords.
pub const BINDINGS: &[Binding] = &[
    write(&[letter('a')], "a", ADD, Some("add doors"), "add doors, all with the same hours"),
    write(&[letter('A')], "A", RULE, Some("add rule"), "add doors by what they are: kind, vacancy, labels"),
    write(&[letter('e')], "e", CHANGE, Some("hours"), "the hours of what is marked; a rule as a whole"),
    write(&[letter('x')], "x", TAKE_OUT, Some("take out"), "take out what is marked"),
    write(&[letter('N')], "N", NAME, Some("name"), "name, and whether givings may share it unless told otherwise"),
    act(&[letter('u')], "u", UNDO, None, "undo the last change of the draft"),
    write(&[letter('s')], "s", SAVE, Some("save"), "save it; what would follow is shown first"),
];

const OVERTAKEN: &str = "somebody else changed the Key since: leave the draft and begin anew";
const KINDS: [&str; 6] = ["any", "entrance", "amenity", "service", "unit", "office"];
const VACANCIES: [&str; 3] = ["any", "vacant", "occupied"];
const CODES: [&str; 2] = ["yes", "no code here"];

/// One line of the draft.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    place: u32,
    /// A door's name, or a rule in words.
    pub what: String,
    /// Whether it is a rule.
    pub by_rule: bool,
    /// When.
    pub opening: Opening,
}

impl Row for Line {
    fn id(&self) -> u32 {
        self.place
    }

    fn texts(&self) -> Vec<&str> {
        vec![&self.what]
    }

    fn sort_key(&self, _: usize) -> SortKey {
        SortKey::Text
    }
}

/// The draft.
#[derive(Clone, Debug)]
pub struct Draft {
    property: PropertyId,
    /// The Key that is edited; `None`: a new one.
    base: Option<KeyId>,
    spec: KeySpec,
    names: BTreeMap<DoorId, String>,
    schedules: hours::Schedules,
    lines: List<Line>,
    needle: String,
    /// What it was before each change.
    before: Vec<KeySpec>,
    /// Leaving was tried once, and would lose the changes.
    warned: bool,
    /// As the Key was when the draft began.
    original: KeySpec,
    /// Whether it still is like that is being asked, or is to be.
    stale: bool,
    asked: Option<Ticket>,
    /// The review opens when it is known that the Key is as it was.
    saving: bool,
    /// The names of doors that rules leave out: the Key doesn't tell them.
    names_asked: Option<Ticket>,
    /// Somebody else changed the Key since.
    overtaken: bool,
}

impl Draft {
    /// An empty Key.
    pub fn empty(property: PropertyId, schedules: hours::Schedules) -> Draft {
        let spec = KeySpec { name: String::new(), may_share: false, doors: Vec::new(), rules: Vec::new() };
        Draft::of(property, None, spec, BTreeMap::new(), schedules)
    }

    /// The Key as it is, to be edited; or, as another Key, to begin with.
    pub fn of_key(key: &KeyDetail, duplicate: bool, schedules: hours::Schedules) -> Draft {
        let mut spec = spec_of(key);
        if duplicate {
            spec.name.push_str(" copy");
        }
        let names = key.opens.iter().map(|open| (open.door, open.name.clone())).collect();
        Draft::of(key.property, (!duplicate).then_some(key.row.id), spec, names, schedules)
    }

    fn of(
        property: PropertyId,
        base: Option<KeyId>,
        spec: KeySpec,
        names: BTreeMap<DoorId, String>,
        schedules: hours::Schedules,
    ) -> Draft {
        let (lines, needle, before) = (List::default(), String::new(), Vec::new());
        let original = spec.clone();
        let mut draft = Draft {
            property,
            base,
            spec,
            names,
            schedules,
            lines,
            needle,
            before,
            warned: false,
            original,
            stale: false,
            asked: None,
            saving: false,
            names_asked: None,
            overtaken: false,
        };
        draft.list(0);
        draft
    }

    /// The lines.
    pub fn lines(&self) -> &List<Line> {
        &self.lines
    }

    /// As it stands.
    pub fn spec(&self) -> &KeySpec {
        &self.spec
    }

    /// Whether a new Key is made.
    pub fn is_new(&self) -> bool {
        self.base.is_none()
    }

    /// An opening in words.
    pub fn hours(&self, opening: Opening) -> String {
        hours::told(&self.schedules, &[opening])
    }

    /// The form that a draft opens with: a Key has a name.
    pub fn name_form(&self) -> Form {
        let may_share = usize::from(self.spec.may_share);
        let fields = vec![
            Field::line("Name", "no two Keys of the property have the same").with(Filled::Text(self.spec.name.clone())),
            Field::choice("May share", &["no, unless the giving says so", "yes, unless the giving says otherwise"])
                .with(Filled::Word(may_share)),
        ];
        Form::new(ScreenId::Keys, NAME, if self.is_new() { "NEW KEY" } else { "NAME OF THE KEY" }, fields)
    }

    fn list(&mut self, height: usize) {
        let door = |entry: &KeyDoor| {
            let name = self.names.get(&entry.door).cloned().unwrap_or_else(|| entry.door.to_string());
            (name, false, entry.opening)
        };
        let rule = |rule: &DoorRule| (hours::rule(rule), true, rule.opening);
        let lines = self.spec.doors.iter().map(door).chain(self.spec.rules.iter().map(rule));
        let lines = (1..).zip(lines).map(|(place, (what, by_rule, opening))| Line { place, what, by_rule, opening });
        self.lines.unmark();
        self.lines.replace(lines.collect(), height);
    }

    /// Changes the draft, so that it can be undone.
    fn change(&mut self, shell: &Shell, change: impl FnOnce(&mut KeySpec)) {
        let before = self.spec.clone();
        change(&mut self.spec);
        if self.spec != before {
            self.before.push(before);
        }
        self.list(height(shell));
    }

    /// The lines that are marked or under the cursor: places among the doors, and among the rules.
    fn chosen(&self) -> (Vec<usize>, Vec<usize>) {
        let places = self.lines.chosen().into_iter().map(|line| (line.place as usize).saturating_sub(1));
        let doors = self.spec.doors.len();
        let (listed, ruled): (Vec<usize>, Vec<usize>) = places.partition(|place| *place < doors);
        (listed, ruled.into_iter().map(|place| place - doors).collect())
    }

    fn do_act(&mut self, act: Act, shell: &mut Shell) {
        let (doors, rules) = self.chosen();
        match act {
            ADD => {
                let fields = [Field::many("Doors", Pickable::Doors(self.property), "none yet")];
                self.open(ADD, "ADD DOORS", fields.into_iter().chain(self.opening_fields(None)).collect(), shell);
            }
            RULE => self.open(RULE, "ADD A RULE", self.rule_fields(None), shell),
            CHANGE => match (doors.as_slice(), rules.as_slice()) {
                ([], []) => shell.say("there is nothing to change"),
                ([], [rule]) => {
                    let rule = self.spec.rules.get(*rule);
                    self.open(CHANGE, "THE RULE", self.rule_fields(rule), shell);
                }
                (doors, rules) => {
                    let first = doors.first().and_then(|door| self.spec.doors.get(*door)).map(|door| door.opening);
                    let title = match doors.len() + rules.len() {
                        1 => "HOURS".to_owned(),
                        some => format!("HOURS OF {some} ENTRIES"),
                    };
                    self.open(CHANGE, &title, self.opening_fields(first), shell);
                }
            },
            TAKE_OUT => self.change(shell, |spec| {
                let keeps = |gone: &[usize], place: usize| !gone.contains(&place);
                let mut place = 0..;
                spec.doors.retain(|_| place.next().is_some_and(|place| keeps(&doors, place)));
                let mut place = 0..;
                spec.rules.retain(|_| place.next().is_some_and(|place| keeps(&rules, place)));
            }),
            NAME => shell.open(Dialog::Form(Box::new(self.name_form()))),
            UNDO => match self.before.pop() {
                Some(before) => {
                    self.spec = before;
                    self.list(height(shell));
                }
                None => shell.say("nothing was changed yet"),
            },
            // A Key is saved as a whole: whether somebody else changed it is looked at first.
            SAVE if self.base.is_some() => (self.saving, self.stale, self.asked) = (true, true, None),
            SAVE => self.review(shell),
            _ => {}
        }
    }

    fn review(&self, shell: &mut Shell) {
        let name = self.spec.name.clone();
        let (command, title, done) = match self.base {
            None => (Command::MakeKey(self.property, self.spec.clone()), "NEW KEY", "made"),
            Some(key) => (Command::EditKey(key, self.spec.clone()), "EDIT", "edited"),
        };
        let title = format!("{title} \"{name}\"");
        let was = self.base.map(|key| Command::EditKey(key, self.original.clone()));
        let step = ReviewStep::new(name.clone(), command).since(was);
        let mut review = Review::new(ScreenId::Keys, title, vec![step]);
        review.about = match self.base {
            None => {
                format!("Nobody holds it yet: {} gives it.", shell.chord(ScreenId::Keys, Action::Act(super::GIVE)))
            }
            Some(_) => "It acts for everyone who holds it, at once and as a whole.".to_owned(),
        };
        review.nothing = "Nobody gains or loses a door, and no code changes.";
        review.afterwards = format!("{done} \"{name}\"");
        shell.open(Dialog::Review(Box::new(review)));
    }

    fn open(&self, act: Act, title: &str, fields: Vec<Field>, shell: &mut Shell) {
        shell.open(Dialog::Form(Box::new(Form::new(ScreenId::Keys, act, title, fields))));
    }

    fn opening_fields(&self, opening: Option<Opening>) -> Vec<Field> {
        let opening = opening.unwrap_or(Opening { schedule: ScheduleRef::Always, code: true });
        let id = match opening.schedule {
            ScheduleRef::Always => 0,
            ScheduleRef::Named(id) => id.0,
        };
        let name = hours::schedule(&self.schedules, opening.schedule);
        let offer = Offer { id, name, note: String::new() };
        vec![
            Field::pick("Hours", Pickable::Schedules(self.property)).with(Filled::Offer(offer)),
            Field::choice("Door code", &CODES).with(Filled::Word(usize::from(!opening.code))),
        ]
    }

    fn rule_fields(&self, rule: Option<&DoorRule>) -> Vec<Field> {
        let kind = rule.and_then(|rule| rule.kind).and_then(|kind| DoorKind::ALL.iter().position(|one| *one == kind));
        let vacancy = match rule.and_then(|rule| rule.occupied) {
            None => 0,
            Some(occupied) => 1 + usize::from(occupied),
        };
        let labels = rule.map(|rule| rule.labels.join(", ")).unwrap_or_default();
        let except = rule.map(|rule| rule.except.as_slice()).unwrap_or_default().iter().map(|door| {
            let name = self.names.get(door).cloned().unwrap_or_else(|| door.to_string());
            Offer { id: door.0, name, note: String::new() }
        });
        let fields = vec![
            Field::choice("Kind", &KINDS).with(Filled::Word(kind.map_or(0, |kind| kind + 1))),
            Field::choice("Units", &VACANCIES).with(Filled::Word(vacancy)),
            Field::line("Labels", "any; or all of these, between commas").with(Filled::Text(labels)),
            Field::many("But not", Pickable::Doors(self.property), "no door").with(Filled::Offers(except.collect())),
        ];
        fields.into_iter().chain(self.opening_fields(rule.map(|rule| rule.opening))).collect()
    }

    /// Doors, or a change of hours, were entered; from field `first` on stands when.
    fn entered(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        match form.act {
            ADD => {
                let opening = opening(form, 1)?;
                let picked = form.picked_many(0);
                if picked.is_empty() {
                    return Err("put doors in first: Enter does, Ctrl-a all that match".to_owned());
                }
                self.names.extend(picked.iter().map(|door| (DoorId(door.id), door.name.clone())));
                self.change(shell, |spec| {
                    for door in picked.iter().map(|door| DoorId(door.id)) {
                        // A door stands once in a Key (K4).
                        spec.doors.retain(|entry| entry.door != door);
                        spec.doors.push(KeyDoor { door, opening });
                    }
                });
            }
            RULE => {
                let rule = rule(form)?;
                self.change(shell, |spec| spec.rules.push(rule));
            }
            CHANGE if form.fields.len() > 2 => {
                let (rule, (_, places)) = (rule(form)?, self.chosen());
                self.change(shell, |spec| {
                    let place = places.first().and_then(|place| spec.rules.get_mut(*place));
                    place.into_iter().for_each(|place| *place = rule.clone());
                });
            }
            CHANGE => {
                let (opening, (doors, rules)) = (opening(form, 0)?, self.chosen());
                self.change(shell, |spec| {
                    for (place, door) in spec.doors.iter_mut().enumerate() {
                        if doors.contains(&place) {
                            door.opening = opening;
                        }
                    }
                    for (place, rule) in spec.rules.iter_mut().enumerate() {
                        if rules.contains(&place) {
                            rule.opening = opening;
                        }
                    }
                });
            }
            NAME => {
                let (name, may_share) = (form.text(0).to_owned(), form.choice(1) == 1);
                if name.is_empty() {
                    return Err("a Key has a name".to_owned());
                }
                self.change(shell, |spec| (spec.name, spec.may_share) = (name, may_share));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The Key as it would be entered.
/// The Key as it would be entered.
pub fn spec_of(key: &KeyDetail) -> KeySpec {
    let row = &key.row;
    KeySpec { name: row.name.clone(), may_share: row.may_share, doors: key.listed.clone(), rules: key.rules.clone() }
}

/// When, in two fields of a form of which the first is `field`.
fn opening(form: &Form, field: usize) -> Result<Opening, String> {
    let picked = form.picked(field).ok_or("choose the hours")?;
    let schedule = match picked.id {
        0 => ScheduleRef::Always,
        id => ScheduleRef::Named(ScheduleId(id)),
    };
    Ok(Opening { schedule, code: form.choice(field + 1) == 0 })
}

fn rule(form: &Form) -> Result<DoorRule, String> {
    let kind = form.choice(0).checked_sub(1).and_then(|kind| DoorKind::ALL.get(kind).copied());
    let occupied = form.choice(1).checked_sub(1).map(|word| word == 1);
    let labels = form.text(2).split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned);
    // By id, as they have to be.
    let except = form.picked_many(3).iter().map(|door| DoorId(door.id)).collect();
    Ok(DoorRule { kind, occupied, labels: labels.collect(), except, opening: opening(form, 4)? })
}

fn height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::LIST)
}

impl Screen for Draft {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn crumbs(&self) -> Vec<String> {
        let what = if self.is_new() { "new Key" } else { "edit" };
        vec!["Keys".to_owned(), what.to_owned(), self.spec.name.clone()]
    }

    fn summary(&self, _: &Shell) -> Vec<String> {
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            some => format!("{some} {what}s"),
        };
        let told = format!("{}, {}", count(self.spec.doors.len(), "door"), count(self.spec.rules.len(), "rule"));
        let draft = match (self.overtaken, self.before.is_empty()) {
            (true, _) => "CHANGED BY SOMEBODY ELSE",
            (false, true) => "not changed",
            (false, false) => "NOT SAVED",
        };
        vec![format!("{told}  {draft}"), draft.to_owned()]
    }

    fn wants(&self) -> Wants {
        Wants::LIST
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::keys::draft(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        if let (true, None, Some(key)) = (self.stale, self.asked, self.base) {
            self.asked = shell.ask(ScreenId::Keys, Request::Key(key));
            self.stale = self.asked.is_none();
        }
        let unnamed = self.spec.rules.iter().flat_map(|rule| &rule.except).any(|door| !self.names.contains_key(door));
        if unnamed && self.names_asked.is_none() {
            self.names_asked = shell.ask(ScreenId::Keys, Request::Doors(self.property, Rows::all()));
        }
    }

    /// The draft stays as it is; whether the Key does is asked.
    fn refresh(&mut self, _: &mut Shell) {
        (self.stale, self.asked) = (true, None);
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        if let (Ok(Answer::Doors(list)), true) = (&answer, self.names_asked == Some(ticket)) {
            self.names.extend(list.rows.iter().map(|row| (row.id, row.name.clone())));
        }
        if self.asked != Some(ticket) {
            return;
        }
        self.asked = None;
        let saving = std::mem::take(&mut self.saving);
        self.overtaken = match answer {
            Ok(Answer::Key(key)) => spec_of(&key) != self.original,
            // It is gone, or not ours any more.
            Err(Failure::Refused(_)) => true,
            Err(failure) if saving => return shell.warn(format!("not saved: {failure}")),
            _ => return,
        };
        match (self.overtaken, saving) {
            (true, _) => shell.warn(OVERTAKEN),
            (false, true) => self.review(shell),
            (false, false) => {}
        }
    }

    fn forget(&mut self, _: &mut Shell) {}

    fn done(&mut self, _: &mut Shell) -> bool {
        true
    }

    fn forbidden(&self, action: Action, _: &Shell) -> Option<String> {
        let empty = self.spec.doors.is_empty() && self.spec.rules.is_empty();
        match action {
            Action::Act(SAVE) if self.overtaken => Some(OVERTAKEN.to_owned()),
            Action::Act(SAVE) if self.spec.name.is_empty() => Some("a Key has a name: N".to_owned()),
            Action::Act(SAVE) if empty => Some("a Key has doors or rules: a, A".to_owned()),
            Action::Act(CHANGE | TAKE_OUT) if self.lines.selected().is_none() => {
                Some("there is nothing here to do that with".to_owned())
            }
            _ => None,
        }
    }

    fn enters(&self) -> Option<Act> {
        Some(CHANGE)
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        (self.warned, self.saving) = (false, false);
        match action {
            Action::Act(act) => self.do_act(act, shell),
            Action::Open => self.do_act(CHANGE, shell),
            Action::Mark => self.lines.mark(height(shell)),
            Action::Range => self.lines.range(),
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        self.entered(form, shell)
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        self.warned = false;
        self.lines.step(step, height(shell));
    }

    fn settle(&mut self, shell: &mut Shell) {
        self.lines.settle(height(shell));
    }

    fn filtered(&self) -> &str {
        &self.needle
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        needle.clone_into(&mut self.needle);
        self.lines.filter(needle, height(shell));
    }

    /// Changes are not lost by one chord.
    fn back(&mut self, shell: &mut Shell) -> bool {
        let stays = !self.before.is_empty() && !self.warned;
        if stays {
            self.warned = true;
            let saves = shell.chord(ScreenId::Keys, Action::Act(SAVE));
            shell.warn(format!("the draft is not saved: once more leaves it, {saves} saves it"));
        }
        stays
    }

    fn unmark(&mut self) -> bool {
        self.lines.unmark()
    }

    fn marked(&self) -> usize {
        self.lines.marked()
    }

    fn copied(&self, _: &Shell) -> Option<String> {
        self.lines.selected().map(|line| line.what.clone())
    }
}
