//! What a channel hears first of an alarm.

use super::*;
use crate::notify::{
    person::{People, Person},
    roster::Roster,
};

/// Told that alarms are raised and that they are cleared, and of nothing else.
fn terse() -> std::collections::BTreeSet<Step> {
    [Step::Raised, Step::Cleared].into()
}

fn steps_told(outbox: &mut Outbox, channel: &str, second: i64) -> Vec<(Step, Option<String>)> {
    let due = outbox.due(channel, second * SECOND, 100).unwrap();
    let due = outbox.begin(due).unwrap();
    let fates: Vec<_> = due.iter().map(|due| (due, Fate::Delivered)).collect();
    outbox.mark(&fates, None, second * SECOND).unwrap();
    due.iter().map(|due| (due.notice.step, due.notice.by.clone())).collect()
}

#[test]
fn to_a_channel_that_hears_of_it_first_it_is_raised_whatever_happened() {
    let slow = Route { delay: Duration::from_secs(60), ..route(&["slow"]) };
    let wants = [("terse", terse()), ("slow", terse()), ("all", Step::ALL.into())].map(|(name, steps)| (name.to_owned(), steps));
    let routes = Routes { routes: vec![route(&["terse", "all"]), slow], wants: wants.into(), ..Routes::default() };
    let mut outbox = Outbox::empty();
    let silenced = Some("shelved by ann".to_owned());
    outbox.put(&Notice { silenced, ..notice(1, Step::Raised, Severity::Major, 1) }, &routes);
    outbox.put(&Notice { by: Some("ann".into()), ..notice(1, Step::Unshelved, Severity::Major, 2) }, &routes);
    outbox.put(&notice(1, Step::Changed, Severity::Critical, 3), &routes);
    assert_eq!(steps_told(&mut outbox, "terse", 3), [(Step::Raised, None)]);
    assert_eq!(steps_told(&mut outbox, "all", 3), [(Step::Raised, None), (Step::Changed, None)]);
    assert_eq!(steps_told(&mut outbox, "slow", 90), [(Step::Raised, None)]);
    outbox.put(&notice(1, Step::Cleared, Severity::Critical, 91), &routes);
    assert_eq!(steps_told(&mut outbox, "terse", 91), [(Step::Cleared, None)]);
}

#[test]
fn to_who_is_on_duty_and_hears_of_it_first_it_is_raised_too() {
    for wants in [terse(), Step::ALL.into()] {
        on_duty_it_is_raised(wants);
    }
}

fn on_duty_it_is_raised(wants: std::collections::BTreeSet<Step>) {
    let ann = Person {
        name: "ann".into(),
        addresses: vec!["ann/mail".into()],
        zone: Zone::default(),
        hours: None,
        undisturbed: None,
        breaks_quiet: Vec::new(),
        digest: None,
    };
    let duty = Roster {
        name: "duty".into(),
        members: vec!["ann".into()],
        turn_days: 1,
        handover: crate::schedule::Moment::parse("06:00").unwrap(),
        zone: Zone::default(),
        anchor: 0,
        exceptions: Vec::new(),
    };
    let escalate = vec![Escalation { after: Duration::from_secs(10), channels: vec!["duty".into()] }];
    let routes = Routes {
        routes: vec![Route { escalate, ..route(&["all"]) }],
        wants: [("ann/mail".to_owned(), wants), ("all".to_owned(), Step::ALL.into())].into(),
        people: People::new(&[ann.into()], &[duty]),
        ..Routes::default()
    };
    let mut outbox = Outbox::empty();
    outbox.put(&notice(1, Step::Raised, Severity::Major, 1), &routes);
    outbox.put(&notice(1, Step::Changed, Severity::Critical, 2), &routes);
    assert!(outbox.hand_on(&routes, 20 * SECOND).unwrap());
    assert_eq!(steps_told(&mut outbox, "ann/mail", 20), [(Step::Raised, None)]);
}
