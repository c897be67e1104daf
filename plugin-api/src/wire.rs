//! What crosses as JSON; unknown fields are ignored on both sides, so either may be newer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ConfigFault, Level, Needs, RecordType, Resolver, Severity};

/// What there is to an [`AgentError`](crate::AgentError) beside kind, message and path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MoreOfError {
    /// What else is wrong with the configuration.
    pub others: Vec<ConfigFault>,
}

/// What a checked configuration says of its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// The label `target`.
    pub target: String,
    /// What the job will touch.
    pub needs: Needs,
    /// Whether a lost run may be repeated.
    pub repeatable: bool,
}

/// What [`Cx::resolve`](crate::Cx::resolve) asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resolve {
    /// The name, or an address.
    pub name: String,
    /// Which records.
    pub record: RecordType,
    /// Who is asked.
    pub resolver: Resolver,
}

/// What [`Cx::event`](crate::Cx::event) tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Event {
    /// How bad.
    pub severity: Severity,
    /// A short stable word to count by.
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// What [`Cx::log`](crate::Cx::log) tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Log {
    /// How loud.
    pub level: Level,
    /// One line.
    pub text: String,
}

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To the target.
    Sent,
    /// From the target.
    Received,
}

/// What [`Cx::note_sent`](crate::Cx::note_sent) and [`Cx::note_received`](crate::Cx::note_received) tell.
#[derive(Debug, Serialize, Deserialize)]
pub struct Note {
    /// Which way it went.
    pub way: Way,
    /// What it was, in words; one line.
    pub text: String,
}

/// What [`Cx::scan`](crate::Cx::scan) and [`Cx::scan_names`](crate::Cx::scan_names) ask.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scan {
    /// The directory.
    pub path: PathBuf,
    /// Whether the names are enough.
    pub names_only: bool,
}

/// A piece of a directory; entries are [`DirEntry`](crate::DirEntry) or [`Named`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Scanned<T> {
    /// Some entries; none at all is possible.
    pub entries: Vec<T>,
    /// Whether there are no more.
    pub last: bool,
}

/// An entry whose name is enough.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Exit, FileKind, FileStat, HttpHead, HttpRequest, Program, Tls, TlsFacts};

    fn check<T: DeserializeOwned + Serialize>(known: Value) {
        let mut newer = known.clone();
        newer["of-tomorrow"] = json!([{ "x": 1 }]);
        let read: T = serde_json::from_value(newer).unwrap_or_else(|error| panic!("{known}: {error}"));
        assert_eq!(serde_json::to_value(read).unwrap(), known);
    }

    #[test]
    fn what_a_newer_side_adds_is_ignored() {
        let stat = json!({ "device": 1, "inode": 2, "size": 3, "kind": "file", "mode": 4, "user": 5, "group": 6, "modified": 7 });
        assert_eq!(serde_json::from_value::<FileStat>(stat.clone()).unwrap().kind, FileKind::File);
        check::<FileStat>(stat);
        check::<Scan>(json!({ "path": "/a", "names_only": true }));
        check::<Scanned<Named>>(json!({ "entries": [{ "name": "a" }], "last": true }));
        check::<Exit>(json!({ "code": 1, "signal": null }));
        check::<MoreOfError>(json!({ "others": [{ "path": "a", "message": "b" }] }));
        let facts = json!({ "version": "TLSv1.3", "cipher": "c", "alpn": null, "chain": [], "verdict": "valid" });
        check::<TlsFacts>(facts.clone());
        check::<HttpHead>(json!({
            "status": 200, "reason": "", "version": "HTTP/1.1", "headers": [["a", "b"]], "reused": false, "peer": null, "tls": facts,
            "times": { "begun": 1, "resolved": null, "connected": 2, "secured": null, "sent": 3, "answered": 4 },
        }));
    }

    #[test]
    fn what_an_older_side_leaves_out_has_its_usual_value() {
        let request: HttpRequest = serde_json::from_value(json!({ "method": "GET", "url": "http://a/" })).unwrap();
        assert_eq!(request, HttpRequest::get("http://a/"));
        let program: Program = serde_json::from_value(json!({ "path": "/bin/true" })).unwrap();
        assert!(program == Program::new("/bin/true"));
        assert_eq!(serde_json::from_value::<Tls>(json!({ "server_name": "a" })).unwrap(), Tls::verify("a"));
        assert_eq!(serde_json::from_value::<Needs>(json!({})).unwrap(), Needs::none());
    }
}
