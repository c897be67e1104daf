//! Other people's programs, run as they are.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// The Debian package of each program that a story needs.
const PACKAGES: [(&str, &str); 24] = [
    ("promtool", "prometheus"),
    ("prometheus", "prometheus"),
    ("rrdtool", "rrdtool"),
    ("curl", "curl"),
    ("dig", "bind9-dnsutils"),
    ("rndc", "bind9-utils"),
    ("ldapsearch", "ldap-utils"),
    ("ss", "iproute2"),
    ("pflogsumm", "pflogsumm"),
    ("faketime", "faketime"),
    ("php", "php-cli"),
    ("check_smtp", "monitoring-plugins-basic"),
    ("check_dig", "monitoring-plugins-standard"),
    ("python3", "python3"),
    ("mandoc", "mandoc"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("systemd-analyze", "systemd"),
    ("snmptrapd", "snmptrapd"),
    ("smilint", "smitools"),
    ("rsyslogd", "rsyslog"),
    ("lmnsd_gtls", "rsyslog-gnutls"),
    ("prometheus-alertmanager", "prometheus-alertmanager"),
    ("icinga2", "icinga2-bin"),
];

/// Whether `cargo xtask test` found a program's package; a line says what is left out.
pub(crate) fn there(program: &str) -> bool {
    let package = PACKAGES.iter().find(|(known, _)| *known == program).expect("it is listed").1;
    let without = std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
    let missing = without.split_whitespace().any(|named| named == package);
    if missing {
        eprintln!("left out: there is no {program}");
    }
    !missing
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, words: &[&str]) -> Output {
    Command::new(program).args(words).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Runs a program that has to succeed; gives what it printed.
pub(crate) fn output_of(program: &str, words: &[&str]) -> String {
    let output = run(program, words);
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Feeds a program; gives all that it printed, and its exit code.
pub(crate) fn fed(program: &str, words: &[&str], input: &str) -> (String, Option<i32>) {
    let mut command = Command::new(program);
    let mut child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.code())
}
