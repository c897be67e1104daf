//! The way to a handshake: from the first byte, or by the command of a protocol.

use watchpost_plugin_api::{AgentError, Cx, Metric, Stream, Tls, TlsFacts, standard};

use crate::config::Starttls;

/// Does a handshake over a connection that is open and takes leave; `lap` is called at the end of each phase.
///
/// Errors: kind `tls` when it fails or is not offered, `protocol` for what the server says before it.
pub(crate) async fn handshake(
    cx: &Cx,
    mut stream: Stream,
    starttls: Option<Starttls>,
    tls: &Tls,
    mut lap: impl FnMut(Metric) + Send,
) -> Result<TlsFacts, AgentError> {
    match starttls {
        None => {
            let facts = stream.start_tls(tls).await?;
            lap(standard::TLS_TIME);
            Ok(facts)
        }
        Some(Starttls::Smtp) => watchpost_mail::smtp::inspect(stream, tls, lap).await,
        Some(Starttls::Imap) => watchpost_mail::imap::inspect(cx, stream, tls, lap).await,
        Some(Starttls::Pop3) => watchpost_mail::pop3::inspect(cx, stream, tls, lap).await,
        Some(Starttls::Ldap) => {
            let mut session = watchpost_directory::Session::new(cx, stream.binary());
            let facts = session.start_tls(tls).await;
            if facts.is_ok() {
                lap(standard::TLS_TIME);
            }
            session.leave().await;
            facts
        }
    }
}
