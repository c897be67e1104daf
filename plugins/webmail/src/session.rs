//! A session: steps asked one after another, redirects followed, cookies kept, and nobody told what is meant for another.

use std::time::Duration;

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, HttpHead, HttpRequest, HttpTimes, Laps, Level, Tls, quoted, standard};

use crate::{
    config::Plan,
    cookies::Jar,
    page::Page,
    place::{Place, decoded, encoded},
    step::{Body, Step, filled},
    take::Untaken,
    template::Words,
};

/// Redirects that one step follows.
const REDIRECTS_MAX: usize = 10;
/// How long it takes until a step is asked again that waits for something.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Shorter texts are found in any address by chance.
const TELLING_BYTES_MIN: usize = 4;

/// Cookies that are hidden wherever they show; of more than a few a page is not made, and the host takes a bounded number.
const COOKIES_HIDDEN_MAX: usize = 40;
/// Shorter ones hold no secret, and would blot out half of what is shown.
const COOKIE_HIDDEN_BYTES_MIN: usize = 8;

/// One session.
pub(crate) struct Session<'a> {
    cx: &'a Cx,
    plan: &'a Plan,
    tls: &'a Tls,
    body_bytes_max: usize,
    /// All that is known, the password among it.
    words: Words,
    /// What was taken and is nobody's business.
    taken: Vec<String>,
    jar: Jar,
    /// Values of cookies that are hidden.
    hidden: Vec<String>,
    /// Whether the way in was timed.
    entered: bool,
    /// Whether something crossed a network that anybody could read.
    overheard: bool,
    /// Bytes of all answers' bodies so far.
    bytes: u64,
}

/// What is sent, and where to.
struct Asking {
    method: String,
    place: Place,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(cx: &'a Cx, plan: &'a Plan, tls: &'a Tls, body_bytes_max: usize) -> Self {
        let mut words = plan.words.clone();
        words.extend(plan.login.iter().map(|login| ("password".to_owned(), login.password.expose().to_owned())));
        let (taken, jar, hidden) = (Vec::new(), Jar::default(), Vec::new());
        Self { cx, plan, tls, body_bytes_max, words, taken, jar, hidden, entered: false, overheard: false, bytes: 0 }
    }

    /// Lets this session mark what it sends, unless it does already.
    pub(crate) fn mark(&mut self, mark: &str) {
        if !self.words.contains_key("mark") {
            self.words.insert("mark".into(), mark.to_owned());
            self.words.insert("unique".into(), crate::unique(mark));
        }
    }

    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the password could be read on its way.
    pub(crate) fn was_overheard(&self) -> bool {
        self.overheard
    }

    /// Does a step.
    ///
    /// Errors: with the step's name before them.
    pub(crate) async fn step(&mut self, step: &Step, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        self.until_met(step, laps).await.map_err(|error| match error.kind() {
            // The configuration was checked; what cannot be sent now has come from the server.
            ErrorKind::CONFIG => AgentError::protocol(format!("{}: what the server gave cannot be used: {}", step.name, error.message())),
            _ => error.context(&step.name),
        })
    }

    /// Asks until everything is as it must be, or the step's time is over.
    async fn until_met(&mut self, step: &Step, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let begun = self.cx.elapsed();
        loop {
            let (head, body, place) = self.ask(step, laps).await?;
            let page = Page::new(head, body, place, &self.jar, self.cx.now());
            match self.judge(step, &page) {
                Ok(found) => return self.learn(step, found),
                Err(missed) => match step.within {
                    Some(within) if self.cx.elapsed() - begun < within => self.cx.sleep(AGAIN_AFTER).await,
                    Some(within) => return Err(missed.context(format_args!("still after {} s", within.as_secs()))),
                    None => return Err(missed),
                },
            }
        }
    }

    /// Looks whether an answer is as it must be, and takes what is needed of it.
    fn judge(&self, step: &Step, page: &Page<'_>) -> Result<Vec<Option<String>>, AgentError> {
        let met = || {
            if page.head.status >= 400 && !step.expects_a_status() {
                return Err(AgentError::protocol(format!("status {}", page.head.status)));
            }
            step.expect.iter().try_for_each(|expectation| expectation.check(page, &self.words))?;
            step.take
                .iter()
                .map(|(word, taking)| match taking.find(page, &self.words) {
                    Ok(value) => Ok(Some(value)),
                    Err(Untaken::Absent) if taking.optional => Ok(None),
                    Err(Untaken::Absent) => {
                        let (status, place) = (page.head.status, taking.name());
                        Err(AgentError::protocol(format!("no {word} to be taken from {place}; the status is {status}")))
                    }
                    Err(Untaken::NoValue) => Err(AgentError::protocol(format!("what stands for {word} in {} can be none", taking.name()))),
                })
                .collect()
        };
        met().map_err(|error: AgentError| self.with_words_of(page, error))
    }

    /// Adds to an error who answered, if that is a stranger, and what the page says to people.
    fn with_words_of(&self, page: &Page<'_>, error: AgentError) -> AgentError {
        let mut message = error.message().to_owned();
        if page.place.origin != self.plan.url.origin {
            message.push_str(&format!("; redirected to {}", page.place.origin));
        }
        if let Some(said) = self.plan.says.as_ref().and_then(|says| says.find(page, &self.words).ok()) {
            message.push_str(&format!("; the page says \"{}\"", quoted(&said)));
        }
        AgentError::new(error.kind(), message)
    }

    /// Keeps what was taken. What is no public matter is hidden before anybody is sent it.
    fn learn(&mut self, step: &Step, found: Vec<Option<String>>) -> Result<(), AgentError> {
        for ((word, taking), value) in step.take.iter().zip(found) {
            let Some(value) = value else {
                self.words.remove(word);
                continue;
            };
            if !taking.public && !value.is_empty() {
                self.cx.hide(&value)?;
                self.taken.push(value.clone());
            }
            self.words.insert(word.clone(), value);
        }
        Ok(())
    }

    /// Makes a step's request and, as far as the step wants it, those that its answers lead to.
    async fn ask(&mut self, step: &Step, laps: &mut Laps<'_>) -> Result<(HttpHead, String, Place), AgentError> {
        let mut asking = self.asking(step)?;
        for _ in 0..=REDIRECTS_MAX {
            let (head, body) = self.exchange(&asking, step, laps).await?;
            let to = if step.follow { redirect(&head) } else { None };
            let Some(link) = to else { return Ok((head, body, asking.place)) };
            let to = asking.place.follow(link).map_err(|why| AgentError::protocol(format!("redirected to an address that {why}")))?;
            asking = self.redirected(asking, head.status, to)?;
        }
        Err(AgentError::protocol(format!("more than {REDIRECTS_MAX} redirects")))
    }

    /// What a step asks first.
    fn asking(&self, step: &Step) -> Result<Asking, AgentError> {
        let link = match step.path.only_word().and_then(|word| self.words.get(word)) {
            Some(link) => link.clone(),
            None => step.path.fill_with(&self.words, encoded),
        };
        let place = self.plan.url.follow(&link).map_err(|why| AgentError::protocol(format!("a link to an address that {why}")))?;
        if place.origin != self.plan.url.origin {
            return Err(AgentError::protocol(format!("a link to another host, {}", place.origin)));
        }
        let headers = self.plan.headers.iter().filter(|(name, _)| !step.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        let headers = headers.chain(&step.headers).map(|(name, value)| (name.clone(), value.fill(&self.words)));
        let mut request = headers.fold(HttpRequest::default(), |request, (name, value)| request.header(name, value));
        match &step.body {
            Body::None => {}
            Body::Form(fields) => {
                let fields: Vec<(&str, String)> = fields.iter().map(|(name, value)| (name.as_str(), value.fill(&self.words))).collect();
                request = request.form(&fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>());
            }
            Body::Json(json) => request = request.header("Content-Type", "application/json").body(filled(json, &self.words).to_string()),
        }
        Ok(Asking { method: step.method.clone(), place, headers: request.headers, body: request.body })
    }

    /// Makes one request. Cookies go to who set them, the job's TLS to the host of its `url`.
    async fn exchange(&mut self, asking: &Asking, step: &Step, laps: &mut Laps<'_>) -> Result<(HttpHead, String), AgentError> {
        let mut request = HttpRequest::new(&asking.method, asking.place.to_string()).body(asking.body.clone());
        request.headers.clone_from(&asking.headers);
        if let Some(cookies) = self.jar.header(&asking.place, self.cx.now()) {
            request = request.header("Cookie", cookies);
        }
        let own = asking.place.origin == self.plan.url.origin;
        request.tls = Some(if own { self.tls.clone() } else { Tls::default().ca_file(self.tls.ca_file.as_deref()) });
        let response = self.cx.http(request).await?;
        let head = response.head;
        self.enter(&head.times, laps);
        self.overheard |= own && !asking.place.origin.secure && leaves(&head) && wants_password(step);
        for cookie in head.headers_named("set-cookie") {
            self.jar.take(&asking.place, cookie, self.cx.now());
        }
        self.hide_cookies()?;
        let body = response.body.text(self.body_bytes_max).await?;
        self.bytes += body.len() as u64;
        Ok((head, body))
    }

    /// Keeps cookies out of addresses and whatever else is shown; in heads nobody sees them anyway.
    fn hide_cookies(&mut self) -> Result<(), AgentError> {
        for value in self.jar.values() {
            let is_new = value.len() >= COOKIE_HIDDEN_BYTES_MIN && !self.hidden.iter().any(|hidden| hidden == value);
            if is_new && self.hidden.len() < COOKIES_HIDDEN_MAX {
                self.cx.hide(value)?;
                self.hidden.push(value.to_owned());
            }
        }
        Ok(())
    }

    /// Times the way in: the first connection. One that is made later is part of the phase that wants it.
    fn enter(&mut self, times: &HttpTimes, laps: &mut Laps<'_>) {
        if std::mem::replace(&mut self.entered, true) {
            return;
        }
        let moments =
            [(standard::RESOLVE_TIME, times.resolved), (standard::CONNECT_TIME, times.connected), (standard::TLS_TIME, times.secured)];
        for (phase, moment) in moments {
            if let Some(moment) = moment {
                laps.lap_at(phase, moment);
            }
        }
    }

    /// What is asked after a redirect. RFC 9110 15.4.
    ///
    /// Errors: kind `protocol` where another host would get what is not for it.
    fn redirected(&self, asking: Asking, status: u16, to: Place) -> Result<Asking, AgentError> {
        let (stays, keeps) = (to.origin == asking.place.origin, matches!(status, 307 | 308));
        let becomes_get = status == 303 && asking.method != "HEAD" || matches!(status, 301 | 302) && asking.method == "POST";
        let method = if becomes_get { "GET".to_owned() } else { asking.method };
        if stays {
            let (headers, body) = match becomes_get {
                true => (asking.headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type")).collect(), Vec::new()),
                false => (asking.headers, asking.body),
            };
            return Ok(Asking { method, place: to, headers, body });
        }
        let origin = &to.origin;
        if !matches!(method.as_str(), "GET" | "HEAD") || keeps && !asking.body.is_empty() {
            return Err(AgentError::protocol(format!("redirected to another host, {origin}, which would get what was sent")));
        }
        if self.tells_a_secret(&to) {
            return Err(AgentError::protocol(format!("redirected to another host, {origin}, with a secret in the address")));
        }
        Ok(Asking { method, place: to, headers: Vec::new(), body: Vec::new() })
    }

    /// Whether an address carries the password, a cookie or what was taken, however it is encoded there.
    fn tells_a_secret(&self, to: &Place) -> bool {
        let url = to.to_string();
        let spellings = [decoded(&url, b' '), decoded(&url, b'+'), url.into_bytes()];
        let holds = |secret: &str| {
            !secret.is_empty() && spellings.iter().any(|url| url.windows(secret.len()).any(|part| part == secret.as_bytes()))
        };
        let telling = |secret: &&str| secret.len() >= TELLING_BYTES_MIN;
        self.plan.login.as_ref().is_some_and(|login| holds(login.password.expose()))
            || self.taken.iter().map(String::as_str).filter(telling).any(holds)
            || self.jar.values().filter(telling).any(holds)
    }
}

/// Tells the log that a password can be read on its way: a login in the clear is what the job asks for, so it is done.
pub(crate) fn warn_of_clear_text(cx: &Cx, url: &Place) {
    cx.log(Level::Warn, &format!("the password crosses the network to {} in the clear; begin `url` with https://", url.origin));
}

/// Where a redirect leads.
fn redirect(head: &HttpHead) -> Option<&str> {
    if matches!(head.status, 301 | 302 | 303 | 307 | 308) { head.header("location") } else { None }
}

fn leaves(head: &HttpHead) -> bool {
    watchpost_plugin_api::Ends { local: None, peer: head.peer }.leave_this_machine()
}

fn wants_password(step: &Step) -> bool {
    step.words().iter().any(|(_, word)| word == "password")
}
