//! BIND: queries by outcome, as JSON and as XML, beside what `rndc stats` writes down.

use std::{collections::BTreeMap, fs};

use super::{Counting, job};
use crate::{programs, servers::Lab};

/// Both forms of the same figures.
const FORMS: [&str; 2] = ["bind-json", "bind-xml"];

pub(super) fn jobs(lab: &Lab) -> String {
    let url = |path: &str| format!("source = \"bind\", url = \"http://127.0.0.1:{}/{path}/server\"", lab.port("dns_stats"));
    job("bind-json", "serverstats", &url("json/v1")) + &job("bind-xml", "serverstats", &url("xml/v3"))
}

/// What the dump calls each figure, in which section.
const DUMPED: [(&str, &str, &str); 7] = [
    ("queries", "Incoming Requests", "QUERY"),
    ("queries_succeeded", "Name Server Statistics", "queries resulted in successful answer"),
    ("queries_failed", "Outgoing Rcodes", "SERVFAIL"),
    ("queries_failed", "Outgoing Rcodes", "REFUSED"),
    ("query_errors/servfail", "Outgoing Rcodes", "SERVFAIL"),
    ("query_errors/refused", "Outgoing Rcodes", "REFUSED"),
    ("query_errors/formerr", "Outgoing Rcodes", "FORMERR"),
];

/// Figures as `rndc stats` writes them down: below `++ Incoming Requests ++` stands `                  15 QUERY`.
fn dumped(lab: &Lab) -> BTreeMap<&'static str, f64> {
    let (file, config) = (lab.dir.join("named/statistics"), lab.dir.join("named/rndc.conf"));
    fs::remove_file(&file).ok(); // each dump is put behind the last
    programs::output_of("rndc", &["-c", config.to_str().unwrap(), "stats"]);
    let dump = fs::read_to_string(&file).unwrap();
    let of = |section: &str, name: &str| -> f64 {
        let (_, below) = dump.split_once(&format!("++ {section} ++\n")).unwrap_or_else(|| panic!("no {section}: {dump}"));
        let mut lines = below.lines().take_while(|line| !line.starts_with("++"));
        // What was never counted has no line.
        lines.find_map(|line| line.trim().strip_suffix(name)?.trim().parse().ok()).unwrap_or(0.0)
    };
    let mut figures = BTreeMap::new();
    DUMPED.iter().for_each(|(figure, section, name)| *figures.entry(*figure).or_default() += of(section, name));
    figures
}

#[test]
fn bind_counts_every_query_by_its_outcome_and_a_restarted_one_begins_anew() {
    let Some(counting) = Counting::start() else { return };
    if !programs::there("dig") || !programs::there("rndc") {
        return;
    }
    let lab = &counting.lab;
    let before = FORMS.map(|form| counting.measure(form));
    let dumped_before = dumped(lab);
    let server = format!("-p{}", lab.port("dns"));
    let asked = [("lab.test", 5), ("mail.lab.test", 4), ("nosuch.lab.test", 3), ("broken.test", 2), ("example.com", 1)];
    for (name, times) in asked {
        for _ in 0..times {
            programs::output_of("dig", &["@127.0.0.1", &server, "+tries=1", "+time=10", name, "A"]);
        }
    }
    let figures = [
        ("queries", 15.0),
        ("queries_succeeded", 4.0), // the zone has no address of its own, and what is not there is none either
        ("queries_failed", 3.0),
        ("query_errors/servfail", 2.0),
        ("query_errors/refused", 1.0),
        ("query_errors/formerr", 0.0),
    ];
    for (form, before) in FORMS.iter().zip(&before) {
        counting.grown(form, before, &figures);
    }
    let dumped = dumped(lab);
    for (figure, grown) in figures {
        assert_eq!(dumped[figure] - dumped_before[figure], grown, "{figure}, as rndc stats has it: {dumped:?}");
    }
    lab.stall("named");
    FORMS.iter().for_each(|form| counting.fails(form, "timeout"));
    lab.resume("named");
    lab.stop("named");
    FORMS.iter().for_each(|form| counting.fails(form, "connect"));
    lab.start("named");
    for form in FORMS {
        // Those that the lab asks to see whether it is up, and none of before.
        assert!(counting.measure(form).get("queries") < 15.0, "{form} has begun anew");
    }
}
