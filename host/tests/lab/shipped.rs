//! The schedules that we ship beside the demo, each against real servers: every job is up, and every row has a value.

use std::{net::TcpStream, time::Duration};

use serde_json::Value;

use crate::{
    harness::{House, until},
    servers::Lab,
};

/// How long a job may take that is running just now.
const SOON: Duration = Duration::from_secs(30);

/// The directory is not among the servers that these stories cannot do without.
const MAY_BE_MISSING: (&str, &str) = ("ldap", "directory");

#[test]
fn every_job_of_a_shipped_schedule_is_up_and_every_row_of_it_has_a_value() {
    let Some(lab) = Lab::up() else { return };
    let is_there = TcpStream::connect(("127.0.0.1", lab.port(MAY_BE_MISSING.0))).is_ok();
    for file in ["mail-platform.toml", "isp.toml"] {
        let house = House::new(&lab.schedule(file));
        let checked = house.run(&["check"]);
        assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""), "{file}: {checked:?}");
        let daemon = house.start();
        let jobs: Value = serde_json::from_str(&house.run(&["jobs", "--json"]).ok()).unwrap();
        let names = jobs.as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap());
        for job in names.filter(|name| is_there || *name != MAY_BE_MISSING.1) {
            let ran = until(SOON, || Some(house.run(&["jobs", "run", job])).filter(|ran| !ran.err.contains("is running just now")));
            assert!(ran.as_ref().is_some_and(|ran| ran.code == Some(0)), "{file}: {job}: {ran:?}\n{}", daemon.log_text());
        }
        let table = house.folder().join("jobs.toml").display().to_string();
        let covered = house.run(&["coverage", &table]);
        println!("{file}\n{}", covered.out);
        let without = usize::from(!is_there && file.starts_with("mail"));
        let said = covered.out.lines().last().unwrap_or_default().to_owned();
        let counts: Vec<usize> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert!(counts.len() == 2 && counts[0] + without == counts[1] && counts[1] > 5, "{file}: {covered:?}");
        assert!(daemon.stop().status.success());
    }
}
