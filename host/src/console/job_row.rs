//! One job on the start page: how it stands, since when and why, its last values, and when it runs.

use std::{
    cmp::Reverse,
    fmt::{self, Display},
};

use chrono::{DateTime, Utc};
use watchpost_plugin_api::{MetricSpec, Unit};
use watchpost_services::outcome::{Sample, Status};

use super::{
    html::Escaped,
    readable::{distance, duration, value},
};
use crate::latest::{Health, JobState, Last};

/// Values shown of a job; the others fold away.
const VALUES_SHOWN: usize = 5;
/// Values that fold away; what is beyond is in the scrape only.
const VALUES_FOLDED: usize = 20;
/// Characters shown of a message.
pub(super) const MESSAGE_CHARS: usize = 240;
/// Metrics that say most about a job, shown first.
const HEADLINES: [&str; 4] = ["roundtrip_time", "total_time", "queue_size", "connect_time"];

/// The sign of a health, beside its word: neither needs a colour.
pub(super) fn sign(health: Health) -> char {
    match health {
        Health::Ok => '✓',
        Health::Failing => '✕',
        Health::Unknown => '?',
    }
}

/// A job's row.
pub(super) struct Row<'a> {
    pub(super) job: &'a JobState,
    pub(super) health: Health,
    pub(super) now_ns: i64,
}

impl Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = &self.job.shape;
        let name = self.health.name();
        let icon = sign(self.health);
        write!(f, "<tr class=\"{name}\"><td><span class=\"status\"><span class=\"icon\" aria-hidden=\"true\">{icon}</span>{name}</span>")?;
        if let Some(since) = self.job.since_ns(self.now_ns) {
            write!(f, "<small title=\"since {}\">for {}</small>", Instant(since), distance(since, self.now_ns))?;
        }
        write!(f, "<th scope=\"row\">{}", Escaped(&shape.job))?;
        if !shape.labels.is_empty() {
            f.write_str("<small>")?;
            shape.labels.iter().try_for_each(|(key, value)| write!(f, "{}={} ", Escaped(key), Escaped(value)))?;
            f.write_str("</small>")?;
        }
        write!(f, "<td class=\"target\">{}<small>{}</small><td class=\"values\">", Escaped(&shape.target), Escaped(&shape.agent))?;
        self.why(f)?;
        if let Some(last) = self.job.fresh(self.now_ns) {
            values(f, self.job, last)?;
        }
        self.times(f)
    }
}

impl Row<'_> {
    /// What is wrong, in a sentence.
    fn why(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = &self.job.last else {
            return f.write_str("<p class=\"why\">no run yet</p>");
        };
        if self.now_ns >= last.stale_ns {
            write!(f, "<p class=\"why\">no fresh reading: overdue for {}</p>", distance(last.stale_ns, self.now_ns))?;
        }
        match &last.status {
            Status::Ok => Ok(()),
            Status::Failed { kind, message } => write!(f, "<p class=\"why\"><b>{kind}</b> {}</p>", Escaped(Shortened(message))),
        }
    }

    fn times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<td class=\"time\">")?;
        match &self.job.last {
            None => f.write_str("–")?,
            Some(last) => {
                write!(f, "<span title=\"{}\">{} ago</span>", Instant(last.started_ns), distance(last.started_ns, self.now_ns))?;
                if let Some(took) = last.duration {
                    write!(f, "<small>took {}</small>", duration(took.as_secs_f64()))?;
                }
            }
        }
        f.write_str("<td class=\"time\">")?;
        match self.job.next_due_ns {
            None => f.write_str("paused")?,
            Some(next) if next < self.now_ns + 1_000_000_000 => write!(f, "<span title=\"{}\">now</span>", Instant(next))?,
            Some(next) => write!(f, "<span title=\"{}\">in {}</span>", Instant(next), distance(self.now_ns, next))?,
        }
        f.write_str("</tr>\n")
    }
}

fn values(f: &mut fmt::Formatter<'_>, job: &JobState, last: &Last) -> fmt::Result {
    let mut samples: Vec<&Sample> = last.samples.iter().collect();
    samples.sort_by_key(|sample| Reverse(HEADLINES.iter().rev().position(|name| *name == sample.metric)));
    let (shown, rest) = samples.split_at(samples.len().min(VALUES_SHOWN));
    list(f, job, last, shown)?;
    if rest.is_empty() {
        return Ok(());
    }
    let (folded, beyond) = rest.split_at(rest.len().min(VALUES_FOLDED));
    write!(f, "<details><summary>{} more</summary>", rest.len())?;
    list(f, job, last, folded)?;
    if !beyond.is_empty() {
        write!(f, "<p>and {} in <a href=\"/metrics\">the metrics</a></p>", beyond.len())?;
    }
    f.write_str("</details>")
}

fn list(f: &mut fmt::Formatter<'_>, job: &JobState, last: &Last, samples: &[&Sample]) -> fmt::Result {
    if samples.is_empty() {
        return Ok(());
    }
    f.write_str("<dl>")?;
    for sample in samples {
        let unit = spec(job, last, &sample.metric).map_or(Unit::Number, |metric| metric.unit);
        write!(f, "<div><dt>{}", Escaped(&sample.metric))?;
        sample.labels.iter().try_for_each(|label| write!(f, " <i>{}</i>", Escaped(label)))?;
        write!(f, "<dd>{}</div>", value(sample.value, unit))?;
    }
    f.write_str("</dl>")
}

fn spec<'a>(job: &'a JobState, last: &'a Last, name: &str) -> Option<&'a MetricSpec> {
    job.shape.metrics.iter().chain(&last.declared).find(|metric| metric.name == name)
}

/// The beginning of a text that may be very long.
struct Shortened<'a>(&'a str);

impl Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MESSAGE_CHARS) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

/// An instant in UTC, to the second.
pub(super) struct Instant(pub(super) i64);

impl Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant: DateTime<Utc> = DateTime::from_timestamp_nanos(self.0);
        write!(f, "{}", instant.format("%Y-%m-%d %H:%M:%S UTC"))
    }
}
