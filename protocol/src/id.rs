//! Ids: one newtype for each kind of thing, so that a door can't be passed where a Key is meant.
//!
//! Ids are numbered from 1 within a portfolio and never used again; 0 means "none" wherever an id is packed
//! into a fixed layout.

use core::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($repr:ty) $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
        )]
        pub struct $name(pub $repr);

        impl $name {
            /// Stands for "none" in fixed layouts; never given to a thing.
            pub const NONE: $name = $name(0);

            /// This id, unless it is [`Self::NONE`].
            pub fn some(self) -> Option<Self> {
                (self.0 != 0).then_some(self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

ids! {
    /// Everything one customer runs. Known to the server and its certificates only.
    PortfolioId(u32) "portfolio-";
    /// One site.
    PropertyId(u32) "property-";
    /// One lock of one property.
    DoorId(u32) "door-";
    /// A contact of the portfolio.
    PersonId(u32) "person-";
    /// A Key: doors of one property with their schedules.
    KeyId(u32) "key-";
    /// One person holding one Key. The number is the place among givings (U2): earlier made is smaller.
    GivingId(u32) "giving-";
    /// A guest's access. The number is the place among shares (U2).
    ShareId(u32) "share-";
    /// A named schedule of a property.
    ScheduleId(u32) "schedule-";
    /// A lockdown of a property or of some of its doors (U8).
    LockdownId(u32) "lockdown-";
    /// A lock's or gateway's registered identity (U3).
    LockId(u32) "lock-";
    /// A delivery partner, set up by whoever runs the server.
    CarrierId(u32) "carrier-";
    /// A door code that was made; never used again.
    CodeId(u64) "code-";
    /// A token that somebody may join with once.
    TokenId(u32) "token-";
    /// A key that proves somebody to be a lock, an operator or a holder.
    IdentityId(u32) "identity-";
}
