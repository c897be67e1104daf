//! The start page: how the house is, and its jobs, those that need somebody first, a part at a time.

use std::fmt::{self, Display, Write};

use super::{
    asked::Asked,
    house::{House, Strip},
    html::Escaped,
    job_row::{Instant, Row, sign},
    readable::grouped_count,
};
use crate::latest::{Health, JobState, Snapshot};

/// Jobs on one page: as many as one looks through.
const JOBS_SHOWN: usize = 50;

/// Writes the start page, as much of it as was asked for.
pub fn page(snapshot: &Snapshot, house: &House, asked: &Asked) -> String {
    let mut out = String::with_capacity(4096 + snapshot.jobs.len().min(JOBS_SHOWN) * 1024);
    let body = Body::new(snapshot, house, asked);
    // A String takes all that is written.
    let _infallible = write!(out, "{}", Frame { title: &body.title(), refresh: true, body: &body });
    out
}

/// Writes the page for an address that leads nowhere.
pub fn missing() -> String {
    let body = "<main class=\"plain\"><h1>Nothing is here</h1><p>The jobs are on the <a href=\"/\">start page</a>.</p></main>";
    Frame { title: "Nothing is here", refresh: false, body }.to_string()
}

struct Frame<'a, B> {
    title: &'a str,
    refresh: bool,
    body: B,
}

impl<B: Display> Display for Frame<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refresh = if self.refresh { "<meta http-equiv=\"refresh\" content=\"10\">\n" } else { "" };
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n{refresh}<title>{} – Watchpost</title>\n\
             <link rel=\"stylesheet\" href=\"/console.css\">\n</head>\n<body>\n{}\n</body>\n</html>\n",
            self.title, self.body
        )
    }
}

struct Body<'a> {
    now_ns: i64,
    house: &'a House,
    asked: &'a Asked,
    all: usize,
    /// Jobs that have what the filter asks for, by health.
    fitting: Vec<(Health, &'a JobState)>,
}

impl<'a> Body<'a> {
    fn new(snapshot: &'a Snapshot, house: &'a House, asked: &'a Asked) -> Self {
        let jobs = snapshot.jobs.iter().filter(|job| asked.fits(job));
        let mut fitting: Vec<_> = jobs.map(|job| (job.health(snapshot.now_ns), &**job)).collect();
        // The jobs of a snapshot stand by name, and a stable sort leaves them so.
        fitting.sort_by_key(|(health, _)| *health);
        Self { now_ns: snapshot.now_ns, house, asked, all: snapshot.jobs.len(), fitting }
    }

    fn count(&self, health: Health) -> usize {
        self.fitting.iter().filter(|(known, _)| *known == health).count()
    }

    /// What a tab of a browser shows.
    fn title(&self) -> String {
        match (self.house.host.not_ready.is_some(), self.count(Health::Failing), self.all) {
            (true, ..) => "Not ready".to_owned(),
            (_, 0, 0) => "No jobs".to_owned(),
            (_, 0, _) => "Jobs".to_owned(),
            (_, failing, _) => format!("{} failing", grouped_count(failing)),
        }
    }

    /// Links to the jobs of each health, with their number, and the filter.
    fn tallies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<nav class=\"tallies\" aria-label=\"Jobs by status\">")?;
        let all = self.fitting.len();
        self.tally(f, None, &format!("{} {}", grouped_count(all), if all == 1 { "job" } else { "jobs" }))?;
        for health in [Health::Failing, Health::Unknown, Health::Ok] {
            let count = grouped_count(self.count(health));
            self.tally(f, Some(health), &format!("<span aria-hidden=\"true\">{}</span> {count} {}", sign(health), health.name()))?;
        }
        write!(f, "<form role=\"search\" action=\"/\" method=\"get\">")?;
        if let Some(health) = self.asked.health {
            write!(f, "<input type=\"hidden\" name=\"show\" value=\"{}\">", health.name())?;
        }
        let filter = Escaped(&self.asked.filter);
        writeln!(
            f,
            "<input type=\"search\" name=\"filter\" value=\"{filter}\" maxlength=\"100\" placeholder=\"name, target, agent, label\" \
             aria-label=\"Filter jobs by name, target, agent or label\"><button>Filter</button></form></nav>"
        )
    }

    fn tally(&self, f: &mut fmt::Formatter<'_>, health: Option<Health>, text: &str) -> fmt::Result {
        let class = health.map_or("all", Health::name);
        let none = if health.is_some_and(|health| self.count(health) == 0) { " none" } else { "" };
        let current = if health == self.asked.health { " aria-current=\"page\"" } else { "" };
        write!(f, "<a class=\"{class}{none}\" href=\"{}\"{current}>{text}</a>", Escaped(self.asked.of_health(health)))
    }

    fn jobs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all == 0 {
            return writeln!(f, "<p class=\"empty\">No jobs yet. Name one in a schedule file, then <code>watchpost reload</code>.</p>");
        }
        let shown: Vec<_> = self.fitting.iter().filter(|(health, _)| self.asked.health.is_none_or(|asked| asked == *health)).collect();
        if shown.is_empty() {
            return writeln!(f, "<p class=\"empty\">No job is so. <a href=\"/\">Show all {}</a></p>", grouped_count(self.all));
        }
        let parts = shown.len().div_ceil(JOBS_SHOWN);
        let part = self.asked.part.min(parts - 1);
        let rows = shown.iter().skip(part * JOBS_SHOWN).take(JOBS_SHOWN);
        writeln!(
            f,
            "<table>\n<thead><tr><th scope=\"col\">Status<th scope=\"col\">Job<th scope=\"col\">Target<th scope=\"col\">Last values\
             <th scope=\"col\">Last run<th scope=\"col\">Next run</tr></thead>\n<tbody>"
        )?;
        for (health, job) in rows {
            Row { job, health: *health, now_ns: self.now_ns }.fmt(f)?;
        }
        writeln!(f, "</tbody>\n</table>")?;
        if parts > 1 { self.parts(f, part, parts, shown.len()) } else { Ok(()) }
    }

    /// Which part of the jobs this is, and the way to the ones before and after.
    fn parts(&self, f: &mut fmt::Formatter<'_>, part: usize, parts: usize, jobs: usize) -> fmt::Result {
        let (first, last) = (part * JOBS_SHOWN + 1, ((part + 1) * JOBS_SHOWN).min(jobs));
        f.write_str("<nav class=\"parts\" aria-label=\"Parts of the list\">")?;
        if part > 0 {
            write!(f, "<a rel=\"prev\" href=\"{}\">← before</a>", Escaped(self.asked.of_part(part - 1)))?;
        }
        write!(f, "<span>{} to {} of {} jobs</span>", grouped_count(first), grouped_count(last), grouped_count(jobs))?;
        if part + 1 < parts {
            write!(f, "<a rel=\"next\" href=\"{}\">after →</a>", Escaped(self.asked.of_part(part + 1)))?;
        }
        writeln!(f, "</nav>")
    }
}

impl Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "<header><h1><a href=\"/\">Watchpost</a></h1><p class=\"when\">{}</p></header>\n<main>", Instant(self.now_ns))?;
        Strip { house: self.house, now_ns: self.now_ns }.fmt(f)?;
        self.tallies(f)?;
        self.jobs(f)?;
        write!(
            f,
            "</main>\n<footer><nav><a href=\"/metrics\">Metrics</a> <a href=\"/-/healthy\">Health</a> <a href=\"/-/ready\">Readiness</a></nav>\
             <p>This page renews itself every 10 seconds.</p></footer>"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::{Outcome, Sample, Status};

    use super::{super::job_row::MESSAGE_CHARS, *};
    use crate::{
        daemon::status::Host,
        latest::{JobView, Last, Latest},
        reading::{Cause, Reading, Shape},
    };

    fn snapshot(jobs: &[(&str, Option<Status>)]) -> Snapshot {
        let latest = Latest::default();
        let shape = |job: &str| {
            let (agent, target, labels, metrics) = ("pop3".into(), "mx:110".into(), vec![], vec![]);
            Shape { job: job.into(), agent, target, labels, step_s: 30, metrics }
        };
        latest.set_jobs(jobs.iter().map(|(job, _)| JobView { shape: shape(job), next_due_ns: None }));
        for (job, status) in jobs {
            let Some(status) = status.clone() else { continue };
            let outcome = Outcome { status, ..Outcome::failed(ErrorKind::LOCAL, "", 0) };
            latest.apply(&Reading { job: (*job).into(), cause: Cause::Schedule, slot: 0, due_ns: 0, stale_ns: 100, outcome });
        }
        latest.snapshot(50)
    }

    fn house() -> House {
        let host = Host {
            version: "1".into(),
            pid: 1,
            started: 0,
            config: "w.toml".into(),
            data: "data".into(),
            listen: "127.0.0.1:1".into(),
            memory_bytes: Some(10 << 20),
            not_ready: None,
            journal: "ok".into(),
            series: "ok".into(),
            behind: [].into(),
            alarms: [].into(),
            channels_failing: [].into(),
            migrating: 0,
            refused_libraries: vec![],
            gaps: vec![],
        };
        House { host, workers: vec![] }
    }

    /// The page of these jobs at an address.
    fn shown(snapshot: &Snapshot, query: &[(&str, &str)]) -> String {
        let pairs: Vec<_> = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        page(snapshot, &house(), &Asked::from_pairs(&pairs))
    }

    /// Names of the jobs in a page's rows.
    fn rows(page: &str) -> Vec<&str> {
        page.split("<th scope=\"row\">").skip(1).map(|row| row.split('<').next().unwrap()).collect()
    }

    fn failed(message: &str) -> Option<Status> {
        Some(Status::Failed { kind: ErrorKind::CONNECT, message: message.into() })
    }

    #[test]
    fn those_that_need_somebody_stand_first_and_each_group_by_name() {
        let jobs = [("a", Some(Status::Ok)), ("b", None), ("c", failed("no")), ("d", Some(Status::Ok)), ("e", failed("no"))];
        let page = shown(&snapshot(&jobs), &[]);
        assert_eq!(rows(&page), ["c", "e", "b", "a", "d"]);
        for tally in [">5 jobs</a>", "✕</span> 2 failing</a>", "?</span> 1 unknown</a>", "✓</span> 2 ok</a>"] {
            assert!(page.contains(tally), "{tally}: {page}");
        }
        assert!(page.contains("<title>2 failing – Watchpost</title>"), "{page}");
    }

    #[test]
    fn thousands_of_jobs_come_in_parts_and_the_failing_one_is_in_the_first() {
        let names: Vec<String> = (0..2000).map(|at| format!("j{at:04}")).collect();
        let jobs: Vec<_> =
            names.iter().map(|name| (name.as_str(), if name == "j1234" { failed("no") } else { Some(Status::Ok) })).collect();
        let snapshot = snapshot(&jobs);
        let first = shown(&snapshot, &[]);
        assert!(first.len() < 100_000, "{} bytes", first.len());
        assert_eq!((rows(&first).len(), rows(&first)[0], rows(&first)[1]), (JOBS_SHOWN, "j1234", "j0000"));
        assert!(
            first.contains("1 to 50 of 2,000 jobs") && first.contains("href=\"/?page=2\"") && !first.contains("rel=\"prev\""),
            "{first}"
        );
        let mut seen: Vec<String> = (1..=40)
            .flat_map(|part| rows(&shown(&snapshot, &[("page", &part.to_string())])).into_iter().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        seen.sort();
        assert_eq!(seen, names, "each job is in one part");
        let beyond = shown(&snapshot, &[("page", "999")]);
        assert!(beyond.contains("1,951 to 2,000 of 2,000 jobs") && !beyond.contains("rel=\"next\""), "{beyond}");
    }

    #[test]
    fn a_filter_and_a_status_show_some_of_the_jobs_and_keep_each_other() {
        let snapshot = snapshot(&[("relay-a", Some(Status::Ok)), ("relay-b", failed("no")), ("pop", failed("no"))]);
        let check = |query: &[(&str, &str)], expected: &[&str]| assert_eq!(rows(&shown(&snapshot, query)), expected, "{query:?}");
        check(&[("filter", "RELAY")], &["relay-b", "relay-a"]);
        check(&[("show", "failing")], &["pop", "relay-b"]);
        check(&[("filter", "relay"), ("show", "failing")], &["relay-b"]);
        check(&[("filter", "mx:110")], &["pop", "relay-b", "relay-a"]);
        check(&[("filter", "nothing")], &[]);
        let page = shown(&snapshot, &[("filter", "relay"), ("show", "failing")]);
        assert!(page.contains("value=\"relay\"") && page.contains("name=\"show\" value=\"failing\""), "{page}");
        assert!(page.contains("href=\"/?show=ok&amp;filter=relay\"") && page.contains("1 failing</a>"), "{page}");
    }

    #[test]
    fn a_filter_is_text_and_nothing_else() {
        let page = shown(&snapshot(&[("a", None)]), &[("filter", "\"><script>alert(1)</script>")]);
        assert!(!page.contains("<script") && page.contains("value=\"&quot;&gt;&lt;script&gt;"), "{page}");
    }

    #[test]
    fn a_house_that_is_not_well_says_so_above_its_jobs() {
        let snapshot = snapshot(&[("a", Some(Status::Ok))]);
        let mut house = house();
        house.host.not_ready = Some("the journal cannot be written: <no space>".into());
        let page = page(&snapshot, &house, &Asked::default());
        let (alarm, table) = (page.find("role=\"alert\"").unwrap(), page.find("<table>").unwrap());
        assert!(alarm < table && page.contains("&lt;no space&gt;") && page.contains("<title>Not ready"), "{page}");
    }

    #[test]
    fn a_status_is_a_sign_and_a_word_whatever_its_colour() {
        let page = shown(&snapshot(&[("a", Some(Status::Ok)), ("b", None), ("c", failed("no"))]), &[]);
        for (sign, word) in [("✓", "ok"), ("?", "unknown"), ("✕", "failing")] {
            assert!(page.contains(&format!("aria-hidden=\"true\">{sign}</span>{word}</span>")), "{page}");
        }
    }

    #[test]
    fn values_that_are_old_are_not_shown() {
        let mut snapshot = snapshot(&[("a", None)]);
        let metrics = vec![Sample { metric: "connect_time".into(), labels: vec![], value: 0.5 }];
        let last = Last {
            status: Status::Ok,
            samples: metrics,
            declared: vec![],
            events: 0,
            refused: 0,
            started_ns: 0,
            duration: None,
            stale_ns: 100,
        };
        Arc::make_mut(&mut snapshot.jobs[0]).last = Some(Arc::new(last));
        assert!(shown(&snapshot, &[]).contains("connect_time"));
        snapshot.now_ns = 3_000_000_100;
        let page = shown(&snapshot, &[]);
        assert!(!page.contains("connect_time") && page.contains("overdue for 3 s"), "{page}");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let page = shown(&snapshot(&[("a", failed(&"é".repeat(10_000)))]), &[]);
        assert!(page.contains(&format!(" {}…</p>", "é".repeat(MESSAGE_CHARS))));
    }
}
