//! Debian's rrdtool as a witness.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Every series file of a data folder.
pub(crate) fn files(data: &Path) -> Vec<PathBuf> {
    let jobs = fs::read_dir(data.join("series")).map(|jobs| jobs.filter_map(Result::ok).collect::<Vec<_>>()).unwrap_or_default();
    let files = jobs.iter().filter_map(|job| fs::read_dir(job.path()).ok()).flatten().filter_map(Result::ok);
    files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ending| ending == "rrd")).collect()
}

/// Asks one rrdtool one thing of every file; gives each answer, or the complaint.
pub(crate) fn of_each(word: &str, files: &[PathBuf], more: &str) -> Vec<Result<String, String>> {
    let mut child = Command::new("rrdtool").arg("-").env("TZ", "UTC").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let child = child.as_mut().expect("rrdtool is missing: install the package rrdtool");
    // A few bytes a file: far less than what a pipe holds while nobody reads the answers yet.
    let asked: String = files.iter().map(|file| format!("{word} {} {more}\n", file.display())).collect();
    let mut questions = child.stdin.take().unwrap();
    let asking = std::thread::spawn(move || questions.write_all(asked.as_bytes()));
    let said = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    asking.join().unwrap().unwrap();
    child.wait().unwrap();
    let mut answers = vec![];
    let mut answer = String::new();
    for line in said.lines() {
        match line.strip_prefix("ERROR: ") {
            Some(why) => answers.push(Err(why.to_owned())),
            None if line.starts_with("OK ") => answers.push(Ok(std::mem::take(&mut answer))),
            None => answer.extend([line, "\n"]),
        }
    }
    answers
}

/// The slot that a file was written for last.
pub(crate) fn last_slot(file: &Path) -> Option<i64> {
    of_each("last", &[file.to_owned()], "").pop()?.ok()?.trim().parse().ok()
}

/// One data source of a file, by slot, as fine as it is kept; unknown is absent.
pub(crate) fn values(file: &Path, source: &str, from: i64, to: i64) -> BTreeMap<i64, f64> {
    let answer = of_each("fetch", &[file.to_owned()], &format!("AVERAGE -s {from} -e {to}")).pop().unwrap().unwrap();
    let mut lines = answer.lines();
    let column = lines.next().unwrap().split_whitespace().position(|name| name == source).expect("the file has the data source");
    let rows = lines.filter_map(|line| {
        let (time, values) = line.split_once(": ")?;
        let value = values.split_whitespace().nth(column)?.parse::<f64>().ok().filter(|value| !value.is_nan())?;
        Some((time.trim().parse().ok()?, value))
    });
    rows.collect()
}
