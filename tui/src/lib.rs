//! The operator terminal of keyward.
