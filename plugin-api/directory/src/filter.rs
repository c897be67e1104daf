//! Filters of a search, from their text (RFC 4515) to what is sent (RFC 4511 4.5.1.7).

use crate::ber::{self, OCTET_STRING, SEQUENCE, TRUE};

/// Filters within filters; people write three or four.
const DEPTH_MAX: usize = 50;

/// Every one of those within.
const AND: u8 = 0xa0;
/// At least one of those within.
const OR: u8 = 0xa1;
/// Not the one within.
const NOT: u8 = 0xa2;
/// Equal.
const EQUALITY: u8 = 0xa3;
/// With asterisks.
const SUBSTRINGS: u8 = 0xa4;
/// `>=`.
const GREATER: u8 = 0xa5;
/// `<=`.
const LESS: u8 = 0xa6;
/// There at all.
const PRESENT: u8 = 0x87;
/// `~=`.
const APPROXIMATE: u8 = 0xa8;
/// `:=`, by a rule that is named.
const EXTENSIBLE: u8 = 0xa9;

/// Reads a filter and gives it as it is sent.
///
/// Errors: what is wrong, and where.
pub fn parse(text: &str) -> Result<Vec<u8>, String> {
    let mut parser = Parser { text, at: 0 };
    let filter = parser.filter(0)?;
    match parser.rest() {
        "" => Ok(filter),
        _ => Err(parser.wrong("there is more after the filter's end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What is wrong with what comes next.
    fn wrong(&self, why: &str) -> String {
        let place = self.text[..self.at].chars().count() + 1;
        format!("{why}, at character {place} of \"{}\"", self.text)
    }

    fn skip(&mut self, expected: char, why: &str) -> Result<(), String> {
        if !self.rest().starts_with(expected) {
            return Err(self.wrong(why));
        }
        self.at += expected.len_utf8();
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Result<Vec<u8>, String> {
        if depth == DEPTH_MAX {
            return Err(self.wrong(&format!("more than {DEPTH_MAX} filters are within one another")));
        }
        self.skip('(', "a filter begins with a parenthesis")?;
        let filter = match self.rest().chars().next() {
            Some('&') => ber::element(AND, self.filters(depth)?),
            Some('|') => ber::element(OR, self.filters(depth)?),
            Some('!') => {
                self.at += 1;
                ber::element(NOT, self.filter(depth + 1)?)
            }
            _ => self.item()?,
        };
        self.skip(')', "the parenthesis is not closed")?;
        Ok(filter)
    }

    /// Those after `&` or `|`; none at all is true or false (RFC 4526).
    fn filters(&mut self, depth: usize) -> Result<Vec<u8>, String> {
        self.at += 1;
        let mut filters = Vec::new();
        while self.rest().starts_with('(') {
            filters.extend(self.filter(depth + 1)?);
        }
        Ok(filters)
    }

    /// An attribute, what is asked of it, and a value.
    fn item(&mut self) -> Result<Vec<u8>, String> {
        let rest = self.rest();
        let item = &rest[..rest.find(['(', ')']).unwrap_or(rest.len())];
        let Some((left, value)) = item.split_once('=') else { return Err(self.wrong("there is no `=`")) };
        let filter = match left.as_bytes() {
            [.., b'>'] => assertion(GREATER, &left[..left.len() - 1], value),
            [.., b'<'] => assertion(LESS, &left[..left.len() - 1], value),
            [.., b'~'] => assertion(APPROXIMATE, &left[..left.len() - 1], value),
            [.., b':'] => extensible(&left[..left.len() - 1], value),
            _ if value == "*" => attribute(left).map(|name| ber::element(PRESENT, name)),
            _ if value.contains('*') => substrings(left, value),
            _ => assertion(EQUALITY, left, value),
        };
        let filter = filter.map_err(|why| self.wrong(&why))?;
        self.at += item.len();
        Ok(filter)
    }
}

fn assertion(tag: u8, name: &str, value: &str) -> Result<Vec<u8>, String> {
    Ok(ber::list(tag, &[ber::element(OCTET_STRING, attribute(name)?), ber::element(OCTET_STRING, unescaped(value)?)]))
}

/// `initial*any*any*final`, of which the first and the last may be missing.
fn substrings(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let parts: Vec<&str> = value.split('*').collect();
    let last = parts.len() - 1;
    let mut written = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        match (at, part) {
            (_, "") if at == 0 || at == last => {}
            (_, "") => return Err("two asterisks stand side by side".into()),
            (0, part) => written.push(ber::element(0x80, unescaped(part)?)),
            (at, part) if at == last => written.push(ber::element(0x82, unescaped(part)?)),
            (_, part) => written.push(ber::element(0x81, unescaped(part)?)),
        }
    }
    Ok(ber::list(SUBSTRINGS, &[ber::element(OCTET_STRING, attribute(name)?), ber::list(SEQUENCE, &written)]))
}

/// `attribute:dn:rule:=value`, where `:dn` and either of the others may be missing.
fn extensible(left: &str, value: &str) -> Result<Vec<u8>, String> {
    let (name, mut rules) = left.split_once(':').unwrap_or((left, ""));
    let of_dn = rules == "dn" || rules.starts_with("dn:");
    if of_dn {
        rules = rules.strip_prefix("dn:").unwrap_or_default();
    }
    if name.is_empty() && rules.is_empty() {
        return Err("neither attribute nor rule is named".into());
    }
    let mut parts = Vec::new();
    if !rules.is_empty() {
        parts.push(ber::element(0x81, attribute(rules)?));
    }
    if !name.is_empty() {
        parts.push(ber::element(0x82, attribute(name)?));
    }
    parts.push(ber::element(0x83, unescaped(value)?));
    if of_dn {
        parts.push(ber::element(0x84, [TRUE]));
    }
    Ok(ber::list(EXTENSIBLE, &parts))
}

/// Checks the name of an attribute or a rule: letters, digits, `-`, `.` and, before options, `;` (RFC 4512 2.5).
pub fn attribute(name: &str) -> Result<&str, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';' | '_');
    match name {
        "" => Err("no attribute is named".into()),
        _ if !name.chars().all(fits) => Err(format!("`{name}` is no attribute's name")),
        _ => Ok(name),
    }
}

/// A value without its escapes: `\2a` stands for the byte 2a.
fn unescaped(value: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = value;
    while let Some((before, escape)) = rest.split_once('\\') {
        let wrong = || "two hexadecimal digits are wanted after a backslash, e.g. `\\2a`".to_owned();
        let digits = escape.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())).ok_or_else(wrong)?;
        bytes.extend(before.bytes());
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = &escape[2..];
    }
    bytes.extend(rest.bytes());
    match value.find(['*', '\0']).map(|at| value.as_bytes()[at]) {
        Some(b'*') => Err("an asterisk that stands for itself is written `\\2a`".into()),
        Some(_) => Err("a NUL character is written `\\00`".into()),
        None => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What `ldapsearch` of OpenLDAP 2.5 sends for the same text.
    #[test]
    fn a_filter_is_sent_as_openldap_sends_it() {
        let check = |text: &str, expected: &str| assert_eq!(parse(text).map(|bytes| hex(&bytes)), Ok(expected.to_owned()), "{text}");
        check("(uid=alice)", "a30c04037569640405616c696365");
        check("(objectClass=*)", "870b6f626a656374436c617373");
        check("(cn=)", "a3060402636e0400");
        check("(cn=a*)", "a4090402636e3003800161");
        check("(cn=*a)", "a4090402636e3003820161");
        check("(cn=a*b*c)", "a40f0402636e3009800161810162820163");
        check("(cn=*b*)", "a4090402636e3003810162");
        check("(n>=5)", "a50604016e040135");
        check("(n<=5)", "a60604016e040135");
        check("(cn~=x)", "a8070402636e040178");
        check("(&(a=1)(!(b=2))(|(c=3)(d=*)))", "a01fa306040161040131a208a306040162040132a10ba306040163040133870164");
        check("(cn=\\2a\\28\\5C)", "a3090402636e04032a285c");
        check("(cn=é)", "a3080402636e0402c3a9");
        check("(cn:caseExactMatch:=x)", "a917810e6361736545786163744d617463688202636e830178");
        check("(cn:dn:2.5.13.5:=x)", "a9148108322e352e31332e358202636e8301788401ff");
        check("(:dn:2.5.13.5:=x)", "a9108108322e352e31332e358301788401ff");
        check("(cn:=x)", "a9078202636e830178");
        check("(&)", "a000");
        check("(|)", "a100");
        check("(o=a=b)", "a30804016f0403613d62");
        check("(cn;lang-fr=x)", "a30f040a636e3b6c616e672d6672040178");
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_place() {
        let check = |text: &str, why: &str, place: usize| {
            assert_eq!(parse(text), Err(format!("{why}, at character {place} of \"{text}\"")));
        };
        check("", "a filter begins with a parenthesis", 1);
        check("uid=alice", "a filter begins with a parenthesis", 1);
        check("(uid=alice", "the parenthesis is not closed", 11);
        check("(uid=alice))", "there is more after the filter's end", 12);
        check("(uid)", "there is no `=`", 2);
        check("()", "there is no `=`", 2);
        check("(=x)", "no attribute is named", 2);
        check("(u d=x)", "`u d` is no attribute's name", 2);
        check("(!)", "a filter begins with a parenthesis", 3);
        check("(!(a=1)(b=2))", "the parenthesis is not closed", 8);
        check("(&(é=1)(b))", "`é` is no attribute's name", 4);
        check("(&(a=é)(b))", "there is no `=`", 9);
        check("(cn=a(b)", "the parenthesis is not closed", 6);
        check("(cn=a**b)", "two asterisks stand side by side", 2);
        check("(cn=**)", "two asterisks stand side by side", 2);
        check("(n>=*)", "an asterisk that stands for itself is written `\\2a`", 2);
        check("(cn=a\0)", "a NUL character is written `\\00`", 2);
        for escape in ["\\", "\\2", "\\2g", "\\+2", "\\é"] {
            check(&format!("(cn={escape})"), "two hexadecimal digits are wanted after a backslash, e.g. `\\2a`", 2);
        }
        check("(:=x)", "neither attribute nor rule is named", 2);
    }

    #[test]
    fn filters_within_filters_have_an_end() {
        let nested = |depth: usize| format!("{}(a=1){}", "(!".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX - 1)).is_ok());
        let refused = parse(&nested(100_000)).unwrap_err();
        assert!(refused.starts_with("more than 50 filters are within one another, at character 101 of "), "{}", &refused[..80]);
    }

    proptest! {
        #[test]
        fn no_text_whatsoever_is_more_than_refused(text in "[(&|!)a*=<>~:\\\\é0.]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_value_is_sent_as_it_is_meant(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let written: String = value.iter().map(|byte| format!("\\{byte:02x}")).collect();
            let expected = assertion(EQUALITY, "cn", "").unwrap().len() + value.len();
            let sent = parse(&format!("(cn={written})")).unwrap();
            prop_assert_eq!(sent.len(), expected);
            prop_assert!(sent.ends_with(&value));
        }
    }
}
