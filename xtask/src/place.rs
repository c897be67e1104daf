//! Where things are: the workspace, what cargo builds into, folders that other users can reach.

use crate::error::{Error, Outcome, doing};
use crate::{privilege, user};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The longest lab folder: sockets below it must fit into 108 bytes. Source: unix(7).
const LAB_PATH_MAX: usize = 70;
/// Where folders go that must be reachable by everybody.
pub(crate) const FOR_EVERYBODY: &str = "/var/tmp";

/// Gives the workspace's root.
pub(crate) fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Gives cargo, the one that started us if there is one.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// Gives the folder of a cargo profile: the neighbour of the one this program was built into, so
/// that CARGO_TARGET_DIR and cargo's configuration are honoured without asking.
pub(crate) fn built(profile: &str) -> Outcome<PathBuf> {
    Ok(beside(&privilege::own_program()?, profile))
}

fn beside(program: &Path, profile: &str) -> PathBuf {
    let own = program.parent().unwrap_or(Path::new("."));
    own.parent().unwrap_or(own).join(profile)
}

/// Chooses the lab's folder: below the target folder if servers can reach it there, else elsewhere.
///
/// The second value says why it is elsewhere. A link leads there from where the usual lab would be,
/// so that schedules which name it hold on every machine.
pub(crate) fn lab(base: Option<u16>) -> Outcome<(PathBuf, Option<String>)> {
    let name = base.map_or_else(|| "lab".to_owned(), |base| format!("lab-{base}"));
    let wanted = built(&name)?;
    let Err(why) = check_for_servers(&wanted) else {
        unlink(&wanted)?;
        return Ok((wanted, None));
    };
    let mark = fingerprint(&wanted.to_string_lossy());
    let chosen = Path::new(FOR_EVERYBODY).join(format!("watchpost-{mark:08x}-{name}"));
    let mut note = format!("the lab is in {}: {why}", chosen.display());
    if base.is_none() {
        note += &match link(&wanted, &chosen) {
            Ok(()) => "; target/lab leads there".to_owned(),
            Err(error) => format!("; name it in place of target/lab, which is no link to it: {error}"),
        };
    }
    Ok((chosen, Some(note)))
}

/// Makes a path lead to a folder that may not exist yet; a folder that is there stays.
fn link(path: &Path, folder: &Path) -> std::io::Result<()> {
    if fs::read_link(path).is_ok_and(|old| old == folder) {
        return Ok(());
    }
    if path.is_symlink() {
        fs::remove_file(path)?;
    }
    std::os::unix::fs::symlink(folder, path)
}

/// Takes away the link to a lab that was elsewhere: servers can reach the folder itself now.
fn unlink(path: &Path) -> Outcome {
    if path.is_symlink() {
        fs::remove_file(path).map_err(doing(format!("remove the link {}", path.display())))?;
    }
    Ok(())
}

/// Gives a folder that servers can reach, for one piece of work of this process.
pub(crate) fn for_everybody(work: &str) -> PathBuf {
    Path::new(FOR_EVERYBODY).join(format!("watchpost-{work}-{}", std::process::id()))
}

/// Checks that servers running as users of their own could work in a folder that may not exist yet.
///
/// Errors: [`Error::Refused`] naming the parent that keeps them out, or that the path is too long.
pub(crate) fn check_for_servers(folder: &Path) -> Outcome {
    let length = folder.as_os_str().len();
    if length > LAB_PATH_MAX {
        let folder = folder.display();
        return Err(Error::Refused(format!("{folder} is {length} bytes long, and sockets below it allow {LAB_PATH_MAX}")));
    }
    for parent in folder.ancestors().skip(1) {
        let Ok(found) = fs::metadata(parent) else {
            continue; // made by us later, open to all
        };
        if found.mode() & 0o001 == 0 {
            let parent = parent.display();
            return Err(Error::Refused(format!("{parent} is closed to the servers' users")));
        }
    }
    Ok(())
}

/// Makes a folder that everybody may pass; refuses one that somebody else put there.
pub(crate) fn make_open(folder: &Path) -> Outcome {
    let what = format!("make the folder {}", folder.display());
    fs::create_dir_all(folder).map_err(doing(what.clone()))?;
    let found = fs::symlink_metadata(folder).map_err(doing(what.clone()))?;
    let ours = [user::own_uid(), user::person().map_or(0, |person| person.uid)];
    if !found.is_dir() || !ours.contains(&found.uid()) {
        return Err(Error::Refused(format!("{} belongs to somebody else", folder.display())));
    }
    set_mode(folder, 0o755)
}

/// Sets a file's mode.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Outcome {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(doing(format!("set the mode of {}", path.display())))
}

/// Marks a text in a name: FNV-1a, 32 bits; the same in every build.
pub(crate) fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_lies_beside_the_program_whatever_the_target_folder() {
        for target in ["/home/a/w/target", "/elsewhere", "/t/x86_64-unknown-linux-gnu"] {
            let program = Path::new(target).join("debug/xtask");
            assert_eq!(beside(&program, "release"), Path::new(target).join("release"));
        }
    }

    #[test]
    fn a_link_leads_to_the_lab_and_takes_no_folders_place() {
        let here = tempfile::tempdir().unwrap();
        let (path, first, second) = (here.path().join("lab"), Path::new("/var/tmp/first"), Path::new("/var/tmp/second"));
        for folder in [first, first, second] {
            link(&path, folder).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), folder);
        }
        unlink(&path).unwrap();
        assert!(!path.is_symlink());
        fs::create_dir(&path).unwrap();
        assert!(link(&path, first).is_err());
        unlink(&path).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn a_private_parent_and_a_long_path_keep_servers_out() {
        let private = tempfile::tempdir().unwrap();
        set_mode(private.path(), 0o700).unwrap();
        let shut = check_for_servers(&private.path().join("a/lab")).unwrap_err();
        assert!(shut.to_string().contains("is closed to the servers' users"), "{shut}");
        set_mode(private.path(), 0o755).unwrap();
        check_for_servers(&private.path().join("a/lab")).unwrap();
        let long = private.path().join("l".repeat(LAB_PATH_MAX));
        assert!(check_for_servers(&long).is_err());
    }
}
