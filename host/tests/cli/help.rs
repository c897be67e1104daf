//! Help, completions and man pages: every command is in them, and every example that they give is run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use watchpost_testkit::ClosedPort;

use crate::{
    harness::{House, plugin_library, until},
    programs, willing,
};

/// How long a daemon may take to be ready, and a job to run.
const SOON: Duration = Duration::from_secs(15);

/// The help of a command, and of all below it: words and text.
fn helps(house: &House, words: &[String]) -> Vec<(Vec<String>, String)> {
    let output = house.bare(&words.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let below = text.split_once("\nCommands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or_default());
    let below: Vec<String> = below.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    let below = below.into_iter().filter(|name| name != "help");
    let deeper: Vec<_> = below.flat_map(|name| helps(house, &[words, &[name]].concat())).collect();
    std::iter::once((words.to_vec(), text)).chain(deeper).collect()
}

/// The examples of a help text.
fn examples(help: &str) -> Vec<&str> {
    let given = help.split("\nExample:\n").nth(1).or_else(|| help.split("\nExamples:\n").nth(1)).unwrap_or_default();
    given.lines().take_while(|line| line.starts_with("  ")).map(str::trim).collect()
}

/// A shell in which the program is found, in the folder of the configuration.
fn shell(house: &House, line: &str) -> Command {
    let program = PathBuf::from(house.bare(&[]).get_program());
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(house.folder()).env("PATH", path).env("HOME", house.folder()).stdin(Stdio::null());
    shell
}

fn run(house: &House, line: &str) -> Output {
    shell(house, line).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_an_example_and_every_example_does_what_it_says() {
    let server = willing().await;
    let labelled = "every = \"1s\"\nlabels = { site = \"paris\" }";
    // One target that is down for good, and one that comes back: two alarms, in this order.
    let (gone, back) = (ClosedPort::take().unwrap(), ClosedPort::take().unwrap());
    let threshold = |patience: u32| format!("[[job.threshold]]\nmetric = \"up\"\nmajor = \"< 1\"\nraise_after = {patience}\n");
    let down = |name: &str, port: u16, patience: u32| crate::job(name, "every = \"1s\"", port) + &threshold(patience);
    let jobs = crate::job("pop-paris", labelled, server.port());
    // One that crosses nothing, and one that is tried.
    let slow = |name: &str| format!("[[rule]]\nname = \"{name}\"\nseries = 'connect_time'\nwarning = \"> 1h\"\n");
    let rules = slow("slow") + &slow("slower") + "enabled = false\n";
    let jobs = jobs + &down("gone", gone.port().unwrap(), 1) + &down("back", back.port().unwrap(), 4) + &rules;
    // One that is measured no more later on.
    let house = House::new(&(jobs.clone() + &crate::job("pop-old", labelled, server.port())));
    let main = house.folder().join("watchpost.toml");
    // How full the disk of this machine is matters to nobody here.
    fs::write(&main, fs::read_to_string(&main).unwrap() + "[host_alarms.disk_low]\nenabled = false\n").unwrap();
    let test =
        "[[test]]\nname = \"down\"\njob = \"gone\"\nmetric = \"up\"\nevery = \"1s\"\nvalues = [\"down\"]\nexpect = [\"0s raised major\"]\n";
    fs::write(house.folder().join("rules-test.toml"), test).unwrap();
    raise_and_clear(&house, back);
    house.schedule(&jobs);
    for folder in [".zfunc", ".config/fish/completions"] {
        fs::create_dir_all(house.folder().join(folder)).unwrap();
    }
    let promise = "[[objective]]\nname = \"mail in Paris\"\nseries = 'up{site=\"paris\"}'\ntarget = \"99.9%\"\n";
    let channel = "[[channel]]\nname = \"ops-mail\"\ntype = \"exec\"\ncommand = [\"/bin/true\"]\n[[route]]\nchannels = [\"ops-mail\"]\n";
    let person = |name: &str| format!("[[person]]\nname = {name:?}\naddresses = [{{ channel = \"ops-mail\" }}]\n");
    let roster =
        "[[roster]]\nname = \"mail-duty\"\nmembers = [\"ann\", \"bob\"]\nhandover = \"MON 09:00\"\n[[route]]\nto = \"mail-duty\"\n";
    let people = person("ann") + &person("bob") + roster;
    fs::write(&main, fs::read_to_string(&main).unwrap() + promise + channel + &people).unwrap();
    // A daemon that sent a trap of SNMPv3 has left its engine.
    fs::write(house.data().join("snmp-engine"), "80001f8804746573742d656e67 1\n").unwrap();
    // A schedule that we ship, as far as its rows go.
    fs::create_dir(house.folder().join("schedules")).unwrap();
    let row = "[[row]]\nnumber = 31\nsubsystem = \"POP server\"\nname = \"availability\"\nseries = 'up{job=\"pop-paris\"}'\n";
    fs::write(house.folder().join("schedules/esm.toml"), row).unwrap();
    // What another program has written for years.
    let mapping = "[[import]]\nfiles = \"theirs.rrd\"\njob = \"pop-paris\"\nmetric = \"total_time\"\n";
    fs::write(house.folder().join("collectd.toml"), mapping).unwrap();
    let theirs = "rrdtool create theirs.rrd -b now-1d -s 10 DS:value:GAUGE:20:0:U RRA:AVERAGE:0.5:1:100 && rrdtool update theirs.rrd N:1";
    assert!(run(&house, theirs).status.success(), "rrdtool is missing: install the package rrdtool");
    // A library that somebody built, of agents that no other library carries.
    let built = house.folder().join("target/release/libspool.so");
    fs::create_dir_all(built.parent().unwrap()).unwrap();
    fs::rename(house.plugins().join("libwatchpost_dns.so"), &built).or_else(|_| fs::copy(plugin_library("dns"), &built).map(drop)).unwrap();
    drop(fs::remove_file(house.plugins().join("libwatchpost_dns.so")));
    // Whose library it is matters to nobody here.
    for (folder, jobs) in [("plugins", None), ("agents/target/release", Some("agents/sample.toml"))] {
        fs::create_dir_all(house.folder().join(folder)).unwrap();
        let library = house.plugins().join("libwatchpost_smtp.so");
        std::os::unix::fs::symlink(library, house.folder().join(folder).join("libspool.so")).unwrap();
        jobs.map(|jobs| fs::copy(house.folder().join("jobs.toml"), house.folder().join(jobs)).unwrap());
    }
    let helps = helps(&house, &[]);
    assert!(helps.len() > 12, "{}", helps.len());
    let all: Vec<(&[String], Vec<&str>)> = helps.iter().map(|(words, help)| (words.as_slice(), examples(help))).collect();
    for (words, help) in &helps {
        // Text that was broken by hand is broken again where the terminal is narrower, in the middle of its lines.
        let prose = help.rsplit_once("--version").map_or("", |(_, after)| after);
        let lines: Vec<&str> = prose.lines().collect();
        let short = |pair: &&[&str]| pair[0].len() < 60 && !pair[0].is_empty() && pair[1].starts_with(char::is_lowercase);
        assert_eq!(lines.windows(2).find(short), None, "{words:?}:\n{help}");
    }
    for (words, examples) in &all {
        let own = format!("watchpost {}", words.join(" "));
        // A terminal of 80 columns would break a longer one, and a broken one cannot be copied.
        assert!(examples.iter().all(|example| example.starts_with("watchpost ") && example.len() <= 78), "{examples:?}");
        assert!(examples.iter().any(|example| example.starts_with(own.trim())), "`{own}` has no example of its own: {examples:?}");
    }
    let (runs, others): (Vec<_>, Vec<_>) =
        all.iter().flat_map(|(_, examples)| examples).partition(|line| line.starts_with("watchpost run"));
    assert!(runs.len() > 1 && others.len() > 20, "{runs:?} {others:?}");
    for line in runs {
        during(&house, line, |is_last| {
            let others: &[&str] = if is_last { &others } else { &[] };
            for line in others {
                // Nobody here answers for example.org, and a domain beside a server that answers need not be found.
                let domain = format!("--domain localhost --host 127.0.0.1:{}", server.port());
                let here = line
                    .replace("2525", &server.port().to_string())
                    .replace("spool/target", "agents/target")
                    .replace("--domain example.org", &domain);
                // The job is due every second: `jobs run` may come while it runs.
                let free = |output: &Output| !String::from_utf8_lossy(&output.stderr).contains("is running just now");
                let output = until(SOON, || Some(run(&house, &here)).filter(free)).expect(line);
                assert!(output.status.success(), "{line}: {output:?}");
                let is_answered = !output.stdout.is_empty() || line.contains('>') || line.contains(" -o ");
                assert!(is_answered, "{line}: {output:?}");
            }
        });
    }
    let written = [".local/share/man/man1/watchpost.1", ".watchpost.bash", ".zfunc/_watchpost"];
    for file in written {
        assert!(fs::metadata(house.folder().join(file)).unwrap().len() > 1000, "{file}");
    }
}

/// Has a daemon raise both alarms, and clear the second.
fn raise_and_clear(house: &House, back: ClosedPort) {
    let daemon = house.start();
    let are = |wanted: [&str; 2]| {
        let all = crate::json(house, &["alarms", "list", "--state", "all"]);
        let stage =
            |number: u64| all.as_array().unwrap().iter().find(|alarm| alarm["number"] == number).map(|alarm| alarm["stage"].clone());
        (stage(1) == Some(wanted[0].into()) && stage(2) == Some(wanted[1].into())).then_some(())
    };
    until(SOON, || are(["active", "active"])).expect("both are raised");
    let port = back.port().unwrap();
    drop(back);
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            use std::io::{BufRead, Write};
            let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
            for said in ["220 ready\r\n", "250 here\r\n", "221 bye\r\n"] {
                // A client that goes early is no matter of ours.
                let _gone = stream.write_all(said.as_bytes()).and_then(|()| lines.read_line(&mut String::new()));
            }
        }
    });
    until(SOON, || are(["active", "cleared"])).expect("the second is cleared");
    assert!(daemon.stop().status.success());
}

/// Runs a daemon as an example has it, and something while it runs and its job has run.
fn during(house: &House, line: &str, then: impl FnOnce(bool)) {
    let mut daemon = Ends(shell(house, &format!("exec {line}")).stderr(Stdio::null()).spawn().unwrap());
    let has_run = || run(house, "watchpost jobs").stdout.windows(4).any(|four| four == b" ok ").then_some(());
    let ready = until(SOON, has_run);
    assert!(ready.is_some() && daemon.0.try_wait().unwrap().is_none(), "{line}");
    then(line.contains("--config"));
    rustix::process::kill_process(rustix::process::Pid::from_child(&daemon.0), rustix::process::Signal::TERM).unwrap();
    assert!(daemon.0.wait().unwrap().success(), "{line}");
}

/// A program that ends with the test that started it.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn completions_know_every_command_and_their_shells_take_them() {
    let house = House::new("");
    let helps = helps(&house, &[]);
    for (shell, check) in [("bash", &["-n"] as &[&str]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        let file = house.folder().join(format!("completions.{shell}"));
        fs::write(&file, house.run(&["completions", shell]).ok()).unwrap();
        let script = fs::read_to_string(&file).unwrap();
        for (words, _) in &helps {
            let known = words.last().is_none_or(|name| script.contains(name.as_str()));
            assert!(known, "{shell}: no {words:?}");
        }
        if shell == "bash" || programs::there(shell) {
            let output = Command::new(shell).args(check).arg(&file).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
        }
    }
    // What bash offers after some words.
    let offers = |words: &str, at: usize| {
        let script = house.folder().join("completions.bash");
        let line = format!(
            ". '{}'; COMP_WORDS=({words}); COMP_CWORD={at}; _watchpost watchpost \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at} - 1]}}\"; echo ${{COMPREPLY[@]}}",
            script.display()
        );
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let first: Vec<&String> = helps.iter().filter(|(words, _)| words.len() == 1).map(|(words, _)| &words[0]).collect();
    let offered = offers("watchpost ''", 1);
    assert!(first.iter().all(|name| offered.contains(name)), "{first:?} in {offered:?}");
    assert_eq!(offers("watchpost jobs pau", 2), ["pause"]);
    assert_eq!(offers("watchpost run --log js", 3), ["json"]);
}

#[test]
fn every_command_has_a_man_page_that_man_can_show() {
    let house = House::new("");
    let folder = house.folder().join("man1");
    house.run(&["man", "--output", &folder.display().to_string()]).ok();
    let page = |words: &[String]| folder.join(format!("{}.1", [&["watchpost".to_owned()], words].concat().join("-")));
    let helps = helps(&house, &[]);
    for (words, help) in &helps {
        let text = fs::read_to_string(page(words)).unwrap_or_else(|error| panic!("{}: {error}", page(words).display()));
        let about = help.lines().next().unwrap().trim_end_matches('.');
        assert!(plain(&text).contains(about), "{words:?}: no {about:?}");
        assert!(examples(help).iter().all(|example| plain(&text).contains(example)), "{words:?}: not every example");
        if programs::there("mandoc") {
            let output = Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(page(words)).output().unwrap();
            assert!(output.status.success(), "{words:?}: {output:?}");
        }
    }
    assert_eq!(entries(&folder), helps.len(), "a page for each command and no other");
}

/// A page without roff's escapes.
fn plain(page: &str) -> String {
    page.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\&", "").replace("\\\\", "\\")
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}
