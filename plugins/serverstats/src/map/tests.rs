use std::time::Duration;

use proptest::prelude::*;
use watchpost_plugin_api::Agent;

use super::*;
use crate::ServerStats;

fn map(text: &str) -> Map {
    toml::from_str(text).unwrap()
}

fn mapping(text: &str) -> Mapping {
    Mapping::of(&map(text), ServerStats::METRICS).unwrap_or_else(|fault| panic!("{text}: {}", fault.at(0)))
}

/// Sums by the values of `by`.
type Sums = Vec<(Vec<String>, f64)>;

/// What a map comes to on a page: its sums, or nothing where it is missing.
fn sums(text: &str, page: &str) -> Result<Option<Sums>, String> {
    let mappings = [mapping(text)];
    let mut tally = Tally::of(&mappings);
    watchpost_exposition::read(page, false, |sample| tally.take(sample))?;
    let counted = &tally.maps[0];
    if counted.is_missing() {
        return Ok(None);
    }
    let mut sums: Vec<_> = counted.sums.clone().into_iter().collect();
    if sums.is_empty() {
        sums.push((vec![], 0.0));
    }
    Ok(Some(sums))
}

fn one(text: &str, page: &str) -> Option<f64> {
    sums(text, page).unwrap().map(|sums| sums[0].1)
}

const COMMANDS: &str = "c_total{cmd=\"FETCH\"} 4\nc_total{cmd=\"FETCH\",state=\"OK\"} 3\nc_total{cmd=\"FETCH\",state=\"NO\"} 1\n\
                        c_total{cmd=\"UID FETCH\"} 6\nc_total{cmd=\"UID FETCH\",state=\"OK\"} 6\nc_count 11\n";

#[test]
fn nothing_is_counted_twice_and_several_are_added_up() {
    let fetch = "from = ['c_total{cmd=\"FETCH\"}', 'c_total{cmd=\"UID FETCH\"}']\nto = 'commands'\nlabels = { command = 'fetch' }";
    assert_eq!(one(fetch, COMMANDS), Some(10.0));
    assert_eq!(one("from = 'c_total{cmd=*}'\nto = 'queries'", COMMANDS), Some(10.0));
    assert_eq!(one("from = 'c_total{cmd=*,state=\"OK\"}'\nto = 'queries'", COMMANDS), Some(9.0));
    assert_eq!(one("from = 'c_total'\nto = 'queries'", COMMANDS), None);
}

#[test]
fn what_is_not_there_is_unknown_unless_something_shows_that_it_is_counted() {
    let search = |more: &str| format!("from = 'c_total{{cmd=\"SEARCH\"}}'\nto = 'queries'\n{more}");
    assert_eq!(one(&search(""), COMMANDS), None);
    assert_eq!(one(&search("zero_if = 'c_count'"), COMMANDS), Some(0.0));
    assert_eq!(one(&search("zero_if = 'd_count'"), COMMANDS), None);
    // A sum with a part missing is no sum.
    let both = "from = ['c_total{cmd=\"FETCH\"}', 'c_total{cmd=\"SEARCH\"}']\nto = 'queries'";
    assert_eq!(one(both, COMMANDS), None);
    assert_eq!(one(&format!("{both}\nzero_if = 'c_count'"), COMMANDS), Some(4.0));
}

#[test]
fn what_is_no_number_makes_the_sum_unknown() {
    for odd in ["NaN", "+Inf", "-Inf"] {
        let page = format!("a{{b=\"1\"}} {odd}\na{{b=\"2\"}} 5\na{{b=\"3\"}} +Inf\n");
        assert!(one("from = 'a{b=*}'\nto = 'queries'", &page).is_some_and(f64::is_nan), "{odd}");
        assert_eq!(one("from = 'a{b=\"2\"}'\nto = 'queries'", &page), Some(5.0));
    }
}

#[test]
fn each_value_of_by_is_a_series() {
    let page = "z{zone=\"a\",type=\"in\"} 1\nz{zone=\"a\",type=\"out\"} 2\nz{zone=\"b\",type=\"in\"} 5\nz{zone=\"c\"} 9\n";
    let found = sums("from = 'z{zone=*,type=*}'\nto = 'zone_bytes'\nby = ['zone']", page).unwrap().unwrap();
    assert_eq!(found, [(vec!["a".to_owned()], 3.0), (vec!["b".to_owned()], 5.0)]);
    let many: String = (0..1001).map(|at| format!("z{{zone=\"{at}\"}} 1\n")).collect();
    assert_eq!(sums("from = 'z{zone=*}'\nto = 'x'\nby = ['zone']", &many), Err("line 1001: more than 1000 series of z{zone=*}".into()));
}

#[test]
fn a_sample_that_stands_there_twice_is_none() {
    assert_eq!(sums("from = 'a'\nto = 'x'", "a 1\na 2\n"), Err("line 2: a stands there twice".into()));
}

#[test]
fn a_metric_of_ones_own_has_the_kind_of_its_names_unless_it_is_said() {
    let spec = |text: &str| match mapping(text).to {
        To::Own(spec) => spec,
        To::Known(metric) => metric.spec(),
    };
    assert_eq!(spec("from = 'a_total'\nto = 'x'").kind, Kind::Counter);
    assert_eq!(spec("from = ['a_total{b=\"1\"}', 'a_count']\nto = 'x'").kind, Kind::Counter);
    assert_eq!(spec("from = ['a_total', 'b']\nto = 'x'").kind, Kind::Gauge);
    assert_eq!(spec("from = 'a_total'\nto = 'x'\nkind = 'gauge'").kind, Kind::Gauge);
    let own = spec("from = 'a{b=*}'\nto = 'x'\nby = ['b']\nlabels = { c = 'd' }\nunit = 'bytes'\nhelp = 'A sentence.'");
    assert_eq!((own.unit, own.help.as_str(), own.keys), (Unit::Bytes, "A sentence.", vec!["c".to_owned(), "b".to_owned()]));
    assert_eq!(spec("from = 'a'\nto = 'connections'").kind, Kind::Counter);
}

#[test]
fn what_cannot_be_mapped_is_refused_at_its_key() {
    let check = |text: &str, path: &str, why: &str| {
        let error = Mapping::of(&map(text), ServerStats::METRICS).unwrap_err().at(3);
        assert_eq!((error.path(), error.message()), (path, why), "{text}");
    };
    let wanted = "wanted is e.g. 'requests_total{code=\"200\",method=*}'";
    check("from = []\nto = 'x'", "map[3].from", "is empty");
    check("from = '9'\nto = 'x'", "map[3].from", &format!("no name is there; {wanted}"));
    check("from = ['a', 'a{']\nto = 'x'", "map[3].from[1]", &format!("no label is there; {wanted}"));
    check("from = 'a'\nto = 'x'\nzero_if = ''", "map[3].zero_if", &format!("no name is there; {wanted}"));
    check(
        "from = 'a{b=*}'\nto = 'x'\nby = ['b']\nzero_if = 'c'",
        "map[3].zero_if",
        "does not go with `by`: which series would be 0 is not known",
    );
    check("from = 'a'\nto = 'X'", "map[3].to", "a metric name is [a-z][a-z0-9_]*");
    check("from = 'a'\nto = 'x_total'", "map[3].to", "this ending belongs to the exposition formats");
    check("from = 'a'\nto = 'query_errors'", "map[3].to", "`query_errors` has other labels; those that it has: `reason`");
    check("from = 'a'\nto = 'queries'\nlabels = { a = 'b' }", "map[3].to", "`queries` has other labels; those that it has: none");
    check("from = 'a'\nto = 'queries'\nunit = 'bytes'", "map[3].unit", "`queries` has it already");
    check("from = 'a{b=*}'\nto = 'x'\nby = ['c']", "map[3].by[0]", "`a{b=*}` has no label `c`");
    check("from = 'a{b=*}'\nto = 'x'\nby = ['b', 'b']", "map[3].by[1]", "the label `b` is there twice");
    check("from = 'a{b=*}'\nto = 'x'\nby = ['b']\nlabels = { b = 'c' }", "map[3].by[0]", "the label `b` is there twice");
}

proptest! {
    #[test]
    fn a_sum_is_that_of_its_samples_whatever_their_order(values in proptest::collection::vec(0u32..1_000_000, 1..30), turn in 0usize..30) {
        let mut lines: Vec<String> = values.iter().enumerate().map(|(at, value)| format!("a{{b=\"{at}\"}} {value}\n")).collect();
        lines.rotate_left(turn % values.len());
        let expected = values.iter().map(|value| f64::from(*value)).sum::<f64>();
        prop_assert_eq!(one("from = 'a{b=*}'\nto = 'queries'", &lines.concat()), Some(expected));
    }
}

/// A page as large as one is let through is read in a moment, and of each sample nothing is kept.
#[test]
fn a_large_page_is_read_within_its_time() {
    let page = "a_metric_with_a_long_name{label=\"value\",other=\"value\"} 12345\n".repeat(4 * 1024 * 1024 / 62);
    let begun = std::time::Instant::now();
    assert_eq!(
        one("from = 'a_metric_with_a_long_name'\nto = 'queries'\nzero_if = 'a_metric_with_a_long_name{label=*,other=*}'", &page),
        Some(0.0)
    );
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

fn united(texts: &[&str]) -> Result<Vec<String>, String> {
    let maps: Vec<Map> = texts.iter().map(|text| map(text)).collect();
    let mut mappings: Vec<_> = texts.iter().map(|text| mapping(text)).collect();
    Mapping::unite(&mut mappings, &maps).map_err(|(at, fault)| {
        let error = fault.at(at);
        format!("{}: {}", error.path(), error.message())
    })?;
    Ok(mappings.iter().map(|mapping| if let To::Own(spec) = &mapping.to { spec.help.clone() } else { String::new() }).collect())
}

#[test]
fn several_maps_make_one_metric_if_they_agree_on_it() {
    let (sent, failed) =
        ("from = 'a_total'\nto = 'mails'\nlabels = { result = 'sent' }", "from = 'b_total'\nto = 'mails'\nlabels = { result = 'no' }");
    assert_eq!(united(&[sent, failed]).unwrap(), ["a_total, as the server publishes it."; 2]);
    let other = |more: &str| united(&[sent, &format!("{failed}\n{more}")]).unwrap_err();
    for (key, more) in [("kind", "kind = 'gauge'"), ("unit", "unit = 'bytes'"), ("help", "help = 'Mails.'")] {
        let said = other(more);
        assert!(said.contains(&format!("map[1].{key}")) && said.contains("`mails` is one metric, and `map[0]` says otherwise"), "{said}");
    }
    let keyless = united(&[sent, "from = 'b_total'\nto = 'mails'"]).unwrap_err();
    assert!(keyless.contains("map[1].labels"), "{keyless}");
    for name in ["mails", "queries"] {
        let one = format!("from = 'a_total'\nto = '{name}'");
        let two = format!("from = 'b_total'\nto = '{name}'");
        let said = united(&[&one, &two]).unwrap_err();
        assert!(said.contains("map[1].to") && said.contains("`map[0]` makes the same series"), "{said}");
        // Of two servers' ways to say it one may be missing.
        assert!(united(&[&one, &format!("{two}\noptional = true")]).is_ok());
    }
}
