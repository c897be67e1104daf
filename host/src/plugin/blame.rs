//! Who is to blame for a worker's death. DESIGN "Plugins": the guilty job is named; what cannot be laid at its door names nobody.
//!
//! | the worker | its page shows | to blame |
//! |---|---|---|
//! | died, ended itself, closed its connection | a run, or a job's agent being made or dropped | that job, also when it was closed meanwhile |
//! | as above | a configuration being checked | that configuration |
//! | as above | nothing, or what nobody knows | nobody |
//! | died of a fault of its own, or ended itself, on another thread than the one that is busy for jobs (its last word says so) | whatever | nobody |
//! | was ended by us: this work blocks its thread | whatever came after | whose work it is, as above |
//! | was ended by us: somebody wrote to its connection behind its back | for whom alone the library's code ran then | that job |
//! | was ended by us: it answers nothing, or what is not understood | whatever | nobody |
//! | was told to end by somebody else (SIGTERM and the like) | whatever | nobody |
//! | dies again and nobody is to blame by all that | whatever | the job that was alone in it (`life::apart` sees to that) |
//!
//! SIGKILL is the job's: memory that runs out ends a worker so, at the moment when it asks for more.

use watchpost_plugin_api::{AgentError, ErrorKind};
use watchpost_worker::page::Work;

use super::{examinations::Examinations, jobs::Jobs, process::End, runs::Runs};

/// What became of a worker.
#[derive(Debug)]
pub(super) enum Cause {
    /// It ended; nobody of ours asked it to.
    Ended,
    /// It was ended: this work blocked its thread, in this way.
    Blocked(Work, String),
    /// It was ended: it answered nothing any more, and nothing of it was to be seen.
    Silent,
    /// It was ended: its process was stopped, and stayed so.
    Stopped,
    /// It was ended: what it said is not understood, for this reason; who wrote to its connection, if that can be told.
    Garbled(String, Option<Work>),
}

impl Cause {
    /// Whether the worker is still there, and has to be ended.
    pub(super) fn has_to_be_ended(&self) -> bool {
        !matches!(self, Self::Ended)
    }

    /// Says what happened, for people; fits behind "the worker".
    pub(super) fn how(&self, end: &End) -> String {
        match self {
            Self::Ended => end.how(),
            Self::Blocked(_, how) => how.clone(),
            Self::Silent => "answered nothing any more and was ended".into(),
            Self::Stopped => "stood still and was ended".into(),
            Self::Garbled(why, _) => format!("said what is not understood and was ended: {why}"),
        }
    }

    /// Names it, for those who count.
    pub(super) fn name(&self, end: &End) -> &'static str {
        match self {
            Self::Ended => end.name(),
            Self::Blocked(..) => "blocked",
            Self::Silent => "silent",
            Self::Stopped => "stopped",
            Self::Garbled(..) => "garbled",
        }
    }

    /// What the worker did that is to be held against somebody, if `page` is what it was busy with.
    fn work(&self, end: &End, page: Option<Work>) -> Option<Work> {
        match self {
            Self::Blocked(work, _) => Some(*work),
            Self::Garbled(_, who) => *who,
            Self::Silent | Self::Stopped => None,
            Self::Ended if end.was_asked_for() => None,
            Self::Ended => page,
        }
    }
}

/// Who is to blame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Culprit {
    /// This run of a job.
    Run { number: u64, job: u64, name: String },
    /// The agent of a job, while it was made or dropped.
    Agent { job: u64, name: String },
    /// This job, for no other had anything to do with the worker, and it is not the first that died so.
    Alone { job: u64, name: String },
    /// A configuration of this agent, while it was checked.
    Configuration { number: u64, agent: String },
    /// Nobody who is known.
    Nobody,
}

/// Whom the worker was busy for, as far as we know.
pub(super) struct Suspects<'s> {
    pub(super) jobs: &'s Jobs,
    pub(super) runs: &'s Runs,
    pub(super) examinations: &'s Examinations,
}

impl Suspects<'_> {
    /// Finds who is to blame for a death.
    pub(super) fn culprit(&self, cause: &Cause, end: &End, page: Option<Work>) -> Culprit {
        let work = cause.work(end, page).map(|work| match (cause, work) {
            // What is known is the job: its run is to blame, if one is under way.
            (Cause::Garbled(..), Work::Agent(job)) => self.runs.of_job(job).map_or(work, Work::Asked),
            _ => work,
        });
        work.and_then(|work| self.of(work)).unwrap_or(Culprit::Nobody)
    }

    fn of(&self, work: Work) -> Option<Culprit> {
        let name = |job| self.jobs.name(job).map(str::to_owned);
        match work {
            Work::Agent(job) => Some(Culprit::Agent { job, name: name(job)? }),
            Work::Asked(number) => match self.examinations.agent(number) {
                Some(agent) => Some(Culprit::Configuration { number, agent: agent.into() }),
                None => self.runs.job(number).and_then(|job| Some(Culprit::Run { number, job, name: name(job)? })),
            },
        }
    }
}

impl Culprit {
    /// The job to blame: its number and its name.
    pub(super) fn job(&self) -> Option<(u64, &str)> {
        match self {
            Self::Run { job, name, .. } | Self::Agent { job, name } | Self::Alone { job, name } => Some((*job, name)),
            Self::Configuration { .. } | Self::Nobody => None,
        }
    }

    /// What the worker did for whoever is to blame.
    pub(super) fn doing(&self) -> Option<&'static str> {
        match self {
            Self::Run { .. } => Some("running the job"),
            Self::Agent { .. } => Some("making or dropping the job's agent"),
            Self::Alone { .. } => Some("this job alone was in it"),
            Self::Configuration { .. } => Some("checking a configuration"),
            Self::Nobody => None,
        }
    }

    /// What its own part in it fails with, when the worker went `how`.
    pub(super) fn crash(&self, how: &str) -> AgentError {
        let doing = match self {
            Self::Run { .. } => " while this job was running",
            Self::Agent { .. } => " while the agent of this job was made",
            Self::Alone { .. } => " while this job was alone in it",
            Self::Configuration { .. } => " while this configuration was checked",
            Self::Nobody => "",
        };
        AgentError::new(ErrorKind::CRASH, format!("the worker {how}{doing}"))
    }

    /// What the others are told who lost a run by it.
    pub(super) fn why(&self, how: &str) -> String {
        match self {
            Self::Run { name, .. } | Self::Agent { name, .. } | Self::Alone { name, .. } => format!("the worker died of job {name}"),
            Self::Configuration { agent, .. } => format!("the worker died of a configuration of agent {agent}"),
            Self::Nobody => format!("the worker {how}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

    use tokio::sync::oneshot;
    use watchpost_plugin_api::Needs;

    use super::*;
    use crate::plugin::{JobOpen, RunRequest, jobs::Job};

    /// Job 1 runs as number 11; job 2 was closed while it ran as number 12; job 3 does not run; number 13 is a configuration; nobody knows 14 and job 4.
    fn check(cause: Cause, end: End, page: Option<Work>, guilty: &str, kind_of_neighbour: &str) {
        let (mut jobs, mut runs, mut examinations) = (Jobs::default(), Runs::default(), Examinations::default());
        for number in [1, 2, 3] {
            let (agent, interval, quarantine_after) = ("beast".into(), Duration::from_secs(1), 5);
            let name = format!("job-{number}");
            let (config, secrets, needs) = (String::new(), vec![], Needs::none());
            jobs.open(Job::new(JobOpen { number, name, agent, config, secrets, repeatable: true, interval, quarantine_after, needs }));
            let request = RunRequest { job: number, timeout: Duration::from_secs(9), cursor: None, explain: false };
            if number < 3 {
                runs.add(10 + number, request, oneshot::channel().0);
                assert!(runs.question(10 + number).is_some());
            }
        }
        jobs.close(2);
        examinations.add(13, "beast".into(), String::new(), oneshot::channel().0);
        let suspects = Suspects { jobs: &jobs, runs: &runs, examinations: &examinations };
        let culprit = suspects.culprit(&cause, &end, page);
        let named = match &culprit {
            Culprit::Run { name, .. } => format!("{name}, running"),
            Culprit::Agent { name, .. } => format!("{name}, made or dropped"),
            Culprit::Configuration { agent, .. } => format!("a configuration of {agent}"),
            Culprit::Alone { name, .. } => format!("{name}, alone"),
            Culprit::Nobody => "nobody".into(),
        };
        assert_eq!(named, guilty, "{cause:?} {end:?} {page:?}");
        assert_eq!(culprit.why(&cause.how(&end)), kind_of_neighbour, "{cause:?} {end:?} {page:?}");
    }

    fn signal(signal: i32) -> End {
        End { status: Some(ExitStatus::from_raw(signal)), ..End::default() }
    }

    fn exit(code: i32) -> End {
        signal(code << 8)
    }

    #[test]
    fn the_table_of_blame() {
        use Work::{Agent, Asked};
        let of = |job: &str| format!("the worker died of job {job}");
        for end in [signal(libc::SIGABRT), signal(libc::SIGSEGV), signal(libc::SIGKILL), exit(0), exit(1), End::default()] {
            let how = format!("the worker {}", end.how());
            let again = || End { status: end.status, ..End::default() };
            check(Cause::Ended, again(), Some(Asked(11)), "job-1, running", &of("job-1"));
            check(Cause::Ended, again(), Some(Asked(12)), "job-2, running", &of("job-2"));
            check(Cause::Ended, again(), Some(Agent(1)), "job-1, made or dropped", &of("job-1"));
            check(Cause::Ended, again(), Some(Agent(2)), "job-2, made or dropped", &of("job-2"));
            let configuration = "the worker died of a configuration of agent beast";
            check(Cause::Ended, again(), Some(Asked(13)), "a configuration of beast", configuration);
            for page in [None, Some(Asked(14)), Some(Agent(4))] {
                check(Cause::Ended, again(), page, "nobody", &how);
            }
        }
        for asked in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            let how = format!("the worker {}", signal(asked).how());
            check(Cause::Ended, signal(asked), Some(Asked(11)), "nobody", &how);
        }
        for page in [None, Some(Asked(12)), Some(Agent(2))] {
            let blocked = Cause::Blocked(Asked(11), "blocked its thread".into());
            check(blocked, signal(libc::SIGKILL), page, "job-1, running", &of("job-1"));
            check(Cause::Silent, signal(libc::SIGKILL), page, "nobody", "the worker answered nothing any more and was ended");
            check(Cause::Stopped, signal(libc::SIGKILL), page, "nobody", "the worker stood still and was ended");
            let garbled = "the worker said what is not understood and was ended: a frame of 9 bytes";
            let noise = |who| Cause::Garbled("a frame of 9 bytes".into(), who);
            check(noise(None), signal(libc::SIGKILL), page, "nobody", garbled);
            check(noise(Some(Agent(1))), signal(libc::SIGKILL), page, "job-1, running", &of("job-1"));
            check(noise(Some(Agent(3))), signal(libc::SIGKILL), page, "job-3, made or dropped", &of("job-3"));
            let configuration = "the worker died of a configuration of agent beast";
            check(noise(Some(Asked(13))), signal(libc::SIGKILL), page, "a configuration of beast", configuration);
        }
    }
}
