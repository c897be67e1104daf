//! Texts with values in them: paths, bodies, headers. What is put in cannot become anything but a value there.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;
use minijinja::{Environment, Error, Output, State, Value};

use crate::notify::text::{said, said_of, strict};

/// What a text is meant for, and so what a value in it may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// A path with a query: values are percent-encoded.
    Path,
    /// A body in JSON: values bring their own quotes.
    Json,
    /// One value of a form; it is encoded when the form is put together.
    Field,
    /// A header: nothing ends it.
    Header,
    /// Words for people, or for a comparison.
    Plain,
}

/// A text with values in it.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Arc<str>,
    escape: Escape,
    environment: Arc<Environment<'static>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.escape) == (&other.source, other.escape)
    }
}

impl Pattern {
    /// Reads one.
    ///
    /// Errors: what is wrong with it, and in which line.
    pub fn parse(source: &str, escape: Escape) -> Result<Self, String> {
        let mut environment = strict();
        environment.add_filter("urlencode", |text: String| Value::from_safe_string(percent(&text)));
        environment.add_filter("html", |text: String| html(&text));
        environment.add_filter("base64", |text: String| STANDARD.encode(text));
        environment.set_formatter(move |out, state, value| write(escape, out, state, value));
        environment.add_template_owned("it", source.to_owned()).map_err(|error| said(&error))?;
        Ok(Self { source: source.into(), escape, environment: Arc::new(environment) })
    }

    /// The text with its values.
    ///
    /// Errors: what is wrong with it.
    pub fn render(&self, values: &Value) -> Result<String, String> {
        let template = self.environment.get_template("it").map_err(|error| said(&error))?;
        let text = template.render(values).map_err(|error| said_of(&error, &self.source, values))?;
        match self.escape {
            Escape::Path if !text.starts_with('/') => Err("a path begins with `/`".into()),
            Escape::Path if text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) => {
                Err("a path has no spaces, no line ends and nothing but ASCII".into())
            }
            Escape::Header if HeaderValue::from_str(&text).is_err() => Err("what it gives is no value of a header".into()),
            Escape::Json => match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(_) => Ok(text),
                Err(error) => Err(format!("what it gives is no JSON: {error}")),
            },
            _ => Ok(text),
        }
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn write(escape: Escape, out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = match (escape, value.is_undefined()) {
        (_, true) => return minijinja::escape_formatter(out, state, value),
        (Escape::Json, _) if value.is_safe() => value.to_string(),
        (Escape::Json, _) => {
            serde_json::to_string(value).map_err(|error| Error::new(minijinja::ErrorKind::BadSerialization, error.to_string()))?
        }
        _ if value.is_none() => String::new(),
        (Escape::Path, _) if !value.is_safe() => percent(&value.to_string()),
        (Escape::Header, _) => value.to_string().chars().filter(|c| !c.is_control()).collect(),
        _ => value.to_string(),
    };
    out.write_str(&text).map_err(Error::from)
}

/// Encodes all but the unreserved characters (RFC 3986, 2.3).
pub fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Makes of a text what HTML shows as that text, lines and all.
fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push_str("<br>\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    const HOSTILE: &str = "a\"}, {\"x\": 1\\\r\nX-Evil: 1&b=c <script>{{ 7 * 7 }}' OR 1=1 %0d ä";

    fn rendered(source: &str, escape: Escape) -> Result<String, String> {
        Pattern::parse(source, escape).unwrap().render(&context! { text => HOSTILE, none => Option::<u8>::None, count => 3 })
    }

    #[test]
    fn a_value_is_never_more_than_a_value() {
        let body: serde_json::Value =
            serde_json::from_str(&rendered("{\"a\": {{ text }}, \"n\": {{ count }}}", Escape::Json).unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({ "a": HOSTILE, "n": 3 }));
        let path = rendered("/find?q={{ text }}&n={{ none }}", Escape::Path).unwrap();
        assert!(
            path.starts_with("/find?q=a%22%7D%2C") && path.matches('&').count() == 1 && !path.contains([' ', '<', '\r', '\'']),
            "{path}"
        );
        assert_eq!(rendered("/{{ text | urlencode }}", Escape::Path), rendered("/{{ text }}", Escape::Path));
        let header = rendered("token {{ text }}", Escape::Header).unwrap();
        assert!(!header.contains(['\r', '\n']), "{header}");
        let shown = rendered("{{ text | html }}", Escape::Plain).unwrap();
        assert!(!shown.contains("<script") && shown.contains("<br>\nX-Evil"), "{shown}");
        assert_eq!(rendered("{{ text }}", Escape::Field).unwrap(), HOSTILE);
    }

    #[test]
    fn what_cannot_be_sent_is_an_error() {
        for (source, escape, expected) in [
            ("tickets", Escape::Path, "a path begins with `/`"),
            ("/a b", Escape::Path, "a path has no spaces"),
            ("{\"a\": {{ text }}", Escape::Json, "what it gives is no JSON"),
            ("{{ nothing }}", Escape::Plain, "`nothing` is undefined"),
        ] {
            let why = rendered(source, escape).unwrap_err();
            assert!(why.contains(expected), "{source}: {why}");
        }
        assert!(Pattern::parse("{{ a", Escape::Plain).unwrap_err().starts_with("line 1: "));
    }
}
