//! Tickets in other people's systems: exactly one for each problem, with all that became of it, resolved when the problem ends.
//!
//! A system is described by a template file; whatever is asked of it is asked by requests that the file spells. What is to be said waits in
//! the outbox, as for every channel, and is done with when the ticket has it. In between, a ticket is taken from one state to the next by
//! questions that can be asked again: nothing is made before it was looked for.
//!
//! Reading order: [`pattern`] (texts with values in them, each made harmless) · [`template`] (a system, as a file describes it) · [`desk`]
//! (a system that is spoken to) · [`wire`] (how) · [`life`] (what a ticket needs next: the reconciler) · [`opening`] (what one says
//! that is opened for a situation) · [`store`] (what is known of tickets).

pub mod desk;
pub mod life;
pub mod opening;
pub mod pattern;
pub mod store;
pub mod template;
pub mod wire;
