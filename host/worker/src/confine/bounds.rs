//! Bounds of a worker's resources.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Confinement, DESCRIPTORS_MAX};

pub(super) fn apply(confinement: &Confinement) -> io::Result<()> {
    at_most(Resource::As, confinement.memory_bytes_max)?;
    at_most(Resource::Nofile, DESCRIPTORS_MAX)?;
    at_most(Resource::Core, 0)
}

/// Takes a bound, or the one there is if that is lower.
fn at_most(resource: Resource, most: u64) -> io::Result<()> {
    let bound = getrlimit(resource).maximum.map_or(most, |there| there.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })?)
}
