//! An SPF record, taken apart (RFC 7208 4.6.1, 5, 6, 7, 12).

pub(crate) mod walk;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::tags::shown;

/// Terms of one record; four hundred fit into the longest answer that anybody sends.
const TERMS_MAX: usize = 500;

/// What becomes of a sender that a mechanism fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier {
    Pass,
    Neutral,
    SoftFail,
    Fail,
}

impl Qualifier {
    /// How strict it is, from 0.
    pub(crate) fn strictness(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Neutral => 1,
            Self::SoftFail => 2,
            Self::Fail => 3,
        }
    }

    /// As the record writes it.
    pub(crate) fn sign(self) -> char {
        match self {
            Self::Pass => '+',
            Self::Neutral => '?',
            Self::SoftFail => '~',
            Self::Fail => '-',
        }
    }
}

/// What a term does, as far as it costs a lookup or decides. A name is `None` where it is the domain's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term<'a> {
    All(Qualifier),
    Include(&'a str),
    A(Option<&'a str>),
    Mx(Option<&'a str>),
    Ptr,
    Exists(&'a str),
    Redirect(&'a str),
    /// Addresses, explanations, and modifiers that nobody knows: no lookup.
    Other,
}

/// Says whether a text is an SPF record: RFC 7208 4.5.
pub(crate) fn is_spf(text: &str) -> bool {
    let Some(rest) = text.get(..6).filter(|start| start.eq_ignore_ascii_case("v=spf1")).map(|_| &text[6..]) else { return false };
    rest.is_empty() || rest.starts_with(' ')
}

/// Takes a record apart.
///
/// Errors: what is wrong with it, in words: receivers give a permanent error (RFC 7208 4.6).
pub(crate) fn parse(text: &str) -> Result<Vec<Term<'_>>, String> {
    let words = text.get(6..).unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let (mut terms, mut once) = (Vec::new(), Vec::new());
    for word in words {
        if terms.len() == TERMS_MAX {
            return Err(format!("it has more than {TERMS_MAX} terms"));
        }
        let term = term(word).map_err(|why| format!("`{}` {why}", shown(word)))?;
        // RFC 7208 6: these two modifiers may each come once.
        if let Some(name) =
            ["redirect", "exp"].into_iter().find(|name| modifier(word).is_some_and(|(known, _)| known.eq_ignore_ascii_case(name)))
        {
            if once.contains(&name) {
                return Err(format!("`{name}=` comes twice"));
            }
            once.push(name);
        }
        terms.push(term);
    }
    Ok(terms)
}

/// Name and value of a modifier; `None` if the word is a mechanism.
fn modifier(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    is_name.then_some((name, value))
}

fn term(word: &str) -> Result<Term<'_>, &'static str> {
    if let Some((name, value)) = modifier(word) {
        let value = macros(value)?;
        return match name.to_ascii_lowercase().as_str() {
            "redirect" => named(value).map(Term::Redirect),
            "exp" => named(value).map(|_| Term::Other),
            _ => Ok(Term::Other), // RFC 7208 6: unknown ones are ignored
        };
    }
    let (qualifier, rest) = match word.chars().next() {
        Some('+') => (Qualifier::Pass, &word[1..]),
        Some('-') => (Qualifier::Fail, &word[1..]),
        Some('~') => (Qualifier::SoftFail, &word[1..]),
        Some('?') => (Qualifier::Neutral, &word[1..]),
        _ => (Qualifier::Pass, word),
    };
    let at = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, argument) = rest.split_at(at);
    match name.to_ascii_lowercase().as_str() {
        "all" if argument.is_empty() => Ok(Term::All(qualifier)),
        "all" => Err("has an argument, and takes none"),
        "include" => name_only(argument).map(Term::Include),
        "exists" => name_only(argument).map(Term::Exists),
        "a" => with_lengths(argument).map(Term::A),
        "mx" => with_lengths(argument).map(Term::Mx),
        "ptr" if argument.is_empty() => Ok(Term::Ptr),
        "ptr" => name_only(argument).map(|_| Term::Ptr),
        "ip4" => network::<Ipv4Addr>(argument, 32).map(|()| Term::Other).ok_or("is no IPv4 network"),
        "ip6" => network::<Ipv6Addr>(argument, 128).map(|()| Term::Other).ok_or("is no IPv6 network"),
        _ => Err("is no mechanism"),
    }
}

fn name_only(argument: &str) -> Result<&str, &'static str> {
    named(macros(argument.strip_prefix(':').ok_or("lacks its domain")?)?)
}

/// `:domain`, `/24`, `//64`, in this order, each of which may be absent. RFC 7208 5.6.
fn with_lengths(argument: &str) -> Result<Option<&str>, &'static str> {
    let (domain, lengths) = match argument.strip_prefix(':') {
        Some(rest) => {
            let at = end_of_name(rest);
            (Some(named(macros(&rest[..at])?)?), &rest[at..])
        }
        None => (None, argument),
    };
    let (four, six) = match lengths.split_once("//") {
        Some((four, six)) => (four, Some(six)),
        None => (lengths, None),
    };
    let fits = |text: &str, most: u8| is_length(text, most);
    let four_fits = four.is_empty() || four.strip_prefix('/').is_some_and(|four| fits(four, 32));
    match four_fits && six.is_none_or(|six| fits(six, 128)) {
        true => Ok(domain),
        false => Err("has a length that is none"),
    }
}

/// Where a name ends and lengths begin: a slash may stand in a macro, too.
fn end_of_name(text: &str) -> usize {
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            '/' if !inside => return at,
            _ => {}
        }
    }
    text.len()
}

fn is_length(text: &str, most: u8) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
        && text.parse::<u8>().is_ok_and(|n| n <= most)
}

fn network<A: std::str::FromStr>(argument: &str, most: u8) -> Option<()> {
    let argument = argument.strip_prefix(':')?;
    let (address, length) = argument.split_once('/').map_or((argument, None), |(address, length)| (address, Some(length)));
    address.parse::<A>().ok()?;
    length.is_none_or(|length| is_length(length, most)).then_some(())
}

fn named(name: &str) -> Result<&str, &'static str> {
    if name.is_empty() {
        return Err("lacks its domain");
    }
    // RFC 7208 7.1: a domain ends in a label that is no number, or in a macro.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_top = name.ends_with('}') || (name.contains('.') && last.contains(|c: char| c.is_ascii_alphabetic()));
    if is_top { Ok(name) } else { Err("has a domain that is none") }
}

/// Checks the macros of a text: RFC 7208 7.1.
fn macros(text: &str) -> Result<&str, &'static str> {
    let wrong = Err("has a macro that is none");
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that may not be there");
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        rest = match after.as_bytes().first() {
            Some(b'%' | b'_' | b'-') => &after[1..],
            Some(b'{') => {
                let Some((inner, behind)) = after[1..].split_once('}') else { return wrong };
                let letter = inner.chars().next().is_some_and(|c| "slodiphcrtv".contains(c.to_ascii_lowercase()));
                if !letter {
                    return wrong;
                }
                let inner = inner[1..].trim_start_matches(|c: char| c.is_ascii_digit());
                let inner = inner.strip_prefix(['r', 'R']).unwrap_or(inner);
                if !inner.chars().all(|c| ".-+,/_=".contains(c)) {
                    return wrong;
                }
                behind
            }
            _ => return wrong,
        };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn check(text: &str, expected: Result<Vec<Term<'_>>, &str>) {
        assert_eq!(parse(text), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_record_is_known_by_its_version_as_a_word() {
        for (text, expected) in [("v=spf1", true), ("V=SPF1 -all", true), ("v=spf10 -all", false), ("v=spf1\t-all", false), ("v=é1", false)]
        {
            assert_eq!(is_spf(text), expected, "{text}");
        }
    }

    #[test]
    fn terms_are_told_apart_by_what_they_cost() {
        use Term::*;
        check("v=spf1", Ok(vec![]));
        check("v=spf1 -all", Ok(vec![All(Qualifier::Fail)]));
        check("v=spf1  mx ~ALL ", Ok(vec![Mx(None), All(Qualifier::SoftFail)]));
        check("v=spf1 a:mx.a.test/24//64 mx/24 mx//64 a", Ok(vec![A(Some("mx.a.test")), Mx(None), Mx(None), A(None)]));
        check("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ip6:::1 ?all", Ok(vec![Other, Other, Other, All(Qualifier::Neutral)]));
        check("v=spf1 ptr ptr:a.test exists:%{ir}.%{v}._spf.%{d2}", Ok(vec![Ptr, Ptr, Exists("%{ir}.%{v}._spf.%{d2}")]));
        check("v=spf1 redirect=_spf.a.test exp=why.a.test x-y=%{s}/z", Ok(vec![Redirect("_spf.a.test"), Other, Other]));
        check("v=spf1 a:%{l/}.a.test/24", Ok(vec![A(Some("%{l/}.a.test"))]));
    }

    #[test]
    fn what_receivers_refuse_is_told() {
        check("v=spf1 ipv4:192.0.2.1", Err("`ipv4:192.0.2.1` is no mechanism"));
        check("v=spf1 ip4:192.0.2.300", Err("`ip4:192.0.2.300` is no IPv4 network"));
        check("v=spf1 ip4:192.0.2.0/33", Err("`ip4:192.0.2.0/33` is no IPv4 network"));
        check("v=spf1 ip4:192.0.2.0/", Err("`ip4:192.0.2.0/` is no IPv4 network"));
        check("v=spf1 ip6:192.0.2.1", Err("`ip6:192.0.2.1` is no IPv6 network"));
        check("v=spf1 include", Err("`include` lacks its domain"));
        check("v=spf1 include:", Err("`include:` lacks its domain"));
        check("v=spf1 a:127.0.0.1", Err("`a:127.0.0.1` has a domain that is none"));
        check("v=spf1 a/33", Err("`a/33` has a length that is none"));
        check("v=spf1 a/024", Err("`a/024` has a length that is none"));
        check("v=spf1 all:x", Err("`all:x` has an argument, and takes none"));
        check("v=spf1 include:%{q}.a.test", Err("`include:%{q}.a.test` has a macro that is none"));
        check("v=spf1 include:%a.test", Err("`include:%a.test` has a macro that is none"));
        check("v=spf1 redirect=a.test redirect=b.test", Err("`redirect=` comes twice"));
        check("v=spf1 é", Err("`é` is no mechanism"));
        check("v=spf1 include:é.test", Err("`include:é.test` has a character that may not be there"));
        let many = format!("v=spf1{}", " a".repeat(600));
        check(&many, Err("it has more than 500 terms"));
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_an_error(words in proptest::collection::vec(select(vec![
            "v=spf1", " ", "+", "-", "?", "all", "include:", "a", "mx", ":", "/", "//", "24", "%", "{", "}", "%{i}", "d", "r", "=", "redirect=",
            "exp=", "ip4:", "ip6:", "::", "1.2.3.4", "x.test", ".", "é", "\u{0}",
        ]), 0..40)) {
            let text = words.concat();
            let _ = (is_spf(&text), parse(&text), parse(&format!("v=spf1 {text}")));
        }
    }
}
