//! A mail server that greets, says that it is here, and says good-bye.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// Serves on a port that was closed before, until the test ends.
pub(crate) fn serve_on(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let serve = |mut stream: TcpStream| -> io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?);
        for said in ["220 ready\r\n", "250 here\r\n", "221 bye\r\n"] {
            stream.write_all(said.as_bytes())?;
            lines.read_line(&mut String::new())?;
        }
        Ok(())
    };
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(serve(stream))));
}
