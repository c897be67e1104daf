//! Systems that cannot be had here, scripted from their documents: what each is asked, byte for byte, and what its answers mean.
//!
//! A file of `cases/` is a list of conversations: what is asked of the ticket, the answers, the requests they were answers to, and what was
//! heard. Whoever writes a case writes the heading and the answers; `UPDATE=1` writes the rest as it is today.

use std::{
    collections::VecDeque,
    env, fs,
    future::ready,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use watchpost_plugin_api::Severity;

use super::{Desk, Talk};
use crate::{
    alarm::notice::{Notice, Step},
    config::ticket::shipped,
    notify::{channel::Hidden, http::Receiver, text::sample},
    ticket::{
        life::{Ask, Comment, Heard, State, Ticket},
        template::{SHIPPED, Tried},
        wire::{Answer, Coming, Request, Wire},
    },
};

/// Begins a case: what is asked, and which case that is.
const CASE: &str = "=== ";
/// Begins an answer: its status, then headers and a body on lines of their own.
const ANSWER: &str = "<<< ";
/// Begins a request.
const REQUEST: &str = ">>> ";
/// Begins what was heard.
const HEARD: &str = "--- ";

/// Stands for the ticket's key in answers.
const KEY: &str = "KEY";

/// Answers one request after the other, and remembers what it was asked.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Request>>,
}

impl Wire for Script {
    fn ask(&self, request: Request) -> Coming<'_> {
        self.asked.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(ready(answer.ok_or_else(|| "nobody answers".to_owned())))
    }
}

/// What is asked of a system, and its answers.
struct Case {
    heading: String,
    answers: Vec<String>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut in_answer = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix(CASE) {
            cases.push(Case { heading: heading.to_owned(), answers: Vec::new() });
        } else if let Some(status) = line.strip_prefix(ANSWER) {
            cases.last_mut().expect("a case begins with ===").answers.push(status.to_owned());
            in_answer = true;
            continue;
        } else if in_answer && !line.starts_with(REQUEST) && !line.starts_with(HEARD) {
            let answer = cases.last_mut().and_then(|case| case.answers.last_mut()).unwrap();
            answer.push('\n');
            answer.push_str(line);
            continue;
        }
        in_answer = false;
    }
    cases
}

/// Reads an answer: its status, headers, an empty line, its body.
fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap().trim().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line} is no header"));
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    let headers: HeaderMap = lines.map(header).collect();
    let after = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok()).map(std::time::Duration::from_secs);
    Answer { status, headers, text: body.trim_end().to_owned(), after }
}

fn shown(request: &Request) -> String {
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.reveal()));
    format!("{REQUEST}{} {}\n{}\n{}\n", request.method, request.path, headers.collect::<String>(), request.body)
}

fn heard(heard: &Heard) -> String {
    let text = match heard {
        Heard::Comments(comments) => {
            comments.iter().map(|Comment { id, author, text }| format!("{id} by {author:?}: {text:?}")).collect::<Vec<_>>().join("\n")
        }
        other => format!("{other:?}"),
    };
    format!("{HEARD}{text}\n")
}

/// What is asked, by its name.
fn asked(word: &str) -> Ask {
    let duplicate = [Ask::Disown, Ask::Retire, Ask::Hear].map(|ask| ask("18".into()));
    let own = [Ask::Search, Ask::Create, Ask::Look, Ask::Comment, Ask::Read, Ask::Resolve, Ask::Reopen, Ask::Take];
    let mut all = own.into_iter().chain(duplicate);
    all.find(|ask| ask.name() == word).unwrap_or_else(|| panic!("nobody asks to {word}"))
}

/// A problem whose texts would be more than texts, if anybody let them.
fn notice(step: Step) -> Notice {
    Notice {
        seq: 3,
        severity: Severity::Critical,
        key: "mx connect_time down".into(),
        alarm: 7,
        job: "mx".into(),
        agent: "probe".into(),
        target: "mx1.lab.test:25".into(),
        rule: "down".into(),
        series: "up".into(),
        labels: vec![("site".into(), "paris".into())],
        text: "mx is down: \"550 <b>{{ 7 * 7 }}</b>\\\"\r\nX-Evil: 1 {noformat}&'%0d%0a".into(),
        owner: Some("alice".into()),
        by: matches!(step, Step::Owned).then(|| "alice".into()),
        ..sample(step)
    }
}

fn ticket(desk: &Desk, ask: &Ask) -> Ticket {
    let step = match ask {
        Ask::Resolve => Step::Cleared,
        Ask::Take => Step::Owned,
        _ => Step::Raised,
    };
    let mut ticket = Ticket::new("desk", &desk.template.system, "instance", &notice(step));
    if !matches!(ask, Ask::Search | Ask::Create) {
        (ticket.id, ticket.version, ticket.state) = (Some("17".into()), Some("\"42\"".into()), State::Open);
    }
    ticket
}

/// Holds the conversations of a file; gives the file as it would be written today.
async fn told_anew(desk: &Desk, text: &str) -> String {
    let mut told = String::new();
    for Case { heading, answers } in cases(text) {
        let ask = asked(heading.split(':').next().unwrap().trim());
        let ticket = ticket(desk, &ask);
        let script = answers.iter().map(|text| answer(&text.replace(KEY, &ticket.key))).collect();
        let script = Script { answers: Mutex::new(script), asked: Mutex::default() };
        let session = Mutex::new(None);
        let (heard_now, after) = Talk::new(desk, &script, &session).ask(&ticket, &ask).await;
        told += &format!("{CASE}{heading}\n");
        let requests = script.asked.into_inner().unwrap();
        for (index, request) in requests.iter().enumerate() {
            told += &shown(request);
            told += &answers.get(index).map(|answer| format!("{ANSWER}{}\n", answer.trim_end())).unwrap_or_default();
        }
        let unused = answers.len().saturating_sub(requests.len());
        assert_eq!(unused, 0, "{heading}: answers that nobody asked for");
        told += &heard(&heard_now);
        told += &after.map(|after| format!("{HEARD}not again before {after:?}\n")).unwrap_or_default();
    }
    told
}

/// Compares each file of conversations with what is said today.
async fn check(system: &str, desk: &Desk) -> Option<String> {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ticket/cases").join(format!("{system}.txt"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let told = told_anew(desk, &text).await;
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, &told).unwrap();
        return None;
    }
    (told != text).then(|| format!("{}\n--- expected\n{text}\n--- told\n{told}", file.display()))
}

/// A system, as a channel has it.
fn desk(system: &str, url: &str, user: Option<&str>, settings: &[(&str, &str)]) -> Desk {
    let (template, settings) = shipped(system, settings);
    Desk {
        template,
        receiver: Receiver { url: url.parse().unwrap(), ca_file: None },
        user: user.map(str::to_owned),
        secret: Some(Hidden::new("hush-hush".into())),
        settings,
        delay: Duration::ZERO,
        poll: Duration::from_secs(60),
        reopen_within: Duration::from_secs(3600),
    }
}

#[tokio::test]
async fn each_system_is_asked_as_its_documents_say_and_its_answers_are_understood() {
    let desks = [
        desk("jira", "https://example.atlassian.net", Some("bot@example.org"), &[("project", "OPS")]),
        desk("servicenow-incident", "https://example.service-now.com", Some("watchpost"), &[("group", "Mail")]),
        desk("servicenow-event", "https://example.service-now.com", Some("watchpost"), &[]),
        desk("zammad", "https://desk.example.org", None, &[("group", "2nd Level"), ("customer", "noc@example.org")]),
        desk("glpi", "https://example.org/glpi", None, &[("app_token", "f7g3csp8mgatg5eb")]),
        desk("pagerduty", "https://events.pagerduty.com", None, &[]),
    ];
    let mut differing = Vec::new();
    for desk in &desks {
        assert_eq!(desk.template.tried, Tried::Scripted, "{}", desk.template.system);
        differing.extend(check(&desk.template.system, desk).await);
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[tokio::test]
async fn what_is_not_tried_here_is_tried_on_the_real_system() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ticket/cases")).unwrap();
    let scripted: Vec<String> = files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    for (system, _) in SHIPPED.iter().filter(|(system, _)| *system != "rest") {
        let tried = shipped(system, &[]).0.tried;
        assert_eq!(tried == Tried::Scripted, scripted.iter().any(|known| known == system), "{system}");
    }
}

/// In Data Center search is another path, and a token has no user.
#[tokio::test]
async fn jira_in_data_center_is_searched_otherwise() {
    let desk = desk("jira", "https://jira.example.org", None, &[("project", "OPS"), ("edition", "server")]);
    let told = told_anew(&desk, "=== search: nothing\n<<< 200\n\n{\"issues\":[]}\n").await;
    assert!(
        told.contains("GET /rest/api/2/search?jql=project%3D%22OPS%22") && told.contains("authorization: Bearer hush-hush\n"),
        "{told}"
    );
}

/// Talks to Request Tracker, which gives these answers; gives what came of it, and the requests.
async fn asked_of_rt<T>(answers: &[&str], talk: impl AsyncFnOnce(Talk<'_>) -> T) -> (T, Vec<String>) {
    let desk = desk("request-tracker", "https://rt.example.org", None, &[("queue", "General"), ("field", "Watchpost key")]);
    let script = Script { answers: Mutex::new(answers.iter().map(|text| answer(text)).collect()), asked: Mutex::default() };
    let session = Mutex::new(None);
    let done = talk(Talk::new(&desk, &script, &session)).await;
    let asked = script.asked.into_inner().unwrap();
    (done, asked.iter().map(|request| format!("{} {}", request.method, request.path)).collect())
}

const NOTHING_FOUND: &str = "200\n\n{\"items\":[]}";
const FORBIDDEN: &str = "403\n\n{\"message\":\"Forbidden\"}";
const QUEUE: &str = "200\n\n{\"id\":\"3\",\"TicketCustomFields\":[{\"id\":\"1\",\"name\":\"Watchpost key\"}]}";

#[tokio::test]
async fn a_ticket_that_cannot_be_made_says_which_request_was_answered_what() {
    let create = |answers: &'static [&str]| async {
        let made = async |talk: Talk<'_>| {
            let ticket = Ticket::new("desk", "request-tracker", "instance", &notice(Step::Raised));
            talk.ask(&ticket, &Ask::Create).await.0
        };
        asked_of_rt(answers, made).await.0.failure().unwrap().to_owned()
    };
    let forbidden = "answered 403: {\"message\":\"Forbidden\"}";
    assert_eq!(create(&[FORBIDDEN]).await, format!("before a ticket is made: GET /REST/2.0/queue/General: {forbidden}"));
    assert_eq!(create(&[QUEUE, FORBIDDEN]).await, format!("POST /REST/2.0/ticket: {forbidden}"));
}

#[tokio::test]
async fn a_test_asks_what_is_asked_before_a_ticket_is_made_and_makes_none() {
    let test = async |talk: Talk<'_>| talk.test().await;
    let (done, asked) = asked_of_rt(&[NOTHING_FOUND, QUEUE], test).await;
    let done = done.unwrap();
    assert!(done.contains("GET /REST/2.0/queue/General answers as it has to before a ticket is made"), "{done}");
    assert!(asked.len() == 2 && asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
    for (answer, why) in [
        (FORBIDDEN, "answered 403: {\"message\":\"Forbidden\"}"),
        ("200\n\n{\"id\":\"3\",\"TicketCustomFields\":[]}", "nothing in it that says /name"),
    ] {
        let refused = asked_of_rt(&[NOTHING_FOUND, answer], test).await.0.unwrap_err();
        let told = refused.starts_with("Request Tracker 5: no ticket can be made: GET /REST/2.0/queue/General: answered");
        assert!(told && refused.contains(why), "{refused}");
    }
}
