//! The daemon's log: one line for each change of state, as text for people or as JSON for programs.
//!
//! Reading order: [`start`] (what is written, and how) · `line` (one event, made harmless) · [`quota`] (what changes too often) ·
//! [`repeats`] (what is said again) · [`trouble`] (what lasts).
//!
//! Fields mean the same wherever they stand: `job`, `plugin`, `agent` are names, `pid` is a worker's process, `kind` is how a run failed,
//! `since` and `next` are instants (RFC 3339, UTC), and what ends in `_s` is seconds.

mod line;
pub mod quota;
pub mod repeats;
pub mod trouble;

use std::{
    any::Any,
    io::{IsTerminal, stderr},
    panic,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use tracing::{error, subscriber::set_global_default};
use tracing_subscriber::{EnvFilter, fmt};

use line::{Json, Text};
use quota::Quota;

pub use line::{instant, instant_of, seconds};

/// Panics that are told in a minute; the rest are counted.
const PANICS_A_MINUTE: u32 = 10;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people: time, level, message, then fields as `key=value`.
    Text,
    /// For programs: an object with `timestamp`, `level`, `target` (what said it, as filters name it) and `message`, then the fields.
    Json,
}

/// Writes the log of this process to standard error from now on; a panic is a line of it, too.
pub fn start(form: Form, filter: EnvFilter) {
    let lines = fmt().with_env_filter(filter).with_writer(stderr);
    // Not `init`, which would also take what libraries say through the crate `log`, under a target that is none.
    let _started_before = match form {
        Form::Text => set_global_default(lines.event_format(Text { colours: colours() }).finish()),
        Form::Json => set_global_default(lines.event_format(Json).finish()),
    };
    let told = Mutex::new(Quota::a_minute(PANICS_A_MINUTE));
    panic::set_hook(Box::new(move |panicked| {
        let (mut told, now) = (told.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let more = told.settle(now);
        if more.is_none() && !told.admits(now) {
            return;
        }
        drop(told);
        let place = panicked.location().map(ToString::to_string);
        error!(thread = thread::current().name(), place, more, "a part of the daemon panicked: {}", said(panicked.payload()));
    }));
}

/// Whether whoever reads takes colours. Source: no-color.org.
fn colours() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stderr().is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("it did not say why")
}

/// What is logged meanwhile, by this thread.
#[cfg(test)]
pub(crate) fn lines_of(meanwhile: impl FnOnce()) -> Vec<serde_json::Value> {
    line::written(Json, meanwhile).lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}
