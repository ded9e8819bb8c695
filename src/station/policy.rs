//! What the configuration decides: who may charge, at which tariff, how stations are told to behave.

use std::collections::{HashMap, HashSet};

use chrono_tz::Tz;

use super::authorization::UnknownTokens;
use crate::fact::Registration;
use crate::session::TariffChoice;
use crate::units::{Decimal, StationId};

#[derive(Clone, Debug)]
pub struct Policy {
    /// What a token gets that is not on the list. The list itself is in the store.
    pub unknown_tokens: UnknownTokens,
    pub tariffs: TariffChoice,
    /// What a station gets that is not in the configuration.
    pub unknown_stations: Registration,
    /// The site's; sessions are named by its days.
    pub time_zone: Tz,
    pub heartbeat_s: u32,
    /// Between the BootNotifications of a station that is not accepted.
    pub boot_retry_s: u32,
    /// `None`: nothing of ours is sent to stations unasked.
    pub onboarding: Option<Onboarding>,
    configured: HashSet<String>,
    max_power_kw: HashMap<String, Decimal>,
}

/// How stations are told to measure.
#[derive(Clone, Copy, Debug)]
pub struct Onboarding {
    /// Between samples while a vehicle charges.
    pub meter_interval_s: u32,
}

impl Policy {
    pub fn new(unknown_tokens: UnknownTokens, tariffs: TariffChoice, time_zone: Tz, heartbeat_s: u32) -> Self {
        Self {
            unknown_tokens,
            tariffs,
            unknown_stations: Registration::Accepted,
            time_zone,
            heartbeat_s,
            boot_retry_s: 60,
            onboarding: None,
            configured: HashSet::new(),
            max_power_kw: HashMap::new(),
        }
    }

    pub fn add_configured(&mut self, station: &StationId) {
        self.configured.insert(station.folded());
    }

    /// What the configuration says of a station.
    pub fn registration(&self, station: &StationId) -> Registration {
        match self.unknown_stations {
            Registration::Accepted => Registration::Accepted,
            _ if self.configured.contains(&station.folded()) => Registration::Accepted,
            unknown => unknown,
        }
    }

    pub fn set_max_power(&mut self, station: &StationId, kw: Decimal) {
        self.max_power_kw.insert(station.folded(), kw);
    }

    /// The most that the station can deliver, where the configuration says so.
    pub fn max_power_kw(&self, station: &StationId) -> Option<Decimal> {
        self.max_power_kw.get(&station.folded()).copied()
    }
}
