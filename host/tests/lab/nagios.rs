//! Debian's plugins for Nagios, run by `exec` as they are, against real servers: what they print is what is measured, and what is measured
//! is in series files that rrdtool reads.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{harness::until, programs, scrape::Scrape, servers::Lab, watch::Watch};

/// Where Debian keeps them.
const FOLDER: &str = "/usr/lib/nagios/plugins";
/// How long all of them may take until each has run a few times; they run every two seconds.
const RUNS_TIMEOUT: Duration = Duration::from_secs(60);
/// How far two decimals of one value may be apart: rrdtool prints eleven digits.
const TOLERANCE: f64 = 1e-9;

/// A plugin, and what it measures.
struct Check {
    job: &'static str,
    /// Its program and arguments.
    argv: Vec<String>,
    /// More of its configuration.
    more: String,
    /// Metric, and what a value in its own unit is in the stored one.
    metrics: &'static [(&'static str, f64)],
}

fn checks(lab: &Lab) -> Vec<Check> {
    let check = |job: &'static str, service: Option<&str>, arguments: &[&str], more: String, metrics| {
        let port = service.map(|service| lab.port(service).to_string());
        let at = port.iter().flat_map(|port| ["-H", "127.0.0.1", "-p", port]);
        let argv = at.chain(arguments.iter().copied()).map(str::to_owned);
        let more = port.as_ref().map_or(more.clone(), |port| format!("{more}, ports = [{port}], udp_ports = [{port}]"));
        Check { job, argv: [format!("{FOLDER}/{job}")].into_iter().chain(argv).collect(), more, metrics }
    };
    let time: &[(&str, f64)] = &[("time", 1.0)];
    let none = || "env = {}".to_owned();
    let postfix = lab.dir.join("postfix");
    let showq = postfix.join("spool/public/showq");
    let mailq = format!(
        "env = {{ MAIL_CONFIG = {:?} }}, files = [{postfix:?}, \"/etc/postfix\", \"/etc/passwd\"], sockets = [{showq:?}], \
         programs = [\"/bin/sh\", \"/usr/bin/mailq\", \"/usr/sbin/sendmail\", \"/usr/sbin/postqueue\"]",
        postfix.join("etc")
    );
    vec![
        check("check_smtp", Some("smtp"), &["-C", "NOOP", "-R", "250"], none(), time),
        check("check_imap", Some("imap"), &["-e", "IMAP4rev1"], none(), time),
        check(
            "check_dig",
            Some("dns"),
            &["-l", "mail.lab.test", "-T", "A", "-a", "127.0.0.1"],
            "programs = [\"/usr/bin/dig\"]".into(),
            time,
        ),
        check("check_ldap", Some("ldap"), &["-3", "-b", "dc=lab,dc=test"], none(), time),
        check("check_http", Some("dns_stats"), &["-u", "/json/v1/server"], none(), &[("time", 1.0), ("size", 1.0)]),
        // It asks the machine's own mail server, which the lab leaves alone where that is another than Postfix.
        check("check_mailq", None, &["-M", "postfix", "-w", "50", "-c", "100"], mailq, &[("unsent", 1.0)]),
    ]
}

fn schedule(checks: &[Check]) -> String {
    let mut schedule = String::new();
    for Check { job, argv, more, .. } in checks {
        let config = format!("{{ argv = {argv:?}, format = \"nagios\", target = \"lab\", {more} }}");
        schedule += &format!("[[job]]\nname = \"{}\"\nagent = \"exec\"\nevery = \"2s\"\nconfig = {config}\n\n", job.replace('_', "-"));
    }
    schedule
}

#[test]
fn debians_plugins_measure_what_they_print_and_it_lands_in_series_files() {
    if !["check_smtp", "check_dig", "dig", "rrdtool", "curl"].into_iter().all(programs::there) {
        return;
    }
    let Some(lab) = Lab::up() else { return };
    hold_two_messages(&lab);
    let mut checks = checks(&lab);
    if !Path::new("/usr/sbin/postqueue").exists() {
        eprintln!("left out: check_mailq asks another mail server than Postfix");
        checks.retain(|check| check.job != "check_mailq");
    }
    let watch = Watch::start(lab, &schedule(&checks));
    checks.iter().for_each(|check| is_what_it_prints(&watch, &check.job.replace('_', "-"), check));
    let of_check = |check: &Check| check.metrics.iter().map(|(metric, _)| Stored::of(&watch, check, metric)).collect::<Vec<_>>();
    let mut stored: Vec<Stored> = checks.iter().flat_map(of_check).collect();
    let all = until(RUNS_TIMEOUT, || {
        let scrape = watch.scrape();
        stored.iter_mut().for_each(|stored| stored.look(&scrape));
        std::thread::sleep(Duration::from_millis(200));
        stored.iter().all(Stored::is_there).then_some(())
    });
    let missing: Vec<&Stored> = stored.iter().filter(|stored| !stored.is_there()).collect();
    assert!(all.is_some(), "not in their files after {RUNS_TIMEOUT:?}: {missing:#?}");
}

/// Two messages that Postfix holds: a queue that is known.
fn hold_two_messages(lab: &Lab) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Subject: wait\r\n\r\nhello\r\n").unwrap();
    let url = format!("smtp://127.0.0.1:{}", lab.port("smtp"));
    for _ in 0..2 {
        let words = ["-sS", "--max-time", "10", "--url", &url, "--mail-from", "bob@lab.test", "--mail-rcpt", "x@hold.test", "-T"];
        programs::output_of("curl", &[&words[..], &[file.path().to_str().unwrap()]].concat());
    }
}

/// One run, explained: each value is the one that the plugin itself printed.
fn is_what_it_prints(watch: &Watch, job: &str, check: &Check) {
    let told = watch.json_of(&["measure", job, "--explain", "--json"]);
    let said = told["dialogue"].as_array().unwrap().iter().filter(|said| said["speaker"] == "Target");
    let printed: String = said.map(|said| said["text"].as_str().unwrap().to_owned() + "\n").collect();
    assert_eq!((&told["up"], value_of(&told, "state")), (&Value::from(1.0), Some(0.0)), "{job}: {printed}{told}");
    for (metric, times) in check.metrics {
        let theirs = perfdata(&printed, metric).map(|value| value * times);
        let ours = value_of(&told, metric);
        assert!(theirs.is_some() && theirs == ours, "{job}: {metric} is {ours:?}, and it printed {printed}");
    }
    if job == "check-mailq" {
        assert_eq!(value_of(&told, "unsent"), Some(2.0), "{printed}");
    }
}

fn value_of(told: &Value, metric: &str) -> Option<f64> {
    let samples = told["outcome"]["samples"].as_array()?;
    samples.iter().find(|sample| sample["metric"] == metric)?["value"].as_f64()
}

/// A value as it stands behind the bar, without its unit: those used here are base units.
fn perfdata(printed: &str, label: &str) -> Option<f64> {
    let (_, data) = printed.split_once('|')?;
    let datum = data.split_whitespace().find_map(|word| word.strip_prefix(label)?.strip_prefix('='))?;
    let value = datum.split(';').next()?;
    value.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

/// Values that `/metrics` showed, and those that rrdtool finds.
#[derive(Debug)]
struct Stored {
    job: String,
    metric: &'static str,
    family: String,
    file: PathBuf,
    seen: Vec<f64>,
    rows: Vec<f64>,
}

impl Stored {
    fn of(watch: &Watch, check: &Check, metric: &'static str) -> Self {
        let suffix = match metric {
            "time" => "_seconds",
            "size" => "_bytes",
            _ => "",
        };
        let job = check.job.replace('_', "-");
        let file = watch.house.data().join("series").join(&job).join("_.rrd");
        Self { job, metric, family: format!("watchpost_exec_{metric}{suffix}"), file, seen: Vec::new(), rows: Vec::new() }
    }

    fn look(&mut self, scrape: &Scrape) {
        let value: Option<f64> = scrape.value(&self.family, &self.job).map(|value| value.parse().unwrap());
        self.seen.extend(value.filter(|value| !self.seen.contains(value)));
        if !self.is_there() {
            self.rows = rows_of(&self.file, self.metric);
        }
    }

    /// Whether several that were seen are in the file; of what does not change, the one.
    fn is_there(&self) -> bool {
        let is_row = |value: &&f64| self.rows.iter().any(|row| (row - **value).abs() <= TOLERANCE * value.abs());
        let few = if self.metric == "time" { 2 } else { 1 };
        self.seen.iter().filter(is_row).count() >= few
    }
}

/// What rrdtool finds of one data source in the last minutes; nothing while there is no file, or the daemon holds it.
fn rows_of(file: &Path, source: &str) -> Vec<f64> {
    if !file.exists() {
        return Vec::new();
    }
    let output = programs::run("rrdtool", &["fetch", file.to_str().unwrap(), "AVERAGE", "--start", "-3min"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let Some(column) = lines.next().and_then(|names| names.split_whitespace().position(|name| name == source)) else { return Vec::new() };
    let values = lines.filter_map(|line| line.split_once(": ")?.1.split_whitespace().nth(column)?.parse::<f64>().ok());
    values.filter(|value| value.is_finite()).collect()
}
