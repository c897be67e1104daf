//! What agents that ask by DNS share: a question, its way over datagrams, connections and TLS, and the answer in words.
//!
//! Reading order: [`Question`] (what is asked) · [`Query`] (one question under way) · [`exchange`] (how it travels) · [`Answer`],
//! [`Record`] (what came back) · [`Server`] (who is asked) ·
//! [`together`] (several at once).
//!
//! What answers is hostile: answers that do not belong to the question are passed over, a bounded number of them; those that break off or
//! cannot be read are errors. One question is sent once; who wants to ask again does so.

mod answer;
pub mod exchange;
mod query;
mod server;
mod together;

pub use answer::{Answer, Record, in_words};
pub use query::{Query, Question};
pub use server::Server;
pub use together::together;
