//! What `series` asks: which series there are.

use std::sync::Mutex;

use super::{
    fetch::{Kept, LISTED_MAX},
    request::{AskedWrong, FetchError, lend, selectors, yes_or_no},
    store::SeriesStore,
};

/// What may be asked by parameters of a URL.
const PARAMETERS: [&str; 2] = ["series", "details"];

/// What is asked, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// SERIES, as the command line takes them; all of them, if none is named.
    pub series: Vec<String>,
    /// Whether every file and archive of a series is told.
    pub details: bool,
}

impl ListRequest {
    /// Reads a request from the parameters of a URL.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, AskedWrong> {
        let mut request = Self::default();
        for (key, value) in pairs {
            match (key.as_str(), value.as_str()) {
                ("series", series) => request.series.push(series.into()),
                ("details", value) => request.details = yes_or_no("details", value)?,
                (other, _) => return Err(AskedWrong::Parameter { given: other.into(), known: &PARAMETERS }),
            }
        }
        Ok(request)
    }

    /// Writes the request as the parameters of a URL.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let series = self.series.iter().map(|series| ("series", series.clone()));
        series.chain(self.details.then(|| ("details", "true".to_owned()))).collect()
    }

    /// Answers from a store, which is lent for a moment only.
    ///
    /// Errors: [`FetchError::NoSeries`] if a selector was named, and none means anything; [`FetchError::TooMany`].
    pub fn answer(&self, store: &Mutex<SeriesStore>) -> Result<Vec<Kept>, FetchError> {
        let selectors = selectors(&self.series)?;
        let listing = lend(store).list(&selectors);
        if listing.is_empty() && !selectors.is_empty() {
            let missed = listing.missed().iter().map(|(asked, hint)| format!("no series matches {asked}: {hint}"));
            return Err(FetchError::NoSeries(missed.collect()));
        }
        if listing.len() > LISTED_MAX {
            return Err(FetchError::TooMany);
        }
        Ok(listing.look(self.details))
    }
}
