//! Sessions by SMTP, thousands at once, for `cargo xtask bench probes`: who serves them, and who makes them.
//!
//! `sink PORT COUNT` greets nobody before COUNT clients are connected, so that all of them are in flight at once.
//! `inside PORT COUNT` has the agent in its own process, `worker PORT COUNT LIBRARY` in a worker, and `http PORT COUNT EXPORTER` asks an
//! exporter by HTTP; `bare PORT COUNT` says the same words over sockets and does nothing else: less than that no session can cost. They
//! say one line: sessions that went well, others, milliseconds of CPU of this process, of the worker, and the most that both had
//! resident in KiB.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a measurement ends with its reason")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::{JoinSet, LocalSet},
    time::timeout,
};
use watchpost::plugin::{JobOpen, Plugin, RunRequest, Sandboxes};
use watchpost_plugin_api::{__private as library, Agent, Metric, Needs};
use watchpost_services::{JobServices, Request, Shared};
use watchpost_smtp::Smtp;

/// Clients that may wait to be accepted, the most that Linux allows unless told otherwise: one that finds no room tries again after
/// seconds, which double.
const BACKLOG: u32 = 4096;
/// How long a session may take: all of them are held until the last one is there.
const SESSION: Duration = Duration::from_secs(60);

fn main() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit }).expect("as many files as we may");
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<usize>().expect("a number");
    match words[..] {
        ["sink", port, count] => several().block_on(sink(port, number(count))),
        ["bare", port, count] => say(one().block_on(bare(port, number(count)))),
        ["inside", port, count] => say(one().block_on(inside(port, number(count)))),
        ["worker", port, count, library] => say(several().block_on(worker(port, number(count), Path::new(library)))),
        ["http", port, count, exporter] => say(several().block_on(http(port, number(count), exporter))),
        _ => panic!("sink PORT COUNT | bare PORT COUNT | inside PORT COUNT | worker PORT COUNT LIBRARY | http PORT COUNT EXPORTER"),
    }
}

/// A runtime as a worker has it.
fn one() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A runtime as the daemon has it.
fn several() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// What the sessions of one round came to.
struct Round {
    well: usize,
    others: usize,
    cpu: f64,
    worker_cpu: f64,
    resident_kib: u64,
}

fn say(round: Round) {
    let Round { well, others, cpu, worker_cpu, resident_kib } = round;
    println!("{well} {others} {cpu:.1} {worker_cpu:.1} {resident_kib}");
}

async fn sink(port: &str, count: usize) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(format!("127.0.0.1:{port}").parse().unwrap()).unwrap();
    let listener = socket.listen(BACKLOG).unwrap();
    let (release, released) = watch::channel(false);
    let connected = Arc::new(AtomicUsize::new(0));
    let release = Arc::new(release);
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        if connected.fetch_add(1, Ordering::Relaxed) + 1 == count {
            release.send_replace(true);
        }
        let mut released = released.clone();
        tokio::spawn(async move {
            released.wait_for(|released| *released).await.unwrap();
            // A client that hangs up is counted where it was made.
            let _gone = serve(stream).await;
        });
    }
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    stream.write_all(b"250 sink\r\n").await?;
    stream.read_line(&mut line).await?;
    stream.write_all(b"221 bye\r\n").await
}

async fn bare(port: &str, count: usize) -> Round {
    let address = format!("127.0.0.1:{port}");
    let before = used("self");
    let mut sessions = JoinSet::new();
    for _ in 0..count {
        let address: std::net::SocketAddr = address.parse().unwrap();
        sessions.spawn(async move { matches!(timeout(SESSION, said_bare(address)).await, Ok(Ok(true))) });
    }
    let ends = sessions.join_all().await;
    round(&ends, used("self") - before, 0.0, resident("self"))
}

async fn said_bare(address: std::net::SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let mut well = true;
    for (say, answer) in [("", b"220 "), ("EHLO bench\r\n", b"250 "), ("QUIT\r\n", b"221 ")] {
        stream.write_all(say.as_bytes()).await?;
        let mut line = [0; 128];
        let read = stream.read(&mut line).await?;
        well &= line[..read].starts_with(answer);
    }
    Ok(well)
}

async fn inside(port: &str, count: usize) -> Round {
    let (config, shared) = (config(port), Shared::default());
    let metrics: Arc<[_]> = Smtp::METRICS.iter().map(Metric::spec).collect();
    let made = || {
        let agent = library::entry(|| library::create::<Smtp>(&config)).into_result().expect("the configuration is one");
        (agent, Arc::new(JobServices::new(&shared, metrics.clone(), &[], Arc::new(|_, _| ()), None)))
    };
    let jobs: Vec<_> = (0..count).map(|_| made()).collect();
    let before = used("self");
    let local = LocalSet::new();
    let ends = local
        .run_until(async {
            let mut sessions = JoinSet::new();
            for (mut agent, services) in jobs {
                sessions.spawn_local(async move {
                    let request = Request { timeout: SESSION, cursor: None, explain: false, cancelled: None };
                    services.run(&mut agent, request).await.0.status.is_ok()
                });
            }
            sessions.join_all().await
        })
        .await;
    round(&ends, used("self") - before, 0.0, resident("self"))
}

async fn worker(port: &str, count: usize, library: &Path) -> Round {
    let plugin = Arc::new(Plugin::start(library, &Sandboxes::default()).await.expect("the library is loaded"));
    let first = plugin.report().pid;
    for number in 1..=count {
        let (name, interval) = (format!("smtp-{number}"), SESSION);
        let open = JobOpen {
            number: number as u64,
            name,
            agent: "smtp".into(),
            config: config(port),
            secrets: Vec::new(),
            repeatable: false,
            interval,
            quarantine_after: u32::MAX,
            needs: Needs::none().tcp(port.parse().expect("a port")),
        };
        plugin.open(open);
    }
    // The worker that loaded the library may reach no port: another, which may, takes over.
    let others = async {
        while plugin.report().pid.is_none_or(|pid| Some(pid) == first) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SESSION, others).await.expect("a worker that may reach the port");
    // Agents are made when the worker gets to it; a configuration that it answers comes after all of them.
    plugin.examine("smtp", &config(port)).await.expect("the configuration is one");
    let pid = plugin.report().pid.expect("a worker").to_string();
    let before = (used("self"), used(&pid));
    let mut sessions = JoinSet::new();
    for job in 1..=count {
        let plugin = plugin.clone();
        sessions.spawn(async move {
            let end = plugin.run(RunRequest { job: job as u64, timeout: SESSION, cursor: None, explain: false }).await;
            end.outcome.status.is_ok()
        });
    }
    let ends = sessions.join_all().await;
    round(&ends, used("self") - before.0, used(&pid) - before.1, resident("self") + resident(&pid))
}

async fn http(port: &str, count: usize, exporter: &str) -> Round {
    let question = format!("GET /probe?module=smtp&target=127.0.0.1:{port} HTTP/1.0\r\nHost: {exporter}\r\n\r\n");
    let before = used("self");
    let mut sessions = JoinSet::new();
    for _ in 0..count {
        let (question, exporter) = (question.clone(), exporter.to_owned());
        sessions.spawn(async move {
            let asked = async {
                let mut stream = TcpStream::connect(exporter).await?;
                stream.write_all(question.as_bytes()).await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await?;
                std::io::Result::Ok(answer)
            };
            matches!(timeout(SESSION, asked).await, Ok(Ok(answer)) if answer.contains("\nprobe_success 1\n"))
        });
    }
    let ends = sessions.join_all().await;
    round(&ends, used("self") - before, 0.0, 0)
}

fn config(port: &str) -> String {
    format!(r#"{{ "host": "127.0.0.1", "port": {port} }}"#)
}

fn round(ends: &[bool], cpu: f64, worker_cpu: f64, resident_kib: u64) -> Round {
    let well = ends.iter().filter(|well| **well).count();
    Round { well, others: ends.len() - well, cpu, worker_cpu, resident_kib }
}

/// Milliseconds of CPU that a process has used. Source: proc(5), `stat` fields 14 and 15, in hundredths of a second.
fn used(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<f64>().unwrap() * 10.0).sum()
}

/// KiB that a process had resident at most: looking meanwhile would cost what is measured. Source: proc(5), `status`, VmHWM.
fn resident(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
