//! Something that cannot follow the journal: the alarm of the host comes while another program holds the catalogue of series, and goes when it
//! lets go.

use std::time::Duration;

use crate::{
    harness::{House, until},
    servers::{job, willing},
};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_behind_the_journal_is_an_alarm_until_it_has_caught_up() {
    let server = willing().await;
    let jobs = ["a", "b", "c"].map(|name| job(name, "every = \"1s\"", server.port())).concat();
    let house = House::new(&jobs);
    house.add_to_main("[host_alarms.consumer_behind]\nrecords_max = 8\nseverity = \"major\"\n");
    let daemon = house.start();
    let has_series = |job: &str| house.run(&["fetch", &format!("up{{job=\"{job}\"}}")]).code.filter(|code| *code == 0);
    until(SOON, || has_series("a")).expect("it has a series");
    let catalogue = rusqlite::Connection::open(house.data().join("catalogue.sqlite")).unwrap();
    let held = until(SOON, || catalogue.execute_batch("BEGIN IMMEDIATE").ok());
    assert!(held.is_some(), "the daemon never lets go of its catalogue");
    // A series that is new is to be written there first.
    house.schedule(&(jobs + &job("new", "every = \"1s\"", server.port())));
    house.run(&["reload"]).ok();
    let text = house.alarm_is("consumer_behind", "active");
    assert!(text.starts_with("series is ") && text.ends_with(" records behind the journal"), "{text}");
    let listed = house.run(&["alarms", "list", "--rule", "consumer_behind"]).ok();
    assert!(listed.contains("major"), "{listed}");
    catalogue.execute_batch("ROLLBACK").unwrap();
    house.alarm_is("consumer_behind", "cleared");
    until(SOON, || has_series("new")).expect("what waited is stored");
    assert!(daemon.stop().status.success());
}
