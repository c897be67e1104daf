//! What happens to plugins and their jobs becomes an event, and is counted.

use std::sync::Arc;

use super::appender::Appender;
use crate::{
    expose::host_metrics::HostMetrics,
    plugin::{Incident, What},
};

/// Takes incidents one by one.
pub(super) fn teller(appender: Appender, metrics: Arc<HostMetrics>) -> impl Fn(&Incident) + Send + 'static {
    move |incident| {
        let Incident { plugin, job, what, text } = incident;
        appender.report(job.as_deref(), what.severity(), what.code(), text.clone());
        if let What::Died(cause) = what {
            metrics.worker_died(plugin, cause, job.as_deref());
        }
        if let (Some(step), Some(job)) = (what.step(), job) {
            metrics.job_held(job, step);
        }
    }
}
