//! Runs an agent without a host and without a shared library, against servers that follow a script.
//!
//! Reading order: [`Kit`] (an agent made from a configuration, run as a worker runs it) · [`Ran`] (what a run gave) ·
//! [`Script`] (what a server says and waits for) · [`Server`] (one that does it, line by line) · [`UnixServer`] (the same at a Unix
//! socket) · [`HttpServer`] (one of [`Pages`]) · [`PacketServer`] (one of whole messages, UDP and TCP) · [`TestNetwork`] (scripted servers
//! and their clients on a clock that nobody waits for) · [`Authority`] (certificates, good and bad) · [`Tree`] (files, logs that rotate, programs) · [`Lab`] (real servers, where no script will do).
//!
//! ```
//! # use watchpost_testkit::{Script, Server};
//! # async fn story() -> Result<(), watchpost_testkit::StoryError> {
//! let script = Script::new().say("220 hi").expect("EHLO").say("250 ok").cut();
//! let server = Server::start(script).await?;
//! // … run an agent against server.port() …
//! let served = server.served().await?;
//! assert_eq!(served.heard, ["EHLO [127.0.0.1]"]);
//! # Ok(()) }
//! ```
//!
//! A session of a web page, and a server that does not keep to HTTP in the end:
//!
//! ```
//! # use watchpost_testkit::{HttpServer, Page, Pages, Script};
//! # async fn story() -> Result<(), watchpost_testkit::StoryError> {
//! let pages = Pages::new()
//!     .on("POST /login", Page::redirect("/mail").header("Set-Cookie", "sid=1; HttpOnly"))
//!     .on("GET /mail", Page::ok("<ul><li>one</ul>"))
//!     .on("GET /mail", Page::raw(Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort")));
//! let server = HttpServer::start(pages).await?;
//! // … run an agent against server.url("/login") …
//! let login = server.asked().await?;
//! assert_eq!((login.path.as_str(), login.body.as_str()), ("/login", "user=alice&pass=geheim"));
//! # Ok(()) }
//! ```
//!
//! A deadline of ten minutes, met in no time: under `#[tokio::test(start_paused = true)]`, in a network that is within the test.
//!
//! ```
//! # use std::time::Duration;
//! # use watchpost_testkit::{Kit, Script, TestNetwork};
//! # async fn story<A: watchpost_plugin_api::Agent>() {
//! let network = TestNetwork::new();
//! let _talks = network.serve(([192, 0, 2, 25], 25).into(), Script::new().say("220 hi").silence());
//! let kit = Kit::<A>::new(&serde_json::json!({ "host": "192.0.2.25" })).unwrap();
//! let ran = kit.network(&network).timeout(Duration::from_secs(600)).run().await;
//! assert_eq!(ran.outcome.duration_ns, 600_000_000_000);
//! # }
//! ```
//! Everything here has a deadline: a test that goes wrong fails, it does not hang.

mod authority;
mod entrance;
mod http;
mod kit;
mod lab;
mod network;
mod packets;
mod page;
mod ran;
mod script;
mod secrets;
mod server;
mod tree;
mod unix;
mod wire;

pub use authority::{Authority, ClientCertificate, ServerTls};
pub use entrance::ClosedPort;
pub use http::{Asked, HttpServer, Pages};
pub use kit::Kit;
pub use lab::Lab;
pub use network::{Talks, TestNetwork};
pub use packets::{Answers, PacketServer};
pub use page::Page;
pub use ran::Ran;
pub use script::{Script, Step};
pub use server::{Served, Server, StoryError};
pub use tree::Tree;
pub use unix::UnixServer;
pub use watchpost_services::dialogue::{Said, Speaker};
