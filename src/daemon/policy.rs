//! What the configuration decides for sessions.

use std::collections::HashMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use ring::digest;

use crate::config::{Config, UnknownTokens};
use crate::rating::{Catalogue, Tariff};
use crate::session::{AuthStatus, Policy, TariffRef};
use crate::units::{Decimal, StationId, Time, Token, TokenKind};

pub struct SitePolicy {
    catalogue: Catalogue,
    default: Option<String>,
    by_station: HashMap<String, String>,
    max_power_kw: HashMap<String, Decimal>,
    unknown_tokens: UnknownTokens,
    heartbeat_s: u32,
    zone: Tz,
}

impl SitePolicy {
    pub fn new(config: &Config, catalogue: Catalogue) -> Self {
        let own = |station: &crate::config::Station| Some((station.id.to_lowercase(), station.tariff.clone()?));
        Self {
            catalogue,
            default: config.tariff.default.clone(),
            by_station: config.stations.iter().filter_map(own).collect(),
            max_power_kw: config
                .stations
                .iter()
                .filter_map(|station| Some((station.id.to_lowercase(), station.max_power_kw?)))
                .collect(),
            unknown_tokens: config.ocpp.unknown_tokens,
            heartbeat_s: config.ocpp.heartbeat_s,
            zone: config.site.time_zone,
        }
    }
}

impl Policy for SitePolicy {
    fn tariff(&self, station: &StationId, at: Time) -> Option<TariffRef> {
        let id = self.by_station.get(&station.as_str().to_lowercase()).or(self.default.as_ref())?;
        self.catalogue.choose(id, at).map(tariff_ref)
    }

    /// There is no token list yet: every token is unknown, and the configuration says what that means. Free vend
    /// (`NoAuthorization`) is always accepted (OCPP 2.0.1 C02.FR.02).
    fn authorize(&self, _station: &StationId, token: &Token) -> AuthStatus {
        match (&token.kind, self.unknown_tokens) {
            (TokenKind::NoAuthorization, _) | (_, UnknownTokens::Accept) => AuthStatus::Accepted,
            (_, UnknownTokens::Reject) => AuthStatus::Unknown,
        }
    }

    fn max_power_kw(&self, station: &StationId) -> Option<Decimal> {
        self.max_power_kw.get(&station.as_str().to_lowercase()).copied()
    }

    fn heartbeat_s(&self) -> u32 {
        self.heartbeat_s
    }

    fn local_date(&self, at: Time) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }
}

/// A tariff version's name in the store: SHA-256 of its text in hex.
pub fn tariff_ref(tariff: &Tariff) -> TariffRef {
    let digest = digest::digest(&digest::SHA256, tariff.source().as_bytes());
    TariffRef(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}
