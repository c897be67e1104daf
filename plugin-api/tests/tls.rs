//! Handshakes through the interface: verified, inspected whatever the certificate is worth, with application protocols and our own certificate.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    collections::HashMap,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::{Value, json};
use watchpost_plugin_api::{CertificateFault, prelude::*};
use watchpost_testkit::{Authority, Kit, Ran, Script, Server, ServerTls, Tree};

/// What each handshake gave, by the server's port.
static FACTS: Mutex<Option<HashMap<u16, TlsFacts>>> = Mutex::new(None);

#[derive(Deserialize, JsonSchema)]
struct Config {
    port: u16,
    name: String,
    #[serde(default)]
    inspect: bool,
    ca_file: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    #[serde(default)]
    alpn: Vec<String>,
    version: Option<String>,
}

/// Does a handshake, and reads a line.
struct Handshake(Config);

impl Agent for Handshake {
    type Config = Config;
    const NAME: &'static str = "handshake";
    const METRICS: &'static [Metric] = &[];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(_: &Config) -> String {
        "here".into()
    }

    fn needs(config: &Config) -> Needs {
        Needs::none().tcp(config.port)
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let Config { port, name, inspect, ca_file, client_cert, alpn, version } = &self.0;
        let tls = if *inspect { Tls::inspect(name) } else { Tls::verify(name) };
        let alpn: Vec<&str> = alpn.iter().map(String::as_str).collect();
        let tls = tls.ca_file(ca_file.as_ref()).client_cert(client_cert.as_ref()).alpn(&alpn);
        let tls = version.as_ref().map_or(tls.clone(), |version| tls.version(version));
        let mut stream = cx.connect(SocketAddr::from(([127, 0, 0, 1], *port))).await?;
        let facts = stream.start_tls(&tls).await?;
        FACTS.lock().unwrap().get_or_insert_default().insert(*port, facts);
        let line = Lines::new(stream).read().await?;
        if line == "hello" { Ok(()) } else { Err(AgentError::protocol(line)) }
    }
}

async fn run(port: u16, config: Value) -> (Ran, Option<TlsFacts>) {
    let mut config = config;
    config["port"] = json!(port);
    let ran = Kit::<Handshake>::new(&config).unwrap().explain().run().await;
    let facts = FACTS.lock().unwrap().get_or_insert_default().remove(&port);
    (ran, facts)
}

async fn shake(tls: &ServerTls, config: Value) -> (Ran, Option<TlsFacts>) {
    let server = Server::start(Script::new().tls(tls).say("hello")).await.unwrap();
    run(server.port(), config).await
}

/// Inspected, the handshake is done and the fault told; verified, there is no connection, and the reason is the same.
async fn check_inspected(tls: &ServerTls, config: Value, fault: CertificateFault, part: &str) {
    let mut inspecting = config.clone();
    inspecting["inspect"] = json!(true);
    let (ran, facts) = shake(tls, inspecting).await;
    assert_eq!(ran.failure(), None);
    let TlsVerdict::Invalid { fault: found, reason } = facts.unwrap().verdict else { panic!("{fault} was not seen") };
    assert_eq!(found, fault, "{reason}");
    assert!(reason.contains(part), "{reason}");
    let (ran, facts) = shake(tls, config).await;
    let (kind, message) = ran.failure().unwrap();
    assert_eq!((kind, facts), ("tls", None), "{message}");
    if fault != CertificateFault::SelfSigned {
        assert_eq!(message, reason);
    }
}

#[tokio::test]
async fn a_bad_certificate_is_inspected_and_its_fault_has_a_name() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let names = ["mx.lab.test"];
    let trusting = json!({ "name": "mx.lab.test", "ca_file": authority.file() });
    let check = async |tls: Result<ServerTls, _>, fault, part| {
        let tls: ServerTls = tls.unwrap();
        check_inspected(&tls, trusting.clone(), fault, part).await;
        check_inspected(&tls.older(), trusting.clone(), fault, part).await;
    };
    check(authority.expired(&names), CertificateFault::Expired, "2020-12-31").await;
    check(authority.not_yet(&names), CertificateFault::NotYetValid, "3000-01-01").await;
    check(authority.server(&["pop.lab.test"]), CertificateFault::WrongName, "pop.lab.test").await;
    let file = authority.file().display().to_string();
    check(other.server(&names), CertificateFault::UnknownIssuer, &file).await;
    check(authority.renewed().unwrap().server(&names), CertificateFault::BadSignature, "another key").await;
    check(Authority::self_signed(&names), CertificateFault::SelfSigned, "signed by itself").await;
}

#[tokio::test]
async fn a_good_certificate_is_told_whole() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["mx.lab.test", "127.0.0.1"]).unwrap();
    for inspect in [false, true] {
        let config = json!({ "name": "127.0.0.1", "inspect": inspect, "ca_file": authority.file() });
        let (ran, facts) = shake(&tls, config.clone()).await;
        assert_eq!(ran.failure(), None);
        let facts = facts.unwrap();
        assert_eq!((facts.version.as_str(), facts.alpn.as_deref(), &facts.verdict), ("TLSv1.3", None, &TlsVerdict::Valid));
        assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
        let [certificate] = facts.chain.as_slice() else { panic!("{:?}", facts.chain) };
        let details = certificate.details.as_ref().unwrap();
        assert_eq!((details.dns_names.as_slice(), details.addresses.len()), (["mx.lab.test".to_owned()].as_slice(), 1));
        assert!(details.subject.contains("CN=test server") && details.issuer.contains("CN=test authority"), "{details:?}");
        let (ran, facts) = shake(&tls.clone().older(), config).await;
        assert_eq!((ran.failure(), facts.unwrap().version.as_str()), (None, "TLSv1.2"));
    }
}

#[tokio::test]
async fn an_application_protocol_is_agreed_on_or_refused() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["mx.lab.test"]).unwrap().alpn(&["imap", "smtp"]);
    let offering = |offered: Value| json!({ "name": "mx.lab.test", "ca_file": authority.file(), "alpn": offered });
    let (ran, facts) = shake(&tls, offering(json!(["pop3", "smtp"]))).await;
    assert_eq!((ran.failure(), facts.unwrap().alpn.as_deref()), (None, Some("smtp")));
    let (ran, facts) = shake(&tls, offering(json!(["pop3"]))).await;
    assert_eq!((ran.failure(), facts), (Some(("tls", "the server refused the TLS handshake: NoApplicationProtocol")), None));
}

#[tokio::test]
async fn one_version_is_offered_where_one_is_asked_for() {
    let authority = Authority::new().unwrap();
    let newer = authority.server(&["lab.test"]).unwrap();
    let config = |version: &str| json!({ "name": "lab.test", "ca_file": authority.file(), "version": version });
    for version in ["TLSv1.2", "TLSv1.3"] {
        let (ran, facts) = shake(&newer, config(version)).await;
        assert_eq!((ran.failure(), facts.unwrap().version.as_str()), (None, version));
    }
    let (ran, facts) = shake(&newer.clone().older(), config("TLSv1.3")).await;
    assert_eq!((ran.failure(), facts), (Some(("tls", "the server refused the TLS handshake: ProtocolVersion")), None));
    let (ran, _) = shake(&newer, config("SSLv3")).await;
    assert_eq!(ran.failure(), Some(("config", "`SSLv3` is no version of TLS that can be offered")));
}

#[tokio::test]
async fn our_own_certificate_is_shown_to_a_server_that_asks() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let (ours, foreign) = (authority.client("probe.lab.test").unwrap(), other.client("probe.lab.test").unwrap());
    let tls = authority.server(&["mx.lab.test"]).unwrap().asking(&authority);
    for tls in [tls.clone(), tls.older()] {
        let showing = |file: Option<&Path>| json!({ "name": "mx.lab.test", "ca_file": authority.file(), "client_cert": file });
        let (ran, _) = shake(&tls, showing(Some(ours.file()))).await;
        assert_eq!(ran.failure(), None);
        for wrong in [None, Some(foreign.file())] {
            let (ran, _) = shake(&tls, showing(wrong)).await;
            // In TLS 1.3 the server says so only after the handshake.
            let (kind, message) = ran.failure().unwrap();
            assert!(kind == "tls" && message.starts_with("the server "), "{kind}: {message}");
        }
    }
    let missing = json!({ "name": "mx.lab.test", "ca_file": authority.file(), "client_cert": "/nowhere" });
    let (ran, _) = shake(&authority.server(&["mx.lab.test"]).unwrap(), missing).await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "local" && message.starts_with("cannot read certificate /nowhere"), "{kind}: {message}");
}

/// A server of openssl's, for certificates that no Rust server would show; it serves one client.
struct OpensslServer {
    child: Child,
    port: u16,
}

impl OpensslServer {
    fn start(folder: &Path, arguments: &str) -> Self {
        let common = "s_server -accept 127.0.0.1:0 -naccept 1 -key key -quiet -cert";
        let mut command = Command::new("timeout");
        command.args(["60", "openssl"]).args(common.split(' ')).args(arguments.split(' ')).current_dir(folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"hello\n").unwrap();
        let port = (0..500).find_map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            listening(child.id())
        });
        Self { child, port: port.unwrap() }
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        // SIGTERM, which timeout passes on; it is gone already when it has served its client.
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// The port that the child of this process listens on, as ss(8) or /proc would say.
fn listening(timeout: u32) -> Option<u16> {
    let children = std::fs::read_to_string(format!("/proc/{timeout}/task/{timeout}/children")).ok()?;
    let server = children.split_whitespace().next()?;
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{server}/fd"))
        .ok()?
        .filter_map(|fd| {
            Some(std::fs::read_link(fd.ok()?.path()).ok()?.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    // local address, state (0A: listening) and inode are the columns 1, 3 and 9: proc_net_tcp(5).
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|line| line.len() > 9 && line[3] == "0A" && sockets.iter().any(|inode| inode == line[9]))?;
    u16::from_str_radix(line[1].split(':').nth(1)?, 16).ok()
}

fn openssl(folder: &Path, arguments: &str) {
    let out = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(out.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&out.stderr));
}

#[tokio::test]
async fn certificates_that_no_verifier_takes_are_inspected_all_the_same() {
    let tree = Tree::new().unwrap();
    let here = tree.path();
    let authority = Authority::new().unwrap();
    let config = json!({ "name": "mx.lab.test", "inspect": true, "ca_file": authority.file() });
    let check = async |config: &Value, make: &[&str], serve: &str, fault, key: (&str, u32), version: &str| {
        make.iter().for_each(|make| openssl(here, make));
        let server = OpensslServer::start(here, serve);
        let (ran, facts) = run(server.port, config.clone()).await;
        assert_eq!(ran.failure(), None, "{serve}");
        let facts = facts.unwrap();
        let TlsVerdict::Invalid { fault: found, reason } = &facts.verdict else { panic!("{fault} was not seen") };
        assert_eq!(*found, fault, "{reason}");
        let details = facts.chain[0].details.as_ref().unwrap();
        assert_eq!((details.key_algorithm.as_str(), details.key_bits), (key.0, Some(key.1)));
        assert_eq!(facts.version, version);
    };
    let request = |key: &str| format!("req -x509 -nodes -keyout key -out cert -days 30 -subj /CN=mx.lab.test -newkey {key}");
    // As everybody makes one: it may sign others, and has no names.
    check(&config, &[&request("rsa:2048")], "cert", CertificateFault::SelfSigned, ("RSA", 2048), "TLSv1.3").await;
    let weak = "cert -cipher DEFAULT@SECLEVEL=0";
    check(&config, &[&request("rsa:1024")], weak, CertificateFault::SelfSigned, ("RSA", 1024), "TLSv1.3").await;
    check(&config, &[], &format!("{weak} -tls1_2"), CertificateFault::SelfSigned, ("RSA", 1024), "TLSv1.2").await;
    let first =
        ["req -new -nodes -newkey rsa:2048 -keyout key -out request -subj /CN=mx.lab.test", "x509 -req -in request -key key -out cert"];
    check(&config, &first, "cert", CertificateFault::Malformed, ("RSA", 2048), "TLSv1.3").await;
    let signed = [
        "req -x509 -nodes -newkey rsa:2048 -keyout ca-key -out ca -days 30 -subj /CN=ca",
        "req -new -nodes -newkey rsa:1024 -keyout key -out request -subj /CN=mx.lab.test -addext subjectAltName=DNS:mx.lab.test",
        "x509 -req -in request -CA ca -CAkey ca-key -out cert -days 30 -copy_extensions copy",
    ];
    // Trusted, and all that is wrong with it is its key.
    let config = json!({ "name": "mx.lab.test", "inspect": true, "ca_file": here.join("ca") });
    check(&config, &signed, weak, CertificateFault::Weak, ("RSA", 1024), "TLSv1.3").await;
}
