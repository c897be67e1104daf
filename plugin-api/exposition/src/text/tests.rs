use proptest::prelude::*;

use super::*;

/// What a page says, each sample as it would be written again.
fn said(page: &str, is_open_metrics: bool) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    read(page, is_open_metrics, |sample| {
        let labels: Vec<String> = sample.labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        all.push(format!("{} [{}] {}", sample.name, labels.join(" "), sample.value));
        Ok(())
    })?;
    Ok(all)
}

#[track_caller]
fn check(page: &str, expected: &[&str]) {
    assert_eq!(said(page, false), Ok(expected.iter().map(|&line| line.to_owned()).collect()), "{page}");
}

#[track_caller]
fn check_open(page: &str, expected: &[&str]) {
    assert_eq!(said(page, true), Ok(expected.iter().map(|&line| line.to_owned()).collect()), "{page}");
}

#[track_caller]
fn refused(page: &str, why: &str) {
    assert_eq!(said(page, false), Err(why.to_owned()), "{page}");
}

#[test]
fn every_form_of_a_sample_is_read() {
    check("a 1\n", &["a [] 1"]);
    check("a{} 1\n", &["a [] 1"]);
    check("a:b_c{d=\"e\"} 1.5\n", &["a:b_c [d=\"e\"] 1.5"]);
    check("a{b=\"c\",d=\"\"} -1e3 1395066363000\n", &["a [b=\"c\" d=\"\"] -1000"]);
    check("a { b = \"c\" , } 1\n", &["a [b=\"c\"] 1"]);
    check("\ta{b=\"c\"}\t+1.0\t5 \r\n", &["a [b=\"c\"] 1"]);
    check("{\"a.b\",c=\"d\"} 1\n", &["a.b [c=\"d\"] 1"]);
    check("a{\"b.c\"=\"d\"} 1\n", &["a [b.c=\"d\"] 1"]);
    check("# HELP a Any words # {here}\n# TYPE a counter\n\n# said by nobody\n#\na_total 1\n", &["a_total [] 1"]);
    check("", &[]);
}

#[test]
fn a_line_says_what_sort_of_line_it_is() {
    let check = |text, expected| assert_eq!(line(text, false), Ok(expected), "{text}");
    check("# TYPE a_total  counter ", Line::Type { family: "a_total", word: "counter" });
    check("# HELP a What HELP a is.", Line::Help { family: "a", text: "What HELP a is." });
    check("# UNIT a seconds", Line::Nothing);
    check("# a comment", Line::Nothing);
    check(" \t", Line::Nothing);
    check("# EOF", Line::End);
    check("a 1", Line::Sample(Sample { name: "a".into(), labels: vec![], value: 1.0, stamp: None }));
}

#[test]
fn escapes_stand_for_what_they_mean() {
    check("a{b=\"\\\\ \\\" \\n ü , } {\"} 1\n", &["a [b=\"\\\\ \\\" \\n ü , } {\"] 1"]);
    refused("a{b=\"\\t\"} 1\n", "line 1: no escape: `\\t`");
    // OpenMetrics lets a backslash before anything else be one.
    check_open("a{b=\"\\t\"} 1\n# EOF\n", &["a [b=\"\\\\t\"] 1"]);
}

#[test]
fn what_is_no_number_that_can_be_stored_is_still_understood() {
    check("a NaN\nb +Inf\nc -Inf\n", &["a [] NaN", "b [] inf", "c [] -inf"]);
}

#[test]
fn a_page_of_openmetrics_has_exemplars_and_an_end() {
    check_open("a_bucket{le=\"1\"} 3 # {trace=\"x\"} 0.7 1520879607.789\n# EOF\n", &["a_bucket [le=\"1\"] 3"]);
    check_open("a_bucket{le=\"1\"} 3 9.5 # {} 0.7\n# EOF", &["a_bucket [le=\"1\"] 3"]);
    let cut = "the page breaks off: # EOF is missing";
    assert_eq!(said("a 1\n", true), Err(cut.into()));
    assert_eq!(said("", true), Err(cut.into()));
    assert_eq!(said("# EOF\na 1\n", true), Err("line 2: there is more after # EOF".into()));
    for page in ["a 1 # 0.7\n# EOF\n", "a 1 # {b=\"c\"}\n# EOF\n", "a 1 # {b=\"c\"} x\n# EOF\n", "a 1 # {b=\"c\"} 1 2 3\n# EOF\n"] {
        assert!(said(page, true).is_err(), "{page}");
    }
    // The older format has no exemplars.
    refused("a 1 # {} 1\n", "line 1: there is more after the value: \"# {} 1\"");
}

#[test]
fn what_is_no_page_is_refused_at_its_line() {
    refused("a 1\nb", "line 2: the page breaks off");
    refused("a 1\nb 12", "line 2: the page breaks off");
    refused("<html>\n", "line 1: no name is there");
    refused("9a 1\n", "line 1: no name is there");
    refused("a\n", "line 1: a sample without a value");
    refused("a one\n", "line 1: `one` is no number");
    refused("a 0x10\n", "line 1: `0x10` is no number");
    refused("a infinity\n", "line 1: `infinity` is no number");
    refused("a 1 2 3\n", "line 1: there is more after the value: \"3\"");
    refused("a 1 now\n", "line 1: `now` is no time");
    refused("a 1 NaN\n", "line 1: `NaN` is no time");
    refused("a{b=\"c\" 1\n", "line 1: the labels do not end");
    refused("a{b=\"c} 1\n", "line 1: the quotes do not end");
    refused("a{b=c} 1\n", "line 1: a value is not in quotes");
    refused("a{b} 1\n", "line 1: the label `b` has no value");
    refused("a{b=\"c\",b=\"d\"} 1\n", "line 1: the label `b` is there twice");
    refused("a{b=\"c\"d=\"e\"} 1\n", "line 1: the labels do not end");
    refused("{b=\"c\"} 1\n", "line 1: no name is there");
    refused("# TYPE\n", "line 1: a family without a name");
    refused("# TYPE a-b counter\n", "line 1: `a-b` is no name");
    let many: Vec<String> = (0..101).map(|at| format!("l{at}=\"\"")).collect();
    refused(&format!("a{{{}}} 1\n", many.join(",")), "line 1: more than 100 labels");
}

proptest! {
    #[test]
    fn no_text_whatsoever_panics(page in "\\PC{0,400}", open in any::<bool>()) {
        let _ = said(&page, open);
    }

    #[test]
    fn no_damage_to_a_page_is_more_than_an_error(
        damage in proptest::collection::vec((0usize..160, "[ -~\n\t]"), 0..6), length in 0usize..160, open in any::<bool>()
    ) {
        let mut page = "# TYPE a counter\na_total{cmd=\"UID FETCH\",x=\"\\\\\"} 12 # {t=\"1\"} 1 2\na_count 3.5e1 1395066363\nb NaN\n# EOF\n".to_owned();
        for (place, letter) in &damage {
            if *place < page.len() {
                page.replace_range(*place..place + 1, letter);
            }
        }
        page.truncate(length);
        let _ = said(&page, open);
    }

    #[test]
    fn every_sample_that_is_written_is_read_once_and_as_it_was(
        samples in proptest::collection::vec(("[a-z_:][a-z0-9_:]{0,8}", "[^\u{0}]{0,12}", -1e9f64..1e9), 0..40)
    ) {
        let written = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let lines = samples.iter().map(|(name, label, value)| format!("{name}{{l=\"{}\"}} {value}\n", written(label)));
        // A carriage return within a line would be the end of one; exporters do not write it either.
        let page = lines.collect::<String>();
        let mut read_again = Vec::new();
        read(&page, false, |sample| {
            read_again.push((sample.name.to_string(), sample.label("l").unwrap().to_owned(), sample.value));
            Ok(())
        }).unwrap();
        prop_assert_eq!(read_again, samples);
    }
}
