//! From an ended session to its bill: measured, priced and written down, or the reason to hold it. Pure.
//!
//! ```text
//! Due ─session::metering─▶ Metering ─rating::price─▶ Rated ─charge─▶ ChargeBody      (then store/append.rs: place, signature)
//!      └────────────── Held: a code of session::hold and a detail ────────────┘
//! ```
//! The same facts always give the same bill. Not here: whether another bill of the connector covers the same (`session::overlap`,
//! in the transaction that seals), and the record's place in the chain.

mod charge;
mod correction;
mod country;
mod foreign;
mod signed;

use chrono_tz::Tz;

#[cfg(test)]
pub(crate) use charge::ENGINE;
pub use charge::charge;
pub use correction::{STATED, again, credit};
pub use foreign::{Compared, ForeignError, Verdict, verify};

use crate::rating::{self, Tariff};
use crate::record::Body;
use crate::session::metering::{self, Metering, StationPower};
use crate::session::overlap::Span;
use crate::session::{JournalEntry, Session, hold};
use crate::units::Decimal;

/// An ended session that has no record yet, with all that its bill rests on.
#[derive(Debug)]
pub struct Due {
    pub session: Session,
    pub entries: Vec<JournalEntry>,
    /// Journal row of the last entry.
    pub last_message: Option<i64>,
    /// What of it is not as it was written: a bill must not rest on it.
    pub damaged: Vec<String>,
    pub meter_serial: Option<String>,
    /// The highest power that the station measured so far.
    pub learned_kw: Option<Decimal>,
}

/// Who sells, in what currency, and by which civil time.
#[derive(Clone, Debug)]
pub struct SiteTerms {
    pub id: String,
    pub name: String,
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
    pub party_id: String,
    pub time_zone: Tz,
    /// ISO 4217, and how many digits its minor unit has.
    pub currency: String,
    pub minor_digits: u32,
}

/// What the site knows of the station.
#[derive(Clone, Copy, Debug, Default)]
pub struct StationTerms<'a> {
    pub max_power_kw: Option<Decimal>,
    /// eMI3 ids of its EVSEs, the first one's first.
    pub evse_ids: &'a [String],
}

/// What becomes a record.
#[derive(Debug)]
pub struct Bill {
    pub body: Body,
    pub span: Span,
    /// The most power that the station measured, in kW.
    pub highest_kw: Option<Decimal>,
}

pub use crate::session::hold::Held;

/// `tariff`: the version that the session was locked to, if there is one.
pub fn bill(due: &Due, tariff: Option<&Tariff>, site: &SiteTerms, station: StationTerms<'_>) -> Result<Bill, Held> {
    let metering = measure(due, station)?;
    let Some(tariff) = tariff else { return Err((hold::NO_TARIFF, hold::meaning(hold::NO_TARIFF).to_owned())) };
    priced(due, &metering, tariff, site, station)
}

fn measure(due: &Due, station: StationTerms<'_>) -> Result<Metering, Held> {
    if !due.damaged.is_empty() {
        return Err((hold::EVIDENCE_DAMAGED, format!("altered on the disk: {}", due.damaged.join(", "))));
    }
    let power = StationPower { configured_kw: station.max_power_kw, learned_kw: due.learned_kw };
    metering::meter(&due.session, &due.entries, &power)
}

fn priced(due: &Due, metering: &Metering, tariff: &Tariff, site: &SiteTerms, station: StationTerms<'_>) -> Result<Bill, Held> {
    let rated = rating::price(tariff, &metering.metered, site.time_zone, site.minor_digits)
        .map_err(|error| (hold::RATING_FAILED, error.to_string()))?;
    let (span, highest_kw) = (metering.span(), metering.highest_kw);
    let body = Body::Charge(Box::new(charge(due, metering, &rated, tariff, site, station.evse_ids)));
    Ok(Bill { body, span, highest_kw })
}
