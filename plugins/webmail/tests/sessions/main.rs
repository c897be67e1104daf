//! Whole sessions against servers of pages: good ones, and every way in which one breaks.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod answers;
mod breaks;
mod hostile;
mod marks;
mod redirects;
mod requests;
mod sums;

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_testkit::{Asked, HttpServer, Kit, Page, Pages, Ran};
use watchpost_webmail::Webmail;

/// The password of every login here: long enough to be found by chance nowhere, and with signs that forms encode.
const PASSWORD: &str = "Kirsch baum/7719";
/// What a server gives as this session's own.
const TOKEN: &str = "T0ken-49d1+a/b=";
/// What nobody may see of a message.
const TEXT: &str = "Mirabelle-1761";

/// The configuration against that server, with these steps, and these keys besides.
fn config(server: &HttpServer, steps: Value, keys: Value) -> Value {
    let mut config = json!({ "url": server.url("/mail/"), "steps": steps, "user": "probe@lab.test", "password": PASSWORD });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

/// Runs a configuration once.
async fn run(config: &Value) -> Ran {
    Kit::<Webmail>::new(config).unwrap_or_else(|error| panic!("{}: {error}", error.path())).explain().run().await
}

/// Runs these steps once against these pages, and gives what was asked.
async fn run_steps(pages: Pages, steps: Value) -> (Ran, Vec<Asked>) {
    let server = HttpServer::start(pages).await.unwrap();
    let ran = run(&config(&server, steps, json!({}))).await;
    (ran, server.asked_so_far().await)
}

/// The run failed so.
#[track_caller]
fn assert_failed(ran: &Ran, kind: &str, message: &str) {
    assert_eq!(ran.failure(), Some((kind, message)), "{ran:#?}");
}

/// Nothing that is shown has a secret in it, in whatever spelling.
#[track_caller]
fn assert_discreet(ran: &Ran) {
    let shown = ran.everything();
    let spellings = [PASSWORD, "Kirsch+baum%2F7719", "Kirsch%20baum", TOKEN, "T0ken-49d1%2Ba%2Fb%3D", TEXT, "s3ss10n-cookie"];
    let found = spellings.iter().find(|secret| shown.contains(**secret));
    assert_eq!(found, None, "{shown}");
}

/// A small web mail, all of whose pages are well.
fn pages() -> Pages {
    let form = format!("<form><input name=\"token\" value=\"{}\"><input name=user></form>", TOKEN.replace('+', "&#43;"));
    let list = json!({ "state": "listed", "count": 2, "rows": "row(17,'x');row(9,'y');", "deep": { "next": "./show?uid=17&x=1" } });
    Pages::new()
        .on("GET /mail/", Page::ok(form).header("Set-Cookie", "sid=s3ss10n-cookie; Path=/mail; HttpOnly"))
        .on("POST /mail/login", Page::redirect(&format!("./box?token={}", TOKEN.replace('+', "%2B"))))
        .on("GET /mail/box", Page::ok(list.to_string()).header("Content-Type", "application/json"))
        .on("GET /mail/show", Page::ok(format!("<p id=text>{TEXT}</p>")))
        .on("GET /mail/compose", Page::ok("<input name=\"draft\" value=\"d-4711\">"))
        .on("POST /mail/send", Page::ok("sent"))
        .on("POST /mail/remove", Page::new("204 No Content"))
        .on("GET /mail/logout", Page::ok("goodbye"))
}

/// A session with everything in it.
fn whole() -> Value {
    json!([
        {
            "name": "login page", "phase": "authenticate", "expect": [{ "contains": "name=user" }],
            "take": { "token": { "after": ["name=\"token\" value=\""], "until": "\"", "html": true } },
        },
        {
            "name": "login", "phase": "authenticate", "path": "login", "follow": false,
            "form": { "user": "{user}", "pass": "{password}", "token": "{token}" },
            "expect": [{ "status": [302, 401] }, { "status": [302], "otherwise": "auth" }],
        },
        {
            "name": "box", "phase": "select", "path": "box?token={token}", "expect": [{ "json": "/state", "equals": "listed" }],
            "take": { "uid": { "json": "/rows", "after": ["row("], "until": ",", "optional": true, "public": true } },
        },
        { "name": "show", "phase": "download", "only_with": ["uid"], "path": "show?uid={uid}", "expect": [{ "contains": "id=text" }] },
        {
            "name": "compose", "phase": "compose_send", "path": "compose",
            "take": { "draft": { "after": ["name=\"draft\" value=\""], "until": "\"" } },
        },
        {
            "name": "send", "phase": "compose_send", "path": "send", "form": { "draft": "{draft}", "subject": "{unique}", "mark": "{mark}" },
            "expect": [{ "contains": "sent" }],
        },
        { "name": "remove", "path": "remove", "json": { "subject": "{mark}", "all": true } },
        { "name": "tidy", "phase": "tidy", "path": "show" },
        { "name": "logout", "phase": "logout", "path": "logout?token={token}", "expect": [{ "contains": "goodbye" }] },
    ])
}
