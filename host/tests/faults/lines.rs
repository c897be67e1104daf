//! Faults that every protocol of lines can have: where, how the run ends, and what is known by then.

use std::time::Duration;

use watchpost_testkit::{Authority, Script, Server, ServerTls};

use crate::row::{Ends, Illness, Post, Row};

/// The password of every login here: long enough to be found by chance nowhere.
pub(crate) const PASSWORD: &str = "Kirschbaum-7719";
/// Files in the house: the password, and the authority that is trusted.
pub(crate) const PASSWORD_FILE: &str = "secret";
pub(crate) const AUTHORITY_FILE: &str = "ca.pem";

/// A place where a client waits for the server.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Its part of a job's name.
    pub(crate) name: &'static str,
    /// What a message calls it.
    pub(crate) said: &'static str,
    /// How many of the service's metrics are recorded by then.
    pub(crate) known: usize,
}

impl Place {
    pub(crate) const fn new(name: &'static str, said: &'static str, known: usize) -> Self {
        Self { name, said, known }
    }
}

/// A fault of one protocol only: its name, its place, how much is known then, what the server does there, how the run ends.
pub(crate) type Own = (&'static str, &'static str, usize, Script, Ends);

/// A protocol of lines.
pub(crate) struct Service {
    pub(crate) agent: &'static str,
    /// Keys of a session that has everything.
    pub(crate) keys: &'static str,
    /// A whole session, encrypted by the protocol's own command.
    pub(crate) by_command: fn(&ServerTls) -> Script,
    /// A whole session, encrypted from the first byte.
    pub(crate) from_the_first: fn(&ServerTls) -> Script,
    /// Where a client waits in the former, in order.
    pub(crate) places: &'static [Place],
    /// What is recorded, in order.
    pub(crate) metrics: &'static [&'static str],
    /// How a line begins that goes on.
    pub(crate) begins: &'static str,
    /// What is said of a line that is no reply.
    pub(crate) no_reply: &'static str,
    /// A place under TLS, for the faults that are not tried everywhere.
    pub(crate) under_tls: &'static str,
    /// The place after the last command.
    pub(crate) farewell: &'static str,
    /// What goes wrong in this protocol only.
    pub(crate) own: fn(&ServerTls) -> Vec<Own>,
    /// A session of a server that is asked nothing but to be there.
    pub(crate) neighbour: fn() -> Script,
}

/// Where a fault is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Everywhere,
    /// Before anything was said, in the handshake, in one place under TLS, and after the last command.
    HereAndThere,
    /// Before anything was said, and in one place under TLS.
    BannerAndUnderTls,
    UnderTls,
}

/// A fault of lines: its name, where it is tried, what the server does, how the run ends.
struct Fault {
    name: &'static str,
    at: At,
    does: fn(Script, &Service) -> Script,
    ends: fn(&Service, &Place) -> Ends,
}

const FAULTS: [Fault; 6] = [
    Fault { name: "closed", at: At::Everywhere, does: |before, _| before.cut(), ends: closed },
    Fault { name: "silent", at: At::HereAndThere, does: |before, _| before.silence(), ends: |_, _| late() },
    Fault {
        name: "reset",
        // At the banner it is chance whether the connection is there before it is reset.
        at: At::UnderTls,
        does: |before, _| before.reset(),
        ends: |_, place| protocol(place, "connection reset by the other side"),
    },
    Fault {
        name: "trickle",
        at: At::BannerAndUnderTls,
        does: |before, service| before.trickle(&format!("{} one byte a second", service.begins), Duration::from_secs(1)),
        ends: |_, _| late(),
    },
    Fault {
        name: "garbage",
        at: At::BannerAndUnderTls,
        does: |before, _| before.garbage(),
        ends: |service, place| protocol(place, service.no_reply),
    },
    Fault {
        name: "endless-line",
        at: At::BannerAndUnderTls,
        does: |before, _| before.endless_line(),
        ends: |_, place| protocol(place, "a line without an end: more than 64 KiB"),
    },
];

/// A certificate that is not to be trusted: its name, and what is said of it.
type Forged = (&'static str, ServerTls, &'static str);

fn closed(service: &Service, place: &Place) -> Ends {
    match place.name {
        "handshake" => tls("TLS handshake"),
        // Everything that was to be measured has been.
        name if name == service.farewell => Ends::Passes,
        _ => protocol(place, "connection closed by the other side"),
    }
}

pub(crate) fn late() -> Ends {
    Ends::Fails("timeout", "no end within ".into())
}

pub(crate) fn tls(why: &str) -> Ends {
    Ends::Fails("tls", why.into())
}

pub(crate) fn protocol(place: &Place, why: &str) -> Ends {
    Ends::Fails("protocol", format!("{}: {why}", place.said))
}

impl Service {
    /// All faults of this protocol; `authority` is the one that is trusted.
    pub(crate) async fn rows(&self, authority: &Authority) -> Vec<Row> {
        let good = authority.server(&["127.0.0.1"]).unwrap();
        let mut rows = Vec::new();
        for fault in FAULTS {
            for place in self.places.iter().filter(|place| self.is_tried(fault.at, place)) {
                let ill = (fault.does)(self.before(&good, place), self);
                rows.push(self.ill(&good, fault.name, place, Illness::Plays(ill), (fault.ends)(self, place)).await);
            }
        }
        for (fault, name, known, does, ends) in (self.own)(&good) {
            let place = Place { known, ..*self.place(name) };
            let ill = Illness::Plays(self.before(&good, &place).then(does));
            rows.push(self.ill(&good, fault, &place, ill, ends).await);
        }
        for (fault, forged, why) in forged(authority) {
            let ill = Illness::Plays((self.by_command)(&forged));
            rows.push(self.ill(&good, fault, self.place("handshake"), ill, tls(why)).await);
            let ill = Illness::Plays(Script::new().tls(&forged));
            rows.push(self.ill_from_the_first(&good, fault, ill, tls(why)).await);
        }
        let plain = Illness::Plays(Script::new().say(&format!("{} hello", self.begins)).silence());
        rows.push(self.ill_from_the_first(&good, "plain", plain, tls("the server does not speak TLS here")).await);
        rows.push(self.ill_from_the_first(&good, "stalled-handshake", Illness::Plays(Script::new().silence()), late()).await);
        rows.extend(self.doors(&good).await);
        rows
    }

    /// A port that is closed, one that answers nobody, a name that nobody knows.
    async fn doors(&self, good: &ServerTls) -> Vec<Row> {
        let outside = Place { name: "door", said: "", known: 1 };
        let refused = Ends::Fails("connect", "Connection refused".into());
        let unknown = Ends::Fails("resolve", "no address for ".into());
        let nowhere =
            Row { post: Post::Nowhere, known: Vec::new(), ..self.ill(good, "unknown-name", &outside, Illness::Refuses, unknown).await };
        vec![
            self.ill(good, "port-closed", &outside, Illness::Refuses, refused).await,
            self.ill(good, "no-answer", &outside, Illness::Ignores, late()).await,
            nowhere,
        ]
    }

    fn is_tried(&self, at: At, place: &Place) -> bool {
        match at {
            At::Everywhere => true,
            At::HereAndThere => [self.places[0].name, "handshake", self.under_tls, self.farewell].contains(&place.name),
            At::BannerAndUnderTls => [self.places[0].name, self.under_tls].contains(&place.name),
            At::UnderTls => place.name == self.under_tls,
        }
    }

    pub(crate) fn place(&self, name: &str) -> &Place {
        self.places.iter().find(|place| place.name == name).unwrap_or_else(|| panic!("{} has no {name}", self.agent))
    }

    /// What a server does before it is waited for in that place.
    fn before(&self, tls: &ServerTls, place: &Place) -> Script {
        let prefixes = (self.by_command)(tls).prefixes();
        assert_eq!(prefixes.len(), self.places.len(), "{}: each place is named, and no other", self.agent);
        let at = self.places.iter().position(|known| known.name == place.name).expect("it is one of them");
        prefixes[at].clone()
    }

    /// What is recorded of the farewell: the last but the sum.
    fn farewell_time(&self) -> &'static str {
        self.metrics[self.metrics.len() - 2]
    }

    /// A server that falls ill in that place.
    async fn ill(&self, good: &ServerTls, fault: &'static str, place: &Place, ill: Illness, ends: Ends) -> Row {
        let keys = format!("tls = \"starttls\"\n{}", self.keys);
        let known = match ends {
            Ends::Passes => self.metrics.iter().copied().filter(|metric| *metric != self.farewell_time()).collect(),
            Ends::Fails(..) => self.metrics[..place.known].to_vec(),
        };
        self.row(fault, place.name, keys, (self.by_command)(good), ill, ends, known).await
    }

    /// A server that falls ill before anything is said under TLS.
    async fn ill_from_the_first(&self, good: &ServerTls, fault: &'static str, ill: Illness, ends: Ends) -> Row {
        let keys = format!("tls = \"implicit\"\n{}", self.keys);
        self.row(fault, "implicit", keys, (self.from_the_first)(good), ill, ends, self.metrics[..2].to_vec()).await
    }

    #[expect(clippy::too_many_arguments, reason = "a row has that many columns")]
    async fn row(
        &self,
        fault: &'static str,
        place: &str,
        keys: String,
        well: Script,
        ill: Illness,
        ends: Ends,
        known: Vec<&'static str>,
    ) -> Row {
        let server = Server::start(well.clone()).await.unwrap();
        let post = Post::Lines { server, well, ill };
        let job = format!("{}-{fault}-{place}", self.agent);
        Row { fault, job, agent: self.agent, keys, post, ends, whole: self.metrics.to_vec(), known }
    }
}

fn forged(authority: &Authority) -> [Forged; 4] {
    let stranger = Authority::new().unwrap();
    let (ours, others) = (["127.0.0.1"], ["other.lab.test"]);
    [
        ("expired", authority.expired(&ours).unwrap(), "the certificate expired on 2020-12-31"),
        ("not-yet-valid", authority.not_yet(&ours).unwrap(), "the certificate is not valid before 3000-01-01"),
        ("wrong-name", authority.server(&others).unwrap(), "the certificate is for other.lab.test, not for 127.0.0.1"),
        ("unknown-authority", stranger.server(&ours).unwrap(), "the certificate's authority is not in "),
    ]
}
