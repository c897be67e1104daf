//! Receivers that fail: everything arrives all the same, in its order, and what comes twice has the same id.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, time::Duration};

use serde_json::Value;

use crate::{
    harness::{House, until},
    scripted::{
        Answer::{Hangs, Resets, Says},
        Receiver,
    },
    server::{Server, house},
};

pub(crate) const SOON: Duration = Duration::from_secs(40);

fn channel(receiver: &Receiver, more: &str) -> String {
    format!(
        "[[channel]]\nname = \"hook\"\ntype = \"webhook\"\nurl = {:?}\ntimeout = \"1s\"\n{more}\n[[route]]\nchannels = [\"hook\"]\nmatch = '{{job=\"mx\"}}'\n",
        receiver.url()
    )
}

#[test]
fn what_a_failing_receiver_is_told_arrives_once_with_its_id_and_in_order() {
    let receiver = Receiver::start(&[
        Says("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy"),
        Resets,
        Says("nonsense\r\n\r\n"),
        Hangs,
        Says("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n{\"ok\":false,\"error\":\"disk full\"}"),
    ]);
    let mut server = Server::down();
    let house = house(&server, &channel(&receiver, "secret = { file = \"key\" }\nheaders = { X-Token = { file = \"key\" } }"));
    house.keep("key", b"hush-hush\n");
    let daemon = house.start();
    until(SOON, || (!receiver.taken().is_empty()).then_some(())).expect("it arrives in the end");
    assert_eq!(receiver.steps(), ["raised"]);
    let ids: BTreeSet<String> = receiver.all().iter().map(|got| got.header("Idempotency-Key").unwrap().to_owned()).collect();
    assert_eq!((receiver.all().len(), ids.len()), (6, 1), "{ids:?}");
    let got = receiver.taken().remove(0);
    assert_eq!(got.header("X-Token"), Some("hush-hush"));
    assert!(got.header("X-Watchpost-Signature").unwrap().starts_with("sha256="));
    let told = got.json();
    assert_eq!((told["job"].as_str(), told["severity"].as_str(), told["active"].as_bool()), (Some("mx"), Some("critical"), Some(true)));
    assert!(told["title"].as_str().unwrap().starts_with("[CRITICAL] mx "), "{told}");

    // What is told goes on over a daemon that is killed; what it had not written down yet would be told again.
    until(SOON, || house.run(&["notify"]).ok().contains("hook (webhook): 1 delivered").then_some(())).expect("it is written down");
    daemon.kill();
    let daemon = house.start();
    server.comes_up();
    until(SOON, || (receiver.steps().len() > 1).then_some(())).expect("its end arrives");
    assert_eq!(receiver.steps(), ["raised", "cleared"]);
    let seqs: Vec<u64> = receiver.taken().iter().map(|got| got.json()["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    let listed = house.run(&["notify"]).ok();
    assert!(
        listed.starts_with("hook (webhook): 1 delivered since ") && listed.contains(", the last ") && !listed.contains("hush"),
        "{listed}"
    );
    assert!(daemon.stop().status.success());
}

#[test]
fn a_test_tells_whether_it_arrives_and_why_not() {
    let receiver = Receiver::start(&[Says("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nwho's you")]);
    let server = Server::down();
    let house = house(&server, &channel(&receiver, "tell = [\"closed\"]"));
    let daemon = house.start();
    let said = house.run(&["notify", "test", "hook"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), "error: cannot tell anybody by channel `hook`: answered 403: who's you\n"));
    assert_eq!(house.run(&["notify", "test", "hook"]).ok(), "hook: a test was delivered\n");
    assert_eq!(receiver.taken()[0].json()["text"], "this is a test: nothing is wrong");
    let said = house.run(&["notify", "test", "hok"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("no channel is called so; did you mean `hook`?"), "{said:?}");
    assert!(daemon.stop().status.success());
}

#[test]
fn a_program_gets_what_is_told_and_a_heartbeat_tells_that_somebody_watches() {
    let receiver = Receiver::start(&[]);
    let server = Server::down();
    let folder = tempfile::tempdir().unwrap();
    let (program, got) = (folder.path().join("tell"), folder.path().join("got"));
    fs::write(&program, format!("#!/bin/sh\ncat >> {}\n", got.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = format!(
        "[[channel]]\nname = \"prog\"\ntype = \"exec\"\ncommand = [{:?}]\n[[route]]\nchannels = [\"prog\"]\nmatch = '{{site=\"paris\"}}'\n",
        program.display().to_string()
    );
    let house = house(&server, &(channel(&receiver, "tell = []\nheartbeat = \"10s\"") + &exec));
    let daemon = house.start();
    let lines =
        || -> Vec<Value> { fs::read_to_string(&got).unwrap_or_default().lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    until(SOON, || (!lines().is_empty()).then_some(())).expect("the program is run");
    assert_eq!((lines()[0]["step"].as_str(), lines()[0]["rule"].as_str()), (Some("raised"), Some("down")));
    until(SOON, || (!receiver.taken().is_empty()).then_some(())).expect("a heartbeat comes");
    assert_eq!(receiver.taken()[0].json()["heartbeat"], true);
    assert!(daemon.stop().status.success());
}

#[test]
fn a_channel_that_is_down_is_told_through_another_until_it_is_up() {
    let (up, mut server) = (Receiver::start(&[]), Server::down());
    let away = Server::down();
    let channels = format!(
        "[[channel]]\nname = \"away\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n\
         [[channel]]\nname = \"hook\"\ntype = \"webhook\"\nurl = {:?}\ntell = [\"raised\", \"cleared\"]\n\
         [[route]]\nchannels = [\"away\"]\nmatch = '{{job=\"mx\"}}'\n\
         [[route]]\nchannels = [\"hook\"]\nmatch = '{{rule=\"channel_down\"}}'\n",
        away.port(),
        up.url()
    );
    let house = house(&server, &channels);
    let daemon = house.start();
    until(SOON, || (!up.taken().is_empty()).then_some(())).expect("it is told that the other is away");
    let told = up.taken()[0].json();
    let text = told["text"].as_str().unwrap();
    assert!(text.starts_with("channel away cannot be told: 127.0.0.1:") && text.contains("Connection refused"), "{told}");
    let listed = house.run(&["notify"]).ok();
    assert!(listed.contains("away (webhook): 0 delivered since ") && listed.contains(", 1 wait\n  failing: "), "{listed}");
    let back = Receiver::at(away.opened());
    until(SOON, || (back.steps() == ["raised"]).then_some(())).expect("what waited arrives");
    until(SOON, || (up.steps() == ["raised", "cleared"]).then_some(())).unwrap_or_else(|| panic!("{:?}", up.steps()));
    server.comes_up();
    until(SOON, || (back.steps() == ["raised", "cleared"]).then_some(())).unwrap_or_else(|| panic!("{:?}", back.steps()));
    assert!(daemon.stop().status.success());
}

#[test]
fn whether_a_channel_is_down_is_not_known_after_a_restart_until_it_is_tried() {
    let (away, server) = (Server::down(), Server::down());
    let channel = format!("[[channel]]\nname = \"away\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n", away.port());
    let house = house(&server, &format!("{channel}[[route]]\nchannels = [\"away\"]\nmatch = '{{job=\"mx\"}}'\n"));
    let daemon = house.start();
    let find = |rule: &str| -> Option<Value> {
        let all: Vec<Value> = serde_json::from_str(&house.run(&["alarms", "list", "--state", "all", "--json"]).ok()).unwrap();
        all.into_iter().find(|alarm| alarm["rule"] == rule)
    };
    let down = || find("channel_down");
    let steps = |number: &str| -> Vec<String> {
        let whole: Value = serde_json::from_str(&house.run(&["alarms", "show", number, "--json"]).ok()).unwrap();
        whole["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect()
    };
    let number = until(SOON, down).expect("the channel is down")["number"].to_string();
    daemon.kill();
    let daemon = house.start();
    // What is wrong with the host is looked at as often as the job is measured.
    let seen = || find("down").and_then(|alarm| alarm["count"].as_u64()).unwrap_or_default();
    let before = seen();
    until(SOON, || (seen() > before + 5).then_some(())).expect("it is measured on");
    let said = house.run(&["notify"]).ok();
    assert!(said.contains("failing: "), "{said}");
    assert_eq!((steps(&number), down().unwrap()["number"].to_string()), (vec!["raised".to_owned()], number.clone()));
    // What is looked at no more is over for another reason than that it is well.
    house.replace_in_main(&channel, "");
    house.replace_in_main("[[route]]\nchannels = [\"away\"]\nmatch = '{job=\"mx\"}'\n", "");
    house.run(&["reload"]).ok();
    until(SOON, || (steps(&number) == ["raised", "withdrawn"]).then_some(())).unwrap_or_else(|| panic!("{:?}", steps(&number)));
    assert!(daemon.stop().status.success());
}

#[test]
fn a_dead_link_silences_what_is_behind_it_and_what_stays_wrong_is_told_when_it_is_back() {
    let receiver = Receiver::start(&[]);
    let (mut mx, mut link) = (Server::down(), Server::down());
    let gateway = link.job("").replace("\"mx\"", "\"link\"");
    let house = House::new(&(gateway + &mx.job("").replace("[[job.threshold]]", "depends_on = \"link\"\n[[job.threshold]]")));
    house.add_to_main(&channel(&receiver, "tell = [\"raised\", \"cleared\"]"));
    let daemon = house.start();
    let list = || -> Vec<Value> { serde_json::from_str(&house.run(&["alarms", "--json"]).ok()).unwrap() };
    let of = |job: &str| list().into_iter().find(|alarm| alarm["job"] == job);
    let inhibited = || of("mx").filter(|alarm| alarm["held"]["inhibited"]["on"] == "link");
    let number = until(SOON, inhibited).expect("it is inhibited")["number"].to_string();
    // Measuring and judging go on.
    until(SOON, || of("mx").filter(|alarm| alarm["count"].as_u64() > Some(3))).expect("it is judged on");
    assert_eq!(receiver.steps(), [""; 0]);
    assert!(house.run(&["alarms"]).ok().contains("active, inhibited"));
    for words in [["alarms", "show", &number].as_slice(), &["alarms", "explain", &number], &["alarms", "why-not", &number, "hook"]] {
        let said = house.run(words).ok();
        assert!(said.contains("inhibited by alarm ") && said.contains(" of link, which it depends on"), "{said}");
    }
    daemon.kill();
    let daemon = house.start();
    link.comes_up();
    until(SOON, || (!receiver.taken().is_empty()).then_some(())).expect("what is still wrong is told");
    assert_eq!(of("link").unwrap()["stage"], "cleared");
    mx.comes_up();
    until(SOON, || (receiver.taken().len() > 1).then_some(())).expect("its end is told");
    let told: Vec<_> = receiver.taken().iter().map(|got| (got.json()["step"].to_string(), got.json()["active"].to_string())).collect();
    let step = |step: &str, active: &str| (format!("{step:?}"), active.to_owned());
    // It never heard that it was raised, and hears of nothing else but its end.
    assert_eq!(told, [step("raised", "true"), step("cleared", "false")]);
    assert!(daemon.stop().status.success());
}

#[test]
fn a_channel_that_is_new_after_a_reload_is_told_what_comes_then() {
    let (old, new) = (Receiver::start(&[]), Receiver::start(&[]));
    let mut server = Server::down();
    let house = house(&server, &channel(&old, ""));
    let daemon = house.start();
    until(SOON, || (!old.taken().is_empty()).then_some(())).expect("it is told");
    house.replace_in_main(&old.url(), &new.url());
    house.run(&["reload"]).ok();
    server.comes_up();
    // The channel is the same one elsewhere: it knew of the alarm.
    until(SOON, || (!new.taken().is_empty()).then_some(())).expect("the end is told");
    assert_eq!((old.steps(), new.steps()), (vec!["raised".to_owned()], vec!["cleared".to_owned()]));
    assert!(daemon.stop().status.success());
}

#[test]
fn who_lacks_the_daemons_secrets_is_told_what_it_decides_and_nothing_false_without_it() {
    let receiver = Receiver::start(&[]);
    let server = Server::down();
    let people = "[[person]]\nname = \"ann\"\naddresses = [{ channel = \"hook\" }]\n[[person]]\nname = \"bob\"\naddresses = [{ channel = \"hook\" }]\n\
                  [[roster]]\nname = \"duty\"\nmembers = [\"ann\", \"bob\"]\nturn = \"1d\"\nhandover = \"08:00\"\ntimezone = \"UTC\"\n\
                  [[route]]\nto = [\"duty\"]\nmatch = '{job=\"mx\"}'\n";
    let house = house(&server, &(channel(&receiver, "secret = { env = \"WATCHPOST_TEST_HOOK\" }") + people));
    let daemon = house.start_with(|command| {
        command.env("WATCHPOST_TEST_HOOK", "hush-hush");
    });
    until(SOON, || (!receiver.taken().is_empty()).then_some(())).expect("it is told");
    let alarms: Vec<Value> = serde_json::from_str(&house.run(&["alarms", "--json"]).ok()).unwrap();
    let number = alarms.iter().find(|alarm| alarm["rule"] == "down").unwrap()["number"].to_string();
    let why_not = |who: &str| house.run(&["alarms", "why-not", &number, who]);
    let is_told = "\nroute 1 names it, and is about the alarm\n";
    let judged = || {
        let said = why_not("hook");
        assert!(said.out.contains(is_told) && said.err.is_empty(), "{said:?}");
        let said = why_not("ann");
        assert!(said.out.contains("route 2 names roster duty, and is about the alarm\n") && said.err.is_empty(), "{said:?}");
        let said = why_not("anna");
        let nobody = "error: cannot say why: no channel, person or roster is called `anna`; did you mean `ann`?\n";
        assert_eq!((said.code, said.err.as_str()), (Some(2), nobody));
        let said: Value = serde_json::from_str(&house.run(&["alarms", "why-not", &number, "hook", "--json"]).ok()).unwrap();
        assert_eq!((said["channel"].as_str(), said["alarm"].to_string()), (Some("hook"), number.clone()));
        assert_eq!((said["messages"][0]["channel"].as_str(), said["reasons"].as_array().map(Vec::is_empty)), (Some("hook"), Some(false)));
        for (words, told) in [
            (["rules", "list"].as_slice(), "\ndown "),
            (&["rosters"], "\nduty "),
            (&["rosters", "show", "duty"], " ann"),
            (&["plan"], " mx "),
        ] {
            let said = house.run(words).ok();
            assert!(said.contains(told), "{said}");
        }
        for (words, why) in [(["measure", "mxx"].as_slice(), "did you mean `mx`?"), (&["sla"], " promises nothing; ")] {
            let said = house.run(words);
            assert!(said.code == Some(2) && said.err.contains(why), "{said:?}");
        }
        // Times are of whoever asks, five hours and three quarters later there.
        let asked = house.command(&["alarms", "why-not", &number, "duty"]).env("TZ", "Asia/Kathmandu").output().unwrap();
        let said = String::from_utf8(asked.stdout).unwrap();
        assert!(said.contains(" 13:45:00 to "), "{said}");
    };
    judged();
    assert!(house.run(&["rules", "show", "down"]).ok().starts_with("rule down on "));
    // What the daemon has not taken yet decides nothing.
    house.replace_in_main("type = \"webhook\"", "type = \"webhok\"");
    let said = why_not("hook");
    assert!(said.out.contains(is_told) && said.err.is_empty(), "{said:?}");
    house.replace_in_main("type = \"webhok\"", "type = \"webhook\"");
    assert!(daemon.stop().status.success());

    judged();
    let note = "note: the configuration has 1 fault; what a fault hides is not judged; `watchpost check` names all\n";
    house.replace_in_main("type = \"webhook\"", "type = \"webhok\"");
    let said = why_not("hook");
    assert!(said.out.starts_with("the configuration has no such channel without a fault\n") && said.err == note, "{said:?}");
    let said = why_not("hok");
    assert_eq!(said.err, format!("{note}error: cannot say why: no channel, person or roster without a fault is called `hok`\n"));
    house.replace_in_main("type = \"webhok\"", "type = \"webhook\"");
    house.replace_in_main("[[route]]\nchannels", "[[route]]\nseverity = \"bad\"\nchannels");
    let said = why_not("ann");
    assert!(said.out.contains("route 1 of those without a fault names roster duty, ") && said.err == note, "{said:?}");
    let explained = |schedule: &str| {
        house.schedule(schedule);
        house.run(&["alarms", "explain", &number]).ok()
    };
    let missing = "\nits rule, down, is not in the configuration";
    let faulty = explained(&server.job("").replace("\"< 1\"", "\"<< 1\""));
    assert!(faulty.contains(&format!("{missing}, or has a fault; `watchpost check` names faults\n")), "{faulty}");
    house.replace_in_main("severity = \"bad\"\n", "");
    let gone = explained(&server.job("").replace("\"down\"", "\"lost\""));
    assert!(gone.contains(&format!("{missing}\n")), "{gone}");
}
