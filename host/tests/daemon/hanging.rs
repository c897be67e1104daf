//! A server that hangs is down, in every slot.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{House, journal, until},
    servers::{Silent, job},
};

#[test]
fn a_run_that_takes_its_whole_interval_costs_the_next_one_nothing() {
    let silent = Silent::new();
    let house = House::new(&job("hangs", "every = \"1s\"", silent.port()));
    let daemon = house.start();
    thread::sleep(Duration::from_secs(8));
    let jobs: Value = serde_json::from_str(&house.run(&["jobs", "list", "--json"]).ok()).unwrap();
    let told = &jobs[0];
    assert!(told["timed_out"].as_u64().is_some_and(|runs| runs >= 4), "{told}");
    assert_eq!((&told["skipped"], &told["up"]), (&0.into(), &0.0.into()), "{told}");
    daemon.stop();
    let slots: Vec<i64> = journal::readings(&house.data()).iter().map(|reading| reading.slot).collect();
    assert!(slots.windows(2).all(|pair| pair[1] - pair[0] == 1), "slots are missing: {slots:?}");
}

#[test]
fn a_server_that_hangs_is_down_also_at_the_moment_when_the_next_run_ends() {
    let silent = Silent::new();
    let house = House::new(&job("hangs", "every = \"1s\"", silent.port()));
    let daemon = house.start();
    let up = || {
        let scrape = daemon.get("/metrics").unwrap().body;
        scrape.lines().find(|line| line.starts_with("watchpost_up{")).map(|line| line.ends_with(" 0"))
    };
    until(Duration::from_secs(10), || up().filter(|down| *down)).expect("it is down");
    let begun = Instant::now();
    let (mut looks, mut unknown) = (0, 0);
    while begun.elapsed() < Duration::from_secs(6) {
        looks += 1;
        unknown += u32::from(up() != Some(true));
    }
    assert_eq!(unknown, 0, "of {looks} looks");
}
