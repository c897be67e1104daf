//! What an author writes, and how a library carries it.

use std::future::Future;

use abi_stable::prefix_type::PrefixTypeTrait;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    AgentError, Cx, Metric, MetricSpec, Needs,
    abi::{
        BorrowingFfiFuture, Fenced, FencedDrop, FfiError, FfiResult, HostCxBox, PluginMod, PluginMod_Ref, RErr, ROk, RStr, RString,
        RawAgent, RawAgent_TO, RawAgentBox, TD_Opaque, fenced,
    },
    wire::Examined,
};

/// One kind of measurement. The host makes one value per job and calls [`measure`](Agent::measure) when it is due.
///
/// An agent measures and never judges, stores or schedules. It has no runtime, timer or clock of its own: it asks [`Cx`].
/// What it keeps in `self` between runs belongs to its job and dies with the worker.
pub trait Agent: Sized + Send + 'static {
    /// Name in a schedule: `[a-z][a-z0-9]*`, and not `host`.
    const NAME: &'static str;
    /// Everything it may record.
    const METRICS: &'static [Metric];
    /// A job's `config` table.
    type Config: DeserializeOwned + JsonSchema;

    /// Makes the agent of one job. What types cannot hold is checked here, with [`AgentError::config`]; several checks are put together
    /// by [`AgentError::all`]. The other functions see only what this one has taken.
    fn new(config: Self::Config) -> Result<Self, AgentError>;

    /// Names what is measured: the label `target`.
    fn target(config: &Self::Config) -> String;

    /// Tells what the job will touch.
    fn needs(config: &Self::Config) -> Needs;

    /// Says whether a lost run may be repeated; false where a run acts on the world.
    fn repeatable(config: &Self::Config) -> bool {
        let _ = config;
        true
    }

    /// Measures once. What was recorded before an error or the deadline is kept.
    fn measure(&mut self, cx: &Cx) -> impl Future<Output = Result<(), AgentError>> + Send;
}

/// What an agent says of itself; crosses as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentDescriptor {
    /// Name in a schedule.
    pub name: String,
    /// Everything it may record.
    pub metrics: Vec<MetricSpec>,
    /// JSON schema of a job's `config` table.
    pub schema: serde_json::Value,
}

/// What a library says of itself; crosses as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LibraryDescriptor {
    /// The package it was built from.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// One sentence about it.
    pub about: String,
    /// Version of the interface that it was built against.
    #[serde(default)]
    pub interface: String,
    /// The agents it carries.
    pub agents: Vec<AgentDescriptor>,
}

/// Describes an agent.
#[doc(hidden)]
pub fn describe<A: Agent>() -> AgentDescriptor {
    AgentDescriptor { name: A::NAME.into(), metrics: A::METRICS.iter().map(Metric::spec).collect(), schema: schema_for!(A::Config).into() }
}

/// Checks a configuration as the host's `examine` wants it.
#[doc(hidden)]
pub fn examine<A: Agent>(config: &str) -> Result<RString, AgentError> {
    // What `new` refuses is a fault of the configuration too, and must show before the first run.
    drop(FencedDrop::new(A::new(parse::<A>(config)?)?));
    let parsed = parse::<A>(config)?;
    to_json(&Examined { target: A::target(&parsed), needs: A::needs(&parsed), repeatable: A::repeatable(&parsed) })
}

/// Makes an agent as the host's `create` wants it.
#[doc(hidden)]
pub fn create<A: Agent>(config: &str) -> Result<RawAgentBox, AgentError> {
    let agent = FencedDrop::new(A::new(parse::<A>(config)?)?);
    let needs = to_json(&A::needs(&parse::<A>(config)?))?;
    Ok(RawAgent_TO::from_value(Made { agent, needs }, TD_Opaque))
}

/// Puts a value into JSON that crosses.
#[doc(hidden)]
pub fn to_json<T: Serialize>(value: &T) -> Result<RString, AgentError> {
    serde_json::to_string(value).map(RString::from).map_err(|error| AgentError::local(error.to_string()))
}

/// Calls one of the three entries of a library behind its fence.
#[doc(hidden)]
pub fn entry<T>(body: impl FnOnce() -> Result<T, AgentError>) -> FfiResult<T> {
    fenced(|| body().map_err(FfiError::from).into())
}

/// The error for an agent that this library does not carry.
#[doc(hidden)]
pub fn no_agent<T>(name: RStr<'_>) -> Result<T, AgentError> {
    Err(AgentError::config("", format!("this library carries no agent `{name}`")))
}

/// Gives the library's module the life it needs: that of the process.
#[doc(hidden)]
pub fn leak(module: PluginMod) -> PluginMod_Ref {
    module.leak_into_prefix()
}

fn parse<A: Agent>(config: &str) -> Result<A::Config, AgentError> {
    let from = &mut serde_json::Deserializer::from_str(config);
    serde_path_to_error::deserialize(from).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        // serde_json appends the place in a text that the operator never saw.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(said, _)| said);
        AgentError::config(if path == "." { String::new() } else { path }, message)
    })
}

struct Made<A> {
    agent: FencedDrop<A>,
    needs: RString,
}

impl<A: Agent> RawAgent for Made<A> {
    fn measure<'a>(&'a mut self, cx: HostCxBox) -> BorrowingFfiFuture<'a, FfiResult<()>> {
        let agent = self.agent.get_mut();
        BorrowingFfiFuture::new(Fenced::new(async move {
            let cx = Cx::new(cx);
            match agent.measure(&cx).await {
                Ok(()) => ROk(()),
                Err(error) => RErr(error.into()),
            }
        }))
    }

    fn needs(&self) -> RString {
        self.needs.clone()
    }
}

/// Exports the agents of a library: `export_agents!(Spool);` or `export_agents!(Spool, Mailbox);`, once per crate.
#[macro_export]
macro_rules! export_agents {
    ($($agent:ty),+ $(,)?) => {
        const _: () = {
            use $crate::abi::{FfiResult, PluginMod, PluginMod_Ref, RStr, RString, RawAgentBox};

            extern "C" fn describe() -> FfiResult<RString> {
                $crate::__private::entry(|| $crate::__private::to_json(&$crate::LibraryDescriptor {
                    package: env!("CARGO_PKG_NAME").into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    about: env!("CARGO_PKG_DESCRIPTION").into(),
                    interface: $crate::VERSION.into(),
                    agents: vec![$($crate::__private::describe::<$agent>()),+],
                }))
            }

            extern "C" fn examine(agent: RStr<'_>, config: RStr<'_>) -> FfiResult<RString> {
                $crate::__private::entry(|| match agent.as_str() {
                    $(<$agent as $crate::Agent>::NAME => $crate::__private::examine::<$agent>(config.as_str()),)+
                    _ => $crate::__private::no_agent(agent),
                })
            }

            extern "C" fn create(agent: RStr<'_>, config: RStr<'_>) -> FfiResult<RawAgentBox> {
                $crate::__private::entry(|| match agent.as_str() {
                    $(<$agent as $crate::Agent>::NAME => $crate::__private::create::<$agent>(config.as_str()),)+
                    _ => $crate::__private::no_agent(agent),
                })
            }

            fn module() -> PluginMod_Ref {
                $crate::__private::leak(PluginMod { panic_unwind: cfg!(panic = "unwind"), describe, examine, create })
            }

            extern "C" fn erased() -> $crate::__private::RootModuleResult {
                $crate::__private::__call_root_module_loader(module)
            }

            // What abi_stable's own attribute expands to, spelt out so that a plugin needs no direct dependency on it.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static WATCHPOST_PLUGIN: $crate::__private::LibHeader = unsafe {
                $crate::__private::LibHeader::from_constructor::<PluginMod_Ref>(erased, $crate::__private::CheckTypeLayout::Yes)
            };
        };
    };
}
