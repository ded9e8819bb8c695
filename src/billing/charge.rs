//! The body of a charge, from what was metered and priced.

use super::{Due, SiteTerms, country, signed};
use crate::rating::{Activity, Dimension, Line, LineSource, Period, Rated, Tariff};
use crate::record::{
    BillLine, Cdr, CdrLocation, CdrToken, ChargeBody, ChargingPeriod, LinePeriod, Meter, NOT_AVAILABLE, Number, PRICE_LIMIT,
    PeriodDimension, Quoted, Rating, SessionFacts, SignedEntry, Stamp, hours, tariff_hash,
};
use crate::session::Session;
use crate::session::metering::Metering;
use crate::units::{Finding, MilliWh, Time, Token};

/// Named in every priced record, so that a price can be traced to the code that made it.
pub(crate) const ENGINE: &str = concat!("forecourt ", env!("CARGO_PKG_VERSION"));

/// OCPI 2.2.1 cdrs, AuthMethod: judged here, nobody was asked.
const AUTH_METHOD: &str = "WHITELIST";

/// Nothing checks signed meter values yet.
const NOT_CHECKED: &str = "not-checked";

/// What the parts of a charge are made of.
struct Facts<'a> {
    due: &'a Due,
    session: &'a Session,
    metering: &'a Metering,
    rated: &'a Rated,
    tariff: &'a Tariff,
    site: &'a SiteTerms,
    /// OCPI's technical name of the EVSE, and its eMI3 id when the configuration gives one.
    evse_uid: String,
    evse_id: String,
}

/// The charge of one ended and priced session. `evse_ids`: eMI3 ids of the station's EVSEs, the first one's first.
pub fn charge(
    due: &Due,
    metering: &Metering,
    rated: &Rated,
    tariff: &Tariff,
    site: &SiteTerms,
    evse_ids: &[String],
) -> ChargeBody {
    let session = &due.session;
    let evse_uid = format!("{}-{}", session.station, session.evse);
    let place = usize::try_from(session.evse).ok().and_then(|evse| evse.checked_sub(1));
    let evse_id = place.and_then(|place| evse_ids.get(place)).unwrap_or(&evse_uid).clone();
    let facts = Facts { due, session, metering, rated, tariff, site, evse_uid, evse_id };
    let mut findings = [&session.findings[..], &metering.findings, &rated.findings].concat();
    if rated.currency != site.currency {
        let text = format!("priced in {}, the site's currency is {}", rated.currency, site.currency);
        findings.push(Finding::new("currency-differs", text));
    }
    ChargeBody {
        cdr: facts.cdr(&mut findings),
        session: facts.session(),
        lines: rated.lines.iter().map(bill_line).collect(),
        meter: facts.meter(),
        findings,
        rating: Rating {
            policy: rated.rounding.to_owned(),
            engine: ENGINE.to_owned(),
            time_zone: site.time_zone.name().to_owned(),
            tariff_id: tariff.id.clone(),
            tariff_sha256: tariff_hash(tariff.source()),
        },
        corrects: None,
    }
}

impl Facts<'_> {
    fn cdr(&self, findings: &mut Vec<Finding>) -> Cdr {
        let Self { session, metering, rated, tariff, site, .. } = self;
        let metered = &metering.metered;
        let cdr = Cdr {
            country_code: site.country_code.clone(),
            party_id: site.party_id.clone(),
            id: String::new(),
            start_date_time: Stamp(metered.start()),
            end_date_time: Stamp(metered.end()),
            session_id: Some(session.id.to_string()),
            cdr_token: cdr_token(session.token.as_ref(), site),
            auth_method: AUTH_METHOD.to_owned(),
            cdr_location: self.location(),
            meter_id: self.due.meter_serial.clone(),
            currency: rated.currency.clone(),
            tariffs: vec![tariff.json().to_owned()],
            charging_periods: charging_periods(&rated.periods, metered.start(), &tariff.id),
            signed_data: signed::to_ocpi(&metering.signed, findings),
            total_cost: rated.totals.cost.into(),
            total_fixed_cost: rated.totals.fixed.map(Into::into),
            total_energy: Number(rated.totals.energy_delivered.kwh()),
            total_energy_cost: rated.totals.energy.map(Into::into),
            total_time: Number(hours(rated.totals.duration_ms)),
            total_time_cost: rated.totals.time.map(Into::into),
            total_parking_time: Some(Number(hours(rated.totals.idle_ms))),
            total_parking_cost: rated.totals.parking.map(Into::into),
            credit: None,
            credit_reference_id: None,
            last_updated: Stamp(metered.end()),
        };
        note_lengths(&cdr, findings);
        cdr
    }

    fn location(&self) -> CdrLocation {
        let site = self.site;
        CdrLocation {
            id: site.id.clone(),
            name: Some(site.name.clone()).filter(|name| !name.is_empty()),
            address: NOT_AVAILABLE.to_owned(),
            city: NOT_AVAILABLE.to_owned(),
            country: country::alpha3(&site.country_code).unwrap_or(NOT_AVAILABLE).to_owned(),
            evse_uid: self.evse_uid.clone(),
            evse_id: self.evse_id.clone(),
            connector_id: self.session.connector_number().to_string(),
        }
    }

    fn session(&self) -> SessionFacts {
        let Self { session, metering, .. } = self;
        SessionFacts {
            session_id: session.id.to_string(),
            ocpp_version: session.version.number().to_owned(),
            transaction_id: session.tx.to_string(),
            station: session.station.to_string(),
            evse: session.evse,
            connector: session.connector_number(),
            evse_uid: self.evse_uid.clone(),
            evse_id: self.evse_id.clone(),
            token_class: session.token.as_ref().map(|token| token.kind.as_str().to_owned()),
            token_masked: session.token.as_ref().map(Token::masked),
            auth_method: AUTH_METHOD.to_owned(),
            contract: None,
            payment_method: if session.token.is_some() { "token" } else { "none" }.to_owned(),
            started_at: Stamp(metering.metered.start()),
            ended_at: Stamp(metering.metered.end()),
            stop_reason: session.stop_reason.clone(),
        }
    }

    fn meter(&self) -> Meter {
        let metering = self.metering;
        let (first, last) = (metering.metered.first_register().wh(), metering.metered.last_register().wh());
        let signed = metering.signed.iter().map(|reading| SignedEntry {
            nature: signed::nature(&reading.context).to_owned(),
            at: Stamp(reading.at),
            encoding: signed::encoding(&reading.data),
            data: reading.data.clone(),
            verdict: NOT_CHECKED.to_owned(),
        });
        Meter {
            serial: self.due.meter_serial.clone(),
            start_register_wh: Quoted(first),
            stop_register_wh: Quoted(last),
            energy_wh: Quoted((last - first).normalize()),
            source: metering.source.to_owned(),
            signed: signed.collect(),
        }
    }
}

/// OCPI limits these texts; a longer one is still the truth, so it is kept and noted (2.1 tokens may have 255 characters).
fn note_lengths(cdr: &Cdr, findings: &mut Vec<Finding>) {
    let limits = [
        ("session_id", cdr.session_id.as_deref().unwrap_or_default(), 36),
        ("cdr_token.uid", cdr.cdr_token.uid.as_str(), 36),
        ("cdr_token.contract_id", cdr.cdr_token.contract_id.as_str(), 36),
        ("cdr_location.id", cdr.cdr_location.id.as_str(), 36),
        ("cdr_location.evse_uid", cdr.cdr_location.evse_uid.as_str(), 36),
        ("cdr_location.evse_id", cdr.cdr_location.evse_id.as_str(), 48),
        ("tariff_id", cdr.charging_periods.first().and_then(|period| period.tariff_id.as_deref()).unwrap_or_default(), 36),
    ];
    for (field, text, limit) in limits {
        let length = text.chars().count();
        if length > limit {
            findings.push(Finding::new("cdr-text-too-long", format!("{field}: {length} characters, OCPI allows {limit}")));
        }
    }
}

fn cdr_token(token: Option<&Token>, site: &SiteTerms) -> CdrToken {
    // A PIN is a secret: whoever reads the bill must not be able to charge with it.
    let uid = token.filter(|token| !token.is_pin()).map(Token::reveal).filter(|text| !text.is_empty());
    CdrToken {
        country_code: site.country_code.clone(),
        party_id: site.party_id.clone(),
        uid: uid.unwrap_or(NOT_AVAILABLE).to_owned(),
        kind: token.map_or("OTHER", ocpi_token_type).to_owned(),
        contract_id: NOT_AVAILABLE.to_owned(),
    }
}

/// OCPP IdTokenEnumType to OCPI 2.2.1 TokenType, which knows only cards, apps and passers-by. 1.6 does not say what was
/// presented: almost always a card.
fn ocpi_token_type(token: &Token) -> &'static str {
    match token.kind.as_str().to_ascii_lowercase().as_str() {
        "unstated" | "iso14443" | "iso15693" => "RFID",
        "central" => "APP_USER",
        "directpayment" => "AD_HOC_USER",
        _ => "OTHER",
    }
}

/// OCPI charging periods. Hours seldom end, so each volume is the step that its period adds to the rounded running total of
/// its dimension: within a millionth of an hour of the truth, and their sum is the rounded total, exactly.
///
/// ```text
/// running ms      0        2400000        4800000        7200000
/// rounded hours   0        0.666667       1.333333       2
/// volumes             0.666667       0.666666       0.666667
/// ```
fn charging_periods(periods: &[Period], session_start: Time, tariff_id: &str) -> Vec<ChargingPeriod> {
    let tariff_id = || Some(tariff_id.to_owned());
    if periods.is_empty() {
        // OCPI wants at least one period and each with at least one dimension, also for a session that never was.
        let dimensions = vec![energy_dimension(MilliWh(0))];
        return vec![ChargingPeriod { start_date_time: Stamp(session_start), dimensions, tariff_id: tariff_id() }];
    }
    let (mut charging_ms, mut idle_ms) = (0, 0);
    let entry = |period: &Period| {
        let mut dimensions = Vec::with_capacity(2);
        // A zero volume would draw the step_size surplus to this period in engines that do not skip it.
        if period.energy != MilliWh(0) {
            dimensions.push(energy_dimension(period.energy));
        }
        let length = (period.end - period.start).num_milliseconds();
        match period.activity {
            Activity::Charging => dimensions.push(time_dimension(Dimension::Time, &mut charging_ms, length)),
            Activity::Idle => dimensions.push(time_dimension(Dimension::ParkingTime, &mut idle_ms, length)),
            // Free of charge by policy: with TIME, any engine that prices the CDR again would bill it.
            Activity::Paused if dimensions.is_empty() => dimensions.push(energy_dimension(period.energy)),
            Activity::Paused => {}
        }
        ChargingPeriod { start_date_time: Stamp(period.start), dimensions, tariff_id: tariff_id() }
    };
    periods.iter().map(entry).collect()
}

fn energy_dimension(energy: MilliWh) -> PeriodDimension {
    PeriodDimension { kind: Dimension::Energy.as_str().to_owned(), volume: Number(energy.kwh()) }
}

fn time_dimension(dimension: Dimension, running_ms: &mut i64, length_ms: i64) -> PeriodDimension {
    let before = hours(*running_ms);
    *running_ms += length_ms;
    PeriodDimension { kind: dimension.as_str().to_owned(), volume: Number((hours(*running_ms) - before).normalize()) }
}

fn bill_line(line: &Line) -> BillLine {
    let (dimension, unit, tariff_element, price_component) = match line.source {
        LineSource::Component { dimension, element, component } => {
            (dimension.as_str(), dimension.unit(), Some(element), Some(component))
        }
        LineSource::PriceLimit => (PRICE_LIMIT, Dimension::Flat.unit(), None, None),
    };
    BillLine {
        dimension: dimension.to_owned(),
        period: LinePeriod { start: Stamp(line.start), end: Stamp(line.end) },
        measured: Quoted(line.measured),
        quantity: Quoted(line.billed),
        unit: unit.to_owned(),
        unit_price: Quoted(line.unit_price),
        exact_excl_vat: Quoted(line.exact),
        amount_excl_vat: Quoted(line.amount_excl_vat),
        vat_percent: line.vat_percent.map(Quoted),
        vat: Quoted(line.vat),
        amount_incl_vat: Quoted(line.amount_incl_vat),
        tariff_element,
        price_component,
        reason: line.reason.clone(),
    }
}
