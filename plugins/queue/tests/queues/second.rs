//! A real Exim: its queue as `exim -bp` lists it and `exim -bpc` counts it.

use crate::{lab::Lab, *};

const MESSAGE: &str = "Subject: lab\n\nhello\n";

/// A message of `exim -bp`: its length, and what is said at the end of its first line.
fn listed(lab: &Lab) -> Vec<(u32, bool)> {
    let said = lab.exim(&["-bp"], "");
    // As in " 0m   353 1xXnEu-0004ic-0S <> *** frozen ***"; recipients follow on lines of their own.
    let firsts = said.lines().filter(|line| line.contains('<'));
    firsts.map(|line| (line.split_whitespace().nth(1).unwrap().parse().unwrap(), line.ends_with("*** frozen ***"))).collect()
}

fn bytes(messages: &[(u32, bool)], frozen: bool) -> u32 {
    messages.iter().filter(|(_, is)| *is == frozen).map(|(bytes, _)| bytes).sum()
}

#[tokio::test]
async fn exims_queue_is_as_it_lists_and_counts_it() {
    let Some(lab) = Lab::with_exim() else { return };
    assert_queue(&run("exim", &lab.spool()).await, "all", 0, 0, 0);
    // Nobody tries again meanwhile.
    lab.signal_exim("-STOP");
    lab.exim(&["-odf", "-f", "bob@lab.test", "a@stuck.test"], MESSAGE);
    lab.exim(&["-odf", "-f", "bob@lab.test", "b@stuck.test"], &format!("{MESSAGE}and more\n"));
    let tried = listed(&lab);
    let ran = run("exim", &lab.spool()).await;
    assert_queue(&ran, "deferred", 2, bytes(&tried, false), 0);

    lab.exim(&["-odq", "-f", "bob@lab.test", "a@stuck.test", "c@stuck.test"], MESSAGE);
    // Postfix knows nobody of that name, and there is nobody to tell it to.
    lab.exim(&["-odf", "-f", "<>", "nobody@lab.test"], MESSAGE);
    let all = listed(&lab);
    let ran = run("exim", &lab.spool()).await;
    assert_eq!(lab.exim(&["-bpc"], "").trim(), "4");
    assert_queue(&ran, "all", 4, bytes(&all, false) + bytes(&all, true), 0);
    assert_queue(&ran, "incoming", 1, bytes(&all, false) - bytes(&tried, false), 0);
    assert_queue(&ran, "frozen", 1, bytes(&all, true), 0);
    assert_queue(&ran, "error", 1, bytes(&all, true), 0);
    assert_eq!(ran.outcome.events.last().unwrap().text, "recipients that wait: 4 × stuck.test; 1 × lab.test");

    // What waited for nothing but a try gets it, and is deferred.
    lab.signal_exim("-CONT");
    lab.exim(&["-qf"], "");
    let ran = run("exim", &lab.spool()).await;
    assert_queue(&ran, "deferred", 3, bytes(&all, false), 0);
    assert_queue(&ran, "incoming", 0, 0, 0);
}
