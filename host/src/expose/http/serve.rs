//! Takes connections, few enough and each with a deadline, until told to stop.

use std::{
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::patience::Patient;
use crate::{expose::host_metrics::HostMetrics, log::trouble::Trouble};

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Fields of a request's head.
const HEAD_FIELDS_MAX: usize = 64;
/// Pause after an accept failed for want of descriptors or memory, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one listener and one peer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at one time; more are closed at once and counted.
    pub connections: usize,
    /// Time to send a request's head; also how long an idle connection is kept.
    pub head_time: Duration,
    /// Time to take an answer.
    pub answer_time: Duration,
    /// Time that answers under way get when the daemon stops.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let [head_time, answer_time, stop_time] = [20, 30, 1].map(Duration::from_secs);
        Self { connections: 256, head_time, answer_time, stop_time }
    }
}

/// Serves until `stop` completes; answers under way are finished, within `limits.stop_time`.
pub async fn serve(listener: TcpListener, routes: Router, host: Arc<HostMetrics>, limits: Limits, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let mut refused = Trouble::new();
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < limits.connections => {
                    refused.is_over(Instant::now());
                    let open = host.http_connection();
                    let talk = talk(stream, routes.clone(), limits, stopped.clone());
                    connections.spawn(async move {
                        talk.await;
                        drop(open);
                    });
                }
                Ok(_one_too_many) => host.http_connection_refused(),
                Err(error) => pause_after(&error, &mut refused).await,
            }
        }
    }
    drop(listener);
    drop(stopping);
    // What is not finished by then is aborted with the set.
    let _ = timeout(limits.stop_time, async { while connections.join_next().await.is_some() {} }).await;
}

async fn talk(stream: TcpStream, routes: Router, limits: Limits, mut stopped: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream, limits.answer_time)), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {}", crate::chain(&error));
    }
}

async fn pause_after(error: &io::Error, refused: &mut Trouble) {
    // accept(2): these speak of a connection that is gone, the others of ourselves.
    let of_the_peer = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if !of_the_peer.contains(&error.kind()) {
        let why = crate::chain(error);
        if let Some(told) = refused.met(&why, Instant::now()) {
            tracing::error!(times = told.times, "cannot accept connections: {why}");
        }
        sleep(ACCEPT_PAUSE).await;
    }
}
