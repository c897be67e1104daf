//! What a job of this agent says of itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU16, NonZeroU32},
};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Login, Needs, PathBuf, Secret, Tls};

use crate::{
    place::Place,
    script::{self, Ready, Script, Take},
    step::{self, Step},
    take::Taking,
    template::{Template, Words, is_word},
};

/// Bytes of an answer that are taken unless a job says otherwise.
const BODY_BYTES_MAX: NonZeroU32 = NonZeroU32::new(4 * 1024 * 1024).unwrap();
/// Steps of a script.
const STEPS_MAX: usize = 50;
/// Texts that a script may have masked: fewer than the host takes in a run.
const MASKED_MAX: usize = 50;

/// A web mail session to be timed. Required are `url` and one of `script` and `steps`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the web mail is entered, e.g. "https://webmail.example.org/" or "https://example.org/mail/". Paths of the script are seen from here.
    pub url: String,
    /// A script that comes with the agent: "roundcube" (Roundcube 1.6). It logs in, lists a mailbox, opens its first message, sends one to
    /// `user` and removes that again, and logs out. It marks as read what it opens, so give it a mailbox of its own.
    pub script: Option<Ready>,
    /// Steps of your own instead, in their order.
    #[serde(default)]
    pub steps: Vec<script::Step>,
    /// Name of the login: the word `{user}` of a script.
    pub user: Option<String>,
    /// Password of `user`: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`; the word `{password}`. It is sent to the host of
    /// `url` and to no other, wherever that redirects to. One that crosses a network in the clear is told in the log once.
    pub password: Option<Secret>,
    /// Further words for a script, e.g. `{ domain = "example.org" }` for `{domain}`. "roundcube" takes `mailbox` (default "INBOX").
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Headers of every request to the host of `url`, e.g. `{ Accept-Language = "en" }`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What a page says to people when something is wrong; it is quoted when an expectation is not met. "roundcube" knows its own.
    pub says: Option<Take>,
    /// Phases that are left out, e.g. `["compose_send"]` to send nothing.
    #[serde(default)]
    pub leave_out: Vec<String>,
    /// Name that the server's certificate must carry, also sent as SNI. Default: the host of `url`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem".
    pub ca_file: Option<PathBuf>,
    /// Further TCP ports that redirects may lead to, e.g. `[8443]`, beside that of `url`, 80 and 443. Default: none.
    #[serde(default)]
    pub redirect_ports: Vec<NonZeroU16>,
    /// Bytes of an answer at most; a larger one fails the run. Default: 4194304 (4 MiB).
    #[serde(default = "four_mebibytes")]
    pub body_max: NonZeroU32,
}

fn four_mebibytes() -> NonZeroU32 {
    BODY_BYTES_MAX
}

/// What runs, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) url: Place,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) says: Option<Taking>,
    pub(crate) steps: Vec<Step>,
    /// What is known before the first step; the password is not among them.
    pub(crate) words: Words,
    pub(crate) login: Option<Login>,
    /// Words that only steps would give which the job leaves out.
    left_out: BTreeSet<String>,
}

impl Config {
    /// Where the web mail is entered.
    ///
    /// Errors: kind `config`, at `url`.
    pub(crate) fn place(&self) -> Result<Place, AgentError> {
        let wrong = |why: &str| AgentError::config("url", format!("{why}; an address is wanted, e.g. \"https://webmail.example.org/\""));
        let place = Place::parse(&self.url).map_err(|why| match why {
            "has a user in it" => AgentError::config("url", "has a user in it; that belongs into `user` and `password`"),
            other => wrong(other),
        })?;
        match place.has_query() || self.url.contains('#') {
            true => Err(wrong("has ? or # in it, which belong into the paths of steps")),
            false => Ok(place),
        }
    }

    /// Tells what a session touches.
    pub(crate) fn needs(&self) -> Needs {
        /// Where redirects lead most often: from the clear to TLS, and to another name.
        const USUAL_PORTS: [u16; 2] = [80, 443];
        let of_url = self.place().ok().map(|place| place.origin.port);
        let further = self.redirect_ports.iter().map(|port| port.get());
        let ports: BTreeSet<u16> = of_url.into_iter().chain(USUAL_PORTS).chain(further).collect();
        let needs = ports.into_iter().fold(Needs::none(), Needs::tcp);
        needs.read_all(&self.ca_file)
    }

    /// Tells what a handshake with the host of `url` has to verify.
    pub(crate) fn handshake(&self, place: &Place) -> Tls {
        Tls::verify(self.server_name.as_deref().unwrap_or(place.origin.bare_host())).ca_file(self.ca_file.clone())
    }

    /// Whether it sends a message: then a lost run is not to be repeated by itself.
    pub(crate) fn sends(&self) -> bool {
        let sends = |script: &Script| script.steps.iter().any(|step| step.phase.as_deref() == Some("compose_send"));
        !self.leave_out.iter().any(|phase| phase == "compose_send") && self.script().is_ok_and(|script| sends(&script))
    }

    /// Checks everything, and gives what runs.
    pub(crate) fn plan(&self) -> Result<Plan, AgentError> {
        let url = self.place()?;
        if self.server_name.as_deref() == Some("") {
            return Err(AgentError::config("server_name", "is empty; a name or an address is wanted, e.g. \"webmail.example.org\""));
        }
        let login = self.login()?;
        let script = self.script()?;
        self.check_values(&script)?;
        let mut words: Words = script.values.clone();
        words.extend(self.values.clone());
        words.extend(login.iter().map(|login| ("user".to_owned(), login.user.clone())));
        let headers = step::headers(script.headers.into_iter().chain(self.headers.clone()).collect())?;
        let says =
            self.says.clone().or(script.says).map(|says| step::taking("says", says).map_err(|error| error.below("says"))).transpose()?;
        let (gone, steps): (Vec<Step>, _) = self.steps(script.steps)?.into_iter().partition(|step| self.leaves_out(step));
        let left_out = gone.into_iter().flat_map(|step| step.take).map(|(word, _)| word).collect();
        let plan = Plan { url, headers, says, steps, words, login, left_out };
        plan.check_words().map_err(|(step, error)| self.at_step(step, error))?;
        self.check_use(&plan)?;
        Ok(plan)
    }

    fn login(&self) -> Result<Option<Login>, AgentError> {
        Login::of(self.user.as_ref(), self.password.as_ref())
    }

    /// The script, ready or the job's own.
    fn script(&self) -> Result<Script, AgentError> {
        match (self.script, self.steps.is_empty()) {
            (Some(_), false) => Err(AgentError::config("steps", "and `script` exclude each other")),
            (None, true) => Err(AgentError::config("", "needs `script`, e.g. \"roundcube\", or `steps`")),
            (Some(ready), true) => ready.script(),
            (None, false) => Ok(Script { steps: self.steps.clone(), ..Script::default() }),
        }
    }

    fn check_values(&self, script: &Script) -> Result<(), AgentError> {
        for word in self.values.keys() {
            let wrong = |why: String| Err(AgentError::config(format!("values.{word}"), why));
            if !is_word(word) {
                return wrong("is no word: small letters, digits and _".into());
            }
            if ["user", "password", "unique", "mark"].contains(&word.as_str()) {
                return wrong("is a word that the agent gives itself".into());
            }
            if self.script.is_some() && !script.values.contains_key(word) {
                let known = script.values.keys().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
                return wrong(format!("is no word of this script; it takes {known}"));
            }
        }
        Ok(())
    }

    /// All steps, each checked by itself, and their order.
    fn steps(&self, steps: Vec<script::Step>) -> Result<Vec<Step>, AgentError> {
        if steps.len() > STEPS_MAX {
            return Err(AgentError::config("steps", format!("has more than {STEPS_MAX} steps")));
        }
        let checked = steps.into_iter().enumerate().map(|(at, step)| Step::check(at, step).map_err(|error| self.at_step(at, error)));
        let checked = checked.collect::<Result<Vec<_>, _>>()?;
        let mut begun = BTreeSet::new();
        let mut last = None;
        for (at, step) in checked.iter().enumerate() {
            let phase = step.phase.as_ref().map(|phase| phase.word());
            if let Some(phase) = phase.filter(|phase| last != Some(*phase) && !begun.insert(*phase)) {
                let why = format!("comes again: all steps of the phase {phase} have to follow one another");
                return Err(self.at_step(at, AgentError::config("phase", why)));
            }
            last = phase;
        }
        for (at, phase) in self.leave_out.iter().enumerate() {
            if !begun.contains(phase.as_str()) {
                let known = begun.iter().map(|phase| format!("\"{phase}\"")).collect::<Vec<_>>().join(", ");
                return Err(AgentError::config(format!("leave_out[{at}]"), format!("is no phase of this script; it has {known}")));
            }
        }
        let masked = checked.iter().flat_map(|step| &step.take).filter(|(_, taking)| !taking.public).count();
        if masked > MASKED_MAX {
            let why = format!("take more than {MASKED_MAX} values that are to be masked; ids and the like may be `public = true`");
            return Err(AgentError::config("steps", why));
        }
        Ok(checked)
    }

    fn leaves_out(&self, step: &Step) -> bool {
        step.phase.as_ref().is_some_and(|phase| self.leave_out.iter().any(|left| left == phase.word()))
    }

    /// Whether what the job gives is used.
    fn check_use(&self, plan: &Plan) -> Result<(), AgentError> {
        let headers = plan.headers.iter().flat_map(|(_, value)| value.words().map(str::to_owned));
        let steps = plan.steps.iter().flat_map(|step| step.words().into_iter().map(|(_, word)| word));
        let used: BTreeSet<String> = headers.chain(steps).collect();
        match self.values.keys().find(|word| !used.contains(*word)) {
            Some(word) => Err(AgentError::config(format!("values.{word}"), format!("is used by no step: there is no {{{word}}}"))),
            None => Ok(()),
        }
    }

    /// Puts an error at a step, or where a ready script can be mended: in the job.
    fn at_step(&self, at: usize, error: AgentError) -> AgentError {
        match self.script {
            None => error.below(&format!("steps[{at}]")),
            Some(_) => AgentError::config("script", format!("cannot run so: {}", error.message())),
        }
    }
}

impl Plan {
    /// Whether every word is known where it is used, whatever optional parts are absent.
    ///
    /// Errors: with the number of the step.
    fn check_words(&self) -> Result<(), (usize, AgentError)> {
        let mut known: BTreeSet<String> = self.words.keys().cloned().chain(["unique".into(), "mark".into()]).collect();
        if self.login.is_some() {
            known.insert("password".into());
        }
        let mut perhaps = BTreeSet::new();
        for step in &self.steps {
            let here: BTreeSet<&String> = known.iter().chain(&step.only_with).collect();
            let headers =
                self.headers.iter().flat_map(|(name, value)| value.words().map(move |word| (format!("headers.{name}"), word.into())));
            for (path, word) in step.words().into_iter().chain(headers) {
                if here.contains(&word) {
                    continue;
                }
                let why = match word.as_str() {
                    "user" | "password" => format!("wants {{{word}}}, and the job has no `user` and `password`"),
                    _ if perhaps.contains(&word) => format!("wants {{{word}}}, which may be absent: say so by `only_with = [\"{word}\"]`"),
                    _ => format!("wants {{{word}}}, which nothing before it gives"),
                };
                return Err((step.at, AgentError::config(path, why)));
            }
            let given = |word: &&String| known.contains(*word) || perhaps.contains(*word) || self.left_out.contains(*word);
            if let Some(word) = step.only_with.iter().find(|word| !given(word)) {
                return Err((step.at, AgentError::config("only_with", format!("names {{{word}}}, which nothing before it gives"))));
            }
            for (word, taking) in &step.take {
                let certain = !taking.optional && step.only_with.iter().all(|word| known.contains(word));
                if certain {
                    known.insert(word.clone())
                } else {
                    perhaps.insert(word.clone())
                };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The configuration with one good step, and these keys instead or besides.
    fn config(keys: Value) -> Config {
        let mut config = json!({ "url": "https://webmail.test/", "steps": [{ "name": "page" }] });
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        serde_json::from_value(config).unwrap()
    }

    #[track_caller]
    fn check(keys: Value, path: &str, message: &str) {
        let error = config(keys.clone()).plan().expect_err(&keys.to_string());
        assert_eq!((error.path(), error.message()), (path, message), "{keys}");
    }

    /// Faults of one step.
    #[track_caller]
    fn check_step(step: Value, path: &str, message: &str) {
        let mut second = json!({ "name": "second" });
        second.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
        let path = format!("steps[1].{path}");
        check(json!({ "steps": [{ "name": "page" }, second] }), path.trim_end_matches('.'), message);
    }

    fn fits(keys: Value) -> Plan {
        config(keys.clone()).plan().unwrap_or_else(|error| panic!("{}: {error} in {keys}", error.path()))
    }

    #[test]
    fn the_url_is_an_address_and_nothing_more() {
        let wanted = "; an address is wanted, e.g. \"https://webmail.example.org/\"";
        for (url, why) in [
            ("", "begins with neither http:// nor https://"),
            ("webmail.test", "begins with neither http:// nor https://"),
            ("https://", "names no host"),
            ("https://a:99999/", "has a port that is none"),
            ("https://a/?_task=mail", "has ? or # in it, which belong into the paths of steps"),
            ("https://a/#top", "has ? or # in it, which belong into the paths of steps"),
        ] {
            check(json!({ "url": url }), "url", &format!("{why}{wanted}"));
        }
        check(json!({ "url": "https://u:p@a/" }), "url", "has a user in it; that belongs into `user` and `password`");
        let target = |url: &str| fits(json!({ "url": url })).url.to_string();
        assert_eq!([target("HTTPS://A.test"), target("http://a:8083/mail")], ["https://a.test/", "http://a:8083/mail"]);
    }

    #[test]
    fn there_is_one_script() {
        check(json!({ "steps": [] }), "", "needs `script`, e.g. \"roundcube\", or `steps`");
        check(json!({ "script": "roundcube" }), "steps", "and `script` exclude each other");
        let many: Vec<Value> = (0..51).map(|_| json!({ "name": "page" })).collect();
        check(json!({ "steps": many }), "steps", "has more than 50 steps");
    }

    #[test]
    fn the_ready_script_needs_a_login_and_takes_what_it_knows() {
        let ready = |keys: Value| {
            let mut all = json!({ "steps": [], "script": "roundcube", "user": "u", "password": "p" });
            all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
            all
        };
        fits(ready(json!({})));
        fits(ready(json!({ "values": { "mailbox": "Meßpunkt" }, "leave_out": ["download"] })));
        fits(ready(json!({ "leave_out": ["select", "download", "compose_send", "logout"] })));
        fits(ready(json!({ "leave_out": ["compose_send"] })));
        check(ready(json!({ "values": { "mailbx": "x" } })), "values.mailbx", "is no word of this script; it takes `mailbox`");
        let phases = "\"authenticate\", \"compose_send\", \"download\", \"logout\", \"select\"";
        check(ready(json!({ "leave_out": ["send"] })), "leave_out[0]", &format!("is no phase of this script; it has {phases}"));
        let login = json!({ "steps": [], "script": "roundcube" });
        check(login, "script", "cannot run so: wants {password}, and the job has no `user` and `password`");
    }

    #[test]
    fn a_login_is_whole_or_none() {
        check(json!({ "user": "u" }), "user", "needs `password` beside it");
        check(json!({ "password": "p" }), "password", "needs `user` beside it");
        check(json!({ "server_name": "" }), "server_name", "is empty; a name or an address is wanted, e.g. \"webmail.example.org\"");
    }

    #[test]
    fn values_are_words_that_are_used() {
        check(json!({ "values": { "Who": "x" } }), "values.Who", "is no word: small letters, digits and _");
        check(json!({ "values": { "password": "x" } }), "values.password", "is a word that the agent gives itself");
        check(json!({ "values": { "who": "x" } }), "values.who", "is used by no step: there is no {who}");
        fits(json!({ "values": { "who": "x" }, "headers": { "X-Who": "{who}" } }));
    }

    #[test]
    fn headers_can_be_sent() {
        check(json!({ "headers": { "X Y": "1" } }), "headers.X Y", "is no name of a header");
        check(json!({ "headers": { "Host": "a" } }), "headers.Host", "is not for a script to set");
        check_step(
            json!({ "headers": { "cookie": "a=1" } }),
            "headers.cookie",
            "is not for a script to set: cookies are kept as a browser keeps them",
        );
        check_step(json!({ "headers": { "X": "a\r\nY: b" } }), "headers.X", "has control characters in it");
    }

    #[test]
    fn a_step_is_a_request_that_can_be_made() {
        check_step(json!({ "name": " " }), "name", "is empty or has control characters in it; a name is wanted, e.g. \"login\"");
        check_step(json!({ "method": "get" }), "method", "is no method of HTTP, e.g. \"GET\" or \"POST\"");
        check_step(json!({ "form": {}, "json": {} }), "json", "and `form` exclude each other");
        let nothing = "sends nothing, so there can be neither `form` nor `json`; fields of a search go into `path`";
        check_step(json!({ "method": "GET", "form": {} }), "method", nothing);
        let logged = "has {password} in it: addresses end up in logs; send it in `form`, `json` or `headers`";
        check_step(json!({ "path": "?p={password}" }), "path", logged);
        check_step(json!({ "path": "{password}" }), "path", logged);
        let elsewhere = "names a host; a path is wanted, seen from `url`";
        check_step(json!({ "path": "https://a/" }), "path", elsewhere);
        check_step(json!({ "path": "//a/" }), "path", elsewhere);
        check_step(json!({ "path": "/a#b" }), "path", "has control characters or # in it");
        let word = "begins with a word; what is a link stands alone, anything else begins with / or ?";
        check_step(json!({ "path": "{user}/x" }), "path", word);
        check_step(json!({ "only_with": ["A"] }), "only_with", "has a word without a name: small letters, digits and _");
    }

    #[test]
    fn phases_are_known_or_words_and_in_one_piece() {
        let known =
            ["authenticate", "select", "search", "download", "compose_send", "logout"].map(|phase| format!("\"{phase}\"")).join(", ");
        for phase in ["connect", "total", "banner", "tls"] {
            let why = format!("is no phase of this agent's scripts; those are {known}, or a word of your own");
            check_step(json!({ "phase": phase }), "phase", &why);
        }
        for phase in ["", "Page", "1st", "a b", &"x".repeat(41)] {
            check_step(json!({ "phase": phase }), "phase", "is no word of small letters, digits and _");
        }
        let steps = ["select", "download", "select"].map(|phase| json!({ "name": "a", "phase": phase }));
        let again = "comes again: all steps of the phase select have to follow one another";
        check(json!({ "steps": steps }), "steps[2].phase", again);
    }

    #[test]
    fn an_expectation_looks_at_one_thing_in_one_place() {
        let check = |expect: Value, path: &str, message: &str| {
            check_step(json!({ "expect": [{ "status": [200] }, expect] }), format!("expect[1].{path}").trim_end_matches('.'), message);
        };
        check(json!({}), "", "expects nothing");
        check(json!({ "otherwise": "auth" }), "", "expects nothing");
        check(json!({ "status": [] }), "status", "is an empty list, which no answer meets");
        check(json!({ "contains": "" }), "", "looks for an empty text, which is everywhere");
        check(json!({ "json": "a" }), "json", "is no pointer: it begins with /, e.g. \"/session/token\"");
        let places = "looks in several places at once: of `header`, `json` and `cookie` there can be one";
        check(json!({ "json": "/a", "header": "b" }), "", places);
        let things = "asks several things at once: of `contains`, `lacks` and `equals` there can be one";
        check(json!({ "contains": "a", "lacks": "b" }), "", things);
        let two = "expects a status and something else: make two of it, in the order in which they are looked at";
        check(json!({ "status": [200], "contains": "a" }), "", two);
    }

    #[test]
    fn what_is_taken_has_a_word_a_place_and_bounds() {
        let check = |word: &str, take: Value, path: &str, message: &str| {
            check_step(json!({ "take": { (word): take } }), format!("take.{word}.{path}").trim_end_matches('.'), message);
        };
        check("T", json!({ "header": "X" }), "", "is no word: small letters, digits and _");
        check("user", json!({ "header": "X" }), "", "is a word that the agent gives itself");
        let whole = "takes the whole page; say by `header`, `json`, `cookie`, `after` or `until` what of it";
        check("t", json!({}), "", whole);
        check("t", json!({ "after": [""] }), "", "looks for an empty text, which is everywhere");
        check("t", json!({ "after": ["a"], "all": true }), "all", "needs `after` and `until`, which part one from the other");
        let steps: Vec<Value> = (0..26)
            .map(|n| json!({ "name": "a", "take": { format!("a{n}"): { "header": "X" }, format!("b{n}"): { "header": "Y" } } }))
            .collect();
        let many = "take more than 50 values that are to be masked; ids and the like may be `public = true`";
        super::tests::check(json!({ "steps": steps }), "steps", many);
    }

    #[test]
    fn every_word_is_known_where_it_is_used_whatever_is_absent() {
        check_step(json!({ "path": "?a={b}" }), "path", "wants {b}, which nothing before it gives");
        check_step(json!({ "form": { "x": "{password}" } }), "form.x", "wants {password}, and the job has no `user` and `password`");
        check_step(json!({ "json": { "a": ["{b}"] } }), "json", "wants {b}, which nothing before it gives");
        check_step(json!({ "expect": [{ "contains": "{b}" }] }), "expect[0]", "wants {b}, which nothing before it gives");
        check_step(json!({ "take": { "b": { "after": ["{b}"] } } }), "take.b", "wants {b}, which nothing before it gives");
        check_step(json!({ "only_with": ["b"] }), "only_with", "names {b}, which nothing before it gives");
        let steps = |optional: bool, second: Value, third: Value| {
            let take = json!({ "t": { "header": "X", "optional": optional } });
            let step = |name: &str, keys: &Value| {
                let mut step = json!({ "name": name });
                step.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
                step
            };
            json!({ "steps": [{ "name": "first", "take": take }, step("second", &second), step("third", &third)] })
        };
        let uses = json!({ "path": "?t={t}" });
        let careful = json!({ "path": "?t={t}", "only_with": ["t"], "take": { "u": { "header": "Y" } } });
        fits(steps(false, uses.clone(), json!({})));
        fits(steps(true, careful.clone(), json!({})));
        let absent = "wants {t}, which may be absent: say so by `only_with = [\"t\"]`";
        check(steps(true, uses, json!({})), "steps[1].path", absent);
        let absent = "wants {u}, which may be absent: say so by `only_with = [\"u\"]`";
        check(steps(true, careful.clone(), json!({ "path": "?u={u}" })), "steps[2].path", absent);
        fits(steps(true, careful, json!({ "path": "?u={u}", "only_with": ["u"] })));
    }
}
