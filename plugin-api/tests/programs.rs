//! Programs through the interface: what they are given and give, how they end, and that nothing of them stays.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    fs,
    path::Path as StdPath,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use watchpost_plugin_api::{Child, prelude::*};
use watchpost_testkit::{Kit, Ran, Tree};

const CODE: Metric = Metric::gauge("code", Unit::Number, "What the program said at its end.");
const WRITTEN: Metric = Metric::gauge("written", Unit::Bytes, "What the program wrote.");

#[derive(Deserialize, JsonSchema)]
struct Config {
    does: String,
    #[serde(default = "shell")]
    program: PathBuf,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: Vec<(String, String)>,
    folder: Option<PathBuf>,
    #[serde(default)]
    input: String,
    #[serde(default = "many")]
    bytes_max: usize,
    password: Option<Secret>,
    /// Seconds before it is dropped.
    wait: Option<u64>,
}

fn shell() -> PathBuf {
    "/bin/sh".into()
}

fn many() -> usize {
    1 << 20
}

/// Starts a program, and does one thing with it.
struct Starter {
    config: Config,
    kept: Option<Child>,
}

impl Agent for Starter {
    type Config = Config;
    const NAME: &'static str = "starter";
    const METRICS: &'static [Metric] = &[CODE, WRITTEN];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self { config, kept: None })
    }

    fn target(_: &Config) -> String {
        "here".into()
    }

    fn needs(config: &Config) -> Needs {
        if config.does == "undeclared" { Needs::none() } else { Needs::none().program(&config.program) }
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let program = self.program();
        match self.config.does.as_str() {
            "output" | "undeclared" => {
                let output = cx.spawn(&program).await?.output(self.config.input.as_bytes(), self.config.bytes_max).await?;
                cx.record(CODE, output.exit.code.unwrap_or(-1));
                cx.record(WRITTEN, output.stdout.len());
                cx.log(Level::Info, &String::from_utf8_lossy(&output.stdout));
                cx.log(Level::Warn, &String::from_utf8_lossy(&output.stderr[..output.stderr.len().min(100)]));
                cx.log(Level::Warn, &format!("{} of {} bytes", output.exit, output.stderr.len()));
            }
            "talk" => {
                let mut child = cx.spawn(&program).await?;
                let mut said = Lines::new(child.stdout);
                let Some(stdin) = &mut child.stdin else { return Err(AgentError::local("nothing to write to")) };
                for word in ["one", "two"] {
                    stdin.write_all(format!("{word}\n").as_bytes()).await?;
                    cx.log(Level::Info, &said.read().await?);
                }
                child.stdin = None;
                cx.log(Level::Info, &said.read().await?);
            }
            "kill" => {
                let mut child = cx.spawn(&program).await?;
                cx.sleep(Duration::from_millis(100)).await;
                child.kill()?;
                let exit = child.wait().await?;
                assert_eq!(child.wait().await?, exit, "it can be asked again");
                cx.log(Level::Info, &exit.to_string());
            }
            "drop" => {
                let _child = cx.spawn(&program).await?;
                cx.sleep(self.config.wait.map_or(Duration::from_millis(200), Duration::from_secs)).await;
            }
            "keep" => self.kept = Some(cx.spawn(&program).await?),
            "keep on" => match &mut self.kept {
                None => self.kept = Some(cx.spawn(&program.outlives_run()).await?),
                Some(kept) => {
                    let mut stdout = [0; 5];
                    kept.stdout.read_exact(&mut stdout).await?;
                    cx.log(Level::Info, &String::from_utf8_lossy(&stdout));
                }
            },
            "overrun" => {
                self.kept = Some(cx.spawn(&program).await?);
                cx.sleep(Duration::from_secs(3600)).await;
            }
            "many" => {
                let mut children = Vec::new();
                loop {
                    children.push(cx.spawn(&program).await?);
                    cx.record(CODE, children.len());
                }
            }
            other => return Err(AgentError::config("does", format!("does not know how to {other}"))),
        }
        Ok(())
    }
}

impl Starter {
    fn program(&self) -> Program {
        let secret = self.config.password.as_ref().map(Secret::expose).unwrap_or_default();
        let arguments = self.config.arguments.iter().map(|argument| argument.replace("SECRET", secret));
        let mut program = Program::new(&self.config.program).args(arguments).with_input();
        for (name, value) in &self.config.environment {
            program = program.env(name, value);
        }
        match &self.config.folder {
            Some(folder) => program.folder(folder),
            None => program,
        }
    }
}

fn kit(does: &str, script: &str, more: Value) -> Kit<Starter> {
    let mut config = json!({ "does": does, "arguments": ["-c", script] });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Kit::new(&config).unwrap().explain()
}

async fn ran(does: &str, script: &str, more: Value) -> Ran {
    kit(does, script, more).run().await
}

fn logged(ran: &Ran) -> Vec<&str> {
    ran.logged.iter().map(|(_, text)| text.as_str()).collect()
}

/// The number that a script writes into a file; a few seconds are time enough.
fn pid_in(file: &StdPath) -> u32 {
    eventually(|| fs::read_to_string(file).ok()?.trim().parse().ok())
}

fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(Instant::now() < until, "nothing in 20 s"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until there is no such process, not even a dead one that nobody waited for.
fn assert_gone(pid: u32) {
    eventually(|| (!StdPath::new(&format!("/proc/{pid}")).exists()).then_some(()));
}

fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_program_gives_what_it_says_and_how_it_ended() {
    let ran = ran("output", "cat; echo oops >&2; exit 3", json!({ "input": "hello" })).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(logged(&ran), ["hello", "oops\n", "ended with 3 of 5 bytes"]);
    assert_eq!((ran.value(CODE), ran.value(WRITTEN)), (Some(3.0), Some(5.0)));
}

#[tokio::test]
async fn a_program_is_whatever_can_be_executed() {
    let tree = Tree::new().unwrap();
    let program = tree.program("bin/greet", "echo hello $2").unwrap();
    let ran = ran("output", "you", json!({ "program": program })).await;
    assert_eq!((ran.failure(), logged(&ran)[0]), (None, "hello you\n"));
}

#[tokio::test]
async fn a_program_has_its_own_environment_and_place_and_no_other() {
    let tree = Tree::new().unwrap();
    let ran1 = ran("output", "env | sort; pwd", json!({ "environment": [["MAIL_CONFIG", "/etc/x"]], "folder": tree.path() })).await;
    let here = tree.path().canonicalize().unwrap().display().to_string();
    let expected = format!(
        "LC_ALL=C.UTF-8\nMAIL_CONFIG=/etc/x\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD={here}\n{here}\n"
    );
    assert_eq!(logged(&ran1)[0], expected);
    let ran2 = ran("output", "pwd", json!({})).await;
    assert_eq!(logged(&ran2)[0], "/\n");
}

#[tokio::test]
async fn a_program_can_be_talked_with() {
    let script = "while read word; do echo \"heard $word\"; done; echo end";
    let ran = ran("talk", script, json!({})).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(logged(&ran), ["heard one", "heard two", "end"]);
}

#[tokio::test]
async fn more_than_a_pipe_holds_goes_through_in_both_directions() {
    let input = "0123456789abcdef".repeat(20_000);
    let ran = ran("output", "cat; yes | head -c 300000 >&2", json!({ "input": input })).await;
    assert_eq!((ran.failure(), ran.value(WRITTEN)), (None, Some(320_000.0)));
    assert_eq!(logged(&ran)[2], "ended with 0 of 65536 bytes");
}

#[tokio::test]
async fn input_that_nobody_reads_is_no_failure() {
    let input = "x".repeat(1 << 20);
    let ran = ran("output", "exec 0<&-; echo done", json!({ "input": input })).await;
    assert_eq!((ran.failure(), ran.value(WRITTEN)), (None, Some(5.0)));
}

#[tokio::test]
async fn a_program_that_writes_too_much_is_an_error_and_killed() {
    let tree = Tree::new().unwrap();
    let file = tree.at("pid");
    let script = format!("echo $$ > {}; exec yes", file.display());
    let ran = ran("output", &script, json!({ "bytes_max": 100_000 })).await;
    assert_eq!(ran.failure(), Some(("limit", "the program wrote more than 100000 bytes")));
    assert_gone(pid_in(&file));
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_an_error_that_names_it() {
    let check = async |does: &str, program: &str, why: &str| {
        let ran = ran(does, "", json!({ "program": program })).await;
        assert_eq!(ran.failure(), Some(("local", format!("cannot start {program}: {why}").as_str())));
    };
    check("output", "/nowhere/at-all", "No such file or directory").await;
    check("output", "/etc/passwd", "nobody may execute it, which `chmod +x` would change").await;
    check("output", "sh", "its path is not absolute").await;
    check("undeclared", "/bin/sh", "it is no program of which the agent said that it starts it").await;
}

#[tokio::test]
async fn a_program_that_is_killed_takes_its_group_with_it() {
    let tree = Tree::new().unwrap();
    let (leader, other) = (tree.at("leader"), tree.at("other"));
    let script = format!("echo $$ > {}; sh -c 'echo $$ > {}; sleep 1000' & sleep 1000", leader.display(), other.display());
    for does in ["kill", "drop"] {
        let ran = ran(does, &script, json!({})).await;
        assert_eq!(ran.failure(), None);
        assert_eq!(logged(&ran), if does == "kill" { vec!["ended by signal 9"] } else { vec![] });
        assert_gone(pid_in(&leader));
        assert_gone(pid_in(&other));
        let _ = (fs::remove_file(&leader), fs::remove_file(&other));
    }
}

/// What a leader that has ended leaves behind goes too, though nobody can find it by its parent any more.
#[tokio::test]
async fn what_a_program_left_behind_is_killed_as_well() {
    let tree = Tree::new().unwrap();
    let file = tree.at("pid");
    let script = format!("sh -c 'echo $$ > {}; exec sleep 1000' >&- 2>&- & sleep 0.2; echo gone", file.display());
    let ran = ran("output", &script, json!({})).await;
    assert_eq!((ran.failure(), logged(&ran)[0]), (None, "gone\n"));
    assert_gone(pid_in(&file));
}

#[tokio::test]
async fn a_program_kept_by_the_agent_ends_with_its_run_however_that_ends() {
    let tree = Tree::new().unwrap();
    let file = tree.at("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    for (does, failure) in [("keep", None), ("overrun", Some("timeout"))] {
        let mut kit = kit(does, &script, json!({})).timeout(Duration::from_millis(500));
        let ran = kit.run().await;
        assert_eq!(ran.failure().map(|(kind, _)| kind), failure);
        // Not even the script may have begun; then it never does.
        if let Some(pid) = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()) {
            eventually(|| (!is_running(pid)).then_some(()));
            drop(kit);
            assert_gone(pid);
        }
        let _ = fs::remove_file(&file);
    }
}

#[tokio::test]
async fn a_program_that_may_outlive_its_run_does_and_ends_with_its_agent() {
    let tree = Tree::new().unwrap();
    let file = tree.at("pid");
    let script = format!("echo $$ > {}; sleep 0.3; echo late; exec sleep 1000", file.display());
    let mut kit = kit("keep on", &script, json!({}));
    assert_eq!(kit.run().await.failure(), None);
    let pid = pid_in(&file);
    let second = kit.run().await;
    assert_eq!((second.failure(), logged(&second)), (None, vec!["late\n"]));
    assert!(is_running(pid));
    drop(kit);
    assert_gone(pid);
}

/// The other side of the next test, in a process of its own: starts a program and waits. Alone it does nothing.
#[tokio::test]
async fn a_process_that_starts_a_program_and_waits() {
    let Ok(file) = std::env::var("WATCHPOST_TEST_PID_FILE") else { return };
    let script = format!("echo $$ > {file}; exec sleep 1000");
    kit("drop", &script, json!({ "wait": 60 })).timeout(Duration::from_secs(60)).run().await;
}

#[test]
fn a_worker_that_is_killed_takes_its_programs_with_it() {
    let tree = Tree::new().unwrap();
    let file = tree.at("pid");
    let mut worker = std::process::Command::new(std::env::current_exe().unwrap());
    worker.args(["--exact", "a_process_that_starts_a_program_and_waits"]).env("WATCHPOST_TEST_PID_FILE", &file);
    let mut worker = worker.stdout(std::process::Stdio::null()).spawn().unwrap();
    let pid = pid_in(&file);
    assert!(is_running(pid));
    worker.kill().unwrap();
    worker.wait().unwrap();
    // Whoever is its parent now waits for it, or does not.
    eventually(|| (!is_running(pid)).then_some(()));
}

/// A program that somebody is just writing, as an upgrade does.
#[tokio::test]
async fn a_program_that_is_busy_for_a_moment_is_started_after_it() {
    let tree = Tree::new().unwrap();
    let program = tree.at("program");
    fs::copy("/bin/true", &program).unwrap();
    let writing = fs::File::options().append(true).open(&program).unwrap();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        drop(writing);
    });
    let ran = ran("output", "", json!({ "program": program })).await;
    assert_eq!((ran.failure(), ran.value(CODE)), (None, Some(0.0)));
}

#[tokio::test]
async fn programs_of_a_run_are_bounded() {
    let ran = ran("many", "sleep 1000", json!({})).await;
    assert_eq!(ran.failure(), Some(("limit", "more than 32 programs at a time")));
    assert_eq!(ran.value(CODE), Some(32.0));
}

#[tokio::test]
async fn an_explanation_shows_what_was_started_and_said_without_secrets() {
    let ran = ran(
        "output",
        "echo \"it is $0\"; cat >&2",
        json!({ "password": "Zwetschge", "input": "Zwetschge\n", "arguments": ["-c", "echo \"it is $1\"\ncat", "x", "SECRET"] }),
    )
    .await;
    assert_eq!(ran.failure(), None);
    let said: Vec<String> = ran.dialogue.iter().map(|said| format!("{:?} {}", said.speaker, said.text)).collect();
    assert!(said.contains(&r#"Host started /bin/sh -c echo "it is $1"\ncat x <secret>"#.to_owned()), "{said:?}");
    assert!(said.contains(&"Target it is <secret>".to_owned()) && said.contains(&"Agent <secret>".to_owned()), "{said:?}");
    assert!(said.contains(&"Host the program ended with 0".to_owned()), "{said:?}");
    assert!(!ran.everything().contains("Zwetschge"));
}
