//! Heads of requests and answers: read as they were sent, and shown without what is nobody's business.

use std::borrow::Cow;

use http_body_util::Full;
use hyper::{Request, body::Body, body::Bytes, http::response::Parts};
use watchpost_plugin_api::HttpHead;

use crate::{
    dialogue::{Dialogue, Speaker},
    mask::MASK,
};

/// Lines of a head, hyper's own bound.
const LINES_MAX: usize = 100;

/// What hyper does not tell of a head.
pub(crate) struct Read {
    pub(crate) reason: String,
    /// Names as they were written, in the order they were sent: hyper keeps neither.
    pub(crate) headers: Vec<(String, String)>,
}

/// Reads the head of an answer from what the server sent; 1xx answers may stand before it.
pub(crate) fn read(sent: &[u8], parts: &Parts) -> Read {
    let mut rest = sent;
    loop {
        let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
        let mut head = httparse::Response::new(&mut lines);
        match head.parse(rest) {
            Ok(httparse::Status::Complete(end)) if head.code.is_some_and(|code| (100..200).contains(&code)) => rest = &rest[end..],
            Ok(httparse::Status::Complete(_)) => {
                let headers = head.headers.iter().map(|header| (header.name.to_owned(), text(header.value)));
                return Read { reason: head.reason.unwrap_or_default().to_owned(), headers: headers.collect() };
            }
            // hyper has read it with the same parser; if it can read more than we can, its word stands.
            _ => {
                let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
                return Read { reason: String::new(), headers: headers.collect() };
            }
        }
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// Shows a request in the dialogue.
pub(crate) fn note_request(dialogue: &Dialogue, request: &Request<Full<Bytes>>) {
    dialogue.note_said(Speaker::Agent, &format!("{} {} HTTP/1.1", request.method(), request.uri()));
    for (name, value) in request.headers() {
        let name = name.as_str();
        dialogue.note_said(Speaker::Agent, &format!("{name}: {}", shown(name, &text(value.as_bytes()))));
    }
    match request.body().size_hint().exact() {
        Some(0) | None => {}
        Some(bytes) => dialogue.note(&format!("sent with a body of {bytes} bytes")),
    }
}

/// Shows the head of an answer in the dialogue.
pub(crate) fn note_answer(dialogue: &Dialogue, head: &HttpHead) {
    dialogue.note_said(Speaker::Target, format!("{} {} {}", head.version, head.status, head.reason).trim_end());
    for (name, value) in &head.headers {
        dialogue.note_said(Speaker::Target, &format!("{name}: {}", shown(name, value)));
    }
}

/// The value of a header without what lets anybody in.
fn shown<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "authorization" | "proxy-authorization" => match value.split_once(' ') {
            Some((scheme, _)) => format!("{scheme} {MASK}").into(),
            None => MASK.into(),
        },
        "cookie" => value.split(';').map(|cookie| cookie_shown(cookie.trim())).collect::<Vec<_>>().join("; ").into(),
        "set-cookie" => {
            let (cookie, attributes) = value.split_once(';').unwrap_or((value, ""));
            let attributes = if attributes.is_empty() { String::new() } else { format!(";{attributes}") };
            format!("{}{attributes}", cookie_shown(cookie)).into()
        }
        "www-authenticate" | "proxy-authenticate" => value.into(),
        name if ["auth", "token", "secret", "session", "password", "api-key", "apikey"].iter().any(|word| name.contains(word)) => {
            MASK.into()
        }
        _ => value.into(),
    }
}

fn cookie_shown(cookie: &str) -> String {
    match cookie.split_once('=') {
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_let_anybody_in_are_shown_without_their_secrets() {
        let check = |name: &str, value: &str, expected: &str| assert_eq!(shown(name, value), expected, "{name}: {value}");
        check("Authorization", "Basic YWxpY2U6Z2VoZWlt", "Basic <secret>");
        check("authorization", "geheim", "<secret>");
        check("Proxy-Authorization", "Bearer a.b.c", "Bearer <secret>");
        check("Cookie", "sid=1; theme=dark;x", "sid=<secret>; theme=<secret>; <secret>");
        check("Set-Cookie", "sid=abc=; Path=/; HttpOnly", "sid=<secret>; Path=/; HttpOnly");
        check("Set-Cookie", "sid", "<secret>");
        check("X-CSRF-Token", "abc", "<secret>");
        check("X-Api-Key", "abc", "<secret>");
        check("WWW-Authenticate", "Basic realm=\"mail\"", "Basic realm=\"mail\"");
        check("Location", "./?_task=mail", "./?_task=mail");
    }
}
