//! The worker: loads one agent library and runs its agents, apart from the daemon and from every other library.
//!
//! Reading order: [`frames`] (what daemon and worker say to each other) · [`page`] (what survives a crash) · [`trust`] and
//! [`precheck`] (what a file must pass before it is loaded) · [`snapshot`] (what of it is loaded) · [`confine`] (what the kernel lets it
//! touch) · [`load`] · [`serve`].

pub mod confine;
pub mod frames;
pub mod load;
pub mod page;
pub mod precheck;
pub mod serve;
pub mod snapshot;
pub mod trust;
