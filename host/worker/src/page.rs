//! A page of memory that daemon and worker share: it names the work under way and holds the end of its dialogue. And it tells for which jobs
//! the library's code ran between two of the worker's own writes to its connection: whoever else wrote there in between was one of those.
//!
//! The worker writes, the daemon reads, also after the worker's death. What is read while it is being written may be torn;
//! it is shown to people and never trusted.
//!
//! Reading order: [`Work`] · [`Page`] · [`dying`] (what a worker says of its own death).

#![expect(unsafe_code, reason = "memory shared with another process, and notes on it what becomes of this one")]

pub mod dying;

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use dying::LastWord;

/// Bytes of dialogue kept.
pub const DIALOGUE_BYTES: usize = 4096;

/// As long as it is for good, whoever holds it: who reads a page that was cut short dies of it, and what is put behind its end fills memory.
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
/// Writes of the worker's own that are looked back to.
const SPANS: usize = 64;
/// The library's code ran for several between two writes, or nobody can tell.
const MANY: u64 = u64::MAX;

/// What the worker's one thread does for a job, inside the library's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Polls a run or examines a configuration; by the number that names the answer, never 0.
    Asked(u64),
    /// Makes or drops the agent of the job of that number.
    Agent(u64),
}

impl Work {
    /// One word that is never 0: both parts of it must change at once.
    fn encode(self) -> u64 {
        match self {
            Self::Asked(number) => number << 1,
            Self::Agent(job) => job << 1 | 1,
        }
    }

    fn decode(word: u64) -> Option<Self> {
        match (word >> 1, word & 1) {
            (0, 0) => None,
            (number, 0) => Some(Self::Asked(number)),
            (job, _) => Some(Self::Agent(job)),
        }
    }
}

#[repr(C)]
struct Layout {
    /// The work under way; 0 while the library's code does not run.
    work: AtomicU64,
    /// When it began, nanoseconds of the monotonic clock.
    since_ns: AtomicU64,
    /// What the worker said of its death; 0 while it lives.
    last_word: AtomicU64,
    /// The run whose dialogue this is.
    dialogue_run: AtomicU64,
    /// Bytes ever written to the ring.
    written: AtomicU32,
    ring: [u8; DIALOGUE_BYTES],
    /// The span that goes on, by its place.
    span: AtomicU32,
    spans: [Span; SPANS],
}

/// The time between two of the worker's own writes.
#[repr(C)]
struct Span {
    /// One more than the bytes that the worker had written by then; 0 for none.
    behind: AtomicU64,
    /// For whom the library's code ran; 0 for nobody yet.
    party: AtomicU64,
}

/// The page, mapped.
pub struct Page {
    at: NonNull<Layout>,
}

// SAFETY: the fields are atomics; the ring is written by one thread of one process and read as bytes that mean nothing to the program.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Makes a page for a new worker; the file is to be handed to it.
    pub fn create() -> io::Result<(Self, File)> {
        // SAFETY: the name is a NUL-terminated constant.
        let fd = unsafe { libc::memfd_create(c"watchpost-page".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, owned by nobody else.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        file.set_len(size_of::<Layout>() as u64)?;
        // SAFETY: a plain fcntl on a descriptor of ours.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((Self::map(&file)?, file))
    }

    /// Maps the page of that file.
    pub fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() < size_of::<Layout>() as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the shared page is too small"));
        }
        // SAFETY: a new shared mapping of a file at least that long; it is unmapped in `drop` and nowhere else.
        let at = unsafe {
            libc::mmap(ptr::null_mut(), size_of::<Layout>(), libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        match NonNull::new(at.cast::<Layout>()) {
            Some(at) if at.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { at }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn layout(&self) -> &Layout {
        // SAFETY: mapped for as long as `self` lives; zeroed memory is a valid `Layout`.
        unsafe { self.at.as_ref() }
    }

    /// Notes that this work is under way now, for itself or for the job that it belongs to.
    pub fn enter(&self, work: Work, party: Work) {
        let (span, party) = (self.span(), party.encode());
        match span.party.load(Ordering::Relaxed) {
            0 => span.party.store(party, Ordering::Relaxed),
            known if known == party => {}
            _ => span.party.store(MANY, Ordering::Relaxed),
        }
        self.layout().since_ns.store(monotonic_ns(), Ordering::Relaxed);
        self.layout().work.store(work.encode(), Ordering::Release);
    }

    /// Notes that no work is under way.
    pub fn leave(&self) {
        self.layout().work.store(0, Ordering::Release);
    }

    fn span(&self) -> &Span {
        &self.layout().spans[self.layout().span.load(Ordering::Relaxed) as usize % SPANS]
    }

    /// Notes that the worker has written so many bytes by now. Where it took several writes (`torn`), others may have written in the midst.
    pub fn wrote(&self, bytes: u64, torn: bool) {
        if torn {
            self.tear();
        }
        let next = self.layout().span.load(Ordering::Relaxed).wrapping_add(1);
        let span = &self.layout().spans[next as usize % SPANS];
        span.behind.store(0, Ordering::Relaxed);
        span.party.store(if torn { MANY } else { 0 }, Ordering::Relaxed);
        span.behind.store(bytes + 1, Ordering::Release);
        self.layout().span.store(next, Ordering::Release);
    }

    /// Notes that nobody can tell any more for whom the library's code ran since the last write.
    pub fn tear(&self) {
        self.span().party.store(MANY, Ordering::Relaxed);
    }

    /// For whom alone the library's code ran after the worker had written so many bytes, and before it wrote again; none where there were
    /// several, or nobody can tell.
    pub fn alone_behind(&self, bytes: u64) -> Option<Work> {
        let span = self.layout().spans.iter().find(|span| span.behind.load(Ordering::Acquire) == bytes + 1)?;
        Some(span.party.load(Ordering::Relaxed)).filter(|party| *party != MANY).and_then(Work::decode)
    }

    /// Does a piece of work while the page names it.
    pub fn during<T>(&self, work: Work, body: impl FnOnce() -> T) -> T {
        self.during_for(work, work, body)
    }

    /// As [`during`](Self::during), for the job that the work belongs to.
    pub fn during_for<T>(&self, work: Work, party: Work, body: impl FnOnce() -> T) -> T {
        self.enter(work, party);
        let _leaves_in_a_panic_too = Leaving(self);
        body()
    }

    fn work(&self) -> Option<Work> {
        Work::decode(self.layout().work.load(Ordering::Acquire))
    }

    /// Notes, in a signal's handler too, that this process dies, by this work or by none.
    fn say_last(&self, work: Option<Work>) {
        self.layout().last_word.store(LastWord::encode(work), Ordering::Release);
    }

    /// What the worker said of its death.
    pub fn last_word(&self) -> LastWord {
        LastWord::decode(self.layout().last_word.load(Ordering::Acquire))
    }

    /// The work under way, and for how long it has been.
    pub fn under_way(&self) -> Option<(Work, Duration)> {
        let work = self.work()?;
        let since = self.layout().since_ns.load(Ordering::Relaxed);
        Some((work, Duration::from_nanos(monotonic_ns().saturating_sub(since))))
    }

    /// Appends a line, behind the mark of who said it, to the dialogue of the run; a new run begins anew.
    pub fn say(&self, run: u64, mark: &str, line: &str) {
        let layout = self.layout();
        if layout.dialogue_run.swap(run, Ordering::Relaxed) != run {
            layout.written.store(0, Ordering::Relaxed);
        }
        let mut at = layout.written.load(Ordering::Relaxed);
        for byte in mark.bytes().chain(line.bytes()).chain([b'\n']) {
            // SAFETY: in bounds by the remainder; only this process writes, from one thread.
            unsafe {
                self.at.as_ptr().cast::<u8>().add(std::mem::offset_of!(Layout, ring) + at as usize % DIALOGUE_BYTES).write_volatile(byte)
            };
            at = at.wrapping_add(1);
        }
        layout.written.store(at, Ordering::Release);
    }

    /// The end of a run's dialogue, if it is this run's.
    pub fn dialogue(&self, run: u64) -> Option<String> {
        let layout = self.layout();
        if layout.dialogue_run.load(Ordering::Relaxed) != run {
            return None;
        }
        let written = layout.written.load(Ordering::Acquire) as usize;
        let kept = written.min(DIALOGUE_BYTES);
        let bytes: Vec<u8> = (written - kept..written)
            // SAFETY: in bounds by the remainder.
            .map(|at| unsafe {
                self.at.as_ptr().cast::<u8>().add(std::mem::offset_of!(Layout, ring) + at % DIALOGUE_BYTES).read_volatile()
            })
            .collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // The first line is whole only while nothing was overwritten.
        Some(if written > kept { text.split_once('\n').map_or(text.clone(), |(_, whole)| whole.to_owned()) } else { text })
    }
}

/// Leaves the page when dropped.
struct Leaving<'p>(&'p Page);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, not used again.
        unsafe { libc::munmap(self.at.as_ptr().cast(), size_of::<Layout>()) };
    }
}

fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec. The coarse clock: this is called at every poll, and milliseconds are fine enough.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_cuts_the_page_short_or_makes_it_longer() {
        use std::io::{Seek, SeekFrom, Write};
        let (ours, mut file) = Page::create().unwrap();
        for bytes in [0, 1, 1 << 30] {
            assert!(file.set_len(bytes).is_err(), "{bytes}");
        }
        file.seek(SeekFrom::End(0)).unwrap();
        assert!(file.write(b"more").is_err());
        assert_eq!((ours.under_way(), file.metadata().unwrap().len()), (None, size_of::<Layout>() as u64));
    }

    #[test]
    fn both_sides_see_the_run_and_the_end_of_its_dialogue() {
        let (ours, file) = Page::create().unwrap();
        let theirs = Page::map(&file).unwrap();
        let seen = || ours.under_way().map(|(work, _)| work);
        assert_eq!(seen(), None);
        theirs.enter(Work::Asked(7), Work::Asked(7));
        theirs.say(7, "> ", "EHLO probe");
        assert_eq!(seen(), Some(Work::Asked(7)));
        assert_eq!(ours.dialogue(7).as_deref(), Some("> EHLO probe\n"));
        assert_eq!(ours.dialogue(8), None);
        theirs.say(8, "> ", "QUIT");
        theirs.leave();
        assert_eq!((seen(), ours.dialogue(8).as_deref()), (None, Some("> QUIT\n")));
        assert_eq!(theirs.during(Work::Agent(0), seen), Some(Work::Agent(0)));
        assert_eq!(seen(), None);
    }

    #[test]
    fn the_last_word_is_said_of_work_or_of_none() {
        let (ours, file) = Page::create().unwrap();
        let theirs = Page::map(&file).unwrap();
        assert_eq!(ours.last_word(), LastWord::Unsaid);
        for work in [Work::Asked(7), Work::Agent(0)] {
            theirs.say_last(Some(work));
            assert_eq!(ours.last_word(), LastWord::Of(work));
        }
        theirs.say_last(None);
        assert_eq!(ours.last_word(), LastWord::OfNone);
    }

    #[test]
    fn work_that_ends_in_a_panic_is_not_under_way_any_more() {
        let (page, _file) = Page::create().unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| page.during(Work::Asked(7), || panic!("in the middle"))));
        assert!(panicked.is_err() && page.under_way().is_none());
    }

    #[test]
    fn who_alone_ran_between_two_writes_is_known_and_nobody_is_where_others_did() {
        use Work::{Agent, Asked};
        let (ours, file) = Page::create().unwrap();
        let theirs = Page::map(&file).unwrap();
        let run = |number, job| theirs.during_for(Asked(number), Agent(job), || ());
        assert_eq!(ours.alone_behind(0), None, "nothing was written yet");
        theirs.wrote(0, false);
        assert_eq!(ours.alone_behind(0), None, "nobody ran yet");
        theirs.during(Agent(1), || ());
        run(11, 1);
        assert_eq!((ours.alone_behind(0), ours.alone_behind(1)), (Some(Agent(1)), None));
        theirs.wrote(10, false);
        run(12, 2);
        run(11, 1);
        run(12, 2);
        assert_eq!((ours.alone_behind(0), ours.alone_behind(10)), (Some(Agent(1)), None));
        theirs.wrote(20, false);
        theirs.during(Asked(13), || ());
        assert_eq!(ours.alone_behind(20), Some(Asked(13)));
        theirs.wrote(30, true);
        run(11, 1);
        assert_eq!((ours.alone_behind(20), ours.alone_behind(30)), (None, None), "what was torn tells nothing");
        for bytes in 4..4 + SPANS as u64 {
            theirs.wrote(bytes * 10, false);
            run(11, 1);
        }
        assert_eq!((ours.alone_behind(0), ours.alone_behind(670)), (None, Some(Agent(1))));
    }

    #[test]
    fn a_long_dialogue_keeps_its_last_whole_lines() {
        let (page, _file) = Page::create().unwrap();
        for line in 0..1000 {
            page.say(1, "", &format!("line {line}"));
        }
        let kept = page.dialogue(1).unwrap();
        assert!(kept.ends_with("line 998\nline 999\n") && kept.starts_with("line "), "{kept}");
        assert!(kept.len() <= DIALOGUE_BYTES);
    }
}
