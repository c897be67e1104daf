//! A datagram socket to one peer; the host owns it.

use std::fmt;

use crate::{AgentError, Ends, abi::HostDatagramBox, cx::from_json};

/// The longest that there is: UDP counts the bytes of a datagram in 16 bits. So none is ever cut.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// A datagram socket to one peer. Each datagram goes and comes whole, or not at all: what is lost, nobody tells.
pub struct Datagram {
    inner: HostDatagramBox,
    /// Where the next one is received.
    room: Vec<u8>,
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagram({:?})", self.ends())
    }
}

impl Datagram {
    pub(crate) fn new(inner: HostDatagramBox) -> Self {
        Self { inner, room: vec![0; DATAGRAM_BYTES_MAX] }
    }

    /// Sends one datagram.
    ///
    /// Errors: kind `connect` when the network has told that the peer cannot be reached, or that nobody listens there.
    pub async fn send(&mut self, datagram: &[u8]) -> Result<(), AgentError> {
        self.inner.send(datagram.into()).await.into_result().map_err(AgentError::from)
    }

    /// Waits for one datagram of the peer's, and gives it whole.
    ///
    /// Errors: as [`send`](Datagram::send).
    pub async fn receive(&mut self) -> Result<&[u8], AgentError> {
        let received = self.inner.receive(self.room.as_mut_slice().into()).await.into_result()?;
        Ok(&self.room[..received.min(DATAGRAM_BYTES_MAX)])
    }

    /// Tells between which addresses it runs.
    pub fn ends(&self) -> Result<Ends, AgentError> {
        from_json(self.inner.ends())
    }
}
