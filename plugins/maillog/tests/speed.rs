//! How many lines a second of CPU counts. The aim is measured in release with three million lines; here a fifth of what a debug build does.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    time::Duration,
};

use flate2::read::GzDecoder;
use serde_json::json;
use watchpost_maillog::{BACKLOG_BYTES, LINES, LINES_UNMATCHED, Maillog};
use watchpost_testkit::Kit;

/// CPU time of this process in seconds, in hundredths.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // proc_pid_stat(5): fields 14 and 15, user and system time.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

#[tokio::test]
async fn a_second_counts_many_lines() {
    let wanted: usize = std::env::var("WATCHPOST_BENCH_LINES").map_or(150_000, |lines| lines.parse().unwrap());
    let mut text = Vec::new();
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora/postfix-edge1.log.gz");
    GzDecoder::new(File::open(packed).unwrap()).read_to_end(&mut text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mail.log");
    let mut file = File::create(&log).unwrap();
    let times = wanted.div_ceil(28_179);
    for _ in 0..times {
        file.write_all(&text).unwrap();
    }
    let config = json!({ "log": log, "format": "postfix", "from": "start", "reinjected": ["reinject"] });
    let mut agent = Kit::<Maillog>::new(&config).unwrap().timeout(Duration::from_secs(120));
    let before = cpu();
    let ran = agent.run().await;
    let seconds = (cpu() - before).max(0.01);
    let lines = (times * 28_179) as f64;
    assert_eq!((ran.value(LINES), ran.value(LINES_UNMATCHED), ran.value(BACKLOG_BYTES)), (Some(lines), Some(0.0), Some(0.0)));
    println!("{lines} lines, {} bytes each, in {seconds} s of CPU: {:.0} lines a second", text.len() / 28_179, lines / seconds);
    assert!(lines / seconds > 30_000.0, "{:.0} lines a second", lines / seconds);
}
