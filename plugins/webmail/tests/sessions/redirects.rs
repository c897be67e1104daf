//! Redirects are followed as browsers do, within bounds, and nothing that is meant for one host goes to another.

use crate::*;

/// Another host: the same address, another port.
async fn stranger() -> HttpServer {
    let pages = Pages::new().on("GET /x", Page::ok("a stranger's page").header("Set-Cookie", "theirs=strange; Path=/"));
    HttpServer::start(pages.on("POST /x", Page::ok("taken"))).await.unwrap()
}

/// The ports that these addresses name.
fn ports(urls: &[&str]) -> Vec<u16> {
    let port = |url: &&str| url.split_once("//")?.1.split(['/', '?']).next()?.rsplit_once(':')?.1.parse().ok();
    urls.iter().filter_map(port).collect()
}

/// Logs in by a form with headers of its own, and is redirected so.
async fn login_redirected(status: &str, to: &str, method: &str) -> (Ran, Vec<Asked>) {
    let token = format!("token=<{TOKEN}>");
    let home = Page::ok(token).header("Set-Cookie", "sid=s3ss10n-cookie; Path=/");
    let pages = Pages::new()
        .on("GET /mail/", home)
        .on(&format!("{method} /mail/login"), Page::new(status).header("Location", to))
        .on("GET /mail/box", Page::ok("in"))
        .on("POST /mail/box", Page::ok("in"));
    let server = HttpServer::start(pages).await.unwrap();
    let form = json!({ "u": "{user}", "p": "{password}" });
    let steps = json!([
        { "name": "page", "take": { "token": { "after": ["token=<"], "until": ">" } } },
        {
            "name": "login", "path": "login", "method": method, "headers": { "X-Token": "{token}" },
            "form": if method == "GET" { Value::Null } else { form },
        },
    ]);
    let ran = run(&config(&server, steps, json!({ "headers": { "X-Site": "site" }, "redirect_ports": ports(&[to]) }))).await;
    assert_discreet(&ran);
    (ran, server.asked_so_far().await)
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_as_browsers_do() {
    let check = async |status: &str, method: &str, expected: &str, has_form: bool| {
        let (ran, asked) = login_redirected(status, "box#x", method).await;
        assert_eq!(ran.failure(), None, "{status}: {ran:#?}");
        let last = asked.last().unwrap();
        assert_eq!((last.method.as_str(), last.path.as_str()), (expected, "/mail/box"), "{status}");
        assert_eq!(last.body.contains("p=Kirsch"), has_form, "{status}");
        assert_eq!(last.header("Content-Type").is_some(), has_form, "{status}");
        assert_eq!((last.header("Cookie"), last.header("X-Token")), (Some("sid=s3ss10n-cookie"), Some(TOKEN)));
    };
    for status in ["301 Moved", "302 Found", "303 See Other"] {
        check(status, "POST", "GET", false).await;
    }
    for status in ["307 Temporary", "308 Permanent"] {
        check(status, "POST", "POST", true).await;
    }
    check("302 Found", "GET", "GET", false).await;
}

#[tokio::test]
async fn another_host_gets_no_cookie_no_header_and_no_form() {
    let other = stranger().await;
    for (status, method) in
        [("301 Moved", "POST"), ("302 Found", "POST"), ("303 See Other", "POST"), ("302 Found", "GET"), ("307 T", "GET")]
    {
        let (ran, asked) = login_redirected(status, &other.url("/x?harmless=1"), method).await;
        assert_eq!(ran.failure(), None, "{status}: {ran:#?}");
        let seen = other.asked().await.unwrap();
        assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.body.as_str()), ("GET", "/x?harmless=1", ""), "{status}");
        let names: Vec<String> = seen.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert_eq!(names, ["host", "user-agent", "accept", "accept-encoding"], "{status}");
        assert_eq!(asked.len(), 2);
    }
}

#[tokio::test]
async fn what_would_hand_a_form_to_another_host_is_refused() {
    let other = stranger().await;
    for status in ["307 Temporary", "308 Permanent"] {
        let (ran, _) = login_redirected(status, &other.url("/x"), "POST").await;
        let origin = other.url("");
        assert_failed(&ran, "protocol", &format!("login: redirected to another host, {origin}, which would get what was sent"));
    }
    assert!(other.asked_so_far().await.is_empty());
}

/// A server that is taken over may put what it was given into the address of the next page.
#[tokio::test]
async fn an_address_with_a_secret_in_it_leads_nowhere_else() {
    let other = stranger().await;
    let token = TOKEN.replace('+', "%2B");
    let secrets = ["Kirsch%20baum/7719", "Kirsch+baum%2f7719", "K%69rsch baum/7719", TOKEN, &token, "s3ss10n-cookie"];
    for secret in secrets {
        for place in [format!("/x?p={secret}"), format!("/{secret}/x"), format!("/x?a=%26{secret}&b")] {
            let (ran, _) = login_redirected("302 Found", &other.url(&place), "POST").await;
            let message = format!("login: redirected to another host, {}, with a secret in the address", other.url(""));
            assert_failed(&ran, "protocol", &message);
        }
        // On its own host a server may do as it likes.
        let (ran, _) = login_redirected("302 Found", &format!("/mail/box?p={secret}"), "POST").await;
        assert_eq!(ran.failure(), None);
    }
    assert!(other.asked_so_far().await.is_empty());
}

#[tokio::test]
async fn another_scheme_and_another_name_are_another_host_too() {
    let check = async |to: &str, message: &str| {
        let (ran, asked) = login_redirected("302 Found", to, "POST").await;
        let (kind, found) = ran.failure().unwrap();
        assert!(found.contains(message), "{to}: {kind}: {found}");
        assert_eq!(asked.len(), 2, "{to}");
    };
    // Nobody listens there; what matters is that the first host was not asked with its cookies.
    check("https://127.0.0.1:9/x", "login: cannot connect to 127.0.0.1:9").await;
    check("//127.0.0.9:9/x", "login: cannot connect to 127.0.0.9:9").await;
    check("https://127.0.0.1:9/?p=Kirsch%20baum%2F7719", "https://127.0.0.1:9, with a secret in the address").await;
}

/// What a stranger sets goes back to the stranger alone, and a session comes home with what it had.
#[tokio::test]
async fn who_comes_back_from_another_host_has_the_cookies_of_each_for_each() {
    let home = HttpServer::start(Pages::new().on("GET /mail/back", Page::ok("home"))).await.unwrap();
    let other = HttpServer::start(
        Pages::new()
            .on("GET /a", Page::redirect("/b").header("Set-Cookie", "theirs=strange; Path=/"))
            .on("GET /b", Page::redirect(&home.url("/mail/back"))),
    )
    .await
    .unwrap();
    let start = Pages::new().on("GET /mail/", Page::redirect(&other.url("/a")).header("Set-Cookie", "ours=own-cookie; Path=/"));
    let start = HttpServer::start(start.on("GET /mail/again", Page::ok("x"))).await.unwrap();
    let steps = json!([{ "name": "a", "expect": [{ "contains": "home" }] }, { "name": "b", "path": "again" }]);
    let keys = json!({ "redirect_ports": ports(&[&other.url("/"), &home.url("/")]) });
    let ran = run(&config(&start, steps, keys)).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    let cookies = async |server: &HttpServer| {
        let asked = server.asked_so_far().await;
        asked.iter().map(|asked| asked.header("Cookie").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(cookies(&other).await, [None, Some("theirs=strange".to_owned())]);
    assert_eq!(cookies(&home).await, [None]);
    assert_eq!(cookies(&start).await, [None, Some("ours=own-cookie".to_owned())]);
}

#[tokio::test]
async fn a_page_of_a_stranger_is_told_as_such() {
    let other = stranger().await;
    let pages = Pages::new().on("GET /mail/", Page::redirect(&other.url("/x")));
    let (server, steps) = (HttpServer::start(pages).await.unwrap(), json!([{ "name": "page", "expect": [{ "contains": "name=user" }] }]));
    let ran = run(&config(&server, steps, json!({ "redirect_ports": ports(&[&other.url("/")]) }))).await;
    let message = format!("page: no \"name=user\" in the page; the status is 200; redirected to {}", other.url(""));
    assert_failed(&ran, "protocol", &message);
}

#[tokio::test]
async fn redirects_have_an_end() {
    let round = Pages::new().on("GET /mail/", Page::redirect("/mail/"));
    let (ran, asked) = run_steps(round.clone(), json!([{ "name": "page" }])).await;
    assert_failed(&ran, "protocol", "page: more than 10 redirects");
    assert_eq!(asked.len(), 11);
    let (ran, asked) = run_steps(round, json!([{ "name": "page", "follow": false, "expect": [{ "status": [302] }] }])).await;
    assert_eq!((ran.failure(), asked.len()), (None, 1));
    let ten = (0..10).fold(Pages::new().on("GET /mail/", Page::redirect("0")), |pages, n| {
        pages.on(&format!("GET /mail/{n}"), if n == 9 { Page::ok("there") } else { Page::redirect(&format!("{}", n + 1)) })
    });
    let (ran, _) = run_steps(ten, json!([{ "name": "page", "expect": [{ "contains": "there" }] }])).await;
    assert_eq!(ran.failure(), None);
}

#[tokio::test]
async fn a_redirect_to_nothing_is_told() {
    let check = async |to: &str, message: &str| {
        let (ran, _) = run_steps(Pages::new().on("GET /mail/", Page::redirect(to)), json!([{ "name": "page" }])).await;
        assert_failed(&ran, "protocol", &format!("page: redirected to an address that {message}"));
    };
    check("javascript:alert(1)", "begins with neither http:// nor https://").await;
    check("http://", "names no host").await;
    check("http://u:p@127.0.0.1/", "has a user in it").await;
    check(&format!("/{}", "x".repeat(9000)), "is longer than 8 KiB").await;
    // Without a place to go it is an answer like any other.
    let (ran, _) = run_steps(Pages::new().on("GET /mail/", Page::new("302 Found")), json!([{ "name": "page" }])).await;
    assert_eq!(ran.failure(), None);
}
