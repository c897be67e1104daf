//! Claims about how series stand: what is not known is never well, and what is in trouble need not be an alarm.

use super::*;
use crate::{
    alarm::ledger::standing::{Census, GivenOfLate, Standing, State},
    latest::{JobView, Latest},
};

struct Both {
    rig: Rig,
    latest: Latest,
    taken: u64,
    given: Vec<GivenOfLate>,
}

impl Both {
    fn new(text: &str) -> Self {
        let latest = Latest::default();
        latest.set_jobs([JobView { shape: shape(), next_due_ns: Some(0) }]);
        Self { rig: Rig::new(text), latest, taken: 0, given: Vec::new() }
    }

    fn take(&mut self, minute: i64, samples: Option<&[(&str, &[&str], f64)]>) {
        let reading = Reading { stale_ns: (MONDAY + 60 * minute + 90) * SECOND, ..reading(minute, samples) };
        self.latest.apply(&reading);
        self.rig.ledger.take(self.taken, &reading);
        self.taken += 1;
    }

    fn at(&self, minute: i64) -> Vec<Standing> {
        self.rig.ledger.standings(&self.latest.snapshot((MONDAY + 60 * minute) * SECOND), |_| self.given.clone(), |_| true)
    }

    /// Series, state, and why it is unknown or what is wrong.
    fn told(&self, minute: i64) -> Vec<String> {
        let told = |one: Standing| format!("{} {}: {}", one.series, one.state.name(), one.why.unwrap_or_else(|| "-".into()));
        self.at(minute).into_iter().map(told).collect()
    }
}

#[test]
fn a_series_without_a_value_is_unknown_with_its_reason_and_never_well() {
    let mut both = Both::new(SLOW);
    assert_eq!(both.told(0), ["total_time unknown: it has not run yet"]);
    both.take(0, Some(&[("total_time", &[], 0.1)]));
    assert_eq!(both.told(0), ["total_time ok: -"]);
    both.take(1, None);
    assert_eq!(both.told(1), ["total_time unknown: connect: refused"]);
    assert_eq!(both.at(1)[0].since, Some((MONDAY + 60) as f64));
    both.take(2, Some(&[]));
    assert_eq!(both.told(2), ["total_time unknown: its last run recorded no `total_time`"]);
    both.take(3, Some(&[("total_time", &[], 0.1)]));
    assert_eq!(both.told(5), ["total_time unknown: its last values are too old"]);
}

#[test]
fn trouble_is_told_with_its_alarm_and_before_there_is_one_it_is_none() {
    let mut both = Both::new(&format!("{SLOW}raise_after = 2\n"));
    both.take(0, Some(&[("total_time", &[], 3.0)]));
    assert_eq!(both.told(0), ["total_time trouble: its last value is beyond a bound, and is not enough for an alarm yet"]);
    assert_eq!(both.at(0)[0].alarm, None);
    both.take(1, Some(&[("total_time", &[], 3.0)]));
    let found = both.at(1);
    assert_eq!((found[0].state, found[0].severity, found[0].alarm), (State::Trouble, Some(Severity::Major), Some(1)));
    both.take(2, None);
    let found = both.at(2);
    assert_eq!((found[0].state, found[0].alarm), (State::Unknown, Some(1)), "nobody knows whether it goes on");
}

#[test]
fn what_is_declared_by_runs_alone_and_given_no_more_is_unknown_and_its_alarm_is_told() {
    let mut both = Both::new("[[rule]]\nname = \"deep\"\nseries = 'depth'\nmajor = \"> 100\"\n");
    let set = |k: &str| vec![("k".to_owned(), k.to_owned())];
    let depth = |taken: u64, minute: i64, both: &mut Both, values: &[(&str, f64)]| {
        let spec = MetricSpec { name: "depth".into(), kind: Kind::Gauge, unit: Unit::Number, help: "H.".into(), keys: vec!["k".into()] };
        let mut reading = Reading { stale_ns: (MONDAY + 60 * minute + 90) * SECOND, ..reading(minute, Some(&[])) };
        reading.outcome.declared.push(spec);
        let samples = values.iter().map(|(k, value)| Sample { metric: "depth".into(), labels: vec![(*k).to_owned()], value: *value });
        reading.outcome.samples.extend(samples);
        both.latest.apply(&reading);
        both.rig.ledger.take(taken, &reading);
    };
    depth(0, 0, &mut both, &[("a", 500.0), ("z", 1.0)]);
    both.given = vec![("depth".into(), set("a")), ("depth".into(), set("z"))];
    depth(1, 1, &mut both, &[("z", 1.0)]);
    assert_eq!(both.told(1), ["depth{k=\"a\"} unknown: the last run gave others of its metric only", "depth{k=\"z\"} ok: -"]);
    assert_eq!(both.at(1)[0].alarm, Some(1), "nobody knows whether it is over");
    let snapshot = both.latest.snapshot((MONDAY + 60) * SECOND);
    let mut census = Census::default();
    snapshot.jobs.iter().for_each(|job| both.rig.ledger.count_job(job, &both.given, snapshot.now_ns, &mut census));
    assert_eq!((census.series.get(&State::Unknown), census.rules().get(&State::Unknown)), (Some(&1), Some(&1)));
    // A run that fails gives none of them.
    both.taken = 2;
    both.take(2, None);
    assert_eq!(both.told(2), ["depth{k=\"a\"} unknown: connect: refused", "depth{k=\"z\"} unknown: connect: refused"]);
    // After a day it is gone.
    both.given.clear();
    depth(3, 3, &mut both, &[("z", 1.0)]);
    assert_eq!(both.told(3), ["depth{k=\"z\"} ok: -"]);
}

#[test]
fn of_several_series_the_one_that_is_missing_is_told() {
    let mut both = Both::new("[[job.threshold]]\nmetric = \"queue_size\"\nminor = \"> 10\"\n");
    both.take(0, Some(&[("queue_size", &["active"], 1.0), ("queue_size", &["deferred"], 11.0)]));
    both.take(1, Some(&[("queue_size", &["active"], 1.0)]));
    let told = both.told(1);
    let expected =
        ["queue_size{queue=\"active\"} ok: -", "queue_size{queue=\"deferred\"} unknown: the last run gave others of its metric only"];
    assert_eq!(told, expected);
}

#[test]
fn what_looks_back_further_than_is_known_is_unknown() {
    let mut both = Both::new("[[job.threshold]]\nmetric = \"total_time\"\nminor = \"change > 1s in 3m\"\n");
    for minute in 0..5 {
        both.take(minute, Some(&[("total_time", &[], 0.1)]));
        let expected = if minute < 3 { "total_time unknown: its values do not reach back far enough yet" } else { "total_time ok: -" };
        assert_eq!(both.told(minute), [expected], "{minute}");
    }
    let mut both = Both::new("[[job.threshold]]\nmetric = \"total_time\"\nminor = \"> 3 deviations\"\n");
    both.take(0, Some(&[("total_time", &[], 0.1)]));
    assert_eq!(both.told(0), ["total_time unknown: too little is known of what is usual of it"]);
}

#[test]
fn expressions_and_events_have_a_state_too() {
    let share = "[[rule]]\nname = \"share\"\nexpression = \"deferred / (deferred + active)\"\nmajor = \"> 50%\"\n\
                 series = { deferred = 'queue_size{queue=\"deferred\"}', active = 'queue_size{queue=\"active\"}' }\n";
    let mut both = Both::new(share);
    assert_eq!(both.told(0), ["deferred / (deferred + active) unknown: nothing that belongs together has given values yet"]);
    both.take(0, Some(&[("queue_size", &["active"], 3.0), ("queue_size", &["deferred"], 1.0)]));
    assert_eq!(both.told(0), ["deferred / (deferred + active) ok: -"]);
    both.take(1, Some(&[("queue_size", &["active"], 3.0)]));
    assert_eq!(both.told(1), ["deferred / (deferred + active) unknown: no value of deferred"]);
    let mut both = Both::new("[[rule]]\nname = \"full\"\nevent = 'disk_full'\n");
    both.take(0, Some(&[]));
    assert_eq!(both.told(0), ["events{code=\"disk_full\"} ok: -"]);
    both.take(1, None);
    assert_eq!(both.told(1), ["events{code=\"disk_full\"} unknown: connect: refused"], "that it is quiet is known by runs");
}

#[test]
fn events_that_are_over_are_no_trouble_while_their_alarm_flaps() {
    use crate::reading::HostEvent;
    let mut both = Both::new("[[rule]]\nname = \"full\"\nevent = 'disk_full'\nquiet = \"1m\"\n");
    let event = |minute: i64, job: Option<&str>| HostEvent {
        time_ns: (MONDAY + 60 * minute) * SECOND,
        job: job.map(str::to_owned),
        severity: Severity::Major,
        code: "disk_full".into(),
        text: "no room".into(),
    };
    let tell = |both: &mut Both, minute: i64, job: Option<&str>| {
        both.rig.ledger.take_event(both.taken, &event(minute, job));
        both.taken += 1;
    };
    for at in 0..5 {
        tell(&mut both, 3 * at, Some("mx"));
        both.take(3 * at + 2, Some(&[]));
    }
    let flaps = "events{code=\"disk_full\"} ok: it came and went too often: its alarm is cleared once it has been calm";
    assert_eq!(both.told(14), [flaps]);
    assert_eq!(both.at(14)[0].alarm, Some(5), "there is one still");
    tell(&mut both, 15, Some("mx"));
    assert_eq!(both.told(15), ["events{code=\"disk_full\"} trouble: disk_full of mx: no room"]);
    // Of the host itself, too.
    let mut both = Both::new("[[rule]]\nname = \"full\"\nevent = 'disk_full{agent=\"host\"}'\nquiet = \"1m\"\n");
    for at in 0..5 {
        tell(&mut both, 3 * at, None);
        both.rig.ledger.look((MONDAY + 180 * at + 120) * SECOND);
    }
    let of_host = both.at(14).into_iter().find(|one| one.job.is_none());
    assert!(of_host.is_none_or(|one| one.state == State::Ok), "it is over");
}

#[test]
fn series_are_counted_as_they_stand_and_rules_by_the_worst_of_theirs() {
    const RULES: &str = "[[rule]]\nname = \"full\"\nseries = 'queue_size'\nminor = \"> 50\"\n\
                         [[rule]]\nname = \"never\"\nseries = 'queue_size{job=\"other\"}'\nminor = \"> 50\"\n\
                         [[rule]]\nname = \"share\"\nexpression = \"sum(size) / 2\"\nseries = { size = 'queue_size' }\nby = [\"job\"]\nminor = \"> 50\"\n";
    let mut both = Both::new(RULES);
    let count = |both: &Both| {
        let (snapshot, mut census) = (both.latest.snapshot(MONDAY * SECOND), Census::default());
        snapshot.jobs.iter().for_each(|job| both.rig.ledger.count_job(job, &both.given, snapshot.now_ns, &mut census));
        both.rig.ledger.count_rest(&snapshot, &mut census);
        let counts = |of: &BTreeMap<State, usize>| State::ALL.map(|state| of.get(&state).copied().unwrap_or(0));
        (counts(&census.series), counts(&census.rules()))
    };
    assert_eq!(count(&both), ([0, 2, 0], [0, 3, 0]), "nobody knows");
    both.take(0, Some(&[("queue_size", &["a"], 60.0), ("queue_size", &["b"], 1.0)]));
    assert_eq!(count(&both), ([1, 0, 2], [1, 1, 1]), "one of two is full, their sum is not; and what is not there is unknown");
}
