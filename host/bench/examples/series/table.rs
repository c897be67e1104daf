//! The table: what an update costs each of them, and what of it a crash takes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use watchpost::series::header;

use crate::{
    cost::median,
    ours,
    peers::{Cost, PEERS, Peer, file},
    world,
};

/// What one came to, by rounds.
struct Figures {
    writer: Vec<f64>,
    client: Vec<f64>,
    disk: Vec<f64>,
    lost: u64,
}

/// Measures everybody so many times, and prints what that came to.
pub(crate) fn print(folder: &Path, files: u64, samples: u64, rounds: usize, without: &[&str]) {
    let base = folder.join("base");
    ours::make(&base, files);
    let peers: Vec<&Peer> = PEERS.iter().filter(|peer| !without.contains(&peer.package)).collect();
    let mut figures: Vec<Figures> =
        peers.iter().map(|_| Figures { writer: Vec::new(), client: Vec::new(), disk: Vec::new(), lost: 0 }).collect();
    for round in 0..rounds {
        let mut written: Option<Vec<Vec<u8>>> = None;
        for (peer, figures) in peers.iter().zip(&mut figures) {
            let place = copied(&base, folder, "written");
            let Cost { writer, client, disk_bytes } = (peer.write)(&place, files, samples);
            figures.writer.push(writer);
            figures.client.push(client);
            figures.disk.push(disk_bytes as f64);
            assert_eq!(missing(&place, files, samples), 0, "{} did not write all", peer.name);
            // collectd writes other texts of the same values, which a head keeps.
            if peer.package != "collectd-core" {
                let bytes: Vec<_> = (0..files).map(|n| fs::read(file(&place, n)).unwrap()).collect();
                assert!(written.get_or_insert_with(|| bytes.clone()) == &bytes, "{} writes other files", peer.name);
            }
            if round == 0 {
                let place = copied(&base, folder, "killed");
                (peer.die)(&place, files, samples);
                figures.lost = missing(&place, files, samples);
            }
        }
    }
    let updates = files * samples;
    println!("{files} files of {} values, {samples} samples of each, medians of {rounds}", world::VALUES);
    println!(
        "{:<30} {:>10} {:>10} {:>12} {:>10} {:>9} {:>10} {:>12} {:>9}",
        "", "us/update", "times ours", "with client", "times ours", "us/value", "disk B", "acknowledged", "lost"
    );
    let (mut ours, mut cheaper) = (None, Vec::new());
    for (peer, figures) in peers.iter().zip(figures) {
        let each = |all: Vec<f64>| median(all) * 1e6 / updates as f64;
        let both = figures.writer.iter().zip(&figures.client).map(|(writer, client)| writer + client).collect();
        let (writer, both, disk) = (each(figures.writer), each(both), median(figures.disk) / updates as f64);
        let value = writer / world::VALUES as f64;
        let (our_writer, our_both) = *ours.get_or_insert((writer, both));
        let (times, times_both) = (writer / our_writer, both / our_both);
        println!(
            "{:<30} {writer:>10.2} {times:>10.2} {both:>12.2} {times_both:>10.2} {value:>9.2} {disk:>10.0} {updates:>12} {:>9}",
            peer.name, figures.lost
        );
        cheaper.extend((times < 1.0).then(|| format!("{} takes less CPU than ours: {times:.2} of it", peer.name)));
        cheaper.extend((times_both < 1.0).then(|| format!("{} and its client take less than ours: {times_both:.2} of it", peer.name)));
    }
    println!(
        "us: CPU in user and kernel until all is written, fsync's in it, waiting for a disk not; with client: beside it what it takes to have the samples\nand to hand them over (of ours: to make the readings); disk B: bytes charged to the writer, of each update; lost: of those\nacknowledged, after kill -9 and a new start"
    );
    cheaper.iter().for_each(|line| println!("{line}"));
}

/// A folder with the files as they were made.
fn copied(base: &Path, folder: &Path, name: &str) -> PathBuf {
    let place = folder.join(name);
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    assert!(Command::new("cp").arg("-a").arg(base).arg(&place).status().unwrap().success());
    // What the copy left to be written is not charged to whoever writes next.
    assert!(Command::new("sync").arg("--file-system").arg(&place).status().unwrap().success());
    place
}

/// Samples that files lack.
fn missing(folder: &Path, files: u64, samples: u64) -> u64 {
    let lacks = |n: u64| {
        let last = header::read(&file(folder, n)).unwrap().expect("the file is there").last.stamp;
        u64::try_from((world::time(samples) - last) / i64::from(world::STEP)).unwrap_or(0)
    };
    (0..files).map(lacks).sum()
}
