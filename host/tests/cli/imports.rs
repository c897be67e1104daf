//! `series import`: what a real collectd has written becomes series, with a daemon and without; rrdtool is the witness.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::{
    harness::{House, rrdtool, until},
    job, refused, willing,
};

/// Files of collectd's load, once it has written some values each second.
fn collected(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let (data, conf) = (folder.join("rrd"), folder.join("collectd.conf"));
    // It refuses paths with a folder that begins with a dot, as temporary ones do: its own is relative to BaseDir.
    let text = format!(
        "Hostname \"mx1\"\nFQDNLookup false\nInterval 1\nBaseDir \"{0}\"\nPIDFile \"{0}/pid\"\nTypesDB \"/usr/share/collectd/types.db\"\n\
         LoadPlugin load\nLoadPlugin rrdtool\n<Plugin rrdtool>\n  DataDir \"rrd\"\n  CacheTimeout 0\n</Plugin>\n",
        folder.display()
    );
    fs::write(&conf, text).unwrap();
    let collectd = ["/usr/sbin/collectd", "/usr/bin/collectd"].into_iter().find(|path| Path::new(path).exists());
    let mut collectd = Command::new(collectd.expect("collectd is missing: install the package collectd-core"));
    let mut collectd = collectd.args(["-f", "-C"]).arg(&conf).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let file = data.join("mx1/load/load.rrd");
    // Whoever reads a file meanwhile has collectd's rows refused: its size and date are looked at alone.
    let begun = until(Duration::from_secs(60), || fs::metadata(&file).is_ok_and(|facts| facts.len() > 0).then_some(()));
    assert!(begun.is_some(), "collectd has written nothing to {}", file.display());
    std::thread::sleep(Duration::from_secs(8));
    Command::new("kill").arg(collectd.id().to_string()).status().unwrap();
    collectd.wait().unwrap();
    assert!(known(&file, "shortterm").len() > 3, "collectd has written too little to {}", file.display());
    file
}

fn known(file: &Path, source: &str) -> BTreeMap<i64, f64> {
    let last = rrdtool::last_slot(file).unwrap();
    rrdtool::values(file, source, last - 300, last)
}

const MAPPING: &str = "
[[import]]
layout = \"collectd\"
files = \"collectd/rrd/*/load/load.rrd\"
source = \"shortterm\"
job = \"{type}-{host}\"
metric = \"connect_time\"
factor = 1

[[import]]
layout = \"collectd\"
files = \"collectd/rrd/mx1/load/load.rrd\"
source = \"longterm\"
job = \"load-mx1\"
metric = \"total_time\"
unit = \"ms\"
";

#[tokio::test(flavor = "multi_thread")]
async fn what_collectd_has_written_goes_before_what_the_job_measures() {
    let server = willing().await;
    let house = House::new(&job("load-mx1", "every = \"1s\"", server.port()));
    let theirs = collected(&house.folder().join("collectd"));
    let (short, long) = (known(&theirs, "shortterm"), known(&theirs, "longterm"));
    let before = fs::read(&theirs).unwrap();
    house.keep("mapping.toml", MAPPING.as_bytes());
    let mapping = house.folder().join("mapping.toml").display().to_string();
    let import = |more: &[&str]| house.run(&[&["series", "import", "--mapping", &mapping], more].concat());
    refused(
        &import(&[]),
        1,
        &["error: cannot import series: there is no data folder ", "nothing was ever measured with this configuration"],
    );
    let daemon = house.start();
    let ours = house.data().join("series/load-mx1/_.rrd");
    let measured = until(Duration::from_secs(30), || ours.exists().then(|| rrdtool::last_slot(&ours)).flatten());
    assert!(measured.is_some(), "{}", daemon.log_text());
    let would = import(&["--dry-run"]).ok();
    assert!(would.ends_with("2 data sources of 1 file would become series\n"), "{would}");
    assert!(known_of(&ours, "connect_time", &short).is_empty(), "nothing was done");
    let told: serde_json::Value = serde_json::from_str(&import(&["--json"]).ok()).unwrap();
    let series: Vec<_> = told.as_array().unwrap().iter().map(|one| (&one["series"], &one["source"], &one["factor"])).collect();
    let expected = [
        (json!("connect_time{job=\"load-mx1\"}"), json!("shortterm"), json!(1.0)),
        (json!("total_time{job=\"load-mx1\"}"), json!("longterm"), json!(0.001)),
    ];
    assert_eq!(series, expected.each_ref().map(|(series, source, factor)| (series, source, factor)));
    let taken = until(Duration::from_secs(20), || (known_of(&ours, "connect_time", &short) == short).then_some(()));
    assert!(taken.is_some(), "{:?} of {short:?}\n{}", known_of(&ours, "connect_time", &short), daemon.log_text());
    let thousandth = known_of(&ours, "total_time", &long);
    assert!(thousandth.len() == long.len() && long.iter().all(|(time, value)| (thousandth[time] - value * 1e-3).abs() < 1e-10));
    let (first, last) = (*short.keys().next().unwrap(), *short.keys().next_back().unwrap());
    let range = ["--from", &(first - 1).to_string(), "--to", &last.to_string()];
    let fetched = crate::json(&house, &[&["fetch", "connect_time{job=\"load-mx1\"}"], &range as &[&str]].concat());
    let values: Vec<_> = fetched[0]["values"].as_array().unwrap().iter().filter_map(serde_json::Value::as_f64).collect();
    assert!(values.iter().zip(short.values()).all(|(one, other)| (one - other).abs() < 1e-9) && values.len() == short.len(), "{values:?}");
    let gone = || fs::read_dir(house.data().join("series/load-mx1")).unwrap().count() == 1;
    let reported = crate::json(&house, &["events", "--code", "series_imported"]);
    assert!(reported[0]["text"].as_str().is_some_and(|text| text.contains("of 2 data sources")), "{reported}");
    refused(&house.run(&["series", "import", "--mapping", "none.toml"]), 1, &["error: cannot read none.toml: No such file"]);
    house.keep("wrong.toml", MAPPING.replace("load-mx1", "load-mx2").replace("longterm", "longtem").as_bytes());
    let wrong = house.folder().join("wrong.toml").display().to_string();
    refused(
        &house.run(&["series", "import", "--mapping", &wrong]),
        2,
        &["wrong.toml:10: ", "load.rrd: no data source is called `longtem`: did you mean `longterm`?"],
    );
    assert!(daemon.stop().status.success());
    // Without a daemon it is done when the command ends.
    let held = fs::read(&ours).unwrap();
    assert!(import(&[]).ok().ends_with("2 data sources of 1 file are series now\n"));
    assert!(fs::read(&ours).unwrap() == held && gone(), "once more changes nothing, and nothing stays beside");
    assert!(fs::read(&theirs).unwrap() == before, "collectd's file is as it was");
}

/// What of these instants ours knows.
fn known_of(ours: &Path, source: &str, theirs: &BTreeMap<i64, f64>) -> BTreeMap<i64, f64> {
    let (first, last) = (*theirs.keys().next().unwrap(), *theirs.keys().next_back().unwrap());
    rrdtool::values(ours, source, first - 1, last).into_iter().filter(|(time, _)| theirs.contains_key(time)).collect()
}

/// A file of another program: five weeks of hours, each about a tenth of a millisecond.
fn of_five_weeks(file: &Path) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 3_600 * 3_600;
    let hours = 35 * 24;
    let rrdtool = |words: &[String]| assert!(Command::new("rrdtool").args(words).stdout(Stdio::null()).status().unwrap().success());
    let start = (now - (hours + 1) * 3_600).to_string();
    let words =
        ["create", &file.display().to_string(), "--start", &start, "--step", "3600", "DS:value:GAUGE:7200:U:U", "RRA:AVERAGE:0.5:1:1000"];
    rrdtool(&words.map(str::to_owned));
    let values = (0..hours).map(|hour| format!("{}:0.000{}", now - (hours - hour - 1) * 3_600, 1 + hour % 3));
    rrdtool(&["update".to_owned(), file.display().to_string()].into_iter().chain(values).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_usual_is_learned_from_an_import_at_once() {
    let server = willing().await;
    let rule = "[[job.threshold]]\nname = \"usual\"\nmetric = \"connect_time\"\nwarning = \"outside 3 deviations\"\n";
    let house = House::new(&(job("base", "every = \"1s\"", server.port()) + rule));
    of_five_weeks(&house.folder().join("past.rrd"));
    let mapping = "[[import]]\nfiles = \"past.rrd\"\nsource = \"value\"\njob = \"base\"\nmetric = \"connect_time\"\nfactor = 1\n";
    house.keep("mapping.toml", mapping.as_bytes());
    let daemon = house.start();
    let shown = || crate::json(&house, &["rules", "show", "usual"])["series"][0].clone();
    let too_little = |one: &serde_json::Value| one["why"].as_str().is_some_and(|why| why.starts_with("too little is known"));
    let patience = Duration::from_secs(60);
    assert!(until(patience, || Some(shown()).filter(too_little)).is_some(), "{}", shown());
    // It was looked for when the daemon began, and would be again in an hour.
    std::thread::sleep(Duration::from_secs(6));
    house.run(&["series", "import", "--mapping", &house.folder().join("mapping.toml").display().to_string()]).ok();
    let known = until(patience, || Some(shown()).filter(|one| one["state"] != "unknown"));
    assert!(known.is_some(), "{}\n{}", shown(), daemon.log_text());
    assert!(daemon.stop().status.success());
}
