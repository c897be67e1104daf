//! Whether mail for a mailbox would be stored now: a session of LMTP (RFC 2033) that ends where the message would come.
//!
//! Target: the mail store. A mailbox that is full, or is not there, is refused at RCPT, and the run fails with what the store says of it.
//! Nothing is delivered.

use watchpost_plugin_api::prelude::*;

/// Lines of one answer; a store that sends more is none.
const LINES_MAX: usize = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the mail store, e.g. "store1.example.org".
    host: String,
    /// TCP port. Default: 24.
    #[serde(default = "lmtp")]
    port: u16,
    /// The mailbox, e.g. "alice@example.org".
    to: String,
}

pub struct Lmtp {
    door: Door,
    to: String,
}

fn lmtp() -> u16 {
    24
}

fn door(config: &Config) -> Door {
    Door::new(&config.host, config.port)
}

impl Agent for Lmtp {
    type Config = Config;
    const NAME: &'static str = "lmtp";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::BANNER_TIME,
        standard::EHLO_TIME,
        standard::MAIL_TIME,
        standard::RCPT_TIME,
        standard::QUIT_TIME,
        standard::TOTAL_TIME,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        let door = door(&config);
        let no_address = "is no address; one is wanted, e.g. \"alice@example.org\"";
        let is_address = config.to.contains('@') && config.to.chars().all(|c| c.is_ascii_graphic() && !"<>".contains(c));
        AgentError::all([door.check("store1.example.org"), AgentError::refuse_if(!is_address, "to", no_address)])?;
        Ok(Self { door, to: config.to })
    }

    fn target(config: &Config) -> String {
        door(config).target()
    }

    fn needs(config: &Config) -> Needs {
        door(config).needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let mut store = Lines::new(self.door.enter(cx, &mut laps).await?);
        expect(&mut store, "the greeting").await?;
        laps.lap(standard::BANNER_TIME);
        let rcpt = format!("RCPT TO:<{}>", self.to);
        let steps = [("LHLO localhost", standard::EHLO_TIME), ("MAIL FROM:<>", standard::MAIL_TIME), (&rcpt, standard::RCPT_TIME)];
        for (command, phase) in steps.into_iter().chain([("QUIT", standard::QUIT_TIME)]) {
            store.write(command).await?;
            expect(&mut store, command).await?;
            laps.lap(phase);
        }
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

/// Reads an answer, which must be one of success.
async fn expect(store: &mut Lines, to: &str) -> Result<(), AgentError> {
    for _ in 0..LINES_MAX {
        let line = store.read().await?;
        if !line.starts_with('2') {
            return Err(AgentError::protocol(format!("the answer to {to} is {line:?}")));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
    Err(AgentError::protocol(format!("the answer to {to} has no end")))
}

export_agents!(Lmtp);
