//! The start page: every job, those that need somebody first.

use std::{
    cmp::Reverse,
    fmt::{self, Display, Write},
};

use chrono::{DateTime, Utc};
use watchpost_plugin_api::{MetricSpec, Unit};
use watchpost_services::outcome::{Sample, Status};

use super::{
    html::Escaped,
    readable::{distance, duration, value},
};
use crate::latest::{Health, JobState, Last, Snapshot};

/// Values shown of a job; the others fold away.
const VALUES_SHOWN: usize = 5;
/// Values that fold away; what is beyond is in the scrape only, so that a page of 2,000 jobs stays readable by a browser.
const VALUES_FOLDED: usize = 20;
/// Characters shown of a message.
const MESSAGE_CHARS: usize = 240;
/// Metrics that say most about a job, shown first.
const HEADLINES: [&str; 4] = ["roundtrip_time", "total_time", "queue_size", "connect_time"];

/// Writes the start page.
pub fn page(snapshot: &Snapshot) -> String {
    let mut out = String::with_capacity(4096 + snapshot.jobs.len() * 1024);
    // A String takes all that is written.
    let _infallible = write!(out, "{}", Page(snapshot));
    out
}

/// Writes the page for an address that leads nowhere.
pub fn missing() -> String {
    let body = "<main class=\"plain\"><h1>Nothing is here</h1><p>The jobs are on the <a href=\"/\">start page</a>.</p></main>";
    Frame { title: "Nothing is here", refresh: false, body }.to_string()
}

struct Frame<B> {
    title: &'static str,
    refresh: bool,
    body: B,
}

impl<B: Display> Display for Frame<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refresh = if self.refresh { "<meta http-equiv=\"refresh\" content=\"10\">\n" } else { "" };
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n{refresh}<title>{} – Watchpost</title>\n\
             <link rel=\"stylesheet\" href=\"/console.css\">\n</head>\n<body>\n{}\n</body>\n</html>\n",
            self.title, self.body
        )
    }
}

struct Page<'a>(&'a Snapshot);

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Frame { title: "Jobs", refresh: true, body: Body(self.0) }.fmt(f)
    }
}

struct Body<'a>(&'a Snapshot);

impl Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { now_ns, jobs } = self.0;
        writeln!(f, "<header><h1>Watchpost</h1>{}<p class=\"when\">{}</p></header>\n<main>", Summary(self.0), Instant(*now_ns))?;
        if jobs.is_empty() {
            writeln!(f, "<p class=\"none\">No jobs yet. Name one in a schedule file, then <code>watchpost reload</code>.</p>")?;
        } else {
            let mut rows: Vec<_> = jobs.iter().map(|job| (job.health(*now_ns), &**job)).collect();
            // The jobs of a snapshot stand by name, and a stable sort leaves them so.
            rows.sort_by_key(|(health, _)| *health);
            writeln!(
                f,
                "<table>\n<thead><tr><th scope=\"col\">Status<th scope=\"col\">Job<th scope=\"col\">Target<th scope=\"col\">Last values\
                 <th scope=\"col\">Last run<th scope=\"col\">Next run</tr></thead>\n<tbody>"
            )?;
            rows.into_iter().try_for_each(|(health, job)| Row { job, health, now_ns: *now_ns }.fmt(f))?;
            writeln!(f, "</tbody>\n</table>")?;
        }
        write!(
            f,
            "</main>\n<footer><nav><a href=\"/metrics\">Metrics</a> <a href=\"/-/healthy\">Health</a> <a href=\"/-/ready\">Readiness</a></nav>\
             <p>This page renews itself every 10 seconds.</p></footer>"
        )
    }
}

/// "7 jobs: 5 ok, 1 failing, 1 unknown".
struct Summary<'a>(&'a Snapshot);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { now_ns, jobs } = self.0;
        write!(f, "<p class=\"summary\"><b>{} {}</b>", jobs.len(), if jobs.len() == 1 { "job" } else { "jobs" })?;
        let mut before = ": ";
        for health in [Health::Ok, Health::Failing, Health::Unknown] {
            let count = jobs.iter().filter(|job| job.health(*now_ns) == health).count();
            if count > 0 {
                write!(f, "{before}<span class=\"{0}\">{1} {0}</span>", health.name(), count)?;
                before = ", ";
            }
        }
        f.write_str("</p>")
    }
}

struct Row<'a> {
    job: &'a JobState,
    health: Health,
    now_ns: i64,
}

impl Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = &self.job.shape;
        let name = self.health.name();
        let icon = match self.health {
            Health::Ok => "✓",
            Health::Failing => "✕",
            Health::Unknown => "?",
        };
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
struct Instant(i64);

impl Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant: DateTime<Utc> = DateTime::from_timestamp_nanos(self.0);
        write!(f, "{}", instant.format("%Y-%m-%d %H:%M:%S UTC"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::Outcome;

    use super::*;
    use crate::{
        latest::{JobView, Latest},
        reading::{Cause, Reading, Shape},
    };

    fn snapshot(jobs: &[(&str, Option<Status>)]) -> Snapshot {
        let latest = Latest::default();
        let shape = |job: &str| {
            let (agent, target, labels, metrics) = ("pop3".into(), "mx:110".into(), vec![], vec![]);
            Shape { job: job.into(), agent, target, labels, step_s: 30, metrics }
        };
        latest.set_jobs(jobs.iter().map(|(job, _)| JobView { shape: shape(job), next_due_ns: None }));
        for (job, status) in jobs {
            let Some(status) = status.clone() else { continue };
            let outcome = Outcome { status, ..Outcome::failed(ErrorKind::LOCAL, "", 0) };
            latest.apply(&Reading { job: (*job).into(), cause: Cause::Schedule, slot: 0, due_ns: 0, stale_ns: 100, outcome });
        }
        latest.snapshot(50)
    }

    fn failed(message: &str) -> Option<Status> {
        Some(Status::Failed { kind: ErrorKind::CONNECT, message: message.into() })
    }

    #[test]
    fn those_that_need_somebody_stand_first_and_each_group_by_name() {
        let page =
            page(&snapshot(&[("a", Some(Status::Ok)), ("b", None), ("c", failed("no")), ("d", Some(Status::Ok)), ("e", failed("no"))]));
        let order: Vec<_> = page.split("<th scope=\"row\">").skip(1).map(|row| &row[..1]).collect();
        assert_eq!(order, ["c", "e", "b", "a", "d"]);
        let summary = "<b>5 jobs</b>: <span class=\"ok\">2 ok</span>, <span class=\"failing\">2 failing</span>, <span class=\"unknown\">1 unknown</span>";
        assert!(page.contains(summary), "{page}");
    }

    #[test]
    fn a_status_is_a_sign_and_a_word_whatever_its_colour() {
        let page = page(&snapshot(&[("a", Some(Status::Ok)), ("b", None), ("c", failed("no"))]));
        for (sign, word) in [("✓", "ok"), ("?", "unknown"), ("✕", "failing")] {
            assert!(page.contains(&format!("aria-hidden=\"true\">{sign}</span>{word}</span>")), "{page}");
        }
    }

    #[test]
    fn values_that_are_old_are_not_shown() {
        let mut snapshot = snapshot(&[("a", None)]);
        let metrics = vec![Sample { metric: "connect_time".into(), labels: vec![], value: 0.5 }];
        let last = Last {
            status: Status::Ok,
            samples: metrics,
            declared: vec![],
            events: 0,
            refused: 0,
            started_ns: 0,
            duration: None,
            stale_ns: 100,
        };
        Arc::make_mut(&mut snapshot.jobs[0]).last = Some(Arc::new(last));
        assert!(page(&snapshot).contains("connect_time"));
        snapshot.now_ns = 3_000_000_100;
        let page = page(&snapshot);
        assert!(!page.contains("connect_time") && page.contains("overdue for 3 s"), "{page}");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let page = page(&snapshot(&[("a", failed(&"é".repeat(10_000)))]));
        assert!(page.contains(&format!(" {}…</p>", "é".repeat(MESSAGE_CHARS))));
    }
}
