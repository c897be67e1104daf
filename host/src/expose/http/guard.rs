//! What is refused before a route sees it, and what every answer carries.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn_with_state},
    response::Response,
};

use super::{PLAIN, answer};

/// Answers tell browsers to run, load and frame nothing, to send a filter to us alone, and to keep no copy of what will be old in seconds.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The names by which this listener may be asked for.
///
/// A page from elsewhere can point its own name at the loopback address and have a browser read what is served there (DNS
/// rebinding); it cannot make the browser send another `Host`. Beyond loopback, names are the network's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Loopback addresses, `localhost`, and the host as configured.
    Loopback {
        /// The host of `listen`, as written.
        configured: String,
    },
    /// Any.
    Any,
}

impl Hosts {
    /// The names for a listener bound to `address` because the configuration said `configured` (without port).
    pub fn of(address: SocketAddr, configured: &str) -> Self {
        if address.ip().is_loopback() { Self::Loopback { configured: configured.to_ascii_lowercase() } } else { Self::Any }
    }

    fn allow(&self, host: &str) -> bool {
        let Self::Loopback { configured } = self else { return true };
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        loopback || name == "localhost" || name == configured.trim_start_matches('[').trim_end_matches(']')
    }
}

/// Puts the guard before the routes.
pub(super) fn behind(routes: Router, hosts: Hosts) -> Router {
    routes.layer(from_fn_with_state(Arc::new(hosts), check))
}

async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&hosts, &request) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(hosts: &Hosts, request: &Request) -> Option<Response> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(refused);
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let refused = "this listener is on loopback and does not go by that name: ask for localhost or the address\n";
    (!hosts.allow(host)).then(|| answer(StatusCode::MISDIRECTED_REQUEST, PLAIN, refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_only_loopback_names_are_answered() {
        let hosts = Hosts::of("127.0.0.1:9470".parse().unwrap(), "Post.Example");
        for host in ["localhost", "LOCALHOST:9470", "127.0.0.1:9470", "127.8.8.8", "[::1]:9470", "[::1]", "post.example:1"] {
            assert!(hosts.allow(host), "{host} was refused");
        }
        for host in ["", "evil.example", "localhost.evil.example:9470", "10.0.0.1", "127.0.0.1.evil.example", "a b", "[::1", "[::2]"] {
            assert!(!hosts.allow(host), "{host} was answered");
        }
    }

    #[test]
    fn beyond_loopback_any_name_is_answered() {
        assert_eq!(Hosts::of("0.0.0.0:9470".parse().unwrap(), "0.0.0.0"), Hosts::Any);
        assert!(Hosts::Any.allow("mail.example"));
    }
}
