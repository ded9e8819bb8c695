//! Taking a charge back, and charging its session again. Pure.
//!
//! OCPI knows no partial credit (ocpi/ocpi issue 399): a credit takes back the whole, and a new charge says what is right. The credit
//! has every line of its charge with the signs turned; in its CDR only `total_cost` is negative (OCPI 2.2.1 cdrs, credit CDRs).

use super::{Bill, Due, Held, SiteTerms, StationTerms, measure, priced};
use crate::rating::{Metered, Tariff};
use crate::record::{BillLine, Body, ChargeBody, Corrects, Quoted};
use crate::session::hold;
use crate::session::metering::Metering;
use crate::units::{Finding, MilliWh};

/// What `meter.source` says when a person stated the energy.
pub const STATED: &str = "person";

/// The credit of a charge.
pub fn credit(charge: &ChargeBody, corrects: Corrects) -> Body {
    let mut credit = charge.clone();
    credit.cdr.credit = Some(true);
    credit.cdr.credit_reference_id = Some(corrects.record_id.clone());
    credit.cdr.total_cost = credit.cdr.total_cost.negated();
    credit.lines.iter_mut().for_each(negate);
    credit.corrects = Some(corrects);
    Body::Credit(Box::new(credit))
}

fn negate(line: &mut BillLine) {
    for number in [
        &mut line.measured,
        &mut line.quantity,
        &mut line.exact_excl_vat,
        &mut line.amount_excl_vat,
        &mut line.vat,
        &mut line.amount_incl_vat,
    ] {
        *number = Quoted(-number.0);
    }
}

/// The charge of a session that was charged before: from all that is known of it now, at this tariff, with this energy when a person
/// states it.
pub fn again(
    due: &Due,
    tariff: &Tariff,
    site: &SiteTerms,
    station: StationTerms<'_>,
    energy: Option<MilliWh>,
    corrects: Corrects,
) -> Result<Bill, Held> {
    let mut metering = measure(due, station)?;
    if let Some(energy) = energy {
        metering = with_energy(metering, energy)?;
    }
    let mut bill = priced(due, &metering, tariff, site, station)?;
    if let Body::Charge(charge) = &mut bill.body {
        charge.corrects = Some(corrects);
    }
    Ok(bill)
}

/// The same course of the session, with another sum.
fn with_energy(metering: Metering, energy: MilliWh) -> Result<Metering, Held> {
    let Metering { metered, mut findings, .. } = metering;
    let (first, measured) = (metered.first_register(), metered.energy());
    let stated = i128::from(energy.0.clamp(0, MilliWh::MAX_REGISTER.0));
    // `part` is at most `whole`, so the result is at most what was stated.
    let share = |part: i64, whole: i64| {
        let share = stated * i128::from(part) / i128::from(whole.max(1));
        first + MilliWh(i64::try_from(share).unwrap_or_default())
    };
    let (start, length) = (metered.start(), metered.duration_ms());
    let mut registers: Vec<_> = metered.registers().to_vec();
    for (at, register) in &mut registers {
        *register = match measured.0 {
            // Nothing was measured: evenly over the session.
            0 => share((*at - start).num_milliseconds(), length),
            measured => share((*register - first).0, measured),
        };
    }
    if let Some((_, last)) = registers.last_mut() {
        *last = share(1, 1);
    }
    findings
        .push(Finding::new("energy-stated", format!("a person stated {} Wh; {} Wh were measured", energy.wh(), measured.wh())));
    let metered = Metered::new(start, metered.end(), registers, metered.activity().to_vec(), metered.loads().to_vec())
        .map_err(|error| (hold::RATING_FAILED, error.to_string()))?;
    Ok(Metering { metered, findings, source: STATED, ..metering })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::examples::{example, key, place, rated, seal};

    #[test]
    fn a_credit_negates_lines_and_only_the_total_of_the_cdr() {
        let charge = example().charge(&rated());
        let original = seal(1, 1, None);
        let header = &original.payload.header;
        let corrects = Corrects {
            record_id: header.record_id.clone(),
            epoch: header.epoch,
            seq: header.seq,
            hash: original.hash,
            reason: "wrong tariff".to_owned(),
            operator: "anna".to_owned(),
        };
        // Sealing checks its arithmetic.
        let sealed = credit(&charge, corrects.clone()).seal(&place(1, 2, Some(original.hash)), &key()).expect("sealed");
        let credit = sealed.payload.bill().expect("a credit");
        assert_eq!((sealed.payload.header.kind.as_str(), sealed.payload.charge().is_none()), ("credit", true));
        assert_eq!((credit.cdr.credit, credit.cdr.credit_reference_id.as_deref()), (Some(true), Some(header.record_id.as_str())));
        assert_eq!(credit.cdr.id, sealed.payload.header.record_id);
        assert_eq!(credit.cdr.total_cost, charge.cdr.total_cost.negated());
        assert_eq!(credit.cdr.total_energy_cost, charge.cdr.total_energy_cost);
        assert_eq!(credit.cdr.total_energy, charge.cdr.total_energy);
        assert!(credit.lines.iter().all(|line| line.amount_incl_vat.0.is_sign_negative()));
        assert_eq!(credit.corrects, Some(corrects));
        // A charge that says it is a credit is refused.
        let mut odd = charge;
        odd.cdr.credit = Some(true);
        assert!(Body::Charge(Box::new(odd)).seal(&place(1, 2, Some(original.hash)), &key()).is_err());
    }
}
