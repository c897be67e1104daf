//! OpenView's `opcmsg`: one call for each step, with the key by which it knows what belongs together.
//!
//! Source: opcmsg(1M) of HP Operations Manager: application, object and msg_grp have at most 32 bytes.

use std::path::PathBuf;

use watchpost_plugin_api::Severity;

use super::{
    channel::{Parcel, Undelivered},
    exec::run,
    text::{cut, plain_line, title},
};
use crate::alarm::notice::Notice;

/// Bytes of the short attributes, at most.
const SHORT_BYTES_MAX: usize = 32;

/// Where the program is, and what it is told beside.
#[derive(Clone, Debug, PartialEq)]
pub struct Opcmsg {
    /// The program, absolute.
    pub program: PathBuf,
    /// The message group.
    pub group: String,
    /// The node that messages are of; OpenView takes its own where nothing is said.
    pub node: Option<String>,
}

impl Opcmsg {
    pub(super) async fn deliver(&self, parcel: Parcel<'_>) -> Result<(), Undelivered> {
        let notices: &[&Notice] = match parcel {
            Parcel::Notices(notices) => notices,
            Parcel::Test(notice) => &[notice],
            Parcel::Standing(_) => return Ok(()),
            Parcel::Heartbeat { .. } => {
                let arguments = self.arguments("watchpost", "heartbeat", "normal", "watchpost watches", "watchpost:heartbeat");
                return run(&self.program, &arguments, String::new()).await;
            }
        };
        for notice in notices {
            let object = if notice.job.is_empty() { &notice.rule } else { &notice.job };
            let arguments = self.arguments("watchpost", object, severity(notice), &title(notice), &notice.key);
            run(&self.program, &arguments, String::new()).await?;
        }
        Ok(())
    }

    fn arguments(&self, application: &str, object: &str, severity: &str, text: &str, key: &str) -> Vec<String> {
        let mut arguments = vec![
            format!("application={}", short(application)),
            format!("object={}", short(object)),
            format!("msg_text={}", plain_line(text)),
            format!("severity={severity}"),
            format!("msg_grp={}", short(&self.group)),
        ];
        arguments.extend(self.node.as_ref().map(|node| format!("node={node}")));
        arguments.extend(["-option".to_owned(), format!("key={}", plain_line(key))]);
        arguments
    }
}

/// What OpenView calls it; what is over is normal.
fn severity(notice: &Notice) -> &'static str {
    match notice.severity {
        _ if !notice.active => "normal",
        Severity::Indeterminate => "unknown",
        Severity::Warning => "warning",
        Severity::Minor => "minor",
        Severity::Major => "major",
        Severity::Critical => "critical",
    }
}

/// The beginning of a text that fits.
fn short(text: &str) -> String {
    cut(&plain_line(text), SHORT_BYTES_MAX).to_owned()
}
