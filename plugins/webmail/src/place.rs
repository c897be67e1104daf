//! Where pages are: who serves them, under which path, and where a link on one leads.

use std::fmt;

/// Bytes of an address; servers take no more than 8,000 anyway (RFC 9110 4.1).
const BYTES_MAX: usize = 8192;
const NO_HTTP: &str = "begins with neither http:// nor https://";

/// Who serves a page. Two that differ in any part are strangers to one another: what one gave is not shown to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) secure: bool,
    /// In lower case; an IPv6 address in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Where a page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) origin: Origin,
    /// With the query.
    path: String,
}

impl fmt::Display for Origin {
    /// As browsers write it: the usual port is not told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.secure { ("https", 443) } else { ("http", 80) };
        match self.port == usual {
            true => write!(f, "{scheme}://{}", self.host),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

impl Origin {
    /// The host as a certificate has it, without brackets.
    pub(crate) fn bare_host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    fn parse(secure: bool, authority: &str) -> Result<Self, &'static str> {
        if authority.contains('@') {
            return Err("has a user in it");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let known = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) && !host.is_empty(),
        };
        if !known {
            return Err("names no host");
        }
        let usual = if secure { 443 } else { 80 };
        let port = match port {
            None | Some("") => usual,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("has a port that is none")?,
        };
        Ok(Self { secure, host: host.to_ascii_lowercase(), port })
    }
}

impl Place {
    /// Reads a whole address.
    ///
    /// Errors: in words that fit after "the address".
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        let (secure, rest) = match scheme(url) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(NO_HTTP),
        };
        let rest = rest.strip_prefix("//").ok_or(NO_HTTP)?;
        Self::of(secure, rest)
    }

    /// What follows the `//`.
    fn of(secure: bool, rest: &str) -> Result<Self, &'static str> {
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let origin = Origin::parse(secure, &rest[..end])?;
        let path = match &rest[end..] {
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        Self { origin, path }.bounded()
    }

    /// Where a link leads that stands on this page. Source: RFC 3986 5.2.
    pub(crate) fn follow(&self, link: &str) -> Result<Self, &'static str> {
        let link: String = link.trim().chars().filter(|c| !c.is_control()).collect();
        let link = link.split('#').next().unwrap_or_default();
        if scheme(link).is_some() {
            return Self::parse(link);
        }
        if let Some(rest) = link.strip_prefix("//") {
            return Self::of(self.origin.secure, rest);
        }
        let own = self.path.split('?').next().unwrap_or_default();
        let path = match link.chars().next() {
            None => self.path.clone(),
            Some('/') => link.to_owned(),
            Some('?') => format!("{own}{link}"),
            Some(_) => format!("{}{link}", &own[..own.rfind('/').map_or(0, |at| at + 1)]),
        };
        Self { origin: self.origin.clone(), path }.bounded()
    }

    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Whether it has a query.
    pub(crate) fn has_query(&self) -> bool {
        self.path.contains('?')
    }

    fn bounded(mut self) -> Result<Self, &'static str> {
        let (path, query) = self.path.split_once('?').map_or((self.path.as_str(), None), |(path, query)| (path, Some(query)));
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        self.path = sendable(&format!("{}{query}", without_dots(path)));
        if self.path.len() > BYTES_MAX { Err("is longer than 8 KiB") } else { Ok(self) }
    }
}

/// What stands before the first colon, if it can be a scheme, and what after it. Source: RFC 3986 3.1.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let word = scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    (word && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some((scheme, rest))
}

/// Takes `.` and `..` out of a path. Source: RFC 3986 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.trim_start_matches('/').split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            other => {
                kept.push(other);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Encodes what cannot be sent as it is, and nothing that is encoded already.
fn sendable(path: &str) -> String {
    let kept = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
    let mut buffer = [0; 4];
    path.chars().map(|c| if kept(c) { c.to_string() } else { encoded(c.encode_utf8(&mut buffer)) }).collect()
}

/// Encodes everything that could mean something in an address. Source: RFC 3986 2.3.
pub(crate) fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Undoes `%XX`, and `+` where it stands for a space.
pub(crate) fn decoded(text: &str, plus: u8) -> Vec<u8> {
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::new(), 0);
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while at < bytes.len() {
        let pair = match bytes[at..] {
            [b'%', high, low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        decoded.push(match (pair, bytes[at]) {
            (Some((high, low)), _) => high << 4 | low,
            (None, b'+') => plus,
            (None, byte) => byte,
        });
        at += if pair.is_some() { 3 } else { 1 };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_its_usual_port_and_refused_where_it_is_none() {
        let check = |url: &str, expected: Result<(&str, u16), &str>| {
            let place = Place::parse(url);
            let found = place.as_ref().map(|place| (place.to_string(), place.origin.port)).map_err(|why| *why);
            assert_eq!(found, expected.map(|(url, port)| (url.to_owned(), port)), "{url}");
        };
        check("https://Mail.Example.org", Ok(("https://mail.example.org/", 443)));
        check("HTTP://127.0.0.1:8083/mail/?a=b#top", Ok(("http://127.0.0.1:8083/mail/?a=b", 8083)));
        check("http://[2001:db8::1]:80/", Ok(("http://[2001:db8::1]/", 80)));
        check("https://a:/x", Ok(("https://a/x", 443)));
        check("https://a?x=1", Ok(("https://a/?x=1", 443)));
        for url in ["", "a", "mail.example.org", "ftp://a/", "http:a", "javascript:alert(1)", "//a/"] {
            check(url, Err(NO_HTTP));
        }
        for url in ["http://", "http:///x", "http://:80/", "http://a b/", "http://[::1/", "http://[x]/", "http://ä/", "http://a%2Fb/"] {
            check(url, Err("names no host"));
        }
        for url in ["http://a:x/", "http://a:0/", "http://a:65536/", "http://a:-1/"] {
            check(url, Err("has a port that is none"));
        }
        check("http://alice:geheim@a/", Err("has a user in it"));
        check(&format!("http://a/{}", "x".repeat(9000)), Err("is longer than 8 KiB"));
    }

    #[test]
    fn a_link_leads_where_a_browser_would_go() {
        let check = |link: &str, expected: Result<&str, &str>| {
            let page = Place::parse("https://mail.test:8443/a/b/page?x=/1/2").unwrap();
            assert_eq!(page.follow(link).map(|place| place.to_string()), expected.map(str::to_owned), "{link}");
        };
        check("", Ok("https://mail.test:8443/a/b/page?x=/1/2"));
        check("#top", Ok("https://mail.test:8443/a/b/page?x=/1/2"));
        check("?y=2", Ok("https://mail.test:8443/a/b/page?y=2"));
        check("./?_task=mail", Ok("https://mail.test:8443/a/b/?_task=mail"));
        check("other", Ok("https://mail.test:8443/a/b/other"));
        check("../x/./y/..", Ok("https://mail.test:8443/a/x/"));
        check("../../../../x", Ok("https://mail.test:8443/x"));
        check("/x/../y?a=../b", Ok("https://mail.test:8443/y?a=../b"));
        check("//other.test/x", Ok("https://other.test/x"));
        check("http://mail.test/x", Ok("http://mail.test/x"));
        check(" /a b/ä\r\n?q=\"<x>\"&p=%41 ", Ok("https://mail.test:8443/a%20b/%C3%A4?q=%22%3Cx%3E%22&p=%41"));
        check("/\\evil.test/", Ok("https://mail.test:8443/%5Cevil.test/"));
        check("mail.php?to=a:b", Ok("https://mail.test:8443/a/b/mail.php?to=a:b"));
        check("https:evil.test", Err(NO_HTTP));
        check("javascript:alert(1)", Err(NO_HTTP));
        check("https://u@evil.test/", Err("has a user in it"));
    }

    #[test]
    fn whoever_differs_in_any_part_is_a_stranger() {
        let origin = |url: &str| Place::parse(url).unwrap().origin;
        assert_eq!(origin("https://A.test/x"), origin("https://a.test:443/y"));
        for other in ["http://a.test:443/", "https://a.test:444/", "https://b.test/", "https://www.a.test/"] {
            assert_ne!(origin("https://a.test/"), origin(other), "{other}");
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        for text in ["", "a b&c=d/ä%41+", "\u{0}\u{1f4e8}"] {
            assert_eq!(decoded(&encoded(text), b'+'), text.as_bytes());
        }
        assert_eq!(decoded("a+b%2", b' '), b"a b%2");
    }
}
