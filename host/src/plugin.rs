//! Agent libraries: finding them, giving each a worker process, talking to it, starting it again.
//!
//! Reading order: [`Plugins`] (all libraries of the configuration) · [`Plugin`] (one of them) · `life` (its worker, from death to death), with
//! `jobs`, `runs`, `examinations` (what it is asked), `comeback` (when the next worker starts) and `life::apart` (who is found out) · `blame` (who brought one down), `record`
//! (how long a job is held back for it, or quarantined) · `story` (what the log tells of all that) · [`Ward`] with [`Incident`] (what outlives
//! the worker, and who else is told) · [`trial`] (of a library that took over) · [`Sandboxes`] (how workers are confined) with `life::renewal`
//! (how one comes to be confined otherwise), `sessions` and `strays` (what their programs leave behind) · `source` (what it loads) · `live`, `process`, `watchdog` (one worker).

mod blame;
mod comeback;
mod descriptor;
mod examinations;
mod incident;
mod jobs;
mod library;
mod life;
mod live;
mod process;
mod record;
mod report;
mod runs;
mod sandbox;
mod sessions;
mod source;
mod story;
mod strays;
mod supervisor;
pub mod trial;
mod ward;
mod watchdog;

use std::time::SystemTime;

pub use incident::{Incident, What};
pub use library::{Plugins, Problem, is_library, libraries_of};
pub use report::{Apart, Crash, Held, Holding, Report, WorkerState};
pub use sandbox::Sandboxes;
pub use sessions::is_confined;
pub use source::Stamp;
pub(crate) use strays::lead as end_strays;
pub use supervisor::{JobOpen, Plugin, RunEnd, RunRequest, name_of};
pub use ward::Ward;

/// The wall clock, seconds since 1970.
fn seconds_now() -> u64 {
    seconds_of(SystemTime::now())
}

fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
