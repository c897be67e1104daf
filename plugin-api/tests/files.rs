//! Files through the interface, as an agent has them: whole files, listings, and a log followed over runs.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{fs, path::Path as StdPath};

use serde_json::json;
use watchpost_plugin_api::prelude::*;
use watchpost_testkit::{Kit, Ran};

const SEEN: Metric = Metric::gauge("seen", Unit::Number, "What was counted.");

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// What to do.
    does: String,
    /// Where.
    path: PathBuf,
}

/// Does one thing to files.
struct Reader {
    config: Config,
    /// The log being followed, and how far it was read.
    open: Option<(File, u64)>,
}

impl Agent for Reader {
    type Config = Config;
    const NAME: &'static str = "reader";
    const METRICS: &'static [Metric] = &[SEEN];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self { config, open: None })
    }

    fn target(config: &Config) -> String {
        config.path.display().to_string()
    }

    fn needs(config: &Config) -> Needs {
        let needs = Needs::none().read(&config.path);
        if config.does == "remove" { needs.remove_in(&config.path) } else { needs }
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let path = &self.config.path;
        match self.config.does.as_str() {
            "read" => cx.record(SEEN, cx.read(path, 10).await?.len()),
            "list" => {
                let entries = cx.read_dir(path).await?;
                // Fields of what `stat` says are read as the entry's own.
                let recent = entries.iter().filter(|entry| cx.age_of(entry.modified) < Duration::from_secs(3600));
                cx.record(SEEN, recent.map(|entry| entry.size).sum::<u64>());
            }
            "names" => {
                let (mut names, mut seen) = (cx.scan_names(path).await?, 0);
                while let Some(name) = names.next().await? {
                    seen += usize::from(name.starts_with("message"));
                }
                cx.record(SEEN, seen);
            }
            "remove" | "remove undeclared" => cx.record(SEEN, cx.remove_file(path.join("message-1")).await?),
            "follow" => self.follow(cx).await?,
            other => return Err(AgentError::config("does", format!("does not know how to {other}"))),
        }
        Ok(())
    }
}

impl Reader {
    /// Counts lines that are new, by way of the file kept open.
    async fn follow(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let path = &self.config.path;
        let mut lines = 0;
        if let Some((file, from)) = &mut self.open {
            let (here, there) = (file.stat().await?, cx.stat(path).await?);
            if here.size < *from {
                *from = 0;
            }
            let bytes = file.read_from(*from, 1000).await?;
            *from += bytes.len() as u64;
            lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
            if !here.same_file(&there) {
                self.open = None;
            }
        }
        if self.open.is_none() {
            let mut file = cx.open(path).await?;
            let bytes = file.read_from(0, 1000).await?;
            lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
            self.open = Some((file, bytes.len() as u64));
        }
        cx.record(SEEN, lines);
        Ok(())
    }
}

fn kit(does: &str, path: &StdPath) -> Kit<Reader> {
    Kit::new(&json!({ "does": does, "path": path })).unwrap()
}

async fn ran(does: &str, path: &StdPath) -> Ran {
    kit(does, path).run().await
}

#[tokio::test]
async fn a_file_is_read_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    for (text, expected) in [("", Ok(0.0)), ("0123456789", Ok(10.0)), ("0123456789+", Err("more than 10 bytes in "))] {
        fs::write(&path, text).unwrap();
        let ran = ran("read", &path).await;
        match expected {
            Ok(bytes) => assert_eq!((ran.failure(), ran.value(SEEN)), (None, Some(bytes))),
            Err(why) => assert_eq!(ran.failure(), Some(("limit", format!("{why}{}", path.display()).as_str()))),
        }
    }
}

#[tokio::test]
async fn a_directory_is_listed_with_what_stat_says() {
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 5, 7] {
        fs::write(folder.path().join(format!("message-{size}")), "x".repeat(size)).unwrap();
    }
    assert_eq!(ran("list", folder.path()).await.value(SEEN), Some(12.0));
    assert_eq!(ran("names", folder.path()).await.value(SEEN), Some(3.0));
    let missing = folder.path().join("none");
    let expected = format!("cannot read {}: No such file or directory", missing.display());
    for does in ["list", "names", "read", "follow"] {
        assert_eq!(ran(does, &missing).await.failure(), Some(("local", expected.as_str())), "{does}");
    }
}

#[tokio::test]
async fn a_directory_too_large_to_be_listed_at_once_is_an_error_and_can_be_scanned() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..99_990 {
        fs::hard_link(first(folder.path(), n), folder.path().join(format!("message-{n}"))).unwrap();
    }
    assert_eq!(ran("list", folder.path()).await.failure(), None, "with its ten files these are a hundred thousand");
    fs::write(folder.path().join("message-too-many"), "").unwrap();
    let expected = format!("more than 100000 entries in {}", folder.path().display());
    assert_eq!(ran("list", folder.path()).await.failure(), Some(("limit", expected.as_str())));
    assert_eq!(ran("names", folder.path()).await.value(SEEN), Some(99_991.0));
}

/// A file to make a link to: a link is quicker made than a file, but one file takes some ten thousand of them only.
fn first(folder: &StdPath, n: u32) -> std::path::PathBuf {
    let path = folder.join(format!("file-{}", n / 10_000));
    if n.is_multiple_of(10_000) {
        fs::write(&path, "").unwrap();
    }
    path
}

#[tokio::test]
async fn a_file_is_removed_only_where_the_agent_declared_it() {
    let folder = tempfile::tempdir().unwrap();
    let message = folder.path().join("message-1");
    fs::write(&message, "").unwrap();
    let refused = ran("remove undeclared", folder.path()).await;
    let expected = format!("cannot remove {}: it is in no folder of which the agent said that it removes files there", message.display());
    assert_eq!(refused.failure(), Some(("local", expected.as_str())));
    assert!(message.exists());
    for there in [1.0, 0.0] {
        assert_eq!(ran("remove", folder.path()).await.value(SEEN), Some(there));
    }
    assert!(!message.exists());
}

#[tokio::test]
async fn a_log_is_followed_over_runs_rotation_and_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let append = |path: &StdPath, text: &str| {
        use std::io::Write;
        fs::File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let mut kit = kit("follow", &log);
    append(&log, "1\n2\n");
    assert_eq!(kit.run().await.value(SEEN), Some(2.0));
    append(&log, "3\n");
    assert_eq!(kit.run().await.value(SEEN), Some(1.0));
    append(&log, "4\n");
    fs::rename(&log, folder.path().join("log.1")).unwrap();
    append(&log, "5\n6\n");
    assert_eq!(kit.run().await.value(SEEN), Some(3.0), "the last of the old file, and the new one");
    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    append(&log, "7\n");
    assert_eq!(kit.run().await.value(SEEN), Some(1.0));
}
