//! One number that a server publishes.

use std::borrow::Cow;

/// A number with a name and labels, as it stands in what the server said.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// Its labels, in the order they came.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The number; NaN and infinities are unknown.
    pub value: f64,
    /// When it was so, if that was said: milliseconds since 1970 in the text of Prometheus, seconds in OpenMetrics.
    pub stamp: Option<f64>,
}

impl<'a> Sample<'a> {
    /// Makes a sample of what is no text of Prometheus.
    pub fn of<const N: usize>(name: &'a str, labels: [(&'a str, &'a str); N], value: f64) -> Self {
        let labels = labels.into_iter().map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value))).collect();
        Self { name: name.into(), labels, value, stamp: None }
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_ref())
    }
}
