//! A daemon that watches a name server of the lab, and a channel of tickets.

use std::{thread::sleep, time::Duration};

use serde_json::Value;

use crate::{
    desk::{CHANNEL, Desk, SOON, Ticket, lab},
    harness::{Daemon, House, until},
    servers::Lab,
};

/// Between two looks: each costs a program, and the system a page.
const PACE: Duration = Duration::from_millis(250);
/// Name of the rule.
const RULE: &str = "down";
/// Stands for the name server's port in what more is said of jobs.
pub(crate) const DNS: &str = "@dns@";

/// Lab, system of tickets, configuration and daemon; they end in the opposite order.
pub(crate) struct Watched<D> {
    daemon: Option<Daemon>,
    pub(crate) house: House,
    pub(crate) desk: D,
    pub(crate) lab: Lab,
}

impl<D: Desk> Watched<D> {
    /// Starts all of it; more is said of the job's labels, of its threshold and of the channel.
    pub(crate) fn start(labels: &str, threshold: &str, channel: &str) -> Option<Self> {
        Self::start_with(labels, threshold, channel, |channels| channels)
    }

    /// The same, with the channel's table changed.
    pub(crate) fn start_with(labels: &str, threshold: &str, channel: &str, change: impl FnOnce(String) -> String) -> Option<Self> {
        let lab = lab::<D>()?;
        let house = House::new(&format!(
            "[[job]]\nname = \"names\"\nagent = \"dns\"\nevery = \"1s\"\nlabels = {{ {labels} }}\n\
             config = {{ host = \"127.0.0.1\", port = {}, name = \"mail.lab.test\" }}\n\
             [[job.threshold]]\nname = \"{RULE}\"\nmetric = \"up\"\ncritical = \"< 1\"\n{}\n",
            lab.port("dns"),
            threshold.replace(DNS, &lab.port("dns").to_string()),
        ));
        let channels = change(D::channel(&lab));
        let delay = if channel.contains("delay = ") { "" } else { "delay = \"0s\"\n" };
        house.add_to_main(&format!(
            "{channels}{delay}poll = \"1s\"\nreopen_within = \"1h\"\n{channel}\n[[route]]\nchannels = [\"{CHANNEL}\"]\nmatch = '{{job=\"names\"}}'\n"
        ));
        let (desk, daemon) = (D::of(&lab), house.start());
        Some(Self { daemon: Some(daemon), house, desk, lab })
    }

    /// The name server dies.
    pub(crate) fn dies(&self) {
        self.lab.stop("named");
    }

    /// The name server is back.
    pub(crate) fn comes_back(&self) {
        self.lab.start("named");
    }

    /// The daemon is killed; another one starts.
    pub(crate) fn kill_and_start(&mut self) {
        self.daemon.take().expect("it runs").kill();
        self.daemon = Some(self.house.start());
    }

    /// The daemon ends as it should.
    pub(crate) fn ends(mut self) {
        assert!(self.daemon.take().expect("it runs").stop().status.success());
    }

    /// Waits until there is a ticket that is so; there is never a second one.
    pub(crate) fn ticket(&self, what: &str, is_so: impl Fn(&Ticket) -> bool) -> Ticket {
        let found = patiently(|| {
            let tickets = self.desk.tickets();
            assert!(tickets.len() < 2, "{tickets:?}");
            tickets.into_iter().next().filter(&is_so)
        });
        found.unwrap_or_else(|| panic!("no ticket is {what}: {:?}\n{}\n{}", self.desk.tickets(), self.alarm(), self.said_of_channel()))
    }

    /// Waits until the alarm is so.
    pub(crate) fn alarm_that(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let found = patiently(|| Some(self.alarm()).filter(&is_so));
        found.unwrap_or_else(|| panic!("the alarm is not {what}: {}\n{}", self.alarm(), self.said_of_channel()))
    }

    /// Waits until the channel is not to be told any more of the alarm that came last; gives why not.
    pub(crate) fn not_needed(&self) -> String {
        let why = |alarm: &Value| {
            let messages = alarm["messages"].as_array()?;
            let message = messages.iter().find(|message| message["channel"] == CHANNEL && message["state"] == "not_needed")?;
            message["why"].as_str().map(str::to_owned)
        };
        why(&self.alarm_that("one of which there is nothing to tell", |alarm| why(alarm).is_some())).expect("it was there")
    }

    /// Waits until there are so many tickets.
    pub(crate) fn tickets_of_count(&self, count: usize) -> Vec<Ticket> {
        let found = patiently(|| Some(self.tickets()).filter(|tickets| tickets.len() >= count));
        let tickets = found.unwrap_or_else(|| panic!("{:?}\n{}\n{}", self.tickets(), self.alarm(), self.said_of_channel()));
        assert_eq!(tickets.len(), count, "{tickets:?}");
        tickets
    }

    /// Waits until all tickets there are are so.
    pub(crate) fn tickets_that(&self, what: &str, are_so: impl Fn(&[Ticket]) -> bool) -> Vec<Ticket> {
        let found = patiently(|| Some(self.tickets()).filter(|tickets| are_so(tickets)));
        found.unwrap_or_else(|| panic!("tickets are not {what}: {:?}\n{}\n{}", self.tickets(), self.alarm(), self.said_of_channel()))
    }

    /// All tickets there are.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        self.desk.tickets()
    }

    /// Waits until the alarm went through a step that is so.
    pub(crate) fn step(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let find = |alarm: &Value| alarm["steps"].as_array()?.iter().find(|step| step["step"] == name && is_so(step)).cloned();
        let alarm = self.alarm_that(name, |alarm| find(alarm).is_some());
        find(&alarm).expect("it was there")
    }

    /// The same, of a step that somebody made.
    pub(crate) fn step_by(&self, name: &str, by: &str) -> Value {
        self.step(name, |step| step["by"] == by)
    }

    /// Waits until somebody's words are a note of the alarm.
    pub(crate) fn noted(&self, words: &str) -> Value {
        self.step("annotated", |step| step["comment"] == words)
    }

    /// Waits until a ticket has a text that says something.
    pub(crate) fn ticket_text(&self, id: &str, words: &str) -> String {
        let found = patiently(|| self.texts_with(id, words).pop());
        found.unwrap_or_else(|| panic!("nothing says {words}: {:?}\n{}\n{}", self.desk.texts(id), self.alarm(), self.said_of_channel()))
    }

    /// What is known of the alarm that came last.
    pub(crate) fn alarm(&self) -> Value {
        let listed = self.json(&["alarms", "list", "--state", "all", "--rule", RULE, "--json"]);
        let Some(number) = listed[0]["number"].as_u64() else { return Value::Null };
        self.json(&["alarms", "show", &number.to_string(), "--json"])
    }

    /// Writes something beside that alarm; the host may have had one before.
    pub(crate) fn annotate(&self, words: &str) {
        let number = self.alarm()["alarm"]["number"].to_string();
        self.house.run(&["alarms", "annotate", &number, words]).ok();
    }

    /// Texts of a ticket that say something.
    pub(crate) fn texts_with(&self, id: &str, words: &str) -> Vec<String> {
        self.desk.texts(id).into_iter().filter(|text| text.contains(words)).collect()
    }

    fn said_of_channel(&self) -> String {
        self.house.run(&["notify"]).out + &self.daemon.as_ref().map(Daemon::log_text).unwrap_or_default()
    }

    fn json(&self, words: &[&str]) -> Value {
        let said = self.house.run(words).ok();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }
}

/// Looks until something is there.
fn patiently<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    until(SOON, || {
        let found = look();
        if found.is_none() {
            sleep(PACE);
        }
        found
    })
}
