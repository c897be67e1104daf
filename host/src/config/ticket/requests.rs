//! A request of a template: method, path, headers, body, and where its answer says what.

use hyper::{Method, header::HeaderName};

use super::template::Places;
use crate::{
    config::{
        At, Fault, Faults, Place, Rule,
        channel::template_faulty,
        near::did_you_mean,
        reader::{Field, Reader, misshapen},
        text::{Data, Table},
    },
    ticket::{
        pattern::{Escape, Pattern},
        template::{Body, Call, Pointer},
    },
};

/// Methods that a request may have.
const METHODS: [(&str, Method); 5] =
    [("GET", Method::GET), ("POST", Method::POST), ("PUT", Method::PUT), ("PATCH", Method::PATCH), ("DELETE", Method::DELETE)];
/// Keys of a request that comes after another.
const KEYS_OF_THEN: [&str; 9] = ["among", "body", "fails", "headers", "made", "method", "path", "then", "which"];

/// One table of a template on its way to a request; what gives `None` was told of.
pub(super) struct Part<'t> {
    pub(super) reader: Reader<'t>,
    pub(super) place: &'t Place,
    pub(super) faults: &'t mut Faults,
    pub(super) places: &'t mut Places,
    /// Whether bodies are forms.
    pub(super) form: bool,
}

impl Part<'_> {
    pub(super) fn call(&mut self) -> Option<Call> {
        let method = self.reader.text("method", self.faults);
        let method = match method {
            Field::Absent => Some(Method::GET),
            Field::Broken => None,
            Field::Given(text) => {
                let found = METHODS.iter().find(|(name, _)| *name == text.value).map(|(_, method)| method.clone());
                if found.is_none() {
                    let message = format!("`method`: \"{}\" is none of what it can be", text.escape_debug());
                    let hint = did_you_mean(&text, "choices", METHODS.iter().map(|(name, _)| *name));
                    self.faults.push(Fault::new(Rule::ChannelChoiceUnknown, &text.place, message).hint(hint));
                }
                found
            }
        };
        let path = self.reader.text("path", self.faults);
        let path = path.required("path", self.place, "behind the channel's `url`: path = \"/tickets\"", self.faults);
        let path = path.and_then(|text| self.pattern("path", &text, Escape::Path));
        let (headers, body) = (self.headers(), self.body());
        let (fails, among, made) = (self.pointer("fails"), self.pointer("among"), self.pointer("made"));
        let (which, then) = (self.which(), self.then());
        let (fails, among, made) = (fails?, among?, made?);
        Some(Call { method: method?, path: path?, headers: headers?, body: body?, fails, among, which: which?, made, then: then? })
    }

    fn then(&mut self) -> Option<Option<Box<Call>>> {
        let table = match self.reader.table("then", self.faults) {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(table) => table,
        };
        let reader = Reader::new("`then`", &KEYS_OF_THEN, &table.value);
        let mut part = Part { reader, place: &table.place, faults: self.faults, places: self.places, form: self.form };
        let call = part.call();
        let Part { reader, faults, .. } = part;
        reader.finish(faults);
        call.map(|call| Some(Box::new(call)))
    }

    /// What the one says that is meant: `which = { "/name" = ["{{ settings.field }}"] }`.
    fn which(&mut self) -> Option<Vec<(Pointer, Vec<Pattern>)>> {
        let table = match self.reader.table("which", self.faults) {
            Field::Absent => return Some(Vec::new()),
            Field::Broken => return None,
            Field::Given(table) => table.value,
        };
        let mut which = Vec::new();
        for (key, entry) in &table.0 {
            let at = pointer("which", &At { value: key.clone(), place: entry.key.clone() }, self.faults);
            let patterns: Option<Vec<Pattern>> = match &entry.value.value {
                Data::List(items) => items.iter().map(|item| self.value("which", item, Escape::Plain)).collect(),
                _ => self.value("which", &entry.value, Escape::Plain).map(|pattern| vec![pattern]),
            };
            which.push((at?, patterns?));
        }
        Some(which)
    }

    pub(super) fn headers(&mut self) -> Option<Vec<(HeaderName, Pattern)>> {
        let table = match self.reader.table("headers", self.faults) {
            Field::Absent => return Some(Vec::new()),
            Field::Broken => return None,
            Field::Given(table) => table.value,
        };
        let mut headers = Vec::new();
        for (key, entry) in &table.0 {
            let Ok(name) = HeaderName::from_bytes(key.as_bytes()) else {
                let message = format!("`headers`: \"{}\" is no name of a header", key.escape_debug());
                let fault = Fault::new(Rule::ChannelAddressIllegal, &entry.key, message);
                self.faults.push(fault.hint("write headers = { Authorization = \"token {{ secret }}\" }"));
                continue;
            };
            headers.extend(self.value(&format!("headers.{key}"), &entry.value, Escape::Header).map(|pattern| (name, pattern)));
        }
        (headers.len() == table.0.len()).then_some(headers)
    }

    fn body(&mut self) -> Option<Body> {
        if self.form {
            let table: At<Table> = match self.reader.table("body", self.faults) {
                Field::Absent => return Some(Body::None),
                Field::Broken => return None,
                Field::Given(table) => table,
            };
            let field = |(key, entry): (&String, &crate::config::text::Entry)| {
                Some((key.clone(), self.value(&format!("body.{key}"), &entry.value, Escape::Field)?))
            };
            let fields: Vec<Option<(String, Pattern)>> = table.value.0.iter().map(field).collect();
            return fields.into_iter().collect::<Option<Vec<_>>>().map(Body::Form);
        }
        match self.reader.text("body", self.faults) {
            Field::Absent => Some(Body::None),
            Field::Broken => None,
            Field::Given(text) => self.pattern("body", &text, Escape::Json).map(Body::Whole),
        }
    }

    fn value(&mut self, key: &str, at: &At<Data>, escape: Escape) -> Option<Pattern> {
        match &at.value {
            Data::Text(text) => self.pattern(key, &At { value: text.clone(), place: at.place.clone() }, escape),
            other => {
                self.faults.extend(misshapen(key, "a text", other, &at.place));
                None
            }
        }
    }

    pub(super) fn pattern(&mut self, key: &str, text: &At<String>, escape: Escape) -> Option<Pattern> {
        match Pattern::parse(text, escape) {
            Ok(pattern) => {
                self.places.push((key.to_owned(), text.place.clone(), pattern.clone()));
                Some(pattern)
            }
            Err(why) => {
                self.faults.push(template_faulty(key, &text.place, &why));
                None
            }
        }
    }

    /// A place in the answer, if one is named.
    pub(super) fn pointer(&mut self, key: &'static str) -> Option<Option<Pointer>> {
        match self.reader.text(key, self.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(text) => pointer(key, &text, self.faults).map(Some),
        }
    }

    /// A place in the answer that has to be named.
    pub(super) fn needed(&mut self, key: &'static str, hint: &str) -> Option<Pointer> {
        let text = self.reader.text(key, self.faults).required(key, self.place, hint, self.faults)?;
        pointer(key, &text, self.faults)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.reader.flag(key, self.faults) {
            Field::Absent => Some(false),
            Field::Broken => None,
            Field::Given(flag) => Some(flag.value),
        }
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<At<String>>> {
        match self.reader.text_or_texts(key, self.faults) {
            Field::Absent => Some(Vec::new()),
            Field::Broken => None,
            Field::Given(texts) => texts.value.whole.then_some(texts.value.items),
        }
    }
}

pub(super) fn pointer(key: &str, text: &At<String>, faults: &mut Faults) -> Option<Pointer> {
    let pointer = Pointer::parse(text);
    if pointer.is_none() {
        let message = format!("`{key}`: \"{}\" is no place in an answer", text.escape_debug());
        faults
            .push(Fault::new(Rule::TicketPointerIllegal, &text.place, message).hint("a JSON pointer: \"/data/id\", or \"\" for all of it"));
    }
    pointer
}
