//! Whatever is measured, the text can be read, and says the same.

use proptest::prelude::*;
use watchpost::expose::prometheus::Format;
use watchpost_plugin_api::{Kind, MetricSpec, Unit};
use watchpost_services::outcome::Status;

use crate::{
    fixture::{latest, metric, reading, rendered, sample, shape},
    parser::parse,
};

/// Text with much of what breaks things, up to 10 kB.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\\".to_owned()),
        Just("\"".into()),
        Just("\n".into()),
        Just("\r\n# EOF\n".into()),
        Just("\0".into()),
        ".{0,8}",
        "\\PC{1,8}",
        any::<char>().prop_map(String::from)
    ];
    prop_oneof![
        8 => proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat()),
        1 => any::<char>().prop_map(|c| c.to_string().repeat(10_000 / c.len_utf8())),
    ]
}

/// What a reader must get: NUL cannot be carried.
fn carried(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

proptest! {
    #[test]
    fn any_label_and_any_help_come_back(own in hostile(), of_metric in hostile(), target in hostile(), help in hostile()) {
        let size = MetricSpec { help: help.clone(), ..metric("size", Kind::Gauge, Unit::Bytes, &["queue"]) };
        let mut shape = shape("a", "pop3", &[("site", &own)], vec![size]);
        shape.target.clone_from(&target);
        let latest = latest(vec![(shape, reading("a", Status::Ok, vec![sample("size", &[&of_metric], 1.0)]))]);
        let families = parse(&rendered(&latest, Format::OpenMetrics)).map_err(TestCaseError::fail)?;
        let family = &families["watchpost_pop3_size_bytes"];
        let labels = &family.samples[0].labels;
        prop_assert_eq!([&family.help, &labels["site"], &labels["queue"], &labels["target"]], [&carried(&help), &carried(&own), &carried(&of_metric), &carried(&target)]);
        let text = rendered(&latest, Format::Text);
        prop_assert_eq!(text.matches('\n').count(), 9, "a line feed got through: {}", text);
    }

    #[test]
    fn any_number_comes_back_and_is_a_plain_decimal(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let metrics = vec![metric("size", Kind::Gauge, Unit::Number, &[])];
        let latest = latest(vec![(shape("a", "pop3", &[], metrics), reading("a", Status::Ok, vec![sample("size", &[], value)]))]);
        let families = parse(&rendered(&latest, Format::OpenMetrics)).map_err(TestCaseError::fail)?;
        let read = &families["watchpost_pop3_size"].samples[0];
        prop_assert_eq!(read.value.to_bits(), bits);
        prop_assert!(read.value_text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-')), "{}", read.value_text);
    }
}
