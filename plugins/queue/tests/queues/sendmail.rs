//! Sendmail's queue directory, as Sendmail 8.17 writes it.

use crate::*;

/// Puts a message into a group; `parts` are the folders of its envelope and of its data.
fn message(group: &Path, parts: (&str, &str), name: &str, age: u64, tries: u32, body: &str) {
    let since = unix_now() - age;
    let status = if tries > 0 { "MDeferred: Connection refused by [127.0.0.1]\n" } else { "" };
    let envelope = format!(
        "V8\nT{since}\nK0\nN{tries}\nP60043\n{status}Fbs\n$_root@localhost\n${{daemon_flags}}c u\nSbob@lab.test\nAbob@lab.test\n\
         rRFC822; a@stuck.test\nRPFD:a@stuck.test\nrRFC822; c@other.test\nRPFD:c@other.test\nH?P?Return-Path: <g>\nH??Received: (from root)\n\
         \tby mail.lab.test\nH??Subject: one\n.\n"
    );
    write(&group.join(parts.0).join(name), envelope, 0);
    write(&group.join(parts.1).join(format!("df{}", &name[2..])), body, 0);
}

#[tokio::test]
async fn messages_are_counted_in_one_directory_in_groups_and_in_parts() {
    for (group, parts) in [("", ("", "")), ("", ("qf", "df")), ("q1", ("", "")), ("q1", ("qf", "df"))] {
        let folder = folder();
        let group = folder.path().join(group);
        message(&group, parts, "qf6AOIrEio025389", 500, 3, "hello\nworld\n");
        message(&group, parts, "qf6AOIrEio025390", 5, 0, "hello\n");
        message(&group, parts, "hf6AOIrEio025391", 9000, 1, "held");
        message(&group, parts, "Qf6AOIrEio025392", 1, 1, "");
        // What is no message: an envelope to be, a transcript, a lock.
        write(&group.join(parts.0).join("qf6AOIrEio025399"), "", 0);
        write(&group.join("xf/xf6AOIrEio025389"), "x", 0);
        write(&group.join(parts.0).join("tf6AOIrEio025389"), "V8\n", 0);
        let ran = run("sendmail", folder.path()).await;
        assert_queue(&ran, "deferred", 1, 12, 500);
        assert_queue(&ran, "incoming", 1, 6, 5);
        assert_queue(&ran, "hold", 1, 4, 9000);
        assert_queue(&ran, "all", 3, 22, 9000);
        assert_eq!((known(&ran, "corrupt")[0], known(&ran, "error")[0]), (Some(1.0), Some(1.0)));
        assert_queues(&ran, &["incoming", "deferred", "hold", "corrupt", "error", "all"]);
        let told: Vec<&str> = ran.outcome.events.iter().map(|event| event.text.as_str()).collect();
        let destinations = "recipients that wait: 3 × other.test; 3 × stuck.test";
        assert_eq!(told, [destinations, "recipients that wait: 2 × Deferred: Connection refused by []"]);
    }
}

#[tokio::test]
async fn an_envelope_cut_off_or_without_its_data_is_corrupt() {
    let folder = folder();
    write(&folder.path().join("qf1"), "V8\nT1\nN0\n", 0);
    write(&folder.path().join("df1"), "x", 0);
    message(folder.path(), ("", ""), "qf2", 5, 0, "gone");
    fs::remove_file(folder.path().join("df2")).unwrap();
    let ran = run("sendmail", folder.path()).await;
    assert_queue(&ran, "all", 0, 0, 0);
    assert_eq!(known(&ran, "corrupt")[0], Some(2.0));
}

#[tokio::test]
async fn more_messages_than_allowed_leave_the_queue_unknown() {
    let folder = folder();
    for id in 0..4 {
        message(&folder.path().join(["q1", "q2"][id % 2]), ("", ""), &format!("qf{id}"), 5, 0, "x");
    }
    let with = async |entries_max: u32| {
        let mut config = config("sendmail", folder.path());
        config["entries_max"] = json!(entries_max);
        run_config(&config).await
    };
    for entries_max in [1, 3] {
        assert_unknown(&with(entries_max).await, Some(("limit", "more than entries_max allows")));
    }
    assert_queue(&with(4).await, "incoming", 4, 4, 5);
}
