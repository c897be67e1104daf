//! Stories of alarms and of who is told of them.

mod escalation;
mod first;
mod mail;
mod people;
mod server;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use rusqlite::Connection;
use watchpost_plugin_api::Severity;

use super::{
    outbox::{self, Fate, Outbox, TABLES, TABLES_OF_KEYS, TABLES_OF_LANES, TABLES_OF_PEOPLE},
    route::{Escalation, Route, Routes},
};
use crate::{
    alarm::{
        notice::{Notice, Step},
        x733::{EventType, ProbableCause},
    },
    config::{At, Place},
    schedule::{Windows, Zone},
    series::selector::Selector,
};

const SECOND: i64 = 1_000_000_000;

/// An alarm of paris' mail after a step.
pub(super) fn notice(alarm: u64, step: Step, severity: Severity, second: i64) -> Notice {
    Notice {
        seq: u64::try_from(second).unwrap() * 10 + alarm,
        again: 0,
        step,
        time_ns: second * SECOND,
        by: None,
        comment: None,
        alarm,
        key: format!("pop-paris/connect_time/{alarm}"),
        severity,
        active: !step.ends(),
        silenced: None,
        raised_ns: 0,
        count: 1,
        event_type: EventType::QualityOfService,
        cause: ProbableCause::ResponseTime,
        rule: "connect_time".into(),
        agent: "pop3".into(),
        job: "pop-paris".into(),
        target: "mx1:110".into(),
        series: "connect_time".into(),
        labels: vec![("site".into(), "paris".into())],
        value: Some("2.31 s".into()),
        bound: Some("> 2s".into()),
        text: "connect_time of pop-paris is 2.31 s (> 2s)".into(),
        instruction: None,
        link: None,
        owner: None,
        acknowledged: false,
        shelved: false,
        situation: None,
    }
}

fn route(channels: &[&str]) -> Route {
    Route {
        matches: None,
        severity: Severity::Indeterminate,
        active: None,
        zone: Zone::default(),
        channels: channels.iter().map(|channel| (*channel).into()).collect(),
        delay: Duration::ZERO,
        group_by: Vec::new(),
        group_wait: Duration::ZERO,
        repeat: None,
        escalate: Vec::new(),
        by_situation: false,
    }
}

/// What happens in a story.
enum Happens {
    /// A step of an alarm.
    Step(u64, Step, Severity),
    /// The same while something silences it.
    Silenced(u64, Step, Severity),
    /// A step of an alarm as it is after it.
    After(Box<Notice>),
    /// Channels get what is due.
    Told,
    /// Channels get nothing: they are down.
    Failed,
}

use Happens::{After, Failed, Silenced, Told};

fn step(alarm: u64, step: Step, severity: Severity) -> Happens {
    Happens::Step(alarm, step, severity)
}

/// Plays a story, second by second; gives what each channel was told, and when.
fn told(routes: Vec<Route>, story: &[(i64, Happens)]) -> String {
    let wants = routes.iter().flat_map(|route| route.channels.iter().chain(route.escalate.iter().flat_map(|further| &further.channels)));
    let wants: BTreeMap<_, _> = wants.map(|channel| (channel.clone(), Step::ALL.into_iter().collect())).collect();
    let routes = Routes { routes, wants, ..Routes::default() };
    let mut outbox = Outbox::empty();
    let mut said = String::new();
    for (second, happens) in story {
        match happens {
            Happens::Step(alarm, step, severity) => outbox.put(&notice(*alarm, *step, *severity, *second), &routes),
            Silenced(alarm, step, severity) => {
                outbox.put(&Notice { silenced: Some("maintenance".into()), ..notice(*alarm, *step, *severity, *second) }, &routes);
            }
            After(notice) => outbox.put(&Notice { time_ns: second * SECOND, ..(**notice).clone() }, &routes),
            Told | Failed => {
                for channel in routes.wants.keys() {
                    let due = outbox.due(channel, second * SECOND, 100).unwrap();
                    let due = outbox.begin(due).unwrap();
                    let fate = |_: &_| match happens {
                        Told => Fate::Delivered,
                        _ => Fate::Again { at_ns: (second + 1) * SECOND, why: "connection refused".into() },
                    };
                    if matches!(happens, Told) {
                        for it in &due {
                            writeln!(said, "{second} {channel}: {} {}", it.notice.alarm, it.notice.step.name()).unwrap();
                        }
                    }
                    let fates: Vec<_> = due.iter().map(|it| (it, fate(it))).collect();
                    outbox.mark(&fates, None, second * SECOND).unwrap();
                }
            }
        }
    }
    said
}

impl Outbox {
    fn empty() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("{TABLES}{TABLES_OF_PEOPLE}{TABLES_OF_LANES}{TABLES_OF_KEYS}")).unwrap();
        Self::of(connection)
    }

    fn put(&mut self, notice: &Notice, routes: &Routes) {
        let transaction = self.transaction();
        outbox::put(&transaction, notice, routes).unwrap();
        transaction.commit().unwrap();
    }
}

#[test]
fn who_is_told_is_told_how_it_goes_on_and_of_the_end() {
    use Severity::{Critical, Major, Warning};
    let major = Route { severity: Major, ..route(&["boss"]) };
    let story = [
        (1, step(1, Step::Raised, Warning)),
        (1, Told),
        (2, step(1, Step::Changed, Critical)),
        (2, Told),
        (3, step(1, Step::Changed, Warning)),
        (4, step(2, Step::Raised, Warning)),
        (5, step(1, Step::Cleared, Warning)),
        (5, step(2, Step::Cleared, Warning)),
        (6, Told),
    ];
    assert_eq!(
        told(vec![route(&["ops"]), major], &story),
        "1 ops: 1 raised\n2 boss: 1 raised\n2 ops: 1 changed\n6 boss: 1 changed\n6 boss: 1 cleared\n\
         6 ops: 1 changed\n6 ops: 2 raised\n6 ops: 1 cleared\n6 ops: 2 cleared\n"
    );
}

#[test]
fn what_is_over_before_it_was_told_is_not_told() {
    let slow = Route { delay: Duration::from_secs(60), ..route(&["ops"]) };
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (2, step(2, Step::Raised, Severity::Major)),
        (30, step(2, Step::Changed, Severity::Critical)),
        (40, step(1, Step::Cleared, Severity::Major)),
        (41, Told),
        (70, Told),
        (80, step(2, Step::Cleared, Severity::Critical)),
        (80, Told),
    ];
    assert_eq!(told(vec![slow], &story), "70 ops: 2 raised\n80 ops: 2 cleared\n");
}

#[test]
fn whom_nobody_relieves_gets_company_and_is_reminded() {
    let escalate = vec![Escalation { after: Duration::from_secs(10), channels: vec!["boss".into()] }];
    let pressing = Route { escalate, repeat: Some(Duration::from_secs(30)), ..route(&["ops"]) };
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (1, step(2, Step::Raised, Severity::Major)),
        (1, Told),
        (5, step(2, Step::Acknowledged, Severity::Major)),
        (11, Told),
        (31, Told),
        (61, Told),
        (70, step(2, Step::Unacknowledged, Severity::Major)),
        (70, step(1, Step::Cleared, Severity::Major)),
        (81, Told),
        (99, Told),
    ];
    assert_eq!(
        told(vec![pressing], &story),
        "1 ops: 1 raised\n1 ops: 2 raised\n11 boss: 1 raised\n11 ops: 2 acknowledged\n31 ops: 1 raised\n61 ops: 1 raised\n\
         81 boss: 2 raised\n81 boss: 1 cleared\n81 ops: 2 unacknowledged\n81 ops: 1 cleared\n"
    );
}

#[test]
fn a_reminder_tells_what_is_so_and_once() {
    let pressing = Route { repeat: Some(Duration::from_secs(30)), ..route(&["ops"]) };
    let story = [
        (1, step(1, Step::Raised, Severity::Minor)),
        (1, Told),
        (20, step(1, Step::Changed, Severity::Major)),
        (20, Told),
        (31, Told),
        (50, Told),
        (80, Told),
        (81, step(1, Step::Cleared, Severity::Major)),
        (99, Told),
        (200, Told),
    ];
    let expected = "1 ops: 1 raised\n20 ops: 1 changed\n50 ops: 1 changed\n80 ops: 1 changed\n99 ops: 1 cleared\n";
    assert_eq!(told(vec![pressing], &story), expected);
}

#[test]
fn what_is_written_beside_an_alarm_ends_no_reminder_and_a_route_that_is_no_longer_about_it_does() {
    let pressing = Route { repeat: Some(Duration::from_secs(30)), severity: Severity::Major, ..route(&["ops"]) };
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (1, Told),
        (20, step(1, Step::Annotated, Severity::Major)),
        (20, Told),
        (31, Told),
        (61, Told),
        (70, step(1, Step::Changed, Severity::Minor)),
        (70, Told),
        (99, Told),
        (200, Told),
    ];
    let expected = "1 ops: 1 raised\n20 ops: 1 annotated\n31 ops: 1 raised\n61 ops: 1 raised\n70 ops: 1 changed\n";
    assert_eq!(told(vec![pressing], &story), expected);
}

#[test]
fn a_reminder_bears_an_id_of_its_own_the_same_at_each_attempt() {
    let pressing = Route { repeat: Some(Duration::from_secs(30)), ..route(&["ops"]) };
    let mut outbox = Outbox::empty();
    let routes = Routes { routes: vec![pressing], wants: [("ops".to_owned(), Step::ALL.into())].into(), ..Routes::default() };
    outbox.put(&notice(1, Step::Raised, Severity::Major, 1), &routes);
    let mut attempt = |second: i64, fate: Fate| {
        let due = outbox.due("ops", second * SECOND, 100).unwrap();
        let due = outbox.begin(due).unwrap();
        let ids: Vec<String> = due.iter().map(|due| due.notice.id("here")).collect();
        outbox.mark(&due.iter().map(|due| (due, fate.clone())).collect::<Vec<_>>(), None, second * SECOND).unwrap();
        ids.join(" ")
    };
    let again = |second: i64| Fate::Again { at_ns: second * SECOND, why: "connection refused".into() };
    let ids = [
        attempt(1, again(2)),
        attempt(2, Fate::Delivered),
        attempt(32, again(33)),
        attempt(33, Fate::Delivered),
        attempt(63, Fate::Delivered),
    ];
    assert_eq!(ids, ["here-1-11", "here-1-11", "here-1-11-1", "here-1-11-1", "here-1-11-2"]);
}

#[test]
fn what_is_silenced_is_told_when_nothing_silences_it_and_its_end_to_who_knew() {
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (1, Told),
        (2, Silenced(1, Step::Silenced, Severity::Major)),
        (3, Silenced(1, Step::Changed, Severity::Critical)),
        (3, Silenced(2, Step::Raised, Severity::Major)),
        (3, Silenced(3, Step::Raised, Severity::Major)),
        (4, Told),
        (5, Silenced(1, Step::Cleared, Severity::Critical)),
        (5, Silenced(3, Step::Cleared, Severity::Major)),
        (6, Told),
        (7, step(2, Step::Unsilenced, Severity::Major)),
        (7, Told),
    ];
    assert_eq!(told(vec![route(&["ops"])], &story), "1 ops: 1 raised\n4 ops: 1 silenced\n6 ops: 1 cleared\n7 ops: 2 raised\n");
}

#[test]
fn a_channel_that_was_down_gets_everything_in_order() {
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (1, Failed),
        (1, step(1, Step::Changed, Severity::Critical)),
        (1, Told),
        (1, step(1, Step::Cleared, Severity::Critical)),
        (2, Told),
    ];
    assert_eq!(told(vec![route(&["ops"])], &story), "2 ops: 1 raised\n2 ops: 1 changed\n2 ops: 1 cleared\n");
}

#[test]
fn the_end_of_a_life_is_told_before_the_next_one_is_raised_also_when_it_waits_to_be_tried_again() {
    let next = |number: u64, second: i64| {
        let first = notice(1, Step::Raised, Severity::Major, second);
        After(Box::new(Notice { alarm: number, ..first }))
    };
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (1, Told),
        (2, step(1, Step::Cleared, Severity::Major)),
        (2, Failed),
        (2, next(5, 2)),
        (2, step(2, Step::Raised, Severity::Major)),
        (2, Told),
        (3, Told),
    ];
    assert_eq!(told(vec![route(&["ops"])], &story), "1 ops: 1 raised\n2 ops: 2 raised\n3 ops: 1 cleared\n3 ops: 5 raised\n");
}

#[test]
fn who_is_not_there_hears_in_the_morning_what_is_still_so() {
    // 1970-01-01 was a Thursday.
    let hours = Windows::parse(["THU 00:10-23:00"], [], Default::default()).unwrap().unwrap();
    let office = Route { active: Some(hours), ..route(&["ops"]) };
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (2, step(2, Step::Raised, Severity::Major)),
        (300, step(2, Step::Cleared, Severity::Major)),
        (599, Told),
        (600, Told),
    ];
    assert_eq!(told(vec![office], &story), "600 ops: 1 raised\n");
}

#[test]
fn a_route_is_about_what_its_labels_say() {
    let about = |text: &str| {
        Route { matches: Some(At { value: Selector::parse(text).unwrap(), place: Place::whole("w") }), ..route(&["ops"]) }
            .is_about(&notice(1, Step::Raised, Severity::Major, 1))
    };
    for (selector, expected) in [
        ("connect_time", true),
        ("up", false),
        ("{site=\"paris\"}", true),
        ("{site=\"rome\"}", false),
        ("{job=~\"pop-.*\",severity=\"major\"}", true),
        ("{agent=\"pop3\",target=\"mx1:110\",rule=\"connect_time\"}", true),
        ("{rule=\"other\"}", false),
    ] {
        assert_eq!(about(selector), expected, "{selector}");
    }
}
