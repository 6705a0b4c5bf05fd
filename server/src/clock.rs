//! The server's clock: the one that decides (S5).

use std::time::{SystemTime, UNIX_EPOCH};

use keyward_protocol::time::Moment;

/// What tells the time. A test brings its own.
pub type Clock = std::sync::Arc<dyn Fn() -> Moment + Send + Sync>;

/// The system's clock.
pub fn system() -> Clock {
    std::sync::Arc::new(now)
}

/// Now, by the system's clock.
pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
