//! An agent's JSON schema, as far as it can tell an operator what is wrong.
//!
//! Not a validator: what is not understood here is left to the agent's own check, which comes after.
//! Source: JSON Schema 2020-12, as schemars writes it.

use serde_json::{Map, Value};
use watchpost_plugin_api::{PATH_MARK, SECRET_MARK};

use super::text::{Data, Table};

/// References and choices followed for one place, at most: a schema may refer to itself.
const STEPS_MAX: usize = 1_000;

/// Numbers that a format holds, where the schema does not say so itself.
const FORMATS: [(&str, f64, f64); 2] = [("int32", i32::MIN as f64, i32::MAX as f64), ("uint32", 0.0, u32::MAX as f64)];

/// What may stand at one place: one of several alternatives, references resolved, `null` (left out) not among them.
///
/// Without any, whatever stands there is left to the agent.
pub(super) struct Schema<'s> {
    root: &'s Value,
    alternatives: Vec<Alternative<'s>>,
}

/// Schemas that hold together.
type Alternative<'s> = Vec<&'s Map<String, Value>>;

impl<'s> Schema<'s> {
    /// The schema of a whole config.
    pub(super) fn of(root: &'s Value) -> Self {
        Self::any_of(root, [vec![root]])
    }

    /// One of several, each of which is several that hold together.
    fn any_of(root: &'s Value, several: impl IntoIterator<Item = Vec<&'s Value>>) -> Self {
        let mut steps = STEPS_MAX;
        let together = |parts: Vec<&'s Value>| {
            let mut whole = vec![Vec::new()];
            for part in parts {
                whole = crossed(&whole, &gather(root, part, &mut steps)?, &mut steps)?;
            }
            Some(whole)
        };
        let alternatives: Option<Vec<_>> = several.into_iter().map(together).collect();
        Self { root, alternatives: alternatives.unwrap_or_default().concat() }
    }

    fn anything(&self) -> Self {
        Self { root: self.root, alternatives: Vec::new() }
    }

    fn maps(&self) -> impl Iterator<Item = &'s Map<String, Value>> {
        self.alternatives.iter().flatten().copied()
    }

    /// Says whether this place holds a secret.
    pub(super) fn is_secret(&self) -> bool {
        self.maps().any(|one| one.get(SECRET_MARK) == Some(&Value::Bool(true)))
    }

    /// Says whether this place holds a path.
    pub(super) fn is_path(&self) -> bool {
        self.maps().any(|one| one.get(PATH_MARK) == Some(&Value::Bool(true)))
    }

    /// Lists the types allowed, as the schema names them; `None` where any is.
    pub(super) fn types(&self) -> Option<Vec<&'s str>> {
        let mut types: Vec<_> = self.alternatives.iter().map(types_of).collect::<Option<Vec<_>>>()?.concat();
        types.sort_unstable();
        types.dedup();
        (!types.is_empty()).then_some(types)
    }

    /// Narrows to the alternatives that take what is written; `None` where none does.
    pub(super) fn fitting(self, data: &Data) -> Option<Self> {
        if self.alternatives.is_empty() {
            return Some(self);
        }
        let takes = |one: &Alternative<'s>| types_of(one).is_none_or(|types| types.iter().any(|name| is_of(data, name)));
        let alternatives: Vec<_> = self.alternatives.into_iter().filter(takes).collect();
        (!alternatives.is_empty()).then_some(Self { root: self.root, alternatives })
    }

    /// Narrows to the alternatives that the fixed keys of a table ask for; all stay where none is asked for.
    pub(super) fn asked_for_by(self, table: &Table) -> Self {
        let asked_for = |one: &&Alternative<'s>| {
            one.iter().filter_map(|map| map.get("properties")?.as_object()).flatten().all(|(key, fixed)| {
                let fixed = fixed_text(fixed);
                let written = table.get(key).map(|at| &at.value);
                fixed.is_none() || written.is_none() || matches!(written, Some(Data::Text(text)) if Some(text.as_str()) == fixed)
            })
        };
        let alternatives: Vec<_> = self.alternatives.iter().filter(asked_for).cloned().collect();
        if alternatives.is_empty() { self } else { Self { root: self.root, alternatives } }
    }

    /// Lists the texts allowed; `None` where others are too.
    pub(super) fn choices(&self) -> Option<Vec<&'s str>> {
        let mut choices = Vec::new();
        for one in &self.alternatives {
            choices.extend(one.iter().find_map(|map| texts_of(map))?);
        }
        (!choices.is_empty()).then_some(choices)
    }

    /// Finds what the one alternative there is says by a keyword.
    pub(super) fn keyword(&self, keyword: &str) -> Option<&'s Value> {
        match self.alternatives.as_slice() {
            [one] => one.iter().find_map(|map| map.get(keyword)),
            _ => None,
        }
    }

    /// Finds the least and the most that a number may be.
    pub(super) fn range(&self) -> (Option<f64>, Option<f64>) {
        let format = self.keyword("format").and_then(Value::as_str);
        let of_format = FORMATS.iter().find(|(name, ..)| Some(*name) == format);
        let said = |keyword| self.keyword(keyword).and_then(Value::as_f64);
        (said("minimum").or(of_format.map(|(_, least, _)| *least)), said("maximum").or(of_format.map(|(.., most)| *most)))
    }

    /// Lists the keys that must be there, whichever alternative is meant.
    pub(super) fn required(&self) -> Vec<&'s str> {
        let of = |one: &Alternative<'s>| -> Vec<&'s str> {
            one.iter().filter_map(|map| map.get("required")?.as_array()).flatten().filter_map(Value::as_str).collect()
        };
        let mut alternatives = self.alternatives.iter().map(of);
        let Some(mut required) = alternatives.next() else { return Vec::new() };
        alternatives.for_each(|other| required.retain(|key| other.contains(key)));
        required
    }

    /// Lists the keys known.
    pub(super) fn keys(&self) -> Vec<&'s str> {
        let mut keys: Vec<_> =
            self.maps().filter_map(|one| one.get("properties")?.as_object()).flat_map(Map::keys).map(String::as_str).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Lists the patterns of the keys that have no name.
    pub(super) fn patterns(&self) -> Vec<&'s str> {
        self.maps().filter_map(|one| one.get("patternProperties")?.as_object()).flat_map(Map::keys).map(String::as_str).collect()
    }

    /// Says in one line what stands here, as its author wrote.
    pub(super) fn about(&self) -> Option<String> {
        let written = self.maps().find_map(|one| one.get("description")?.as_str())?;
        let paragraph = written.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        // One of three words says too little alone.
        let ends = |at: &usize| *at >= 20 && paragraph.get(at + 2..).is_some_and(|rest| rest.starts_with(char::is_uppercase));
        let end = paragraph.match_indices(". ").map(|(at, _)| at).find(ends).unwrap_or(paragraph.len());
        let sentence = paragraph.get(..end)?.trim_end_matches('.');
        (!sentence.is_empty()).then(|| sentence.to_owned())
    }

    /// The schema of a key as it is written, references not followed.
    pub(super) fn written(&self, key: &str) -> Option<&'s Map<String, Value>> {
        self.maps().find_map(|one| one.get("properties")?.get(key)?.as_object())
    }

    /// Says what stands under a key; `None` if no such key may be.
    pub(super) fn property(&self, key: &str) -> Option<Self> {
        if self.alternatives.is_empty() {
            return Some(self.anything());
        }
        let found: Vec<_> = self.alternatives.iter().filter_map(|one| property_of(one, key)).collect();
        if found.is_empty() {
            return None;
        }
        // What one alternative leaves open is open, unless another marks it.
        let is_open = found.iter().any(Vec::is_empty);
        let named = Self::any_of(self.root, found.into_iter().filter(|schemas| !schemas.is_empty()));
        Some(if is_open && !named.is_secret() && !named.is_path() { self.anything() } else { named })
    }

    /// Says what an item of a list is.
    pub(super) fn item(&self, index: usize) -> Self {
        let of = |one: &Alternative<'s>| -> Vec<&'s Value> {
            let placed = one.iter().find_map(|map| map.get("prefixItems")?.get(index));
            placed.map_or_else(|| one.iter().filter_map(|map| map.get("items")).collect(), |placed| vec![placed])
        };
        let several: Vec<_> = self.alternatives.iter().map(of).collect();
        if several.iter().any(Vec::is_empty) { self.anything() } else { Self::any_of(self.root, several) }
    }
}

/// What an alternative says of a key, nothing if it leaves it open; `None` if it may not have it.
fn property_of<'s>(one: &Alternative<'s>, key: &str) -> Option<Vec<&'s Value>> {
    let named: Vec<_> = one.iter().filter_map(|map| map.get("properties")?.get(key)).collect();
    if !named.is_empty() {
        return Some(named);
    }
    let matching = |pattern: &str| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(key));
    let patterns = one.iter().filter_map(|map| map.get("patternProperties")?.as_object()).flatten();
    let matched: Vec<_> = patterns.filter(|(pattern, _)| matching(pattern)).map(|(_, of)| of).collect();
    if !matched.is_empty() {
        return Some(matched);
    }
    let others = |keyword| one.iter().filter_map(move |map| map.get(keyword));
    let closed = others("additionalProperties").chain(others("unevaluatedProperties")).any(|of| of == &Value::Bool(false));
    (!closed).then(|| others("additionalProperties").filter(|of| of.is_object()).collect())
}

/// The types that all of an alternative allow; `None` where any is.
fn types_of<'s>(one: &Alternative<'s>) -> Option<Vec<&'s str>> {
    let mut typed = one.iter().filter_map(|map| match map.get("type") {
        Some(Value::String(name)) => Some(vec![name.as_str()]),
        Some(Value::Array(names)) => Some(names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect()),
        // A choice without a type says its type by its values.
        _ => texts_of(map).map(|_| vec!["string"]),
    });
    let mut types = typed.next()?;
    typed.for_each(|other| types.retain(|name| other.contains(name)));
    Some(types)
}

/// Says whether what is written is of a type of the schema's; a type that we do not know takes all.
fn is_of(data: &Data, name: &str) -> bool {
    match name {
        "string" => matches!(data, Data::Text(_) | Data::Date(_)),
        "integer" => matches!(data, Data::Whole(_)),
        "number" => matches!(data, Data::Whole(_) | Data::Real(_)),
        "boolean" => matches!(data, Data::Flag(_)),
        "array" => matches!(data, Data::List(_)),
        "object" => matches!(data, Data::Table(_)),
        _ => true,
    }
}

/// The texts that a schema allows, if it allows nothing else.
fn texts_of(map: &Map<String, Value>) -> Option<Vec<&str>> {
    match (map.get("const"), map.get("enum")) {
        (Some(Value::String(text)), _) => Some(vec![text]),
        (None, Some(Value::Array(values))) => values.iter().filter(|value| !value.is_null()).map(Value::as_str).collect(),
        _ => None,
    }
}

/// The one text that a schema allows.
fn fixed_text(schema: &Value) -> Option<&str> {
    match texts_of(schema.as_object()?)?.as_slice() {
        [text] => Some(text),
        _ => None,
    }
}

/// Gathers the alternatives of a place, references resolved; `None` when the steps are used up.
fn gather<'s>(root: &'s Value, place: &'s Value, steps: &mut usize) -> Option<Vec<Alternative<'s>>> {
    *steps = steps.checked_sub(1)?;
    let Some(schema) = place.as_object() else { return Some(vec![Vec::new()]) };
    let is_null = schema.get("type").and_then(Value::as_str) == Some("null") || schema.get("const") == Some(&Value::Null);
    if is_null {
        return Some(Vec::new());
    }
    let mut alternatives = vec![vec![schema]];
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| root.pointer(to.strip_prefix('#')?));
    for part in target.into_iter().chain(schema.get("allOf").and_then(Value::as_array).into_iter().flatten()) {
        alternatives = crossed(&alternatives, &gather(root, part, steps)?, steps)?;
    }
    for choices in ["oneOf", "anyOf"].iter().filter_map(|keyword| schema.get(*keyword)?.as_array()) {
        let choices = choices.iter().map(|choice| gather(root, choice, steps)).collect::<Option<Vec<_>>>()?.concat();
        alternatives = crossed(&alternatives, &choices, steps)?;
    }
    Some(alternatives)
}

/// Each of the one together with each of the other; `None` when the steps are used up.
fn crossed<'s>(some: &[Alternative<'s>], others: &[Alternative<'s>], steps: &mut usize) -> Option<Vec<Alternative<'s>>> {
    *steps = steps.checked_sub(some.len() * others.len())?;
    Some(some.iter().flat_map(|one| others.iter().map(move |other| one.iter().chain(other).copied().collect())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let again = json!({ "$ref": "#" });
        for keyword in ["oneOf", "allOf"] {
            let root = json!({ keyword: vec![again.clone(); 40] });
            assert!(Schema::of(&root).types().is_none());
        }
        let wide = json!({ "anyOf": vec![json!({ "type": "string" }); 40] });
        let root = json!({ "allOf": vec![wide; 40] });
        assert!(Schema::of(&root).types().is_none());
    }

    #[test]
    fn what_an_author_wrote_is_told_in_one_whole_sentence() {
        let check = |written: &str, expected: Option<&str>| {
            assert_eq!(Schema::of(&json!({ "description": written })).about().as_deref(), expected, "{written}");
        };
        check("Name or address, e.g. \"mx1\" or\n\"mx2\". A name is looked up anew.", Some("Name or address, e.g. \"mx1\" or \"mx2\""));
        check("Where it is. Of \"postfix\" its\nqueue directory. More.", Some("Where it is. Of \"postfix\" its queue directory"));
        check("Name of the login.\n\nAnd more.", Some("Name of the login"));
        check("", None);
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

    #[test]
    fn a_reference_and_what_stands_beside_it_hold_together() {
        let root = json!({ "$defs": { "A": { "type": "integer", "minimum": 1 } }, "$ref": "#/$defs/A", "maximum": 5 });
        assert_eq!(Schema::of(&root).range(), (Some(1.0), Some(5.0)));
    }

    #[test]
    fn keys_by_pattern_are_known() {
        let root = json!({ "type": "object", "additionalProperties": false, "patternProperties": { "^\\d+$": { "type": "string" } } });
        let schema = Schema::of(&root);
        assert_eq!(schema.property("25").unwrap().types(), Some(vec!["string"]));
        assert!(schema.property("smtp").is_none());
    }

    #[test]
    fn a_fixed_key_says_which_alternative_is_meant() {
        let shape = |kind: &str, key: &str| {
            let properties = json!({ "kind": { "type": "string", "const": kind }, key: { "type": "string" } });
            json!({ "type": "object", "properties": properties, "required": ["kind", key], "additionalProperties": false })
        };
        let root = json!({ "oneOf": [shape("text", "contains"), shape("size", "bytes")] });
        assert_eq!(Schema::of(&root).required(), ["kind"]);
        let mut faults = super::super::Faults::default();
        let table = super::super::text::parse(std::path::Path::new("t"), b"kind = 'size'", &mut faults).unwrap().value;
        let asked_for = Schema::of(&root).asked_for_by(&table);
        assert_eq!((asked_for.required(), asked_for.property("contains").is_none()), (vec!["kind", "bytes"], true));
    }
}
