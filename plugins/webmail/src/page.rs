//! What came of a request: an answer, read to its end, and where in it something can be looked for.

use std::{borrow::Cow, cell::OnceCell, time::SystemTime};

use serde_json::Value;
use watchpost_plugin_api::HttpHead;

use crate::{cookies::Jar, place::Place};

/// An answer with its body.
pub(crate) struct Page<'a> {
    pub(crate) head: HttpHead,
    pub(crate) body: String,
    /// Where it came from, after all redirects.
    pub(crate) place: Place,
    pub(crate) jar: &'a Jar,
    pub(crate) now: SystemTime,
    json: OnceCell<Option<Value>>,
}

/// Where something is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Body,
    Header(String),
    Json(String),
    Cookie(String),
}

impl<'a> Page<'a> {
    pub(crate) fn new(head: HttpHead, body: String, place: Place, jar: &'a Jar, now: SystemTime) -> Self {
        Self { head, body, place, jar, now, json: OnceCell::new() }
    }

    /// What is there as text; `None` if nothing is.
    pub(crate) fn text(&self, source: &Source) -> Option<Cow<'_, str>> {
        match source {
            Source::Body => Some(self.body.as_str().into()),
            Source::Header(name) => self.head.header(name).map(Cow::from),
            Source::Cookie(name) => self.jar.value(&self.place, name, self.now).map(Cow::from),
            Source::Json(pointer) => match self.json(pointer)? {
                Value::String(text) => Some(text.into()),
                Value::Number(number) => Some(number.to_string().into()),
                Value::Bool(truth) => Some(truth.to_string().into()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            },
        }
    }

    /// Where a pointer leads to in a page of JSON.
    pub(crate) fn json(&self, pointer: &str) -> Option<&Value> {
        self.json.get_or_init(|| serde_json::from_str(&self.body).ok()).as_ref()?.pointer(pointer)
    }
}

impl Source {
    /// The place, after "in".
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Body => "the page".into(),
            Self::Header(name) => format!("the header {name}"),
            Self::Json(pointer) => format!("{pointer} of the JSON"),
            Self::Cookie(name) => format!("the cookie {name}"),
        }
    }
}
