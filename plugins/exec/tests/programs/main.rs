//! The agent and programs that follow a script.
//!
//! Reading order: `nagios` (in the form of Nagios) · `lines` (started for each run, telling in lines) · `long_lived` (running on).

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod lines;
mod long_lived;
mod nagios;

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use watchpost_exec::Exec;
use watchpost_testkit::{Kit, Ran, Tree};

/// A program of a shell's script, and a job that starts it.
struct Job {
    tree: Tree,
    config: Value,
}

impl Job {
    fn of(format: &str, script: &str) -> Self {
        let tree = Tree::new().unwrap();
        let program = tree.program("program", script).unwrap();
        Self { config: json!({ "argv": [program], "format": format }), tree }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config[key] = value.into();
        self
    }

    fn kit(&self) -> Kit<Exec> {
        // Long: this machine may be busy. What is to meet its deadline says so.
        Kit::new(&self.config).unwrap().timeout(Duration::from_secs(20))
    }

    async fn run(&self) -> Ran {
        self.kit().run().await
    }
}

/// What was measured: `name{labels} value`, without what the agent says of itself.
fn measured(ran: &Ran) -> Vec<String> {
    let own = ["total_time", "state", "lines_taken", "lines_refused", "program_starts"];
    let mut found: Vec<String> = ran
        .outcome
        .samples
        .iter()
        .filter(|sample| !own.contains(&sample.metric.as_str()))
        .map(|sample| {
            let labels = if sample.labels.is_empty() { String::new() } else { format!("{{{}}}", sample.labels.join(",")) };
            format!("{}{labels} {}", sample.metric, sample.value)
        })
        .collect();
    found.sort();
    found
}

/// Events: code and text.
fn events(ran: &Ran) -> Vec<(&str, &str)> {
    ran.outcome.events.iter().map(|event| (event.code.as_str(), event.text.as_str())).collect()
}

/// Whether a process is there that is no zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until something is so; a busy machine has its time.
async fn until(mut is_so: impl FnMut() -> bool) -> bool {
    for _ in 0..500 {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
