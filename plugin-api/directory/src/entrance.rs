//! The way into a directory: connection, encryption, bind.

use watchpost_plugin_api::{AgentError, Cx, Endpoint, Laps, Needs, Stream, TlsMode, standard};

use crate::{
    keys::{Place, Who},
    message::Request,
    session::Session,
};

/// A directory, and as whom it is asked.
pub struct Directory {
    place: Place,
    who: Who,
    /// Whether the log was told that the password crosses the network in the clear.
    warned: bool,
}

impl Directory {
    pub(crate) fn new(place: Place, who: Who) -> Self {
        Self { place, who, warned: false }
    }

    /// Names it: `host:port`, or the path of the socket.
    pub fn target(&self) -> String {
        self.place.target()
    }

    /// Tells what a connection touches.
    pub fn needs(&self) -> Needs {
        self.place.needs()
    }

    /// Goes to a session that is bound. Its phases are `resolve_time`, `connect_time`, `tls_time` and `bind_time`; a session that gets no
    /// further is ended.
    ///
    /// Errors: kinds `resolve`, `connect`, `tls`, `auth`, `protocol`.
    pub async fn enter<'a>(&mut self, cx: &'a Cx, laps: &mut Laps<'_>) -> Result<Session<'a>, AgentError> {
        let stream = self.connect(cx, laps).await?.binary();
        let in_clear = matches!(&self.place, Place::Door(door) if door.is_overheard(stream.ends()?));
        let mut session = Session::new(cx, stream);
        match self.bind(cx, &mut session, in_clear, laps).await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.leave().await;
                Err(error)
            }
        }
    }

    /// To an open connection, encrypted if it is to be from the first byte.
    async fn connect(&self, cx: &Cx, laps: &mut Laps<'_>) -> Result<Stream, AgentError> {
        match &self.place {
            Place::Door(door) => door.enter(cx, laps).await,
            Place::Socket(path) => {
                let stream = cx.connect(Endpoint::unix(path)).await?;
                laps.lap(standard::CONNECT_TIME);
                Ok(stream)
            }
        }
    }

    /// From there to the answer to the bind.
    async fn bind(&mut self, cx: &Cx, session: &mut Session<'_>, in_clear: bool, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        if let Place::Door(door) = &self.place
            && door.tls == TlsMode::Starttls
        {
            session.start_tls(&door.handshake()).await?;
            laps.lap(standard::TLS_TIME);
        }
        if let (Place::Door(door), Who::Entry(_), true, false) = (&self.place, &self.who, in_clear, self.warned) {
            self.warned = true;
            door.warn_of_clear_text(cx);
        }
        session.bind(self.request()).await?;
        laps.lap(standard::BIND_TIME);
        Ok(())
    }

    fn request(&self) -> Request<'_> {
        match &self.who {
            Who::Nobody => Request::Anonymous,
            Who::OfSocket => Request::External,
            Who::Entry(login) => Request::Simple(&login.user, login.password.expose()),
        }
    }
}
