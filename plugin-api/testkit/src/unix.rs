//! A server at a Unix socket that does to each client what its script says.

use std::path::Path;

use tokio::{
    net::UnixListener,
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    task::JoinSet,
    time::timeout,
};

use crate::{
    script::Script,
    server::{SERVED_MAX, STEP_TIMEOUT, Served, StoryError, play},
};

/// A server at a Unix socket; stops when it is dropped.
pub struct UnixServer {
    served: Mutex<Receiver<Served>>,
    /// Aborted when it is dropped.
    _door: JoinSet<()>,
}

impl UnixServer {
    /// Listens at that path, which nothing may stand at, and does to each client what the script says.
    pub async fn start(path: impl AsRef<Path>, script: Script) -> Result<Self, StoryError> {
        let listener = UnixListener::bind(path)?;
        let (told, served) = channel(SERVED_MAX);
        let mut door = JoinSet::new();
        door.spawn(serve(listener, script, told));
        Ok(Self { served: Mutex::new(served), _door: door })
    }

    /// Waits until the next connection has ended and tells what was heard in it.
    ///
    /// Errors: [`StoryError::Nobody`] after 20 s.
    pub async fn served(&self) -> Result<Served, StoryError> {
        timeout(STEP_TIMEOUT, self.served.lock().await.recv()).await.ok().flatten().ok_or(StoryError::Nobody)
    }
}

async fn serve(listener: UnixListener, script: Script, told: Sender<Served>) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (script, told) = (script.clone(), told.clone());
        clients.spawn(async move {
            let served = play(stream, &script).await;
            // Full, or nobody left to tell: the test did not want to know.
            let _ = told.try_send(served);
        });
        while clients.try_join_next().is_some() {}
    }
}
