//! Files that Debian's rrdtool made, as collectd, SmokePing and Cacti have them made, become series; it is the witness of both sides.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use super::rig::{Rig, counter, gauge, query, sample, shape};
use super::rrdtool;
use crate::reading::{Record, Upkeep};
use crate::series::archive::Consolidation;
use crate::series::fetch::Query;
use crate::series::import::{ImportRequest, Imported, UnimportedError, mapping, settle};
use crate::series::keeping::{Keeping, Profile};

/// A multiple of every step.
pub(super) const BEGIN: i64 = 1_774_742_400;
/// When ours begins to measure; the others end a little later.
pub(super) const OURS: i64 = BEGIN + 30 * 3_600;
pub(super) const END: i64 = OURS + 7_200;

/// The archives of the profile `fine`.
pub(super) const FINE: &str = "RRA:AVERAGE:0.5:1:3000 RRA:AVERAGE:0.5:5:900 RRA:MIN:0.5:5:900 RRA:MAX:0.5:5:900 \
                    RRA:AVERAGE:0.5:60:200 RRA:MIN:0.5:60:200 RRA:MAX:0.5:60:200";

/// Makes a file and gives it a row each step.
pub(super) fn made(
    path: &Path,
    step: i64,
    sources: &[&str],
    archives: &str,
    (from, to): (i64, i64),
    row: impl Fn(i64) -> String,
) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (file, start, every) = (path.to_string_lossy().into_owned(), from.to_string(), step.to_string());
    let archives = archives.split_whitespace();
    let create: Vec<&str> =
        ["create", &file, "--start", &start, "--step", &every].into_iter().chain(sources.iter().copied()).chain(archives).collect();
    rrdtool::run(&create).unwrap();
    let rows: Vec<String> = (1..=(to - from) / step).map(|n| format!("{}:{}", from + n * step, row(n))).collect();
    for part in rows.chunks(500) {
        let update: Vec<&str> = ["update", file.as_str()].into_iter().chain(part.iter().map(String::as_str)).collect();
        rrdtool::run(&update).unwrap();
    }
    path.to_owned()
}

/// A rig whose job has measured since [`OURS`], or never.
pub(super) fn measured(has_measured: bool) -> Rig {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[]), gauge("total_time", &["q"]), gauge("loss", &[]), counter("messages_sent", &[])]));
    rig.give(Record::Upkeep(Upkeep { job: "mx".into(), was: None, keeping: Keeping::Profile(Profile::Fine), heartbeat_s: None }));
    if has_measured {
        measure(&mut rig, (OURS, END));
    }
    rig
}

fn measure(rig: &mut Rig, (from, to): (i64, i64)) {
    for slot in (from + 60..=to).step_by(60) {
        let sent = sample("messages_sent", &[], (slot - OURS) as f64);
        rig.read(slot, vec![sample("connect_time", &[], 7.5), sample("total_time", &["0.5"], 3.25), sent]);
    }
    rig.flush();
}

pub(super) fn request(folder: &Path, text: &str) -> ImportRequest {
    ImportRequest { entries: mapping::read(&folder.join("mapping.toml"), text).unwrap(), dry: false }
}

/// Imports into a store that nobody else drives.
pub(super) fn import(rig: Rig, request: &ImportRequest) -> (Rig, Result<Vec<Imported>, UnimportedError>) {
    let Rig { folder, store, journal } = rig;
    let store = Mutex::new(store);
    let done = request.answer(&store, |job| job == "mx", END + 600);
    (Rig { folder, store: store.into_inner().unwrap(), journal }, done)
}

pub(super) fn imported(rig: Rig, request: &ImportRequest) -> (Rig, Vec<Imported>) {
    let (mut rig, done) = import(rig, request);
    settle(&mut rig.store).unwrap();
    (rig, done.unwrap())
}

/// Lines of `rrdtool fetch` for one data source, digit by digit.
pub(super) fn lines(file: &Path, source: &str, how: &str, step: u32, (from, to): (i64, i64)) -> Vec<String> {
    let [start, end, every] = [from.to_string(), to.to_string(), step.to_string()];
    let text = rrdtool::run(&["fetch", &file.to_string_lossy(), how, "-s", &start, "-e", &end, "-r", &every]).unwrap();
    let column = text.lines().next().unwrap().split_whitespace().position(|name| name == source).unwrap();
    let row = |line: &str| {
        let (time, values) = line.split_once(": ")?;
        let time: i64 = time.parse().ok().filter(|time| *time > from && *time <= to)?;
        Some(format!("{time} {}", values.split_whitespace().nth(column)?))
    };
    text.lines().filter_map(row).collect()
}

/// Says that both files tell the same; gives how many values they know.
fn check(old: (&Path, &str), new: (&Path, &str), range: (i64, i64)) -> usize {
    let mut known = 0;
    for (how, step) in [("AVERAGE", 60), ("AVERAGE", 300), ("MIN", 300), ("MAX", 300), ("AVERAGE", 3_600), ("MIN", 3_600), ("MAX", 3_600)] {
        let [one, other] = [old, new].map(|(file, source)| lines(file, source, how, step, range));
        assert_eq!(one, other, "{how} of {step}");
        known += one.iter().filter(|line| !line.ends_with("nan")).count();
    }
    known
}

const COLLECTD: &str = "
[[import]]
layout = \"collectd\"
files = \"rrd/*/ping/ping-*.rrd\"
job = \"mx\"
metric = \"connect_time\"
factor = 1

[[import]]
layout = \"collectd\"
files = \"rrd/mx1/interface-eth0/if_octets.rrd\"
source = \"rx\"
job = \"mx\"
metric = \"messages_sent\"
factor = 1.0
";

#[test]
fn rows_of_each_archive_are_the_same_digit_by_digit_before_ours_and_ours_after() {
    for has_measured in [true, false] {
        let mut rig = measured(has_measured);
        let folder = rig.folder.path().join("others");
        let until = OURS + 600;
        let value = |n: i64| format!("{}", if n % 90 > 80 { f64::NAN } else { 0.1 + (n * n % 977) as f64 / 7.0 }).replace("NaN", "U");
        let ping = made(&folder.join("rrd/mx1/ping/ping-h.rrd"), 60, &["DS:value:GAUGE:120:0:U"], FINE, (BEGIN, until), value);
        let octets = made(
            &folder.join("rrd/mx1/interface-eth0/if_octets.rrd"),
            60,
            &["DS:rx:DERIVE:120:0:U", "DS:tx:DERIVE:120:0:U"],
            FINE,
            (BEGIN, until),
            |n| format!("{}:{}", n * n, n * 7),
        );
        let before = [&ping, &octets].map(|file| fs::read(file).unwrap());
        let request = request(&folder, COLLECTD);
        let (rig_now, told) = imported(rig, &request);
        rig = rig_now;
        assert_eq!(
            told.iter().map(|one| one.series.as_str()).collect::<Vec<_>>(),
            ["messages_sent{job=\"mx\"}", "connect_time{job=\"mx\"}"]
        );
        assert_eq!((told[1].from, told[1].to, told[1].step), (Some(BEGIN), Some(until), 60));
        assert_eq!([&ping, &octets].map(|file| fs::read(file).unwrap()), before, "the files stay as they are");
        if !has_measured {
            let rows = rig.rows("connect_time", OURS - 3_600, OURS, false);
            assert!(rows.iter().filter(|(_, value)| value.is_some()).count() > 40, "what is imported is told before the job has measured");
            measure(&mut rig, (OURS, END));
            rig.migrate();
        }
        let ours = rig.file("_.rrd");
        let names: Vec<String> = rig.files().into_keys().collect();
        assert_eq!(names, ["_.rrd", "q=0.5.rrd"], "nothing of the import stays beside");
        let range = (BEGIN + 3_600, OURS);
        assert!(check((&ping, "value"), (&ours, "connect_time"), range) > 2_000);
        assert!(check((&octets, "rx"), (&ours, "messages_sent"), range) > 2_000);
        // What ours has measured while the other one did as well is ours.
        let both = lines(&ours, "connect_time", "AVERAGE", 60, (OURS, until));
        assert!(both.len() == 10 && both.iter().all(|line| line.ends_with("7.5000000000e+00")), "{both:?}");
        let (again, _) = imported(rig, &request);
        let bytes = again.files();
        let (mut again, _) = imported(again, &request);
        assert_eq!(again.files(), bytes, "once more changes nothing");
        again.restart();
        assert_eq!(again.files(), bytes);
    }
}

#[test]
fn a_rate_and_a_time_are_counted_as_the_metric_counts() {
    let rig = measured(true);
    let folder = rig.folder.path().join("others");
    let sources: Vec<String> =
        ["uptime", "loss", "median"].into_iter().map(str::to_owned).chain((1..=20).map(|n| format!("ping{n}"))).collect();
    let sources: Vec<String> = sources.iter().map(|name| format!("DS:{name}:GAUGE:600:0:U")).collect();
    // As SmokePing has it: every 300 s, 28800 rows of 1, 9600 of 12 with MIN and MAX, 1200 of 144; shorter here.
    let archives = "RRA:AVERAGE:0.5:1:400 RRA:AVERAGE:0.5:12:96 RRA:MIN:0.5:12:96 RRA:MAX:0.5:12:96 RRA:AVERAGE:0.5:144:12";
    let names: Vec<&str> = sources.iter().map(String::as_str).collect();
    let row = |n: i64| {
        let pings: Vec<String> = (1..=20).map(|ping| format!("{}", 0.001 * ping as f64 + 0.0001 * (n % 10) as f64)).collect();
        format!("U:{}:{}:{}", n % 3, 0.01 + n as f64 * 1e-5, pings.join(":"))
    };
    made(&folder.join("smokeping/Mail/mx1.rrd"), 300, &names, archives, (BEGIN, OURS), row);
    made(&folder.join("cacti/localhost_smtp_ms_12.rrd"), 300, &["DS:smtp_ms:GAUGE:600:0:U"], archives, (BEGIN, OURS), |n| {
        (n * 4).to_string()
    });
    let text = "
[[import]]
layout = \"smokeping\"
files = \"smokeping/Mail/*.rrd\"
source = \"median\"
job = \"mx\"
metric = \"total_time\"
labels = { q = \"0.5\" }

[[import]]
layout = \"smokeping\"
files = \"smokeping/Mail/mx1.rrd\"
source = \"ping20\"
job = \"mx\"
metric = \"total_time\"
labels = { q = \"{name}\" }

[[import]]
layout = \"cacti\"
files = \"cacti/*.rrd\"
job = \"mx\"
metric = \"connect_time\"
unit = \"ms\"
";
    let (mut rig, told) = imported(rig, &request(&folder, text));
    let factors: Vec<(&str, f64)> = told.iter().map(|one| (one.source.as_str(), one.factor)).collect();
    assert_eq!(factors, [("smtp_ms", 1e-3), ("median", 1.0), ("ping20", 1.0)]);
    // 60 s rows within one of 300 s are worth what it is.
    let rows = rig.rows("connect_time", OURS - 600, OURS, false);
    let n = (OURS - BEGIN) / 300;
    let expected: Vec<_> = (1..=10).map(|k| (OURS - 600 + k * 60, Some(((n - 1 + (k - 1) / 5) * 4) as f64 * 1e-3))).collect();
    assert_eq!(rows, expected);
    let median = rig.rows("total_time{q=\"0.5\"}", OURS - 300, OURS, false);
    let expected = 0.01 + n as f64 * 1e-5;
    assert!(median.iter().all(|(_, value)| (value.unwrap() - expected).abs() < 1e-12), "{median:?}");
    // Nobody measures that label set yet: it is told from the copy.
    let slowest = rig.rows("total_time{q=\"mx1\"}", OURS - 300, OURS, false);
    assert!(slowest.iter().all(|(_, value)| value.is_some_and(|value| (0.02..0.022).contains(&value))), "{slowest:?}");
    let hours = Query { step: Some(3_600), consolidation: Consolidation::Max, ..query("total_time{q=\"mx1\"}", BEGIN + 7_200, OURS) };
    let greatest = rig.fetch(&hours, false).remove(0).rows;
    assert!(greatest.iter().all(|(_, value)| (value.unwrap() - 0.0209).abs() < 1e-9), "{greatest:?}");
}

#[test]
fn a_crash_before_the_checkpoint_leaves_nothing_of_an_import() {
    let rig = measured(true);
    let folder = rig.folder.path().join("others");
    made(&folder.join("a.rrd"), 60, &["DS:value:GAUGE:120:0:U"], FINE, (BEGIN, OURS), |n| n.to_string());
    let request = request(&folder, "[[import]]\nfiles = \"a.rrd\"\njob = \"mx\"\nmetric = \"connect_time\"\n");
    let (mut rig, done) = import(rig, &request);
    done.unwrap();
    let taken_in = |rig: &Rig| rig.files().into_keys().filter(|name| name.contains(".import.")).count();
    assert_eq!(taken_in(&rig), 1);
    rig.crash();
    assert_eq!(taken_in(&rig), 1, "it is in the checkpoint");
    assert_eq!(rig.migrate(), 1);
    let bytes = rig.files();
    assert_eq!(taken_in(&rig), 0);
    // A sync that fails stands for a kill between name and commit.
    rig.store.on_sync(Box::new(|| Err(std::io::ErrorKind::StorageFull.into())));
    let (mut rig, done) = import(rig, &request);
    assert!(matches!(done, Err(UnimportedError::Store(_))), "{done:?}");
    assert_eq!(taken_in(&rig), 1);
    let recovered = rig.crash();
    assert_eq!((recovered.files_removed, taken_in(&rig)), (1, 0));
    rig.store.checkpoint_anyway(Instant::now()).unwrap();
    assert_eq!(rig.files(), bytes);
    assert!(!rig.folder.path().join("series/.import").exists());
}

#[test]
fn each_thing_that_is_wrong_is_one_clear_line_and_all_are_told() {
    let rig = measured(true);
    let folder = rig.folder.path().join("others");
    made(&folder.join("a.rrd"), 60, &["DS:value:GAUGE:120:0:U", "DS:sent:COUNTER:120:0:U"], FINE, (BEGIN, OURS), |n| format!("{n}:{n}"));
    made(&folder.join("b.rrd"), 60, &["DS:value:GAUGE:120:0:U"], FINE, (OURS - 600, OURS), |n| n.to_string());
    fs::write(folder.join("text.rrd"), "no such thing, and long enough to have a header".repeat(10)).unwrap();
    let mut other = fs::read(folder.join("b.rrd")).unwrap();
    other[16..24].reverse();
    fs::write(folder.join("sparc.rrd"), &other).unwrap();
    let cut = fs::read(folder.join("b.rrd")).unwrap();
    fs::write(folder.join("cut.rrd"), &cut[..cut.len() - 8]).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    made(&folder.join("late.rrd"), 60, &["DS:value:GAUGE:120:0:U"], FINE, (now, now + 6_000), |n| n.to_string());
    let good = [("files", "\"a.rrd\""), ("source", "\"value\""), ("job", "\"mx\""), ("metric", "\"connect_time\"")];
    let mut rig = Some(rig);
    let mut check = |changes: &[(&str, &str)], expected: &str| {
        let mut keys = good.to_vec();
        keys.retain(|(key, _)| changes.iter().all(|(other, _)| key != other));
        keys.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        let text: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let (rig_now, done) = import(rig.take().unwrap(), &request(&folder, &format!("[[import]]\n{text}")));
        assert!(rig_now.files().keys().all(|name| !name.contains("import")));
        rig = Some(rig_now);
        let error = done.unwrap_err();
        assert!(error.is_asked_wrong(), "{error}");
        let said = error.to_string().replace(&format!("{}/", folder.display()), "");
        assert_eq!(said, format!("mapping.toml:1: {expected}"));
    };
    check(&[("files", "\"c.rrd\"")], "no file is called c.rrd");
    check(&[("files", "\"text.rrd\"")], "text.rrd: not an RRD file");
    check(
        &[("files", "\"sparc.rrd\"")],
        "sparc.rrd: written on a machine of another kind: `rrdtool dump` it there, `rrdtool restore` it here",
    );
    check(&[("files", "\"cut.rrd\"")], "cut.rrd: shorter than its archives");
    check(&[("files", "\"late.rrd\"")], "late.rrd: it was written to last in the future: is this machine's clock right?");
    check(&[("source", "\"vale\"")], "a.rrd: no data source is called `vale`: did you mean `value`?");
    check(&[("source", "")], "a.rrd: which data source? Say source = \"…\"; there are value, sent");
    check(&[("job", "\"my\"")], "a.rrd: no job is called `my`: did you mean `mx`?");
    check(&[("job", "\"{host}\"")], "a.rrd: `{host}` is no part of its path; there are {folder} {name}");
    check(&[("metric", "\"conect_time\"")], "a.rrd: job `mx` has no metric `conect_time`: did you mean `connect_time`?");
    check(&[("metric", "\"total_time\"")], "a.rrd: metric `total_time` of job `mx` has the labels q; the mapping gives none");
    check(&[("labels", "{ q = \"1\" }")], "a.rrd: metric `connect_time` of job `mx` has no labels; the mapping gives q");
    check(
        &[("source", "\"sent\"")],
        "a.rrd: data source `sent` is a COUNTER: its rows are growth per second, and the metric is a gauge, `connect_time` of job `mx`",
    );
    check(
        &[("metric", "\"messages_sent\"")],
        "a.rrd: data source `value` is a GAUGE: its rows are values as they were, and the metric counts, `messages_sent` of job `mx`",
    );
    check(&[("unit", "\"GiB\"")], "a.rrd: data source `value` counts in `GiB`, metric `connect_time` in seconds: say unit or factor");
    check(&[("unit", "\"ms\""), ("factor", "0.001")], "a.rrd: `unit` and `factor` say the same thing: give one of them");
    check(&[("factor", "-1")], "a.rrd: `factor` = -1: it is greater than 0");
    check(&[("files", "\"[ab].rrd\"")], "value of a.rrd and value of b.rrd would both be connect_time{job=\"mx\"}, of the same time");
}
