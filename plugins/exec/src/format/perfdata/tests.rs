use proptest::prelude::*;
use watchpost_plugin_api::Kind;

use super::*;

/// What is taken, each point as `name{labels} value unit`, and what is refused, with why.
fn said(text: &str, with_bounds: bool) -> (Vec<String>, Vec<String>) {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    let shown = |point: Point| {
        let labels: Vec<&str> = point.labels.iter().map(|(_, value)| value.as_str()).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let value = point.value.map_or("unknown".into(), |value| value.to_string());
        let counter = if point.kind == Some(Kind::Counter) { " counter" } else { "" };
        format!("{}{labels} {value} {}{counter}", point.name, point.unit.map_or("-", |unit| unit.name()))
    };
    read(text, with_bounds, |point| taken.push(shown(point)), |word, why| refused.push(format!("{word}: {why}")));
    (taken, refused)
}

#[track_caller]
fn check(text: &str, taken: &[&str]) {
    assert_eq!(said(text, false), (taken.iter().map(|&line| line.into()).collect(), vec![]), "{text}");
}

#[track_caller]
fn refused(text: &str, taken: &[&str], refused: &[&str]) {
    let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
    assert_eq!(said(text, false), (lines(taken), lines(refused)), "{text}");
}

#[test]
fn what_debians_plugins_write_is_read() {
    check("time=0.012345s;;;0.000000", &["time 0.012345 seconds"]);
    check("time=0.004033s;;;0.000000;10.000000 size=10975B;;;0", &["time 0.004033 seconds", "size 10975 bytes"]);
    check("rta=0.064000ms;100.000000;500.000000;0.000000 pl=0%;20;60;0", &["rta 0.000064 seconds", "pl 0 ratio"]);
    check("/=2643MB;5948;5958;0;5968", &["/ 2771386368 bytes"]);
    check("load1=0.360;15.000;30.000;0; load5=0.5", &["load1 0.36 number", "load5 0.5 number"]);
    check("unsent=12;10;20;0", &["unsent 12 number"]);
    check("offset=-0.000081s;60.000000;120.000000;", &["offset -0.000081 seconds"]);
}

#[test]
fn units_become_seconds_bytes_and_ratios() {
    check(
        "a=3ms b=3us c=3ns d=50% e=2KB f=2GB g=1KiB",
        &[
            "a 0.003 seconds",
            "b 0.000003 seconds",
            "c 0.000000003 seconds",
            "d 0.5 ratio",
            "e 2048 bytes",
            "f 2147483648 bytes",
            "g 1024 bytes",
        ],
    );
    check("sent=4711c", &["sent 4711 number counter"]);
    check("volts=230.1V speed=9B/s", &["volts 230.1 number", "speed 9 number"]);
}

#[test]
fn labels_in_quotes_hold_what_they_like() {
    check("'disk used'=1 'it''s'=2 'a=b'=3 ''''=4", &["disk used 1 number", "it's 2 number", "a=b 3 number", "' 4 number"]);
    check("'größe µ'=1", &["größe µ 1 number"]);
    check("it's=1", &["it's 1 number"]);
}

#[test]
fn numbers_of_every_form_are_read_and_unknown_stays_unknown() {
    check(
        "a=-1 b=+1 c=.5 d=5. e=1e3 f=1.5E-3s g=3,14ms",
        &["a -1 number", "b 1 number", "c 0.5 number", "d 5 number", "e 1000 number", "f 0.0015 seconds", "g 0.00314 seconds"],
    );
    check("a=U b=U;1;2;0;", &["a unknown -", "b unknown -"]);
    check("a=3F b=3eV", &["a 3 number", "b 3 number"]);
    check("a=1\tb=2   c=3\n", &["a 1 number", "b 2 number", "c 3 number"]);
    check("", &[]);
    check(" \t ", &[]);
}

#[test]
fn what_is_no_datum_is_told_and_the_rest_is_kept() {
    refused("a=1 nonsense b=2", &["a 1 number", "b 2 number"], &["nonsense: a label without a value"]);
    refused("a= b=;1;2", &[], &["a=: `` is no number", "b=;1;2: `` is no number"]);
    refused("=1", &[], &["=1: a value without a label"]);
    refused("''=1", &[], &["''=1: a value without a label"]);
    refused("'a=1 b=2", &["b 2 number"], &["'a=1: the quotes of a label do not end"]);
    refused("a=NaN b=inf c=1e999", &[], &["a=NaN: `NaN` is no number", "b=inf: `inf` is no number", "c=1e999: `1e999` is no number"]);
    refused("a=1,234.5 b=1,2,3", &[], &["a=1,234.5: `1,234.5` is no number", "b=1,2,3: `1,2,3` is no number"]);
    for wrong in ["0x10", "3zz", "3E", "1e3x", "12abc"] {
        let why = format!("a={wrong}: `{wrong}` is no number, nor one with a unit that is known");
        refused(&format!("a={wrong} b=2"), &["b 2 number"], &[why.as_str()]);
    }
    refused("a=--1 b=1.2.3", &[], &["a=--1: `--1` is no number", "b=1.2.3: `1.2.3` is no number"]);
}

#[test]
fn bounds_are_told_only_if_they_are_asked_for() {
    let text = "time=30ms;10:20;@5:~;0;100 used=5;~:7;:9 bad=1;x;2";
    assert_eq!(said(text, false).0, ["time 0.03 seconds", "used 5 number", "bad 1 number"]);
    let (taken, refused) = said(text, true);
    let expected = [
        "time 0.03 seconds",
        "time_bounds{warn_low} 0.01 seconds",
        "time_bounds{warn_high} 0.02 seconds",
        "time_bounds{crit_low} 0.005 seconds",
        "time_bounds{min} 0 seconds",
        "time_bounds{max} 0.1 seconds",
        "used 5 number",
        "used_bounds{warn_high} 7 number",
        "used_bounds{crit_high} 9 number",
        "bad 1 number",
        "bad_bounds{crit_high} 2 number",
    ];
    assert_eq!(taken, expected);
    assert_eq!(refused, ["bad=1;x;2: `x` is no number"]);
}

proptest! {
    #[test]
    fn no_text_whatsoever_panics_and_nothing_that_is_taken_is_infinite(text in "[ -~äµ\t\n]{0,200}", bounds in any::<bool>()) {
        read(&text, bounds, |point| assert!(point.value.is_none_or(f64::is_finite), "{point:?}"), |_, _| {});
    }

    #[test]
    fn every_label_comes_back_as_it_was(label in "[^\\x00-\\x1f ][^\\x00]{0,20}", value in -1_000_000i32..1_000_000) {
        let mut found = Vec::new();
        read(&format!("'{}'={value}", label.replace('\'', "''")), false, |point| found.push((point.name, point.value)), |_, _| {});
        prop_assert_eq!(found, vec![(label, Some(f64::from(value)))]);
    }
}
