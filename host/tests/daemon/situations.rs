//! Situations: what begins together is shown together, and what the rest depends on comes first, whoever noticed it first.

use std::time::Duration;

use watchpost_testkit::ClosedPort;

use crate::{
    alarms::{house_of, json},
    harness::until,
    servers::job,
};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn what_begins_together_is_one_situation_with_the_likely_cause_first_over_a_kill() {
    let door = ClosedPort::take().unwrap();
    let port = door.port().unwrap();
    let down = |after: u8| format!("[[job.threshold]]\nname = \"down\"\nmetric = \"up\"\ncritical = \"< 1\"\nraise_after = {after}\n");
    // The link is noticed last.
    let schedule = job("mx", "every = \"1s\"\ndepends_on = [\"link\"]", port) + &down(1) + &job("link", "every = \"1s\"", port) + &down(3);
    let house = house_of(&schedule);
    let mut daemon = house.start();
    let situation = || {
        let found = json(&house, &["alarms", "situations"]);
        found[0]["alarms"].as_array().filter(|alarms| alarms.len() == 2)?;
        Some(found[0].clone())
    };
    let found = until(SOON, situation).expect("both are in it");
    let jobs = |found: &serde_json::Value| [0, 1].map(|at| found["alarms"][at]["job"].as_str().unwrap().to_owned());
    assert_eq!((jobs(&found), found["number"].as_u64()), (["link".to_owned(), "mx".to_owned()], Some(1)), "{found}");
    assert_eq!((found["because"].as_str(), found["active"].as_u64()), (Some("one of the others depends on it"), Some(2)), "{found}");
    let said = house.run(&["alarms", "situations"]).ok();
    assert!(said.contains("situation 1, critical, since ") && said.contains("likely cause: link (127.0.0.1:"), "{said}");
    assert!(house.run(&["alarms", "show", "2"]).ok().contains("began together with alarm 1"));
    daemon.kill();
    assert_eq!(jobs(&situation().expect("the files tell it too")), jobs(&found));
    daemon = house.start();
    assert_eq!(jobs(&until(SOON, situation).expect("it is known again")), jobs(&found));
    assert!(daemon.stop().status.success());
}

#[test]
fn jobs_that_run_one_program_are_no_situation_because_of_that() {
    let job = |name: &str, more: &str| {
        format!(
            "[[job]]\nname = \"{name}\"\nagent = \"exec\"\nevery = \"1s\"\n{more}config = {{ argv = [\"/bin/false\"], format = \"nagios\" }}\n\
             [[job.threshold]]\nname = \"down\"\nmetric = \"run_duration\"\nmajor = \">= 0s\"\n"
        )
    };
    let host = "labels = { host = \"mx1\" }\n";
    let house = house_of(&(job("one", "") + &job("two", "") + &job("three", host) + &job("four", host)));
    let _daemon = house.start();
    let raised = || json(&house, &["alarms"]).as_array().filter(|alarms| alarms.len() == 4).map(|_| ());
    until(SOON, raised).expect("all are raised");
    let found = json(&house, &["alarms", "situations"]);
    let jobs: Vec<_> = found[0]["alarms"].as_array().unwrap().iter().map(|alarm| alarm["job"].as_str().unwrap()).collect();
    assert!(found.as_array().unwrap().len() == 1 && jobs.len() == 2 && jobs.iter().all(|job| ["three", "four"].contains(job)), "{found}");
}
