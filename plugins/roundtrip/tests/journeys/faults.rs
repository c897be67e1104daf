//! A sending door that refuses, breaks or stalls, and a ledger that is full.

use crate::*;

#[tokio::test]
async fn a_door_that_is_shut_is_told_and_nothing_is_in_flight() {
    let mut scene = Scene::new(json!({})).await;
    let (_, message) = scene.send().await;
    scene.smtp.refuse();
    scene.deliver(&message);
    let ran = scene.kit.run().await;
    assert_eq!(ran.failure().map(|failure| failure.0), Some("connect"), "{ran:#?}");
    // What came meanwhile is found again when a run ends well.
    scene.smtp.play(taking());
    // The server opens its door when its task comes to it.
    let mut ran = scene.kit.run().await;
    for _ in 0..200 {
        if ran.failure().is_some_and(|failure| failure.0 == "connect") {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ran = scene.kit.run().await;
        }
    }
    assert_counts(&ran, [2, 1, 1, 0, 0, 0]);
}

#[tokio::test]
async fn every_refusal_and_every_break_fails_the_run_by_its_kind() {
    let check = async |script: Script, kind: &str, message: &str| {
        let mut scene = Scene::new(json!({})).await;
        scene.smtp.play(script);
        let ran = scene.kit.run().await;
        assert_eq!(ran.failure(), Some((kind, message)), "{ran:#?}");
        assert!(ran.outcome.cursor.is_none() && ran.value(IN_FLIGHT).is_none());
    };
    for prefix in taking().prefixes().into_iter().take(7) {
        let mut scene = Scene::new(json!({})).await;
        // The last answer is the farewell's, after which nothing matters.
        scene.smtp.play(prefix.cut());
        let ran = scene.kit.run().await;
        let failure = ran.failure();
        match failure {
            Some((kind, message)) => assert!(kind == "protocol" && message.contains("connection closed"), "{failure:?}"),
            None => assert_counts(&ran, [1, 0, 1, 0, 0, 0]),
        }
    }
    let hello = || Script::new().say("220 mx").expect("EHLO").say("250 mx");
    check(Script::new().say("554 go away").expect("QUIT"), "protocol", "banner: the server answered 554 go away").await;
    check(hello().expect("MAIL").say("452 full").expect("QUIT"), "protocol", "MAIL: the server answered 452 full").await;
    let mail = || hello().expect("MAIL").say("250 ok").expect("RCPT");
    check(mail().say("550 5.1.1 nobody").expect("QUIT"), "protocol", "RCPT: the server answered 550 5.1.1 nobody").await;
    let data = mail().say("250 ok").expect("DATA").say("354 go").expect_until(".").say("552 5.2.2 mailbox full").expect("QUIT");
    check(data, "protocol", "end of DATA: the server answered 552 5.2.2 mailbox full").await;
}

#[tokio::test]
async fn a_message_of_which_nobody_knows_whether_it_was_taken_is_known_when_it_comes() {
    let mut scene = Scene::new(json!({})).await;
    scene.send().await;
    let silent = taking().prefixes().into_iter().nth(5).unwrap().cut();
    scene.smtp.play(silent);
    let ran = scene.kit.run().await;
    assert_eq!(ran.failure().map(|failure| failure.0), Some("protocol"));
    let served = scene.smtp.served().await.unwrap();
    let data = served.heard.iter().position(|line| line == "DATA").unwrap();
    let message: String = served.heard[data + 1..].iter().take_while(|line| *line != ".").map(|line| format!("{line}\r\n")).collect();
    scene.deliver(&message);
    scene.smtp.play(taking());
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [3, 1, 2, 0, 0, 0]);
}

#[tokio::test]
async fn a_run_ends_before_its_deadline_however_long_it_is_to_wait() {
    let mut scene = Scene::new(json!({ "wait": "1h", "lost_after": "2d" })).await;
    scene.kit = Scene::job(&scene.tree, &scene.smtp, &scene.keys).timeout(Duration::from_secs(3));
    let ran = scene.run().await;
    assert_counts(&ran, [1, 0, 1, 0, 0, 0]);
    let took = ran.outcome.duration_ns as f64 / 1e9;
    assert!((1.0..3.0).contains(&took), "{took}");
}

#[tokio::test]
async fn a_full_ledger_fails_the_run_rather_than_forget_and_goes_on_when_there_is_room() {
    let mut scene = Scene::new(json!({})).await;
    let (ran, message) = scene.send().await;
    let mut ledger: Value = serde_json::from_slice(&ran.outcome.cursor.unwrap()).unwrap();
    let in_flight = ledger["in_flight"].as_array_mut().unwrap();
    let first = in_flight[0].clone();
    let filling = (0..499).map(|id| json!([id + 1, first[1], true]));
    in_flight.extend(filling);
    ledger["totals"]["sent"] = json!(500);
    let full = ledger.to_string().into_bytes();
    scene.restart(Some(full.clone()));
    let ran = scene.kit.run().await;
    assert_eq!(ran.failure(), Some(("limit", "500 messages are under way, and no more can be remembered")));
    assert!(tokio::time::timeout(Duration::from_millis(50), scene.smtp.served()).await.is_err(), "nothing is sent");
    scene.deliver(&message);
    let (ran, _) = scene.send().await;
    assert_eq!((ran.value(IN_FLIGHT), ran.value(MESSAGES_ARRIVED)), (Some(500.0), Some(1.0)));
}

#[tokio::test]
async fn a_job_with_another_mailbox_begins_anew() {
    let mut scene = Scene::new(json!({})).await;
    let (ran, message) = scene.send().await;
    let other = Scene::new(json!({})).await;
    scene.deliver(&message);
    let mut moved = Scene::job(&other.tree, &scene.smtp, &json!({})).cursor(ran.outcome.cursor.unwrap());
    let ran = moved.run().await;
    assert_counts(&ran, [1, 0, 1, 0, 0, 0]);
    let mut torn = Scene::job(&other.tree, &scene.smtp, &json!({})).cursor("{\"of\":");
    assert_counts(&torn.run().await, [1, 0, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_no_empty_one() {
    let mut scene = Scene::new(json!({})).await;
    std::fs::remove_dir(scene.tree.at("cur")).unwrap();
    let ran = scene.kit.run().await;
    assert_eq!(ran.failure().map(|failure| failure.0), Some("local"), "{ran:#?}");
    assert!(ran.recorded().is_empty());
}
