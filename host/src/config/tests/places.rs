//! A path that an agent names leads to the place where it was written.

use super::House;
use crate::config::Spot;

const CONFIG: &str = r#"[[job]]
name = "a"
agent = "probe"
every = "30s"
[job.config]
host = "mx1"
servers = [
  { host = "a" },
  { host = "b", port = 1 },
]
"#;

#[test]
fn a_path_leads_to_its_place_or_the_nearest_around_it() {
    let jobs = House::new().with("schedules/a.toml", CONFIG).load().unwrap().config.jobs;
    for (path, line, column) in [
        ("", 5, 1),
        ("host", 6, 8),
        ("nowhere", 5, 1),
        ("servers", 7, 11),
        ("servers[1]", 9, 3),
        ("servers[1].port", 9, 24),
        ("servers[0].port", 8, 3),
        ("servers[9].port", 7, 11),
        ("host.deeper[0]", 6, 8),
    ] {
        let place = jobs[0].asks.place_of(path);
        assert_eq!(place.spot, Some(Spot { line, column }), "{path:?}");
    }
}
