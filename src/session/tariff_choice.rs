//! Which tariff a session is billed by.

use std::collections::HashMap;

use super::session::TariffRef;
use crate::rating::Catalogue;
use crate::units::{StationId, Time, Token};

/// The site's tariffs, and for whom they are. A token's own tariff comes first, then the EVSE's, the station's, and the site's.
#[derive(Clone, Debug, Default)]
pub struct TariffChoice {
    catalogue: Catalogue,
    /// Tariff ids.
    default: Option<String>,
    by_station: HashMap<String, StationTariffs>,
    by_token: HashMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct StationTariffs {
    own: Option<String>,
    /// That of EVSE 1 (1.6: connector 1) first; empty: that of the station.
    by_evse: Vec<String>,
}

impl TariffChoice {
    pub fn new(catalogue: Catalogue, default: Option<String>) -> Self {
        Self { catalogue, default, ..Self::default() }
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// `by_evse`: that of EVSE 1 first; where it ends, the station's own counts.
    pub fn set_station(&mut self, station: &StationId, own: Option<String>, by_evse: Vec<String>) {
        self.by_station.insert(station.folded(), StationTariffs { own, by_evse });
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

    /// The id of the tariff that applies. `evse`: 0 while it is not known.
    pub fn id(&self, station: &StationId, evse: u32, token: Option<&Token>) -> Option<&str> {
        let of_token = || token.filter(|_| !self.by_token.is_empty()).and_then(|token| self.by_token.get(&token.folded()));
        let of_station = || self.by_station.get(&station.folded())?.of(evse);
        of_token().or_else(of_station).or(self.default.as_ref()).map(String::as_str)
    }

    /// The version of it that is valid for a session that starts at `at`.
    pub fn choose(&self, station: &StationId, evse: u32, token: Option<&Token>, at: Time) -> Option<TariffRef> {
        self.catalogue.choose(self.id(station, evse, token)?, at).map(TariffRef::of)
    }
}

impl StationTariffs {
    fn of(&self, evse: u32) -> Option<&String> {
        let place = usize::try_from(evse).ok()?.checked_sub(1);
        place.and_then(|place| self.by_evse.get(place)).or(self.own.as_ref())
    }
}
