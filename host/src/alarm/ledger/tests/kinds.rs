//! Claims about kinds of rules: changes, rates, forecasts, expressions, events.

use super::*;

/// Takes values of one metric, one a minute, `None` where it gives none, and gives what is told.
fn story(rule: &str, metric: &str, values: impl IntoIterator<Item = Option<f64>>) -> Vec<String> {
    let mut rig = Rig::new(&format!("[[job.threshold]]\nmetric = \"{metric}\"\n{rule}\n"));
    let mut told = Vec::new();
    for (value, at) in values.into_iter().zip(0..) {
        let sample: Option<[(&str, &[&str], f64); 1]> = value.map(|value| [(metric, &[][..], value)]);
        rig.ledger.take(at as u64, &reading(at, sample.as_ref().map(|sample| &sample[..])));
        told.extend(rig.told().iter().map(|told| format!("{at}: {}", told.split_once(' ').unwrap().1)));
    }
    told
}

#[test]
fn a_change_is_judged_against_the_beginning_of_its_window() {
    let jump = (0..40).map(|at| Some(if at < 20 { 1.0 } else { 4.0 }));
    assert_eq!(
        story("minor = \"change > 2s in 5m\"", "total_time", jump.clone()),
        [
            "20: raised Minor total_time of mx changed by +3 s in 5 min, change > 2s in 5m",
            "25: cleared Minor total_time of mx changed by 0 s in 5 min, no longer change > 2s in 5m",
        ]
    );
    assert_eq!(
        story("minor = \"change > 50% in 5m\"", "total_time", jump.clone())[0],
        "20: raised Minor total_time of mx changed by +300 % in 5 min, change > 50% in 5m"
    );
    let fall = jump.map(|value| value.map(|value| 5.0 - value));
    assert_eq!(
        story("minor = \"change outside -50%..50% in 5m\"", "total_time", fall)[0],
        "20: raised Minor total_time of mx changed by -75 % in 5 min, change outside -50%..50% in 5m"
    );
    // What was before is unknown: nothing is raised, and nothing is cleared.
    let blind = (0..40).map(|at| (!(10..20).contains(&at)).then_some(if at < 20 { 1.0 } else { 4.0 }));
    assert!(story("minor = \"change > 2s in 5m\"", "total_time", blind).is_empty());
    let lost = (0..40).map(|at| (at <= 20).then_some(if at < 20 { 1.0 } else { 4.0 }));
    assert_eq!(story("minor = \"change > 2s in 5m\"", "total_time", lost).len(), 1);
}

#[test]
fn a_rate_is_judged_of_gauges_and_of_counters() {
    let climb = || (0..20).map(|at| Some(if at < 10 { 0.0 } else { f64::from(at - 9) * 30.0 }));
    assert_eq!(story("minor = \"> 20/min\"", "queries", climb()), ["10: raised Minor queries of mx rises by 30/min, > 20/min"]);
    assert_eq!(
        story("minor = \"> 20s/min\"", "total_time", climb())[0],
        "10: raised Minor total_time of mx changes by 30 s/min, > 20s/min"
    );
    // On average of five minutes it is only more than twenty after four of them.
    assert_eq!(
        story("minor = \"> 20/min in 5m\"", "queries", climb())[0],
        "13: raised Minor queries of mx rises by 24/min, > 20/min in 5m"
    );
    assert_eq!(story("minor = \"> 20/min\"", "queries", [Some(50.0), Some(5.0), Some(15.0), Some(5.0)]).len(), 0, "resets are unknown");
}

#[test]
fn a_forecast_is_judged_by_the_trend() {
    let filling = (0..140).map(|at| Some(10.0 + f64::from(at)));
    let told = story("warning = \"reaches >= 200s in 4h\"", "total_time", filling.clone());
    assert!(told.is_empty(), "half of the window of twelve hours is not known: {told:?}");
    let told = story("warning = \"reaches >= 200s in 2h over 1h\"\nmajor = \"reaches >= 200s in 1h over 1h\"", "total_time", filling);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("70: raised Warning total_time of mx will be 3 min in 2 h"), "{told:?}");
    assert!(told[1].starts_with("130: changed Major total_time of mx will be 3 min in 60 min"), "{told:?}");
}

#[test]
fn values_of_before_outlast_a_kill() {
    const RULE: &str = "[[job.threshold]]\nmetric = \"total_time\"\nminor = \"change > 2s in 5m\"\n";
    let mut rig = Rig::new(RULE);
    for at in 0..10 {
        rig.ledger.take(at, &reading(at as i64, Some(&[("total_time", &[], 1.0)])));
    }
    rig.told();
    rig.killed(RULE);
    rig.ledger.take(10, &reading(10, Some(&[("total_time", &[], 4.0)])));
    assert_eq!(rig.told().len(), 1);
}

#[test]
fn series_of_several_jobs_belong_together_by_their_labels() {
    const RULE: &str = "[[rule]]\nname = \"slower\"\nexpression = \"a / b\"\nminor = \"> 2\"\n\
                        series = { a = 'total_time{job=\"mx\"}', b = 'total_time{job=\"my\"}' }\n";
    let mut rig = Rig::new("");
    rig.ledger.set(Watch::new(&rules(RULE), [shape(), Shape { job: "my".into(), ..shape() }]), MONDAY * SECOND);
    let mut at = 0;
    let mut take = |rig: &mut Rig, job: &str, value: Option<f64>| {
        let sample: Option<[(&str, &[&str], f64); 1]> = value.map(|value| [("total_time", &[][..], value)]);
        let reading = Reading { job: job.into(), ..reading(at, sample.as_ref().map(|sample| &sample[..])) };
        rig.ledger.take(at as u64, &reading);
        at += 1;
        rig.told()
    };
    assert!(take(&mut rig, "mx", Some(6.0)).is_empty(), "the other is not known yet");
    let text = "Minor a / b{site=\"paris\"} is 300 %, > 2; a 6 s, b 2 s";
    assert_eq!(take(&mut rig, "my", Some(2.0)), [format!("1 raised {text}")]);
    // What one of them does not know is unknown; it clears nothing.
    for (job, value) in [("mx", None), ("my", Some(2.0)), ("mx", Some(1.0))] {
        assert!(take(&mut rig, job, value).is_empty(), "{job} {value:?}");
    }
    assert_eq!(take(&mut rig, "my", Some(2.0)), ["1 cleared Minor a / b{site=\"paris\"} is 50 %, no longer > 2"]);
    assert!(take(&mut rig, "my", Some(0.1)).is_empty(), "the other has no new value");
}

#[test]
fn label_sets_belong_together_and_those_that_are_gone_are_left_out() {
    const RULE: &str =
        "[[rule]]\nname = \"all\"\nexpression = \"sum(size)\"\nminor = \"> 100\"\nseries = { size = 'queue_size' }\nby = [\"job\"]\n";
    let mut rig = Rig::new(RULE);
    let take = |rig: &mut Rig, at: i64, queues: &[(&str, f64)]| {
        let labels: Vec<[&str; 1]> = queues.iter().map(|(queue, _)| [*queue]).collect();
        let samples: Vec<(&str, &[&str], f64)> =
            queues.iter().zip(&labels).map(|((_, size), labels)| ("queue_size", &labels[..], *size)).collect();
        rig.ledger.take(at as u64, &reading(at, Some(&samples)));
        rig.told()
    };
    let told = take(&mut rig, 0, &[("a", 60.0), ("b", 60.0)]);
    assert_eq!(told, ["1 raised Minor sum(size) of mx is 120 messages, > 100; size 60 messages + 60 messages"]);
    // One that is missing makes the sum unknown, and is gone after some readings.
    for at in 1..4 {
        assert!(take(&mut rig, at, &[("a", 60.0)]).is_empty(), "{at}");
    }
    assert_eq!(take(&mut rig, 4, &[("a", 60.0)]).len(), 1);
}

#[test]
fn what_is_added_up_waits_after_a_start_for_jobs_that_gave_nothing_yet_and_not_for_ever() {
    const RULE: &str =
        "[[rule]]\nname = \"few\"\nexpression = \"count(time)\"\nminor = \"< 2\"\nseries = { time = 'total_time' }\nby = [\"site\"]\n";
    let story = |readings: &[(i64, &str)]| -> Vec<String> {
        let mut rig = Rig::new("");
        rig.ledger.set(Watch::new(&rules(RULE), [shape(), Shape { job: "my".into(), ..shape() }]), MONDAY * SECOND);
        for (at, (minute, job)) in readings.iter().enumerate() {
            let reading = Reading { job: (*job).into(), ..reading(*minute, Some(&[("total_time", &[], 1.0)])) };
            rig.ledger.take(at as u64, &reading);
        }
        rig.told()
    };
    assert_eq!(story(&[(0, "mx"), (0, "my"), (1, "mx"), (1, "my")]), [""; 0], "one of two is not all there are");
    let alone = story(&[(0, "mx"), (1, "mx"), (2, "mx")]);
    assert_eq!(alone, ["1 raised Minor count(time){site=\"paris\"} is 1, < 2; time 1 s"], "the other gives nothing at all");
}

#[test]
fn events_of_the_host_raise_and_quiet_ends_them_over_a_kill() {
    use crate::reading::HostEvent;
    const RULE: &str = "[[rule]]\nname = \"clock\"\nevent = '{agent=\"host\",code=~\"clock_.*|alarm_.*\"}'\nquiet = \"5m\"\n";
    let mut rig = Rig::new(RULE);
    let event = |code: &str, job: Option<&str>| HostEvent {
        time_ns: MONDAY * SECOND,
        job: job.map(str::to_owned),
        severity: Severity::Major,
        code: code.into(),
        text: "it was turned".into(),
    };
    rig.ledger.take_event(0, &event("alarm_raised", None));
    assert!(rig.told().is_empty(), "what tells of alarms raises none");
    rig.ledger.take_event(1, &event("clock_step", None));
    assert_eq!(rig.told(), ["1 raised Major clock_step: it was turned"]);
    rig.killed(RULE);
    rig.ledger.take_event(1, &event("clock_step", None));
    rig.ledger.look((MONDAY + 299) * SECOND);
    assert!(rig.told().is_empty(), "told once, and it goes on");
    rig.ledger.look((MONDAY + 300) * SECOND);
    assert_eq!(rig.told(), ["1 cleared Major it is over: clock_step: it was turned"]);
    // Of a job it is the job's, and over with its readings.
    rig.ledger.take_event(2, &event("clock_step", Some("mx")));
    assert_eq!(rig.told(), ["2 raised Major clock_step of mx: it was turned"]);
    rig.ledger.look((MONDAY + 9_000) * SECOND);
    rig.ledger.take(3, &reading(9, None));
    assert!(rig.told().is_empty(), "a reading that failed says nothing of events");
    rig.ledger.take(4, &reading(10, Some(&[])));
    assert_eq!(rig.told(), ["2 cleared Major it is over: clock_step of mx: it was turned"]);
}
