//! A panic in an author's code ends at the fence: it becomes an error with its message and its place, and harms nothing else.

use std::time::Duration;

use serde_json::json;
use watchpost_plugin_api::prelude::*;
use watchpost_testkit::Kit;

const STEPS: Metric = Metric::gauge("steps", Unit::Number, "Steps taken before the panic.");

/// Where an agent panics.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum At {
    New,
    Target,
    FirstPoll,
    LaterPoll,
    Drop,
    DropOfFuture,
    DropOfPayload,
    NotText,
    Never,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Config {
    at: At,
}

struct Faulty(Config);

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        assert!(self.0.at != At::Drop, "dropped badly");
    }
}

impl Agent for Faulty {
    type Config = Config;
    const NAME: &'static str = "faulty";
    const METRICS: &'static [Metric] = &[STEPS];

    fn new(config: Config) -> Result<Self, AgentError> {
        assert!(config.at != At::New, "made badly");
        Ok(Self(config))
    }

    fn target(config: &Config) -> String {
        assert!(config.at != At::Target, "named badly");
        "here".into()
    }

    fn needs(_: &Config) -> Needs {
        Needs::none()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        cx.record(STEPS, 1);
        match self.0.at {
            At::FirstPoll => panic!("polled badly"),
            At::LaterPoll => {
                cx.sleep(Duration::from_millis(1)).await;
                cx.record(STEPS, 2);
                panic!("polled badly {}", "later")
            }
            At::DropOfFuture => {
                let _bomb = Bomb("left badly");
                cx.sleep(Duration::from_secs(3600)).await;
            }
            At::DropOfPayload => std::panic::panic_any(Bomb("a payload with a bomb in it")),
            At::NotText => std::panic::panic_any(7),
            _ => {}
        }
        Ok(())
    }
}

fn kit(at: &str) -> Result<Kit<Faulty>, AgentError> {
    Kit::new(&json!({ "at": at })).map(|kit| kit.timeout(Duration::from_secs(2)))
}

/// Message and place: the place is this file, at some line.
#[track_caller]
fn assert_told((kind, message): (&str, &str), expected: &str) {
    let place = format!("{expected} at {}:", file!());
    let line = message.strip_prefix(&place).unwrap_or_else(|| panic!("{message:?} does not begin with {place:?}"));
    assert_eq!((kind, line.parse::<u32>().is_ok()), ("panic", true), "{message}");
}

#[test]
fn a_panic_while_an_agent_is_made_is_an_error_with_its_place() {
    let error = kit("new").err().unwrap();
    assert_told((error.kind().name(), error.message()), "made badly");
}

#[test]
fn a_panic_while_a_configuration_is_examined_is_an_error_with_its_place() {
    for (at, expected) in [("target", "named badly"), ("new", "made badly")] {
        let error = Kit::<Faulty>::examine(&json!({ "at": at })).err().unwrap();
        assert_told((error.kind().name(), error.message()), expected);
    }
}

#[tokio::test]
async fn a_panic_in_a_measurement_is_an_error_with_its_place_and_keeps_what_was_recorded() {
    for (at, expected, steps) in [
        ("first_poll", "polled badly", 1.0),
        ("later_poll", "polled badly later", 2.0),
        ("not_text", "no message", 1.0),
        ("drop_of_payload", "no message", 1.0),
    ] {
        let ran = kit(at).unwrap().run().await;
        assert_told(ran.failure().unwrap(), expected);
        assert_eq!(ran.value(STEPS), Some(steps), "{at}");
        assert_eq!(ran.outcome.status.up(), None, "a panic says nothing of the target");
    }
}

#[tokio::test]
async fn an_agent_that_panicked_runs_again() {
    let mut kit = kit("later_poll").unwrap();
    for _ in 0..3 {
        let ran = kit.run().await;
        assert_told(ran.failure().unwrap(), "polled badly later");
    }
}

#[tokio::test]
async fn a_panic_while_a_late_run_is_cut_off_ends_at_the_fence() {
    let ran = kit("drop_of_future").unwrap().run().await;
    assert_eq!(ran.failure(), Some(("timeout", "no end within 2 s; steps was the last it recorded")));
}

#[tokio::test]
async fn a_panic_while_an_agent_is_dropped_ends_at_the_fence() {
    let mut kit = kit("drop").unwrap();
    assert_eq!(kit.run().await.failure(), None);
    drop(kit);
    assert_eq!(self::kit("never").unwrap().run().await.failure(), None);
}

#[test]
fn an_agent_that_is_dropped_badly_after_it_was_examined_is_accepted() {
    assert_eq!(Kit::<Faulty>::examine(&json!({ "at": "drop" })).map(|examined| examined.target), Ok("here".into()));
}
