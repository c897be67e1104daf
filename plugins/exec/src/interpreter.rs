//! Whom a script has itself read by: the programs that its first line names.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes of a first line that the kernel takes (execve(2), "Interpreter scripts").
const LINE_BYTES: u64 = 256;
/// The program that looks for others.
const ENV: &str = "env";
/// Where a program that agents start looks for others.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The programs that start when this one does; none if it is no script, or cannot be read.
///
/// What a job needs is asked before it runs, so the file is read here and not by the host.
pub(crate) fn of(program: &Path) -> Vec<PathBuf> {
    let mut line = Vec::new();
    let read = File::open(program).and_then(|file| file.take(LINE_BYTES).read_to_end(&mut line));
    match read {
        Ok(_) => named(&String::from_utf8_lossy(&line), |path| path.exists()),
        Err(_) => Vec::new(),
    }
}

fn named(text: &str, exists: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let Some(line) = text.strip_prefix("#!").and_then(|rest| rest.lines().next()) else { return Vec::new() };
    let mut words = line.split_whitespace();
    let Some(interpreter) = words.next().map(PathBuf::from).filter(|path| path.is_absolute()) else { return Vec::new() };
    let looked_for = words.find(|word| !word.starts_with('-') && !word.contains('='));
    let found = looked_for
        .filter(|_| interpreter.file_name().is_some_and(|name| name == ENV))
        .and_then(|name| PATH.iter().map(|folder| Path::new(folder).join(name)).find(|path| exists(path)));
    [Some(interpreter), found].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = named(text, |path| path == Path::new("/usr/bin/python3"));
        assert_eq!(found, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{text:?}");
    }

    #[test]
    fn the_first_line_of_a_script_names_who_reads_it() {
        check("#!/bin/sh\necho", &["/bin/sh"]);
        check("#! /bin/sh -e", &["/bin/sh"]);
        check("#!/usr/bin/env python3\n", &["/usr/bin/env", "/usr/bin/python3"]);
        check("#!/usr/bin/env -S A=b python3 -u\n", &["/usr/bin/env", "/usr/bin/python3"]);
        check("#!/usr/bin/env ruby", &["/usr/bin/env"]);
        check("#!python3", &[]);
        check("\u{7f}ELF", &[]);
        check("#!", &[]);
        check("", &[]);
    }
}
