//! A record before it has its place in the chain: everything but `epoch`, `seq`, `prev`, id and time.

use super::cdr::{Cdr, CdrLocation, CdrToken, ChargingPeriod, Coordinates, NOT_AVAILABLE, PeriodDimension};
use super::charge::Charge;
use super::country;
use super::exact::{Number, Quoted, Stamp, hours};
use super::kind::Kind;
use super::payload::{BillLine, LinePeriod, Meter, Rating, SessionFacts, SignedEntry};
use super::signed;
use crate::rating::{Activity, Dimension, Line, LineSource, Period, Rated};
use crate::units::{Finding, MilliWh, Time, Token};

/// Named in every priced record, so that a price can be traced to the code that made it.
pub(in crate::record) const ENGINE: &str = concat!("forecourt ", env!("CARGO_PKG_VERSION"));

/// `dimension` of the bill line that brings the total to the tariff's least or greatest price.
pub(super) const PRICE_LIMIT: &str = "PRICE_LIMIT";

#[derive(Clone, Debug)]
pub struct Draft {
    pub(in crate::record) kind: Kind,
    /// `id` and `last_updated` are filled in when the draft is sealed.
    pub(in crate::record) cdr: Option<Cdr>,
    pub(in crate::record) session: Option<SessionFacts>,
    pub(in crate::record) lines: Option<Vec<BillLine>>,
    pub(in crate::record) meter: Option<Meter>,
    pub(in crate::record) findings: Vec<Finding>,
    pub(in crate::record) rating: Option<Rating>,
}

impl Draft {
    /// The record of one ended and priced session. The same facts always give the same draft.
    pub fn charge(charge: &Charge, rated: &Rated) -> Self {
        let mut findings = charge.findings.clone();
        findings.extend(rated.findings.iter().cloned());
        if rated.currency != charge.site.currency {
            let text = format!("priced in {}, the site's currency is {}", rated.currency, charge.site.currency);
            findings.push(Finding::new("currency-differs", text));
        }
        let cdr = cdr(charge, rated, &mut findings);
        Self {
            kind: Kind::Charge,
            cdr: Some(cdr),
            session: Some(session(charge)),
            lines: Some(rated.lines.iter().map(bill_line).collect()),
            meter: Some(meter(charge)),
            findings,
            rating: Some(Rating {
                policy: rated.rounding.to_owned(),
                engine: ENGINE.to_owned(),
                time_zone: charge.site.time_zone.clone(),
                tariff_id: charge.tariff.id().to_owned(),
                tariff_sha256: charge.tariff.sha256(),
            }),
        }
    }

    /// The first record of an epoch that follows another one: why it began.
    pub fn gateway_change(findings: Vec<Finding>) -> Self {
        Self { kind: Kind::GatewayChange, cdr: None, session: None, lines: None, meter: None, findings, rating: None }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
}

fn cdr(charge: &Charge, rated: &Rated, findings: &mut Vec<Finding>) -> Cdr {
    let cdr = Cdr {
        country_code: charge.site.party.country_code.clone(),
        party_id: charge.site.party.party_id.clone(),
        id: String::new(),
        start_date_time: Stamp(charge.started_at),
        end_date_time: Stamp(charge.ended_at),
        session_id: Some(charge.session_id.to_string()),
        cdr_token: cdr_token(charge),
        auth_method: charge.auth_method.as_str().to_owned(),
        authorization_reference: charge.authorization_reference.clone(),
        cdr_location: cdr_location(charge),
        meter_id: charge.meter_serial.clone(),
        currency: rated.currency.clone(),
        tariffs: vec![charge.tariff.json().to_owned()],
        charging_periods: charging_periods(&rated.periods, charge.started_at, charge.tariff.id()),
        signed_data: signed::to_ocpi(&charge.signed, findings),
        total_cost: rated.totals.cost.into(),
        total_fixed_cost: rated.totals.fixed.map(Into::into),
        total_energy: Number(rated.totals.energy_delivered.kwh()),
        total_energy_cost: rated.totals.energy.map(Into::into),
        total_time: Number(hours(rated.totals.duration_ms)),
        total_time_cost: rated.totals.time.map(Into::into),
        total_parking_time: Some(Number(hours(rated.totals.idle_ms))),
        total_parking_cost: rated.totals.parking.map(Into::into),
        credit: false,
        credit_reference_id: None,
        last_updated: Stamp(charge.ended_at),
    };
    note_lengths(&cdr, findings);
    cdr
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

fn cdr_token(charge: &Charge) -> CdrToken {
    let owner = charge.token_owner.as_ref().unwrap_or(&charge.site.party);
    // A PIN is a secret: whoever reads the bill must not be able to charge with it.
    let uid = charge.token.as_ref().filter(|token| !token.is_pin()).map(Token::reveal).filter(|text| !text.is_empty());
    CdrToken {
        country_code: owner.country_code.clone(),
        party_id: owner.party_id.clone(),
        uid: uid.unwrap_or(NOT_AVAILABLE).to_owned(),
        kind: charge.token.as_ref().map_or("OTHER", ocpi_token_type).to_owned(),
        contract_id: charge.contract.clone().unwrap_or_else(|| NOT_AVAILABLE.to_owned()),
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

fn cdr_location(charge: &Charge) -> CdrLocation {
    let site = &charge.site;
    let or_na = |text: &Option<String>| text.clone().unwrap_or_else(|| NOT_AVAILABLE.to_owned());
    let country = || country::alpha3(&site.party.country_code).unwrap_or(NOT_AVAILABLE).to_owned();
    let coordinates = site.coordinates.clone().map(|(latitude, longitude)| Coordinates { latitude, longitude });
    CdrLocation {
        id: site.id.clone(),
        name: Some(site.name.clone()).filter(|name| !name.is_empty()),
        address: or_na(&site.address),
        city: or_na(&site.city),
        postal_code: site.postal_code.clone(),
        country: site.country.clone().unwrap_or_else(country),
        coordinates,
        evse_uid: charge.evse_uid.clone(),
        evse_id: charge.evse_id.clone(),
        connector_id: charge.connector.number.to_string(),
        connector_standard: charge.connector.standard.clone(),
        connector_format: charge.connector.format.clone(),
        connector_power_type: charge.connector.power_type.clone(),
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

fn session(charge: &Charge) -> SessionFacts {
    SessionFacts {
        session_id: charge.session_id.to_string(),
        ocpp_version: charge.version.number().to_owned(),
        transaction_id: charge.tx.to_string(),
        station: charge.station.to_string(),
        evse: charge.evse,
        connector: charge.connector.number,
        evse_uid: charge.evse_uid.clone(),
        evse_id: charge.evse_id.clone(),
        token_class: charge.token.as_ref().map(|token| token.kind.as_str().to_owned()),
        token_masked: charge.token.as_ref().map(Token::masked),
        auth_method: charge.auth_method.as_str().to_owned(),
        contract: charge.contract.clone(),
        payment_method: charge.payment_method.clone(),
        started_at: Stamp(charge.started_at),
        ended_at: Stamp(charge.ended_at),
        stop_reason: charge.stop_reason.clone(),
    }
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

fn meter(charge: &Charge) -> Meter {
    let wh = |register: MilliWh| Quoted(register.wh());
    let signed = charge.signed.iter().map(|reading| SignedEntry {
        nature: reading.nature.as_str().to_owned(),
        at: reading.at.map(Stamp),
        encoding: signed::encoding(reading),
        data: reading.data.clone(),
        verdict: reading.verdict.as_str().to_owned(),
    });
    Meter {
        serial: charge.meter_serial.clone(),
        start_register_wh: wh(charge.start_register),
        stop_register_wh: wh(charge.stop_register),
        // In decimals: registers come from outside, and the difference of two extreme ones does not fit into 64 bits.
        energy_wh: Quoted((charge.stop_register.wh() - charge.start_register.wh()).normalize()),
        source: charge.register_source.clone(),
        signed: signed.collect(),
    }
}
