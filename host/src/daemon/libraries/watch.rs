//! Sees files of the plugin folders come, change and go.
//!
//! It looks once a second: a read of a few folders and a stat of each library in them, some ten microseconds. Unlike inotify that sees
//! every file system, a folder that is replaced as a whole, and a bind mount; nothing has to be registered anew, and a second more or less is
//! nothing beside the second for which a file has to be at rest before it is taken: a copy under way grows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::super::Daemon;
use crate::plugin::{Stamp, libraries_of};

/// How often it looks; a file has to be the same at two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was seen last.
#[derive(Default)]
struct Watch {
    before: BTreeMap<PathBuf, Stamp>,
    missed: BTreeSet<PathBuf>,
}

/// What a look found.
struct Look {
    /// Folders that could be read.
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Stamp>,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// It is new, or another one than was refused.
    Came,
    /// It is another one than was loaded.
    Changed,
    /// It is as it was loaded.
    AsLoaded,
    /// It is gone.
    Gone,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    loaded: Option<Stamp>,
    refused: Option<Stamp>,
}

/// Watches until the daemon ends.
pub(in crate::daemon) async fn lead(daemon: Arc<Daemon>) {
    let (mut watch, mut ticks) = (Watch::default(), interval(LOOK_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let folders = daemon.config().plugin_folders();
        // A file system that does not answer holds up this thread and nothing else.
        let Ok(look) = spawn_blocking(move || Look::at(folders)).await else { continue };
        for (path, news) in watch.news(look, &daemon.known_files()) {
            match news {
                News::Came => drop(daemon.welcome(&path).await),
                News::Changed => drop(daemon.replace(&path).await),
                News::AsLoaded => daemon.forget_refusal(&path),
                News::Gone => daemon.miss(&path).await,
            }
        }
    }
}

impl Look {
    fn at(folders: Vec<PathBuf>) -> Self {
        let mut look = Self { folders: Vec::new(), files: BTreeMap::new() };
        for folder in folders {
            let Ok(files) = libraries_of(&folder) else { continue };
            look.files.extend(files.into_iter().filter_map(|path| Stamp::of(&path).map(|stamp| (path, stamp))));
            look.folders.push(folder);
        }
        look
    }
}

impl Watch {
    /// Compares a look with the one before, and with what is known.
    fn news(&mut self, look: Look, known: &BTreeMap<PathBuf, Known>) -> Vec<(PathBuf, News)> {
        let before = std::mem::replace(&mut self.before, look.files);
        let mut news = Vec::new();
        for (path, stamp) in &self.before {
            let Known { loaded, refused } = known.get(path).copied().unwrap_or_default();
            let at_rest = before.get(path) == Some(stamp);
            // What is loaded stays so, whoever may write to its file now; what was refused may have been refused for that.
            if loaded.is_some_and(|loaded| loaded.is_as(stamp)) {
                if refused.is_some() {
                    news.push((path.clone(), News::AsLoaded));
                }
            } else if at_rest && refused != Some(*stamp) {
                news.push((path.clone(), if loaded.is_some() { News::Changed } else { News::Came }));
            }
        }
        let in_sight = |path: &Path| path.parent().is_some_and(|folder| look.folders.iter().any(|known| known == folder));
        let gone = known.keys().filter(|path| !self.before.contains_key(*path) && in_sight(path));
        let gone: BTreeSet<PathBuf> = gone.cloned().collect();
        // A file that is replaced may be gone for a moment.
        news.extend(gone.intersection(&self.missed).map(|path| (path.clone(), News::Gone)));
        self.missed = gone;
        news
    }
}

impl Daemon {
    fn known_files(&self) -> BTreeMap<PathBuf, Known> {
        let mut known: BTreeMap<PathBuf, Known> = BTreeMap::new();
        for plugin in self.plugins().all() {
            known.entry(plugin.path().to_owned()).or_default().loaded = plugin.stamp();
        }
        for (path, refused) in self.libraries.refused().iter() {
            known.entry(path.clone()).or_default().refused = refused.stamp;
        }
        known
    }

    fn forget_refusal(&self, path: &Path) {
        self.libraries.refused().remove(path);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    struct Rig {
        folder: tempfile::TempDir,
        watch: Watch,
        known: BTreeMap<PathBuf, Known>,
    }

    impl Rig {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), watch: Watch::default(), known: BTreeMap::new() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("liba.so")
        }

        fn write(&self, bytes: &[u8]) -> Stamp {
            fs::write(self.path(), bytes).unwrap();
            Stamp::of(&self.path()).unwrap()
        }

        fn look(&mut self) -> Vec<News> {
            let look = Look::at(vec![self.folder.path().to_owned(), "/nowhere".into()]);
            self.watch.news(look, &self.known).into_iter().map(|(_, news)| news).collect()
        }
    }

    #[test]
    fn a_file_that_grows_is_left_alone_until_it_is_at_rest() {
        let mut rig = Rig::new();
        for bytes in 1..5 {
            rig.write(&vec![7; bytes]);
            assert_eq!(rig.look(), []);
        }
        assert_eq!(rig.look(), [News::Came]);
        let stamp = Stamp::of(&rig.path());
        rig.known.insert(rig.path(), Known { loaded: stamp, refused: None });
        assert_eq!(rig.look(), []);
        for bytes in 6..9 {
            rig.write(&vec![7; bytes]);
            assert_eq!(rig.look(), []);
        }
        assert_eq!(rig.look(), [News::Changed]);
    }

    #[test]
    fn a_file_of_the_same_length_is_another_one() {
        let mut rig = Rig::new();
        let loaded = Some(rig.write(b"old"));
        rig.known.insert(rig.path(), Known { loaded, refused: None });
        rig.look();
        fs::write(rig.folder.path().join("draft"), b"new").unwrap();
        fs::rename(rig.folder.path().join("draft"), rig.path()).unwrap();
        assert_eq!((rig.look(), rig.look()), (vec![], vec![News::Changed]));
    }

    #[test]
    fn what_was_refused_is_not_tried_again_until_it_changes_and_forgotten_when_it_is_as_before() {
        let mut rig = Rig::new();
        let loaded = Some(rig.write(b"old"));
        let refused = Some(rig.write(b"worse"));
        rig.known.insert(rig.path(), Known { loaded, refused });
        for _ in 0..3 {
            assert_eq!(rig.look(), []);
        }
        rig.write(b"better?");
        assert_eq!((rig.look(), rig.look()), (vec![], vec![News::Changed]));
        rig.known.insert(rig.path(), Known { loaded: Stamp::of(&rig.path()), refused });
        assert_eq!(rig.look(), [News::AsLoaded]);
    }

    #[test]
    fn a_file_or_folder_that_belongs_to_others_no_longer_is_tried_again_and_a_loaded_one_is_not() {
        let mut rig = Rig::new();
        let chmod = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = Some(rig.write(b"open"));
        rig.known.insert(rig.path(), Known { loaded: None, refused });
        assert_eq!((rig.look(), rig.look()), (vec![], vec![]));
        chmod(&rig.path(), 0o600);
        assert_eq!((rig.look(), rig.look()), (vec![], vec![News::Came]));
        rig.known.insert(rig.path(), Known { loaded: None, refused: Stamp::of(&rig.path()) });
        assert_eq!(rig.look(), []);
        chmod(rig.folder.path(), 0o777);
        assert_eq!((rig.look(), rig.look()), (vec![], vec![News::Came]));
        rig.known.insert(rig.path(), Known { loaded: Stamp::of(&rig.path()), refused: None });
        chmod(rig.folder.path(), 0o700);
        assert_eq!((rig.look(), rig.look()), (vec![], vec![]));
    }

    #[test]
    fn a_file_is_gone_at_the_second_look_and_not_when_its_folder_cannot_be_read() {
        let mut rig = Rig::new();
        let loaded = Some(rig.write(b"old"));
        rig.known.insert(rig.path(), Known { loaded, refused: None });
        rig.known.insert("/nowhere/libb.so".into(), Known { loaded, refused: None });
        fs::remove_file(rig.path()).unwrap();
        assert_eq!((rig.look(), rig.look()), (vec![], vec![News::Gone]));
    }
}
