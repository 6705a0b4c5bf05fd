//! keyward-server, the binary.

fn main() {}
