//! roundup, asked by its REST interface, and by its pages as a browser asks.

use serde_json::{Value, json};

use crate::{
    desk::{CHANNEL, Desk, Ticket, asked, credential, json, text},
    servers::Lab,
};

pub(crate) struct Roundup {
    origin: String,
    login: String,
}

impl Roundup {
    fn rest(&self, method: &str, path: &str, version: Option<&str>, body: Option<&Value>) -> Value {
        let (url, origin) = (format!("{}/tracker/rest/data{path}", self.origin), format!("Origin: {}", self.origin));
        let (body, version) = (body.map(Value::to_string), version.map(|version| format!("If-Match: {version}")));
        let mut words = vec!["--request", method, "--user", &self.login, "--header", &origin, "--header", "X-Requested-With: rest"];
        words.extend(version.iter().flat_map(|version| ["--header", version.as_str()]));
        words.extend(body.iter().flat_map(|body| ["--header", "Content-Type: application/json", "--data-binary", body.as_str()]));
        words.extend(["--globoff", &url]);
        json(&words)
    }

    fn issue(&self, id: &str) -> Value {
        self.rest("GET", &format!("/issue/{id}?@fields=title,status.name,assignedto.username,messages"), None, None)["data"].clone()
    }

    fn patch(&self, id: &str, body: &Value) {
        // Somebody else may have changed it in between.
        let version = text(&self.issue(id), "/@etag");
        self.rest("PATCH", &format!("/issue/{id}"), Some(&version), Some(body));
    }
}

impl Desk for Roundup {
    const SERVER: &'static str = "roundup";
    const PACKAGE: &'static str = "roundup";

    fn of(lab: &Lab) -> Self {
        let login = format!("alice:{}", credential(lab, Self::SERVER, "alice"));
        Self { origin: format!("http://127.0.0.1:{}", lab.port("roundup")), login }
    }

    fn channel(lab: &Lab) -> String {
        format!(
            "[[channel]]\nname = \"{CHANNEL}\"\ntype = \"ticket\"\nsystem = \"roundup\"\nurl = \"http://127.0.0.1:{}/tracker\"\n\
             user = \"watchpost\"\nsecret = {{ file = {:?} }}\n",
            lab.port("roundup"),
            lab.dir.join("roundup/credentials/watchpost"),
        )
    }

    fn tickets(&self) -> Vec<Ticket> {
        let found = self.rest("GET", "/issue?@fields=title,status.name,assignedto.username&@sort=id", None, None);
        let ticket = |item: &Value| Ticket {
            id: text(item, "/id"),
            title: text(item, "/title"),
            status: text(item, "/status.name"),
            owner: text(item, "/assignedto.username"),
        };
        found.pointer("/data/collection").and_then(Value::as_array).unwrap_or_else(|| panic!("{found}")).iter().map(ticket).collect()
    }

    fn texts(&self, id: &str) -> Vec<String> {
        let issue = self.issue(id);
        let messages = issue.pointer("/attributes/messages").and_then(Value::as_array).cloned().unwrap_or_default();
        let content = |message: &Value| {
            let message = self.rest("GET", &format!("/msg/{}?@fields=content&@verbose=3", text(message, "/id")), None, None);
            text(&message, "/data/attributes/content")
        };
        messages.iter().map(content).collect()
    }

    fn take(&self, id: &str) {
        self.patch(id, &json!({ "assignedto": "alice" }));
    }

    fn write(&self, id: &str, content: &str) {
        let made = self.rest("POST", "/msg", None, Some(&json!({ "content": content, "author": "alice", "date": "." })));
        self.patch(id, &json!({ "@op": "add", "messages": [text(&made, "/data/id")] }));
    }

    fn close(&self, id: &str) {
        self.patch(id, &json!({ "status": "resolved" }));
    }

    fn open(&self, id: &str) {
        self.patch(id, &json!({ "status": "in-progress" }));
    }

    fn page(&self, id: &str) -> String {
        asked(&["--location", &format!("{}/tracker/issue{id}", self.origin)])
    }
}
