//! What the daemon says of itself: `watchpost_host_*`, one method per thing that happens.
//!
//! Gauges of queues and processes that nobody has told yet are absent, not 0.

pub(crate) mod process;
mod register;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{Counter, Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, Registry, proto::MetricFamily};
use watchpost_plugin_api::Severity;
use watchpost_services::outcome::Status;

use crate::alarm::ledger::standing::{Census, State};
use register::Register;

/// Seconds between when a run was due and when it started.
const LAG_BUCKETS_S: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The host's own metrics, and the registry that holds them.
#[derive(Debug)]
pub struct HostMetrics {
    registry: Registry,
    runs: IntCounterVec,
    run_failures: IntCounterVec,
    runs_skipped: IntCounter,
    label_sets_refused: IntCounter,
    samples_refused: IntCounterVec,
    log_lines_held_back: IntCounterVec,
    lag: Histogram,
    jobs: GaugeVec,
    workers: GaugeVec,
    worker_restarts: IntCounterVec,
    worker_crashes: IntCounterVec,
    worker_deaths: IntCounterVec,
    job_crashes: IntCounterVec,
    job_holds: IntCounterVec,
    jobs_held: GaugeVec,
    library_replacements: IntCounterVec,
    libraries_refused: GaugeVec,
    journal_records: IntCounter,
    journal_bytes: IntCounter,
    journal_fsyncs: IntCounter,
    journal_fsync_time: Counter,
    journal_queue: GaugeVec,
    journal_append_errors: IntCounter,
    series_rows: IntCounter,
    series_rows_pending: GaugeVec,
    series_lock_retries: IntCounter,
    series_files_migrated: IntCounter,
    series_migrations_pending: GaugeVec,
    writer_stopped: GaugeVec,
    consumer_behind: GaugeVec,
    alarms: GaugeVec,
    rules: GaugeVec,
    rule_series: GaugeVec,
    objective_level: GaugeVec,
    objective_budget_left: GaugeVec,
    series_left_out: GaugeVec,
    http_connections: Gauge,
    http_refused: IntCounter,
    reload_successful: GaugeVec,
    reload_time: GaugeVec,
    open_fds: GaugeVec,
    resident: GaugeVec,
}

impl HostMetrics {
    /// Makes the metrics of a daemon of this version that started then.
    ///
    /// Errors: those of the registry, if two metrics had one name.
    pub fn new(version: &str, started: SystemTime) -> Result<Self, prometheus::Error> {
        let make = Register::new("watchpost_host_");
        make.gauge("build_info", "1, with the daemon's version.", &["version"])?.with_label_values(&[version]).set(1.0);
        make.plain_gauge("start_time_seconds", "When the daemon started, since 1970.")?.set(seconds_since_1970(started));
        Ok(Self {
            runs: make.counters("runs_total", "Runs that ended, by agent and result (ok, failed).", &["agent", "result"])?,
            run_failures: make.counters("run_failures_total", "Runs that did not end well, by agent and kind.", &["agent", "kind"])?,
            runs_skipped: make.counter("runs_skipped_total", "Runs that were due and not started.")?,
            label_sets_refused: make.counter("label_sets_refused_total", "Label sets of runs that had no room below labels_max.")?,
            samples_refused: make.counters("samples_refused_total", "Samples and the like of runs that were refused.", &["agent"])?,
            log_lines_held_back: make.counters(
                "log_lines_held_back_total",
                "Lines of agents that were more than is logged.",
                &["plugin"],
            )?,
            lag: make.histogram("scheduler_lag_seconds", "Time from when a run was due to its start.", &LAG_BUCKETS_S)?,
            jobs: make.gauge("jobs", "Jobs of the configuration in force.", &[])?,
            workers: make.gauge("workers", "Worker processes that run.", &[])?,
            worker_restarts: make.counters("worker_restarts_total", "Workers started again, by plugin.", &["plugin"])?,
            worker_crashes: make.counters("worker_crashes_total", "Workers that died unasked, by plugin.", &["plugin"])?,
            worker_deaths: make.counters("worker_deaths_total", "Workers that died unasked, by plugin and cause.", &["plugin", "cause"])?,
            job_crashes: make.counters("job_crashes_total", "Times a job brought its worker down.", &["job"])?,
            job_holds: make.counters(
                "job_holds_total",
                "Times a job was held back, quarantined, let run on probation or released.",
                &["job", "step"],
            )?,
            jobs_held: make.gauge("jobs_held", "Jobs that are held back or quarantined now.", &["state"])?,
            library_replacements: make.counters(
                "library_replacements_total",
                "Changed libraries that took over, passed their trial, were switched back from or were refused.",
                &["plugin", "result"],
            )?,
            libraries_refused: make.gauge("libraries_refused", "Files and folders of libraries that are not used.", &[])?,
            journal_records: make.counter("journal_records_total", "Records appended to the journal.")?,
            journal_bytes: make.counter("journal_bytes_total", "Volume appended to the journal.")?,
            journal_fsyncs: make.counter("journal_fsyncs_total", "Times the journal was synced.")?,
            journal_fsync_time: make.sum("journal_fsync_seconds_total", "Time spent in syncing the journal.")?,
            journal_queue: make.gauge("journal_queue_length", "Records that wait to be appended.", &[])?,
            journal_append_errors: make.counter("journal_append_errors_total", "Appends that failed.")?,
            series_rows: make.counter("series_rows_written_total", "Rows written to series files.")?,
            series_rows_pending: make.gauge("series_rows_pending", "Rows that wait to be written to series files.", &[])?,
            series_lock_retries: make.counter("series_lock_retries_total", "Writes put off because somebody held the file's lock.")?,
            series_files_migrated: make
                .counter("series_files_migrated_total", "Series files of another shape whose rows others have taken over.")?,
            series_migrations_pending: make.gauge(
                "series_migrations_pending",
                "Series files of another shape whose rows are not all taken over yet.",
                &[],
            )?,
            writer_stopped: make.gauge("writer_stopped", "1 while journal or series cannot be written.", &["writer"])?,
            consumer_behind: make.gauge("consumer_behind_records", "Journal records a consumer has yet to take.", &["consumer"])?,
            alarms: make.gauge("alarms", "Alarms that are active, by severity.", &["severity"])?,
            rules: make.gauge("rules", "Rules by the worst state of their series (ok, trouble, unknown).", &["state"])?,
            rule_series: make.gauge("rule_series", "Series held to rules, by state (ok, trouble, unknown).", &["state"])?,
            objective_level: make.gauge(
                "objective_level_ratio",
                "Share of the known time of an objective's period so far that was good.",
                &["objective"],
            )?,
            objective_budget_left: make.gauge(
                "objective_budget_left_ratio",
                "Share that is left of the time that may be bad; below 0 when more was.",
                &["objective"],
            )?,
            series_left_out: make.gauge("series_left_out", "Series not exposed because their name or labels clash.", &[])?,
            http_connections: make.plain_gauge("http_connections", "Connections to the listener that are open.")?,
            http_refused: make.counter("http_connections_refused_total", "Connections closed at once because too many were open.")?,
            reload_successful: make.gauge("config_last_reload_successful", "1 if the last load of the configuration passed.", &[])?,
            reload_time: make.gauge("config_last_reload_success_timestamp_seconds", "When a configuration last passed.", &[])?,
            open_fds: make.gauge("open_fds", "File descriptors that are open.", &[])?,
            resident: make.gauge("resident_memory_bytes", "Memory in use.", &[])?,
            registry: make.registry,
        })
    }

    /// A run of a job of `agent` ended.
    pub fn run_ended(&self, agent: &str, status: &Status) {
        let result = if status.is_ok() { "ok" } else { "failed" };
        self.runs.with_label_values(&[agent, result]).inc();
        if let Status::Failed { kind, .. } = status {
            self.run_failures.with_label_values(&[agent, kind.name()]).inc();
        }
    }

    /// That many more runs were due and not started.
    pub fn run_skipped(&self, runs: u64) {
        self.runs_skipped.inc_by(runs);
    }

    /// So many label sets of a run had no room.
    pub fn label_sets_refused(&self, sets: u64) {
        self.label_sets_refused.inc_by(sets);
    }

    /// A run started that long after it was due.
    pub fn run_lagged(&self, lag: Duration) {
        self.lag.observe(lag.as_secs_f64());
    }

    /// That many jobs are in force.
    pub fn set_jobs(&self, jobs: usize) {
        set(&self.jobs, &[], jobs as f64);
    }

    /// That many workers run.
    pub fn set_workers(&self, workers: usize) {
        set(&self.workers, &[], workers as f64);
    }

    /// That many samples and the like of a run of `agent` were refused.
    pub fn samples_refused(&self, agent: &str, samples: u32) {
        if samples > 0 {
            self.samples_refused.with_label_values(&[agent]).inc_by(samples.into());
        }
    }

    /// So many alarms are active, by severity.
    pub fn alarms_stand(&self, active: &BTreeMap<Severity, usize>) {
        for (severity, count) in active {
            let name = serde_json::to_value(severity).ok();
            let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
            set(&self.alarms, &[name], *count as f64);
        }
    }

    /// So many rules and series are well, in trouble or unknown.
    pub fn rules_stand(&self, census: &Census) {
        for (gauge, counts) in [(&self.rules, &census.rules()), (&self.rule_series, &census.series)] {
            for state in State::ALL {
                set(gauge, &[state.name()], counts.get(&state).copied().unwrap_or(0) as f64);
            }
        }
    }

    /// How an objective stands; what is not known is absent.
    pub fn objective_stands(&self, objective: &str, level: Option<f64>, budget_left: Option<f64>) {
        for (gauge, value) in [(&self.objective_level, level), (&self.objective_budget_left, budget_left)] {
            match value {
                Some(value) => set(gauge, &[objective], value),
                // It may never have been there.
                None => drop(gauge.remove_label_values(&[objective])),
            }
        }
    }

    /// That many more lines of the agents of `plugin` were more than is logged.
    pub fn log_lines_held_back(&self, plugin: &str, lines: u64) {
        if lines > 0 {
            self.log_lines_held_back.with_label_values(&[plugin]).inc_by(lines);
        }
    }

    /// The worker of `plugin` was started again that many times more.
    pub fn worker_restarted(&self, plugin: &str, times: u64) {
        self.worker_restarts.with_label_values(&[plugin]).inc_by(times);
    }

    /// The worker of `plugin` died unasked that many times more.
    pub fn worker_crashed(&self, plugin: &str, times: u64) {
        self.worker_crashes.with_label_values(&[plugin]).inc_by(times);
    }

    /// The worker of `plugin` died of `cause`, by the doing of `job` if it is known.
    pub fn worker_died(&self, plugin: &str, cause: &str, job: Option<&str>) {
        self.worker_deaths.with_label_values(&[plugin, cause]).inc();
        if let Some(job) = job {
            self.job_crashes.with_label_values(&[job]).inc();
        }
    }

    /// A job was held back, quarantined, let run on probation or released.
    pub fn job_held(&self, job: &str, step: &str) {
        self.job_holds.with_label_values(&[job, step]).inc();
    }

    /// That many jobs are in this state of being held.
    pub fn set_jobs_held(&self, state: &str, jobs: usize) {
        set(&self.jobs_held, &[state], jobs as f64);
    }

    /// A changed library took over, passed its trial, was switched back from or was refused.
    pub fn library_replaced(&self, plugin: &str, result: &str) {
        self.library_replacements.with_label_values(&[plugin, result]).inc();
    }

    /// That many files and folders of libraries are not used.
    pub fn set_libraries_refused(&self, files: usize) {
        set(&self.libraries_refused, &[], files as f64);
    }

    /// Records of that volume were appended to the journal.
    pub fn journal_appended(&self, records: u64, bytes: u64) {
        self.journal_records.inc_by(records);
        self.journal_bytes.inc_by(bytes);
    }

    /// The journal was synced that many times more, in that time together.
    pub fn journal_synced(&self, times: u64, took: Duration) {
        self.journal_fsyncs.inc_by(times);
        self.journal_fsync_time.inc_by(took.as_secs_f64());
    }

    /// That many records wait to be appended.
    pub fn set_journal_queue(&self, records: usize) {
        set(&self.journal_queue, &[], records as f64);
    }

    /// That many more appends failed.
    pub fn journal_append_failed(&self, times: u64) {
        self.journal_append_errors.inc_by(times);
    }

    /// Rows were written to series files.
    pub fn series_rows_written(&self, rows: u64) {
        self.series_rows.inc_by(rows);
    }

    /// Journal or series cannot be written, or can again.
    pub fn set_writer_stopped(&self, writer: &str, stopped: bool) {
        set(&self.writer_stopped, &[writer], f64::from(u8::from(stopped)));
    }

    /// That many rows wait to be written.
    pub fn set_series_rows_pending(&self, rows: usize) {
        set(&self.series_rows_pending, &[], rows as f64);
    }

    /// That many more series files were migrated.
    pub fn series_files_migrated(&self, files: u64) {
        self.series_files_migrated.inc_by(files);
    }

    /// That many series files wait to be migrated.
    pub fn set_series_migrations_pending(&self, files: usize) {
        set(&self.series_migrations_pending, &[], files as f64);
    }

    /// That many more writes were put off because somebody held the file's lock.
    pub fn series_lock_retried(&self, times: u64) {
        self.series_lock_retries.inc_by(times);
    }

    /// A consumer of the journal has that many records to go.
    pub fn set_consumer_behind(&self, consumer: &str, records: u64) {
        set(&self.consumer_behind, &[consumer], records as f64);
    }

    /// That many series were left out of the scrape in the making.
    pub fn set_series_left_out(&self, series: u64) {
        set(&self.series_left_out, &[], series as f64);
    }

    /// A connection to the listener was taken; it counts as open until what is given back is dropped.
    pub fn http_connection(&self) -> OpenConnection {
        self.http_connections.inc();
        OpenConnection(self.http_connections.clone())
    }

    /// A connection was closed at once because too many were open.
    pub fn http_connection_refused(&self) {
        self.http_refused.inc();
    }

    /// A load of the configuration passed.
    pub fn reload_passed(&self, at: SystemTime) {
        set(&self.reload_successful, &[], 1.0);
        set(&self.reload_time, &[], seconds_since_1970(at));
    }

    /// A load of the configuration was refused; the old one stays.
    pub fn reload_refused(&self) {
        set(&self.reload_successful, &[], 0.0);
    }

    /// Reads all of them, those of the process as they are now.
    pub fn gather(&self) -> Vec<MetricFamily> {
        for (gauge, now) in [(&self.open_fds, process::open_fds()), (&self.resident, process::resident_bytes("self"))] {
            match now {
                Some(now) => set(gauge, &[], now as f64),
                None => gauge.reset(),
            }
        }
        self.registry.gather()
    }
}

/// A connection that counts as open.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn set(gauge: &GaugeVec, labels: &[&str], value: f64) {
    gauge.with_label_values(labels).set(value);
}

fn seconds_since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchpost_plugin_api::ErrorKind;

    fn value(metrics: &HostMetrics, family: &str) -> Option<f64> {
        let families = metrics.gather();
        let family = families.iter().find(|known| known.name() == family)?;
        let metric = &family.get_metric()[0];
        Some(metric.get_gauge().get_value() + metric.get_counter().get_value())
    }

    fn metrics() -> HostMetrics {
        HostMetrics::new("1.2.3", UNIX_EPOCH + Duration::from_secs(1_500)).unwrap()
    }

    #[test]
    fn a_gauge_that_nobody_told_is_absent() {
        let metrics = metrics();
        assert_eq!(value(&metrics, "watchpost_host_series_rows_pending"), None);
        metrics.set_series_rows_pending(0);
        assert_eq!(value(&metrics, "watchpost_host_series_rows_pending"), Some(0.0));
        assert_eq!(value(&metrics, "watchpost_host_start_time_seconds"), Some(1_500.0));
    }

    #[test]
    fn the_process_is_measured_when_asked() {
        let metrics = metrics();
        assert!(value(&metrics, "watchpost_host_open_fds").unwrap() >= 3.0);
        assert!(value(&metrics, "watchpost_host_resident_memory_bytes").unwrap() > 1e5);
    }

    #[test]
    fn a_refused_reload_keeps_the_time_of_the_last_good_one() {
        let metrics = metrics();
        metrics.reload_passed(UNIX_EPOCH + Duration::from_secs(7));
        metrics.reload_refused();
        assert_eq!(value(&metrics, "watchpost_host_config_last_reload_successful"), Some(0.0));
        assert_eq!(value(&metrics, "watchpost_host_config_last_reload_success_timestamp_seconds"), Some(7.0));
    }

    #[test]
    fn a_failed_run_is_counted_by_its_kind() {
        let metrics = metrics();
        metrics.run_ended("pop3", &Status::Failed { kind: ErrorKind::TIMEOUT, message: String::new() });
        let families = metrics.gather();
        let failures = families.iter().find(|family| family.name() == "watchpost_host_run_failures_total").unwrap();
        let labels: Vec<_> = failures.get_metric()[0].get_label().iter().map(|pair| pair.value()).collect();
        assert_eq!(labels, ["pop3", "timeout"]);
    }

    #[test]
    fn a_connection_counts_until_it_is_dropped() {
        let metrics = metrics();
        let open = metrics.http_connection();
        assert_eq!(value(&metrics, "watchpost_host_http_connections"), Some(1.0));
        drop(open);
        assert_eq!(value(&metrics, "watchpost_host_http_connections"), Some(0.0));
    }
}
