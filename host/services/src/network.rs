//! Who answers, and what time it is: the machine's network and clock, unless a test has put another network in their place.

use std::{future::Future, io, net::IpAddr, net::SocketAddr, pin::Pin, sync::Arc, time::SystemTime};

use tokio::io::DuplexStream;

/// A connection that is being opened, and the address that it has on our side.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<(DuplexStream, SocketAddr)>> + Send>>;

/// A network within a test, on the clock of its runtime.
pub trait Network: Send + Sync {
    /// Opens a connection; as a network does, it may refuse, or never answer.
    fn connect(&self, to: SocketAddr) -> Connecting;
    /// The addresses of a name.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;
    /// The wall clock.
    fn now(&self) -> SystemTime;
}

tokio::task_local! {
    static HERE: Arc<dyn Network>;
}

/// Does something within a network of a test: what it asks of the network, that one answers.
pub async fn within<T>(network: Arc<dyn Network>, work: impl Future<Output = T>) -> T {
    HERE.scope(network, work).await
}

/// The network of a test that we are in; none on a machine's own.
pub(crate) fn here() -> Option<Arc<dyn Network>> {
    HERE.try_with(Clone::clone).ok()
}
