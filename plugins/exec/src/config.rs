//! What a job of this agent says of itself.

use std::{borrow::Cow, collections::BTreeMap, num::NonZeroU32};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use watchpost_plugin_api::{AgentError, MetricSpec, Needs, PATH_MARK, PathBuf, Program, Secret, Unit, standard};

use crate::interpreter;

/// What the agent tells of every program itself, whatever that tells; and of those that are started for each run, how long they ran.
const OWN: [&str; 4] = ["state", "lines_taken", "lines_refused", "program_starts"];

/// A program that measures, and how it tells what it has measured. `argv` and `format` are required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program and its arguments, e.g. ["/usr/lib/nagios/plugins/check_smtp", "-H", "mx1.example.org"]. No shell reads them: a `*`, a
    /// `$` or a `;` is one. A relative path of the program is relative to this file. Every user of this machine can see the arguments of
    /// a running program; secrets belong into `secret_env`, or into a file of its own.
    pub argv: Argv,
    /// How it tells: "nagios" (exit code, a line of text, performance data: every plugin for Nagios or Icinga), "json-lines" (our own
    /// form), "influx" (InfluxDB's line protocol), "putval" (collectd's plain text) or "prometheus" (text for Prometheus).
    pub format: Format,
    /// Whether it runs on from run to run, and is not started for each: it writes whenever it likes, and a run takes what has come since
    /// the one before, waiting for it if nothing has. One that ends is started again, later each time. Not for "nagios". Default: false.
    #[serde(default)]
    pub long_lived: bool,
    /// Whether a long-lived program is asked: each run writes an empty line to its standard input and takes what is answered. Default:
    /// false, standard input is open and silent until the program is to end.
    #[serde(default)]
    pub ask: bool,
    /// What is measured, for the label `target`, e.g. "mx1.example.org:25". Default: the name of the program.
    pub target: Option<String>,
    /// Environment of the program, e.g. { PGHOST = "db1" }, beside a plain PATH and LC_ALL=C.UTF-8; nothing is inherited.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// More of its environment, never shown: { PGPASSWORD = { file = "…" } }, or `{ env = "…" }`, `{ credential = "…" }`. What the program
    /// says of them is masked.
    #[serde(default)]
    pub secret_env: BTreeMap<String, Secret>,
    /// TCP ports that the program connects to, e.g. [25, 465]; others may be denied.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// UDP ports that it sends to, e.g. [53].
    #[serde(default)]
    pub udp_ports: Vec<u16>,
    /// Unix sockets that it connects to, e.g. ["/var/spool/postfix/public/showq"].
    #[serde(default)]
    pub sockets: Vec<PathBuf>,
    /// Files and folders that it reads, beside itself and what every program reads, e.g. ["/etc/postfix"].
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Programs that it starts, by their absolute paths, e.g. ["/usr/bin/dig"]. The interpreter that the first line of a script names is
    /// known, and need not stand here.
    #[serde(default)]
    pub programs: Vec<PathBuf>,
    /// Names that metrics get in place of the program's own, e.g. { time = "connect_time" }: one that means the same in every agent, or
    /// `[a-z][a-z0-9_]*`. Without it a name that is none becomes one, with a mark of how the program spells it: "Oldest Age" is
    /// `oldest_age_3294`.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Metrics that are running totals where the format has no word for it, by the program's own names, e.g. ["mail_sent"].
    #[serde(default)]
    pub counters: Vec<String>,
    /// Whether the bounds that performance data names (warning, critical, least, most) become a metric as well: `NAME_bounds`, by
    /// `bound`. For "nagios". Default: false.
    #[serde(default)]
    pub bounds: bool,
    /// Seconds between two values, told to the program as COLLECTD_INTERVAL. For "putval". Default: 10.
    pub interval_s: Option<NonZeroU32>,
    /// Bytes that the program may write in one run; more fail it with kind `limit`. Default: 1048576 (1 MiB).
    #[serde(default = "one_mebibyte")]
    pub bytes_max: NonZeroU32,
    /// Whether a run that was lost to another job's fault may be repeated; only if it changes nothing in the world. Default: false.
    #[serde(default)]
    pub repeatable: bool,
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argv {
    /// The program.
    pub program: PathBuf,
    /// What follows its name.
    pub arguments: Vec<String>,
}

/// How a program tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As plugins for Nagios and Icinga.
    Nagios,
    /// One JSON object a line.
    JsonLines,
    /// InfluxDB's line protocol.
    Influx,
    /// collectd's plain text.
    Putval,
    /// Text for Prometheus.
    Prometheus,
}

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut words = Vec::<String>::deserialize(from)?.into_iter();
        let program = words.next().ok_or_else(|| serde::de::Error::custom("is empty; a program is wanted, e.g. [\"/usr/bin/true\"]"))?;
        Ok(Self { program: program.into(), arguments: words.collect() })
    }
}

impl JsonSchema for Argv {
    fn schema_name() -> Cow<'static, str> {
        "Argv".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let program = json_schema!({ "type": "string", PATH_MARK: true });
        json_schema!({ "type": "array", "prefixItems": [program], "items": { "type": "string" }, "minItems": 1 })
    }
}

impl Config {
    /// Refuses what types cannot.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let refuse = |so: bool, key: &str, why: &str| AgentError::refuse_if(so, key, why);
        let is_nagios = self.format == Format::Nagios;
        let is_variable = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
        let not_variable = |key: String, is_so: bool| refuse(!is_so, &key, "is no name of a variable, or stands in `env` as well");
        let names = self.rename.iter().map(|(from, to)| {
            let is_ours = OWN.contains(&to.as_str()) || to == standard::TOTAL_TIME.name() && !self.long_lived;
            let ours = is_ours.then_some("the agent measures this itself");
            let fault = MetricSpec::gauge(to, Unit::Number, "H.").fault().or(ours);
            fault.map_or(Ok(()), |fault| Err(AgentError::config(format!("rename.{from}"), fault)))
        });
        let plain = self.env.keys().map(|name| not_variable(format!("env.{name}"), is_variable(name)));
        let secret = self.secret_env.keys();
        let secret = secret.map(|name| not_variable(format!("secret_env.{name}"), is_variable(name) && !self.env.contains_key(name)));
        let holds_nul = self.argv.arguments.iter().any(|argument| argument.contains('\0'));
        let relative = "is no absolute path; a program is not looked for in PATH";
        let checks = [
            refuse(!self.argv.program.is_absolute(), "argv[0]", relative),
            refuse(self.argv.program.is_dir(), "argv[0]", "is a folder; a program is wanted"),
            refuse(
                self.target.as_ref().is_some_and(|target| target.trim().is_empty()),
                "target",
                "is empty; left out, it is the program's name",
            ),
            refuse(holds_nul, "argv", "an argument cannot hold a NUL"),
            refuse(is_nagios && self.long_lived, "long_lived", "a program that tells as \"nagios\" tells once, and ends"),
            refuse(self.ask && !self.long_lived, "ask", "only a program that is `long_lived` can be asked"),
            refuse(self.bounds && !is_nagios, "bounds", "only \"nagios\" has bounds"),
            refuse(self.interval_s.is_some() && self.format != Format::Putval, "interval_s", "is for \"putval\""),
        ];
        AgentError::all(checks.into_iter().chain(plain).chain(secret).chain(names))
    }

    /// Names what is measured.
    pub(crate) fn target(&self) -> String {
        let program = || self.argv.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.target.clone().unwrap_or_else(program)
    }

    /// Tells what the program touches, as far as the job says so.
    pub(crate) fn needs(&self) -> Needs {
        let program = &*self.argv.program;
        let mut needs = Needs::none().program(program).read(program);
        for started in interpreter::of(program).into_iter().chain(self.programs.iter().map(|path| path.to_path_buf())) {
            needs = needs.program(started);
        }
        needs = self.files.iter().fold(needs, |needs, path| needs.read(path));
        needs = self.ports.iter().fold(needs, |needs, port| needs.tcp(*port));
        needs = self.udp_ports.iter().fold(needs, |needs, port| needs.udp(*port));
        needs = self.sockets.iter().fold(needs, |needs, path| needs.socket(path));
        if self.format == Format::Putval { needs.read(crate::HOSTNAME) } else { needs }
    }

    /// How the program is started; `host` is this machine's name, told to those that tell as for collectd.
    pub(crate) fn program(&self, host: &str) -> Program {
        let mut program = Program::new(&self.argv.program).args(self.argv.arguments.clone());
        if self.format == Format::Putval {
            let interval = self.interval_s.map_or(10, NonZeroU32::get);
            program = program.env("COLLECTD_HOSTNAME", host).env("COLLECTD_INTERVAL", interval.to_string());
        }
        program = self.env.iter().fold(program, |program, (name, value)| program.env(name, value));
        program = self.secret_env.iter().fold(program, |program, (name, value)| program.env(name, value.expose()));
        if self.long_lived { program.with_input().outlives_run() } else { program }
    }
}

fn one_mebibyte() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add((1 << 20) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &str, expected: Result<(), (&str, &str)>) {
        let parsed: Config = toml::from_str(config).unwrap_or_else(|error| panic!("{config}: {error}"));
        let checked = parsed.check();
        assert_eq!(checked.as_ref().map(|_| ()).map_err(|error| (error.path(), error.message())), expected, "{config}");
    }

    #[test]
    fn a_program_and_a_format_are_enough() {
        for format in ["nagios", "json-lines", "influx", "putval", "prometheus"] {
            check(&format!("argv = ['/bin/true']\nformat = '{format}'"), Ok(()));
        }
        let config: Config = toml::from_str("argv = ['/bin/true', '-a']\nformat = 'influx'").unwrap();
        assert_eq!((config.target(), config.bytes_max.get(), config.repeatable), ("true".into(), 1 << 20, false));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        let of = |format: &str, more: &str| format!("argv = ['/bin/true']\nformat = '{format}'\n{more}");
        let relative = "argv = ['true']\nformat = 'nagios'";
        check(relative, Err(("argv[0]", "is no absolute path; a program is not looked for in PATH")));
        check("argv = ['/etc']\nformat = 'nagios'", Err(("argv[0]", "is a folder; a program is wanted")));
        check("argv = ['/bin/true', \"a\\u0000\"]\nformat = 'nagios'", Err(("argv", "an argument cannot hold a NUL")));
        let once = "a program that tells as \"nagios\" tells once, and ends";
        check(&of("nagios", "long_lived = true"), Err(("long_lived", once)));
        check(&of("influx", "ask = true"), Err(("ask", "only a program that is `long_lived` can be asked")));
        check(&of("influx", "bounds = true"), Err(("bounds", "only \"nagios\" has bounds")));
        check(&of("influx", "target = ' '"), Err(("target", "is empty; left out, it is the program's name")));
        check(&of("influx", "interval_s = 5"), Err(("interval_s", "is for \"putval\"")));
        check(&of("influx", "env = { 'a=b' = 'c' }"), Err(("env.a=b", "is no name of a variable, or stands in `env` as well")));
        let twice = "is no name of a variable, or stands in `env` as well";
        check(&of("influx", "env = { A = 'b' }\nsecret_env = { A = 'c' }"), Err(("secret_env.A", twice)));
        check(&of("influx", "rename = { a = 'B' }"), Err(("rename.a", "a metric name is [a-z][a-z0-9_]*")));
        check(&of("influx", "rename = { a = 'up' }"), Err(("rename.a", "the host adds this metric to every job itself")));
        for name in ["total_time", "state", "lines_refused"] {
            let rename = format!("rename = {{ a = '{name}' }}");
            check(&of("nagios", &rename), Err(("rename.a", "the agent measures this itself")));
        }
        check(&of("influx", "long_lived = true\nrename = { a = 'total_time' }"), Ok(()));
        let empty = toml::from_str::<Config>("argv = []\nformat = 'nagios'").unwrap_err();
        assert_eq!(empty.message(), "is empty; a program is wanted, e.g. [\"/usr/bin/true\"]");
    }

    #[test]
    fn a_secret_is_in_the_environment_and_not_in_what_is_shown() {
        let text = "argv = ['/bin/true']\nformat = 'putval'\nenv = { A = 'b' }\nsecret_env = { P = 'geheim' }";
        let config: Config = toml::from_str(text).unwrap();
        let expected = [("COLLECTD_HOSTNAME", "mx1"), ("COLLECTD_INTERVAL", "10"), ("A", "b"), ("P", "geheim")];
        assert_eq!(config.program("mx1").environment, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(!format!("{config:?}{:?}", config.program("mx1")).contains("geheim"));
    }
}
