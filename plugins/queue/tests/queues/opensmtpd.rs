//! OpenSMTPD's spool, as its queue_fs.c and envelope.c write it.

use crate::*;

/// Puts a message with these tries of its recipients into the spool.
fn message(spool: &Path, id: &str, age: u64, tries: &[u32], text: &str) {
    let folder = spool.join("queue").join(&id[..2]).join(id);
    write(&folder.join("message"), text, 0);
    for (at, tries) in tries.iter().enumerate() {
        let (since, error) = (unix_now() - age, if *tries > 0 { "Network error on destination MXs" } else { "" });
        let envelope = format!(
            "version: 3\ndispatcher: out\ntype: mta\nsmtpname: mail\nhelo: localhost\nhostname: localhost\nerrorline: {error}\n\
             sockaddr: local\nsender: bob@lab.test\nrcpt: a@lab.test\ndest: a@stuck{at}.test\nctime: {since}\nlast-try: 0\nttl: 345600\n\
             retry: {tries}\n"
        );
        write(&folder.join(format!("{id}{at:08x}")), envelope, 0);
    }
}

#[tokio::test]
async fn a_message_counts_once_whoever_waits_for_it() {
    let folder = folder();
    message(folder.path(), "ab12cd34", 500, &[0, 2], "twelve bytes");
    message(folder.path(), "ab12cd35", 5, &[0], "five.");
    message(folder.path(), "00000001", 100_000, &[7], "");
    // What is no message: one that everybody has, one that is still coming, what carries no number.
    message(folder.path(), "ff12cd34", 5, &[], "sent");
    write(&folder.path().join("incoming/ee12cd34/message"), "half", 0);
    write(&folder.path().join("queue/notes/ee12cd34/message"), "x", 0);
    write(&folder.path().join("queue/ab/ab12cd35/ab12cd3500000009.tmp"), "x", 0);
    let ran = run("opensmtpd", folder.path()).await;
    assert_queue(&ran, "deferred", 2, 12, 100_000);
    assert_queue(&ran, "incoming", 1, 5, 5);
    assert_queue(&ran, "all", 3, 17, 100_000);
    assert_queues(&ran, &["incoming", "deferred", "all"]);
    let told: Vec<&str> = ran.outcome.events.iter().map(|event| event.text.as_str()).collect();
    let reasons = "recipients that wait: 2 × Network error on destination MXs";
    assert_eq!(told, ["recipients that wait: 3 × stuck0.test; 1 × stuck1.test", reasons]);
}

#[tokio::test]
async fn envelopes_that_cannot_be_read_here_fail_the_run() {
    let folder = folder();
    message(folder.path(), "ab12cd34", 500, &[0], "x");
    let envelope = folder.path().join("queue/ab/ab12cd34/ab12cd3400000001");
    write(&envelope, [0x1f, 0x8b, 8, 0, 0], 0);
    let message = format!("{} is no envelope that can be read here; OpenSMTPD may be told to compress or encrypt them", envelope.display());
    assert_unknown(&run("opensmtpd", folder.path()).await, Some(("local", &message)));
}

#[tokio::test]
async fn more_messages_than_allowed_leave_the_queue_unknown() {
    let folder = folder();
    for id in 0..4 {
        message(folder.path(), &format!("{:02x}12cd3{id}", id % 2), 5, &[0, 0], "x");
    }
    let with = async |entries_max: u32| {
        let mut config = config("opensmtpd", folder.path());
        config["entries_max"] = json!(entries_max);
        run_config(&config).await
    };
    for entries_max in [1, 3] {
        assert_unknown(&with(entries_max).await, Some(("limit", "more than entries_max allows")));
    }
    assert_queue(&with(4).await, "incoming", 4, 4, 5);
}

#[tokio::test]
async fn messages_that_are_delivered_while_they_are_counted_are_no_fault() {
    let folder = folder();
    let name = |id: u32| format!("{:02x}{id:06x}", id % 8);
    for id in 0..200 {
        message(folder.path(), &name(id), 5, &[1], "x");
    }
    let busy = Busy::with({
        let spool = folder.path().to_owned();
        move |round| {
            let id = name(round);
            fs::remove_dir_all(spool.join("queue").join(&id[..2]).join(&id)).unwrap();
            // A new one comes as OpenSMTPD makes it: whole.
            let id = name(round + 200);
            message(&spool.join("coming"), &id, 5, &[1], "x");
            let bucket = Path::new("queue").join(&id[..2]).join(&id);
            fs::rename(spool.join("coming").join(&bucket), spool.join(&bucket)).unwrap();
        }
    });
    for _ in 0..30 {
        let ran = run("opensmtpd", folder.path()).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert!(known(&ran, "all")[0].is_some_and(|size| (1.0..=200.0).contains(&size)), "{ran:#?}");
    }
    assert!(busy.end() > 20);
}
