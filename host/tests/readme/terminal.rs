//! A shell that is kept open: what one line changes (folder, variables) holds for the next.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::harness::until;

/// How long a line may take: the longest builds an agent and all it depends on, on a machine that is busy.
const LINE_TIMEOUT: Duration = Duration::from_secs(420);
/// How long a program may take to end after Ctrl-C.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A shell in a process group of its own, which ends when this is dropped.
pub(crate) struct Terminal {
    shell: Child,
    /// What lines said, out of the way of whoever types them.
    said: TempDir,
}

impl Terminal {
    /// Opens one in a folder.
    pub(crate) fn open(folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.current_dir(folder).stdin(Stdio::piped()).process_group(0);
        // Tests know where they build; a newcomer builds where cargo does.
        command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR").env("CARGO_NET_OFFLINE", "true");
        // What is built is the same, in half the time.
        command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
        Self { shell: command.spawn().unwrap(), said: tempfile::tempdir().unwrap() }
    }

    /// Types a line that has to end well; gives what it said.
    pub(crate) fn ends_well(&mut self, line: &str) -> String {
        self.types(line);
        let code = self.said.path().join("code");
        let ended = until(LINE_TIMEOUT, || {
            let shell = self.shell.try_wait().unwrap();
            shell.map(|status| status.to_string()).or_else(|| fs::read_to_string(&code).ok())
        });
        let said = self.said();
        assert_eq!(ended.as_deref().map(str::trim), Some("0"), "`{line}` said:\n{said}");
        fs::remove_file(code).unwrap();
        said
    }

    /// Types a line and waits for it to say something; it goes on.
    pub(crate) fn goes_on(&mut self, line: &str, sign: &str) {
        self.types(line);
        self.says(sign);
    }

    /// Waits for a running line to say something.
    fn says(&mut self, sign: &str) {
        let said = until(END_TIMEOUT, || self.said().contains(sign).then_some(()));
        assert!(said.is_some(), "no {sign:?} in:\n{}", self.said());
    }

    /// Presses Ctrl-C, and waits for the running line's last word.
    pub(crate) fn interrupt(&mut self, last_word: &str) {
        kill_process_group(Pid::from_child(&self.shell), Signal::INT).unwrap();
        self.says(last_word);
    }

    /// The folder that it is in.
    pub(crate) fn folder(&mut self) -> PathBuf {
        self.ends_well("pwd").trim_end().into()
    }

    fn types(&mut self, line: &str) {
        let (said, code) = (self.said.path().join("said"), self.said.path().join("code"));
        File::create(&said).unwrap();
        let (said, code) = (said.display(), code.display());
        let shell = self.shell.stdin.as_mut().expect("it is piped");
        // Renamed when it is whole: half a file would read as none.
        writeln!(shell, "{{ {line}\n}} >'{said}' 2>&1 </dev/null\necho $? >'{code}.new'; mv '{code}.new' '{code}'").unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(self.said.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended; whatever it started goes with it.
        let _ended = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
        let _ended = self.shell.wait();
    }
}
