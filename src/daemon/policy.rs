//! The policy as the configuration and the tariff files give it.

use crate::config::{Config, UnknownStations};
use crate::fact::Registration;
use crate::rating::Catalogue;
use crate::session::TariffChoice;
use crate::station::{Onboarding, Policy, UnknownTokens};
use crate::units::StationId;

pub fn of(config: &Config, catalogue: Catalogue) -> Policy {
    let mut tariffs = TariffChoice::new(catalogue, config.tariff.default.clone());
    for station in &config.stations {
        tariffs.set_station(&StationId::new(&station.id), station.tariff.clone(), station.evse_tariffs.clone());
    }
    let unknown = UnknownTokens::from(config.ocpp.unknown_tokens);
    let mut policy = Policy::new(unknown, tariffs, config.site.time_zone, config.ocpp.heartbeat_s);
    policy.onboarding = config.ocpp.onboarding.then_some(Onboarding { meter_interval_s: config.ocpp.meter_interval_s });
    policy.unknown_stations = match config.ocpp.unknown_stations {
        UnknownStations::Accept => Registration::Accepted,
        UnknownStations::Inbox => Registration::Pending,
        // It is turned away before it says anything, unless a person has adopted it.
        UnknownStations::Reject => Registration::Rejected,
    };
    policy.boot_retry_s = config.ocpp.boot_retry_s;
    for station in &config.stations {
        policy.add_configured(&StationId::new(&station.id));
        if let Some(kw) = station.max_power_kw {
            policy.set_max_power(&StationId::new(&station.id), kw);
        }
    }
    policy
}
