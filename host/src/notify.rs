//! Who is told of alarms, and by what.
//!
//! A step of an alarm's life is written into the outbox in the transaction that makes it; from there each channel takes what is its own,
//! in order for each alarm, and again until it is delivered: at least once, with the same id each time.
//!
//! Reading order: [`route`] (who is told of what) · [`person`] and [`roster`] (who there is, and when) · [`outbox`] (what waits to be told) · [`channel`] (what tells) · [`text`] and [`language`] (in which
//! words) · [`vocabulary`] (which labels alarms can have) · one file for each way: [`mail`], [`webhook`], [`alertmanager`], [`snmp`], [`syslog`], [`exec`], [`opcmsg`], [`icinga2`] (the present instead of steps); [`http`] carries two of them ·
//! [`why_not`] (what decided).

pub mod alertmanager;
pub mod channel;
pub mod exec;
pub mod http;
pub mod icinga2;
pub mod language;
pub mod mail;
pub mod opcmsg;
pub mod outbox;
pub mod person;
pub mod roster;
pub mod route;
pub mod snmp;
pub mod syslog;
#[cfg(test)]
mod tests;
pub mod text;
pub mod vocabulary;
pub mod webhook;
pub mod why_not;
