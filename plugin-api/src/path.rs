//! A path of a configuration.

use std::{borrow::Cow, fmt, ops::Deref, path::Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The schema keyword by which the host knows a path: it completes a relative one from the folder of the file that names it.
pub const PATH_MARK: &str = "x-watchpost-path";

/// A path in a job's configuration: a relative one is relative to the file that names it, never to the working directory.
///
/// Used as the standard library's, which would reach the agent as it was written.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathBuf(std::path::PathBuf);

impl Deref for PathBuf {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for PathBuf {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Debug for PathBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Into<std::path::PathBuf>> From<T> for PathBuf {
    fn from(path: T) -> Self {
        Self(path.into())
    }
}

impl JsonSchema for PathBuf {
    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", PATH_MARK: true })
    }
}
