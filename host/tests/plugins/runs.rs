//! Misbehaviour that stays within one run.

use std::time::{Duration, Instant};

use watchpost::plugin::{JobOpen, RunRequest};

use crate::zoo::{LONG, Zoo, does, example, job, said, values};

#[tokio::test]
async fn a_panic_is_the_runs_own_and_names_its_place() {
    let zoo = Zoo::with("panic").await;
    let (kind, message) = zoo.said(1, LONG).await;
    assert!(kind == "panic" && message.starts_with("measure of a run at ") && message.contains("zoo.rs:"), "{kind}: {message}");
    assert_eq!(zoo.0.report().crashes, 0);
    // The agent lives on, with what it recorded before.
    assert_eq!(values(&zoo.run(1, LONG).await), [("runs", 2.0)]);
}

#[tokio::test]
async fn a_panic_in_new_refuses_the_job_with_its_message() {
    let zoo = Zoo::with("panic-in-new").await;
    let error = zoo.0.examine("beast", &does("panic-in-new")).await.unwrap_err();
    assert!(error.kind().name() == "panic" && error.message().starts_with("new of an agent at "), "{error:?}");
    // Asked at once or later, a run says what its agent died of.
    for _ in 0..2 {
        let (kind, message) = zoo.said(1, LONG).await;
        assert!(kind == "panic" && message.starts_with("new of an agent at "), "{kind}: {message}");
    }
    assert_eq!(zoo.0.report().crashes, 0);
}

#[tokio::test]
async fn an_agent_that_cannot_be_made_does_not_tell_its_secret() {
    let zoo = Zoo::of(&example("zoo")).await;
    let config = r#"{ "does": "betray-in-new", "secret": "geheim-4711" }"#;
    zoo.0.open(JobOpen { secrets: vec!["geheim-4711".into()], ..job(1, "betrays", config) });
    for _ in 0..2 {
        assert_eq!(zoo.said(1, LONG).await, ("config", "cannot use <secret>".into()));
    }
}

#[tokio::test]
async fn a_run_without_end_ends_at_its_deadline_even_if_its_drop_panics() {
    for what in ["pend", "panic-in-drop"] {
        let zoo = Zoo::with(what).await;
        let began = Instant::now();
        let message = "no end within 0.3 s; runs was the last it recorded".to_owned();
        assert_eq!(zoo.said(1, Duration::from_millis(300)).await, ("timeout", message), "{what}");
        assert!(began.elapsed() < Duration::from_secs(2), "{what}: {:?}", began.elapsed());
        assert_eq!(values(&zoo.run(1, Duration::from_millis(100)).await), [("runs", 2.0)], "{what}");
        assert_eq!(zoo.0.report().crashes, 0, "{what}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_refused_and_counted_while_the_rest_is_kept() {
    for (what, why) in [("nan", "NaN"), ("undeclared", "undeclared")] {
        let zoo = Zoo::with(what).await;
        let end = zoo.run(1, LONG).await;
        assert_eq!((said(&end).0, values(&end), end.outcome.refused), ("ok", vec![("runs", 1.0)], 1), "{what}");
        assert!(end.outcome.refusal.as_ref().is_some_and(|refusal| refusal.contains(why)), "{:?}", end.outcome.refusal);
    }
}

#[tokio::test]
async fn a_cursor_comes_back_as_it_was_left() {
    let zoo = Zoo::with("cursor").await;
    let first = zoo.run(1, LONG).await.outcome;
    assert_eq!((first.cursor.as_deref(), first.cursor_read), (Some([7].as_slice()), true));
    let request = RunRequest { job: 1, timeout: LONG, cursor: first.cursor, explain: false };
    let second = zoo.0.run(request).await;
    assert_eq!((values(&second), second.outcome.cursor.as_deref()), (vec![("runs", 1.0)], Some([7, 7].as_slice())));
}
