//! What is asked by HTTP.

use std::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::Tls;

/// A request of HTTP/1.1.
///
/// The host adds `Host`, `User-Agent`, `Accept` and `Accept-Encoding: identity` where they are absent, and what tells the body's length.
/// Redirects are not followed and cookies not kept: those are the agent's, who knows which host may see a credential.
///
/// ```
/// # use watchpost_plugin_api::{HttpRequest, Keep};
/// let login = HttpRequest::post("https://mail.example.org/login")
///     .form(&[("user", "alice"), ("password", "p a/ss")])
///     .header("Cookie", "session=1");
/// assert_eq!(login.body, b"user=alice&password=p+a%2Fss");
/// let probe = HttpRequest::get("http://127.0.0.1:8080/status").keep(Keep::Never);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HttpRequest {
    /// `GET`, `HEAD`, `POST`, …
    pub method: String,
    /// Where to: `http://host[:port]/path?query` or `https://…`, with everything encoded that has to be.
    pub url: String,
    /// Sent in this order, those of one name together, between `Host` and what else the host adds.
    pub headers: Vec<(String, String)>,
    /// Sent after them.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// How an `https` server is verified; under the name of the URL if absent, or where its own name is empty.
    pub tls: Option<Tls>,
    /// The address to connect to, whatever the URL's host is.
    pub connect_to: Option<SocketAddr>,
    /// How long the connection is kept for further requests.
    pub keep: Keep,
}

/// How long a connection is kept for further requests to the same host, port and TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Keep {
    /// It is used for this one only, and closed.
    Never,
    /// Until the run ends, as long as the server lets it.
    #[default]
    Run,
    /// For the next runs of the job too.
    Job,
}

impl fmt::Debug for HttpRequest {
    /// Without what may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({}, {} headers, {} bytes)", self.method, self.headers.len(), self.body.len())
    }
}

impl HttpRequest {
    /// Asks by any method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), ..Self::default() }
    }

    /// Asks for a page.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// Asks for a page's head.
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// Sends something.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends this.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the fields of a form, and says that it is one.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let field = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
        let body = fields.iter().map(field).collect::<Vec<_>>().join("&");
        self.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    /// Verifies, or inspects, an `https` server so.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Connects to this address instead of those of the URL's host.
    pub fn connect_to(mut self, address: SocketAddr) -> Self {
        self.connect_to = Some(address);
        self
    }

    /// Keeps the connection so long.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }
}

/// As browsers write a field of a form. WHATWG URL, "application/x-www-form-urlencoded percent-encode set".
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    encoded
}

fn digit(of: u8) -> char {
    char::from_digit(u32::from(of), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let check = |fields: &[(&str, &str)], expected: &str| {
            let request = HttpRequest::post("http://a/").form(fields);
            assert_eq!(String::from_utf8_lossy(&request.body), expected);
            assert_eq!(request.headers, [("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned())]);
        };
        check(&[], "");
        check(&[("a", "1"), ("b", "")], "a=1&b=");
        check(&[("_pass", "p ä&=+%~!'()*-._")], "_pass=p+%C3%A4%26%3D%2B%25%7E%21%27%28%29*-._");
    }

    #[test]
    fn what_is_asked_is_not_shown_by_debug() {
        let request = HttpRequest::get("http://a/?token=geheim").header("Authorization", "Bearer geheim").body("geheim");
        assert_eq!(format!("{request:?}"), "HttpRequest(GET, 1 headers, 6 bytes)");
    }
}
