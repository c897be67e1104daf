//! A configuration field that nobody may see.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// The schema keyword by which the host knows where a secret may stand; only there does it resolve
/// `{ file = … }`, `{ env = … }` and `{ credential = … }`.
pub const SECRET_MARK: &str = "x-watchpost-secret";

/// A secret of a job's configuration: never printed, never serialised.
///
/// An operator writes `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`; the agent gets the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value that is to be kept from sight.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Lends the value, to be sent to the target and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true, SECRET_MARK: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", Secret::new("geheim")), "<secret>");
    }

    #[test]
    fn the_schema_marks_the_place() {
        #[derive(JsonSchema)]
        struct Config {
            #[expect(dead_code, reason = "only its schema is read")]
            password: Option<Secret>,
        }
        let schema = serde_json::to_string(&schemars::schema_for!(Config)).unwrap();
        assert!(schema.contains(SECRET_MARK), "{schema}");
    }
}
