//! The language of scripts: what a step is, as it is written down.
//!
//! A step is a request, what its answer must have in it, and what of it later steps need. In most texts words in braces are filled in:
//! `{user}` and `{password}` of the job; what an earlier step took (`{token}`); the job's own `values`; `{unique}`, a text that no other
//! run has, for the subject of a message, and `{mark}`, the part of it that stays the same until a run has ended well: by it a run finds
//! what others before it could not remove.

use std::{collections::BTreeMap, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use watchpost_plugin_api::AgentError;

const ROUNDCUBE: &str = include_str!("../scripts/roundcube.toml");

/// Names a script that comes with the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// For Roundcube 1.6.
    Roundcube,
}

/// A whole script.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) says: Option<Take>,
    pub(crate) steps: Vec<Step>,
}

impl Ready {
    /// The script itself.
    pub(crate) fn script(self) -> Result<Script, AgentError> {
        let text = match self {
            Self::Roundcube => ROUNDCUBE,
        };
        toml::from_str(text).map_err(|error| AgentError::local(error.to_string()))
    }
}

/// One request of a session, and what is done with its answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the step is called in messages, e.g. "login".
    pub name: String,
    /// The phase that the step belongs to: "authenticate", "select", "search", "download", "compose_send", "logout", or a word of your own;
    /// the metric is called so with `_time` after it. Steps of one phase follow one another. Without a phase the step's time is in no
    /// metric, and not in `total_time`.
    pub phase: Option<String>,
    /// The method of the request. Default: "POST" with `form` or `json`, else "GET".
    pub method: Option<String>,
    /// Where the request goes, seen from `url`, e.g. "?_task=login" or "/api/session". Words in it are encoded. A path that is one word and
    /// nothing else, as "{next}", is a link that an earlier step took; it must not lead to another host. Default: `url` itself.
    #[serde(default)]
    pub path: String,
    /// Fields of a form that is sent, e.g. `{ user = "{user}", pass = "{password}" }`.
    pub form: Option<BTreeMap<String, String>>,
    /// JSON that is sent; words are filled into its strings.
    pub json: Option<serde_json::Value>,
    /// Headers of the request, beside those of all steps.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Follows redirects, ten at most. One to another host (another scheme or port is another host) gets no cookie, header or form, and
    /// is refused where it carries a secret or wants the form. Default: true; else the redirect is the answer.
    #[serde(default = "yes")]
    pub follow: bool,
    /// Words without which the step is left out: those that an optional `take` did not find.
    #[serde(default)]
    pub only_with: Vec<String>,
    /// Asks again until everything expected is there, for so long at most, e.g. "15s": for a message that is on its way.
    pub within: Option<Span>,
    /// What must be so, in this order; the first that is not fails the run. A status of 400 and more does too, unless `status` is expected.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// What later steps need of the answer, by the word for it.
    #[serde(default)]
    pub take: BTreeMap<String, Take>,
}

/// Something that must be so. Where it is looked for: in `header`, `json` or `cookie`, else in the whole page.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The status is one of these, e.g. `[200]`.
    pub status: Option<Vec<u16>>,
    /// Looks at the header of that name; with nothing else it must be there.
    pub header: Option<String>,
    /// Looks at what this pointer (RFC 6901) leads to in a page of JSON, e.g. "/session/state"; with nothing else it must be there.
    pub json: Option<String>,
    /// Looks at the cookie of that name; with nothing else it must be there.
    pub cookie: Option<String>,
    /// This text is somewhere in it; words are filled in.
    pub contains: Option<String>,
    /// This text is not in it; nor is it where there is nothing.
    pub lacks: Option<String>,
    /// It is this, e.g. "list", 3 or true.
    pub equals: Option<serde_json::Value>,
    /// What it means if it is not so: "protocol" (the default; not what the script was made for) or "auth" (the login is refused).
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// What a disappointed expectation means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Otherwise {
    /// The server is not what the script was made for, or is ill.
    #[default]
    Protocol,
    /// The login is refused.
    Auth,
}

/// Something to be taken from an answer: from `header`, `json` or `cookie`, else from the page; of that all of it, or a part.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// From the header of that name.
    pub header: Option<String>,
    /// From what this pointer (RFC 6901) leads to in a page of JSON: a text, a number, true or false.
    pub json: Option<String>,
    /// From the cookie of that name.
    pub cookie: Option<String>,
    /// The part after these texts, each looked for behind the one before, e.g. `['<select name="from"', '<option value="']`.
    #[serde(default)]
    pub after: Vec<String>,
    /// The part before this text, e.g. '"'. Default: up to the end.
    pub until: Option<String>,
    /// Takes every such part, with commas between. Needs `after` and `until`.
    #[serde(default)]
    pub all: bool,
    /// Undoes HTML's `&amp;` and its like.
    #[serde(default)]
    pub html: bool,
    /// It may be absent: steps that need it say so by `only_with`.
    #[serde(default)]
    pub optional: bool,
    /// It is no secret, and may be shown; everything else that is taken is masked.
    #[serde(default)]
    pub public: bool,
}

fn yes() -> bool {
    true
}

/// A time in whole seconds, as "15s".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<u16>().ok()).filter(|seconds| *seconds > 0);
        let wrong = || D::Error::custom(format_args!("\"{}\" is no time in whole seconds, as \"15s\"", text.escape_debug()));
        seconds.map(|seconds| Self(Duration::from_secs(seconds.into()))).ok_or_else(wrong)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+s$" })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_whole_seconds() {
        let check = |text: &str, expected: Option<u64>| {
            let span: Result<Span, _> = serde_json::from_value(serde_json::json!(text));
            assert_eq!(span.ok().map(|span| span.0.as_secs()), expected, "{text}");
        };
        check("15s", Some(15));
        check("65535s", Some(65535));
        for none in ["0s", "15", "1.5s", "-1s", "1m", "", "s", "65536s"] {
            check(none, None);
        }
    }

    #[test]
    fn the_ready_script_is_written_in_the_same_language() {
        let script = Ready::Roundcube.script().unwrap();
        let names: Vec<&str> = script.steps.iter().map(|step| step.name.as_str()).collect();
        let expected = ["login page", "login", "mailbox", "list", "message", "compose", "send", "arrival", "removal", "logout"];
        assert_eq!(names, expected);
    }
}
