//! What slapd itself wrote down of a measurement.

use watchpost_plugin_api::standard::{ENTRIES_TIME, SEARCH_TIME};

use crate::*;

/// How far two clocks of one machine are taken to differ.
const CLOCKS_SECONDS: f64 = 0.001;

#[tokio::test]
async fn slapds_log_has_the_search_as_it_was_meant_and_took_no_longer() {
    let Some(lab) = Lab::up() else { return };
    // As slapd writes it: values of caseless attributes in small letters, digits of escapes in large ones.
    let filter = "(&(objectClass=person)(|(cn=nobody1*)(cn=*\\2A\\28x\\29)(!(sn=crowd))))";
    let keys = json!({ "base": "ou=crowd,dc=lab,dc=test", "scope": "one", "filter": filter, "attributes": ["cn", "sn"] });
    let ran = run(&with(lab.plain(), &keys)).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    let ours = ran.value(SEARCH_TIME).unwrap() + ran.value(ENTRIES_TIME).unwrap();
    let lines = of_session(&lab);
    let line = |part: &str| lines.iter().find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part} in {lines:#?}"));
    line(&format!(" BIND dn=\"{USER}\" method=128"));
    line(&format!(" SRCH base=\"ou=crowd,dc=lab,dc=test\" scope=1 deref=0 filter=\"{filter}\""));
    line(" SRCH attr=cn sn");
    line(" UNBIND");
    let result = line(" SEARCH RESULT tag=101 err=0 ");
    assert!(result.contains(" nentries=201 "), "{result}");
    let theirs: f64 = result.split("etime=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    eprintln!("the search took {theirs:.6} s by slapd's log, {ours:.6} s by ours");
    assert!(ours + CLOCKS_SECONDS >= theirs, "{ours} {theirs}");
}

/// The lines of the connection that has ended with an unbind, as soon as it has.
fn of_session(lab: &Lab) -> Vec<String> {
    for _ in 0..500 {
        let log = lab.log();
        let end = log.lines().find(|line| line.ends_with(" UNBIND")).and_then(|line| line.split("conn=").nth(1)?.split(' ').next());
        if let Some(connection) = end {
            let mark = format!(" conn={connection} ");
            return log.lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no session has ended in:\n{}", lab.log());
}
