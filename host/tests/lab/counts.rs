//! What servers publish of themselves and what the kernel knows of them: each figure grows by just what was done, as others count it, too.
//!
//! Reading order: `talk` (what is done to a server, line by line) · `figures` (what a job measures) · then a file for each server.

mod connections;
mod directory;
mod dovecot;
mod figures;
mod names;
mod talk;

pub(crate) use dovecot::auth_never_answers;
use figures::Measured;
pub(crate) use talk::Talk;

use crate::{harness::House, servers::Lab};

/// A lab, and jobs that are measured on request.
struct Counting {
    house: House,
    lab: Lab,
}

impl Counting {
    /// Starts a lab; `None` where it cannot be had.
    fn start() -> Option<Self> {
        let lab = Lab::up()?;
        let jobs = [dovecot::jobs(&lab), connections::jobs(&lab), names::jobs(&lab), directory::jobs(&lab)].concat();
        Some(Self { house: House::new(&jobs), lab })
    }

    /// What a job measures now; it has to end well.
    fn measure(&self, job: &str) -> Measured {
        Measured::of(&self.house, job)
    }
}

/// A job of a schedule.
fn job(name: &str, agent: &str, config: &str) -> String {
    format!("[[job]]\nname = \"{name}\"\nagent = \"{agent}\"\nevery = \"10s\"\ntimeout = \"4s\"\nconfig = {{ {config} }}\n\n")
}
