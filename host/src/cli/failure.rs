//! How commands fail: in one form, `error: what failed: why`, and with the exit code that says whose fault it is.

use std::{fmt, process::ExitCode};

use clap::error::ErrorKind;

use super::as_check;
use crate::config::Faults;

/// What a command comes to.
pub(super) type Outcome = Result<(), Failure>;

/// How a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The thing failed: exit 1.
    Failed(Trouble),
    /// Wrong usage or configuration: exit 2.
    Wrong(Trouble),
    /// The configuration has faults: exit 2.
    Faults(Faults),
    /// Told already: this exit code.
    Told(u8),
}

/// One error as people read it.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What failed: `cannot run job `relay``.
    what: String,
    /// Why, and what would help.
    why: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What others say may hold anything.
        write!(f, "{}: {}", crate::plain(&self.what), crate::plain(&self.why))
    }
}

impl Failure {
    /// The thing failed, for this reason.
    pub(super) fn failed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Failed(Trouble { what: what.into(), why: why.into() })
    }

    /// Wrong usage or configuration, for this reason.
    pub(super) fn wrong(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Wrong(Trouble { what: what.into(), why: why.into() })
    }

    /// The thing failed, by this error.
    pub(super) fn of(what: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self::failed(what, crate::chain(error))
    }

    /// Tells what was not told yet, and gives the exit code.
    pub(super) fn tell(self) -> ExitCode {
        let code = match &self {
            Self::Failed(trouble) => {
                eprintln!("error: {trouble}");
                1
            }
            Self::Wrong(trouble) => {
                eprintln!("error: {trouble}");
                2
            }
            Self::Faults(faults) => {
                eprintln!("{faults}");
                2
            }
            Self::Told(code) => *code,
        };
        ExitCode::from(code)
    }
}

/// Tells what is wrong with the arguments, or the help that was asked for.
pub(super) fn refused(refusal: &clap::Error) -> ExitCode {
    if !refusal.use_stderr() || refusal.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _nobody_reads = refusal.print();
    } else {
        // In our own form, and without the colours that clap would give to a terminal.
        let text = refusal.render().to_string();
        eprint!("error: wrong usage: {}", text.strip_prefix("error: ").unwrap_or(&text));
    }
    // To Nagios, 2 would be a verdict on the target.
    let as_check = std::env::args().any(|argument| argument == "--as-check");
    if as_check && refusal.use_stderr() {
        println!("{}", as_check::unknown_line("wrong usage; standard error says why"));
    }
    ExitCode::from(match (refusal.use_stderr(), as_check) {
        (false, _) => 0,
        (true, true) => 3,
        (true, false) => 2,
    })
}
