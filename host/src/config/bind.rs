//! Holds a job to its agent: the config against the agent's schema, the secrets fetched.

use std::fmt;

use serde_json::{Map, Number, Value};
use watchpost_plugin_api::AgentDescriptor;

use super::{
    fault::{At, Fault, Place, did_you_mean, listed},
    job::Job,
    schema::Schema,
    secret::{self, Environment},
    text::{Data, Table},
};

/// A job's config as its agent takes it, secrets and all; shown by nothing.
///
/// Two are equal when the agent is told the same.
#[derive(Clone)]
pub struct Bound {
    config: Value,
    secrets: Vec<String>,
    warnings: Vec<Fault>,
}

impl Bound {
    /// Lends the config that crosses to the agent; it holds secrets in the clear.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Lends the secrets, so that whatever is shown can be masked.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Lends what somebody should look at.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

/// The fault of a job whose agent no library carries: with the nearest name, else all that were found.
pub fn unknown_agent<'a>(job: &Job, found: impl IntoIterator<Item = &'a str> + Clone) -> Fault {
    let fault = Fault::new(&job.agent.place, format!("`agent`: no library carries \"{}\"", job.agent.escape_debug()));
    fault.hint(did_you_mean(&job.agent, "agents found", found))
}

/// Checks a job's config against its agent's schema, fetches its secrets, completes its paths.
///
/// Errors: everything wrong with it, each at its own place.
pub fn bind(job: &Job, agent: &AgentDescriptor, environment: Environment<'_>) -> Result<Bound, Vec<Fault>> {
    let mut binder = Binder { agent: &agent.name, environment, faults: Vec::new(), warnings: Vec::new(), secrets: Vec::new() };
    for (key, value) in &job.labels {
        if agent.metrics.iter().any(|metric| metric.keys.contains(key)) {
            let fault = Fault::new(&value.place, format!("label `{key}`: agent `{}` sets this label itself", agent.name));
            binder.faults.push(fault.hint("choose another key"));
        }
    }
    let config = binder.table("", &job.config.value, &job.config.place, &Schema::of(&agent.schema));
    let Binder { faults, warnings, secrets, .. } = binder;
    if faults.is_empty() { Ok(Bound { config, secrets, warnings }) } else { Err(faults) }
}

impl Job {
    /// Finds where a part of the config is written, or the nearest part around it that is.
    ///
    /// Shape: `path` as an agent's own check names it: `servers[1].port`; empty is the config as a whole.
    pub fn place_of(&self, path: &str) -> &Place {
        let (mut place, mut data) = (&self.config.place, None::<&Data>);
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let next = match data {
                None => self.config.get(step),
                Some(Data::Table(table)) => table.get(step),
                Some(Data::List(list)) => step.parse::<usize>().ok().and_then(|at| list.get(at)),
                Some(_) => None,
            };
            let Some(at) = next else { break };
            (place, data) = (&at.place, Some(&at.value));
        }
        place
    }
}

/// Walks config and schema together.
struct Binder<'b> {
    agent: &'b str,
    environment: Environment<'b>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    secrets: Vec<String>,
}

impl Binder<'_> {
    fn table(&mut self, path: &str, table: &Table, place: &Place, schema: &Schema<'_>) -> Value {
        for key in schema.required().filter(|key| table.get(key).is_none()) {
            self.faults.push(Fault::new(place, format!("`{}`: missing, agent `{}` needs it", joined(path, key), self.agent)));
        }
        let mut object = Map::new();
        for (key, entry) in &table.0 {
            let path = joined(path, key);
            match schema.property(key) {
                Some(schema) => {
                    object.insert(key.clone(), self.value(&path, &entry.value, &schema));
                }
                None => {
                    let hint = did_you_mean(key, "its keys", schema.keys());
                    self.faults.push(
                        Fault::new(&entry.key, format!("`{}`: unknown key of agent `{}`", path.escape_debug(), self.agent)).hint(hint),
                    );
                }
            }
        }
        Value::Object(object)
    }

    /// Converts a value and tells what is wrong with it; a value told of is null, which nobody sees.
    fn value(&mut self, path: &str, at: &At<Data>, schema: &Schema<'_>) -> Value {
        if schema.is_secret() {
            return self.secret(path, at);
        }
        if let Err(fault) = check_type(path, at, schema) {
            self.faults.push(*fault);
            return Value::Null;
        }
        match &at.value {
            Data::Table(table) => self.table(path, table, &at.place, schema),
            Data::List(items) => {
                let items = items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item));
                Value::Array(items.map(|(path, item)| self.value(&path, item, &schema.items())).collect())
            }
            Data::Text(text) => {
                self.faults.extend(text_fault(path, text, &at.place, schema));
                if schema.is_path() { at.place.absolute(text).to_string_lossy().into() } else { text.as_str().into() }
            }
            Data::Whole(number) => {
                self.faults.extend(number_fault(path, &(*number).into(), &at.place, schema));
                (*number).into()
            }
            Data::Real(number) => match Number::from_f64(*number) {
                Some(number) => {
                    self.faults.extend(number_fault(path, &number, &at.place, schema));
                    Value::Number(number)
                }
                None => {
                    self.faults.push(Fault::new(&at.place, format!("`{path}`: {number} is not a finite number")));
                    Value::Null
                }
            },
            Data::Flag(flag) => (*flag).into(),
            Data::Date(date) => date.as_str().into(),
        }
    }

    fn secret(&mut self, path: &str, at: &At<Data>) -> Value {
        let secret = match &at.value {
            Data::Text(text) => {
                let warning = Fault::warning(&at.place, format!("`{path}`: a secret in plain sight"));
                self.warnings.push(warning.hint("put it in a file that only the daemon's user may read: { file = \"…\" }"));
                Ok(text.clone())
            }
            Data::Table(table) => secret::fetch(path, table, &at.place, self.environment),
            other => {
                let fault = Fault::new(&at.place, format!("`{path}`: {} where a secret belongs", other.shape()));
                Err(fault.hint("write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }"))
            }
        };
        match secret {
            Ok(secret) => {
                self.secrets.push(secret.clone());
                secret.into()
            }
            Err(fault) => {
                self.faults.push(fault);
                Value::Null
            }
        }
    }
}

fn check_type(path: &str, at: &At<Data>, schema: &Schema<'_>) -> Result<(), Box<Fault>> {
    let Some(types) = schema.types() else { return Ok(()) };
    let fits = |name: &&str| match (&at.value, *name) {
        (Data::Text(_) | Data::Date(_), "string") | (Data::Whole(_), "integer" | "number") | (Data::Real(_), "number") => true,
        (Data::Flag(_), "boolean") | (Data::List(_), "array") | (Data::Table(_), "object") => true,
        (_, name) => !TYPES.iter().any(|(known, _)| *known == name),
    };
    if types.iter().any(fits) {
        return Ok(());
    }
    if let Data::Table(table) = &at.value
        && secret::is_reference(table)
    {
        return Err(Box::new(
            Fault::new(&at.place, format!("`{path}`: refers to a secret, but is no secret here")).hint("write the value itself"),
        ));
    }
    let wanted: Vec<_> = TYPES.iter().filter(|(name, _)| types.contains(name)).map(|(_, shown)| *shown).collect();
    Err(Box::new(Fault::new(&at.place, format!("`{path}`: {} where {} belongs", at.value.shape(), wanted.join(" or ")))))
}

/// The schema's names of types, and ours.
const TYPES: [(&str, &str); 6] = [
    ("string", "a text"),
    ("integer", "a whole number"),
    ("number", "a number"),
    ("boolean", "true or false"),
    ("array", "a list"),
    ("object", "a table"),
];

fn text_fault(path: &str, text: &str, place: &Place, schema: &Schema<'_>) -> Option<Fault> {
    let shown = text.escape_debug();
    if let Some(choices) = schema.choices() {
        let fault = || Fault::new(place, format!("`{path}`: \"{shown}\" is none of {}", listed(choices.iter().copied())));
        let near = super::fault::nearest(text, choices.iter().copied());
        return (!choices.contains(&text)).then(|| fault().maybe_hint(near.map(|name| format!("did you mean \"{name}\"?"))));
    }
    let length = text.chars().count() as u64;
    let least = schema.bound("minLength").and_then(Value::as_u64).filter(|least| length < *least);
    let most = schema.bound("maxLength").and_then(Value::as_u64).filter(|most| length > *most);
    match (least, most) {
        (Some(1), _) => Some(Fault::new(place, format!("`{path}`: empty"))),
        (Some(least), _) => Some(Fault::new(place, format!("`{path}`: {length} characters, at least {least} are needed"))),
        (_, Some(most)) => Some(Fault::new(place, format!("`{path}`: {length} characters, at most {most} are allowed"))),
        _ => None,
    }
}

fn number_fault(path: &str, number: &Number, place: &Place, schema: &Schema<'_>) -> Option<Fault> {
    let found = number.as_f64()?;
    let bound = |keyword| schema.bound(keyword).and_then(Value::as_f64);
    let why = if let Some(least) = bound("minimum").filter(|least| found < *least) {
        format!("less than {least}")
    } else if let Some(most) = bound("maximum").filter(|most| found > *most) {
        format!("more than {most}")
    } else if let Some(least) = bound("exclusiveMinimum").filter(|least| found <= *least) {
        format!("not more than {least}")
    } else if let Some(most) = bound("exclusiveMaximum").filter(|most| found >= *most) {
        format!("not less than {most}")
    } else {
        return None;
    };
    let range = bound("minimum").zip(bound("maximum")).map(|(least, most)| format!("allowed: {least} to {most}"));
    Some(Fault::new(place, format!("`{path}`: {number} is {why}")).maybe_hint(range))
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}
