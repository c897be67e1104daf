//! A channel: one way in which people or programs are told of alarms.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use watchpost_services::Shared;

use super::{
    alertmanager::Alertmanager,
    exec::Exec,
    icinga2::Icinga2,
    mail::{Halves, Mail},
    opcmsg::Opcmsg,
    person::Person,
    snmp::{self, Snmp},
    syslog::{Syslog, Transport},
    text::{self, Words},
    webhook::{Body, Webhook},
};
use crate::{
    alarm::notice::{Notice, Step},
    ticket::desk::Desk,
};

/// One `[[channel]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// What it is called; no other channel bears the name.
    pub name: String,
    /// How it tells.
    pub kind: Kind,
    /// Which steps it is told of.
    pub tell: BTreeSet<Step>,
    /// How often it says that it could be told: whoever hears nothing knows that something is wrong.
    pub heartbeat: Option<Duration>,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// Whose it is, if it is somebody's: hours, quiet hours and digests hold.
    pub person: Option<Arc<Person>>,
}

/// How a channel tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// By mail.
    Mail(Mail),
    /// By HTTP, in a form of our own, of Alertmanager's or of a template.
    Webhook(Webhook),
    /// To Prometheus' Alertmanager.
    Alertmanager(Alertmanager),
    /// To a manager of SNMP.
    Snmp(Snmp),
    /// To a collector of syslog.
    Syslog(Syslog),
    /// By a program.
    Exec(Exec),
    /// By OpenView's own program.
    Opcmsg(Opcmsg),
    /// By tickets of another system.
    Ticket(Box<Desk>),
    /// By passive check results of Icinga 2.
    Icinga2(Arc<Icinga2>),
}

/// What became of something that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All who were to have it have it.
    ByAll,
    /// Others will never have it, and it is done with.
    BySome {
        /// Who, and why.
        but: String,
    },
    /// Some have it; others may have it another time.
    Begun {
        /// What went wrong with those.
        why: String,
    },
}

/// Why something was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It may be taken another time; not before so long, where the other side said so.
    Later {
        /// What went wrong.
        why: String,
        /// What the other side asked for.
        after: Option<Duration>,
    },
    /// It will never be taken.
    Never {
        /// What the other side said.
        why: String,
    },
}

impl Undelivered {
    pub(super) fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }

    pub(super) fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }

    /// What went wrong.
    pub fn why(&self) -> &str {
        match self {
            Self::Later { why, .. } | Self::Never { why } => why,
        }
    }
}

/// What every delivery needs beside its channel.
#[derive(Clone)]
pub struct Sender {
    /// Tells this daemon's messages from those of any other; never changes.
    pub instance: Arc<str>,
    /// The name of this machine.
    pub host: Arc<str>,
    /// Certificates and what they are held against.
    pub shared: Shared,
    /// Where traps of SNMPv3 come from.
    pub engine: snmp::Engine,
    /// Mails that some have, and others are still to have.
    pub halves: Halves,
}

impl Sender {
    /// One of this machine and a data folder.
    pub fn new(instance: &str, data: &Path) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (shared, engine, halves) = (Shared::default(), snmp::Engine::of(data), Halves::default());
        Self { instance: instance.into(), host: host.into(), shared, engine, halves }
    }
}

/// What is delivered at once.
#[derive(Clone, Copy, Debug)]
pub enum Parcel<'p> {
    /// Steps of alarms, in their order.
    Notices(&'p [&'p Notice]),
    /// How alarms stand, for a receiver that forgets them otherwise.
    Standing(&'p [Notice]),
    /// A sign of life.
    Heartbeat {
        /// When, nanoseconds since 1970.
        at_ns: i64,
    },
    /// Somebody wants to know whether it arrives.
    Test(&'p Notice),
}

impl Kind {
    /// Names it, as `type` in the configuration does.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
            Self::Alertmanager(_) => "alertmanager",
            Self::Snmp(_) => "snmp",
            Self::Syslog(_) => "syslog",
            Self::Exec(_) => "exec",
            Self::Opcmsg(_) => "opcmsg",
            Self::Ticket(_) => "ticket",
            Self::Icinga2(_) => "icinga2",
        }
    }

    /// Messages that one delivery takes, those of a group apart.
    pub fn together(&self) -> usize {
        match self {
            Self::Alertmanager(_) => 200,
            Self::Syslog(_) => 100,
            Self::Mail(_) | Self::Webhook(_) | Self::Exec(_) | Self::Opcmsg(_) | Self::Snmp(_) | Self::Ticket(_) | Self::Icinga2(_) => 1,
        }
    }

    /// Whether it tells of a group in one; else a group is only gathered, and each alarm of it is told for itself.
    pub fn tells_groups(&self) -> bool {
        !matches!(self, Self::Webhook(Webhook { body: Body::Alertmanager, .. }))
    }

    /// How it tells where nobody says that it arrived.
    pub fn unconfirmed(&self) -> Option<&'static str> {
        match self {
            Self::Syslog(Syslog { transport: Transport::Udp, .. }) => Some("syslog by UDP"),
            Self::Snmp(Snmp { inform: false, .. }) => Some("a trap"),
            _ => None,
        }
    }

    /// Whether it may be a person's own.
    pub fn is_personal(&self) -> bool {
        matches!(self, Self::Mail(_) | Self::Webhook(_) | Self::Exec(_) | Self::Snmp(_) | Self::Syslog(_) | Self::Opcmsg(_))
    }

    /// Whether it can tell of many alarms in one message when too many wait.
    pub fn digests(&self) -> bool {
        matches!(self, Self::Mail(_))
    }

    /// How often the receiver has to be told again what is still so.
    pub fn resend(&self) -> Option<Duration> {
        matches!(self, Self::Alertmanager(_)).then(|| Duration::from_secs(60))
    }

    /// Delivers once; whoever calls sets the deadline.
    pub async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<Taken, Undelivered> {
        let taken = match self {
            Self::Mail(mail) => return mail.deliver(sender, parcel).await,
            Self::Webhook(webhook) => webhook.deliver(sender, parcel).await,
            Self::Alertmanager(alertmanager) => alertmanager.deliver(sender, parcel).await,
            Self::Snmp(snmp) => snmp.deliver(sender, parcel).await,
            Self::Syslog(syslog) => syslog.deliver(sender, parcel).await,
            Self::Exec(exec) => exec.deliver(sender, parcel).await,
            Self::Opcmsg(opcmsg) => opcmsg.deliver(parcel).await,
            Self::Ticket(_) => Err(Undelivered::later("a ticket is no message: it is brought to what the alarm is")),
            Self::Icinga2(_) => Err(Undelivered::later("a result is no message: it is told with every run")),
        };
        taken.map(|()| Taken::ByAll)
    }

    /// Whether it is told of steps of alarms, by routes; else it is told how things are.
    pub fn is_routed(&self) -> bool {
        !matches!(self, Self::Icinga2(_))
    }

    /// Steps that it is told of whatever the configuration says: a ticket that is made is resolved.
    pub fn needed_steps(&self) -> &'static [Step] {
        match self {
            Self::Ticket(_) => &[Step::Raised, Step::Cleared, Step::Withdrawn],
            _ => &[],
        }
    }

    /// How long an alarm goes on before it is told, if nobody takes it before.
    pub fn delay(&self) -> Duration {
        match self {
            Self::Ticket(desk) => desk.delay,
            _ => Duration::ZERO,
        }
    }

    /// How soon after its end a ticket is reopened, where it makes tickets.
    pub fn reopen_within(&self) -> Option<Duration> {
        match self {
            Self::Ticket(desk) => Some(desk.reopen_within),
            _ => None,
        }
    }

    /// Steps that it is told of unless the configuration says otherwise.
    pub fn usual_steps(&self) -> BTreeSet<Step> {
        match self {
            // Whoever keeps a state of its own gets everything.
            Self::Webhook(_) | Self::Exec(_) | Self::Syslog(_) | Self::Snmp(_) => Step::ALL.into(),
            // What is cleared is over for a ticket; that it is closed a day later opens none again.
            Self::Icinga2(_) => BTreeSet::new(),
            Self::Ticket(_) => Step::ALL.into_iter().filter(|step| *step != Step::Closed).collect(),
            Self::Alertmanager(_) | Self::Opcmsg(_) => {
                [Step::Raised, Step::Changed, Step::Unshelved, Step::Unsilenced, Step::Cleared, Step::Closed, Step::Withdrawn].into()
            }
            Self::Mail(_) => [
                Step::Raised,
                Step::Changed,
                Step::Owned,
                Step::Acknowledged,
                Step::Unacknowledged,
                Step::Unshelved,
                Step::Unsilenced,
                Step::Flapping,
                Step::Settled,
                Step::Cleared,
                Step::Withdrawn,
            ]
            .into(),
        }
    }
}

/// A sign of life in words.
pub(super) fn heartbeat(sender: &Sender, at_ns: i64) -> String {
    format!("watchpost on {} watches; {}", text::plain_line(&sender.host), Words::time(at_ns))
}

/// What a secret of a channel is; shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the wire alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}
