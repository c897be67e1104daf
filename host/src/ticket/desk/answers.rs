//! What a system answers, and what that means for what was asked.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Method;
use minijinja::Value as Values;
use serde_json::Value;

use super::only_asks;
use crate::{
    notify::{text::plain_line, webhook::says_no_error},
    ticket::{
        life::{Ask, Comment, Heard},
        template::{Call, Comments, Version},
        wire::Answer,
    },
};

/// Characters of an answer that are told of.
const TOLD_CHARS_MAX: usize = 200;

/// Why a request did not give what was asked for.
#[derive(Debug)]
pub(super) enum Reply {
    /// It cannot be put together.
    Unsaid(String),
    /// No answer came.
    Lost(String),
    /// An answer that is none of what was asked for, and calls itself a success.
    Strange(String),
    /// An answer that says that it failed.
    Status {
        /// Its status.
        status: u16,
        /// What it says.
        why: String,
        /// How long the system wants to be left alone.
        after: Option<Duration>,
    },
    /// It failed before anything could be changed: where, and how.
    Before(&'static str, Box<Self>),
}

impl Reply {
    pub(super) fn strange(what: &str, json: &Value) -> Self {
        Self::Strange(format!("answered, with {what}: {}", told(&json.to_string())))
    }

    /// Of a request that came before the one that changes something.
    pub(super) fn of_a_question(self, which: &'static str) -> Self {
        Self::Before(which, Box::new(self))
    }

    pub(super) fn why(&self) -> String {
        match self {
            Self::Unsaid(why) => format!("the template: {why}"),
            Self::Lost(why) | Self::Strange(why) | Self::Status { why, .. } => why.clone(),
            Self::Before(which, reply) => format!("{which}: {}", reply.why()),
        }
    }
}

fn told(text: &str) -> String {
    plain_line(text.trim()).chars().take(TOLD_CHARS_MAX).collect()
}

/// Takes an answer for what it is.
pub(super) fn check(call: &Call, method: &Method, answer: Answer) -> Result<(Value, Answer), Reply> {
    let said = told(&answer.text);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    if !(200..=299).contains(&answer.status) {
        let why = format!("answered {}{said}", answer.status);
        return Err(Reply::Status { status: answer.status, why, after: answer.after });
    }
    // An empty answer says nothing, and not that it failed.
    let json: Value = match answer.text.trim() {
        "" => Value::Null,
        text => match serde_json::from_str(text) {
            Ok(json) => json,
            Err(_) if !only_asks(method) => Value::String(text.to_owned()),
            Err(_) => return Err(Reply::Strange(format!("answered {} with no JSON{said}", answer.status))),
        },
    };
    let is_something = |found: &Value| match found {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let fails = call.fails.as_ref().and_then(|fails| fails.of(&json)).is_some_and(is_something);
    // Where something is only read, a state may be called `failed`.
    let fails = fails || (!only_asks(method) && says_no_error(&answer.text).is_err());
    if fails {
        return Err(Reply::Strange(format!("answered {}, and that it failed{said}", answer.status)));
    }
    Ok((json, answer))
}

/// What a failure means for what was asked.
pub(super) fn heard_of(ask: &Ask, reply: Reply) -> (Heard, Option<Duration>) {
    let why = reply.why();
    let is_of_a_ticket = !matches!(ask, Ask::Search | Ask::Create);
    match reply {
        Reply::Unsaid(_) => (Heard::Later(why), None),
        Reply::Before(_, reply) => {
            let after = if let Reply::Status { after, .. } = *reply { after } else { None };
            (Heard::Later(why), after)
        }
        Reply::Lost(_) | Reply::Strange(_) => (Heard::Unknown(why), None),
        Reply::Status { status, after, .. } => {
            let heard = match status {
                408 | 500..=599 => Heard::Unknown(why),
                404 | 410 if is_of_a_ticket => Heard::Gone(why),
                409 | 412 => Heard::Outdated(why),
                401..=404 | 407 | 410 | 425 | 429 | 300..=399 => Heard::Later(why),
                _ => Heard::Refused(why),
            };
            (heard, after)
        }
    }
}

/// The one that an answer is about: the first of the list, or the answer itself, that says what it has to.
pub(super) fn meant<'j>(call: &Call, values: &Values, json: &'j Value) -> Result<&'j Value, Reply> {
    let mut wanted = Vec::new();
    for (pointer, patterns) in &call.which {
        let texts: Result<Vec<String>, String> = patterns.iter().map(|pattern| pattern.render(values)).collect();
        wanted.push((pointer, texts.map_err(Reply::Unsaid)?));
    }
    let says = |one: &&Value| wanted.iter().all(|(pointer, texts)| pointer.text(one).is_some_and(|text| texts.contains(&text)));
    let found = match &call.among {
        None => Some(json).filter(says),
        Some(among) => among.of(json).and_then(Value::as_array).and_then(|items| items.iter().find(says)),
    };
    let told = || {
        wanted
            .iter()
            .map(|(pointer, texts)| format!("{pointer} \"{}\"", plain_line(&texts.join("\" or \""))))
            .collect::<Vec<_>>()
            .join(", ")
    };
    found.ok_or_else(|| Reply::strange(&format!("nothing in it that says {}", told()), json))
}

pub(super) fn version(version: &Version, answer: &Answer, json: &Value) -> Option<String> {
    match version {
        Version::Header(name) => answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned),
        Version::Body(pointer) => pointer.text(json),
    }
}

/// Whether one of the list is a comment.
pub(super) fn is_comment(comments: &Comments, item: &Value) -> bool {
    comments.only.iter().all(|(pointer, texts)| pointer.text(item).is_some_and(|text| texts.contains(&text)))
}

/// A comment as people read it; one without a text is none.
pub(super) fn comment(comments: &Comments, id: String, item: &Value) -> Option<Comment> {
    let text = comments.text.text(item).unwrap_or_default();
    let text = if comments.base64 {
        let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        String::from_utf8_lossy(&STANDARD.decode(packed).ok()?).into_owned()
    } else {
        text
    };
    let author = comments.author.as_ref().and_then(|author| author.text(item));
    let author = author.map(|author| plain_line(author.trim()).chars().take(super::NAME_CHARS_MAX).collect::<String>());
    Some(Comment { id, author: author.filter(|author| !author.is_empty()), text: lines(&text) })
}

/// A text in lines, whatever of HTML is in it.
fn lines(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        shown.push_str(before);
        let is_tag = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        match tag.find('>').filter(|_| is_tag) {
            Some(end) => {
                shown.push('\n');
                rest = &tag[end + 1..];
            }
            None => {
                shown.push('<');
                rest = &tag[1..];
            }
        }
    }
    shown.push_str(rest);
    for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")] {
        shown = shown.replace(entity, character);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_html_and_words_stay() {
        assert_eq!(
            lines("<p>a &lt; b</p><p>watchpost-x/1</p>").split('\n').filter(|line| !line.is_empty()).collect::<Vec<_>>(),
            ["a < b", "watchpost-x/1"]
        );
        assert_eq!(lines("1 < 2 and 3 > 2"), "1 < 2 and 3 > 2");
    }

    #[test]
    fn what_a_status_means_depends_on_what_was_asked() {
        let heard = |ask: &Ask, status| match heard_of(ask, Reply::Status { status, why: "w".into(), after: None }).0 {
            Heard::Refused(_) => "refused",
            Heard::Later(_) => "later",
            Heard::Outdated(_) => "outdated",
            Heard::Gone(_) => "gone",
            Heard::Unknown(_) => "unknown",
            _ => "else",
        };
        for (status, of_create, of_comment) in [
            (400, "refused", "refused"),
            (401, "later", "later"),
            (404, "later", "gone"),
            (408, "unknown", "unknown"),
            (412, "outdated", "outdated"),
            (422, "refused", "refused"),
            (429, "later", "later"),
            (500, "unknown", "unknown"),
            (503, "unknown", "unknown"),
        ] {
            assert_eq!((heard(&Ask::Create, status), heard(&Ask::Comment, status)), (of_create, of_comment), "{status}");
        }
    }
}
