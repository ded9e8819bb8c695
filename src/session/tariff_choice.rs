//! Which tariff a session is billed by.

use std::collections::HashMap;

use super::session::TariffRef;
use crate::rating::Catalogue;
use crate::units::{StationId, Time};

/// The site's tariffs, and for whom they are. A token's own tariff comes first, then the EVSE's, the station's, and the site's.
#[derive(Clone, Debug, Default)]
pub struct TariffChoice {
    catalogue: Catalogue,
    /// Tariff ids.
    default: Option<String>,
    by_station: HashMap<String, StationTariffs>,
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

    /// The id of the tariff that applies. `evse`: 0 while it is not known; `of_token`: that of the token, where the list names one.
    pub fn id<'a>(&'a self, station: &StationId, evse: u32, of_token: Option<&'a str>) -> Option<&'a str> {
        let of_station = || self.by_station.get(&station.folded())?.of(evse);
        of_token.or_else(|| of_station().or(self.default.as_ref()).map(String::as_str))
    }

    /// The version of a tariff that is valid for a session that starts at `at`.
    pub fn version(&self, id: &str, at: Time) -> Option<TariffRef> {
        self.catalogue.choose(id, at).map(TariffRef::of)
    }
}

impl StationTariffs {
    fn of(&self, evse: u32) -> Option<&String> {
        let place = usize::try_from(evse).ok()?.checked_sub(1);
        place.and_then(|place| self.by_evse.get(place)).or(self.own.as_ref())
    }
}
