//! net-snmp's snmptrapd takes traps and informs, and reads them by our MIB.

use std::{
    fs::{self, File},
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    harness::until,
    programs::there,
    server::{Server, house},
    stories::SOON,
};

/// What of a notification snmptrapd prints: everything on one line.
const FORMAT: &str = "%N %W %q %v\\n";

struct Snmptrapd {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Snmptrapd {
    fn start(port: u16, mib: &str, conf: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        lay_mibs(folder.path(), mib);
        fs::write(folder.path().join("snmptrapd.conf"), format!("{conf}\ndisableAuthorization no\n")).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let errors = File::create(folder.path().join("errors")).unwrap();
        let child = Command::new("snmptrapd")
            .args(["-f", "-C", "-n", "-Lo", "-On", "-Oq"])
            .args(["-c", &folder.path().join("snmptrapd.conf").display().to_string()])
            .args(["-M", &folder.path().display().to_string(), "-m", "WATCHPOST-MIB"])
            .args(["-OS", "-F", FORMAT])
            .arg(format!("udp:127.0.0.1:{port}"))
            .env("SNMP_PERSISTENT_DIR", folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .unwrap();
        let snmptrapd = Self { child, port, folder };
        until(SOON, || is_bound(port).then_some(())).unwrap_or_else(|| panic!("snmptrapd listens: {}", snmptrapd.said()));
        snmptrapd
    }

    fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("log") + &read("errors")
    }
}

impl Drop for Snmptrapd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Puts our MIB and what it takes from others into a folder.
fn lay_mibs(folder: &Path, mib: &str) {
    fs::write(folder.join("WATCHPOST-MIB"), mib).unwrap();
    let others = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers/mibs");
    for file in fs::read_dir(others).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
}

fn is_bound(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_err()
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Has an alarm raised and cleared, told by a channel of these keys; gives what snmptrapd said.
fn told(channel: &str, conf: impl Fn(&str) -> String, before: bool) -> Option<String> {
    if !there("snmptrapd") {
        return None;
    }
    let port = free_port();
    let mut server = Server::down();
    let channels = format!(
        "[[channel]]\nname = \"nms\"\ntype = \"snmp\"\nserver = \"127.0.0.1:{port}\"\n{channel}\n[[route]]\nchannels = [\"nms\"]\nmatch = '{{job=\"mx\"}}'\n"
    );
    let house = house(&server, &channels);
    let mib = house.run(&["notify", "mib"]).ok();
    let snmptrapd = before.then(|| Snmptrapd::start(port, &mib, &conf("")));
    let daemon = house.start();
    let snmptrapd = snmptrapd.unwrap_or_else(|| {
        // A trap of version 3 has its own engine, whose id the receiver has to know.
        let id =
            until(SOON, || Some(house.run(&["notify", "engine-id"])).filter(|said| said.code == Some(0))).expect("it has an engine").out;
        Snmptrapd::start(port, &mib, &conf(id.lines().next().unwrap()))
    });
    assert_eq!(snmptrapd.port, port);
    if before {
        until(SOON, || snmptrapd.said().contains("wpAlarmRaised").then_some(())).unwrap_or_else(|| panic!("{}", snmptrapd.said()));
    }
    // What is well before it is looked at is never cleared.
    until(SOON, || house.run(&["alarms"]).ok().contains(" mx ").then_some(())).expect("there is an alarm");
    server.comes_up();
    until(SOON, || snmptrapd.said().contains("wpAlarmCleared").then_some(())).unwrap_or_else(|| panic!("{}", snmptrapd.said()));
    assert!(daemon.stop().status.success());
    Some(snmptrapd.said())
}

fn is_whole(said: &str) {
    for part in ["wpAlarmSeverity", "critical", "cleared", "wpAlarmService", "mx", "wpAlarmProbableCause", "wpAlarmText", "wpAlarmTime"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert!(!said.contains("Unlinked") && !said.contains("Cannot find module (WATCHPOST"), "{said}");
}

#[test]
fn informs_of_version_2c_are_acknowledged_and_understood() {
    let channel = "version = \"2c\"\ncommunity = \"hush-hush\"";
    let Some(said) = told(channel, |_| "authCommunity log hush-hush".into(), true) else { return };
    is_whole(&said);
    let raised = said.lines().filter(|line| line.contains("wpAlarmRaised")).count();
    assert_eq!(raised, 1, "told once:\n{said}");
}

#[test]
fn traps_of_version_2c_are_understood() {
    let channel = "version = \"2c\"\ncommunity = \"hush-hush\"\ninform = false";
    if let Some(said) = told(channel, |_| "authCommunity log hush-hush".into(), true) {
        is_whole(&said);
    }
}

const V3: &str = "version = \"3\"\nuser = \"watch\"\nauth_password = \"authpass-1234\"\nprivacy_password = \"privpass-1234\"";

#[test]
fn informs_of_version_3_are_private_and_acknowledged() {
    let conf = "createUser watch SHA-256 \"authpass-1234\" AES \"privpass-1234\"\nauthUser log watch priv";
    if let Some(said) = told(V3, |_| conf.into(), true) {
        is_whole(&said);
    }
}

#[test]
fn traps_of_version_3_come_from_an_engine_of_our_own() {
    let conf = |id: &str| format!("createUser -e {id} watch SHA-256 \"authpass-1234\" AES \"privpass-1234\"\nauthUser log watch priv");
    if let Some(said) = told(&format!("{V3}\ninform = false"), conf, false) {
        assert!(said.contains("wpAlarmCleared") && said.contains("mx"), "{said}");
    }
}

#[test]
fn the_mib_has_nothing_that_smilint_minds() {
    if !there("smilint") {
        return;
    }
    let server = Server::down();
    let mib = house(&server, "").run(&["notify", "mib"]).ok();
    let folder = tempfile::tempdir().unwrap();
    lay_mibs(folder.path(), &mib);
    let conf = folder.path().join("smi.conf");
    fs::write(&conf, format!("path {}\n", folder.path().display())).unwrap();
    // What it says decides, not how it ends: it ends well whatever it finds.
    let output =
        Command::new("smilint").args(["-l", "6", "-s", "-c"]).arg(&conf).arg(folder.path().join("WATCHPOST-MIB")).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // Where it hangs in net-snmp's playpen, the numbers above it have no names.
    let minded: Vec<&str> = said.lines().filter(|line| !line.contains("[5] warning: implicit node definition")).collect();
    assert!(minded.is_empty(), "{said}");
}
