//! What a run leaves to the next one, as JSON in the cursor.

use serde::{Serialize, de::DeserializeOwned};
use watchpost_plugin_api::{AgentError, Cx};

/// Gives what the run before left; `None` on the first run, and when it cannot be read, for it is another version's.
pub fn kept<T: DeserializeOwned>(cx: &Cx) -> Option<T> {
    serde_json::from_slice(&cx.cursor()?).ok()
}

/// Leaves something to the next run.
///
/// Errors: kind `limit` above 64 KiB.
pub fn keep<T: Serialize>(cx: &Cx, left: &T) -> Result<(), AgentError> {
    let left = serde_json::to_vec(left).map_err(|error| AgentError::local(error.to_string()))?;
    cx.set_cursor(&left)
}
