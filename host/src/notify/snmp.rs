//! SNMP: traps and informs of our own MIB, v2c and v3 with authentication and privacy.
//!
//! An inform is acknowledged, and is told again until it is; a trap is sent, and nobody says whether it arrives.

mod engine;

use std::time::Duration;

use async_snmp::{Auth, AuthProtocol, Client, Oid, PrivProtocol, Retry, UsmConfig, Value, VarBind};
use chrono::{DateTime, Datelike, Timelike};

use super::{
    channel::{Hidden, Parcel, Sender, Undelivered, heartbeat},
    text::{cut, plain_line, sample},
};
use crate::alarm::{
    notice::{Notice, Step},
    x733::{EventType, ProbableCause},
};

pub use engine::{Engine, EngineError};

/// Where the MIB hangs while no enterprise number is registered: the playpen of net-snmp (NET-SNMP-MIB, netSnmpPlaypen).
pub const ROOT: &str = "1.3.6.1.4.1.8072.9999.9999.9470";
/// How long an answer is waited for.
const ANSWERS_IN: Duration = Duration::from_secs(3);
/// Bytes of one text; all of them together fit into a datagram that nobody has to cut.
const TEXT_BYTES_MAX: usize = 200;
/// Bytes of the sentence.
const SENTENCE_BYTES_MAX: usize = 400;
/// Last number of the name of a notification: an alarm is there.
const RAISED: u32 = 1;
/// It goes on otherwise.
const CHANGED: u32 = 2;
/// It is over.
const CLEARED: u32 = 3;
/// All is told.
const HEARTBEAT: u32 = 4;

/// A manager, and how it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Snmp {
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it has to acknowledge.
    pub inform: bool,
    /// Who we are to it.
    pub login: Login,
    /// Where the MIB hangs.
    pub root: Oid,
}

/// Who we are to a manager.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    /// A community: everybody on the way can read it.
    V2c(Hidden),
    /// A user, authenticated and private.
    V3 {
        /// Its name.
        user: String,
        /// By which digest.
        auth: AuthProtocol,
        /// Its password.
        auth_password: Hidden,
        /// By which cipher.
        privacy: PrivProtocol,
        /// Its password.
        privacy_password: Hidden,
    },
}

impl Snmp {
    pub(super) async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<(), Undelivered> {
        let failed = |why: String| Undelivered::later(format!("{}:{}: {}", self.host, self.port, plain_line(&why)));
        let client = self.client(sender).await.map_err(failed)?;
        let notices: &[&Notice] = match parcel {
            Parcel::Notices(notices) => notices,
            Parcel::Test(notice) => &[notice],
            Parcel::Standing(_) => return Ok(()),
            Parcel::Heartbeat { at_ns } => {
                let text = heartbeat(sender, at_ns);
                let alive =
                    Notice { time_ns: at_ns, raised_ns: at_ns, active: false, text, rule: "heartbeat".into(), ..sample(Step::Cleared) };
                return self.send(&client, HEARTBEAT, self.bindings(sender, &alive)).await.map_err(failed);
            }
        };
        for notice in notices {
            let number = match notice.step {
                _ if !notice.active => CLEARED,
                Step::Raised | Step::Unshelved | Step::Unsilenced => RAISED,
                _ => CHANGED,
            };
            self.send(&client, number, self.bindings(sender, notice)).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Whether what it sends comes from an engine of our own, whose id receivers have to know: an inform takes the receiver's.
    pub fn has_engine(&self) -> bool {
        !self.inform && matches!(self.login, Login::V3 { .. })
    }

    async fn client(&self, sender: &Sender) -> Result<Client, String> {
        let auth: Auth = match &self.login {
            Login::V2c(community) => Auth::v2c(community.reveal()),
            Login::V3 { user, auth, auth_password, privacy, privacy_password } => UsmConfig::new(user.clone())
                .auth_priv(*auth, auth_password.reveal(), *privacy, privacy_password.reveal())
                .map_err(|error| error.to_string())?
                .into(),
        };
        let target =
            if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) };
        // Whoever calls has a deadline, and tries again.
        let mut builder = Client::builder(target, auth).request_timeout(ANSWERS_IN).retry(Retry::none());
        if self.has_engine() {
            builder = builder.local_authoritative_engine(sender.engine.get().map_err(|error| crate::chain(&error))?);
        }
        builder.connect().await.map_err(|error| why(&error, "nobody listens there"))
    }

    async fn send(&self, client: &Client, number: u32, bindings: Vec<VarBind>) -> Result<(), String> {
        // SMIv2: the names of notifications end in 0 and a number (RFC 2578, 8.5).
        let name = self.root.child(0).child(number);
        let uptime = u32::try_from(engine::uptime_cs() % (u64::from(u32::MAX) + 1)).unwrap_or_default();
        let sent =
            if self.inform { client.send_inform(&name, uptime, bindings).await } else { client.send_trap(&name, uptime, bindings).await };
        // Whoever is not believed gets no answer that says so.
        let silent = match self.login {
            Login::V2c(_) => "nobody listens there, or the community is wrong",
            Login::V3 { .. } => "nobody listens there, or the user or a password is wrong",
        };
        sent.map_err(|error| why(&error, silent))
    }

    /// The objects of every notification, in the order of the MIB.
    fn bindings(&self, sender: &Sender, notice: &Notice) -> Vec<VarBind> {
        let text = |text: &str, most: usize| Value::OctetString(cut(&plain_line(text), most).as_bytes().to_vec().into());
        let short = |said: &str| text(said, TEXT_BYTES_MAX);
        let number = |number: u32| Value::Integer(i32::try_from(number).unwrap_or(i32::MAX));
        let node = if notice.target.is_empty() { &*sender.host } else { &notice.target };
        let values = [
            Value::Counter64(notice.seq),
            short(&notice.id(&sender.instance)),
            short(&notice.key),
            number(severity(notice)),
            number(notice.event_type.number()),
            number(notice.cause.number()),
            short(node),
            short(&notice.job),
            short(&notice.series),
            short(notice.value.as_deref().unwrap_or_default()),
            short(notice.bound.as_deref().unwrap_or_default()),
            text(&notice.text, SENTENCE_BYTES_MAX),
            Value::OctetString(date_and_time(notice.time_ns).to_vec().into()),
            short(notice.link.as_deref().unwrap_or_default()),
            short(notice.step.name()),
        ];
        // `.1.6` holds what alarms say; scalars have the instance 0.
        let object = |index: u32| self.root.child(1).child(6).child(index).child(0);
        values.into_iter().zip(1..).map(|(value, index)| VarBind::new(object(index), value)).collect()
    }
}

fn why(error: &async_snmp::Error, silent: &str) -> String {
    match error {
        async_snmp::Error::Timeout { .. } => format!("no answer in {} s: {silent}", ANSWERS_IN.as_secs()),
        error => crate::chain(error),
    }
}

/// The perceived severity by its number of ITU-ALARM-TC-MIB; what is over is cleared.
fn severity(notice: &Notice) -> u32 {
    use watchpost_plugin_api::Severity;
    match notice.severity {
        _ if !notice.active => 1,
        Severity::Indeterminate => 2,
        Severity::Critical => 3,
        Severity::Major => 4,
        Severity::Minor => 5,
        Severity::Warning => 6,
    }
}

/// An instant as DateAndTime has it, in UTC (RFC 2579).
fn date_and_time(at_ns: i64) -> [u8; 11] {
    let time = DateTime::from_timestamp_nanos(at_ns);
    let [high, low] = u16::try_from(time.year()).unwrap_or_default().to_be_bytes();
    let small = |number: u32| u8::try_from(number).unwrap_or_default();
    let tenths = small(time.nanosecond() / 100_000_000 % 10);
    let [month, day, hour, minute, second] = [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(small);
    [high, low, month, day, hour, minute, second, tenths, b'+', 0, 0]
}

/// The MIB as a text, for the manager that is to understand what it is told; `root` says where it hangs.
pub fn mib(root: &Oid) -> String {
    const TEXT: &str = include_str!("snmp/WATCHPOST-MIB.txt");
    let below = |root: &Oid| root.to_string().trim_start_matches("1.3.6.1.4.1.").replace('.', " ");
    let ours = ROOT.trim_start_matches("1.3.6.1.4.1.").replace('.', " ");
    TEXT.replace("@EVENT_TYPES@", &enumerated(EventType::ALL.iter().map(|kind| (kind.name(), kind.number()))))
        .replace("@PROBABLE_CAUSES@", &enumerated(ProbableCause::ALL.iter().map(|cause| (cause.name(), cause.number()))))
        .replace(&ours, &below(root))
}

/// Registered names and their numbers as SMIv2 lists them.
fn enumerated<'a>(named: impl Iterator<Item = (&'a str, u32)>) -> String {
    let mut sorted: Vec<_> = named.collect();
    sorted.sort_by_key(|(_, number)| *number);
    let mut text = String::new();
    for (index, (name, number)) in sorted.iter().enumerate() {
        let comma = if index + 1 == sorted.len() { "" } else { ",\n" };
        text.push_str(&format!("                 {name}({number}){comma}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_eleven_octets() {
        // RFC 2579: "1992-5-26,13:30:15.0,-4:0" is eight octets and three of the zone; ours is UTC.
        let at = DateTime::parse_from_rfc3339("2026-11-30T05:34:20.700Z").unwrap().timestamp_nanos_opt().unwrap();
        assert_eq!(date_and_time(at), [0x07, 0xea, 11, 30, 5, 34, 20, 7, b'+', 0, 0]);
    }

    #[test]
    fn the_mib_hangs_where_it_is_told() {
        let usual = mib(&Oid::parse(ROOT).unwrap());
        assert!(usual.contains("::= { enterprises 8072 9999 9999 9470 }"), "{usual}");
        assert!(usual.contains("responseTimeExecessive(542)") && !usual.contains('@'), "{usual}");
        let own = mib(&Oid::parse("1.3.6.1.4.1.99999.7").unwrap());
        assert!(own.contains("::= { enterprises 99999 7 }"), "{own}");
    }

    #[test]
    fn a_notification_fits_into_a_datagram_whatever_is_in_it() {
        let snmp =
            Snmp { host: "h".into(), port: 162, inform: true, login: Login::V2c(Hidden::new("c".into())), root: Oid::parse(ROOT).unwrap() };
        let long = "ä".repeat(5_000);
        let notice = Notice {
            key: long.clone(),
            target: long.clone(),
            job: long.clone(),
            series: long.clone(),
            value: Some(long.clone()),
            bound: Some(long.clone()),
            text: long.clone(),
            link: Some(long),
            ..sample(Step::Raised)
        };
        let bindings = snmp.bindings(&Sender::new("i1", std::path::Path::new(".")), &notice);
        let bytes: usize =
            bindings.iter().map(|binding| if let Value::OctetString(text) = &binding.value { text.len() + 24 } else { 32 }).sum();
        assert!(bytes < 2_300, "{bytes} bytes");
        assert_eq!(bindings.len(), 15);
    }
}
