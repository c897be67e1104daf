//! What `submit = true` does to the world.

use std::{thread::sleep, time::Duration};

use crate::{demo::Demo, harness::until, programs};

/// How long Postfix and Dovecot may take to put a message into its mailbox.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn each_delivery_that_is_ok_is_one_message_in_the_mailbox() {
    let Some(demo) = Demo::shared() else { return };
    if !programs::there("curl") {
        return;
    }
    let said = demo.house.run(&["jobs", "run", "delivery"]).ok();
    assert!(said.starts_with("delivery: ok in ") && said.contains("\n  transmission_time = "), "{said}");
    let mut seen = (0, 0);
    // The demo goes on delivering: at some moment both are the same.
    let same = until(DELIVERY_TIMEOUT, || {
        seen = (demo.status("delivery")["ok"].as_u64().unwrap(), messages(&demo));
        sleep(Duration::from_millis(200));
        (seen.0 > 0 && seen.0 == seen.1).then_some(())
    });
    assert!(same.is_some(), "{} deliveries, {} messages", seen.0, seen.1);
}

/// Messages of ours that the mailbox of the probe holds, as Dovecot counts them.
fn messages(demo: &Demo) -> u64 {
    let (inbox, login) =
        (format!("imap://127.0.0.1:{}/INBOX", demo.lab.port("imap")), format!("probe@lab.test:{}", demo.lab.password("probe")));
    let search = "SEARCH FROM \"probe@lab.test\" SUBJECT \"Watchpost probe\"";
    let found = programs::output_of("curl", &["-sS", "--max-time", "10", &inbox, "-u", &login, "-X", search]);
    let numbers = found.trim().strip_prefix("* SEARCH").unwrap_or_else(|| panic!("{found}"));
    numbers.split_whitespace().count().try_into().unwrap()
}
