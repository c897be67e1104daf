//! Where a run's samples, events and cursor gather; what does not belong there is refused and counted.

use std::collections::HashMap;

use watchpost_plugin_api::{AgentError, MetricSpec, wire};

use crate::outcome::{Event, Sample};

/// Events kept of one run; the rest are counted.
const EVENTS_MAX: usize = 100;
/// Samples that are looked through one by one, before it is worth to note where each is.
const FEW_SAMPLES: usize = 32;
/// Samples kept of one run.
const SAMPLES_MAX: usize = 10_000;
/// Metrics declared in one run.
const DECLARED_MAX: usize = 200;
/// Bytes of a cursor.
const CURSOR_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an event's or a label's text; longer ones are cut, or refused.
const TEXT_BYTES_MAX: usize = 4096;
/// Bytes of a label's value.
const LABEL_BYTES_MAX: usize = 1024;

/// What a run has given so far.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) samples: Vec<Sample>,
    /// Place of the latest sample: one recorded again stands where it stood.
    latest: Option<usize>,
    /// Where each sample is, once they are more than a few.
    places: HashMap<(String, Vec<String>), usize>,
    pub(crate) declared: Vec<MetricSpec>,
    pub(crate) events: Vec<Event>,
    pub(crate) events_dropped: u32,
    pub(crate) refused: u32,
    pub(crate) refusal: Option<String>,
    pub(crate) cursor: Option<Vec<u8>>,
    pub(crate) cursor_read: bool,
}

impl Results {
    /// Takes a sample; a second one of the same series replaces the first.
    pub(crate) fn record(&mut self, known: &[MetricSpec], metric: &str, labels: &str, value: f64) {
        if let Err(why) = self.try_record(known, metric, labels, value) {
            self.refuse(why);
        }
    }

    fn try_record(&mut self, known: &[MetricSpec], metric: &str, labels: &str, value: f64) -> Result<(), String> {
        let spec = known.iter().chain(&self.declared).find(|spec| spec.name == metric);
        let spec = spec.ok_or_else(|| format!("metric `{metric}` was not declared"))?;
        if !value.is_finite() {
            return Err(format!("metric `{metric}`: {value} is no value"));
        }
        let labels = values_in_order(spec, labels)?;
        if let Some(place) = self.place(metric, &labels) {
            self.samples[place].value = value;
            self.latest = Some(place);
            return Ok(());
        }
        if self.samples.len() == SAMPLES_MAX {
            return Err(format!("more than {SAMPLES_MAX} samples in one run"));
        }
        self.latest = Some(self.samples.len());
        self.samples.push(Sample { metric: metric.to_owned(), labels, value });
        Ok(())
    }

    /// Where a series has its sample.
    fn place(&mut self, metric: &str, labels: &[String]) -> Option<usize> {
        if self.samples.len() <= FEW_SAMPLES {
            return self.samples.iter().position(|sample| sample.metric == metric && sample.labels == labels);
        }
        for (place, sample) in self.samples.iter().enumerate().skip(self.places.len()) {
            self.places.insert((sample.metric.clone(), sample.labels.clone()), place);
        }
        self.places.get(&(metric.to_owned(), labels.to_owned())).copied()
    }

    /// The sample that was recorded last.
    pub(crate) fn latest(&self) -> Option<&Sample> {
        self.latest.and_then(|place| self.samples.get(place))
    }

    /// Takes a declaration; the same one again is fine.
    pub(crate) fn declare(&mut self, known: &[MetricSpec], metric: MetricSpec) -> Result<(), AgentError> {
        if let Some(fault) = metric.fault() {
            self.refuse(format!("metric `{}`: {fault}", metric.name));
            return Err(AgentError::config("", fault));
        }
        match known.iter().chain(&self.declared).find(|spec| spec.name == metric.name) {
            Some(same) if *same == metric => return Ok(()),
            Some(_) => {
                self.refuse(format!("metric `{}` was declared otherwise before", metric.name));
                return Err(AgentError::config("", "declared otherwise before"));
            }
            None => {}
        }
        if self.declared.len() == DECLARED_MAX {
            self.refuse(format!("more than {DECLARED_MAX} metrics declared in one run"));
            return Err(AgentError::limit(format!("{DECLARED_MAX} metrics declared in one run")));
        }
        self.declared.push(metric);
        Ok(())
    }

    /// Takes an event, or counts it.
    pub(crate) fn event(&mut self, event: wire::Event, masked: impl Fn(&str) -> String) {
        if self.events.len() == EVENTS_MAX {
            self.events_dropped = self.events_dropped.saturating_add(1);
            return;
        }
        self.events.push(Event { severity: event.severity, code: cut(&event.code), text: cut(&masked(&event.text)) });
    }

    /// Takes what is left for the next run.
    pub(crate) fn set_cursor(&mut self, cursor: &[u8]) -> Result<(), AgentError> {
        if cursor.len() > CURSOR_BYTES_MAX {
            return Err(AgentError::limit(format!("a cursor of {CURSOR_BYTES_MAX} bytes")));
        }
        self.cursor = Some(cursor.to_vec());
        Ok(())
    }

    /// Keeps only what says how the run went.
    pub(crate) fn forget(&mut self) {
        let (refused, refusal, cursor_read) = (self.refused, self.refusal.take(), self.cursor_read);
        *self = Self { refused, refusal, cursor_read, ..Self::default() };
    }

    pub(crate) fn refuse(&mut self, why: String) {
        self.refused = self.refused.saturating_add(1);
        self.refusal.get_or_insert(why);
    }
}

fn values_in_order(spec: &MetricSpec, labels: &str) -> Result<Vec<String>, String> {
    let given: HashMap<String, String> = match labels {
        "" if spec.keys.is_empty() => return Ok(Vec::new()),
        "" => HashMap::new(),
        json => serde_json::from_str(json).map_err(|error| format!("labels of `{}`: {error}", spec.name))?,
    };
    let wrong = || format!("metric `{}` takes the labels [{}]", spec.name, spec.keys.join(", "));
    if given.len() != spec.keys.len() {
        return Err(wrong());
    }
    let values = spec.keys.iter().map(|key| given.get(key).cloned().ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()?;
    if values.iter().any(|value| value.len() > LABEL_BYTES_MAX) {
        return Err(format!("a label of `{}` is longer than {LABEL_BYTES_MAX} bytes", spec.name));
    }
    Ok(values)
}

/// Bounds a text that came from outside.
pub(crate) fn cut(text: &str) -> String {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchpost_plugin_api::{Kind, Unit};

    fn spec(name: &str, keys: &[&str]) -> MetricSpec {
        let keys = keys.iter().map(|key| (*key).into()).collect();
        MetricSpec { name: name.into(), kind: Kind::Gauge, unit: Unit::Number, help: "A.".into(), keys }
    }

    fn check(metric: &str, labels: &str, value: f64, refusal: Option<&str>) {
        let mut results = Results::default();
        results.record(&[spec("depth", &[]), spec("size", &["queue"])], metric, labels, value);
        assert_eq!(results.refusal.as_deref(), refusal);
        assert_eq!(results.samples.len(), usize::from(refusal.is_none()));
    }

    #[test]
    fn only_finite_samples_of_declared_metrics_with_their_labels_enter() {
        check("depth", "", 3.0, None);
        check("size", r#"{"queue":"deferred"}"#, 3.0, None);
        check("depth", "", f64::NAN, Some("metric `depth`: NaN is no value"));
        check("depth", "", f64::INFINITY, Some("metric `depth`: inf is no value"));
        check("width", "", 3.0, Some("metric `width` was not declared"));
        check("size", "", 3.0, Some("metric `size` takes the labels [queue]"));
        check("size", r#"{"other":"x"}"#, 3.0, Some("metric `size` takes the labels [queue]"));
        check("depth", r#"{"queue":"x"}"#, 3.0, Some("metric `depth` takes the labels []"));
    }

    #[test]
    fn a_later_sample_of_the_same_series_replaces_the_earlier() {
        let mut results = Results::default();
        for value in [1.0, 2.0] {
            results.record(&[spec("depth", &[])], "depth", "", value);
        }
        assert_eq!(results.samples, [Sample { metric: "depth".into(), labels: vec![], value: 2.0 }]);
    }

    #[test]
    fn of_many_series_each_has_one_sample() {
        let (mut results, known) = (Results::default(), [spec("size", &["queue"])]);
        for value in [1.0, 2.0] {
            for queue in 0..3 * FEW_SAMPLES {
                results.record(&known, "size", &format!(r#"{{"queue":"{queue}"}}"#), value + queue as f64);
            }
        }
        let expected = (0..3 * FEW_SAMPLES).map(|queue| (vec![queue.to_string()], 2.0 + queue as f64));
        assert!(results.samples.iter().map(|sample| (sample.labels.clone(), sample.value)).eq(expected));
    }

    #[test]
    fn the_latest_sample_is_the_one_recorded_last_even_if_it_was_recorded_before() {
        let mut results = Results::default();
        for metric in ["depth", "width", "depth"] {
            results.record(&[spec("depth", &[]), spec("width", &[])], metric, "", 1.0);
        }
        assert_eq!(results.latest().map(|sample| sample.metric.as_str()), Some("depth"));
    }

    #[test]
    fn events_beyond_a_hundred_are_counted() {
        let mut results = Results::default();
        for _ in 0..130 {
            let event = wire::Event { severity: watchpost_plugin_api::Severity::Minor, code: "c".into(), text: "t".into() };
            results.event(event, str::to_owned);
        }
        assert_eq!((results.events.len(), results.events_dropped), (100, 30));
    }
}
