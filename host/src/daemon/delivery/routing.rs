//! The routes in force, for whoever makes steps of alarms.

use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::Transaction;

use crate::{
    alarm::{notice::Notice, store::Outbox},
    config::Config,
    notify::{outbox, person::People, route::Routes},
};

/// Writes down who is to be told, by the routes in force.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Routing(Arc<RwLock<Arc<Routes>>>);

impl Routing {
    /// Takes what is in force from now on.
    pub(in crate::daemon) fn set(&self, config: &Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes_of(config));
    }
}

/// The routes of a configuration.
pub(super) fn routes_of(config: &Config) -> Routes {
    let wants = config.channels.iter().map(|channel| (channel.name.clone(), channel.tell.clone())).collect();
    let delays = config.channels.iter().map(|channel| (channel.name.clone(), channel.kind.delay())).collect();
    let desks = config.channels.iter().filter_map(|channel| Some((channel.name.clone(), channel.kind.reopen_within()?))).collect();
    Routes { routes: config.routes.clone(), wants, delays, desks, people: People::new(&config.persons, &config.rosters) }
}

impl Outbox for Routing {
    fn put(&self, transaction: &Transaction<'_>, notice: &Notice) -> rusqlite::Result<()> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        outbox::put(transaction, notice, &routes)
    }
}
