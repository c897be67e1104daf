//! Holds what a job asks to the agent that it asks.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustix::fs::{Access, access};
use serde_json::Value;
use watchpost_plugin_api::{AgentDescriptor, AgentError, ConfigFault, ErrorKind, wire::Examined};
use watchpost_services::{Kept, expired, mask::Masker, obstacle};

use crate::{
    config::{self, Assignment, Bound, Fault, Rest, Rule, process_environment, unknown_agent},
    plugin::{Plugin, Plugins},
};

/// Characters of a target, at most.
const TARGET_CHARS_MAX: usize = 1024;
/// Keys by which agents name files of certificates, as [`Tls`](watchpost_plugin_api::Tls) has them.
const CERTIFICATES: [(&str, Kept); 2] = [("ca_file", Kept::Authorities), ("client_cert", Kept::Own)];

/// An assignment that its agent takes.
pub(super) struct Held<'p> {
    pub(super) plugin: &'p Arc<Plugin>,
    pub(super) agent: &'p AgentDescriptor,
    pub(super) bound: Bound,
    pub(super) examined: Examined,
    pub(super) warnings: Vec<Fault>,
}

/// Holds an assignment to its agent: the schema first, then the agent's own check.
///
/// Errors: everything wrong with it, warnings among it.
pub(super) async fn hold<'p>(asks: &Assignment, plugins: &'p Plugins) -> Result<Held<'p>, Vec<Fault>> {
    let (plugin, agent) = carrier(asks, plugins).map_err(|fault| vec![*fault])?;
    match config::bind(asks, agent, &process_environment) {
        Ok(bound) => match examine(plugin, agent, &bound).await {
            Ok(examined) => {
                let warnings = bound.warnings().iter().cloned().chain(unreadable(asks, &bound, &examined));
                match samples_of_what_acts(asks, &examined) {
                    None => Ok(Held { plugin, agent, warnings: warnings.collect(), bound, examined }),
                    Some(fault) => Err(warnings.chain([fault]).collect()),
                }
            }
            Err(error) => Err(bound.warnings().iter().cloned().chain(refused(asks, &bound, error)).collect()),
        },
        Err(unbound) => {
            let mut faults = unbound.faults;
            if let Some(rest) = unbound.rest {
                let bound = rest.bound();
                match examine(plugin, agent, bound).await {
                    Ok(examined) => {
                        faults.extend(unreadable(asks, bound, &examined).into_iter().chain(samples_of_what_acts(asks, &examined)))
                    }
                    Err(error) => faults.extend(refused_of_rest(asks, &rest, error)),
                }
            }
            Err(faults)
        }
    }
}

/// Finds the one library that carries an agent.
fn carrier<'p>(asks: &Assignment, plugins: &'p Plugins) -> Result<(&'p Arc<Plugin>, &'p AgentDescriptor), Box<Fault>> {
    match plugins.agent(&asks.agent) {
        Ok(Some(found)) => Ok(found),
        Err(several) => {
            let several = several.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ");
            let message = format!("`agent`: several libraries carry \"{}\": {several}", asks.agent.value);
            Err(Box::new(Fault::new(Rule::AgentTwice, &asks.agent.place, message).hint("keep one of them in the plugin folders")))
        }
        Ok(None) => {
            let fault = unknown_agent(asks, plugins.agent_names().collect::<Vec<_>>());
            Err(with_problems(Box::new(fault), plugins))
        }
    }
}

/// The library that did not load may be the one that is missed.
fn with_problems(fault: Box<Fault>, plugins: &Plugins) -> Box<Fault> {
    let problems: Vec<String> =
        plugins.problems().iter().map(|problem| format!("{}: {}", problem.path.display(), problem.reason)).collect();
    if problems.is_empty() {
        return fault;
    }
    let hint = fault.hint.clone().map(|hint| format!("{hint}; ")).unwrap_or_default();
    Box::new(fault.hint(format!("{hint}not loaded: {}", problems.join("; "))))
}

async fn examine(plugin: &Plugin, agent: &AgentDescriptor, bound: &Bound) -> Result<Examined, AgentError> {
    let examined = plugin.examine(&agent.name, &bound.config().to_string()).await?;
    // It is a label of each series, shown wherever the job is.
    if examined.target.trim().is_empty() {
        return Err(AgentError::config("", "the agent calls its target by nothing"));
    }
    let chars = examined.target.chars().count();
    if chars > TARGET_CHARS_MAX {
        let why = format!("the agent calls its target by {chars} characters, at most {TARGET_CHARS_MAX} are taken");
        return Err(AgentError::config("", why));
    }
    Ok(examined)
}

/// The faults that an agent's own check finds; an agent may quote what it was told.
fn refused(asks: &Assignment, bound: &Bound, error: AgentError) -> Vec<Fault> {
    let kind = error.kind();
    error.into_faults().map(|fault| refused_at(asks, bound, kind, &fault)).collect()
}

fn refused_at(asks: &Assignment, bound: &Bound, kind: ErrorKind, fault: &ConfigFault) -> Fault {
    let what = match (fault.path.as_str(), kind) {
        ("", ErrorKind::CONFIG) => "`config`".to_owned(),
        ("", ErrorKind::PANIC) => format!("`config`: agent `{}` panicked over it", asks.agent.value),
        ("", _) => format!("`config`: agent `{}` could not check it", asks.agent.value),
        (path, _) => format!("`{path}`"),
    };
    let said = Masker::new(bound.secrets()).mask(&fault.message);
    Fault::new(Rule::ConfigRefused, asks.place_of(&fault.path), format!("{what}: {}", crate::plain(&said)))
}

/// The faults that an agent's own check finds in what is left of a config; what it says of a stand-in is not the operator's fault.
fn refused_of_rest(asks: &Assignment, rest: &Rest, error: AgentError) -> Vec<Fault> {
    let kind = error.kind();
    let theirs = error.into_faults().filter(|fault| !rest.is_of_a_stand_in(&fault.path));
    theirs.map(|fault| refused_at(asks, rest.bound(), kind, &fault)).collect()
}

/// The fault of measuring several times what changes the world each time.
fn samples_of_what_acts(asks: &Assignment, examined: &Examined) -> Option<Fault> {
    let samples = asks.samples.as_ref().filter(|samples| samples.value > 1 && !examined.repeatable)?;
    let why = "`samples`: a run of this job acts on the world and is not repeated";
    Some(Fault::new(Rule::SamplesOfWhatActs, &samples.place, why).hint("leave the key out, or measure without what acts"))
}

/// Tells of the programs that the agent will start and cannot, of files that it cannot read, and of sockets out of its reach, each where the
/// config names it.
fn unreadable(asks: &Assignment, bound: &Bound, examined: &Examined) -> Vec<Fault> {
    let denied = |path: &Path, wanted: Access| Some(crate::chain(&std::io::Error::from(access(path, wanted).err()?)));
    // Of a folder it is known only that programs are started in it.
    let obstacle = |path: &Path| obstacle(path).filter(|_| !path.is_dir());
    let tell = |path: &Path, why: String, verb: &str, until: &str| {
        let named = key_of(bound.config(), &|text| Path::new(text) == path);
        // A file that nobody named may be one of several, or one that the agent can do without.
        let hint = if named.is_some() {
            format!("runs fail until it can be {until}")
        } else {
            format!("until it can be {until}, runs fail or what it tells is unknown")
        };
        let key = named.or_else(|| key_of(bound.config(), &|text| !text.is_empty() && path.starts_with(text))).unwrap_or_default();
        let shown = if key.is_empty() { "config" } else { key.as_str() };
        let message = format!("`{shown}`: cannot {verb} {}: {why}", path.display());
        Fault::new(Rule::ConfigFileUnreadable, asks.place_of(&key), message).hint(hint)
    };
    let check = |path: &Path, wanted: Access, verb: &str, until: &str| Some(tell(path, denied(path, wanted)?, verb, until));
    let programs: Vec<(&PathBuf, Fault)> = examined
        .needs
        .programs
        .iter()
        .filter_map(|path| Some((path, tell(path, obstacle(path).or_else(|| denied(path, Access::EXEC_OK))?, "start", "started"))))
        .collect();
    let is_told = |path: &&PathBuf| programs.iter().any(|(told, _)| told == path);
    let files = examined.needs.files.iter().filter(|path| !is_told(path)).filter_map(|path| check(path, Access::READ_OK, "read", "read"));
    let files: Vec<Fault> = files.collect();
    let sockets = examined.needs.sockets.iter().filter_map(|path| check(path, Access::WRITE_OK, "connect to", "reached"));
    let outdated = examined.needs.files.iter().filter_map(|path| outdated(asks, bound, path));
    programs.into_iter().map(|(_, fault)| fault).chain(files).chain(sockets).chain(outdated).collect()
}

/// Tells of a file of certificates that have expired, where the config names it.
fn outdated(asks: &Assignment, bound: &Bound, path: &Path) -> Option<Fault> {
    let key = key_of(bound.config(), &|text| Path::new(text) == path)?;
    let last = key.rsplit('.').next().unwrap_or_default();
    let (_, kept) = CERTIFICATES.iter().find(|(name, _)| *name == last)?;
    let why = expired(path, *kept, SystemTime::now())?;
    let mend = match kept {
        Kept::Authorities => "get the authority's new certificate, and put it there",
        Kept::Own => "servers refuse it: get a new one, and put it there",
    };
    Some(Fault::new(Rule::CertificateExpired, asks.place_of(&key), format!("`{key}`: {why}")).hint(mend))
}

/// Finds the key of a config that says a path, or a folder that it is in.
pub(super) fn key_above(config: &Value, path: &Path) -> Option<String> {
    key_of(config, &|text| Path::new(text) == path).or_else(|| key_of(config, &|text| !text.is_empty() && path.starts_with(text)))
}

/// Finds the key of a config that says such a path.
fn key_of(config: &Value, is_it: &impl Fn(&str) -> bool) -> Option<String> {
    match config {
        Value::String(text) => is_it(text).then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| Some(joined(&format!("[{at}]"), &key_of(item, is_it)?))),
        Value::Object(table) => table.iter().find_map(|(key, value)| Some(joined(key, &key_of(value, is_it)?))),
        _ => None,
    }
}

fn joined(step: &str, rest: &str) -> String {
    let point = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    format!("{step}{point}{rest}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use watchpost_plugin_api::{Needs, SECRET_MARK};

    use super::*;
    use crate::schedule::UnixTime;

    /// A job of an agent with a user and a password, and the agent.
    fn job(settings: [&str; 2]) -> (config::Job, AgentDescriptor) {
        let schema =
            serde_json::json!({ "properties": { "password": { "type": "string", SECRET_MARK: true }, "user": { "type": "string" } } });
        let agent = AgentDescriptor { name: "talks".into(), metrics: Vec::new(), schema };
        (config::ad_hoc("talks", &settings.map(str::to_owned), UnixTime::from_secs(0)).unwrap(), agent)
    }

    #[test]
    fn an_agent_that_quotes_a_secret_is_not_repeated() {
        let (job, agent) = job(["password=Zwiebelkuchen-4711", "user=alice"]);
        let bound = config::bind(&job.asks, &agent, &process_environment).unwrap();
        let error = AgentError::config("user", "\"alice\" cannot have Zwiebelkuchen-4711,\nin base64 WndpZWJlbGt1Y2hlbi00NzEx");
        let [fault] = refused(&job.asks, &bound, error).try_into().unwrap();
        assert_eq!(fault.message, "`user`: \"alice\" cannot have <secret>,\u{FFFD}in base64 <secret>");
        assert_eq!(fault.place.to_string(), "--set:2:6");
    }

    #[test]
    fn what_an_agent_says_of_a_stand_in_is_nobodys_fault() {
        let (job, agent) = job(["password.file=/nowhere", "user=alice"]);
        let rest = config::bind(&job.asks, &agent, &process_environment).unwrap_err().rest.unwrap();
        let short = |paths: &[&str]| AgentError::all(paths.iter().map(|&path| Err(AgentError::config(path, "too short")))).unwrap_err();
        let said = |paths: &[&str]| {
            let faults = refused_of_rest(&job.asks, &rest, short(paths));
            faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>()
        };
        assert!(said(&["password", ""]).is_empty());
        assert_eq!(said(&["password", "user"]), ["`user`: too short"]);
    }

    #[test]
    fn a_path_is_found_where_the_config_says_it() {
        let config = serde_json::json!({ "host": "a", "servers": [{ "ca_file": "/a" }, { "ca_file": "/b" }], "spool": "/c" });
        let found = |path: &str| key_of(&config, &|text| text == path);
        assert_eq!(found("/b").as_deref(), Some("servers[1].ca_file"));
        assert_eq!(found("/c").as_deref(), Some("spool"));
        assert_eq!(found("/d"), None);
    }

    #[test]
    fn what_is_out_of_reach_is_told_at_its_key_and_not_of_more_than_it_stops() {
        let schema = serde_json::json!({ "properties": { "path": { "type": "string" } } });
        let agent = AgentDescriptor { name: "counts".into(), metrics: Vec::new(), schema };
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().display().to_string();
        let job = config::ad_hoc("counts", &[format!("path={spool}")], UnixTime::from_secs(0)).unwrap();
        let bound = config::bind(&job.asks, &agent, &process_environment).unwrap();
        let check = |needs: Needs, expected: &[(String, &str)]| {
            let faults = unreadable(&job.asks, &bound, &Examined { target: String::new(), needs, repeatable: true });
            let told: Vec<_> = faults.iter().map(|fault| (fault.message.clone(), fault.hint.as_deref().unwrap())).collect();
            let expected: Vec<_> = expected.iter().map(|(message, hint)| (message.clone(), *hint)).collect();
            assert_eq!(told, expected);
        };
        check(Needs::none().read(folder.path()), &[]);
        let missing = "No such file or directory";
        let (socket, corrupt) = (folder.path().join("public/showq"), folder.path().join("corrupt"));
        check(
            Needs::none().socket(&socket).read(&corrupt).read("/nowhere"),
            &[
                (format!("`path`: cannot read {spool}/corrupt: {missing}"), "until it can be read, runs fail or what it tells is unknown"),
                (format!("`config`: cannot read /nowhere: {missing}"), "until it can be read, runs fail or what it tells is unknown"),
                (
                    format!("`path`: cannot connect to {spool}/public/showq: {missing}"),
                    "until it can be reached, runs fail or what it tells is unknown",
                ),
            ],
        );
        let script = folder.path().join("check");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let not_started = |why: &str| {
            (format!("`path`: cannot start {spool}/check: {why}"), "until it can be started, runs fail or what it tells is unknown")
        };
        check(Needs::none().program(&script).read(&script), &[not_started("nobody may execute it, which `chmod +x` would change")]);
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        check(Needs::none().program(&script).read(&script), &[]);
        std::fs::write(&script, "").unwrap();
        check(Needs::none().program(&script).program(folder.path()), &[not_started("it is empty")]);
        std::fs::remove_file(&script).unwrap();
        check(Needs::none().program(&script).read(&script), &[not_started(missing)]);
        folder.close().unwrap();
        check(Needs::none().read(&spool), &[(format!("`path`: cannot read {spool}: {missing}"), "runs fail until it can be read")]);
    }
}
