//! A channel of type `mail`: a server, who writes to whom, and in which words.

use std::collections::BTreeMap;

use lettre::message::Mailbox;

use super::{Walk, host_and_port};
use crate::{
    config::{
        At, Fault, Rule,
        reader::{Field, Reader, Texts, misshapen},
        text::Data,
    },
    notify::{
        language::{Language, Voice},
        mail::{Mail, Security, Templates},
        text::Format,
    },
};

/// Keys of what is said in a language.
const KEYS_OF_LANGUAGE: [&str; 3] = ["html", "subject", "text"];
/// Languages that we speak.
const LANGUAGES: [(&str, Language); 3] = [("en", Language::English), ("de", Language::German), ("fr", Language::French)];
impl Walk<'_> {
    pub(super) fn mail(&mut self) -> Option<Mail> {
        let server = self.needed("server", "which server takes the mail: server = \"127.0.0.1:25\"");
        let server = server.and_then(|text| {
            host_and_port(&text, Some(25)).or_else(|| self.illegal(&text, "server", "host with a port", "write \"mx1.example.org:25\""))
        });
        let security = self.choice("tls", &[("none", Security::None), ("starttls", Security::Starttls), ("implicit", Security::Implicit)]);
        let from = self.needed("from", "whom the mail is from: from = \"watchpost@example.org\"");
        let from = from.and_then(|text| self.mailbox("from", &text));
        let to = match self.reader.text_or_texts("to", self.faults).required(
            "to",
            self.place,
            "whom it goes to: to = [\"ops@example.org\"]",
            self.faults,
        ) {
            Some(At { value: Texts { items, whole }, place }) => {
                let found: Vec<Mailbox> = items.iter().filter_map(|text| self.mailbox("to", text)).collect();
                if items.is_empty() && whole {
                    self.faults
                        .push(Fault::new(Rule::KeyMissing, &place, "`to`: nobody is named").hint("write to = [\"ops@example.org\"]"));
                }
                (whole && found.len() == items.len() && !found.is_empty()).then_some(found)
            }
            None => None,
        };
        let (user, password, ca_file) = (self.optional("user"), self.secret("password"), self.authorities());
        let own = self.templates();
        let (language, languages) = (self.choice("language", &LANGUAGES), self.languages());
        let ((host, port), login) = (server?, (user?, password?));
        let is_near = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let security = security?.unwrap_or(if is_near { Security::None } else { Security::Starttls });
        let login = match login {
            (Some(user), Some(password)) => {
                if security == Security::None && !is_near {
                    let fault = Fault::new(Rule::ChannelPlain, &user.place, "`password`: crosses the network in plain sight");
                    self.faults.push(fault.hint("write tls = \"starttls\""));
                }
                Some((user.value, password))
            }
            (None, None) => None,
            _ => {
                let fault = Fault::new(Rule::KeyMissing, self.place, "`user` and `password`: one of them is missing");
                self.faults.push(fault.hint("write both, or none where the server asks nobody who he is"));
                return None;
            }
        };
        let (ca_file, own, languages) = (ca_file?, own?, languages?);
        let voice = Voice { language: language?.unwrap_or_default(), zone: None };
        Some(Mail { host, port, security, ca_file, login, from: from?, to: to?, own, languages, voice, reader: None })
    }

    fn templates(&mut self) -> Option<Templates> {
        let (subject, text, html) =
            (self.template("subject", Format::Line), self.template("text", Format::Text), self.template("html", Format::Html));
        Some(Templates { subject: subject?, text: text?, html: html? })
    }

    /// Templates for readers of other languages.
    fn languages(&mut self) -> Option<BTreeMap<String, Templates>> {
        let table = match self.reader.table("languages", self.faults) {
            Field::Absent => return Some(BTreeMap::new()),
            Field::Broken => return None,
            Field::Given(table) => table.value,
        };
        let mut languages = BTreeMap::new();
        for (code, entry) in &table.0 {
            let Data::Table(of_one) = &entry.value.value else {
                let fault = misshapen(code, "a table", &entry.value.value, &entry.value.place);
                self.faults.extend(fault.map(|fault| fault.hint("write languages.de = { subject = \"…\", text = \"…\", html = \"…\" }")));
                continue;
            };
            let reader = Reader::new("`languages`", &KEYS_OF_LANGUAGE, of_one);
            let mut walk = Walk { reader, place: &entry.value.place, faults: self.faults };
            let templates = walk.templates();
            let Walk { reader, faults, .. } = walk;
            reader.finish(faults);
            languages.extend(templates.map(|templates| (code.clone(), templates)));
        }
        (languages.len() == table.0.len()).then_some(languages)
    }

    fn mailbox(&mut self, key: &str, text: &At<String>) -> Option<Mailbox> {
        match text.parse() {
            Ok(mailbox) => Some(mailbox),
            Err(_) => self.illegal(text, key, "mail address", "write \"ops@example.org\" or \"Operations <ops@example.org>\""),
        }
    }
}
