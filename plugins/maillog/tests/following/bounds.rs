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

#[tokio::test]
async fn a_compressed_file_too_large_to_go_through_is_given_up_once_and_what_comes_after_it_is_counted() {
    let mut scene = Scene::new("start");
    scene.write(10);
    let cursor = scene.check("before").await.outcome.cursor.unwrap();
    let read = fs::read(scene.path("")).unwrap();
    fs::remove_file(scene.path("")).unwrap();
    // The same ten lines, and then one of two gigabytes: compressed parts, one behind the other, are one file.
    let part = |bytes: &[u8]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    let mut packed = part(&read);
    packed.extend(part(&[b'x'; 1 << 20]).repeat(2048));
    scene.append(".1.gz", &packed);
    scene.write(5);
    scene.kit = Scene::agent(&scene.folder, "start").timeout(Duration::from_secs(2)).cursor(cursor);
    let mut events = Vec::new();
    for run in 0.. {
        assert!(run < 100, "it does not end");
        let ran = scene.run().await;
        assert_eq!(ran.failure(), None);
        let told = ran.outcome.events.iter().filter(|event| event.code != "line_unmatched");
        events.extend(told.map(|event| (event.code.clone(), event.text.clone())));
        if ran.value(BACKLOG_BYTES) == Some(0.0) {
            break;
        }
    }
    let [(code, text)] = &events[..] else { panic!("{events:?}") };
    assert!(code == "log_given_up" && text.starts_with("mail.log.1.gz is compressed, and too large"), "{text}");
    // The long line was cut, and is one.
    for more in [0, 4] {
        scene.write(more);
        let ran = scene.run().await;
        let expected = (None, Some((scene.written + 1) as f64));
        assert_eq!((ran.failure(), ran.value(LINES)), expected);
        assert!(ran.outcome.events.is_empty(), "{:?}", ran.outcome.events);
    }
}
