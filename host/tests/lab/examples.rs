//! The agents to copy of `examples/`, each built as its README says and run by the job beside it, against real servers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{harness::House, programs, servers::Lab, watch::Watch};

/// How long all of them may take until their values are there.
const RUNS_TIMEOUT: Duration = Duration::from_secs(60);

/// A folder of `examples/`.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("examples").join(name)
}

/// The job beside an example, with some of its words replaced; each of them has to be there.
fn sample(example: &Path, replaced: &[(&str, &str)]) -> String {
    let text = fs::read_to_string(example.join("sample.toml")).unwrap();
    [("\"1m\"", "\"2s\"")].iter().chain(replaced).fold(text, |text, (from, to)| {
        assert!(text.contains(from), "no {from} in the sample of {}", example.display());
        text.replace(from, to)
    })
}

#[test]
fn every_example_is_built_and_measures_a_real_server() {
    if !["python3", "curl"].into_iter().all(programs::there) {
        return;
    }
    let library = build(&example("rust/lmtp"));
    let Some(lab) = Lab::up() else { return };
    let unseen = fill_the_mailbox(&lab);
    let watch = start(lab, &library);

    let of = |family: &str, job: &str| -> Option<f64> { watch.scrape().value(family, job).map(|value| value.parse().unwrap()) };
    let wait = |family: &str, job: &str, such: &dyn Fn(f64) -> bool| {
        watch.wait_for(&format!("{family} of {job} is {:?}", of(family, job)), RUNS_TIMEOUT, |scrape| {
            scrape.value(family, job).is_some_and(|value| such(value.parse().unwrap()))
        });
    };
    wait("watchpost_rcpt_time_seconds", "store", &|time| time > 0.0);
    let used = used(&watch.lab.dir);
    wait("watchpost_exec_space_used_ratio", "mailspace", &|ratio| (ratio - used).abs() < 0.05);
    wait("watchpost_exec_space_free_bytes", "mailspace", &|bytes| bytes > 0.0);
    wait("watchpost_exec_unseen", "idle", &|messages| messages == unseen);
    wait("watchpost_exec_noop_time_seconds", "idle", &|time| time > 0.0 && time < 5.0);
    // It stays open from run to run: it gets older than the time between two.
    wait("watchpost_exec_session_age_seconds", "idle", &|age| age > 2.5);
    assert_eq!(of("watchpost_exec_program_starts_total", "idle"), Some(1.0));

    // A session that breaks is told, and opened again.
    watch.lab.stop("dovecot");
    watch.wait_for_up("store", "0", RUNS_TIMEOUT);
    watch.wait_for_up("idle", "0", RUNS_TIMEOUT);
    watch.lab.start("dovecot");
    for job in ["store", "mailspace", "idle"] {
        watch.wait_for_up(job, "1", RUNS_TIMEOUT);
    }
    let events = watch.json(&["events", "--job", "idle"]);
    assert!(events.to_string().contains("session_broken"), "{events}");
    assert_eq!(of("watchpost_exec_program_starts_total", "idle"), Some(1.0), "the script itself went on");
    let password = watch.lab.password("alice");
    assert!(!watch.daemon.log_text().contains(&password) && !events.to_string().contains(&password));
}

/// Starts a daemon that has the example's library among its own, and runs all three jobs.
fn start(lab: Lab, library: &Path) -> Watch {
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    let (shell, python) = (example("shell/mailspace"), example("python/idle"));
    let (lmtp, imap) = (lab.port("lmtp").to_string(), lab.port("imap").to_string());
    let folder = quoted(&lab.dir);
    let schedule = [
        sample(&example("rust/lmtp"), &[("2524", &lmtp)]),
        sample(&shell, &[("\"mailspace.sh\"", &quoted(&shell.join("mailspace.sh"))), ("\"/var/spool\", \"/var/mail\"", &folder)]),
        sample(
            &python,
            &[
                ("\"idle.py\"", &quoted(&python.join("idle.py"))),
                ("2543", &imap),
                ("\"../../../target/lab/secrets/alice\"", &format!("{:?}", lab.password_file("alice"))),
            ],
        ),
    ];
    let house = House::new(&schedule.concat());
    fs::copy(library, house.plugins().join("liblmtp.so")).unwrap();
    Watch { daemon: house.start(), house, lab }
}

/// Builds an example outside the sources, with the versions that the workspace has; what it depends on stays built.
fn build(example: &Path) -> PathBuf {
    let workspace = example.ancestors().nth(3).unwrap();
    let ours = std::env::current_exe().unwrap();
    let target = ours.ancestors().nth(3).expect("tests are built into target/PROFILE/deps").join("own-agent");
    let copy = target.join("examples").join(example.file_name().unwrap());
    fs::create_dir_all(copy.join("src")).unwrap();
    fs::copy(workspace.join("Cargo.lock"), copy.join("Cargo.lock")).unwrap();
    fs::copy(example.join("src/lib.rs"), copy.join("src/lib.rs")).unwrap();
    let manifest = fs::read_to_string(example.join("Cargo.toml")).unwrap();
    let api = workspace.join("plugin-api");
    assert!(manifest.contains("\"../../../plugin-api\""), "{manifest}");
    fs::write(copy.join("Cargo.toml"), manifest.replace("../../../plugin-api", api.to_str().unwrap())).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--offline", "--target-dir"]).arg(&target).current_dir(&copy);
    let output = cargo.env_remove("CARGO_TARGET_DIR").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("release/liblmtp.so")
}

/// Sends alice a message; gives how many she has not read then, as curl counts them.
fn fill_the_mailbox(lab: &Lab) -> f64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "Subject: one\r\n\r\nhello\r\n").unwrap();
    let url = format!("smtp://127.0.0.1:{}", lab.port("smtp"));
    let words = ["-sS", "--max-time", "10", "--url", &url, "--mail-from", "bob@lab.test", "--mail-rcpt", "alice@lab.test", "-T"];
    programs::output_of("curl", &[&words[..], &[file.path().to_str().unwrap()]].concat());
    let inbox = format!("imap://127.0.0.1:{}/INBOX", lab.port("imap"));
    let login = format!("alice@lab.test:{}", lab.password("alice"));
    let unseen = crate::harness::until(RUNS_TIMEOUT, || {
        let said = programs::run("curl", &["-sS", "--max-time", "10", "-u", &login, "--url", &inbox, "-X", "SEARCH UNSEEN"]);
        let text = String::from_utf8(said.stdout).unwrap();
        let found = text.trim().strip_prefix("* SEARCH")?.split_whitespace().count();
        (found > 0).then_some(found)
    });
    unseen.expect("no message comes") as f64
}

/// The part of a file system that is taken, as the kernel counts it.
fn used(folder: &Path) -> f64 {
    let facts = rustix::fs::statvfs(folder).unwrap();
    let taken = facts.f_blocks - facts.f_bfree;
    taken as f64 / (taken + facts.f_bavail) as f64
}
