//! Which jobs are up, as the daemon itself says on /metrics.

use crate::error::{Error, Outcome, doing};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long connecting, asking and each piece of the answer may take.
const STEP_WITHIN: Duration = Duration::from_secs(2);
/// The most that is read of an answer.
const ANSWER_MAX: u64 = 8 << 20;
/// The family that says whether a job found its target up.
const FAMILY: &str = "watchpost_up{";

/// Asks for each job that has a value whether it is up.
pub(crate) fn ups(listen: SocketAddr) -> Outcome<Vec<(String, bool)>> {
    Ok(parse(&get(reachable(listen))?))
}

fn parse(metrics: &str) -> Vec<(String, bool)> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(FAMILY));
    let read = lines.filter_map(|line| {
        let (labels, value) = line.rsplit_once("} ")?;
        let job = labels.split(',').find_map(|label| label.strip_prefix("job=\""))?;
        Some((job.strip_suffix('"')?.to_owned(), value.trim() == "1"))
    });
    read.collect()
}

fn get(address: SocketAddr) -> Outcome<String> {
    let asking = || doing(format!("ask http://{address}/metrics"));
    let mut stream = TcpStream::connect_timeout(&address, STEP_WITHIN).map_err(asking())?;
    stream.set_read_timeout(Some(STEP_WITHIN)).map_err(asking())?;
    stream.set_write_timeout(Some(STEP_WITHIN)).map_err(asking())?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection. Source: RFC 1945.
    let question = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(question.as_bytes()).map_err(asking())?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer).map_err(asking())?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        _ => Err(Error::Refused(format!("http://{address}/metrics gave no metrics"))),
    }
}

/// Turns an address to listen on into one to connect to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_family_up_says_whether_a_job_is_up() {
        let metrics = "# TYPE watchpost_up gauge\n\
            watchpost_up{agent=\"smtp\",job=\"relay\",target=\"127.0.0.1:2525\",server=\"a} b\"} 1\n\
            watchpost_up{agent=\"smtp\",job=\"smtps\",target=\"127.0.0.1:2465\"} 0\n\
            watchpost_upper{job=\"other\"} 1\n";
        let right = [("relay".to_owned(), true), ("smtps".to_owned(), false)];
        assert_eq!(parse(metrics), right);
    }

    #[test]
    fn an_address_for_everybody_is_asked_on_loopback() {
        let asked = reachable("0.0.0.0:9470".parse().unwrap());
        assert_eq!(asked, "127.0.0.1:9470".parse().unwrap());
    }
}
