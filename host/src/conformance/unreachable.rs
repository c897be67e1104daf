//! The configuration of a job whose target is not there.
//!
//! What a target is, nobody says in so many words: it is where `host` and `port`, an address or a URL lead to, and where there is none of
//! these, what a path leads to.

use std::{io, net::TcpListener};

use serde_json::Value;
use watchpost_plugin_api::PATH_MARK;

/// Where nobody is.
const NOWHERE: &str = "127.0.0.1";
/// Keys that hold a name or an address, and maybe a port after it.
const HOSTS: [&str; 2] = ["host", "resolver"];

/// A port on which nobody listens.
pub(super) struct Closed {
    port: u16,
}

impl Closed {
    /// Finds one: the system gives a port that was just left to nobody else for a while.
    pub(super) fn find() -> io::Result<Self> {
        Ok(Self { port: TcpListener::bind((NOWHERE, 0))?.local_addr()?.port() })
    }
}

/// Leads a configuration to where nobody is; none if it leads nowhere that could be told.
pub(super) fn without_target(config: &Value, schema: &Value, closed: &Closed) -> Option<Value> {
    let mut elsewhere = config.clone();
    if lead_away(&mut elsewhere, closed) {
        return Some(elsewhere);
    }
    let paths = paths(schema);
    let Value::Object(keys) = &mut elsewhere else { return None };
    let mut changed = false;
    for (key, value) in keys {
        if let (true, Value::String(text)) = (paths.contains(&key.as_str()), value) {
            text.push_str(".not-there");
            changed = true;
        }
    }
    changed.then_some(elsewhere)
}

/// Changes every host, port, address and URL, at any depth, each of them; says whether there was one.
fn lead_away(config: &mut Value, closed: &Closed) -> bool {
    match config {
        Value::Array(items) => items.iter_mut().filter_map(|item| lead_away(item, closed).then_some(())).count() > 0,
        Value::Object(keys) => {
            let has_host = keys.get("host").is_some_and(Value::is_string);
            let led = keys.iter_mut().filter_map(|(key, value)| led_away(key, value, closed).then_some(())).count();
            if has_host {
                keys.insert("port".into(), closed.port.into());
            }
            led > 0 || has_host
        }
        _ => false,
    }
}

fn led_away(key: &str, value: &mut Value, closed: &Closed) -> bool {
    match value {
        Value::String(text) if key == "host" => *text = NOWHERE.into(),
        Value::String(text) if HOSTS.contains(&key) => *text = format!("{NOWHERE}:{}", closed.port),
        Value::String(text) => match text.split_once("://") {
            Some((scheme, rest)) => {
                let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
                *text = format!("{scheme}://{NOWHERE}:{}{path}", closed.port);
            }
            None => return false,
        },
        Value::Number(_) if key == "port" => *value = closed.port.into(),
        other => return lead_away(other, closed),
    }
    true
}

/// The keys whose value is a path.
fn paths(schema: &Value) -> Vec<&str> {
    let keys = schema.get("properties").and_then(Value::as_object);
    keys.into_iter().flatten().filter(|(_, key)| holds_mark(key)).map(|(name, _)| name.as_str()).collect()
}

fn holds_mark(schema: &Value) -> bool {
    match schema {
        Value::Object(keys) => keys.contains_key(PATH_MARK) || keys.values().any(holds_mark),
        Value::Array(items) => items.iter().any(holds_mark),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_is_led_to_where_nobody_is() {
        let schema =
            json!({ "properties": { "log": { "anyOf": [{ "type": "string", PATH_MARK: true }] }, "ca_file": { PATH_MARK: true } } });
        let check = |config: Value, expected: Option<Value>| {
            assert_eq!(without_target(&config, &schema, &Closed { port: 9 }), expected, "{config}");
        };
        check(json!({ "host": "mx1", "ca_file": "/ca" }), Some(json!({ "host": "127.0.0.1", "port": 9, "ca_file": "/ca" })));
        check(json!({ "url": "https://a.test:8443/x?y" }), Some(json!({ "url": "https://127.0.0.1:9/x?y" })));
        check(json!({ "url": "http://a.test" }), Some(json!({ "url": "http://127.0.0.1:9" })));
        check(json!({ "resolver": "192.0.2.53" }), Some(json!({ "resolver": "127.0.0.1:9" })));
        let nested = json!({ "receive": { "imap": { "host": "a", "port": 143 } }, "from": "a@b" });
        check(nested, Some(json!({ "receive": { "imap": { "host": "127.0.0.1", "port": 9 } }, "from": "a@b" })));
        check(json!({ "log": "/var/log/mail.log" }), Some(json!({ "log": "/var/log/mail.log.not-there" })));
        check(json!({ "local": [25, 587] }), None);
    }
}
