//! Several systems at the same time: each that a route names has one ticket of its own.

use crate::{
    desk::{CHANNEL, Desk, SOON},
    harness::{House, until},
    request_tracker::RequestTracker,
    roundup::Roundup,
    servers::Lab,
};

/// The channel of the other system.
const OTHER: &str = "other-desk";

#[test]
fn each_system_that_a_route_names_has_one_ticket_and_the_one_that_none_names_has_none() {
    let needed = [("named", "bind9"), (RequestTracker::SERVER, RequestTracker::PACKAGE), (Roundup::SERVER, Roundup::PACKAGE)];
    let Some(lab) = Lab::of(&needed, &needed.map(|(server, _)| server)) else { return };
    let job = |name: &str| {
        format!(
            "[[job]]\nname = \"{name}\"\nagent = \"dns\"\nevery = \"1s\"\nconfig = {{ host = \"127.0.0.1\", port = {}, name = \"mail.lab.test\" }}\n\
             [[job.threshold]]\nname = \"down\"\nmetric = \"up\"\ncritical = \"< 1\"\n",
            lab.port("dns")
        )
    };
    let house = House::new(&(job("names") + &job("zones")));
    let more = "delay = \"0s\"\npoll = \"1s\"\n";
    let other = RequestTracker::channel(&lab).replace(&format!("name = \"{CHANNEL}\""), &format!("name = \"{OTHER}\""));
    house.add_to_main(&format!(
        "{}{more}{other}{more}[[route]]\nchannels = [\"{CHANNEL}\"]\nmatch = '{{job=\"names\"}}'\n\
         [[route]]\nchannels = [\"{OTHER}\"]\nmatch = '{{job=~\"names|zones\"}}'\n",
        Roundup::channel(&lab)
    ));
    let (ours, others) = (Roundup::of(&lab), RequestTracker::of(&lab));
    let daemon = house.start();
    lab.stop("named");
    let counts = || (ours.tickets().len(), others.tickets().len());
    let all = until(SOON, || (counts() == (1, 2)).then_some(()));
    assert!(all.is_some(), "{:?} {:?}\n{}", ours.tickets(), others.tickets(), daemon.log_text());
    lab.start("named");
    let over = || {
        ours.tickets().iter().all(|ticket| ticket.status == Roundup::RESOLVED)
            && others.tickets().iter().all(|ticket| ticket.status == RequestTracker::RESOLVED)
    };
    assert!(until(SOON, || over().then_some(())).is_some(), "{:?} {:?}", ours.tickets(), others.tickets());
    assert_eq!(counts(), (1, 2), "one of `names` in each, and one of `zones` in the other: {:?} {:?}", ours.tickets(), others.tickets());
    assert!(ours.tickets()[0].title.contains("names"), "{:?}", ours.tickets());
    assert!(daemon.stop().status.success());
}
