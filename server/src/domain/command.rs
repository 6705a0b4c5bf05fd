//! What can be asked of the engine: the words are the protocol's, everything in them is checked by
//! [`decide`](super::decide).

pub use keyward_protocol::entry::{Command, DoorSpec, KeySpec, Period, PersonSpec, PropertySpec};
