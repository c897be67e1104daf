//! An end of a connection, as a job asks for it: a port, at one address or any.

use std::{
    borrow::Cow,
    fmt,
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor, value::SeqAccessDeserializer},
};
use watchpost_plugin_api::PATH_MARK;

/// A port of any address, or of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    address: Option<IpAddr>,
    port: NonZeroU16,
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Several<T>(pub Vec<T>);

/// What can be read of one value in a configuration: a number, or a text.
pub trait FromOne: Sized {
    /// What is wanted, in words.
    const WANTED: &'static str;

    /// Reads a number.
    fn from_number(_: u64) -> Option<Self> {
        None
    }

    /// Reads a text.
    fn from_text(text: &str) -> Option<Self>;
}

impl FromOne for End {
    const WANTED: &'static str = "a port from 1 to 65535, or an address with a port as \"192.0.2.1:25\"";

    fn from_number(number: u64) -> Option<Self> {
        let port = u16::try_from(number).ok().and_then(NonZeroU16::new)?;
        Some(Self { address: None, port })
    }

    fn from_text(text: &str) -> Option<Self> {
        let end: SocketAddr = text.parse().ok()?;
        Some(Self { address: Some(end.ip().to_canonical()), port: NonZeroU16::new(end.port())? })
    }
}

impl FromOne for String {
    const WANTED: &'static str = "a text";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl End {
    /// Says whether it is that port, at whatever address.
    pub(crate) fn is_port(&self, port: u16) -> bool {
        self.port.get() == port
    }

    /// Says whether it is that end.
    pub(crate) fn is(&self, end: SocketAddr) -> bool {
        self.is_port(end.port()) && self.address.is_none_or(|address| address == end.ip())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => write!(f, "*:{}", self.port),
            Some(address) => write!(f, "{}", SocketAddr::new(address, self.port.get())),
        }
    }
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// One of a list.
struct One<T>(T);

struct OneOnly<T>(PhantomData<T>);

impl<T: FromOne> Visitor<'_> for OneOnly<T> {
    type Value = One<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<One<T>, E> {
        T::from_number(number).map(One).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<One<T>, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<One<T>, E> {
        T::from_text(text).map(One).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de, T: FromOne> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOnly(PhantomData))
    }
}

struct OneOrSeveral<T>(PhantomData<T>);

impl<'de, T: FromOne> Visitor<'de> for OneOrSeveral<T> {
    type Value = Several<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of these", T::WANTED.replace(", or ", ", "))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Several<T>, E> {
        T::from_number(number).map(|one| Several(vec![one])).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Several<T>, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Several<T>, E> {
        T::from_text(text).map(|one| Several(vec![one])).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Several<T>, A::Error> {
        let all = Vec::<One<T>>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Several(all.into_iter().map(|One(one)| one).collect()))
    }
}

impl<'de, T: FromOne> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral(PhantomData))
    }
}

impl JsonSchema for Several<End> {
    fn schema_name() -> Cow<'static, str> {
        "Ends".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let port = json_schema!({ "type": "integer", "minimum": 1, "maximum": 65_535 });
        let text = json_schema!({ "type": "string" });
        json_schema!({ "anyOf": [port, text, { "type": "array", "items": { "anyOf": [port, text] } }] })
    }
}

impl JsonSchema for Several<String> {
    fn schema_name() -> Cow<'static, str> {
        "Sockets".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let path = json_schema!({ "type": "string", PATH_MARK: true });
        json_schema!({ "anyOf": [path, { "type": "array", "items": path }] })
    }
}
