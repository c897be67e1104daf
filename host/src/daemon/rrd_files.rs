//! The series files, for front ends that name them by their paths.

use std::path::Path;

use super::{
    now_ns,
    series_view::{SharedStore, lend},
};
use crate::{
    expose::rrdcached::Files,
    plugin::is_confined,
    series::{
        archive::Consolidation,
        outside::{Fact, OutsideError, Rows},
    },
};

/// The store, lent for one question at a time.
pub(super) struct RrdFiles(pub(super) SharedStore);

impl Files for RrdFiles {
    fn flush(&self, file: Option<&Path>) -> Result<(), String> {
        match file {
            Some(file) => told(lend(&self.0).flush_path(file)),
            None => {
                lend(&self.0).flush();
                Ok(())
            }
        }
    }

    fn rows(&self, file: &Path, consolidation: Consolidation, from: i64, to: i64) -> Result<Rows, String> {
        told(lend(&self.0).rows_of(file, consolidation, from, to))
    }

    fn facts(&self, file: &Path) -> Result<Vec<(String, Fact)>, String> {
        told(lend(&self.0).facts_of(file))
    }

    fn first(&self, file: &Path, archive: usize) -> Result<i64, String> {
        told(lend(&self.0).first_of(file, archive))
    }

    fn last(&self, file: &Path) -> Result<i64, String> {
        told(lend(&self.0).last_of(file))
    }

    fn now(&self) -> i64 {
        now_ns() / 1_000_000_000
    }

    fn turns_away(&self, peer: Option<i32>) -> bool {
        is_confined(peer)
    }
}

fn told<T>(answer: Result<T, OutsideError>) -> Result<T, String> {
    answer.map_err(|error| crate::chain(&error))
}
