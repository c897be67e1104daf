//! Drops series for good: their files, and what the catalogue has of these.
//!
//! A crash finds them whole or gone: the catalogue forgets first, durably, and what it does not know any more is removed after that.

use std::fs;
use std::io::ErrorKind;
use std::time::Instant;

use super::SeriesStore;
use crate::series::error::SeriesError;
use crate::series::fetch::LabelSetOf;

impl SeriesStore {
    /// Drops the files of label sets, those set aside too. Rows that wait for them go as well; a job that runs on gets a new file with
    /// its next reading.
    ///
    /// Errors: the catalogue or the folder failed; what is not dropped yet is by another call.
    pub fn drop_series(&mut self, doomed: &[LabelSetOf], now: Instant) -> Result<(), SeriesError> {
        let mut files = Vec::new();
        for LabelSetOf { job, labels } in doomed {
            if let Some(open) = self.files.remove(job, labels) {
                self.rows_held -= open.held.len();
            }
            let known = self.catalogue.jobs().get(job).into_iter().flat_map(|known| &known.files);
            let of_set: Vec<(i64, String)> = known.filter(|file| file.labels == *labels).map(|file| (file.id, file.path.clone())).collect();
            for (id, path) in of_set {
                self.catalogue.forget_file(job, id);
                self.catalogue.give_up(&path);
                files.push(path);
            }
            if self.catalogue.jobs().get(job).is_some_and(|known| known.files.is_empty()) {
                self.catalogue.gaps_mut().forget(job);
            }
        }
        self.checkpoint_anyway(now)?;
        for name in files {
            self.undoable.remove(&name);
            let path = self.folder.join(&name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(SeriesError::Folder { path, source }),
                _ => {}
            }
        }
        Ok(())
    }
}
