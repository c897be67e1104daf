//! Gives the series of one job to another: files are renamed, and those of a label set that has one already give it their rows.

use std::collections::BTreeSet;
use std::fs;

use super::{Applied, SeriesStore};
use crate::series::error::SeriesError;
use crate::series::name::ENDING;

impl SeriesStore {
    /// Gives all series of a job to another one, which then has them as its own. A job that has none is left as it is.
    ///
    /// Shape: nobody gives readings of the first one any more; the second one need not be known yet.
    pub fn rename_job(&mut self, from: &str, to: &str) -> Result<Applied, SeriesError> {
        let has_files = self.catalogue.jobs().get(from).is_some_and(|job| !job.files.is_empty());
        if from == to || !has_files {
            return Ok(Applied::Taken);
        }
        if !self.close(from) || !self.close(to) {
            return Ok(Applied::Behind);
        }
        // What the files of each have of those before them, they have before the others come.
        for job in [from, to] {
            let files = self.catalogue.jobs().get(job).into_iter().flat_map(|job| &job.files);
            let sets: BTreeSet<_> = files.filter(|file| file.generation > 0).map(|file| file.labels.clone()).collect();
            sets.iter().try_for_each(|labels| self.migrate_set(job, labels))?;
        }
        let folder = self.folder.join(to);
        fs::create_dir_all(&folder).map_err(|source| SeriesError::Folder { path: folder, source })?;
        self.catalogue.succeed(from, to);
        let mut files = self.catalogue.jobs().get(from).map(|job| job.files.clone()).unwrap_or_default();
        // Those that were set aside first, in their order: a greater number is a later one.
        files.sort_by_key(|file| (file.generation == 0, file.generation, file.id));
        for file in files {
            let name = file.path.split_once('/').map_or(file.path.as_str(), |(_, name)| name);
            let heir = self.catalogue.jobs().get(to).and_then(|job| job.current(&file.labels));
            let plain = format!("{to}/{name}");
            let is_free = !self.catalogue.is_taken(to, &plain) && !self.catalogue.is_given_up(&plain) && !self.folder.join(&plain).exists();
            let (path, generation) = match (file.generation, heir) {
                (0, None) if is_free => (plain, 0),
                (0, None) => (self.free_number(&plain, 1), 0),
                // Its own name has a number already, which may be another's there.
                (generation, _) => {
                    let stem = name.strip_suffix(ENDING).unwrap_or(name);
                    let stem = if generation > 0 { stem.rsplit_once('.').map_or(stem, |(stem, _)| stem) } else { stem };
                    let generation = self.catalogue.take_generation();
                    (self.free_number(&format!("{to}/{stem}{ENDING}"), generation), generation)
                }
            };
            let is_undoable = self.undoable.contains(&file.path);
            self.give_way(&file.path, &path)?;
            if is_undoable {
                // What a crash has to know of it is known under its old name, which it gets back then.
                self.undoable.insert(path.clone());
            }
            self.catalogue.hand_over(from, file.id, to, &path, generation);
        }
        self.catalogue.gaps_mut().succeed(from, to);
        self.catalogue.forget_job(from);
        self.layouts.remove(from);
        self.lay_out(to);
        self.migrations.begin(to);
        tracing::info!(from, to, "the series of a job are another one's now");
        Ok(Applied::Taken)
    }
}
