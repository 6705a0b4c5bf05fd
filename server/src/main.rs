//! keyward-server, the binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyward_server::cli::run()
}
