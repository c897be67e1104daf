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
        template::{Call, Comments, Search, Version},
        wire::Answer,
    },
};

/// Characters of an answer that are told of.
const TOLD_CHARS_MAX: usize = 200;
/// What is asked before everything, and is about no ticket.
pub(super) const LOGIN: &str = "login";

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

    /// Of a request that is named.
    pub(super) fn of_request(self, named: &str) -> Self {
        match self {
            Self::Lost(why) => Self::Lost(format!("{named}: {why}")),
            Self::Strange(why) => Self::Strange(format!("{named}: {why}")),
            Self::Status { status, why, after } => Self::Status { status, why: format!("{named}: {why}"), after },
            reply => reply,
        }
    }

    /// Without what was answered by a success: what lets us in may be in it.
    pub(super) fn untold(self) -> Self {
        match self {
            Self::Strange(_) => Self::Strange("what was answered is not what lets us in".into()),
            reply => reply,
        }
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
        Reply::Before(which, reply) => match *reply {
            // What is asked on the way is about the ticket, too.
            Reply::Status { status: 404 | 410, after, .. } if is_of_a_ticket && which != LOGIN => (Heard::Gone(why), after),
            Reply::Status { status: 402 | 403, after, .. } if is_of_a_ticket && which != LOGIN => (Heard::Denied(why), after),
            Reply::Status { after, .. } => (Heard::Later(why), after),
            _ => (Heard::Later(why), None),
        },
        Reply::Lost(_) | Reply::Strange(_) => (Heard::Unknown(why), None),
        Reply::Status { status, after, .. } => {
            let heard = match status {
                408 | 500..=599 => Heard::Unknown(why),
                404 | 410 if is_of_a_ticket => Heard::Gone(why),
                402 | 403 if is_of_a_ticket => Heard::Denied(why),
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
    let text = if is_html(comments, item) { lines(&text) } else { text };
    Some(Comment { id, author: author.filter(|author| !author.is_empty()), text })
}

/// Whether a text is HTML; of one that is not, nothing is a tag.
fn is_html(comments: &Comments, item: &Value) -> bool {
    let kind = comments.kind.as_ref().and_then(|kind| kind.text(item)).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    comments.html || kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

/// Of the tickets that a search found, those that may be ours: of several, where the system says it, those that one and the same made; one
/// alone where the key may stand in anybody's ticket.
pub(super) fn ours(search: &Search, mut found: Vec<(String, Option<String>)>, known: Option<&str>) -> Vec<String> {
    found.sort_by_key(|(id, _)| id.parse::<u64>().unwrap_or(0));
    let first = found.iter().find(|(id, _)| known.is_none_or(|known| known == id)).cloned();
    let is_ours = |(id, by): &(String, Option<String>)| match &first {
        Some((own, _)) if own == id => true,
        Some((_, first)) => search.exact && (search.by.is_none() || (by.is_some() && by == first)),
        // Ours is not seen yet: nothing says who made it.
        None => search.exact && search.by.is_none(),
    };
    found.into_iter().filter(is_ours).map(|(id, _)| id).collect()
}

/// A text in lines, whatever of HTML is in it.
fn lines(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    // Behind the last end of a tag there is none: it is not looked for again and again.
    let endless = text.rfind('>').map_or(usize::MAX, |end| text.len() - end - 1);
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        shown.push_str(before);
        let is_tag = tag.len() > endless && tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        match is_tag.then(|| tag.find('>')).flatten() {
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
        assert_eq!(lines("<b>1</b> <c <d"), "\n1\n <c <d");
    }

    #[test]
    fn what_is_plain_is_taken_as_it_is_and_only_what_is_html_is_read_as_that() {
        let shipped = |system: &str| crate::config::ticket::shipped(system, &[]).0.comments.unwrap();
        let read = |comments: &Comments, item: Value| super::comment(comments, "1".into(), &item).unwrap().text;
        let plain = "ring <bob@lab.test> if a<b and c>d, see <https://x.test/?a=1&amp;b=2>; &lt;tag&gt;";
        let html = "<p>a &lt; b</p>";
        let of_rt = |kind: &str, text: &str| read(&shipped("request-tracker"), serde_json::json!({ "Content": text, "ContentType": kind }));
        assert_eq!(of_rt("text/plain", plain), plain);
        assert_eq!(of_rt("text/html; charset=utf-8", html).trim(), "a < b");
        let of_zammad = |kind: &str, text: &str| read(&shipped("zammad"), serde_json::json!({ "body": text, "content_type": kind }));
        assert_eq!((of_zammad("text/plain", plain).as_str(), of_zammad("text/html", html).trim()), (plain, "a < b"));
        assert_eq!(read(&shipped("glpi"), serde_json::json!({ "content": html })).trim(), "a < b");
        for (system, item) in [
            ("jira", serde_json::json!({ "body": plain })),
            ("servicenow-incident", serde_json::json!({ "value": plain })),
            ("roundup", serde_json::json!({ "data": { "attributes": { "content": plain } } })),
            ("rest", serde_json::json!({ "text": plain })),
        ] {
            assert_eq!(read(&shipped(system), item), plain, "{system}");
        }
    }

    /// What anybody may write into a ticket is read in one go, and not from each of its signs to the end: that would be minutes.
    #[test]
    fn a_text_of_two_megabytes_of_openings_is_read_at_once() {
        let began = std::time::Instant::now();
        for text in ["<a".repeat(1 << 20), format!("{}>", "< ".repeat(1 << 20))] {
            assert!(lines(&text).len() >= 1 << 20);
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn only_what_the_same_user_made_is_taken_for_ours_and_one_alone_where_anybody_may_write_the_key() {
        let search = |exact, by: Option<&str>| {
            let pointer = |text: &str| crate::ticket::template::Pointer::parse(text).unwrap();
            let call = crate::config::ticket::shipped("rest", &[]).0.search.unwrap().call;
            Search { call, items: pointer(""), id: pointer("/id"), bears: None, may_be_absent: false, exact, by: by.map(pointer) }
        };
        let found = [("12", Some("alice")), ("9", Some("watchpost")), ("10", Some("watchpost")), ("11", None)];
        let found = || found.iter().map(|(id, by)| ((*id).to_owned(), by.map(str::to_owned))).collect::<Vec<_>>();
        for (exact, by, known, expected) in [
            (true, Some("/by"), None, &["9", "10"][..]),
            (true, Some("/by"), Some("9"), &["9", "10"]),
            (true, Some("/by"), Some("11"), &["11"]),
            (true, Some("/by"), Some("99"), &[]),
            (true, None, Some("9"), &["9", "10", "11", "12"]),
            (false, None, Some("10"), &["10"]),
            (false, None, None, &["9"]),
        ] {
            assert_eq!(ours(&search(exact, by), found(), known), expected, "{exact} {by:?} {known:?}");
        }
    }

    #[test]
    fn what_a_status_means_depends_on_what_was_asked() {
        let heard = |ask: &Ask, status| match heard_of(ask, Reply::Status { status, why: "w".into(), after: None }).0 {
            Heard::Refused(_) => "refused",
            Heard::Later(_) => "later",
            Heard::Outdated(_) => "outdated",
            Heard::Denied(_) => "denied",
            Heard::Gone(_) => "gone",
            Heard::Unknown(_) => "unknown",
            _ => "else",
        };
        for (status, of_create, of_comment) in [
            (400, "refused", "refused"),
            (401, "later", "later"),
            (403, "later", "denied"),
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
