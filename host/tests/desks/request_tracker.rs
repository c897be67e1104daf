//! Request Tracker, asked by its REST interface, and by its pages as a browser asks.

use serde_json::{Value, json};

use crate::{
    desk::{CHANNEL, Desk, Ticket, asked, credential, json, text},
    servers::Lab,
};

pub(crate) struct RequestTracker {
    url: String,
    token: String,
    password: String,
}

impl RequestTracker {
    fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (url, authorization) = (format!("{}/REST/2.0{path}", self.url), format!("Authorization: token {}", self.token));
        let body = body.map(Value::to_string);
        let mut words = vec!["--request", method, "--header", &authorization, "--globoff", &url];
        if let Some(body) = &body {
            words.extend(["--header", "Content-Type: application/json", "--data-binary", body]);
        }
        json(&words)
    }

    fn items(&self, path: &str) -> Vec<Value> {
        let answer = self.rest("GET", path, None);
        answer["items"].as_array().unwrap_or_else(|| panic!("{path}: {answer}")).clone()
    }

    /// Makes one ticket of two.
    pub(crate) fn merge(&self, id: &str, into: &str) {
        let answer = self.rest("PUT", &format!("/ticket/{id}"), Some(&json!({ "MergeInto": into.parse::<u64>().unwrap() })));
        assert!(answer.to_string().contains("Merge"), "{answer}");
    }

    /// Changes a ticket; RT says in its answer whether it was done.
    fn put(&self, id: &str, body: &Value) {
        let answer = self.rest("PUT", &format!("/ticket/{id}"), Some(body));
        assert!(answer.to_string().contains(" changed from "), "{answer}");
    }
}

impl Desk for RequestTracker {
    const SERVER: &'static str = "request-tracker";
    const PACKAGE: &'static str = "request-tracker5";

    fn of(lab: &Lab) -> Self {
        Self {
            url: format!("http://127.0.0.1:{}", lab.port("rt")),
            token: credential(lab, Self::SERVER, "alice"),
            password: credential(lab, Self::SERVER, "alice-password"),
        }
    }

    fn channel(lab: &Lab) -> String {
        format!(
            "[[channel]]\nname = \"{CHANNEL}\"\ntype = \"ticket\"\nsystem = \"request-tracker\"\nurl = \"http://127.0.0.1:{}\"\n\
             secret = {{ file = {:?} }}\nsettings = {{ queue = \"Mail\" }}\n",
            lab.port("rt"),
            lab.dir.join("request-tracker/credentials/watchpost"),
        )
    }

    fn tickets(&self) -> Vec<Ticket> {
        let found = self.items("/tickets?query=id%3E0&fields=Subject,Status,Owner&orderby=id&per_page=100");
        let ticket = |item: &Value| Ticket {
            id: text(item, "/id"),
            title: text(item, "/Subject"),
            status: text(item, "/Status"),
            owner: text(item, "/Owner/id").replace("Nobody", ""),
        };
        found.iter().map(ticket).collect()
    }

    fn texts(&self, id: &str) -> Vec<String> {
        let found = self.items(&format!("/ticket/{id}/attachments?fields=Content&orderby=id&per_page=100"));
        found.iter().map(|item| text(item, "/Content")).collect()
    }

    fn take(&self, id: &str) {
        let answer = self.rest("PUT", &format!("/ticket/{id}/take"), Some(&json!({})));
        assert!(answer.to_string().contains("alice"), "{answer}");
    }

    fn write(&self, id: &str, text: &str) {
        self.rest("POST", &format!("/ticket/{id}/comment"), Some(&json!({ "Content": text, "ContentType": "text/plain" })));
    }

    fn close(&self, id: &str) {
        self.put(id, &json!({ "Status": "resolved" }));
    }

    fn open(&self, id: &str) {
        self.put(id, &json!({ "Status": "open" }));
    }

    fn page(&self, id: &str) -> String {
        let jar = tempfile::NamedTempFile::new().unwrap();
        let (jar, password) = (jar.path().display().to_string(), format!("pass={}", self.password));
        let login = format!("{}/NoAuth/Login.html", self.url);
        asked(&[
            "--location",
            "--cookie",
            &jar,
            "--cookie-jar",
            &jar,
            "--data-urlencode",
            "user=alice",
            "--data-urlencode",
            &password,
            &login,
        ]);
        let history = format!("{}/Ticket/History.html?id={id}", self.url);
        asked(&["--location", "--referer", &format!("{}/", self.url), "--cookie", &jar, "--cookie-jar", &jar, &history])
    }
}
