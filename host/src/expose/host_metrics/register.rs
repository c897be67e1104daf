//! Makes metrics under one prefix and enters them in one registry.

use prometheus::{Counter, Error, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, core::Collector};

pub(super) struct Register {
    pub(super) registry: Registry,
    prefix: &'static str,
}

impl Register {
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { registry: Registry::new(), prefix }
    }

    /// A gauge of which nothing shows until it is set; also without labels.
    pub(super) fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        self.enter(GaugeVec::new(self.opts(name, help), labels)?)
    }

    /// A gauge that shows from the start.
    pub(super) fn plain_gauge(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        self.enter(Gauge::with_opts(self.opts(name, help))?)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.enter(IntCounter::with_opts(self.opts(name, help))?)
    }

    pub(super) fn sum(&self, name: &str, help: &str) -> Result<Counter, Error> {
        self.enter(Counter::with_opts(self.opts(name, help))?)
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.enter(IntCounterVec::new(self.opts(name, help), labels)?)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        let opts = HistogramOpts::from(self.opts(name, help)).buckets(buckets.to_vec());
        self.enter(Histogram::with_opts(opts)?)
    }

    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("{}{name}", self.prefix), help)
    }

    fn enter<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}
