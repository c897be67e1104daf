//! What a job asks of its agent: the part that can be checked whatever is wrong with the rest of the job.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    At, Place, secret,
    text::{Data, Table},
};

/// An agent and what it is told.
///
/// Two are equal when they say the same, wherever they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// What measures.
    pub agent: At<String>,
    /// The job's own labels, by key; of a job at fault those that are sound.
    pub labels: BTreeMap<String, At<String>>,
    /// Measurements of one run, where that is said.
    pub samples: Option<At<u32>>,
    /// What the agent is told; its schema has yet to be asked.
    pub(super) config: At<Table>,
    /// Whether a part of the config was told of and is lost: a key that is not there may have been in it.
    pub(super) config_lost: bool,
}

impl Assignment {
    /// Tells how often one run measures.
    pub fn measurements(&self) -> u32 {
        self.samples.as_ref().map_or(1, |samples| samples.value)
    }

    /// Lists the files that its secrets come from.
    pub(super) fn secret_files(&self) -> Vec<PathBuf> {
        secret::files_of(&self.config.value)
    }

    /// Finds where a part of the config is written, or the nearest part around it that is.
    ///
    /// Shape: `path` as an agent's own check names it: `servers[1].port`; empty is the config as a whole.
    pub fn place_of(&self, path: &str) -> &Place {
        let (mut place, mut data) = (&self.config.place, None::<&Data>);
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let next = match data {
                None => self.config.get(step),
                Some(Data::Table(table)) => table.get(step),
                Some(Data::List(list)) => step.parse::<usize>().ok().and_then(|at| list.get(at)),
                Some(_) => None,
            };
            let Some(at) = next else { break };
            (place, data) = (&at.place, Some(&at.value));
        }
        place
    }
}
