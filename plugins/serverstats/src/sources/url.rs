//! Where a page is.

/// An address of HTTP, taken apart as far as its host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// As it was written.
    pub(crate) text: String,
    /// As it was written, an IPv6 address in its brackets.
    host: String,
    pub(crate) port: u16,
    pub(crate) is_secure: bool,
}

impl Url {
    /// Takes an address apart.
    ///
    /// Errors: what is wrong, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{why}; wanted is e.g. \"http://127.0.0.1:9900/metrics\""));
        let (is_secure, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return wrong("begins with neither http:// nor https://"),
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('#') {
            return wrong("has a character that an address has not");
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let authority = &rest[..end];
        if authority.contains('@') {
            return wrong("has a login in it, which would be shown; that goes into `user` and `password`");
        }
        let port_at = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = authority.split_at(port_at.unwrap_or(authority.len()));
        let port = match port.strip_prefix(':') {
            None => Some(if is_secure { 443 } else { 80 }),
            Some(digits) => digits.parse().ok().filter(|port| *port != 0),
        };
        match port {
            Some(port) if !host.is_empty() => Ok(Self { text: text.to_owned(), host: host.to_owned(), port, is_secure }),
            Some(_) => wrong("names no host"),
            None => wrong("has a port that is none"),
        }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let check = |text: &str, address: &str, is_secure: bool| {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.address().as_str(), url.is_secure, url.text.as_str()), (address, is_secure, text));
        };
        check("http://mail.example.org/metrics", "mail.example.org:80", false);
        check("https://mail.example.org", "mail.example.org:443", true);
        check("http://192.0.2.1:9900/metrics?a=b:c", "192.0.2.1:9900", false);
        check("http://[2001:db8::1]:8053/", "[2001:db8::1]:8053", false);
        check("https://[2001:db8::1]/", "[2001:db8::1]:443", true);
        check("http://a?b", "a:80", false);
    }

    #[test]
    fn what_is_no_address_says_why() {
        let check = |text: &str, why: &str| assert!(Url::parse(text).unwrap_err().starts_with(why), "{text}");
        check("mail:9900", "begins with neither http:// nor https://");
        check("ftp://a/", "begins with neither http:// nor https://");
        check("http:///metrics", "names no host");
        check("http://a:0/", "has a port that is none");
        check("http://a:99999/", "has a port that is none");
        check("http://u:p@a/", "has a login in it, which would be shown");
        check("http://a/b c", "has a character that an address has not");
        check("http://a/#b", "has a character that an address has not");
    }
}
