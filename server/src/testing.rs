//! What several units' tests share.

use std::{path::PathBuf, sync::Arc};

use crossbeam_channel::{Receiver, Sender};

use crate::{
    disk::{Disk, Operation, Verdict, Witness},
    engine::{Layout, Medium},
};

/// A disk on which putting the first portfolio's vault right waits until the test says what becomes of it.
pub fn held_vault(layout: &Layout) -> (Medium, Sender<Verdict>) {
    let (say, said) = crossbeam_channel::bounded(1);
    let vault = layout.vault(keyward_protocol::id::PortfolioId(1));
    (Medium { disk: Disk::witnessed(Arc::new(Gate { vault, said })), ..Medium::default() }, say)
}

struct Gate {
    vault: PathBuf,
    said: Receiver<Verdict>,
}

impl Witness for Gate {
    fn before(&self, operation: Operation<'_>) -> Verdict {
        match operation {
            // Once the test has let go of it, everything goes through.
            Operation::Sync(path) if path == self.vault => self.said.recv().unwrap_or(Verdict::Proceed),
            _ => Verdict::Proceed,
        }
    }
}

/// A small site: two people, one of whom hosts the other, two doors, one carrier's label.
pub const SITE: &str = r#"keyward = 1
[portfolio]
name = "Harbor"
managers = ["ana@harbor.example"]
[[person]]
name = "Ana"
email = "ana@harbor.example"
cards = ["04a2"]
[[person]]
name = "Tracy"
email = "tracy@mail.example"
[[person]]
name = "Sam"
email = "sam@mail.example"
[[property]]
name = "Main"
time_zone = "America/New_York"
deliveries = true
  [[property.door]]
  name = "Door 1"
  kind = "entrance"
  labels = ["deliveries"]
  [[property.door]]
  name = "Door 2"
  kind = "amenity"
  [[property.schedule]]
  name = "business"
  windows = ["daily 08:00-18:00"]
  [[property.key]]
  name = "Key A"
  doors = [{ door = "Door 1", schedule = "always" }, { door = "Door 2", schedule = "always" }]
  [[property.key]]
  name = "Key B"
  doors = [{ door = "Door 1", schedule = "always" }, { door = "Door 2", schedule = "always" }]
  [[property.giving]]
  key = "Key A"
  person = "tracy@mail.example"
  may_share = true
  [[property.share]]
  key = "Key A"
  host = "tracy@mail.example"
  guest = "sam@mail.example"
"#;
