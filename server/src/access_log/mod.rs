//! The access log: every attempt, granted or denied, recorded before it is answered (L1).
