//! A ticket system, as a file describes it: which requests find, make, read and change a ticket.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use hyper::{Method, header::HeaderName};
use serde_json::Value;

use super::pattern::Pattern;

/// Systems that come with the program, each by its name and its file.
pub const SHIPPED: [(&str, &str); 9] = [
    ("rest", include_str!("systems/rest.toml")),
    ("request-tracker", include_str!("systems/request-tracker.toml")),
    ("roundup", include_str!("systems/roundup.toml")),
    ("jira", include_str!("systems/jira.toml")),
    ("servicenow-incident", include_str!("systems/servicenow-incident.toml")),
    ("servicenow-event", include_str!("systems/servicenow-event.toml")),
    ("zammad", include_str!("systems/zammad.toml")),
    ("glpi", include_str!("systems/glpi.toml")),
    ("pagerduty", include_str!("systems/pagerduty.toml")),
];

/// A system.
#[derive(Clone, Debug)]
pub struct Template {
    /// What the configuration calls it: the name of a shipped one, or the file's.
    pub system: String,
    /// What people call it.
    pub name: String,
    /// On what it was tried.
    pub tried: Tried,
    /// Where the system's own documents are.
    pub documents: Vec<String>,
    /// How long a search may not see what was made.
    pub search_lag: Duration,
    /// What `settings` of the channel may give.
    pub settings: BTreeMap<String, Setting>,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, Pattern)>,
    /// Where people look at a ticket.
    pub link: Option<Pattern>,
    /// A request whose answer lets the others in.
    pub login: Option<Login>,
    /// Finds the tickets that bear a key.
    pub search: Option<Search>,
    /// Makes a ticket.
    pub create: Create,
    /// Reads how a ticket stands.
    pub read: Option<Read>,
    /// Reads what was written into a ticket.
    pub comments: Option<Comments>,
    /// Writes something into a ticket.
    pub comment: Option<Call>,
    /// Says that the problem is over.
    pub resolve: Option<Call>,
    /// Says that it is there again.
    pub reopen: Option<Call>,
    /// Says who takes care of it.
    pub take: Option<Call>,
    /// What the system calls its states.
    pub states: States,
    /// The file, to tell it from another.
    pub source: Arc<str>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        (&self.system, &self.source) == (&other.system, &other.source)
    }
}

impl Template {
    /// Whether any request says which state of the ticket it is about.
    pub fn is_versioned(&self) -> bool {
        let calls = [&self.comment, &self.resolve, &self.reopen, &self.take].into_iter().flatten();
        let said = |pattern: &Pattern| pattern.source().contains("ticket.version");
        calls.flat_map(Call::patterns).chain(self.headers.iter().map(|(_, pattern)| pattern)).any(said)
    }
}

/// On what a template was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// On the system itself.
    Real,
    /// On a server that was scripted from the system's documents.
    Scripted,
    /// Nobody says.
    Untold,
}

impl Tried {
    /// Says it to people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Real => "tried on the real system",
            Self::Scripted => "tried on a server scripted from its documents",
            Self::Untold => "not said to have been tried",
        }
    }
}

/// What a channel may or has to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whether there is no ticket without it.
    pub required: bool,
    /// Whether nobody is to see it.
    pub secret: bool,
    /// What it is where nothing is given.
    pub default: Option<String>,
    /// What it is for.
    pub help: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its path, behind the channel's `url`.
    pub path: Pattern,
    /// Headers of its own.
    pub headers: Vec<(HeaderName, Pattern)>,
    /// What it carries.
    pub body: Body,
    /// Where an answer that calls itself a success says that it is none, if anything stands there.
    pub fails: Option<Pointer>,
    /// Where a list is of which one is meant; else the answer itself is.
    pub among: Option<Pointer>,
    /// What the one that is meant says, and where; an answer without it is a failure.
    pub which: Vec<(Pointer, Vec<Pattern>)>,
    /// What is asked after it; `ticket.made` is what stands in the one that is meant at `made`.
    pub then: Option<Box<Self>>,
    /// What the next request needs of the one that is meant.
    pub made: Option<Pointer>,
}

impl Call {
    /// All texts of it with values in them.
    pub fn patterns(&self) -> Vec<&Pattern> {
        let mut all: Vec<&Pattern> = vec![&self.path];
        all.extend(self.headers.iter().map(|(_, pattern)| pattern));
        match &self.body {
            Body::None => {}
            Body::Whole(pattern) => all.push(pattern),
            Body::Form(fields) => all.extend(fields.iter().map(|(_, pattern)| pattern)),
        }
        all.extend(self.which.iter().flat_map(|(_, patterns)| patterns));
        all.extend(self.then.iter().flat_map(|then| then.patterns()));
        all
    }
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON.
    Whole(Pattern),
    /// A form, its fields in order.
    Form(Vec<(String, Pattern)>),
}

/// The request that lets the others in.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// What is asked.
    pub call: Call,
    /// Where the answer says what the others need.
    pub session: Pointer,
}

/// Finds tickets.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// What is asked.
    pub call: Call,
    /// Where the list is.
    pub items: Pointer,
    /// Where one of the list says its id.
    pub id: Pointer,
    /// Where one of the list says the key, if a search finds others too.
    pub bears: Option<Pointer>,
    /// Whether the list is left out where nothing was found.
    pub may_be_absent: bool,
    /// Whether what is found bears the key in a field of its own: nobody writes it there by the way.
    pub exact: bool,
    /// Where one of the list says who made it.
    pub by: Option<Pointer>,
}

/// Makes a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// What is asked.
    pub call: Call,
    /// Where the answer says the id; nothing where the key is the id.
    pub id: Option<Pointer>,
    /// Whether the system itself makes one ticket of one key.
    pub native_key: bool,
    /// Where the key goes, for people.
    pub key: Option<String>,
}

/// Reads a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// What is asked.
    pub call: Call,
    /// Where the answer says the state.
    pub state: Pointer,
    /// Which state of the ticket it is, for requests that are about no other.
    pub version: Option<Version>,
    /// Where it says which ticket it is: another one where it was merged into that.
    pub id: Option<Pointer>,
    /// Who takes care of it.
    pub owner: Option<Pointer>,
    /// Who resolved or closed it.
    pub closed_by: Option<Pointer>,
    /// Owners that are nobody.
    pub nobody: Vec<String>,
}

/// Where an answer says which state of a ticket it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Version {
    /// In a header: `ETag`.
    Header(HeaderName),
    /// In the body.
    Body(Pointer),
}

/// Reads comments.
#[derive(Clone, Debug, PartialEq)]
pub struct Comments {
    /// What is asked.
    pub call: Call,
    /// Where the list is.
    pub items: Pointer,
    /// Where one of the list says its id.
    pub id: Pointer,
    /// What is asked for each that is new, where the list does not hold the text; `ticket.item` is its id.
    pub each: Option<Pattern>,
    /// Where it says who wrote it.
    pub author: Option<Pointer>,
    /// Where it says what was written.
    pub text: Pointer,
    /// Where it says what the text is (`text/html`); what calls itself otherwise is plain.
    pub kind: Option<Pointer>,
    /// Whether every text is HTML.
    pub html: bool,
    /// Whether the text is encoded in Base64.
    pub base64: bool,
    /// Whether the latest of the list stands first.
    pub newest_first: bool,
    /// Which of the list are comments: those that say one of these texts there.
    pub only: Vec<(Pointer, Vec<String>)>,
}

/// What the system calls its states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct States {
    /// Somebody is to do something.
    pub open: Vec<Pattern>,
    /// The problem is over.
    pub resolved: Vec<Pattern>,
    /// Nobody does anything any more.
    pub closed: Vec<Pattern>,
}

/// A place in an answer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pointer {
    /// Reads one: nothing, or `/` and a name for each step.
    pub fn parse(text: &str) -> Option<Self> {
        (text.is_empty() || text.starts_with('/')).then(|| Self(text.to_owned()))
    }

    /// What stands there.
    pub fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.pointer(&self.0).filter(|found| !found.is_null())
    }

    /// What stands there as a text; a list of one counts as that one.
    pub fn text(&self, value: &Value) -> Option<String> {
        fn said(value: &Value) -> Option<String> {
            match value {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                Value::Bool(flag) => Some(flag.to_string()),
                Value::Array(items) => items.first().and_then(said),
                _ => None,
            }
        }
        self.of(value).and_then(said).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_an_id_as_a_text_or_a_number() {
        let answer = serde_json::json!({ "id": 12, "key": "OPS-1", "none": null, "list": ["a", "b"], "empty": "" });
        let at = |pointer: &str| Pointer::parse(pointer).unwrap().text(&answer);
        assert_eq!(
            (at("/id"), at("/key"), at("/list"), at("/list/1")),
            (Some("12".into()), Some("OPS-1".into()), Some("a".into()), Some("b".into()))
        );
        assert_eq!((at("/none"), at("/empty"), at("/absent")), (None, None, None));
        assert_eq!(Pointer::parse("id"), None);
    }
}
