//! Severities by their names; kinds of trouble and their causes, by their registered names and numbers.
//!
//! Source: IANA-ITU-ALARM-TC-MIB, "IANAItuEventType" and "IANAItuProbableCause"; the misspelt names are the registered ones.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

/// Severities with their names, as labels and JSON have them, the mildest first.
pub const SEVERITIES: [(&str, Severity); 5] = [
    ("indeterminate", Severity::Indeterminate),
    ("warning", Severity::Warning),
    ("minor", Severity::Minor),
    ("major", Severity::Major),
    ("critical", Severity::Critical),
];

/// A severity's name.
pub fn severity_name(severity: Severity) -> &'static str {
    SEVERITIES.iter().find(|(_, known)| *known == severity).map_or("indeterminate", |(name, _)| name)
}

/// The severity of that name.
pub fn severity_named(name: &str) -> Option<Severity> {
    SEVERITIES.iter().find(|(known, _)| *known == name).map(|(_, severity)| *severity)
}

/// Makes an enum of registered names and numbers.
macro_rules! registered {
    ($(#[doc = $doc:literal])+ $type:ident { $($(#[doc = $what:literal])+ $variant:ident = $name:literal $number:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $type {
            $($(#[doc = $what])+ #[serde(rename = $name)] $variant,)+
        }

        impl $type {
            /// All that are known.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The registered name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The registered number.
            pub fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The one of that name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }
    };
}

registered! {
    /// What kind of trouble an alarm is about (X.733, "event type").
    EventType {
        /// Something does not get from here to there.
        Communications = "communicationsAlarm" 2,
        /// A service is worse than it should be.
        QualityOfService = "qualityOfServiceAlarm" 3,
        /// Software or its processing failed.
        ProcessingError = "processingErrorAlarm" 4,
        /// A device failed.
        Equipment = "equipmentAlarm" 5,
        /// The place where devices are.
        Environmental = "environmentalAlarm" 6,
        /// Something was changed that should not have been.
        Integrity = "integrityViolation" 7,
        /// A service cannot be had, or is used wrongly.
        Operational = "operationalViolation" 8,
        /// Somebody got at a device.
        Physical = "physicalViolation" 9,
        /// An attack, or what looks like one.
        Security = "securityServiceOrMechanismViolation" 10,
        /// Something happened at the wrong time.
        TimeDomain = "timeDomainViolation" 11,
    }
}

registered! {
    /// What probably is the reason (X.733, "probable cause").
    ProbableCause {
        /// No connection comes about.
        ConnectionEstablishment = "connectionEstablishmentError" 22,
        /// Something stored is damaged.
        CorruptData = "corruptData" 153,
        /// A disk is full, or will be.
        StorageCapacity = "storageCapacityProblem" 151,
        /// An application is at fault.
        ApplicationSubsystem = "applicationSubsystemFailure" 158,
        /// A time was up.
        TimeoutExpired = "timeoutExpired" 164,
        /// Versions do not go together.
        VersionMismatch = "versionMismatch" 166,
        /// More comes than goes.
        Congestion = "congestion" 202,
        /// Too many errors.
        ExcessiveErrorRate = "excessiveErrorRate" 203,
        /// The network or what speaks on it is at fault.
        CommunicationsSubsystem = "communicationsSubsystemFailure" 505,
        /// A setting is wrong.
        Configuration = "configurationOrCustomizationError" 506,
        /// Slower or less than it was.
        PerformanceDegraded = "performanceDegraded" 532,
        /// Too much waits.
        QueueSizeExceeded = "queueSizeExceeded" 537,
        /// An answer took too long.
        ResponseTime = "responseTimeExecessive" 542,
        /// A program died.
        SoftwareTerminated = "softwareProgramAbnormallyTerminated" 545,
        /// A bound was crossed, and no more is known.
        ThresholdCrossed = "thresholdCrossed" 549,
        /// What it stands on is not there.
        ResourceUnavailable = "underlyingResourceUnavailable" 554,
        /// Somebody was not let in.
        Authentication = "authenticationFailure" 600,
        /// Something came too late.
        DelayedInformation = "delayedInformation" 603,
        /// A service is kept from serving.
        DenialOfService = "denialOfService" 604,
        /// Something did not come.
        InformationMissing = "informationMissing" 606,
        /// A key or a certificate is too old.
        KeyExpired = "keyExpired" 609,
        /// It does not serve.
        OutOfService = "outOfService" 612,
    }
}
