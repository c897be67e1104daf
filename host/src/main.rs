//! `watchpost`: the daemon and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    watchpost::cli::main()
}
