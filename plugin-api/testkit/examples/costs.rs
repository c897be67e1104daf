//! Prints what the host's services cost an agent: `cargo run --release -p watchpost-testkit --example costs`.

#![expect(clippy::unwrap_used, reason = "a print for people")]

use std::{fs, time::Instant};

use serde_json::json;
use watchpost_plugin_api::prelude::*;
use watchpost_testkit::Kit;

const TIME: Metric = Metric::gauge("time", Unit::Seconds, "How long it took.");
const DONE: Metric = Metric::gauge("done", Unit::Number, "How much was done.");

#[derive(Deserialize, JsonSchema)]
struct Config {
    does: String,
    path: PathBuf,
    #[serde(default)]
    piece: usize,
}

struct Costs(Config);

impl Agent for Costs {
    type Config = Config;
    const NAME: &'static str = "costs";
    const METRICS: &'static [Metric] = &[TIME, DONE];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(config: &Config) -> String {
        config.path.display().to_string()
    }

    fn needs(_: &Config) -> Needs {
        Needs::none()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let began = Instant::now();
        let mut done = 0;
        match self.0.does.as_str() {
            "read" => {
                let mut file = cx.open(&self.0.path).await?;
                let mut room = vec![0; self.0.piece];
                loop {
                    let read = file.read_at(done as u64, &mut room).await?;
                    if read == 0 {
                        break;
                    }
                    done += read;
                }
            }
            "scan" => {
                let mut scan = cx.scan(&self.0.path).await?;
                while scan.next().await?.is_some() {
                    done += 1;
                }
            }
            _ => {
                let mut scan = cx.scan_names(&self.0.path).await?;
                while scan.next().await?.is_some() {
                    done += 1;
                }
            }
        }
        cx.record(TIME, began.elapsed());
        cx.record(DONE, done);
        Ok(())
    }
}

/// Best of three: seconds for each thing done, and what was done.
async fn cost(config: serde_json::Value) -> (f64, f64) {
    let mut best = f64::MAX;
    let mut done = 0.0;
    for _ in 0..3 {
        let ran = Kit::<Costs>::new(&config).unwrap().timeout(Duration::from_secs(300)).run().await;
        assert_eq!(ran.failure(), None);
        done = ran.value(DONE).unwrap();
        best = best.min(ran.value(TIME).unwrap());
    }
    (best / done, done)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    let (mut large, mebibyte) = (fs::File::create(&file).unwrap(), vec![b'x'; 1 << 20]);
    (0..512).for_each(|_| std::io::Write::write_all(&mut large, &mebibyte).unwrap());
    for piece in [4 << 10, 64 << 10, 1 << 20] {
        let (each, _) = cost(json!({ "does": "read", "path": file, "piece": piece })).await;
        println!("read in pieces of {:>5} KiB: {:>7.0} MB/s, {:.1} us a piece", piece >> 10, 1e-6 / each, each * piece as f64 * 1e6);
    }
    let many = folder.path().join("many");
    fs::create_dir(&many).unwrap();
    for n in 0..1_000_000 {
        fs::File::create(many.join(format!("1700000000.M{n}P1234.host,S=1234:2,"))).unwrap();
    }
    let (each, entries) = cost(json!({ "does": "scan", "path": many })).await;
    println!("scan of {entries} entries: {:.2} us each, {:.2} s", each * 1e6, each * entries);
    let (each, entries) = cost(json!({ "does": "names", "path": many })).await;
    println!("scan of {entries} names: {:.2} us each, {:.2} s", each * 1e6, each * entries);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}
