//! A system that is spoken to: a template with the address, the secret and the settings of a channel.

mod answers;
#[cfg(test)]
mod scripted;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use hyper::{
    Method,
    header::{CONTENT_TYPE, HeaderName},
};
use minijinja::{Value, value::Serde};
use serde_json::{Map, json};

use super::{
    life::{Ask, Can, Comment, Heard, State, Ticket, in_duplicate, key, mark},
    pattern::{Pattern, percent},
    template::{Body, Call, Template},
    wire::{Request, Wire},
};
use crate::{
    alarm::notice::{Notice, Step},
    notify::{
        channel::Hidden,
        http::Receiver,
        text::{self, Words, plain_line, sample},
    },
};
use answers::{Reply, heard_of};

/// Characters of a person's name, at most.
const NAME_CHARS_MAX: usize = 60;
/// Comments that are asked for one by one in one go, at most.
const EACH_MAX: usize = 20;

/// What a channel says of a system.
#[derive(Clone, Debug, PartialEq)]
pub struct Desk {
    /// Which requests it knows.
    pub template: Template,
    /// Where it is.
    pub receiver: Receiver,
    /// Who we are there.
    pub user: Option<String>,
    /// What lets us in.
    pub secret: Option<Hidden>,
    /// What the template asks for.
    pub settings: BTreeMap<String, Hidden>,
    /// How long an alarm goes on before there is a ticket.
    pub delay: Duration,
    /// How often tickets are read.
    pub poll: Duration,
    /// How soon an alarm is raised again to be told in the ticket that there is.
    pub reopen_within: Duration,
}

impl Desk {
    /// What can be asked.
    pub fn can(&self) -> Can {
        let template = &self.template;
        Can {
            search: template.search.is_some(),
            doubles: template.search.as_ref().is_some_and(|search| search.exact),
            read: template.read.is_some(),
            follows: template.read.as_ref().is_some_and(|read| read.id.is_some()),
            comments: template.comments.is_some(),
            comment: template.comment.is_some(),
            resolve: template.resolve.is_some(),
            reopen: template.reopen.is_some(),
            take: template.take.is_some(),
            versioned: template.is_versioned(),
        }
    }

    /// How long a request may take effect behind its deadline, and a search not see it, nanoseconds.
    pub fn window_ns(&self, timeout: Duration) -> i64 {
        let window = timeout.saturating_mul(2).saturating_add(self.template.search_lag);
        i64::try_from(window.as_nanos()).unwrap_or(i64::MAX)
    }

    /// What the system calls a state, in our terms.
    fn state(&self, word: &str, values: &Value) -> Option<State> {
        let states = &self.template.states;
        let is = |patterns: &[Pattern]| {
            patterns.iter().any(|pattern| pattern.render(values).is_ok_and(|known| known.eq_ignore_ascii_case(word)))
        };
        [(&states.open, State::Open), (&states.resolved, State::Resolved), (&states.closed, State::Closed)]
            .into_iter()
            .find_map(|(patterns, state)| is(patterns).then_some(state))
    }
}

/// What a request says beside what is known of the ticket.
#[derive(Clone, Copy, Default)]
struct Extra<'e> {
    /// Another ticket's id: a duplicate's.
    id: Option<&'e str>,
    /// The other one's version.
    version: Option<&'e str>,
    /// What is to be written.
    said: Option<&'e str>,
    /// What the request before gave.
    made: Option<&'e str>,
    /// A comment's id.
    item: Option<&'e str>,
    /// What the login gave.
    session: Option<&'e str>,
    /// Whether a ticket is made.
    opens: bool,
}

/// Values that every request of a template may use.
fn values(desk: &Desk, ticket: &Ticket, extra: Extra<'_>) -> Value {
    let opening = ticket.opening.as_ref().filter(|_| extra.opens);
    let notice = opening.map_or(&ticket.notice, |opening| &opening.notice);
    let mut all = match serde_json::to_value(Words::of(notice)) {
        Ok(serde_json::Value::Object(all)) => all,
        _ => Map::new(),
    };
    all.values_mut().for_each(make_plain);
    let mark = mark(&ticket.key, notice.seq);
    let marked = |text: &str| format!("{}\n\n{mark}", text.trim_end());
    let said = extra.said.map_or_else(|| marked(&comment(notice, ticket.is_of_situation())), str::to_owned);
    let description = opening.map_or_else(|| text::body(notice), |opening| opening.description.clone());
    all.insert("description".into(), json!(marked(&description)));
    all.extend(opening.map(|opening| ("title".into(), json!(opening.title))));
    all.insert("said".into(), json!(said));
    let id = extra.id.or(ticket.id.as_deref()).unwrap_or_default();
    // A version is that of the ticket that is meant, and of no other.
    let version = if extra.id.is_some() { extra.version } else { ticket.version.as_deref() };
    let known = json!({
        "key": ticket.key, "mark": mark, "id": id, "version": version.unwrap_or_default(),
        "made": extra.made.unwrap_or_default(), "item": extra.item.unwrap_or_default(),
    });
    all.insert("ticket".into(), known);
    let settings: Map<String, serde_json::Value> = desk.settings.iter().map(|(key, value)| (key.clone(), json!(value.reveal()))).collect();
    all.insert("settings".into(), serde_json::Value::Object(settings));
    all.insert("user".into(), json!(desk.user.as_deref().unwrap_or_default()));
    all.insert("secret".into(), json!(desk.secret.as_ref().map(Hidden::reveal).unwrap_or_default()));
    all.insert("session".into(), json!(extra.session.unwrap_or_default()));
    let url = &desk.receiver.url;
    all.insert("url".into(), json!(url.to_string().trim_end_matches('/')));
    let authority = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
    all.insert("origin".into(), json!(format!("{}://{authority}", url.scheme_str().unwrap_or("http"))));
    Value::from(Serde(all))
}

/// Makes every text in it one line that obeys nobody.
fn make_plain(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = plain_line(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(make_plain),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(make_plain),
        _ => {}
    }
}

/// A step in lines, for a ticket that says already what it is about; one of several alarms does not.
fn comment(notice: &Notice, of_situation: bool) -> String {
    let mut lines = vec![text::title(notice)];
    let mut say = |what: &str, said: Option<&str>| lines.extend(said.map(|said| format!("{what:12} {}", plain_line(said))));
    if of_situation {
        say("Alarm", Some(&notice.alarm.to_string()));
        say("Job", Some(&notice.job).filter(|job| !job.is_empty()).map(String::as_str));
        say("Series", Some(&notice.series));
    }
    if of_situation && notice.step == Step::Raised {
        say("Target", Some(&notice.target).filter(|target| !target.is_empty()).map(String::as_str));
        say("To do", notice.instruction.as_deref());
        say("Read more", notice.link.as_deref());
    }
    say("Step", Some(notice.step.name()));
    say("By", notice.by.as_deref());
    say("Comment", notice.comment.as_deref());
    say("Value", notice.value.as_deref());
    say("Bound", notice.bound.as_deref());
    say("Now", Some(&Words::time(notice.time_ns)));
    say("Seen", Some(&format!("{} times", notice.count)));
    lines.join("\n")
}

/// Tries a pattern on a ticket that never was.
///
/// Errors: what is wrong with it.
pub fn try_out(desk: &Desk, pattern: &Pattern) -> Result<(), String> {
    for step in [Step::Raised, Step::Owned, Step::Cleared] {
        let mut ticket = Ticket::new("test", &desk.template.system, "test", &sample(step));
        (ticket.id, ticket.version) = (Some("1".into()), Some("1".into()));
        pattern.render(&values(desk, &ticket, Extra { made: Some("1"), item: Some("1"), session: Some("1"), ..Extra::default() }))?;
    }
    Ok(())
}

/// A conversation with a system: what it was let in by is kept.
pub struct Talk<'w> {
    desk: &'w Desk,
    wire: &'w dyn Wire,
    session: &'w Mutex<Option<String>>,
}

impl<'w> Talk<'w> {
    /// Begins one, or goes on with one.
    pub fn new(desk: &'w Desk, wire: &'w dyn Wire, session: &'w Mutex<Option<String>>) -> Self {
        Self { desk, wire, session }
    }

    /// Asks; whoever calls sets the deadline. Gives how long the system wants to be left alone, too.
    pub async fn ask(&self, ticket: &Ticket, ask: &Ask) -> (Heard, Option<Duration>) {
        let template = &self.desk.template;
        let reply = match ask {
            Ask::Search => self.search(ticket).await,
            Ask::Create => self.create(ticket).await,
            Ask::Read => self.read(ticket).await,
            Ask::Look => self.comments(ticket, None).await,
            Ask::Comment => self.done(template.comment.as_ref(), ticket, Extra::default()).await,
            Ask::Resolve => self.done(template.resolve.as_ref(), ticket, Extra::default()).await,
            Ask::Reopen => self.done(template.reopen.as_ref(), ticket, Extra::default()).await,
            Ask::Take => self.done(template.take.as_ref(), ticket, Extra::default()).await,
            Ask::Disown(id) => self.disown(ticket, id).await,
            Ask::Retire(id) => self.retire(ticket, id).await,
            Ask::Hear(id) => self.comments(ticket, Some(id)).await,
        };
        reply.unwrap_or_else(|reply| heard_of(ask, reply))
    }

    /// Tries what changes nothing; gives what was tried.
    ///
    /// Errors: what went wrong.
    pub async fn test(&self) -> Result<String, String> {
        let notice = sample(Step::Raised);
        let ticket = Ticket { key: key("test", "test", 0), ..Ticket::new("test", &self.desk.template.system, "test", &notice) };
        let (name, tried) = (&self.desk.template.name, self.desk.template.tried.told());
        if self.desk.template.search.is_none() {
            let login = self.log_in(&ticket).await.map_err(|reply| reply.why())?;
            let done = if login.is_some() { "logged in" } else { "nothing was asked" };
            return Ok(format!("{name} ({tried}): it cannot be searched; {done}"));
        }
        let found = match self.ask(&ticket, &Ask::Search).await.0 {
            Heard::Found(ids) => ids.len(),
            heard => {
                let why = heard.failure().unwrap_or("it gave something else");
                return Err(format!("{name}: searching for key {}: {why}", ticket.key));
            }
        };
        let asked =
            self.asks_before_it_creates(&ticket).await.map_err(|reply| format!("{name}: no ticket can be made: {}", reply.why()))?;
        let asked = asked.map(|asked| format!("; {asked} answers as it has to before a ticket is made")).unwrap_or_default();
        Ok(format!("{name} ({tried}): searched for key {}, found {found}{asked}; whether we may make one is not tried", ticket.key))
    }

    /// Asks what is asked before a ticket is made, and changes nothing; gives what was asked, if anything is.
    async fn asks_before_it_creates(&self, ticket: &Ticket) -> Result<Option<String>, Reply> {
        let create = &self.desk.template.create.call;
        if create.then.is_none() || !only_asks(&create.method) {
            return Ok(None);
        }
        let session = self.log_in(ticket).await?;
        let extra = Extra { session: session.as_deref(), opens: true, ..Extra::default() };
        let (json, _) = self.one(create, ticket, extra).await?;
        let asked = self.request(create, ticket, extra).map(|request| self.named(&request)).map_err(Reply::Unsaid)?;
        let meant = answers::meant(create, &values(self.desk, ticket, extra), &json).map_err(|reply| reply.of_request(&asked))?;
        let lacks = create.made.as_ref().is_some_and(|made| made.text(meant).is_none());
        if lacks {
            return Err(Reply::strange("what the next request needs is not in it", &json).of_request(&asked));
        }
        Ok(Some(asked))
    }

    /// A request as it is told of: without what is asked for in it, and without what lets us in.
    fn named(&self, request: &Request) -> String {
        let path = request.path.split('?').next().unwrap_or_default();
        let settings = self.desk.template.settings.iter().filter(|(_, setting)| setting.secret);
        let hidden = settings.filter_map(|(name, _)| self.desk.settings.get(name)).chain(&self.desk.secret);
        let tells_one =
            hidden.map(Hidden::reveal).any(|hidden| !hidden.is_empty() && (path.contains(hidden) || path.contains(&percent(hidden))));
        if tells_one { request.method.to_string() } else { format!("{} {}", request.method, plain_line(path)) }
    }

    async fn search(&self, ticket: &Ticket) -> Result<(Heard, Option<Duration>), Reply> {
        let Some(search) = &self.desk.template.search else { return Ok((Heard::Found(Vec::new()), None)) };
        let (json, _) = self.call(&search.call, ticket, Extra::default()).await?;
        let Some(items) = search.items.of(&json).and_then(serde_json::Value::as_array) else {
            return if search.may_be_absent { Ok((Heard::Found(Vec::new()), None)) } else { Err(Reply::strange("no list in it", &json)) };
        };
        let bears = |item: &&serde_json::Value| {
            search.bears.as_ref().is_none_or(|bears| bears.text(item).is_some_and(|text| text.contains(&ticket.key)))
        };
        let found = items.iter().filter(bears).map(|item| Some((search.id.text(item)?, search.by.as_ref().and_then(|by| by.text(item)))));
        let found: Option<Vec<(String, Option<String>)>> = found.collect();
        let found = found.ok_or_else(|| Reply::strange("a ticket without an id", &json))?;
        Ok((Heard::Found(answers::ours(search, found, ticket.id.as_deref())), None))
    }

    async fn create(&self, ticket: &Ticket) -> Result<(Heard, Option<Duration>), Reply> {
        let create = &self.desk.template.create;
        let (json, _) = self.call(&create.call, ticket, Extra { opens: true, ..Extra::default() }).await?;
        let id = create.id.as_ref().map_or_else(|| Some(ticket.key.clone()), |id| id.text(&json));
        id.map(|id| (Heard::Made(id), None)).ok_or_else(|| Reply::strange("no id in it", &json))
    }

    async fn read(&self, ticket: &Ticket) -> Result<(Heard, Option<Duration>), Reply> {
        let Some(read) = &self.desk.template.read else { return Ok((Heard::Done, None)) };
        let (json, answer) = self.call(&read.call, ticket, Extra::default()).await?;
        let word = read.state.text(&json).ok_or_else(|| Reply::strange("no state in it", &json))?;
        let version = read.version.as_ref().and_then(|version| answers::version(version, &answer, &json));
        let name = |pointer: &Option<super::template::Pointer>| {
            let name: String = plain_line(pointer.as_ref()?.text(&json)?.trim()).chars().take(NAME_CHARS_MAX).collect();
            (!name.is_empty() && !read.nobody.contains(&name)).then_some(name)
        };
        let state = self.desk.state(&word, &values(self.desk, ticket, Extra::default()));
        let id = read.id.as_ref().and_then(|id| id.text(&json));
        let word = plain_line(&word).chars().take(NAME_CHARS_MAX).collect();
        Ok((Heard::Stands { state, word, version, owner: name(&read.owner), closed_by: name(&read.closed_by), id }, None))
    }

    /// Comments of a ticket, or of a duplicate of it.
    async fn comments(&self, ticket: &Ticket, duplicate: Option<&str>) -> Result<(Heard, Option<Duration>), Reply> {
        let Some(comments) = &self.desk.template.comments else { return Ok((Heard::Comments(Vec::new()), None)) };
        let extra = Extra { id: duplicate, ..Extra::default() };
        let (json, _) = self.call(&comments.call, ticket, extra).await?;
        // An answer without the list does not say that nothing was written.
        let items = comments.items.of(&json).and_then(serde_json::Value::as_array).ok_or_else(|| Reply::strange("no list in it", &json))?;
        let seen: BTreeSet<&String> = ticket.seen.iter().collect();
        let (mut found, mut asked, mut left) = (Vec::new(), 0, false);
        for item in items.iter().filter(|item| answers::is_comment(comments, item)) {
            let Some(id) = comments.id.text(item) else { return Err(Reply::strange("a comment without an id", &json)) };
            let Some(each) = &comments.each else {
                found.extend(answers::comment(comments, id, item));
                continue;
            };
            // What was seen was read.
            if seen.contains(&duplicate.map_or_else(|| id.clone(), |duplicate| in_duplicate(duplicate, &id))) {
                found.push(Comment { id, author: None, text: String::new() });
                continue;
            }
            // What is seen of many lasts, though the rest does not come in time.
            if asked == EACH_MAX {
                left = true;
                continue;
            }
            asked += 1;
            let call = Call { path: each.clone(), then: None, ..comments.call.clone() };
            let (one, _) = self.call(&call, ticket, Extra { item: Some(&id), ..extra }).await?;
            found.extend(answers::comment(comments, id, &one));
        }
        if comments.newest_first {
            found.reverse();
        }
        if left {
            return Ok((Heard::SomeComments(found), None));
        }
        Ok((Heard::Comments(found), None))
    }

    async fn done(&self, call: Option<&Call>, ticket: &Ticket, extra: Extra<'_>) -> Result<(Heard, Option<Duration>), Reply> {
        if let Some(call) = call {
            self.call(call, ticket, extra).await?;
        }
        Ok((Heard::Done, None))
    }

    /// Says of a duplicate that it is one.
    async fn disown(&self, ticket: &Ticket, id: &str) -> Result<(Heard, Option<Duration>), Reply> {
        let version = self.other(ticket, id).await?.and_then(|(_, version)| version);
        let said = duplicate(ticket);
        let extra = Extra { id: Some(id), version: version.as_deref(), said: Some(&said), ..Extra::default() };
        self.done(self.desk.template.comment.as_ref(), ticket, extra).await
    }

    /// Resolves a duplicate, if nobody did.
    async fn retire(&self, ticket: &Ticket, id: &str) -> Result<(Heard, Option<Duration>), Reply> {
        let (state, version) = self.other(ticket, id).await?.unwrap_or_default();
        if matches!(state, Some(State::Resolved | State::Closed)) {
            return Ok((Heard::Done, None));
        }
        let said = duplicate(ticket);
        let extra = Extra { id: Some(id), version: version.as_deref(), said: Some(&said), ..Extra::default() };
        self.done(self.desk.template.resolve.as_ref(), ticket, extra).await
    }

    /// How another ticket stands, and its version: nothing where no request needs that.
    async fn other(&self, ticket: &Ticket, id: &str) -> Result<Option<(Option<State>, Option<String>)>, Reply> {
        let template = &self.desk.template;
        let Some(read) = template.read.as_ref().filter(|_| template.is_versioned()) else { return Ok(None) };
        let extra = Extra { id: Some(id), ..Extra::default() };
        let (json, answer) = self.call(&read.call, ticket, extra).await.map_err(|reply| reply.of_a_question("before it"))?;
        let state = read.state.text(&json).and_then(|word| self.desk.state(&word, &values(self.desk, ticket, extra)));
        Ok(Some((state, read.version.as_ref().and_then(|version| answers::version(version, &answer, &json)))))
    }

    /// What lets the other requests in, asked for once.
    async fn log_in(&self, ticket: &Ticket) -> Result<Option<String>, Reply> {
        let Some(login) = &self.desk.template.login else { return Ok(None) };
        let known = self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if known.is_some() {
            return Ok(known);
        }
        let (json, _) =
            self.one(&login.call, ticket, Extra::default()).await.map_err(|reply| reply.untold().of_a_question(answers::LOGIN))?;
        let session = login
            .session
            .text(&json)
            .ok_or_else(|| Reply::Strange("answered, with no session in it".into()).of_a_question(answers::LOGIN))?;
        *self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(session.clone());
        Ok(Some(session))
    }

    /// Asks, and what is to be asked after it.
    async fn call(&self, call: &Call, ticket: &Ticket, extra: Extra<'_>) -> Result<(serde_json::Value, super::wire::Answer), Reply> {
        let session = self.log_in(ticket).await?;
        let extra = Extra { session: session.as_deref(), ..extra };
        let (mut call, mut made, mut unchanged) = (call, None::<String>, true);
        loop {
            let replied = self.one(call, ticket, Extra { made: made.as_deref(), ..extra }).await;
            if matches!(&replied, Err(Reply::Status { status: 401, .. })) {
                // The session is over: another time there is a new one.
                *self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
            }
            // What only asks changes nothing, and neither does what is not asked after it.
            let asks_first = unchanged && call.then.is_some() && only_asks(&call.method);
            let which = if extra.opens { "before a ticket is made" } else { "what is asked before it" };
            let before = |reply: Reply| if asks_first { reply.of_a_question(which) } else { reply };
            let (json, answer) = replied.map_err(before)?;
            let meant = answers::meant(call, &values(self.desk, ticket, extra), &json);
            let meant = meant.map_err(|reply| before(self.of_request(reply, call, ticket, extra)))?;
            let Some(then) = &call.then else { return Ok((json, answer)) };
            made = call.made.as_ref().map_or(Some(String::new()), |made| made.text(meant));
            if made.is_none() {
                return Err(before(Reply::strange("what the next request needs is not in it", &json)));
            }
            (call, unchanged) = (then, asks_first);
        }
    }

    async fn one(&self, call: &Call, ticket: &Ticket, extra: Extra<'_>) -> Result<(serde_json::Value, super::wire::Answer), Reply> {
        let request = self.request(call, ticket, extra).map_err(Reply::Unsaid)?;
        let method = request.method.clone();
        let replied = self.wire.ask(request).await.map_err(Reply::Lost).and_then(|answer| answers::check(call, &method, answer));
        replied.map_err(|reply| self.of_request(reply, call, ticket, extra))
    }

    /// Names the request that failed where a ticket is made: what is wrong may stand in the channel, and more than one is asked.
    fn of_request(&self, reply: Reply, call: &Call, ticket: &Ticket, extra: Extra<'_>) -> Reply {
        match self.request(call, ticket, extra) {
            Ok(request) if extra.opens => reply.of_request(&self.named(&request)),
            _ => reply,
        }
    }

    fn request(&self, call: &Call, ticket: &Ticket, extra: Extra<'_>) -> Result<Request, String> {
        let values = values(self.desk, ticket, extra);
        let mut headers = Vec::new();
        let (body, kind) = match &call.body {
            Body::None => (String::new(), None),
            Body::Whole(pattern) => (pattern.render(&values)?, Some("application/json")),
            Body::Form(fields) => {
                let field = |(name, pattern): &(String, Pattern)| Ok(format!("{}={}", percent(name), percent(&pattern.render(&values)?)));
                let fields: Result<Vec<String>, String> = fields.iter().map(field).collect();
                (fields?.join("&"), Some("application/x-www-form-urlencoded"))
            }
        };
        headers.extend(kind.map(|kind| (CONTENT_TYPE, Hidden::new(kind.into()))));
        headers.push((HeaderName::from_static("accept"), Hidden::new("application/json".into())));
        for (name, pattern) in self.desk.template.headers.iter().chain(&call.headers) {
            headers.retain(|(known, _)| known != name);
            headers.push((name.clone(), Hidden::new(pattern.render(&values)?)));
        }
        Ok(Request { method: call.method.clone(), path: call.path.render(&values)?, headers, body })
    }

    /// Where people look at a ticket.
    pub fn link(&self, ticket: &Ticket) -> Option<String> {
        let link = self.desk.template.link.as_ref()?;
        ticket.id.as_ref()?;
        link.render(&values(self.desk, ticket, Extra::default())).ok()
    }
}

/// What is said of a duplicate.
fn duplicate(ticket: &Ticket) -> String {
    let stays = ticket.id.as_deref().unwrap_or_default();
    format!("This ticket was made twice; it is told on in {stays}.\n\n{}/duplicate", ticket.key)
}

/// Whether a request only asks.
fn only_asks(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}
