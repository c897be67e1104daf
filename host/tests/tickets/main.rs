//! A daemon that is killed while it talks to a system of tickets that fails in every way: each problem has one ticket with every step in it,
//! and none is left open; what began together shares one.
//!
//! Reading order: this file (the story) · `desk` (the system, behind a real socket) · `judged` (what has to be so at the end) · `chance`.
//!
//! The same is proved of thousands of lives where time is virtual, beside the code; here the process, its sockets and its files are real.
//! `WATCHPOST_PROVE_TICKETS` lives there are fifty times as many as here.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

#[expect(dead_code, reason = "some of it is for the store alone")]
#[path = "../store/chance.rs"]
mod chance;
mod desk;
#[path = "../harness/mod.rs"]
mod harness;
mod judged;

use std::{
    collections::BTreeSet,
    thread::sleep,
    time::{Duration, Instant},
};

use chance::Chance;
use desk::Desk;
use harness::{Daemon, House, http, until};
use serde_json::Value;

/// Lives of the daily run.
const LIVES: u64 = 24;
/// Between two messages, milliseconds, at most.
const PACE_MS: u64 = 250;
/// Messages between two kills, on average.
const KILL_EVERY: u64 = 9;
/// How long it may take until all is told: a few requests that nobody answers, each waited for, and many of them one after the other.
const TOLD_WITHIN: Duration = Duration::from_secs(300);

/// What is sent of one alarm: its severities one after the other.
struct Life {
    object: String,
    node: Option<String>,
    severities: Vec<&'static str>,
}

#[test]
fn a_daemon_that_is_killed_while_it_talks_leaves_one_ticket_for_each_problem_and_none_open() {
    let lives = std::env::var("WATCHPOST_PROVE_TICKETS").map_or(LIVES, |count| count.parse::<u64>().unwrap() / 50);
    let mut chance = Chance::seeded();
    let desk = Desk::start(chance.next());
    let mut story = Story { house: house(&desk), daemon: None, chance, kills: 0, alarms: BTreeSet::new() };
    let begun = Instant::now();
    story.restart();
    story.send(lives);
    story.told();
    let judged = judged::judge(&story.whole(), &desk.tickets());
    let figures = desk.figures();
    println!(
        "{} lives, {} tickets, {} of them of several alarms, {} kills, {} requests of which {} failed, {} creates doubled, {} s",
        story.alarms.len(),
        judged.tickets,
        judged.of_several,
        story.kills,
        figures.requests,
        figures.faults,
        figures.doubled,
        begun.elapsed().as_secs()
    );
    assert_eq!(judged.wrong, [""; 0]);
    assert!(story.kills > 0 && figures.faults > 0 && judged.of_several > 0);
}

fn house(desk: &Desk) -> House {
    let house = House::new("");
    let rest = include_str!("../../src/ticket/systems/rest.toml");
    let template = rest.replace("search_lag = \"0s\"", "search_lag = \"2s\"");
    assert_ne!(template, rest);
    house.keep("desk.toml", template.as_bytes());
    house.add_to_main(&format!(
        "[[channel]]\nname = \"desk\"\ntype = \"ticket\"\nurl = \"http://127.0.0.1:{}\"\ntemplate = \"desk.toml\"\ndelay = \"0s\"\n\
         poll = \"2s\"\nreopen_within = \"1h\"\ntimeout = \"1s\"\n\
         [[route]]\nchannels = [\"desk\"]\nmatch = '{{node!=\"\"}}'\nticket_for = \"situation\"\n\
         [[route]]\nchannels = [\"desk\"]\nmatch = '{{rule=\"opcmsg\"}}'\n",
        desk.port
    ));
    house
}

struct Story {
    house: House,
    daemon: Option<Daemon>,
    chance: Chance,
    kills: u64,
    alarms: BTreeSet<u64>,
}

impl Story {
    fn restart(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
            self.kills += 1;
        }
        let mut daemon = self.house.spawn();
        daemon.wait_ready();
        self.daemon = Some(daemon);
    }

    /// Has alarms begin, change, end and come again, some together, and kills the daemon now and then.
    fn send(&mut self, lives: u64) {
        let mut going: Vec<Life> = Vec::new();
        let mut begun = 0;
        while begun < lives || !going.is_empty() {
            if begun < lives && (going.len() < 4 || self.chance.below(3) == 0) {
                begun += self.begin(begun, &mut going);
            }
            let at = self.chance.below(going.len() as u64) as usize;
            let severity = going[at].severities.remove(0);
            self.message(&going[at], severity);
            if going[at].severities.is_empty() {
                going.remove(at);
            }
            sleep(Duration::from_millis(self.chance.below(PACE_MS)));
            if self.chance.below(KILL_EVERY) == 0 {
                self.restart();
            }
        }
        if self.kills == 0 {
            self.restart();
        }
    }

    /// One alarm alone, that may come again, or several of one node: the situation of that. Gives how many.
    fn begin(&mut self, number: u64, going: &mut Vec<Life>) -> u64 {
        let several = if number.is_multiple_of(4) { 2 + self.chance.below(3) } else { 1 };
        let node = (several > 1).then(|| format!("node-{number}"));
        for at in 0..several {
            let mut severities = vec!["major"];
            severities.extend((0..self.chance.below(3)).map(|turn| ["critical", "minor"][turn as usize]));
            severities.push("normal");
            if self.chance.below(4) == 0 {
                severities.extend(["warning", "normal"]);
            }
            going.push(Life { object: format!("object-{number}-{at}"), node: node.clone(), severities });
        }
        several
    }

    /// Sends it until a daemon has taken it: the same once more changes nothing.
    fn message(&mut self, life: &Life, severity: &str) {
        let node = life.node.as_ref().map(|node| format!("&node={node}")).unwrap_or_default();
        let path = format!("/api/v1/messages?application=backup&object={}&severity={severity}&msg_text=it+is+so{node}", life.object);
        let answer = http::ask(&self.house.socket(), "POST", &path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        self.alarms.extend(answer["alarm"].as_u64());
    }

    /// Waits until nothing is to be told any more.
    fn told(&self) {
        let waiting = || {
            let waits =
                |alarm: &Value| alarm["messages"].as_array().is_none_or(|all| all.iter().any(|message| message["state"] == "waits"));
            self.whole().iter().filter(|alarm| waits(alarm)).count()
        };
        let told = until(TOLD_WITHIN, || {
            sleep(Duration::from_millis(200));
            (waiting() == 0).then_some(())
        });
        let log = self.daemon.as_ref().map(Daemon::log_text).unwrap_or_default();
        assert!(told.is_some(), "{} alarms wait to be told\n{log}", waiting());
    }

    /// All that the daemon knows of each alarm.
    fn whole(&self) -> Vec<Value> {
        let ask = |number: &u64| {
            let answer = http::ask(&self.house.socket(), "GET", &format!("/api/v1/alarms/{number}")).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            serde_json::from_str(&answer.body).unwrap()
        };
        self.alarms.iter().map(ask).collect()
    }
}
