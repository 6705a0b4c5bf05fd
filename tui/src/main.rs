//! keyward, the binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyward::cli::run()
}
