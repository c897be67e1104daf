//! What a test asks of any system of tickets: as an onlooker, and as a person who works there.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::{programs, servers::Lab};

/// On a busy machine everything has happened by then.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// Name of the channel.
pub(crate) const CHANNEL: &str = "desk";

/// A ticket, as the system tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) status: String,
    pub(crate) owner: String,
}

/// A system of tickets. What changes it is done by alice, who works there.
pub(crate) trait Desk {
    /// Its server in the lab.
    const SERVER: &'static str;
    /// The package that brings it.
    const PACKAGE: &'static str;
    /// What it calls a ticket that is resolved.
    const RESOLVED: &'static str = "resolved";

    fn of(lab: &Lab) -> Self;

    /// What the channel says of it.
    fn channel(lab: &Lab) -> String;

    /// All its tickets.
    fn tickets(&self) -> Vec<Ticket>;

    /// What is written into a ticket, the oldest first.
    fn texts(&self, id: &str) -> Vec<String>;

    fn take(&self, id: &str);

    fn write(&self, id: &str, text: &str);

    fn close(&self, id: &str);

    fn open(&self, id: &str);

    /// What a browser gets.
    fn page(&self, id: &str) -> String;
}

/// The lab with a system of tickets and a name server; `None`, and a line that says why, where it cannot be had.
pub(crate) fn lab<D: Desk>() -> Option<Lab> {
    let lab = Lab::of(&[("named", "bind9"), (D::SERVER, D::PACKAGE)], &["named", D::SERVER])?;
    Some(lab)
}

/// Runs a story on each system.
macro_rules! on_each {
    ($($story:ident),+ $(,)?) => {
        mod request_tracker {
            $(#[test] fn $story() { super::$story::<crate::request_tracker::RequestTracker>(); })+
        }
        mod roundup {
            $(#[test] fn $story() { super::$story::<crate::roundup::Roundup>(); })+
        }
    };
}
pub(crate) use on_each;

/// What opens the system to somebody.
pub(crate) fn credential(lab: &Lab, server: &str, who: &str) -> String {
    fs::read_to_string(lab.dir.join(server).join("credentials").join(who)).unwrap().trim().to_owned()
}

/// Asks by HTTP; the answer has to be a success.
pub(crate) fn asked(words: &[&str]) -> String {
    let output = programs::run("curl", &[&["--silent", "--show-error", "--fail-with-body", "--max-time", "30"], words].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "curl {words:?}: {said} {}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The same, for JSON.
pub(crate) fn json(words: &[&str]) -> Value {
    let said = asked(words);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("curl {words:?}: {error}: {said}"))
}

/// A text at a place, nothing where there is none.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
