//! Who makes sessions, and how each is asked for a number of them.

use super::{Measured, Scene};
use crate::bench::cost;
use crate::bench::daemon::{Daemon, Running, ask, free};
use crate::error::{Error, Outcome};
use crate::{process, programs};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Jobs of the daemon, each every five seconds.
const JOBS: usize = 40;
/// How long the daemon runs before it is looked at: what is done once is over then.
const WARM: Duration = Duration::from_secs(6);
/// How long it is looked at.
const WINDOW: Duration = Duration::from_secs(20);
/// Sessions of each of the others in one measurement.
const SESSIONS: u64 = 150;
/// How long a program may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long those sessions may take.
const SESSIONS_WITHIN: Duration = Duration::from_secs(120);
const CHECK_IMAP: &str = "/usr/lib/nagios/plugins/check_imap";

type Figures = Vec<(String, &'static str, Measured)>;

/// One that makes sessions; it may have several figures.
pub(super) struct Peer {
    pub(super) measure: fn(&Scene) -> Outcome<Figures>,
}

pub(super) const PEERS: [Peer; 3] = [Peer { measure: watchpost }, Peer { measure: blackbox }, Peer { measure: check_imap }];

fn watchpost(scene: &Scene) -> Outcome<Figures> {
    let mut jobs = String::new();
    for number in 0..JOBS {
        let _ = write!(
            jobs,
            "[[job]]\nname = \"imap-{number}\"\nagent = \"imap\"\nevery = \"5s\"\n[job.config]\nhost = \"127.0.0.1\"\nport = {}\n\
             tls = \"implicit\"\nserver_name = \"{}\"\nca_file = \"{}\"\nuser = \"{}\"\npassword = {{ file = \"{}\" }}\n\
             select = true\nsearch = \"\"\n\n",
            scene.port,
            scene.server_name,
            scene.ca_file.display(),
            scene.user,
            scene.password_file.display(),
        );
    }
    let daemon = Daemon::start(&scene.folder, &jobs)?;
    let sessions = || runs(&daemon.metrics()?);
    wait_for(|| sessions().is_ok_and(|(ok, _)| ok > 0))?;
    sleep(WARM);
    let (before, (first, failed_before)) = (daemon.used()?, sessions()?);
    sleep(WINDOW);
    let (after, (last, failed)) = (daemon.used()?, sessions()?);
    let failed = failed - failed_before;
    if failed > 0 || last == first {
        return Err(Error::Refused(format!("{failed} sessions of the worker failed, {} did not", last - first)));
    }
    let (count, worker) = ((last - first) as f64, after.0 - before.0);
    let each = |cpu: f64| Measured { cpu: cpu / count, sessions: last - first };
    Ok(vec![
        ("watchpost, worker".into(), "TLS, login, select, fetch, logout, each checked and timed", each(worker)),
        ("watchpost, worker and daemon".into(), "the same, with schedule, journal, series", each(worker + after.1 - before.1)),
    ])
}

/// Runs that ended well, and others, of all jobs.
fn runs(metrics: &str) -> Outcome<(u64, u64)> {
    let (mut ok, mut failed) = (0, 0);
    for line in metrics.lines().filter(|line| line.starts_with("watchpost_host_runs_total{")) {
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        let value = value.ok_or_else(|| Error::Refused(format!("no count in {line}")))?;
        *(if line.contains("result=\"ok\"") { &mut ok } else { &mut failed }) += value as u64;
    }
    Ok((ok, failed))
}

fn blackbox(scene: &Scene) -> Outcome<Figures> {
    let steps = [
        ("* OK", format!("a1 LOGIN {} {}", scene.user, scene.password)),
        ("a1 OK", "a2 SELECT INBOX".into()),
        ("a2 OK", "a3 FETCH 1 BODY.PEEK[]".into()),
        ("a3 OK", "a4 LOGOUT".into()),
    ];
    let mut config = format!(
        "modules:\n  imap:\n    prober: tcp\n    timeout: 10s\n    tcp:\n      tls: true\n      tls_config:\n        ca_file: {}\n        \
         server_name: {}\n      query_response:\n",
        scene.ca_file.display(),
        scene.server_name
    );
    for (expected, sent) in steps {
        let _ = write!(config, "      - expect: '^{}'\n      - send: '{sent}'\n", expected.replace('*', "\\*"));
    }
    config += "      - expect: '^a4 OK'\n";
    let config = scene.write("blackbox.yml", &config)?;
    let listen = free()?;
    let mut command = Command::new(found("prometheus-blackbox-exporter")?);
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address={listen}"));
    let exporter = Running(process::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?);
    let target = format!("/probe?module=imap&target=127.0.0.1:{}", scene.port);
    let probe = || ask(listen, &target).is_ok_and(|answer| answer.lines().any(|line| line == "probe_success 1"));
    wait_for(probe)?;
    let gone = || Error::Refused("blackbox_exporter is gone".into());
    let before = cost::used_by(exporter.0.id()).ok_or_else(gone)?;
    let failed = (0..SESSIONS).filter(|_| !probe()).count();
    let after = cost::used_by(exporter.0.id()).ok_or_else(gone)?;
    if failed > 0 {
        return Err(Error::Refused(format!("{failed} sessions of blackbox_exporter failed")));
    }
    let measured = Measured { cpu: (after - before) / SESSIONS as f64, sessions: SESSIONS };
    let does = "the same steps by patterns; times of connection and TLS only";
    Ok(vec![("blackbox_exporter".into(), does, measured)])
}

fn check_imap(scene: &Scene) -> Outcome<Figures> {
    // The password is in a file, not in the arguments of the shell.
    let send = scene.write("login", &format!("a1 LOGIN {} {}\\r\\n", scene.user, scene.password))?;
    let script = format!(
        "send=$(cat {}); i=0; while [ $i -lt {SESSIONS} ]; do {CHECK_IMAP} -H 127.0.0.1 -p {} -S --sni {} -E -s \"$send\" -e 'a1 OK' \
         -q 'a4 LOGOUT' > check || exit 1; i=$((i+1)); done; cat check",
        send.display(),
        scene.port,
        scene.server_name
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(&scene.folder);
    let cost = measured(&mut command, &scene.folder)?;
    let measured = Measured { cpu: cost / SESSIONS as f64, sessions: SESSIONS };
    Ok(vec![("check_imap, a process each".into(), "TLS unverified, login, logout; one time for all", measured)])
}

fn measured(command: &mut Command, folder: &Path) -> Outcome<f64> {
    let cost = cost::of(command, folder, SESSIONS_WITHIN)?;
    match cost.status.success() {
        true => Ok(cost.cpu),
        false => Err(Error::Program { program: CHECK_IMAP.into(), why: format!("{}: {}", cost.status, cost.said) }),
    }
}

fn found(name: &str) -> Outcome<std::path::PathBuf> {
    programs::find(name).ok_or_else(|| Error::Refused(format!("there is no {name} to compare with (Debian: {name})")))
}

fn wait_for(ready: impl FnMut() -> bool) -> Outcome {
    match process::wait_until(READY_WITHIN, ready) {
        true => Ok(()),
        false => Err(Error::Refused(format!("no session within {} s", READY_WITHIN.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_all_jobs_are_summed_by_how_they_ended() {
        let metrics = "# TYPE watchpost_host_runs_total counter\nwatchpost_host_runs_total{agent=\"imap\",result=\"ok\"} 40\n\
            watchpost_host_runs_total{agent=\"imap\",result=\"failed\"} 2\nwatchpost_up{job=\"a\"} 1\n";
        assert_eq!(runs(metrics).unwrap(), (40, 2));
        assert!(runs("watchpost_host_runs_total{agent=\"imap\",result=\"ok\"} x\n").is_err());
    }
}
