//! Stories of persons: quiet hours, digests, and who is on duty.

use std::sync::Arc;

use super::*;
use crate::{
    notify::{
        outbox::{State, messages_of},
        person::{Digest, Filter, People, Person},
        roster::{Exception, Roster},
    },
    schedule::{Days, Moment},
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// A house of people, and what they were told.
struct Story {
    outbox: Outbox,
    routes: Routes,
    told: String,
    ids: Vec<String>,
}

fn person(name: &str) -> Person {
    Person {
        name: name.into(),
        addresses: vec![format!("{name}/mail")],
        zone: Zone::default(),
        hours: None,
        undisturbed: None,
        breaks_quiet: vec![Filter { severity: Severity::Critical, matches: None }],
        digest: None,
    }
}

fn quiet(name: &str, quiet: &str) -> Person {
    Person { undisturbed: Windows::parse([], [quiet], Default::default()).unwrap(), ..person(name) }
}

fn collecting(name: &str, at: &[&str]) -> Person {
    let at = at.iter().map(|text| Moment::parse(text).unwrap()).collect();
    Person { digest: Some(Digest { at, breaks: vec![Filter { severity: Severity::Major, matches: None }] }), ..person(name) }
}

/// Ann and Bob take turns of a day from six in the morning; on 1970-01-01 it is Ann's.
fn duty() -> Roster {
    Roster {
        name: "duty".into(),
        members: vec!["ann".into(), "bob".into()],
        turn_days: 1,
        handover: Moment::parse("06:00").unwrap(),
        zone: Zone::default(),
        anchor: 0,
        exceptions: Vec::new(),
    }
}

impl Story {
    fn of(persons: Vec<Person>, rosters: &[Roster], routes: Vec<Route>) -> Self {
        let persons: Vec<Arc<Person>> = persons.into_iter().map(Arc::new).collect();
        let addresses = persons.iter().flat_map(|person| person.addresses.clone());
        let wants = addresses.chain(["ops".into()]).map(|channel| (channel, Step::ALL.into())).collect();
        let routes = Routes { routes, wants, people: People::new(&persons, rosters), ..Routes::default() };
        Self { outbox: Outbox::empty(), routes, told: String::new(), ids: Vec::new() }
    }

    /// Something happens to an alarm, then what is due is told.
    fn step(&mut self, second: i64, alarm: u64, step: Step, severity: Severity) -> &mut Self {
        self.outbox.put(&notice(alarm, step, severity, second), &self.routes);
        self.tell(second)
    }

    /// What is due is told; a digest in one line.
    fn tell(&mut self, second: i64) -> &mut Self {
        let now = second * SECOND;
        self.outbox.hand_on(&self.routes, now).unwrap();
        for channel in self.routes.wants.clone().into_keys() {
            if self.routes.people.owner(&channel).is_some() {
                self.outbox.bring_forward(&channel, now).unwrap();
            }
            let due = self.outbox.due(&channel, now, 100).unwrap();
            let (grouped, single): (Vec<_>, Vec<_>) = due.into_iter().partition(|due| due.group.is_some());
            let mut groups: Vec<_> = grouped.into_iter().filter_map(|due| due.group).collect();
            groups.dedup();
            let together = groups.iter().map(|group| self.outbox.group(&channel, group, 100).unwrap());
            let parcels: Vec<Vec<_>> = together.chain(single.into_iter().map(|due| vec![due])).collect();
            for parcel in parcels {
                let begun = self.outbox.begin(parcel).unwrap();
                let said: Vec<_> = begun.iter().map(|due| format!("{} {}", due.notice.alarm, due.notice.step.name())).collect();
                writeln!(self.told, "{} {channel}: {}", clock(second), said.join(", ")).unwrap();
                self.ids.extend(begun.iter().map(|due| format!("{channel} {}", due.notice.number())));
                let person = self.routes.people.owner(&channel).cloned();
                let fates: Vec<_> = begun.iter().map(|due| (due, Fate::Delivered)).collect();
                self.outbox.mark(&fates, person.as_deref(), now).unwrap();
            }
        }
        self
    }

    /// What became of the messages of an alarm: for whom, state, why.
    fn messages(&mut self, alarm: u64) -> Vec<(String, State, Option<String>)> {
        let transaction = self.outbox.transaction();
        messages_of(&transaction, alarm).unwrap().into_iter().map(|it| (it.channel, it.state, it.why)).collect()
    }
}

fn clock(second: i64) -> String {
    format!("{}:{:02}", second / HOUR, second % HOUR / MINUTE)
}

fn to(channels: &[&str]) -> Route {
    route(channels)
}

fn escalating(first: &[&str], steps: &[(i64, &str)]) -> Route {
    let escalate = steps
        .iter()
        .map(|(minutes, to)| Escalation { after: Duration::from_secs((minutes * MINUTE).unsigned_abs()), channels: vec![(*to).to_owned()] })
        .collect();
    Route { escalate, ..route(first) }
}

use Severity::{Critical, Major, Minor};

#[test]
fn in_quiet_hours_what_lasts_is_told_at_their_end_and_what_breaks_through_at_once() {
    let mut story = Story::of(vec![quiet("ann", "daily 22:00-06:00")], &[], vec![to(&["ann/mail"])]);
    story.step(23 * HOUR, 1, Step::Raised, Minor); // over before six: never told
    story.step(23 * HOUR, 2, Step::Raised, Minor); // lasts: told at six
    story.step(23 * HOUR, 3, Step::Raised, Critical); // breaks through
    story.step(23 * HOUR + MINUTE, 1, Step::Cleared, Minor);
    story.step(24 * HOUR, 4, Step::Raised, Minor);
    story.step(25 * HOUR, 4, Step::Changed, Critical); // has become worse: told then
    story.step(25 * HOUR + MINUTE, 4, Step::Changed, Minor); // how it goes on waits…
    story.tell(26 * HOUR);
    story.step(27 * HOUR, 4, Step::Changed, Critical); // … but not longer than what comes after it
    story.tell(30 * HOUR);
    story.step(31 * HOUR, 2, Step::Cleared, Minor);
    assert_eq!(
        story.told,
        "23:00 ann/mail: 3 raised\n25:00 ann/mail: 4 raised\n27:00 ann/mail: 4 changed\n27:00 ann/mail: 4 changed\n\
         30:00 ann/mail: 2 raised\n31:00 ann/mail: 2 cleared\n"
    );
    assert_eq!(story.messages(1), [("ann/mail".into(), State::NotNeeded, Some("cleared before it was told".into()))]);
}

#[test]
fn what_waits_for_the_morning_is_told_before_the_same_alarm_breaks_through_in_its_next_life() {
    let mut story = Story::of(vec![quiet("ann", "daily 22:00-06:00")], &[], vec![to(&["ann/mail"])]);
    story.step(21 * HOUR, 1, Step::Raised, Minor).step(23 * HOUR, 1, Step::Cleared, Minor);
    let second_life = Notice { alarm: 2, ..notice(1, Step::Raised, Minor, 24 * HOUR) };
    story.outbox.put(&second_life, &story.routes);
    story.tell(24 * HOUR); // it waits too
    story.outbox.put(&Notice { step: Step::Cleared, active: false, time_ns: 25 * HOUR * SECOND, ..second_life.clone() }, &story.routes);
    let third_life = Notice { alarm: 3, ..notice(1, Step::Raised, Critical, 26 * HOUR) };
    story.outbox.put(&third_life, &story.routes);
    story.tell(26 * HOUR).tell(30 * HOUR);
    assert_eq!(story.told, "21:00 ann/mail: 1 raised\n26:00 ann/mail: 1 cleared\n26:00 ann/mail: 3 raised\n");
}

#[test]
fn what_was_left_for_a_digest_is_told_before_the_same_alarm_breaks_through_in_its_next_life() {
    let mut story = Story::of(vec![collecting("ann", &["08:00"])], &[], vec![to(&["ann/mail"])]);
    story.step(HOUR, 1, Step::Raised, Minor).step(2 * HOUR, 1, Step::Cleared, Minor);
    story.step(3 * HOUR, 2, Step::Raised, Minor);
    story.outbox.put(&Notice { alarm: 3, ..notice(1, Step::Raised, Major, 4 * HOUR) }, &story.routes);
    story.tell(4 * HOUR).tell(8 * HOUR);
    let expected = "4:00 ann/mail: 1 raised\n4:00 ann/mail: 1 cleared\n4:00 ann/mail: 3 raised\n8:00 ann/mail: 2 raised\n";
    assert_eq!(story.told, expected);
}

#[test]
fn a_digest_tells_all_that_was_in_one_and_what_breaks_through_at_once() {
    let mut story = Story::of(vec![collecting("ann", &["08:00", "16:00"])], &[], vec![to(&["ann/mail"])]);
    story.step(HOUR, 1, Step::Raised, Minor);
    story.step(2 * HOUR, 2, Step::Raised, Minor);
    story.step(3 * HOUR, 1, Step::Cleared, Minor);
    story.step(4 * HOUR, 3, Step::Raised, Major);
    story.step(5 * HOUR, 2, Step::Changed, Critical); // what was collected of it comes along, in its order
    assert_eq!(story.messages(1)[0], ("ann/mail".into(), State::Waits, Some("in a digest for ann".into())));
    story.tell(8 * HOUR - 1);
    story.tell(8 * HOUR);
    story.step(9 * HOUR, 4, Step::Raised, Minor);
    story.tell(16 * HOUR);
    assert_eq!(
        story.told,
        "4:00 ann/mail: 3 raised\n5:00 ann/mail: 2 raised\n5:00 ann/mail: 2 changed\n8:00 ann/mail: 1 raised, 1 cleared\n\
         16:00 ann/mail: 4 raised\n"
    );
}

#[test]
fn what_a_route_delays_is_in_the_digest_once_it_has_lasted_and_not_before() {
    let slow = Route { delay: Duration::from_secs(600), ..to(&["ann/mail"]) };
    let mut story = Story::of(vec![collecting("ann", &["08:00"])], &[], vec![slow]);
    story.step(HOUR, 1, Step::Raised, Minor).step(HOUR, 2, Step::Raised, Minor);
    story.step(HOUR + 5 * MINUTE, 1, Step::Cleared, Minor).step(HOUR + 15 * MINUTE, 2, Step::Cleared, Minor);
    story.tell(8 * HOUR);
    assert_eq!(story.told, "8:00 ann/mail: 2 raised, 2 cleared\n");
}

#[test]
fn a_digest_that_may_have_been_told_is_told_again_as_it_was() {
    let mut story = Story::of(vec![collecting("ann", &["08:00"])], &[], vec![to(&["ann/mail"])]);
    story.outbox.put(&notice(1, Step::Raised, Minor, HOUR), &story.routes);
    let begin = |outbox: &mut Outbox| {
        let due = outbox.due("ann/mail", 8 * HOUR * SECOND, 100).unwrap();
        let group = due[0].group.clone().unwrap();
        let together = outbox.group("ann/mail", &group, 100).unwrap();
        outbox.begin(together).unwrap().iter().map(|due| due.notice.alarm).collect::<Vec<_>>()
    };
    assert_eq!(begin(&mut story.outbox), [1]);
    // Killed; and a reading from before eight is judged late.
    story.outbox.put(&notice(2, Step::Raised, Minor, 8 * HOUR - 1), &story.routes);
    assert_eq!(begin(&mut story.outbox), [1]);
    story.tell(8 * HOUR).tell(8 * HOUR + 1);
    assert_eq!(story.told, "8:00 ann/mail: 1 raised\n8:00 ann/mail: 2 raised\n");
}

#[test]
fn who_is_on_duty_is_told_whatever_the_hour_and_hears_how_it_goes_on() {
    let people = vec![quiet("ann", "daily 22:00-06:00"), person("bob")];
    let mut story = Story::of(people, &[duty()], vec![to(&["duty"])]);
    story.step(23 * HOUR, 1, Step::Raised, Minor); // Ann, though it is night
    story.step(24 * HOUR, 1, Step::Changed, Major);
    story.step(30 * HOUR + 1, 1, Step::Changed, Minor); // Bob has come on duty
    story.step(31 * HOUR, 1, Step::Cleared, Minor);
    story.step(32 * HOUR, 2, Step::Raised, Minor);
    assert_eq!(
        story.told,
        "23:00 ann/mail: 1 raised\n24:00 ann/mail: 1 changed\n30:00 ann/mail: 1 changed\n30:00 bob/mail: 1 raised\n\
         31:00 ann/mail: 1 cleared\n31:00 bob/mail: 1 cleared\n32:00 bob/mail: 2 raised\n"
    );
}

#[test]
fn who_is_on_duty_is_decided_when_the_step_is_due() {
    let mut duty = duty();
    duty.exceptions = vec![Exception { days: Days::parse("1970-01-03").unwrap(), person: "cy".into() }];
    let people = vec![person("ann"), person("bob"), person("cy"), person("boss")];
    let route = escalating(&["ops"], &[(15, "duty"), (45, "boss/mail")]);
    let mut story = Story::of(people, &[duty], vec![route]);
    // Raised in Ann's time, due in Bob's.
    story.step(29 * HOUR + 50 * MINUTE, 1, Step::Raised, Minor).tell(30 * HOUR).tell(30 * HOUR + 5 * MINUTE).tell(30 * HOUR + 35 * MINUTE);
    // Bob knows it then; the boss is not called for one that somebody has taken.
    story.step(40 * HOUR, 2, Step::Raised, Minor).tell(40 * HOUR + 15 * MINUTE);
    story.step(40 * HOUR + 20 * MINUTE, 2, Step::Acknowledged, Minor).tell(41 * HOUR);
    // Taken before the first step: nobody is called, until nobody has taken it after all.
    story.step(60 * HOUR, 3, Step::Raised, Minor).step(60 * HOUR + MINUTE, 3, Step::Owned, Minor).tell(61 * HOUR);
    story.step(62 * HOUR, 3, Step::Unacknowledged, Minor).tell(62 * HOUR + 15 * MINUTE);
    assert_eq!(
        story.told,
        "29:50 ops: 1 raised\n30:05 bob/mail: 1 raised\n30:35 boss/mail: 1 raised\n\
         40:00 ops: 2 raised\n40:15 bob/mail: 2 raised\n40:20 bob/mail: 2 acknowledged\n40:20 ops: 2 acknowledged\n\
         60:00 ops: 3 raised\n60:01 ops: 3 owned\n62:00 ops: 3 unacknowledged\n62:15 cy/mail: 3 raised\n"
    );
    let of_two: Vec<_> = story.messages(2).into_iter().filter(|(channel, ..)| channel != "ops").collect();
    assert_eq!(of_two[0], ("boss/mail".into(), State::NotNeeded, Some("acknowledged before it was told".into())));
    assert_eq!(of_two[1], ("duty".into(), State::HandedOn, Some("bob is on duty".into())));
    assert_eq!(of_two[2], ("bob/mail".into(), State::Delivered, None));
}

#[test]
fn reminders_go_to_who_is_on_duty_then_and_respect_quiet_hours() {
    let repeat = |channel: &str| Route { repeat: Some(Duration::from_hours(8)), ..to(&[channel]) };
    let people = vec![person("ann"), person("bob"), quiet("cy", "daily 22:00-06:00")];
    let mut story = Story::of(people, &[duty()], vec![repeat("duty"), repeat("cy/mail")]);
    story.step(20 * HOUR, 1, Step::Raised, Minor);
    for hour in 21..45 {
        story.tell(hour * HOUR);
    }
    assert_eq!(
        story.told,
        "20:00 ann/mail: 1 raised\n20:00 cy/mail: 1 raised\n28:00 ann/mail: 1 raised\n30:00 cy/mail: 1 raised\n36:00 bob/mail: 1 raised\n\
         38:00 cy/mail: 1 raised\n44:00 bob/mail: 1 raised\n"
    );
}

#[test]
fn reminders_of_a_roster_go_on_beside_an_escalation_to_it_and_none_is_taken_for_another() {
    let route = Route { repeat: Some(Duration::from_hours(1)), ..escalating(&["duty"], &[(90, "duty")]) };
    let mut story = Story::of(vec![person("ann"), person("bob")], &[duty()], vec![route]);
    story.step(7 * HOUR, 1, Step::Raised, Minor);
    for half in 15..=20 {
        story.tell(half * HOUR / 2);
    }
    story.step(20 * HOUR / 2 + MINUTE, 1, Step::Acknowledged, Minor).tell(12 * HOUR);
    let expected: String = ["7:00", "8:00", "8:30", "9:00", "10:00"].map(|at| format!("{at} ann/mail: 1 raised\n")).concat();
    assert_eq!(story.told, expected + "10:01 ann/mail: 1 acknowledged\n");
    let different: std::collections::BTreeSet<&String> = story.ids.iter().collect();
    assert_eq!(different.len(), story.ids.len(), "{:?}", story.ids);
}

#[test]
fn somebody_who_is_told_on_duty_besides_is_reminded_as_his_own_route_wants() {
    let own = Route { repeat: Some(Duration::from_hours(1)), ..to(&["ann/mail"]) };
    let further = escalating(&["ops"], &[(30, "duty")]);
    let mut story = Story::of(vec![person("ann"), person("bob")], &[duty()], vec![own, further]);
    story.step(7 * HOUR, 1, Step::Raised, Minor);
    for half in 15..=18 {
        story.tell(half * HOUR / 2);
    }
    let expected: String = ["7:00", "7:30", "8:00", "9:00"].map(|at| format!("{at} ann/mail: 1 raised\n")).concat();
    assert_eq!(story.told.replace("7:00 ops: 1 raised\n", ""), expected);
}

#[test]
fn one_who_is_named_and_on_duty_is_told_once_by_each_address() {
    let mut ann = quiet("ann", "daily 00:00-12:00");
    ann.addresses.push("ann/pager".into());
    let mut story = Story::of(vec![ann, person("bob")], &[duty()], vec![to(&["ann/mail", "duty"]), to(&["duty"])]);
    story.step(7 * HOUR, 1, Step::Raised, Minor);
    assert_eq!(story.told, "7:00 ann/mail: 1 raised\n7:00 ann/pager: 1 raised\n");
}

#[test]
fn very_many_that_are_due_to_a_roster_are_handed_on_some_at_a_time_and_all_of_them() {
    const ALARMS: u64 = 1_200;
    let mut story = Story::of(vec![person("ann"), person("bob")], &[duty()], vec![escalating(&["ops"], &[(10, "duty")])]);
    let transaction = story.outbox.transaction();
    for alarm in 1..=ALARMS {
        outbox::put(&transaction, &Notice { seq: alarm, ..notice(alarm, Step::Raised, Severity::Major, 0) }, &story.routes).unwrap();
    }
    transaction.commit().unwrap();
    let now_ns = 20 * MINUTE * SECOND;
    let transaction = story.outbox.transaction();
    let first = outbox::hand_on(&transaction, "duty", &story.routes, now_ns).unwrap();
    transaction.commit().unwrap();
    assert!((1..=500).contains(&first), "{first} in one transaction");
    story.outbox.hand_on(&story.routes, now_ns).unwrap();
    assert_eq!(story.outbox.due("bob/mail", now_ns, 10_000).unwrap().len(), usize::try_from(ALARMS).unwrap());
}
