//! The lines that the README says to type, and what each must answer.

/// A line that ends well, and what must be in its output.
pub(crate) struct Line {
    pub(crate) typed: &'static str,
    pub(crate) says: &'static [&'static str],
}

/// Lines that take too long here, or would run this very test; where they are run, and by which words.
pub(crate) const ELSEWHERE: [(&str, &str, &str); 2] =
    [("cargo xtask demo", "xtask/tests/demo.rs", "[\"demo\", \"--once\""), ("cargo xtask test", ".ci/run", "\ncargo xtask test\n")];
/// The line that does not end by itself.
pub(crate) const RUNS: &str = "watchpost run";
/// The line that makes an agent of one's own.
pub(crate) const MAKES_AGENT: &str = "watchpost new-agent spool";
/// The commands that list, without a name, and what must be in their lists.
pub(crate) const LISTS: [(&str, &[&str]); 2] =
    [("cargo xtask prove", &["  kill ", "\n  journal ", "\n  roundtrip "]), ("cargo xtask bench", &["  start ", "\n  logs ", "\n  imap "])];

/// All lines that are typed here; one that is typed again stands again.
pub(crate) const LINES: &[Line] = &[
    says("cargo xtask lab up", &["postfix is up", "dovecot is up"]),
    says("cargo xtask lab status", &["postfix         up", "dovecot         up"]),
    says(PATH, &[]),
    says("watchpost check", &["fine: 2 jobs, "]),
    says("watchpost agents smtp", &["server_name", "connect_time", "gauge  seconds"]),
    says("watchpost plan submission -n 5", &["Europe/Paris"]),
    says("watchpost measure submission --explain", &["status: ok", "up = 1", "nothing was stored"]),
    says(RUNS, &["ready jobs=2"]),
    says("watchpost jobs run mx1", &["mx1: ok", "connect_time = "]),
    says("watchpost status", &["ready; journal ok", "\nsmtp  ", "  ready  ", "2 jobs: ", "0 failing"]),
    says("watchpost jobs list", &["mx1         ok", "submission  "]),
    says("watchpost fetch 'connect_time{job=\"mx1\"}' --from now-10m", &["site=\"\"paris\"\"", "Z,\n", "Z,0."]),
    says("watchpost fetch 'total_time{job=\"mx1\"}' --from midnight -o mx1.xlsx", &[]),
    says("watchpost graph 'connect_time{job=\"mx1\"}' --from now-10m -o mx1.png", &[]),
    says("watchpost series", &["VALUE ", "up{job=\"mx1\",site=\"paris\"}"]),
    says("curl -s 'http://127.0.0.1:9470/api/v1/fetch?series=up&from=now-10m'", &["\"metric\":\"up\"", "1.0"]),
    says("watchpost coverage own.toml", &["NO  NAME ", "Mail exchanger\n1   Availability  1 ", "1 of 1 rows have a value"]),
    says(
        "watchpost init --host 127.0.0.1:2525,2587 --ca-file target/lab/ca/ca.pem -o found.toml",
        &["220 mail.lab.test ESMTP", "2 doors open, 0 closed", "found.toml: 4 jobs written", "watchpost.toml does not name it"],
    ),
    says("watchpost reload", &["0 added, 0 changed, 0 removed, 2 unchanged"]),
    says("watchpost jobs run mx1", &["mx1: ok"]),
    says("watchpost alarms", &["warning", "connect_time of mx1 is "]),
    says("watchpost alarms explain 1", &["slow to connect", "Look at the load of mx1."]),
    says(MAKES_AGENT, &["spool/src/lib.rs", "cargo test", "watchpost test-agent spool/target/release/libspool.so", "watchpost reload"]),
    says("cargo test --quiet --release --manifest-path spool/Cargo.toml", &["3 passed"]),
    says("cargo build --quiet --release --manifest-path spool/Cargo.toml", &[]),
    says("watchpost test-agent spool/target/release/libspool.so", &["before 1000 runs", "10 checks passed, 0 failed"]),
    says("watchpost plugins install spool/target/release/libspool.so", &["spool"]),
    says("watchpost reload", &["1 added, 0 changed, 0 removed, 2 unchanged"]),
    says("watchpost measure spool --explain", &["entries = 1", "status: ok", "nothing was stored"]),
    says("sleep 10", &[]),
    says(
        "curl -s http://127.0.0.1:9470/metrics | grep ^watchpost_spool_",
        &["job=\"spool\"", "/spool/src\"} 1\n", "watchpost_spool_oldest_age_seconds{"],
    ),
    says("cargo xtask lab down", &["postfix", "dovecot"]),
];

/// What every new terminal in the clone is told.
const PATH: &str = "export PATH=\"$PWD/target/release:$PATH\"";

const fn says(typed: &'static str, says: &'static [&'static str]) -> Line {
    Line { typed, says }
}
