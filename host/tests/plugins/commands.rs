//! `watchpost plugins`, and what a reload leaves alone.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::{
    harness::{House, Said, journal, until},
    house::{house, job, status},
    zoo::example,
};

const LONG: Duration = Duration::from_secs(30);
const TAME: &str = "[[job]]\nname = \"tame\"\nagent = \"tame\"\nevery = \"1s\"\nconfig = {}\n";

fn listed(house: &House, plugin: &str) -> Value {
    let listing: Value = serde_json::from_str(&house.run(&["plugins", "list", "--json"]).ok()).unwrap();
    listing["plugins"].as_array().unwrap().iter().find(|known| known["plugin"] == plugin).cloned().unwrap_or_default()
}

fn fails(said: &Said, code: i32, why: &str) {
    assert!(said.code == Some(code) && said.err.contains(why), "{said:?}");
}

/// What lies in the plugin folder, hidden files too.
fn folder(house: &House) -> Vec<String> {
    let entries = fs::read_dir(house.folder().join("plugins")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_library_that_arrives_can_be_used_after_a_reload_and_one_without_jobs_may_go() {
    let house = house("", &[]);
    let library = house.folder().join("plugins/libtame.so");
    let daemon = {
        fs::remove_file(&library).unwrap();
        house.start()
    };
    fs::copy(example("tame"), &library).unwrap();
    until(LONG, || listed(&house, "tame")["agents"].is_array().then_some(())).expect("it is seen");
    house.schedule(TAME);
    house.run(&["reload"]).ok();
    until(LONG, || (job(&status(&house), "tame")["health"] == "ok").then_some(())).expect("its agent is used");
    fs::remove_file(&library).unwrap();
    let note = || listed(&house, "tame")["note"].as_str().map(str::to_owned);
    assert_eq!(
        until(LONG, note).as_deref(),
        Some("its file has changed and is not used: its file is gone; its 1 job runs on as long as watchpost does")
    );
    house.schedule("");
    fs::copy(example("tame"), &library).unwrap();
    house.run(&["reload"]).ok();
    fs::remove_file(&library).unwrap();
    until(LONG, || listed(&house, "tame").is_null().then_some(())).expect("nobody needs it: it ends");
    until(LONG, || (daemon.workers().len() == 1).then_some(())).expect("its worker is gone");
}

#[test]
fn libraries_are_installed_and_removed_whole_or_not_at_all() {
    let house = house(TAME, &[]);
    let _daemon = house.start();
    let brought = house.folder().join("brought");
    fs::create_dir(&brought).unwrap();
    let bring = |name: &str, bytes: &[u8]| {
        fs::write(brought.join(name), bytes).unwrap();
        brought.join(name).display().to_string()
    };
    let before = folder(&house);
    let turncoat = fs::read(example("turncoat")).unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("libnone.so", b"text", "it is no shared library"),
        ("libhalf.so", &turncoat[..turncoat.len() / 2], "it is cut off"),
        ("spool.so", &turncoat, "a library is called lib….so"),
        ("libother.so", &turncoat, "it carries agent tame, which "),
    ];
    for (name, bytes, why) in cases {
        fails(&house.run(&["plugins", "install", &bring(name, bytes)]), 1, why);
    }
    fails(&house.run(&["plugins", "install", "/nowhere/liba.so"]), 1, "cannot copy /nowhere/liba.so: No such file");
    fails(&house.run(&["plugins", "install", "/nowhere.so"]), 1, "cannot copy /nowhere.so: No such file");
    fails(&house.run(&["plugins", "install", &bring("libtame.so", &turncoat), "--into", "/"]), 1, "/ is no plugin folder");
    assert_eq!(folder(&house), before, "nothing is left of what was refused");
    let said = house.run(&["plugins", "install", &bring("libtame.so", &turncoat)]).ok();
    assert!(said.contains("libtame.so: took over its 1 job, on trial"), "{said}");
    assert_eq!(fs::read(house.folder().join("plugins/libtame.so")).unwrap(), turncoat);
    assert_eq!(folder(&house), before);
    fails(&house.run(&["plugins", "remove", "tame"]), 1, "1 job needs it: tame; take it out of the schedules first");
    let said = house.run(&["plugins", "remove", "zoo"]).ok();
    assert!(said.ends_with("libzoo.so: removed\n") && listed(&house, "zoo").is_null(), "{said}");
    assert!(!folder(&house).contains(&"libzoo.so".to_owned()));
    let zoo = fs::read(example("zoo")).unwrap();
    let said = house.run(&["plugins", "install", &bring("libzoo.so", &zoo)]).ok();
    assert!(said.ends_with("libzoo.so: loaded: it carries beast\n"), "{said}");
    for command in ["enable", "disable", "remove", "reload"] {
        let said = house.run(&["plugins", command, "nobody"]);
        assert!(said.code == Some(2) && said.err.contains("no plugin is called so"), "{command}: {said:?}");
    }
}

#[test]
fn one_library_that_several_bring_at_a_time_is_taken_from_each() {
    let house = house(TAME, &[]);
    let daemon = house.start();
    let before = folder(&house);
    fs::create_dir(house.folder().join("brought")).unwrap();
    let file = house.folder().join("brought/libtame.so");
    fs::copy(example("tame"), &file).unwrap();
    let file = file.display().to_string();
    let said: Vec<Said> = std::thread::scope(|scope| {
        let bringers: Vec<_> = (0..5).map(|_| scope.spawn(|| house.run(&["plugins", "install", &file]))).collect();
        bringers.into_iter().map(|bringer| bringer.join().unwrap()).collect()
    });
    assert!(said.iter().all(|said| said.code == Some(0) && said.out.contains("libtame.so: took over its 1 job")), "{said:?}");
    assert_eq!(folder(&house), before);
    until(LONG, || (job(&status(&house), "tame")["health"] == "ok").then_some(())).expect("it runs");
    let commands: Vec<String> = daemon
        .workers()
        .iter()
        .filter_map(|worker| fs::read(format!("/proc/{}/cmdline", worker.pid)).ok())
        .map(|words| String::from_utf8_lossy(&words).replace('\0', " "))
        .collect();
    assert!(commands.iter().any(|command| command.contains("/plugins/libtame.so")), "{commands:?}");
    assert!(commands.iter().all(|command| !command.contains("installing")), "{commands:?}");
}

#[test]
fn a_disabled_plugin_runs_no_job_over_restarts_until_it_is_enabled() {
    let house = house(TAME, &[]);
    let daemon = house.start();
    let ok = |daemon: &crate::harness::Daemon, workers: usize| {
        until(LONG, || (job(&status(&house), "tame")["health"] == "ok" && daemon.workers().len() == workers).then_some(()))
    };
    ok(&daemon, 2).expect("it runs");
    assert_eq!(house.run(&["plugins", "disable", "tame"]).ok(), "tame: disabled\n");
    let why = "plugin tame is disabled; `watchpost plugins enable tame` has its jobs run again";
    let rests = || job(&status(&house), "tame")["why"] == why && listed(&house, "tame")["state"] == "disabled";
    until(LONG, || rests().then_some(())).unwrap_or_else(|| panic!("{}", status(&house)));
    until(LONG, || (daemon.workers().len() == 1).then_some(())).expect("its worker has ended");
    // A configuration is still checked by the library.
    house.schedule(&TAME.replace("config = {}", "config = {}\nlabels = { site = \"a\" }"));
    house.run(&["reload"]).ok();
    house.schedule(&TAME.replace("config = {}", "config = { none = 1 }"));
    assert_eq!(house.run(&["reload"]).code, Some(2));
    house.schedule(TAME);
    assert!(daemon.stop().status.success());
    let daemon = house.start();
    until(LONG, || rests().then_some(())).unwrap_or_else(|| panic!("{}", status(&house)));
    until(LONG, || (daemon.workers().len() == 1).then_some(())).expect("its worker has ended");
    assert_eq!(house.run(&["plugins", "enable", "tame"]).ok(), "tame: enabled\n");
    ok(&daemon, 2).expect("it runs again");
}

/// The agent counts its runs since it was made: it is made anew for the job that changed, and for no other.
#[test]
fn a_reload_of_one_jobs_configuration_touches_that_job_only() {
    const JOBS: usize = 20;
    let jobs = |changed: &str| -> String {
        (0..JOBS)
            .map(|job| TAME.replace("\"tame\"\nagent", &format!("\"job-{job}\"\nagent")) + if job == 7 { changed } else { "" })
            .collect()
    };
    let house = house(&jobs(""), &[]);
    let daemon = house.start();
    let runs = |name: &str| job(&status(&house), name)["runs"].as_u64().unwrap();
    until(LONG, || (runs("job-7") > 2).then_some(())).expect("it runs");
    house.schedule(&jobs("labels = { site = \"a\" }\n"));
    assert_eq!(house.run(&["reload"]).ok(), "reloaded: jobs: 0 added, 1 changed, 0 removed, 19 unchanged\n");
    let before = runs("job-7");
    until(LONG, || (runs("job-7") > before + 2).then_some(())).expect("it runs on");
    assert!(daemon.stop().status.success());
    let readings = journal::readings(&house.data());
    for number in 0..JOBS {
        let of_job: Vec<_> = readings.iter().filter(|reading| reading.job == format!("job-{number}")).collect();
        let slots: Vec<i64> = of_job.iter().map(|reading| reading.slot).collect();
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] == 1), "job-{number}: {slots:?}");
        let made_anew = of_job.iter().skip(1).filter(|reading| reading.outcome.samples[0].value == 1.0).count();
        assert_eq!(made_anew, usize::from(number == 7), "job-{number}");
    }
}
