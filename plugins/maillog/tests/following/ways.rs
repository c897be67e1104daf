//! One way of rotation after another.

use super::*;

#[tokio::test]
async fn a_first_run_begins_at_the_end_or_at_the_start() {
    let mut scene = Scene::new("end");
    scene.append("", b"Nov 22 05:01:47 mx1 postfix/smtpd[1]: connect from old[192.0.2.1]\n");
    scene.check("nothing is new").await;
    scene.write(3);
    scene.check("what came since").await;
    let mut scene = Scene::new("start");
    scene.write(4);
    scene.check("all of it").await;
}

#[tokio::test]
async fn a_log_that_is_not_there_is_no_zero() {
    let mut scene = Scene::new("start");
    let ran = scene.run().await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "local" && message.starts_with("there is no "), "{message}");
    assert!(ran.recorded().is_empty());
}

#[tokio::test]
async fn a_renamed_file_is_read_to_its_end_and_then_the_new_one() {
    let mut scene = Scene::new("start");
    scene.write(10);
    scene.check("before").await;
    scene.write(5);
    scene.rename("", ".1");
    scene.check("between the steps of the rotation").await;
    scene.create();
    scene.write(3);
    scene.check("after").await;
    // The logger did not know of the rotation yet.
    scene.write_to(".1", 2);
    scene.write(1);
    scene.check("late lines").await;
    scene.rename(".1", ".2");
    scene.rename("", ".1");
    scene.write_to(".1", 4);
    scene.write(6);
    scene.check("again").await;
}

#[tokio::test]
async fn late_lines_are_read_even_if_their_file_was_compressed_since() {
    let mut scene = Scene::new("start");
    scene.write(10);
    scene.check("before").await;
    scene.rename("", ".1");
    scene.create();
    scene.write(3);
    scene.check("after the rotation").await;
    scene.write_to(".1", 3);
    scene.compress(".1");
    scene.write(1);
    scene.check("late lines, compressed").await;
    scene.check("once").await;
    fs::remove_file(scene.path(".1.gz")).unwrap();
    scene.write(1);
    scene.check("without the old file").await;
    scene.rename("", ".1");
    scene.create();
    scene.write(2);
    scene.check("the next rotation").await;
}

#[tokio::test]
async fn a_compressed_file_that_ends_where_it_was_read_to_is_not_gone_through() {
    let mut scene = Scene::new("start");
    scene.write(2000);
    scene.check("before").await;
    scene.rename("", ".1");
    scene.compress(".1");
    // Who goes through it meets a wrong checksum at its end.
    let path = scene.path(".1.gz");
    let mut packed = fs::read(&path).unwrap();
    let at = packed.len() - 8;
    packed[at] ^= 1;
    fs::write(path, packed).unwrap();
    scene.write(3);
    scene.check("no late lines").await;
    scene.rename(".1.gz", ".2.gz");
    scene.rename("", ".1");
    scene.write(2);
    scene.check("the next rotation").await;
}

#[tokio::test]
async fn several_rotations_between_two_runs_lose_nothing_even_compressed() {
    let mut scene = Scene::new("start");
    scene.write(10);
    scene.check("before").await;
    scene.write(5);
    for round in 0..3 {
        for number in (1..=round).rev() {
            scene.rename(&format!(".{number}.gz"), &format!(".{}.gz", number + 1));
        }
        scene.rename("", ".1");
        scene.compress(".1");
        scene.write(7 + round);
    }
    scene.check("three later").await;
    scene.write(1);
    scene.check("and on").await;
}

#[tokio::test]
async fn a_copied_and_cut_log_is_read_on_in_its_copy() {
    let mut scene = Scene::new("start");
    scene.write(10);
    scene.check("before").await;
    scene.write(5);
    fs::copy(scene.path(""), scene.path(".1")).unwrap();
    scene.create();
    scene.check("cut").await;
    scene.write(40);
    scene.check("grown beyond where it was").await;
    // Nothing was written since the last run: the copy holds nothing new.
    fs::copy(scene.path(""), scene.path("-20261124")).unwrap();
    fs::remove_file(scene.path(".1")).unwrap();
    scene.create();
    scene.write(60);
    let ran = scene.check("cut at once").await;
    assert!(ran.outcome.events.is_empty(), "{:?}", ran.outcome.events);
}

#[tokio::test]
async fn what_was_lost_is_told_and_nothing_is_counted_twice() {
    let mut scene = Scene::new("start");
    scene.write(10);
    scene.check("before").await;
    scene.create();
    scene.write(2);
    let ran = scene.check("cut without a copy").await;
    assert_eq!(ran.outcome.events[0].code, "log_cut");
    fs::remove_file(scene.path("")).unwrap();
    // The next file shall not get the number of the last one.
    scene.append("-other", b"");
    scene.write(3);
    let ran = scene.check("removed").await;
    assert!(["log_lost", "log_cut"].contains(&ran.outcome.events[0].code.as_str()));
}

#[tokio::test]
async fn a_line_without_an_end_waits_for_it() {
    let mut scene = Scene::new("start");
    scene.append("", b"Nov 22 05:01:47 mx1 postfix/smtpd[1]: conn");
    let ran = scene.check("half a line").await;
    assert_eq!(ran.value(BACKLOG_BYTES), Some(42.0));
    scene.append("", b"ect from a[192.0.2.1]\n");
    scene.written = 1;
    let ran = scene.check("its other half").await;
    assert_eq!(ran.value(BACKLOG_BYTES), Some(0.0));
    scene.append("", b"Nov 22 05:01:47 mx1 postfix/smtpd[1]: disconnect from a[192.0.2.1]");
    scene.rename("", ".1");
    scene.create();
    scene.check("it may still come").await;
    scene.rename(".1", ".2");
    scene.rename("", ".1");
    scene.create();
    scene.written = 2;
    scene.check("two rotations later nothing comes any more").await;
}

#[tokio::test]
async fn a_run_that_is_lost_is_done_again_and_counts_nothing_twice() {
    let mut scene = Scene::new("start");
    scene.write(10);
    let cursor = scene.check("before").await.outcome.cursor.unwrap();
    scene.write(5);
    scene.check("a run that is forgotten").await;
    scene.kit = Scene::agent(&scene.folder, "start").cursor(cursor);
    scene.check("a restart").await;
}

#[tokio::test]
async fn times_of_files_decide_nothing() {
    let mut scene = Scene::new("start");
    scene.write(10);
    scene.check("before").await;
    for number in [2, 1] {
        scene.write(5);
        scene.rename("", &format!(".{number}"));
        // The clock was set back between two rotations: the older file looks newer.
        let time = std::time::SystemTime::now() + std::time::Duration::from_secs(number * 86400);
        File::options().write(true).open(scene.path(&format!(".{number}"))).unwrap().set_modified(time).unwrap();
    }
    scene.write(2);
    scene.check("after").await;
}

#[tokio::test]
async fn another_log_or_format_begins_anew() {
    let mut scene = Scene::new("start");
    scene.write(10);
    let cursor = scene.check("before").await.outcome.cursor.unwrap();
    let config = json!({ "log": scene.path(""), "format": "exim", "from": "start" });
    let mut exim: Kit<Maillog> = Kit::new(&config).unwrap().cursor(cursor);
    let ran = exim.run().await;
    assert_eq!((ran.value(LINES), ran.value(LINES_UNMATCHED)), (Some(10.0), Some(10.0)));
    // Nobody has to be told ten times.
    let codes: Vec<&str> = ran.outcome.events.iter().map(|event| event.code.as_str()).collect();
    assert_eq!(codes, ["line_unmatched", "line_unmatched", "line_unmatched", "line_unmatched", "line_unmatched", "lines_unmatched"]);
}
