//! What a program gets that a check starts, and what is left of it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, thread, time::Duration};

use serde_json::Value;

use crate::harness::{House, http::ask, until};

/// Several looks for what was left behind, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A job that runs this script once.
fn job(house: &House, name: &str, interpreter: &str, body: &str) -> String {
    let script = house.folder().join(name);
    fs::write(&script, format!("#!{interpreter}\n{body}\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    format!(
        "[[job]]\nname = \"{name}\"\nagent = \"exec\"\nevery = \"1m\"\ntimeout = \"50s\"\n\
         config = {{ argv = [{script:?}], format = \"nagios\", programs = [\"/usr/bin\", \"/bin\"] }}\n"
    )
}

/// Neither what the worker shares with the daemon and the library's copy, nor what whoever started the daemon had open.
#[test]
fn a_program_has_its_three_descriptors_and_no_other() {
    let house = House::new("");
    let look = "use POSIX; @has = grep { my $one = POSIX::dup($_); defined $one && POSIX::close($one) } 3..200;\n\
                printf \"OK has: @has | count=%d\\n\", scalar @has;";
    house.schedule(&job(&house, "looks", "/usr/bin/perl", look));
    for sandbox in ["full", "none"] {
        house.replace_in_main("listen", &format!("# sandbox {sandbox}\nlisten"));
        if sandbox == "none" {
            house.add_to_main("[plugin.exec]\nsandbox = \"none\"\n");
        }
        let measure = house.command(&["measure", "looks", "--json"]);
        // Whoever starts it has something open, as a careless script does.
        let mut careless = Command::new("bash");
        careless.args(["-c", "exec 10</dev/null 123</dev/null; exec \"$@\"", "bash"]).arg(measure.get_program()).args(measure.get_args());
        let said = careless.current_dir("/").output().unwrap();
        let told: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let samples = told["outcome"]["samples"].as_array().unwrap();
        let count = samples.iter().find(|sample| sample["metric"] == "count").map(|sample| sample["value"].clone());
        assert_eq!(count, Some(0.0.into()), "sandbox {sandbox}: {told}");
    }
}

/// By that it is known, whatever group and parent it has by then.
#[test]
fn a_program_in_a_sandbox_keeps_its_mark() {
    let house = House::new("");
    // Bash has a word for the bound of file locks; another bound is its own to lower.
    let script = "ulimit -x 7 2>/dev/null; kept=$?; ulimit -n 50; echo \"OK | kept=$kept other=$? known=$(ulimit -Hx)\"";
    house.schedule(&job(&house, "sheds", "/bin/bash", script));
    let said = house.run(&["measure", "sheds", "--json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let samples = told["outcome"]["samples"].as_array().unwrap();
    let value = |name: &str| samples.iter().find(|sample| sample["metric"] == name).and_then(|sample| sample["value"].as_f64());
    assert_eq!((value("kept"), value("other")), (Some(1.0), Some(0.0)), "{told}");
    assert!(value("known").is_some_and(|bound| bound > 1e18), "{told}");
}

/// One that took itself out of its program's group is ended soon after its run; what a daemon left that was killed, by the next.
#[test]
fn nothing_that_a_program_starts_outlives_it_for_long() {
    let house = House::new("");
    let nap = |seconds: u32| format!("exec('sleep', '{seconds}')");
    let leaves = format!(
        "if (!fork) {{ setpgrp(0, 0); if (!fork) {{ close(STDOUT); close(STDERR); {}; }} exit 0; }} wait; print \"OK | a=1\\n\";",
        nap(7_311)
    );
    let stays = format!("if (!fork) {{ $SIG{{TERM}} = 'IGNORE'; {}; }} sleep 7300;", nap(7_312));
    house.schedule(&(job(&house, "leaves", "/usr/bin/perl", &leaves) + &job(&house, "stays", "/usr/bin/perl", &stays)));
    let sleeps = |seconds: u32| {
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
        processes.filter(|words| String::from_utf8_lossy(words).replace('\0', " ").trim() == format!("sleep {seconds}")).count()
    };
    let daemon = house.start();
    ask(&house.socket(), "POST", "/api/v1/jobs/leaves/run").unwrap();
    assert_eq!(sleeps(7_311), 1, "it is out of its group, and sleeps on");
    let socket = house.socket();
    let asker = thread::spawn(move || drop(ask(&socket, "POST", "/api/v1/jobs/stays/run")));
    until(LONG, || (sleeps(7_312) == 1).then_some(())).expect("it runs");
    until(LONG, || (sleeps(7_311) == 0).then_some(())).expect("it is ended");
    assert_eq!(sleeps(7_312), 1, "what belongs to a program that runs is left alone");
    daemon.kill();
    asker.join().unwrap();
    assert_eq!(sleeps(7_312), 1, "it hears of no death but its parent's");
    house.schedule("");
    let _daemon = house.start();
    until(LONG, || (sleeps(7_312) == 0).then_some(())).expect("the next daemon ends it");
}
