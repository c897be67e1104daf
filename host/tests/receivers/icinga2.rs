//! Debian's Icinga 2 takes each run as a passive check result, and knows when nothing is heard any more.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    harness::until,
    programs::{output_of, there},
    server::{Server, house},
    stories::SOON,
};

/// What the API user may do is what the guide says that it needs; the tests look at objects as well.
const CONFIG: &str = r#"
const NodeName = "localhost"
const ZoneName = NodeName
include <itl>
object Endpoint NodeName { host = "127.0.0.1" }
object Zone ZoneName { endpoints = [ NodeName ] }
object CheckerComponent "checker" { }
object ApiUser "watchpost" { password = "of-icinga"; permissions = [ "actions/process-check-result" ] }
object ApiUser "tests" { password = "tests"; permissions = [ "objects/query/*" ] }
object Host "paris-127.0.0.1" { check_command = "dummy"; enable_active_checks = false }
object Service "watchpost mx" {
  host_name = "paris-127.0.0.1"
  check_command = "dummy"
  check_interval = 1d
  vars.dummy_state = 3
  vars.dummy_text = "nothing is heard of it"
}
"#;
/// Nobody in particular: Icinga does not run as root.
const NOBODY: u32 = 65_534;

struct Icinga {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Icinga {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (at, port) = (folder.path(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        for name in ["data", "data/certs", "log", "cache", "run"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        certify(at);
        let listener = format!("object ApiListener \"api\" {{ bind_host = \"127.0.0.1\"; bind_port = {port} }}\n");
        fs::write(at.join("icinga2.conf"), CONFIG.to_owned() + &listener).unwrap();
        let log = File::create(at.join("said")).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        // It starts others of its kind: all of them end with their group.
        let mut command = Command::new("icinga2");
        command.args(["daemon", "-c"]).arg(at.join("icinga2.conf")).process_group(0);
        for (constant, folder) in
            [("DataDir", "data"), ("SpoolDir", "data"), ("LogDir", "log"), ("CacheDir", "cache"), ("InitRunDir", "run")]
        {
            command.arg(format!("-D{constant}={}", at.join(folder).display()));
        }
        if is_root {
            for path in walk(at) {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        let (user, group) = (output_of_id(is_root, "-un"), output_of_id(is_root, "-gn"));
        command.args([format!("-DRunAsUser={user}"), format!("-DRunAsGroup={group}")]);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let icinga = Self { child, port, folder };
        until(SOON, || icinga.service()).unwrap_or_else(|| panic!("Icinga answers: {}", icinga.said()));
        icinga
    }

    /// State and last result of the one service.
    fn service(&self) -> Option<Value> {
        let ca = self.folder.path().join("ca.crt").display().to_string();
        let url = format!("https://localhost:{}/v1/objects/services?attrs=state&attrs=last_check_result", self.port);
        let output = Command::new("curl").args(["-s", "-f", "-m", "5", "--cacert", &ca, "-u", "tests:tests", &url]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        Some(answer["results"][0]["attrs"].clone())
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Icinga {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _gone_already = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        drop(self.child.wait());
    }
}

fn output_of_id(is_root: bool, what: &str) -> String {
    let nobody = NOBODY.to_string();
    let words: &[&str] = if is_root { &[what, &nobody] } else { &[what] };
    output_of("id", words).trim().to_owned()
}

/// The folder and all that is in it.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() { found.extend(walk(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

/// An authority of its own, and the node's certificate.
fn certify(folder: &Path) {
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(at("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let openssl = |words: &str| {
        let words: Vec<String> = words.split_whitespace().map(|word| word.strip_prefix('@').map_or(word.to_owned(), at)).collect();
        output_of("openssl", &words.iter().map(String::as_str).collect::<Vec<_>>());
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout @ca.key -out @ca.crt -days 2 -subj /CN=authority");
    openssl("req -newkey rsa:2048 -nodes -keyout @data/certs/localhost.key -out @request -subj /CN=localhost");
    openssl("x509 -req -in @request -CA @ca.crt -CAkey @ca.key -CAcreateserial -out @data/certs/localhost.crt -days 2 -extfile @names");
    fs::copy(at("ca.crt"), at("data/certs/ca.crt")).unwrap();
}

#[test]
fn icinga_shows_each_run_with_its_alarms_and_names_what_it_has_no_service_for() {
    if !there("icinga2") || !there("curl") {
        return;
    }
    let icinga = Icinga::start();
    let mut server = Server::down();
    let ca = icinga.folder.path().join("ca.crt");
    let channel = format!(
        "[[channel]]\nname = \"icinga\"\ntype = \"icinga2\"\nurls = [\"https://localhost:{}\"]\nca_file = \"{}\"\n\
         user = \"watchpost\"\npassword = {{ file = \"of-icinga\" }}\nhost = \"{{{{ site }}}}-{{{{ target_host }}}}\"\n\
         service = \"watchpost {{{{ job }}}}\"\n",
        icinga.port,
        ca.display()
    );
    let house = house(&server, &channel);
    house.keep("of-icinga", b"of-icinga\n");
    let daemon = house.start();
    let state = |wanted: f64| {
        until(SOON, || icinga.service().filter(|service| service["state"].as_f64() == Some(wanted)))
            .unwrap_or_else(|| panic!("{:?} {}", icinga.service(), icinga.said()))
    };
    // Down, and the alarm is in it.
    let has_alarm =
        |service: &Value| service["last_check_result"]["output"].as_str().is_some_and(|output| output.contains("[critical] mx"));
    let down = until(SOON, || icinga.service().filter(has_alarm)).unwrap_or_else(|| panic!("{:?} {}", icinga.service(), icinga.said()));
    let result = &down["last_check_result"];
    let output = result["output"].as_str().unwrap();
    assert!(output.starts_with(&format!("CRITICAL - 127.0.0.1:{}: connect: ", server.port())), "{output}");
    assert_eq!((result["state"].as_f64(), result["ttl"].as_f64(), result["active"].as_bool()), (Some(2.0), Some(60.0), Some(false)));
    server.comes_up();
    let well = state(0.0);
    let figures = well["last_check_result"]["performance_data"].to_string();
    assert!(figures.contains("connect_time=0.") && figures.contains('s'), "{figures}");
    assert!(house.run(&["notify", "test", "icinga"]).ok().contains("icinga"));
    let listed = || serde_json::from_str::<Value>(&house.run(&["notify", "list", "--json"]).ok()).unwrap();
    assert_eq!((listed()[0]["kind"].as_str(), listed()[0]["failing"].as_str()), (Some("icinga2"), None));
    // A job that has no service there does not keep others from theirs, and is named.
    let other = format!(
        "{}[[job]]\nname = \"other\"\nagent = \"smtp\"\nevery = \"1s\"\nlabels = {{ site = \"rome\" }}\nconfig = {{ host = \"127.0.0.1\", port = {} }}\n",
        server.job(""),
        server.port()
    );
    house.schedule(&other);
    assert!(house.run(&["reload"]).code == Some(0));
    let failing = || listed()[0]["failing"].as_str().map(str::to_owned);
    let why = until(SOON, || failing().filter(|why| why.contains("No objects found"))).expect("it is named");
    assert!(why.starts_with("job other: answered "), "{why}");
    assert!(daemon.stop().status.success());
}
