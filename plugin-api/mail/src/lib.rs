//! What agents that send or fetch mail share: sessions of SMTP, IMAP and POP3, from the door to the farewell.
//!
//! Reading order: [`smtp`], [`imap`], [`pop3`], each with its `Client` (who enters, and how) and its `Session` (what is said inside) ·
//! [`date`] (times as mail writes them).
//!
//! A session times nothing itself: its client ends a lap after each step of entering, and whoever says more ends those.
//! What a server says is bounded, quoted when it is shown, and never taken for more than it is.

pub mod date;
pub mod imap;
pub mod pop3;
pub mod smtp;
