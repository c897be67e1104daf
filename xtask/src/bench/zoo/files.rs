//! Faults that are seen before any run: files that are no libraries to be used, and an agent that panics while it is made.

use super::{House, Row, Watch};
use crate::bench::daemon::Running;
use crate::error::{Outcome, doing};
use crate::{place, process};
use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

/// How often it is asked what became of a file.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A file that is not to be used, in the folder of libraries.
pub(super) struct Unfit {
    fault: &'static str,
    file: &'static str,
    /// The library that it is the beginning of.
    of: &'static str,
    bytes: usize,
}

/// All of them; the last is written over the file that the others' own library was loaded from.
pub(super) const UNFIT: [Unfit; 5] = [
    Unfit { fault: "another major of the interface", file: "libmajor.so", of: "libmajor.so", bytes: usize::MAX },
    Unfit { fault: "a changed layout", file: "libchanged.so", of: "libbench_changed.so", bytes: usize::MAX },
    Unfit { fault: "built with panic = \"abort\"", file: "libaborts.so", of: "libbench_aborts.so", bytes: usize::MAX },
    Unfit { fault: "a truncated library", file: "libcut.so", of: "libzoo.so", bytes: 100_000 },
    Unfit { fault: "replaced under its jobs' feet", file: "libtame.so", of: "libzoo.so", bytes: 100_000 },
];

impl House {
    /// Puts a file in the folder of libraries, and watches until it is refused.
    pub(super) fn is_given(&self, unfit: &Unfit, watch: &mut Watch) -> Outcome<Row> {
        let from = place::built("release")?.join("examples").join(unfit.of);
        let whole = fs::read(&from).map_err(doing(format!("read {}", from.display())))?;
        // Into the very file, if there is one.
        let path = self.root.join("plugins").join(unfit.file);
        let mut file = File::create(&path).map_err(doing(format!("make {}", path.display())))?;
        file.write_all(&whole[..unfit.bytes.min(whole.len())]).map_err(doing(format!("write {}", path.display())))?;
        drop(file);
        self.watched(unfit.fault, watch, || {
            sleep(ASK_EVERY);
            self.refused(unfit.file)
        })
    }

    /// Has a job come whose agent panics while it is made, and watches until that is refused.
    pub(super) fn panics_in_new(&self, watch: &mut Watch) -> Outcome<Row> {
        let (schedule, said) = (self.root.join("jobs.toml"), self.root.join("said"));
        let before = fs::read_to_string(&schedule).map_err(doing("read jobs.toml"))?;
        let job = "[[job]]\nname = \"new\"\nagent = \"beast\"\nevery = \"1s\"\nconfig = { does = \"panic-in-new\" }\n";
        fs::write(&schedule, format!("{before}\n{job}")).map_err(doing("write jobs.toml"))?;
        let file = File::create(&said).map_err(doing("make a file for what is said"))?;
        let mut child = Running(process::spawn(self.command(&["reload"]).stdout(Stdio::null()).stderr(file))?);
        let row = self.watched("panic-in-new", watch, || {
            if child.0.try_wait().map_err(doing("wait for a reload"))?.is_none() {
                return Ok(None);
            }
            let said = fs::read_to_string(&said).map_err(doing("read what was said"))?;
            let line = said.lines().find(|line| line.contains("panicked")).unwrap_or("not refused");
            Ok(Some(line.trim_start_matches("error: ").to_owned()))
        });
        fs::write(&schedule, before).map_err(doing("write jobs.toml"))?;
        row
    }

    /// Why a file is not used, if it is known by now: it is listed as none, or the library that was loaded from it has a note.
    fn refused(&self, file: &str) -> Outcome<Option<String>> {
        let text = process::output(&mut self.command(&["plugins", "list", "--json"]))?;
        let names_it = |line: &&str| line.trim_end_matches(',').ends_with(&format!("/{file}\""));
        let mut lines = text.lines().map(str::trim);
        let Some(found) = lines.find(names_it) else { return Ok(None) };
        let why = match found.starts_with("\"path\"") {
            true => lines.find(|line| line.starts_with("\"note\"")).and_then(|line| line.strip_prefix("\"note\": \"")),
            false => lines.next().and_then(|line| line.strip_prefix('"')),
        };
        let unquoted = |why: &str| why.trim_end_matches(',').strip_suffix('"').unwrap_or(why).replace("\\\"", "\"");
        Ok(why.map(unquoted))
    }
}
