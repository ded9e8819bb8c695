//! The outcome of rating: charging periods, bill lines, totals. All amounts are exact decimals in the tariff's currency.

use crate::units::{Decimal, Finding, MilliWh, Time};

/// A session, priced.
#[derive(Clone, Debug, PartialEq)]
pub struct Rated {
    /// ISO 4217.
    pub currency: String,
    /// Name of the rounding policy, written into the record.
    pub rounding: &'static str,
    /// Gap-free and ordered: each starts where the one before ends; no component changes inside one.
    pub periods: Vec<Period>,
    /// The bill. Sums of the lines are the totals, to the last digit.
    pub lines: Vec<Line>,
    pub totals: Totals,
    pub findings: Vec<Finding>,
}

/// A stretch of a session in which nothing that the tariff looks at changes (OCPI 2.2.1 CDR ChargingPeriod).
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    pub start: Time,
    pub end: Time,
    pub energy: MilliWh,
    /// What the vehicle did throughout.
    pub activity: Activity,
    /// Why a boundary lies at `start`: `start`, `sample`, `state`, `time-of-day`, `date`, `midnight`, `energy`, `duration`, `power`, `current`.
    pub boundary: &'static str,
    /// The register value at one end was interpolated between two samples.
    pub interpolated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Energy flows or may flow: priced as TIME.
    Charging,
    /// The vehicle requests no power: priced as PARKING_TIME (OCPI 2.2.1 tariffs, TariffDimensionType).
    Idle,
    /// The station offers no power: free of charge (rating policy; OCPI leaves it open).
    Paused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Flat,
    Energy,
    Time,
    ParkingTime,
}

impl Dimension {
    /// OCPI 2.2.1 TariffDimensionType.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "FLAT",
            Self::Energy => "ENERGY",
            Self::Time => "TIME",
            Self::ParkingTime => "PARKING_TIME",
        }
    }

    /// Unit of a line's quantities and of its unit price.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Flat => "session",
            Self::Energy => "kWh",
            Self::Time | Self::ParkingTime => "h",
        }
    }
}

/// One line of the bill: one price component of the tariff, or the adjustment to a price limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub source: LineSource,
    /// First and last instant at which the component applied.
    pub start: Time,
    pub end: Time,
    /// What was metered, and what is billed after step_size; in the dimension's unit. Hours are rounded to 6 decimals for
    /// show only: amounts come from milliseconds.
    pub measured: Decimal,
    pub billed: Decimal,
    /// Per unit, excl. VAT.
    pub unit_price: Decimal,
    /// Percent; `None` = no VAT applies.
    pub vat_percent: Option<Decimal>,
    /// Before rounding, excl. VAT (at most 12 decimals kept).
    pub exact: Decimal,
    pub amount_excl_vat: Decimal,
    pub vat: Decimal,
    pub amount_incl_vat: Decimal,
    /// Why this component applied, in words a driver understands.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineSource {
    /// Indices from 0 into the tariff's `elements` and the element's `price_components`.
    Component { dimension: Dimension, element: usize, component: usize },
    /// Raises the total to min_price or lowers it to max_price.
    PriceLimit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    pub excl_vat: Decimal,
    pub incl_vat: Decimal,
}

/// Sums over the lines. A dimension that no line prices is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    pub cost: Price,
    pub fixed: Option<Price>,
    pub energy: Option<Price>,
    pub time: Option<Price>,
    pub parking: Option<Price>,
    pub energy_delivered: MilliWh,
    /// Whole session, and the idle part of it.
    pub duration_ms: i64,
    pub idle_ms: i64,
}
