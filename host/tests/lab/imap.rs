//! A mailbox of Dovecot's as the agent `imap` measures it, beside what curl says of the same mailbox.

use std::{collections::BTreeMap, thread::sleep, time::Duration};

use crate::{
    demo::Demo,
    harness::{Said, until},
    programs,
};

/// How long Postfix and Dovecot may take to put a message into its mailbox.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// What nobody may see of a message.
const TEXT: &str = "Mirabelle-1761";
/// Whose mailbox gets messages in one story only.
const BOB: &str = "bob";
const ALICE: &str = "alice";
/// Phases of a session that has everything but TLS.
const PHASES: [&str; 8] = ["resolve", "connect", "banner", "authenticate", "select", "search", "download", "logout"];

#[test]
fn a_mailbox_is_measured_as_it_is_and_left_as_it_was() {
    let Some(demo) = Demo::shared() else { return };
    if !programs::there("curl") {
        return;
    }
    deliver(&demo, BOB);
    deliver(&demo, BOB);
    let flags = asked(&demo, BOB, "FETCH 1:* (UID FLAGS)");
    let (all, unseen) = (found(&demo, BOB, "SEARCH ALL"), found(&demo, BOB, "SEARCH UNSEEN"));
    let size = asked(&demo, BOB, &format!("FETCH {all} RFC822.SIZE"));
    let size: f64 = size.split_once("RFC822.SIZE ").unwrap().1.trim_end_matches([')', '\r', '\n']).parse().unwrap();
    for keys in [&["tls=none", "auth=login"][..], &["tls=starttls"], &["tls=implicit", "auth=plain"], &["tls=implicit", "select=true"]] {
        let samples = samples(&measured(&demo, BOB, keys, &["--json"]));
        let figures = ["mailbox_size", "search_found", "download_bytes"].map(|figure| samples[figure]);
        assert_eq!(figures, [all as f64, unseen as f64, size], "{keys:?}");
        let tls = samples.get("tls_time").map(|seconds| nanos(*seconds));
        assert_eq!(tls.is_some(), keys[0] != "tls=none", "{keys:?}");
        let sum: u64 = PHASES.iter().map(|phase| nanos(samples[&format!("{phase}_time")])).sum();
        assert_eq!(nanos(samples["total_time"]), sum + tls.unwrap_or(0), "{keys:?}: {samples:?}");
    }
    assert_eq!(asked(&demo, BOB, "FETCH 1:* (UID FLAGS)"), flags, "a flag was set");
}

#[test]
fn a_part_of_one_message_is_downloaded_and_none_of_its_text_is_shown() {
    let Some(demo) = Demo::shared() else { return };
    if !programs::there("curl") {
        return;
    }
    deliver(&demo, ALICE);
    let said = measured(&demo, ALICE, &["tls=starttls", "uid=1", "download_max=400", "search=ALL"], &["--explain"]).ok();
    let steps = ["--> w1 STARTTLS", "--> w2 CAPABILITY", "--> w3 AUTHENTICATE PLAIN <secret>", "--> w4 EXAMINE \"INBOX\""];
    let steps = steps.into_iter().chain(["--> w5 SEARCH RETURN (COUNT) ALL", "--> w6 UID FETCH 1 BODY.PEEK[]<0.400>"]);
    let mut rest = said.as_str();
    for step in steps.chain(["FETCH, 400 bytes", "<-- w6 OK", "--> w7 LOGOUT", "<-- w7 OK", "status: ok", "  download_bytes = 400\n"]) {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} at its place in:\n{said}")).1;
    }
    let whole = measured(&demo, ALICE, &["tls=implicit", "uid=1"], &["--explain"]).ok();
    for said in [said, whole] {
        assert!(!said.contains(TEXT) && !said.contains(&demo.lab.password(ALICE)), "{said}");
    }
}

#[test]
fn a_wrong_password_and_a_mailbox_that_is_not_there_are_told_apart() {
    let Some(demo) = Demo::shared() else { return };
    let check = |keys: &[&str], message: &str| {
        let said = measured(&demo, BOB, keys, &[]);
        assert!(said.code == Some(1) && said.out.contains(message), "{said:?}");
        assert!(!said.out.contains("total_time") && said.out.contains("banner_time"), "{said:?}");
    };
    let refused = "the server answered NO [AUTHENTICATIONFAILED]";
    check(&["tls=implicit", "password=wrong"], &format!("auth: AUTHENTICATE PLAIN: {refused}"));
    check(&["tls=implicit", "auth=login", "password=wrong"], &format!("auth: LOGIN: {refused}"));
    check(&["tls=implicit", "auth=login", "user=pröbe@lab.test"], &format!("auth: LOGIN: {refused}"));
    check(&["tls=implicit", "auth=xoauth2"], "auth: the server offers no AUTHENTICATE XOAUTH2");
    check(&["tls=implicit", "mailbox=Entwürfe & mehr"], "protocol: EXAMINE: the server answered NO Mailbox doesn't exist: Entwürfe & mehr");
    check(&["tls=implicit", "uid=4000000000"], "protocol: UID FETCH: there is no message with UID 4000000000");
    check(&["tls=implicit", "search=BADLY (PUT"], "protocol: SEARCH: the server answered BAD ");
    check(&["tls=starttls", "server_name=other.test"], "tls: the certificate ");
}

/// Measures the mailbox of a user with these keys besides.
fn measured(demo: &Demo, user: &str, keys: &[&str], words: &[&str]) -> Said {
    let port = demo.lab.port(if keys[0] == "tls=implicit" { "imaps" } else { "imap" });
    let ca = demo.lab.dir.join("ca/ca.pem");
    let given = |key: &str| keys.iter().any(|pair| pair.starts_with(&format!("{key}=")));
    let usual = [
        ("host", "127.0.0.1".into()),
        ("port", port.to_string()),
        ("server_name", "mail.lab.test".into()),
        ("ca_file", ca.display().to_string()),
        ("user", format!("{user}@lab.test")),
        ("password", demo.lab.password(user)),
    ];
    let mut all: Vec<String> = ["measure", "--agent", "imap"].map(str::to_owned).into();
    let usual = usual.iter().filter(|(key, _)| !given(key)).map(|(key, value)| format!("{key}={value}"));
    all.extend(keys.iter().map(|&pair| pair.to_owned()).chain(usual).flat_map(|pair| ["--set".to_owned(), pair]));
    all.extend(words.iter().map(|&word| word.to_owned()));
    demo.house.run(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn samples(said: &Said) -> BTreeMap<String, f64> {
    assert_eq!(said.code, Some(0), "{said:?}");
    let parsed: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let samples = parsed["outcome"]["samples"].as_array().unwrap().iter();
    samples.map(|sample| (sample["metric"].as_str().unwrap().to_owned(), sample["value"].as_f64().unwrap())).collect()
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// Sends a user a message, and waits until it is there.
fn deliver(demo: &Demo, user: &str) {
    let before = found(demo, user, "SEARCH ALL");
    let file = demo.house.folder().join(format!("for-{user}.eml"));
    let text = format!("From: <probe@lab.test>\r\nTo: <{user}@lab.test>\r\nSubject: {TEXT}\r\n\r\n{}", format!("{TEXT}\r\n").repeat(100));
    std::fs::write(&file, text).unwrap();
    let (url, to) = (format!("smtp://127.0.0.1:{}", demo.lab.port("smtp")), format!("{user}@lab.test"));
    let words = ["-sS", "--max-time", "10", "--url", &url, "--mail-from", "probe@lab.test", "--mail-rcpt", &to, "-T"];
    programs::output_of("curl", &[&words[..], &[file.to_str().unwrap()]].concat());
    let come = until(DELIVERY_TIMEOUT, || {
        sleep(Duration::from_millis(50));
        (found(demo, user, "SEARCH ALL") > before).then_some(())
    });
    assert!(come.is_some(), "no message comes");
}

fn found(demo: &Demo, user: &str, search: &str) -> usize {
    let found = asked(demo, user, search);
    found.trim().strip_prefix("* SEARCH").unwrap_or_else(|| panic!("{found}")).split_whitespace().count()
}

/// What Dovecot answers curl of a user's mailbox.
fn asked(demo: &Demo, user: &str, command: &str) -> String {
    let (inbox, login) =
        (format!("imap://127.0.0.1:{}/INBOX", demo.lab.port("imap")), format!("{user}@lab.test:{}", demo.lab.password(user)));
    programs::output_of("curl", &["-sS", "--max-time", "10", &inbox, "-u", &login, "-X", command])
}
