//! Connections of the network.

use std::{
    net::{Shutdown, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::*;

/// Until the kernel has noticed what became of a connection.
async fn until(config: &Value, state: &str, count: f64) -> Ran {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let ran = run(config).await;
        if sockets(&ran, state) == count {
            return ran;
        }
        assert!(Instant::now() < deadline, "not {count} {state}: {ran:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn every_client_counts_once_at_either_end_and_by_its_state() {
    for host in ["127.0.0.1", "[::1]"] {
        let Ok(listener) = TcpListener::bind(format!("{host}:0")) else { continue };
        let address = listener.local_addr().unwrap();
        let local = json!({ "local": address.port() });
        let remote = json!({ "remote": [address.to_string()] });
        assert_eq!((active(&run(&local).await), active(&run(&remote).await)), (0.0, 0.0));
        let clients: Vec<_> = (0..7).map(|_| TcpStream::connect(address).unwrap()).collect();
        let accepted: Vec<_> = (0..7).map(|_| listener.accept().unwrap().0).collect();
        for config in [&local, &remote, &json!({ "local": address.to_string() })] {
            let ran = run(config).await;
            assert_eq!((active(&ran), sockets(&ran, "established")), (7.0, 7.0), "{config}");
        }
        assert_eq!(sockets(&run(&local).await, "listen"), 1.0);
        // Three clients say that they have nothing more to send: their connections are none that work any more.
        clients[..3].iter().for_each(|client| client.shutdown(Shutdown::Write).unwrap());
        assert_eq!(active(&until(&local, "close_wait", 3.0).await), 4.0);
        assert_eq!(active(&until(&remote, "fin_wait_2", 3.0).await), 4.0);
        drop(accepted);
    }
}

#[tokio::test]
async fn a_server_that_is_gone_has_no_number_but_its_last_connections_have() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = json!({ "local": [address.to_string()] });
    let client = TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    drop(listener);
    let ran = run(&config).await;
    assert_eq!((active(&ran), sockets(&ran, "listen")), (1.0, 0.0));
    // The server's end goes first, and stays for a while in a state that shows no server.
    drop(accepted);
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(20);
    while run(&config).await.failure().is_none() {
        assert!(Instant::now() < deadline, "still counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_nobody(&run(&config).await, &address.to_string());
}

#[tokio::test]
async fn nobody_there_is_no_zero_but_nobody_connected_to_is() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_nobody(&run(&json!({ "local": free.port() })).await, &format!("*:{}", free.port()));
    assert_eq!(active(&run(&json!({ "remote": free.port() })).await), 0.0);
}

#[tokio::test]
async fn both_ends_together_mean_both() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    let ours = clients[0].local_addr().unwrap();
    let config = json!({ "local": address.port(), "remote": ours.to_string() });
    assert_eq!(active(&run(&config).await), 1.0);
    let config = json!({ "local": ours.port(), "remote": address.port() });
    assert_eq!(active(&run(&config).await), 1.0);
}
