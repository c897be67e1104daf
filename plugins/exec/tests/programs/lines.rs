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
    check("echo garbage", "the program is not understood: no fields: garbage", &[]).await;
}

#[tokio::test]
async fn lines_that_are_not_understood_are_counted_and_shown_by_example() {
    let script =
        "echo 'a value=1'; printf '\\033[31mred\\n'; echo 'b value=2'; head -c 70000 /dev/zero | tr '\\0' x; echo; printf 'c value=3'";
    let ran = Job::of("influx", script).run().await;
    assert_eq!((ran.failure(), measured(&ran)), (None, vec!["a 1".to_owned(), "b 2".into(), "c 3".into()]));
    assert_eq!(ran.value(LINES_REFUSED), Some(2.0));
    assert_eq!(events(&ran), [("lines_refused", "2 of 5 lines were not understood, e.g. no fields: \\u{1b}[31mred")]);
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
