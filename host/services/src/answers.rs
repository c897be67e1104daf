//! Answers to what agents ask: both ways JSON, whose unknown fields are ignored.

use serde::{Serialize, de::DeserializeOwned};
use watchpost_plugin_api::{AgentError, Needs, wire::Resolve};

use crate::{files, resolve::resolve};

/// Answers one question of an agent that said it needs no more than this.
pub(crate) async fn answer(question: &str, detail: &str, needs: &Needs) -> Result<String, AgentError> {
    match question {
        "resolve" => json(&resolve(&parse::<Resolve>(detail)?).await?),
        "stat" => json(&files::stat(parse(detail)?).await?),
        "remove_file" => json(&files::remove(parse(detail)?, &needs.removes).await?),
        other => Err(AgentError::local(format!("this host does not know how to `{other}`; the agent wants a newer one"))),
    }
}

/// Names what is done for an answer that may take long.
pub(crate) fn doing(question: &str, detail: &str) -> Option<String> {
    let wanted = (question == "resolve").then(|| parse::<Resolve>(detail).ok())??;
    Some(format!("the look-up of {}", wanted.name))
}

pub(crate) fn parse<T: DeserializeOwned>(detail: &str) -> Result<T, AgentError> {
    serde_json::from_str(detail).map_err(|error| AgentError::local(format!("the agent's question is not understood: {error}")))
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, AgentError> {
    serde_json::to_string(value).map_err(|error| AgentError::local(error.to_string()))
}
