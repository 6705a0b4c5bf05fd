//! `keyward-server`, built beside the tests that run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyward_server::cli::run()
}
