//! What is asked of a system of tickets, what is heard, and what is known in between.

use serde::{Deserialize, Serialize};

/// How a ticket stands, as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is none yet.
    #[default]
    Unmade,
    /// Somebody is to do something.
    Open,
    /// The problem is over.
    Resolved,
    /// Nobody does anything any more.
    Closed,
    /// The system knows it no longer.
    Gone,
}

impl State {
    /// Names it, as people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unmade => "not made yet",
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
            Self::Gone => "gone",
        }
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Resolved | Self::Closed)
    }
}

/// What can be asked of a system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Which tickets bear the key?
    Search,
    /// Make one.
    Create,
    /// Which comments are there?
    Look,
    /// Write the step into it.
    Comment,
    /// How does it stand?
    Read,
    /// The problem is over.
    Resolve,
    /// The problem is there again.
    Reopen,
    /// Somebody takes care of it.
    Take,
    /// Say of this other one that it is a duplicate.
    Disown(String),
    /// Resolve this other one, which is a duplicate.
    Retire(String),
    /// Which comments are there in this duplicate?
    Hear(String),
}

impl Ask {
    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Search | Self::Look | Self::Read | Self::Hear(_))
    }

    /// Names it, as people read it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Create => "create",
            Self::Look => "read comments",
            Self::Comment => "comment",
            Self::Read => "read",
            Self::Resolve => "resolve",
            Self::Reopen => "reopen",
            Self::Take => "take",
            Self::Disown(_) => "name a duplicate",
            Self::Retire(_) => "resolve a duplicate",
            Self::Hear(_) => "read comments of a duplicate",
        }
    }
}

/// A comment as the system has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: String,
    /// Who wrote it.
    pub author: Option<String>,
    /// What, in lines.
    pub text: String,
}

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Tickets that bear the key, by their ids, in the order of the answer.
    Found(Vec<String>),
    /// It was made, and has this id.
    Made(String),
    /// The comments there are; those that were seen before may be without their words.
    Comments(Vec<Comment>),
    /// Some of them: there are more.
    SomeComments(Vec<Comment>),
    /// How it stands; the state is nothing where its word is none of the template's.
    Stands {
        /// What of it is known here.
        state: Option<State>,
        /// The system's word.
        word: String,
        /// Which state of the ticket that is.
        version: Option<String>,
        /// Who takes care of it.
        owner: Option<String>,
        /// Who resolved or closed it.
        closed_by: Option<String>,
        /// Which ticket it is: another one where it was merged into that.
        id: Option<String>,
    },
    /// It was done.
    Done,
    /// It was not done, and never will be.
    Refused(String),
    /// It was not done; another time it may be.
    Later(String),
    /// The ticket has changed in between: it was not done.
    Outdated(String),
    /// We may not do that to this ticket.
    Denied(String),
    /// There is no such ticket.
    Gone(String),
    /// Nobody knows whether it was done.
    Unknown(String),
}

impl Heard {
    /// Why it failed, if so.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Refused(why) | Self::Later(why) | Self::Outdated(why) | Self::Denied(why) | Self::Gone(why) | Self::Unknown(why) => {
                Some(why)
            }
            _ => None,
        }
    }
}

/// What a person did in the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Took care of it.
    Took(String),
    /// Resolved or closed it.
    Ended {
        /// Who, if the system says so.
        by: Option<String>,
        /// The system's word for the state it is in.
        word: String,
    },
    /// Opened it again.
    Reopened,
    /// Wrote something.
    Wrote(Comment),
}

/// What a system can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one request whether the template has it")]
pub struct Can {
    /// Find tickets by their key.
    pub search: bool,
    /// Find those alone that bear the key where nobody writes it by chance: what is made twice is known as such.
    pub doubles: bool,
    /// Say how one stands.
    pub read: bool,
    /// A ticket that was merged into another can be followed there.
    pub follows: bool,
    /// Say what was written.
    pub comments: bool,
    /// Be written into.
    pub comment: bool,
    /// Be resolved.
    pub resolve: bool,
    /// Be reopened.
    pub reopen: bool,
    /// Be taken.
    pub take: bool,
    /// Say that it has changed in between.
    pub versioned: bool,
}

/// A change whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsure {
    /// What was sent.
    pub ask: Ask,
    /// Of which step.
    pub seq: u64,
    /// When, nanoseconds since 1970.
    pub since_ns: i64,
    /// Until when it may take effect.
    pub until_ns: i64,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This is to be asked.
    Ask(Ask),
    /// Nothing before this instant, nanoseconds since 1970.
    Wait(i64),
    /// The step is where it belongs.
    Settled,
    /// The step is for another ticket.
    Anew,
}
