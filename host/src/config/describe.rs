//! What an agent can be told, as its schema says it: for people who write a config.

use serde_json::{Map, Value};

use super::{schema::Schema, text::Data};

/// Tables within tables that are described; a schema may refer to itself.
const DEPTH_MAX: usize = 4;
/// Keys that are described.
const KEYS_MAX: usize = 500;

/// One key of an agent's config.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its name; one within a table has that before it: `server.port`, of each item of a list: `servers[].port`.
    pub name: String,
    /// Whether it must be there.
    pub required: bool,
    /// What may stand there: `text`, `whole number, 1 to 65535`, `none, starttls or implicit`.
    pub kind: String,
    /// What holds when it is left out, as TOML has it.
    pub default: Option<String>,
    /// A value that could stand there, as TOML has it.
    pub example: Option<String>,
    /// What it means.
    pub about: String,
}

/// Lists the keys of a config, those that must be there first.
pub fn keys(schema: &Value) -> Vec<Key> {
    let mut found = Vec::new();
    gather("", &Schema::of(schema), schema, DEPTH_MAX, &mut found);
    found.sort_by_key(|key| !key.required);
    found
}

/// Writes a config of the keys that must be there; nothing where one of them has no example.
pub fn example(keys: &[Key]) -> Option<String> {
    let needed = keys.iter().filter(|key| key.required && !key.name.contains(['.', '[']));
    let pairs: Option<Vec<String>> = needed.map(|key| Some(format!("{} = {}", key.name, key.example.as_ref()?))).collect();
    pairs.map(|pairs| format!("{{ {} }}", pairs.join(", ")))
}

fn gather(within: &str, schema: &Schema<'_>, root: &Value, depth: usize, found: &mut Vec<Key>) {
    let required = schema.required();
    for name in schema.keys() {
        let Some(property) = schema.property(name).filter(|_| found.len() < KEYS_MAX) else { continue };
        let written = schema.written(name);
        let about = text(written, root, "description");
        found.push(Key {
            name: format!("{within}{name}"),
            required: required.contains(&name),
            kind: kind(&property, items_of(schema, name).as_ref()),
            default: written.and_then(|written| written.get("default")).and_then(toml),
            example: written.and_then(|written| written.get("examples")?.get(0)).and_then(toml).or_else(|| quoted(&about)),
            about,
        });
        if property.is_secret() || depth == 0 {
            continue;
        }
        gather(&format!("{within}{name}."), &property, root, depth - 1, found);
        if let Some(items) = items_of(schema, name) {
            gather(&format!("{within}{name}[]."), &items, root, depth - 1, found);
        }
    }
}

/// What the items of a key are, where it may be a list.
fn items_of<'s>(schema: &Schema<'s>, key: &str) -> Option<Schema<'s>> {
    let property = schema.property(key)?;
    property.types()?.contains(&"array").then(|| property.fitting(&Data::List(Vec::new())))?.map(|list| list.item(0))
}

/// A text that a property says itself, or what it refers to.
fn text(written: Option<&Map<String, Value>>, root: &Value, keyword: &str) -> String {
    let own = |schema: &Map<String, Value>| schema.get(keyword).and_then(Value::as_str).map(str::to_owned);
    let referred = |schema: &Map<String, Value>| {
        let target = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        root.pointer(target)?.as_object().and_then(own)
    };
    written.and_then(|schema| own(schema).or_else(|| referred(schema))).unwrap_or_default()
}

fn kind(schema: &Schema<'_>, items: Option<&Schema<'_>>) -> String {
    if schema.is_secret() {
        return "secret".into();
    }
    if let Some(choices) = schema.choices() {
        return match choices.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => "text".into(),
        };
    }
    let Some(types) = schema.types() else { return "any value".into() };
    let of_items = || format!("list of {}", plural(&items.map_or("any value".into(), |items| kind(items, None))));
    let name = |name: &&str| match *name {
        "string" if schema.is_path() => "path".to_owned(),
        "string" => "text".into(),
        "integer" => format!("whole number{}", range(schema)),
        "number" => format!("number{}", range(schema)),
        "boolean" => "true or false".into(),
        "array" => of_items(),
        "object" => "table".into(),
        other => other.into(),
    };
    types.iter().map(name).collect::<Vec<_>>().join(" or ")
}

fn plural(kind: &str) -> String {
    match kind {
        "text" | "path" | "secret" | "table" | "number" | "whole number" | "any value" => format!("{kind}s"),
        other => other.to_owned(),
    }
}

fn range(schema: &Schema<'_>) -> String {
    match schema.range() {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    }
}

/// A value as it would stand in a file; what is left out is no value.
fn toml(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) => Some(format!("[{}]", items.iter().filter_map(toml).collect::<Vec<_>>().join(", "))),
        Value::Object(table) => {
            let pairs = table.iter().filter_map(|(key, value)| Some(format!("{key} = {}", toml(value)?)));
            Some(format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", ")))
        }
        // A text, a number or a flag of JSON is one of TOML.
        other => Some(other.to_string()),
    }
}

/// The first text in quotes after "e.g.", as doc comments have it.
fn quoted(about: &str) -> Option<String> {
    let (text, _) = about.split_once("e.g. \"")?.1.split_once('"')?;
    Some(Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchpost_plugin_api::{PATH_MARK, SECRET_MARK};

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["host", "servers"],
            "properties": {
                "ca_file": { "type": ["string", "null"], PATH_MARK: true, "description": "PEM, e.g. \"ca.pem\"." },
                "host": { "type": "string", "description": "Name,\ne.g. \"mx1\" or \"mx2\"." },
                "password": { "type": ["string", "null"], SECRET_MARK: true },
                "port": { "type": ["integer", "null"], "minimum": 1, "maximum": 65535, "default": 25 },
                "ratio": { "type": "number", "minimum": 0, "examples": [0.5] },
                "servers": { "type": "array", "items": { "$ref": "#/$defs/Server" }, "default": [] },
                "submit": { "type": "boolean", "default": false },
                "tls": { "$ref": "#/$defs/Tls" },
                "tags": { "type": "array", "items": { "type": "string" }, "default": ["a"] },
            },
            "$defs": {
                "Server": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } },
                "Tls": { "description": "How.", "oneOf": [{ "const": "none" }, { "const": "starttls" }, { "const": "implicit" }] },
            },
        })
    }

    #[test]
    fn each_key_has_its_kind_its_default_an_example_and_its_meaning() {
        let shown = |key: &Key| {
            let of = |what: &str, value: &Option<String>| value.as_ref().map(|value| format!("; {what} {value}")).unwrap_or_default();
            format!("{}: {}{}{}", key.name, key.kind, of("default", &key.default), of("example", &key.example))
        };
        let keys = keys(&schema());
        let expected = [
            "host: text; example \"mx1\"",
            "servers: list of tables; default []",
            "servers[].name: text",
            "ca_file: path; example \"ca.pem\"",
            "password: secret",
            "port: whole number, 1 to 65535; default 25",
            "ratio: number, at least 0; example 0.5",
            "submit: true or false; default false",
            "tags: list of texts; default [\"a\"]",
            "tls: none, starttls or implicit",
        ];
        assert_eq!(keys.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(keys.iter().filter(|key| key.required).count(), 3);
        assert_eq!((keys[0].about.as_str(), keys[9].about.as_str()), ("Name,\ne.g. \"mx1\" or \"mx2\".", "How."));
    }

    #[test]
    fn an_example_is_written_when_every_key_that_must_be_there_has_one() {
        let mut keys = keys(&schema());
        assert_eq!(example(&keys), None, "`servers` has none");
        keys.retain(|key| key.name != "servers");
        assert_eq!(example(&keys).as_deref(), Some("{ host = \"mx1\" }"));
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_described_to_some_depth() {
        let endless = json!({ "type": "object", "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" } } });
        let keys = keys(&endless);
        assert!(keys.len() <= KEYS_MAX && keys.iter().any(|key| key.name == "a.b.a.b.a"), "{}", keys.len());
    }
}
