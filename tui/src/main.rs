//! keyward, the binary.

fn main() {}
