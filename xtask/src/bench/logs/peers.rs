//! Who reads the log, how each is run, and where its counts stand in what it says.

use crate::bench::cost;
use crate::bench::daemon::Daemon;
use crate::error::{Error, Outcome, doing};
use crate::{process, programs};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What is in the log, by name.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// One that reads the log.
pub(super) struct Peer {
    pub(super) name: &'static str,
    how: How,
}

/// How it is run.
enum How {
    /// As a job of a daemon.
    Job,
    /// As a program of its own, whose counts are found in what it says.
    Program(fn(&Path, &Path) -> Outcome<Command>, fn(&str) -> Option<Counts>),
}

pub(super) const PEERS: [Peer; 3] = [
    Peer { name: "maillog, its worker", how: How::Job },
    Peer { name: "mtail, five patterns", how: How::Program(mtail, counts_of_mtail) },
    Peer { name: "pflogsumm", how: How::Program(pflogsumm, counts_of_pflogsumm) },
];

/// What all three can tell. One statement a line: mtail's grammar wants it so.
const PROGRAM: &str = "\
counter received
counter delivered
counter deferrals
counter bounced
counter rejected
/ postfix\\/(smtpd|pickup)\\[\\d+\\]: [0-9A-F]+: (client|uid)=/ {
  received++
}
/ status=sent \\(/ {
  delivered++
}
/ status=deferred \\(/ {
  deferrals++
}
/ status=bounced \\(/ {
  bounced++
}
/: NOQUEUE: reject: / {
  rejected++
}
";

impl Peer {
    /// Reads the log once; gives seconds of CPU, and what was counted.
    pub(super) fn read(&self, folder: &Path, log: &Path, within: Duration) -> Outcome<(f64, Counts)> {
        let How::Program(command, counts) = &self.how else { return maillog(folder, log, within) };
        let cost = cost::of(&mut command(folder, log)?, folder, within)?;
        let counts = counts(&cost.said).filter(|_| cost.status.success());
        let counts = counts.ok_or_else(|| Error::Program { program: self.name.into(), why: format!("{}: {}", cost.status, cost.said) })?;
        Ok((cost.cpu, counts))
    }
}

/// The worker of a daemon with this one job, from its start until the log is read.
fn maillog(folder: &Path, log: &Path, within: Duration) -> Outcome<(f64, Counts)> {
    let job = "[[job]]\nname = \"mail\"\nagent = \"maillog\"\nevery = \"5s\"\ntimeout = \"5s\"\n";
    let log = log.display();
    let config = format!("config = {{ log = \"{log}\", format = \"postfix\", from = \"start\", reinjected = [\"reinject\"] }}\n");
    let daemon = Daemon::start(folder, &format!("{job}{config}"))?;
    let mut counts = None;
    process::wait_until(within, || {
        counts = daemon.metrics().ok().and_then(|metrics| counts_of_maillog(&metrics));
        counts.is_some()
    });
    let counts = counts.ok_or_else(|| Error::Refused(format!("maillog did not read the log within {} s", within.as_secs())))?;
    Ok((daemon.used()?.0, counts))
}

fn mtail(folder: &Path, log: &Path) -> Outcome<Command> {
    let program = folder.join("postfix.mtail");
    write(&program, PROGRAM)?;
    let mut command = Command::new(found("mtail")?);
    command.arg("--one_shot").arg("--progs").arg(program).arg("--logs").arg(log);
    Ok(command)
}

fn pflogsumm(_: &Path, log: &Path) -> Outcome<Command> {
    let mut command = Command::new(found("pflogsumm")?);
    command.arg(log);
    Ok(command)
}

fn found(name: &str) -> Outcome<std::path::PathBuf> {
    programs::find(name).ok_or_else(|| Error::Refused(format!("there is no {name} to compare with (Debian: {name})")))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(doing(format!("write {}", path.display())))
}

/// `watchpost_maillog_class_lines_total{…,class="sent"} 3`; nothing before all of the log is read.
fn counts_of_maillog(metrics: &str) -> Option<Counts> {
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    let bare = |name: &str| metrics.lines().find(|line| line.starts_with(&format!("watchpost_maillog_{name}{{"))).and_then(value);
    if bare("backlog_bytes") != Some(0.0) || bare("lines_unmatched_total") != Some(0.0) {
        return None;
    }
    let class = |name: &str| {
        let label = format!("class=\"{name}\"");
        metrics.lines().find(|line| line.contains(&label)).and_then(value).unwrap_or(0.0) as u64
    };
    Some(BTreeMap::from([
        ("received", class("received_smtp") + class("received_local")),
        ("delivered", class("sent") + class("stored") + class("handed_to_filter")),
        ("deferrals", class("deferred")),
        ("bounced", class("bounced")),
        ("rejected", class("reject")),
    ]))
}

/// `"Name": "sent", … "Value": 3`, whatever stands between.
fn counts_of_mtail(said: &str) -> Option<Counts> {
    let flat: String = said.split_whitespace().collect();
    let count = |name: &str| {
        let rest = flat.split_once(&format!("\"Name\":\"{name}\""))?.1;
        let value = rest.split_once("\"Value\":")?.1;
        let value = value.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        value.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    };
    NAMES.into_iter().map(|name| Some((name, count(name)?))).collect()
}

/// The sums over the hours: the totals above them are rounded to thousands. Of a log of more than a day the hours are averages, with
/// another title.
fn counts_of_pflogsumm(said: &str) -> Option<Counts> {
    let hours = said.split_once("Per-Hour Traffic Summary\n")?.1.lines().skip(3);
    let hours = hours.map_while(|line| line.trim().split_once('-').map(|(_, rest)| rest.split_whitespace().skip(1)));
    let mut sums = [0; NAMES.len()];
    for mut hour in hours {
        for sum in &mut sums {
            *sum += hour.next()?.parse::<u64>().ok()?;
        }
    }
    Some(NAMES.into_iter().zip(sums).collect())
}

/// In the order of pflogsumm's columns.
const NAMES: [&str; 5] = ["received", "delivered", "deferrals", "bounced", "rejected"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_what_each_says() {
        let expected: Counts = BTreeMap::from([("received", 5), ("delivered", 7), ("deferrals", 3), ("bounced", 2), ("rejected", 1)]);
        let pflogsumm = "Per-Hour Traffic Summary\n\n    time          received  delivered   deferred    bounced     rejected\n    \
            ------------------\n    0400-0500           5          4          3          2          0\n    \
            0500-0600           0          3          0          0          1\n\nHost\n";
        assert_eq!(counts_of_pflogsumm(pflogsumm), Some(expected.clone()));
        let value = |name: &str, value: u64| {
            format!("{{\"Name\": \"{name}\", \"Program\": \"p\", \"LabelValues\": [{{\"Value\": {{\"Value\": {value}, \"Time\": 9}}}}]}}")
        };
        let mtail: String = expected.iter().map(|(name, count)| value(name, *count)).collect();
        assert_eq!(counts_of_mtail(&mtail), Some(expected.clone()));
        let class = |name: &str, value: u64| format!("watchpost_maillog_class_lines_total{{job=\"mail\",class=\"{name}\"}} {value}\n");
        let classes = [
            ("received_smtp", 4),
            ("received_local", 1),
            ("reinjected", 9),
            ("sent", 6),
            ("handed_to_filter", 1),
            ("deferred", 3),
            ("bounced", 2),
            ("reject", 1),
        ];
        let classes: String = classes.iter().map(|(name, count)| class(name, *count)).collect();
        let bare = |name: &str| format!("watchpost_maillog_{name}{{job=\"mail\"}} 0\n");
        let read = bare("backlog_bytes") + &bare("lines_unmatched_total");
        assert_eq!(counts_of_maillog(&(classes.clone() + &read)), Some(expected));
        assert_eq!(counts_of_maillog(&classes), None, "it may have more to read");
        assert_eq!(counts_of_maillog(""), None, "what was not told is not zero");
    }
}
