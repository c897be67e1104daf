//! What a terminal gets and a pipe does not: colours, lines of its width; and what ends quietly.

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
    time::Duration,
};

use watchpost_testkit::ClosedPort;

use crate::{
    harness::{House, until},
    job,
};

/// How long a daemon may take to say that a job fails.
const SOON: Duration = Duration::from_secs(15);

/// Runs a line of shell at a terminal of so many columns; gives all that was shown.
fn at_terminal(house: &House, columns: u32, line: &str) -> String {
    let mut shell = Command::new("script");
    // script(1) makes the terminal; a program of it that ends ends it.
    shell.args(["--quiet", "--return", "--command", &format!("stty cols {columns} rows 24; {line}"), "/dev/null"]);
    // What the machine that runs the tests says of colours (CI among it) is not the terminal's.
    for name in ["NO_COLOR", "CI", "CLICOLOR", "CLICOLOR_FORCE"] {
        shell.env_remove(name);
    }
    shell.env("TERM", "xterm").env("W", house.bare(&[]).get_program());
    shell.env("C", house.folder().join("watchpost.toml")).stdin(Stdio::null());
    let output = shell.output().unwrap_or_else(|error| panic!("script of bsdutils or util-linux: {error}"));
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

#[test]
fn colours_are_for_terminals_whose_people_want_them() {
    let house = House::new("");
    let shown = |line: &str| at_terminal(&house, 80, line);
    assert!(shown("$W --config $C plan --help").contains('\u{1b}'), "clap's help has colours: {}", shown("$W plan --help"));
    for line in
        ["NO_COLOR=1 $W plan --help", "TERM=dumb $W plan --help", "$W plan --help | cat", "$W plan -n x", "$W --config $C agents smtp"]
    {
        assert!(!shown(line).contains('\u{1b}'), "{line}: {}", shown(line));
    }
    // The log of a daemon, told to end when it is ready.
    let run = "$W --config $C run & pid=$!; i=0; while [ $i -lt 100 ] && ! $W --config $C status > /dev/null 2>&1; do i=$((i+1)); sleep 0.1; done; kill $pid; wait";
    let log = shown(run);
    assert!(log.contains("\u{1b}[32m INFO") && log.contains("stopped"), "{log}");
    for quiet in [format!("export NO_COLOR=1; {run}"), format!("{{ {run}; }} 2>&1 | cat")] {
        let log = shown(&quiet);
        assert!(log.contains("INFO") && log.contains("stopped") && !log.contains('\u{1b}'), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_terminal_gets_lines_that_fit_and_every_reason() {
    let door = ClosedPort::take().unwrap();
    let closed = door.port().unwrap();
    let house = House::new(&job("a-job-with-a-rather-long-name", "every = \"1s\"", closed));
    let daemon = house.start();
    let reason = format!("connect: cannot connect to 127.0.0.1:{closed}: Connection refused");
    let status = until(SOON, || Some(house.run(&["status"]).ok()).filter(|said| said.contains(&reason)));
    let piped = status.unwrap_or_else(|| panic!("{}", daemon.log_text()));
    let row = piped.lines().find(|line| line.contains("FAILING")).unwrap();
    assert!(row.ends_with(&reason), "a pipe gets one line for each job: {piped}");
    let head = piped.lines().next().unwrap();
    assert!(head.len() > 60 && head.ends_with("watchpost.toml"), "and what is longer than a line whole: {piped}");

    let narrow = at_terminal(&house, 60, "$W --config $C status");
    let rows: Vec<&str> = narrow.lines().skip_while(|line| !line.starts_with("1 job: ")).collect();
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    let told = rows.iter().filter(|line| line.starts_with("    ")).map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    assert_eq!(told, reason, "{narrow}");
    let list = at_terminal(&house, 60, "$W --config $C jobs");
    assert!(list.lines().all(|line| line.chars().count() <= 60), "{list}");
    let told = list.lines().filter(|line| line.starts_with("    ")).map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    assert_eq!(told, reason, "{list}");
    for columns in [60, 100] {
        let agent = at_terminal(&house, columns, "$W --config $C agents smtp");
        let wide = agent.lines().filter(|line| !line.contains(".so")).map(|line| line.chars().count()).max();
        assert!(wide <= usize::try_from(columns).ok() && wide > Some(columns as usize - 20), "{wide:?} of {columns}:\n{agent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_fits_the_terminal_whatever_a_row_is_called() {
    let door = ClosedPort::take().unwrap();
    let (closed, long) = (door.port().unwrap(), "x".repeat(80));
    let log = "[[job]]\nname = \"feed\"\nagent = \"sysmon\"\nevery = \"1s\"\n\
               config = { log = \"errors\", format = \"words\", words = { minor = [\"error\"] } }\n";
    let house = House::new(&(job("gone", "every = \"1s\"", closed) + log));
    fs::write(house.folder().join("errors"), "").unwrap();
    let row = |number: u32, name: &str, series: &str| {
        format!("[[row]]\nnumber = {number}\nsubsystem = \"{long}\"\nname = \"{name}\"\nseries = '{series}'\n")
    };
    let rows = row(1, &long, "lines{job=\"feed\"}") + &row(999_999, "short", "banner_time{job=\"gone\"}");
    fs::write(house.folder().join("rows.toml"), rows).unwrap();
    let daemon = house.start();
    let file = house.folder().join("rows.toml").display().to_string();
    let full = until(SOON, || {
        fs::OpenOptions::new().append(true).open(house.folder().join("errors")).unwrap().write_all(b"an error\n").unwrap();
        Some(house.run(&["coverage", &file]).out).filter(|said| said.contains("/s  ") && said.contains("Connection refused"))
    });
    let piped = full.unwrap_or_else(|| panic!("{}", daemon.log_text()));
    assert!(piped.contains(&format!("\n1       {long}  ")), "a pipe gets names whole: {piped}");
    for columns in [80, 60] {
        let shown = at_terminal(&house, columns, &format!("$W --config $C coverage {file}"));
        let wide = shown.lines().map(|line| line.chars().count()).max();
        assert!(wide <= usize::try_from(columns).ok(), "{wide:?} of {columns}:\n{shown}");
        assert!(shown.contains("/s  ") && shown.contains("… ") && shown.contains("  ok\n"), "values stay whole: {shown}");
        assert!(shown.contains("\n    job gone failing for ") && shown.ends_with("\n1 of 2 rows have a value\n"), "{shown}");
    }
}

#[test]
fn who_waits_for_the_trial_of_an_agent_sees_how_far_it_is() {
    let house = House::new("");
    let library = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/liblapses.so");
    let line = format!("$W test-agent {} --agent lapse --set lapse=slow --set host=here --runs 5", library.display());
    let shown = at_terminal(&house, 80, &line);
    assert!(shown.contains("lapse: run 3 of 8"), "{shown}");
    assert!(shown.contains("lapse: cuts off run "), "{shown}");
    let piped = at_terminal(&house, 80, &format!("{line} 2>&1 | cat"));
    assert!(!piped.contains("run 3 of 8") && piped.contains("checks passed"), "{piped}");
}

#[test]
fn a_reader_that_had_enough_ends_a_command_without_a_word() {
    let jobs: String = (0..50).map(|at| job(&format!("job-{at}"), "every = \"1s\"", 25)).collect();
    let house = House::new(&jobs);
    let mut child = house.command(&["plan", "-n", "20000"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 100];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut first).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (None, ""), "SIGPIPE, as cat and ls");
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let house = House::new(&job("often", "every = \"1s\"", 25));
    for words in [&["plan"] as &[&str], &["plan", "--json"], &["agents"], &["completions", "bash"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = house.command(words).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.contains("cannot write the")), (Some(1), true), "{words:?}: {said}");
        assert!(said.starts_with("error: cannot write the ") && said.contains(": No space left on device"), "{words:?}: {said}");
    }
}
