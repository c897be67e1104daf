//! Files through the interface, as an agent has them: whole files, listings, and a log followed over runs.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path as StdPath;

use serde_json::json;
use watchpost_plugin_api::prelude::*;
use watchpost_testkit::{Kit, Ran, Script, Tree, UnixServer};

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
        match config.does.as_str() {
            "ask" => Needs::none().socket(&config.path),
            "remove" => Needs::none().read(&config.path).remove_in(&config.path),
            _ => Needs::none().read(&config.path),
        }
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
            "list a thousand" => cx.record(SEEN, cx.read_dir_within(path, 1000).await?.len()),
            "names" => {
                let (mut names, mut seen) = (cx.scan_names(path).await?, 0);
                while let Some(name) = names.next().await? {
                    seen += usize::from(name.starts_with("message"));
                }
                cx.record(SEEN, seen);
            }
            "remove" | "remove undeclared" => cx.record(SEEN, cx.remove_file(path.join("message-1")).await?),
            "follow" => self.follow(cx).await?,
            "ask" => {
                let mut lines = Lines::new(cx.connect(Endpoint::unix(path)).await?);
                lines.write("how many?").await?;
                let answer = lines.read().await?;
                cx.record(SEEN, answer.parse::<u64>().map_err(|error| AgentError::protocol(error.to_string()))?);
            }
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
    let tree = Tree::new().unwrap();
    for (text, expected) in [("", Ok(0.0)), ("0123456789", Ok(10.0)), ("0123456789+", Err("more than 10 bytes in "))] {
        let path = tree.file("a", text).unwrap();
        let ran = ran("read", &path).await;
        match expected {
            Ok(bytes) => assert_eq!((ran.failure(), ran.value(SEEN)), (None, Some(bytes))),
            Err(why) => assert_eq!(ran.failure(), Some(("limit", format!("{why}{}", path.display()).as_str()))),
        }
    }
}

#[tokio::test]
async fn a_directory_is_listed_with_what_stat_says() {
    let tree = Tree::new().unwrap();
    for size in [0, 5, 7, 100] {
        tree.file(format!("message-{size}"), "x".repeat(size)).unwrap();
    }
    tree.aged("message-100", Duration::from_secs(7200)).unwrap();
    assert_eq!(ran("list", tree.path()).await.value(SEEN), Some(12.0));
    assert_eq!(ran("names", tree.path()).await.value(SEEN), Some(4.0));
    let missing = tree.at("none");
    let expected = format!("cannot read {}: No such file or directory", missing.display());
    for does in ["list", "names", "read", "follow"] {
        assert_eq!(ran(does, &missing).await.failure(), Some(("local", expected.as_str())), "{does}");
    }
}

#[tokio::test]
async fn a_directory_larger_than_allowed_is_an_error_and_can_be_scanned() {
    let tree = Tree::new().unwrap();
    for n in 0..1000 {
        tree.file(format!("message-{n}"), "").unwrap();
    }
    assert_eq!(ran("list a thousand", tree.path()).await.value(SEEN), Some(1000.0));
    tree.file("message-too-many", "").unwrap();
    let expected = format!("more than 1000 entries in {}", tree.path().display());
    assert_eq!(ran("list a thousand", tree.path()).await.failure(), Some(("limit", expected.as_str())));
    assert_eq!(ran("names", tree.path()).await.value(SEEN), Some(1001.0));
}

#[tokio::test]
async fn a_file_is_removed_only_where_the_agent_declared_it() {
    let tree = Tree::new().unwrap();
    let message = tree.file("message-1", "").unwrap();
    let refused = ran("remove undeclared", tree.path()).await;
    let why = "it is in no folder of which the agent said that it removes files there";
    let expected = format!("cannot remove {}: {why}", message.display());
    assert_eq!(refused.failure(), Some(("local", expected.as_str())));
    assert!(message.exists());
    for there in [1.0, 0.0] {
        assert_eq!(ran("remove", tree.path()).await.value(SEEN), Some(there));
    }
    assert!(!message.exists());
}

#[tokio::test]
async fn a_log_is_followed_over_runs_rotation_and_truncation() {
    let tree = Tree::new().unwrap();
    let mut kit = kit("follow", &tree.at("log"));
    tree.append("log", "1\n2\n").unwrap();
    assert_eq!(kit.run().await.value(SEEN), Some(2.0));
    tree.append("log", "3\n").unwrap();
    assert_eq!(kit.run().await.value(SEEN), Some(1.0));
    tree.append("log", "4\n").unwrap();
    tree.rename("log", "log.1").unwrap();
    tree.append("log", "5\n6\n").unwrap();
    assert_eq!(kit.run().await.value(SEEN), Some(3.0), "the last of the old file, and the new one");
    tree.truncate("log").unwrap();
    tree.append("log", "7\n").unwrap();
    assert_eq!(kit.run().await.value(SEEN), Some(1.0));
}

#[tokio::test]
async fn a_unix_socket_is_a_stream_like_any_other() {
    let tree = Tree::new().unwrap();
    let ran1 = ran("ask", &tree.at("socket")).await;
    let expected = format!("cannot connect to {}: No such file or directory", tree.at("socket").display());
    assert_eq!(ran1.failure(), Some(("connect", expected.as_str())));
    let server = UnixServer::start(tree.at("socket"), Script::new().expect("how many").say("7")).await.unwrap();
    let ran2 = ran("ask", &tree.at("socket")).await;
    assert_eq!((ran2.failure(), ran2.value(SEEN)), (None, Some(7.0)));
    assert_eq!(server.served().await.unwrap().heard, ["how many?"]);
    drop(server);
    // The file is there, and nobody behind it.
    tokio::task::yield_now().await;
    let expected = format!("cannot connect to {}: Connection refused", tree.at("socket").display());
    assert_eq!(ran("ask", &tree.at("socket")).await.failure(), Some(("connect", expected.as_str())));
}
