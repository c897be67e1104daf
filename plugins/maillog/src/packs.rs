//! What the lines of each server's log mean.

use crate::{
    config::{Config, Format},
    tally::{Seen, Tally, Total},
};

mod domino;
mod dovecot;
mod exchange;
mod exim;
mod intermail;
mod opensmtpd;
mod postfix;
mod sendmail;

/// Names the classes of a pack: `classes! { Connect = "connect", … }`.
macro_rules! classes {
    ($($class:ident = $name:literal,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Class {
            $($class,)+
        }

        impl Class {
            const NAMES: &[&str] = &[$($name),+];
            const FITS: () = assert!(Self::NAMES.len() <= $crate::tally::CLASSES_MAX);
        }

        impl From<Class> for $crate::tally::Seen {
            fn from(class: Class) -> Self {
                let () = Class::FITS;
                Self::Class(class as u8)
            }
        }
    };
}
use classes;

/// Reads the lines of one server's log.
pub(crate) trait Pack {
    /// Names of the classes, in order of their numbers.
    const CLASSES: &[&str];
    /// The totals that this log tells; of others nothing is known.
    const TOTALS: &[Total];

    /// Says what a line is, and adds what it tells.
    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen;

    /// What the next run has to know beside the totals; some 40,000 bytes at most, for a cursor has 64 KiB.
    fn keep(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Goes on with what the last run kept.
    fn go_on(&mut self, kept: &[u64]) {
        let _ = kept;
    }
}

macro_rules! packs {
    ($($format:ident($pack:path),)+) => {
        /// The pack of a job.
        #[expect(clippy::large_enum_variant, reason = "there is one for each run, and a box would cost each line a step more")]
        pub(crate) enum AnyPack {
            $($format($pack),)+
        }

        impl AnyPack {
            pub(crate) fn new(config: &Config) -> Self {
                match config.format {
                    $(Format::$format => Self::$format(<$pack>::new(config)),)+
                }
            }

            pub(crate) fn classes(&self) -> &'static [&'static str] {
                match self {
                    $(Self::$format(_) => <$pack as Pack>::CLASSES,)+
                }
            }

            pub(crate) fn totals(&self) -> &'static [Total] {
                match self {
                    $(Self::$format(_) => <$pack as Pack>::TOTALS,)+
                }
            }

            /// Says whether this job's log tells a total; InterMail's depends on the configuration, Dovecot's on what it was told to log.
            pub(crate) fn tells(&self, total: Total, tally: &Tally) -> bool {
                match self {
                    Self::Intermail(pack) => pack.tells(total),
                    Self::Dovecot(_) => dovecot::tells(total, tally),
                    _ => true,
                }
            }

            #[inline]
            pub(crate) fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
                match self {
                    $(Self::$format(pack) => pack.line(line, tally),)+
                }
            }

            pub(crate) fn keep(&self) -> Vec<u64> {
                match self {
                    $(Self::$format(pack) => pack.keep(),)+
                }
            }

            pub(crate) fn go_on(&mut self, kept: &[u64]) {
                match self {
                    $(Self::$format(pack) => pack.go_on(kept),)+
                }
            }
        }
    };
}

packs! {
    Postfix(postfix::Postfix),
    Dovecot(dovecot::Dovecot),
    Exim(exim::Exim),
    Sendmail(sendmail::Sendmail),
    Opensmtpd(opensmtpd::Opensmtpd),
    Exchange(exchange::Exchange),
    Domino(domino::Domino),
    Intermail(intermail::Intermail),
}

/// Says whether a process is the one that a configuration names, or one of its parts: `postfix-in` is that instance with all its services,
/// `pop3` is `pop3-login` too, and `postfix/smtp` is not `postfix/smtpd`.
fn named(process: &[u8], name: &str) -> bool {
    process.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
}

/// A warning or worse, by how a message begins.
fn severity<C>(message: &[u8], [warning, error, fatal, panic]: [C; 4]) -> Option<C> {
    let begins = |word: &[u8]| message.starts_with(word);
    match message.first()? {
        b'w' if begins(b"warning: ") => Some(warning),
        b'e' if begins(b"error: ") => Some(error),
        b'f' if begins(b"fatal: ") => Some(fatal),
        b'p' if begins(b"panic: ") => Some(panic),
        _ => None,
    }
}
