//! Finds a configuration's secrets where the agent's schema marks them, as the host does.

use serde_json::Value;
use watchpost_plugin_api::SECRET_MARK;

/// Depth of a configuration that is looked into; a schema may refer to itself.
const DEPTH_MAX: usize = 32;

/// The strings of `config` that stand where `schema` marks a secret.
pub(crate) fn of(schema: &Value, config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    gather(schema, schema, config, DEPTH_MAX, &mut found);
    found
}

fn gather(root: &Value, schema: &Value, config: &Value, depth: usize, found: &mut Vec<String>) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    if schema.get(SECRET_MARK).is_some_and(|mark| mark == true) {
        found.extend(config.as_str().map(str::to_owned));
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.trim_start_matches('#'))) {
        gather(root, target, config, deeper, found);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        for schema in schema.get(choice).and_then(Value::as_array).into_iter().flatten() {
            gather(root, schema, config, deeper, found);
        }
    }
    for (key, value) in config.as_object().into_iter().flatten() {
        let named = schema.get("properties").and_then(|properties| properties.get(key));
        if let Some(schema) = named.or_else(|| schema.get("additionalProperties")) {
            gather(root, schema, value, deeper, found);
        }
    }
    if let Some(schema) = schema.get("items") {
        for item in config.as_array().into_iter().flatten() {
            gather(root, schema, item, deeper, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_found_wherever_the_schema_marks_them_and_nowhere_else() {
        let secret = json!({ "type": "string", SECRET_MARK: true });
        let schema = json!({
            "properties": {
                "user": { "type": "string" },
                "password": { "anyOf": [secret, { "type": "null" }] },
                "servers": { "items": { "$ref": "#/$defs/server" } },
            },
            "$defs": { "server": { "properties": { "token": secret, "next": { "$ref": "#/$defs/server" } } } },
        });
        let config = json!({ "user": "u", "password": "p", "servers": [{ "token": "a", "next": { "token": "b" } }] });
        let mut found = of(&schema, &config);
        found.sort();
        assert_eq!(found, ["a", "b", "p"]);
        assert!(of(&schema, &json!({ "user": "u", "password": null })).is_empty());
    }
}
