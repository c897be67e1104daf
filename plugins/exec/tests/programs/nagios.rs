//! Programs in the form of Nagios.

use std::time::Duration;

use serde_json::json;
use watchpost_exec::{LINES_REFUSED, STATE};
use watchpost_plugin_api::{Severity, standard};

use crate::{Job, events, lives, measured, until};

#[tokio::test]
async fn a_plugin_that_is_well_gives_state_and_performance_data_in_seconds_bytes_and_ratios() {
    let job = Job::of("nagios", "echo \"SMTP OK - 0.012 sec. response time|time=12.5ms;;;0 size=2KB 'in use'=50%;80;90 sent=7c lost=U\"");
    let ran = job.run().await;
    assert_eq!(ran.failure(), None);
    assert_eq!(ran.value(STATE), Some(0.0));
    assert!(ran.value(standard::TOTAL_TIME).is_some_and(|time| time > 0.0));
    assert_eq!(measured(&ran), ["in_use_679d 0.5", "sent 7", "size 2048", "time 0.0125"]);
    assert_eq!((events(&ran).len(), ran.value(LINES_REFUSED)), (0, Some(0.0)));
    let declared: Vec<(&str, &str)> = ran.outcome.declared.iter().map(|spec| (spec.name.as_str(), spec.unit.name())).collect();
    assert_eq!(declared, [("in_use_679d", "ratio"), ("sent", "number"), ("size", "bytes"), ("time", "seconds")]);
}

#[tokio::test]
async fn every_exit_code_means_what_it_means_to_nagios_and_up_follows() {
    let check = async |script: &str, state: f64, up: Option<f64>, failure: Option<(&str, &str)>| {
        let ran = Job::of("nagios", script).run().await;
        assert_eq!((ran.value(STATE), ran.outcome.status.up(), ran.failure()), (Some(state), up, failure), "{script}");
    };
    check("echo fine", 0.0, Some(1.0), None).await;
    check("echo slow; exit 1", 1.0, Some(1.0), None).await;
    check("echo 'down|time=1s'; exit 2", 2.0, Some(0.0), Some(("protocol", "down"))).await;
    check("echo usage; exit 3", 3.0, None, Some(("local", "usage"))).await;
    check("exit 42", 3.0, None, Some(("local", "the program ended with 42"))).await;
    check("echo broken >&2; exit 127", 3.0, None, Some(("local", "the program ended with 127: broken"))).await;
    check("kill -9 $$", 3.0, None, Some(("local", "the program ended by signal 9"))).await;
}

#[tokio::test]
async fn a_connection_that_was_denied_here_is_not_the_targets_fault() {
    let check = async |ports: &[u16], script: &str, expected: (&str, &str)| {
        let ran = Job::of("nagios", script).with("ports", ports).run().await;
        assert_eq!(ran.failure(), Some(expected), "{script}");
        let up = if expected.0 == "protocol" { Some(0.0) } else { None };
        assert_eq!((ran.value(STATE), ran.outcome.status.up()), (Some(2.0), up), "{script}");
    };
    let denied = "echo 'connect to address 127.0.0.1 and port 25: Permission denied'; echo CRITICAL; exit 2";
    let none = "connect to address 127.0.0.1 and port 25: Permission denied; a sandbox denies it all TCP ports: `ports` names none";
    check(&[], denied, ("local", none)).await;
    let others = "connect to address 127.0.0.1 and port 25: Permission denied; \
                  a sandbox denies it all TCP ports but those that `ports` names: 80, 443";
    check(&[80, 443], denied, ("local", others)).await;
    let aside = "echo 'cannot reach it'; echo '[Errno 13] connect' >&2; exit 2";
    check(&[], aside, ("local", "cannot reach it; a sandbox denies it all TCP ports: `ports` names none")).await;
    // Words of a target, and those of one who refuses.
    check(&[21], "echo '530 Permission denied'; exit 2", ("protocol", "530 Permission denied")).await;
    check(&[], "echo 'connect: Connection refused'; exit 2", ("protocol", "connect: Connection refused")).await;
}

#[tokio::test]
async fn a_state_that_is_not_ok_is_an_event_when_it_begins() {
    let job = Job::of("nagios", "cat \"$TEXT\"; exit \"$(cat \"$CODE\")\"");
    let (text, code) = (job.tree.file("text", "down - no answer\nmore of it\n").unwrap(), job.tree.file("code", "2").unwrap());
    let job = job.with("env", json!({ "TEXT": text, "CODE": code }));
    let mut kit = job.kit();
    let ran = kit.run().await;
    assert_eq!(events(&ran), [("critical", "down - no answer; more of it")]);
    assert_eq!(ran.outcome.events[0].severity, Severity::Critical);
    assert_eq!(events(&kit.run().await), [], "what goes on was told");
    job.tree.file("code", "1").unwrap();
    assert_eq!(kit.run().await.outcome.events[0].severity, Severity::Warning);
    job.tree.file("code", "0").unwrap();
    assert_eq!(events(&kit.run().await), []);
    job.tree.file("code", "1").unwrap();
    assert_eq!(events(&kit.run().await).len(), 1, "it has begun again");
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are_and_no_shell_reads_them() {
    let job = Job::of("nagios", "printf '%s,' \"$@\"; echo '|n='$#");
    let program = job.config["argv"][0].clone();
    let job = job.with("argv", json!([program, "a b", "$HOME", "*", "; exit 2", ""]));
    let ran = job.kit().explain().run().await;
    assert_eq!((ran.failure(), measured(&ran)), (None, vec!["n 5".to_owned()]));
    assert!(ran.everything().contains("a b,$HOME,*,; exit 2,,"), "{ran:#?}");
}

#[tokio::test]
async fn performance_data_of_all_lines_is_taken_and_garbage_is_told_once() {
    let job = Job::of("nagios", "echo 'OK|a=1 nonsense'; echo 'long text | b=2'; echo 'c=3 d=x'");
    let mut kit = job.kit();
    let ran = kit.run().await;
    assert_eq!(
        (ran.failure(), measured(&ran), ran.value(LINES_REFUSED)),
        (None, vec!["a 1".into(), "b 2".into(), "c 3".into()], Some(2.0))
    );
    assert_eq!(events(&ran), [("lines_refused", "2 of 6 lines could not be taken, e.g. a label without a value: nonsense")]);
    let ran = kit.run().await;
    assert_eq!((events(&ran).len(), ran.value(LINES_REFUSED)), (0, Some(4.0)));
}

#[tokio::test]
async fn bounds_are_measured_if_they_are_asked_for_and_names_are_given() {
    let job = Job::of("nagios", "echo 'OK|time=30ms;100;200;0;'").with("bounds", true).with("rename", json!({ "time": "connect_time" }));
    let ran = job.run().await;
    let expected = ["connect_time 0.03", "time_bounds{crit_high} 0.2", "time_bounds{min} 0", "time_bounds{warn_high} 0.1"];
    assert_eq!(measured(&ran), expected);
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_all_its_children_at_the_deadline() {
    let job = Job::of("nagios", "sleep 600 & echo $! > \"$CHILD\"; echo $$ > \"$SELF\"; sleep 600");
    let (child, own) = (job.tree.at("child"), job.tree.at("self"));
    let job = job.with("env", json!({ "CHILD": child, "SELF": own }));
    let ran = job.kit().timeout(Duration::from_secs(2)).run().await;
    assert_eq!((ran.failure().map(|(kind, _)| kind), ran.outcome.status.up()), (Some("timeout"), Some(0.0)));
    assert_eq!(measured(&ran), Vec::<String>::new());
    let pids = [child, own].map(|file| std::fs::read_to_string(file).unwrap());
    assert!(until(|| !pids.iter().any(|pid| lives(pid))).await, "{pids:?} live on");
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_up_its_run() {
    let job = Job::of("nagios", "sleep 600 & echo $! > \"$CHILD\"; echo 'OK|a=1'");
    let child = job.tree.at("child");
    let job = job.with("env", json!({ "CHILD": child }));
    let ran = job.run().await;
    assert_eq!((ran.failure(), measured(&ran)), (None, vec!["a 1".to_owned()]));
    let pid = std::fs::read_to_string(child).unwrap();
    assert!(until(|| !lives(&pid)).await, "{pid} lives on");
}

#[tokio::test]
async fn a_flood_is_bounded_and_a_program_that_is_not_there_is_told() {
    let ran = Job::of("nagios", "yes").with("bytes_max", 5000).run().await;
    assert_eq!((ran.failure(), ran.value(STATE)), (Some(("limit", "the program wrote more than 5000 bytes")), None));
    let job = Job::of("nagios", "").with("argv", json!(["/nowhere/check"]));
    let ran = job.run().await;
    assert_eq!(ran.failure().map(|(kind, _)| kind), Some("local"));
    assert!(ran.failure().is_some_and(|(_, why)| why.starts_with("cannot start /nowhere/check: ")), "{ran:?}");
    assert_eq!(ran.recorded(), Vec::<&str>::new());
}

/// No shell takes the place of who reads a script.
#[tokio::test]
async fn what_cannot_be_started_says_the_true_reason() {
    let tell = async |text: &str, mode: u32, why: &str| {
        let job = Job::of("nagios", "");
        let program = job.config["argv"][0].as_str().unwrap().to_owned();
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let ran = job.run().await;
        assert_eq!(ran.failure(), Some(("local", format!("cannot start {program}: {why}").as_str())), "{text:?}");
    };
    tell("", 0o755, "it is empty").await;
    let neither = "it is no program, and no script: its first line does not say who reads it, as #!/bin/sh does";
    tell("echo 'OK | a=1'\n", 0o755, neither).await;
    tell("#!/bin/sh\necho OK\n", 0o644, "nobody may execute it, which `chmod +x` would change").await;
    tell("#!/no/where\necho OK\n", 0o755, "/no/where, which its first line names, is not there").await;
    tell("\u{7f}ELF and no more", 0o755, "it is no program of this machine").await;
}

#[tokio::test]
async fn a_secret_is_in_the_environment_and_nowhere_else() {
    let job = Job::of("nagios", "echo \"OK $PASSWORD|'a $PASSWORD'=1\"; echo \"not $PASSWORD\" >&2; env | grep -c . >&2; exit 2");
    let job = job.with("secret_env", json!({ "PASSWORD": "geheimes-wort" }));
    let ran = job.kit().explain().run().await;
    assert_eq!(ran.failure(), Some(("protocol", "OK <secret>")));
    assert_eq!(measured(&ran), ["a_secret_8e6d 1"]);
    assert!(!ran.everything().contains("geheimes-wort"), "{}", ran.everything());
}
