//! Why a file is no program that can be started, in the words of whoever can mend it: the kernel has a number for each, and two for several.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use watchpost_plugin_api::quoted;

use crate::stream::reason;

/// Bytes of a first line that the kernel takes (execve(2), "Interpreter scripts").
const LINE_BYTES: u64 = 256;
/// What every program of this system begins with.
const ELF: &[u8] = b"\x7fELF";
/// Where other sorts of programs are made known to the kernel, and what is there beside them.
const OTHER_SORTS: &str = "/proc/sys/fs/binfmt_misc";
const NO_SORTS: [&str; 2] = ["register", "status"];

/// Says what keeps a file that is there from being started; nothing where looking at it does not tell.
pub fn obstacle(path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    match () {
        () if file.is_dir() => return Some("it is a folder".into()),
        () if !file.is_file() => return Some("it is no file".into()),
        () if file.permissions().mode() & 0o111 == 0 => return Some("nobody may execute it, which `chmod +x` would change".into()),
        () => {}
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(LINE_BYTES).read_to_end(&mut head)).ok()?;
    match head.strip_prefix(b"#!") {
        Some(line) => of_script(&String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default())),
        None if head.is_empty() => Some("it is empty".into()),
        None if head.starts_with(ELF) || are_there_other_sorts() => None,
        None => Some("it is no program, and no script: its first line does not say who reads it, as #!/bin/sh does".into()),
    }
}

fn of_script(line: &str) -> Option<String> {
    let line = line.trim_matches([' ', '\t']);
    let reader = line.split([' ', '\t']).next().unwrap_or_default();
    match reader.trim_end_matches('\r') {
        "" => Some("its first line does not say who reads it, as #!/bin/sh does".into()),
        reader if line.ends_with('\r') => {
            Some(format!("its lines end as those of Windows do, so that none is called as its first line names {reader}"))
        }
        reader if !Path::new(reader).exists() => Some(format!("{}, which its first line names, is not there", quoted(reader))),
        _ => None,
    }
}

fn are_there_other_sorts() -> bool {
    let entries = fs::read_dir(OTHER_SORTS).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| !NO_SORTS.contains(&name.as_str()))
}

/// Says why a program did not start.
pub(super) fn why(error: &io::Error, path: &Path) -> String {
    let of_the_file = match error.raw_os_error() {
        Some(libc::EACCES | libc::ENOENT) => obstacle(path),
        // Whatever other sorts there are: it is none of them.
        Some(libc::ENOEXEC) => Some(obstacle(path).unwrap_or_else(|| "it is no program of this machine".into())),
        _ => None,
    };
    let has_no_loader = error.raw_os_error() == Some(libc::ENOENT) && path.exists();
    let otherwise = || if has_no_loader { "what loads it on this system is not there".into() } else { reason(error) };
    of_the_file.unwrap_or_else(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_file_from_being_started_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str, mode: u32| {
            let path = folder.path().join("program");
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let check =
            |text: &str, mode: u32, expected: Option<&str>| assert_eq!(obstacle(&file(text, mode)).as_deref(), expected, "{text:?}");
        check("", 0o755, Some("it is empty"));
        check("#!/bin/sh\n", 0o644, Some("nobody may execute it, which `chmod +x` would change"));
        check("#!/bin/sh\n", 0o755, None);
        check("#! /bin/sh -e\n", 0o755, None);
        check("\u{7f}ELF", 0o755, None);
        check("#!\n", 0o755, Some("its first line does not say who reads it, as #!/bin/sh does"));
        check("#!/no/where -x\n", 0o755, Some("/no/where, which its first line names, is not there"));
        let windows = "its lines end as those of Windows do, so that none is called as its first line names /bin/sh";
        check("#!/bin/sh\r\necho\r\n", 0o755, Some(windows));
        if !are_there_other_sorts() {
            let neither = "it is no program, and no script: its first line does not say who reads it, as #!/bin/sh does";
            check("echo OK\n", 0o755, Some(neither));
        }
        assert_eq!(obstacle(folder.path()).as_deref(), Some("it is a folder"));
        assert_eq!(obstacle(Path::new("/dev/null")).as_deref(), Some("it is no file"));
        assert_eq!(obstacle(&folder.path().join("gone")), None);
    }
}
