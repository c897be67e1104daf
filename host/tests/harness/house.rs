//! A configuration with its data folder, and commands run on it.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{Daemon, programs::Programs, until};

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// Number of the user and group that root's tests hand over to: `nobody` on Debian, and nobody's elsewhere.
const NOBODY: u32 = 65534;

/// A folder with `watchpost.toml`, one schedule, and what daemons leave in `data`; gone when dropped.
pub(crate) struct House {
    folder: TempDir,
    programs: Programs,
    /// Whose the folder is, and who runs everything; ourselves if it is none.
    user: Option<u32>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The output of a command that has to succeed.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}

impl House {
    /// Sets up a house whose one schedule file says `schedule`; the agent `smtp` is there, the listener takes any free port.
    pub(crate) fn new(schedule: &str) -> Self {
        Self::of(Programs::new(), None, schedule)
    }

    /// As [`new`](House::new), lived in by an ordinary user: ourselves, or `nobody` where we are root.
    pub(crate) fn ordinary(schedule: &str) -> Self {
        let root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let (programs, user) = if root { (Programs::for_everybody(), Some(NOBODY)) } else { (Programs::new(), None) };
        let house = Self::of(programs, user, schedule);
        house.give(house.folder());
        house
    }

    fn of(programs: Programs, user: Option<u32>, schedule: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plugins = programs.plugins();
        let main = format!("listen = \"127.0.0.1:0\"\nplugins = [{:?}]\nschedules = [\"jobs.toml\"]\n", plugins.display().to_string());
        fs::write(folder.path().join("watchpost.toml"), main).unwrap();
        let house = Self { folder, programs, user };
        house.schedule(schedule);
        house
    }

    /// Writes the schedule anew.
    pub(crate) fn schedule(&self, text: &str) {
        fs::write(self.folder.path().join("jobs.toml"), text).unwrap();
    }

    /// Adds tables to the main file.
    pub(crate) fn add_to_main(&self, text: &str) {
        let main = self.folder.path().join("watchpost.toml");
        let said = fs::read_to_string(&main).unwrap();
        fs::write(&main, said + text).unwrap();
    }

    /// Replaces something in the main file.
    pub(crate) fn replace_in_main(&self, old: &str, new: &str) {
        let main = self.folder.path().join("watchpost.toml");
        let said = fs::read_to_string(&main).unwrap();
        assert!(said.contains(old), "{said}");
        fs::write(&main, said.replace(old, new)).unwrap();
    }

    /// Leaves a file that only the house's user can read; gives its path.
    pub(crate) fn keep(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        self.give(&path);
        path
    }

    /// Makes the house's user the owner of a file or folder.
    pub(crate) fn give(&self, path: &Path) {
        if self.user.is_some() {
            chown(path, self.user, self.user).unwrap();
        }
    }

    /// The folder of the configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the agents we ship.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.programs.plugins()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The socket on which a daemon answers commands.
    pub(crate) fn socket(&self) -> PathBuf {
        self.data().join("watchpost.sock")
    }

    /// How the worst alarm of a rule stands, and its sentence; also of one that the host has of itself.
    pub(crate) fn alarm_of(&self, rule: &str) -> Option<(String, String)> {
        let listed: serde_json::Value = serde_json::from_str(&self.run(&["alarms", "list", "--rule", rule, "--json"]).ok()).unwrap();
        let text = |key: &str| listed[0][key].as_str().map(str::to_owned);
        text("stage").zip(text("text"))
    }

    /// Waits until the worst alarm of a rule stands so; gives its sentence.
    pub(crate) fn alarm_is(&self, rule: &str, stage: &str) -> String {
        let found = super::until(Duration::from_secs(60), || self.alarm_of(rule).filter(|(is, _)| is == stage));
        found.unwrap_or_else(|| panic!("{rule} is not {stage}, but {:?}", self.alarm_of(rule))).1
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.wait_ready();
        daemon
    }

    /// Starts a daemon with something added to its command, and waits until it is ready.
    pub(crate) fn start_with(&self, add: impl FnOnce(&mut Command)) -> Daemon {
        let mut command = self.command(&["run", "--log", "json"]);
        add(&mut command);
        let mut daemon = Daemon::spawn(command, self.folder());
        daemon.wait_ready();
        daemon
    }

    /// Starts a daemon and does not wait.
    pub(crate) fn spawn(&self) -> Daemon {
        self.spawn_as(&["run", "--log", "json"])
    }

    /// Starts a daemon with other words and does not wait.
    pub(crate) fn spawn_as(&self, words: &[&str]) -> Daemon {
        Daemon::spawn(self.command(words), self.folder())
    }

    /// Runs a command on this configuration to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        let mut command = self.command(words);
        // Files, not pipes: whatever a command says, it never waits for us to read it.
        let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        command.stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
        let mut child = command.spawn().unwrap();
        let Some(status) = until(COMMAND_TIMEOUT, || child.try_wait().unwrap()) else {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("`watchpost {}` took longer than {COMMAND_TIMEOUT:?}", words.join(" "));
        };
        let read = |file: &Path| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        Said { code: status.code(), out: read(out.path()), err: read(err.path()) }
    }

    /// A command that is told of no configuration, not started yet.
    pub(crate) fn bare(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.programs.watchpost());
        command.args(words);
        command
    }

    /// A command on this configuration, not started yet.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bare(words);
        command.arg("--config").arg(self.folder().join("watchpost.toml"));
        // From elsewhere: no path may lean on the working directory.
        command.current_dir("/").stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user); // root's other groups go with it
        }
        command
    }
}
