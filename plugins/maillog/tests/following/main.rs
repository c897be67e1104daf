//! A log that is rotated in every way while it is read: each line is counted once.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod bounds;
mod random;
mod ways;

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::PathBuf,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use tempfile::TempDir;
use watchpost_maillog::{BACKLOG_BYTES, LINES, LINES_CUT, LINES_UNMATCHED, Maillog};
use watchpost_testkit::{Kit, Ran};

/// A log in a folder of its own, and the agent that follows it.
struct Scene {
    folder: TempDir,
    kit: Kit<Maillog>,
    written: u64,
}

impl Scene {
    fn new(from: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kit = Self::agent(&folder, from);
        Self { folder, kit, written: 0 }
    }

    fn agent(folder: &TempDir, from: &str) -> Kit<Maillog> {
        Kit::new(&json!({ "log": folder.path().join("mail.log"), "format": "postfix", "from": from, "line_bytes_max": 512 })).unwrap()
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("mail.log{suffix}"))
    }

    fn append(&self, suffix: &str, bytes: &[u8]) {
        OpenOptions::new().create(true).append(true).open(self.path(suffix)).unwrap().write_all(bytes).unwrap();
    }

    /// Writes whole lines, each unlike the others.
    fn write_to(&mut self, suffix: &str, lines: u64) {
        let mut text = String::new();
        for _ in 0..lines {
            self.written += 1;
            text += &format!("Nov 22 05:01:47 mx1 postfix/smtpd[{}]: connect from client{}[192.0.2.1]\n", self.written % 7, self.written);
        }
        self.append(suffix, text.as_bytes());
    }

    fn write(&mut self, lines: u64) {
        self.write_to("", lines);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn create(&self) {
        File::create(self.path("")).unwrap();
    }

    /// As gzip does: another file, and the first one is removed.
    fn compress(&self, suffix: &str) {
        let (from, to) = (self.path(suffix), self.path(&format!("{suffix}.gz")));
        let mut packed = GzEncoder::new(File::create(to).unwrap(), Compression::fast());
        packed.write_all(&fs::read(&from).unwrap()).unwrap();
        packed.finish().unwrap();
        fs::remove_file(from).unwrap();
    }

    async fn run(&mut self) -> Ran {
        self.kit.run().await
    }

    /// Runs, and expects that all that was written is counted, with nothing unknown.
    async fn check(&mut self, what: &str) -> Ran {
        let ran = self.run().await;
        assert_eq!(ran.failure(), None, "{what}");
        assert_eq!((ran.value(LINES), ran.value(LINES_UNMATCHED)), (Some(self.written as f64), Some(0.0)), "{what}");
        ran
    }
}
