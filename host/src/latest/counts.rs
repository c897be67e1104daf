//! What a job has done since the daemon started.

use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::Status;

/// Runs of one job since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs that were started.
    pub runs: u64,
    /// Runs that ended well.
    pub ok: u64,
    /// Runs that were due and not started.
    pub skipped: u64,
    /// Runs that did not end well, by kind (a timeout is one), kinds in the order of first sight.
    pub failed: Vec<(ErrorKind, u64)>,
}

impl Counts {
    pub(super) fn count(&mut self, status: &Status) {
        match status {
            Status::Failed { kind, .. } if *kind == ErrorKind::SKIPPED => self.skipped += 1,
            Status::Ok => {
                self.runs += 1;
                self.ok += 1;
            }
            Status::Failed { kind, .. } => {
                self.runs += 1;
                match self.failed.iter_mut().find(|(known, _)| known == kind) {
                    Some((_, count)) => *count += 1,
                    None => self.failed.push((*kind, 1)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_by_how_they_ended() {
        let failed = |kind| Status::Failed { kind, message: "no".into() };
        let mut counts = Counts::default();
        for status in [Status::Ok, failed(ErrorKind::TIMEOUT), failed(ErrorKind::TIMEOUT), failed(ErrorKind::SKIPPED)] {
            counts.count(&status);
        }
        assert_eq!(counts, Counts { runs: 3, ok: 1, skipped: 1, failed: vec![(ErrorKind::TIMEOUT, 2)] });
    }
}
