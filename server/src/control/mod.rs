//! The local administrator's socket.
