//! `watchpost rules`: rules of every kind are held to values of a file, and told as they are written.

use std::fs;

use crate::{harness::House, job, parsed};

const RULES: &str = r#"
[[rule]]
name = "grows"
series = 'waiting{job="mx"}'
major = "change > 50 in 5m"
[[rule]]
name = "shrinks"
series = 'size{job="mx"}'
minor = "change < -20% in 2m"
[[rule]]
name = "fast"
series = 'sent{job="mx"}'
minor = "> 60/min"
[[rule]]
name = "full"
series = 'used{job="mx"}'
major = "reaches >= 90% in 1h over 1h"
[[rule]]
name = "disk"
event = 'disk_full{job="mx"}'
cleared_by = 'disk_freed'
[[rule]]
name = "storm"
event = 'login_failed'
major = "> 2 in 5m"
[[rule]]
name = "share"
expression = "a / (a + b)"
series = { a = 'queue_size{queue="deferred"}', b = 'queue_size{queue="active"}' }
major = "> 40%"
"#;

const TESTS: &str = r#"
[[test]]
name = "a change is over when its window has passed"
job = "mx"
metric = "waiting"
every = "1m"
values = ["10 x6", "100 x8"]
expect = ["6m raised major", "11m cleared"]
[[test]]
name = "a change whose beginning is unknown is unknown"
job = "mx"
metric = "waiting"
every = "1m"
values = ["10 x3", "unknown x8", "100 x4"]
expect = []
[[test]]
name = "a share of what it was"
job = "mx"
metric = "size"
every = "1m"
values = ["100 x3", "70 x4"]
expect = ["3m raised minor", "5m cleared"]
[[test]]
name = "a counter that rises fast"
job = "mx"
metric = "sent"
counter = true
every = "1m"
values = ["0..300 x11", "300..800 x6"]
expect = ["12m raised minor"]
[[test]]
name = "a disk that fills"
job = "mx"
metric = "used"
every = "1m"
values = ["0.5..0.86 x121"]
expect = ["1h14m raised major"]
[[test]]
name = "an event and the one that ends it"
job = "mx"
every = "1m"
values = ["nothing x2", "event major disk_full: no room", "nothing x3", "event warning disk_freed: room"]
expect = ["2m raised major", "6m cleared"]
[[test]]
name = "many events"
job = "mx"
every = "1m"
values = ["event minor login_failed: bob x3", "nothing x6"]
expect = ["2m raised major", "5m cleared"]
[[test]]
name = "what is unknown is not well"
job = "mx"
every = "1m"
values = ["event minor login_failed: bob x3", "down x6", "nothing"]
expect = ["2m raised major", "9m cleared"]
[[test]]
name = "a share of several series"
job = "mx"
rule = "share"
every = "1m"
series = { a = ["1 x2", "9 x3", "unknown", 1], b = ["9 x7"] }
expect = ["2m raised major", "6m cleared"]
"#;

fn house() -> House {
    let house = House::new(&(job("mx", "every = \"1m\"", 25) + RULES));
    fs::write(house.folder().join("tests.toml"), TESTS).unwrap();
    house
}

#[test]
fn rules_of_every_kind_are_held_to_values_of_a_file() {
    let house = house();
    let file = house.folder().join("tests.toml");
    let test = || house.run(&["rules", "test", file.to_str().unwrap()]);
    let said = test();
    assert_eq!((said.code, said.out.matches("ok    ").count()), (Some(0), TESTS.matches("[[test]]").count()), "{said:?}");
    fs::write(&file, TESTS.replace("6m raised major", "7m raised major")).unwrap();
    let said = test();
    assert_eq!((said.code, said.out.matches("FAILED").count()), (Some(1), 1), "{said:?}");
    assert!(said.out.contains("FAILED a change is over when its window has passed\n  expected:\n    7m raised major\n"), "{said:?}");
    for (old, new, why) in [
        ("[\"10 x6\", \"100 x8\"]", "[\"event bad x\"]", "`event bad x` is no value"),
        ("rule = \"share\"", "rule = \"shares\"", "no rule over an expression is called `shares`"),
        (", b = [\"9 x7\"]", "", "`series` has no values of `b`"),
    ] {
        fs::write(&file, TESTS.replace(old, new)).unwrap();
        let said = test();
        assert!(said.code == Some(2) && said.err.contains(why), "{why}: {said:?}");
    }
}

#[test]
fn each_rule_is_listed_as_it_is_written() {
    let house = house();
    let listed = house.run(&["rules", "list"]).ok();
    for part in [
        "major change > 50 in 5m",
        "minor change < -20% in 2m",
        "minor > 60/min",
        "major reaches >= 90% in 1h over 1h",
        "events disk_full{job=\"mx\"} until disk_freed",
        "as bad as its event",
        "major > 2 in 5m",
        "a / (a + b) with a = queue_size{queue=\"deferred\"}, b = queue_size{queue=\"active\"}",
    ] {
        assert!(listed.contains(part), "{part} is not in\n{listed}");
    }
    let all = parsed(&house.run(&["rules", "list", "--json"]).ok());
    let disk = all.as_array().unwrap().iter().find(|rule| rule["name"] == "disk").unwrap();
    assert_eq!((disk["quiet_s"].as_u64(), disk["bounds"].as_array().map(Vec::len)), (Some(86_400), Some(0)), "{disk}");
}
