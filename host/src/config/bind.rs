//! Holds an assignment to its agent: the config against the agent's schema, the secrets fetched.

use serde_json::{Map, Number, Value};
use watchpost_plugin_api::AgentDescriptor;

use super::{
    At, Fault, Place, Rule,
    assignment::Assignment,
    bound::{Bound, Rest, Unbound},
    near::{did_you_mean, listed, nearest},
    schema::Schema,
    secret::{self, Environment},
    text::{Data, Table},
    value::{list_fault, number_fault, text_fault, type_fault},
};

/// What an agent is told in the place of a secret that could not be fetched, so that its own check can say what else is wrong.
const STAND_IN: &str = "stand-in";

/// Characters shown of what an agent says of a key.
const ABOUT_CHARS_MAX: usize = 300;

/// The fault of an assignment whose agent no library carries: with the nearest name, else all that were found.
pub fn unknown_agent<'a>(asks: &Assignment, found: impl IntoIterator<Item = &'a str> + Clone) -> Fault {
    let message = format!("`agent`: no library carries \"{}\"", asks.agent.escape_debug());
    Fault::new(Rule::AgentUnknown, &asks.agent.place, message).hint(did_you_mean(&asks.agent, "agents found", found))
}

/// Checks an assignment against its agent's schema, fetches its secrets, completes its paths.
///
/// Errors: everything wrong with it, each at its own place.
pub fn bind(asks: &Assignment, agent: &AgentDescriptor, environment: Environment<'_>) -> Result<Bound, Box<Unbound>> {
    let mut binder = Binder::new(&agent.name, environment);
    for (key, value) in &asks.labels {
        if agent.metrics.iter().any(|metric| metric.keys.contains(key)) {
            let message = format!("label `{key}`: agent `{}` sets this label itself", agent.name);
            binder.faults.push(Fault::new(Rule::LabelOfTheAgent, &value.place, message).hint("choose another key"));
        }
    }
    let config = binder.table("", &asks.config.value, &asks.config.place, Schema::of(&agent.schema), asks.config_lost);
    binder.labels_against_secrets(asks);
    let Binder { faults, unfetched, warnings, secrets, lost, .. } = binder;
    let bound = Bound { config, secrets: secrets.into_iter().map(|(_, secret)| secret).collect(), warnings };
    if faults.is_empty() && unfetched.is_empty() && !lost {
        return Ok(bound);
    }
    let (stand_ins, missing): (Vec<_>, Vec<_>) = unfetched.into_iter().unzip();
    // Whatever else the config lacks, the agent would guess at.
    let is_whole = faults.iter().all(|fault| fault.rule == Rule::LabelOfTheAgent) && !lost;
    let faults = faults.into_iter().chain(missing).chain(bound.warnings.iter().cloned()).collect();
    Err(Box::new(Unbound { faults, rest: is_whole.then_some(Rest { bound, stand_ins }) }))
}

/// Walks config and schema together.
struct Binder<'b> {
    agent: &'b str,
    environment: Environment<'b>,
    faults: Vec<Fault>,
    /// Secrets that could not be fetched, by path.
    unfetched: Vec<(String, Fault)>,
    warnings: Vec<Fault>,
    /// Secrets by path.
    secrets: Vec<(String, String)>,
    /// Whether a part of the config was told of before.
    lost: bool,
}

impl<'b> Binder<'b> {
    fn new(agent: &'b str, environment: Environment<'b>) -> Self {
        let (faults, unfetched, warnings, secrets) = Default::default();
        Self { agent, environment, faults, unfetched, warnings, secrets, lost: false }
    }

    /// Checks a table; of one that lost a part nothing is said to be missing.
    fn table(&mut self, path: &str, table: &Table, place: &Place, schema: Schema<'_>, lost: bool) -> Value {
        self.lost |= lost;
        let schema = schema.asked_for_by(table);
        let entries: Vec<_> = table.0.iter().map(|(key, entry)| (key, entry, schema.property(key))).collect();
        let unknown: Vec<&str> = entries.iter().filter(|(.., property)| property.is_none()).map(|(key, ..)| key.as_str()).collect();
        let known = if unknown.is_empty() { Vec::new() } else { schema.keys() };
        for key in schema.required().into_iter().filter(|key| !lost && table.get(key).is_none()) {
            // A misspelt key is told of as such; that its right spelling is missing is the same fault.
            if !unknown.iter().any(|unknown| nearest(unknown, known.iter().copied()) == Some(key)) {
                let message = format!("`{}`: missing, agent `{}` needs it", joined(path, key), self.agent);
                let about = schema.property(key).and_then(|property| property.about()).map(|sentence| about(&sentence));
                self.faults.push(Fault::new(Rule::ConfigKeyMissing, place, message).maybe_hint(about));
            }
        }
        let mut object = Map::new();
        for (key, entry, property) in entries {
            let path = joined(path, key);
            let Some(property) = property else {
                let message = format!("`{path}`: unknown key of agent `{}`", self.agent);
                let hint = match schema.patterns() {
                    patterns if known.is_empty() && !patterns.is_empty() => format!("its keys match {}", listed(patterns)),
                    _ => did_you_mean(key, "its keys", known.iter().copied()),
                };
                self.faults.push(Fault::new(Rule::ConfigKeyUnknown, &entry.key, message).hint(hint));
                continue;
            };
            object.insert(key.clone(), self.value(&path, &entry.value, property));
        }
        Value::Object(object)
    }

    /// Converts a value and tells what is wrong with it; a value told of is null, which nobody sees.
    fn value(&mut self, path: &str, at: &At<Data>, schema: Schema<'_>) -> Value {
        let place = &at.place;
        if at.value == Data::Broken {
            self.lost = true;
            return Value::Null;
        }
        if schema.is_secret() {
            return self.secret(path, at);
        }
        let types = schema.types();
        let Some(schema) = schema.fitting(&at.value) else {
            self.faults.push(type_fault(path, at, &types.unwrap_or_default()));
            return Value::Null;
        };
        match &at.value {
            Data::Table(table) if secret::is_reference(table) && is_no_table_of(table, &schema) => {
                self.faults.push(secret::misplaced(&format!("`{path}`"), place));
                Value::Null
            }
            Data::Table(table) => self.table(path, table, place, schema, false),
            Data::List(items) => {
                self.faults.extend(list_fault(path, items.len(), place, &schema));
                let item = |(index, item)| self.value(&format!("{path}[{index}]"), item, schema.item(index));
                Value::Array(items.iter().enumerate().map(item).collect())
            }
            Data::Text(text) => {
                self.faults.extend(text_fault(path, text, place, &schema));
                if schema.is_path() { place.absolute(text).to_string_lossy().into() } else { text.as_str().into() }
            }
            Data::Date(text) => {
                self.faults.extend(text_fault(path, text, place, &schema));
                text.as_str().into()
            }
            Data::Whole(number) => {
                self.faults.extend(number_fault(path, &(*number).into(), place, &schema));
                (*number).into()
            }
            Data::Real(number) => match Number::from_f64(*number) {
                Some(number) => {
                    self.faults.extend(number_fault(path, &number, place, &schema));
                    Value::Number(number)
                }
                None => {
                    let message = format!("`{path}`: {number} is not a finite number");
                    self.faults.push(Fault::new(Rule::ConfigNumberNotFinite, place, message));
                    Value::Null
                }
            },
            Data::Flag(flag) => (*flag).into(),
            Data::Broken => Value::Null,
        }
    }

    fn secret(&mut self, path: &str, at: &At<Data>) -> Value {
        let secret = match &at.value {
            Data::Text(text) => {
                let warning = Fault::new(Rule::SecretPlain, &at.place, format!("`{path}`: a secret in plain sight"));
                self.warnings.push(warning.hint("put it in a file that only the daemon's user may read: { file = \"…\" }"));
                Ok(text.clone())
            }
            Data::Table(table) => secret::fetch(path, table, &at.place, self.environment),
            other => Err(Some(secret::misshapen(path, other, &at.place))),
        };
        match secret {
            Ok(secret) => {
                self.secrets.push((path.into(), secret.clone()));
                secret.into()
            }
            Err(fault) => {
                self.lost |= fault.is_none();
                self.unfetched.extend(fault.map(|fault| (path.to_owned(), fault)));
                STAND_IN.into()
            }
        }
    }

    /// Tells of labels that say what a secret says: labels are shown to everybody.
    fn labels_against_secrets(&mut self, asks: &Assignment) {
        for (key, value) in &asks.labels {
            if let Some((path, _)) = self.secrets.iter().find(|(_, secret)| *secret == value.value) {
                let message = format!("label `{key}`: it is what the secret `{path}` is, and labels are shown to everybody");
                self.warnings.push(Fault::new(Rule::LabelSecret, &value.place, message).hint("take it out, and change the secret"));
            }
        }
    }
}

/// What an agent's author says of a key, as far as a hint has room for it.
fn about(sentence: &str) -> String {
    let sentence = crate::plain(sentence);
    match sentence.char_indices().nth(ABOUT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", sentence.get(..end).unwrap_or_default()),
        None => sentence,
    }
}

/// Says whether a table that looks like a reference to a secret cannot be what the schema describes.
fn is_no_table_of(table: &Table, schema: &Schema<'_>) -> bool {
    table.0.keys().all(|key| schema.property(key).is_none())
}

fn joined(path: &str, key: &str) -> String {
    let key = key.escape_debug();
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}
