//! A Postfix log of any length, made of a real one: each time it is repeated, its stamps go on and its queue ids are others.

use crate::error::{Error, Outcome, doing};
use crate::process;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

/// The real log, in the folder of the agent's tests.
const LOG: &str = "plugins/maillog/tests/corpora/postfix-edge1.log.gz";
/// A stamp: `Nov 22 04:48:48`.
const STAMP_BYTES: usize = 15;
/// Days of the months that a long log goes through, from November on.
const MONTHS: [(&str, u64); 3] = [("Nov", 30), ("Dec", 31), ("Jan", 31)];

/// Where in the real log is what changes.
struct Template {
    text: Vec<u8>,
    lines: usize,
    /// Stamps: where, and seconds since the first one.
    stamps: Vec<(usize, u64)>,
    /// Queue ids: where, and how long.
    ids: Vec<(usize, usize)>,
    /// Seconds from the first line to the last.
    span: u64,
}

/// Writes a log of at least so many lines; gives how many there are.
pub(super) fn write(root: &Path, to: &Path, lines_min: usize) -> Outcome<usize> {
    let template = Template::read(&root.join(LOG))?;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(to).map_err(doing("make the log"))?);
    let times = lines_min.div_ceil(template.lines);
    for round in 0..times {
        file.write_all(&template.round(round as u64)).map_err(doing("write the log"))?;
    }
    file.flush().map_err(doing("write the log"))?;
    Ok(times * template.lines)
}

impl Template {
    fn read(packed: &Path) -> Outcome<Self> {
        let text = process::output(Command::new("gzip").arg("-dc").arg(packed))?;
        Self::of(text.into_bytes()).ok_or_else(|| Error::Refused(format!("{} is no log of Postfix", packed.display())))
    }

    fn of(text: Vec<u8>) -> Option<Self> {
        let known: HashSet<Vec<u8>> = text.split(|byte| *byte == b'\n').filter_map(|line| id(line).map(<[u8]>::to_vec)).collect();
        let (mut stamps, mut ids, mut at, mut lines, mut first) = (Vec::new(), Vec::new(), 0, 0, None);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let seconds = seconds(line.get(..STAMP_BYTES)?)?;
            stamps.push((at, seconds - *first.get_or_insert(seconds)));
            lines += 1;
            // Ids are words of letters and digits; those in replies and notices are the same ones.
            let mut word = at + STAMP_BYTES;
            for end in at + STAMP_BYTES..at + line.len() {
                if !text[end].is_ascii_alphanumeric() {
                    if known.contains(&text[word..end]) {
                        ids.push((word, end - word));
                    }
                    word = end + 1;
                }
            }
            at += line.len();
        }
        let span = stamps.last()?.1;
        Some(Self { text, lines, stamps, ids, span })
    }

    /// The log once more, later and with other ids.
    fn round(&self, round: u64) -> Vec<u8> {
        let mut text = self.text.clone();
        let from = seconds(&self.text[..STAMP_BYTES]).unwrap_or(0) + round * (self.span + 1);
        for (at, later) in &self.stamps {
            text[*at..at + STAMP_BYTES].copy_from_slice(stamp(from + later).as_bytes());
        }
        // The first five digits of a short id are microseconds: others, and no two alike, for up to a million rounds.
        for (at, length) in &self.ids {
            let digits = &mut text[*at..at + 5.min(*length)];
            let number = digits.iter().fold(0, |sum, digit| sum * 16 + (*digit as char).to_digit(16).unwrap_or(0));
            let number = (u64::from(number) + round * 7) % (1 << 20);
            let other = format!("{number:05X}");
            digits.copy_from_slice(&other.as_bytes()[..digits.len()]);
        }
        text
    }
}

/// `… postfix/qmgr[1]: 4A1B2C3D4E: …`
fn id(line: &[u8]) -> Option<&[u8]> {
    let message = line.windows(3).position(|three| three == b"]: ")? + 3;
    let end = message + line[message..].iter().position(|byte| *byte == b':')?;
    let id = &line[message..end];
    (id.len() >= 9 && id.iter().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte))).then_some(id)
}

/// Seconds since the beginning of November.
fn seconds(stamp: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(stamp).ok()?;
    let month = MONTHS.iter().position(|(name, _)| text.starts_with(name))?;
    let days: u64 = MONTHS[..month].iter().map(|(_, days)| days).sum();
    let number = |from: usize| text.get(from..from + 2)?.trim().parse::<u64>().ok();
    Some((((days + number(4)? - 1) * 24 + number(7)?) * 60 + number(10)?) * 60 + number(13)?)
}

fn stamp(seconds: u64) -> String {
    let (mut day, second) = (seconds / 86_400, seconds % 86_400);
    let mut month = 0;
    while month + 1 < MONTHS.len() && day >= MONTHS[month].1 {
        day -= MONTHS[month].1;
        month += 1;
    }
    format!("{} {:2} {:02}:{:02}:{:02}", MONTHS[month].0, day + 1, second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_is_later_and_its_ids_are_others_wherever_they_stand() {
        let text = "Nov 30 23:59:58 a postfix/smtpd[1]: 0004A1B2C3: client=x\n\
            Nov 30 23:59:59 a postfix/smtp[1]: 1004A1B2C4: to=<b>, status=sent (queued as 0004A1B2C3)\n";
        let template = Template::of(text.as_bytes().to_vec()).unwrap();
        assert_eq!(String::from_utf8(template.round(0)).unwrap(), text);
        let next = "Dec  1 00:00:00 a postfix/smtpd[1]: 000511B2C3: client=x\n\
            Dec  1 00:00:01 a postfix/smtp[1]: 100511B2C4: to=<b>, status=sent (queued as 000511B2C3)\n";
        assert_eq!(String::from_utf8(template.round(1)).unwrap(), next);
        assert!(Template::of(b"no log\n".to_vec()).is_none());
    }
}
