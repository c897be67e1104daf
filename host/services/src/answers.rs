//! Answers to what agents ask: both ways JSON, whose unknown fields are ignored.

use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};
use watchpost_plugin_api::{AgentError, Needs, wire::Resolve};

use crate::{
    files,
    resolve::{literal, resolve},
};

/// What an agent asks.
pub(crate) enum Question {
    Resolve(Resolve),
    Stat(PathBuf),
    RemoveFile(PathBuf),
}

impl Question {
    /// Understands a question.
    pub(crate) fn of(question: &str, detail: &str) -> Result<Self, AgentError> {
        match question {
            "resolve" => parse(detail).map(Self::Resolve),
            "stat" => parse(detail).map(Self::Stat),
            "remove_file" => parse(detail).map(Self::RemoveFile),
            other => Err(AgentError::local(format!("this host does not know how to `{other}`; the agent wants a newer one"))),
        }
    }

    /// Names what is done for an answer that may take long.
    pub(crate) fn doing(&self) -> Option<String> {
        match self {
            Self::Resolve(wanted) if literal(&wanted.name).is_none() => Some(format!("the look-up of {}", wanted.name)),
            _ => None,
        }
    }

    /// Answers it to an agent that said it needs no more than this.
    pub(crate) async fn answer(self, needs: &Needs) -> Result<String, AgentError> {
        match self {
            Self::Resolve(wanted) => json(&resolve(&wanted).await?),
            Self::Stat(path) => json(&files::stat(path).await?),
            Self::RemoveFile(path) => json(&files::remove(path, &needs.removes).await?),
        }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(detail: &str) -> Result<T, AgentError> {
    serde_json::from_str(detail).map_err(|error| AgentError::local(format!("the agent's question is not understood: {error}")))
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, AgentError> {
    serde_json::to_string(value).map_err(|error| AgentError::local(error.to_string()))
}
