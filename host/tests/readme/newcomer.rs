//! Somebody who has the README, a clone, and a terminal or two.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::TcpListener,
};

use crate::{
    clone::Clone,
    page::File,
    servers::Lab,
    story::{self, LINES},
    terminal::Terminal,
};

/// Follows the README. The order of the fields is the order in which all ends.
pub(crate) struct Newcomer {
    /// The last one is in use.
    terminals: Vec<Terminal>,
    /// All lines so far.
    typed: Vec<String>,
    /// What the last line said.
    said: String,
    clone: Clone,
    lab: Lab,
    /// Ports of the README, each with the one that is used here.
    ports: [(&'static str, u16); 3],
}

impl Newcomer {
    pub(crate) fn new(lab: Lab) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ports = [("2525", lab.port("smtp")), ("2587", lab.port("submission")), ("9470", free)];
        let clone = Clone::new(&lab.dir);
        Self { terminals: vec![Terminal::open(&clone.folder())], typed: Vec::new(), said: String::new(), clone, lab, ports }
    }

    /// Types a line, unless another test does.
    pub(crate) fn types(&mut self, line: &str) {
        if story::ELSEWHERE.iter().any(|(elsewhere, ..)| *elsewhere == line) {
            return;
        }
        let before = self.typed.iter().filter(|typed| *typed == line).count();
        let known =
            LINES.iter().filter(|known| known.typed == line).take(before + 1).last().unwrap_or_else(|| panic!("what must `{line}` say?"));
        self.typed.push(line.to_owned());
        let here = self.fitted(line);
        if line == story::RUNS {
            known.says.iter().for_each(|sign| self.terminal().goes_on(&here, sign));
            let another = Terminal::open(&self.clone.folder());
            return self.terminals.push(another);
        }
        self.said = self.terminal().ends_well(&here);
        for part in known.says {
            assert!(self.said.contains(part), "no {part:?} in what `{line}` said:\n{}", self.said);
        }
        let password = self.lab.password("alice");
        assert!(!self.said.contains(&password), "`{line}` shows a password:\n{}", self.said);
        if line == story::MAKES_AGENT {
            let agent = self.terminal().folder().join("spool");
            self.clone.spare_time(&agent);
        }
    }

    /// Compares a sample with what the last line said: the same words in the same order; figures differ, and `…` leaves lines out.
    pub(crate) fn compares(&mut self, sample: &str) {
        let mut said = self.said.lines().map(words);
        for line in sample.lines().map(words).filter(|line| !line.is_empty()) {
            assert!(said.any(|said| said == line), "no {line:?} at its place in:\n{}", self.said);
        }
    }

    /// Writes a file below the folder in which the terminal is.
    pub(crate) fn writes(&mut self, file: File<'_>) {
        let path = self.terminal().folder().join(file.name);
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(!file.is_more).append(file.is_more);
        let mut open = options.open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        open.write_all(self.fitted(file.text).as_bytes()).unwrap();
    }

    /// Ends what runs, as the README says.
    pub(crate) fn leaves(mut self) {
        self.terminals.first_mut().expect("one is open").interrupt("stopped");
        assert!(fs::read_dir(self.clone.folder().join("data/series")).unwrap().count() > 0, "what was measured stays");
        let agent = self.clone.folder().join("spool");
        self.clone.forget_built(&agent).unwrap();
    }

    fn terminal(&mut self) -> &mut Terminal {
        self.terminals.last_mut().expect("one is open")
    }

    /// The README's text with this lab's ports and commands.
    fn fitted(&self, text: &str) -> String {
        let fitted = self.ports.iter().fold(text.to_owned(), |text, (usual, here)| text.replace(usual, &here.to_string()));
        match fitted.strip_prefix("cargo xtask ") {
            Some(words) => format!("'{}' {words} --dir '{}'", self.lab.xtask.display(), self.lab.dir.display()),
            None => fitted,
        }
    }
}

/// The words of a line that do not differ from run to run: no figure, no unit of time, no bar, no path.
fn words(line: &str) -> Vec<&str> {
    let line = line.split("target=").next().unwrap_or_default();
    let differs =
        |word: &&str| word.contains(|letter: char| letter.is_ascii_digit() || "#…/".contains(letter)) || ["µs", "ms", "s"].contains(word);
    line.split_whitespace().filter(|word| !differs(word)).collect()
}
