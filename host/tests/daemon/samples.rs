//! Several measurements in each run: what is lost, and how the times are spread.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::{
    harness::{House, until},
    servers::job,
};

/// How long the server waits before its greeting, by the place of a connection among its four; the fourth is closed unheard.
const GREETINGS: [u64; 3] = [20, 60, 40];

/// Takes connections until the test ends: of each four in a row one is lost.
fn one_of_four_is_lost() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (place, stream) in (0..4).cycle().zip(listener.incoming()) {
            if let (Some(wait), Ok(stream)) = (GREETINGS.get(place), stream) {
                // A client that goes early is no matter of ours.
                drop(serve(stream, Duration::from_millis(*wait)));
            }
        }
    });
    port
}

fn serve(mut stream: TcpStream, wait: Duration) -> std::io::Result<()> {
    thread::sleep(wait);
    let mut lines = BufReader::new(stream.try_clone()?);
    for said in ["220 ready\r\n", "250 here\r\n", "221 bye\r\n"] {
        stream.write_all(said.as_bytes())?;
        lines.read_line(&mut String::new())?;
    }
    Ok(())
}

#[test]
fn a_run_of_four_measurements_gives_quantiles_of_every_phase_and_the_loss() {
    let port = one_of_four_is_lost();
    let house = House::new(&job("mx", "every = \"2s\"\nsamples = 4", port));
    let daemon = house.start();
    let scraped = until(Duration::from_secs(20), || {
        let text = daemon.get("/metrics").ok()?.body;
        text.contains("watchpost_loss_ratio").then_some(text)
    });
    let scraped = scraped.expect("the job runs");
    let value = |name: &str, q: &str| -> f64 {
        let begin = format!("watchpost_{name}{{agent=\"smtp\",job=\"mx\",target=\"127.0.0.1:{port}\"{q}}} ");
        let line = scraped.lines().find_map(|line| line.strip_prefix(&begin));
        line.unwrap_or_else(|| panic!("no {begin} in\n{scraped}")).parse().unwrap()
    };
    assert_eq!((value("loss_ratio", ""), value("up", "")), (0.25, 1.0));
    let banners = ["0", "0.5", "0.95", "1"].map(|q| value("banner_time_seconds", &format!(",q=\"{q}\"")));
    for (banner, least) in banners.iter().zip([0.02, 0.04, 0.058, 0.06]) {
        assert!((least..least + 0.5).contains(banner), "{banners:?}");
    }
    assert!(banners.is_sorted(), "{banners:?}");
    assert!(!scraped.contains("watchpost_banner_time_seconds{agent=\"smtp\",job=\"mx\",target=\"127.0.0.1:{port}\"} "));

    // Each quantile is a series, and the loss another one.
    let fetched = |series: &str| house.run(&["fetch", series, "--from", "now-1min", "--format", "json"]).ok();
    let rows = until(Duration::from_secs(10), || Some(fetched("loss{job=\"mx\"}")).filter(|rows| rows.contains("0.25")));
    assert!(rows.is_some(), "{}", fetched("loss{job=\"mx\"}"));
    assert_eq!(fetched("banner_time{job=\"mx\"}").matches("\"q\"").count(), 4);
    let folder = house.data().join("series/mx");
    for file in ["_.rrd", "q=0.rrd", "q=0.5.rrd", "q=0.95.rrd", "q=1.rrd"] {
        assert!(folder.join(file).exists(), "{file}");
    }
    assert!(daemon.stop().status.success());
}

#[test]
fn a_server_that_is_gone_is_lost_wholly_and_down() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let house = House::new(&job("mx", "every = \"5s\"\nsamples = 3", gone));
    let said = house.run(&["measure", "mx", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let loss = answer["outcome"]["samples"].as_array().unwrap().iter().find(|sample| sample["metric"] == "loss").cloned();
    assert_eq!((said.code, &answer["up"], &loss.unwrap()["value"]), (Some(1), &0.0.into(), &1.0.into()), "{answer}");
}

#[test]
fn a_run_that_acts_on_the_world_is_not_repeated() {
    let acting = job("mx", "every = \"5s\"\nsamples = 3", 25).replace("port", "submit = true, from = \"a@b\", to = \"c@d\", port");
    let said = House::new(&acting).run(&["check"]);
    assert!(said.code == Some(2) && said.err.contains("jobs.toml:5:11") && said.err.contains("acts on the world"), "{said:?}");
}
