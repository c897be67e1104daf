//! Steps as they run: every rule of the language checked, every text taken apart.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use watchpost_plugin_api::{AgentError, Metric, MetricSpec, Unit, standard};

use crate::{
    expect::{Expectation, Test},
    page::Source,
    script::{self, Expect, Take},
    take::Taking,
    template::{Template, Words, is_word},
};

/// The phases whose metrics mean the same in every agent.
const PHASES: [(&str, Metric); 6] = [
    ("authenticate", standard::AUTHENTICATE_TIME),
    ("select", standard::SELECT_TIME),
    ("search", standard::SEARCH_TIME),
    ("download", standard::DOWNLOAD_TIME),
    ("compose_send", standard::COMPOSE_SEND_TIME),
    ("logout", standard::LOGOUT_TIME),
];
/// Bytes of a word for a phase of one's own.
const PHASE_BYTES_MAX: usize = 40;

/// A step of a script that can run.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its place in the script, counted from 0.
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) phase: Option<Phase>,
    pub(crate) method: String,
    pub(crate) path: Template,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) follow: bool,
    pub(crate) only_with: Vec<String>,
    /// Whether it wants `{mark}` or `{unique}`.
    pub(crate) is_marked: bool,
    pub(crate) within: Option<Duration>,
    pub(crate) expect: Vec<Expectation>,
    pub(crate) take: Vec<(String, Taking)>,
}

/// What a step's time is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Standard(&'static str, Metric),
    Own(MetricSpec),
}

/// What is sent with a request.
#[derive(Debug)]
pub(crate) enum Body {
    None,
    Form(Vec<(String, Template)>),
    Json(Value),
}

impl Phase {
    fn parse(word: &str) -> Result<Self, String> {
        if let Some((name, metric)) = PHASES.iter().find(|(name, _)| *name == word) {
            return Ok(Self::Standard(name, *metric));
        }
        let name = format!("{word}_time");
        if standard::find(&name).is_some() {
            let known = PHASES.map(|(name, _)| format!("\"{name}\"")).join(", ");
            return Err(format!("is no phase of this agent's scripts; those are {known}, or a word of your own"));
        }
        if !is_word(word) || word.len() > PHASE_BYTES_MAX {
            return Err("is no word of small letters, digits and _".into());
        }
        Ok(Self::Own(MetricSpec::gauge(name, Unit::Seconds, format!("Time of the phase {word}."))))
    }

    /// Its word.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Standard(word, _) => word,
            Self::Own(spec) => spec.name.trim_end_matches("_time"),
        }
    }
}

impl Step {
    /// Checks a step by itself.
    ///
    /// Errors: kind `config`, at a path inside the step.
    pub(crate) fn check(at: usize, step: script::Step) -> Result<Self, AgentError> {
        let wrong = |path: &str, why: &str| AgentError::config(path, why);
        if step.name.trim().is_empty() || step.name.contains(char::is_control) {
            return Err(wrong("name", "is empty or has control characters in it; a name is wanted, e.g. \"login\""));
        }
        let phase = step.phase.as_deref().map(Phase::parse).transpose().map_err(|why| wrong("phase", &why))?;
        let body = match (step.form, step.json) {
            (Some(_), Some(_)) => return Err(wrong("json", "and `form` exclude each other")),
            (Some(form), None) => Body::Form(form.into_iter().map(|(name, value)| (name, Template::parse(&value))).collect()),
            (None, Some(json)) => Body::Json(json),
            (None, None) => Body::None,
        };
        let method = step.method.unwrap_or_else(|| if matches!(body, Body::None) { "GET" } else { "POST" }.into());
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) || method == "CONNECT" {
            return Err(wrong("method", "is no method of HTTP, e.g. \"GET\" or \"POST\""));
        }
        if !matches!(body, Body::None) && matches!(method.as_str(), "GET" | "HEAD") {
            return Err(wrong("method", "sends nothing, so there can be neither `form` nor `json`; fields of a search go into `path`"));
        }
        check_path(&step.path)?;
        for word in &step.only_with {
            if !is_word(word) {
                return Err(wrong("only_with", "has a word without a name: small letters, digits and _"));
            }
        }
        let expect = each(step.expect.into_iter().enumerate(), |at, expect| (format!("expect[{at}]"), expectation(expect)))?;
        let take = each(step.take, |word, take| (format!("take.{word}"), taking(&word, take).map(|taking| (word.clone(), taking))))?;
        let mut step = Self {
            at,
            name: step.name,
            phase,
            method,
            path: Template::parse(&step.path),
            body,
            headers: headers(step.headers)?,
            follow: step.follow,
            only_with: step.only_with,
            is_marked: false,
            within: step.within.map(|span| span.0),
            expect,
            take,
        };
        step.is_marked = step.words().iter().any(|(_, word)| matches!(word.as_str(), "mark" | "unique"));
        Ok(step)
    }

    /// Whether it runs: whether everything is known that it is to be left out without.
    pub(crate) fn is_wanted(&self, words: &Words) -> bool {
        self.only_with.iter().all(|word| words.contains_key(word))
    }

    /// Every word that is filled in somewhere, with where.
    pub(crate) fn words(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut add = |path: String, template: &Template| found.extend(template.words().map(|word| (path.clone(), word.to_owned())));
        add("path".into(), &self.path);
        self.headers.iter().for_each(|(name, value)| add(format!("headers.{name}"), value));
        match &self.body {
            Body::None => {}
            Body::Form(fields) => fields.iter().for_each(|(name, value)| add(format!("form.{name}"), value)),
            Body::Json(json) => strings(json, &mut |text| add("json".into(), &Template::parse(text))),
        }
        for (at, expectation) in self.expect.iter().enumerate() {
            if let Some((_, Test::Contains(text) | Test::Lacks(text) | Test::Is(text))) = &expectation.content {
                add(format!("expect[{at}]"), text);
            }
        }
        for (word, taking) in &self.take {
            taking.after.iter().chain(&taking.until).for_each(|text| add(format!("take.{word}"), text));
        }
        found
    }

    /// Whether a status is expected, so that 400 and more may be one.
    pub(crate) fn expects_a_status(&self) -> bool {
        self.expect.iter().any(|expectation| expectation.status.is_some())
    }
}

/// Checks headers, whose names the host would refuse only when they are sent.
///
/// Errors: kind `config`, at `headers`.
pub(crate) fn headers(headers: BTreeMap<String, String>) -> Result<Vec<(String, Template)>, AgentError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    for (name, value) in &headers {
        let wrong = |why: &str| Err(AgentError::config(format!("headers.{name}"), why));
        if name.is_empty() || !name.chars().all(is_name) {
            return wrong("is no name of a header");
        }
        match name.to_ascii_lowercase().as_str() {
            "content-length" | "transfer-encoding" | "connection" | "upgrade" | "host" => return wrong("is not for a script to set"),
            "cookie" => return wrong("is not for a script to set: cookies are kept as a browser keeps them"),
            _ if value.contains(char::is_control) => return wrong("has control characters in it"),
            _ => {}
        }
    }
    Ok(headers.into_iter().map(|(name, value)| (name, Template::parse(&value))).collect())
}

/// Fills words into the strings of JSON.
pub(crate) fn filled(json: &Value, words: &Words) -> Value {
    match json {
        Value::String(text) => Value::String(Template::parse(text).fill(words)),
        Value::Array(items) => items.iter().map(|item| filled(item, words)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), filled(value, words))).collect(),
        other => other.clone(),
    }
}

fn strings(json: &Value, each: &mut impl FnMut(&str)) {
    match json {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, each)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, each)),
        _ => {}
    }
}

fn each<K, V, T>(
    items: impl IntoIterator<Item = (K, V)>,
    check: impl Fn(K, V) -> (String, Result<T, AgentError>),
) -> Result<Vec<T>, AgentError> {
    let checked = items.into_iter().map(|(key, value)| check(key, value));
    checked.map(|(path, checked)| checked.map_err(|error| error.below(&path))).collect()
}

fn check_path(path: &str) -> Result<(), AgentError> {
    let wrong = |why: &str| Err(AgentError::config("path", why));
    if path.contains(char::is_control) || path.contains('#') {
        return wrong("has control characters or # in it");
    }
    let begins = path.split(['/', '?', '{']).next().unwrap_or_default();
    if begins.contains(':') || path.starts_with("//") {
        return wrong("names a host; a path is wanted, seen from `url`");
    }
    if Template::parse(path).words().any(|word| word == "password") {
        return wrong("has {password} in it: addresses end up in logs; send it in `form`, `json` or `headers`");
    }
    if path.starts_with('{') && Template::parse(path).only_word().is_none() {
        return wrong("begins with a word; what is a link stands alone, anything else begins with / or ?");
    }
    Ok(())
}

fn source(header: Option<String>, json: Option<String>, cookie: Option<String>) -> Result<Source, AgentError> {
    match (header, json, cookie) {
        (None, None, None) => Ok(Source::Body),
        (Some(name), None, None) => Ok(Source::Header(name)),
        (None, Some(pointer), None) if pointer.is_empty() || pointer.starts_with('/') => Ok(Source::Json(pointer)),
        (None, Some(_), None) => Err(AgentError::config("json", "is no pointer: it begins with /, e.g. \"/session/token\"")),
        (None, None, Some(name)) => Ok(Source::Cookie(name)),
        _ => Err(AgentError::config("", "looks in several places at once: of `header`, `json` and `cookie` there can be one")),
    }
}

fn expectation(expect: Expect) -> Result<Expectation, AgentError> {
    let wrong = |why: &str| Err(AgentError::config("", why));
    let source = source(expect.header, expect.json, expect.cookie)?;
    if expect.status.as_ref().is_some_and(Vec::is_empty) {
        return Err(AgentError::config("status", "is an empty list, which no answer meets"));
    }
    if [&expect.contains, &expect.lacks].into_iter().flatten().any(String::is_empty) {
        return wrong("looks for an empty text, which is everywhere");
    }
    let test = match (expect.contains, expect.lacks, expect.equals) {
        (None, None, None) if source == Source::Body => None,
        (None, None, None) => Some(Test::Exists),
        (Some(text), None, None) => Some(Test::Contains(Template::parse(&text))),
        (None, Some(text), None) => Some(Test::Lacks(Template::parse(&text))),
        (None, None, Some(Value::String(text))) => Some(Test::Is(Template::parse(&text))),
        (None, None, Some(value)) => Some(Test::Equals(value)),
        _ => return wrong("asks several things at once: of `contains`, `lacks` and `equals` there can be one"),
    };
    match (&expect.status, &test) {
        (None, None) => wrong("expects nothing"),
        (Some(_), Some(_)) => wrong("expects a status and something else: make two of it, in the order in which they are looked at"),
        _ => Ok(Expectation { status: expect.status, content: test.map(|test| (source, test)), otherwise: expect.otherwise }),
    }
}

/// Checks what is to be taken under a word.
pub(crate) fn taking(word: &str, take: Take) -> Result<Taking, AgentError> {
    let wrong = |why: &str| Err(AgentError::config("", why));
    if !is_word(word) {
        return wrong("is no word: small letters, digits and _");
    }
    if ["user", "password", "unique", "mark"].contains(&word) {
        return wrong("is a word that the agent gives itself");
    }
    let source = source(take.header, take.json, take.cookie)?;
    if source == Source::Body && take.after.is_empty() && take.until.is_none() {
        return wrong("takes the whole page; say by `header`, `json`, `cookie`, `after` or `until` what of it");
    }
    if take.after.iter().chain(&take.until).any(String::is_empty) {
        return wrong("looks for an empty text, which is everywhere");
    }
    if take.all && (take.after.is_empty() || take.until.is_none()) {
        return Err(AgentError::config("all", "needs `after` and `until`, which part one from the other"));
    }
    let after = take.after.iter().map(|text| Template::parse(text)).collect();
    let until = take.until.as_deref().map(Template::parse);
    let (all, html, optional, public) = (take.all, take.html, take.optional, take.public);
    Ok(Taking { source, after, until, all, html, optional, public })
}
