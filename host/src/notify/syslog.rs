//! Syslog, RFC 5424, with the alarm as structured data of RFC 5674; over UDP, TCP or TLS.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, SecondsFormat};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use watchpost_plugin_api::{Severity, Tls};

use super::{
    channel::{Parcel, Sender, Undelivered, heartbeat},
    text::{cut, title},
};
use crate::alarm::{notice::Notice, x733::severity_name};

/// Bytes of the words of a message: receivers need take no more than 2,048 of the whole (RFC 5424, 6.1).
const TEXT_BYTES_MAX: usize = 900;
/// How soon a machine says that nobody listens.
const REFUSED_IN: Duration = Duration::from_millis(20);
/// Bytes of one value of structured data.
const VALUE_BYTES_MAX: usize = 160;

/// Where a collector is.
#[derive(Clone, Debug, PartialEq)]
pub struct Syslog {
    /// By what.
    pub transport: Transport,
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The facility's number, 0 to 23.
    pub facility: u8,
}

/// By what a collector is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// Datagrams: nobody says whether they arrive.
    Udp,
    /// A stream, messages counted in octets (RFC 6587).
    Tcp,
    /// The same within TLS (RFC 5425).
    Tls {
        /// PEM file of the authorities to trust; the system's own when absent.
        ca_file: Option<PathBuf>,
    },
}

impl Syslog {
    pub(super) async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<(), Undelivered> {
        let messages: Vec<String> = match parcel {
            Parcel::Notices(notices) => notices.iter().map(|notice| self.message(sender, notice)).collect(),
            Parcel::Test(notice) => vec![self.message(sender, notice)],
            Parcel::Standing(_) => return Ok(()),
            Parcel::Heartbeat { at_ns } => {
                let head = self.head(Severity::Indeterminate, true, at_ns, &sender.host, "heartbeat");
                vec![format!("{head} - {}", heartbeat(sender, at_ns))]
            }
        };
        let sent = match &self.transport {
            Transport::Udp => self.datagrams(&messages).await,
            Transport::Tcp => match self.connect().await {
                Ok(stream) => stream_to(stream, &messages).await,
                Err(why) => Err(why),
            },
            Transport::Tls { ca_file } => {
                let mut wanted = Tls::verify(self.host.clone());
                wanted.ca_file.clone_from(ca_file);
                match self.connect().await {
                    Ok(stream) => match sender.shared.handshake(&wanted, stream).await {
                        Ok((stream, _)) => stream_to(stream, &messages).await,
                        Err(error) => Err(error.message().to_owned()),
                    },
                    Err(why) => Err(why),
                }
            }
        };
        sent.map_err(|why| Undelivered::later(format!("{}:{}: {why}", self.host, self.port)))
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| crate::chain(&error))
    }

    async fn datagrams(&self, messages: &[String]) -> Result<(), String> {
        let told = |error: std::io::Error| crate::chain(&error);
        let to = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(told)?.next().ok_or("no such host")?;
        let from = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(from).await.map_err(told)?;
        socket.connect(to).await.map_err(told)?;
        for message in messages {
            socket.send(message.as_bytes()).await.map_err(told)?;
        }
        // Nobody confirms what comes by UDP; but a machine where nobody listens says so (RFC 1122, 4.1.3.1).
        match timeout(REFUSED_IN, socket.recv(&mut [0])).await {
            Ok(Err(error)) => Err(told(error)),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    fn head(&self, severity: Severity, is_over: bool, at_ns: i64, host: &str, id: &str) -> String {
        let priority = u16::from(self.facility) * 8 + number(severity, is_over);
        let time = DateTime::from_timestamp_nanos(at_ns).to_rfc3339_opts(SecondsFormat::Micros, true);
        format!("<{priority}>1 {time} {} watchpost {} {}", printable(host, 255), std::process::id(), printable(id, 32))
    }

    /// One message of RFC 5424.
    fn message(&self, sender: &Sender, notice: &Notice) -> String {
        let head = self.head(notice.severity, !notice.active, notice.time_ns, &sender.host, notice.step.name());
        let resource = if notice.target.is_empty() { &sender.host } else { notice.target.as_str() };
        // RFC 5674: "cleared" is a severity there.
        let perceived = if notice.active { severity_name(notice.severity) } else { "cleared" };
        let alarm = data(
            "alarm",
            &[
                ("resource", resource),
                ("probableCause", &notice.cause.number().to_string()),
                ("perceivedSeverity", perceived),
                ("eventType", &notice.event_type.number().to_string()),
            ],
        );
        // 32473 is the enterprise number that RFC 5612 keeps for documents; ours is none yet.
        let own = data(
            "watchpost@32473",
            &[
                ("id", &notice.id(&sender.instance)),
                ("alarm", &notice.alarm.to_string()),
                ("job", &notice.job),
                ("series", &notice.series),
                ("rule", &notice.rule),
                ("value", notice.value.as_deref().unwrap_or_default()),
                ("bound", notice.bound.as_deref().unwrap_or_default()),
            ],
        );
        format!("{head} {alarm}{own} \u{feff}{}", cut(&title(notice), TEXT_BYTES_MAX))
    }
}

/// Writes messages into a stream and waits for nothing but that the other side has not gone: syslog has no answers.
async fn stream_to(mut stream: impl AsyncRead + AsyncWrite + Unpin, messages: &[String]) -> Result<(), String> {
    let told = |error: std::io::Error| crate::chain(&error);
    for message in messages {
        stream.write_all(format!("{} {message}", message.len()).as_bytes()).await.map_err(told)?;
    }
    stream.flush().await.map_err(told)?;
    stream.shutdown().await.map_err(told)?;
    // The other side closes once it has read everything; one that resets has not.
    let mut rest = [0; 64];
    loop {
        match stream.read(&mut rest).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Without a farewell within TLS, as many do.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(told(error)),
        }
    }
}

/// The severity of syslog for one of X.733 (RFC 5674, table 1).
fn number(severity: Severity, is_over: bool) -> u16 {
    match severity {
        _ if is_over => 5,
        Severity::Critical => 1,
        Severity::Major => 2,
        Severity::Minor => 3,
        Severity::Warning => 4,
        Severity::Indeterminate => 5,
    }
}

/// An element of structured data; what would end a value is escaped (RFC 5424, 6.3.3).
fn data(id: &str, parameters: &[(&str, &str)]) -> String {
    let mut element = format!("[{id}");
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        let plain = crate::plain(value);
        let value = cut(&plain, VALUE_BYTES_MAX).replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        element.push_str(&format!(" {name}=\"{value}\""));
    }
    element + "]"
}

/// What a field of the head may hold: printable ASCII, and something.
fn printable(text: &str, most: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if kept.is_empty() { "-".into() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alarm::notice::Step, notify::text::sample};

    #[test]
    fn a_message_is_one_of_rfc_5424_whatever_is_in_it() {
        let syslog = Syslog { transport: Transport::Udp, host: "h".into(), port: 514, facility: 16 };
        let sender = Sender { host: "mon 1\n".into(), ..Sender::new("i1", std::path::Path::new(".")) };
        let notice = Notice {
            seq: 7,
            alarm: 3,
            severity: Severity::Major,
            target: "mx\"]1".into(),
            value: Some("2.31 s".into()),
            text: format!("late\r\n<0>1 forged {}", "ä".repeat(2_000)),
            ..sample(Step::Raised)
        };
        let message = syslog.message(&sender, &notice);
        let expected = format!(
            "<130>1 2026-11-30T05:34:20.000000Z mon1 watchpost {} raised [alarm resource=\"mx\\\"\\]1\" probableCause=\"549\" \
             perceivedSeverity=\"major\" eventType=\"3\"][watchpost@32473 id=\"i1-3-7\" alarm=\"3\" job=\"test\" series=\"up\" rule=\"test\" \
             value=\"2.31 s\"] \u{feff}[MAJOR] late��<0>1 forged ää",
            std::process::id()
        );
        let head: String = message.chars().take(expected.chars().count()).collect();
        assert_eq!(head.split_once("] \u{feff}").unwrap().1, expected.split_once("] \u{feff}").unwrap().1);
        assert!(message.len() < 2_048 && !message.contains(['\r', '\n']), "{} bytes", message.len());
        assert_eq!(head.split(" [alarm").nth(1), expected.split(" [alarm").nth(1));
        assert!(head.starts_with("<130>1 2026-"), "{head}");
        let over = syslog.message(&sender, &Notice { active: false, step: Step::Cleared, ..notice });
        assert!(over.starts_with("<133>1 ") && over.contains("perceivedSeverity=\"cleared\""), "{over}");
    }
}
