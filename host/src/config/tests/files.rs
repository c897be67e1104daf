//! Which files are read, what sound ones mean, and that no bytes panic.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use proptest::prelude::*;

use super::{House, SOUND, now};
use crate::config::{Config, Faults, Job, Weight, load};
use crate::notify::channel::Kind;
use crate::schedule::Overlap;

/// The example of DESIGN, "Configuration", without what comes later.
const MAIN_SAMPLE: &str = r#"
data = "data"
plugins = ["target/release"]
schedules = ["schedules"]
listen = "127.0.0.1:9470"
"#;

const SCHEDULE_SAMPLE: &str = r#"
[[job]]
name = "pop-paris"
agent = "pop3"
every = "30s"
labels = { site = "paris" }
config = { host = "127.0.0.1", port = 1110, user = "alice@lab.test", password = { file = "secrets/alice" } }
"#;

fn sound(house: &House) -> Config {
    match house.load() {
        Ok(loaded) => loaded.config,
        Err(faults) => panic!("{faults}"),
    }
}

fn names(config: &Config) -> Vec<&str> {
    config.jobs.iter().map(|job| job.name.as_str()).collect()
}

fn job_of(text: &str) -> Job {
    sound(&House::new().with("schedules/one.toml", text)).jobs.remove(0)
}

#[test]
fn the_sample_is_accepted_whole() {
    let house = House::new().with("watchpost.toml", MAIN_SAMPLE).with("schedules/paris.toml", SCHEDULE_SAMPLE);
    fs::create_dir_all(house.path().join("target/release")).unwrap();
    let loaded = house.load().unwrap();
    assert_eq!(loaded.warnings, Faults::default());
    let config = loaded.config;
    assert_eq!(config.data.value, house.path().join("data"));
    assert_eq!(config.plugin_folders(), [house.path().join("target/release")]);
    assert_eq!(config.listen.value, "127.0.0.1:9470".parse::<SocketAddr>().unwrap());
    let job = &config.jobs[0];
    assert_eq!((job.name.as_str(), job.asks.agent.as_str(), job.asks.labels["site"].as_str()), ("pop-paris", "pop3", "paris"));
    assert_eq!((job.timing.rhythm.interval(), job.timeout), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!((job.overlap, job.labels_max), (Overlap::Skip, 100));
}

#[test]
fn two_addresses_of_somebody_by_one_channel_have_names_of_their_own() {
    let text = r#"
plugins = ["plugins"]
schedules = ["schedules"]

[[channel]]
name = "mail"
type = "mail"
server = "127.0.0.1:25"
from = "watchpost@lab.test"
to = ["ops@lab.test"]

[[person]]
name = "ann"
addresses = [{ channel = "mail", to = "ann@lab.test" }, { channel = "mail", to = "ann@home.lab.test" }]

[[route]]
to = ["ann"]
"#;
    let config = sound(&House::new().with("watchpost.toml", text));
    let mails = config.channels.iter().filter_map(|channel| match &channel.kind {
        Kind::Mail(mail) => Some((channel.name.as_str(), mail.to[0].email.to_string())),
        _ => None,
    });
    let told: Vec<_> = mails.filter(|(name, _)| name.contains('/')).collect();
    assert_eq!(told, [("ann/mail", "ann@lab.test".to_owned()), ("ann/mail/2", "ann@home.lab.test".to_owned())]);
    assert!(config.routes[0].channels.iter().map(String::as_str).eq(["ann/mail", "ann/mail/2"]), "{:?}", config.routes);
}

#[test]
fn a_file_that_says_nothing_means_the_defaults() {
    let house = House::new().with("watchpost.toml", "").with("schedules/a.toml", SOUND);
    let config = sound(&house);
    assert_eq!((config.listen.to_string().as_str(), config.data.value.clone()), ("127.0.0.1:9470", house.path().join("data")));
    assert_eq!(names(&config), ["sound"]);
}

#[test]
fn a_folder_gives_its_toml_files_but_not_hidden_ones_nor_folders() {
    let named = |name: &str| SOUND.replace("sound", name);
    let house = House::new()
        .with("schedules/b.toml", named("b"))
        .with("schedules/a.toml", named("a"))
        .with("schedules/a.toml~", "not read")
        .with("schedules/deeper/c.toml", "not read");
    assert_eq!(names(&sound(&house)), ["a", "b"]);
}

#[test]
fn a_target_makes_a_job_of_its_own() {
    let text = r#"
        [[job]]
        name = "mx"
        agent = "smtp"
        every = "1h"
        labels = { site = "paris", tier = "1" }
        config = { host = "overridden", tls = "none" }
        targets = ["MX1:25", "[::1]:2525", { host = "mx3", port = 26, tls = "starttls", labels = { tier = "2" } }, { host = "mx4", name = "four" }]
    "#;
    let config = sound(&House::new().with("schedules/mx.toml", text));
    assert_eq!(names(&config), ["mx@--1-2525", "mx@four", "mx@mx1-25", "mx@mx3-26"]);
    let mx3 = &config.jobs[3];
    assert_eq!((mx3.asks.labels["site"].as_str(), mx3.asks.labels["tier"].as_str()), ("paris", "2"));
    let phases: std::collections::HashSet<_> = config.jobs.iter().map(|job| job.timing.timetable.to_string()).collect();
    assert_eq!(phases.len(), 4, "each job has a phase of its own: {phases:?}");
}

#[test]
fn a_job_wins_over_the_defaults_of_its_file() {
    let text = r#"
        [defaults]
        agent = "smtp"
        cron = "0 8 * * *"
        timezone = "Europe/Paris"
        timeout = "20s"
        labels = { site = "paris", tier = "1" }
        config = { host = "mx1", tls = "starttls" }
        [[job]]
        name = "own"
        every = "1m"
        timeout = "5s"
        labels = { tier = "2" }
        config = { tls = "none" }
        [[job]]
        name = "plain"
    "#;
    let config = sound(&House::new().with("schedules/d.toml", text));
    let [own, plain] = config.jobs.as_slice() else { panic!("two jobs") };
    assert_eq!((own.timing.rhythm.interval(), own.timeout), (Duration::from_secs(60), Duration::from_secs(5)));
    assert_eq!((own.asks.labels["site"].as_str(), own.asks.labels["tier"].as_str()), ("paris", "2"));
    assert_eq!((plain.timing.timetable.zone().name(), plain.timeout), ("Europe/Paris", Duration::from_secs(20)));
    let line = |key: &str| own.asks.place_of(key).spot.unwrap().line;
    assert_eq!((line("host"), line("tls")), (8, 14));
}

#[test]
fn a_job_is_the_same_wherever_it_is_written() {
    let moved = format!("# a comment\n\n{}", SOUND.replace("{ host = \"mx1\" }", "{ host =    \"mx1\" }"));
    assert_eq!(job_of(SOUND), job_of(&moved));
    for (from, to) in [("mx1", "mx2"), ("30s", "31s"), ("probe", "other"), ("\"sound\"", "\"sound\"\ntimeout = \"9s\"")] {
        assert_ne!(job_of(SOUND), job_of(&SOUND.replace(from, to)), "{to}");
    }
}

#[test]
fn a_warning_stops_nothing() {
    let house = House::new().with("watchpost.toml", "listen = \"0.0.0.0:9470\"\n").with("schedules/a.toml", SOUND);
    let warnings = house.load().unwrap().warnings;
    assert!(warnings.iter().all(|fault| fault.weight == Weight::Warning) && warnings.iter().count() == 1, "{warnings}");
}

#[test]
fn a_named_pipe_is_refused_without_waiting_for_its_other_end() {
    let house = House::new();
    let pipe = house.path().join("schedules/pipe.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(house.load().unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn a_missing_main_file_is_a_fault_with_its_name() {
    let faults = load(Path::new("nowhere/watchpost.toml"), now()).unwrap_err().to_string();
    assert_eq!(faults, "error: cannot read nowhere/watchpost.toml: No such file or directory");
}

/// Pieces that make a text reach further than noise does.
const PIECES: [&str; 24] = [
    "[[job]]\n",
    "[defaults]\n",
    "name = ",
    "\"a\"\n",
    "agent = \"x\"\n",
    "every = \"30s\"\n",
    "cron = \"* * * * *\"\n",
    "timeout = ",
    "\"1d\"\n",
    "targets = [",
    "\"mx1:25\"",
    ", ",
    "]\n",
    "{ host = \"x\" }",
    "labels = ",
    "{ a = \"b\" }\n",
    "config.x = ",
    "1\n",
    "\"",
    "é",
    "timezone = \"UTC\"\n",
    "= ",
    "overlap = \"skip\"\n",
    "\u{feff}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = House::new().with("schedules/any.toml", &bytes).with("watchpost.toml", &bytes).load();
        let _ = House::new().with("schedules/any.toml", &bytes).load();
    }

    #[test]
    fn no_pieces_of_a_schedule_panic(pieces in proptest::collection::vec(proptest::sample::select(PIECES.as_slice()), 0..30)) {
        let text = pieces.concat();
        if let Err(faults) = House::new().with("schedules/any.toml", &text).load() {
            let lines = text.split('\n').count();
            for fault in faults.iter() {
                let spot = fault.place.spot.unwrap();
                prop_assert!(spot.line as usize <= lines.max(2) && spot.column > 0, "{fault}");
            }
        }
    }
}
