//! Lines as they come: whole, in pieces, many at once, and longer than what has room at first.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use serde_json::json;
use watchpost_plugin_api::prelude::*;
use watchpost_testkit::{Kit, Script, Server};

/// Bytes that a line may have.
const BYTES_MAX: u64 = 40_000;

#[derive(Deserialize, JsonSchema)]
struct Config {
    port: u16,
}

/// Logs each line's length and its first characters until one says `end`.
struct Reader(Config);

impl Agent for Reader {
    type Config = Config;
    const NAME: &'static str = "reader";
    const METRICS: &'static [Metric] = &[];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(_: &Config) -> String {
        "here".into()
    }

    fn needs(config: &Config) -> Needs {
        Needs::none().tcp(config.port)
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut lines = Lines::new(cx.connect(std::net::SocketAddr::from(([127, 0, 0, 1], self.0.port))).await?);
        loop {
            let line = lines.read_within(BYTES_MAX).await?;
            cx.log(Level::Info, &format!("{} {}", line.len(), line.chars().take(8).collect::<String>()));
            if line == "end" {
                return Ok(());
            }
        }
    }
}

/// What the agent logs of a script, and how it ends.
async fn read(script: Script) -> (Vec<String>, Option<String>) {
    let server = Server::start(script).await.unwrap();
    let mut kit = Kit::<Reader>::new(&json!({ "port": server.port() })).unwrap().timeout(Duration::from_secs(9));
    let ran = kit.run().await;
    (ran.logged.iter().map(|(_, line)| line.clone()).collect(), ran.failure().map(|(_, why)| why.to_owned()))
}

#[tokio::test]
async fn a_line_is_the_same_however_it_comes() {
    let long = "x".repeat(30_000);
    let expected = ["5 hello", "0 ", "30000 xxxxxxxx", "2 ä", "3 end"].map(str::to_owned);
    let text = format!("hello\r\n\n{long}\nä\r\nend\n");
    let script = Script::new();
    assert_eq!(read(script.send(text.clone())).await, (expected.to_vec(), None));
    for at in [3, 6, 9, 512, 513, 7 + 512 + 1024, text.len() - 7, text.len() - 4] {
        let (first, rest) = text.as_bytes().split_at(at);
        let script = Script::new().send(first).pause(Duration::from_millis(20)).send(rest);
        assert_eq!(read(script).await, (expected.to_vec(), None), "cut at {at}");
    }
}

#[tokio::test]
async fn a_line_has_a_bound_also_where_its_end_follows_at_once() {
    let longest = BYTES_MAX as usize - 1;
    let told = |length: usize| vec![format!("{length} xxxxxxxx"), "3 end".to_owned()];
    assert_eq!(read(Script::new().send(format!("{}\nend\n", "x".repeat(longest)))).await, (told(longest), None));
    let too_long = Some("a line without an end: more than 39 KiB".to_owned());
    assert_eq!(read(Script::new().send(format!("{}\nend\n", "x".repeat(longest + 1)))).await, (vec![], too_long.clone()));
    assert_eq!(read(Script::new().endless_line()).await, (vec![], too_long));
}

#[tokio::test]
async fn an_end_between_lines_and_one_within_a_line_are_told_apart() {
    let closed = "connection closed by the other side";
    assert_eq!(read(Script::new().send("hello\n").cut()).await, (vec!["5 hello".into()], Some(closed.into())));
    assert_eq!(
        read(Script::new().send("hello\nwor").cut()).await,
        (vec!["5 hello".into()], Some(format!("{closed} in the middle of a line")))
    );
}
