//! Stories of series: readings in, Debian's rrdtool beside it, answers out.

mod agreement;
mod bounds;
mod coarse;
mod crash;
mod dropped;
mod entered;
mod imported;
mod interrupted;
mod migration;
mod outside;
mod parts;
mod property;
mod reader;
mod renamed;
mod reshaped;
mod rig;
mod ring;
mod rrdtool;
mod year;
