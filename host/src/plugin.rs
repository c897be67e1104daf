//! Agent libraries: finding them, giving each a worker process, talking to it, starting it again.
//!
//! Reading order: [`Plugins`] (all libraries of the configuration) · [`Plugin`] (one of them) · `supervisor` and `life` (how its worker lives).

mod crash;
mod descriptor;
mod library;
mod life;
mod live;
mod process;
mod report;
mod runs;
mod supervisor;
mod watchdog;

pub use library::{Plugins, Problem};
pub use report::{Crash, Report, WorkerState};
pub use supervisor::{JobOpen, Plugin, RunEnd, RunRequest};
