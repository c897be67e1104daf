//! A program of the operator's own: a JSON document on its standard input for each step; no shell in between.
//!
//! It knows whose daemon starts it and where others are (`KEPT`), and nothing else of the daemon's environment: secrets of other channels are in
//! that. What does not end in time is killed with all of its process group.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

use super::{
    channel::{Parcel, Sender, Undelivered, heartbeat},
    text::{Words, plain_line},
};
use crate::alarm::notice::Notice;

/// Characters of what a program says that are told of.
const TOLD_CHARS_MAX: usize = 200;
/// Bytes of what a program says that are kept.
const SAID_BYTES_MAX: usize = 16 << 10;

/// What a program gets of the daemon's environment; `LC_…` beside.
const KEPT: [&str; 9] = ["HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"];
/// Where a program looks for others, if the daemon was not told.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
        run(&self.program, &self.args, format!("{input}\n")).await
    }
}

/// What a program is told of its surroundings.
fn environment(ours: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (OsString, OsString)> {
    let is_kept = |name: &OsStr| name.to_str().is_some_and(|name| KEPT.contains(&name) || name.starts_with("LC_"));
    [("PATH".into(), PATH.into())].into_iter().chain(ours.filter(move |(name, _)| is_kept(name)))
}

/// A program that leads its process group, which ends with whoever waits for it no longer.
struct Leader(Child);

impl Drop for Leader {
    fn drop(&mut self) {
        // As long as it was not waited for, nobody else gets its number; after that there is none.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // All of it has ended already: that is what is wanted.
            let _gone = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Runs a program to its end; it is killed, and all that it has started, with whoever waits for it.
pub(super) async fn run(program: &Path, arguments: &[String], input: String) -> Result<(), Undelivered> {
    let failed = |why: std::io::Error| Undelivered::later(crate::chain(&why));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment(std::env::vars_os()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let mut leader = Leader(command.spawn().map_err(failed)?);
    let child = &mut leader.0;
    let mut stdin = child.stdin.take();
    let write = async {
        if let Some(stdin) = &mut stdin {
            // A program that reads nothing is none of our business.
            drop(stdin.write_all(input.as_bytes()).await);
        }
        drop(stdin.take());
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ((), out, err) = tokio::join!(write, kept(out), kept(err));
    // What it has started may hold its outputs when it has ended: until then its number is needed.
    let status = child.wait().await.map_err(failed)?;
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

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Runs a script, so long at most.
    async fn script(text: &str, most: Duration) -> Option<Result<(), Undelivered>> {
        timeout(most, run(Path::new("/bin/sh"), &["-c".to_owned(), text.to_owned()], String::new())).await.ok()
    }

    fn runs(pid: &str) -> bool {
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // Who has ended and was not waited for by whoever has taken it in is there as a zombie.
        state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    }

    #[tokio::test]
    async fn what_a_program_has_started_ends_with_it_when_it_takes_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        // One whose starter goes on, and one that holds its output when that has ended.
        for ending in ["sleep 100", "exit 0"] {
            let text = format!("sleep 77 & echo $! > {}; {ending}", pids.display());
            assert_eq!(script(&text, Duration::from_secs(1)).await.map(|ended| ended.is_ok()), None);
            let pid = fs::read_to_string(&pids).unwrap();
            for _ in 0..100 {
                if !runs(&pid) {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
            assert!(!runs(&pid), "{pid} runs on after {ending}");
        }
    }

    #[tokio::test]
    async fn a_program_inherits_nothing_of_the_daemons_environment_but_who_and_where_it_is() {
        let ours = [("HOME", "/h"), ("LC_TIME", "C"), ("SMTP_PASSWORD", "hush"), ("PATHS", "x"), ("TZ", "UTC")];
        let got: Vec<_> = environment(ours.into_iter().map(|(name, value)| (name.into(), value.into()))).collect();
        let expected = [("PATH", PATH), ("HOME", "/h"), ("LC_TIME", "C"), ("TZ", "UTC")];
        assert_eq!(got, expected.map(|(name, value)| (OsString::from(name), OsString::from(value))));
        // The shell sets some of its own.
        let text = "env | while IFS== read -r name rest; do case $name in HOME|LANG*|LOGNAME|PATH|SHELL|TMPDIR|TZ|USER|LC_*|PWD|OLDPWD|SHLVL|_) ;; \
                    *) echo \"$name\" >&2; exit 3 ;; esac; done";
        let ended = script(text, Duration::from_secs(10)).await.unwrap();
        assert!(ended.is_ok(), "{ended:?}");
    }
}
