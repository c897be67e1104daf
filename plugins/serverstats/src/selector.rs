//! Which samples are meant: a name and all of its labels, `name{key="value",other=*}`.

use std::fmt;

use watchpost_exposition::{Cursor, Sample};

/// Samples of a name that have just these labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    name: String,
    /// `None` is any value.
    labels: Vec<(String, Option<String>)>,
}

impl Selector {
    /// Reads a selector.
    ///
    /// Errors: what is wrong, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; wanted is e.g. 'requests_total{{code=\"200\",method=*}}'");
        let mut cursor = Cursor::new(text.trim());
        let name = cursor.name().map_err(|why| wrong(&why))?.to_owned();
        let mut labels: Vec<(String, Option<String>)> = Vec::new();
        if cursor.skip("{") {
            while !cursor.skip("}") {
                let key = cursor.label_name().map_err(|why| wrong(&why))?.to_owned();
                if !cursor.skip("=") {
                    return Err(wrong(&format!("`{key}` has no `=`")));
                }
                let value = if cursor.skip("*") { None } else { Some(cursor.quoted(true).map_err(|why| wrong(&why))?.into_owned()) };
                if labels.iter().any(|(known, _)| *known == key) {
                    return Err(wrong(&format!("`{key}` is there twice")));
                }
                labels.push((key, value));
                if !cursor.skip(",") && !cursor.rest().starts_with('}') {
                    return Err(wrong("the labels do not end"));
                }
            }
        }
        match cursor.rest() {
            "" => Ok(Self { name, labels }),
            _ => Err(wrong("there is more after the end")),
        }
    }

    /// Says whether it means that sample.
    pub(crate) fn means(&self, sample: &Sample<'_>) -> bool {
        let has = |(key, wanted): &(String, Option<String>)| {
            sample.label(key).is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
        };
        self.name == sample.name && self.labels.len() == sample.labels.len() && self.labels.iter().all(has)
    }

    /// Says whether several samples of a page may be meant.
    pub(crate) fn is_open(&self) -> bool {
        self.labels.iter().any(|(_, value)| value.is_none())
    }

    /// Says whether it names that label.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.labels.iter().any(|(known, _)| known == key)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (at, (key, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{key}=", if at == 0 { "{" } else { "," })?;
            match value {
                Some(value) => write!(f, "{value:?}")?,
                None => f.write_str("*")?,
            }
        }
        f.write_str(if self.labels.is_empty() { "" } else { "}" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> Selector {
        Selector::parse(text).unwrap()
    }

    #[test]
    fn a_selector_means_samples_with_just_its_labels() {
        let check = |text: &str, labels: &[(&str, &str)], expected: bool| {
            let labels = labels.iter().map(|&(key, value)| (key.into(), value.into())).collect();
            let sample = Sample { name: "x_total".into(), labels, value: 1.0, stamp: None };
            assert_eq!(selector(text).means(&sample), expected, "{text} {sample:?}");
        };
        check("x_total", &[], true);
        check("x_total{}", &[], true);
        check("x", &[], false);
        check("x_total", &[("a", "1")], false);
        check("x_total{a=\"1\"}", &[("a", "1")], true);
        check("x_total{a=\"1\"}", &[("a", "2")], false);
        check("x_total{a=\"1\"}", &[("a", "1"), ("b", "2")], false);
        check("x_total{b=*,a=\"1\"}", &[("a", "1"), ("b", "2")], true);
        check("x_total{b=*}", &[], false);
        check("x_total{ }", &[], true);
    }

    #[test]
    fn a_selector_is_written_as_it_is_read() {
        for text in ["a", "a:b_total{c=\"UID FETCH\"}", "a{b=*,c=\"\\\\ \\\"\"}"] {
            assert_eq!(selector(text).to_string(), text);
            assert_eq!(selector(text).is_open(), text.contains('*'));
        }
    }

    #[test]
    fn what_is_no_selector_says_why() {
        let check = |text: &str, why: &str| {
            let told = Selector::parse(text).unwrap_err();
            assert!(told.starts_with(&format!("{why}; wanted is e.g. ")), "{text}: {told}");
        };
        check("", "no name is there");
        check("{a=\"b\"}", "no name is there");
        check("a{b}", "`b` has no `=`");
        check("a{b=c}", "a value is not in quotes");
        check("a{b=\"c\"", "the labels do not end");
        check("a{b=\"c}", "the quotes do not end");
        check("a{b=\"c\",b=*}", "`b` is there twice");
        check("a b", "there is more after the end");
    }
}
