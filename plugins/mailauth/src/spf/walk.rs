//! What an SPF record leads to, counted as receivers count it, at most as far as they go and a little further.
//!
//! No sender is judged here, so every branch is walked: what is counted is what the worst sender costs. A name with a macro in it is
//! counted and not looked up: what it would be depends on the sender.

use domain::base::Rtype;
use watchpost_plugin_api::AgentError;

use super::{Qualifier, Term, is_spf, parse};
use crate::{ask::Names, tags::shown};

/// RFC 7208 4.6.4: lookups after which receivers give up.
const LOOKUPS_MAX: u32 = 10;
/// RFC 7208 4.6.4: lookups without any record after which they should.
const VOIDS_MAX: u32 = 2;
/// RFC 7208 4.6.4: exchangers of one name beyond which they give up.
const EXCHANGERS_MAX: usize = 10;
/// Lookups after which we go no further; how many there are is unknown then.
const FOLLOWED_MAX: u32 = 60;

/// What a record leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Terms that cost a lookup.
    pub(crate) lookups: u32,
    /// Lookups that found nothing.
    pub(crate) voids: u32,
    /// Whether all was walked.
    pub(crate) whole: bool,
    /// What becomes of everybody else.
    pub(crate) all: Option<Qualifier>,
    /// The first thing for which receivers give a permanent error.
    pub(crate) fault: Option<String>,
}

/// A record to be visited, and how it was come to.
struct Visit {
    domain: String,
    path: Vec<String>,
    /// Whether its `all` decides.
    decides: bool,
}

impl Walk {
    /// Walks from a domain that has a record.
    ///
    /// Errors: what cannot be found out; nothing is known then.
    pub(crate) async fn from(names: &Names<'_>, domain: &str) -> Result<Self, AgentError> {
        let mut walk = Self { whole: true, ..Self::default() };
        let mut todo = vec![Visit { domain: same(domain), path: Vec::new(), decides: true }];
        while let Some(visit) = todo.pop() {
            let next = walk.visit(names, &visit).await?;
            if walk.lookups > FOLLOWED_MAX {
                walk.whole = false;
                break;
            }
            todo.extend(next.into_iter().rev());
        }
        walk.judge();
        Ok(walk)
    }

    fn judge(&mut self) {
        let (lookups, voids) = (self.lookups, self.voids);
        if !self.whole {
            self.fail(format!("it needs more than {FOLLOWED_MAX} DNS lookups; receivers do {LOOKUPS_MAX}"));
        } else if lookups > LOOKUPS_MAX {
            self.fail(format!("it needs {lookups} DNS lookups; receivers do {LOOKUPS_MAX}"));
        }
        if voids > VOIDS_MAX {
            self.fail(format!("{voids} of its DNS lookups find nothing; receivers stop after {VOIDS_MAX}"));
        }
    }

    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// Visits one record; gives those it leads to, in order.
    async fn visit(&mut self, names: &Names<'_>, visit: &Visit) -> Result<Vec<Visit>, AgentError> {
        let Visit { domain, path, .. } = visit;
        if path.contains(domain) {
            self.fail(format!("it leads back to itself: {} → {}", shown(&path.join(" → ")), shown(domain)));
            return Ok(Vec::new());
        }
        let found = match crate::ask::parsed(domain) {
            Some(_) => names.find(domain, Rtype::TXT).await?,
            None => Default::default(),
        };
        self.voids += u32::from(found.records.is_empty() && !path.is_empty());
        let records: Vec<&str> = found.texts().filter(|text| is_spf(text)).collect();
        let terms = match records.as_slice() {
            [one] => parse(one),
            // RFC 7208 5.2, 6.1: what is led to must be there.
            [] => Err("there is no SPF record".into()),
            several => Err(format!("there are {} SPF records", several.len())),
        };
        match terms {
            Ok(terms) => self.follow(names, visit, &terms).await,
            Err(why) => {
                let place = if path.is_empty() { String::new() } else { format!("{}: ", shown(domain)) };
                self.fail(format!("{place}{why}"));
                Ok(Vec::new())
            }
        }
    }

    async fn follow(&mut self, names: &Names<'_>, visit: &Visit, terms: &[Term<'_>]) -> Result<Vec<Visit>, AgentError> {
        let mut path = visit.path.clone();
        path.push(visit.domain.clone());
        let (mut next, mut redirect) = (Vec::new(), None);
        for term in terms {
            match *term {
                Term::All(qualifier) => {
                    if visit.decides {
                        self.all = Some(qualifier);
                    }
                    // RFC 7208 5.1: what stands behind is ignored, a redirect wherever it stands.
                    return Ok(next);
                }
                Term::Redirect(to) => redirect = Some(to),
                Term::Include(to) => {
                    self.lookups += 1;
                    if !to.contains('%') {
                        next.push(Visit { domain: same(to), path: path.clone(), decides: false });
                    }
                }
                Term::A(name) => self.look_up(names, name.unwrap_or(&visit.domain), Rtype::A).await?,
                Term::Mx(name) => self.look_up(names, name.unwrap_or(&visit.domain), Rtype::MX).await?,
                Term::Exists(name) => self.look_up(names, name, Rtype::A).await?,
                Term::Ptr => self.lookups += 1,
                Term::Other => {}
            }
        }
        if let Some(to) = redirect {
            self.lookups += 1;
            if !to.contains('%') {
                next.push(Visit { domain: same(to), path, decides: visit.decides });
            }
        }
        Ok(next)
    }

    async fn look_up(&mut self, names: &Names<'_>, name: &str, rtype: Rtype) -> Result<(), AgentError> {
        self.lookups += 1;
        if name.contains('%') || self.lookups > FOLLOWED_MAX {
            return Ok(());
        }
        if crate::ask::parsed(name).is_none() {
            self.fail(format!("`{}` is no name", shown(name)));
            return Ok(());
        }
        let mut found = names.find(name, rtype).await?.records.len();
        if found == 0 && rtype == Rtype::A {
            found = names.find(name, Rtype::AAAA).await?.records.len();
        }
        self.voids += u32::from(found == 0);
        if rtype == Rtype::MX && found > EXCHANGERS_MAX {
            self.fail(format!("{} has {found} mail exchangers; receivers look at {EXCHANGERS_MAX}", shown(name)));
        }
        Ok(())
    }
}

/// A name in the one form in which it is compared.
fn same(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
