//! Which label sets a job has: as many as it may have, those that came first.

use std::collections::{HashMap, HashSet};

use watchpost_plugin_api::{ErrorKind, MetricSpec};
use watchpost_services::outcome::{Outcome, Sample, Status};

use crate::series::{catalogue::UNSEEN_S, name::LabelSet};

/// The label sets of a job, the one without labels not counted, with the slots that they were last seen in.
#[derive(Debug, Default)]
pub(in crate::daemon) struct LabelSets(HashMap<LabelSet, i64>);

impl LabelSets {
    /// Those that have a series, with the last slot of each of their files.
    pub(in crate::daemon) fn stored(sets: impl IntoIterator<Item = (LabelSet, i64)>) -> Self {
        let mut latest = HashMap::new();
        for (set, slot) in sets {
            let seen = latest.entry(set).or_insert(slot);
            *seen = slot.max(*seen);
        }
        Self(latest)
    }

    /// Makes room again.
    pub(super) fn forget(&mut self, labels: &LabelSet) {
        self.0.remove(labels);
    }

    /// Takes the samples of sets without room out of what a run gave, so that nobody sees what nobody stores; gives how many sets those are.
    ///
    /// A run that ended well ends with kind `limit` then; its cursor stays, for what it read is counted in the sets that have room.
    /// Those that were not seen for [`UNSEEN_S`] before this slot make room.
    pub(super) fn admit(&mut self, slot: i64, metrics: &[MetricSpec], labels_max: usize, outcome: &mut Outcome) -> usize {
        let Outcome { samples, declared, .. } = outcome;
        let (before, mut refused) = (samples.len(), HashSet::new());
        samples.retain(|sample| {
            let set = set_of(sample, metrics.iter().chain(&*declared));
            let is_new = !set.is_empty() && !self.0.contains_key(&set);
            if is_new && self.0.len() >= labels_max {
                self.0.retain(|_, seen| *seen >= slot - UNSEEN_S);
            }
            let has_room = !is_new || self.0.len() < labels_max;
            match has_room {
                true if set.is_empty() => {}
                true => drop(self.0.insert(set, slot)),
                false => drop(refused.insert(set)),
            }
            has_room
        });
        if refused.is_empty() {
            return 0;
        }
        let why = format!("more label sets than labels_max = {labels_max}");
        outcome.refused = outcome.refused.saturating_add(u32::try_from(before - outcome.samples.len()).unwrap_or(u32::MAX));
        outcome.refusal.get_or_insert(why.clone());
        if outcome.status.is_ok() {
            outcome.status =
                Status::Failed { kind: ErrorKind::LIMIT, message: format!("{why}: {} of this run are refused", refused.len()) };
        }
        refused.len()
    }
}

fn set_of<'m>(sample: &Sample, mut metrics: impl Iterator<Item = &'m MetricSpec>) -> LabelSet {
    let spec = metrics.find(|spec| spec.name == sample.metric);
    let keys = spec.into_iter().flat_map(|spec| &spec.keys);
    keys.cloned().zip(sample.labels.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{Kind, Unit};

    use super::*;

    fn metric(name: &str, keys: &[&str]) -> MetricSpec {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        MetricSpec { name: name.into(), kind: Kind::Gauge, unit: Unit::Number, help: "A.".into(), keys }
    }

    fn sample(metric: &str, labels: &[&str]) -> Sample {
        Sample { metric: metric.into(), labels: labels.iter().map(|label| (*label).to_owned()).collect(), value: 1.0 }
    }

    /// A run that recorded these queues, and one sample without labels.
    fn run(queues: &[&str]) -> Outcome {
        let mut outcome = Outcome::failed(ErrorKind::LOCAL, "", 0);
        outcome.status = Status::Ok;
        outcome.samples = queues.iter().flat_map(|queue| [sample("size", &[queue]), sample("age", &[queue])]).collect();
        outcome.samples.push(sample("total", &[]));
        outcome
    }

    fn admitted(sets: &mut LabelSets, labels_max: usize, queues: &[&str]) -> (usize, Outcome) {
        admitted_at(60, sets, labels_max, queues)
    }

    fn admitted_at(slot: i64, sets: &mut LabelSets, labels_max: usize, queues: &[&str]) -> (usize, Outcome) {
        let metrics = [metric("size", &["queue"]), metric("age", &["queue"]), metric("total", &[])];
        let mut outcome = run(queues);
        (sets.admit(slot, &metrics, labels_max, &mut outcome), outcome)
    }

    #[test]
    fn those_that_came_first_stay_and_the_others_are_nowhere() {
        let mut sets = LabelSets::stored([(vec![("queue".to_owned(), "old".to_owned())], 0)]);
        let (refused, outcome) = admitted(&mut sets, 2, &["a", "b", "old", "c"]);
        let kept: Vec<&str> = outcome.samples.iter().filter_map(|sample| sample.labels.first()).map(String::as_str).collect();
        assert_eq!((refused, kept, outcome.samples.len()), (2, vec!["a", "a", "old", "old"], 5));
        assert_eq!((outcome.refused, outcome.refusal.as_deref()), (4, Some("more label sets than labels_max = 2")));
        let Status::Failed { kind, message } = &outcome.status else { panic!("{:?}", outcome.status) };
        assert_eq!((*kind, message.as_str()), (ErrorKind::LIMIT, "more label sets than labels_max = 2: 2 of this run are refused"));
        assert_eq!(outcome.status.up(), None);
    }

    #[test]
    fn a_run_within_the_bound_is_as_it_was_and_what_is_known_stays_when_the_bound_falls() {
        let mut sets = LabelSets::default();
        for labels_max in [2, 1] {
            let (refused, outcome) = admitted(&mut sets, labels_max, &["a", "b"]);
            assert_eq!((refused, outcome), (0, run(&["a", "b"])));
        }
        assert_eq!(admitted(&mut sets, 1, &["c"]).0, 1);
    }

    #[test]
    fn a_set_that_was_not_seen_for_thirty_days_makes_room_for_another() {
        let mut sets = LabelSets::default();
        assert_eq!(admitted_at(0, &mut sets, 2, &["a", "b"]).0, 0);
        assert_eq!(admitted_at(20 * 86_400, &mut sets, 2, &["b", "c"]).0, 1);
        assert_eq!(admitted_at(30 * 86_400, &mut sets, 2, &["b", "c"]).0, 1, "seen thirty days ago");
        assert_eq!(admitted_at(30 * 86_400 + 60, &mut sets, 2, &["b", "c"]).0, 0);
        assert_eq!(admitted_at(30 * 86_400 + 120, &mut sets, 2, &["a"]).0, 1);
    }

    #[test]
    fn a_run_that_failed_otherwise_keeps_its_reason() {
        let mut outcome = run(&["a"]);
        outcome.status = Status::Failed { kind: ErrorKind::TIMEOUT, message: "late".into() };
        assert_eq!(LabelSets::default().admit(60, &[metric("size", &["queue"]), metric("age", &["queue"])], 0, &mut outcome), 1);
        assert!(matches!(outcome.status, Status::Failed { kind: ErrorKind::TIMEOUT, .. }));
    }
}
