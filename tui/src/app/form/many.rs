//! A field for any number of things: found by a part of the name, put in and taken out one by one or all that match.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keyward_protocol::{
    limits::ROWS_PER_ANSWER_MAX,
    message::manage::{Answer, Rows},
};

use super::{Failure, Offer, Pick, Pickable, Shell, Ticket, fold};

/// Any number of things the server has.
#[derive(Clone, Debug)]
pub struct Many {
    pick: Pick,
    chosen: BTreeMap<u32, Offer>,
    none: &'static str,
    /// All that match are on their way, with what they were searched by.
    all: Option<(Ticket, String)>,
}

impl Many {
    pub(super) fn new(of: Pickable, none: &'static str) -> Many {
        Many { pick: Pick::new(of), chosen: BTreeMap::new(), none, all: None }
    }

    /// What is in it, by id.
    pub fn chosen(&self) -> impl Iterator<Item = &Offer> {
        self.chosen.values()
    }

    /// How many are in it.
    pub fn count(&self) -> usize {
        self.chosen.len()
    }

    /// Whether this one is in it.
    pub fn has(&self, id: u32) -> bool {
        self.chosen.contains_key(&id)
    }

    /// What it says while nothing is in it.
    pub fn none(&self) -> &'static str {
        self.none
    }

    /// What is typed and offered.
    pub fn pick(&self) -> &Pick {
        &self.pick
    }

    pub(super) fn put(&mut self, offers: Vec<Offer>) {
        self.chosen.extend(offers.into_iter().map(|offer| (offer.id, offer)));
    }

    pub(super) fn ask(&mut self, shell: &mut Shell) {
        self.pick.ask(shell);
    }

    pub(super) fn collects(&self) -> bool {
        self.all.is_some()
    }

    pub(super) fn expects(&self, ticket: Ticket) -> bool {
        self.pick.waiting == Some(ticket) || self.all.as_ref().is_some_and(|(all, _)| *all == ticket)
    }

    pub(super) fn answered(&mut self, answer: &Result<Answer, Failure>, shell: &mut Shell) {
        let Some((_, needle)) = self.all.take() else { return self.pick.answered(answer) };
        let Ok(answer) = answer else { return };
        self.put(self.pick.of.offers(answer, &needle));
        let next = match answer {
            Answer::Doors(list) => list.next,
            Answer::Keys(list) => list.next,
            Answer::People(list) => list.next,
            _ => None,
        };
        if let Some(after) = next {
            self.ask_all(needle, after, shell);
        }
    }

    /// Takes a key that does not leave the field; says whether it was for it.
    pub(super) fn key(&mut self, key: KeyEvent, shell: &mut Shell) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('a') {
            self.put_or_take_all(shell);
            return true;
        }
        self.pick.key(key)
    }

    /// Puts in what the cursor is on, or takes it out. Says whether there was anything to do that with.
    pub(super) fn enter(&mut self) -> bool {
        if self.pick.is_waiting() {
            return true;
        }
        let Some(offer) = self.pick.offered.get(self.pick.at) else { return false };
        if self.chosen.remove(&offer.id).is_none() {
            self.chosen.insert(offer.id, offer.clone());
        }
        true
    }

    /// Puts in all that match, those too that are not offered; takes all out where all that are offered are in already.
    fn put_or_take_all(&mut self, shell: &mut Shell) {
        let needle = self.pick.input.value().trim().to_owned();
        let offered = &self.pick.offered;
        if !offered.is_empty() && offered.iter().all(|offer| self.chosen.contains_key(&offer.id)) {
            let needle = fold(&needle);
            self.chosen.retain(|_, offer| !fold(&offer.name).contains(&needle));
        } else if self.all.is_none() {
            self.ask_all(needle, 0, shell);
        }
    }

    fn ask_all(&mut self, needle: String, after: u32, shell: &mut Shell) {
        let rows = Rows { search: needle.clone(), after, most: ROWS_PER_ANSWER_MAX };
        self.all = shell.ask_for_dialog(self.pick.of.request(rows)).map(|ticket| (ticket, needle));
    }
}
