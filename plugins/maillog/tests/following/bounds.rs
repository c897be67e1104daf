//! Long lines, large logs, short runs.

use std::time::Duration;

use super::*;

/// Memory of this process at its highest, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Lines of a gigabyte in the log: one as a rule, ten in the proof.
fn gigabytes() -> u64 {
    if std::env::var_os("WATCHPOST_PROVE_LOGS").is_some() { 10 } else { 1 }
}

#[tokio::test]
async fn a_line_of_a_gigabyte_is_cut_and_counted_in_bounded_memory() {
    let mut scene = Scene::new("start");
    let gigabytes = gigabytes();
    for _ in 0..gigabytes {
        scene.write(1000);
        // A hole of 1 GB between two letters: zeros within a line are a line's, and take no place on the disk.
        scene.append("", b"x");
        let file = File::options().write(true).open(scene.path("")).unwrap();
        file.set_len(file.metadata().unwrap().len() + (1 << 30)).unwrap();
        scene.append("", b"x\n");
    }
    scene.write(1);
    let bytes = fs::metadata(scene.path("")).unwrap().len();
    let before = peak();
    scene.kit = Scene::agent(&scene.folder, "start").timeout(Duration::from_secs(900));
    let ran = scene.run().await;
    assert_eq!(ran.failure(), None);
    let expected = (Some((scene.written + gigabytes) as f64), Some(gigabytes as f64), Some(0.0));
    assert_eq!((ran.value(LINES), ran.value(LINES_CUT), ran.value(BACKLOG_BYTES)), expected);
    let more = (peak() - before) >> 20;
    println!("a log of {bytes} bytes with {gigabytes} lines of a gigabyte: {more} MB of memory more");
    // Of the whole process, in which other tests run at the same time.
    assert!(more < 128, "{more} MB more");
}

#[tokio::test]
async fn a_backlog_is_read_over_several_runs_each_of_which_ends_in_time() {
    let mut scene = Scene::new("start");
    for _ in 0..40 {
        scene.write(20_000);
    }
    scene.kit = Scene::agent(&scene.folder, "start").timeout(Duration::from_secs(1));
    let (mut runs, mut last) = (0, -1.0);
    loop {
        let ran = scene.run().await;
        assert_eq!(ran.failure(), None);
        let lines = ran.value(LINES).unwrap();
        assert!(lines > last, "a run made no progress at {lines} lines");
        (runs, last) = (runs + 1, lines);
        if ran.value(BACKLOG_BYTES) == Some(0.0) {
            break;
        }
        if runs == 1 {
            scene.rename("", ".1");
            scene.write(5);
        }
    }
    assert!(runs > 1);
    assert_eq!(last, scene.written as f64);
}
