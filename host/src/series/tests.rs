//! Stories of series: readings in, Debian's rrdtool beside it, answers out.

mod agreement;
mod bounds;
mod crash;
mod dropped;
mod outside;
mod property;
mod reader;
mod reshaped;
mod rig;
mod ring;
mod rrdtool;
mod year;
