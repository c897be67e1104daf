//! Mail: one thread for each alarm, in text and HTML; what comes in floods comes in one.
//!
//! Source: RFC 5322, RFC 3834 (`Auto-Submitted`).

use std::path::PathBuf;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls as Within, TlsParameters},
        extension::ClientId,
    },
};
use minijinja::HtmlEscape;
use watchpost_plugin_api::Tls;
use watchpost_services::tls_reason;

use super::{
    channel::{Hidden, Parcel, Sender, Undelivered, heartbeat},
    text::{Template, body, plain_line, title},
};
use crate::alarm::notice::{Notice, Step};

/// Alarms of a digest that are told in full; of the others a line.
const IN_FULL_MAX: usize = 20;

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
    pub(super) async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<(), Undelivered> {
        let message = match parcel {
            Parcel::Notices([one]) => self.of_one(sender, one),
            Parcel::Test(notice) => self.of_one(sender, notice),
            Parcel::Notices(many) => self.of_many(sender, many),
            Parcel::Standing(_) => return Ok(()),
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
        }?;
        let transport = self.transport(sender)?;
        transport.send(message).await.map(drop).map_err(|error| {
            let mut wanted = Tls::verify(self.host.clone());
            wanted.ca_file.clone_from(&self.ca_file);
            let why = tls_reason(&error, &wanted).unwrap_or_else(|| crate::chain(&error));
            let why = format!("{}:{}: {}", self.host, self.port, plain_line(&why));
            if error.is_permanent() { Undelivered::never(why) } else { Undelivered::later(why) }
        })
    }

    fn transport(&self, sender: &Sender) -> Result<AsyncSmtpTransport<Tokio1Executor>, Undelivered> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host).port(self.port);
        let tls = match self.security {
            Security::None => Within::None,
            Security::Starttls => Within::Required(self.parameters()?),
            Security::Implicit => Within::Wrapper(self.parameters()?),
        };
        let builder = builder.tls(tls).hello_name(ClientId::Domain(plain_line(&sender.host)));
        Ok(match &self.login {
            Some((user, password)) => builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned())).build(),
            None => builder.build(),
        })
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

    fn of_one(&self, sender: &Sender, notice: &Notice) -> Result<Message, Undelivered> {
        let subject = said(self.subject.as_ref(), &[notice], || title(notice))?;
        let text = said(self.text.as_ref(), &[notice], || body(notice))?;
        let html = said(self.html.as_ref(), &[notice], || html(&[notice]))?;
        // What begins a thread is the alarm, not whatever of it this channel heard first.
        let thread = Some(format!("alarm-{}", notice.alarm));
        let begins = notice.step == Step::Raised;
        let id = format!("{}-{}", notice.alarm, notice.seq);
        self.message(sender, &Letter { id, thread, begins, key: Some(notice.key.clone()), subject, text, html })
    }

    fn of_many(&self, sender: &Sender, notices: &[&Notice]) -> Result<Message, Undelivered> {
        let (Some(first), Some(last)) = (notices.first(), notices.last()) else { return Err(Undelivered::never("nothing to tell")) };
        let active = notices.iter().filter(|notice| notice.active).count();
        let subject = || format!("{} steps of alarms, {active} of alarms that are there: {}", notices.len(), title(first));
        let text = || {
            let lines: String = notices.iter().map(|notice| title(notice) + "\n").collect();
            let whole: Vec<String> = notices.iter().take(IN_FULL_MAX).map(|notice| body(notice)).collect();
            format!("{lines}\n{}", whole.join("\n--\n\n"))
        };
        let subject = plain_line(&said(self.subject.as_ref(), notices, subject)?);
        let text = said(self.text.as_ref(), notices, text)?;
        let html = said(self.html.as_ref(), notices, || html(notices))?;
        let id = format!("digest-{}-{}-{}", first.seq, last.seq, notices.len());
        self.message(sender, &Letter { id, subject, text, html, ..Letter::default() })
    }

    fn message(&self, sender: &Sender, letter: &Letter) -> Result<Message, Undelivered> {
        let domain = self.from.email.domain();
        let id = |what: &str| format!("<{what}.{}@{domain}>", sender.instance);
        let mut message = Message::builder().from(self.from.clone()).subject(&letter.subject).message_id(Some(id(&letter.id)));
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

fn said(template: Option<&Template>, notices: &[&Notice], usual: impl Fn() -> String) -> Result<String, Undelivered> {
    template.map_or_else(|| Ok(usual()), |template| template.render(notices).map_err(Undelivered::never))
}

fn escaped(text: &str) -> String {
    HtmlEscape(&plain_line(text)).to_string()
}

/// Alarms as a page: the words of the text, and a colour for how bad it is.
fn html(notices: &[&Notice]) -> String {
    let mut page = String::from("<!doctype html><html><body style=\"font:14px sans-serif;color:#1a1a1a\">");
    for notice in notices {
        let colour = if notice.active { colour(notice) } else { "#2e7d32" };
        page.push_str(&format!(
            "<h2 style=\"font-size:16px;border-left:6px solid {colour};padding-left:8px\">{}</h2>",
            escaped(&title(notice))
        ));
        if notices.len() <= IN_FULL_MAX {
            page.push_str(&format!("<pre style=\"font:13px monospace;white-space:pre-wrap\">{}</pre>", HtmlEscape(&body(notice))));
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
