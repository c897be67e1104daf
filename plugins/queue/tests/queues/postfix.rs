//! A real Postfix: each queue as `postqueue -j` lists it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::{lab::Lab, *};

/// Waits until `postqueue -j` lists so many messages in a queue.
async fn settled(lab: &Lab, queue: &str, count: usize) -> Vec<Value> {
    for _ in 0..300 {
        let listed = lab.postqueue();
        if of(&listed, queue).len() == count {
            return listed;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:#?}", lab.postqueue());
}

fn of<'a>(listed: &'a [Value], queue: &str) -> Vec<&'a Value> {
    listed.iter().filter(|message| queue == "all" || message["queue_name"] == queue).collect()
}

/// Each queue has the size, the volume and the oldest message that `postqueue -j` lists.
#[track_caller]
fn assert_agrees(ran: &Ran, listed: &[Value]) {
    assert_eq!(ran.failure(), None, "{ran:#?}");
    for queue in ["maildrop", "incoming", "active", "deferred", "hold", "all"] {
        let messages = of(listed, queue);
        let bytes = messages.iter().map(|message| message["message_size"].as_f64().unwrap()).sum();
        let [size, is_bytes, oldest] = known(ran, queue);
        assert_eq!((size, is_bytes), (Some(messages.len() as f64), Some(bytes)), "{queue}: {listed:#?}");
        let came = messages.iter().map(|message| message["arrival_time"].as_u64().unwrap()).min();
        let age = came.map_or(0.0, |came| unix_now().saturating_sub(came) as f64);
        // Whole seconds on their side, and the time between the two looks.
        assert!((oldest.unwrap() - age).abs() < 3.0, "{queue}: {oldest:?}, not {age}");
        let classes = ran.outcome.samples.iter().filter(|sample| sample.metric == "waiting" && sample.labels[0] == queue);
        assert_eq!(classes.map(|sample| sample.value).sum::<f64>(), messages.len() as f64);
    }
}

#[tokio::test]
async fn every_queue_is_as_postqueue_lists_it() {
    let Some(lab) = Lab::up() else { return };
    assert_agrees(&run("postfix", &lab.queue()).await, &[]);
    for (at, text) in ["one", "two\ntwo", "three"].iter().enumerate() {
        lab.send(&["alice@lab.test", "probe@lab.test"][..=at % 2], text);
    }
    settled(&lab, "deferred", 3).await;
    lab.postsuper(&["-h", "ALL"]);
    settled(&lab, "hold", 3).await;
    for text in ["four", &"five ".repeat(1000)] {
        lab.send(&["alice@lab.test"], text);
    }
    // So that ages differ, and are more than nothing.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let listed = settled(&lab, "deferred", 2).await;
    let ran = run("postfix", &lab.queue()).await;
    assert_agrees(&ran, &listed);
    assert!(known(&ran, "hold")[2].unwrap() >= 2.0);
    let told: Vec<(&str, &str)> = ran.outcome.events.iter().map(|event| (event.code.as_str(), event.text.as_str())).collect();
    assert_eq!(told[0], ("queue_destinations", "recipients that wait: 6 × lab.test"));
    // Once refused, Postfix tries a destination no more for a while, and says that besides.
    assert!(told[1].1.contains(" × connect to 127.0.0.1[]:") && told[1].1.ends_with("Connection refused"), "{told:?}");
}

#[tokio::test]
async fn all_queues_at_once_are_as_postqueue_lists_them_and_as_postfix_set_aside() {
    let Some(lab) = Lab::up() else { return };
    assert_eq!(known(&run("postfix", &lab.queue()).await, "error"), [Some(0.0); 3]);
    put_garbage(&lab).await;
    lab.send(&["held@stuck.test"], "of a destination that refuses");
    settled(&lab, "deferred", 1).await;
    lab.postsuper(&["-h", "ALL"]);
    lab.send(&["a@stuck.test", "b@stuck.test"], "the same");
    settled(&lab, "deferred", 1).await;
    // Whoever comes is taken in, and hears nothing: a delivery that goes on and on.
    let silent = std::net::TcpListener::bind(("127.0.0.1", lab.port("lmtp"))).unwrap();
    lab.send(&["alice@lab.test"], "on its way");
    settled(&lab, "active", 1).await;
    lab.signal_to("qmgr", "-STOP");
    lab.send(&["bob@lab.test"], "nobody looks at it");
    settled(&lab, "incoming", 1).await;
    lab.signal_to("pickup", "-STOP");
    lab.send(&["bob@lab.test"], "nobody fetches it");
    settled(&lab, "maildrop", 1).await;

    let ran = run("postfix", &lab.queue()).await;
    let listed = lab.postqueue();
    ["pickup", "qmgr"].iter().for_each(|program| lab.signal_to(program, "-CONT"));
    drop(silent);
    assert_agrees(&ran, &listed);
    for queue in ["maildrop", "incoming", "active", "deferred", "hold"] {
        assert_eq!(of(&listed, queue).len(), 1, "{listed:#?}");
    }
    assert_queue(&ran, "error", 1, GARBAGE.len() as u32, 0);
}

/// No queue file of Postfix's.
const GARBAGE: &str = "garbage";

/// Leaves a file among the messages that come, and waits until Postfix has set it aside.
async fn put_garbage(lab: &Lab) {
    let file = lab.queue().join("incoming/4AbCdEf");
    write(&file, GARBAGE, 0);
    std::os::unix::fs::chown(&file, Some(fs::metadata(lab.queue().join("incoming")).unwrap().uid()), None).unwrap();
    // As Postfix marks a message that has come whole.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    for _ in 0..300 {
        lab.flush();
        if lab.queue().join("corrupt/4AbCdEf").exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("Postfix does not see to it");
}

#[tokio::test]
async fn a_stalled_postfix_meets_the_deadline_and_a_stopped_one_refuses() {
    let Some(lab) = Lab::up() else { return };
    lab.signal("-STOP");
    let mut kit = Kit::<Queue>::new(&config("postfix", &lab.queue())).unwrap().timeout(Duration::from_secs(1));
    let ran = kit.run().await;
    lab.signal("-CONT");
    let showq = lab.queue().join("public/showq");
    let message =
        format!("no end within 1 s: nothing came after the connection to {}; connect_time was the last it recorded", showq.display());
    assert_unknown(&ran, Some(("timeout", &message)));
    let queue = lab.queue();
    assert_eq!(run("postfix", &queue).await.failure(), None);
    lab.signal("-TERM");
    let mut kind = None;
    for _ in 0..100 {
        kind = run("postfix", &queue).await.failure().map(|(kind, _)| kind.to_owned());
        if kind.as_deref() == Some("connect") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{kind:?}");
}
