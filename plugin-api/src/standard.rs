//! Metrics that mean the same in every agent: exposed without the agent's name, so that consoles compare them.

use crate::{Metric, Unit};

macro_rules! standard {
    ($($constant:ident = $kind:ident($name:literal, $unit:ident, $help:literal) $(by $keys:expr)?;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric::$kind($name, Unit::$unit, $help)$(.by(&$keys))?;
        )+
        /// Every standard metric.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

standard! {
    RESOLVE_TIME = gauge("resolve_time", Seconds, "Time to resolve the target's name.");
    CONNECT_TIME = gauge("connect_time", Seconds, "Time to open the connection.");
    BANNER_TIME = gauge("banner_time", Seconds, "Time from the open connection to the server's greeting.");
    TLS_TIME = gauge("tls_time", Seconds, "Time of the TLS handshake, with the command that starts it.");
    EHLO_TIME = gauge("ehlo_time", Seconds, "Time of the EHLO dialogue, the second one after STARTTLS included.");
    AUTHENTICATE_TIME = gauge("authenticate_time", Seconds, "Time of the login.");
    MAIL_TIME = gauge("mail_time", Seconds, "Time of the MAIL command.");
    RCPT_TIME = gauge("rcpt_time", Seconds, "Time of the RCPT command.");
    DATA_TIME = gauge("data_time", Seconds, "Time from DATA to the acceptance of the message.");
    TRANSMISSION_TIME = gauge("transmission_time", Seconds, "Time from MAIL to the acceptance of the message.");
    QUERY_TIME = gauge("query_time", Seconds, "Time of the query.");
    SELECT_TIME = gauge("select_time", Seconds, "Time to open the mailbox.");
    SEARCH_TIME = gauge("search_time", Seconds, "Time of the search.");
    DOWNLOAD_TIME = gauge("download_time", Seconds, "Time to fetch a message.");
    COMPOSE_SEND_TIME = gauge("compose_send_time", Seconds, "Time to compose and send a message.");
    BIND_TIME = gauge("bind_time", Seconds, "Time of the bind.");
    ENTRIES_TIME = gauge("entries_time", Seconds, "Time to receive the entries found.");
    LOGOUT_TIME = gauge("logout_time", Seconds, "Time of the logout.");
    QUIT_TIME = gauge("quit_time", Seconds, "Time to end the session: QUIT, and RSET before it where there is one.");
    TOTAL_TIME = gauge("total_time", Seconds, "Time of all phases together.");
    ROUNDTRIP_TIME = gauge("roundtrip_time", Seconds, "Time from the sending of a message to its arrival.");
    CONNECTIONS_ACTIVE = gauge("connections_active", Connections, "Connections open now.");
    CONNECTIONS = counter("connections", Connections, "Connections accepted.");
    CONNECTION_ERRORS = counter("connection_errors", Errors, "Connections that failed, by reason.") by ["reason"];
    MESSAGES_RECEIVED = counter("messages_received", Messages, "Messages received.");
    MESSAGES_STORED = counter("messages_stored", Messages, "Messages stored.");
    MESSAGES_SENT = counter("messages_sent", Messages, "Messages sent.");
    MESSAGES_DEFERRED = counter("messages_deferred", Messages, "Messages deferred.");
    MESSAGES_BOUNCED = counter("messages_bounced", Messages, "Messages bounced.");
    MESSAGES_PROCESSED = counter("messages_processed", Messages, "Messages processed.");
    MESSAGES_RETRIEVED = counter("messages_retrieved", Messages, "Messages retrieved by their readers.");
    RECEIVED_BYTES = counter("received_bytes", Bytes, "Volume received.");
    STORED_BYTES = counter("stored_bytes", Bytes, "Volume stored.");
    QUERIES = counter("queries", Queries, "Queries processed.");
    QUERIES_SUCCEEDED = counter("queries_succeeded", Queries, "Queries answered well.");
    QUERY_ERRORS = counter("query_errors", Errors, "Queries that failed, by reason.") by ["reason"];
    QUEUE_SIZE = gauge("queue_size", Messages, "Messages in the queue.") by ["queue"];
    QUEUE_BYTES = gauge("queue_bytes", Bytes, "Volume of the queue.") by ["queue"];
    QUEUE_OLDEST_AGE = gauge("queue_oldest_age", Seconds, "Age of the oldest message of the queue.") by ["queue"];
}

/// Finds the standard metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name() == name)
}
