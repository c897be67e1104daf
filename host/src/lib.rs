//! The daemon and its command line.
//!
//! Reading order, along the one flow: [`config`] (files to checked jobs) · [`schedule`] (when a job is due) · [`plugin`] (who measures) ·
//! [`reading`] (what is journaled) · [`series`] (RRD files) · [`latest`] and [`expose`] (what consoles scrape) · [`console`] (what people see) ·
//! [`daemon`] (all of it running) · [`cli`] (the commands).

pub mod config;
pub mod plugin;
pub mod reading;
pub mod schedule;
