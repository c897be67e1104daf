//! `cargo xtask lab …`: what each word does.

use super::faulty::FAULTY;
use super::life::{self, State};
use super::server::Server;
use super::{Lab, SERVERS, facts, schedule};
use crate::arguments::Arguments;
use crate::error::{Error, Outcome, doing};
use crate::privilege::{self, Root};
use crate::{place, process, signal, user};
use std::fs;
use std::io::{Read, Write, stdin, stdout};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// What `up --hold` says when the lab is up.
pub(crate) const READY: &str = "lab: ready";
/// How often a held lab looks whether it was asked to end.
const HOLD_LOOKS: Duration = Duration::from_millis(200);

/// Runs `lab WORD …`.
pub(crate) fn run(words: &[String]) -> Outcome<ExitCode> {
    let flags = ["hold", "wipe", "json"];
    let arguments = Arguments::parse(words, &flags, &["dir", "port-base"])?;
    let Some((word, names)) = arguments.words.split_first() else {
        return Err(Error::Usage("lab what? up, down, stall, resume, status, env or schedule".into()));
    };
    let lab = Lab::of(&arguments)?;
    match word.as_str() {
        "up" | "start" => as_root(&lab, words, || up(&lab, &named(&lab, names)?, &arguments)),
        "down" | "stop" => as_root(&lab, words, || down(&lab, &named(&lab, names)?, arguments.has("wipe"))),
        "stall" => as_root(&lab, words, || stall(&lab, &named(&lab, names)?)),
        "resume" => as_root(&lab, words, || resume(&lab, &named(&lab, names)?)),
        "status" => status(&lab, &named(&lab, names)?),
        "env" if arguments.has("json") => print(&facts::json(&lab)),
        "env" => print(&facts::env(&lab)),
        "schedule" => print(&filled(&lab, names)?),
        other => Err(Error::Usage(format!("lab knows no `{other}`"))),
    }
}

/// The servers that a command means.
struct Asked {
    servers: Vec<&'static dyn Server>,
    /// Whether each was asked for by name: then it must not be left out.
    by_name: bool,
}

/// The servers of these names; without a name those that come up with the others, and what was started beside them.
fn named(lab: &Lab, names: &[String]) -> Outcome<Asked> {
    let find = |name: &String| SERVERS.into_iter().find(|server| server.name() == name);
    if let Some(name) = names.iter().find(|name| find(name).is_none()) {
        let known = SERVERS.map(|server| server.name()).join(", ");
        return Err(Error::Usage(format!("no server `{name}` in the lab; there are {known}")));
    }
    let is_meant = |server: &dyn Server| names.is_empty() && (server.is_usual() || lab.record(server.name()).exists());
    let asked = |server: &&dyn Server| is_meant(*server) || names.iter().any(|it| it == server.name());
    let servers = SERVERS.into_iter().filter(asked).collect();
    Ok(Asked { servers, by_name: !names.is_empty() })
}

/// Does the work here if we are root or cannot be, else has sudo run this same command.
fn as_root(lab: &Lab, words: &[String], work: impl FnOnce() -> Outcome<ExitCode>) -> Outcome<ExitCode> {
    if user::is_root() {
        return work();
    }
    match privilege::root("the lab (Postfix and Dovecot change to users of their own)") {
        Ok(Root::Already) => work(),
        Ok(Root::Sudo) => {
            let mut arguments = vec!["lab".into()];
            arguments.extend(words.iter().map(Into::into));
            arguments.extend(lab.options());
            let status = process::attend(&mut Root::Sudo.xtask(&arguments)?)?;
            Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
        }
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(why) => {
            eprintln!("{why}");
            work()
        }
    }
}

fn up(lab: &Lab, asked: &Asked, arguments: &Arguments) -> Outcome<ExitCode> {
    let mut started = Vec::new();
    let raised = raise(lab, asked, &mut started);
    if !arguments.has("hold") {
        return raised.map(|()| ExitCode::SUCCESS);
    }
    if raised.is_ok() {
        say(READY);
        hold();
    }
    started.reverse();
    let lock = lab.lock()?;
    for server in started {
        lower(lab, server)?;
    }
    if arguments.has("wipe") && raised.is_ok() {
        wipe(lab)?;
    }
    drop(lock);
    raised.map(|()| ExitCode::SUCCESS)
}

/// Starts what can be started; whatever was started is noted even if a later one fails.
fn raise(lab: &Lab, asked: &Asked, started: &mut Vec<&'static dyn Server>) -> Outcome {
    place::check_for_servers(&lab.dir)?;
    let _lock = lab.lock()?;
    lab.lay_out()?;
    for &server in &asked.servers {
        let name = server.name();
        if let Some(why) = obstacle(server) {
            let packages = server.packages().join(" ");
            let line = format!("{name} is left out: {why} (Debian: {packages})");
            if asked.by_name {
                return Err(Error::Refused(line));
            }
            say(&line);
            continue;
        }
        let begun = Instant::now();
        if life::start(lab, server)? {
            say(&format!("{name} is up after {:.1} s: {}", begun.elapsed().as_secs_f64(), ports(lab, server)));
            started.push(server);
        } else {
            say(&format!("{name} is up already: {}", ports(lab, server)));
        }
    }
    Ok(())
}

fn obstacle(server: &dyn Server) -> Option<String> {
    let no_root = server.needs_root() && !user::is_root();
    no_root.then(|| "it needs root".into()).or_else(|| server.obstacle())
}

/// Waits until standard input closes or we are asked to end.
fn hold() {
    let (closed, close) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while matches!(stdin().read(&mut nothing), Ok(1..)) {}
        drop(closed);
    });
    while !signal::caught() && close.recv_timeout(HOLD_LOOKS) != Err(RecvTimeoutError::Disconnected) {}
}

fn down(lab: &Lab, asked: &Asked, and_wipe: bool) -> Outcome<ExitCode> {
    if !lab.dir.exists() {
        say(&format!("there is no lab in {}", lab.dir.display()));
        return Ok(ExitCode::SUCCESS);
    }
    if and_wipe && asked.by_name {
        return Err(Error::Usage("--wipe is for the whole lab".into()));
    }
    let _lock = lab.lock()?;
    for &server in asked.servers.iter().rev() {
        lower(lab, server)?;
    }
    if and_wipe {
        wipe(lab)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn lower(lab: &Lab, server: &dyn Server) -> Outcome {
    let stopped = life::stop(lab, server)?;
    say(&format!("{} {}", server.name(), stopped.words()));
    Ok(())
}

/// Holds servers that were named: each stays open and answers nobody, as one does whose disk hangs.
fn stall(lab: &Lab, asked: &Asked) -> Outcome<ExitCode> {
    if !asked.by_name {
        return Err(Error::Usage("stall which SERVER?".into()));
    }
    let _lock = lab.lock()?;
    for &server in &asked.servers {
        life::stall(lab, server)?;
        say(&format!("{} is stalled", server.name()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets servers go on.
fn resume(lab: &Lab, asked: &Asked) -> Outcome<ExitCode> {
    let _lock = lab.lock()?;
    let mut all_up = true;
    for &server in &asked.servers {
        let answers = life::resume(lab, server)?;
        say(&format!("{} {}", server.name(), if answers { "goes on" } else { "goes on, and does not answer" }));
        all_up &= answers;
    }
    Ok(ExitCode::from(u8::from(!all_up)))
}

/// Removes a lab's folder, and only a lab's, and only if nothing runs in it.
fn wipe(lab: &Lab) -> Outcome {
    let dir = lab.dir.display();
    if !lab.dir.join(facts::FILE).exists() {
        return Err(Error::Refused(format!("{dir} is no lab")));
    }
    if let Some(server) = SERVERS.iter().find(|server| lab.record(server.name()).exists()) {
        return Err(Error::Refused(format!("{} still runs in {dir}, so it stays", server.name())));
    }
    fs::remove_dir_all(&lab.dir).map_err(doing(format!("remove {dir}")))
}

fn status(lab: &Lab, asked: &Asked) -> Outcome<ExitCode> {
    println!("{:<15} {:<8} {:>7}", "SERVER", "STATE", "PID");
    let mut all_up = true;
    for &server in &asked.servers {
        let state = life::state(lab, server);
        all_up &= matches!(state, State::Up(_));
        let pid = state.pid().map_or("-".into(), |pid| pid.to_string());
        println!("{:<15} {:<8} {pid:>7}", server.name(), state.word());
        listeners(lab, server).iter().for_each(|line| println!("  {line}"));
    }
    Ok(ExitCode::from(u8::from(!all_up)))
}

/// Lists where a server listens: a line for each port, and one for each faulty address.
fn listeners(lab: &Lab, server: &dyn Server) -> Vec<String> {
    let line = |place: String, names: &str, word: &str| format!("{place:<15}  {names:<21}  {word}");
    let right = server.ports().iter().map(|port| line(format!("127.0.0.1:{}", lab.port(port)), port.name, port.word));
    let names = server.faulty_ports().iter().map(|port| port.name).collect::<Vec<_>>().join(" ");
    let faulty = FAULTY.iter().filter(|_| !names.is_empty());
    right.chain(faulty.map(|faulty| line(faulty.address.to_string(), &names, &format!("the same ports, {}", faulty.word)))).collect()
}

fn ports(lab: &Lab, server: &dyn Server) -> String {
    let ports = server.ports().iter().map(|port| format!("{} {}", port.name, lab.port(port)));
    ports.collect::<Vec<_>>().join(", ")
}

fn filled(lab: &Lab, names: &[String]) -> Outcome<String> {
    let [file] = names else {
        return Err(Error::Usage("lab schedule needs one FILE".into()));
    };
    let text = fs::read_to_string(file).map_err(doing(format!("read {file}")))?;
    Ok(schedule::fill(&text, &lab.renumbered(), &lab.dir.display().to_string()))
}

/// Prints a line; that nobody reads it any more must not keep a server from being ended.
fn say(line: &str) {
    writeln!(stdout(), "{line}").ok();
}

fn print(text: &str) -> Outcome<ExitCode> {
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::ports::Ports;

    #[test]
    fn a_server_that_is_not_usual_is_meant_by_its_name_or_while_it_was_started() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab { dir: folder.path().into(), ports: Ports::at(20_000) };
        let names = |asked: Asked| asked.servers.iter().map(|server| server.name()).collect::<Vec<_>>();
        let usual = names(named(&lab, &[]).unwrap());
        assert!(usual.contains(&"postfix") && !usual.contains(&"roundup"), "{usual:?}");
        assert_eq!(names(named(&lab, &["roundup".into()]).unwrap()), ["roundup"]);
        lab.made("running").unwrap();
        fs::write(lab.record("roundup"), "").unwrap();
        assert_eq!(names(named(&lab, &[]).unwrap()).len(), usual.len() + 1);
    }

    #[test]
    fn status_lists_every_port_and_every_faulty_address_with_a_word() {
        let lab = Lab { dir: "/srv/lab".into(), ports: Ports::at(20_000) };
        for server in SERVERS {
            let lines = listeners(&lab, server);
            let line = |begins: &str| lines.iter().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {lines:?}"));
            for port in server.ports() {
                let (place, word) = (format!("127.0.0.1:{} ", lab.port(port)), port.word);
                assert!(line(&place).contains(port.name) && !word.is_empty() && line(&place).ends_with(word), "{lines:?}");
            }
            let faulty = if server.faulty_ports().is_empty() { &[][..] } else { &FAULTY[..] };
            assert_eq!(lines.len(), server.ports().len() + faulty.len());
            for address in faulty {
                let line = line(&address.address.to_string());
                assert!(line.ends_with(address.word) && server.faulty_ports().iter().all(|port| line.contains(port.name)), "{line}");
            }
        }
    }
}
