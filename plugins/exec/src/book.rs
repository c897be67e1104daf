//! What a program told in one run: gathered, so that each metric is declared once with all of its labels, then recorded.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use watchpost_plugin_api::{AgentError, Cx, Kind, MetricSpec, Secret, Unit, quoted, standard};

use crate::{
    config::Config,
    naming::{Names, label},
    point::Point,
};

/// Metrics of one run, at most; the host takes 200, those of our own among them.
const METRICS_MAX: usize = 190;
/// Samples of one run, at most; the host takes 10,000.
const SAMPLES_MAX: usize = 9_900;
/// Labels of one metric, at most.
const LABELS_MAX: usize = 12;
/// Bytes of a label's value, at most; the host takes no more.
const LABEL_BYTES_MAX: usize = 1024;
/// Seconds from now, before it or after, beyond which the time of what a program has measured is another than that of its run.
const AGE_MAX_S: f64 = 300.0;
/// What stands in a secret's place.
const MASK: &str = "<secret>";

/// The values of one metric's labels, by key.
type Labels = BTreeMap<String, String>;

/// The samples of one run, and what is remembered of those before it.
#[derive(Debug)]
pub(crate) struct Book {
    names: Names,
    rename: BTreeMap<String, String>,
    counters: Vec<String>,
    /// Whether the time of a run is that of the program, and measured here.
    times_itself: bool,
    /// Never to be seen in a label or a help, which nobody masks.
    secrets: Vec<Secret>,
    /// Label keys that metrics were ever told with: a series is one of all of them.
    keys: HashMap<String, Vec<String>>,
    metrics: BTreeMap<String, MetricSpec>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Book {
    /// An empty book.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            names: Names::given(&config.rename),
            rename: config.rename.clone(),
            counters: config.counters.clone(),
            times_itself: !config.long_lived,
            secrets: config.secret_env.values().filter(|secret| !secret.expose().is_empty()).cloned().collect(),
            keys: HashMap::new(),
            metrics: BTreeMap::new(),
            samples: BTreeMap::new(),
        }
    }

    /// Forgets what an earlier run did not record.
    pub(crate) fn clear(&mut self) {
        self.metrics.clear();
        self.samples.clear();
    }

    /// Takes a point; a later one of the same series replaces an earlier.
    ///
    /// Errors: why it cannot be taken, in words.
    pub(crate) fn take(&mut self, point: Point, now: SystemTime) -> Result<(), String> {
        let age = point.time.map(|time| now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() - time);
        if let Some(age) = age.filter(|age| !(-AGE_MAX_S..=AGE_MAX_S).contains(age)) {
            let past = format!("it is older than {AGE_MAX_S} s");
            return Err(if age > 0.0 { past } else { format!("it is of a time more than {AGE_MAX_S} s ahead") });
        }
        let labels = self.labels(&point.labels)?;
        let spec = self.spec(&point)?;
        let Some(value) = point.value else { return Ok(()) };
        if !value.is_finite() {
            return Err(format!("{value} is no value"));
        }
        if let Some(known) = self.metrics.get(&spec.name).filter(|known| (known.kind, known.unit) != (spec.kind, spec.unit)) {
            return Err(format!("`{}` was a {} before", spec.name, in_words(known)));
        }
        let known = self.keys.get(&spec.name).map(Vec::as_slice).unwrap_or_default();
        let new: Vec<String> = labels.keys().filter(|key| !known.contains(*key)).cloned().collect();
        if known.len() + new.len() > LABELS_MAX {
            return Err(format!("more than {LABELS_MAX} labels of `{}`", spec.name));
        }
        let series = (spec.name.clone(), labels);
        if self.samples.len() == SAMPLES_MAX && !self.samples.contains_key(&series) {
            return Err(format!("more than {SAMPLES_MAX} samples in one run"));
        }
        if self.metrics.len() == METRICS_MAX && !self.metrics.contains_key(&spec.name) {
            return Err(format!("more than {METRICS_MAX} metrics in one run"));
        }
        self.keys.entry(spec.name.clone()).or_default().extend(new);
        self.samples.insert(series, value);
        self.metrics.entry(spec.name.clone()).or_insert(spec);
        Ok(())
    }

    /// Records what was taken.
    pub(crate) fn record(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut declared = HashMap::new();
        for (name, mut spec) in std::mem::take(&mut self.metrics) {
            spec.keys = self.keys.get(&name).cloned().unwrap_or_default();
            declared.insert(name, (cx.declare(spec.clone())?, spec.keys));
        }
        for ((name, labels), value) in std::mem::take(&mut self.samples) {
            let Some((metric, keys)) = declared.get(&name) else { continue };
            let labels: Vec<(&str, &str)> =
                keys.iter().map(|key| (key.as_str(), labels.get(key).map(String::as_str).unwrap_or_default())).collect();
            match labels.as_slice() {
                [] => cx.record(metric, value),
                labels => cx.record_with(metric, labels, value),
            }
        }
        Ok(())
    }

    fn labels(&self, said: &[(String, String)]) -> Result<Labels, String> {
        let mut labels = Labels::new();
        for (key, value) in said.iter().filter(|(_, value)| !value.is_empty()) {
            let value = self.masked(value);
            if value.len() > LABEL_BYTES_MAX {
                return Err(format!("the label `{}` is longer than {LABEL_BYTES_MAX} bytes", quoted(key)));
            }
            if labels.insert(label(key), value).is_some() {
                return Err(format!("the label `{}` is there twice", quoted(key)));
            }
        }
        Ok(labels)
    }

    /// What is declared, without label keys. What the form does not say is what it is everywhere, where the name means the same everywhere.
    fn spec(&mut self, point: &Point) -> Result<MetricSpec, String> {
        let said = self.masked(&point.name);
        let counts = self.counters.contains(&point.name).then_some(Kind::Counter);
        let name = match self.rename.get(&point.name) {
            Some(name) => name.clone(),
            None => {
                let named = self.names.metric(&said, counts.or(point.kind).unwrap_or(Kind::Gauge))?;
                if let Some((from, to)) = named.moved {
                    self.call_otherwise(&from, &to);
                }
                named.name
            }
        };
        if self.times_itself && name == standard::TOTAL_TIME.name() {
            return Err(format!("`{name}` is how long the program ran, and measured here; `rename` gives it another name"));
        }
        let everywhere = standard::ALL.iter().find(|metric| metric.name() == name).map(|metric| metric.spec());
        let kind = counts.or(point.kind).or(everywhere.as_ref().map(|spec| spec.kind)).unwrap_or(Kind::Gauge);
        let unit = point.unit.or(everywhere.as_ref().map(|spec| spec.unit)).unwrap_or(Unit::Number);
        if let Some(spec) = everywhere {
            return match (spec.kind, spec.unit) == (kind, unit) {
                true => Ok(spec),
                false => Err(format!("`{name}` is a {} everywhere", in_words(&spec))),
            };
        }
        let help = point.help.as_deref().map(|help| quoted(&self.masked(help))).filter(|help| !help.trim().is_empty());
        let help = help.unwrap_or_else(|| format!("{}, as the program tells it.", quoted(&said)));
        let spec = MetricSpec { name, kind, unit, help, keys: Vec::new() };
        spec.fault().map_or(Ok(spec), |fault| Err(fault.into()))
    }

    /// Calls a metric otherwise from now on, with what it told in this run.
    fn call_otherwise(&mut self, from: &str, to: &str) {
        if let Some(keys) = self.keys.remove(from) {
            self.keys.insert(to.to_owned(), keys);
        }
        if let Some(spec) = self.metrics.remove(from) {
            self.metrics.insert(to.to_owned(), MetricSpec { name: to.to_owned(), ..spec });
        }
        let moved: Vec<_> = self.samples.extract_if(.., |(name, _), _| name == from).collect();
        self.samples.extend(moved.into_iter().map(|((_, labels), value)| ((to.to_owned(), labels), value)));
    }

    fn masked(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), MASK))
    }
}

fn in_words(spec: &MetricSpec) -> String {
    let kind = match spec.kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    format!("{kind} of unit {}", spec.unit.name())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn book(more: &str) -> Book {
        Book::new(&toml::from_str(&format!("argv = ['/bin/true']\nformat = 'json-lines'\n{more}")).unwrap())
    }

    fn take(book: &mut Book, point: Point) -> Result<(), String> {
        book.take(point, SystemTime::UNIX_EPOCH + Duration::from_secs(1000))
    }

    fn point(name: &str) -> Point {
        Point::new(name, Some(1.0))
    }

    #[test]
    fn a_series_is_one_of_all_labels_that_its_metric_was_ever_told_with() {
        let mut book = book("");
        take(&mut book, point("size").label("queue", "in")).unwrap();
        book.clear();
        take(&mut book, point("size").label("host", "a")).unwrap();
        take(&mut book, point("size").label("empty", "")).unwrap();
        assert_eq!((book.keys["size"].join(","), book.samples.len()), ("queue,host".into(), 2));
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        let mut book = book("");
        take(&mut book, point("size")).unwrap();
        let bytes = Point { unit: Some(Unit::Bytes), ..point("size") };
        assert_eq!(take(&mut book, bytes), Err("`size` was a gauge of unit number before".into()));
        let queue = Point { unit: Some(Unit::Bytes), ..point("queue_size") };
        assert_eq!(take(&mut book, queue), Err("`queue_size` is a gauge of unit messages everywhere".into()));
        let old = Point { time: Some(600.0), ..point("size") };
        assert_eq!(take(&mut book, old), Err("it is older than 300 s".into()));
        assert_eq!(take(&mut book, Point { time: Some(1300.0), ..point("size") }), Ok(()), "a clock may be ahead");
        let far = Point { time: Some(1301.0), ..point("size") };
        assert_eq!(take(&mut book, far), Err("it is of a time more than 300 s ahead".into()));
        assert_eq!(take(&mut book, point("size").label("A", "1").label("a", "2")), Err("the label `a` is there twice".into()));
        let long = "x".repeat(2000);
        assert_eq!(take(&mut book, point("size").label("a", long)), Err("the label `a` is longer than 1024 bytes".into()));
        let many = (0..20).fold(point("size"), |point, number| point.label(format!("l{number}"), "x"));
        assert_eq!(take(&mut book, many), Err("more than 12 labels of `size`".into()));
        assert_eq!(take(&mut book, Point::new("size", Some(f64::INFINITY))), Err("inf is no value".into()));
    }

    #[test]
    fn what_means_the_same_everywhere_is_so_without_a_word() {
        let mut book = book("rename = { time = 'connect_time' }\ncounters = ['sent']");
        take(&mut book, point("queue_size").label("queue", "in")).unwrap();
        take(&mut book, Point { unit: Some(Unit::Seconds), ..point("time") }).unwrap();
        take(&mut book, point("sent")).unwrap();
        take(&mut book, point("connect_time")).unwrap();
        let told: Vec<String> = book.metrics.values().map(|spec| format!("{} {}", spec.name, in_words(spec))).collect();
        assert_eq!(told[0], "connect_time gauge of unit seconds");
        assert!(told[1].starts_with("connect_time_") && told[1].ends_with("gauge of unit number"), "the name is another's: {told:?}");
        assert_eq!(told[2..], ["queue_size gauge of unit messages", "sent counter of unit number"]);
    }

    #[test]
    fn how_long_a_program_ran_is_measured_here_and_by_nobody_else() {
        let total = || Point { unit: Some(Unit::Seconds), ..Point::new("total_time", Some(-1.0)) };
        let why = "`total_time` is how long the program ran, and measured here; `rename` gives it another name";
        assert_eq!(take(&mut book(""), total()), Err(why.into()));
        assert_eq!(take(&mut book("long_lived = true"), total()), Ok(()), "nobody knows but the program");
        assert_eq!(take(&mut book("rename = { total_time = 'query_time' }"), total()), Ok(()));
    }

    #[test]
    fn what_two_points_of_one_name_told_is_the_same_in_whichever_order() {
        let told = |order: [&str; 2]| {
            let mut book = book("");
            order.iter().for_each(|name| take(&mut book, Point::new(*name, Some(name.len() as f64)).label("l", *name)).unwrap());
            (book.samples, book.metrics.into_keys().collect::<Vec<_>>())
        };
        let (samples, metrics) = told(["a b", "a--b"]);
        assert_eq!((samples.clone(), metrics.clone()), told(["a--b", "a b"]));
        assert_eq!((samples.into_values().sum::<f64>(), metrics.len()), (7.0, 2));
    }

    #[test]
    fn metrics_and_samples_without_end_are_refused() {
        let mut book = book("");
        let refused = (0..METRICS_MAX + 5).filter(|number| take(&mut book, point(&format!("n{number}"))).is_err()).count();
        assert_eq!(refused, 5);
        let refused = (0..SAMPLES_MAX).filter(|number| take(&mut book, point("n1").label("n", number.to_string())).is_err()).count();
        assert_eq!((refused, book.samples.len()), (METRICS_MAX, SAMPLES_MAX));
    }

    #[test]
    fn a_secret_that_a_program_puts_into_a_label_or_a_help_is_hidden() {
        let mut book = book("secret_env = { P = 'geheim' }");
        let told = Point { help: Some("It is geheim.".into()), ..point("a-geheim") };
        take(&mut book, told.label("password", "my geheim one")).unwrap();
        let shown = format!("{book:?}");
        assert!(!shown.contains("geheim") && shown.contains("my <secret> one"), "{shown}");
    }
}
