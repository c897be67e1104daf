//! What comes in time, late, twice, or not at all.

use watchpost_mail::date;

use crate::*;

#[tokio::test]
async fn a_message_that_comes_while_the_run_waits_is_timed_by_the_looks_and_deleted_at_once() {
    let mut scene = Scene::new(json!({ "wait": "9s" })).await;
    let (smtp, path) = (scene.smtp.clone(), scene.tree.path().to_owned());
    let office = tokio::spawn(async move {
        let message = taken(&smtp).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        std::fs::write(path.join("tmp/1"), message).unwrap();
        std::fs::rename(path.join("tmp/1"), path.join("new/1")).unwrap();
    });
    let ran = scene.run().await;
    office.await.unwrap();
    assert_counts(&ran, [1, 1, 0, 0, 0, 0]);
    assert_eq!(scene.names(), [""; 0], "its own message is gone with the run");
    let (time, resolution) = (ran.value(standard::ROUNDTRIP_TIME).unwrap(), ran.value(RESOLUTION).unwrap());
    assert!(time >= 0.15 && resolution > 0.0 && resolution <= time, "{time} {resolution}");
    assert!(time - resolution < ran.outcome.duration_ns as f64 / 1e9, "{time} {resolution}");
    assert_eq!(ran.value(WORST_TIME), Some(time));
    let phases = ["resolve", "connect", "banner", "ehlo", "mail", "rcpt", "data", "transmission", "quit", "total"];
    let recorded = ran.recorded();
    assert!(phases.iter().all(|phase| recorded.contains(&format!("{phase}_time").as_str())), "{recorded:?}");
    assert!(recorded.contains(&"search_time") && ran.value(OLDEST_AGE) == Some(0.0));
}

#[tokio::test]
async fn a_message_that_has_not_come_is_in_flight_until_a_later_run_finds_it_and_deletes_it_the_run_after() {
    let mut scene = Scene::new(json!({})).await;
    let (ran, message) = scene.send().await;
    assert_counts(&ran, [1, 0, 1, 0, 0, 0]);
    assert_eq!(ran.value(standard::ROUNDTRIP_TIME), None, "unknown is no number");
    let name = scene.deliver(&message);
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [2, 1, 1, 0, 0, 0]);
    let (time, resolution) = (ran.value(standard::ROUNDTRIP_TIME).unwrap(), ran.value(RESOLUTION).unwrap());
    assert!(resolution <= 0.2 && time > 0.0, "{time} {resolution}");
    assert_eq!(scene.names(), [name], "its count is not safe yet");
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [3, 1, 2, 0, 0, 0]);
    assert_eq!(scene.names(), [""; 0]);
}

#[tokio::test]
async fn a_late_message_is_late_before_it_comes_and_its_time_is_that_of_its_delivery() {
    let mut scene = Scene::new(json!({ "late_after": "200ms", "lost_after": "1d" })).await;
    let (_, message) = scene.send().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [2, 0, 2, 1, 0, 0]);
    assert_eq!(codes(&ran), ["message_overdue"]);
    assert!(ran.value(OLDEST_AGE).unwrap() >= 0.3);
    scene.deliver(&message);
    // Nobody looks for a while: the time of the delivery is known all the same.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (ran, _) = scene.send().await;
    assert_eq!(ran.value(MESSAGES_ARRIVED), Some(1.0));
    let time = ran.value(standard::ROUNDTRIP_TIME).unwrap();
    assert!(time >= 0.3, "{time}");
    assert!(ran.value(RESOLUTION).unwrap() <= 0.2);
    assert!(codes(&ran).contains(&"message_late"), "{:?}", ran.outcome.events);
    assert_eq!(ran.value(MESSAGES_LATE), Some(2.0), "the second message is late by now, the first is counted once");
}

#[tokio::test]
async fn a_lost_message_is_given_up_once_and_what_comes_after_all_is_told_and_deleted() {
    let mut scene = Scene::new(json!({ "late_after": "50ms", "lost_after": "200ms" })).await;
    let (_, message) = scene.send().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [2, 0, 1, 1, 1, 0]);
    assert_eq!(codes(&ran), ["message_lost", "message_overdue"]);
    let name = scene.deliver(&message);
    let (ran, _) = scene.send().await;
    assert_eq!(ran.value(MESSAGES_ARRIVED), Some(0.0), "{:#?}", ran.outcome);
    assert_eq!(ran.value(standard::ROUNDTRIP_TIME), None);
    assert!(codes(&ran).contains(&"message_belated") && scene.names() == [name]);
    scene.send().await;
    assert_eq!(scene.names(), [""; 0]);
}

#[tokio::test]
async fn a_copy_is_counted_as_such_and_deleted_too() {
    let mut scene = Scene::new(json!({})).await;
    let (_, message) = scene.send().await;
    scene.deliver(&message);
    scene.deliver(&message);
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [2, 1, 1, 0, 0, 1]);
    scene.deliver(&message);
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [3, 1, 2, 0, 0, 2]);
    assert_eq!(codes(&ran), ["message_duplicate"]);
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [4, 1, 3, 0, 0, 2]);
    assert_eq!(scene.names(), [""; 0]);
}

#[tokio::test]
async fn a_message_that_somebody_reads_meanwhile_is_the_same_message() {
    let mut scene = Scene::new(json!({})).await;
    let (_, message) = scene.send().await;
    let name = scene.deliver(&message);
    scene.send().await;
    scene.tree.rename(format!("new/{name}"), format!("cur/{name}:2,S")).unwrap();
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [3, 1, 2, 0, 0, 0]);
    assert_eq!(scene.names(), [""; 0]);
}

#[tokio::test]
async fn a_run_that_was_lost_is_made_good_by_the_next_one() {
    let mut scene = Scene::new(json!({})).await;
    let (ran, first) = scene.send().await;
    let kept = ran.outcome.cursor;
    // Finds the first message and sends a second one, of which nobody is ever told.
    scene.deliver(&first);
    let (_, second) = scene.send().await;
    scene.restart(kept);
    scene.deliver(&second);
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [3, 2, 1, 0, 0, 0]);
    assert_eq!(scene.names().len(), 2);
    scene.send().await;
    assert_eq!(scene.names(), [""; 0]);
}

#[tokio::test]
async fn the_newest_that_came_is_the_round_trip_and_the_slowest_is_told_beside_it() {
    let mut scene = Scene::new(json!({})).await;
    let (_, first) = scene.send().await;
    let (_, second) = scene.send().await;
    scene.deliver(&second);
    tokio::time::sleep(Duration::from_millis(500)).await;
    scene.deliver(&first);
    let (ran, _) = scene.send().await;
    let (time, worst) = (ran.value(standard::ROUNDTRIP_TIME).unwrap(), ran.value(WORST_TIME).unwrap());
    assert!(worst >= time + 0.4, "{time} {worst}");
}

#[tokio::test]
async fn the_way_of_a_message_is_told_server_by_server_and_never_by_a_wrong_clock() {
    let mut scene = Scene::new(json!({})).await;
    let (_, message) = scene.send().await;
    let stamp = |seconds: u64| date::written(Duration::from_secs(unix_seconds() + seconds));
    let received = |by: &str, at: String| format!("Received: from a\r\n\tby {by} with SMTP; {at}\r\n");
    let way = [received("store.lab.test", stamp(9)), received("mx.lab.test", stamp(4)), received("skewed.lab.test", stamp(30))];
    scene.deliver(&format!("{}{message}", way.concat()));
    let (ran, _) = scene.send().await;
    let hops: Vec<(String, f64)> = ran
        .outcome
        .samples
        .iter()
        .filter(|sample| sample.metric == "hop_time")
        .map(|sample| (format!("{:?}", sample.labels), sample.value))
        .collect();
    assert_eq!(hops.len(), 2, "{hops:?}");
    assert!(hops[0].0.contains("skewed.lab.test") && (29.0..=33.0).contains(&hops[0].1), "{hops:?}");
    assert!(hops[1].0.contains("store.lab.test") && hops[1].0.contains('3') && (4.0..=6.0).contains(&hops[1].1), "{hops:?}");
    assert_eq!(ran.value(STAMPS_SKEWED), Some(1.0), "mx.lab.test cannot have had it before skewed.lab.test");
}
