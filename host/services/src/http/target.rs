//! Where a request goes, and in which words.

use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE, USER_AGENT},
};
use watchpost_plugin_api::{AgentError, HttpRequest, Keep, Tls};

/// How we introduce ourselves.
const WE: &str = concat!("watchpost/", env!("CARGO_PKG_VERSION"));

/// The server that a URL leads to.
#[derive(Debug)]
pub(crate) struct Target {
    /// Host name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// How it is verified, when it is `https`.
    pub(crate) tls: Option<Tls>,
    /// What tells two connections apart.
    pub(crate) key: String,
    uri: Uri,
}

impl Target {
    /// Reads a URL.
    ///
    /// Errors: kind `config`; the URL is not told, for it may hold a secret that nobody knows of.
    pub(crate) fn new(request: &HttpRequest) -> Result<Self, AgentError> {
        let wrong = |what: &str| AgentError::config("", format!("the URL {what}"));
        let uri: Uri = request.url.parse().map_err(|error| wrong(&format!("is none: {error}")))?;
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has a user in it; that belongs into a header"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let (usual, secure) = match uri.scheme_str() {
            Some("http") => (80, false),
            Some("https") => (443, true),
            _ => return Err(wrong("begins with neither http:// nor https://")),
        };
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().map_err(|_| wrong("has a port that is no number"))?,
            _ => usual,
        };
        let tls = secure.then(|| {
            let mut tls = request.tls.clone().unwrap_or_default();
            if tls.server_name.is_empty() {
                tls.server_name.clone_from(&host);
            }
            if tls.alpn.is_empty() {
                tls.alpn.push("http/1.1".into());
            }
            tls
        });
        let key = format!("{host} {port} {:?} {tls:?}", request.connect_to);
        Ok(Self { host, port, tls, key, uri })
    }

    /// Puts a request into what hyper sends.
    ///
    /// Errors: kind `config` for what cannot stand in a request.
    pub(crate) fn request(&self, wanted: &HttpRequest, body: Bytes) -> Result<Request<Full<Bytes>>, AgentError> {
        let wrong = |what: String| AgentError::config("", what);
        let method =
            Method::from_bytes(wanted.method.as_bytes()).map_err(|_| wrong(format!("`{}` is no method", wanted.method.escape_debug())))?;
        if method == Method::CONNECT {
            return Err(wrong("CONNECT is for proxies, and this is none".into()));
        }
        let empty = body.is_empty();
        let mut request = Request::new(Full::new(body));
        request.method_mut().clone_from(&method);
        *request.uri_mut() = self
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .parse()
            .map_err(|error| wrong(format!("the URL has no path: {error}")))?;
        let headers = request.headers_mut();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        headers.insert(HOST, authority.parse().map_err(|_| wrong("the URL's host cannot be sent".into()))?);
        for (name, value) in &wanted.headers {
            let known: HeaderName = name.parse().map_err(|_| wrong(format!("`{}` is no name of a header", name.escape_debug())))?;
            if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE].contains(&known) {
                return Err(wrong(format!("the header {name} is the host's")));
            }
            let value =
                HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong(format!("the value of the header {name} cannot be sent")))?;
            if known == HOST {
                headers.insert(known, value);
            } else {
                headers.append(known, value);
            }
        }
        for (name, usual) in [(USER_AGENT, WE), (ACCEPT, "*/*"), (ACCEPT_ENCODING, "identity")] {
            headers.entry(name).or_insert(HeaderValue::from_static(usual));
        }
        if empty && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            // RFC 9110 8.6. Of other bodies hyper tells the length.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if wanted.keep == Keep::Never {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(request)
    }
}
