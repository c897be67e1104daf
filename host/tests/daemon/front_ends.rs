//! Front ends of RRD files, Debian's rrdtool first of all: they ask the daemon as they ask rrdcached.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use crate::{
    harness::{House, journal, rrdtool, until},
    servers::{job, willing},
};

/// Runs rrdtool with the daemon behind it.
fn rrdtool(socket: &Path, words: &[&str]) -> Output {
    let mut command = Command::new("rrdtool");
    command.arg(words[0]).arg("--daemon").arg(format!("unix:{}", socket.display())).args(&words[1..]).env("TZ", "UTC");
    command.output().expect("rrdtool is missing: install the package rrdtool")
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Says lines as a program of one's own would, and gives the first line of each answer.
fn statuses(socket: &Path, lines: &[&str]) -> Vec<String> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut status = |line: &&str| {
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        let status = answers.next().unwrap().unwrap();
        let more = status.split(' ').next().unwrap().parse::<i64>().unwrap().max(0);
        (0..more).for_each(|_| drop(answers.next().unwrap().unwrap()));
        status
    };
    lines.iter().map(&mut status).collect()
}

/// A daemon with a socket for front ends, and the file of a job that runs each second.
async fn house() -> (watchpost_testkit::Server, House, PathBuf, PathBuf) {
    let server = willing().await;
    let house = House::new(&job("drawn", "every = \"1s\"", server.port()));
    let main = house.folder().join("watchpost.toml");
    let socket = house.folder().join("rrdcached.sock");
    fs::write(&main, fs::read_to_string(&main).unwrap() + "[rrdcached]\nsocket = \"rrdcached.sock\"\n").unwrap();
    let file = house.data().join("series/drawn/_.rrd");
    (server, house, socket, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn rrdtool_draws_what_is_current_through_the_daemon() {
    let (_server, house, socket, file) = house().await;
    let daemon = house.start();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    until(Duration::from_secs(20), || rrdtool::last_slot(&file)).expect("the job runs");
    let path = file.to_str().unwrap();

    // Behind what is asked, the file itself is current: what was acknowledged before is in it.
    let acknowledged = journal::readings(&house.data()).iter().map(|reading| reading.slot).max().unwrap();
    let told = || Some(said(rrdtool(&socket, &["last", path])).trim().parse::<i64>().unwrap()).filter(|last| *last >= acknowledged);
    until(Duration::from_secs(2), told).expect("what is acknowledged is told");
    let first: i64 = said(rrdtool(&socket, &["first", path])).trim().parse().unwrap();
    assert!(first < acknowledged - 1000, "{first}");

    // Stopped, the daemon leaves a file of which rrdtool says the same without it.
    let (from, to) = ((acknowledged - 5).to_string(), acknowledged.to_string());
    let fetch = ["fetch", path, "AVERAGE", "-s", &from, "-e", &to];
    let rows = |text: String| {
        text.lines().filter(|line| line.split(':').next().is_some_and(|time| time <= to.as_str())).map(str::to_owned).collect::<Vec<_>>()
    };
    let through = rows(said(rrdtool(&socket, &fetch)).replace("-nan", "nan"));
    let info = said(rrdtool(&socket, &["info", path]));
    let keys = |text: &str| text.lines().map(|line| line.split(" = ").next().unwrap().to_owned()).collect::<Vec<_>>();
    let picture = house.folder().join("drawn.png");
    let line = format!("DEF:v={path}:total_time:AVERAGE");
    said(rrdtool(&socket, &["graph", picture.to_str().unwrap(), "-s", &from, "-e", &to, &line, "LINE1:v"]));
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    assert!(daemon.stop().status.success());
    assert!(!socket.exists(), "the socket is left behind");
    let directly = |words: &[&str]| said(Command::new("rrdtool").args(words).env("TZ", "UTC").output().unwrap());
    assert_eq!(through, rows(directly(&fetch).replace("-nan", "nan")));
    assert!(through.iter().any(|row| row.contains("e-")), "no value in {through:?}");
    assert_eq!(keys(&info), keys(&directly(&["info", path])), "rrdtool's own order");
}

#[tokio::test(flavor = "multi_thread")]
async fn front_ends_change_nothing_and_read_series_only() {
    let (_server, house, socket, file) = house().await;
    let _daemon = house.start();
    until(Duration::from_secs(20), || rrdtool::last_slot(&file)).expect("the job runs");
    let catalogue = house.data().join("catalogue.sqlite");
    let foreign = house.folder().join("foreign.rrd");
    let created =
        Command::new("rrdtool").args(["create", foreign.to_str().unwrap(), "DS:x:GAUGE:20:U:U", "RRA:LAST:0.5:1:9"]).status().unwrap();
    assert!(created.success());
    let link = house.data().join("series/drawn/link.rrd");
    std::os::unix::fs::symlink(&foreign, &link).unwrap();
    let long = format!("PING {}", "x".repeat(5000));
    let asked = [
        "PING",
        "LAST drawn/_.rrd",
        &format!("UPDATE {} N:1", file.display()),
        &format!("LAST {}", foreign.display()),
        &format!("INFO {}", link.display()),
        "INFO drawn/../../catalogue.sqlite",
        &format!("FLUSH {}", catalogue.display()),
        "LAST /etc/passwd",
        "FLUSH drawn/none.rrd",
        "FETCH drawn/_.rrd AVERAGE 1 9999999999",
        "FETCH drawn/_.rrd AVERAGE 200 100",
        "FETCH drawn/_.rrd AVERAGE -10 0 up nonsense",
        "FIRST drawn/_.rrd 99",
        &long,
    ];
    let told = statuses(&socket, &asked);
    assert!(told[1].starts_with("0 1") && told[0] == "0 PONG", "{told:?}");
    for (asked, told) in asked.iter().zip(&told).skip(2) {
        assert!(told.starts_with("-1 "), "{asked}: {told}");
    }
    for (at, part) in [
        (2, "Permission denied: UPDATE"),
        (3, "is no series of this data folder"),
        (4, "is no series of this data folder"),
        (5, "is no series of this data folder"),
        (6, "is no series of this data folder"),
        (8, "does not exist"),
        (9, "ask for a shorter range"),
        (10, "a range ends after it begins"),
        (11, "No data source is called nonsense; there are: up run_duration"),
        (12, "archives, from 0 on"),
        (13, "a line is longer than 4096 bytes"),
    ] {
        assert!(told[at].contains(part), "{}: {}", asked[at], told[at]);
    }
    assert!(!house.data().join("series/drawn/none.rrd").exists());
    assert!(house.run(&["status"]).ok().contains("journal ok; series ok"));
}
