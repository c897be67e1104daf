//! Long lines, large logs, short runs.

use std::time::Duration;

use super::*;

/// Memory of this process at its highest, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_line_of_a_gigabyte_is_cut_and_counted_in_bounded_memory() {
    let mut scene = Scene::new("start");
    scene.write(1);
    // A hole of 1 GB between two letters: zeros within a line are a line's.
    scene.append("", b"x");
    let file = File::options().write(true).open(scene.path("")).unwrap();
    file.set_len(file.metadata().unwrap().len() + (1 << 30)).unwrap();
    scene.append("", b"x\n");
    let before = peak();
    scene.kit = Scene::agent(&scene.folder, "start").timeout(Duration::from_secs(300));
    let ran = scene.run().await;
    assert_eq!(ran.failure(), None);
    assert_eq!((ran.value(LINES), ran.value(LINES_CUT), ran.value(BACKLOG_BYTES)), (Some(2.0), Some(1.0), Some(0.0)));
    assert!(peak() - before < 64 << 20, "{} MB more", (peak() - before) >> 20);
}

#[tokio::test]
async fn a_backlog_is_read_over_several_runs_each_of_which_ends_in_time() {
    let mut scene = Scene::new("start");
    for _ in 0..40 {
        scene.write(20_000);
    }
    scene.kit = Scene::agent(&scene.folder, "start").timeout(Duration::from_millis(60));
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
