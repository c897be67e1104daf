//! Series: what of the journal becomes RRD files, and how it is read again.
//!
//! Reading order, along the flow: [`layout`] (which cells of which files a reading fills), [`plan`] (the rows that this takes),
//! [`row`], [`shape`], [`archive`] and [`keeping`] (what a file is made of), [`name`], [`writer`] and [`librrd`] (who writes it), [`header`]
//! (what is checked before), [`catalogue`] (true names), [`gap`] (why there is no value), [`checkpoint`] (what a crash goes back to), [`store`] (the journal's consumer);
//! back again: [`selector`], [`meant`] and
//! [`time`] (what is asked), [`fetch`] (what is answered), [`band`] (what is usual beside it), [`output`] (as which text),
//! `notes` (what is said besides); [`trend`] and [`quantity`] (where a series
//! goes, and what it is not to reach); [`outside`] (files that somebody names by their paths); [`import`] (files of other programs).

pub mod archive;
pub mod band;
pub mod catalogue;
pub mod checkpoint;
pub mod drop;
pub mod error;
pub mod fetch;
pub mod gap;
mod gate;
pub mod graph;
pub mod header;
pub mod import;
pub mod keeping;
pub mod layout;
pub mod librrd;
pub mod listing;
pub mod meant;
mod migrate;
pub mod name;
pub mod needs;
pub(crate) mod notes;
pub mod output;
pub mod outside;
pub mod plan;
pub mod quantity;
pub mod rename;
pub mod request;
pub mod row;
pub mod selector;
pub mod shape;
pub mod store;
pub mod time;
pub mod trend;
mod update;
pub mod writer;

/// A place in the journal; later records have greater ones.
pub type Position = u64;

#[cfg(test)]
mod tests;
