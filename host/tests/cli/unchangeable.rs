//! What a reload cannot take, and which daemon is asked when the configuration says otherwise than when that was started.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use crate::{
    harness::{House, Said, plugin_library, until},
    job, refused, willing,
};

/// Changes a line of the main file.
fn main_file(house: &House, change: impl FnOnce(String) -> String) {
    let file = house.folder().join("watchpost.toml");
    fs::write(&file, change(fs::read_to_string(&file).unwrap())).unwrap();
}

fn names(house: &House) -> Vec<String> {
    let jobs = crate::json(house, &["jobs"]);
    jobs.as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_listen_is_a_fault_of_the_reload_and_nothing_changes() {
    let server = willing().await;
    let house = House::new(&job("one", "every = \"1h\"", server.port()));
    let daemon = house.start();
    let main = house.folder().join("watchpost.toml").display().to_string();
    house.schedule(&(job("one", "every = \"1h\"", server.port()) + &job("two", "every = \"1h\"", server.port())));
    main_file(&house, |text| text.replace("127.0.0.1:0", "127.0.0.1:9"));
    let parts = [
        "`listen`: it cannot change from 127.0.0.1:0 while the daemon runs",
        &format!("--> {main}:1:10"),
        "restart watchpost to listen elsewhere",
    ];
    refused(&house.run(&["reload"]), 2, &parts);
    assert_eq!(names(&house), ["one"]);
    // The daemon is still reached, and says where it listens, whatever the file says.
    let status = house.run(&["status"]).ok();
    assert!(status.contains(&format!("\nhttp://{}/  data ", daemon.listen())), "{status}");
    assert_eq!(crate::json(&house, &["status"])["host"]["listen"], daemon.listen().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_started_on_another_data_folder_is_found_and_says_so() {
    let server = willing().await;
    let house = House::new(&job("one", "every = \"1h\"", server.port()));
    let daemon = house.start();
    let old = house.data();
    main_file(&house, |text| format!("data = \"elsewhere\"\n{text}"));
    let note = format!(
        "note: `data` is {} now; process {} was started on {} and is asked there\n",
        house.folder().join("elsewhere").display(),
        daemon.pid(),
        old.display()
    );
    let asked = |words: &[&str]| {
        let Said { code, out, err } = house.run(words);
        let err = err.strip_prefix(&note).unwrap_or_else(|| panic!("no {note:?} before {err:?}")).to_owned();
        Said { code, out, err }
    };
    refused(
        &asked(&["reload"]),
        2,
        &[&format!("error: `data`: it cannot change from {} while the daemon runs", old.display()), "restart watchpost to move it"],
    );
    assert!(asked(&["status"]).ok().contains(&format!("  data {}\n", old.display())));
    assert!(asked(&["jobs", "run", "one"]).ok().starts_with("one: ok in "));
    assert!(asked(&["fetch", "up", "--to", "now+2h"]).ok().starts_with("time,"));
    assert!(!house.folder().join("elsewhere").exists(), "asking makes no folder");
    assert!(daemon.stop().status.success());
    refused(&house.run(&["status"]), 1, &[&format!("no daemon runs on {}; start", house.folder().join("elsewhere").display())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_another_file_says_which_file_it_read() {
    let house = House::new("");
    let _daemon = house.start();
    let (main, copy) = (house.folder().join("watchpost.toml"), house.folder().join("copy.toml"));
    fs::copy(&main, &copy).unwrap();
    let mut command = house.bare(&["reload", "--config"]);
    let output = command.arg(&copy).current_dir("/").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let note = format!("note: the daemon was started with {}, and has read that\n", main.display());
    assert!(output.status.success() && said.starts_with(&note), "{said}");
    assert!(!house.run(&["reload"]).err.contains("note: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_tells_which_libraries_came_went_changed_and_were_refused() {
    let server = willing().await;
    let house = House::new(&job("one", "every = \"1h\"", server.port()));
    let own = house.folder().join("own");
    let library = own.join("libwatchpost_dns.so");
    // One that is there before and goes, one that comes, one that changes, and one that is none.
    fs::create_dir(&own).unwrap();
    let take = |agent: &str, to: &Path| fs::copy(plugin_library(agent), to).map(drop).unwrap();
    let beside = |name: &str| house.plugins().join(name);
    fs::remove_file(beside("libwatchpost_dns.so")).unwrap();
    let _daemon = house.start();
    take("dns", &library);
    take("smtp", &house.folder().join("new"));
    // Within a second from here on, or the daemon sees it for itself.
    fs::remove_file(beside("libwatchpost_pop3.so")).unwrap();
    fs::rename(house.folder().join("new"), beside("libwatchpost_smtp.so")).unwrap();
    fs::write(beside("libnone.so"), "text").unwrap();
    let plugins = house.plugins().display().to_string();
    main_file(&house, |text| text.replace(&format!("[{plugins:?}]"), &format!("[{plugins:?}, \"own\"]")));

    let answer = crate::json(&house, &["reload"]);
    let shown = |path: &Path| json!([path.display().to_string()]);
    assert_eq!(answer["loaded"], shown(&library), "{answer}");
    assert_eq!(answer["unloaded"], shown(&beside("libwatchpost_pop3.so")), "{answer}");
    assert_eq!(answer["outdated"], shown(&beside("libwatchpost_smtp.so")), "{answer}");
    assert_eq!(answer["refused"][0][0], beside("libnone.so").display().to_string(), "{answer}");
    assert_eq!((&answer["unchanged"], &answer["added"]), (&1.into(), &0.into()), "{answer}");

    let said = house.run(&["reload"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "reloaded: jobs: 0 added, 0 changed, 0 removed, 1 unchanged\n"),
        "nothing new: {said:?}"
    );
    assert!(said.err.contains("warning: not loaded: "), "{said:?}");
    let listed = || crate::json(&house, &["plugins"])["plugins"].to_string();
    fs::remove_file(&library).unwrap();
    house.run(&["reload"]).ok();
    assert!(!listed().contains("own/libwatchpost_dns.so"), "{}", listed());
    take("dns", &library);
    house.run(&["reload"]).ok();
    assert!(listed().contains("own/libwatchpost_dns.so"), "{}", listed());
    // The one that changed takes over by itself, once its file is at rest.
    let took_over = || listed().contains("took over").then_some(());
    until(Duration::from_secs(30), took_over).unwrap_or_else(|| panic!("{}", listed()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_a_job_needs_cannot_go() {
    let server = willing().await;
    let house = House::new(&job("one", "every = \"1h\"", server.port()));
    let _daemon = house.start();
    fs::remove_file(house.plugins().join("libwatchpost_smtp.so")).unwrap();
    refused(&house.run(&["reload"]), 2, &["`agent`: no library carries \"smtp\""]);
    assert!(house.run(&["jobs", "run", "one"]).ok().starts_with("one: ok in "), "it runs on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_tells_its_warnings_to_who_asked() {
    let server = willing().await;
    let house = House::new("");
    let _daemon = house.start();
    let login = job("login", "every = \"1h\"", server.port()).replace("port", "user = \"a\", password = \"geheim-17\", port");
    house.schedule(&login);
    let said = house.run(&["reload"]);
    assert!(
        said.out.starts_with("reloaded: jobs: 1 added") && said.err.starts_with("warning: `password`: a secret in plain sight\n"),
        "{said:?}"
    );
    assert!(!format!("{said:?}").contains("geheim-17"), "{said:?}");
}
