//! Reads certificates: what stands in them, for agents that look into what a server shows.
//!
//! A server may show anything. What cannot be read is told as such; nothing of it is trusted here.

use std::{
    fmt::Write,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use watchpost_plugin_api::{Certificate, CertificateDetails};
use x509_parser::{
    asn1_rs::{Oid, Tag},
    certificate::X509Certificate,
    extensions::GeneralName,
    objects::{oid_registry, oid2abbrev},
    prelude::FromDer,
    public_key::PublicKey,
    time::ASN1Time,
    x509::{AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name},
};

/// Signature algorithms by number, as openssl(1) names them. RFC 8017, RFC 5758, RFC 8410.
const SIGNATURES: [(&str, &str); 14] = [
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.2.840.10040.4.3", "dsaWithSHA1"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
];

/// Elliptic curves by number, with the size of their keys. RFC 5480, RFC 5639.
const CURVES: [(&str, &str, u32); 7] = [
    ("1.2.840.10045.3.1.7", "P-256", 256),
    ("1.3.132.0.34", "P-384", 384),
    ("1.3.132.0.35", "P-521", 521),
    ("1.3.132.0.10", "secp256k1", 256),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", 256),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", 384),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", 512),
];

/// Tells of one certificate.
pub(crate) fn told(der: &[u8]) -> Certificate {
    let sha256 = hex(&Sha256::digest(der));
    Certificate { der: BASE64_STANDARD.encode(der), sha256, details: details(der) }
}

/// What stands in a certificate; `None` if it cannot be read.
pub(crate) fn details(der: &[u8]) -> Option<CertificateDetails> {
    let (rest, read) = X509Certificate::from_der(der).ok()?;
    let (key_algorithm, key_bits) = key(read.public_key());
    let (dns_names, addresses) = names(&read);
    rest.is_empty().then(|| CertificateDetails {
        subject: name(read.subject()),
        issuer: name(read.issuer()),
        serial: hex(read.raw_serial()),
        not_before: time(&read.validity().not_before),
        not_after: time(&read.validity().not_after),
        dns_names,
        addresses,
        is_authority: read.is_ca(),
        key_algorithm,
        key_bits,
        signature_algorithm: named(&SIGNATURES, &read.signature_algorithm.algorithm),
    })
}

/// Says whether a certificate names itself as its issuer.
pub(crate) fn is_self_issued(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, read)| read.subject().as_raw() == read.issuer().as_raw())
}

/// RFC 4514, but in the order of the certificate, as people read it.
fn name(name: &X509Name<'_>) -> String {
    let part = |part: &AttributeTypeAndValue<'_>| {
        let kind = oid2abbrev(part.attr_type(), oid_registry()).map_or_else(|_| part.attr_type().to_id_string(), str::to_owned);
        format!("{kind}={}", escaped(&value(part)))
    };
    let parts = name.iter_rdn().map(|several| several.iter().map(part).collect::<Vec<_>>().join("+"));
    parts.collect::<Vec<_>>().join(", ")
}

fn value(part: &AttributeTypeAndValue<'_>) -> String {
    let value = part.attr_value();
    match value.tag() {
        Tag::BmpString => {
            let units: Vec<u16> = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(value.data).into_owned(),
    }
}

/// Whoever writes a certificate must not be able to write a second part into one, or to a terminal.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => text.extend(['\\', c]),
            c if c.is_control() => text.extend(c.escape_default()),
            c => text.push(c),
        }
    }
    text
}

fn names(read: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let (mut hosts, mut addresses) = (Vec::new(), Vec::new());
    let Ok(Some(alternative)) = read.subject_alternative_name() else { return (hosts, addresses) };
    for name in &alternative.value.general_names {
        match name {
            GeneralName::DNSName(host) => hosts.push(escaped(host)),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    (hosts, addresses)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn key(key: &SubjectPublicKeyInfo<'_>) -> (String, Option<u32>) {
    let algorithm = &key.algorithm;
    match algorithm.algorithm.to_id_string().as_str() {
        // rsaEncryption and id-RSASSA-PSS hold the same key.
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => ("RSA".into(), rsa_bits(key)),
        "1.2.840.10045.2.1" => {
            let curve = algorithm.parameters.as_ref().and_then(|parameters| Oid::try_from(parameters).ok());
            let curve = curve.map(|curve| curve.to_id_string()).unwrap_or_default();
            match CURVES.iter().find(|(number, ..)| *number == curve) {
                Some((_, name, bits)) => (format!("EC {name}"), Some(*bits)),
                None => (format!("EC {curve}").trim_end().to_owned(), None),
            }
        }
        "1.3.101.112" => ("Ed25519".into(), Some(256)),
        "1.3.101.113" => ("Ed448".into(), Some(456)),
        "1.2.840.10040.4.1" => ("DSA".into(), None),
        other => (other.to_owned(), None),
    }
}

/// Bits of the modulus, which is what is called the size of an RSA key.
fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<u32> {
    let PublicKey::RSA(rsa) = key.parsed().ok()? else { return None };
    let first = rsa.modulus.iter().position(|&byte| byte != 0)?;
    let bits = (rsa.modulus.len() - first) * 8 - rsa.modulus[first].leading_zeros() as usize;
    u32::try_from(bits).ok()
}

fn named(known: &[(&str, &str)], number: &Oid<'_>) -> String {
    let number = number.to_id_string();
    known.iter().find(|(known, _)| *known == number).map_or(number.clone(), |(_, name)| (*name).to_owned())
}

/// A time of the years 1 to 9999, as certificates have them.
fn time(time: &ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match seconds {
        0.. => SystemTime::UNIX_EPOCH + distance,
        _ => SystemTime::UNIX_EPOCH - distance,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use tempfile::tempdir;

    use super::*;

    fn openssl(folder: &Path, arguments: &[&str]) -> String {
        let out = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(out.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Makes a certificate signed by itself, as DER.
    fn made(key: &[&str], more: &[&str]) -> Vec<u8> {
        let folder = tempdir().unwrap();
        let common = ["req", "-x509", "-nodes", "-keyout", "key", "-outform", "DER", "-out", "der", "-days", "30"];
        openssl(folder.path(), &[common.as_slice(), key, more].concat());
        fs::read(folder.path().join("der")).unwrap()
    }

    /// What openssl(1) says of it: the value after `label=` in one of the lines.
    fn asked(der: &[u8], question: &[&str]) -> String {
        let folder = tempdir().unwrap();
        fs::write(folder.path().join("der"), der).unwrap();
        openssl(folder.path(), &[&["x509", "-inform", "DER", "-in", "der", "-noout"], question].concat()).trim().to_owned()
    }

    #[test]
    fn a_certificate_is_read_as_openssl_reads_it() {
        let subject = r"/C=DE/O=Beispiel, Söhne \+ Co/CN=mx.example.org";
        let names = "subjectAltName=DNS:mx.example.org,DNS:*.example.org,IP:192.0.2.7,IP:2001:db8::7,email:a@example.org";
        let der = made(&["-newkey", "rsa:2048"], &["-utf8", "-subj", subject, "-addext", names, "-sha384"]);
        let (told, details) = (told(&der), details(&der).unwrap());
        let value = |question: &[&str]| asked(&der, question).split_once('=').unwrap().1.to_owned();
        assert_eq!(told.sha256, value(&["-fingerprint", "-sha256"]).replace(':', "").to_lowercase());
        assert_eq!(BASE64_STANDARD.decode(&told.der).unwrap(), der);
        assert_eq!(told.details.as_ref(), Some(&details));
        assert_eq!(details.serial.trim_start_matches('0'), value(&["-serial"]).to_lowercase().trim_start_matches('0'));
        assert_eq!(details.subject, r"C=DE, O=Beispiel\, Söhne \+ Co, CN=mx.example.org");
        assert_eq!(details.issuer, details.subject);
        assert_eq!(details.dns_names, ["mx.example.org", "*.example.org"]);
        assert_eq!(details.addresses, ["192.0.2.7".parse::<IpAddr>().unwrap(), "2001:db8::7".parse().unwrap()]);
        assert_eq!((details.key_algorithm.as_str(), details.key_bits), ("RSA", Some(2048)));
        assert_eq!(details.signature_algorithm, "sha384WithRSAEncryption");
        assert!(details.is_authority, "openssl's own default");
        let day = |question: &str| {
            let text = asked(&der, &[question, "-dateopt", "iso_8601"]);
            text.split_once('=').unwrap().1.to_owned()
        };
        let shown = |time: SystemTime| chrono::DateTime::<chrono::Utc>::from(time).format("%Y-%m-%d %H:%M:%SZ").to_string();
        assert_eq!((shown(details.not_before), shown(details.not_after)), (day("-startdate"), day("-enddate")));
    }

    #[test]
    fn keys_and_signatures_have_the_names_of_openssl() {
        let check = |key: &[&str], expected: (&str, Option<u32>), signature: &str| {
            let der = made(key, &["-subj", "/CN=x"]);
            let details = details(&der).unwrap();
            assert_eq!((details.key_algorithm.as_str(), details.key_bits), expected);
            assert_eq!(details.signature_algorithm, signature);
            assert!(asked(&der, &["-text"]).contains(&format!("Signature Algorithm: {signature}")));
        };
        let curve = |name| ["-newkey", "ec", "-pkeyopt", name];
        check(&["-newkey", "rsa:1024"], ("RSA", Some(1024)), "sha256WithRSAEncryption");
        check(&["-newkey", "rsa:1025", "-sha1"], ("RSA", Some(1025)), "sha1WithRSAEncryption");
        check(&["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"], ("RSA", Some(2048)), "rsassaPss");
        check(&curve("ec_paramgen_curve:prime256v1"), ("EC P-256", Some(256)), "ecdsa-with-SHA256");
        check(&curve("ec_paramgen_curve:secp384r1"), ("EC P-384", Some(384)), "ecdsa-with-SHA256");
        check(&curve("ec_paramgen_curve:secp521r1"), ("EC P-521", Some(521)), "ecdsa-with-SHA256");
        check(&curve("ec_paramgen_curve:brainpoolP384r1"), ("EC brainpoolP384r1", Some(384)), "ecdsa-with-SHA256");
        check(&curve("ec_paramgen_curve:sect283k1"), ("EC 1.3.132.0.16", None), "ecdsa-with-SHA256");
        check(&["-newkey", "ed25519"], ("Ed25519", Some(256)), "ED25519");
        check(&["-newkey", "ed448"], ("Ed448", Some(456)), "ED448");
    }

    #[test]
    fn what_a_certificate_says_cannot_pass_for_something_else() {
        let subject = "/O=a\u{1b}[31m\n, CN=bank.example/CN=x";
        let der = made(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], &["-utf8", "-subj", subject]);
        assert_eq!(details(&der).unwrap().subject, r"O=a\u{1b}[31m\n\, CN\=bank.example, CN=x");
    }

    #[test]
    fn names_in_the_alphabets_of_old_are_read() {
        let folder = tempdir().unwrap();
        // Without UTF-8, what does not fit into Latin letters becomes UTF-16.
        fs::write(folder.path().join("config"), "[req]\nstring_mask = default\ndistinguished_name = dn\n[dn]\n").unwrap();
        let config = folder.path().join("config").display().to_string();
        let der = made(&["-newkey", "rsa:2048"], &["-config", &config, "-utf8", "-subj", "/O=Пример/CN=x"]);
        assert_eq!(details(&der).unwrap().subject, "O=Пример, CN=x");
    }

    #[test]
    fn a_damaged_certificate_harms_nobody_and_is_told_by_its_digest() {
        let der =
            made(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], &["-subj", "/CN=x", "-addext", "subjectAltName=IP:::1"]);
        for end in 0..der.len() {
            assert_eq!(details(&der[..end]), None, "cut after {end}");
        }
        for at in 0..der.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = der.clone();
                damaged[at] ^= flip;
                let told = told(&damaged);
                assert_eq!(told.sha256.len(), 64);
            }
        }
        let with_more = [der.as_slice(), b"x"].concat();
        assert_eq!(details(&with_more), None);
        assert_eq!(told(b"").sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
