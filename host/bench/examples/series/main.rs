//! Series files: what an update costs here and elsewhere, and what a crash costs, for `cargo xtask bench series`.
//!
//! `peers FOLDER FILES SAMPLES ROUNDS [WITHOUT…]` writes the same samples to the same files by ours, `rrdtool -`, rrdcached and collectd, kills
//! each once, and prints a table. `answers FOLDER` fetches, `large FOLDER FILES SLOTS` lets a store of many files live for a while, `xlsx`
//! makes a workbook; each prints its lines. `ours` is what `peers` starts for our part.
//!
//! Reading order: `world` (the samples) · `small` (files with fewer rows) · `ours` · `peers` with `cached` and `collectd` · `table` · `answers` ·
//! `large`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a measurement ends with its reason")]

mod answers;
mod cached;
mod collectd;
mod cost;
mod large;
mod ours;
mod peers;
mod small;
mod table;
mod world;

use std::path::Path;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse().unwrap();
    match words[..] {
        ["peers", folder, files, samples, rounds, ref without @ ..] => {
            table::print(Path::new(folder), number(files), number(samples), number(rounds) as usize, without);
        }
        ["ours", folder, files, samples] => ours::run(Path::new(folder), number(files), number(samples)),
        ["answers", folder] => answers::print(Path::new(folder)),
        ["large", folder, files, slots] => large::print(Path::new(folder), number(files), number(slots)),
        ["xlsx", values] => answers::workbook(number(values)),
        _ => panic!(
            "peers FOLDER FILES SAMPLES ROUNDS [WITHOUT…] | ours FOLDER FILES SAMPLES | answers FOLDER | large FOLDER FILES SLOTS | xlsx VALUES"
        ),
    }
}
