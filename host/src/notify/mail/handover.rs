//! A mail on its way to a server: what the server says of us is told from what it says of the mail, and of one of those whom it is for.
//!
//! Before the server is told of somebody whom the mail is for, it speaks of us: of who may connect, log in and send. That can be mended, so
//! nothing of it is said for ever, whatever its code. Who is refused for good keeps nobody else from the mail; who is to have it later gets it
//! later, and the others get it once.
//! Source: RFC 5321, 3.3, 3.6 and 4.2.1; RFC 4954, 6 (530); RFC 6531 (SMTPUTF8).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lettre::{
    Address, Message,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::AsyncSmtpConnection,
        commands::{Data, Mail as From, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use tokio::time::timeout;

use super::{Mail, Security, Sender};
use crate::notify::{
    channel::{Taken, Undelivered},
    text::plain_line,
};

/// Mails that some have and others are still to have, at most; who has a mail that is forgotten gets it once more, with the same id.
const HALVES_MAX: usize = 1_000;
/// How long others hear no more of an alarm for somebody's sake whom the server does not take it for now: whoever lists a sender as unknown
/// for a while does so for five minutes.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a server may take to say goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// The codes of a server that wants a login first, or closes: it speaks of us, whomever the mail is for.
const OF_US: [u16; 3] = [421, 530, 535];

/// Who has a mail that others are still to have: in memory, for the attempts to come.
#[derive(Clone, Debug, Default)]
pub struct Halves(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// Who has which mail.
    has: VecDeque<(String, BTreeSet<Address>)>,
    /// Whom a server does not take mail for now, and since when.
    late: BTreeMap<(String, Address), Instant>,
}

impl Halves {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who has a mail already.
    fn of(&self, mail: &str) -> BTreeSet<Address> {
        self.lock().has.iter().find(|(known, _)| known == mail).map(|(_, has)| has.clone()).unwrap_or_default()
    }

    /// Keeps who has a mail that is not done with.
    fn keep(&self, mail: String, has: BTreeSet<Address>) {
        let mut kept = self.lock();
        kept.has.retain(|(known, _)| *known != mail);
        if !has.is_empty() {
            kept.has.push_back((mail, has));
        }
        if kept.has.len() > HALVES_MAX {
            kept.has.pop_front();
        }
    }

    /// Notes that a server takes mail for somebody, or does not now; gives since when it does not.
    fn note(&self, server: &str, to: &Address, taken: bool, now: Instant) -> Instant {
        let (mut kept, key) = (self.lock(), (server.to_owned(), to.clone()));
        if taken {
            kept.late.remove(&key);
            return now;
        }
        *kept.late.entry(key).or_insert(now)
    }
}

/// What a server said of those whom a mail is for.
#[derive(Default)]
struct Said {
    /// They have it.
    has: BTreeSet<Address>,
    /// They are to have it later, and why.
    later: BTreeMap<Address, String>,
    /// Of those, whom others have waited for long enough.
    overdue: BTreeSet<Address>,
    /// They will never have it, and why.
    never: BTreeMap<Address, String>,
}

impl Said {
    /// What it means for the mail.
    fn outcome(&self) -> Result<Taken, Undelivered> {
        let why = |refused: &[&BTreeMap<Address, String>]| {
            refused.iter().copied().flatten().map(|(to, why)| format!("{to}: {why}")).collect::<Vec<_>>().join("; ")
        };
        match (self.has.is_empty(), self.later.is_empty(), self.never.is_empty()) {
            (true, true, _) => Err(Undelivered::never(why(&[&self.never]))),
            (true, false, _) => Err(Undelivered::later(why(&[&self.later]))),
            (false, true, true) => Ok(Taken::ByAll),
            (false, ..) if self.later.keys().all(|to| self.overdue.contains(to)) => {
                Ok(Taken::BySome { but: why(&[&self.never, &self.later]) })
            }
            (false, ..) => Ok(Taken::Begun { why: why(&[&self.later]) }),
        }
    }
}

impl Mail {
    /// Hands a mail over to all who do not have it yet.
    pub(super) async fn hand_over(&self, sender: &Sender, message: &Message) -> Result<Taken, Undelivered> {
        let mail = self.identity(message);
        let mut said = Said { has: sender.halves.of(&mail), ..Said::default() };
        let outcome = self.attempt(sender, message, &mut said).await;
        let is_over = matches!(outcome, Ok(Taken::ByAll | Taken::BySome { .. }) | Err(Undelivered::Never { .. }));
        sender.halves.keep(mail, if is_over { BTreeSet::new() } else { said.has });
        outcome
    }

    async fn attempt(&self, sender: &Sender, message: &Message, said: &mut Said) -> Result<Taken, Undelivered> {
        let mut server = self.connect(sender).await?;
        let content = message.formatted();
        let told = self.told(&mut server, sender, &content, said).await;
        // Who has taken the mail has it, however long the goodbye takes.
        tokio::spawn(async move { timeout(GOODBYE_TIMEOUT, server.abort()).await });
        told.and_then(|()| said.outcome())
    }

    /// Connects and logs in.
    async fn connect(&self, sender: &Sender) -> Result<AsyncSmtpConnection, Undelivered> {
        let of_us = |error: Error| Undelivered::later(self.why(&error));
        let hello = ClientId::Domain(plain_line(&sender.host));
        let implicit = if self.security == Security::Implicit { Some(self.parameters()?) } else { None };
        let connected = AsyncSmtpConnection::connect_tokio1((self.host.as_str(), self.port), None, &hello, implicit, None).await;
        let mut server = match connected {
            Ok(server) => server,
            Err(error) => return Err(self.unreached(sender, &error).await),
        };
        if self.security == Security::Starttls
            && let Err(error) = server.starttls(self.parameters()?, &hello).await
        {
            return Err(self.unreached(sender, &error).await);
        }
        if let Some((user, password)) = &self.login {
            let login = Credentials::new(user.clone(), password.reveal().to_owned());
            server.auth(DEFAULT_MECHANISMS, &login).await.map_err(of_us)?;
        }
        Ok(server)
    }

    /// Names those whom the mail is for, and gives it to those whom the server takes it for.
    async fn told(&self, server: &mut AsyncSmtpConnection, sender: &Sender, content: &[u8], said: &mut Said) -> Result<(), Undelivered> {
        let of_us = |error: Error| Undelivered::later(self.why(&error));
        let open: Vec<Address> = self.to.iter().map(|to| to.email.clone()).filter(|to| !said.has.contains(to)).collect();
        let speaks_all = server.server_info().supports_feature(Extension::SmtpUtfEight);
        let (open, unspeakable): (Vec<Address>, Vec<Address>) = open.into_iter().partition(|to| speaks_all || is_ascii(to));
        said.never.extend(unspeakable.into_iter().map(|to| (to, "the server takes ASCII addresses alone".to_owned())));
        let needs_all = open.iter().chain([&self.from.email]).any(|address| !is_ascii(address));
        let eight = !content.is_ascii() && server.server_info().supports_feature(Extension::EightBitMime);
        let parameters = [(needs_all, MailParameter::SmtpUtfEight), (eight, MailParameter::Body(MailBodyParameter::EightBitMime))];
        let parameters = parameters.into_iter().filter_map(|(wanted, parameter)| wanted.then_some(parameter)).collect();
        server.command(From::new(Some(self.from.email.clone()), parameters)).await.map_err(of_us)?;
        let mut taken = BTreeSet::new();
        for to in open {
            match server.command(Rcpt::new(to.clone(), Vec::new())).await {
                Ok(_) => {
                    sender.halves.note(&self.server(), &to, true, Instant::now());
                    taken.insert(to);
                }
                Err(error) => match code(&error) {
                    None => return Err(of_us(error)),
                    Some(code) if OF_US.contains(&code) => return Err(of_us(error)),
                    Some(500..) => drop(said.never.insert(to, self.why(&error))),
                    Some(_) => {
                        let now = Instant::now();
                        if now.duration_since(sender.halves.note(&self.server(), &to, false, now)) >= PATIENCE {
                            said.overdue.insert(to.clone());
                        }
                        said.later.insert(to, self.why(&error));
                    }
                },
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let given = match server.command(Data).await {
            Ok(_) => server.message(content).await,
            Err(error) => Err(error),
        };
        match given {
            Ok(_) => said.has.extend(taken),
            // What is wrong with the mail is wrong with it for all of them.
            Err(error) => {
                let why = self.why(&error);
                let of_mail = code(&error).is_some_and(|code| code >= 500 && !OF_US.contains(&code));
                let refused = if of_mail { &mut said.never } else { &mut said.later };
                refused.extend(taken.into_iter().map(|to| (to, why.clone())));
            }
        }
        Ok(())
    }

    /// Tells a mail by a channel from every other.
    fn identity(&self, message: &Message) -> String {
        let id = message.headers().get_raw("Message-ID").unwrap_or_default();
        let to: Vec<String> = self.to.iter().map(|to| to.email.to_string()).collect();
        format!("{} {id} {}", self.server(), to.join(" "))
    }

    fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

fn code(error: &Error) -> Option<u16> {
    error.status().map(u16::from)
}

fn is_ascii(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_wait_for_somebody_for_a_while_and_not_for_ever() {
        let ann: Address = "ann@lab.test".parse().unwrap();
        let (halves, began) = (Halves::default(), Instant::now());
        let refused = |after: Duration| halves.note("mx:25", &ann, false, began + after);
        assert_eq!(refused(Duration::ZERO), began);
        assert_eq!(refused(PATIENCE), began, "it has lasted since then");
        halves.note("mx:25", &ann, true, began);
        assert_eq!(refused(PATIENCE), began + PATIENCE, "it was over meanwhile");
        let has = BTreeSet::from(["bob@lab.test".parse().unwrap()]);
        let mut said = Said { has, later: [(ann.clone(), "450 not now".into())].into(), ..Said::default() };
        let why = || "ann@lab.test: 450 not now".to_owned();
        assert_eq!(said.outcome(), Ok(Taken::Begun { why: why() }));
        said.overdue.insert(ann);
        assert_eq!(said.outcome(), Ok(Taken::BySome { but: why() }));
        said.has.clear();
        assert_eq!(said.outcome(), Err(Undelivered::later(why())), "nobody waits");
    }
}
