//! How a result is told to Icinga's endpoints, and what their answers mean.
//!
//! Source: Icinga 2 documentation, "Icinga 2 API", "Responses" and "process-check-result".

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{
    Method,
    header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Icinga2;
use crate::{
    log::seconds,
    notify::{
        channel::{Sender, Undelivered},
        http::{Receiver, json as as_json},
        text::plain_line,
    },
};

/// Characters of an answer that are told of.
const TOLD_CHARS_MAX: usize = 200;

impl Icinga2 {
    /// Tells a result once: to one endpoint after the other, from a first one on, each with a deadline of its own. Gives which one took it.
    pub async fn tell(&self, sender: &Sender, body: &Value, patience: Duration, first: usize) -> Result<usize, Undelivered> {
        let mut outcome = Err(nobody());
        for number in (0..self.receivers.len()).map(|number| (first + number) % self.receivers.len()) {
            match self.ask(sender, &self.receivers[number], body, patience).await.and_then(|answer| answer.taken()) {
                Ok(()) => return Ok(number),
                // All of a zone know the same objects: nobody is waited for who would say the same.
                Err(why @ Undelivered::Never { .. }) => return Err(why),
                Err(why) => outcome = Err(why),
            }
        }
        outcome
    }

    /// Finds out whether results would be taken, and gives none.
    pub async fn test(&self, sender: &Sender, patience: Duration) -> Result<(), Undelivered> {
        let nothing = json!({ "type": "Service", "filter": "false", "exit_status": 3, "plugin_output": "" });
        let mut outcome = Err(nobody());
        for receiver in &self.receivers {
            outcome = match self.ask(sender, receiver, &nothing, patience).await {
                // Who may give results is told that there is no such service.
                Ok(answer) if answer.has_no_object() => return Ok(()),
                Ok(answer) => {
                    let would = "Icinga says `No objects found.` to whoever may give results";
                    Err(Undelivered::later(format!("{}: {}; {would}", receiver.place(), answer.why())))
                }
                Err(why) => Err(why),
            };
        }
        outcome
    }

    async fn ask(&self, sender: &Sender, receiver: &Receiver, body: &Value, patience: Duration) -> Result<Answered, Undelivered> {
        let late = |_| Err(Undelivered::later(format!("{}: no answer within {} s", receiver.place(), seconds(patience))));
        let answer = timeout(patience, receiver.send(sender, Method::POST, self.headers()?, body.to_string())).await;
        let answer = answer.unwrap_or_else(late)?;
        Ok(Answered { status: answer.status.as_u16(), said: serde_json::from_str(&answer.text).unwrap_or_default(), text: answer.text })
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Undelivered> {
        let login = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password.reveal()));
        let mut login = HeaderValue::from_str(&format!("Basic {login}")).map_err(|error| Undelivered::never(error.to_string()))?;
        login.set_sensitive(true);
        Ok(vec![as_json(), (ACCEPT, HeaderValue::from_static("application/json")), (AUTHORIZATION, login)])
    }
}

fn nobody() -> Undelivered {
    Undelivered::later("no endpoint of Icinga is named")
}

/// What an endpoint answered.
struct Answered {
    status: u16,
    text: String,
    said: Value,
}

impl Answered {
    /// What it says of each object that the filter found.
    fn results(&self) -> Option<&[Value]> {
        self.said["results"].as_array().map(Vec::as_slice)
    }

    /// Whether it is Icinga, and knows no such object: 2.13 answers 500 and an empty list, later ones 404.
    fn has_no_object(&self) -> bool {
        let says_so = self.said["status"].as_str().is_some_and(|said| said.starts_with("No objects found"));
        (self.status == 404 && says_so) || (self.status == 500 && self.results().is_some_and(<[_]>::is_empty))
    }

    /// Whether the result was taken: an answer has a code for each object, and its own is that of the worst of them.
    fn taken(&self) -> Result<(), Undelivered> {
        let codes: Vec<u64> = self.results().unwrap_or_default().iter().map(code).collect();
        match codes.iter().find(|code| !(200..300).contains(*code)) {
            None if !codes.is_empty() => Ok(()),
            // It starts or stops; or it is none that we know.
            Some(0 | 401 | 429 | 503) => Err(Undelivered::later(self.why())),
            // One that takes no passive results, or no such object: the next run is another try, others are not to wait for it.
            Some(_) => Err(Undelivered::never(self.why())),
            None if self.has_no_object() => Err(Undelivered::never(self.why())),
            None => Err(Undelivered::later(self.why())),
        }
    }

    fn why(&self) -> String {
        let of_object = self.results().and_then(|results| results.iter().find(|result| !(200..300).contains(&code(result))));
        let said = of_object.map_or(&self.said["status"], |result| &result["status"]).as_str().unwrap_or(&self.text);
        let said = if self.has_no_object() { "No objects found." } else { said };
        let said: String = plain_line(said).chars().take(TOLD_CHARS_MAX).collect();
        format!("answered {}: {said}", self.status)
    }
}

fn code(result: &Value) -> u64 {
    result["code"].as_f64().filter(|code| *code >= 0.0).map_or(0, |code| code as u64)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::notify::{channel::Hidden, icinga2::ObjectName};

    const TAKEN: &str =
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"results\":[{\"code\":200.0,\"status\":\"Successfully processed\"}]}";
    const NO_OBJECT: &str = "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n{\"error\":404.0,\"status\":\"No objects found.\"}";
    const NO_OBJECT_OLD: &str = "HTTP/1.1 500 No\r\nConnection: close\r\n\r\n{\"results\":[]}";
    const WEB: &str = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n<h1>Not Found</h1>";
    const FORBIDDEN: &str = "HTTP/1.1 403 No\r\nConnection: close\r\n\r\n{\"error\":403.0,\"status\":\"Missing permission\"}";
    const NO_PATH: &str =
        "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n{\"error\":404.0,\"status\":\"The requested path could not be found.\"}";
    /// Nothing is answered.
    const HANGS: &str = "";
    const PATIENCE: Duration = Duration::from_millis(500);

    /// Endpoints that answer so, as long as the test.
    async fn zone(answers: &[&'static str]) -> Icinga2 {
        let mut receivers = Vec::new();
        for answer in answers {
            let (answer, listener) = (*answer, TcpListener::bind("127.0.0.1:0").await.unwrap());
            let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
            receivers.push(Receiver { url, ca_file: None });
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let mut request = [0; 4096];
                        while answer == HANGS && stream.read(&mut request).await.is_ok_and(|length| length > 0) {}
                        drop(stream.read(&mut request).await);
                        drop(stream.write_all(answer.as_bytes()).await);
                    });
                }
            });
        }
        let (host, service) = (ObjectName::parse("a").unwrap(), ObjectName::parse("b").unwrap());
        Icinga2 { receivers, user: "watchpost".into(), password: Hidden::new("secret".into()), jobs: None, host, service }
    }

    fn sender() -> Sender {
        Sender::new("i1", std::path::Path::new("."))
    }

    #[tokio::test]
    async fn each_endpoint_has_its_own_time_and_the_one_that_answers_is_asked_first_then() {
        for (answers, first, expected) in [
            (&[HANGS, TAKEN][..], 0, Ok(1)),
            (&[HANGS, TAKEN], 1, Ok(1)),
            (&[TAKEN, HANGS, HANGS], 1, Ok(0)),
            (&[TAKEN], 7, Ok(0)),
            (&[HANGS, HANGS], 0, Err(false)),
            // One that knows the zone's objects decides for all.
            (&[NO_OBJECT, TAKEN], 0, Err(true)),
            (&[HANGS, NO_OBJECT], 0, Err(true)),
            (&[], 0, Err(false)),
        ] {
            let told = zone(answers).await.tell(&sender(), &json!({}), PATIENCE, first).await;
            let told = told.map_err(|why| matches!(why, Undelivered::Never { .. }));
            assert_eq!(told, expected, "{answers:?} from {first}");
        }
        let why = zone(&[HANGS]).await.tell(&sender(), &json!({}), PATIENCE, 0).await.unwrap_err();
        assert!(why.why().starts_with("127.0.0.1:") && why.why().ends_with(": no answer within 0.5 s"), "{why:?}");
    }

    #[tokio::test]
    async fn a_test_passes_where_icinga_answers_and_on_no_other_server() {
        for (answer, why) in [
            (NO_OBJECT, None),
            (NO_OBJECT_OLD, None),
            (WEB, Some("answered 404: <h1>Not Found</h1>; Icinga says `No objects found.` to whoever may give results")),
            (TAKEN, Some("answered 200: ")),
            (FORBIDDEN, Some("answered 403: Missing permission")),
            (NO_PATH, Some("answered 404: The requested path could not be found.")),
        ] {
            let asked = zone(&[answer]).await.test(&sender(), PATIENCE).await.err();
            let asked = asked.as_ref().map(Undelivered::why);
            assert_eq!(asked.is_some(), why.is_some(), "{answer}: {asked:?}");
            assert!(asked.unwrap_or_default().contains(why.unwrap_or_default()), "{answer}: {asked:?}");
        }
        assert!(zone(&[HANGS, NO_OBJECT]).await.test(&sender(), PATIENCE).await.is_ok());
    }

    #[test]
    fn an_answer_is_believed_by_what_it_says_of_each_object() {
        let of = |code: u16, said: &str| json!({ "results": [{ "code": f64::from(code), "status": said }] }).to_string();
        for (status, text, why) in [
            (200, of(200, "Successfully processed").as_str(), None),
            (
                200,
                r#"{"results":[{"code":403.0,"status":"Passive checks are disabled"}]}"#,
                Some((true, "answered 200: Passive checks are disabled")),
            ),
            (403, of(403, "Passive checks are disabled").as_str(), Some((true, "answered 403: Passive checks are disabled"))),
            (409, of(409, "Newer check result already present").as_str(), Some((true, "answered 409: Newer check result already present"))),
            (500, of(500, "Action execution failed").as_str(), Some((true, "answered 500: Action execution failed"))),
            (503, of(503, "Icinga is reloading").as_str(), Some((false, "answered 503: Icinga is reloading"))),
            (403, r#"{"error":403.0,"status":"Missing permission"}"#, Some((false, "answered 403: Missing permission"))),
            (200, r#"{"results":[]}"#, Some((false, r#"answered 200: {"results":[]}"#))),
            (200, "<h1>Welcome</h1>", Some((false, "answered 200: <h1>Welcome</h1>"))),
            (404, "<h1>Not Found</h1>", Some((false, "answered 404: <h1>Not Found</h1>"))),
            (
                404,
                r#"{"error":404.0,"status":"The requested path could not be found"}"#,
                Some((false, "answered 404: The requested path could not be found")),
            ),
            (404, r#"{"error":404.0,"status":"No objects found."}"#, Some((true, "answered 404: No objects found."))),
            (500, r#"{"results":[]}"#, Some((true, "answered 500: No objects found."))),
            (401, "<h1>Unauthorized</h1>", Some((false, "answered 401: <h1>Unauthorized</h1>"))),
            (503, "", Some((false, "answered 503: "))),
        ] {
            let answer = Answered { status, text: text.to_owned(), said: serde_json::from_str(text).unwrap_or_default() };
            let told = answer.taken().err();
            let told = told.as_ref().map(|told| (matches!(told, Undelivered::Never { .. }), told.why()));
            assert_eq!(told, why, "{text}");
        }
    }
}
