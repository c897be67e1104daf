//! What agents that read logs share: following a log over rotation, or systemd's journal, cutting it into lines, reading the heads of lines.
//!
//! Reading order: [`Source`] (a file or the journal) · [`Journal`] (the journal, by `journalctl`) · [`Log`] (a log that is followed, run by run) · [`Place`] (how far it has been read, kept in a cursor) · [`Told`] (what a
//! run found on its way) · `rotated` (which files are the log's older part) · `reader` (bytes of a file, compressed or not) ·
//! `lines` (bytes cut into lines) · [`head`] (stamp, host and program before the message).
//!
//! Every line is given once. A file is known by device and inode, and by the bytes before the place that was read to, so that a log that
//! was cut, copied, compressed or replaced under the same number is noticed. Times of the clock decide nothing.

pub mod head;
mod journal;
mod kept;
mod lines;
mod log;
mod mark;
mod place;
mod reader;
mod rotated;
mod source;
pub mod text;

pub use journal::{Journal, JournalConfig, JournalPlace};
pub use kept::{keep, kept};
pub use lines::Line;
pub use log::{From, Log, Told, given_up};
pub use mark::Mark;
pub use memchr;
pub use place::Place;
pub use source::{Choice, Position, Source};
