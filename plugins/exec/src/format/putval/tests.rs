use proptest::prelude::*;
use watchpost_plugin_api::Kind;

use super::*;

/// What is told, each point as `name{labels} value unit`.
fn said(text: &str) -> Result<Vec<String>, String> {
    let shown = |said: Said| match said {
        Said::Point(point) => {
            let labels: Vec<String> = point.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let value = point.value.map_or("unknown".into(), |value| value.to_string());
            let counter = if point.kind == Some(Kind::Counter) { " counter" } else { "" };
            let time = point.time.map_or(String::new(), |time| format!(" @{time}"));
            format!("{}{{{}}} {value} {}{counter}{time}", point.name, labels.join(","), point.unit.map_or("-", |unit| unit.name()))
        }
        Said::Event(Event { severity, code, text }) => format!("{severity:?} {code}: {text}"),
        other => format!("{other:?}"),
    };
    Ok(line(text, "mx1")?.into_iter().map(shown).collect())
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(said(text), Ok(expected.iter().map(|&line| line.into()).collect()), "{text}");
}

#[track_caller]
fn refused(text: &str, why: &str) {
    assert_eq!(said(text), Err(why.to_owned()), "{text}");
}

#[test]
fn a_value_is_named_by_plugin_and_type_and_labelled_by_the_rest() {
    check("PUTVAL mx1/exec-mail/gauge-deferred interval=10 N:12", &["exec_gauge{plugin_instance=mail,type_instance=deferred} 12 number"]);
    check(
        "putval mx2/load/load N:0.1:0.2:0.3",
        &["load_shortterm{host=mx2} 0.1 number", "load_midterm{host=mx2} 0.2 number", "load_longterm{host=mx2} 0.3 number"],
    );
    check(
        "PUTVAL mx1/df-root/df_complex-used 1700000000.5:7",
        &["df_df_complex{plugin_instance=root,type_instance=used} 7 bytes @1700000000.5"],
    );
    check("PUTVAL mx1/postfix/connections N:7", &["postfix_connections{} 7 connections counter"]);
    check("PUTVAL mx1/cpu/percent-idle N:99.5", &["cpu_percent{type_instance=idle} 0.995 ratio"]);
    check("PUTVAL mx1/exec/mine N:1:U", &["exec_mine_value0{} 1 number", "exec_mine_value1{} unknown number"]);
    check("PUTVAL mx1/exec/gauge N:1 N:2", &["exec_gauge{} 1 number", "exec_gauge{} 2 number"]);
}

#[test]
fn quotes_hold_blanks_and_signs() {
    check("PUTVAL \"mx1/exec-a b/gauge-c \\\"d\\\"\" interval=10 N:1", &["exec_gauge{plugin_instance=a b,type_instance=c \"d\"} 1 number"]);
    check("PUTVAL mx1/exec/gauge-/var/mail N:1", &["exec_gauge{type_instance=/var/mail} 1 number"]);
    check("  PUTVAL  mx1/exec/gauge\tN:1 \r", &["exec_gauge{} 1 number"]);
}

#[test]
fn a_notification_is_an_event() {
    check("PUTNOTIF severity=failure time=1700000000 message=\"no space left\" host=mx1 type=disk", &["Major disk: no space left"]);
    check("PUTNOTIF message=fine severity=okay", &["Indeterminate notification: fine"]);
    refused("PUTNOTIF message=a", "no severity of okay, warning or failure");
    refused("PUTNOTIF severity=failure", "no message");
    refused("PUTNOTIF failure", "`failure` is no option");
}

#[test]
fn what_is_no_line_is_refused_with_why() {
    check("", &[]);
    check("# a comment", &[]);
    refused("GETVAL a/b/c", "`GETVAL` is no command");
    refused("PUTVAL", "no identifier");
    refused("PUTVAL a/b N:1", "`a/b` is no host/plugin/type");
    refused("PUTVAL //c N:1", "`//c` is no host/plugin/type");
    refused("PUTVAL a/b/c", "no values");
    refused("PUTVAL a/b/c interval=10", "no values");
    refused("PUTVAL a/b/c 12", "values without a time");
    refused("PUTVAL a/b/c then:12", "`then` is no time");
    refused("PUTVAL a/b/c N:twelve", "`twelve` is no value");
    refused("PUTVAL a/b/c N:nan", "`nan` is no value");
    refused("PUTVAL a/b/load N:1", "1 values where load has 3");
    refused("PUTVAL \"a/b/c N:1", "the quotes do not end");
    refused("PUTVAL \"a/b/c\\", "the quotes do not end");
}

proptest! {
    #[test]
    fn no_line_whatsoever_panics(text in "[ -~é]{0,120}", rest in "[ -~é]{0,120}") {
        let _ = line(&text, "mx1");
        let _ = line(&format!("PUTVAL {rest}"), "mx1");
        let _ = line(&format!("PUTNOTIF {rest}"), "mx1");
    }
}
