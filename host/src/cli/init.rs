//! `watchpost init`

use std::{
    fs,
    io::Write,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use tokio::time::Instant;
use watchpost_services::Shared;

use super::{
    Context,
    failure::{Failure, Outcome},
    load::{PLACES, now, plugins},
    print_json, runtime,
    table::{self, counted, plain},
};
use crate::{
    config,
    init::{
        book::Book,
        found::{DOORS_MAX, Doors, TOTAL_TIMEOUT, look},
        look::{Encryption, Target},
        names::{Resolver, of_system},
        schedule::{Author, Entry, quoted},
    },
    plugin::Sandboxes,
};

pub(super) const EXAMPLES: &str =
    "It asks for the domain's mail exchangers, looks behind the usual ports of each, and of every --host, and writes a job for each door \
     that an agent measures, TLS where it is offered, and one for its certificate. It sends greetings, logs in nowhere, and takes 10 seconds at most. Where there is no \
     configuration yet, it writes one beside: then `watchpost run` measures. What exists is not overwritten without --force; the \
     configuration never is. The login of each job stands in comments, with the place where its password belongs.

Examples:
  watchpost init --domain example.org
  watchpost init --host 127.0.0.1:2525 -o schedules/own.toml --force";

/// How each failure begins.
const CANNOT: &str = "cannot write a schedule";
/// The configuration that is written where there is none.
const MAIN: &str = "watchpost.toml";
/// Where schedules are where nothing else is said.
const SCHEDULES: &str = "schedules";

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("where").args(["domain", "host"]).required(true).multiple(true))]
pub(super) struct Arguments {
    /// The domain whose servers are looked at.
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    domain: Option<String>,
    /// A server to look at besides: a name or an address, maybe with its ports as in mx1:25,587 or [::1]:25.
    #[arg(long, value_name = "HOST[:PORT,…]", value_parser = host)]
    host: Vec<Host>,
    /// Ports to look at in place of the usual ones, as 25,587; also where a --host names none.
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,
    /// The name server to ask for exchangers and addresses, in place of the system's: an address, maybe with a port.
    #[arg(long, value_name = "ADDRESS", value_parser = server)]
    resolver: Option<SocketAddr>,
    /// PEM file of the authorities that certificates are held to in place of the system's; jobs get it as `ca_file`.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The schedule to write [default: schedules/DOMAIN.toml beside the configuration].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrites the schedule if it is there.
    #[arg(long)]
    force: bool,
    /// A folder with agent libraries; may be given several times [default: those of the configuration, else those beside this program].
    #[arg(long, value_name = "FOLDER")]
    plugins: Vec<PathBuf>,
}

/// A server that was named, and its ports.
#[derive(Clone)]
struct Host {
    name: String,
    ports: Vec<u16>,
}

#[derive(Serialize)]
struct Answer {
    doors: Vec<DoorTold>,
    closed: usize,
    late: usize,
    schedule: PathBuf,
    /// The configuration that was written, if one was.
    config: Option<PathBuf>,
}

/// A door, as it is told.
#[derive(Serialize)]
struct DoorTold {
    host: String,
    port: u16,
    service: Option<String>,
    tls: Encryption,
    /// Why its certificate is not trusted.
    certificate: Option<String>,
    greeting: String,
    job: Option<String>,
    agent: Option<String>,
    /// The job that looks at its certificate.
    certificate_job: Option<String>,
    /// Why it has no job.
    left_out: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let places = Places::of(context, arguments)?;
    let ca_file = arguments.ca_file.as_ref().map(|file| absolute(file)).transpose()?;
    Shared::default().has_authorities(ca_file.as_deref()).map_err(|error| Failure::wrong(CANNOT, error.message()))?;
    let book = Arc::new(Book::read().map_err(|error| Failure::of(CANNOT, &error))?);
    let folders = context.plugin_folders(&arguments.plugins)?;
    let (doors, agents, used) = runtime()?.block_on(async {
        let carried = plugins(&folders, &Sandboxes::default()).await;
        let agents: Vec<String> = carried.agent_names().map(ToString::to_string).collect();
        let used: Vec<PathBuf> =
            folders.iter().filter(|folder| carried.all().iter().any(|plugin| plugin.path().starts_with(folder))).cloned().collect();
        carried.stop().await;
        let until = Instant::now() + TOTAL_TIMEOUT;
        let asked = asked(arguments, &book).await?;
        Ok::<_, Failure>((look(&book, ca_file.as_ref(), asked, until).await, agents, used))
    })?;
    let author = Author { book: &book, agents: &agents, domain: arguments.domain.as_deref(), ca_file: ca_file.as_ref() };
    let entries = author.entries(&doors.open);
    let jobs = entries.iter().flat_map(Entry::jobs).count();
    if !context.json {
        tell(&entries, &doors);
    }
    if jobs == 0 {
        return Err(Failure::failed(CANNOT, "nothing was found that an agent measures; name servers with --host, their ports with --port"));
    }
    places.write(&author.schedule(&entries), &used)?;
    if context.json {
        return print_json(&places.answer(&entries, &doors));
    }
    places.say_what_next(jobs);
    Ok(())
}

/// Every door that is to be looked at.
async fn asked(arguments: &Arguments, book: &Book) -> Result<Vec<(Target, u16)>, Failure> {
    let resolver = arguments.resolver.map_or(Resolver::System, Resolver::Server);
    let mut hosts = arguments.host.clone();
    if let Some(domain) = &arguments.domain {
        let found = resolver.exchangers(domain).await;
        match found {
            Ok(names) => hosts.extend(names.into_iter().map(|name| Host { name, ports: Vec::new() })),
            // The servers that were named can be looked at all the same.
            Err(error) if !hosts.is_empty() => eprintln!("warning: {}: {}", plain(domain), plain(&crate::chain(&error))),
            Err(error) => return Err(Failure::of(CANNOT, &error)),
        }
    }
    let mut doors: Vec<(Target, u16)> = Vec::new();
    for Host { name, ports } in hosts {
        let addresses = match resolver.addresses(&name).await {
            Ok(addresses) => addresses,
            Err(error) => {
                eprintln!("warning: {}: {}", plain(&name), plain(&crate::chain(&error)));
                continue;
            }
        };
        let host = host_of_job(&name, &addresses, arguments.resolver.is_some()).await;
        let target = Target { host, addresses, name: name.trim_matches(['[', ']']).to_owned() };
        let usual = if arguments.port.is_empty() { &book.ports } else { &arguments.port };
        for port in if ports.is_empty() { usual } else { &ports } {
            if !doors.iter().any(|(known, at)| known.host == target.host && at == port) {
                doors.push((target.clone(), *port));
            }
        }
    }
    if doors.len() > DOORS_MAX {
        return Err(Failure::wrong(CANNOT, format!("{} doors are too many; {DOORS_MAX} are looked at in one go", doors.len())));
    }
    Ok(doors)
}

/// How jobs name a server: by its name, unless only the name server that was named knows it.
async fn host_of_job(name: &str, addresses: &[IpAddr], is_another_asked: bool) -> String {
    let first = addresses.first().filter(|_| is_another_asked);
    match first {
        Some(address) if of_system(name).await.is_empty() => address.to_string(),
        _ => name.to_owned(),
    }
}

/// Where things are written.
struct Places {
    schedule: PathBuf,
    /// The configuration that is there.
    config: Option<PathBuf>,
    /// The one that is to be written.
    new_config: Option<PathBuf>,
    force: bool,
}

impl Places {
    /// Settles where to write; what would be overwritten is refused before anybody is asked anything.
    fn of(context: &Context, arguments: &Arguments) -> Result<Self, Failure> {
        let file = context.file_if_there();
        let config = file.clone().filter(|file| file.exists());
        let new_config = if config.is_some() { None } else { Some(file.unwrap_or_else(|| MAIN.into())) };
        let beside = config.as_ref().or(new_config.as_ref()).and_then(|file| file.parent()).unwrap_or(Path::new("")).to_owned();
        let name = arguments.domain.as_deref().or(arguments.host.first().map(|host| host.name.trim_matches(['[', ']']))).unwrap_or("found");
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' }).collect();
        let schedule =
            arguments.output.clone().unwrap_or_else(|| beside.join(SCHEDULES).join(format!("{}.toml", name.trim_start_matches('.'))));
        if schedule.exists() && !arguments.force {
            let why = format!("{} is there already; --force overwrites it, -o FILE names another", schedule.display());
            return Err(Failure::wrong(CANNOT, why));
        }
        Ok(Self { schedule, config, new_config, force: arguments.force })
    }

    /// Writes the schedule, and the configuration where there is none.
    fn write(&self, schedule: &str, plugins: &[PathBuf]) -> Result<(), Failure> {
        write(&self.schedule, schedule, self.force)?;
        let Some(config) = &self.new_config else { return Ok(()) };
        let folders: Vec<String> = plugins.iter().map(|folder| quoted(&folder.to_string_lossy())).collect();
        let named = seen_from(config, &self.schedule)?;
        let text = format!(
            "# Where things live; a relative path is relative to this file. Written by `watchpost init`.\n\
             data = \"data\"\nplugins = [{}]\nschedules = [{}]\nlisten = \"127.0.0.1:9470\"\n",
            folders.join(", "),
            quoted(&named.to_string_lossy()),
        );
        write(config, &text, false)
    }

    fn answer(&self, entries: &[Entry<'_>], doors: &Doors) -> Answer {
        let doors_told = entries.iter().map(DoorTold::of).collect();
        Answer {
            doors: doors_told,
            closed: doors.closed,
            late: doors.late,
            schedule: self.schedule.clone(),
            config: self.new_config.clone(),
        }
    }

    fn say_what_next(&self, jobs: usize) {
        println!("{}: {} written", self.schedule.display(), counted(jobs, "job"));
        let with = |file: &Path| {
            if PLACES.iter().any(|place| Path::new(place) == Path::new(".").join(file)) {
                String::new()
            } else {
                format!(" --config {}", file.display())
            }
        };
        if let Some(config) = &self.new_config {
            println!("{}: written; next: `watchpost run{}`", config.display(), with(config));
        }
        let Some(config) = &self.config else { return };
        if self.is_of(config) {
            println!("next: `watchpost check{0}`, then `watchpost run{0}` or `watchpost reload{0}`", with(config));
        } else {
            println!("{} does not name it: add it to `schedules` there", config.display());
        }
    }

    /// Whether a configuration reads the schedule.
    fn is_of(&self, config: &Path) -> bool {
        let (draft, _) = config::read(config, now());
        let Ok(own) = fs::canonicalize(&self.schedule) else { return false };
        draft.jobs.iter().any(|job| fs::canonicalize(&*job.name.place.file).is_ok_and(|file| file == own))
    }
}

impl DoorTold {
    fn of(entry: &Entry<'_>) -> Self {
        let (door, seen) = (entry.door, &entry.door.seen);
        let job = entry.job.as_ref().ok();
        Self {
            host: door.target.host.clone(),
            port: door.port,
            service: seen.service.clone(),
            tls: seen.encryption,
            certificate: seen.worth.as_ref().and_then(|worth| worth.fault.clone()),
            greeting: seen.greeting.clone(),
            job: job.map(|job| job.name.clone()),
            agent: job.map(|job| job.agent.clone()),
            certificate_job: entry.certificate.as_ref().map(|job| job.name.clone()),
            left_out: entry.job.as_ref().err().cloned(),
        }
    }
}

/// Prints what was found.
fn tell(entries: &[Entry<'_>], doors: &Doors) {
    let row = |entry: &Entry<'_>| {
        let DoorTold { service, tls, greeting, .. } = DoorTold::of(entry);
        let agents: Vec<&str> = entry.jobs().map(|job| job.agent.as_str()).collect();
        let agents = if agents.is_empty() { "-".to_owned() } else { agents.join(", ") };
        let tls = match tls {
            Encryption::None => "-",
            Encryption::Starttls => "starttls",
            Encryption::Implicit => "implicit",
        };
        vec![entry.door.address(), service.unwrap_or_else(|| "?".into()), tls.into(), agents, greeting]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    if !rows.is_empty() {
        table::print(&["door", "service", "tls", "agents", "greeting"], &rows);
    }
    for entry in entries {
        let at = entry.door.address();
        if let Err(why) = &entry.job {
            println!("left out: {}: {}", plain(&at), plain(why));
        }
        if let Some(fault) = entry.door.seen.worth.as_ref().and_then(|worth| worth.fault.as_ref()) {
            println!("certificate: {}: {}", plain(&at), plain(fault));
        }
    }
    let late = if doors.late > 0 { format!(", {} not answered in time", doors.late) } else { String::new() };
    println!("{} open, {} closed{late}", counted(doors.open.len(), "door"), doors.closed);
}

/// Writes a file that is new, or may be overwritten.
fn write(file: &Path, text: &str, may_be_there: bool) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::of(format!("cannot write {}", file.display()), &error);
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let mut options = fs::OpenOptions::new();
    if may_be_there {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options.write(true).open(file).and_then(|mut open| open.write_all(text.as_bytes())).map_err(cannot)
}

/// A file as the configuration names it: relative where it lies below its folder.
fn seen_from(config: &Path, file: &Path) -> Result<PathBuf, Failure> {
    let (config, file) = (absolute(config)?, absolute(file)?);
    let below = config.parent().and_then(|folder| file.strip_prefix(folder).ok()).map(Path::to_owned);
    Ok(below.unwrap_or(file))
}

fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(file).map_err(|error| Failure::of(CANNOT, &error))
}

fn domain(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('.').to_lowercase();
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match name.len() <= 253 && name.split('.').all(is_label) {
        true => Ok(name),
        false => Err("a domain is labels of letters, digits and `-`, separated by dots; write other letters as xn--…".into()),
    }
}

fn host(text: &str) -> Result<Host, String> {
    let (name, ports) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':').unwrap_or(rest)),
        // An IPv6 address without brackets has no ports.
        None if text.parse::<IpAddr>().is_ok() => (text, ""),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let name = if name.parse::<IpAddr>().is_ok() { name.to_owned() } else { domain(name)? };
    let port = |port: &str| port.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{}` is no port", port.escape_debug()));
    let ports = ports.split(',').filter(|_| !ports.is_empty()).map(port).collect::<Result<_, _>>()?;
    Ok(Host { name, ports })
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let with_port = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
    text.parse().ok().or_else(with_port).ok_or_else(|| "an address is wanted, as 192.0.2.53 or 192.0.2.53:5300".to_owned())
}
