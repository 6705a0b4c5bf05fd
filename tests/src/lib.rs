//! keyward's end-to-end tests stand in `tests/`; this crate builds the binaries that they run.
