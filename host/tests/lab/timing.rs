//! Times of phases beside what other clients clock, over a wire on which each answer takes 0.3 s: a phase has as many of those as it has
//! round trips, so that no time can hide in another phase.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{House, until},
    programs,
    servers::Lab,
    wire::Wire,
};

/// How much later an answer arrives.
const DELAY: Duration = Duration::from_millis(300);
/// How much a phase may differ from the wire, for who is late with one phase finds the next answer there already. A round trip more or
/// less is a failure: that is twice as much.
const TOLERANCE_SECONDS: f64 = 0.15;
/// A busy machine has as many tries; what is too early fails at once.
const TRIES: u32 = 8;

/// Seconds that another client clocked, and the phases of ours that make them up.
type Clocked = Vec<(f64, &'static [&'static str])>;

/// What is measured, and by whom besides.
struct Case {
    agent: &'static str,
    service: &'static str,
    config: String,
    /// Each phase, and its round trips.
    phases: &'static [(&'static str, u32)],
    /// Another client on a port.
    client: fn(&Lab, u16) -> Clocked,
}

#[test]
fn a_phase_takes_as_long_as_the_wire_and_other_clients_say() {
    let Some(lab) = Lab::up() else { return };
    if !["curl", "dig", "ldapsearch"].into_iter().all(programs::there) {
        return;
    }
    fill_the_mailbox(&lab);
    let cases = cases(&lab);
    // Side by side: most of it is waiting.
    thread::scope(|scope| cases.iter().for_each(|case| drop(scope.spawn(|| check(&lab, case)))));
}

/// Sends the probe a message, which it downloads.
fn fill_the_mailbox(lab: &Lab) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Subject: one\r\n\r\nhello\r\n").unwrap();
    let url = format!("smtp://127.0.0.1:{}", lab.port("smtp"));
    let words = ["-sS", "--max-time", "10", "--url", &url, "--mail-from", "bob@lab.test", "--mail-rcpt", "probe@lab.test", "-T"];
    programs::output_of("curl", &[&words[..], &[file.path().to_str().unwrap()]].concat());
    let folder = lab.dir.join("mail/lab.test/probe/new");
    let come = until(Duration::from_secs(30), || std::fs::read_dir(&folder).ok()?.next());
    assert!(come.is_some(), "no message comes");
}

fn cases(lab: &Lab) -> Vec<Case> {
    let login = format!("user = \"probe@lab.test\", password = {{ file = {:?} }}", lab.password_file("probe"));
    let tls = |mode: &str| format!("tls = \"{mode}\", server_name = \"mail.lab.test\", ca_file = {:?}", lab.ca_file());
    let search = "base = \"ou=people,dc=lab,dc=test\", scope = \"one\", user = \"uid=probe,ou=people,dc=lab,dc=test\"";
    vec![
        Case {
            agent: "smtp",
            service: "submission",
            config: format!("{}, {login}, from = \"probe@lab.test\", to = \"alice@lab.test\"", tls("starttls")),
            // EHLO before and after TLS; STARTTLS and the handshake; RSET and QUIT.
            phases: &[("banner", 1), ("ehlo", 2), ("tls", 2), ("authenticate", 1), ("mail", 1), ("rcpt", 1), ("quit", 2)],
            client: submission,
        },
        Case {
            agent: "pop3",
            service: "pop3s",
            config: format!("{}, {login}, auth = \"user\"", tls("implicit")),
            // USER and PASS; STAT and LIST.
            phases: &[("tls", 1), ("banner", 1), ("authenticate", 2), ("query", 2), ("download", 1), ("quit", 1)],
            client: |lab, port| curl_handshake(lab, &format!("pop3s://mail.lab.test:{port}")),
        },
        Case {
            agent: "imap",
            service: "imaps",
            config: format!("{}, {login}", tls("implicit")),
            phases: &[("tls", 1), ("banner", 1), ("authenticate", 1), ("select", 1), ("search", 1), ("download", 1), ("logout", 1)],
            client: |lab, port| curl_handshake(lab, &format!("imaps://mail.lab.test:{port}")),
        },
        Case {
            agent: "ldap",
            service: "ldap",
            config: format!("{search}, password = {{ file = {:?} }}", lab.password_file("probe")),
            phases: &[("bind", 1), ("search", 1), ("entries", 0)],
            client: directory,
        },
        Case {
            agent: "dns",
            service: "dns",
            config: "name = \"lab.test\", type = \"MX\", transport = \"tcp\"".into(),
            phases: &[("query", 1)],
            client: resolver,
        },
    ]
}

/// Measures, and asks the other client, until both are as they should be.
fn check(lab: &Lab, case: &Case) {
    let wire = Wire::to(lab.port(case.service), DELAY);
    let Case { agent, config, .. } = case;
    let config = format!("host = \"127.0.0.1\", port = {}, {config}", wire.port);
    let job = |name: &str, timeout: &str| {
        format!("[[job]]\nname = \"{name}\"\nagent = \"{agent}\"\nevery = \"1m\"\ntimeout = \"{timeout}\"\nconfig = {{ {config} }}\n\n")
    };
    let house = House::new(&(job("whole", "30s") + &job("hurried", "1s")));
    let wrong: Vec<String> = (0..TRIES)
        .map_while(|_| {
            let times = phases_of(&house);
            let differs = wrong_phases(case, &times).or_else(|| wrong_beside(&(case.client)(lab, wire.port), &times));
            differs.map(|why| format!("{why}: {times:?}"))
        })
        .collect();
    assert!(wrong.len() < TRIES as usize, "{agent}: {wrong:#?}");
    if case.phases.iter().map(|(_, trips)| trips).sum::<u32>() > 4 {
        a_slow_server_is_a_timeout(&house, case);
    }
}

/// The phases of a run that is whole.
fn phases_of(house: &House) -> BTreeMap<String, f64> {
    times(&house.run(&["measure", "whole", "--json"]).ok())
}

fn times(said: &str) -> BTreeMap<String, f64> {
    let parsed: Value = serde_json::from_str(said).unwrap();
    let samples = parsed["outcome"]["samples"].as_array().unwrap().iter();
    let times =
        samples.filter_map(|sample| Some((sample["metric"].as_str()?.strip_suffix("_time")?.to_owned(), sample["value"].as_f64()?)));
    times.collect()
}

/// Why a phase is late; one that is early is a failure at once.
fn wrong_phases(case: &Case, times: &BTreeMap<String, f64>) -> Option<String> {
    let late = case.phases.iter().filter_map(|&(phase, trips)| {
        let (time, least) = (times[phase], f64::from(trips) * DELAY.as_secs_f64());
        assert!(time > least - TOLERANCE_SECONDS, "{}: {phase} took {time} s, and the wire {least} s", case.agent);
        (time > least + TOLERANCE_SECONDS).then(|| format!("{phase} took {time} s, and the wire {least} s"))
    });
    late.reduce(|all, one| format!("{all}, {one}"))
}

fn wrong_beside(theirs: &[(f64, &[&str])], times: &BTreeMap<String, f64>) -> Option<String> {
    let differs = |(theirs, phases): &(f64, &[&str])| {
        let ours: f64 = phases.iter().map(|phase| times[*phase]).sum();
        ((ours - theirs).abs() > TOLERANCE_SECONDS).then(|| format!("{phases:?} took {ours} s, and {theirs} s by another client"))
    };
    assert!(!theirs.is_empty());
    theirs.iter().find_map(differs)
}

/// A run that may take a second knows what came within it, and no more: no phase that is cut off, no total.
fn a_slow_server_is_a_timeout(house: &House, case: &Case) {
    let said = house.run(&["measure", "hurried", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let parsed: Value = serde_json::from_str(&said.out).unwrap();
    assert!(said.out.contains("no end within 1 s"), "{parsed:#}");
    let known = times(&said.out);
    let trips = |phase: &String| case.phases.iter().find(|(name, _)| name == phase).map_or(0, |(_, trips)| *trips);
    let sum: u32 = known.keys().map(trips).sum();
    assert!(!known.contains_key("total") && sum <= 3, "{known:?}");
    // Of a phase in two parts the first may be known.
    let least = |phase| f64::from(trips(phase).min(1)) * DELAY.as_secs_f64() - TOLERANCE_SECONDS;
    known.iter().for_each(|(phase, time)| assert!(*time > least(phase), "{phase}: {time}"));
}

/// curl says NOOP: connected, and ready after greeting, both EHLO, STARTTLS, handshake and AUTH, in which it counts the NOOP's round trip.
fn submission(lab: &Lab, port: u16) -> Clocked {
    let times = curl(lab, &format!("smtp://mail.lab.test:{port}"), &["--ssl-reqd", "--sasl-ir", "-X", "NOOP"]);
    let ready: &[&str] = &["resolve", "connect", "banner", "ehlo", "tls", "authenticate"];
    vec![(times["time_connect"], &["resolve", "connect"]), (times["time_pretransfer"] - DELAY.as_secs_f64(), ready)]
}

/// curl looks into a mailbox: connected, and under TLS.
fn curl_handshake(lab: &Lab, url: &str) -> Clocked {
    let times = curl(lab, url, &[]);
    vec![(times["time_connect"], &["resolve", "connect"]), (times["time_appconnect"], &["resolve", "connect", "tls"])]
}

fn curl(lab: &Lab, url: &str, more: &[&str]) -> BTreeMap<String, f64> {
    let port = url.rsplit_once(':').unwrap().1;
    let (resolve, login) = (format!("mail.lab.test:{port}:127.0.0.1"), format!("probe@lab.test:{}", lab.password("probe")));
    let words = ["-sS", "--max-time", "20", "--cacert", lab.ca_file(), "--resolve", &resolve, "-u", &login, "-o", "/dev/null"];
    let said = programs::output_of("curl", &[&words[..], more, &["-w", "%{stdout}%{json}", url]].concat());
    let parsed: Value = serde_json::from_str(&said).unwrap();
    parsed.as_object().unwrap().iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

/// ldapsearch as a whole: its own start and end are in what we grant.
fn directory(lab: &Lab, port: u16) -> Clocked {
    let (url, person) = (format!("ldap://127.0.0.1:{port}"), "uid=probe,ou=people,dc=lab,dc=test");
    let begun = Instant::now();
    let password = lab.password("probe");
    let words = ["-x", "-H", &url, "-D", person, "-w", &password, "-s", "one", "-b", "ou=people,dc=lab,dc=test", "dn"];
    let found = programs::output_of("ldapsearch", &words);
    assert!(found.contains("uid=probe"), "{found}");
    vec![(begun.elapsed().as_secs_f64(), &["total"])]
}

/// dig clocks the question, not the connection.
fn resolver(_: &Lab, port: u16) -> Clocked {
    let said = programs::output_of("dig", &["+tcp", "@127.0.0.1", "-p", &port.to_string(), "lab.test", "MX"]);
    let time = said.split_once(";; Query time: ").unwrap().1.split_once(" msec").unwrap().0;
    vec![(time.parse::<f64>().unwrap() / 1000.0, &["query"])]
}
