//! What a run may leave, and what is kept of one that fails: the contract of an agent, through the kit.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use serde_json::json;
use watchpost_plugin_api::prelude::*;
use watchpost_testkit::{Kit, Script, Server};

const SEEN: Metric = Metric::gauge("seen", Unit::Number, "Runs seen before this one.");
const FIRST_TIME: Metric = Metric::gauge("first_time", Unit::Seconds, "Time of a phase that comes twice.");
const SECOND_TIME: Metric = Metric::gauge("second_time", Unit::Seconds, "Time of a phase that comes once.");

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// What to do besides counting.
    does: String,
    /// Something to let slip.
    token: Option<Secret>,
    /// Where to look for a server.
    port: Option<u16>,
}

/// Counts its runs by the cursor.
struct Counter(Config);

impl Agent for Counter {
    type Config = Config;
    const NAME: &'static str = "counter";
    const METRICS: &'static [Metric] = &[SEEN, FIRST_TIME, SECOND_TIME, standard::TOTAL_TIME];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(_: &Config) -> String {
        "here".into()
    }

    fn needs(config: &Config) -> Needs {
        config.port.into_iter().fold(Needs::none(), Needs::tcp)
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let token = self.0.token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default();
        match self.0.does.as_str() {
            "count" => return count(cx),
            "fail" => {
                count(cx)?;
                return Err(AgentError::protocol("no luck"));
            }
            "overrun" => {
                cx.record(SEEN, 1);
                cx.sleep(Duration::from_secs(3600)).await;
            }
            "blab" => {
                cx.log(Level::Info, &format!("the token is {token}"));
                cx.event(Severity::Minor, "blab", &format!("it is {token}"));
                return Err(AgentError::auth(format!("{token} was refused")));
            }
            "blab made" => {
                let made = format!("{token}-made");
                cx.hide(&made)?;
                cx.log(Level::Info, &format!("made {made}"));
                return Err(AgentError::auth(format!("{made} was refused")));
            }
            "laps" => laps(cx).await,
            "hurry" => {
                let work = async {
                    cx.sleep(Duration::from_millis(1)).await;
                    cx.record(SEEN, cx.within(Duration::from_secs(9), async { Ok(7) }).await?);
                    cx.sleep(Duration::from_secs(3600)).await;
                    Ok(())
                };
                let late = cx.within(Duration::from_millis(50), work).await;
                assert!(cx.elapsed() >= Duration::from_millis(50));
                return late;
            }
            "skip" => skip(cx).await,
            "call" => {
                let address = std::net::SocketAddr::from(([127, 0, 0, 1], self.0.port.unwrap_or(0)));
                let stream = cx.connect(address).await?;
                let ends = stream.ends()?;
                assert_eq!(ends.peer, Some(address));
                assert_eq!(ends.local.map(|local| local.ip()), Some(address.ip()));
                Lines::new(stream).write(&format!("HELLO {token}")).await?;
            }
            "whisper" => {
                let stream = cx.connect(std::net::SocketAddr::from(([127, 0, 0, 1], self.0.port.unwrap_or(0)))).await?;
                let mut lines = Lines::new(stream);
                lines.write("LOUD").await?;
                lines.binary();
                lines.write("HUSHED").await?;
                cx.hide("Reineclaude-21")?;
                cx.note_sent("a Reineclaude-21");
                while lines.read_within(1024).await? != "end" {}
                cx.note_received("four lines");
            }
            other => return Err(AgentError::config("does", format!("does not know how to {other}"))),
        }
        Ok(())
    }
}

fn count(cx: &Cx) -> Result<(), AgentError> {
    let seen = cx.cursor().map_or(0, |cursor| cursor.len());
    cx.record(SEEN, seen);
    cx.set_cursor(&vec![b'.'; seen + 1])
}

async fn laps(cx: &Cx) {
    let mut laps = cx.laps();
    for phase in [FIRST_TIME, SECOND_TIME, FIRST_TIME] {
        cx.sleep(Duration::from_millis(5)).await;
        laps.lap(phase);
    }
    // A moment that an earlier lap covered already.
    assert_eq!(laps.lap_at(SECOND_TIME, Duration::ZERO), Duration::ZERO);
    cx.sleep(Duration::from_millis(5)).await;
    laps.total(standard::TOTAL_TIME);
}

async fn skip(cx: &Cx) {
    let mut laps = cx.laps();
    for phase in [Some(FIRST_TIME), None, Some(SECOND_TIME)] {
        cx.sleep(Duration::from_millis(5)).await;
        match phase {
            Some(phase) => drop(laps.lap(phase)),
            None => laps.skip(),
        }
    }
    laps.total(standard::TOTAL_TIME);
}

fn kit(does: &str) -> Kit<Counter> {
    Kit::new(&json!({ "does": does, "token": "Zwetschge-55" })).unwrap().timeout(Duration::from_millis(500)).explain()
}

#[tokio::test]
async fn what_a_good_run_leaves_is_given_to_the_next() {
    let mut kit = kit("count");
    for seen in 0..3 {
        assert_eq!(kit.run().await.value(SEEN), Some(f64::from(seen)));
    }
}

#[tokio::test]
async fn a_run_that_read_the_cursor_and_failed_leaves_the_old_cursor_and_no_samples() {
    let mut kit = kit("fail").cursor("..");
    for _ in 0..2 {
        let ran = kit.run().await;
        assert_eq!(ran.failure(), Some(("protocol", "no luck")));
        assert!(ran.outcome.cursor_read && ran.outcome.cursor.is_none() && ran.recorded().is_empty());
    }
}

#[tokio::test]
async fn a_late_run_keeps_what_it_recorded() {
    let ran = kit("overrun").run().await;
    assert_eq!(ran.failure(), Some(("timeout", "no end within 0.5 s; seen was the last it recorded")));
    assert_eq!(ran.value(SEEN), Some(1.0));
}

#[tokio::test]
async fn a_part_of_a_run_may_have_a_time_of_its_own() {
    let ran = kit("hurry").run().await;
    assert_eq!(ran.failure(), Some(("timeout", "no end within 50ms")));
    assert_eq!(ran.value(SEEN), Some(7.0));
}

#[tokio::test]
async fn laps_of_one_phase_add_up_and_all_phases_to_the_total() {
    let ran = kit("laps").run().await;
    let [first, second, total] = [FIRST_TIME, SECOND_TIME, standard::TOTAL_TIME].map(|time| ran.nanos(time).unwrap());
    assert_eq!(first + second, total);
    assert!(first >= 10_000_000 && second >= 5_000_000, "{first} {second}");
}

#[tokio::test]
async fn what_is_skipped_between_laps_is_in_no_phase_and_not_in_the_total() {
    let ran = kit("skip").run().await;
    let [first, second, total] = [FIRST_TIME, SECOND_TIME, standard::TOTAL_TIME].map(|time| ran.nanos(time).unwrap());
    assert_eq!(first + second, total);
    assert!(first >= 5_000_000 && second >= 5_000_000, "{first} {second}");
    assert!(total + 5_000_000 <= ran.outcome.duration_ns, "{total} of {}", ran.outcome.duration_ns);
}

#[tokio::test]
async fn a_secret_marked_in_the_schema_is_seen_nowhere() {
    let ran = kit("blab").run().await;
    assert_eq!(ran.failure(), Some(("auth", "<secret> was refused")));
    assert_eq!(ran.logged[0].1, "the token is <secret>");
    assert_eq!(ran.outcome.events[0].text, "it is <secret>");
    assert!(!ran.everything().contains("Zwetschge"));
}

#[tokio::test]
async fn what_an_agent_makes_of_a_secret_and_hides_is_masked_whole() {
    let ran = kit("blab made").run().await;
    assert_eq!(ran.failure(), Some(("auth", "<secret> was refused")));
    assert_eq!(ran.logged[0].1, "made <secret>");
}

#[tokio::test]
async fn a_server_hears_the_secret_and_the_dialogue_shows_a_mask() {
    let server = Server::start(Script::new().expect_parts(&["HELLO ", "55"])).await.unwrap();
    let mut kit = Kit::<Counter>::new(&json!({ "does": "call", "token": "Zwetschge-55", "port": server.port() })).unwrap().explain();
    let ran = kit.run().await;
    assert_eq!(ran.failure(), None);
    assert_eq!(server.served().await.unwrap().heard, ["HELLO Zwetschge-55"]);
    assert!(ran.dialogue.iter().any(|said| said.text == "HELLO <secret>"), "{:?}", ran.dialogue);
}

#[tokio::test]
async fn lines_that_are_counted_are_seen_by_nobody_and_their_bytes_are_one_figure_each_way() {
    let said = Script::new().expect("LOUD").expect("HUSHED").say("private").pause(Duration::from_millis(5)).say("matters\n\nend");
    let server = Server::start(said).await.unwrap();
    let mut kit = Kit::<Counter>::new(&json!({ "does": "whisper", "port": server.port() })).unwrap().explain();
    let ran = kit.run().await;
    assert_eq!(ran.failure(), None);
    assert_eq!(server.served().await.unwrap().broke, None);
    let said: Vec<&str> = ran.dialogue.iter().skip(1).map(|said| said.text.as_str()).collect();
    assert_eq!(said, ["LOUD", "sent 8 bytes", "a <secret>", "received 25 bytes", "four lines"]);
}

#[tokio::test]
async fn a_line_is_read_up_to_the_bound_that_is_asked_for() {
    for (bytes, message) in [(1022, None), (1023, Some("a line without an end: more than 1 KiB"))] {
        let server = Server::start(Script::new().expect("").expect("").say(&"x".repeat(bytes)).say("end").silence()).await.unwrap();
        let mut kit = Kit::<Counter>::new(&json!({ "does": "whisper", "port": server.port() })).unwrap();
        assert_eq!(kit.run().await.failure(), message.map(|message| ("protocol", message)), "{bytes}");
    }
}
