//! What a job that brings its worker down again and again comes to, and what is left of each crash.

use std::{
    fs::{self, Permissions},
    io::Read,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    harness::{Daemon, House, scrape::Scrape, until},
    house::{NEVER, house, job, status},
};

/// Ten seconds to the first probation, and a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A job that dies at every run until a file is there, and its neighbour.
fn schedule(folder: &Path) -> String {
    let unless = folder.join("mended").display().to_string();
    format!(
        r#"
[defaults]
agent = "beast"
every = "1s"
quarantine_after = 2

[[job]]
name = "guilty"
config = {{ does = "abort", unless = "{unless}" }}

[[job]]
name = "neighbour"
config = {{ does = "well" }}
"#
    )
}

/// Codes of a job's events; that the host has an alarm of it is another story.
fn codes(house: &House, job: &str) -> Vec<String> {
    let events: Vec<Value> = serde_json::from_str(&house.run(&["events", "--json", "--job", job, "--limit", "1000"]).ok()).unwrap();
    let codes = events.iter().map(|event| event["code"].as_str().unwrap().to_owned());
    codes.filter(|code| !code.starts_with("alarm_")).collect()
}

fn held(house: &House) -> Value {
    job(&status(house), "guilty")["held"].clone()
}

fn until_quarantined(house: &House) {
    let quarantined = || (held(house)["holding"] == "quarantined").then_some(());
    until(LONG, quarantined).unwrap_or_else(|| panic!("{}", status(house)));
}

/// The value of a metric of the host's own.
fn counted(daemon: &Daemon, family: &str, labels: &str) -> f64 {
    let scrape = Scrape::of(&daemon.get("/metrics").unwrap().body);
    scrape.of_family(family).filter(|line| line.labels.contains(labels)).map(|line| line.value.parse::<f64>().unwrap()).sum()
}

fn reports(house: &House) -> Vec<PathBuf> {
    let entries = fs::read_dir(house.data().join("crashes")).map(|entries| entries.map(|entry| entry.unwrap().path()));
    entries.map(|paths| paths.filter(|path| path.extension().is_some()).collect()).unwrap_or_default()
}

#[test]
fn a_job_that_crashes_too_often_is_quarantined_and_freed_by_a_run_on_probation() {
    let house = house("", &[]);
    house.schedule(&schedule(house.folder()));
    let daemon = house.start();
    until_quarantined(&house);
    let told = job(&status(&house), "guilty").clone();
    let how = "the worker died of signal 6 (SIGABRT: abort)";
    assert_eq!(told["why"], format!("quarantined: it brought its worker down 2 times; the last time {how}"), "{told}");
    assert_eq!((&told["health"], &told["up"], &told["held"]["crashes"]), (&"unknown".into(), &Value::Null, &2.into()), "{told}");
    assert_eq!(house.alarm_is("quarantine", "active"), "job guilty is quarantined: it brings its worker down");
    // The next one that is due is not run.
    let skipped = |told: &Value| told["skipped"].as_u64().unwrap() > 0;
    until(LONG, || Some(job(&status(&house), "guilty").clone()).filter(skipped)).expect("a run is skipped");
    for command in ["status", "jobs"] {
        let text = house.run(&[command]).ok();
        assert!(text.contains("guilty") && text.contains("quarantined") && text.contains("; 1 quarantined"), "{text}");
    }
    let manual = house.run(&["jobs", "run", "guilty"]);
    assert!(manual.code == Some(1) && manual.out.contains("`watchpost jobs release guilty` frees it"), "{manual:?}");
    assert_eq!(codes(&house, "guilty"), ["worker_crashed", "worker_crashed", "job_quarantined"]);
    // It still crashes when it is on probation, and then it does not.
    let probations = || codes(&house, "guilty").iter().filter(|code| *code == "job_on_probation").count();
    until(LONG, || (probations() == 1).then_some(())).expect("it runs on probation");
    until_quarantined(&house);
    fs::write(house.folder().join("mended"), "").unwrap();
    until(LONG, || held(&house).is_null().then_some(())).unwrap_or_else(|| panic!("{}", status(&house)));
    let story = codes(&house, "guilty");
    let expected = ["worker_crashed", "worker_crashed", "job_quarantined", "job_on_probation", "worker_crashed", "job_quarantined"];
    assert_eq!(story[..6], expected, "{story:?}");
    assert_eq!(story[6..], ["job_on_probation", "job_released"], "{story:?}");
    let steps = |step: &str| counted(&daemon, "watchpost_host_job_holds_total", &format!("job=\"guilty\",step=\"{step}\""));
    assert_eq!(["quarantined", "probation", "released"].map(steps), [2.0, 2.0, 1.0]);
    assert_eq!(counted(&daemon, "watchpost_host_job_crashes_total", "job=\"guilty\""), 3.0);
    assert_eq!(counted(&daemon, "watchpost_host_worker_deaths_total", "cause=\"abort\",plugin=\"zoo\""), 3.0);
    until(LONG, || (counted(&daemon, "watchpost_host_jobs_held", "state=\"quarantined\"") == 0.0).then_some(())).expect("nobody is held");
    house.alarm_is("quarantine", "cleared");
    // Three deaths in ten minutes.
    let text = house.alarm_is("crash_loop", "active");
    assert!(text.starts_with("the worker of zoo has died 3 times in ten minutes, lastly died of signal 6"), "{text}");
    let neighbour = job(&status(&house), "neighbour").clone();
    assert!(neighbour["health"] == "ok" && neighbour["runs"] == neighbour["ok"], "{neighbour}");
    assert_eq!(reports(&house).len(), 3);
}

#[test]
fn a_quarantine_outlives_the_daemon_and_ends_with_a_release_or_a_changed_configuration() {
    let house = house("", &[]);
    house.schedule(&schedule(house.folder()));
    let daemon = house.start();
    until_quarantined(&house);
    assert!(daemon.stop().status.success());
    let daemon = house.start();
    until_quarantined(&house);
    let told = held(&house);
    assert_eq!(
        (&told["holding"], &told["crashes"], &told["how"]),
        (&"quarantined".into(), &2.into(), &"died of signal 6 (SIGABRT: abort)".into())
    );
    let crashes = codes(&house, "guilty").iter().filter(|code| *code == "worker_crashed").count();
    assert_eq!(crashes, 2, "it did not have to crash again");
    assert_eq!(house.run(&["jobs", "release", "guilty"]).ok(), "guilty: released; it runs when it is due\n");
    assert_eq!(house.run(&["jobs", "release", "neighbour"]).ok(), "neighbour: was not held\n");
    let said = house.run(&["jobs", "release", "gulity"]);
    assert!(said.code == Some(2) && said.err.contains("did you mean `guilty`?"), "{said:?}");
    until_quarantined(&house);
    house.schedule(&schedule(house.folder()).replace("\"abort\"", "\"well\""));
    house.run(&["reload"]).ok();
    until(LONG, || (job(&status(&house), "guilty")["health"] == "ok").then_some(())).unwrap_or_else(|| panic!("{}", status(&house)));
    assert!(held(&house).is_null() && codes(&house, "guilty").ends_with(&["job_released".to_owned()]), "{:?}", codes(&house, "guilty"));
    assert!(daemon.stop().status.success());
}

/// Raw, as a form sends it, and in the base64 of a login; the agent says it to a server and to standard error.
#[test]
fn a_crash_report_tells_what_happened_without_its_secret() {
    const SECRET: &str = "geheim 4711/x";
    const SPELLINGS: [&str; 4] = [SECRET, "geheim%204711%2Fx", "Z2VoZWltIDQ3MTEveA==", "geheim"];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut heard = String::new();
        listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
        heard
    });
    let house = house("", &[]);
    fs::write(house.folder().join("secret"), SECRET).unwrap();
    fs::set_permissions(house.folder().join("secret"), Permissions::from_mode(0o600)).unwrap();
    let words = format!("raw {}, percent {}, base64 {}.", SPELLINGS[0], SPELLINGS[1], SPELLINGS[2]);
    let config = format!(r#"{{ does = "talk-and-die", port = {port}, words = "{words}", secret = {{ file = "secret" }} }}"#);
    house.schedule(&format!("[[job]]\nname = \"guilty\"\nagent = \"beast\"\n{NEVER}\nconfig = {config}\n"));
    let daemon = house.start();
    assert_eq!(house.run(&["jobs", "run", "guilty"]).code, Some(1));
    assert_eq!(server.join().unwrap(), format!("LOGIN {SECRET}\r\n"), "the secret was said");
    let reports = until(LONG, || Some(reports(&house)).filter(|reports| !reports.is_empty())).expect("a report");
    let [path] = reports.as_slice() else { panic!("{reports:?}") };
    assert!(path.to_string_lossy().ends_with("-zoo-guilty.txt"), "{path:?}");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).unwrap();
    let library = format!("library:    {}\n", house.folder().join("plugins/libzoo.so").display());
    let parts = [
        "watchpost crash report\n",
        "plugin:     zoo\n",
        "job:        guilty\n",
        "agent:      beast\n",
        "it:         died of signal 6 (SIGABRT: abort)\n",
        "while:      running the job\n",
        "neighbours: 0 runs repeated, 0 lost\n",
        "host:       watchpost ",
        library.as_str(),
        "\nlast dialogue:\n",
        "  > LOGIN <secret>\n",
        "  raw <secret>, percent <secret>, base64 <secret>.\n",
    ];
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in it:\n{text}");
    }
    let digest = text.lines().find_map(|line| line.strip_prefix("sha256:     ")).unwrap();
    assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{digest}");
    let said = [house.run(&["status", "--json"]).ok(), house.run(&["events", "--json"]).ok(), daemon.log_text(), text];
    for spelling in SPELLINGS {
        assert!(said.iter().all(|said| !said.contains(spelling)), "{spelling}: {said:?}");
    }
}
