//! The part of BER that LDAP has (X.690, RFC 4511 5.1): lengths that are told, tags of one byte, strings in one piece.
//!
//! Reading goes from element to element of one level and descends only where its caller asks for it, so no nesting is too deep for
//! it; nothing is copied, so nothing that is read takes more room than it came in.

use watchpost_plugin_api::AgentError;

/// TRUE or FALSE.
pub const BOOLEAN: u8 = 0x01;
/// A whole number.
pub const INTEGER: u8 = 0x02;
/// Bytes, text among them.
pub const OCTET_STRING: u8 = 0x04;
/// One of a list of choices.
pub const ENUMERATED: u8 = 0x0a;
/// Elements in an order.
pub const SEQUENCE: u8 = 0x30;
/// Elements in any order.
pub const SET: u8 = 0x31;

/// The contents of a [`BOOLEAN`] that is true (RFC 4511 5.1).
pub const TRUE: u8 = 0xff;
/// Those of one that is not.
pub const FALSE: u8 = 0;

/// The bits of a tag that hold its number; all of them set announce a number of more bytes, which LDAP has not.
const NUMBER_BITS: u8 = 0x1f;
/// A length whose end is marked, not told; RFC 4511 5.1 forbids it.
const INDEFINITE: u8 = 0x80;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub &'static str);

impl From<Fault> for AgentError {
    fn from(fault: Fault) -> Self {
        Self::protocol(format!("the answer is malformed: {}", fault.0))
    }
}

/// What stands before the contents of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What sort of element.
    pub tag: u8,
    /// Its own bytes.
    pub bytes: usize,
    /// Bytes of the contents.
    pub length: usize,
}

impl Head {
    /// Reads the head of the element that begins here; `None` if it has not come whole.
    pub fn read(from: &[u8]) -> Result<Option<Self>, Fault> {
        let [tag, ref rest @ ..] = *from else { return Ok(None) };
        if tag & NUMBER_BITS == NUMBER_BITS {
            return Err(Fault("a tag of more than one byte"));
        }
        let [first, ref digits @ ..] = *rest else { return Ok(None) };
        let head = |bytes, length| Ok(Some(Self { tag, bytes, length }));
        match first {
            0..INDEFINITE => head(2, usize::from(first)),
            INDEFINITE => Err(Fault("a length that is not told")),
            0x81..=0x84 => {
                let count = usize::from(first - INDEFINITE);
                let Some(digits) = digits.get(..count) else { return Ok(None) };
                head(2 + count, digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)))
            }
            _ => Err(Fault("a length of more than four bytes")),
        }
    }
}

/// One element: its tag, and its contents as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// What sort of element.
    pub tag: u8,
    /// Without its head.
    pub contents: &'a [u8],
}

/// Elements that follow one another.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Reads the elements that these bytes are.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes the next element, which must have this tag, and gives its contents.
    pub fn contents_of(&mut self, tag: u8) -> Result<&'a [u8], Fault> {
        match self.next() {
            Some(Ok(element)) if element.tag == tag => Ok(element.contents),
            Some(Err(fault)) => Err(fault),
            Some(Ok(_)) => Err(Fault("an element is of another type")),
            None => Err(Fault("an element is missing")),
        }
    }

    /// Takes a number.
    pub fn number_of(&mut self, tag: u8) -> Result<u32, Fault> {
        match *self.contents_of(tag)? {
            [] => Err(Fault("a number without digits")),
            [first, ..] if first >= 0x80 => Err(Fault("a number below zero")),
            ref digits if digits.len() <= 4 => Ok(digits.iter().fold(0, |number, &digit| number << 8 | u32::from(digit))),
            _ => Err(Fault("a number of more than four bytes")),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Fault>;

    /// After a fault there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        let head = match Head::read(bytes) {
            _ if bytes.is_empty() => return None,
            Ok(Some(head)) => head,
            Ok(None) => return Some(Err(Fault("an element breaks off"))),
            Err(fault) => return Some(Err(fault)),
        };
        let Some((contents, rest)) = bytes[head.bytes..].split_at_checked(head.length) else {
            return Some(Err(Fault("an element breaks off")));
        };
        self.0 = rest;
        Some(Ok(Element { tag: head.tag, contents }))
    }
}

/// Writes an element.
pub fn element(tag: u8, contents: impl AsRef<[u8]>) -> Vec<u8> {
    let contents = contents.as_ref();
    let length = contents.len().to_be_bytes();
    let digits = &length[length.iter().position(|&digit| digit != 0).unwrap_or(length.len() - 1)..];
    let mut bytes = vec![tag];
    if contents.len() >= usize::from(INDEFINITE) {
        bytes.push(INDEFINITE + digits.len() as u8); // eight digits at most
    }
    bytes.extend(digits);
    bytes.extend(contents);
    bytes
}

/// Writes an element of elements.
pub fn list(tag: u8, elements: &[Vec<u8>]) -> Vec<u8> {
    element(tag, elements.concat())
}

/// Writes a number, in as few bytes as it needs.
pub fn number(tag: u8, number: u32) -> Vec<u8> {
    // One more byte than the number has: the first bit is that of the sign.
    let digits = (u64::from(number) << 24).to_be_bytes();
    let digits = &digits[..5];
    let needless = digits.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    element(tag, &digits[needless..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], expected: Result<Option<(u8, usize, usize)>, &str>) {
        let found = Head::read(bytes).map(|head| head.map(|head| (head.tag, head.bytes, head.length))).map_err(|fault| fault.0);
        assert_eq!(found, expected, "{bytes:02x?}");
    }

    #[test]
    fn a_head_is_a_tag_and_a_length_in_as_many_bytes_as_it_says() {
        check(&[0x30, 0], Ok(Some((0x30, 2, 0))));
        check(&[0x04, 0x7f], Ok(Some((0x04, 2, 127))));
        check(&[0x04, 0x81, 0x80], Ok(Some((0x04, 3, 128))));
        check(&[0x30, 0x82, 1, 0], Ok(Some((0x30, 4, 256))));
        // As some directories write every length.
        check(&[0x30, 0x84, 0, 0, 0, 5], Ok(Some((0x30, 6, 5))));
        check(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], Ok(Some((0x30, 6, 0xffff_ffff))));
        for begun in [&[][..], &[0x30], &[0x30, 0x81], &[0x30, 0x84, 0, 0, 0]] {
            check(begun, Ok(None));
        }
    }

    #[test]
    fn what_ldap_has_not_is_refused() {
        check(&[0x30, 0x80, 2, 1, 1, 0, 0], Err("a length that is not told"));
        check(&[0x30, 0x85, 0, 0, 0, 0, 1], Err("a length of more than four bytes"));
        check(&[0x30, 0xff], Err("a length of more than four bytes"));
        check(&[0x3f, 0x81, 0x01, 0], Err("a tag of more than one byte"));
    }

    #[test]
    fn elements_end_where_one_breaks_off() {
        let check = |bytes: &[u8], expected: &[Result<&[u8], &str>]| {
            let found: Vec<_> = Elements::of(bytes).map(|read| read.map(|element| element.contents).map_err(|fault| fault.0)).collect();
            assert_eq!(found, expected, "{bytes:02x?}");
        };
        check(&[], &[]);
        check(&[4, 1, b'a', 4, 0], &[Ok(b"a"), Ok(b"")]);
        check(&[4, 1, b'a', 4, 2, b'b'], &[Ok(b"a"), Err("an element breaks off")]);
        check(&[4, 1, b'a', 4], &[Ok(b"a"), Err("an element breaks off")]);
        check(&[4, 0x84, 0xff, 0xff, 0xff, 0xff, b'a'], &[Err("an element breaks off")]);
    }

    #[test]
    fn a_number_is_what_was_written_and_never_below_zero() {
        for (value, written) in
            [(0, vec![0]), (127, vec![0x7f]), (128, vec![0, 0x80]), (256, vec![1, 0]), (0x7fff_ffff, vec![0x7f, 0xff, 0xff, 0xff])]
        {
            let bytes = number(INTEGER, value);
            assert_eq!(bytes[2..], written, "{value}");
            assert_eq!(Elements::of(&bytes).number_of(INTEGER), Ok(value));
        }
        let check = |contents: &[u8], expected| assert_eq!(Elements::of(&element(INTEGER, contents)).number_of(INTEGER), expected);
        check(&[0, 0, 5], Ok(5));
        check(&[], Err(Fault("a number without digits")));
        check(&[0xff], Err(Fault("a number below zero")));
        check(&[0, 0, 0, 0, 5], Err(Fault("a number of more than four bytes")));
        assert_eq!(Elements::of(&[4, 0]).number_of(INTEGER), Err(Fault("an element is of another type")));
        assert_eq!(Elements::of(&[]).number_of(INTEGER), Err(Fault("an element is missing")));
    }

    #[test]
    fn a_length_is_written_in_as_few_bytes_as_it_needs() {
        for (length, head) in [
            (0, &[4, 0][..]),
            (127, &[4, 0x7f]),
            (128, &[4, 0x81, 0x80]),
            (255, &[4, 0x81, 0xff]),
            (256, &[4, 0x82, 1, 0]),
            (65_536, &[4, 0x83, 1, 0, 0]),
        ] {
            let written = element(OCTET_STRING, vec![b'x'; length]);
            assert_eq!(written.split_at(head.len()), (head, vec![b'x'; length].as_slice()), "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in 0u8..0x1f, byte in any::<u8>(), length in 0usize..70_000, value in 0u32..1 << 31) {
            let contents = vec![byte; length];
            let bytes = [element(tag, &contents), number(INTEGER, value)].concat();
            let mut elements = Elements::of(&bytes);
            prop_assert_eq!(elements.contents_of(tag), Ok(contents.as_slice()));
            prop_assert_eq!(elements.number_of(INTEGER), Ok(value));
            prop_assert!(elements.next().is_none());
        }

        #[test]
        fn no_bytes_whatsoever_are_more_than_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let read = Elements::of(&bytes).map_while(Result::ok).map(|element| element.contents.len() + 2).sum::<usize>();
            prop_assert!(read <= bytes.len());
        }
    }
}
