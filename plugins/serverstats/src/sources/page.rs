//! A page, fetched by HTTP and understood by the kind of server it comes from.

use base64::{Engine, engine::general_purpose::STANDARD};
use watchpost_plugin_api::{AgentError, Cx, HttpHead, HttpRequest, Keep, Laps, Level, Login, Needs, PathBuf, Secret, Tls, standard};

use super::{Url, bind, doveadm};
use crate::{
    config::{Config, Source},
    map::{Tally, not_understood},
};

/// What is taken of Prometheus' texts, the older one last.
const TEXTS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// A page that is asked for in each run.
pub(crate) struct Page {
    source: Source,
    url: Url,
    proof: Option<Proof>,
    server_name: Option<String>,
    ca_file: Option<PathBuf>,
    bytes_max: usize,
    /// Whether the log was told that a secret crosses the network in the clear.
    warned: bool,
}

/// How we show who we are.
enum Proof {
    /// doveadm's key.
    Key(Secret),
    /// A token.
    Bearer(Secret),
    /// A name and a password.
    Basic(Login),
}

impl Page {
    /// Understands what a job says of a page.
    ///
    /// Errors: kind `config`, at the key.
    pub(crate) fn of(config: &Config, url: Url) -> Result<Self, AgentError> {
        let login = Login::of(config.user.as_ref(), config.password.as_ref())?;
        let proof = match (&config.key, &config.token, login) {
            (_, Some(_), Some(_)) => return Err(AgentError::config("token", "stands in place of `user` and `password`, not beside them")),
            (Some(key), _, _) => Some(Proof::Key(checked("key", key)?)),
            (_, Some(token), _) => Some(Proof::Bearer(checked("token", token)?)),
            // RFC 7617 2: a colon would end the name.
            (_, _, Some(login)) if login.user.contains(':') => return Err(AgentError::config("user", "cannot contain a colon")),
            (_, _, login) => login.map(Proof::Basic),
        };
        let (server_name, ca_file) = (config.server_name.clone(), config.ca_file.clone());
        let bytes_max = usize::try_from(config.bytes_max.get()).unwrap_or(usize::MAX);
        Ok(Self { source: config.source, url, proof, server_name, ca_file, bytes_max, warned: false })
    }

    /// Tells what asking touches.
    pub(crate) fn needs(&self) -> Needs {
        let needs = Needs::none().tcp(self.url.port);
        match &self.ca_file {
            Some(path) => needs.read(path),
            None => needs,
        }
    }

    /// Asks, and gives every sample to the tally.
    pub(crate) async fn ask(&mut self, cx: &Cx, laps: &mut Laps<'_>, tally: &mut Tally<'_>) -> Result<(), AgentError> {
        let request = self.request(cx)?;
        let response = cx.http(request).await?;
        let times = response.times();
        let phases =
            [(standard::RESOLVE_TIME, times.resolved), (standard::CONNECT_TIME, times.connected), (standard::TLS_TIME, times.secured)];
        for (phase, at) in phases {
            if let Some(at) = at {
                laps.lap_at(phase, at);
            }
        }
        self.warn_of_clear_text(cx, &response.head);
        match response.status() {
            200 => {}
            status @ (401 | 403) => return Err(AgentError::auth(format!("the server answered {status} to who we are"))),
            status => return Err(AgentError::protocol(format!("the server answered {status}"))),
        }
        let is_open_metrics =
            response.header("Content-Type").is_some_and(|kind| kind.trim_start().starts_with("application/openmetrics-text"));
        let bytes = response.bytes(self.bytes_max).await?;
        let page = std::str::from_utf8(&bytes).map_err(|_| not_understood("it is no UTF-8"))?;
        let read = match self.source {
            Source::Doveadm => doveadm::read(page, |sample| tally.take(sample)),
            Source::Bind => bind::read(page, |sample| tally.take(sample)),
            _ => watchpost_exposition::read(page, is_open_metrics, |sample| tally.take(sample)),
        };
        read.map_err(not_understood)
    }

    fn request(&self, cx: &Cx) -> Result<HttpRequest, AgentError> {
        let mut request = match self.source {
            Source::Doveadm => HttpRequest::post(&self.url.text).header("Content-Type", "application/json").body(doveadm::QUESTION),
            Source::Bind => HttpRequest::get(&self.url.text),
            _ => HttpRequest::get(&self.url.text).header("Accept", TEXTS),
        };
        let word = match &self.proof {
            None => None,
            Some(Proof::Key(key)) => Some(("X-Dovecot-API", STANDARD.encode(key.expose()))),
            Some(Proof::Bearer(token)) => Some(("Bearer", token.expose().to_owned())),
            Some(Proof::Basic(login)) => Some(("Basic", STANDARD.encode(format!("{}:{}", login.user, login.password.expose())))),
        };
        if let Some((scheme, word)) = word {
            cx.hide(&word)?;
            request = request.header("Authorization", format!("{scheme} {word}"));
        }
        if self.url.is_secure {
            request = request.tls(Tls::verify(self.server_name.as_deref().unwrap_or_default()).ca_file(self.ca_file.clone()));
        }
        // For this run only. `Connection: close` is not said: Dovecot 2.3 then leaves a wrong key without an answer.
        Ok(request.keep(Keep::Run))
    }

    /// A login in the clear is what the job asks for, so it is done; its operator should know, once.
    fn warn_of_clear_text(&mut self, cx: &Cx, head: &HttpHead) {
        let stays = head.peer.is_none_or(|peer| peer.ip().is_loopback());
        if self.proof.is_none() || self.url.is_secure || stays || self.warned {
            return;
        }
        self.warned = true;
        cx.log(Level::Warn, &format!("a secret crosses the network to {} in the clear; the url may begin with https", self.url.address()));
    }
}

/// A secret that a line of HTTP can carry.
fn checked(key: &str, secret: &Secret) -> Result<Secret, AgentError> {
    match secret.expose() {
        "" => Err(AgentError::config(key, "is empty")),
        text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(AgentError::config(key, "cannot contain blanks or characters beyond ASCII"))
        }
        _ => Ok(secret.clone()),
    }
}
