//! rrdcached, with the journal that it has for a crash.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    peers::{Daemon, file, wait_until},
    world,
};

/// One that runs.
pub(crate) struct Cached {
    child: Child,
    folder: PathBuf,
    input: UnixStream,
    output: BufReader<UnixStream>,
}

impl Daemon for Cached {
    fn start(folder: &Path, _: u64) -> Self {
        let (socket, journal) = (folder.join("cached.sock"), folder.join("cached.journal"));
        fs::create_dir_all(&journal).unwrap();
        fs::remove_file(&socket).ok();
        let mut command = Command::new("rrdcached");
        command.arg("-g").arg("-l").arg(format!("unix:{}", socket.display())).arg("-p").arg(folder.join("cached.pid"));
        command.arg("-j").arg(journal).args(["-w", "1200", "-f", "3600", "-B", "-b"]).arg(folder.join("series"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("rrdcached", || UnixStream::connect(&socket).is_ok());
        let input = UnixStream::connect(&socket).unwrap();
        let output = BufReader::new(input.try_clone().unwrap());
        Self { child, folder: folder.into(), input, output }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn give(&mut self, files: u64, sample: u64) {
        let mut batch = "BATCH\n".to_owned();
        batch.extend((0..files).map(|n| format!("UPDATE {} {}\n", file(&self.folder, n).display(), world::text(n, sample))));
        batch.push_str(".\n");
        self.input.write_all(batch.as_bytes()).unwrap();
        assert!(self.line().starts_with("0 Go ahead"), "it takes batches");
        let answer = self.line();
        assert!(answer.starts_with("0 errors"), "{answer}");
    }

    fn flush(&mut self, _: u64, _: u64) {
        self.input.write_all(b"FLUSHALL\n").unwrap();
        assert!(self.line().starts_with('0'), "it flushes");
        wait_until("rrdcached to write", || self.waiting() == 0);
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Cached {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Updates that it was given, and files of those that it has not written.
    fn waiting(&mut self) -> u64 {
        self.input.write_all(b"STATS\n").unwrap();
        let count: usize = self.line().split(' ').next().unwrap().parse().unwrap();
        let lines: Vec<String> = (0..count).map(|_| self.line()).collect();
        let figure = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok()).unwrap_or(0);
        figure("QueueLength:") + figure("UpdatesReceived:").saturating_sub(figure("DataSetsWritten:"))
    }
}
