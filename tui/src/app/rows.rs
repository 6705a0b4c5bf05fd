//! The server's rows as rows of [lists](super::list): one place for all screens.

use keyward_protocol::message::{
    admission::{IdentityRow, TokenRow},
    manage::{
        CodeRow, DoorKeyRow, DoorRow, HeldRow, HolderRow, KeyOpens, KeyRow, LockRow, PersonRow, ScheduleRow, WhoRow,
    },
};

use super::list::{Row, SortKey};

macro_rules! count {
    () => { 0 };
    ($first:ident $($rest:ident)*) => { 1 + count!($($rest)*) };
}

macro_rules! rows {
    ($($(#[$doc:meta])* $row:ty, $id:ident, [$($text:ident),*], [$($number:ident),*];)*) => {$(
        $(#[$doc])*
        impl Row for $row {
            fn id(&self) -> u32 {
                self.$id.0
            }

            fn texts(&self) -> Vec<&str> {
                vec![$(&self.$text),*]
            }

            fn sort_key(&self, sort: usize) -> SortKey {
                let numbers: [SortKey; count!($($number)*)] = [$(SortKey::Number(self.$number)),*];
                match sort.checked_sub(1).and_then(|sort| numbers.into_iter().nth(sort)) {
                    Some(number) => number,
                    None => SortKey::Text,
                }
            }

            // Columns are called like the counts that they show.
            fn sort_column(sort: usize) -> Option<&'static str> {
                let names: [&str; count!($($number)*)] = [$(stringify!($number)),*];
                names.get(sort.checked_sub(1)?).copied()
            }
        }
    )*};
}

// Sort 0 is by name; then by the counts that are named last, highest first.
rows! {
    KeyRow, id, [name], [doors, people];
    KeyOpens, door, [name], [];
    HolderRow, giving, [name, email], [];
    HeldRow, giving, [name], [];
    /// A person has one code at a door.
    CodeRow, door, [name], [];
    PersonRow, id, [name, email], [keys];
    DoorKeyRow, key, [name], [];
    WhoRow, person, [name, email], [];
    DoorRow, id, [name], [keys, codes];
    ScheduleRow, id, [name], [keys];
    LockRow, id, [name], [];
    IdentityRow, id, [name, label], [];
    TokenRow, id, [name], [];
}
