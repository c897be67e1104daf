//! How a system is asked: one request, one answer.

use std::{future::Future, pin::Pin, time::Duration};

use hyper::{
    Method, Uri,
    header::{HeaderMap, HeaderName},
};

use crate::notify::{
    channel::{Hidden, Sender},
    http::Receiver,
};

/// Bytes of an answer that are read, at most: the whole history of a ticket may be in it.
const ANSWER_BYTES_MAX: usize = 2 << 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, behind that of the channel's `url`.
    pub path: String,
    /// Headers; their values may be secrets.
    pub headers: Vec<(HeaderName, Hidden)>,
    /// What it carries.
    pub body: String,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
    /// How long the system wants to be left alone.
    pub after: Option<Duration>,
}

/// An answer on its way, or why none comes.
pub type Coming<'a> = Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + 'a>>;

/// What carries requests to a system.
pub trait Wire: Send + Sync {
    /// Asks once; whoever calls sets the deadline.
    fn ask(&self, request: Request) -> Coming<'_>;
}

/// Carries them by HTTP.
pub struct Http {
    /// Where the system is.
    pub receiver: Receiver,
    /// Who asks.
    pub sender: Sender,
}

impl Wire for Http {
    fn ask(&self, request: Request) -> Coming<'_> {
        Box::pin(async move {
            let Request { method, path, headers, body } = request;
            let mut receiver = self.receiver.clone();
            receiver.url = beneath(&receiver.url, &path).ok_or_else(|| format!("{path} is no path"))?;
            let mut valued = Vec::with_capacity(headers.len());
            for (name, value) in headers {
                let mut value = hyper::header::HeaderValue::from_str(value.reveal()).map_err(|_| format!("header {name}: not a value"))?;
                value.set_sensitive(true);
                valued.push((name, value));
            }
            let answer = receiver.ask(&self.sender, method, valued, body, ANSWER_BYTES_MAX).await;
            let answer = answer.map_err(|undelivered| undelivered.why().to_owned())?;
            Ok(Answer { status: answer.status.as_u16(), headers: answer.headers, text: answer.text, after: answer.after })
        })
    }
}

/// A path behind that of an address.
fn beneath(url: &Uri, path: &str) -> Option<Uri> {
    let base = url.path().trim_end_matches('/');
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(format!("{base}{path}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_behind_that_of_the_address() {
        for (url, expected) in [("http://desk/", "http://desk/a?b=c"), ("https://desk:8443/rt/", "https://desk:8443/rt/a?b=c")] {
            assert_eq!(beneath(&url.parse().unwrap(), "/a?b=c").unwrap().to_string(), expected);
        }
    }
}
