//! The first library of all, built against the interface 1.0.0 and never again: whatever becomes of the host, it loads, measures, answers, is
//! cancelled, and refuses what it refused. Where it lies and how it was built: `plugin-api/frozen`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use watchpost_testkit::{Answers, Authority, HttpServer, PacketServer, Page, Pages, Script, Server, Tree};

use crate::harness::House;

/// What is said under TLS, and what the agent makes of it.
const PASSWORD: &str = "Quittenbrot-0815";
const DIGEST: &str = "5180-torbnettiuQ";

/// The library as it was committed; none for machines of another sort.
pub(crate) fn library() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("plugin-api").join("frozen");
    let library = folder.join(format!("libheirloom-{}.so", std::env::consts::ARCH));
    library.is_file().then_some(library)
}

/// Everything that it does, with servers that it does it to.
pub(crate) struct Story {
    house: House,
    tree: Tree,
    talks: Server,
    _asked: HttpServer,
    _answers: PacketServer,
    _authority: Authority,
}

impl Story {
    /// Sets it up in a house, whose worker may be another than ours.
    pub(crate) async fn new(library: &Path, worker: Option<&Path>) -> Self {
        let (house, tree, authority) = (House::new(""), Tree::new().unwrap(), Authority::new().unwrap());
        fs::copy(library, house.plugins().join("libheirloom.so")).unwrap();
        if let Some(worker) = worker {
            let program = PathBuf::from(house.bare(&[]).get_program()).with_file_name("watchpost-worker");
            fs::remove_file(&program).unwrap();
            fs::copy(worker, &program).unwrap();
        }
        let tls = authority.server(&["mail.test"]).unwrap();
        let talk = Script::new().say("220 hello").expect("STARTTLS").say("220 go").tls(&tls).expect("PASS").say("250 welcome");
        let talks = Server::start(talk).await.unwrap();
        let asked = HttpServer::start(Pages::new().on("POST /counted", Page::ok("seven"))).await.unwrap();
        let answers = PacketServer::start(Answers::new().to_datagrams(|_| Script::new().send("here"))).await.unwrap();
        tree.file("greeting", "0123456789").unwrap();
        // Older than a run may take: that counts, too.
        tree.aged("greeting", Duration::from_secs(3600)).unwrap();
        tree.file("gone", "").unwrap();
        let job = |name: &str, keys: &str| {
            format!("[[job]]\nname = \"{name}\"\nagent = \"heirloom\"\nevery = \"30s\"\nconfig = {{ does = \"{name}\", {keys} }}\n\n")
        };
        let folder = format!("folder = {:?}", tree.path().display().to_string());
        let talk = format!("port = {}, ca_file = {:?}, password = \"{PASSWORD}\"", talks.port(), authority.file().display().to_string());
        let jobs = [
            job("talk", &talk),
            job("ask", &format!("port = {}", asked.port())),
            job("send", &format!("port = {}", answers.port())),
            job("read", &folder),
            job("start", &folder),
            job("panic", ""),
            job("wait", "").replace("every = \"30s\"", "every = \"30s\"\ntimeout = \"1s\""),
        ];
        house.schedule(&jobs.concat().replace(",  }", " }"));
        Self { house, tree, talks, _asked: asked, _answers: answers, _authority: authority }
    }

    /// Runs one of its jobs; gives the outcome, and all that was shown.
    fn measured(&self, job: &str) -> (Value, String) {
        let said = self.house.run(&["measure", job, "--json"]);
        let answer: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (answer["outcome"].clone(), format!("{}{}", said.out, said.err))
    }

    /// What the library is said to be.
    pub(crate) fn about(&self) -> String {
        let agent: Value = serde_json::from_str(&self.house.run(&["agents", "heirloom", "--json"]).ok()).unwrap();
        agent["about"].as_str().unwrap().to_owned()
    }

    /// What a worker of tomorrow tells of each run.
    pub(crate) fn paused(&self) -> Option<String> {
        let (outcome, _) = self.measured("ask");
        let event = outcome["events"].as_array().unwrap().iter().find(|event| event["code"] == "pause")?;
        event["text"].as_str().map(str::to_owned)
    }

    /// Goes through all of it; `times` is how often the run that starts a program counts what it said.
    pub(crate) async fn holds(&self, times: f64) {
        self.house.run(&["check"]).ok();
        for (job, seen) in [("ask", 5.0), ("send", 4.0), ("start", 10.0 * times), ("talk", 26.0), ("read", 16.0)] {
            let (outcome, shown) = self.measured(job);
            assert_eq!((outcome["status"].as_str(), value(&outcome, "seen")), (Some("Ok"), Some(seen)), "{job}: {outcome}");
            assert_eq!(outcome["refused"], 0, "{job}: {outcome}");
            assert_eq!(outcome["cursor"], serde_json::json!([1]), "{job}: {outcome}");
            assert!(![PASSWORD, DIGEST].iter().any(|secret| shown.contains(secret)), "{shown}");
            if job == "talk" {
                assert_eq!((value(&outcome, "parts"), value(&outcome, "certificates")), (Some(11.0), Some(1.0)), "{outcome}");
                assert_eq!(outcome["events"][0]["text"], "by TLSv1.3", "{outcome}");
                assert!(value(&outcome, "total_time") > Some(0.0), "{outcome}");
            }
        }
        assert_eq!(self.talks.served().await.unwrap().heard[1], format!("PASS {PASSWORD} {DIGEST}"));
        assert!(!self.tree.at("gone").exists());
        self.is_cut_off_and_fenced();
        self.refuses();
    }

    fn is_cut_off_and_fenced(&self) {
        let (outcome, _) = self.measured("wait");
        let failed = |outcome: &Value| outcome["status"]["Failed"]["message"].as_str().unwrap_or_default().to_owned();
        // One that waited for its worker on a busy machine has a little less.
        let said = failed(&outcome);
        assert!(said.starts_with("no end within ") && said.ends_with(" s; seen was the last it recorded"), "{said}");
        // What was read from the cursor on comes again.
        assert_eq!(value(&outcome, "seen"), None, "{outcome}");
        let (outcome, _) = self.measured("panic");
        assert!(failed(&outcome).starts_with("as it was told at "), "{outcome}");
    }

    /// Two faults of its own in one configuration, and a key that it does not know.
    fn refuses(&self) {
        let set = |settings: &[&str]| {
            let words: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
            let plugins = self.house.plugins().display().to_string();
            let said = self.house.run(&[&["measure", "--agent", "heirloom", "--plugins", &plugins][..], &words].concat());
            assert_eq!(said.code, Some(2), "{said:?}");
            said.err
        };
        let said = set(&["does=talk"]);
        assert!(said.contains("`port`: is missing") && said.contains("`password`: is missing"), "{said}");
        assert!(set(&["does=wait", "dose=1"]).contains("dose"));
    }
}

/// What was recorded under a name, with whatever labels.
fn value(outcome: &Value, metric: &str) -> Option<f64> {
    outcome["samples"].as_array()?.iter().find(|sample| sample["metric"] == metric)?["value"].as_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_of_the_first_interface_does_all_that_it_did() {
    let Some(library) = library() else { return eprintln!("left out: no first library for this sort of machine") };
    let story = Story::new(&library, None).await;
    assert_eq!(story.about(), "Uses once everything that crosses");
    story.holds(1.0).await;
}
