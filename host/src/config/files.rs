//! From the main file to every job: which files are read, and what holds between them.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Config,
    fault::{At, Fault, Faults, Place},
    job::{self, Job},
    main_file, schedule_file, text,
    timing::Rhythms,
};
use crate::schedule::UnixTime;

/// Reads everything; where nothing comes of it, a fault says why.
pub(super) fn load(file: &Path, now: UnixTime, faults: &mut Faults) -> Option<Config> {
    let tree = text::read(file, &Place::start_of(file), faults)?;
    let main = main_file::parse(&tree, faults).check(faults);
    let mut rhythms = Rhythms::at(now);
    let mut jobs = Vec::new();
    let mut read = HashSet::new();
    for schedule in main.schedules.iter().flat_map(|named| schedule_files(named, faults)).collect::<Vec<_>>() {
        if read.insert(schedule.value.clone()) {
            jobs.extend(read_jobs(&schedule, &mut rhythms, faults));
        } else {
            faults.push(Fault::new(&schedule.place, format!("`schedules`: {} is named twice", schedule.display())));
        }
    }
    if jobs.is_empty() && !faults.stop() {
        let place = main.schedules.first().map_or(&tree.place, |named| &named.place);
        faults.push(Fault::warning(place, "`schedules`: no job in them, nothing will be measured"));
    }
    tell_duplicates(&jobs, faults);
    jobs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    Some(Config { file: file.into(), data: main.data?, plugins: main.plugins, listen: main.listen?, jobs })
}

/// Reads where the data folder is; faults of other keys are kept only when there is none.
pub(super) fn data_folder(file: &Path, faults: &mut Faults) -> Option<PathBuf> {
    let tree = text::read(file, &Place::start_of(file), faults)?;
    Some(main_file::parse(&tree, faults).check(faults).data?.value)
}

/// Reads the jobs of one schedule file.
fn read_jobs(schedule: &At<PathBuf>, rhythms: &mut Rhythms, faults: &mut Faults) -> Vec<Job> {
    let Some(tree) = text::read(schedule, &schedule.place, faults) else { return Vec::new() };
    let file = schedule_file::parse(&tree, faults);
    file.jobs.into_iter().flat_map(|raw| job::check(raw, &file.defaults, rhythms, faults)).collect()
}

/// Lists the files a name of `schedules` stands for: itself, or a folder's `*.toml` in order of their names.
fn schedule_files(named: &At<PathBuf>, faults: &mut Faults) -> Vec<At<PathBuf>> {
    let files = match fs::metadata(&named.value) {
        Ok(found) if found.is_dir() => toml_files(named),
        Ok(_) => Ok(vec![named.value.clone()]),
        Err(error) => Err(error),
    };
    let files = files.map_err(|error| {
        faults.push(Fault::new(&named.place, format!("`schedules`: cannot read {}: {error}", named.display())));
    });
    files.unwrap_or_default().into_iter().map(|file| At { value: file, place: named.place.clone() }).collect()
}

fn toml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|ending| ending == "toml") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Tells of every name that an earlier job bears.
fn tell_duplicates(jobs: &[Job], faults: &mut Faults) {
    let mut first: HashMap<&str, &Place> = HashMap::new();
    for job in jobs {
        let (name, place) = (job.name.as_str(), &job.name.place);
        if let Some(first) = first.get(name) {
            faults.push(Fault::new(place, format!("job `{name}`: declared twice")).hint(format!("first declared at {first}")));
        } else {
            first.insert(name, place);
        }
    }
}
