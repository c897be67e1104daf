//! The log: one line when a job begins to fail, one when it has recovered, and none for the runs between.

use std::collections::BTreeMap;

use serde_json::Value;
use watchpost::reading::Reading;
use watchpost_services::outcome::Status;
use watchpost_testkit::Authority;

use crate::{
    harness::{Daemon, House},
    lines::PASSWORD,
    pop3::POP3,
    row::{Ends, Row},
    smtp::SMTP,
    ward::{State, Ward},
};

/// A change of a job: the kind of its failures before, and after.
type Change = (Option<String>, Option<String>);

/// Holds the log against the readings of each job: a line for each change, and for nothing else.
pub(crate) fn once_for_each_change(log: &str, rows: &[Row], readings: &BTreeMap<String, Vec<Reading>>) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (job, readings) in readings {
        let told: Vec<Change> = lines.iter().filter(|line| line["job"] == job.as_str()).map(change).collect();
        let kinds = readings.iter().map(|reading| kind(&reading.outcome.status));
        let mut before = None;
        let mut changes = Vec::new();
        for kind in kinds {
            if kind != before {
                changes.push((before, kind.clone()));
            }
            before = kind;
        }
        // What a line that tells of another failure says of the one before is its own affair.
        let ends = |changes: &[Change]| changes.iter().map(|(before, after)| after.clone().ok_or(before.clone())).collect::<Vec<_>>();
        assert_eq!(ends(&told), ends(&changes), "{job}: {told:?}");
    }
    for row in rows {
        let Ends::Fails(kind, why) = &row.ends else { continue };
        let of_fault = |line: &&Value| line["job"] == row.job.as_str() && line["kind"] == *kind;
        let line = lines.iter().find(of_fault).unwrap_or_else(|| panic!("{} is not told", row.job));
        assert!(line["message"].as_str().is_some_and(|message| message.contains(why.as_str())), "{line}");
    }
}

fn kind(status: &Status) -> Option<String> {
    match status {
        Status::Ok => None,
        Status::Failed { kind, .. } => Some(kind.name().to_owned()),
    }
}

/// What a line tells of its job.
fn change(line: &Value) -> Change {
    let field = |name: &str| line[name].as_str().map(str::to_owned);
    match (line["level"].as_str(), line["message"].as_str()) {
        (Some("WARN"), _) => (field("before"), field("kind")),
        (Some("INFO"), Some("recovered")) => (field("before"), None),
        _ => panic!("{line} tells of no change"),
    }
}

/// Starts a daemon with a log for people.
fn start_with_text(house: &House) -> Daemon {
    let mut daemon = house.spawn_as(&["run", "--log", "text"]);
    daemon.wait_ready();
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_the_same_lines_as_programs() {
    let authority = Authority::new().unwrap();
    let chosen = |row: &Row| ["login-refused", "expired", "port-closed"].contains(&row.fault);
    let mut rows = SMTP.rows(&authority).await;
    rows.extend(POP3.rows(&authority).await);
    rows.retain(chosen);
    assert_eq!(rows.len(), 8);
    let ward = Ward::with(rows, &authority, start_with_text).await;
    let well = ward.settles(State::Well, 1, &ward.told());
    ward.fall_ill();
    let ill = ward.settles(State::Ill, 3, &well);
    ward.recover();
    ward.settles(State::Well, 1, &ill);
    let log = ward.daemon.log_text();
    assert!(!log.contains(PASSWORD));
    for row in &ward.rows {
        let mark = format!(" job={} ", row.job);
        let told: Vec<&str> = log.lines().filter(|line| line.contains(&mark)).collect();
        let Ends::Fails(kind, why) = &row.ends else { panic!("{}", row.job) };
        let [failing, recovered] = told[..] else { panic!("{}: {told:?}", row.job) };
        assert!(failing.contains(" WARN failing: ") && failing.contains(why.as_str()), "{failing}");
        assert!(failing.contains(&format!(" kind={kind} ")), "{failing}");
        assert!(recovered.contains(" INFO recovered ") && recovered.contains(&format!(" before={kind} ")), "{recovered}");
    }
    assert!(Ward::neighbours().all(|name| !log.contains(&name)), "{log}");
}
