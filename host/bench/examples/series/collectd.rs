//! collectd, given values at its socket, with the plugin that writes RRD files.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use watchpost::series::header;

use crate::{
    peers::{Daemon, file, wait_until},
    world,
};

/// One that runs.
pub(crate) struct Collectd {
    child: Child,
    folder: PathBuf,
    input: UnixStream,
    output: BufReader<UnixStream>,
}

impl Daemon for Collectd {
    fn start(folder: &Path, files: u64) -> Self {
        let socket = folder.join("collectd.sock");
        fs::remove_file(&socket).ok();
        // Our files, under the names that it looks for.
        for n in 0..files {
            let place = folder.join("rrd/bench").join(format!("own-{n}"));
            fs::create_dir_all(&place).unwrap();
            if !place.join("own.rrd").exists() {
                std::os::unix::fs::symlink(fs::canonicalize(file(folder, n)).unwrap(), place.join("own.rrd")).unwrap();
            }
        }
        fs::write(folder.join("types.db"), format!("own {}\n", world::columns())).unwrap();
        let config = folder.join("collectd.conf");
        fs::write(&config, config_of(folder)).unwrap();
        let mut command = Command::new("collectd");
        command.arg("-f").arg("-C").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        wait_until("collectd", || UnixStream::connect(&socket).is_ok());
        let input = UnixStream::connect(&socket).unwrap();
        let output = BufReader::new(input.try_clone().unwrap());
        Self { child, folder: folder.into(), input, output }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn give(&mut self, files: u64, sample: u64) {
        const AT_ONCE: usize = 200;
        let all: Vec<u64> = (0..files).collect();
        for part in all.chunks(AT_ONCE) {
            let line = |n: &u64| format!("PUTVAL bench/own-{n}/own interval={} {}\n", world::STEP, world::text(*n, sample));
            self.input.write_all(part.iter().map(line).collect::<String>().as_bytes()).unwrap();
            for _ in part {
                let mut answer = String::new();
                self.output.read_line(&mut answer).unwrap();
                assert!(answer.starts_with('0'), "{answer}");
            }
        }
    }

    fn flush(&mut self, files: u64, sample: u64) {
        let folder = self.folder.clone();
        let last = |n: u64| header::read(&file(&folder, n)).ok().flatten().map_or(0, |header| header.last.stamp);
        // What it was given may be on its way to the plugin still: it is asked until all is there.
        let mut asks = 0;
        wait_until("collectd to write", || {
            if asks % 25 == 0 {
                self.input.write_all(b"FLUSH plugin=rrdtool\n").unwrap();
                self.output.read_line(&mut String::new()).unwrap();
            }
            asks += 1;
            (0..files).all(|n| last(n) >= world::time(sample))
        });
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn config_of(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Hostname \"bench\"\nFQDNLookup false\nInterval 10\nWriteThreads 1\nBaseDir \"{folder}\"\nPIDFile \"{folder}/collectd.pid\"\nPluginDir \"/usr/lib/collectd\"\n\
         TypesDB \"{folder}/types.db\"\nLoadPlugin unixsock\nLoadPlugin rrdtool\n<Plugin unixsock>\n  SocketFile \"{folder}/collectd.sock\"\n</Plugin>\n\
         <Plugin rrdtool>\n  DataDir \"{folder}/rrd\"\n  CacheTimeout 1200\n  CacheFlush 3600\n</Plugin>\n"
    )
}
