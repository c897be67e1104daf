//! One fault: a job, its server when it is well and when it is ill, and what is to come of that.

use watchpost_testkit::{Answers, PacketServer, Script, Server};

/// How a run against an ill server ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It fails with this kind, for a reason that has this in it.
    Fails(&'static str, String),
    /// It ends well, though not all of it was there to be measured.
    Passes,
}

impl Ends {
    /// The kind of a failure.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Fails(kind, _) => Some(kind),
            Self::Passes => None,
        }
    }

    /// What `up` is: nothing where the fault is not the target's (DESIGN "Series").
    pub(crate) fn up(&self) -> Option<f64> {
        match self {
            Self::Fails("config" | "limit" | "local" | "panic" | "crash" | "interrupted" | "skipped", _) => None,
            Self::Fails(..) => Some(0.0),
            Self::Passes => Some(1.0),
        }
    }
}

/// What an ill server of lines does to its clients.
pub(crate) enum Illness {
    Plays(Script),
    /// Its port is closed.
    Refuses,
    /// Whoever connects gets no answer.
    Ignores,
}

/// The server of a job, with what makes it well and ill.
pub(crate) enum Post {
    Lines {
        server: Server,
        well: Script,
        ill: Illness,
    },
    Packets {
        server: PacketServer,
        well: Answers,
        ill: Answers,
    },
    /// There is none, and never will be.
    Nowhere,
}

/// One fault.
pub(crate) struct Row {
    /// What goes wrong, for all agents and places alike.
    pub(crate) fault: &'static str,
    /// Name of its job.
    pub(crate) job: String,
    pub(crate) agent: &'static str,
    /// The agent's configuration but for host and port, as TOML.
    pub(crate) keys: String,
    pub(crate) post: Post,
    pub(crate) ends: Ends,
    /// What is recorded of a server that is well.
    pub(crate) whole: Vec<&'static str>,
    /// What is recorded of the ill one.
    pub(crate) known: Vec<&'static str>,
}

impl Row {
    /// Its job, as a schedule has it.
    pub(crate) fn schedule(&self) -> String {
        let address = match &self.post {
            Post::Lines { server, .. } => format!("host = \"127.0.0.1\"\nport = {}", server.port()),
            Post::Packets { server, .. } => format!("host = \"127.0.0.1\"\nport = {}", server.port()),
            // A label of 64 letters (RFC 1035 2.3.4: 63 at most): every resolver says no, and asks nobody.
            Post::Nowhere => format!("host = \"{}.invalid\"", "x".repeat(64)),
        };
        let Self { job, agent, keys, .. } = self;
        format!("[[job]]\nname = \"{job}\"\nagent = \"{agent}\"\n[job.config]\n{address}\n{keys}\n")
    }

    /// Makes its server ill.
    pub(crate) fn fall_ill(&self) {
        match &self.post {
            Post::Lines { server, ill, .. } => match ill {
                Illness::Plays(script) => server.play(script.clone()),
                Illness::Refuses => server.refuse(),
                Illness::Ignores => server.ignore(),
            },
            Post::Packets { server, ill, .. } => server.answer(ill.clone()),
            Post::Nowhere => {}
        }
    }

    /// Makes its server well again.
    pub(crate) fn recover(&self) {
        match &self.post {
            Post::Lines { server, well, .. } => server.play(well.clone()),
            Post::Packets { server, well, .. } => server.answer(well.clone()),
            Post::Nowhere => {}
        }
    }

    /// Whether there is a server that can be well.
    pub(crate) fn is_curable(&self) -> bool {
        !matches!(self.post, Post::Nowhere)
    }
}
