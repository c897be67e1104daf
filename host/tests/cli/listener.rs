//! Series at the listener: the same as at the socket and from the command, and no more than reading.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{Daemon, House, http, until},
    job, parsed, willing,
};

/// What the listener answers, which the socket answers as well.
fn ask(house: &House, daemon: &Daemon, path: &str) -> (u16, String) {
    let (outside, inside) = (daemon.get(path).unwrap(), http::ask(&house.socket(), "GET", path).unwrap());
    assert_eq!((outside.status, &outside.body), (inside.status, &inside.body), "{path}");
    (outside.status, outside.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_gives_what_the_command_gives() {
    let server = willing().await;
    let house = House::new(&job("often", "every = \"1s\"\nlabels = { site = \"paris\" }", server.port()));
    let daemon = house.start();
    let ran = || crate::json(&house, &["jobs"])[0]["ok"].as_u64() > Some(3);
    assert!(until(Duration::from_secs(30), || ran().then_some(())).is_some(), "{}", daemon.log_text());
    let last = crate::json(&house, &["jobs"])[0]["last_run"].as_f64().unwrap() as i64;
    let [from, to] = [(last - 10).to_string(), (last - 1).to_string()];
    for format in ["csv", "json"] {
        let command = house.run(&["fetch", "total_time{site=\"paris\"}", "up", "--from", &from, "--to", &to, "--format", format]).ok();
        let path = format!("/api/v1/fetch?series=total_time%7Bsite%3D%22paris%22%7D&series=up&from={from}&to={to}&format={format}");
        assert_eq!(ask(&house, &daemon, &path), (200, command));
    }
    let values = &parsed(&ask(&house, &daemon, &format!("/api/v1/fetch?series=up&from=end-5s&to={to}")).1)[0]["values"];
    assert!(values.as_array().unwrap().len() == 5 && values.as_array().unwrap().contains(&json!(1.0)), "{values}");
    let command = crate::json(&house, &["fetch", "up", "--since", "end-5s", "--until", &to]);
    assert_eq!(&command[0]["values"], values, "as `events` names the ends of a range");
    lists(&house, &daemon);
    refuses(&house, &daemon);
    assert!(daemon.stop().status.success());
}

fn lists(house: &House, daemon: &Daemon) {
    let body = daemon.get("/api/v1/series").unwrap().body;
    let all = parsed(&body);
    let of = |name: &str| all.as_array().unwrap().iter().find(|series| series["name"] == name).cloned().unwrap_or_else(|| panic!("{body}"));
    let up = of("up");
    let told = ["agent", "job", "unit", "kind", "step", "file", "series", "value"].map(|key| &up[key]);
    let expected: [Value; 8] = [
        json!("smtp"),
        json!("often"),
        json!("number"),
        json!("gauge"),
        json!(1),
        json!("series/often/_.rrd"),
        json!("up{job=\"often\",site=\"paris\"}"),
        json!(1.0),
    ];
    assert_eq!(told, expected.each_ref());
    let [first, last] = ["first", "last"].map(|key| up[key].as_i64().unwrap());
    assert!(first < last && last - first < 60, "{up}");
    assert!(up["help"].as_str().is_some_and(|help| help.contains("up")) && up["labels"]["target"].is_string(), "{up}");
    assert_eq!(of("connect_time")["unit"], "seconds");
    let one = parsed(&daemon.get("/api/v1/series?series=connect_time&details=true").unwrap().body);
    assert_eq!(one.as_array().map(Vec::len), Some(1), "{one}");
    let file = &one[0]["files"][0];
    let length = std::fs::metadata(house.data().join(file["path"].as_str().unwrap())).unwrap().len();
    assert_eq!((file["bytes"].as_u64(), &file["current"], &file["archives"][0]["step"]), (Some(length), &json!(true), &json!(1)));
}

fn refuses(house: &House, daemon: &Daemon) {
    for (query, part) in [
        ("fetch", "name at least one series"),
        ("fetch?series=never", "no series matches never: no metric is called so"),
        ("fetch?series=up&fromat=csv", "`fromat` is no parameter here; did you mean format?"),
        ("fetch?series=up&format=xls", "did you mean xlsx?"),
        ("fetch?series=up&from=soon", "right would be now-1h, -2d, midnight"),
        ("fetch?series=up&from=start-1h", "hangs on itself"),
        ("fetch?series=up&timezone=Europe/Pari", "Europe/Paris"),
        ("fetch?series=up&from=2020-01-01&step=1&to=2060-01-01&step=x", "`x` is no step"),
        ("series?series=up%7B", "`up{` is no series: column 4"),
        ("series?details=yes", "write true or false"),
        ("series?job=often", "`job` is no parameter here; there are series, details"),
    ] {
        let (status, body) = ask(house, daemon, &format!("/api/v1/{query}"));
        let error = parsed(&body)["error"].as_str().unwrap_or_default().to_owned();
        assert!(status == 400 && error.contains(part), "{query}: {status} {body}");
    }
}
