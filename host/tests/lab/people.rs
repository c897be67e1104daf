//! Postfix and Dovecot deliver what persons are told: a digest in one mail, in German; in quiet hours what breaks through, in French, and the
//! rest at their end.

use std::{
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{demo::Demo, harness::until, programs, server, told::Mailbox};

/// How long the daemon has to raise two alarms before the digest is told and quiet hours end.
const TO_RAISE: u64 = 25;
/// How long mails may take once they are due.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn a_digest_is_one_mail_and_quiet_hours_let_through_what_breaks_them() {
    let Some(demo) = Demo::shared() else { return };
    if !programs::there("curl") {
        return;
    }
    let server = server::Server::down();
    let mark = format!("people-{}", server.port());
    let house = server::house(&server, "");
    // The first whole minute that leaves time enough: people write minutes.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let due = (now + TO_RAISE).div_ceil(60) * 60;
    let clock = |at: u64| format!("{:02}:{:02}", at / 3600 % 24, at / 60 % 60);
    let (quiet, at) = (format!("daily {}-{}", clock(due - 3600), clock(due)), clock(due));
    let people = format!(
        "[[channel]]\nname = \"mail\"\ntype = \"mail\"\nserver = \"127.0.0.1:{}\"\nfrom = \"Watchpost <watchpost@lab.test>\"\n\
         to = [\"probe@lab.test\"]\nsubject = \"{mark} {{{{ notices | length }}}} {{{{ title }}}}\"\n\
         [[person]]\nname = \"alice\"\naddresses = [{{ channel = \"mail\", to = \"alice@lab.test\" }}]\nlanguage = \"de\"\n\
         timezone = \"UTC\"\ndigest = \"{at}\"\n\
         [[person]]\nname = \"bob\"\naddresses = [{{ channel = \"mail\", to = \"bob@lab.test\" }}]\nlanguage = \"fr\"\n\
         timezone = \"UTC\"\nquiet = \"{quiet}\"\nbreaks_quiet = \"critical\"\n\
         [[route]]\nto = [\"alice\", \"bob\"]\nmatch = '{{job=\"mx\"}}'\n",
        demo.lab.port("smtp"),
    );
    house.add_to_main(&people);
    // The same server in two ways: it is down, which is critical, and it was not up, which is a warning.
    house.schedule(&(server.job("") + "[[job.threshold]]\nname = \"not-up\"\nmetric = \"up\"\nwarning = \"< 1\"\n"));
    let [alice, bob] = ["alice", "bob"].map(|user| Mailbox { demo: &demo, user, mark: mark.clone() });
    let daemon = house.start();
    let arrived = |mailbox: &Mailbox<'_>, count: usize| {
        // Up to a minute and a half may pass until they are due.
        let ahead = due.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
        let found = until(DELIVERY_TIMEOUT + Duration::from_secs(ahead), || {
            sleep(Duration::from_millis(200));
            Some(mailbox.mails()).filter(|mails| mails.len() >= count)
        });
        let said = || format!("{}{}", house.run(&["notify"]).out, house.run(&["alarms", "why-not", "1", mailbox.user]).out);
        found.unwrap_or_else(|| panic!("{count} mails for {} do not arrive: {}", mailbox.user, said()))
    };
    let broke_through = arrived(&bob, 1);
    let is_early = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() < due;
    // What waits says for what, and a kill loses none of it.
    let alarms: Vec<serde_json::Value> = serde_json::from_str(&house.run(&["alarms", "--json"]).ok()).unwrap();
    let number = alarms.iter().find(|alarm| alarm["rule"] == "not-up").unwrap()["number"].to_string();
    for (who, why) in
        [("alice", "it was for the digest of alice, which is told"), ("bob", "bob had quiet hours, which it does not break through, until")]
    {
        let said = house.run(&["alarms", "why-not", &number, who]).ok();
        assert!(said.contains(why), "{said}");
    }
    assert!(is_early, "it took too long until the first mail came");
    assert_eq!((broke_through.len(), alice.mails().len()), (1, 0));
    daemon.kill();
    let daemon = house.start();
    let at_the_end = arrived(&bob, 2);
    let digest = arrived(&alice, 1);
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() >= due, "nothing was told before its time");
    assert!(daemon.stop().status.success());
    let subject = |mail: &str| mail.lines().find_map(|line| line.strip_prefix("Subject: ").map(str::to_owned)).unwrap();
    assert!(subject(&broke_through[0]).starts_with(&format!("{mark} 1 [CRITIQUE] mx ")), "{broke_through:?}");
    assert!(subject(&at_the_end[1]).starts_with(&format!("{mark} 1 [AVERTISSEMENT] mx ")), "{at_the_end:?}");
    assert_eq!((digest.len(), bob.mails().len()), (1, 2), "each comes once");
    assert!(subject(&digest[0]).starts_with(&format!("{mark} 2 [")), "{digest:?}");
    let text = alice.sections("TEXT").concat();
    for part in ["[KRITISCH] mx ", "[WARNUNG] mx ", "Zustand      KRITISCH", "Zustand      WARNUNG", " UTC"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
