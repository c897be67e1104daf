//! What can go wrong here, and which exit code says so.

use std::error::Error as _;
use std::{fmt, io};

/// What a step of the work gives.
pub(crate) type Outcome<T = ()> = Result<T, Error>;

/// A step that did not succeed; one variant per reaction.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line is wrong; the text says what would be right.
    Usage(String),
    /// The system refused something.
    Io { doing: String, source: io::Error },
    /// A program ended badly.
    Program { program: String, why: String },
    /// The work cannot or must not be done here; the text says why.
    Refused(String),
    /// Somebody pressed Ctrl-C or asked us to end.
    Interrupted,
}

impl Error {
    /// The exit code of the whole command: 2 for wrong usage, 130 as shells say it for Ctrl-C.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Interrupted => 130,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(text) | Error::Refused(text) => f.write_str(text),
            Error::Io { doing, .. } => write!(f, "cannot {doing}"),
            Error::Program { program, why } => write!(f, "{program}: {why}"),
            Error::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Names the step that an [`io::Error`] stopped: `fs::read(p).map_err(doing("read the zone"))`.
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let doing = what.into();
    move |source| Error::Io { doing, source }
}

/// Prints an error and its causes on one line of standard error.
pub(crate) fn print(error: &Error) {
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        eprint!(": {next}");
        cause = next.source();
    }
    eprintln!();
}
