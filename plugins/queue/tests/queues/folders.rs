//! Queues that are just files.

use crate::*;

#[tokio::test]
async fn the_files_of_a_directory_are_its_messages() {
    let folder = folder();
    write(&folder.path().join("a"), "four", 500);
    write(&folder.path().join("b"), "", 5);
    // The same message for another.
    fs::hard_link(folder.path().join("a"), folder.path().join("c")).unwrap();
    write(&folder.path().join(".d"), "to come", 10_000);
    write(&folder.path().join("sub/e"), "elsewhere", 10_000);
    std::os::unix::fs::symlink("a", folder.path().join("f")).unwrap();
    let ran = run("directory", folder.path()).await;
    assert_queue(&ran, "all", 3, 8, 500);
    assert_queues(&ran, &["all"]);
}

#[tokio::test]
async fn a_directory_without_files_is_empty_and_none_is_unknown() {
    let folder = folder();
    assert_queue(&run("directory", folder.path()).await, "all", 0, 0, 0);
    let gone = folder.path().join("gone");
    let message = format!("cannot read {}: No such file or directory", gone.display());
    assert_unknown(&run("directory", &gone).await, Some(("local", &message)));
    write(&gone, "a file", 0);
    let message = format!("cannot read {}: Not a directory", gone.display());
    assert_unknown(&run("directory", &gone).await, Some(("local", &message)));
}

#[tokio::test]
async fn a_maildir_tells_what_is_new_and_what_was_seen() {
    let folder = folder();
    write(&folder.path().join("new/1.M1.host"), "12345", 50);
    write(&folder.path().join("new/2.M2.host"), "1234567", 500);
    write(&folder.path().join("cur/3.M3.host:2,S"), "123", 5000);
    // It moved while the two were listed.
    write(&folder.path().join("cur/2.M2.host:2,"), "1234567", 500);
    write(&folder.path().join("tmp/4.M4.host"), "half", 10_000);
    write(&folder.path().join("cur/.nfs0001"), "x", 10_000);
    let ran = run("maildir", folder.path()).await;
    assert_queue(&ran, "new", 2, 12, 500);
    assert_queue(&ran, "cur", 1, 3, 5000);
    assert_queue(&ran, "all", 3, 15, 5000);
    assert_queues(&ran, &["new", "cur", "all"]);
}

#[tokio::test]
async fn a_maildir_that_is_none_is_unknown() {
    let folder = folder();
    fs::create_dir(folder.path().join("new")).unwrap();
    let message = format!("cannot read {}/cur: No such file or directory", folder.path().display());
    assert_unknown(&run("maildir", folder.path()).await, Some(("local", &message)));
}

#[tokio::test]
async fn more_messages_than_allowed_leave_the_queue_unknown() {
    let folder = folder();
    for name in ["new/1", "new/2", "cur/3"] {
        write(&folder.path().join(name), "x", 0);
    }
    let with = async |kind, path: &Path, entries_max: u32| {
        let mut config = config(kind, path);
        config["entries_max"] = json!(entries_max);
        run_config(&config).await
    };
    assert_unknown(&with("maildir", folder.path(), 2).await, Some(("limit", "more than entries_max allows")));
    assert_queue(&with("maildir", folder.path(), 3).await, "all", 3, 3, 0);
    assert_unknown(&with("directory", &folder.path().join("new"), 1).await, Some(("limit", "more than entries_max allows")));
}
