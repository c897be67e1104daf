//! `measure`: one run here and now, nothing stored.

use watchpost_testkit::{Script, Server};

use crate::{
    harness::{House, Said},
    json, refused, willing,
};

/// A password that looks otherwise in each of the ways in which it could show.
const PASSWORD: &str = "s3 cr&t/ü%";
/// All of them: as it is, AUTH PLAIN's base64 of `\0probe\0…`, AUTH LOGIN's, and percent-encoded.
const FORMS: [&str; 4] = [PASSWORD, "AHByb2JlAHMzIGNyJnQvw7wl", "czMgY3ImdC/DvCU=", "s3%20cr%26t%2F%C3%BC%25"];

/// A server that takes a login by this mechanism, and repeats what it was told.
async fn server(mechanism: &str) -> Server {
    let hello = Script::new().say("220 ready").expect("EHLO").say(&format!("250-here\n250 AUTH {mechanism}"));
    let login = match mechanism {
        "PLAIN" => Script::new().expect("AUTH PLAIN").say(&format!("235 welcome, you said {} or {PASSWORD}", FORMS[1])),
        _ => Script::new()
            .expect("AUTH LOGIN")
            .say("334 VXNlcm5hbWU6")
            .expect("")
            .say("334 UGFzc3dvcmQ6")
            .expect(FORMS[2])
            .say("235 welcome"),
    };
    Server::start(hello.then(login).expect("QUIT").say("221 bye")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explained_run_never_shows_the_password_whatever_the_server_says_back() {
    for mechanism in ["PLAIN", "LOGIN"] {
        let server = server(mechanism).await;
        let house = House::new(&format!(
            "[[job]]\nname = \"login\"\nagent = \"smtp\"\nevery = \"5s\"\nconfig = {{ host = \"127.0.0.1\", port = {}, user = \"probe\", \
             password = {{ file = \"secret\" }} }}\n",
            server.port()
        ));
        crate::write_secret(&house.folder().join("secret"), PASSWORD);
        for words in [&["measure", "login", "--explain"] as &[&str], &["measure", "login", "--json"], &["measure", "login"]] {
            let said = house.run(words);
            assert_eq!(said.code, Some(0), "{said:?}");
            let all = format!("{}{}", said.out, said.err);
            assert!(FORMS.iter().all(|form| !all.contains(form)), "{mechanism}: {all}");
        }
        let said = house.run(&["measure", "login", "--explain"]).ok();
        let steps =
            ["<-- 220 ready", "--> EHLO", "--> AUTH", "<-- 235 welcome", "--> QUIT", "status: ok", "\n  up = 1\n", "nothing was stored"];
        let mut rest = said.as_str();
        for step in steps {
            rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} at its place in:\n{said}")).1;
        }
        assert!(!house.data().join("journal").exists(), "a measurement leaves nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nagios_gets_its_verdict_its_line_and_its_figures() {
    let (house, server) = (House::new(""), willing().await);
    let check = |sets: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        house.run(&["measure", "--agent", "smtp"].into_iter().chain(sets).chain(["--as-check"]).collect::<Vec<_>>())
    };
    let port = format!("port={}", server.port());
    let ok = check(&["host=127.0.0.1", &port]);
    verdict(&ok, 0, &format!("WATCHPOST OK - 127.0.0.1:{}: answered in ", server.port()));
    let figures = ok.out.trim().split_once(" | ").expect("figures follow").1.split(' ');
    for figure in figures {
        let (name, value) = figure.split_once('=').unwrap();
        assert!(name.ends_with("_time") && value.strip_suffix('s').is_some_and(|seconds| seconds.parse::<f64>().is_ok()), "{figure}");
    }
    drop(server);
    verdict(&check(&["host=127.0.0.1", &port]), 2, "WATCHPOST CRITICAL - 127.0.0.1:");
    verdict(&check(&[&port]), 3, "WATCHPOST UNKNOWN - `host`: missing");
    verdict(&house.run(&["measure", "never", "--as-check"]), 3, "WATCHPOST UNKNOWN - cannot measure job `never`: no job is called so");
    // Wrong usage is no verdict on the target either.
    verdict(&house.run(&["measure", "--as-check"]), 3, "WATCHPOST UNKNOWN - wrong usage");
}

/// One line for Nagios.
fn verdict(said: &Said, code: i32, begins: &str) {
    assert_eq!(said.code, Some(code), "{said:?}");
    assert!(said.out.starts_with(begins) && said.out.lines().count() == 1, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_is_told_with_its_kind_and_exits_1() {
    let server = Server::start(Script::new().say("554 go away")).await.unwrap();
    let house = House::new(&crate::job("relay", "every = \"5s\"", server.port()));
    let said = house.run(&["measure", "relay"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.starts_with(&format!("relay: failed: 127.0.0.1:{}: protocol: ", server.port())), "{said:?}");
    let answer = house.run(&["measure", "relay", "--json"]);
    assert_eq!((answer.code, &crate::parsed(&answer.out)["up"]), (Some(1), &0.0.into()), "{answer:?}");
}

#[test]
fn what_cannot_be_measured_is_wrong_usage() {
    let house = House::new(&crate::job("relay", "every = \"5s\"", 25));
    refused(&house.run(&["measure", "never"]), 2, &["error: cannot measure job `never`: no job is called so"]);
    refused(&house.run(&["measure", "--agent", "pop", "--set", "host=a"]), 2, &["\"pop\"", "did you mean `pop3`?"]);
    refused(&house.run(&["measure", "--agent", "smtp", "--set", "hots=a"]), 2, &["`hots`", "did you mean `host`?"]);
    assert_eq!(json(&house, &["plan", "-n", "1"])[0]["job"], "relay");
}
