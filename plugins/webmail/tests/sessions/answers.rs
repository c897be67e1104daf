//! What is looked for in an answer, and what is taken from it.

use crate::*;

/// A page with something in every place.
fn page() -> Page {
    let body = json!({ "state": "ok", "n": 3, "yes": true, "none": null, "list": [1, { "a/b": "x" }], "text": "row(5,a);row(6,b);" });
    Page::ok(body.to_string()).header("X-State", "open; x=1").header("Set-Cookie", "sid=c00kie-value; Path=/")
}

async fn with(step: Value) -> Ran {
    let mut all = json!({ "name": "look" });
    all.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
    run_steps(Pages::new().on("GET /mail/", page()), json!([all])).await.0
}

async fn expect(expect: Value, missed: Option<&str>) {
    let ran = with(json!({ "expect": [expect.clone()] })).await;
    assert_eq!(
        ran.failure(),
        missed.map(|missed| ("protocol", format!("look: {missed}"))).as_ref().map(|(kind, text)| (*kind, text.as_str())),
        "{expect}"
    );
}

#[tokio::test]
async fn what_is_so_is_passed_and_what_is_not_is_told() {
    expect(json!({ "status": [200] }), None).await;
    expect(json!({ "status": [301, 302] }), Some("status 200 instead of 301 or 302")).await;
    expect(json!({ "contains": "row(5" }), None).await;
    expect(json!({ "contains": "row(7" }), Some("no \"row(7\" in the page; the status is 200")).await;
    expect(json!({ "lacks": "row(7" }), None).await;
    expect(json!({ "lacks": "row(5" }), Some("\"row(5\" in the page; the status is 200")).await;
    expect(json!({ "header": "x-state" }), None).await;
    expect(json!({ "header": "X-Other" }), Some("no header X-Other; the status is 200")).await;
    expect(json!({ "header": "X-State", "contains": "open" }), None).await;
    expect(json!({ "header": "X-State", "equals": "open" }), Some("something else than \"open\" in the header X-State; the status is 200"))
        .await;
    expect(json!({ "header": "X-Other", "lacks": "open" }), Some("no header X-Other; the status is 200")).await;
    expect(json!({ "cookie": "sid" }), None).await;
    expect(json!({ "cookie": "sid", "equals": "c00kie-value" }), None).await;
    expect(json!({ "cookie": "other" }), Some("no cookie other; the status is 200")).await;
    expect(json!({ "json": "/state", "equals": "ok" }), None).await;
    expect(json!({ "json": "/n", "equals": 3 }), None).await;
    expect(json!({ "json": "/yes", "equals": true }), None).await;
    expect(json!({ "json": "/list/1/a~1b", "equals": "x" }), None).await;
    expect(json!({ "json": "/none" }), None).await;
    expect(json!({ "json": "/n", "equals": 4 }), Some("something else than 4 in /n of the JSON; the status is 200")).await;
    expect(
        json!({ "json": "/state", "equals": "{user}" }),
        Some("something else than \"probe@lab.test\" in /state of the JSON; the status is 200"),
    )
    .await;
    expect(json!({ "json": "/gone" }), Some("no /gone of the JSON; the status is 200")).await;
    expect(json!({ "json": "/list", "contains": "1" }), Some("no \"1\" in /list of the JSON; the status is 200")).await;
}

#[tokio::test]
async fn expectations_are_looked_at_in_their_order_and_each_has_its_kind() {
    let ran = with(json!({ "expect": [{ "contains": "state" }, { "status": [204], "otherwise": "auth" }, { "contains": "gone" }] })).await;
    assert_failed(&ran, "auth", "look: status 200 instead of 204");
    let ran = with(json!({ "expect": [{ "contains": "gone" }, { "status": [204], "otherwise": "auth" }] })).await;
    assert_failed(&ran, "protocol", "look: no \"gone\" in the page; the status is 200");
}

#[tokio::test]
async fn a_status_of_400_and_more_is_a_fault_unless_it_may_be() {
    let check = async |status: &str, expect: Value, missed: Option<&str>| {
        let pages = Pages::new().on("GET /mail/", Page::new(status).body("sorry"));
        let (ran, _) = run_steps(pages, json!([{ "name": "look", "expect": expect }])).await;
        assert_eq!(ran.failure(), missed.map(|missed| ("protocol", missed)), "{status}");
    };
    check("500 Oh", json!([{ "contains": "sorry" }]), Some("look: status 500")).await;
    check("404 Oh", json!([]), Some("look: status 404")).await;
    check("404 Oh", json!([{ "status": [404] }]), None).await;
    check("399 Oh", json!([]), None).await;
}

/// Takes one thing, and gives what a further step sends of it.
async fn taken(take: Value) -> Result<String, String> {
    let steps = json!([{ "name": "look", "take": { "it": take } }, { "name": "use", "path": "use", "form": { "it": "{it}" } }]);
    let (ran, asked) = run_steps(Pages::new().on("GET /mail/", page()).on("POST /mail/use", Page::ok("")), steps).await;
    match ran.failure() {
        None => Ok(asked[1].body.clone()),
        Some((kind, message)) => Err(format!("{kind}: {message}")),
    }
}

#[tokio::test]
async fn a_value_is_taken_from_each_place_whole_or_in_part() {
    let check = async |take: Value, expected: Result<&str, &str>| {
        assert_eq!(taken(take.clone()).await, expected.map(str::to_owned).map_err(str::to_owned), "{take}");
    };
    check(json!({ "header": "X-State" }), Ok("it=open%3B+x%3D1")).await;
    check(json!({ "header": "X-State", "until": ";" }), Ok("it=open")).await;
    check(json!({ "header": "X-State", "after": ["x="] }), Ok("it=1")).await;
    check(json!({ "cookie": "sid" }), Ok("it=c00kie-value")).await;
    check(json!({ "json": "/n" }), Ok("it=3")).await;
    check(json!({ "json": "/yes" }), Ok("it=true")).await;
    check(json!({ "json": "/text", "after": ["row("], "until": "," }), Ok("it=5")).await;
    check(json!({ "json": "/text", "after": ["row(", "row("], "until": "," }), Ok("it=6")).await;
    check(json!({ "json": "/text", "after": ["row("], "until": ",", "all": true }), Ok("it=5%2C6")).await;
    check(json!({ "after": ["\"state\":\""], "until": "\"" }), Ok("it=ok")).await;
    let absent = |place: &str| format!("protocol: look: no it to be taken from {place}; the status is 200");
    check(json!({ "json": "/none" }), Err(&absent("/none of the JSON"))).await;
    check(json!({ "json": "/list" }), Err(&absent("/list of the JSON"))).await;
    check(json!({ "after": ["gone"], "until": "x" }), Err(&absent("the page"))).await;
    check(json!({ "header": "X-Other" }), Err(&absent("the header X-Other"))).await;
    check(json!({ "cookie": "other" }), Err(&absent("the cookie other"))).await;
}

#[tokio::test]
async fn a_page_that_is_no_json_has_nothing_in_it() {
    for body in ["", "{", "<html>", "{\"state\":\"ok\"} trailing", &"[".repeat(100_000)] {
        let pages = Pages::new().on("GET /mail/", Page::ok(body));
        let (ran, _) = run_steps(pages, json!([{ "name": "look", "expect": [{ "json": "/state" }] }])).await;
        assert_failed(&ran, "protocol", "look: no /state of the JSON; the status is 200");
    }
}

#[tokio::test]
async fn what_a_page_says_to_people_is_quoted_where_the_script_says_how() {
    let pages = Pages::new().on("GET /mail/", Page::new("401 No").body("x show(\"Login\u{1b}[31m failed.\",1)"));
    let server = HttpServer::start(pages).await.unwrap();
    let steps = json!([{ "name": "login", "expect": [{ "status": [200], "otherwise": "auth" }] }]);
    let says = |after: &str| json!({ "says": { "after": [after], "until": "\"" } });
    let ran = run(&config(&server, steps.clone(), says("show(\""))).await;
    // Control characters make it no value, so nothing of it is shown.
    assert_failed(&ran, "auth", "login: status 401 instead of 200");
    let ran = run(&config(&server, steps.clone(), says("failed"))).await;
    assert_failed(&ran, "auth", "login: status 401 instead of 200; the page says \".\"");
}

#[tokio::test]
async fn a_step_with_time_is_asked_again_until_all_is_there() {
    let pages =
        || Pages::new().on("GET /mail/", Page::ok("wait")).on("GET /mail/", Page::new("503 Later")).on("GET /mail/", Page::ok("come, 7."));
    let steps = json!([{
        "name": "arrival", "within": "20s", "expect": [{ "contains": "come" }], "take": { "n": { "after": ["come, "], "until": "." } },
    }]);
    let (ran, asked) = run_steps(pages(), steps).await;
    assert_eq!((ran.failure(), asked.len()), (None, 3));
    let steps = json!([{ "name": "arrival", "within": "1s", "expect": [{ "contains": "never" }] }]);
    let (ran, asked) = run_steps(pages(), steps).await;
    assert_failed(&ran, "protocol", "arrival: still after 1 s: no \"never\" in the page; the status is 200");
    assert!(asked.len() > 2, "{asked:?}");
}
