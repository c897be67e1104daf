//! All agent libraries of a configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use watchpost_plugin_api::AgentDescriptor;

use super::{Plugin, Sandboxes, Ward, supervisor::name_of};

/// How a worker begins to say that a library, or a folder above it, belongs to others.
const NOT_TRUSTED: &str = "it is not trusted: ";

/// Something wrong with a library or a folder of libraries; a warning unless a job needs what it would have carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The library or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

/// The libraries that loaded, each with its worker.
#[derive(Clone, Default)]
pub struct Plugins {
    plugins: Vec<Arc<Plugin>>,
    /// Agent name → the libraries that carry one of that name.
    carriers: BTreeMap<String, Vec<usize>>,
    problems: Vec<Problem>,
    /// What outlives their workers.
    ward: Arc<Ward>,
    /// How they are confined.
    sandboxes: Sandboxes,
}

impl Plugins {
    /// Loads every `lib*.so` of these folders, not recursively, side by side.
    pub async fn load(folders: &[PathBuf], sandboxes: &Sandboxes) -> Self {
        Self::default().with_new(folders, sandboxes).await
    }

    /// Loads those libraries of these folders that are not loaded yet; those that are loaded and still there stay as they are, unless they
    /// are to be confined otherwise.
    pub async fn with_new(&self, folders: &[PathBuf], sandboxes: &Sandboxes) -> Self {
        let mut problems = Vec::new();
        let mut plugins = Vec::new();
        let mut starting = Vec::new();
        for path in libraries(folders, &mut problems) {
            match self.plugins.iter().find(|plugin| plugin.path() == path && plugin.is_confined_as(sandboxes)) {
                Some(plugin) => plugins.push(plugin.clone()),
                None => {
                    let (ward, sandboxes, at) = (self.ward.clone(), sandboxes.clone(), path.clone());
                    let start = async move {
                        let file = ward.instead_of(&path).map_or_else(|| path.clone(), |(kept, _)| kept);
                        Plugin::start_from(&file, &path, &sandboxes, ward).await
                    };
                    starting.push((at, tokio::spawn(start)));
                }
            }
        }
        for (path, starting) in starting {
            match starting.await.map_err(io::Error::other) {
                Ok(Ok(plugin)) => plugins.push(Arc::new(plugin)),
                Ok(Err(reason)) => problems.push(Problem { path, reason }),
                Err(error) => problems.push(Problem { path, reason: error.to_string() }),
            }
        }
        Self::of(plugins, told_once(problems), self.ward.clone(), sandboxes.clone())
    }

    /// Loads one library that is to be known as `path`.
    ///
    /// Errors: why it is refused, for people.
    pub async fn start(&self, file: &Path, path: &Path) -> Result<Arc<Plugin>, String> {
        Plugin::start_from(file, path, &self.sandboxes, self.ward.clone()).await.map(Arc::new)
    }

    /// The library of that file, if it is loaded.
    pub fn at(&self, path: &Path) -> Option<&Arc<Plugin>> {
        self.plugins.iter().find(|plugin| plugin.path() == path)
    }

    /// The library that people know by that name, or by that file.
    pub fn named(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.plugins.iter().find(|plugin| plugin.name() == name || plugin.path() == Path::new(name))
    }

    /// The same libraries with this one in the place of its file, whatever was there.
    pub fn with(&self, plugin: Arc<Plugin>) -> Self {
        let path = plugin.path().to_owned();
        let mut with = self.without(&path);
        with.plugins.push(plugin);
        Self::of(with.plugins, with.problems, with.ward, with.sandboxes)
    }

    /// The same libraries without what is at this file, or was wrong with it.
    pub fn without(&self, path: &Path) -> Self {
        let plugins = self.plugins.iter().filter(|plugin| plugin.path() != path).cloned().collect();
        let problems = self.problems.iter().filter(|problem| problem.path != path).cloned().collect();
        Self::of(plugins, problems, self.ward.clone(), self.sandboxes.clone())
    }

    /// The same libraries, and a file that is none.
    pub fn with_problem(&self, problem: Problem) -> Self {
        let mut with = self.without(&problem.path);
        with.problems.push(problem);
        with
    }

    /// An agent of this library that another library carries as well, and that library.
    pub fn clash(&self, with: &Plugin) -> Option<(&str, &Path)> {
        let others = self.plugins.iter().filter(|plugin| plugin.path() != with.path());
        let ours = &with.descriptor().agents;
        let mut theirs = others.flat_map(|other| other.descriptor().agents.iter().map(|agent| (agent.name.as_str(), other.path())));
        theirs.find(|(agent, _)| ours.iter().any(|our| our.name == *agent))
    }

    fn of(mut plugins: Vec<Arc<Plugin>>, problems: Vec<Problem>, ward: Arc<Ward>, sandboxes: Sandboxes) -> Self {
        plugins.sort_by(|a, b| a.path().cmp(b.path()));
        let mut carriers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, plugin) in plugins.iter().enumerate() {
            for agent in &plugin.descriptor().agents {
                carriers.entry(agent.name.clone()).or_default().push(at);
            }
        }
        Self { plugins, carriers, problems, ward, sandboxes }
    }

    /// Finds the library that carries an agent, and what the agent says of itself.
    ///
    /// Errors: the libraries that carry one of that name, when they are several.
    pub fn agent(&self, name: &str) -> Result<Option<(&Arc<Plugin>, &AgentDescriptor)>, Vec<&Path>> {
        match self.carriers.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some(&[at]) => {
                let plugin = &self.plugins[at];
                Ok(plugin.descriptor().agents.iter().find(|agent| agent.name == name).map(|agent| (plugin, agent)))
            }
            Some(several) => Err(several.iter().map(|&at| self.plugins[at].path()).collect()),
        }
    }

    /// Names every agent.
    pub fn agent_names(&self) -> impl Iterator<Item = &str> {
        self.carriers.keys().map(String::as_str)
    }

    /// Names every library that is there, whether it loaded or not.
    pub fn names(&self) -> BTreeSet<String> {
        let not_loaded = self.problems.iter().map(|problem| name_of(&problem.path));
        self.plugins.iter().map(|plugin| plugin.name()).chain(not_loaded).collect()
    }

    /// Every library that loaded.
    pub fn all(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// What outlives their workers.
    pub fn ward(&self) -> &Arc<Ward> {
        &self.ward
    }

    /// What did not load, and why.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Has no worker touch what a configuration guards.
    pub fn guard(&mut self, sandboxes: Sandboxes) {
        self.plugins.iter().for_each(|plugin| plugin.guard(&sandboxes));
        self.sandboxes = sandboxes;
    }

    /// Says that every worker is about to be ended.
    pub fn will_stop(&self) {
        self.plugins.iter().for_each(|plugin| plugin.will_stop());
    }

    /// Ends every worker.
    pub async fn stop(&self) {
        // Side by side: one that is slow to end must not take the others' time.
        let stops: Vec<_> = self.plugins.iter().cloned().map(|plugin| tokio::spawn(async move { plugin.stop().await })).collect();
        for stop in stops {
            let _panicked = stop.await;
        }
    }
}

/// What is wrong with a folder is told of the folder, and not of each library in it.
fn told_once(problems: Vec<Problem>) -> Vec<Problem> {
    let mut alike: BTreeMap<(Option<&Path>, &str), usize> = BTreeMap::new();
    let distrust = |problem: &'_ Problem| problem.reason.strip_prefix(NOT_TRUSTED).map(str::to_owned);
    for problem in &problems {
        *alike.entry((problem.path.parent(), &problem.reason)).or_default() += 1;
    }
    let mut told: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in &problems {
        let count = alike.get(&(problem.path.parent(), problem.reason.as_str())).copied().unwrap_or_default();
        let once = match (problem.path.parent(), distrust(problem)) {
            (Some(folder), Some(why)) if count > 1 => {
                Problem { path: folder.to_owned(), reason: format!("none of its {count} libraries is trusted: {why}") }
            }
            _ => problem.clone(),
        };
        if !told.contains(&once) {
            told.push(once);
        }
    }
    told
}

/// Whether a file of a plugin folder is taken for a library, by its name.
pub fn is_library(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.starts_with("lib") && name.ends_with(".so")
}

fn libraries(folders: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for folder in folders {
        match libraries_of(folder) {
            Ok(found) => paths.extend(found),
            Err(error) => {
                problems.push(Problem { path: folder.clone(), reason: format!("cannot read the plugin folder: {}", crate::chain(&error)) })
            }
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// The files of a folder that are taken for libraries, by their names.
pub fn libraries_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if is_library(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_folder_is_told_of_it_once() {
        let problem = |path: &str, reason: &str| Problem { path: path.into(), reason: reason.into() };
        let open = "it is not trusted: /p may be written by others";
        let told = told_once(vec![
            problem("/p/liba.so", open),
            problem("/p/libb.so", open),
            problem("/p/libc.so", "it is no shared library"),
            problem("/p/libd.so", "it is no shared library"),
            problem("/q/libe.so", "it is not trusted: /q may be written by others"),
        ]);
        let whole = "none of its 2 libraries is trusted: /p may be written by others";
        let expected = [
            problem("/p", whole),
            problem("/p/libc.so", "it is no shared library"),
            problem("/p/libd.so", "it is no shared library"),
            problem("/q/libe.so", "it is not trusted: /q may be written by others"),
        ];
        assert_eq!(told, expected);
    }
}
