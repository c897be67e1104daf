//! An agent's JSON schema, as far as it can tell an operator what is wrong.
//!
//! Not a validator: what is not understood here is left to the agent's own check, which comes after.
//! Source: JSON Schema 2020-12, as schemars writes it.

use serde_json::{Map, Value};
use watchpost_plugin_api::{PATH_MARK, SECRET_MARK};

/// References and choices followed for one place, at most: a schema may refer to itself.
const STEPS_MAX: usize = 1_000;

/// What may stand at one place: one of several alternatives, references resolved, `null` (left out) not among them.
pub(super) struct Schema<'s> {
    root: &'s Value,
    alternatives: Vec<&'s Map<String, Value>>,
}

impl<'s> Schema<'s> {
    /// The schema of a whole config.
    pub(super) fn of(root: &'s Value) -> Self {
        Self::at(root, [root])
    }

    fn at(root: &'s Value, places: impl IntoIterator<Item = &'s Value>) -> Self {
        let (mut alternatives, mut steps) = (Vec::new(), STEPS_MAX);
        for place in places {
            gather(root, place, &mut alternatives, &mut steps);
        }
        Self { root, alternatives }
    }

    /// Says whether this place holds a secret.
    pub(super) fn is_secret(&self) -> bool {
        self.alternatives.iter().any(|one| one.get(SECRET_MARK) == Some(&Value::Bool(true)))
    }

    /// Says whether this place holds a path.
    pub(super) fn is_path(&self) -> bool {
        self.alternatives.iter().any(|one| one.get(PATH_MARK) == Some(&Value::Bool(true)))
    }

    /// Lists the types allowed, as the schema names them; `None` where any is.
    pub(super) fn types(&self) -> Option<Vec<&'s str>> {
        let mut types = Vec::new();
        for one in &self.alternatives {
            match one.get("type") {
                Some(Value::String(name)) => types.push(name.as_str()),
                Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str).filter(|name| *name != "null")),
                _ => types.extend(self.type_of_choices(one)?),
            }
        }
        types.sort_unstable();
        types.dedup();
        (!types.is_empty()).then_some(types)
    }

    /// A choice without a type says its type by its values.
    fn type_of_choices(&self, one: &'s Map<String, Value>) -> Option<Vec<&'static str>> {
        let choices = one.get("const").map(std::slice::from_ref).or_else(|| one.get("enum")?.as_array().map(Vec::as_slice))?;
        choices.iter().all(Value::is_string).then(|| vec!["string"])
    }

    /// Lists the texts allowed; `None` where others are too.
    pub(super) fn choices(&self) -> Option<Vec<&'s str>> {
        let mut choices = Vec::new();
        for one in &self.alternatives {
            match (one.get("const"), one.get("enum")) {
                (Some(Value::String(text)), _) => choices.push(text.as_str()),
                (None, Some(Value::Array(texts))) => choices.extend(texts.iter().filter_map(Value::as_str)),
                _ => return None,
            }
        }
        (!choices.is_empty()).then_some(choices)
    }

    /// Finds a bound that holds whichever alternative is meant.
    pub(super) fn bound(&self, keyword: &str) -> Option<&'s Value> {
        match self.alternatives.as_slice() {
            [one] => one.get(keyword),
            _ => None,
        }
    }

    /// Lists the keys that must be there.
    pub(super) fn required(&self) -> impl Iterator<Item = &'s str> {
        self.bound("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Lists the keys known.
    pub(super) fn keys(&self) -> Vec<&'s str> {
        self.alternatives.iter().filter_map(|one| one.get("properties")?.as_object()).flat_map(Map::keys).map(String::as_str).collect()
    }

    /// The schema of a key as it is written, references not followed.
    pub(super) fn written(&self, key: &str) -> Option<&'s Map<String, Value>> {
        self.alternatives.iter().find_map(|one| one.get("properties")?.get(key)?.as_object())
    }

    /// Says what stands under a key; `None` if no such key may be.
    pub(super) fn property(&self, key: &str) -> Option<Self> {
        let named: Vec<_> = self.alternatives.iter().filter_map(|one| one.get("properties")?.get(key)).collect();
        if !named.is_empty() {
            return Some(Self::at(self.root, named));
        }
        let closed = |one: &&Map<String, Value>| one.get("additionalProperties") == Some(&Value::Bool(false));
        if !self.alternatives.is_empty() && self.alternatives.iter().all(closed) {
            return None;
        }
        Some(Self::at(self.root, self.alternatives.iter().filter_map(|one| one.get("additionalProperties"))))
    }

    /// Says what the items of a list are.
    pub(super) fn items(&self) -> Self {
        Self::at(self.root, self.alternatives.iter().filter_map(|one| one.get("items")))
    }
}

/// Gathers the alternatives of a place, references resolved, until the steps are used up.
fn gather<'s>(root: &'s Value, place: &'s Value, into: &mut Vec<&'s Map<String, Value>>, steps: &mut usize) {
    let (Some(schema), Some(left)) = (place.as_object(), steps.checked_sub(1)) else { return };
    *steps = left;
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|to| root.pointer(to.strip_prefix('#')?)) {
        return gather(root, target, into, steps);
    }
    let choices: Vec<_> = ["oneOf", "anyOf"].iter().filter_map(|keyword| schema.get(*keyword)?.as_array()).flatten().collect();
    // A choice beside properties adds to them (a flattened enum): both hold.
    let is_choice_alone = !choices.is_empty() && !schema.contains_key("properties");
    if !is_choice_alone && schema.get("type").and_then(Value::as_str) != Some("null") {
        into.push(schema);
    }
    for choice in choices {
        gather(root, choice, into, steps);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let again = json!({ "$ref": "#" });
        let root = json!({ "oneOf": vec![again; 40] });
        assert!(Schema::of(&root).types().is_none());
    }

    #[test]
    fn a_secret_is_found_in_a_flattened_choice() {
        let choice = json!({ "properties": { "token": { "type": "string", SECRET_MARK: true } } });
        let root = json!({ "type": "object", "properties": { "host": { "type": "string" } }, "anyOf": [choice] });
        let schema = Schema::of(&root);
        assert!(schema.property("token").unwrap().is_secret());
        assert!(!schema.property("host").unwrap().is_secret());
    }

    #[test]
    fn left_out_is_no_alternative() {
        let root = json!({ "anyOf": [{ "type": ["string", "null"] }, { "type": "null" }] });
        assert_eq!(Schema::of(&root).types(), Some(vec!["string"]));
    }
}
