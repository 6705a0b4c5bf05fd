//! The rules, pure: no clock, no files, no network, no randomness of its own.
