//! Claims about replays: of what is stored they say what was said when it came.

use watchpost_plugin_api::Unit;

use super::*;
use crate::{
    alarm::bound::Bound,
    config::{At, Place},
    series::selector::Selector,
};

const HOUR: i64 = 3_600;

fn at<T>(value: T) -> At<T> {
    At { value, place: Place::whole("") }
}

fn rule(series: &str, bound: &str, raise_after: u32) -> AlarmRule {
    let mut rule = AlarmRule::trial(at(Selector::parse(series).unwrap()), at(Bound::parse(bound).unwrap()));
    rule.raise_after = (raise_after, raise_after);
    rule
}

fn series(metric: &str, kind: Kind) -> PastSeries {
    let spec = MetricSpec { name: metric.into(), kind, unit: Unit::Number, help: String::new(), keys: Vec::new() };
    let (job, agent, target) = ("mx".into(), "smtp".into(), "h".into());
    PastSeries { shape: Shape { job, agent, target, labels: Vec::new(), step_s: 60, metrics: Vec::new() }, spec, labels: Vec::new() }
}

/// When it was raised, and when cleared; rows are a step apart, the first ends at one.
fn raised(rule: AlarmRule, series: PastSeries, stretches: &[(u32, Vec<f64>)]) -> Vec<(i64, Option<i64>)> {
    let folder = tempfile::tempdir().unwrap();
    let mut replay = Replay::new(vec![rule], vec![series], folder.path()).unwrap();
    let mut now = 0;
    for (step, values) in stretches {
        let rows = values.iter().map(|value| {
            now += i64::from(*step);
            Row { at_s: now, series: 0, value: Some(*value) }
        });
        replay.take(rows.collect(), *step, 0).unwrap();
    }
    replay.end((0, now), 60).unwrap().iter().map(|episode| (episode.raised, episode.cleared)).collect()
}

#[test]
fn rows_of_a_slot_are_judged_as_values_were() {
    let values = vec![1.0, 5.0, 5.0, 5.0, 5.0, 1.0, 5.0, 5.0, 1.0];
    let found = raised(rule("queue", "> 3", 3), series("queue", Kind::Gauge), &[(60, values)]);
    assert_eq!(found, [(240, Some(360))]);
}

#[test]
fn what_goes_on_has_no_end_and_lasts_over_a_change_of_resolution() {
    let found = raised(rule("queue", "> 3", 1), series("queue", Kind::Gauge), &[(3_600, vec![1.0, 5.0]), (60, vec![5.0, 5.0])]);
    assert_eq!(found, [(2 * HOUR, None)]);
}

#[test]
fn of_coarse_rows_so_many_are_wanted_as_last_as_long() {
    // Three minutes are less than an hour, 150 are three of them.
    let hours = || vec![(3_600, vec![1.0, 5.0, 1.0, 5.0, 5.0, 5.0, 1.0])];
    assert_eq!(raised(rule("queue", "> 3", 3), series("queue", Kind::Gauge), &hours()).len(), 2);
    assert_eq!(raised(rule("queue", "> 3", 150), series("queue", Kind::Gauge), &hours()), [(6 * HOUR, Some(7 * HOUR))]);
}

#[test]
fn a_counter_is_judged_by_what_it_rises_in_a_second() {
    let found = raised(rule("errors", "> 3", 1), series("errors", Kind::Counter), &[(60, vec![1.0, 5.0, 5.0, 1.0])]);
    assert_eq!(found, [(120, Some(240))]);
}

#[test]
fn a_target_was_down_where_it_was_not_always_up() {
    let found = raised(rule("up", "< 1", 1), series("up", Kind::Gauge), &[(3_600, vec![1.0, 0.98, 1.0])]);
    assert_eq!(found, [(2 * HOUR, Some(3 * HOUR))]);
}

#[test]
fn a_reason_that_is_not_kept_is_not_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut replay = Replay::new(vec![rule("up", "< 1", 1)], vec![series("up", Kind::Gauge)], folder.path()).unwrap();
    replay.take(vec![Row { at_s: 60, series: 0, value: Some(0.0) }], 60, 0).unwrap();
    let texts: Vec<_> = replay.end((0, 60), 60).unwrap().into_iter().map(|episode| episode.text).collect();
    assert_eq!(texts, ["mx (h) is down"]);
}

#[test]
fn what_is_usual_is_what_was_known_then() {
    let mut values = Vec::new();
    for hour in 0..(42 * 24) {
        let daily = if hour % 24 < 12 { 10.0 } else { 90.0 };
        values.push(daily + f64::from(hour % 7) / 10.0);
    }
    // In the morning of the 41st day it is as busy as in the evening.
    values[40 * 24 + 6] = 90.0;
    let found = raised(rule("queue", "outside 5 deviations", 1), series("queue", Kind::Gauge), &[(3_600, values)]);
    let begin = (40 * 24 + 7) * HOUR;
    assert_eq!(found, [(begin, Some(begin + HOUR))]);
}

/// What a rule over one series makes of rows of a minute, as seconds; `None` is a run that gave nothing.
fn told(text: &str, rows: &[(i64, Option<f64>)], prepare: impl FnOnce(&mut Replay), to: i64) -> Vec<(i64, Option<i64>, bool)> {
    let folder = tempfile::tempdir().unwrap();
    let mut replay = Replay::new(vec![rule("queue", text, 1)], vec![series("queue", Kind::Gauge)], folder.path()).unwrap();
    prepare(&mut replay);
    replay.take(rows.iter().map(|(at_s, value)| Row { at_s: *at_s, series: 0, value: *value }).collect(), 60, 0).unwrap();
    let found = replay.end((0, to), 60).unwrap();
    found.iter().map(|episode| (episode.raised, episode.cleared, episode.silenced.is_some())).collect()
}

#[test]
fn what_was_absent_is_missed_after_its_span_and_until_it_came_again() {
    let gave: Vec<_> = (1..=10).map(|minute| (60 * minute, Some(1.0))).collect();
    let none = |minutes: std::ops::RangeInclusive<i64>| minutes.map(|minute| (60 * minute, None)).collect::<Vec<_>>();
    let again = vec![(60 * 40, Some(1.0))];
    let silent = |reason| move |replay: &mut Replay| replay.fall_silent(vec![Silence { time_ns: 0, job: "mx".into(), from: 601, reason }]);
    let absent = |rows: &[Vec<(i64, Option<f64>)>], prepare: &dyn Fn(&mut Replay), to| told("absent 10m", &rows.concat(), prepare, to);
    assert_eq!(absent(&[gave.clone(), none(11..=39), again.clone()], &|_| {}, 2_400), [(1_200, Some(2_400), false)]);
    // Nothing at all was stored: that its job gave no reading is a miss as well.
    assert_eq!(absent(&[gave.clone(), again.clone()], &|_| {}, 2_400), [(1_200, Some(2_400), false)]);
    assert_eq!(absent(std::slice::from_ref(&gave), &|_| {}, 3_600), [(1_200, None, false)], "to the end of what is asked");
    for reason in [crate::reading::Reason::Paused, crate::reading::Reason::Blackout, crate::reading::Reason::Removed] {
        assert_eq!(absent(&[gave.clone(), again.clone()], &silent(reason), 2_400), [], "{reason:?}");
        // It begins anew with the first reading after.
        let failed = none(20..=39);
        assert_eq!(absent(&[gave.clone(), failed, again.clone()], &silent(reason), 2_400), [(1_800, Some(2_400), false)], "{reason:?}");
    }
}

#[test]
fn outside_its_hours_a_rule_raises_nothing_of_the_past_either() {
    let folder = tempfile::tempdir().unwrap();
    let mut of_day = rule("queue", "> 3", 1);
    of_day.hours = crate::schedule::Windows::parse(["08:00-18:00"], [], Default::default()).unwrap();
    let mut replay = Replay::new(vec![of_day], vec![series("queue", Kind::Gauge)], folder.path()).unwrap();
    let rows = [7, 9, 11].map(|hour| (hour * HOUR, if hour == 11 { 1.0 } else { 5.0 }));
    replay.take(rows.map(|(at_s, value)| Row { at_s, series: 0, value: Some(value) }).into(), 3_600, 0).unwrap();
    let found: Vec<_> = replay.end((0, 20 * HOUR), 3_600).unwrap().iter().map(|one| (one.raised, one.cleared)).collect();
    assert_eq!(found, [(9 * HOUR, Some(11 * HOUR))]);
}

#[test]
fn maintenance_of_then_silences_what_began_in_it() {
    let rows: Vec<_> = [1.0, 5.0, 1.0, 1.0, 5.0, 1.0].into_iter().zip(1..).map(|(value, minute)| (60 * minute, Some(value))).collect();
    let maintained = |from: i64, until: i64, ended: Option<i64>| Maintenance {
        number: 7,
        series: "{job=\"mx\"}".into(),
        by: "ann".into(),
        comment: None,
        from_ns: from * SECOND_NS,
        until_ns: until * SECOND_NS,
        ended: ended.map(|at_s| ("bob".into(), at_s * SECOND_NS)),
    };
    let story = |all: Vec<Maintenance>| told("> 3", &rows, |replay| replay.maintain(Vec::new(), all), 400);
    let silenced = |all: Vec<Maintenance>| story(all).into_iter().map(|(_, _, silenced)| silenced).collect::<Vec<_>>();
    assert_eq!(silenced(vec![]), [false, false]);
    assert_eq!(silenced(vec![maintained(90, 200, None)]), [true, false]);
    assert_eq!(silenced(vec![maintained(250, 900, Some(320))]), [false, true]);
    assert_eq!(silenced(vec![maintained(60, 900, Some(100))]), [false, false], "it was ended before");
}

#[test]
fn events_of_then_are_judged_with_the_runs_that_say_that_nothing_more_came() {
    use crate::config::EventPattern;
    let folder = tempfile::tempdir().unwrap();
    let mut of_events = rule("queue", "> 1", 1);
    (of_events.bounds, of_events.raise_after) = (Default::default(), (1, 1));
    let pattern = EventPattern {
        event: at(Selector::parse("disk_full").unwrap()),
        cleared_by: None,
        quiet: Some(std::time::Duration::from_secs(300)),
    };
    of_events.looks_at = crate::config::LooksAt::Events(pattern);
    let event = |at_s: i64, job: Option<&str>| PastEvent {
        time_ns: at_s * SECOND_NS + 5,
        job: job.map(str::to_owned),
        severity: Severity::Major,
        code: "disk_full".into(),
        text: "no room".into(),
    };
    let mut replay = Replay::new(vec![of_events.clone()], vec![series("up", Kind::Gauge)], folder.path()).unwrap();
    replay.hear([event(130, Some("mx")), event(1_000, Some("mx"))]);
    replay.take((1..=30).map(|minute| Row { at_s: 60 * minute, series: 0, value: Some(1.0) }).collect(), 60, 0).unwrap();
    let found: Vec<_> = replay.end((0, 1_800), 60).unwrap().iter().map(|one| (one.raised, one.cleared, one.text.clone())).collect();
    let text = "disk_full of mx: no room".to_owned();
    assert_eq!(found, [(130, Some(480), text.clone()), (1_000, Some(1_320), text)]);
    let folder = tempfile::tempdir().unwrap();
    let mut replay = Replay::new(vec![of_events], Vec::new(), folder.path()).unwrap();
    replay.hear([event(130, None)]);
    let found: Vec<_> = replay.end((0, 1_800), 60).unwrap().iter().map(|one| (one.raised, one.severity)).collect();
    assert_eq!(found, [(130, Severity::Major)], "of the host alone");
}
