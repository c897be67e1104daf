//! The journal: an append-only log of opaque records, each acknowledged only once it is fdatasynced.
//!
//! Reading order, bottom up:
//!
//! 1. [`Position`]: the number of a record. `record`: its bytes. `segment`: a file of records.
//! 2. `directory`, `format`: what lies in the folder, and how names and versions become durable.
//! 3. `recovery`: what was found at the start. Nothing in the folder is ever cut or deleted for being damaged.
//! 4. `queue`, `writer`: records come in, groups go out, one fdatasync each. `medium`: the four calls that can fail.
//! 5. `durable`: what readers may see. [`Reader`]: them. [`ConsumerPosition`]: how far each has come.
//! 6. [`Journal`]: all of it behind one handle.
//!
//! The folder:
//!
//! ```text
//! format                     version and salt, text
//! lock                       held by the one writing process
//! 0000000000000000.segment   named by the first position it may hold
//! consumers/<name>           the position up to which <name> has done its work, text
//! quarantine/                copies of damaged bytes, for people to look at
//! ```

mod consumer;
mod counters;
mod directory;
mod durable;
mod format;
mod journal;
mod lock;
mod medium;
mod position;
mod queue;
mod reader;
mod record;
mod recovery;
mod segment;
mod source;
mod window;
mod writer;

#[cfg(test)]
mod faults;

pub use consumer::{ConsumerError, ConsumerPosition};
pub use counters::Counters;
pub use durable::{Horizon, State, Subscription};
pub use journal::{CloseError, DropError, Journal, OpenError, Options};
pub use position::Position;
pub use queue::{AppendError, Done, Ticket, WaitError};
pub use reader::{ReadError, Reader};
pub use recovery::{Loss, Quarantined, Recovery, Unreadable};
pub use segment::{ParsedSegment, RecordAt, SegmentHeader, parse_segment};
pub use writer::WriteError;
