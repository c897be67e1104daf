//! A program of the operator's own: a JSON document on its standard input for each step; no shell in between.

use std::{path::PathBuf, process::Stdio};

use serde_json::json;
use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    channel::{Parcel, Sender, Undelivered, heartbeat},
    text::{Words, plain_line},
};
use crate::alarm::notice::Notice;

/// Characters of what a program says that are told of.
const TOLD_CHARS_MAX: usize = 200;
/// Bytes of what a program says that are kept.
const SAID_BYTES_MAX: usize = 16 << 10;

/// Which program, with which arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments, as they are.
    pub args: Vec<String>,
}

impl Exec {
    pub(super) async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<(), Undelivered> {
        let said = |notice: &Notice| {
            let mut said = serde_json::to_value(Words::of(notice)).unwrap_or_default();
            said["id"] = json!(notice.id(&sender.instance));
            said
        };
        let input = match parcel {
            Parcel::Notices([one]) => said(one),
            Parcel::Notices(all) => json!({ "notices": all.iter().map(|notice| said(notice)).collect::<Vec<_>>() }),
            Parcel::Test(notice) => said(notice),
            Parcel::Standing(_) => return Ok(()),
            Parcel::Heartbeat { at_ns } => json!({ "heartbeat": true, "time": Words::time(at_ns), "text": heartbeat(sender, at_ns) }),
        };
        run(Command::new(&self.program).args(&self.args), format!("{input}\n")).await
    }
}

/// Runs a program to its end; it is killed with whoever waits for it.
pub(super) async fn run(command: &mut Command, input: String) -> Result<(), Undelivered> {
    let failed = |why: std::io::Error| Undelivered::later(crate::chain(&why));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let mut child = command.spawn().map_err(failed)?;
    let mut stdin = child.stdin.take();
    let write = async {
        if let Some(stdin) = &mut stdin {
            // A program that reads nothing is none of our business.
            drop(stdin.write_all(input.as_bytes()).await);
        }
        drop(stdin.take());
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ((), out, err, status) = tokio::join!(write, kept(out), kept(err), child.wait());
    let status = status.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let said = if err.trim().is_empty() { out } else { err };
    let said: String = plain_line(said.trim()).chars().take(TOLD_CHARS_MAX).collect();
    let ended = status.code().map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}"));
    Err(Undelivered::later(if said.is_empty() { ended } else { format!("{ended}: {said}") }))
}

/// Reads all that a program says, and keeps the beginning.
async fn kept(from: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    use tokio::io::AsyncReadExt;
    let Some(mut from) = from else { return String::new() };
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..read.min(SAID_BYTES_MAX.saturating_sub(kept.len()))]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
