//! Which tariff a session is billed by.

use std::collections::HashMap;

use super::session::TariffRef;
use crate::rating::Catalogue;
use crate::units::{StationId, Time, Token};

/// The site's tariffs, and for whom they are. A token's own tariff comes first, then the station's, then the site's.
#[derive(Clone, Debug, Default)]
pub struct TariffChoice {
    catalogue: Catalogue,
    /// Tariff ids.
    default: Option<String>,
    by_station: HashMap<String, String>,
    by_token: HashMap<String, String>,
}

impl TariffChoice {
    pub fn new(catalogue: Catalogue, default: Option<String>) -> Self {
        Self { catalogue, default, ..Self::default() }
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub fn set_station(&mut self, station: &StationId, tariff: String) {
        self.by_station.insert(station.as_str().to_lowercase(), tariff);
    }

    /// `None`: it has no tariff of its own.
    pub fn set_token(&mut self, token: &Token, tariff: Option<String>) {
        match tariff {
            Some(tariff) => drop(self.by_token.insert(token.folded(), tariff)),
            None => drop(self.by_token.remove(&token.folded())),
        }
    }

    pub fn clear_tokens(&mut self) {
        self.by_token.clear();
    }

    /// Other tariffs and stations, the same tokens.
    pub fn replace(&mut self, other: Self) {
        *self = Self { by_token: std::mem::take(&mut self.by_token), ..other };
    }

    /// The id of the tariff that applies. All EVSEs of a station have one.
    pub fn id(&self, station: &StationId, token: Option<&Token>) -> Option<&str> {
        let own = || token.filter(|_| !self.by_token.is_empty()).and_then(|token| self.by_token.get(&token.folded()));
        own().or_else(|| self.by_station.get(&station.as_str().to_lowercase())).or(self.default.as_ref()).map(String::as_str)
    }

    /// The version of it that is valid for a session that starts at `at`.
    pub fn choose(&self, station: &StationId, token: Option<&Token>, at: Time) -> Option<TariffRef> {
        self.catalogue.choose(self.id(station, token)?, at).map(TariffRef::of)
    }
}
