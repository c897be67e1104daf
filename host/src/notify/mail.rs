//! Mail: one thread for each alarm, in text and HTML; what comes in floods comes in one.
//!
//! Source: RFC 5322, RFC 3834 (`Auto-Submitted`).

mod handover;
mod look;

use std::{collections::BTreeMap, path::PathBuf};

use lettre::{
    Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        client::{Certificate, CertificateStore, TlsParameters},
    },
};
use minijinja::HtmlEscape;
use sha2::{Digest, Sha256};
use watchpost_plugin_api::Tls;
use watchpost_services::tls_reason;

use super::{
    channel::{Hidden, Parcel, Sender, Taken, Undelivered, heartbeat},
    language::{Language, Voice},
    text::{Template, body_in, hex, plain_line},
};
pub use handover::Halves;

use crate::{
    alarm::notice::{Notice, Step},
    schedule::Zone,
};

/// Alarms of a digest that are told in full; of the others a line.
const IN_FULL_MAX: usize = 20;
/// Characters of a subject, at most: readers show less.
const SUBJECT_CHARS_MAX: usize = 200;

/// A server, and who writes to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The server that takes mail.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept to oneself.
    pub security: Security,
    /// PEM file of the authorities to trust; the system's own when absent.
    pub ca_file: Option<PathBuf>,
    /// Who we are to the server.
    pub login: Option<(String, Hidden)>,
    /// Whom the mail is from.
    pub from: Mailbox,
    /// Whom it goes to.
    pub to: Vec<Mailbox>,
    /// What mails say, where it is not what they usually say.
    pub own: Templates,
    /// What they say to persons who read another language.
    pub languages: BTreeMap<String, Templates>,
    /// How the reader is spoken to.
    pub voice: Voice,
    /// Whose own channel it is; mails of one step to two persons are two mails.
    pub reader: Option<String>,
}

/// What mails say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Templates {
    /// What subjects say.
    pub subject: Option<Template>,
    /// What the text says.
    pub text: Option<Template>,
    /// What the HTML says.
    pub html: Option<Template>,
}

/// How a connection is kept to oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// By STARTTLS, or not at all is a failure.
    Starttls,
    /// By TLS from the first byte.
    Implicit,
}

impl Mail {
    pub(super) async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<Taken, Undelivered> {
        let Some(message) = self.written(sender, parcel)? else { return Ok(Taken::ByAll) };
        self.hand_over(sender, &message).await
    }

    /// What a failure says.
    fn why(&self, error: &Error) -> String {
        self.at_server(&tls_reason(error, &self.wanted()).unwrap_or_else(|| crate::chain(error)))
    }

    /// Why nothing can be said to the server: where TLS fails, with whose certificate that is.
    async fn unreached(&self, sender: &Sender, error: &Error) -> Undelivered {
        let looked = match tls_reason(error, &self.wanted()) {
            Some(_) => look::looked(self, sender, &self.wanted()).await,
            None => None,
        };
        Undelivered::later(looked.map_or_else(|| self.why(error), |why| self.at_server(&why)))
    }

    fn wanted(&self) -> Tls {
        let mut wanted = Tls::verify(self.host.clone());
        wanted.ca_file.clone_from(&self.ca_file);
        wanted
    }

    fn at_server(&self, why: &str) -> String {
        format!("{}:{}: {}", self.host, self.port, plain_line(why))
    }

    /// The mail that tells it; nothing where none does.
    pub(super) fn written(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<Option<Message>, Undelivered> {
        match parcel {
            Parcel::Notices([one]) => self.of_one(sender, one),
            Parcel::Test(notice) => self.of_one(sender, notice),
            Parcel::Notices(many) => self.of_many(sender, many),
            Parcel::Standing(_) => return Ok(None),
            Parcel::Heartbeat { at_ns } => {
                let said = heartbeat(sender, at_ns);
                self.message(
                    sender,
                    &Letter {
                        id: format!("heartbeat-{at_ns}"),
                        subject: said.clone(),
                        text: said.clone(),
                        html: escaped(&said),
                        ..Letter::default()
                    },
                )
            }
        }
        .map(Some)
    }

    fn parameters(&self) -> Result<TlsParameters, Undelivered> {
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(file) = &self.ca_file {
            let unread = |why: String| Undelivered::later(format!("cannot read authorities {}: {why}", file.display()));
            let pem = std::fs::read(file).map_err(|error| unread(crate::chain(&error)))?;
            parameters = parameters.certificate_store(CertificateStore::None);
            parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| unread(crate::chain(&error)))?);
        }
        parameters.build().map_err(|error| Undelivered::later(crate::chain(&error)))
    }

    /// The same for one reader: to an address of his own, in his language, by his clock.
    ///
    /// Shape: nothing where neither we nor the channel's templates speak the language.
    pub fn to_one(&self, reader: &str, to: Mailbox, language: Option<&str>, zone: Zone) -> Option<Self> {
        let own = language.and_then(|code| self.languages.get(code));
        let spoken = match language {
            None => Some(self.voice.language),
            Some(code) => Language::parse(code).or_else(|| own.map(|_| Language::default())),
        };
        let own = own.cloned().unwrap_or_default();
        let templates = Templates {
            subject: own.subject.or_else(|| self.own.subject.clone()),
            text: own.text.or_else(|| self.own.text.clone()),
            html: own.html.or_else(|| self.own.html.clone()),
        };
        let voice = Voice { language: spoken?, zone: Some(zone) };
        Some(Self { to: vec![to], own: templates, voice, reader: Some(reader.to_owned()), ..self.clone() })
    }

    fn of_one(&self, sender: &Sender, notice: &Notice) -> Result<Message, Undelivered> {
        let subject = self.said(self.own.subject.as_ref(), &[notice], || self.voice.title(notice))?;
        let text = self.said(self.own.text.as_ref(), &[notice], || body_in(notice, self.voice))?;
        let html = self.said(self.own.html.as_ref(), &[notice], || html(&[notice], self.voice))?;
        // What begins a thread is the alarm, not whatever of it this channel heard first.
        let thread = Some(format!("alarm-{}", notice.alarm));
        let begins = notice.step == Step::Raised && notice.again == 0;
        let id = notice.number();
        self.message(sender, &Letter { id, thread, begins, key: Some(notice.key.clone()), subject, text, html })
    }

    fn of_many(&self, sender: &Sender, notices: &[&Notice]) -> Result<Message, Undelivered> {
        let Some(first) = notices.first() else { return Err(Undelivered::never("nothing to tell")) };
        let active = notices.iter().filter(|notice| notice.active).count();
        let subject = || self.voice.summary(notices.len(), active, first);
        let text = || {
            let lines: String = notices.iter().map(|notice| self.voice.title(notice) + "\n").collect();
            let whole: Vec<String> = notices.iter().take(IN_FULL_MAX).map(|notice| body_in(notice, self.voice)).collect();
            format!("{lines}\n{}", whole.join("\n--\n\n"))
        };
        let subject = plain_line(&self.said(self.own.subject.as_ref(), notices, subject)?);
        let text = self.said(self.own.text.as_ref(), notices, text)?;
        let html = self.said(self.own.html.as_ref(), notices, || html(notices, self.voice))?;
        let ids: Vec<String> = notices.iter().map(|notice| notice.number()).collect();
        let id = format!("digest-{}", hex(&Sha256::digest(ids.join(" "))[..12]));
        self.message(sender, &Letter { id, subject, text, html, ..Letter::default() })
    }

    fn said(&self, template: Option<&Template>, notices: &[&Notice], usual: impl Fn() -> String) -> Result<String, Undelivered> {
        template.map_or_else(|| Ok(usual()), |template| template.render_in(notices, self.voice).map_err(Undelivered::never))
    }

    fn message(&self, sender: &Sender, letter: &Letter) -> Result<Message, Undelivered> {
        let domain = self.from.email.domain();
        let id = |what: &str| format!("<{what}.{}@{domain}>", sender.instance);
        let own_id = match &self.reader {
            Some(reader) => id(&format!("{}.{}", letter.id, hex(&Sha256::digest(reader)[..6]))),
            None => id(&letter.id),
        };
        let mut message = Message::builder().from(self.from.clone()).subject(short(&letter.subject)).message_id(Some(own_id));
        for to in &self.to {
            message = message.to(to.clone());
        }
        if let Some(thread) = &letter.thread {
            // The mails of an alarm refer to one that need not have been sent: readers gather what has an ancestor in common.
            message = message.references(id(thread));
            if !letter.begins {
                message = message.in_reply_to(id(thread));
            }
        }
        let further =
            [("Auto-Submitted", Some("auto-generated")), ("Precedence", Some("bulk")), ("X-Watchpost-Key", letter.key.as_deref())];
        for (name, value) in further.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            message = message.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), plain_line(value)));
        }
        // The same for each attempt: who is written to does not depend on what the mail says.
        let envelope = Envelope::new(Some(self.from.email.clone()), self.to.iter().map(|to| to.email.clone()).collect());
        let envelope = envelope.map_err(|error| Undelivered::never(error.to_string()))?;
        message
            .envelope(envelope)
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|error| Undelivered::never(error.to_string()))
    }
}

/// What a mail says.
#[derive(Default)]
struct Letter {
    id: String,
    thread: Option<String>,
    begins: bool,
    key: Option<String>,
    subject: String,
    text: String,
    html: String,
}

fn escaped(text: &str) -> String {
    HtmlEscape(&plain_line(text)).to_string()
}

/// A subject, cut where it gets too long: the mail has it whole.
fn short(subject: &str) -> String {
    if subject.chars().count() <= SUBJECT_CHARS_MAX {
        return subject.to_owned();
    }
    subject.chars().take(SUBJECT_CHARS_MAX - 1).chain(['…']).collect()
}

/// A text as HTML, its link at the end one that can be followed; what leads elsewhere than to a page stays a text.
fn linked(text: &str, link: Option<&str>) -> String {
    let is_page = |link: &&str| {
        let scheme = link.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "https")) && !link.contains(char::is_whitespace)
    };
    let before = link.filter(is_page).and_then(|link| Some((text.trim_end().strip_suffix(link)?, link)));
    match before {
        Some((before, link)) => format!("{}<a href=\"{}\">{}</a>\n", HtmlEscape(before), HtmlEscape(link), HtmlEscape(link)),
        None => HtmlEscape(text).to_string(),
    }
}

/// Alarms as a page: the words of the text, and a colour for how bad it is.
fn html(notices: &[&Notice], voice: Voice) -> String {
    let mut page = String::from("<!doctype html><html><body style=\"font:14px sans-serif;color:#1a1a1a\">");
    for notice in notices {
        let colour = if notice.active { colour(notice) } else { "#2e7d32" };
        page.push_str(&format!(
            "<h2 style=\"font-size:16px;border-left:6px solid {colour};padding-left:8px\">{}</h2>",
            escaped(&voice.title(notice))
        ));
        if notices.len() <= IN_FULL_MAX {
            page.push_str(&format!(
                "<pre style=\"font:13px monospace;white-space:pre-wrap\">{}</pre>",
                linked(&body_in(notice, voice), notice.link.as_deref())
            ));
        }
    }
    page + "</body></html>"
}

fn colour(notice: &Notice) -> &'static str {
    use watchpost_plugin_api::Severity;
    match notice.severity {
        Severity::Indeterminate => "#757575",
        Severity::Warning => "#0277bd",
        Severity::Minor => "#f9a825",
        Severity::Major => "#ef6c00",
        Severity::Critical => "#c62828",
    }
}
