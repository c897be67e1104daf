//! Where programs are, also those in folders that an ordinary user's PATH lacks.

use std::path::PathBuf;

const SYSTEM_FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Finds a program by name in PATH, then in the system's folders.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path).collect::<Vec<_>>();
    let system = SYSTEM_FOLDERS.iter().map(PathBuf::from);
    own.into_iter().chain(system).map(|folder| folder.join(name)).find(|file| file.is_file())
}
