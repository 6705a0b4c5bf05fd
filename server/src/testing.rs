//! What several units' tests share.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::{
    disk::{Disk, Operation, Verdict, Witness},
    engine::{Layout, Medium},
};

/// A disk on which putting the first portfolio's vault right waits until the test says what becomes of it.
pub fn held_vault(layout: &Layout) -> (Medium, Sender<Verdict>) {
    let vault = layout.vault(keyward_protocol::id::PortfolioId(1));
    let (medium, _, say) = held(move |operation| matches!(operation, Operation::Sync(path) if path == vault));
    (medium, say)
}

/// A disk on which some operations wait: each is told when it has come, and done when the test says what becomes of it.
/// Once the test has let go of what it says that by, everything goes through.
pub fn held(holds: impl Fn(Operation<'_>) -> bool + Send + Sync + 'static) -> (Medium, Receiver<()>, Sender<Verdict>) {
    let (come, came) = crossbeam_channel::unbounded();
    let (say, said) = crossbeam_channel::bounded(1);
    let gate = Gate { holds: Box::new(holds), come, said };
    (Medium { disk: Disk::witnessed(Arc::new(gate)), ..Medium::default() }, came, say)
}

struct Gate {
    holds: Box<dyn Fn(Operation<'_>) -> bool + Send + Sync>,
    come: Sender<()>,
    said: Receiver<Verdict>,
}

impl Witness for Gate {
    fn before(&self, operation: Operation<'_>) -> Verdict {
        if !(self.holds)(operation) {
            return Verdict::Proceed;
        }
        // A test may not want to know.
        _ = self.come.send(());
        self.said.recv().unwrap_or(Verdict::Proceed)
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
