//! A second look at a server whose certificate was refused: whoever sends the mail does not say which certificate that was.
//!
//! Source: RFC 3207 (STARTTLS), RFC 8314 (TLS from the first byte).

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use watchpost_plugin_api::Tls;

use super::{Mail, Security, Sender};

/// How long it may take: what is known already is told all the same.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a line of the server, at most (RFC 5321, 4.5.3.1.5).
const LINE_BYTES_MAX: u64 = 512;

/// Why a handshake with the server fails, with whose certificate it is; nothing where it does not fail now, or cannot be seen.
pub(super) async fn looked(mail: &Mail, sender: &Sender, wanted: &Tls) -> Option<String> {
    let look = async {
        let stream = TcpStream::connect((mail.host.as_str(), mail.port)).await.ok()?;
        let stream = match mail.security {
            Security::None => return None,
            Security::Implicit => stream,
            Security::Starttls => begun(stream).await.ok()?,
        };
        Some(sender.shared.handshake(wanted, stream).await.err()?.message().to_owned())
    };
    timeout(LOOK_TIMEOUT, look).await.ok().flatten()
}

/// Says all that is said before TLS begins.
async fn begun(stream: TcpStream) -> io::Result<TcpStream> {
    let mut stream = BufReader::new(stream);
    agreed(&mut stream).await?;
    for command in ["EHLO watchpost.invalid\r\n", "STARTTLS\r\n"] {
        stream.write_all(command.as_bytes()).await?;
        agreed(&mut stream).await?;
    }
    Ok(stream.into_inner())
}

/// Reads an answer of one line or several, which is to be good.
async fn agreed(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        (&mut *stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        match line.as_slice() {
            [b'2', _, _, b'-', ..] => {}
            [b'2', ..] => return Ok(()),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
