//! Which of the two text formats a scraper gets.
//!
//! Source: Prometheus "Content negotiation"; RFC 9110 12.5.1. A header that makes no sense gives text 0.0.4, never a refusal.

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// How much a client wants a format: the q-value in thousandths, then how exactly it named it.
type Wish = (u16, u8);

impl Format {
    /// Picks what the `Accept` header asks for most; text 0.0.4 if it asks for nothing we have.
    pub fn negotiate(accept: &str) -> Self {
        let (text, open_metrics) = (Self::Text.wish(accept), Self::OpenMetrics.wish(accept));
        if open_metrics.is_some_and(|(q, _)| q > 0) && open_metrics > text { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            // From 1.0.0 on the escaping scheme of names must be told; ours need none.
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        }
    }

    /// The wish of the most exact range that covers this format.
    fn wish(self, accept: &str) -> Option<Wish> {
        let covering = accept.split(',').filter_map(|range| self.covered_by(range));
        covering.max_by_key(|&(q, exactness)| (exactness, q))
    }

    fn covered_by(self, range: &str) -> Option<Wish> {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next()?.to_ascii_lowercase();
        let (mut q, mut version) = (1000, None);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => q = thousandths(value.trim()),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        let exactness = match (self, kind.as_str()) {
            (_, "*/*") => 0,
            (Self::Text, "text/*") | (Self::OpenMetrics, "application/*") => 1,
            (Self::Text, "text/plain") | (Self::OpenMetrics, "application/openmetrics-text") => match version {
                None => 2,
                Some(version) if version == self.version() => 3,
                Some(_) => return None,
            },
            _ => return None,
        };
        Some((q, exactness))
    }

    fn version(self) -> &'static str {
        match self {
            Self::Text => "0.0.4",
            Self::OpenMetrics => "1.0.0",
        }
    }
}

/// A q-value; one that makes no sense counts as not given.
fn thousandths(q: &str) -> u16 {
    q.parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q)).map_or(1000, |q| (q * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, expected: Format) {
        assert_eq!(Format::negotiate(accept), expected, "{accept:?}");
    }

    #[test]
    fn a_scraper_gets_the_format_it_wants_most() {
        check("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::OpenMetrics);
        check("application/openmetrics-text; version=1.0.0", Format::OpenMetrics);
        check("Application/OpenMetrics-Text", Format::OpenMetrics);
        check("text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.9", Format::Text);
        check("application/openmetrics-text;version=\"1.0.0\";q=0.6,text/plain;q=0.5", Format::OpenMetrics);
        check("application/openmetrics-text;q=0.5,*/*;q=0.5", Format::OpenMetrics);
        check("application/openmetrics-text;q=0,*/*", Format::Text);
        check("application/openmetrics-text;q=0", Format::Text);
    }

    #[test]
    fn prometheus_3_gets_open_metrics() {
        let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1";
        check(accept, Format::OpenMetrics);
    }

    #[test]
    fn whatever_else_is_asked_gets_text() {
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text);
        for junk in [
            "",
            "*/*",
            "application/*, text/*",
            "application/json",
            "/;q=0.1",
            ",,;;=,",
            "text/plain;q=7",
            "application/openmetrics-text;version=0.0.1",
        ] {
            check(junk, Format::Text);
        }
    }
}
