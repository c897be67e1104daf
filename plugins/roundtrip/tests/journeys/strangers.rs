//! Others' messages, forged ones, and what is no message.

use crate::*;

#[tokio::test]
async fn nothing_is_touched_that_the_job_did_not_send() {
    let mut scene = Scene::new(json!({})).await;
    let (_, message) = scene.send().await;
    let mark = message.lines().find(|line| line.starts_with("X-Watchpost-Roundtrip: ")).unwrap();
    let last = mark.chars().last().unwrap();
    let forged = format!("{}{}", &mark[..mark.len() - 1], if last == '0' { '1' } else { '0' });
    let strangers = [
        message.replace(mark, "X-Other: 1"),
        message.replace(mark, &forged),
        message.replace(mark, "X-Watchpost-Roundtrip: "),
        message.replace(mark, &format!("X-Watchpost-Roundtrip: {}", "f".repeat(100_000))),
        format!("Subject: Watchpost round trip\r\n\r\n{mark}\r\n"),
        format!("X-Pad: {}\r\n{message}", "x".repeat(100_000)),
        "\u{0}\u{ff}\u{1b}[31m\r\n".repeat(1000),
        String::new(),
    ];
    let mut names: Vec<String> = strangers.iter().map(|stranger| scene.deliver(stranger)).collect();
    std::fs::write(scene.tree.at("new/bytes"), [0xff, 0xfe, b'\n', 0x80].repeat(500)).unwrap();
    scene.tree.folder("new/folder").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", scene.tree.at("new/link")).unwrap();
    std::os::unix::fs::symlink("/nowhere", scene.tree.at("cur/nowhere")).unwrap();
    names.extend(["bytes", "folder", "link", "nowhere"].map(str::to_owned));
    scene.deliver(&message);
    scene.send().await;
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [3, 1, 2, 0, 0, 0]);
    let mut left = scene.names();
    left.sort();
    names.sort();
    assert_eq!(left, names);
}

#[tokio::test]
async fn two_jobs_that_share_a_mailbox_know_their_own() {
    let mut scene = Scene::new(json!({})).await;
    let (_, ours) = scene.send().await;
    let mut other = Scene::job(&scene.tree, &scene.smtp, &json!({}));
    assert_eq!(other.run().await.failure(), None);
    let theirs = taken(&scene.smtp).await;
    scene.deliver(&ours);
    let their_name = [scene.deliver(&theirs)];
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [2, 1, 1, 0, 0, 0]);
    scene.send().await;
    assert_eq!(scene.names(), their_name);
    let ran = other.run().await;
    taken(&scene.smtp).await;
    assert_counts(&ran, [2, 1, 1, 0, 0, 0]);
    assert_eq!(scene.names(), their_name);
    other.run().await;
    assert_eq!(scene.names(), [""; 0]);
}

#[tokio::test]
async fn a_copy_of_another_jobs_message_does_not_come_from_its_name() {
    let mut scene = Scene::new(json!({})).await;
    let (ran, message) = scene.send().await;
    // Whoever reads the mailbox knows the job's name, and no key.
    let name: String = message.lines().find_map(|line| line.strip_prefix("X-Watchpost-Roundtrip: ")).unwrap().chars().take(16).collect();
    let made = format!("X-Watchpost-Roundtrip: {name} {:016x} {}000000000 {:032x}\r\n\r\n", 1, unix_seconds(), 2);
    scene.deliver(&made);
    let key = serde_json::from_slice::<Value>(&ran.outcome.cursor.unwrap()).unwrap()["identity"]["key"].to_string();
    let (ran, _) = scene.send().await;
    assert_counts(&ran, [2, 0, 2, 0, 0, 0]);
    assert_eq!(scene.names().len(), 1);
    assert!(!message.contains(key.trim_matches(['[', ']'])));
}
