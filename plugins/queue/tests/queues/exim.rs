//! Exim's spool, as Exim 4.96 writes it.

use std::path::PathBuf;

use crate::*;

const HEADERS: &str = "013  Subject: one\n017T To: a@stuck.test\n";

/// Puts a message into a folder of the spool; gives how long `exim -bp` says it is.
fn message(folder: &Path, id: &str, options: &str, age: u64, body: &str) -> u32 {
    let since = unix_now() - age;
    let head =
        format!("{id}-H\nroot 0 0\n<bob@lab.test>\n{since} 0\n-ident root\n{options}-tls_resumption A\nXX\n1\na@stuck.test\n\n{HEADERS}");
    write(&folder.join(format!("{id}-H")), head, 0);
    write(&folder.join(format!("{id}-D")), format!("{id}-D\n{body}"), 0);
    u32::try_from(13 + 17 + 1 + body.len()).unwrap()
}

fn spool() -> (TempDir, PathBuf) {
    let folder = folder();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    (folder, input)
}

#[tokio::test]
async fn messages_are_counted_by_what_exim_will_do_with_them_split_or_not() {
    for split in [false, true] {
        let (folder, input) = spool();
        let place = |at: &str| if split { input.join(at) } else { input.clone() };
        let deferred = message(&place("q"), "1xVvSq-0000g1-2k", "", 500, "hello\nworld\n");
        let new = message(&place("q"), "1xVvSq-0000gJ-3B", "-deliver_firsttime\n", 5, "hello\n");
        let frozen = message(&place("r"), "1xVvSr-0000gZ-0R", "-frozen 1795545721\n", 100_000, "frozen\n");
        // Ids since 4.97 are longer.
        let long = message(&place("s"), "1xVvSr-000000000gZ-0RxY", "", 600, "12345678\n");
        // What is no message: one that is still coming, a journal, a lock, what was left of an editor.
        write(&input.join("1xVvSr-0000gZ-9R-D"), "1xVvSr-0000gZ-9R-D\nhalf", 0);
        write(&input.join("1xVvSr-0000gZ-0R-J"), "a@stuck.test\n", 0);
        write(&input.join("hdr.1234"), "x", 0);
        write(&input.join("notes/1xVvSr-0000gZ-8R-H"), "x", 0);
        let ran = run("exim", folder.path()).await;
        assert_queue(&ran, "incoming", 1, new, 5);
        assert_queue(&ran, "deferred", 2, deferred + long, 600);
        assert_queue(&ran, "frozen", 1, frozen, 100_000);
        assert_queue(&ran, "error", 1, frozen, 100_000);
        assert_queue(&ran, "corrupt", 0, 0, 0);
        assert_queue(&ran, "all", 4, deferred + long + new + frozen, 100_000);
        assert_queues(&ran, &["incoming", "deferred", "frozen", "corrupt", "error", "all"]);
        assert_eq!(ran.outcome.events[0].text, "recipients that wait: 4 × stuck.test");
    }
}

#[tokio::test]
async fn what_exim_cannot_read_either_is_corrupt_and_no_message() {
    let (folder, input) = spool();
    let bytes = message(&input, "1xVvSq-0000g1-2k", "", 5, "hello\n");
    write(&input.join("1xVvSq-0000g2-2k-H"), "", 60);
    write(&input.join("1xVvSq-0000g3-2k-H"), vec![0xff; 100], 70);
    message(&input, "1xVvSq-0000g4-2k", "", 5, "");
    fs::remove_file(input.join("1xVvSq-0000g4-2k-D")).unwrap();
    let ran = run("exim", folder.path()).await;
    assert_queue(&ran, "all", 1, bytes, 5);
    assert_eq!((known(&ran, "corrupt")[0], known(&ran, "error")[0]), (Some(3.0), Some(3.0)));
    assert!(known(&ran, "corrupt")[2].is_some_and(|age| (70.0..100.0).contains(&age)));
}

#[tokio::test]
async fn a_spool_that_is_not_there_is_not_an_empty_one() {
    let folder = folder();
    let message = format!("cannot read {}/input: No such file or directory", folder.path().display());
    let ran = run("exim", folder.path()).await;
    assert_unknown(&ran, Some(("local", &message)));
    assert_eq!(ran.outcome.status.up(), None);
}

#[tokio::test]
async fn more_messages_than_allowed_leave_the_queue_unknown() {
    let (folder, input) = spool();
    for id in 0..10 {
        message(&input.join(["a", "b"][id % 2]), &format!("1xVvSq-0000g{id}-2k"), "", 5, "");
    }
    let with = async |entries_max: u32| {
        let mut config = config("exim", folder.path());
        config["entries_max"] = json!(entries_max);
        run_config(&config).await
    };
    for entries_max in [1, 4, 9] {
        assert_unknown(&with(entries_max).await, Some(("limit", "more than entries_max allows")));
    }
    assert_queue(&with(10).await, "deferred", 10, 310, 5);
}

#[tokio::test]
async fn messages_that_come_and_go_while_they_are_counted_are_no_fault() {
    let (folder, input) = spool();
    let (place, name) = (|id: u32| ["a", "b"][id as usize % 2], |id: u32| format!("1xVvSq-{id:06}-2k"));
    for id in 0..400 {
        message(&input.join(place(id)), &name(id), "", 5, "");
    }
    let busy = Busy::with({
        let input = input.clone();
        move |round| {
            let gone = input.join(place(round)).join(name(round));
            // In either order, for who looks at the wrong moment.
            let parts = if round % 4 < 2 { ["H", "D"] } else { ["D", "H"] };
            parts.iter().for_each(|part| fs::remove_file(format!("{}-{part}", gone.display())).unwrap());
            // As Exim does it: the data comes first, the envelope under another name.
            let id = name(round + 400);
            let come = input.join(place(round)).join(&id);
            fs::write(format!("{}-D", come.display()), format!("{id}-D\n")).unwrap();
            let head = format!("{id}-H\nroot 0 0\n<>\n{} 0\nXX\n1\na@b\n\n{HEADERS}", unix_now());
            fs::write(input.join("hdr.1"), head).unwrap();
            fs::rename(input.join("hdr.1"), format!("{}-H", come.display())).unwrap();
        }
    });
    for _ in 0..30 {
        let ran = run("exim", folder.path()).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        // A listing is of no one moment: what came and went may be in it or not.
        assert!(known(&ran, "all")[0].is_some_and(|size| (1.0..=400.0).contains(&size)), "{ran:#?}");
        assert_eq!(known(&ran, "corrupt")[0], Some(0.0));
    }
    assert!(busy.end() > 20);
}
