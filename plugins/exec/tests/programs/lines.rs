//! Programs that are started for each run, and tell in lines.

use serde_json::json;
use watchpost_exec::{LINES_REFUSED, LINES_TAKEN};
use watchpost_plugin_api::{Kind, standard};

use crate::{Job, events, measured};

#[tokio::test]
async fn json_lines_give_metrics_with_labels_units_and_kinds() {
    let script = r#"cat <<'END'
{"metric":"queue_size","value":3,"labels":{"queue":"deferred"}}
{"metric":"Oldest Age","value":1500,"unit":"ms","help":"How old."}
{"metric":"sent","value":7,"kind":"counter","unit":"messages"}
{"metric":"unknown","value":null}

{"event":"held","severity":"major","text":"mail is held"}
END"#;
    let ran = Job::of("json-lines", script).run().await;
    assert_eq!(ran.failure(), None);
    assert_eq!(measured(&ran), ["oldest_age_3294 1.5", "queue_size{deferred} 3", "sent 7"]);
    assert_eq!(events(&ran), [("held", "mail is held")]);
    assert_eq!((ran.value(LINES_TAKEN), ran.value(LINES_REFUSED)), (Some(5.0), Some(0.0)));
    assert!(ran.value(standard::TOTAL_TIME).is_some());
    let declared = |name: &str| ran.outcome.declared.iter().find(|spec| spec.name == name).unwrap();
    assert_eq!(declared("queue_size"), &standard::QUEUE_SIZE.spec(), "it is the metric that every agent has");
    assert_eq!((declared("oldest_age_3294").help.as_str(), declared("sent").kind), ("How old.", Kind::Counter));
}

#[tokio::test]
async fn every_form_tells_the_same() {
    let forms = [
        ("influx", "echo 'mail,queue=in size=3i,text=\"x\"'"),
        ("putval", "echo \"PUTVAL \\\"$COLLECTD_HOSTNAME/mail/size-in\\\" interval=$COLLECTD_INTERVAL N:3\""),
        ("prometheus", "echo '# TYPE mail_size gauge'; echo 'mail_size{queue=\"in\"} 3'"),
        ("json-lines", "echo '{\"metric\":\"mail_size\",\"value\":3,\"labels\":{\"queue\":\"in\"}}'"),
    ];
    for (format, script) in forms {
        let ran = Job::of(format, script).run().await;
        assert_eq!((ran.failure(), measured(&ran)), (None, vec!["mail_size{in} 3".to_owned()]), "{format}");
    }
}

#[tokio::test]
async fn a_page_for_prometheus_keeps_its_counters_and_gets_out_of_the_hosts_way() {
    let script = "cat <<'END'\n# HELP http_requests_total All.\n# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\",job=\"x\"} 5\n\
        # TYPE wait_seconds histogram\nwait_seconds_bucket{le=\"1\"} 2\nwait_seconds_sum 1.5\nwait_seconds_count 2\nEND";
    let ran = Job::of("prometheus", script).run().await;
    let expected = ["http_requests{200,x} 5", "wait_seconds_buckets{1} 2", "wait_seconds_counts 2", "wait_seconds_sums 1.5"];
    assert_eq!(measured(&ran), expected);
    let requests = ran.outcome.declared.iter().find(|spec| spec.name == "http_requests").unwrap();
    assert_eq!((requests.kind, requests.keys.join(","), requests.help.as_str()), (Kind::Counter, "code,exported_job".into(), "All."));
}

#[tokio::test]
async fn a_metric_whose_labels_differ_from_line_to_line_has_them_all() {
    let script = "echo 'mail,queue=in value=1'; echo 'mail,host=a value=2'; echo 'mail value=3'";
    let ran = Job::of("influx", script).run().await;
    assert_eq!((ran.outcome.refused, measured(&ran)), (0, vec!["mail{,a} 2".to_owned(), "mail{,} 3".into(), "mail{in,} 1".into()]));
}

#[tokio::test]
async fn what_a_program_says_has_failed_fails_the_run_and_what_it_measured_is_kept() {
    let script = r#"echo '{"metric":"a","value":1}'; echo '{"error":"auth","text":"login refused"}'"#;
    let ran = Job::of("json-lines", script).run().await;
    assert_eq!((ran.failure(), ran.outcome.status.up()), (Some(("auth", "login refused")), Some(0.0)));
    assert_eq!(measured(&ran), ["a 1"]);
}

#[tokio::test]
async fn a_program_that_fails_or_tells_nothing_leaves_the_target_unknown() {
    let check = async |script: &str, why: &str, expected: &[&str]| {
        let ran = Job::of("influx", script).run().await;
        assert_eq!((ran.failure(), ran.outcome.status.up()), (Some(("local", why)), None), "{script}");
        assert_eq!(measured(&ran), expected, "{script}");
    };
    check("echo 'a value=1'; echo one >&2; echo two >&2; exit 4", "the program ended with 4: two", &["a 1"]).await;
    check("exit 4", "the program ended with 4", &[]).await;
    check("true", "the program has told nothing", &[]).await;
    check("echo garbage", "nothing of what the program tells can be taken: no fields: garbage", &[]).await;
}

#[tokio::test]
async fn lines_that_are_not_understood_are_counted_and_shown_by_example() {
    let script =
        "echo 'a value=1'; printf '\\033[31mred\\n'; echo 'b value=2'; head -c 70000 /dev/zero | tr '\\0' x; echo; printf 'c value=3'";
    let ran = Job::of("influx", script).run().await;
    assert_eq!((ran.failure(), measured(&ran)), (None, vec!["a 1".to_owned(), "b 2".into(), "c 3".into()]));
    assert_eq!(ran.value(LINES_REFUSED), Some(2.0));
    assert_eq!(events(&ran), [("lines_refused", "2 of 5 lines could not be taken, e.g. no fields: \\u{1b}[31mred")]);
}

#[tokio::test]
async fn ten_thousand_metrics_or_series_harm_nobody() {
    let script = "i=0; while [ $i -lt 400 ]; do echo \"m$i value=1\"; i=$((i+1)); done";
    let ran = Job::of("influx", script).run().await;
    assert_eq!((ran.failure(), measured(&ran).len(), ran.value(LINES_REFUSED)), (None, 190, Some(210.0)));
    let script = "seq 1 12000 | sed 's/.*/m,n=& value=1/'";
    let ran = Job::of("influx", script).run().await;
    assert_eq!((ran.failure(), measured(&ran).len(), ran.outcome.refused), (None, 9900, 0));
}

#[tokio::test]
async fn the_environment_is_what_the_job_says_and_nothing_is_inherited() {
    let script = "env | sed -n 's/=.*//p' | grep -v -e '^PWD$' -e '^_$' -e SHLVL -e OLDPWD | sort | sed 's/.*/v,name=& value=1/'";
    let job = Job::of("influx", script).with("env", json!({ "MINE": "1" })).with("secret_env", json!({ "THEIRS": "2" }));
    assert_eq!(measured(&job.run().await), ["v{LC_ALL} 1", "v{MINE} 1", "v{PATH} 1", "v{THEIRS} 1"]);
}

#[tokio::test]
async fn a_value_of_another_time_is_refused_whatever_the_form() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let forms = [
        ("influx", "a value=1 TIME000000000"),
        ("putval", "PUTVAL h/a/a TIME:1"),
        ("json-lines", r#"{"metric":"a","value":1,"time":TIME}"#),
        ("prometheus", "a 1 TIME000"),
        // As OpenMetrics writes it.
        ("prometheus", "a 1 TIME.5"),
    ];
    for (format, line) in forms {
        let line = |time: u64| line.replace("TIME", &time.to_string());
        let tell = async |lines: [&str; 2]| Job::of(format, &format!("cat <<'END'\n{}\nEND", lines.join("\n"))).run().await;
        for (time, why) in [(now - 1000, "it is older than 300 s"), (now + 1000, "it is of a time more than 300 s ahead")] {
            let alone = tell([&line(time), ""]).await;
            let expected = format!("nothing of what the program tells can be taken: {why}: {}", line(time));
            assert_eq!((alone.failure(), measured(&alone)), (Some(("local", expected.as_str())), vec![]), "{format}");
            let beside = tell([&line(time), &line(now)]).await;
            assert_eq!((beside.failure(), measured(&beside).len()), (None, 1), "{format}");
            assert_eq!((beside.value(LINES_TAKEN), beside.value(LINES_REFUSED)), (Some(1.0), Some(1.0)), "{format}");
        }
    }
}

#[tokio::test]
async fn what_comes_after_the_end_is_refused() {
    for (format, line, end) in [
        ("prometheus", "echo 'a NUMBER'", "echo '# EOF'"),
        ("json-lines", "echo '{\"metric\":\"a\",\"value\":NUMBER}'", "echo '{\"end\":true}'"),
    ] {
        let script = format!("{}; {end}; {}; echo", line.replace("NUMBER", "1"), line.replace("NUMBER", "2"));
        let ran = Job::of(format, &script).run().await;
        assert_eq!((ran.failure(), measured(&ran)), (None, vec!["a 1".to_owned()]), "{format}");
        assert_eq!(ran.value(LINES_REFUSED), Some(1.0), "{format}");
        let [(_, text)] = events(&ran).try_into().unwrap();
        assert!(text.contains("the program has said before that this is all: "), "{text}");
    }
}

#[tokio::test]
async fn how_long_a_program_ran_is_not_for_it_to_say() {
    let script = r#"echo '{"metric":"total_time","value":-1,"unit":"seconds"}'; echo '{"metric":"a","value":1}'"#;
    let ran = Job::of("json-lines", script).run().await;
    assert_eq!((ran.failure(), measured(&ran)), (None, vec!["a 1".to_owned()]));
    assert!(ran.value(standard::TOTAL_TIME).is_some_and(|seconds| seconds > 0.0), "{:?}", ran.outcome.samples);
    let [(_, text)] = events(&ran).try_into().unwrap();
    assert!(text.contains("`total_time` is how long the program ran, and measured here"), "{text}");
}
