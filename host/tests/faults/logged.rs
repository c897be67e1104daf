//! The log: one line when a job begins to fail, one when it has recovered, and none for the runs between.

use serde_json::Value;
use watchpost_testkit::Authority;

use crate::{
    harness::House,
    lines::PASSWORD,
    pop3,
    row::{Ends, Row},
    smtp,
    ward::{State, Ward},
};

/// Checks the log of a story that went from well to ill to well.
pub(crate) fn once_for_each_change(ward: &Ward) {
    let log = ward.daemon.log();
    for row in &ward.rows {
        let told: Vec<&Value> = log.iter().filter(|line| line["job"] == row.job.as_str()).collect();
        let expected = expected(row);
        assert_eq!(told.len(), expected.len(), "{}: {told:?}", row.job);
        for (line, (level, begins, field)) in told.iter().zip(&expected) {
            let message = line["message"].as_str().unwrap();
            let kind = line["kind"].as_str().or(line["before"].as_str());
            assert!(line["level"] == *level && message.starts_with(begins) && kind == Some(field), "{}: {line}", row.job);
        }
    }
    for name in Ward::neighbours() {
        assert!(!log.iter().any(|line| line["job"] == name), "{name}");
    }
}

/// Level, beginning and kind of each line that a job has.
fn expected(row: &Row) -> Vec<(&'static str, &'static str, &'static str)> {
    match (&row.ends, row.is_curable()) {
        (Ends::Fails(kind, _), true) => vec![("WARN", "failing: ", kind), ("INFO", "recovered", kind)],
        (Ends::Fails(kind, _), false) => vec![("WARN", "failing: ", kind)],
        (Ends::Passes, _) => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_the_same_lines_as_programs() {
    let authority = Authority::new().unwrap();
    let chosen = |row: &Row| ["login-refused", "expired", "port-closed"].contains(&row.fault);
    let mut rows = smtp::rows(&authority).await;
    rows.extend(pop3::rows(&authority).await);
    rows.retain(chosen);
    assert_eq!(rows.len(), 8);
    let ward = Ward::with(rows, &authority, House::start_with_text).await;
    ward.settles(State::Well, 1);
    ward.fall_ill();
    ward.settles(State::Ill, 3);
    ward.recover();
    ward.settles(State::Well, 1);
    let log = ward.daemon.log_text();
    assert!(!log.contains(PASSWORD));
    for row in &ward.rows {
        let mark = format!("job=\"{}\"", row.job);
        let told: Vec<&str> = log.lines().filter(|line| line.contains(&mark)).collect();
        let Ends::Fails(kind, why) = &row.ends else { panic!("{}", row.job) };
        let [failing, recovered] = told[..] else { panic!("{}: {told:?}", row.job) };
        assert!(failing.contains(" WARN failing: ") && failing.contains(why.as_str()), "{failing}");
        assert!(failing.contains(&format!("kind=\"{kind}\"")), "{failing}");
        assert!(recovered.contains(" INFO recovered ") && recovered.contains(&format!("before=\"{kind}\"")), "{recovered}");
    }
    assert!(Ward::neighbours().iter().all(|name| !log.contains(name)), "{log}");
}
