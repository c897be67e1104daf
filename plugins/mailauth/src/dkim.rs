//! A DKIM key, as a selector publishes it (RFC 6376 3.6.1, RFC 8301, RFC 8463).

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::tags::{Tags, shown};

/// RFC 8301 3.2: signatures by a shorter RSA key count for nothing.
const RSA_BITS_MIN: u32 = 1024;
/// RFC 8463 4: an Ed25519 key as it is.
const ED25519_BYTES: usize = 32;
/// DER's tags.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A key of that sort and size.
    Valid { sort: &'static str, bits: u32, testing: bool },
    /// RFC 6376 3.6.1: an empty key was withdrawn.
    Revoked,
}

/// Reads a record.
///
/// Errors: what is wrong with it, and the size of the key where that is all that is wrong.
pub(crate) fn parse(text: &str) -> Result<Key, (String, Option<u32>)> {
    let wrong = |why: &str| (why.to_owned(), None);
    let tags = Tags::parse(text).map_err(|why| (why, None))?;
    if tags.get("v").is_some_and(|version| version != "DKIM1" || !crate::tags::is_version(text, "DKIM1")) {
        return Err(wrong("its version is not DKIM1, or does not come first"));
    }
    let sort = tags.get("k").unwrap_or("rsa");
    let services = tags.get("s").unwrap_or("*");
    if !services.split(':').any(|service| matches!(service.trim(), "*" | "email")) {
        return Err(wrong("it is not for mail (tag `s`)"));
    }
    let data: String = tags.get("p").ok_or_else(|| wrong("it has no key (tag `p`)"))?.split_whitespace().collect();
    if data.is_empty() {
        return Ok(Key::Revoked);
    }
    let key = BASE64_STANDARD.decode(data).map_err(|_| wrong("its key is no base64"))?;
    let testing = tags.get("t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim() == "y"));
    match sort {
        "rsa" => match rsa_bits(&key) {
            None => Err(wrong("its key is no RSA key")),
            Some(bits) if bits < RSA_BITS_MIN => {
                Err((format!("its RSA key has {bits} bits; below {RSA_BITS_MIN} it counts for nothing"), Some(bits)))
            }
            Some(bits) => Ok(Key::Valid { sort: "RSA", bits, testing }),
        },
        "ed25519" if key.len() == ED25519_BYTES => Ok(Key::Valid { sort: "Ed25519", bits: 256, testing }),
        "ed25519" => Err(wrong("its key is no Ed25519 key")),
        other => Err(wrong(&format!("its sort of key is unknown: `{}`", shown(other)))),
    }
}

/// Bits of an RSA key, in either of the forms that are found: RFC 5280 4.1.2.7, RFC 8017 A.1.1.
fn rsa_bits(der: &[u8]) -> Option<u32> {
    let (key, _) = element(der, SEQUENCE)?;
    let modulus = match element(key, INTEGER) {
        Some((modulus, _)) => modulus,
        None => {
            let (_, rest) = element(key, SEQUENCE)?;
            let (bits, _) = element(rest, BIT_STRING)?;
            let (key, _) = element(bits.strip_prefix(&[0])?, SEQUENCE)?;
            element(key, INTEGER)?.0
        }
    };
    let significant = modulus.iter().position(|&byte| byte != 0).map(|at| &modulus[at..])?;
    let bits = u32::try_from(significant.len()).ok()?.checked_mul(8)?;
    bits.checked_sub(significant[0].leading_zeros())
}

/// The contents of the element of that tag that begins here, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, first, rest @ ..] = der else { return None };
    if *found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An RSA key in DER, whose modulus has these bytes.
    fn rsa(modulus: &[u8], wrapped: bool) -> String {
        let list = |tag: u8, parts: &[u8]| {
            let length = u16::try_from(parts.len()).unwrap().to_be_bytes();
            [&[tag, 0x82][..], &length, parts].concat()
        };
        let key = list(SEQUENCE, &[list(INTEGER, modulus), list(INTEGER, &[1, 0, 1])].concat());
        let whole = match wrapped {
            false => key,
            true => list(SEQUENCE, &[list(SEQUENCE, &[6, 0, 5, 0]), list(BIT_STRING, &[&[0], key.as_slice()].concat())].concat()),
        };
        BASE64_STANDARD.encode(whole)
    }

    #[test]
    fn a_key_has_a_sort_and_a_size() {
        let valid = |sort, bits, testing| Ok(Key::Valid { sort, bits, testing });
        let modulus = [&[0, 0x80][..], &[7; 255]].concat();
        assert_eq!(parse(&format!("v=DKIM1; k=rsa; p={}", rsa(&modulus, true))), valid("RSA", 2048, false));
        assert_eq!(parse(&format!("p={}; t=s:y", rsa(&modulus, false))), valid("RSA", 2048, true));
        let short = "its RSA key has 1023 bits; below 1024 it counts for nothing".to_owned();
        assert_eq!(parse(&format!("v=DKIM1; h=sha256; s=email; p={}", rsa(&[0x7f; 128], true))), Err((short, Some(1023))));
        let ed = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(parse(&format!("v=DKIM1; k=ed25519; p={ed}")), valid("Ed25519", 256, false));
        assert_eq!(parse(&format!("v=DKIM1; k=ed25519; p={}", ed.replace('V', " V "))), valid("Ed25519", 256, false));
        assert_eq!(parse("v=DKIM1; p="), Ok(Key::Revoked));
    }

    #[test]
    fn what_is_no_key_is_told() {
        let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err().0, expected, "{text}");
        check("v=DKIM2; p=AAAA", "its version is not DKIM1, or does not come first");
        check("p=AAAA; v=DKIM1", "its version is not DKIM1, or does not come first");
        check("v=DKIM1", "it has no key (tag `p`)");
        check("v=DKIM1; p=!", "its key is no base64");
        check("v=DKIM1; p=MIIBIjANBgkq", "its key is no RSA key");
        check("v=DKIM1; k=ed25519; p=AAAA", "its key is no Ed25519 key");
        check("v=DKIM1; k=dsa; p=AAAA", "its sort of key is unknown: `dsa`");
        check("v=DKIM1; s=tlsrpt; p=AAAA", "it is not for mail (tag `s`)");
        check("v=DKIM1; p=AAAA; p=AAAA", "the tag `p` comes twice");
        check("hello", "`hello` is no tag");
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_no_key(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..400) {
            let _ = rsa_bits(&bytes);
            let whole = BASE64_STANDARD.decode(rsa(&[0xff; 256], true)).unwrap();
            prop_assert_eq!(rsa_bits(&whole[..cut.min(whole.len() - 1)]), None);
        }
    }
}
