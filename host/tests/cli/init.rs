//! `init`: from nothing to a daemon that measures, and nothing that a server says does harm.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;
use watchpost_testkit::{Script, Server};

use crate::{
    harness::{House, plugin_library},
    parsed, refused, willing,
};

/// All of it takes 10 s at most, and on a busy machine a little more.
const ALL_OF_IT: Duration = Duration::from_secs(20);

/// Runs a command in a folder, told of no configuration.
fn bare(house: &House, folder: &Path, words: &[&str]) -> Output {
    bare_command(house, folder, words).output().unwrap()
}

fn bare_command(house: &House, folder: &Path, words: &[&str]) -> Command {
    let mut command = house.bare(words);
    command.current_dir(folder);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_goes_from_init_to_run_in_an_empty_folder() {
    let (house, server) = (House::new(""), willing().await);
    let folder = tempfile::tempdir().unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    let plugins = house.plugins().display().to_string();
    let words = ["init", "--host", &host, "--plugins", &plugins];
    let said = bare(&house, folder.path(), &words);
    assert!(said.status.success(), "{said:?}");
    let told = text(&said.stdout);
    assert!(told.contains(&format!("{host}  smtp     -    smtp    220 ready\n")) && told.contains("1 door open, 0 closed"), "{told}");
    assert!(told.ends_with("schedules/127.0.0.1.toml: 1 job written\nwatchpost.toml: written; next: `watchpost run`\n"), "{told}");
    let checked = bare(&house, folder.path(), &["check"]);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let job = format!("smtp@127.0.0.1-{}", server.port());
    let measured = bare(&house, folder.path(), &["measure", &job]);
    assert!(measured.status.success(), "{measured:?}");

    // What is there stays as it is.
    let files = ["watchpost.toml", "schedules/127.0.0.1.toml"].map(|file| folder.path().join(file));
    let before = files.clone().map(|file| fs::read(file).unwrap());
    let again = bare(&house, folder.path(), &words);
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("is there already; --force overwrites it"), "{again:?}");
    fs::write(&files[1], "# mine").unwrap();
    let forced = bare(&house, folder.path(), &[&words[..], &["--force"]].concat());
    assert!(forced.status.success() && text(&forced.stdout).contains("next: `watchpost check`, then `watchpost run`"), "{forced:?}");
    assert_eq!(files.map(|file| fs::read(file).unwrap()), before, "the same is written; the configuration is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_makes_it_wait_or_says_what_a_terminal_or_a_schedule_obeys() {
    let house = House::new("");
    let hostile = "220 \u{1b}[2J\u{7}evil\u{2028}[[job]]\r";
    let scripts = [
        Script::new().send(format!("{hostile}\r\n")).expect("EHLO").say("250 \u{1b}[31m"),
        Script::new().endless_line(),
        Script::new().silence(),
        Script::new().garbage(),
        Script::new().cut(),
        Script::new().say("220 mx").expect("EHLO").say("250-mx").say("250 STARTTLS").expect("STARTTLS").silence(),
    ];
    let mut servers = Vec::new();
    for script in scripts {
        servers.push(Server::start(script).await.unwrap());
    }
    let ports: Vec<String> = servers.iter().map(|server| server.port().to_string()).collect();
    let file = house.folder().join("found.toml").display().to_string();
    let begun = Instant::now();
    let said = house.run(&["init", "--host", &format!("127.0.0.1:{}", ports.join(",")), "-o", &file]);
    assert!(begun.elapsed() < ALL_OF_IT, "{:?}", begun.elapsed());
    assert_eq!(said.code, Some(0), "{said:?}");
    let written = fs::read_to_string(&file).unwrap();
    for shown in [&said.out, &said.err, &written] {
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{2028}'), "{shown:?}");
        assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown:?}");
    }
    // Two doors, and the certificate of one of them.
    assert_eq!(written.matches("\n[[job]]\n").count(), 3, "{}\n{written}", said.out);
    let (_, of_the_last) = written.rsplit_once("# TLS is offered, and ").unwrap_or_else(|| panic!("{written}"));
    assert!(of_the_last.contains("tls = \"starttls\""), "what is offered is asked for: {written}");
    fs::write(house.folder().join("jobs.toml"), &written).unwrap();
    house.run(&["check"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_are_none_are_no_reason_to_go_without_tls() {
    let house = House::new("");
    let smtp = willing().await;
    let (host, file) = (format!("127.0.0.1:{}", smtp.port()), house.folder().join("found.toml").display().to_string());
    let none = house.folder().join("none.pem");
    fs::write(&none, "no certificate").unwrap();
    for (ca_file, why) in
        [(none.as_path(), "it has no PEM certificate in it"), (house.folder(), "Is a directory"), (Path::new("/nowhere"), "No such file")]
    {
        let said = house.run(&["init", "--host", &host, "-o", &file, "--ca-file", &ca_file.display().to_string()]);
        refused(&said, 2, &["error: cannot write a schedule: cannot read authorities ", why]);
        assert!(!Path::new(&file).exists(), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_loaded_agent_measures_is_left_out_and_said() {
    let house = House::new("");
    let imap = Script::new().say("* OK ready").expect("w1 CAPABILITY").say("* CAPABILITY IMAP4rev1").say("w1 OK done");
    let (smtp, imap) = (willing().await, Server::start(imap).await.unwrap());
    let few = tempfile::tempdir().unwrap();
    fs::copy(plugin_library("smtp"), few.path().join("libwatchpost_smtp.so")).unwrap();
    let (plugins, host) = (few.path().display().to_string(), format!("127.0.0.1:{},{}", smtp.port(), imap.port()));
    let file = house.folder().join("found.toml").display().to_string();
    let init = |words: &[&str]| house.run(&[&["init", "-o", &file, "--plugins", &plugins], words].concat());
    let said: Value = parsed(&init(&["--host", &host, "--json"]).ok());
    let told =
        |at: usize| (said["doors"][at]["service"].as_str(), said["doors"][at]["agent"].as_str(), said["doors"][at]["left_out"].as_str());
    assert_eq!(told(0), (Some("smtp"), Some("smtp"), None), "{said}");
    assert_eq!(told(1), (Some("imap"), None, Some("no library carries the agent `imap`")), "{said}");
    assert!(said["config"].is_null() && said["schedule"] == file.as_str(), "{said}");

    let only = format!("127.0.0.1:{}", imap.port());
    let said = init(&["--host", &only, "--force"]);
    assert!(said.code == Some(1) && said.err.contains("nothing was found that an agent measures"), "{said:?}");
    assert!(said.out.contains(&format!("left out: {only}: no library carries the agent `imap`")), "{said:?}");
    assert!(fs::read_to_string(&file).unwrap().contains("smtp@127.0.0.1-"), "nothing was overwritten");
}

#[test]
fn what_is_no_domain_no_host_and_no_port_is_refused() {
    let house = House::new("");
    let check = |words: &[&str], part: &str| refused(&house.run(&[&["init"], words].concat()), 2, &["error: wrong usage: ", part]);
    check(&[], "  <--domain <DOMAIN>|--host <HOST[:PORT,…]>>");
    check(&["--domain", "exa mple.org"], "a domain is labels of letters");
    check(&["--domain", "a..b"], "a domain is labels of letters");
    check(&["--host", "mx1:0"], "`0` is no port");
    check(&["--host", "mx1:25,x"], "`x` is no port");
    check(&["--host", "mx1", "--port", "0"], "0 is not in 1..");
    check(&["--host", "mx1", "--resolver", "ns1"], "an address is wanted, as 192.0.2.53 or 192.0.2.53:5300");
    let many: Vec<String> = (1..=501).map(|port| port.to_string()).collect();
    refused(&house.run(&["init", "--host", &format!("127.0.0.1:{}", many.join(","))]), 2, &["501 doors are too many"]);
}
