//! The policy as the configuration and the tariff files give it.

use crate::config::Config;
use crate::rating::Catalogue;
use crate::session::TariffChoice;
use crate::station::{Onboarding, Policy, UnknownTokens};
use crate::units::StationId;

pub fn of(config: &Config, catalogue: Catalogue) -> Policy {
    let mut tariffs = TariffChoice::new(catalogue, config.tariff.default.clone());
    for station in &config.stations {
        if let Some(tariff) = &station.tariff {
            tariffs.set_station(&StationId::new(&station.id), tariff.clone());
        }
    }
    let unknown = UnknownTokens::from(config.ocpp.unknown_tokens);
    let mut policy = Policy::new(unknown, tariffs, config.site.time_zone, config.ocpp.heartbeat_s);
    policy.onboarding = config.ocpp.onboarding.then_some(Onboarding { meter_interval_s: config.ocpp.meter_interval_s });
    for station in &config.stations {
        if let Some(kw) = station.max_power_kw {
            policy.set_max_power(&StationId::new(&station.id), kw);
        }
    }
    policy
}
