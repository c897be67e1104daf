//! Something in between that asks twice: a ticket is made twice, and there is one at the end.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::spawn,
    time::Duration,
};

use crate::{
    desk::{Desk, on_each},
    watched::Watched,
};

on_each!(what_was_made_twice_is_one_ticket_at_the_end_and_what_somebody_wrote_into_the_other_is_noted);

/// How long either side is waited for.
const WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a request, at most.
const REQUEST_BYTES_MAX: usize = 64 << 10;

/// Hands each request on to a server, with its names in place of ours; the first that makes a ticket twice.
struct Between {
    port: u16,
}

impl Between {
    fn of(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let doubled = Arc::new(AtomicBool::new(false));
        spawn(move || {
            for asking in listener.incoming().flatten() {
                let doubled = doubled.clone();
                // Whoever asks and goes away is nobody's matter.
                spawn(move || drop(hand_on(asking, port, server, &doubled)));
            }
        });
        Self { port }
    }
}

fn hand_on(mut asking: TcpStream, port: u16, server: u16, doubled: &AtomicBool) -> std::io::Result<()> {
    asking.set_read_timeout(Some(WITHIN))?;
    let Some((head, body)) = request(&mut asking)? else { return Ok(()) };
    let first = head.lines().next().unwrap_or_default().to_owned();
    let makes = ["POST /REST/2.0/ticket ", "POST /tracker/rest/data/issue "].iter().any(|makes| first.starts_with(makes));
    let own = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
    let head: String =
        head.lines().filter(own).map(|line| line.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{server}")) + "\r\n").collect();
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut asked = TcpStream::connect(("127.0.0.1", server))?;
        asked.set_read_timeout(Some(WITHIN))?;
        asked.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        asked.write_all(&body)?;
        let mut answer = Vec::new();
        asked.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask()?;
    if makes && !doubled.swap(true, Ordering::SeqCst) {
        ask()?;
    }
    asking.write_all(&answer)
}

/// A request: its head without the empty line, and its body.
fn request(asking: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut read, mut piece) = (Vec::new(), [0; 4_096]);
    while read.len() < REQUEST_BYTES_MAX {
        let count = asking.read(&mut piece)?;
        if count == 0 {
            return Ok(None);
        }
        read.extend_from_slice(&piece[..count]);
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if read.len() >= end + 4 + length.unwrap_or(0) {
            return Ok(Some((head, read.split_off(end + 4))));
        }
    }
    Ok(None)
}

fn what_was_made_twice_is_one_ticket_at_the_end_and_what_somebody_wrote_into_the_other_is_noted<D: Desk>() {
    let by_between = |channel: String| {
        let at = channel.find("127.0.0.1:").unwrap() + "127.0.0.1:".len();
        let (before, rest) = channel.split_at(at);
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
        let between = Between::of(rest[..digits].parse().unwrap());
        format!("{before}{}{}", between.port, &rest[digits..])
    };
    // It is looked for what was made twice once a request can take effect no more: that leaves somebody time to write.
    let Some(watched) = Watched::<D>::start_with("site = \"paris\"", "", "timeout = \"10s\"", by_between) else { return };
    watched.dies();
    let both = watched.tickets_of_count(2);
    let (ticket, duplicate) = (both[0].id.clone(), both[1].id.clone());
    watched.desk.write(&duplicate, "I look at this one");
    let retired = watched.tickets_that("resolved but for one", |tickets| tickets[1].status == D::RESOLVED);
    assert_ne!(retired[0].status, D::RESOLVED, "{retired:?}");
    watched.noted("I look at this one");
    let told = watched.desk.texts(&duplicate);
    assert_eq!(told.iter().filter(|text| text.contains(&format!("it is told on in {ticket}"))).count(), 1, "{told:?}");

    watched.comes_back();
    watched.tickets_that("resolved", |tickets| tickets[0].status == D::RESOLVED);
    assert_eq!((watched.texts_with(&ticket, "[CLEARED]").len(), watched.texts_with(&duplicate, "[CLEARED]").len()), (1, 0));
    assert_eq!(watched.tickets().len(), 2);
    watched.ends();
}
