//! What is written: a schedule of the jobs that measure what was found.

use std::{collections::HashSet, path::PathBuf};

use super::{
    book::{Beside, Book},
    found::Door,
    look::Encryption,
};
use crate::config::JobName;

/// How often a door is measured.
const EVERY: &str = "1m";
/// Characters of a job's name.
const NAME_CHARS_MAX: usize = 80;

/// A door, and what becomes of it.
pub struct Entry<'d> {
    /// The door.
    pub door: &'d Door,
    /// The job that measures it, else why none does.
    pub job: Result<Job, String>,
    /// The job that looks at its certificate; none where it shows none, or no library can.
    pub certificate: Option<Job>,
}

impl Entry<'_> {
    /// All its jobs.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.job.iter().chain(&self.certificate)
    }
}

/// A job that is written.
pub struct Job {
    /// Its name.
    pub name: String,
    /// Its agent.
    pub agent: String,
    /// Its text.
    text: String,
}

/// What all jobs of a schedule are made with.
pub struct Author<'b> {
    /// What is known of services.
    pub book: &'b Book,
    /// The agents that a library carries.
    pub agents: &'b [String],
    /// The domain, if one was named.
    pub domain: Option<&'b str>,
    /// The file of the authorities that servers' certificates are held to.
    pub ca_file: Option<&'b PathBuf>,
}

impl Author<'_> {
    /// Decides for every door what measures it.
    pub fn entries<'d>(&self, doors: &'d [Door]) -> Vec<Entry<'d>> {
        let mut names = HashSet::new();
        let mut entry = |door| Entry { door, job: self.job(door, &mut names), certificate: self.certificate(door, &mut names) };
        doors.iter().map(&mut entry).collect()
    }

    fn job(&self, door: &Door, names: &mut HashSet<String>) -> Result<Job, String> {
        let known = self.book.services.iter().find(|service| Some(&service.name) == door.seen.service.as_ref());
        let service = known.ok_or("nobody that is known")?;
        let agent = service.agent.as_ref().ok_or("no agent measures it by its door alone")?;
        if !self.agents.contains(agent) {
            return Err(format!("no library carries the agent `{agent}`"));
        }
        let lacks = |need: &&String| need.as_str() == "domain" && self.domain.is_none();
        if let Some(need) = service.needs.iter().find(lacks) {
            return Err(format!("what to ask it for is not known; name a --{need}"));
        }
        let name = named(&service.name, &door.target.host, door.port, names).ok_or("no name is left for its job")?;
        let mut text = String::new();
        let worth = door.seen.worth.as_ref();
        for remark in [Some(&door.seen.greeting).filter(|greeting| !greeting.is_empty()), worth.and_then(|worth| worth.fault.as_ref())] {
            text += &remark.map_or(String::new(), |remark| format!("# {}\n", crate::plain(remark)));
        }
        if worth.is_some_and(|worth| worth.fault.is_some()) {
            text += "# It fails until that is mended, or the authority is named: ca_file = \"…\".\n";
        }
        text += &format!("[[job]]\nname = {}\nagent = {}\n\n[job.config]\n", quoted(&name), quoted(agent));
        text += &self.filled(&service.config, door);
        if !service.login.is_empty() {
            text += "# To log in as well, take the # away; the password is the one line of that file, which nobody else may read (chmod 600).\n";
            text += &service.login.trim().lines().map(|line| format!("# {line}\n")).collect::<String>();
        }
        Ok(Job { name, agent: agent.clone(), text })
    }

    fn certificate(&self, door: &Door, names: &mut HashSet<String>) -> Option<Job> {
        let Beside { name, agent, every, config } = &self.book.beside_tls;
        if door.seen.encryption == Encryption::None || !self.agents.contains(agent) {
            return None;
        }
        let name = named(name, &door.target.host, door.port, names)?;
        let head = format!("[[job]]\nname = {}\nagent = {}\nevery = {}\n\n[job.config]\n", quoted(&name), quoted(agent), quoted(every));
        Some(Job { name, agent: agent.clone(), text: head + &self.filled(config, door) })
    }

    /// Fills in a template; a line whose value is not known is left out.
    fn filled(&self, template: &str, door: &Door) -> String {
        let worth = door.seen.worth.as_ref();
        let tls = match door.seen.encryption {
            Encryption::None => None,
            Encryption::Starttls => Some(quoted("starttls")),
            Encryption::Implicit => Some(quoted("implicit")),
        };
        // Services are called as the protocols are.
        let starttls = door.seen.service.as_deref().filter(|_| door.seen.encryption == Encryption::Starttls);
        let name = worth.and_then(|worth| worth.server_name.as_deref());
        // The certificate was held to the name that the server was found by.
        let name = name.or_else(|| (door.target.name != door.target.host && tls.is_some()).then_some(door.target.name.as_str()));
        let values = [
            ("{url}", Some(quoted(&door.url()))),
            ("{host}", Some(quoted(&door.target.host))),
            ("{port}", Some(door.port.to_string())),
            ("{server_name}", name.map(quoted)),
            ("{ca_file}", self.ca_file.filter(|_| tls.is_some()).map(|file| quoted(&file.to_string_lossy()))),
            ("{tls}", tls),
            ("{starttls}", starttls.map(quoted)),
            ("{domain}", self.domain.map(quoted)),
        ];
        let mut lines = String::new();
        for line in template.trim().lines() {
            let asked = values.iter().find(|(key, _)| line.contains(key));
            match asked {
                None => lines += &format!("{line}\n"),
                Some((key, Some(value))) => lines += &format!("{}\n", line.replace(key, value)),
                Some((_, None)) => {}
            }
        }
        lines
    }

    /// The whole schedule.
    pub fn schedule(&self, entries: &[Entry<'_>]) -> String {
        let of = self.domain.map_or(String::new(), |domain| format!(" of {}", crate::plain(domain)));
        let mut text = format!(
            "# Servers{of} as `watchpost init` found them from outside: a job for each door, with what it said, and one for its certificate.\n\
             # Change what you like: this file is yours.\n\n\
             [defaults]\nevery = {}\n",
            quoted(EVERY)
        );
        if let Some(domain) = self.domain {
            text += &format!("labels = {{ domain = {} }}\n", quoted(domain));
        }
        for job in entries.iter().flat_map(Entry::jobs) {
            text += &format!("\n{}", job.text);
        }
        text
    }
}

/// The name of a job, as those of targets are: `smtp@mx1.example.org-25`; cut where it is too long, and numbered where it is taken.
fn named(service: &str, host: &str, port: u16, names: &mut HashSet<String>) -> Option<String> {
    let fitting = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "._@".contains(c) { c } else { '-' };
    let host: String = host.trim_matches(['[', ']']).to_lowercase().chars().map(fitting).collect();
    let numbers = std::iter::once(String::new()).chain((2..1000).map(|number| format!("-{number}")));
    let name = |number: String| {
        let (begin, end) = (format!("{service}@"), format!("-{port}{number}"));
        let room = NAME_CHARS_MAX.saturating_sub(begin.len() + end.len());
        let host: String = host.chars().take(room).collect();
        format!("{begin}{host}{end}")
    };
    let found = numbers.map(name).find(|name| JobName::new(name).is_some() && !names.contains(name))?;
    names.insert(found.clone());
    Some(found)
}

/// A text as TOML has it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::init::look::{Seen, Target, Worth};

    fn door(service: &str, host: &str, port: u16, greeting: &str, worth: Option<Worth>) -> Door {
        let target = Target { host: host.into(), addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], name: host.into() };
        let encryption = if worth.is_some() { Encryption::Starttls } else { Encryption::None };
        Door { target, port, seen: Seen { service: Some(service.into()), encryption, worth, greeting: greeting.into() } }
    }

    fn written(doors: &[Door], agents: &[&str], domain: Option<&str>) -> (String, Vec<String>) {
        let book = Book::read().unwrap();
        let agents: Vec<String> = agents.iter().map(|agent| (*agent).to_owned()).collect();
        let author = Author { book: &book, agents: &agents, domain, ca_file: None };
        let entries = author.entries(doors);
        let left_out = entries.iter().filter_map(|entry| entry.job.as_ref().err().cloned()).collect();
        (author.schedule(&entries), left_out)
    }

    #[test]
    fn a_job_is_written_with_what_was_found_and_with_nothing_that_was_not() {
        let named = Worth { server_name: Some("mail.lab.test".into()), fault: None };
        let (text, left_out) = written(&[door("smtp", "127.0.0.1", 2525, "220 mail ESMTP", Some(named))], &["smtp"], None);
        let expected = "\n# 220 mail ESMTP\n[[job]]\nname = \"smtp@127.0.0.1-2525\"\nagent = \"smtp\"\n\n[job.config]\nhost = \"127.0.0.1\"\nport = 2525\n\
                        tls = \"starttls\"\nserver_name = \"mail.lab.test\"\n# To log in as well";
        assert!(text.contains(expected) && !text.contains("ca_file") && !text.contains("labels"), "{text}");
        assert!(left_out.is_empty(), "{left_out:?}");
    }

    #[test]
    fn a_door_with_tls_has_a_second_job_that_looks_at_its_certificate() {
        let worth = || Some(Worth { server_name: Some("mail.lab.test".into()), fault: None });
        let mut implicit = door("imap", "a", 993, "", worth());
        implicit.seen.encryption = Encryption::Implicit;
        let doors = [door("smtp", "a", 25, "", worth()), implicit, door("pop3", "a", 110, "", None), door("ftp", "a", 21, "", worth())];
        let (text, left_out) = written(&doors, &["smtp", "pop3", "imap", "tls"], None);
        let parsed: toml::Table = text.parse().unwrap();
        let jobs: Vec<String> = parsed["job"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(jobs, ["smtp@a-25", "tls@a-25", "imap@a-993", "tls@a-993", "pop3@a-110", "tls@a-21"]);
        assert_eq!(left_out, ["nobody that is known"]);
        let starttls = "name = \"tls@a-25\"\nagent = \"tls\"\nevery = \"1h\"\n\n[job.config]\nhost = \"a\"\nport = 25\nstarttls = \"smtp\"\nserver_name";
        let implicit = "name = \"tls@a-993\"\nagent = \"tls\"\nevery = \"1h\"\n\n[job.config]\nhost = \"a\"\nport = 993\nserver_name";
        assert!(text.contains(starttls) && text.contains(implicit), "{text}");
    }

    #[test]
    fn what_no_agent_measures_is_left_out_and_said() {
        let doors = [
            door("http", "a", 80, "", None),
            door("imap", "a", 143, "", None),
            door("dns", "a", 53, "", None),
            door("ftp", "a", 21, "", None),
        ];
        let (text, left_out) = written(&doors, &["dns", "smtp"], None);
        let expected = [
            "no library carries the agent `webmail`",
            "no library carries the agent `imap`",
            "what to ask it for is not known; name a --domain",
            "nobody that is known",
        ];
        assert!(left_out == expected && !text.contains("[[job]]"), "{left_out:?}\n{text}");
        assert!(written(&doors, &["dns"], Some("lab.test")).0.contains("port = 53\nname = \"lab.test\"\ntype = \"SOA\"\n"));
    }

    #[test]
    fn whatever_a_server_says_is_a_comment_and_every_job_has_a_name_of_its_own() {
        let worth = || Some(Worth { server_name: None, fault: Some("bad\n[[job]]\rname = 'x'".into()) });
        let long = "Ä".to_owned() + &"a".repeat(300);
        let hostile = "220 \u{2028}x\n[[job]]\nname = \"evil\"\u{1b}[31m";
        let doors = [door("smtp", &long, 25, hostile, worth()), door("smtp", &long, 25, "", None), door("smtp", "[::1]", 25, "", None)];
        let (text, _) = written(&doors, &["smtp"], Some("ex\"ample\n.org"));
        let parsed: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let names: HashSet<&str> = parsed["job"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
        assert!(names.len() == 3 && names.iter().all(|name| JobName::new(name).is_some()), "{names:?}");
        assert!(names.contains("smtp@--1-25"), "{names:?}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
