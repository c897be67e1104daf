//! Claims about dependencies: a dead link silences what is behind it, and nothing is silent for ever.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;
use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::{Outcome, Status};

use super::*;
use crate::{
    alarm::{
        ledger::Ledger,
        notice::{Notice, Step},
        store::NoOutbox,
        watch::Watch,
    },
    config,
    reading::Cause,
    schedule::UnixTime,
};

const SECOND: i64 = 1_000_000_000;
/// Monday, 2026-03-30, 00:00 UTC.
const BEGIN: i64 = 1_774_828_800;

/// A gateway that needs two looks, mail behind it that needs one or more.
fn jobs(raise_after: u32) -> String {
    let down = "[[job.threshold]]\nname = \"down\"\nmetric = \"up\"\ncritical = \"< 1\"\n";
    format!(
        "[[job]]\nname = \"gw\"\nagent = \"exec\"\nevery = \"60s\"\n{down}raise_after = 2\n\
         [[job]]\nname = \"mx\"\nagent = \"smtp\"\nevery = \"60s\"\ndepends_on = \"gw\"\n{down}raise_after = {raise_after}\n"
    )
}

fn shape(job: &str) -> Shape {
    let (agent, target, labels, metrics) = ("smtp".into(), job.into(), Vec::new(), Vec::new());
    Shape { job: job.into(), agent, target, labels, step_s: 60, metrics }
}

struct Rig {
    folder: TempDir,
    text: String,
    ledger: Ledger,
    position: u64,
    steps: Vec<Notice>,
}

impl Rig {
    fn new(raise_after: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), Box::new(NoOutbox), 0).unwrap();
        let mut rig = Self { folder, text: jobs(raise_after), ledger, position: 0, steps: Vec::new() };
        rig.configure();
        rig
    }

    fn configure(&mut self) {
        let house = tempfile::tempdir().unwrap();
        for folder in ["plugins", "schedules"] {
            fs::create_dir(house.path().join(folder)).unwrap();
        }
        fs::write(house.path().join("watchpost.toml"), "").unwrap();
        fs::write(house.path().join("schedules/a.toml"), &self.text).unwrap();
        let (draft, faults) = config::read(&house.path().join("watchpost.toml"), UnixTime::from_secs(BEGIN));
        assert!(!faults.stop(), "{faults}");
        let of = |job: &config::Job| Dependent {
            shape: shape(job.name.as_str()),
            on: job.depends_on.iter().map(|on| on.value.clone()).collect(),
        };
        let dependents: Vec<Dependent> = draft.jobs.iter().map(of).collect();
        self.ledger.depend(Depends::new(&dependents, &draft.rules));
        self.ledger.set(Watch::new(&draft.rules, dependents.iter().map(|dependent| dependent.shape.clone())), BEGIN * SECOND);
    }

    /// Ends, and begins anew with what is durable.
    fn killed(&mut self) {
        self.ledger.commit().unwrap();
        self.ledger = Ledger::open(self.folder.path(), Box::new(NoOutbox), 0).unwrap();
        self.configure();
    }

    fn run(&mut self, job: &str, at_s: i64, up: Option<bool>) -> Vec<Notice> {
        let status = match up {
            Some(true) => Status::Ok,
            Some(false) => Status::Failed { kind: ErrorKind::CONNECT, message: "refused".into() },
            None => Status::Failed { kind: ErrorKind::SKIPPED, message: "not run".into() },
        };
        let at_ns = (BEGIN + at_s) * SECOND;
        let outcome = Outcome { status, ..Outcome::failed(ErrorKind::LOCAL, "", at_ns) };
        let cause = Cause::Schedule;
        let reading = Reading { job: job.into(), cause, slot: BEGIN + at_s, due_ns: at_ns, stale_ns: i64::MAX, outcome };
        self.ledger.take(self.position, &reading);
        self.position += 1;
        self.told()
    }

    fn look(&mut self, at_s: i64) -> Vec<Notice> {
        self.ledger.look((BEGIN + at_s) * SECOND);
        self.told()
    }

    fn told(&mut self) -> Vec<Notice> {
        if !self.ledger.has_steps() {
            return Vec::new();
        }
        let made = self.ledger.commit().unwrap();
        self.steps.extend(made.iter().cloned());
        made
    }

    /// The steps of mail: what happened, and `!` where somebody is told.
    fn of_mail(&self) -> Vec<String> {
        let of_mail = self.steps.iter().filter(|notice| notice.job == "mx");
        of_mail.map(|notice| format!("{}{}", notice.step.name(), if notice.silenced.is_none() { "!" } else { "" })).collect()
    }
}

/// Minutes of gateway and mail, the gateway ten seconds before the mail: `u`p, `d`own, `?` unknown; a look of the clock after each.
fn check(raise_after: u32, gateway: &str, mail: &str, expected: &[&str]) {
    let mut rig = Rig::new(raise_after);
    let up = |c: char| match c {
        'u' => Some(true),
        'd' => Some(false),
        _ => None,
    };
    for ((gateway, mail), minute) in gateway.chars().zip(mail.chars()).zip(0..) {
        rig.run("gw", minute * 60 + 20, up(gateway));
        rig.look(minute * 60 + 21);
        rig.run("mx", minute * 60 + 30, up(mail));
        rig.look(minute * 60 + 31);
    }
    assert_eq!(rig.of_mail(), expected, "{gateway} {mail}");
}

#[test]
fn a_dead_link_silences_what_is_behind_it_and_its_own_recovery_is_no_reason_to_tell() {
    check(1, "udddddu", "udddduu", &["raised", "cleared!"]);
    // What was known before the link died is silenced, and its recovery is told.
    check(1, "uuuudddduuu", "udddddduuuu", &["raised", "unsilenced!", "silenced", "cleared!"]);
}

#[test]
fn what_is_still_wrong_when_the_link_is_back_is_told_once_it_is_seen_anew() {
    check(1, "udddduuu", "udddduud", &["raised", "cleared!", "closed!", "raised"]);
    check(1, "udddduuu", "udddddddd", &["raised", "unsilenced!"]);
    check(3, "udddduuuuuu", "udddddddddd", &["raised", "unsilenced!"]);
    check(3, "udddduu", "uddddddd", &["raised"]);
}

#[test]
fn what_fails_by_itself_waits_for_a_sign_of_the_link_and_no_longer() {
    check(1, "uuu", "udd", &["raised", "unsilenced!"]);
    // No sign comes: it is told all the same.
    check(1, "u??", "udd", &["raised"]);
    check(1, "u?????", "uddddd", &["raised", "unsilenced!"]);
    // First signs of trouble are waited out.
    check(1, "uudu", "uddd", &["raised", "unsilenced!"]);
}

#[test]
fn who_inhibits_is_said_and_kept_over_a_kill() {
    let mut rig = Rig::new(1);
    for (at, up) in [(0, false), (60, false)] {
        rig.run("gw", at, Some(up));
    }
    rig.run("mx", 70, Some(false));
    let why = |rig: &Rig| rig.steps.last().unwrap().silenced.clone();
    assert_eq!(why(&rig).as_deref(), Some("inhibited by alarm 1 of gw, which it depends on"));
    rig.killed();
    assert!(rig.look(75).is_empty(), "{:?}", rig.steps);
    rig.run("mx", 130, Some(false));
    rig.run("gw", 140, Some(true));
    assert!(rig.look(141).is_empty(), "{:?}", rig.steps);
    rig.killed();
    let told = rig.run("mx", 190, Some(false));
    assert_eq!((told.len(), told[0].step, told[0].silenced.clone()), (1, Step::Unsilenced, None), "{told:?}");
}

#[test]
fn what_no_rule_judges_holds_nobody_and_nothing_holds_itself() {
    let on = vec![DependsOn::parse("gw").unwrap(), DependsOn::parse("up{job=~\"mx|nobody\"}").unwrap()];
    let dependents = [Dependent { shape: shape("gw"), on: Vec::new() }, Dependent { shape: shape("mx"), on }];
    assert!(!Depends::new(&dependents, &[]).has("mx"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, nobody is told of mail while its gateway is in alarm; what began ends; and in the end what is wrong was told.
    #[test]
    fn nobody_is_told_what_is_inhibited_and_nothing_is_lost(
        raise_after in 1_u32..4,
        happens in proptest::collection::vec((any::<bool>(), prop_oneof![4 => Just(Some(false)), 4 => Just(Some(true)), 1 => Just(None)], 1_i64..50, 0_u8..12), 1..60),
        wrong in any::<bool>(),
    ) {
        let mut rig = Rig::new(raise_after);
        let mut at = 0;
        for (is_gateway, up, gap, kill) in happens {
            at += gap;
            rig.run(if is_gateway { "gw" } else { "mx" }, at, up);
            rig.look(at + 1);
            if kill == 0 {
                rig.killed();
            }
        }
        // The gateway is well, and mail as it is, for long enough.
        for _ in 0..8 {
            at += 30;
            rig.run("gw", at, Some(true));
            rig.look(at + 1);
            at += 30;
            rig.run("mx", at, Some(!wrong));
            rig.look(at + 1);
        }
        let (mut gateway, mut mail, mut told) = (false, false, false);
        for notice in &rig.steps {
            match (notice.job.as_str(), notice.step) {
                ("gw", Step::Raised) => gateway = true,
                ("gw", Step::Cleared) => gateway = false,
                ("mx", Step::Raised) => { prop_assert!(!mail); (mail, told) = (true, notice.silenced.is_none()) }
                ("mx", Step::Cleared) => { prop_assert!(mail); mail = false }
                ("mx", Step::Unsilenced) => { prop_assert!(mail && !told, "{:?}", rig.of_mail()); told = true }
                ("mx", Step::Silenced) => { prop_assert!(mail && told, "{:?}", rig.of_mail()); told = false }
                _ => {}
            }
            let begins = notice.job == "mx" && matches!(notice.step, Step::Raised | Step::Unsilenced);
            prop_assert!(!(begins && gateway && notice.silenced.is_none()), "told while the gateway is in alarm: {:?}", rig.of_mail());
        }
        let is_flapping = rig.steps.iter().any(|notice| notice.step == Step::Flapping);
        if !is_flapping {
            prop_assert_eq!(mail, wrong, "{:?}", rig.of_mail());
            prop_assert!(!wrong || told, "what is wrong was not told: {:?}", rig.of_mail());
        }
    }
}
