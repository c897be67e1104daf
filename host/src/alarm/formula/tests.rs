//! Expressions, their faults and their units, as tables.

use proptest::prelude::*;

use super::*;

const VALUES: [(&str, &[Option<f64>]); 5] =
    [("a", &[Some(6.0)]), ("b", &[Some(2.0)]), ("many", &[Some(1.0), Some(5.0)]), ("gap", &[None]), ("holed", &[Some(1.0), None])];

fn value(text: &str) -> Option<f64> {
    let formula = Formula::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    formula.value(|name| {
        let name = &formula.names()[name];
        VALUES.iter().find(|(known, _)| known == name).map(|(_, values)| *values).unwrap_or_default()
    })
}

#[test]
fn expressions_give_what_arithmetic_does() {
    let table = [
        ("a", 6.0),
        ("a + b * 2", 10.0),
        ("(a + b) * 2", 16.0),
        ("a - b - 1", 3.0),
        ("a / b / 3", 1.0),
        ("-a + b", -4.0),
        ("--a", 6.0),
        ("a - -b", 8.0),
        ("abs(b - a)", 4.0),
        ("sum(many)", 6.0),
        ("avg(many) + min(many) + max(many) + count(many)", 11.0),
        ("sum(a)", 6.0),
        ("a > b", 1.0),
        ("a < b or a >= 6", 1.0),
        ("a < b or b < a and not a == 6", 0.0),
        ("not a < b", 1.0),
        ("not not a", 1.0),
        ("a!=b", 1.0),
        ("a <= 5.5", 0.0),
        ("a + 500ms", 6.5),
        ("a + 2KiB", 2_054.0),
        ("a * 50%", 3.0),
        ("a + 1k", 1_006.0),
    ];
    for (text, expected) in table {
        assert_eq!(value(text), Some(expected), "{text}");
    }
}

#[test]
fn whatever_is_unknown_makes_the_whole_unknown() {
    for text in [
        "gap",
        "a + gap",
        "gap * 0",
        "a > 0 or gap > 0",
        "not gap",
        "sum(holed)",
        "count(holed)",
        "many",
        "a / (b - 2)",
        "none",
        "sum(none)",
    ] {
        assert_eq!(value(text), None, "{text}");
    }
}

#[test]
fn a_fault_names_its_column_and_what_would_be_right() {
    let table = [
        ("", "column 1: found the end, expected a name, a number or ("),
        ("1 + 2", "column 1: it names no series"),
        ("a +", "column 4: found the end, expected a name, a number or ("),
        ("a b", "column 3: found b, expected an operator or the end"),
        ("(a", "column 3: found the end, expected )"),
        ("a )", "column 3: found ), expected an operator or the end"),
        ("a < b < 3", "column 9: one comparison after the other; write `and` between"),
        ("a and or b", "column 7: found o, expected a name, a number or ("),
        ("median(a)", "column 1: no function is called `median`; there are abs, sum, avg, min, max and count"),
        ("sum(1)", "column 5: found 1, expected the name of some series"),
        ("a > 5 parsec", "column 7: found p, expected an operator or the end"),
        ("a > 5parsec", "column 5: `5parsec` is no number with a unit"),
        ("a > 1.2.3", "column 5: `1.2.3` is no number with a unit"),
        ("a = 1", "column 3: found =, expected an operator or the end"),
    ];
    for (text, expected) in table {
        assert_eq!(Formula::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
    assert!(Formula::parse(&format!("{}a{}", "(".repeat(99), ")".repeat(99))).unwrap_err().message.contains("brackets"));
    assert!(Formula::parse(&"a+".repeat(300)).unwrap_err().message.contains("characters"));
}

#[test]
fn units_are_followed_and_what_is_of_two_is_refused() {
    let of = |name: &str| match name {
        "time" => Measure::of(Unit::Seconds, false),
        "size" | "free" => Measure::of(Unit::Bytes, false),
        "received" => Measure::of(Unit::Bytes, true),
        "errors" => Measure::of(Unit::Errors, true),
        "queries" => Measure::of(Unit::Queries, true),
        "share" => Measure::of(Unit::Ratio, false),
        "days" => Measure::of(Unit::Days, false),
        _ => Measure::of(Unit::Messages, false),
    };
    let told = |text: &str| {
        let formula = Formula::parse(text).unwrap();
        match formula.measure(|name| of(&formula.names()[name])) {
            Ok(measure) => measure.to_string(),
            Err(why) => why,
        }
    };
    for (text, expected) in [
        ("time + 500ms", "seconds"),
        ("2 * time", "seconds"),
        ("time * 50%", "seconds"),
        ("deferred + active", "messages"),
        ("deferred / (deferred + active)", "ratio"),
        ("deferred / 10", "messages"),
        ("size / free", "ratio"),
        ("size - free", "bytes"),
        ("errors / queries", "ratio"),
        ("errors + queries", "number in a second"),
        ("received", "bytes in a second"),
        ("received * time", "bytes"),
        ("deferred / errors", "seconds"),
        ("share * 2", "ratio"),
        ("days < 14", "number"),
        ("time > 2s and size > 1GiB", "number"),
        ("count(deferred)", "number"),
        ("time + size", "seconds and bytes are no one unit"),
        ("time > 2GiB", "seconds and bytes are no one unit"),
        ("deferred + errors", "messages and errors in a second are no one unit"),
        ("days + time", "days and seconds are no one unit"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, it is read or refused at a column that is there, and no unknown value becomes a number.
    #[test]
    fn whatever_is_written_is_read_or_refused(text in "[ab(). +*/<>=!not1%-]{0,24}") {
        match Formula::parse(&text) {
            Ok(formula) => {
                let one = [Some(1.0)];
                let value = formula.value(|_| &one[..]);
                prop_assert!(value.is_none_or(f64::is_finite));
                prop_assert_eq!(formula.value(|_| &[None][..]), None);
                prop_assert!(formula.measure(|_| Measure::of(Unit::Number, false)).is_ok());
            }
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
        }
    }
}
