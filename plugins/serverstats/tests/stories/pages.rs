//! What servers say well.

use watchpost_plugin_api::standard::{CONNECT_TIME, QUERY_TIME, RESOLVE_TIME, TOTAL_TIME};

use crate::*;

const OPEN_METRICS: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";
/// As Dovecot 2.3 serves it.
const DOVECOT: &str = "# HELP dovecot_build Dovecot build information\n# TYPE dovecot_build info\n\
    dovecot_build_info{version=\"2.3.19.1\",revision=\"9b53102964\"} 1\n\
    # HELP dovecot_auth_query Total number of all events of this kind\n# TYPE dovecot_auth_query counter\n\
    dovecot_auth_query_total{result=\"ok\"} 5\ndovecot_auth_query_total{result=\"ok\",cache=\"miss\"} 2\n\
    dovecot_auth_query_total{result=\"ok\",cache=\"hit\"} 3\ndovecot_auth_query_total{result=\"user_unknown\"} 1\n\
    dovecot_auth_query_total{result=\"user_unknown\",cache=\"miss\"} 1\ndovecot_auth_query_count 6\n\
    dovecot_auth_query_duration_seconds_total{result=\"ok\"} 0.000725\n# EOF\n";

#[tokio::test]
async fn a_page_of_dovecot_is_counted_once_and_what_never_happened_is_zero() {
    let server = server(Page::ok(DOVECOT).header("Content-Type", OPEN_METRICS)).await;
    let ran = run(&json!({ "source": "dovecot", "url": server.url("/metrics"), "service": "auth" })).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    let of = |metric: &str, labels: &[&str]| value(&ran, metric, labels);
    assert_eq!([of("queries", &[]), of("queries_succeeded", &[]), of("queries_failed", &[])], [Some(6.0), Some(5.0), Some(1.0)]);
    let reasons = ["unknown_user", "bad_password", "refused", "internal"].map(|reason| of("query_errors", &[reason]));
    assert_eq!(reasons, [Some(1.0), Some(0.0), Some(0.0), Some(0.0)]);
    assert_eq!([of("cache_lookups", &["hit"]), of("cache_lookups", &["miss"])], [Some(3.0), Some(3.0)]);
    // It does not count connections: they are unknown, which is told once.
    assert_eq!([of("connections", &[]), of("connection_errors", &["failed"])], [None, None]);
    let told = "the server does not publish dovecot_auth_connection_total, dovecot_auth_connection_failed_total";
    assert_eq!(ran.logged.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), [told]);
    let sum: u64 = [RESOLVE_TIME, CONNECT_TIME, QUERY_TIME].map(|phase| ran.nanos(phase).unwrap_or(0)).iter().sum();
    assert_eq!(ran.nanos(TOTAL_TIME), Some(sum), "{ran:#?}");
    assert_eq!(server.asked().await.unwrap().header("Accept").map(|accept| accept.contains("openmetrics")), Some(true));
}

#[tokio::test]
async fn a_restarted_server_begins_its_totals_anew() {
    let totals = |total: &str| Page::ok(format!("mails_total {total}\n"));
    let pages = Pages::new().on("GET /metrics", totals("500")).on("GET /metrics", totals("7"));
    let server = HttpServer::start(pages).await.unwrap();
    let mut kit = Kit::<ServerStats>::new(&prometheus(&server)).unwrap();
    // The host takes what falls for a beginning, never for a negative rate.
    for total in [500.0, 7.0, 7.0] {
        assert_eq!(value(&kit.run().await, "messages_received", &[]), Some(total));
    }
}

#[tokio::test]
async fn a_metric_of_ones_own_has_a_series_for_each_value_of_a_label() {
    let page = "# TYPE z gauge\nz{zone=\"a\"} 1.5\nz{zone=\"b c\"} 2\nz{zone=\"n\"} NaN\n";
    let server = server(Page::chunked(&page.split_inclusive('=').collect::<Vec<_>>())).await;
    let map = json!([{ "from": "z{zone=*}", "to": "zone_load", "by": ["zone"], "labels": { "server": "x" }, "unit": "ratio" }]);
    let ran = run(&json!({ "source": "prometheus", "url": server.url("/metrics"), "map": map })).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!([&["x", "a"], &["x", "b c"], &["x", "n"]].map(|labels| value(&ran, "zone_load", labels)), [Some(1.5), Some(2.0), None]);
}

#[tokio::test]
async fn what_is_asked_for_and_not_there_fails_and_the_rest_is_kept() {
    let server = server(Page::ok("mails_total 3\n")).await;
    let maps = |more: Value| {
        let mut config = prometheus(&server);
        config["map"].as_array_mut().unwrap().push(more);
        config
    };
    let ran = run(&maps(json!({ "from": "other{a=\"b\"}", "to": "other" }))).await;
    assert_eq!(ran.failure(), Some(("protocol", "the page has no other{a=\"b\"}")), "{ran:#?}");
    assert_eq!(value(&ran, "messages_received", &[]), Some(3.0));
    let ran = run(&maps(json!({ "from": "other", "to": "other", "optional": true }))).await;
    assert_eq!((ran.failure(), figures(&ran)), (None, vec!["messages_received"]), "{ran:#?}");
}

#[tokio::test]
async fn doveadm_tells_sessions_and_volumes() {
    let stats =
        |metric: &str, field: &str, count: u32, sum: u32| json!({ "metric_name": metric, "field": field, "count": count, "sum": sum });
    let rows =
        [stats("lmtp_stored", "duration", 3, 900), stats("lmtp_stored", "message_size", 3, 1647), stats("imap_command", "duration", 0, 0)];
    let session = |service: &str| json!({ "username": "alice@lab.test", "service": service, "pid": "1", "ip": "127.0.0.1" });
    let answer =
        json!([["doveadmResponse", rows, "stats"], ["doveadmResponse", [session("imap"), session("imap"), session("pop3")], "who"]]);
    let server = HttpServer::start(Pages::new().on("POST /doveadm/v1", Page::ok(answer.to_string()))).await.unwrap();
    let config = |service: &str| json!({ "source": "doveadm", "url": server.url("/doveadm/v1"), "key": "geheim", "service": service });
    let ran = run(&config("lmtp")).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!((value(&ran, "messages_stored", &[]), value(&ran, "stored_bytes", &[])), (Some(3.0), Some(1647.0)));
    for (service, sessions) in [("imap", 2.0), ("pop3", 1.0)] {
        let ran = run(&config(service)).await;
        assert_eq!(value(&ran, "connections_active", &[]), Some(sessions), "{ran:#?}");
        assert!(!ran.everything().contains("alice"), "who is logged in is nobody's business");
    }
}
