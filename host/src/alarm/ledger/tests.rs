//! Claims about the ledger: what readings make of alarms, and that nothing is lost or told twice however often it is opened anew.

use std::{
    fs,
    sync::Mutex,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tempfile::TempDir;
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::*;
use crate::{
    alarm::{
        request::{AlarmRequest, whole},
        store::{FILE, KEPT_NS, NoOutbox, refuse_newer, steps},
    },
    config::{self, AlarmRule},
    database::DatabaseError,
    reading::{Cause, Reading, Shape},
    schedule::UnixTime,
};

mod beginning;
mod kinds;
mod standing;
mod steps;

const SECOND: i64 = 1_000_000_000;
/// Monday, 2026-03-30, 00:00 UTC.
const MONDAY: i64 = 1_774_828_800;

/// The rules of a schedule file.
fn rules(text: &str) -> Vec<AlarmRule> {
    let house = tempfile::tempdir().unwrap();
    for folder in ["plugins", "schedules"] {
        fs::create_dir(house.path().join(folder)).unwrap();
    }
    fs::write(house.path().join("watchpost.toml"), "").unwrap();
    let job = "[[job]]\nname = \"mx\"\nagent = \"smtp\"\nevery = \"60s\"\n";
    fs::write(house.path().join("schedules/a.toml"), format!("{job}{text}")).unwrap();
    let (draft, faults) = config::read(&house.path().join("watchpost.toml"), UnixTime::from_secs(MONDAY));
    assert!(!faults.stop(), "{faults}");
    draft.rules
}

fn shape() -> Shape {
    let spec = |name: &str, kind, unit, keys: &[&str]| MetricSpec {
        name: name.into(),
        kind,
        unit,
        help: "H.".into(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let metrics = vec![
        spec("total_time", Kind::Gauge, Unit::Seconds, &[]),
        spec("queue_size", Kind::Gauge, Unit::Messages, &["queue"]),
        spec("queries", Kind::Counter, Unit::Number, &[]),
    ];
    let labels = vec![("site".into(), "paris".into())];
    Shape { job: "mx".into(), agent: "smtp".into(), target: "h:25".into(), labels, step_s: 60, metrics }
}

fn watch(text: &str) -> Watch {
    Watch::new(&rules(text), [shape()])
}

/// A reading of a minute: samples, or nothing where the target was down.
fn reading(minute: i64, samples: Option<&[(&str, &[&str], f64)]>) -> Reading {
    let at_s = MONDAY + 60 * minute;
    let mut outcome = Outcome::failed(ErrorKind::CONNECT, "refused", at_s * SECOND);
    if let Some(samples) = samples {
        outcome.status = Status::Ok;
        let sample = |(metric, labels, value): &(&str, &[&str], f64)| Sample {
            metric: (*metric).into(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            value: *value,
        };
        outcome.samples = samples.iter().map(sample).collect();
    }
    Reading { job: "mx".into(), cause: Cause::Schedule, slot: at_s, due_ns: at_s * SECOND, stale_ns: i64::MAX, outcome }
}

struct Rig {
    folder: TempDir,
    ledger: Ledger,
}

impl Rig {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), Box::new(NoOutbox), 0).unwrap();
        ledger.situate([]);
        ledger.set(watch(text), MONDAY * SECOND);
        Self { folder, ledger }
    }

    /// Drops what is not durable, as a kill does.
    fn killed(&mut self, text: &str) {
        self.ledger = Ledger::open(self.folder.path(), Box::new(NoOutbox), 0).unwrap();
        self.ledger.situate([]);
        self.ledger.set(watch(text), MONDAY * SECOND);
    }

    fn told(&mut self) -> Vec<String> {
        let told = self.ledger.commit().unwrap();
        told.iter().map(|notice| format!("{} {} {:?} {}", notice.alarm, notice.step.name(), notice.severity, notice.text)).collect()
    }
}

/// Who hears of steps.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Ear>>);

/// What was told, up to which step it is durable, and whether some was lost.
type Ear = (Vec<Told>, Option<u64>, bool);

/// Number, name, text and count of a step.
type Told = (u64, &'static str, String, u64);

impl Heard {
    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.lock().unwrap().0)
    }

    fn durable(&self, seq: u64) {
        self.0.lock().unwrap().1 = Some(seq);
    }
}

impl Announcer for Heard {
    fn announce(&mut self, steps: &[Notice]) {
        let steps = steps.iter().map(|step| (step.seq, step.step.name(), step.text.clone(), step.count));
        self.0.lock().unwrap().0.extend(steps);
    }

    fn announce_again(&mut self, steps: &[Notice], more: u64) {
        assert_eq!(more, 0);
        self.announce(steps);
    }

    fn is_behind(&self) -> bool {
        std::mem::take(&mut self.0.lock().unwrap().2)
    }

    fn announced(&mut self) -> Option<u64> {
        self.0.lock().unwrap().1.take()
    }
}

/// Takes a series' values, one a minute, and gives what is told; `None`: the target is down.
fn check(text: &str, values: &[Option<f64>], expected: &[&str]) {
    let mut rig = Rig::new(text);
    for (at, value) in values.iter().enumerate() {
        let sample: Option<[(&str, &[&str], f64); 1]> = value.map(|value| [("total_time", &[][..], value)]);
        rig.ledger.take(at as u64, &reading(at as i64, sample.as_ref().map(|sample| &sample[..])));
    }
    assert_eq!(rig.told(), expected);
}

const SLOW: &str = "[[job.threshold]]\nmetric = \"total_time\"\nwarning = \"> 500ms\"\nmajor = \"> 2s\"\n";

#[test]
fn values_raise_change_and_clear() {
    check(
        SLOW,
        &[Some(0.1), Some(0.6), Some(0.7), Some(3.0), Some(0.1), Some(0.1)],
        &[
            "1 raised Warning total_time of mx is 600 ms, > 500ms",
            "1 changed Major total_time of mx is 3 s, > 2s",
            "1 cleared Major total_time of mx is 100 ms, no longer > 2s",
        ],
    );
}

#[test]
fn unknown_neither_raises_nor_clears() {
    check(
        SLOW,
        &[None, Some(0.6), None, None, Some(0.1)],
        &["1 raised Warning total_time of mx is 600 ms, > 500ms", "1 cleared Warning total_time of mx is 100 ms, no longer > 500ms"],
    );
    let patient = format!("{SLOW}raise_after = 3\nclear_after = 2\nrearm = \"< 400ms\"\n");
    let values = [Some(0.6), Some(0.6), None, None, Some(0.6), Some(0.45), Some(0.45), Some(0.1), None, Some(0.1)];
    check(
        &patient,
        &values,
        &["1 raised Warning total_time of mx is 600 ms, > 500ms", "1 cleared Warning total_time of mx is 100 ms, no longer > 500ms"],
    );
}

#[test]
fn a_target_that_is_down_is_told_with_its_reason() {
    let rule = "[[rule]]\nname = \"down\"\nseries = 'up{site=\"paris\"}'\ncritical = \"< 1\"\n";
    check(
        rule,
        &[Some(0.1), None, None, Some(0.1)],
        &["1 raised Critical mx (h:25) is down: connect: refused", "1 cleared Critical mx (h:25) is up again"],
    );
}

#[test]
fn each_label_set_has_an_alarm_of_its_own_and_bounds_of_its_own() {
    let rule = "[[job.threshold]]\nmetric = \"queue_size\"\nminor = \"> 100\"\n\
                [[job.threshold.override]]\nlabels = { queue = \"deferred\" }\nminor = \"> 1k\"\n\
                [[job.threshold.override]]\nlabels = { queue = \"hold\" }\nenabled = false\n";
    let mut rig = Rig::new(rule);
    let samples: [(&str, &[&str], f64); 4] = [
        ("queue_size", &["active"], 101.0),
        ("queue_size", &["deferred"], 999.0),
        ("queue_size", &["hold"], 1e6),
        ("total_time", &[], 9e9),
    ];
    rig.ledger.take(0, &reading(0, Some(&samples)));
    rig.ledger.take(1, &reading(1, Some(&[("queue_size", &["deferred"], 1_001.0)])));
    assert_eq!(
        rig.told(),
        [
            "1 raised Minor queue_size{queue=\"active\"} of mx is 101 messages, > 100",
            "2 raised Minor queue_size{queue=\"deferred\"} of mx is 1,001 messages, > 1k",
        ]
    );
}

#[test]
fn of_a_counter_the_rate_is_judged_and_a_reset_is_unknown() {
    let mut rig = Rig::new("[[job.threshold]]\nmetric = \"queries\"\nmajor = \"> 10\"\n");
    for (at, total) in [0.0, 60.0, 720.0, 5.0, 65.0].into_iter().enumerate() {
        rig.ledger.take(at as u64, &reading(at as i64, Some(&[("queries", &[], total)])));
    }
    assert_eq!(rig.told(), ["1 raised Major queries of mx is 11/s, > 10", "1 cleared Major queries of mx is 1/s, no longer > 10"]);
}

#[test]
fn outside_its_hours_a_rule_raises_nothing_and_clears_all_the_same() {
    let rule = format!("{SLOW}active = \"MON-FRI 00:00-00:10\"\n");
    let mut values = vec![Some(0.1); 30];
    for at in [5, 6, 7, 8, 9, 10, 11, 20, 21] {
        values[at] = Some(3.0);
    }
    check(&rule, &values, &["1 raised Major total_time of mx is 3 s, > 2s", "1 cleared Major total_time of mx is 100 ms, no longer > 2s"]);
}

#[test]
fn a_series_without_a_value_is_missed_and_found_again() {
    let mut rig = Rig::new("[[job.threshold]]\nmetric = \"total_time\"\nminor = \"absent 5m\"\n");
    let begun = Instant::now();
    let later = |minutes: u64| begun + Duration::from_secs(60 * minutes + 1);
    rig.ledger.miss(MONDAY * SECOND, later(4));
    assert!(rig.told().is_empty());
    for minutes in [5, 6] {
        rig.ledger.miss(MONDAY * SECOND, later(minutes));
    }
    assert_eq!(rig.told(), ["1 raised Minor no value of total_time of mx for 5 min"]);
    rig.ledger.take(0, &reading(0, Some(&[("total_time", &[], 1.0)])));
    assert_eq!(rig.told(), ["1 cleared Minor total_time of mx has a value again"]);
    rig.ledger.take(1, &reading(1, None));
    rig.ledger.miss(MONDAY * SECOND, Instant::now());
    assert!(rig.told().is_empty());
}

#[test]
fn what_is_silent_on_purpose_is_not_missed_and_begins_anew() {
    use crate::reading::{Reason, Silence};
    const RULE: &str = "[[job.threshold]]\nmetric = \"total_time\"\nminor = \"absent 5m\"\n";
    let missed = |rig: &mut Rig, minute: i64, after: u64| {
        rig.ledger.miss((MONDAY + 60 * minute) * SECOND, Instant::now() + Duration::from_secs(60 * after + 1));
        rig.told().len()
    };
    for reason in [Reason::Paused, Reason::NotActive, Reason::Blackout, Reason::NotDue] {
        let mut rig = Rig::new(RULE);
        rig.ledger.take(0, &reading(0, Some(&[("total_time", &[], 1.0)])));
        rig.ledger.fall_silent(1, &Silence { time_ns: 0, job: "mx".into(), from: MONDAY + 60, reason });
        rig.ledger.take(2, &Reading { cause: Cause::Manual, ..reading(3, None) });
        assert_eq!(missed(&mut rig, 90, 90), 0, "{reason:?}");
        // It goes on, and fails: from then on it is missed.
        rig.ledger.take(3, &reading(91, None));
        assert_eq!([missed(&mut rig, 95, 4), missed(&mut rig, 97, 6)], [0, 1], "{reason:?}");
    }
    for reason in [Reason::HostDown, Reason::Skipped, Reason::ClockStep] {
        let mut rig = Rig::new(RULE);
        rig.ledger.fall_silent(0, &Silence { time_ns: 0, job: "mx".into(), from: MONDAY, reason });
        assert_eq!(missed(&mut rig, 9, 9), 1, "{reason:?}");
    }
}

#[test]
fn a_series_is_not_missed_before_its_job_was_due_again() {
    const RULE: &str = "[[job.threshold]]\nmetric = \"total_time\"\nminor = \"absent 5m\"\n";
    let stale_ns = (MONDAY + 3_600) * SECOND;
    let hourly = |minute, samples| Reading { stale_ns, ..reading(minute, samples) };
    let missed = |rig: &mut Rig, now_ns: i64| {
        rig.ledger.miss(now_ns, Instant::now() + Duration::from_secs(600));
        rig.told().len()
    };
    let mut rig = Rig::new(RULE);
    rig.ledger.take(0, &hourly(0, Some(&[("total_time", &[], 1.0)])));
    assert_eq!([missed(&mut rig, stale_ns), missed(&mut rig, stale_ns + 1)], [0, 1]);
    let mut rig = Rig::new(RULE);
    rig.ledger.take(0, &hourly(0, Some(&[("total_time", &[], 1.0)])));
    rig.ledger.take(1, &hourly(1, None));
    assert_eq!(missed(&mut rig, stale_ns), 1, "its job ran again, and gave nothing");
}

#[test]
fn a_value_far_from_what_is_usual_at_its_hour_raises_and_one_near_it_clears() {
    use crate::alarm::baseline::{Baseline, Calendar};
    let mut rig = Rig::new("[[job.threshold]]\nmetric = \"total_time\"\nminor = \"outside 3 deviations\"\n");
    let take = |rig: &mut Rig, at: i64, value: f64| rig.ledger.take(at as u64, &reading(at, Some(&[("total_time", &[], value)])));
    // Before anything is known, nothing is unusual.
    take(&mut rig, 0, 99.0);
    // A second at night, three by day: Monday begins at midnight.
    let usual = |time: i64| if (time - MONDAY).rem_euclid(86_400) < 6 * 3_600 { 1.0 } else { 3.0 };
    let hours: Vec<_> = (-35 * 24..=0).map(|hour| MONDAY + hour * 3_600).map(|time| (time, Some(usual(time - 1)))).collect();
    let mut baselines = Baselines::default();
    baselines.insert(&Calendar::default(), "mx", "total_time".into(), Baseline::of(&hours, &[], Calendar::default()));
    rig.ledger.is_usual(baselines, []);
    for (minute, value) in [(180, 1.01), (181, 3.0), (182, 1.0), (720, 3.0), (721, 1.0)] {
        take(&mut rig, minute, value);
    }
    assert_eq!(
        rig.told(),
        [
            "1 raised Minor total_time of mx is 3 s, outside 3 deviations; usual now 960 ms to 1.04 s",
            "1 cleared Minor total_time of mx is 1 s, no longer outside 3 deviations",
            "1 closed Minor total_time of mx is 1 s, no longer outside 3 deviations",
            "2 raised Minor total_time of mx is 1 s, outside 3 deviations; usual now 2.88 s to 3.12 s",
        ]
    );
}

#[test]
fn what_is_no_longer_watched_is_withdrawn_and_forgotten() {
    let mut rig = Rig::new(SLOW);
    rig.ledger.take(0, &reading(0, Some(&[("total_time", &[], 3.0)])));
    rig.ledger.set(watch(""), MONDAY * SECOND);
    assert_eq!(rig.told().iter().map(|told| told.split(' ').nth(1).unwrap()).collect::<Vec<_>>(), ["raised", "withdrawn"]);
    rig.killed("");
    assert!(rig.ledger.memories.is_empty() && rig.ledger.alarms.is_empty());
}

#[test]
fn what_is_withdrawn_says_by_whom_and_why() {
    for (now, why) in [
        (watch(""), "there is no rule `total_time` any more, or it is not enabled"),
        (Watch::new(&rules(SLOW), []), "there is no job `mx` any more"),
    ] {
        let mut rig = Rig::new(SLOW);
        rig.ledger.take(0, &reading(0, Some(&[("total_time", &[], 3.0)])));
        rig.ledger.set(now, MONDAY * SECOND);
        let told = rig.ledger.commit().unwrap();
        let last = told.last().unwrap();
        assert_eq!((last.step, last.by.as_deref(), last.comment.as_deref()), (Step::Withdrawn, Some("the configuration"), Some(why)));
    }
}

#[test]
fn while_a_series_is_maintained_nobody_is_told_of_what_begins_and_all_know_when_it_is_over() {
    let mut rig = Rig::new(SLOW);
    let at = |minute: i64| (MONDAY + 60 * minute) * SECOND;
    let silenced = |rig: &mut Rig| -> Vec<String> {
        let told = rig.ledger.commit().unwrap();
        told.iter().map(|notice| format!("{} {}", notice.step.name(), notice.silenced.as_deref().unwrap_or("-"))).collect()
    };
    let one = rig.ledger.announce("{site=\"paris\"}".into(), "ann", None, (at(0), at(10))).unwrap();
    rig.ledger.announce("up".into(), "ann", None, (at(0), at(99))).unwrap();
    rig.ledger.take(0, &reading(1, Some(&[("total_time", &[], 3.0)])));
    assert_eq!(silenced(&mut rig), ["raised maintenance 1 by ann"]);
    rig.killed(SLOW);
    assert_eq!(rig.ledger.maintenance(at(2)).len(), 2);
    assert!(rig.ledger.end_maintenance(9, "bob", at(2)).unwrap().is_none());
    let ended = rig.ledger.end_maintenance(one.number, "bob", at(2)).unwrap().unwrap();
    assert_eq!(ended.ended, Some(("bob".into(), at(2))));
    rig.ledger.look(at(2));
    assert_eq!(silenced(&mut rig), ["unsilenced -"]);
    rig.ledger.announce("total_time{job=\"mx\"}".into(), "bob", None, (at(3), at(5))).unwrap();
    for minute in [3, 4, 5] {
        rig.ledger.look(at(minute));
    }
    assert_eq!(silenced(&mut rig), ["silenced maintenance 3 by bob", "unsilenced -"]);
    rig.ledger.take(1, &reading(6, Some(&[("total_time", &[], 0.1)])));
    assert_eq!(silenced(&mut rig), ["cleared -"]);
}

#[test]
fn what_people_do_is_durable_and_known_by_name() {
    let mut rig = Rig::new(SLOW);
    rig.ledger.take(0, &reading(0, Some(&[("total_time", &[], 3.0)])));
    let now = (MONDAY + 10) * SECOND;
    assert!(matches!(rig.ledger.act(7, "ann", Act::Own, now), Err(ActError::Unknown(7))));
    rig.ledger.act(1, "ann", Act::Own, now).unwrap();
    rig.ledger.act(1, "bob", Act::Acknowledge(Some(now + 60 * SECOND)), now).unwrap();
    rig.ledger.act(1, "bob", Act::Annotate("it burns".into()), now).unwrap();
    assert!(matches!(rig.ledger.act(1, "bob", Act::Close { endless: true }, now), Err(ActError::Refused(Refused::Active))));
    rig.killed(SLOW);
    rig.ledger.look(now + 61 * SECOND);
    assert_eq!(rig.told().len(), 1, "its time is up");
    let kept = whole(rig.folder.path(), 1).unwrap();
    let said: Vec<_> = kept.steps.iter().map(|step| (step.step.name(), step.by.as_deref(), step.comment.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("raised", None, None),
            ("owned", Some("ann"), None),
            ("acknowledged", Some("bob"), None),
            ("annotated", Some("bob"), Some("it burns")),
            ("unacknowledged", None, None),
        ]
    );
    assert_eq!((kept.alarm.life.owner.as_deref(), kept.alarm.life.acknowledged), (Some("ann"), None));
}

#[test]
fn a_life_that_is_over_keeps_what_it_was_about() {
    let mut rig = Rig::new(SLOW);
    for (at, value) in [3.0, 0.1, 0.6].into_iter().enumerate() {
        rig.ledger.take(at as u64, &reading(at as i64, Some(&[("total_time", &[], value)])));
    }
    rig.told();
    let all = AlarmRequest { state: "all".into(), since: "2020-01-01".into(), ..AlarmRequest::default() };
    let found = all.answer(rig.folder.path(), MONDAY * SECOND).unwrap();
    let seen: Vec<_> = found.alarms.iter().map(|alarm| (alarm.life.number, alarm.life.stage, alarm.subject.value.as_deref())).collect();
    assert_eq!(seen, [(2, Stage::Active, Some("600 ms")), (1, Stage::Closed, Some("100 ms"))]);
    let open = AlarmRequest::default().answer(rig.folder.path(), MONDAY * SECOND).unwrap();
    assert_eq!(open.alarms.len(), 1);
    let names = |number| steps(rig.folder.path(), number).unwrap().iter().map(|step| step.step.name()).collect::<Vec<_>>();
    assert_eq!((names(1), names(2)), (vec!["raised", "cleared", "closed"], vec!["raised"]));
}

#[test]
fn closed_alarms_are_kept_for_400_days() {
    let mut rig = Rig::new(SLOW);
    rig.ledger.take(0, &reading(0, Some(&[("total_time", &[], 3.0)])));
    rig.ledger.set(watch(""), MONDAY * SECOND);
    rig.told();
    assert_eq!(rig.ledger.prune(MONDAY * SECOND + KEPT_NS).unwrap(), 0);
    assert_eq!(rig.ledger.prune(MONDAY * SECOND + KEPT_NS + SECOND).unwrap(), 1);
    assert!(whole(rig.folder.path(), 1).is_err() && steps(rig.folder.path(), 1).unwrap().is_empty());
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let rig = Rig::new("");
    let file = rig.folder.path().join(FILE);
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(refuse_newer(rig.folder.path()), Err(DatabaseError::Newer { found: 99, .. })));
    assert!(matches!(Ledger::open(rig.folder.path(), Box::new(NoOutbox), 0), Err(DatabaseError::Newer { .. })));
}

#[test]
fn what_was_measured_before_there_were_alarms_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path(), Box::new(NoOutbox), 5).unwrap();
    ledger.set(watch(SLOW), 0);
    (0..5).for_each(|at| ledger.take(at, &reading(0, Some(&[("total_time", &[], 3.0)]))));
    assert!(!ledger.has_steps());
    ledger.take(5, &reading(0, Some(&[("total_time", &[], 3.0)])));
    assert!(ledger.has_steps());
}

#[test]
fn what_is_wrong_with_the_host_is_one_alarm_until_it_is_over() {
    use crate::alarm::host::{HostFound, HostKind, HostRules, Unseen};
    let mut rig = Rig::new("");
    let found =
        |about: &str| HostFound { kind: HostKind::WriterStopped, about: about.into(), job: None, text: format!("{about} stands still") };
    let mut rules = HostRules::default();
    for all in [vec![found("series")], vec![found("series"), found("journal")], vec![found("journal")], vec![]] {
        rig.ledger.hold_host(rules.alarms(all), |_| Unseen::Over, MONDAY * SECOND);
    }
    assert_eq!(
        rig.told(),
        [
            "1 raised Critical series stands still",
            "2 raised Critical journal stands still",
            "1 cleared Critical it is over: series stands still",
            "2 cleared Critical it is over: journal stands still",
        ]
    );
    // Where nobody has looked yet nothing is over.
    rig.ledger.hold_host(rules.alarms(vec![found("series")]), |_| Unseen::Over, MONDAY * SECOND);
    for unseen in [Unseen::Unknown, Unseen::Gone, Unseen::Over] {
        rig.ledger.hold_host(vec![], |_| unseen, MONDAY * SECOND);
    }
    assert_eq!(
        rig.told(),
        [
            "1 closed Critical it is over: series stands still",
            "3 raised Critical series stands still",
            "3 withdrawn Critical series stands still"
        ]
    );
    rules.of(HostKind::WriterStopped).unwrap().enabled = false;
    assert!(rules.alarms(vec![found("series")]).is_empty());
}

#[test]
fn messages_alike_are_one_alarm_that_one_of_them_or_somebody_ends() {
    let mut rig = Rig::new(SLOW);
    let subject = |text: &str| Subject { origin: Origin::Message, key: "opcmsg/a".into(), ..message(text) };
    let heard = Heard::default();
    rig.ledger.announce_to(Box::new(heard.clone())).unwrap();
    let first = rig.ledger.message(subject("full"), Some(Severity::Major), "ann", MONDAY * SECOND).unwrap();
    let again = rig.ledger.message(subject("still full"), Some(Severity::Major), "ann", MONDAY * SECOND).unwrap();
    assert_eq!((first, again, heard.take()), (Some(1), Some(1), vec![(1, "raised", "full".to_owned(), 1)]));
    rig.ledger.set(watch(SLOW), MONDAY * SECOND);
    rig.ledger.message(subject("a new tape"), None, "bob", MONDAY * SECOND).unwrap();
    assert_eq!(heard.take(), [(2, "cleared", "a new tape".to_owned(), 2)]);
    rig.ledger.message(subject("full"), Some(Severity::Major), "ann", MONDAY * SECOND).unwrap();
    assert_eq!(heard.take().iter().map(|(seq, step, ..)| (*seq, *step)).collect::<Vec<_>>(), [(3, "closed"), (4, "raised")]);
    let alarm = rig.ledger.act(2, "ann", Act::Close { endless: false }, MONDAY * SECOND).unwrap();
    assert_eq!(alarm.life.stage, Stage::Closed);
    assert_eq!(heard.take().iter().map(|(seq, step, ..)| (*seq, *step)).collect::<Vec<_>>(), [(5, "cleared"), (6, "closed")]);
    let by = |number| {
        steps(rig.folder.path(), number).unwrap().iter().map(|step| step.by.clone().unwrap_or_else(|| "-".into())).collect::<Vec<_>>()
    };
    assert_eq!((by(1), by(2)), (vec!["ann".to_owned(), "bob".into(), "-".into()], vec!["ann".into(), "ann".into(), "ann".into()]));
}

fn message(text: &str) -> Subject {
    Subject {
        key: String::new(),
        origin: Origin::Message,
        rule: "opcmsg".into(),
        agent: String::new(),
        job: String::new(),
        target: String::new(),
        series: String::new(),
        labels: Vec::new(),
        event_type: crate::alarm::x733::EventType::ProcessingError,
        cause: crate::alarm::x733::ProbableCause::ApplicationSubsystem,
        value: None,
        bound: None,
        text: text.into(),
        instruction: None,
        link: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Killed wherever it may be, and fed again from its place or from before, it has told the same steps, each once.
    #[test]
    fn kills_lose_nothing_and_repeat_nothing(
        values in proptest::collection::vec(prop_oneof![Just(None), Just(Some(0.1)), Just(Some(0.6)), Just(Some(3.0))], 1..60),
        kills in proptest::collection::vec((0_usize..60, any::<bool>()), 0..8),
    ) {
        let text = format!("{SLOW}raise_after = \"2 of 3\"\nclear_after = 2\n");
        let readings: Vec<_> = values.iter().enumerate().map(|(at, value)| {
            let samples: Option<[(&str, &[&str], f64); 2]> = value.map(|value| [("total_time", &[][..], value), ("queries", &[][..], 1.0)]);
            reading(at as i64, samples.as_ref().map(|samples| &samples[..]))
        }).collect();
        let mut calm = Rig::new(&text);
        for (at, reading) in readings.iter().enumerate() {
            calm.ledger.take(at as u64, reading);
        }
        calm.told();
        let mut killed = Rig::new(&text);
        let mut at = 0;
        let mut kills = kills.into_iter().collect::<HashMap<_, _>>();
        while at < readings.len() {
            killed.ledger.take(at as u64, &readings[at]);
            at += 1;
            if let Some(is_committed) = kills.remove(&at) {
                if is_committed {
                    killed.told();
                }
                killed.killed(&text);
                // The reader begins where the ledger is, or a little before.
                at = usize::try_from(killed.ledger.position()).unwrap().saturating_sub(2);
            }
        }
        killed.told();
        let all = |rig: &Rig| -> Vec<Notice> { (1..99).flat_map(|number| steps(rig.folder.path(), number).unwrap()).collect() };
        prop_assert_eq!(all(&killed), all(&calm));
    }
}
