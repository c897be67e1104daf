//! The cookies of one session. Source: RFC 6265.
//!
//! Stricter than a browser in one thing: a cookie goes back to who set it and to nobody else, whatever its `Domain` says; another scheme
//! or port is somebody else too.

mod date;

use std::time::{Duration, SystemTime};

use crate::place::{Origin, Place};

/// Cookies that are kept of one server; the oldest goes for the next.
const COOKIES_MAX: usize = 50;
/// Bytes of name and value together (RFC 6265 6.1).
const COOKIE_BYTES_MAX: usize = 4096;
/// Bytes of all cookies in one request; servers refuse more.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// The cookies of one session.
#[derive(Debug, Default)]
pub(crate) struct Jar(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    of: Origin,
    path: String,
    name: String,
    value: String,
    until: Option<SystemTime>,
}

impl Jar {
    /// Takes what an answer sets.
    pub(crate) fn take(&mut self, from: &Place, set_cookie: &str, now: SystemTime) {
        let Some(cookie) = Cookie::parse(from, set_cookie, now) else { return };
        let same = |known: &Cookie| known.of == cookie.of && known.path == cookie.path && known.name == cookie.name;
        let gone = cookie.is_over(now);
        // RFC 6265 5.3: one that is set again keeps its age.
        match self.0.iter().position(same) {
            Some(at) if gone => drop(self.0.remove(at)),
            Some(at) => self.0[at] = cookie,
            None if gone => {}
            None => {
                let own = |known: &&Cookie| known.of == cookie.of;
                if self.0.iter().filter(own).count() == COOKIES_MAX
                    && let Some(oldest) = self.0.iter().position(|known| known.of == cookie.of)
                {
                    self.0.remove(oldest);
                }
                self.0.push(cookie);
            }
        }
    }

    /// What is sent to a place; `None` if nothing is.
    pub(crate) fn header(&self, to: &Place, now: SystemTime) -> Option<String> {
        let mut sent: Vec<&Cookie> = self.for_place(to, now).collect();
        // RFC 6265 5.4: the longest path first, then the oldest.
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let mut header = String::new();
        for cookie in sent {
            let pair = format!("{}={}", cookie.name, cookie.value);
            if header.len() + pair.len() + 2 > HEADER_BYTES_MAX {
                break;
            }
            header.push_str(if header.is_empty() { "" } else { "; " });
            header.push_str(&pair);
        }
        (!header.is_empty()).then_some(header)
    }

    /// The value of a cookie that would be sent to a place.
    pub(crate) fn value(&self, at: &Place, name: &str, now: SystemTime) -> Option<&str> {
        self.for_place(at, now).find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// All values, whoever set them.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|cookie| cookie.value.as_str())
    }

    fn for_place(&self, place: &Place, now: SystemTime) -> impl Iterator<Item = &Cookie> {
        self.0.iter().filter(move |cookie| cookie.of == place.origin && covers(&cookie.path, place.path()) && !cookie.is_over(now))
    }
}

impl Cookie {
    /// Reads a `Set-Cookie`; `None` for what is to be ignored.
    fn parse(from: &Place, set_cookie: &str, now: SystemTime) -> Option<Self> {
        let mut parts = set_cookie.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.len() + value.len() > COOKIE_BYTES_MAX || set_cookie.contains(char::is_control) {
            return None;
        }
        let mut cookie =
            Self { of: from.origin.clone(), path: default_path(from.path()), name: name.into(), value: value.into(), until: None };
        let mut age = None;
        for part in parts {
            let (attribute, value) = part.split_once('=').map_or((part, ""), |(name, value)| (name, value.trim()));
            match attribute.trim().to_ascii_lowercase().as_str() {
                "max-age" => age = max_age(value, now).or(age),
                "expires" => cookie.until = date::parse(value).or(cookie.until),
                "path" if value.starts_with('/') => cookie.path = value.into(),
                "path" => cookie.path = default_path(from.path()),
                "domain" if !is_within(&from.origin.host, value) => return None,
                // Nobody may set what only TLS may carry but who speaks it; here nobody else would ever get it.
                "secure" if !from.origin.secure => return None,
                _ => {}
            }
        }
        // RFC 6265 5.3: of the two, Max-Age holds.
        cookie.until = age.or(cookie.until);
        Some(cookie)
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Until when a `Max-Age` lasts; `None` if it is no number. RFC 6265 5.2.2.
fn max_age(value: &str, now: SystemTime) -> Option<SystemTime> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More than fits into a number is longer than any session.
    let seconds: u32 = if value.starts_with('-') { 0 } else { digits.parse().unwrap_or(u32::MAX) };
    now.checked_add(Duration::from_secs(seconds.into()))
}

/// The path of a cookie that has none. RFC 6265 5.1.4.
fn default_path(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".into(),
        Some(at) => path[..at].into(),
    }
}

/// RFC 6265 5.1.4.
fn covers(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// RFC 6265 5.1.3; an empty domain is none.
fn is_within(host: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
    let is_name = || !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err();
    domain.is_empty() || host == domain || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.')) && is_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn now() -> SystemTime {
        NOW + Duration::from_secs(1_800_000_000)
    }

    fn at(url: &str) -> Place {
        Place::parse(url).unwrap()
    }

    /// What is sent to `to` after `from` has set these.
    fn sent(from: &str, set: &[&str], to: &str) -> Option<String> {
        let mut jar = Jar::default();
        set.iter().for_each(|set| jar.take(&at(from), set, now()));
        jar.header(&at(to), now())
    }

    #[track_caller]
    fn check(from: &str, set: &[&str], to: &str, expected: &str) {
        assert_eq!(sent(from, set, to).unwrap_or_default(), expected, "{set:?} of {from} to {to}");
    }

    #[test]
    fn a_cookie_goes_back_to_who_set_it_and_to_nobody_else() {
        let of = "https://mail.test/";
        check(of, &["sid=1; HttpOnly; SameSite=Lax"], of, "sid=1");
        check(of, &["sid=1; Secure; Domain=mail.test"], of, "sid=1");
        for other in ["http://mail.test/", "https://mail.test:8443/", "https://www.mail.test/", "https://test/", "https://evil.test/"] {
            check(of, &["sid=1", "dom=2; Domain=mail.test", "dot=3; Domain=.mail.test"], other, "");
        }
    }

    #[test]
    fn a_domain_that_is_not_the_hosts_own_is_refused() {
        let host = "https://mail.example.test/";
        for domain in ["example.test", ".example.test", "MAIL.example.test", "test", ""] {
            check(host, &[&format!("a=1; Domain={domain}")], host, "a=1");
        }
        for domain in ["other.test", "ample.test", "www.mail.example.test", "a.mail.example.test"] {
            check(host, &[&format!("a=1; Domain={domain}")], host, "");
        }
        check("http://127.0.0.1/", &["a=1; Domain=0.0.1"], "http://127.0.0.1/", "");
        check("http://127.0.0.1/", &["a=1; Domain=127.0.0.1"], "http://127.0.0.1/", "a=1");
    }

    #[test]
    fn a_path_covers_what_lies_below_it() {
        check("https://a/x/y", &["a=1"], "https://a/x/z?q", "a=1");
        check("https://a/x/y", &["a=1"], "https://a/", "");
        check("https://a/x/y", &["a=1; Path=/"], "https://a/z", "a=1");
        check("https://a/x", &["a=1; Path=/mail"], "https://a/mail", "a=1");
        check("https://a/x", &["a=1; Path=/mail"], "https://a/mail/x", "a=1");
        check("https://a/x", &["a=1; Path=/mail"], "https://a/mailbox", "");
        check("https://a/x", &["a=1; Path=mail"], "https://a/x", "a=1");
        check("https://a/x", &["a=1", "b=2; Path=/x", "c=3"], "https://a/x", "b=2; a=1; c=3");
    }

    #[test]
    fn what_is_set_again_is_replaced_and_what_is_over_is_gone() {
        let of = "https://a/";
        check(of, &["a=1", "a=2"], of, "a=2");
        check(of, &["a=1", "b=1", "a=-del-; Max-Age=0"], of, "b=1");
        check(of, &["a=1", "a=-del-; expires=Sun, 29 Nov 2020 22:16:45 GMT"], of, "");
        check(of, &["a=1; Expires=Sun, 29 Nov 2099 22:16:45 GMT"], of, "a=1");
        check(of, &["a=1; Expires=Sun, 29 Nov 2020 22:16:45 GMT; Max-Age=60"], of, "a=1");
        check(of, &["a=1; Max-Age=60; Expires=Sun, 29 Nov 2020 22:16:45 GMT"], of, "a=1");
        check(of, &["a=1; Max-Age=-1"], of, "");
        check(of, &["a=1; Max-Age=99999999999999999999"], of, "a=1");
        check(of, &["a=1; Max-Age=soon; Expires=whenever"], of, "a=1");
        let mut jar = Jar::default();
        jar.take(&at(of), "a=1; Max-Age=60", now());
        assert_eq!(jar.header(&at(of), now() + Duration::from_secs(60)), None);
        assert_eq!((jar.value(&at(of), "a", now()), jar.value(&at(of), "b", now())), (Some("1"), None));
    }

    #[test]
    fn what_is_no_cookie_or_too_much_of_one_is_ignored() {
        let of = "http://a/";
        for none in ["", "a", "=1", ";a=1", "a=1\u{1}", "a=1; Path=/\u{7f}", &format!("a={}", "x".repeat(4096)), "a=1; Secure"] {
            check(of, &[none], of, "");
        }
        check(of, &["a =  x=y ; Path = / "], of, "a=x=y");
        check(of, &["a="], of, "a=");
    }

    #[test]
    fn a_thousand_cookies_are_fifty() {
        let all: Vec<String> = (0..1000).map(|n| format!("c{n}={}", "x".repeat(20))).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let header = sent("https://a/", &all, "https://a/").unwrap();
        assert_eq!(header.split("; ").count(), COOKIES_MAX);
        assert!(header.starts_with("c950="), "{header}");
        let large: Vec<String> = (0..50).map(|n| format!("c{n}={}", "x".repeat(4000))).collect();
        let large: Vec<&str> = large.iter().map(String::as_str).collect();
        assert!(sent("https://a/", &large, "https://a/").unwrap().len() <= HEADER_BYTES_MAX);
    }
}
