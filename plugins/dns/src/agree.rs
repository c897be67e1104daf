//! Whether the servers of a zone have the same edition of it, told by its serial number.

use std::time::Duration;

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, Metric, Severity, Unit};
use watchpost_records::{Answer, Server, exchange, in_words, together};

use crate::{Dns, Transport};

/// The part of what is left of a run that the others have to answer in: the rest is for saying who did not.
const SHARE: f64 = 0.9;

/// The serial number of each server.
pub const SOA_SERIAL: Metric = Metric::gauge("soa_serial", Unit::Number, "Serial number of the zone.").by(&["nameserver"]);
/// How far each server is behind.
pub const SERIAL_LAG: Metric =
    Metric::gauge("serial_lag", Unit::Number, "How far the zone's serial number is behind the newest one.").by(&["nameserver"]);
/// How many editions there are.
pub const SERIALS_DISTINCT: Metric =
    Metric::gauge("serials_distinct", Unit::Number, "Different serial numbers among the servers; 1 when all agree.");

impl Dns {
    /// Asks the other servers for the serial number, and compares.
    ///
    /// Errors: that of the first one that does not tell it, naming it; kind `protocol` when they differ and must not.
    pub(crate) async fn compare(&mut self, cx: &Cx, first: &Answer) -> Result<(), AgentError> {
        let time = cx.remaining().mul_f64(SHARE);
        let others = together(self.others.iter().map(|other| self.serial_of(cx, other, time))).await;
        let mut told = vec![(&self.server, serial(first).map_err(|error| error.context(&self.server)))];
        told.extend(self.others.iter().zip(others));
        let mut serials = Vec::new();
        let mut failed = None;
        for (server, serial) in told {
            match serial {
                Ok(serial) => {
                    cx.record_with(SOA_SERIAL, &[("nameserver", &server.to_string())], serial);
                    serials.push((server.to_string(), serial));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => self.judge(cx, &serials),
        }
    }

    async fn serial_of(&self, cx: &Cx, server: &Server, time: Duration) -> Result<u32, AgentError> {
        let asked = cx.within(time, async {
            let addresses = server.addresses(cx, self.config.port()).await?;
            match self.config.transport {
                Transport::Auto => exchange::ask(cx, &addresses, &self.question).await,
                Transport::Udp => exchange::by_datagram(cx, &addresses, &self.question).await,
                Transport::Tcp => exchange::by_connection(cx, &addresses, &self.question).await,
                Transport::Tls => {
                    let mut stream = exchange::connect(cx, &addresses).await?;
                    if let Some(tls) = self.config.handshake(server) {
                        stream.start_tls(&tls).await?;
                    }
                    exchange::whole(exchange::by_stream(cx, stream, &self.question).await?)
                }
            }
        });
        let named = |error: AgentError| match error.kind() {
            ErrorKind::TIMEOUT => AgentError::timeout().context(server),
            _ => error.context(server),
        };
        serial(&asked.await.map_err(named)?).map_err(named)
    }

    fn judge(&mut self, cx: &Cx, serials: &[(String, u32)]) -> Result<(), AgentError> {
        let newest = serials.iter().map(|(_, serial)| *serial).reduce(newer).unwrap_or_default();
        for (server, serial) in serials {
            cx.record_with(SERIAL_LAG, &[("nameserver", server)], newest.wrapping_sub(*serial));
        }
        let mut distinct: Vec<u32> = serials.iter().map(|(_, serial)| *serial).collect();
        distinct.sort_unstable();
        distinct.dedup();
        cx.record(SERIALS_DISTINCT, distinct.len());
        let listed = serials.iter().map(|(server, serial)| format!("{server} has {serial}")).collect::<Vec<_>>().join(", ");
        let (agreed, agreed_before) = (distinct.len() == 1, self.agreed);
        self.agreed = agreed;
        if !agreed && self.config.must_agree {
            return Err(AgentError::protocol(format!("the servers differ: {listed}")));
        }
        let zone = self.question.name.fmt_with_dot();
        match (agreed_before, agreed) {
            (true, false) => cx.event(Severity::Warning, "serials_differ", &format!("{zone} differs between its servers: {listed}")),
            (false, true) => {
                cx.event(Severity::Indeterminate, "serials_agree", &format!("{zone} is the same on all its servers: {newest}"))
            }
            _ => {}
        }
        Ok(())
    }
}

/// The serial number that an answer tells.
fn serial(answer: &Answer) -> Result<u32, AgentError> {
    if answer.truncated {
        return Err(AgentError::protocol("the answer is truncated, and `transport` allows no TCP"));
    }
    let found = answer.wanted().find_map(|record| record.serial);
    found.ok_or_else(|| match answer.code.to_int() {
        0 => AgentError::protocol("the server answered without an SOA record"),
        _ => AgentError::protocol(format!("the server answered {}", in_words(answer.code))),
    })
}

/// The newer of two serial numbers, which go round: RFC 1982 3.2.
fn newer(one: u32, other: u32) -> u32 {
    if one.wrapping_sub(other) < 1 << 31 { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_go_round() {
        let check = |one, other, expected| {
            assert_eq!((newer(one, other), newer(other, one)), (expected, expected), "{one} {other}");
        };
        check(1, 2, 2);
        check(7, 7, 7);
        check(2_026_112_901, 2_026_112_900, 2_026_112_901);
        check(u32::MAX, 0, 0);
        check(u32::MAX - 10, 5, 5);
        check(0, (1 << 31) - 1, (1 << 31) - 1);
    }
}
