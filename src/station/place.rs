//! Where a token may charge: at a station, or at one EVSE of it (1.6: connector).

use std::fmt;

use crate::units::StationId;

/// Written `STATION` or `STATION/EVSE`; no identity has a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    station: StationId,
    /// `None`: all of the station.
    evse: Option<u32>,
}

impl Place {
    /// `None`: what stands behind the slash is no number of an EVSE, or nothing stands before it.
    pub fn parse(text: &str) -> Option<Self> {
        let (station, evse) = match text.split_once('/') {
            Some((station, evse)) => (station, Some(evse.parse().ok().filter(|evse| *evse > 0)?)),
            None => (text, None),
        };
        (!station.is_empty()).then(|| Self { station: StationId::new(station), evse })
    }

    pub fn station(&self) -> &StationId {
        &self.station
    }

    pub fn evse(&self) -> Option<u32> {
        self.evse
    }

    /// Whether what happens at that EVSE happens here; while the EVSE is not known (`None`), it may.
    pub(super) fn covers(&self, station: &StationId, evse: Option<u32>) -> bool {
        let is_evse = |ours: u32| evse.is_none_or(|evse| evse == ours);
        self.station.folded() == station.folded() && self.evse.is_none_or(is_evse)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.evse {
            Some(evse) => write!(f, "{}/{evse}", self.station),
            None => self.station.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_as_people_write_them() {
        for (text, covers) in [
            ("CP-1", Some([true, true, true, false])),
            ("cp-1/2", Some([true, false, true, false])),
            ("CP-2/2", Some([false, false, false, true])),
            ("CP-1/0", None),
            ("CP-1/two", None),
            ("CP-1/", None),
            ("/2", None),
            ("CP-1/2/3", None),
        ] {
            let place = Place::parse(text);
            let at = [("CP-1", None), ("CP-1", Some(1)), ("CP-1", Some(2)), ("CP-2", Some(2))];
            let found = place.as_ref().map(|place| at.map(|(station, evse)| place.covers(&StationId::new(station), evse)));
            assert_eq!(found, covers, "{text}");
            assert_eq!(place.map(|place| place.to_string()), covers.map(|_| text.to_owned()));
        }
    }
}
