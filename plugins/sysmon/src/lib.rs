//! Counts the errors that a service's log tells of, by process and severity, and reports what is new.
//!
//! Target: a log, as `postfix /var/log/mail.log`. Reading order: [`Config`] (what a job says) · [`Sysmon`] (one run) · `fault` (what a
//! line says is wrong).
//!
//! Lines are followed as `watchpost-logs` does it: each once, over rotation and restarts. `faults` is a running total in the cursor. Its
//! label `severity` is X.733's: Postfix's warning, error, fatal, panic, Dovecot's Warning, Error, Fatal, Panic and InterMail's Warn,
//! Erro, Urgt, Fatl are warning, minor, major, critical.
//!
//! Processes beyond `processes_max` are counted as `other`, whose counts are there from the first run on: a log that tells of no fault has
//! its zeros.
//!
//! InterMail names its events; `fault_codes` counts each name by process.
//!
//! Messages that differ in numbers and addresses only are one. One that was not seen in the last hundred different ones is an event at
//! once, and each run reports how often those it saw came again.

mod config;
mod fault;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchpost_logs::{Position, Source, Told, given_up, keep, kept, text::shown};
use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Severity, Unit, export_agents};

pub use config::{Config, Format, Words};
use fault::{Fault, Finder, SEVERITIES};

/// Bytes after which a line is cut.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Different messages that are remembered, so that they are not told as new again.
const KNOWN_MAX: usize = 100;
/// Different messages of one run that are told.
const TOLD_MAX: usize = 50;
/// The process beyond those that are counted by name.
const OTHER: &str = "other";

/// Faults, by who tells of them and how bad they are.
pub const FAULTS: Metric = Metric::counter("faults", Unit::Errors, "Faults told of in the log.").by(&["process", "severity"]);
/// Faults, by who tells of them and what the server calls them.
pub const FAULT_CODES: Metric =
    Metric::counter("fault_codes", Unit::Errors, "Faults by the name that InterMail gives them.").by(&["process", "code"]);
/// Lines that were read.
pub const LINES: Metric = Metric::counter("lines", Unit::Number, "Lines that were read.");
/// Bytes that wait.
pub const BACKLOG_BYTES: Metric = Metric::gauge("backlog_bytes", Unit::Bytes, "Bytes of the log that were not read yet.");

/// The agent `sysmon`, made for one job.
pub struct Sysmon {
    config: Config,
    finder: Finder,
    source: Source,
}

/// What a run leaves to the next one.
#[derive(Default, Serialize, Deserialize)]
struct Left {
    /// What it belongs to: a job whose log or format was changed begins anew.
    of: String,
    place: Option<Position>,
    lines: u64,
    /// Process, and its faults in order of `SEVERITIES`.
    faults: BTreeMap<String, [u64; 5]>,
    /// Process and code with a space between, and how often it came.
    #[serde(default)]
    codes: BTreeMap<String, u64>,
    /// Messages, hashed, that were told; the newest last.
    known: Vec<u64>,
}

/// A message that came in this run.
struct Message {
    severity: Severity,
    code: String,
    text: String,
    times: u64,
}

impl Agent for Sysmon {
    type Config = Config;
    const NAME: &'static str = "sysmon";
    const METRICS: &'static [Metric] = &[FAULTS, LINES, BACKLOG_BYTES, FAULT_CODES];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let source = config.source().source(config.from, LINE_BYTES_MAX);
        Ok(Self { finder: Finder::new(config.format, &config.words), source, config })
    }

    fn target(config: &Config) -> String {
        format!("{} {}", format!("{:?}", config.format).to_lowercase(), config.source().target())
    }

    fn needs(config: &Config) -> Needs {
        config.source().needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let of = Self::target(&self.config);
        let mut left = kept(cx).filter(|left: &Left| left.of == of).unwrap_or_default();
        let (place, processes_max) = (left.place.take(), self.config.processes_max.get() as usize);
        let (mut seen, mut untold) = (BTreeMap::new(), 0u64);
        let each = |line: watchpost_logs::Line<'_>| {
            left.lines += 1;
            if let Some(fault) = self.finder.fault(line.bytes) {
                let process = count(&mut left.faults, &fault, processes_max);
                if self.config.format == Format::Intermail {
                    count_code(&mut left.codes, &process, &fault, self.config.codes_max as usize);
                }
                untold += u64::from(!note(&mut seen, &fault));
            }
        };
        let (place, told) = self.source.read(cx, place.as_ref(), each).await?;
        (left.of, left.place) = (of, Some(place));
        record(cx, &left, &told);
        report(cx, &mut left.known, seen, untold);
        keep(cx, &left)
    }
}

/// Counts a fault; gives the name under which its process is counted.
fn count(faults: &mut BTreeMap<String, [u64; 5]>, fault: &Fault<'_>, processes_max: usize) -> String {
    let process = String::from_utf8_lossy(&fault.process[..fault.process.len().min(40)]);
    let process = match faults.contains_key(&*process) || faults.keys().filter(|name| *name != OTHER).count() < processes_max {
        true => process.into_owned(),
        false => OTHER.to_owned(),
    };
    match faults.get_mut(&process) {
        Some(counts) => counts[fault.severity as usize] += 1,
        None => faults.entry(process.clone()).or_default()[fault.severity as usize] += 1,
    }
    process
}

fn count_code(codes: &mut BTreeMap<String, u64>, process: &str, fault: &Fault<'_>, codes_max: usize) {
    let name = format!("{process} {}", String::from_utf8_lossy(&fault.code[..fault.code.len().min(60)]));
    let other = format!("{OTHER} {OTHER}");
    let is_known = codes.contains_key(&name) || codes.keys().filter(|known| **known != other).count() < codes_max;
    *codes.entry(if is_known { name } else { other }).or_default() += 1;
}

/// Remembers a message of this run; false if there are too many different ones.
fn note(seen: &mut BTreeMap<u64, Message>, fault: &Fault<'_>) -> bool {
    let key = alike(fault);
    if let Some(message) = seen.get_mut(&key) {
        message.times += 1;
        return true;
    }
    if seen.len() == TOLD_MAX {
        return false;
    }
    let process = shown(&fault.process[..fault.process.len().min(40)]);
    let text = format!("{process}: {}", shown(fault.text));
    let code = String::from_utf8_lossy(&fault.code[..fault.code.len().min(60)]).into_owned();
    seen.insert(key, Message { severity: fault.severity, code, text, times: 1 });
    true
}

/// The hash (FNV-1a) of what is alike in messages that differ in numbers, ids and addresses: words with a digit or an `@` count as one.
fn alike(fault: &Fault<'_>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| hash = bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    add(fault.process);
    add(&[b' ', fault.severity as u8]);
    for word in fault.text.split(|byte| matches!(byte, b' ' | b',' | b'=' | b':')) {
        let is_variable = word.iter().any(|byte| byte.is_ascii_digit() || *byte == b'@');
        add(if is_variable { b"#" } else { word });
        add(b" ");
    }
    hash
}

fn record(cx: &Cx, left: &Left, told: &Told) {
    cx.record(LINES, left.lines);
    let none = (OTHER.to_owned(), [0; 5]);
    let unnamed = (!left.faults.contains_key(OTHER)).then_some((&none.0, &none.1));
    for (process, counts) in left.faults.iter().chain(unnamed) {
        for (count, (_, severity)) in counts.iter().zip(SEVERITIES) {
            if *count > 0 || process == OTHER {
                cx.record_with(FAULTS, &[("process", process), ("severity", severity)], *count);
            }
        }
    }
    for (name, count) in &left.codes {
        if let Some((process, code)) = name.split_once(' ') {
            cx.record_with(FAULT_CODES, &[("process", process), ("code", code)], *count);
        }
    }
    if let Some(bytes) = told.backlog {
        cx.record(BACKLOG_BYTES, bytes);
    }
    if told.lost || told.cut_back {
        cx.event(Severity::Warning, "log_lost", "what was written to the log just before it was cut or removed is not counted");
    }
    if let Some(name) = &told.given_up {
        cx.event(Severity::Warning, "log_given_up", &given_up(name));
    }
}

/// Tells the worst first, new ones in full, and how often each came.
fn report(cx: &Cx, known: &mut Vec<u64>, seen: BTreeMap<u64, Message>, untold: u64) {
    let mut messages: Vec<(u64, Message)> = seen.into_iter().collect();
    messages.sort_by_key(|(_, message)| std::cmp::Reverse((message.severity, message.times)));
    for (key, message) in messages {
        let Message { severity, code, text, times } = message;
        let is_new = !known.contains(&key);
        known.retain(|old| *old != key);
        known.push(key);
        let text = match (is_new, times) {
            (true, 1) => text,
            (true, _) => format!("{text} ({times} times)"),
            (false, _) => format!("{text} ({times} times again)"),
        };
        cx.event(severity, &code, &text);
    }
    let over = known.len().saturating_sub(KNOWN_MAX);
    known.drain(..over);
    if untold > 0 {
        cx.event(
            Severity::Warning,
            "more_faults",
            &format!("{untold} faults more, of messages beyond the first {TOLD_MAX} different ones"),
        );
    }
}

export_agents!(Sysmon);
