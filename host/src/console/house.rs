//! How the daemon and its workers are, in a strip.

use std::{
    cmp::Reverse,
    fmt::{self, Display},
};

use super::{
    html::Escaped,
    readable::{distance, duration, grouped_count, memory},
};
use crate::{
    daemon::status::{Host, Worker},
    plugin::WorkerState,
};

/// Workers that are shown, those that do not run first.
const WORKERS_SHOWN: usize = 12;

/// The daemon and its workers at one instant.
#[derive(Clone, Debug)]
pub struct House {
    /// The daemon.
    pub host: Host,
    /// One for each library.
    pub workers: Vec<Worker>,
}

/// The strip.
pub(super) struct Strip<'a> {
    pub(super) house: &'a House,
    pub(super) now_ns: i64,
}

impl Display for Strip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.house.host;
        if let Some(why) = &host.not_ready {
            writeln!(f, "<p class=\"alarm\" role=\"alert\"><b>Not ready:</b> {}</p>", Escaped(why))?;
        }
        if host.series != "ok" {
            writeln!(f, "<p class=\"alarm\" role=\"alert\"><b>Series:</b> {}</p>", Escaped(&host.series))?;
        }
        let (sign, word) = if host.not_ready.is_none() { ("✓", "ready") } else { ("✕", "not ready") };
        let up_s = (self.now_ns / 1_000_000_000).saturating_sub(i64::try_from(host.started).unwrap_or(i64::MAX)).max(0);
        write!(
            f,
            "<dl class=\"house\"><div><dt>Host<dd class=\"{}\">{sign} {word}<small>",
            if host.not_ready.is_none() { "ok" } else { "failing" }
        )?;
        write!(f, "up {}, {}, version {}</small></div>", duration(up_s as f64), memory(host.memory_bytes), Escaped(&host.version))?;
        self.workers(f)?;
        if !host.refused_libraries.is_empty() {
            let count = host.refused_libraries.len();
            write!(f, "<div><dt>Not loaded<dd class=\"unknown\">? {}<small>", counted(count, "library", "libraries"))?;
            let shown = host.refused_libraries.iter().take(3);
            shown.into_iter().try_for_each(|(path, why)| {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                write!(f, "{}: {} ", Escaped(name), Escaped(why))
            })?;
            f.write_str("</small></div>")?;
        }
        writeln!(f, "</dl>")
    }
}

impl Strip<'_> {
    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Those that wait for a job to come are all alike.
        let (idle, mut workers): (Vec<&Worker>, Vec<&Worker>) = self.house.workers.iter().partition(|worker| is_idle(worker));
        workers.sort_by_key(|worker| (is_up(worker), Reverse(worker.report.crashes), Reverse(worker.report.jobs)));
        for worker in workers.iter().take(WORKERS_SHOWN) {
            self.worker(f, worker)?;
        }
        if let Some(more) = workers.len().checked_sub(WORKERS_SHOWN).filter(|more| *more > 0) {
            write!(f, "<div><dt>Workers<dd>{} more</div>", grouped_count(more))?;
        }
        if idle.is_empty() {
            return Ok(());
        }
        let memory_bytes = idle.iter().map(|worker| worker.memory_bytes).sum();
        let names: Vec<_> = idle.iter().map(|worker| worker.plugin.as_str()).collect();
        let names = names.join(", ");
        write!(f, "<div title=\"{}\"><dt>Without jobs<dd class=\"ok\">✓ {}", Escaped(&names), counted(idle.len(), "worker", "workers"))?;
        write!(f, "<small>{} together</small></div>", memory(memory_bytes))
    }

    fn worker(&self, f: &mut fmt::Formatter<'_>, worker: &Worker) -> fmt::Result {
        let report = &worker.report;
        let (class, sign) = if is_up(worker) { ("ok", "✓") } else { ("failing", "✕") };
        write!(f, "<div><dt>{}<dd class=\"{class}\">{sign} {}<small>", Escaped(&worker.plugin), report.state.name())?;
        write!(f, "{}, {}", counted(report.jobs, "job", "jobs"), memory(worker.memory_bytes))?;
        if report.crashes > 0 {
            write!(f, ", {}", counted(usize::try_from(report.crashes).unwrap_or(usize::MAX), "crash", "crashes"))?;
        }
        f.write_str("</small>")?;
        if let Some(crash) = &report.last_crash {
            let at_ns = crash.at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
            let ago = distance(i64::try_from(at_ns).unwrap_or(i64::MAX), self.now_ns);
            let guilty = crash.guilty.as_deref().map_or("no job to blame".to_owned(), |job| format!("job {job}"));
            write!(f, "<small>{ago} ago, {}: {}</small>", Escaped(guilty), Escaped(&crash.how))?;
        }
        if let Some(why) = &report.refusal {
            write!(f, "<small>not back: {}</small>", Escaped(why))?;
        }
        f.write_str("</div>")
    }
}

fn is_idle(worker: &Worker) -> bool {
    is_up(worker) && worker.report.jobs == 0 && worker.report.crashes == 0
}

fn is_up(worker: &Worker) -> bool {
    worker.report.state == WorkerState::Ready
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped_count(count), if count == 1 { one } else { many })
}
