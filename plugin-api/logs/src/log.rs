//! A log that is followed, run by run.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Cx, FileStat};

use crate::{
    Line, Mark, Place,
    lines::Lines,
    reader::{Budget, Known, Reader},
    rotated::{self, Rotated},
};

/// Bytes read at once.
const PIECE_BYTES: usize = 128 * 1024;

/// Where the first run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// With what is written from then on.
    #[default]
    End,
    /// With the first line of the file.
    Start,
}

/// What a run found on its way, beside lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Bytes that wait to be read; `None` where some are compressed, so that their number is not known.
    pub backlog: Option<u64>,
    /// The file that was being read is nowhere to be found: what was written to it since, nobody knows.
    pub lost: bool,
    /// The file was cut, and no copy of it was found: what was written to it just before, nobody knows.
    pub cut_back: bool,
    /// The last file that was given up: compressed, and so large that the place in it cannot be found within a run.
    pub given_up: Option<String>,
    /// Files that were read to their end after they had been rotated.
    pub rotated: u32,
}

/// A log that is followed.
pub struct Log {
    path: PathBuf,
    from: From,
    lines: Lines,
}

/// What the parts of one run share.
struct Run<'a, F> {
    cx: &'a Cx,
    budget: Budget,
    path: &'a Path,
    lines: &'a mut Lines,
    each: F,
    told: Told,
    /// Whether anything was read: a run that had to look for its place for long reads one piece all the same, so that none is in vain.
    has_read: bool,
}

/// How far a run went in one file.
enum Drained {
    /// To its end.
    Whole,
    /// As far as time allowed; so many bytes are left.
    Part(Option<u64>),
}

/// A file whose turn has come, and where in it.
struct Next {
    index: usize,
    reader: Reader,
    mark: Mark,
    known: Known,
    stands: Stands,
}

/// Where in its file a mark is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Found.
    Here,
    /// At the end of a compressed file, to which nothing is added any more.
    AtEnd,
    /// Too deep in a compressed file: time was over before it was found.
    TooFar,
}

impl Next {
    /// By what comes after it is known later; one that was given up would have to be gone through again.
    fn landmark(&self) -> Option<Mark> {
        (self.stands != Stands::TooFar).then(|| self.mark.clone())
    }
}

impl Log {
    /// A log at that path, whose lines are cut after so many bytes.
    pub fn new(path: impl AsRef<Path>, from: From, line_bytes_max: usize) -> Self {
        Self { path: path.as_ref().to_owned(), from, lines: Lines::new(line_bytes_max, PIECE_BYTES) }
    }

    /// The folder in which the log and its rotated files are.
    pub fn folder(path: &Path) -> &Path {
        rotated::folder(path)
    }

    /// Gives the lines that came since a place, oldest first, and says how far they go. Stops when four fifths of the run's time are over.
    ///
    /// A last line without an end waits for it. Without a place nothing, or the whole file, is new.
    ///
    /// A compressed file is gone through from its beginning in each run, up to the place: that costs its decompression, and
    /// has to fit into four fifths of a run's time. A file that is too large for that is given up, with all after the place, and
    /// [`Told::given_up`] names it; a longer timeout reads more.
    ///
    /// Errors: kind `local` when there is no such log, or a part of it cannot be read; `limit` above 1,000 rotated files.
    pub async fn read(&mut self, cx: &Cx, place: Option<&Place>, each: impl FnMut(Line<'_>)) -> Result<(Place, Told), AgentError> {
        let current = current(cx, &self.path).await?;
        let (budget, path, lines) = (Budget::of(cx), self.path.as_path(), &mut self.lines);
        let mut run = Run { cx, budget, path, lines, each, told: Told::default(), has_read: false };
        let place = match (place, current) {
            (None, Some(current)) => run.first(current, self.from).await?,
            (None, None) => return Err(AgentError::local(format!("there is no {}", self.path.display()))),
            (Some(place), current) => run.on(place.clone(), current).await?,
        };
        Ok((place, run.told))
    }
}

/// Tells that a file was given up.
pub fn given_up(name: &str) -> String {
    let name = crate::text::shown(name.as_bytes());
    format!("{name} is compressed, and too large to go through within a run; its lines after the place that was read to are not counted")
}

/// Opens what is at the log's path; between the two steps of a rotation there is nothing.
async fn current(cx: &Cx, path: &Path) -> Result<Option<Reader>, AgentError> {
    let error = match Reader::open(cx, path).await {
        Ok(reader) => return Ok(Some(reader)),
        Err(error) => error,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut names = cx.scan_names(rotated::folder(path)).await?;
    while let Some(found) = names.next().await? {
        if found == name {
            return Err(error);
        }
    }
    Ok(None)
}

impl<F: FnMut(Line<'_>)> Run<'_, F> {
    async fn first(&mut self, mut current: Reader, from: From) -> Result<Place, AgentError> {
        let mut mark = Mark::start_of(&current.stat);
        let known = match from {
            From::Start => Known::default(),
            From::End => {
                mark.offset = current.stat.size;
                current.bytes_at(self.cx, self.budget, mark.offset).await?
            }
        };
        let before = self.newest(&current.stat).await?;
        self.current(&mut current, &mut mark, known).await?;
        Ok(Place { at: mark, before, passed_empty: false })
    }

    /// The end of the newest rotated file: what comes after it is the job's, what is in it is not.
    async fn newest(&mut self, current: &FileStat) -> Result<Option<Mark>, AgentError> {
        let files = rotated::of(self.cx, self.path, Some(current)).await?;
        let Some(newest) = files.last() else { return Ok(None) };
        let mut reader = self.open(newest).await?;
        let Some(offset) = reader.behind(0) else { return Ok(None) };
        let known = reader.bytes_at(self.cx, self.budget, offset).await?;
        let mut mark = Mark { offset, name: newest.name.clone(), ..Mark::start_of(&newest.stat) };
        self.lines.begin(&mark, known);
        self.lines.mark(&mut mark);
        Ok(Some(mark))
    }

    /// Goes on from a place.
    async fn on(&mut self, mut place: Place, current: Option<Reader>) -> Result<Place, AgentError> {
        let Some(mut current) = current else { return self.over_files(place, None).await };
        // An empty file that was copied and cut since is as empty as it was; only its copy tells.
        if place.at.offset > 0
            && place.at.numbers(&current.stat)
            && let Some(known) = current.known(self.cx, self.budget, &place.at).await?
        {
            self.late(&mut place.before, &current.stat).await?;
            if place.passed_empty {
                self.filled(&mut place, &current.stat).await?;
            }
            self.current(&mut current, &mut place.at, known).await?;
            return Ok(place);
        }
        self.over_files(place, Some(current)).await
    }

    /// Reads the file at the log's path.
    async fn current(&mut self, current: &mut Reader, mark: &mut Mark, known: Known) -> Result<(), AgentError> {
        self.told.backlog = match self.drain(current, mark, known, false).await? {
            Drained::Whole => Some(current.behind(mark.offset).unwrap_or(0)),
            Drained::Part(left) => left,
        };
        Ok(())
    }

    /// Reads what somebody wrote into the last rotated file although it was rotated, also if it was compressed since.
    async fn late(&mut self, before: &mut Option<Mark>, current: &FileStat) -> Result<(), AgentError> {
        let Some(mark) = before else { return Ok(()) };
        let path = rotated::folder(self.path).join(&mark.name);
        if let Ok(stat) = self.cx.stat(&path).await
            && mark.numbers(&stat)
        {
            if stat.size > mark.offset {
                let mut reader = Reader::open(self.cx, &path).await?;
                if let Some(known) = reader.known(self.cx, self.budget, mark).await? {
                    self.drain(&mut reader, mark, known, false).await?;
                }
            }
            return Ok(());
        }
        // It has another name now, or is gone.
        if mark.offset == 0 {
            return Ok(());
        }
        let files = rotated::of(self.cx, self.path, Some(current)).await?;
        let Some(mut found) = self.find(&files, mark).await? else { return Ok(()) };
        let ended = found.reader.is_packed();
        self.rest(&mut found, ended).await?;
        *before = found.landmark();
        Ok(())
    }

    /// Reads what somebody wrote into rotated files that were empty when they were passed.
    async fn filled(&mut self, place: &mut Place, current: &FileStat) -> Result<(), AgentError> {
        let Some(before) = &place.before else { return Ok(()) };
        let files = rotated::of(self.cx, self.path, Some(current)).await?;
        let Some(found) = self.find(&files, before).await? else { return Ok(()) };
        for file in files.iter().skip(found.index + 1).filter(|file| file.stat.size > 0) {
            let mut reader = self.open(file).await?;
            let mut mark = Mark { name: file.name.clone(), ..Mark::start_of(&file.stat) };
            let ended = reader.is_packed();
            self.drain(&mut reader, &mut mark, Known::default(), ended).await?;
            if mark.offset > 0 {
                (place.before, place.passed_empty) = (Some(mark), false);
            }
        }
        Ok(())
    }

    /// Finds the file that was being read among the rotated ones, and reads it, those that came after it, and the one at the log's path.
    async fn over_files(&mut self, place: Place, current: Option<Reader>) -> Result<Place, AgentError> {
        let Place { mut at, mut before, mut passed_empty } = place;
        let files = rotated::of(self.cx, self.path, current.as_ref().map(|current| &current.stat)).await?;
        let mut after = files.len();
        if let Some(mark) = &before
            && let Some(mut found) = self.find(&files, mark).await?
        {
            let drained = self.rest(&mut found, true).await?;
            before = found.landmark();
            if let Drained::Part(left) = drained {
                self.told.backlog = behind(left, &files[found.index + 1..], current.as_ref());
                return Ok(Place { at, before, passed_empty });
            }
            after = found.index + 1;
        }
        let standing = current.as_ref().map(|current| current.stat);
        for mut next in self.unread(&files, after, &at, standing.as_ref()).await? {
            let index = next.index;
            // The newest one may still be written to.
            let ended = index + 1 < files.len() || next.reader.is_packed();
            if let Drained::Part(left) = self.rest(&mut next, ended).await? {
                self.told.backlog = behind(left, &files[index + 1..], current.as_ref());
                return Ok(Place { at: next.mark, before, passed_empty });
            }
            self.told.rotated += 1;
            if index + 1 < files.len() || current.is_some() {
                // An empty file has nothing to be known by: the one before it stays the landmark.
                passed_empty = next.mark.offset == 0 && before.is_some();
                if !passed_empty {
                    before = next.landmark();
                }
            } else {
                at = next.mark;
            }
        }
        let Some(mut current) = current else {
            self.told.backlog = Some(0);
            return Ok(Place { at, before, passed_empty });
        };
        let mut at = Mark::start_of(&current.stat);
        self.current(&mut current, &mut at, Known::default()).await?;
        Ok(Place { at, before, passed_empty })
    }

    /// Which files are still to be read: the one of the mark, where it ended, and those after it; or, if it is gone, those after `after`.
    async fn unread(&mut self, files: &[Rotated], after: usize, at: &Mark, current: Option<&FileStat>) -> Result<Vec<Next>, AgentError> {
        let mut found = self.find(files, at).await?;
        let is_found = found.is_some();
        match (&found, current) {
            (Some(_), _) => {}
            (None, Some(current)) if at.numbers(current) => self.told.cut_back = at.offset > 0,
            (None, Some(_)) => self.told.lost = at.offset > 0,
            (None, None) => {
                let message = format!("there is no {}, and no rotated file goes on where it ended", self.path.display());
                return Err(AgentError::local(message));
            }
        }
        let mut queue = Vec::new();
        // Files between the landmark and the one of the mark were empty when they were passed.
        let after = found.as_ref().map_or(after, |found| after.min(found.index));
        for (index, file) in files.iter().enumerate().skip(after) {
            if let Some(found) = found.take_if(|found| found.index == index) {
                queue.push(found);
                continue;
            }
            let mut reader = self.open(file).await?;
            // A copy of the file that is gone, made before its last lines, holds nothing that was not read from the file itself.
            if is_found || !reader.begins_like(self.cx, self.budget, at).await? {
                let mark = Mark { name: file.name.clone(), ..Mark::start_of(&file.stat) };
                queue.push(Next { index, reader, mark, known: Known::default(), stands: Stands::Here });
            }
        }
        Ok(queue)
    }

    /// Finds the file of a mark: by its numbers, or by what it holds, for it may have been copied or compressed.
    async fn find(&mut self, files: &[Rotated], mark: &Mark) -> Result<Option<Next>, AgentError> {
        let numbered = files.iter().enumerate().filter(|(_, file)| mark.numbers(&file.stat));
        let others = files.iter().enumerate().rev().filter(|(_, file)| !mark.numbers(&file.stat) && mark.offset > 0);
        for (index, file) in numbered.chain(others) {
            let mut reader = self.open(file).await?;
            // A file of which nothing was read has nothing but its number, which the compressed form of another may have got since.
            if mark.offset == 0 && reader.is_packed() || mark.offset > 0 && !reader.begins_like(self.cx, self.budget, mark).await? {
                continue;
            }
            let found = if mark.offset > 0 && reader.ends_at(mark.offset).await? {
                Some((Known::default(), Stands::AtEnd))
            } else {
                match reader.known(self.cx, self.budget, mark).await {
                    Ok(known) => known.map(|known| (known, Stands::Here)),
                    Err(_) if reader.is_too_far => Some((Known::default(), Stands::TooFar)),
                    Err(error) => return Err(error),
                }
            };
            if let Some((known, stands)) = found {
                let (device, inode) = (file.stat.device, file.stat.inode);
                let mark = Mark { device, inode, name: file.name.clone(), ..mark.clone() };
                return Ok(Some(Next { index, reader, mark, known, stands }));
            }
        }
        Ok(None)
    }

    async fn open(&self, file: &Rotated) -> Result<Reader, AgentError> {
        let reader = Reader::open(self.cx, &file.path).await?;
        match reader.stat.same_file(&file.stat) {
            true => Ok(reader),
            false => Err(AgentError::local(format!("{} was rotated while it was being read", file.path.display()))),
        }
    }

    /// Reads what is left of a file that was found.
    async fn rest(&mut self, found: &mut Next, ended: bool) -> Result<Drained, AgentError> {
        match found.stands {
            Stands::Here => self.drain(&mut found.reader, &mut found.mark, std::mem::take(&mut found.known), ended).await,
            Stands::AtEnd => Ok(Drained::Whole),
            Stands::TooFar => {
                self.told.given_up = Some(found.mark.name.clone());
                Ok(Drained::Whole)
            }
        }
    }

    /// Reads a file from a mark to its end, or as far as time allows, and moves the mark.
    async fn drain(&mut self, reader: &mut Reader, mark: &mut Mark, known: Known, ended: bool) -> Result<Drained, AgentError> {
        self.lines.begin(mark, known);
        let mut drained = Drained::Whole;
        loop {
            if self.has_read && self.budget.spent(self.cx) {
                drained = Drained::Part(reader.behind(self.lines.next()));
                break;
            }
            let offset = self.lines.next();
            let read = reader.read_at(self.cx, self.budget, offset, self.lines.room()).await?;
            if read == 0 {
                if ended {
                    self.lines.finish(&mut self.each);
                }
                break;
            }
            self.lines.take(read, &mut self.each);
            self.has_read = true;
        }
        self.lines.mark(mark);
        Ok(drained)
    }
}

/// Bytes that wait in a file, the files after it, and the one at the log's path.
fn behind(left: Option<u64>, later: &[Rotated], current: Option<&Reader>) -> Option<u64> {
    let later = later.iter().map(|file| (!file.name.ends_with(".gz")).then_some(file.stat.size));
    let last = current.map_or(Some(0), |current| current.behind(0));
    later.chain([last]).try_fold(left?, |sum, bytes| Some(sum + bytes?))
}
