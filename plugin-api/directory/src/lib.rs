//! What agents that ask a directory share: LDAP (RFC 4511), from the connection to the entries that a search finds.
//!
//! Reading order: [`Keys`] (what a job says of a directory) · [`Directory`] (the way in: connection, encryption, bind) · [`Session`] (the
//! operations, each with its answer) · [`Search`], [`filter`] (what is asked) · [`message`], [`outcome`] (what crosses) · [`frames`],
//! [`ber`] (how).
//!
//! Nothing that a directory sends takes more room than it came in, no nesting is too deep, and no message is longer than 16 MiB.

pub mod ber;
mod entrance;
pub mod filter;
pub mod frames;
mod keys;
pub mod message;
pub mod outcome;
mod search;
mod session;

pub use entrance::Directory;
pub use keys::{Auth, Keys, Place, Who};
pub use search::{NUMBER_MAX, Scope, Search};
pub use session::Session;
