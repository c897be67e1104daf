//! Messages on their way: sent to a server that follows a script, delivered by the test, found in a Maildir or at scripted IMAP and POP3.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod deliveries;
mod faults;
mod imap;
mod pop3;
mod random;
mod strangers;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use watchpost_plugin_api::{Metric, standard};
use watchpost_roundtrip::*;
use watchpost_testkit::{Kit, Ran, Script, Server, Tree};

/// The password of every login here: long enough to be found by chance nowhere.
const PASSWORD: &str = "Kirschbaum-7719";

/// A session in which a message is taken.
fn taking() -> Script {
    Script::new()
        .say("220 mx.lab.test ESMTP")
        .expect("EHLO")
        .say("250 mx.lab.test")
        .expect("MAIL FROM:<probe@lab.test>")
        .say("250 2.1.0 ok")
        .expect("RCPT TO:<alice@lab.test>")
        .say("250 2.1.5 ok")
        .expect("DATA")
        .say("354 go")
        .expect_until(".")
        .say("250 2.0.0 queued as 4711")
        .expect("QUIT")
        .say("221 bye")
}

/// The next message that a server has taken, as it came.
async fn taken(server: &Server) -> String {
    let served = server.served().await.unwrap();
    assert_eq!(served.broke, None, "{served:?}");
    let from = served.heard.iter().position(|line| line == "DATA").unwrap();
    let lines = served.heard[from + 1..].iter().take_while(|line| *line != ".");
    lines.map(|line| format!("{line}\r\n")).collect()
}

/// A job, the server that takes its messages, and a Maildir.
struct Scene {
    tree: Tree,
    smtp: Arc<Server>,
    kit: Kit<Roundtrip>,
    keys: Value,
    delivered: u32,
}

impl Scene {
    /// A job that does not wait, with these keys besides.
    async fn new(keys: Value) -> Self {
        let (tree, smtp) = (Tree::new().unwrap(), Arc::new(Server::start(taking()).await.unwrap()));
        for folder in ["new", "cur", "tmp"] {
            tree.folder(folder).unwrap();
        }
        let kit = Self::job(&tree, &smtp, &keys);
        Self { tree, smtp, kit, keys, delivered: 0 }
    }

    fn job(tree: &Tree, smtp: &Server, keys: &Value) -> Kit<Roundtrip> {
        let mut config = json!({
            "host": "127.0.0.1", "port": smtp.port(), "from": "probe@lab.test", "to": "alice@lab.test", "wait": "0s",
            "receive": { "maildir": { "path": tree.path() } },
        });
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        Kit::new(&config).unwrap()
    }

    /// A worker that knows nothing but what the last run that was kept left.
    fn restart(&mut self, cursor: Option<Vec<u8>>) {
        self.kit = Self::job(&self.tree, &self.smtp, &self.keys);
        if let Some(cursor) = cursor {
            let fresh = Self::job(&self.tree, &self.smtp, &self.keys);
            self.kit = fresh.cursor(cursor);
        }
    }

    /// Runs, and expects that it ends well.
    async fn run(&mut self) -> Ran {
        let ran = self.kit.run().await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        ran
    }

    /// Runs, and gives the message that was sent too.
    async fn send(&mut self) -> (Ran, String) {
        let ran = self.run().await;
        let message = taken(&self.smtp).await;
        (ran, message)
    }

    /// Puts a message into the mailbox, as a server does; gives its name there.
    fn deliver(&mut self, message: &str) -> String {
        self.delivered += 1;
        let name = format!("{}.M{}.mail", 1_700_000_000 + self.delivered, self.delivered);
        self.tree.file(format!("tmp/{name}"), message).unwrap();
        self.tree.rename(format!("tmp/{name}"), format!("new/{name}")).unwrap();
        name
    }

    fn names(&self) -> Vec<String> {
        [self.tree.names("new").unwrap(), self.tree.names("cur").unwrap()].concat()
    }
}

/// Sent, arrived, in flight, late, lost, copies.
#[track_caller]
fn assert_counts(ran: &Ran, expected: [u64; 6]) {
    let metrics = [standard::MESSAGES_SENT, MESSAGES_ARRIVED, IN_FLIGHT, MESSAGES_LATE, MESSAGES_LOST, MESSAGES_DUPLICATE];
    let counts = metrics.map(|metric: Metric| ran.value(metric).map(|count| count as u64));
    assert_eq!(counts, expected.map(Some), "{:#?}", ran.outcome.samples);
    assert_eq!(expected[0], expected[1] + expected[2] + expected[4], "sent is arrived, in flight and lost");
}

fn codes(ran: &Ran) -> Vec<&str> {
    ran.outcome.events.iter().map(|event| event.code.as_str()).collect()
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}
