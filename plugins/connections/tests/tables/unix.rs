//! Connections within this machine.

use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::json;
use watchpost_testkit::Tree;

use crate::*;

#[tokio::test]
async fn accepted_connections_are_active_and_those_in_the_queue_wait() {
    let tree = Tree::new().unwrap();
    let (path, other) = (tree.at("auth"), tree.at("auth-other"));
    let config = json!({ "socket": path });
    assert_nobody(&run(&config).await, path.to_str().unwrap());
    let (listener, beside) = (UnixListener::bind(&path).unwrap(), UnixListener::bind(&other).unwrap());
    let ran = run(&config).await;
    assert_eq!((active(&ran), sockets(&ran, "listen"), sockets(&ran, "waiting")), (0.0, 1.0, 0.0));
    let clients: Vec<_> = (0..5).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let foreign: Vec<_> = (0..3).map(|_| UnixStream::connect(&other).unwrap()).collect();
    let accepted: Vec<_> = (0..2).map(|_| listener.accept().unwrap()).collect();
    let ran = run(&config).await;
    assert_eq!((active(&ran), sockets(&ran, "waiting")), (2.0, 3.0));
    let both = json!({ "socket": [path, other] });
    let ran = run(&both).await;
    assert_eq!((active(&ran), sockets(&ran, "waiting"), sockets(&ran, "listen")), (2.0, 6.0, 2.0));
    drop((accepted, clients, foreign, beside, listener));
    assert_nobody(&run(&config).await, path.to_str().unwrap());
}
