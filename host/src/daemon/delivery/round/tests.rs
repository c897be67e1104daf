//! Claims about rounds: whatever groups there are, the steps of an alarm are told in their order over all its lives, and none is lost.

use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;
use watchpost_plugin_api::Severity;

use super::*;
use crate::{
    alarm::notice::Step,
    config::{At, Place},
    notify::{
        channel::Kind,
        http::Receiver,
        outbox::{Fate, TABLES, TABLES_OF_KEYS, TABLES_OF_LANES, TABLES_OF_PEOPLE, put},
        route::{Route, Routes},
        text::sample,
        webhook::{Body, Webhook},
    },
    schedule::Zone,
};

const SECOND: i64 = 1_000_000_000;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A step of an alarm.
    Step(u64, Step, Severity),
    /// A round; so many of its messages arrive before one does not.
    Round(usize),
    /// The daemon is killed in the middle of a round: what was told is not written down.
    Killed,
    /// So many seconds pass.
    Passes(i64),
}

fn next() -> impl Strategy<Value = Next> {
    let severity = prop_oneof![Just(Severity::Warning), Just(Severity::Major), Just(Severity::Critical)];
    let step = prop_oneof![
        4 => Just(Step::Raised),
        4 => Just(Step::Changed),
        1 => Just(Step::Annotated),
        1 => Just(Step::Acknowledged),
        1 => Just(Step::Unacknowledged),
        2 => Just(Step::Cleared),
    ];
    prop_oneof![
        6 => (1_u64..6, step, severity).prop_map(|(alarm, step, severity)| Next::Step(alarm, step, severity)),
        4 => (0_usize..8).prop_map(Next::Round),
        1 => Just(Next::Killed),
        3 => (1_i64..40).prop_map(Next::Passes),
    ]
}

fn channel(body: Body) -> Channel {
    let receiver = Receiver { url: "http://127.0.0.1:1/".parse().unwrap(), ca_file: None };
    let kind = Kind::Webhook(Webhook { receiver, headers: Vec::new(), secret: None, body });
    Channel { name: "hook".into(), kind, tell: Step::ALL.into(), heartbeat: None, timeout: Duration::from_secs(1), person: None }
}

/// What is mild waits with others of its site; what is grave goes at once, with others of its agent; what is neither goes at once alone.
fn routes(group_wait: Duration) -> Routes {
    let route = |severity, group_by: Option<&str>, group_wait, repeat| Route {
        matches: None,
        severity,
        active: None,
        zone: Zone::default(),
        channels: vec!["hook".into()],
        delay: Duration::ZERO,
        group_by: Vec::from_iter(group_by.map(|label: &str| At { value: label.to_owned(), place: Place::whole("w") })),
        by_situation: false,
        group_wait,
        repeat,
        escalate: Vec::new(),
    };
    let mild = route(Severity::Indeterminate, Some("site"), group_wait, Some(Duration::from_secs(50)));
    let grave = route(Severity::Critical, Some("agent"), Duration::ZERO, None);
    let middle = route(Severity::Major, None, Duration::ZERO, None);
    Routes { routes: vec![mild, grave, middle], wants: [("hook".to_owned(), Step::ALL.into())].into(), ..Routes::default() }
}

/// A life of an alarm in words of a story: its last step, and what of it was told.
#[derive(Default)]
struct Life {
    last: Option<Step>,
    told: Vec<u64>,
}

struct Story {
    channel: Channel,
    outbox: Outbox,
    routes: Routes,
    lives: BTreeMap<u64, Life>,
    /// The last life of each alarm.
    last: BTreeMap<u64, u64>,
    /// What was told of each alarm, by its key.
    told: BTreeMap<String, Vec<u64>>,
    now_ns: i64,
    seq: u64,
}

impl Story {
    fn new(group_wait: Duration, body: Body) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("{TABLES}{TABLES_OF_PEOPLE}{TABLES_OF_LANES}{TABLES_OF_KEYS}")).unwrap();
        Self {
            channel: channel(body),
            outbox: Outbox::of(connection),
            routes: routes(group_wait),
            lives: BTreeMap::new(),
            last: BTreeMap::new(),
            told: BTreeMap::new(),
            now_ns: SECOND,
            seq: 0,
        }
    }

    /// Makes a step, where the alarm's life allows one; one that is over is raised anew, as another life.
    fn step(&mut self, alarm: u64, step: Step, severity: Severity) {
        let mut number = self.last.get(&alarm).copied().unwrap_or_default();
        if number == 0 || step == Step::Raised && self.lives.get(&number).is_some_and(|life| life.last == Some(Step::Cleared)) {
            number = self.lives.keys().last().copied().unwrap_or_default() + 1;
        }
        let last = self.lives.get(&number).and_then(|life| life.last);
        let fits = match (last, step) {
            (None, Step::Raised) => true,
            (None, _) | (Some(Step::Cleared), _) | (_, Step::Raised) => false,
            (Some(last), Step::Unacknowledged) => last == Step::Acknowledged,
            _ => true,
        };
        if !fits {
            return;
        }
        self.last.insert(alarm, number);
        self.lives.entry(number).or_default().last = Some(step);
        self.seq += 1;
        let labels = vec![("site".to_owned(), format!("{}", alarm % 2))];
        let active = step != Step::Cleared;
        let agent = format!("{}", alarm % 3);
        let (seq, time_ns, key) = (self.seq, self.now_ns, format!("job/rule/{alarm}"));
        let notice = Notice { seq, alarm: number, key, severity, active, time_ns, raised_ns: time_ns, labels, agent, ..sample(step) };
        let transaction = self.outbox.transaction();
        put(&transaction, &notice, &self.routes).unwrap();
        transaction.commit().unwrap();
    }

    /// Tells a round, of which so many messages arrive; later ones of a chain are not tried then. Of chains that are told side by side the last
    /// may arrive first.
    fn round(&mut self, mut arrive: usize, is_written: bool) {
        let round = Round::take(&mut self.outbox, &self.channel, self.now_ns, ROWS_MAX).unwrap();
        for chain in round.0.into_iter().rev() {
            for parcel in chain {
                assert!(parcel.len() == 1 || self.channel.kind.tells_groups());
                let arrives = arrive > 0;
                arrive = arrive.saturating_sub(1);
                if arrives {
                    for due in &parcel {
                        self.lives.entry(due.notice.alarm).or_default().told.push(due.notice.seq);
                        self.told.entry(due.notice.key.clone()).or_default().push(due.notice.seq);
                    }
                }
                let fate = |due: &Due| match arrives {
                    true => Fate::Delivered,
                    // Each of them waits for another while, as `again` has it.
                    false => Fate::Again { at_ns: self.now_ns + (1 + due.id % 5) * SECOND, why: "refused".into() },
                };
                let fates: Vec<_> = parcel.iter().map(|due| (due, fate(due))).collect();
                if is_written {
                    self.outbox.mark(&fates, None, self.now_ns).unwrap();
                }
                if !arrives {
                    break;
                }
            }
        }
    }

    fn take(&mut self, next: Next) {
        match next {
            Next::Step(alarm, step, severity) => self.step(alarm, step, severity),
            Next::Round(arrive) => self.round(arrive, true),
            Next::Killed => self.round(3, false),
            Next::Passes(seconds) => self.now_ns += seconds * SECOND,
        }
    }

    /// What was told out of its order: a step after a later one, unless it was told before that.
    fn disorder(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (alarm, all) in &self.told {
            for (at, seq) in all.iter().enumerate() {
                let before = all.get(..at).unwrap_or_default();
                if !before.contains(seq) && before.iter().any(|told| told > seq) {
                    wrong.push(format!("alarm {alarm}: {all:?}"));
                    break;
                }
            }
        }
        wrong
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn steps_of_an_alarm_are_told_in_order_whatever_groups_they_wait_in(
        wait in prop_oneof![Just(0_u64), Just(10), Just(60)],
        body in prop_oneof![Just(Body::Own), Just(Body::Alertmanager)],
        story in proptest::collection::vec(next(), 1..60),
    ) {
        let mut told = Story::new(Duration::from_secs(wait), body);
        for next in story {
            told.take(next);
            prop_assert_eq!(told.disorder(), [""; 0]);
        }
        // In the end all arrives, and of what was told to be there the end too.
        for _ in 0..40 {
            told.now_ns += 10 * SECOND;
            told.round(usize::MAX, true);
        }
        prop_assert_eq!(told.disorder(), [""; 0]);
        let unended = told.lives.iter().filter(|(_, life)| life.last == Some(Step::Cleared) && life.told.len() == 1);
        prop_assert_eq!(unended.map(|(alarm, _)| *alarm).collect::<Vec<_>>(), [0_u64; 0]);
    }
}
