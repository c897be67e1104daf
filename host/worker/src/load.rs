//! Loads a library of agents: checks the file, takes a private copy, compares the layout of everything that crosses.

#![expect(unsafe_code, reason = "dlopen, and what abi_stable asks for it")]

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use abi_stable::{
    abi_stability::check_layout_compatibility,
    library::{AbiHeaderRef, LibHeader, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL, RootModule},
};
use watchpost_plugin_api::{
    AgentError, LibraryDescriptor,
    abi::{FfiResult, PluginMod_Ref, RString, RawAgentBox},
    wire::Examined,
};

use crate::{
    confine::Unconfined,
    precheck::{Unfit, precheck},
    snapshot::Snapshot,
    trust::{Distrust, trusted},
};

/// Largest library: a release build has under a megabyte, a debug build some tens.
const LIBRARY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why a library is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Somebody else may have written it.
    #[error("it is not trusted: {0}")]
    Distrusted(#[from] Distrust),
    /// It is no library of agents.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// It cannot be read or copied.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel does not confine what would run it.
    #[error("its worker cannot be confined: {0}")]
    Unconfined(#[from] Unconfined),
    /// The dynamic linker refuses it.
    #[error("it does not load: {0}")]
    Link(String),
    /// It was built for another interface.
    #[error("it was built for another version of the agent interface: {0}")]
    Layout(String),
    /// A panic in it would end its worker.
    #[error("it was built with panic = \"abort\"; build it with panic = \"unwind\"")]
    Aborts,
    /// It does not say what it carries.
    #[error("it cannot describe itself: {0}")]
    Silent(String),
}

/// A library of agents, loaded for as long as the process lives.
pub struct Library {
    module: PluginMod_Ref,
    descriptor: LibraryDescriptor,
}

impl Library {
    /// Loads a library.
    pub fn load(path: &Path) -> Result<Self, Refusal> {
        Self::of(module(path)?)
    }

    /// Loads a library by its snapshot, which is taken now unless it was before.
    pub fn load_by(snapshot: Snapshot, path: &Path) -> Result<Self, Refusal> {
        Self::of(module_by(snapshot, path)?)
    }

    fn of(module: PluginMod_Ref) -> Result<Self, Refusal> {
        if !module.panic_unwind() {
            return Err(Refusal::Aborts);
        }
        let descriptor = text(module.describe()()).map_err(|error| Refusal::Silent(error.to_string()))?;
        let descriptor = serde_json::from_str(&descriptor).map_err(|error| Refusal::Silent(error.to_string()))?;
        Ok(Self { module, descriptor })
    }

    /// What it says of itself.
    pub fn descriptor(&self) -> &LibraryDescriptor {
        &self.descriptor
    }

    /// Checks a job's configuration.
    pub fn examine(&self, agent: &str, config: &str) -> Result<Examined, AgentError> {
        let examined = text(self.module.examine()(agent.into(), config.into()))?;
        serde_json::from_str(&examined).map_err(|error| AgentError::local(format!("the library's answer is not understood: {error}")))
    }

    /// Makes the agent of a job.
    pub fn create(&self, agent: &str, config: &str) -> Result<RawAgentBox, AgentError> {
        self.module.create()(agent.into(), config.into()).into_result().map_err(AgentError::from)
    }
}

/// Loads what a library exports, as the interface `M` sees it; a host knows one such interface, tests know several.
pub fn module<M: RootModule>(path: &Path) -> Result<M, Refusal> {
    let snapshot = Snapshot::empty(path).map_err(|source| Refusal::Read { path: path.to_owned(), source })?;
    module_by(snapshot, path)
}

/// Checks a library and takes its snapshot, unless an earlier worker did; none of its code runs.
pub fn taken(mut snapshot: Snapshot, path: &Path) -> Result<Snapshot, Refusal> {
    if !snapshot.is_sealed() {
        take(&mut snapshot, &trusted(path)?)?;
    }
    Ok(snapshot)
}

fn module_by<M: RootModule>(snapshot: Snapshot, path: &Path) -> Result<M, Refusal> {
    let snapshot = taken(snapshot, path)?;
    let module = open(snapshot.file());
    // The file stays open for ever: a backtrace reads its symbols through this path.
    std::mem::forget(snapshot);
    module
}

fn text(answer: FfiResult<RString>) -> Result<String, AgentError> {
    answer.into_result().map(RString::into_string).map_err(AgentError::from)
}

/// Copies a checked library into sealed memory.
fn take(snapshot: &mut Snapshot, path: &Path) -> Result<(), Refusal> {
    let failed = |source| Refusal::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIBRARY_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if read as u64 > LIBRARY_BYTES_MAX {
        return Err(failed(io::Error::other(format!("larger than {LIBRARY_BYTES_MAX} bytes"))));
    }
    precheck(&bytes)?;
    snapshot.fill(&bytes).map_err(failed)
}

/// Links the copy in and compares layouts.
fn open<M: RootModule>(copy: &File) -> Result<M, Refusal> {
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    // SAFETY: loading runs the library's initialisers; it was checked to be trusted and whole. It is never unloaded.
    let header = unsafe {
        let library = libloading::os::unix::Library::open(Some(path), libc::RTLD_NOW | libc::RTLD_LOCAL)
            .map_err(|error| Refusal::Link(chain(&error)))?;
        let header = library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()).map(|symbol| *symbol);
        std::mem::forget(library);
        header.map_err(|error| Refusal::Link(chain(&error)))?
    };
    let header = header.upgrade().map_err(|error| Refusal::Layout(brief(&error)))?;
    match header.init_root_module::<M>() {
        // The check wants the library to know at least what we know. An older one is fine when the same check passes with the roles swapped.
        Err(LibraryError::AbiInstability(_)) if is_older_but_compatible::<M>(header) => {
            // SAFETY: the layouts were compared; what the older library lacks is asked for by its field count.
            unsafe { header.init_root_module_with_unchecked_layout() }.map_err(|error| Refusal::Layout(brief(&error)))
        }
        other => other.map_err(|error| Refusal::Layout(brief(&error))),
    }
}

fn is_older_but_compatible<M: RootModule>(header: &LibHeader) -> bool {
    header.layout().is_some_and(|theirs| check_layout_compatibility(theirs, M::LAYOUT).is_ok())
}

/// An error with its causes: libloading's own text says only "dlopen failed".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// The telling lines of a layout error that is hundreds of lines long.
fn brief(error: &LibraryError) -> String {
    let text = error.to_string();
    let telling: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| ["Error:", "Expected", "Found", "Version"].iter().any(|word| line.starts_with(word)))
        .take(6)
        .collect();
    if telling.is_empty() {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect::<Vec<_>>().join("; ")
    } else {
        telling.join("; ")
    }
}
