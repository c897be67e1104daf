//! Agent libraries: finding them, giving each a worker process, talking to it, starting it again.
//!
//! Reading order: [`Plugins`] (all libraries of the configuration) · [`Plugin`] (one of them) · `life` (its worker, from death to death), with
//! `jobs`, `runs`, `examinations` (what it is asked) and `comeback` (when the next worker starts) · `blame` (who brought one down), `record`
//! (how long a job is held back for it) · `story` (what the log tells of all that) · `live`, `process`, `watchdog` (one worker).

mod blame;
mod comeback;
mod descriptor;
mod examinations;
mod jobs;
mod library;
mod life;
mod live;
mod process;
mod record;
mod report;
mod runs;
mod story;
mod supervisor;
mod watchdog;

pub use library::{Plugins, Problem};
pub use report::{Crash, Report, WorkerState};
pub use supervisor::{JobOpen, Plugin, RunEnd, RunRequest};
