//! The engine that SNMPv3 traps come from: its id, and how often it was started, kept in the data folder (RFC 3414, 2.2).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_snmp::v3::{AuthoritativeEngine, PersistedAuthoritativeEngine, generate_engine_id};

use crate::notify::text::hex;

/// Name of the file in the data folder: the id in hex, and the number of starts.
const FILE: &str = "snmp-engine";

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Its file cannot be read or written.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in the file is none.
    #[error("{path} holds no engine: {why}; taken away, a new one is made, which receivers have to be told of")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The engine of a data folder, started when somebody needs it.
#[derive(Clone)]
pub struct Engine {
    path: PathBuf,
    started: Arc<Mutex<Option<AuthoritativeEngine>>>,
}

impl Engine {
    /// The one of a data folder.
    pub fn of(data: &Path) -> Self {
        Self { path: data.join(FILE), started: Arc::default() }
    }

    /// The engine at work; it counts one start more, durably, the first time.
    pub fn get(&self) -> Result<AuthoritativeEngine, EngineError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*started {
            return Ok(engine.clone());
        }
        let broken = |why: String| EngineError::Broken { path: self.path.clone(), why };
        let path = self.path.clone();
        let keep = move |engine: &PersistedAuthoritativeEngine| keep(&path, engine);
        let engine = match self.read()? {
            Some(before) => AuthoritativeEngine::restart(before, keep),
            None => AuthoritativeEngine::install(generate_engine_id().map_err(|error| broken(error.to_string()))?, keep),
        };
        let engine = engine.map_err(|error| broken(crate::chain(&*error)))?;
        *started = Some(engine.clone());
        Ok(engine)
    }

    /// The engine's id in hex, as receivers have to be told it, and how often it was started; nothing if it never was.
    pub fn known(&self) -> Result<Option<(String, u32)>, EngineError> {
        Ok(self.read()?.map(|engine| (hex(engine.engine_id()), engine.engine_boots())))
    }

    fn read(&self) -> Result<Option<PersistedAuthoritativeEngine>, EngineError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EngineError::File { path: self.path.clone(), source }),
        };
        let broken = |why: &str| EngineError::Broken { path: self.path.clone(), why: why.to_owned() };
        let (id, boots) = text.trim().split_once(' ').ok_or_else(|| broken("an id and a number of starts belong in it"))?;
        let pairs = (0..id.len()).step_by(2).map(|at| id.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        let id: Vec<u8> = pairs.collect::<Option<_>>().ok_or_else(|| broken("the id is no hex"))?;
        let boots = boots.parse().map_err(|_| broken("the number of starts is none"))?;
        PersistedAuthoritativeEngine::new(id, boots).map(Some).map_err(|error| broken(&error.to_string()))
    }
}

/// Writes it down durably: a receiver takes nothing from an engine that counts backwards.
fn keep(path: &Path, engine: &PersistedAuthoritativeEngine) -> io::Result<()> {
    let draft = path.with_extension("tmp");
    let mut file = fs::File::create(&draft)?;
    io::Write::write_all(&mut file, format!("{} {}\n", hex(engine.engine_id()), engine.engine_boots()).as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Hundredths of a second since this process first asked.
pub(super) fn uptime_cs() -> u64 {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_millis() / 10).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_keeps_its_id_and_counts_its_starts() {
        let folder = tempfile::tempdir().unwrap();
        let first = Engine::of(folder.path()).get().unwrap();
        let second = Engine::of(folder.path());
        assert_eq!(second.get().unwrap().engine_id(), first.engine_id());
        assert_eq!((first.engine_boots(), second.get().unwrap().engine_boots()), (1, 2));
        // Asked again, it is not started again.
        assert_eq!(second.get().unwrap().engine_boots(), 2);
        fs::write(folder.path().join(FILE), "zz 1\n").unwrap();
        let said = Engine::of(folder.path()).get().unwrap_err().to_string();
        assert!(said.contains("the id is no hex"), "{said}");
    }
}
