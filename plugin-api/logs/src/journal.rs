//! The journal of systemd, followed by `journalctl -o json --after-cursor`.
//!
//! Every entry has a cursor of its own; that of the last one that was given is where the next run goes on. journald keeps the order over
//! its rotations, and what it dropped before it was read nobody can count.

mod entry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{
    AgentError, Child, Cx, ErrorKind, Needs, PathBuf, Program,
    prelude::{AsyncReadExt, Duration},
};

use self::entry::Entry;
use crate::{From, Line, Told, lines::Lines, mark::Mark, reader::Known, text::shown};

/// Bytes read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of an entry beside four for each byte of its message: one that is no text is written as numbers.
const ENTRY_BYTES: usize = 16 * 1024;
/// Bytes of the one entry that a first run asks for.
const FIRST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of its complaints that are shown.
const COMPLAINT_BYTES: u64 = 400;
/// What of an entry is asked for.
const FIELDS: &str = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_HOSTNAME";

/// Which entries of the journal, and who reads them. All keys have defaults: `journal = {}` is the machine's own journal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// The program that reads the journal. Default: "/usr/bin/journalctl".
    #[serde(default = "journalctl")]
    pub program: PathBuf,
    /// Only entries with these fields, as journalctl takes them, e.g. ["SYSLOG_FACILITY=2"] for mail, or
    /// ["_SYSTEMD_UNIT=dovecot.service", "_SYSTEMD_UNIT=postfix@-.service"]; several of one field are alternatives. Default: all entries.
    #[serde(default)]
    pub matches: Vec<String>,
    /// A folder with another journal, e.g. "/var/log/journal/remote". Default: the journal of this machine.
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

/// How far a journal was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalPlace {
    /// The last entry that was given; nothing while there was none.
    cursor: Option<String>,
}

/// A journal that is followed.
pub struct Journal {
    config: JournalConfig,
    from: From,
    line_bytes_max: usize,
    lines: Lines,
}

fn journalctl() -> PathBuf {
    "/usr/bin/journalctl".into()
}

impl JournalConfig {
    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let is_match = |text: &str| text == "+" || text.split_once('=').is_some_and(|(field, _)| is_field(field));
        match self.matches.iter().position(|text| !is_match(text)) {
            Some(at) => Err(AgentError::config(format!("journal.matches[{at}]"), "is no FIELD=value of a journal entry")),
            None if !self.program.is_absolute() => Err(AgentError::config("journal.program", "is no absolute path")),
            None => Ok(()),
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        let needs = Needs::none().program(&self.program);
        match &self.folder {
            Some(folder) => needs.read(folder),
            None => ["/var/log/journal", "/run/log/journal", "/etc/machine-id"].iter().fold(needs, |needs, path| needs.read(path)),
        }
    }

    pub(crate) fn target(&self) -> String {
        match (&self.folder, self.matches.is_empty()) {
            (Some(folder), true) => format!("journal {}", folder.display()),
            (Some(folder), false) => format!("journal {} {}", folder.display(), self.matches.join(" ")),
            (None, true) => "journal".into(),
            (None, false) => format!("journal {}", self.matches.join(" ")),
        }
    }

    fn command(&self) -> Program {
        let mut command = Program::new(&self.program).args(["-o", "json", "--no-pager", "--all", FIELDS]);
        if let Some(folder) = &self.folder {
            command = command.arg(format!("--directory={}", folder.display()));
        }
        command
    }
}

/// Names of fields have capitals, digits and underscores: nothing that could be an option.
fn is_field(field: &str) -> bool {
    !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Journal {
    /// A journal whose messages are cut after so many bytes.
    pub(crate) fn new(config: &JournalConfig, from: From, line_bytes_max: usize) -> Self {
        let lines = Lines::new(4 * line_bytes_max + ENTRY_BYTES, PIECE_BYTES);
        Self { config: config.clone(), from, line_bytes_max, lines }
    }

    /// Gives the entries that came since a place as lines of a syslog, and says how far they go. Stops when four fifths of the run's time
    /// are over.
    ///
    /// Errors: kind `local` when the program fails, or writes what is no entry.
    pub(crate) async fn read(
        &mut self,
        cx: &Cx,
        place: Option<&JournalPlace>,
        each: impl FnMut(Line<'_>),
    ) -> Result<(JournalPlace, Told), AgentError> {
        if place.is_none() && self.from == From::End {
            let place = JournalPlace { cursor: self.last(cx).await? };
            return Ok((place, Told { backlog: Some(0), ..Told::default() }));
        }
        self.follow(cx, place.cloned().unwrap_or_default(), each).await
    }

    /// The cursor of the newest entry.
    async fn last(&self, cx: &Cx) -> Result<Option<String>, AgentError> {
        let command = self.config.command().args(["-n", "1"]).args(self.config.matches.clone());
        let output = cx.output(&command, FIRST_BYTES_MAX).await?;
        if !output.exit.is_success() {
            return Err(self.failed(&output.exit.to_string(), &output.stderr));
        }
        let mut cursor = None;
        for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| is_entry(line)) {
            cursor = Some(self.entry(line)?.cursor);
        }
        Ok(cursor)
    }

    async fn follow(
        &mut self,
        cx: &Cx,
        mut place: JournalPlace,
        mut each: impl FnMut(Line<'_>),
    ) -> Result<(JournalPlace, Told), AgentError> {
        let mut command = self.config.command();
        if let Some(cursor) = &place.cursor {
            command = command.arg(format!("--after-cursor={cursor}"));
        }
        let mut child = cx.spawn(&command.args(self.config.matches.clone())).await?;
        let stop_at = cx.elapsed() + cx.remaining() / 5 * 4;
        self.lines.begin(&Mark::default(), Known::default());
        let (mut text, mut too_long) = (Vec::new(), 0u64);
        let mut told = Told { backlog: Some(0), ..Told::default() };
        loop {
            let Some(read) = within(cx, stop_at, &mut child, self.lines.room()).await? else {
                told.backlog = None;
                child.kill()?;
                return Ok((place, told));
            };
            if read == 0 {
                break;
            }
            let mut broken = None;
            let line_bytes_max = self.line_bytes_max;
            self.lines.take(read, |line| match line.cut {
                _ if broken.is_some() || !is_entry(line.bytes) => {}
                // Which entry it is nobody can tell; it is passed when the one after it is.
                true => too_long += 1,
                false => match Entry::read(line.bytes) {
                    Some(entry) => {
                        for _ in 0..std::mem::take(&mut too_long) {
                            each(Line { bytes: b"an entry of the journal that is too long", cut: true });
                        }
                        entry.write(&mut text);
                        let bytes = &text[..text.len().min(line_bytes_max)];
                        each(Line { bytes, cut: entry.is_empty || bytes.len() < text.len() });
                        place.cursor = Some(entry.cursor);
                    }
                    None => broken = Some(shown(line.bytes)),
                },
            });
            if let Some(line) = broken {
                return Err(self.failed("writes what is no entry", line.as_bytes()));
            }
        }
        let exit = child.wait().await?;
        match exit.is_success() {
            true => Ok((place, told)),
            false => Err(self.failed(&exit.to_string(), &complaint(cx, &mut child).await)),
        }
    }

    fn entry(&self, line: &[u8]) -> Result<Entry, AgentError> {
        Entry::read(line).ok_or_else(|| self.failed("writes what is no entry", line))
    }

    fn failed(&self, what: &str, text: &[u8]) -> AgentError {
        let text = shown(text.split(|byte| *byte == b'\n').next().unwrap_or_default());
        AgentError::local(format!("{} {what}: {text}", self.config.program.display()))
    }
}

/// Some versions write `-- No entries --`.
fn is_entry(line: &[u8]) -> bool {
    !line.is_empty() && !line.starts_with(b"-- ")
}

/// Reads what comes until then; nothing if the time is over.
async fn within(cx: &Cx, stop_at: Duration, child: &mut Child, room: &mut [u8]) -> Result<Option<usize>, AgentError> {
    let left = stop_at.saturating_sub(cx.elapsed());
    if left.is_zero() {
        return Ok(None);
    }
    let read = async { child.stdout.read(room).await.map_err(|error| AgentError::local(format!("cannot read the journal: {error}"))) };
    match cx.within(left, read).await {
        Err(error) if error.kind() == ErrorKind::TIMEOUT => Ok(None),
        read => read.map(Some),
    }
}

async fn complaint(cx: &Cx, child: &mut Child) -> Vec<u8> {
    let mut text = Vec::new();
    let mut beginning = (&mut child.stderr).take(COMPLAINT_BYTES);
    // The program has ended; what cannot be read of its words is not waited for.
    let _ = cx.within(Duration::from_secs(1), async { beginning.read_to_end(&mut text).await.map_err(|_| AgentError::timeout()) }).await;
    text
}
