//! slapd: connections and operations, beside what `ldapsearch` reads of the same monitor and what slapd writes down.

use std::fs;

use super::{Counting, connections::ss, job};
use crate::{programs, servers::Lab};

/// Who may read the monitor.
const READER: &str = "uid=probe,ou=people,dc=lab,dc=test";
/// How often the directory is asked.
const TIMES: usize = 6;

pub(super) fn jobs(lab: &Lab) -> String {
    let login = format!("user = \"{READER}\", password = {{ file = {:?} }}", lab.password_file("probe"));
    job("slapd", "serverstats", &format!("source = \"slapd\", host = \"127.0.0.1\", port = {}, {login}", lab.port("ldap")))
}

#[test]
fn slapd_counts_every_operation_and_our_own_among_them() {
    let Some(counting) = Counting::start() else { return };
    if !programs::there("ldapsearch") || !programs::there("ss") {
        return;
    }
    let lab = &counting.lab;
    let (url, password) = (format!("ldap://127.0.0.1:{}", lab.port("ldap")), lab.password("probe"));
    let search = |base: &str, more: &[&str]| {
        let words = ["-x", "-LLL", "-H", &url, "-D", READER, "-w", &password, "-b", base];
        programs::output_of("ldapsearch", &[&words[..], more].concat())
    };
    let before = counting.measure("slapd");
    // Written before the answer goes out: a line of a result may come after it.
    let written = |what: &str| fs::read_to_string(lab.dir.join("slapd/log")).unwrap().lines().filter(|line| line.contains(what)).count();
    let asked = " SRCH base=\"ou=people,dc=lab,dc=test\" scope=2 deref=0 filter=\"(uid=alice)\"";
    let had = written(asked);
    for _ in 0..TIMES {
        search("ou=people,dc=lab,dc=test", &["(uid=alice)", "cn"]);
    }
    let ours = 1.0; // the end of the measurement before, and the beginning of this one
    let times = TIMES as f64;
    let operations = ["bind", "search", "unbind"].map(|operation| format!("operations/{operation}"));
    let mut figures: Vec<(&str, f64)> = operations.iter().map(|name| (name.as_str(), times + ours)).collect();
    figures.extend([("operations/modify", 0.0), ("connections", times + ours), ("queries", 3.0 * (times + ours))]);
    let after = counting.measure("slapd");
    for (figure, more) in figures {
        assert_eq!(after.get(figure) - before.get(figure), more, "{figure}: {before:?} {after:?}");
    }
    // Ours, which has ended since, and that of Dovecot's auth, as ss counts.
    assert_eq!(after.get("connections_active"), 1.0 + ss(lab, "sport", "ldap") as f64);
    assert_eq!(written(asked) - had, TIMES, "as slapd writes down");
    // The next who asks finds one more of each.
    let monitor = search("cn=Search,cn=Operations,cn=Monitor", &["-s", "base", "monitorOpCompleted"]);
    let theirs: f64 = monitor.lines().find_map(|line| line.strip_prefix("monitorOpCompleted: ")).unwrap().parse().unwrap();
    assert_eq!(theirs, after.get("operations/search") + 1.0);
    lab.stop("slapd");
    counting.fails("slapd", "connect");
}
