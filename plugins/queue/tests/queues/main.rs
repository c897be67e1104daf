//! The agent on queues made for the purpose, and on the lab's Postfix.
//!
//! Reading order: `server` (a `showq` that follows a script) · `showq` (what it says, well and badly) · `exim`, `sendmail`, `opensmtpd`,
//! `folders` (spools in temporary folders) · `denied` (queues that may not be read) · `events` · `lab`, `postfix`, `second` (the real thing: Postfix, and
//! Exim before it).

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod denied;
mod events;
mod exim;
mod folders;
mod lab;
mod opensmtpd;
mod postfix;
mod second;
mod sendmail;
mod server;
mod showq;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_queue::Queue;
use watchpost_testkit::{Kit, Ran};

/// What stands in the way of `up`, and of `queue_size` being there.
type Failure<'a> = Option<(&'a str, &'a str)>;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn config(kind: &str, path: &Path) -> Value {
    json!({ "kind": kind, "path": path })
}

async fn run(kind: &str, path: &Path) -> Ran {
    run_config(&config(kind, path)).await
}

async fn run_config(config: &Value) -> Ran {
    Kit::<Queue>::new(config).unwrap().explain().run().await
}

/// Writes a file, and the folders above it, that was changed so many seconds ago.
fn write(path: &Path, text: impl AsRef<[u8]>, seconds_ago: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    let then = SystemTime::now() - Duration::from_secs(seconds_ago);
    fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

/// A queue at work: what is done to it over and over on a thread beside.
struct Busy {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Busy {
    fn with(mut round: impl FnMut(u32) + Send + 'static) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ended = ended.clone();
            move || {
                for at in 0.. {
                    round(at);
                    // Less work than that of counting it: most of what is listed must still be there when it is read.
                    std::thread::sleep(Duration::from_millis(2));
                    if ended.load(Relaxed) {
                        return at;
                    }
                }
                0
            }
        });
        Self { ended, thread }
    }

    /// Ends it; tells how often it was done.
    fn end(self) -> u32 {
        self.ended.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// The value of a metric with these labels.
fn value(ran: &Ran, metric: &str, labels: &[&str]) -> Option<f64> {
    let sample = ran.outcome.samples.iter().find(|sample| sample.metric == metric && sample.labels == labels);
    sample.map(|sample| sample.value)
}

/// Size, volume and oldest age of a queue, as far as they are known.
fn known(ran: &Ran, queue: &str) -> [Option<f64>; 3] {
    ["queue_size", "queue_bytes", "queue_oldest_age"].map(|metric| value(ran, metric, &[queue]))
}

/// The queue has that size and volume, and its oldest message about that age.
#[track_caller]
fn assert_queue(ran: &Ran, queue: &str, size: u32, bytes: u32, oldest: u32) {
    assert_eq!(ran.failure(), None, "{ran:#?}");
    let [Some(is_size), Some(is_bytes), Some(is_oldest)] = known(ran, queue) else { panic!("{queue}: {ran:#?}") };
    assert_eq!((is_size, is_bytes), (f64::from(size), f64::from(bytes)), "{queue}: {ran:#?}");
    // A test may take its time; the whole second of a stamp is cut off.
    let late = is_oldest - f64::from(oldest);
    assert!(if size == 0 { late == 0.0 } else { (0.0..30.0).contains(&late) }, "{queue}: {is_oldest}, not {oldest}");
}

/// These queues are told, and no other.
#[track_caller]
fn assert_queues(ran: &Ran, queues: &[&str]) {
    let samples = ran.outcome.samples.iter().filter(|sample| sample.metric == "queue_size");
    let mut told: Vec<&str> = samples.map(|sample| sample.labels[0].as_str()).collect();
    let mut queues = queues.to_vec();
    told.sort_unstable();
    queues.sort_unstable();
    assert_eq!(told, queues, "{ran:#?}");
}

/// The run failed so, and nothing of any queue is claimed.
#[track_caller]
fn assert_unknown(ran: &Ran, failure: Failure<'_>) {
    assert_eq!(ran.failure(), failure, "{ran:#?}");
    assert!(ran.failure().is_some());
    assert!(ran.recorded().iter().all(|metric| *metric == "connect_time"), "{ran:#?}");
    assert!(ran.outcome.events.is_empty(), "{ran:#?}");
}
