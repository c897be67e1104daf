//! Every rule of a configuration, by name.
//!
//! `cases/` has one file for each, which breaks that rule and no other, with the exact message; a test holds that none is missing.

use serde::{Deserialize, Serialize};

use super::Weight;

/// Makes the enum, the list of all its variants, and their names.
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $rule:ident = $name:literal,)+) => {
        /// What a configuration has to keep to; a fault says which one was broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Rule {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $rule,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule,)+];

            /// Names it, as JSON and the files of `cases/` do.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)+
                }
            }
        }
    };
}

rules! {
    /// A file can be read.
    FileUnreadable = "file-unreadable",
    /// A file is a text in UTF-8.
    FileNotUtf8 = "file-not-utf8",
    /// A file is TOML.
    FileNotToml = "file-not-toml",
    /// A table has each key once.
    KeyTwice = "key-twice",
    /// A number fits into 64 bits.
    NumberTooLarge = "number-too-large",
    /// A key has its meaning.
    KeyUnknown = "key-unknown",
    /// A key that has to be there is there.
    KeyMissing = "key-missing",
    /// A key stands in its own file and table.
    KeyElsewhere = "key-elsewhere",
    /// A value has the type of its key.
    TypeWrong = "type-wrong",
    /// A path has a character at least, and no NUL.
    PathIllegal = "path-illegal",
    /// Plugin folders can be read.
    PluginsUnreadable = "plugins-unreadable",
    /// Schedules are there.
    SchedulesUnreadable = "schedules-unreadable",
    /// A schedule is read once.
    SchedulesTwice = "schedules-twice",
    /// Something is measured; a warning.
    SchedulesEmpty = "schedules-empty",
    /// `listen` is an address with a port.
    ListenIllegal = "listen-illegal",
    /// `listen` is of this machine only; a warning.
    ListenOpen = "listen-open",
    /// The data folder is one daemon's at a time.
    DataInUse = "data-in-use",
    /// The data folder can be made, written and understood.
    DataUnusable = "data-unusable",
    /// The address is free, and ours to take.
    ListenUnusable = "listen-unusable",
    /// The data folder stays while the daemon runs.
    DataMoved = "data-moved",
    /// The address stays while the daemon runs.
    ListenMoved = "listen-moved",
    /// A group has a name.
    GroupIllegal = "group-illegal",
    /// Readings gather for a short time.
    CommitOutOfRange = "commit-out-of-range",
    /// A sample waits for its file for a while.
    FlushOutOfRange = "flush-out-of-range",
    /// How long rows are kept is a profile, or written out.
    ArchivesUnknown = "archives-unknown",
    /// Each slot is kept for some time.
    ArchiveBaseMissing = "archive-base-missing",
    /// An archive has a row at least.
    ArchiveTooShort = "archive-too-short",
    /// An archive has a bound.
    ArchiveTooLong = "archive-too-long",
    /// What rows are made of slots is known.
    ConsolidationUnknown = "consolidation-unknown",
    /// Counters reach over a slot.
    HeartbeatTooShort = "heartbeat-too-short",
    /// The socket for front ends of RRD files is free, and ours to make.
    RrdcachedUnusable = "rrdcached-unusable",
    /// The socket for front ends of RRD files stays while the daemon runs.
    RrdcachedMoved = "rrdcached-moved",

    /// A library is confined in one of the ways that there are.
    SandboxUnknown = "sandbox-unknown",
    /// A library is confined; a warning.
    SandboxNone = "sandbox-none",
    /// A worker's memory is some.
    MemoryOutOfRange = "memory-out-of-range",
    /// What is said of a library is said of one that is there; a warning.
    PluginUnknown = "plugin-unknown",

    /// A job's name is made of a few characters.
    NameIllegal = "name-illegal",
    /// A job's name is of some length.
    NameTooLong = "name-too-long",
    /// A job's name is its own.
    NameTwice = "name-twice",
    /// What a job was called before is no job any more.
    WasTaken = "was-taken",
    /// What a job was called before became one job.
    WasTwice = "was-twice",
    /// A job runs by one of `every` and `cron`.
    TimingMissing = "timing-missing",
    /// A job runs by one of `every` and `cron` only.
    TimingTwice = "timing-twice",
    /// A span is numbers with units.
    SpanIllegal = "span-illegal",
    /// A span's number has a unit.
    SpanUnitMissing = "span-unit-missing",
    /// A span's unit is known.
    SpanUnitUnknown = "span-unit-unknown",
    /// A span's units fall.
    SpanUnitOrder = "span-unit-order",
    /// A span has no fractions.
    SpanFraction = "span-fraction",
    /// A span lasts.
    SpanZero = "span-zero",
    /// A span ends.
    SpanTooLong = "span-too-long",
    /// A cron expression has five fields or six.
    CronFields = "cron-fields",
    /// A shorthand of cron is known.
    CronShorthandUnknown = "cron-shorthand-unknown",
    /// No item of a cron field is empty.
    CronItemEmpty = "cron-item-empty",
    /// Unix' signs alone stand in a cron field.
    CronSignForeign = "cron-sign-foreign",
    /// An item of a cron field is a number or a name of it.
    CronValueUnknown = "cron-value-unknown",
    /// A value of a cron field is in its range.
    CronValueOutOfRange = "cron-value-out-of-range",
    /// A cron step is a number.
    CronStepIllegal = "cron-step-illegal",
    /// A cron step has a range.
    CronStepWithoutRange = "cron-step-without-range",
    /// A cron step is smaller than its field.
    CronStepTooLong = "cron-step-too-long",
    /// A cron expression can run.
    CronNeverRuns = "cron-never-runs",
    /// A time zone stands beside a cron expression, which follows it; a warning.
    ZoneIdle = "zone-idle",
    /// A time zone is in the IANA list.
    ZoneUnknown = "zone-unknown",
    /// A run has ended when the next is due.
    TimeoutTooLong = "timeout-too-long",
    /// What happens to overlapping runs has a word.
    OverlapUnknown = "overlap-unknown",
    /// A window of time is written as days and times.
    WindowIllegal = "window-illegal",
    /// A job can run within its windows.
    WindowNeverOpen = "window-never-open",
    /// A job's windows are not all over; a warning.
    WindowOver = "window-over",
    /// Windows that speak of holidays have a list of them.
    HolidaysMissing = "holidays-missing",
    /// A list of holidays can be read.
    HolidaysUnreadable = "holidays-unreadable",
    /// A line of a list of holidays is a date.
    HolidayIllegal = "holiday-illegal",
    /// A label's key is a word.
    LabelKeyIllegal = "label-key-illegal",
    /// A label's key is none of the host's.
    LabelOfTheHost = "label-of-the-host",
    /// A label's key is none of the agent's.
    LabelOfTheAgent = "label-of-the-agent",
    /// A label's value is of some length.
    LabelTooLong = "label-too-long",
    /// A label's value can be shown.
    LabelIllegal = "label-illegal",
    /// A label's value is no secret; a warning.
    LabelSecret = "label-secret",
    /// Label sets of a job are some.
    LabelsMaxOutOfRange = "labels-max-out-of-range",
    /// Measurements of a run are some.
    SamplesOutOfRange = "samples-out-of-range",
    /// A job may bring its worker down some times.
    QuarantineAfterOutOfRange = "quarantine-after-out-of-range",
    /// What acts on the world is done once.
    SamplesOfWhatActs = "samples-of-what-acts",
    /// Targets, where they are, are some.
    TargetsEmpty = "targets-empty",
    /// A target's text is a host, maybe with a port.
    TargetIllegal = "target-illegal",
    /// A target has a host or a name.
    TargetNameless = "target-nameless",
    /// A target's name is made of a few characters.
    TargetNameIllegal = "target-name-illegal",
    /// A target's port is one.
    TargetPortOutOfRange = "target-port-out-of-range",
    /// A target says a key of its agent once.
    TargetKeyTwice = "target-key-twice",

    /// A row's number is one.
    RowNumberOutOfRange = "row-number-out-of-range",
    /// A row's number is its own in its file.
    RowNumberTwice = "row-number-twice",
    /// A row's text is a line that can be shown.
    RowTextIllegal = "row-text-illegal",
    /// A row's series are written as SERIES are.
    RowSeriesIllegal = "row-series-illegal",
    /// A row's job is there; a warning.
    RowJobUnknown = "row-job-unknown",
    /// A job can give a row's series; a warning.
    RowSeriesUnknown = "row-series-unknown",

    /// An objective's name can be shown.
    ObjectiveNameIllegal = "objective-name-illegal",
    /// An objective's name is its own.
    ObjectiveTwice = "objective-twice",
    /// An objective's target is a share of the time.
    ObjectiveTargetIllegal = "objective-target-illegal",
    /// What is good is a bound.
    ObjectiveGoodIllegal = "objective-good-illegal",
    /// An objective's period is one of the calendar.
    ObjectivePeriodUnknown = "objective-period-unknown",
    /// A job can give an objective's series; a warning.
    ObjectiveSeriesUnknown = "objective-series-unknown",
    /// What is good is of the unit of the series.
    ObjectiveUnitWrong = "objective-unit-wrong",

    /// A rule's name can be shown.
    AlarmRuleNameIllegal = "alarm-rule-name-illegal",
    /// A rule's name is its own, a threshold's in its job.
    AlarmRuleTwice = "alarm-rule-twice",
    /// What a threshold looks at is a metric.
    MetricIllegal = "metric-illegal",
    /// A bound is a side and a quantity, or two of them.
    BoundIllegal = "bound-illegal",
    /// A rule has a bound at least.
    BoundMissing = "bound-missing",
    /// The bounds of a rule look one way.
    BoundsTwoWays = "bounds-two-ways",
    /// A worse severity has a bound that is harder to cross.
    BoundsOrder = "bounds-order",
    /// What a value has to come back to is a side and a quantity.
    RearmIllegal = "rearm-illegal",
    /// What raises an alarm is a number of values, maybe of some more.
    RaiseAfterIllegal = "raise-after-illegal",
    /// A rule looks at series, at events or at an expression.
    AlarmLooksTwice = "alarm-looks-twice",
    /// A key of a rule says something about what it looks at.
    AlarmKeyIdle = "alarm-key-idle",
    /// What selects events selects some.
    EventIllegal = "event-illegal",
    /// An expression can be calculated.
    ExpressionIllegal = "expression-illegal",
    /// The names of an expression are those of its series.
    ExpressionNameUnknown = "expression-name-unknown",
    /// An expression adds and compares what is of one unit.
    ExpressionUnitsMixed = "expression-units-mixed",
    /// A name that stands for one series means one; a warning.
    ExpressionNameSeveral = "expression-name-several",
    /// What clears an alarm is some values.
    ClearAfterOutOfRange = "clear-after-out-of-range",
    /// A kind of trouble is registered.
    EventTypeUnknown = "event-type-unknown",
    /// A probable cause is registered.
    CauseUnknown = "cause-unknown",
    /// What an operator is told can be shown.
    AlarmTextIllegal = "alarm-text-illegal",
    /// A link leads to a page.
    LinkIllegal = "link-illegal",
    /// An alarm of the host is one that there is.
    HostAlarmUnknown = "host-alarm-unknown",
    /// A severity is one that there is.
    SeverityUnknown = "severity-unknown",
    /// What has to be free is a share of the disk.
    FreeMinIllegal = "free-min-illegal",
    /// Something may be some records behind the journal.
    RecordsMaxOutOfRange = "records-max-out-of-range",
    /// A job can give what a threshold looks at, or something that is called nearly so.
    AlarmMetricUnknown = "alarm-metric-unknown",
    /// A job can give what a rule looks at; a warning.
    AlarmSeriesUnknown = "alarm-series-unknown",
    /// A bound is of the unit of its series.
    AlarmUnitWrong = "alarm-unit-wrong",

    /// A library carries the agent.
    AgentUnknown = "agent-unknown",
    /// One library carries the agent.
    AgentTwice = "agent-twice",
    /// A library in a plugin folder can be loaded; a warning, unless its agent is missed.
    LibraryNotLoaded = "library-not-loaded",
    /// The agent knows a key of its config.
    ConfigKeyUnknown = "config-key-unknown",
    /// The agent gets the keys that it needs.
    ConfigKeyMissing = "config-key-missing",
    /// A value has the type that the agent wants.
    ConfigTypeWrong = "config-type-wrong",
    /// A text is one of those that the agent offers.
    ConfigChoiceUnknown = "config-choice-unknown",
    /// A text is not shorter than the agent wants.
    ConfigTextTooShort = "config-text-too-short",
    /// A text is not longer than the agent wants.
    ConfigTextTooLong = "config-text-too-long",
    /// A text is an address where the agent wants one.
    ConfigAddressIllegal = "config-address-illegal",
    /// A number is in the range that the agent wants.
    ConfigNumberOutOfRange = "config-number-out-of-range",
    /// A number is finite.
    ConfigNumberNotFinite = "config-number-not-finite",
    /// A list has as many items as the agent wants.
    ConfigListLength = "config-list-length",
    /// The agent's own check passes.
    ConfigRefused = "config-refused",
    /// A file that the agent will read can be read; a warning, for it may come later.
    ConfigFileUnreadable = "config-file-unreadable",

    /// No agent needs what none is ever given: a secret, the configuration, the data folder.
    NeedGuarded = "need-guarded",

    /// A secret stands in a file of its own; a warning.
    SecretPlain = "secret-plain",
    /// A reference to a secret stands where a secret belongs.
    SecretMisplaced = "secret-misplaced",
    /// A secret is a text, or says where one is.
    SecretTypeWrong = "secret-type-wrong",
    /// A secret has one source.
    SecretSources = "secret-sources",
    /// The source of a secret is of a kind that there is.
    SecretSourceUnknown = "secret-source-unknown",
    /// A secret has a character at least.
    SecretEmpty = "secret-empty",
    /// A secret is one line.
    SecretLines = "secret-lines",
    /// The variable of a secret is set.
    SecretEnvUnset = "secret-env-unset",
    /// The service manager passes credentials.
    SecretCredentialsMissing = "secret-credentials-missing",
    /// A credential is named, not a path to it.
    SecretCredentialIllegal = "secret-credential-illegal",
    /// The file of a secret can be read.
    SecretFileUnreadable = "secret-file-unreadable",
    /// The file of a secret holds some bytes.
    SecretFileTooLarge = "secret-file-too-large",
    /// The file of a secret is a text.
    SecretFileNotUtf8 = "secret-file-not-utf8",
    /// The file of a secret is its owner's alone.
    SecretFileOpen = "secret-file-open",
    /// The file of a secret is ours.
    SecretFileForeign = "secret-file-foreign",

    /// What a job depends on is a job, or series.
    DependsOnIllegal = "depends-on-illegal",
    /// What a job depends on is there.
    DependsOnUnknown = "depends-on-unknown",
    /// Nothing depends on itself.
    DependsOnItself = "depends-on-itself",
    /// What is depended on is judged by a rule; a warning.
    DependsOnUnjudged = "depends-on-unjudged",

    /// Each channel has a name of its own.
    ChannelTwice = "channel-twice",
    /// A channel's name can be shown.
    ChannelNameIllegal = "channel-name-illegal",
    /// A channel is of a type that there is.
    ChannelTypeUnknown = "channel-type-unknown",
    /// A channel is told of steps that there are.
    ChannelStepUnknown = "channel-step-unknown",
    /// Times of a channel are in their ranges.
    ChannelTimeOutOfRange = "channel-time-out-of-range",
    /// A setting of a channel is one of what it can be.
    ChannelChoiceUnknown = "channel-choice-unknown",
    /// Addresses of a channel are such.
    ChannelAddressIllegal = "channel-address-illegal",
    /// Templates of a channel can be followed for every step of an alarm.
    ChannelTemplateFaulty = "channel-template-faulty",
    /// The form of a channel's messages is decided once.
    ChannelFormTwice = "channel-form-twice",
    /// The program of a channel is there.
    ChannelProgramMissing = "channel-program-missing",
    /// Passwords cross the network within TLS; a warning.
    ChannelPlain = "channel-plain",
    /// Authorities that a channel trusts can be read; a warning, for they may come later.
    CertificateUnreadable = "certificate-unreadable",
    /// A certificate that is to be trusted or shown has not expired; a warning.
    CertificateExpired = "certificate-expired",
    /// A channel is named by a route; a warning.
    ChannelIdle = "channel-idle",
    /// A ticket system is one of those that come with the program.
    TicketSystemUnknown = "ticket-system-unknown",
    /// A template of a ticket system can be read.
    TicketTemplateUnreadable = "ticket-template-unreadable",
    /// A place in a ticket system's answer is a JSON pointer.
    TicketPointerIllegal = "ticket-pointer-illegal",
    /// A ticket system's template asks for each setting that is given.
    TicketSettingUnknown = "ticket-setting-unknown",
    /// Tickets can be looked for, or the system itself makes one of one key.
    TicketKeyless = "ticket-keyless",
    /// A route names channels that there are.
    RouteChannelUnknown = "route-channel-unknown",
    /// A route names channels that are told of steps of alarms.
    RouteChannelUnrouted = "route-channel-unrouted",
    /// A route is about severities that there are.
    RouteSeverityUnknown = "route-severity-unknown",
    /// A route says by labels which alarms it is about.
    RouteMatchIllegal = "route-match-illegal",
    /// What alarms are chosen by is had by one, or can be.
    AlarmChoiceNever = "alarm-choice-never",
    /// What alarms are chosen by is had by one of the jobs; a warning.
    AlarmChoiceUnknown = "alarm-choice-unknown",
    /// A ticket is for an alarm or a situation.
    RouteTicketUnknown = "route-ticket-unknown",
    /// What is said of tickets is said to a channel that makes some; a warning.
    RouteTicketNone = "route-ticket-none",

    /// Each person has a name of his or her own.
    PersonTwice = "person-twice",
    /// The name of a person or a roster can be shown.
    PersonNameIllegal = "person-name-illegal",
    /// A person is told by channels that there are.
    PersonChannelUnknown = "person-channel-unknown",
    /// A person's addresses are such, and of channels that tell persons.
    PersonAddressIllegal = "person-address-illegal",
    /// A person's language is one that we speak, or the channel.
    PersonLanguageUnknown = "person-language-unknown",
    /// Somebody can be told some time.
    PersonNeverThere = "person-never-there",
    /// Somebody is named by a route or a roster; a warning.
    PersonIdle = "person-idle",
    /// A time that comes again is one of a day or a week.
    MomentIllegal = "moment-illegal",
    /// Each roster has a name of its own.
    RosterTwice = "roster-twice",
    /// Persons are on duty.
    RosterMemberUnknown = "roster-member-unknown",
    /// Turns end when there is a hand-over.
    RosterTurnIllegal = "roster-turn-illegal",
    /// Days of a roster are such.
    RosterDaysIllegal = "roster-days-illegal",
    /// One person is on duty at a time.
    RosterTwoAtOnce = "roster-two-at-once",

    /// A setting of the command line is a key with a value.
    SettingIllegal = "setting-illegal",
}

impl Rule {
    /// Says whether breaking it stops the daemon.
    pub fn weight(self) -> Weight {
        match self {
            Self::SchedulesEmpty
            | Self::ListenOpen
            | Self::SandboxNone
            | Self::PluginUnknown
            | Self::ZoneIdle
            | Self::WindowOver
            | Self::LabelSecret
            | Self::RowJobUnknown
            | Self::RowSeriesUnknown
            | Self::ObjectiveSeriesUnknown
            | Self::AlarmSeriesUnknown
            | Self::DependsOnUnjudged
            | Self::LibraryNotLoaded
            | Self::ConfigFileUnreadable
            | Self::ChannelPlain
            | Self::CertificateUnreadable
            | Self::CertificateExpired
            | Self::ChannelIdle
            | Self::AlarmChoiceUnknown
            | Self::RouteTicketNone
            | Self::PersonIdle
            | Self::ExpressionNameSeveral
            | Self::SecretPlain => Weight::Warning,
            _ => Weight::Error,
        }
    }

    /// Says whether a secret is out of reach for whoever reads the files, while the daemon may well have it: it is another user's, or has more
    /// in its environment.
    pub fn is_secret_out_of_reach(self) -> bool {
        matches!(self, Self::SecretEnvUnset | Self::SecretCredentialsMissing | Self::SecretFileUnreadable | Self::SecretFileForeign)
    }
}
