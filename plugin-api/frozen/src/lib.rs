//! The agent of the first day: it uses once everything that crosses at 1.0.0, each in a run of its own sort.
//!
//! Its built library lies beside this source and is never built again: what it asks is what agents in the field ask, for ever.

use watchpost_plugin_api::{MetricSpec, prelude::*};

const SEEN: Metric = Metric::gauge("seen", Unit::Number, "What was counted.");
const PARTS: Metric = Metric::counter("parts", Unit::Bytes, "Bytes, by where they came from.").by(&["source"]);

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// Talks line by line, the second half over TLS.
    Talk,
    /// Asks by HTTP.
    Ask,
    /// Sends a datagram and waits for one.
    Send,
    /// Reads a directory, and removes a file in it.
    Read,
    /// Starts a program.
    Start,
    /// Waits longer than anybody does.
    Wait,
    /// Panics.
    Panic,
}

/// One sort of run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What a run does.
    does: Does,
    /// Port of 127.0.0.1 that it goes to.
    port: Option<NonZeroU16>,
    /// Directory that is read, or that a program starts in.
    folder: Option<PathBuf>,
    /// PEM file of the authority to trust.
    ca_file: Option<PathBuf>,
    /// What is said under TLS.
    password: Option<Secret>,
}

/// The agent `heirloom`, made for one job.
pub struct Heirloom(Config);

impl Agent for Heirloom {
    type Config = Config;
    const NAME: &'static str = "heirloom";
    const METRICS: &'static [Metric] = &[standard::RESOLVE_TIME, standard::CONNECT_TIME, standard::TOTAL_TIME, SEEN, PARTS];

    fn new(config: Config) -> Result<Self, AgentError> {
        let reaches = matches!(config.does, Does::Talk | Does::Ask | Does::Send);
        let reads = matches!(config.does, Does::Read | Does::Start);
        AgentError::all([
            AgentError::refuse_if(reaches && config.port.is_none(), "port", "is missing"),
            AgentError::refuse_if(reads && config.folder.is_none(), "folder", "is missing"),
            AgentError::refuse_if(config.does == Does::Talk && config.password.is_none(), "password", "is missing"),
        ])?;
        Ok(Self(config))
    }

    fn target(config: &Config) -> String {
        format!("127.0.0.1:{}", config.port.map_or(0, NonZeroU16::get))
    }

    fn needs(config: &Config) -> Needs {
        let needs = Needs::none().read_all(&config.folder).read_all(&config.ca_file).program("/bin/cat");
        let needs = config.folder.iter().fold(needs, Needs::remove_in);
        config.port.iter().fold(needs, |needs, port| needs.tcp(port.get()).udp(port.get()))
    }

    fn repeatable(config: &Config) -> bool {
        config.does != Does::Start
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let runs = cx.cursor().and_then(|left| left.first().copied()).unwrap_or(0);
        cx.set_cursor(&[runs.wrapping_add(1)])?;
        match self.0.does {
            Does::Talk => self.talk(cx).await?,
            Does::Ask => self.ask(cx).await?,
            Does::Send => self.send(cx).await?,
            Does::Read => self.read(cx).await?,
            Does::Start => self.start(cx).await?,
            Does::Wait => {
                cx.record(SEEN, 1);
                cx.sleep(Duration::from_secs(3600)).await;
            }
            Does::Panic => panic!("as it was told"),
        }
        Ok(())
    }
}

impl Heirloom {
    fn port(&self) -> u16 {
        self.0.port.map_or(0, NonZeroU16::get)
    }

    async fn talk(&self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let door = Door::new("127.0.0.1", self.port()).server_name(Some("mail.test")).ca_file(self.0.ca_file.clone());
        let stream = door.enter(cx, &mut laps).await?;
        let ends = stream.ends()?;
        let mut lines = Lines::new(stream);
        let greeting = cx.within(Duration::from_secs(5), lines.read()).await?;
        lines.write("STARTTLS").await?;
        let go = lines.read().await?;
        let facts = lines.start_tls(&door.handshake()).await?;
        let word = self.0.password.as_ref().map_or("", Secret::expose);
        let digest = word.chars().rev().collect::<String>();
        cx.hide(&digest)?;
        lines.write(&format!("PASS {word} {digest}")).await?;
        let answer = lines.read().await?;
        cx.record(SEEN, greeting.len() + go.len() + answer.len());
        let labels = [("source", if ends.peer.is_some() { "peer" } else { "nowhere" })];
        cx.record_with(PARTS, &labels, answer.len());
        let declared = cx.declare(MetricSpec::gauge("certificates", Unit::Number, "Certificates that were shown."))?;
        cx.record(&declared, facts.chain.len());
        cx.event(Severity::Minor, "talked", &format!("by {}", facts.version));
        cx.log(Level::Info, "talked");
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }

    async fn ask(&self, cx: &Cx) -> Result<(), AgentError> {
        let request = HttpRequest::post(format!("http://127.0.0.1:{}/counted", self.port())).form(&[("what", "all of it")]);
        let response = cx.http(request).await?;
        if response.status() != 200 {
            return Err(AgentError::protocol(format!("status {}", response.status())));
        }
        let waited = response.times().wait();
        cx.record(SEEN, response.text(1000).await?.len() + usize::from(waited.is_zero()));
        Ok(())
    }

    async fn send(&self, cx: &Cx) -> Result<(), AgentError> {
        let addresses = cx.resolve("127.0.0.1", RecordType::A, Resolver::System).await?;
        let Some(&address) = addresses.first() else { return Err(AgentError::resolve("nowhere")) };
        let mut socket = cx.datagram((address, self.port()).into()).await?;
        socket.send(b"anybody?").await?;
        cx.note_sent("a question");
        let answer = socket.receive().await?.len();
        cx.note_received("an answer");
        cx.record(SEEN, answer);
        Ok(())
    }

    async fn read(&self, cx: &Cx) -> Result<(), AgentError> {
        let Some(folder) = &self.0.folder else { return Ok(()) };
        let entries = cx.read_dir(folder).await?;
        let mut names = cx.scan_names(folder).await?;
        let mut count = 0;
        while names.next().await?.is_some() {
            count += 1;
        }
        let mut file = cx.open(folder.join("greeting")).await?;
        let bytes = file.stat().await?.size;
        let text = file.read_from(0, 1000).await?;
        let removed = cx.remove_file(folder.join("gone")).await?;
        let age = entries.iter().map(|entry| cx.age_of(entry.modified)).max().unwrap_or_default();
        cx.record(SEEN, entries.len() + count + text.len() + usize::from(removed) + usize::from(age > cx.elapsed() + cx.remaining()));
        cx.record_with(PARTS, &[("source", "file")], bytes);
        Ok(())
    }

    async fn start(&self, cx: &Cx) -> Result<(), AgentError> {
        let mut program = Program::new("/bin/cat").with_input();
        if let Some(folder) = &self.0.folder {
            program = program.folder(folder);
        }
        let said = cx.spawn(&program).await?.output(b"said again", 1000).await?;
        let mut killed = cx.spawn(&program).await?;
        killed.kill()?;
        let exit = killed.wait().await?;
        if !said.exit.is_success() || exit.signal != Some(9) {
            return Err(AgentError::local(format!("cat {}, then {exit}", said.exit)));
        }
        cx.record(SEEN, said.stdout.len());
        Ok(())
    }
}

export_agents!(Heirloom);
