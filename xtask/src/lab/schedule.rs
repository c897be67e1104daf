//! A schedule that is written for the usual lab, made to fit another one.
//!
//! A shipped schedule names the usual ports and the usual folder, so that a newcomer can read it
//! and use it as it stands. Only numbers after `=` or `:` that are ports of the lab change.

/// What a shipped schedule calls the lab's folder: the usual one, seen from `schedules/`.
const USUAL_FOLDER: &str = "../target/lab/";
const JOB: &str = "[[job]]";

/// Fills in a lab's ports (usual number, number here) and folder.
pub(crate) fn fill(text: &str, ports: &[(u16, u16)], folder: &str) -> String {
    let text = text.replace(USUAL_FOLDER, &format!("{folder}/"));
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, from_digit) = rest.split_at(start);
        let end = from_digit.find(|letter: char| !letter.is_ascii_alphanumeric());
        let (number, after) = from_digit.split_at(end.unwrap_or(from_digit.len()));
        out.push_str(before);
        out.push_str(&renumber(before, number, ports));
        rest = after;
    }
    out + rest
}

fn renumber(before: &str, number: &str, ports: &[(u16, u16)]) -> String {
    let may_be_port = before.ends_with(':') || before.trim_end_matches(' ').ends_with('=');
    let known = ports.iter().find(|(usual, _)| may_be_port && number.parse() == Ok(*usual));
    known.map_or_else(|| number.to_owned(), |(_, here)| here.to_string())
}

/// A schedule taken apart: what stands before the first job, and each job with what precedes it.
pub(crate) struct Sheet {
    head: String,
    jobs: Vec<String>,
}

impl Sheet {
    /// Takes a schedule apart at its `[[job]]` lines; the comment right above one belongs to it.
    pub(crate) fn of(text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut comment = String::new();
        for line in text.split_inclusive('\n') {
            if line.starts_with('#') {
                comment.push_str(line);
                continue;
            }
            if line.trim_end() == JOB {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push_str(&std::mem::take(&mut comment));
                part.push_str(line);
            }
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(&comment);
        }
        let jobs = parts.split_off(1);
        Self { head: parts.concat(), jobs }
    }

    /// Leaves out every job that needs one of these ports; gives the names of those.
    pub(crate) fn leave_out(&mut self, ports: &[u16]) -> Vec<String> {
        let (gone, kept) = std::mem::take(&mut self.jobs).into_iter().partition(|job| uses(job, ports));
        self.jobs = kept;
        let gone: Vec<String> = gone;
        gone.iter().flat_map(|job| names(job)).collect()
    }

    /// Lists the names of all jobs, those by `targets` expanded.
    pub(crate) fn names(&self) -> Vec<String> {
        self.jobs.iter().flat_map(|job| names(job)).collect()
    }

    /// Counts the jobs of each agent, in the order in which the agents come first.
    pub(crate) fn agents(&self) -> Vec<(String, usize)> {
        let mut agents: Vec<(String, usize)> = Vec::new();
        for job in &self.jobs {
            let agent = setting(job, "agent").and_then(|value| quoted(value).next()).unwrap_or_default();
            match agents.iter_mut().find(|(known, _)| known == agent) {
                Some((_, count)) => *count += names(job).len(),
                None => agents.push((agent.to_owned(), names(job).len())),
            }
        }
        agents
    }

    /// Gives the schedule's text.
    pub(crate) fn text(&self) -> String {
        self.head.clone() + &self.jobs.concat()
    }
}

fn uses(job: &str, ports: &[u16]) -> bool {
    let settings = job.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = settings.flat_map(|line| line.split(|letter: char| !letter.is_ascii_digit()));
    words.filter_map(|word| word.parse().ok()).any(|number: u16| ports.contains(&number))
}

/// Names one `[[job]]`'s jobs: its own name, or `<name>@<host>-<port>` for each target.
fn names(job: &str) -> Vec<String> {
    let name = setting(job, "name").and_then(|value| quoted(value).next()).unwrap_or_default();
    let Some(targets) = setting(job, "targets") else {
        return vec![name.to_owned()];
    };
    quoted(targets).map(|target| format!("{name}@{}", slug(target))).collect()
}

fn setting<'a>(job: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = job.lines().filter_map(|line| line.split_once('='));
    lines.find(|(left, _)| left.trim() == key).map(|(_, value)| value)
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

fn slug(target: &str) -> String {
    let lower = target.to_lowercase();
    lower.chars().map(|it| if it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '@') { it } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = include_str!("../../../schedules/demo.toml");

    #[test]
    fn only_numbers_that_stand_where_ports_stand_change() {
        let text = "port = 2525 # 127.0.0.1:2525\nevery = \"2525s\" x2525 = 12525 size=2525\n";
        let filled = fill(text, &[(2525, 20_025)], "/lab");
        let right = "port = 20025 # 127.0.0.1:20025\nevery = \"2525s\" x2525 = 12525 size=20025\n";
        assert_eq!(filled, right);
    }

    #[test]
    fn the_usual_folder_becomes_the_labs_own() {
        let filled = fill("ca_file = \"../target/lab/ca/ca.pem\"", &[], "/var/tmp/lab");
        assert_eq!(filled, "ca_file = \"/var/tmp/lab/ca/ca.pem\"");
    }

    #[test]
    fn the_shipped_schedule_survives_being_taken_apart_and_filled_for_the_usual_lab() {
        assert_eq!(Sheet::of(DEMO).text(), DEMO);
        assert_eq!(fill(DEMO, &[(2525, 2525)], "../target/lab"), DEMO);
    }

    #[test]
    fn the_shipped_schedule_has_six_jobs_or_more_with_names_of_their_own() {
        let mut names = Sheet::of(DEMO).names();
        assert!(names.len() >= 6, "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Sheet::of(DEMO).names().len());
    }

    #[test]
    fn jobs_are_counted_by_agent_those_by_targets_each() {
        let job = |agent: &str, more: &str| format!("[[job]]\nname = \"a\"\nagent = \"{agent}\"\n{more}\n");
        let sheet = Sheet::of(&[job("smtp", ""), job("dns", ""), job("smtp", "targets = [\"a:1\", \"b:2\"]")].concat());
        assert_eq!(sheet.agents(), [("smtp".to_owned(), 3), ("dns".to_owned(), 1)]);
    }

    #[test]
    fn targets_become_names_as_the_host_makes_them() {
        let sheet = Sheet::of("[[job]]\nname = \"edge\"\ntargets = [\"MX1.a:25\", \"127.0.0.1:2525\"]\n");
        assert_eq!(sheet.names(), ["edge@mx1.a-25", "edge@127.0.0.1-2525"]);
    }

    #[test]
    fn a_job_without_its_server_is_left_out_and_named() {
        let a = "# of a\n[[job]]\nname = \"a\"\nport = 25\n\n";
        let b = "# of b, not 25\n[[job]]\nname = \"b\"\nport = 26\n";
        let mut sheet = Sheet::of(&format!("# of all\n\n{a}{b}"));
        assert_eq!(sheet.leave_out(&[25]), ["a"]);
        assert_eq!(sheet.names(), ["b"]);
        assert_eq!(sheet.text(), format!("# of all\n\n{b}"));
    }
}
