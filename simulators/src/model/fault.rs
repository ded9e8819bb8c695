//! The classes of faults: their names, what each needs of a world, and one fault with its target.

use fastrand::Rng;

use super::world::Needs;

macro_rules! classes {
    ($($class:ident = $name:literal: $meaning:literal;)+) => {
        /// What may go wrong with a station, its messages or the gateway's clock.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $($class),+ }

        impl Class {
            pub const ALL: &'static [Self] = &[$(Self::$class),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$class => $name),+ }
            }

            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$class => $meaning),+ }
            }
        }
    };
}

classes! {
    StatusesLost = "statuses-lost": "some or all statuses (2.x: state events) of a session are lost";
    StatusStuck = "status-stuck": "after one of them no further status or state arrives; samples do";
    FalseFault = "false-fault": "Faulted, Unavailable or Reserved is said while energy flows, and nothing after it";
    Faulted = "faulted": "the EVSE really is out of order for a part of the session, or to its end";
    SamplesLost = "samples-lost": "samples (MeterValues, Updated) are lost, one by one or in a stretch";
    StopLost = "stop-lost": "StopTransaction or Ended never arrives";
    StartLost = "start-lost": "StartTransaction or Started never arrives";
    OnlySamples = "only-samples": "neither start nor stop arrives";
    RepeatedSame = "repeated-same-id": "messages come again with the same id and text";
    RepeatedNew = "repeated-new-id": "messages come again with a new id";
    Reordered = "reordered": "messages overtake each other within seconds";
    Offline = "offline-queue": "no connection for hours: statuses are lost, the rest comes later, in order";
    DelayedDays = "delayed-days": "all of a session arrives days later, while another one runs on the same EVSE";
    Reboot = "reboot": "the station restarts in mid-session";
    PowerCut = "power-cut": "the station is without power for minutes to hours in mid-session";
    IdReused = "id-reused": "2.x: the next session has the transactionId of one whose Ended was lost";
    FactoryReset = "factory-reset": "2.x: after a reset, a transactionId of an ended session comes again";
    StopNoId = "stop-without-id": "1.6: StopTransaction with -1 or 0";
    StopForeignId = "stop-foreign-id": "1.6: StopTransaction with 9223372036854775807";
    OldId = "old-id": "1.6: stop, samples or both carry the id of an earlier session";
    StartZero = "start-zero": "the register at the start is 0 although the meter counts its lifetime";
    StopZero = "stop-zero": "the register at the stop is 0";
    BothZero = "both-zero": "the registers at start and stop are 0, the samples are right";
    RegisterReset = "register-reset": "the meter begins again at 0 in mid-session";
    RolledOver = "rolled-over": "the register rolls over in mid-session";
    KwhStart = "kwh-start": "the register at the start is in kWh labelled Wh";
    KwhStop = "kwh-stop": "the register at the stop is in kWh labelled Wh";
    KwhAll = "kwh-all": "all registers are in kWh labelled Wh";
    EndsExchanged = "ends-exchanged": "starts and stops of two EVSEs carry each other's registers";
    SamplesOther = "samples-other": "samples carry the register of another EVSE";
    ClockOff = "clock-off": "the station's clock is off by minutes to half a day";
    ClockStepped = "clock-stepped": "the station's clock is set in mid-session, ahead or back";
    Clock1970 = "clock-1970": "the station's clock starts in 1970 and is set later or never";
    StopAhead = "stop-ahead": "the stop alone is stamped hours in the future";
    GatewayClock = "gateway-clock": "the gateway's own clock is behind (1970, or a day and more) and set later";
    TimesMissing = "times-missing": "timestamps are missing in start, stop or samples";
    StopTagMissing = "stop-tag-missing": "the stop names no token";
    StopTagOther = "stop-tag-other": "the stop names another token of the same group";
    ConnectorZero = "connector-zero": "connector 0 in start, samples or both";
    DropOuts = "drop-outs": "samples drop to 0 or jump up for a moment";
    IntervalOnly = "interval-only": "samples have the energy since the last one and no register";
    Restart = "daemon-restart": "the daemon is killed and starts again";
}

impl Class {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.name() == name)
    }

    pub fn needs(self) -> Needs {
        let none = Needs::default();
        match self {
            Self::StopNoId | Self::StopForeignId | Self::ConnectorZero => Needs { v16: true, ..none },
            Self::OldId => Needs { v16: true, successor: true, samples: true, ..none },
            Self::IdReused | Self::FactoryReset => Needs { v2: true, successor: true, ..none },
            Self::DelayedDays => Needs { successor: true, ..none },
            Self::StatusStuck | Self::FalseFault | Self::SamplesLost | Self::OnlySamples => {
                Needs { samples: true, long: true, ..none }
            }
            Self::StartZero | Self::StopZero | Self::BothZero | Self::KwhStart | Self::KwhStop | Self::KwhAll => {
                Needs { samples: true, lifetime: true, ..none }
            }
            Self::RegisterReset | Self::RolledOver => Needs { samples: true, lifetime: true, long: true, ..none },
            Self::EndsExchanged => Needs { samples: true, lifetime: true, two_evses: true, ..none },
            Self::SamplesOther => Needs { samples: true, two_evses: true, ..none },
            Self::DropOuts | Self::IntervalOnly => Needs { samples: true, ..none },
            Self::Reboot | Self::PowerCut | Self::Faulted | Self::ClockStepped => Needs { long: true, ..none },
            _ => none,
        }
    }

    /// Two faults after which nothing that arrives could show the truth: they are not combined.
    pub fn excludes(self, other: Self) -> bool {
        use Class::*;
        const FALSE_ENDS: &[Class] =
            &[StartZero, StopZero, BothZero, RegisterReset, RolledOver, KwhStart, KwhStop, KwhAll, EndsExchanged];
        const NO_SAMPLES: &[Class] = &[SamplesLost, SamplesOther, IntervalOnly, DropOuts];
        const V16: &[Class] = &[StopNoId, StopForeignId, ConnectorZero, OldId];
        const V2: &[Class] = &[IdReused, FactoryReset];
        let between = |ones: &[Class], others: &[Class]| {
            (ones.contains(&self) && others.contains(&other)) || (ones.contains(&other) && others.contains(&self))
        };
        self == other
            || between(FALSE_ENDS, NO_SAMPLES)
            || between(FALSE_ENDS, FALSE_ENDS)
            || between(NO_SAMPLES, NO_SAMPLES)
            || between(V16, V2)
    }
}

/// One fault of a case.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub class: Class,
    /// Chooses the session it hits.
    pub target: usize,
    pub seed: u64,
}

impl Fault {
    pub fn rng(&self) -> Rng {
        Rng::with_seed(self.seed)
    }
}

impl Needs {
    pub fn and(self, other: Self) -> Self {
        Self {
            v16: self.v16 || other.v16,
            v2: self.v2 || other.v2,
            samples: self.samples || other.samples,
            lifetime: self.lifetime || other.lifetime,
            two_evses: self.two_evses || other.two_evses,
            successor: self.successor || other.successor,
            long: self.long || other.long,
        }
    }
}
