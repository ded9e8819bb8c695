//! An OCPI Tariff as the rating engine sees it.
//!
//! A tariff is a list of elements in order of precedence; an element is a list of price components that count while all of its
//! restrictions hold. Only [`Tariff::parse`] makes one, so whatever holds a `Tariff` holds a checked one. The JSON text it came
//! from is kept byte for byte, without the white space around it, for the record and its hash. (OCPI 2.2.1 bugfix edition, tariffs: Tariff, TariffElement,
//! PriceComponent, TariffRestrictions.)

use chrono::{NaiveDate, NaiveTime, Weekday};
use serde_json::value::RawValue;

use super::rated::Dimension;
use crate::units::{Decimal, MicroA, MilliW, MilliWh, Time};

/// A checked tariff.
#[derive(Clone, Debug)]
pub struct Tariff {
    /// OCPI CiString(36): compared without regard to case.
    pub id: String,
    /// Whose it is; `None`: the file does not say (OCPI 2.1.1).
    pub country_code: Option<String>,
    pub party_id: Option<String>,
    /// ISO 4217, upper case.
    pub currency: String,
    /// For whom it is; `None` = for any session.
    pub kind: Option<TariffType>,
    /// Whether its prices include tax.
    pub taxes: Taxes,
    /// `start_date_time`, inclusive.
    pub valid_from: Option<Time>,
    /// `end_date_time`, exclusive.
    pub valid_until: Option<Time>,
    pub min_price: Option<PriceBound>,
    pub max_price: Option<PriceBound>,
    /// Never empty.
    pub elements: Vec<Element>,
    /// The JSON text that it came from, without the white space around it.
    pub(super) source: Box<RawValue>,
    /// OCPI's required members that rating does not need and the file lacks.
    pub(super) lacking: Vec<&'static str>,
}

/// OCPI 2.2.1 TariffType.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TariffType {
    AdHocPayment,
    ProfileCheap,
    ProfileFast,
    ProfileGreen,
    Regular,
}

/// OCPI 2.3.0 `tax_included`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taxes {
    /// OCPI 2.1.1 and 2.2.1: prices are excl. VAT.
    #[default]
    Unstated,
    Excluded,
    Included,
    /// No taxes apply.
    NotApplicable,
}

/// A limit to a session's cost; both bounds hold, each for its own total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceBound {
    pub excl_vat: Decimal,
    /// Never below `excl_vat`.
    pub incl_vat: Option<Decimal>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Never empty.
    pub price_components: Vec<PriceComponent>,
    pub restrictions: Restrictions,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PriceComponent {
    pub dimension: Dimension,
    /// Per kWh, hour or session; excl. VAT unless the tariff's prices include it.
    pub price: Decimal,
    /// Percent, 0 to 100; `None` = no VAT applies, which is not the same as 0 %.
    pub vat: Option<Decimal>,
    /// Wh for ENERGY, seconds for TIME and PARKING_TIME; 0 = billed as measured. FLAT has no use for it.
    pub step_size: u32,
}

/// When an element counts: all that are given must hold. Civil times and dates are those of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Restrictions {
    /// Inclusive.
    pub start_time: Option<NaiveTime>,
    /// Exclusive; 00:00 = end of the day; before `start_time` = the next morning.
    pub end_time: Option<NaiveTime>,
    /// Inclusive.
    pub start_date: Option<NaiveDate>,
    /// Exclusive.
    pub end_date: Option<NaiveDate>,
    /// Energy since the start of the session, inclusive.
    pub min_kwh: Option<MilliWh>,
    /// Exclusive.
    pub max_kwh: Option<MilliWh>,
    /// Momentary current, sum of the phases, inclusive.
    pub min_current: Option<MicroA>,
    /// Exclusive.
    pub max_current: Option<MicroA>,
    /// Momentary power, inclusive.
    pub min_power: Option<MilliW>,
    /// Exclusive.
    pub max_power: Option<MilliW>,
    /// Seconds since the start of the session, inclusive.
    pub min_duration: Option<u32>,
    /// Exclusive.
    pub max_duration: Option<u32>,
    /// `Some` of an empty list restricts nothing, but is worth a remark.
    pub day_of_week: Option<Vec<Weekday>>,
    /// Such an element prices a reservation and never a charging session.
    pub reservation: Option<Reservation>,
}

/// OCPI 2.2.1 ReservationRestrictionType.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reservation {
    Reservation,
    ReservationExpires,
}

/// 1 MiB.
pub(super) const MAX_TARIFF_BYTES: usize = 1 << 20;

/// Why a text is not a tariff that can be billed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TariffError {
    #[error("not a JSON text: {0}")]
    Json(String),
    #[error("the tariff has {0} bytes; allowed: at most {max}", max = MAX_TARIFF_BYTES)]
    TooLong(usize),
    /// `path` as in `elements[2].restrictions.min_kwh`.
    #[error("{path}: {problem}; allowed: {allowed}")]
    Member { path: String, problem: String, allowed: String },
}

impl TariffError {
    /// The line of the file that it is about, from 1.
    pub fn line(&self, file: &str) -> Option<usize> {
        match self {
            Self::Member { path, .. } => Tariff::line_of(file, path),
            _ => None,
        }
    }
}

impl Tariff {
    /// The JSON text this tariff was read from, byte for byte.
    pub fn source(&self) -> &str {
        self.source.get()
    }

    /// The same, to be embedded in other JSON.
    pub fn json(&self) -> &RawValue {
        &self.source
    }

    /// Whether a session that starts at `at` may be billed by this tariff.
    pub fn valid_at(&self, at: Time) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_until.is_none_or(|until| at < until)
    }

    pub fn component(&self, element: usize, component: usize) -> Option<&PriceComponent> {
        self.elements.get(element)?.price_components.get(component)
    }

    pub(super) fn components(&self) -> impl Iterator<Item = &PriceComponent> {
        self.elements.iter().flat_map(|element| &element.price_components)
    }

    pub(super) fn restrictions(&self) -> impl Iterator<Item = &Restrictions> {
        self.elements.iter().map(|element| &element.restrictions)
    }
}

impl TariffType {
    pub const ALL: [Self; 5] = [Self::AdHocPayment, Self::ProfileCheap, Self::ProfileFast, Self::ProfileGreen, Self::Regular];

    /// The OCPI spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdHocPayment => "AD_HOC_PAYMENT",
            Self::ProfileCheap => "PROFILE_CHEAP",
            Self::ProfileFast => "PROFILE_FAST",
            Self::ProfileGreen => "PROFILE_GREEN",
            Self::Regular => "REGULAR",
        }
    }
}

impl Taxes {
    /// Those that have a name.
    pub const ALL: [Self; 3] = [Self::Included, Self::Excluded, Self::NotApplicable];

    /// The OCPI spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unstated => "",
            Self::Excluded => "NO",
            Self::Included => "YES",
            Self::NotApplicable => "N/A",
        }
    }
}

impl Reservation {
    pub const ALL: [Self; 2] = [Self::Reservation, Self::ReservationExpires];

    /// The OCPI spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reservation => "RESERVATION",
            Self::ReservationExpires => "RESERVATION_EXPIRES",
        }
    }
}
