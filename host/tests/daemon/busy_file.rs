//! A series file that another program holds while the daemon writes.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt, thread::sleep, time::Duration};

use rustix::fs::{FlockOperation, fcntl_lock};
use watchpost::reading::Reading;

use crate::{
    harness::{House, journal, rrdtool, until},
    servers::{job, willing},
};

/// How long the file is held.
const HELD: Duration = Duration::from_secs(3);

fn total_times(readings: &[Reading], job: &str) -> BTreeMap<i64, f64> {
    let of_job = readings.iter().filter(|reading| reading.job == job);
    let value = |reading: &Reading| reading.outcome.samples.iter().find(|sample| sample.metric == "total_time").map(|sample| sample.value);
    of_job.filter_map(|reading| Some((reading.slot, value(reading)?))).collect()
}

/// All of a file that we hold: by our own handle, for closing another one would give up the lock (fcntl(2)).
fn bytes(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len().try_into().unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_locked_for_seconds_loses_no_row() {
    let server = willing().await;
    let house = House::new(&["held", "free"].map(|name| job(name, "every = \"1s\"", server.port())).concat());
    let daemon = house.start();
    let (held, free) = (house.data().join("series/held/_.rrd"), house.data().join("series/free/_.rrd"));
    until(Duration::from_secs(20), || (held.exists() && free.exists()).then_some(())).expect("both files are made");
    // rrdtool takes the same lock while it writes (rrd_lock of librrd: fcntl, the whole file).
    let file = File::options().read(true).write(true).open(&held).unwrap();
    let locked = until(Duration::from_secs(5), || fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).ok());
    assert!(locked.is_some(), "the daemon never lets go of its file");
    let before = bytes(&file);
    sleep(HELD);
    let ahead = rrdtool::last_slot(&free);
    // Over its span the journal answers: the file need not be free for that.
    let (from, to) = total_times(&journal::readings(&house.data()), "held").pop_last().map(|(slot, _)| (slot - 2, slot)).unwrap();
    let words = ["fetch", "total_time{job=\"held\"}", "--from", &from.to_string(), "--to", &to.to_string(), "--format", "csv"];
    let told = house.run(&words).ok();
    let meanwhile = bytes(&file);
    drop(file);
    assert!(before == meanwhile && ahead.is_some(), "the lock was not in the way");
    assert!(!told.trim_end().ends_with(','), "what the file does not have yet is not told: {told}");
    let caught_up = until(Duration::from_secs(10), || (rrdtool::last_slot(&held) > ahead).then_some(()));
    assert!(caught_up.is_some(), "the file is not written any more:\n{}", daemon.log_text());
    assert!(daemon.stop().status.success());
    let expected = total_times(&journal::readings(&house.data()), "held");
    let (first, last) = (*expected.keys().next().unwrap(), *expected.keys().last().unwrap());
    assert_eq!(rrdtool::last_slot(&held), Some(last), "SIGTERM flushes the series");
    let stored = rrdtool::values(&held, "total_time", first - 1, last);
    for (slot, value) in expected {
        let kept = stored.get(&slot).copied().unwrap_or(f64::NAN);
        assert!((kept - value).abs() <= 1e-9 * value, "slot {slot}: {kept} in the file, {value} in the journal");
    }
}
