//! `measure --agent`: whoever has the programs and a library needs no file at all.

use std::{fs, process::Stdio};

use watchpost_testkit::{Script, Server};

use crate::{
    harness::{House, Said},
    parsed, refused, willing,
};

/// Runs a command of a house in an empty folder, without its configuration.
fn without_configuration(house: &House, words: &[&str]) -> Said {
    let empty = tempfile::tempdir().unwrap();
    let mut command = house.bare(words);
    let output = command.current_dir(&empty).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_measures_without_any_configuration() {
    let (house, server) = (House::new(""), willing().await);
    let port = format!("port={}", server.port());
    let measure = ["measure", "--agent", "smtp", "--set", "host=127.0.0.1", "--set", &port];
    // The libraries lie in the folder `plugins` beside the program.
    let said = without_configuration(&house, &measure);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.starts_with(&format!("smtp: ok: 127.0.0.1:{} in ", server.port())), "{said:?}");
    assert!(without_configuration(&house, &["agents"]).ok().contains("\nsmtp "));

    let elsewhere = house.folder().join("elsewhere");
    fs::rename(house.plugins(), &elsewhere).unwrap();
    let gone = without_configuration(&house, &measure);
    refused(&Said { err: after_warnings(&gone), ..gone }, 2, &["no library carries \"smtp\""]);
    let named = elsewhere.display().to_string();
    let said = without_configuration(&house, &[&measure as &[&str], &["--plugins", &named]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(without_configuration(&house, &["agents", "smtp", "--plugins", &named]).ok().starts_with("smtp: "));
}

/// What is said after where was looked.
fn after_warnings(said: &Said) -> String {
    let (warnings, rest): (Vec<&str>, Vec<&str>) = said.err.lines().partition(|line| line.starts_with("warning: "));
    assert!(warnings.iter().any(|line| line.contains("no agents: ") && line.contains("searched")), "{warnings:?}");
    rest.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_fault_is_measured_whatever_is_wrong_with_others() {
    let server = willing().await;
    let house = House::new(&(crate::job("fine", "every = \"5s\"", server.port()) + &crate::job("wrong", "every = \"0s\"", 1)));
    assert!(house.run(&["measure", "fine"]).ok().starts_with("fine: ok"));
    refused(&house.run(&["measure", "wrong"]), 2, &["\"0s\""]);
    assert!(
        house
            .run(&["measure", "--agent", "smtp", "--set", "host=127.0.0.1", "--set", &format!("port={}", server.port())])
            .ok()
            .contains("ok")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_texts_numbers_flags_and_tables_and_a_secret_shows_nowhere() {
    let script = Script::new().say("220 ready").expect("EHLO").say("250-here\n250 AUTH PLAIN").expect("AUTH PLAIN").say("235 welcome");
    let script =
        script.expect("MAIL").say("250 ok").expect("RCPT").say("250 ok").expect("RSET").say("250 ok").expect("QUIT").say("221 bye");
    let server = Server::start(script).await.unwrap();
    let house = House::new("");
    let port = format!("port={}", server.port());
    let sets = ["host=127.0.0.1", &port, "user=probe", "submit=false", "from=a@example.org", "to=b@example.org"];
    let measure = |password: &str| {
        let sets = sets.iter().copied().chain([password]).flat_map(|set| ["--set", set]);
        house.run(&["measure", "--agent", "smtp", "--explain"].into_iter().chain(sets).collect::<Vec<_>>())
    };
    // In plain sight of whoever lists processes: that is a warning.
    let plain = measure("password=geheim-17");
    assert_eq!(plain.code, Some(0), "{plain:?}");
    assert!(plain.err.starts_with("warning: `password`: a secret in plain sight\n  --> --set:7:"), "{plain:?}");
    assert!(plain.out.contains("AUTH PLAIN <secret>") && plain.out.contains("--> MAIL"), "{plain:?}");
    assert!(!plain.out.contains("a scheduled run would store at"), "it is in no schedule: {plain:?}");

    crate::write_secret(&house.folder().join("secret"), "geheim-17");
    let secret = format!("password.file={}", house.folder().join("secret").display());
    let from_file = measure(&secret);
    assert_eq!((from_file.code, from_file.err.as_str()), (Some(0), ""), "{from_file:?}");
    for said in [plain, from_file] {
        // geheim-17, and `\0probe\0geheim-17` in base64.
        assert!(!said.out.contains("geheim") && !format!("{said:?}").contains("AHByb2JlAGdlaGVpbS0xNw"), "{said:?}");
    }
    let wrong = house.run(&["measure", "--agent", "smtp", "--set", "host=a", "--set", "port=many", "--set", "password.flie=x"]);
    refused(&wrong, 2, &["--> --set:2:6", "`port`: a text where a whole number belongs", "--> --set:3:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_with_labels_are_shown_as_the_series_that_they_are() {
    let server = willing().await;
    let house = House::new(&crate::job("often", "every = \"1h\"\nsamples = 2", server.port()));
    let measured = house.run(&["measure", "often"]).ok();
    let explained = house.run(&["measure", "often", "--explain"]).ok();
    let _daemon = house.start();
    let ran = house.run(&["jobs", "run", "often"]).ok();
    for said in [&measured, &explained, &ran] {
        assert!(said.contains("\n  connect_time{q=\"0.95\"} = 0."), "{said}");
        assert!(said.contains("\n  loss = 0\n"), "{said}");
    }
    assert!(explained.contains("\nconnect_time{q=\"0.5\"} "), "a bar for each: {explained}");
    let status = parsed(&house.run(&["status", "--json"]).ok());
    let series = status["jobs"][0]["values"].as_object().unwrap().keys().find(|series| series.contains("q=\"0.5\"")).cloned();
    let series = series.unwrap_or_else(|| panic!("{status}"));
    // What is shown selects itself.
    assert!(house.run(&["fetch", &series, "--format", "json", "--to", "now+2h"]).ok().contains("\"q\":\"0.5\""), "{series}");
}
