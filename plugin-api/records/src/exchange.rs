//! A question and its answer, over datagrams and over a connection.

use std::net::SocketAddr;

use watchpost_plugin_api::prelude::{AsyncReadExt, AsyncWriteExt};
use watchpost_plugin_api::{AgentError, Cx, Endpoint, ErrorKind, Level, Stream};

use crate::{
    answer::{Answer, Read},
    query::{Query, Question},
};

/// Messages that are passed over in one exchange; one who sends more is no server that is slow.
const PASSED_OVER_MAX: usize = 1000;
/// Records of an answer that the dialogue shows.
const RECORDS_SHOWN_MAX: usize = 50;

/// Asks the first server that can be reached.
///
/// Errors: kind `connect` when none can, `protocol` for an answer that cannot be read.
pub async fn by_datagram(cx: &Cx, servers: &[SocketAddr], question: &Question) -> Result<Answer, AgentError> {
    let mut last = AgentError::connect("no address to ask");
    for &server in servers {
        match ask_by_datagram(cx, server, question).await {
            Err(error) if matches!(error.kind(), ErrorKind::CONNECT | ErrorKind::LOCAL) => {
                cx.log(Level::Debug, error.message());
                last = error;
            }
            ended => return ended,
        }
    }
    Err(last)
}

async fn ask_by_datagram(cx: &Cx, server: SocketAddr, question: &Question) -> Result<Answer, AgentError> {
    let mut socket = cx.datagram(server).await?;
    let query = Query::new(question)?;
    socket.send(query.bytes()).await?;
    cx.note_sent(&query.to_string());
    for _ in 0..PASSED_OVER_MAX {
        let message = socket.receive().await?;
        if let Some(answer) = take(cx, &query, message)? {
            return Ok(answer);
        }
    }
    Err(too_many())
}

/// Asks as resolvers do: by datagram, and what does not fit into one again over a connection (RFC 1035 4.2.1, RFC 7766 5).
///
/// Errors: those of both ways.
pub async fn ask(cx: &Cx, servers: &[SocketAddr], question: &Question) -> Result<Answer, AgentError> {
    let answer = by_datagram(cx, servers, question).await?;
    match answer.truncated {
        false => Ok(answer),
        true => by_connection(cx, servers, question).await,
    }
}

/// Asks over a connection of its own.
///
/// Errors: kind `connect`, and those of [`by_stream`].
pub async fn by_connection(cx: &Cx, servers: &[SocketAddr], question: &Question) -> Result<Answer, AgentError> {
    whole(by_stream(cx, connect(cx, servers).await?, question).await?)
}

/// Gives an answer that came over a connection, where nothing has to be left out.
///
/// Errors: kind `protocol` for one that is truncated all the same.
pub fn whole(answer: Answer) -> Result<Answer, AgentError> {
    match answer.truncated {
        true => Err(AgentError::protocol("the answer is truncated even over TCP")),
        false => Ok(answer),
    }
}

/// Opens a connection to the first server that takes it.
///
/// Errors: kind `connect`, naming the address.
pub async fn connect(cx: &Cx, servers: &[SocketAddr]) -> Result<Stream, AgentError> {
    cx.connect(Endpoint::Tcp(servers.to_vec())).await.map(Stream::binary)
}

/// Asks over a connection.
///
/// Errors: kind `protocol` when it ends before the answer, or for an answer that cannot be read.
pub async fn by_stream(cx: &Cx, mut stream: Stream, question: &Question) -> Result<Answer, AgentError> {
    let query = Query::new(question)?;
    // RFC 7766 8: length and message in one segment; some servers take nothing else.
    stream.write_all(&query.framed()).await?;
    stream.flush().await?;
    cx.note_sent(&query.to_string());
    for _ in 0..PASSED_OVER_MAX {
        let mut message = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut message).await?;
        if let Some(answer) = take(cx, &query, &message)? {
            return Ok(answer);
        }
    }
    Err(too_many())
}

/// Takes a message if it answers the query, and shows what it is.
fn take(cx: &Cx, query: &Query<'_>, message: &[u8]) -> Result<Option<Answer>, AgentError> {
    match Answer::read(query, message)? {
        Read::Ours(answer) => {
            cx.note_received(&answer.to_string());
            for record in answer.records.iter().take(RECORDS_SHOWN_MAX) {
                cx.note_received(&record.to_string());
            }
            Ok(Some(answer))
        }
        Read::NotOurs(why) => {
            cx.note_received(&format!("passed over: {why}"));
            Ok(None)
        }
    }
}

fn too_many() -> AgentError {
    AgentError::protocol(format!("{PASSED_OVER_MAX} messages, and none of them answers"))
}
