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
name = "gone"
series = 'spooled{job="mx"}'
major = "absent 10m"
[[rule]]
name = "gone-by-day"
series = 'scanned{job="mx"}'
major = "absent 10m"
active = "08:00-18:00"
[[rule]]
name = "runs_long"
series = 'run_duration'
warning = "> 2s"
[[rule]]
name = "down"
series = 'up'
major = "< 1"
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
name = "what the host knows of each run is what the test says"
job = "mx"
metric = "run_duration"
every = "1m"
values = ["1 x3", "3 x3", "1 x3"]
expect = ["3m raised warning by runs_long", "6m cleared by runs_long"]
[[test]]
name = "a target that is down by its metric"
job = "mx"
metric = "up"
every = "1m"
values = [1, 0, 0, 1]
expect = ["1m raised major by down", "3m cleared by down"]
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
expect = ["2m raised major by storm", "3m raised major by down", "9m cleared by storm", "9m cleared by down"]
[[test]]
name = "a share of several series"
job = "mx"
rule = "share"
every = "1m"
series = { a = ["1 x2", "9 x3", "unknown", 1], b = ["9 x7"] }
expect = ["2m raised major", "6m cleared"]
[[test]]
name = "what gives nothing is missed after its span, and there again with a value"
job = "mx"
metric = "spooled"
every = "1m"
values = ["1 x3", "nothing x10", "unknown x10", 1]
expect = ["12m raised major by gone", "23m cleared by gone"]
[[test]]
name = "time goes on where no value comes any more, as long as the test says"
job = "mx"
metric = "spooled"
every = "5m"
values = [1]
until = "1h"
expect = ["10m raised major"]
[[test]]
name = "what is missed outside the hours of its rule is told when they begin"
job = "mx"
metric = "scanned"
every = "1h"
values = ["1 x3"]
until = "12h"
expect = ["8h raised major"]
[[test]]
name = "what came and went settles when it has been calm, whatever comes"
job = "mx"
metric = "size"
every = "1m"
values = ["100 x3", 70, 100, 100, 70, 100, 100, 70, 100, 100, 70, 100, 100, 70, "100 x20"]
expect = [
  "3m raised minor", "4m cleared", "6m closed", "6m raised minor", "7m cleared", "9m closed", "9m raised minor", "10m cleared",
  "12m closed", "12m raised minor", "13m cleared", "15m closed", "15m raised minor", "15m flapping minor",
  "31m settled minor", "31m cleared",
]
[[test]]
name = "a day after it was cleared an alarm is closed"
job = "mx"
every = "1m"
values = ["event major disk_full: no room", "event warning disk_freed: room"]
until = "2d"
expect = ["0s raised major", "1m cleared", "24h1m closed"]
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
    assert!(said.out.contains("FAILED a change is over when its window has passed: grows\n  expected:\n    7m raised major\n"), "{said:?}");
    assert!(said.out.contains("\n    6m raised major by grows\n    11m cleared by grows\n"), "{said:?}");
    assert!(said.out.contains("ok     many events: disk, storm\n"), "{said:?}");
    fs::write(&file, TESTS.replace("metric = \"sent\"", "metric = \"snet\"").replace("[\"12m raised minor\"]", "[]")).unwrap();
    assert!(test().out.contains("ok     a counter that rises fast: no rule looks at its values\n"));
    for (old, new, why) in [
        ("until = \"1h\"", "until = \"1h\"\nstart = -1\nuntill = \"2h\"", "untill"),
        (
            "values = [1]\nuntil = \"1h\"",
            "values = [1, 1, 1]\nuntil = \"9m\"",
            "`until`: 9m is before the last value, which comes after 10m",
        ),
        ("6m raised major", "6m raisd major", "\"6m raisd major\": `raisd` is no step; did you mean `raised`?"),
        ("12m raised minor", "12m raised minro", "`minro` is no severity; did you mean `minor`?"),
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
