//! Prints what the host's services cost an agent: `cargo run --release -p watchpost-testkit --example costs [files|http]`.
//!
//! Times are those of the thread that runs agent and services, as a worker does; servers have threads of their own.

#![expect(clippy::unwrap_used, reason = "a print for people")]

use std::{fs, io::Write, net::SocketAddr};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use watchpost_plugin_api::prelude::*;
use watchpost_testkit::{Authority, HttpServer, Kit, Page, Pages};

const WALL: Metric = Metric::gauge("wall", Unit::Seconds, "How long it took.");
const CPU: Metric = Metric::gauge("cpu", Unit::Seconds, "How long the thread was busy with it.");
const DONE: Metric = Metric::gauge("done", Unit::Number, "How much was done.");
/// Requests of one measurement.
const REQUESTS: u64 = 2000;

#[derive(Deserialize, JsonSchema)]
struct Config {
    does: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    piece: usize,
    address: Option<SocketAddr>,
    ca_file: Option<PathBuf>,
}

struct Costs(Config);

impl Agent for Costs {
    type Config = Config;
    const NAME: &'static str = "costs";
    const METRICS: &'static [Metric] = &[WALL, CPU, DONE];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(_: &Config) -> String {
        "here".into()
    }

    fn needs(_: &Config) -> Needs {
        Needs::none()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let (wall, cpu) = (cx.elapsed(), busy());
        let done = match self.0.does.as_str() {
            "read" => self.read(cx).await?,
            "scan" => {
                let (mut scan, mut done) = (cx.scan(&self.0.path).await?, 0);
                while scan.next().await?.is_some() {
                    done += 1;
                }
                done
            }
            "names" => {
                let (mut scan, mut done) = (cx.scan_names(&self.0.path).await?, 0);
                while scan.next().await?.is_some() {
                    done += 1;
                }
                done
            }
            "http" => self.http(cx, Keep::Run).await?,
            "http new" => self.http(cx, Keep::Never).await?,
            _ => self.by_hand(cx).await?,
        };
        cx.record(WALL, cx.elapsed() - wall);
        cx.record(CPU, busy() - cpu);
        cx.record(DONE, done);
        Ok(())
    }
}

impl Costs {
    async fn read(&self, cx: &Cx) -> Result<u64, AgentError> {
        let mut file = cx.open(&self.0.path).await?;
        let (mut room, mut done) = (vec![0; self.0.piece], 0);
        loop {
            match file.read_at(done, &mut room).await? {
                0 => return Ok(done),
                read => done += read as u64,
            }
        }
    }

    async fn http(&self, cx: &Cx, keep: Keep) -> Result<u64, AgentError> {
        for _ in 0..REQUESTS {
            let mut request = HttpRequest::get(&self.0.path).keep(keep);
            if let Some(file) = &self.0.ca_file {
                request = request.tls(Tls::verify("").ca_file(Some(file)));
            }
            let page = cx.http(request).await?.bytes(1 << 20).await?;
            assert_eq!(page.len(), 2000);
        }
        Ok(REQUESTS)
    }

    /// The same bytes over a stream, without any HTTP on our side.
    async fn by_hand(&self, cx: &Cx) -> Result<u64, AgentError> {
        let Some(address) = self.0.address else { return Ok(0) };
        let mut stream = cx.connect(address).await?.binary();
        let mut room = vec![0; 64 * 1024];
        for _ in 0..REQUESTS {
            let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nUser-Agent: watchpost/0.1.0\r\nAccept: */*\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut read = 0;
            while read < 2000 {
                read += stream.read(&mut room).await?;
            }
        }
        Ok(REQUESTS)
    }
}

/// How long this thread has been busy.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Best of three: wall and CPU seconds for each thing done, and what was done.
async fn cost(config: Value) -> (f64, f64, f64) {
    let (mut wall, mut cpu, mut done) = (f64::MAX, f64::MAX, 0.0);
    for _ in 0..3 {
        let ran = Kit::<Costs>::new(&config).unwrap().timeout(Duration::from_secs(300)).run().await;
        assert_eq!(ran.failure(), None);
        done = ran.value(DONE).unwrap();
        wall = wall.min(ran.value(WALL).unwrap());
        cpu = cpu.min(ran.value(CPU).unwrap());
    }
    (wall / done, cpu / done, done)
}

async fn files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    let (mut large, mebibyte) = (fs::File::create(&file).unwrap(), vec![b'x'; 1 << 20]);
    (0..512).for_each(|_| large.write_all(&mebibyte).unwrap());
    for piece in [4 << 10, 64 << 10, 1 << 20] {
        let (wall, ..) = cost(json!({ "does": "read", "path": file, "piece": piece })).await;
        println!("read in pieces of {:>5} KiB: {:>6.0} MB/s, {:>6.1} us a piece", piece >> 10, 1e-6 / wall, wall * piece as f64 * 1e6);
    }
    let many = folder.path().join("many");
    fs::create_dir(&many).unwrap();
    for n in 0..1_000_000 {
        fs::File::create(many.join(format!("1700000000.M{n}P1234.host,S=1234:2,"))).unwrap();
    }
    for does in ["scan", "names"] {
        let (wall, cpu, entries) = cost(json!({ "does": does, "path": many })).await;
        println!("{does} of {entries} entries: {:.2} us each, {:.2} us of them the worker's thread", wall * 1e6, cpu * 1e6);
    }
}

/// Serves a page of 2,000 bytes from a thread of its own; gives where.
fn serve(pages: Pages) -> SocketAddr {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = HttpServer::start(pages).await.unwrap();
            told.send(server.address()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    address.recv().unwrap()
}

async fn http() {
    let page = || Pages::new().on("GET /", Page::ok("x".repeat(2000)));
    let authority = Authority::new().unwrap();
    let (plain, secure) = (serve(page()), serve(page().tls(&authority.server(&["127.0.0.1"]).unwrap())));
    for (what, config) in [
        ("by hand, kept connection", json!({ "does": "by hand", "address": plain })),
        ("http, kept connection", json!({ "does": "http", "path": format!("http://{plain}/") })),
        ("http, a connection each", json!({ "does": "http new", "path": format!("http://{plain}/") })),
        ("https, kept connection", json!({ "does": "http", "path": format!("https://{secure}/"), "ca_file": authority.file() })),
        ("https, a connection each", json!({ "does": "http new", "path": format!("https://{secure}/"), "ca_file": authority.file() })),
    ] {
        let (wall, cpu, _) = cost(config).await;
        println!("{what:<26} {:>7.1} us of CPU a request, {:>7.1} us of time", cpu * 1e6, wall * 1e6);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let which = std::env::args().nth(1);
    let wanted = |name: &str| which.as_deref().is_none_or(|which| which == name);
    if wanted("http") {
        http().await;
    }
    if wanted("files") {
        files().await;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
}
