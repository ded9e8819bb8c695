//! From OCPI JSON to a checked [`Tariff`].
//!
//! | OCPI | is known by | prices |
//! |---|---|---|
//! | 2.1.1 | no `country_code`, no `party_id` | excl. VAT, and no VAT is named |
//! | 2.2.1 | neither | excl. VAT, `vat` per component; limits `excl_vat`, `incl_vat` |
//! | 2.3.0 | `tax_included` | as it says; limits `before_taxes`, `after_taxes` |
//!
//! Lenient where nothing can go wrong (numbers in strings, a missing `step_size` of a FLAT component, a list or a response around
//! the one tariff); strict wherever ignoring something could change a price: unknown members, unknown enum values, doubled members.
//! Limit: [`MAX_TARIFF_BYTES`].

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use serde_json::value::RawValue;

use super::json::{Members, Node, did_you_mean, line_of, unwrapped};
use super::rated::Dimension;
use super::tariff::{
    Element, MAX_TARIFF_BYTES, PriceBound, PriceComponent, Reservation, Restrictions, Tariff, TariffError, TariffType, Taxes,
};
use crate::units::{Decimal, Time, time};

const DIMENSIONS: [Dimension; 4] = [Dimension::Energy, Dimension::Flat, Dimension::ParkingTime, Dimension::Time];

const WEEKDAYS: [(Weekday, &str); 7] = [
    (Weekday::Mon, "MONDAY"),
    (Weekday::Tue, "TUESDAY"),
    (Weekday::Wed, "WEDNESDAY"),
    (Weekday::Thu, "THURSDAY"),
    (Weekday::Fri, "FRIDAY"),
    (Weekday::Sat, "SATURDAY"),
    (Weekday::Sun, "SUNDAY"),
];

/// All that a Tariff has in OCPI 2.1.1, 2.2.1, 2.3.0 and its payments module.
const MEMBERS: [&str; 16] = [
    "country_code",
    "party_id",
    "id",
    "currency",
    "type",
    "tariff_alt_text",
    "tariff_alt_url",
    "min_price",
    "max_price",
    "preauthorize_amount",
    "elements",
    "tax_included",
    "start_date_time",
    "end_date_time",
    "energy_mix",
    "last_updated",
];

impl Tariff {
    /// Reads the one Tariff object of a file. The error names the member, what is wrong with it and what is allowed.
    pub fn parse(json: &str) -> Result<Self, TariffError> {
        let raw = unwrapped(read(json)?)?;
        Node::root(raw).members()?.only(&MEMBERS)?;
        Self::of(raw)
    }

    /// Reads a tariff that was taken into use before. Members of the tariff itself that are not known are passed over: versions
    /// until 0.1 took them, and a session that was locked to such a tariff keeps its price.
    pub fn parse_stored(json: &str) -> Result<Self, TariffError> {
        Self::of(read(json)?)
    }

    /// The line of a tariff file at which a path of an error or a remark stands.
    pub fn line_of(file: &str, path: &str) -> Option<usize> {
        line_of(file, path)
    }

    fn of(raw: &RawValue) -> Result<Self, TariffError> {
        let members = Node::root(raw).members()?;
        let taxes = members
            .optional("tax_included")
            .map(|node| named(&node, &Taxes::ALL.map(|taxes| (taxes, taxes.as_str()))))
            .transpose()?
            .unwrap_or_default();
        let bound = |name: &str| members.optional(name).map(|node| price_bound(&node, taxes)).transpose();
        let instant = |name: &str| members.optional(name).map(|node| date_time(&node)).transpose();
        let word = |name: &str| members.optional(name).and_then(|node| node.text().ok());
        let tariff = Self {
            id: identifier(&members.required("id")?)?,
            country_code: word("country_code"),
            party_id: word("party_id"),
            currency: currency(&members.required("currency")?)?,
            kind: members
                .optional("type")
                .map(|node| named(&node, &TariffType::ALL.map(|kind| (kind, kind.as_str()))))
                .transpose()?,
            taxes,
            valid_from: instant("start_date_time")?,
            valid_until: instant("end_date_time")?,
            min_price: bound("min_price")?,
            max_price: bound("max_price")?,
            elements: filled(&members.required("elements")?)?
                .iter()
                .map(|node| element(node, taxes))
                .collect::<Result<_, _>>()?,
            source: raw.to_owned(),
            lacking: ["country_code", "party_id", "last_updated"]
                .into_iter()
                .filter(|name| members.optional(name).is_none())
                .collect(),
        };
        check_bounds(&tariff, &members)?;
        Ok(tariff)
    }
}

fn read(json: &str) -> Result<&RawValue, TariffError> {
    if json.len() > MAX_TARIFF_BYTES {
        return Err(TariffError::TooLong(json.len()));
    }
    serde_json::from_str(json).map_err(|error| TariffError::Json(error.to_string()))
}

/// What no single member can tell: limits and validity that contradict themselves.
fn check_bounds(tariff: &Tariff, members: &Members<'_>) -> Result<(), TariffError> {
    if let (Some(min), Some(max)) = (tariff.min_price, tariff.max_price) {
        let incl_crossed = matches!((min.incl_vat, max.incl_vat), (Some(min), Some(max)) if min > max);
        if min.excl_vat > max.excl_vat || incl_crossed {
            return Err(members
                .required("min_price")?
                .refuse("is above max_price", "a min_price up to max_price, excl. and incl. VAT"));
        }
    }
    if let (Some(from), Some(until)) = (tariff.valid_from, tariff.valid_until)
        && until <= from
    {
        return Err(members.required("end_date_time")?.refuse("is not after start_date_time", "a later instant"));
    }
    Ok(())
}

fn element(node: &Node<'_>, taxes: Taxes) -> Result<Element, TariffError> {
    let members = node.members()?;
    members.only(&["price_components", "restrictions"])?;
    Ok(Element {
        price_components: filled(&members.required("price_components")?)?
            .iter()
            .map(|node| component(node, taxes))
            .collect::<Result<_, _>>()?,
        restrictions: members.optional("restrictions").map(|node| restrictions(&node)).transpose()?.unwrap_or_default(),
    })
}

fn component(node: &Node<'_>, taxes: Taxes) -> Result<PriceComponent, TariffError> {
    let members = node.members()?;
    members.only(&["type", "price", "vat", "step_size"])?;
    let dimension = named(&members.required("type")?, &DIMENSIONS.map(|dimension| (dimension, dimension.as_str())))?;
    let step_size = match members.optional("step_size") {
        None if dimension == Dimension::Flat => 1,
        _ => members.required("step_size")?.whole()?,
    };
    let vat = match members.optional("vat") {
        None => None,
        Some(node) => {
            let percent = node.amount()?;
            if percent > Decimal::ONE_HUNDRED {
                return Err(node.refuse(format!("{percent} is too much"), "a percentage from 0 to 100"));
            }
            if taxes == Taxes::NotApplicable && !percent.is_zero() {
                return Err(node.refuse("contradicts tax_included N/A: no taxes apply", "no vat, or another tax_included"));
            }
            Some(percent)
        }
    };
    Ok(PriceComponent { dimension, price: members.required("price")?.decimal()?, vat, step_size })
}

fn restrictions(node: &Node<'_>) -> Result<Restrictions, TariffError> {
    let members = node.members()?;
    members.only(&[
        "start_time",
        "end_time",
        "start_date",
        "end_date",
        "min_kwh",
        "max_kwh",
        "min_current",
        "max_current",
        "min_power",
        "max_power",
        "min_duration",
        "max_duration",
        "day_of_week",
        "reservation",
    ])?;
    let clock = |name: &str| members.optional(name).map(|node| time_of_day(&node)).transpose();
    let day = |name: &str| members.optional(name).map(|node| date(&node)).transpose();
    let energy = |name: &str| members.optional(name).map(|node| node.energy()).transpose();
    let current = |name: &str| members.optional(name).map(|node| node.current()).transpose();
    let power = |name: &str| members.optional(name).map(|node| node.power()).transpose();
    let seconds = |name: &str| members.optional(name).map(|node| node.whole()).transpose();
    let day_of_week = match members.optional("day_of_week") {
        None => None,
        Some(node) => Some(node.items()?.iter().map(|day| named(day, &WEEKDAYS)).collect::<Result<_, _>>()?),
    };
    let reservation = members.optional("reservation");
    Ok(Restrictions {
        start_time: clock("start_time")?,
        end_time: clock("end_time")?,
        start_date: day("start_date")?,
        end_date: day("end_date")?,
        min_kwh: energy("min_kwh")?,
        max_kwh: energy("max_kwh")?,
        min_current: current("min_current")?,
        max_current: current("max_current")?,
        min_power: power("min_power")?,
        max_power: power("max_power")?,
        min_duration: seconds("min_duration")?,
        max_duration: seconds("max_duration")?,
        day_of_week,
        reservation: reservation.map(|node| named(&node, &Reservation::ALL.map(|kind| (kind, kind.as_str())))).transpose()?,
    })
}

/// OCPI 2.3.0 names the two amounts otherwise (types, PriceLimit).
fn price_bound(node: &Node<'_>, taxes: Taxes) -> Result<PriceBound, TariffError> {
    let members = node.members()?;
    let [excl, incl] = if taxes == Taxes::Unstated { ["excl_vat", "incl_vat"] } else { ["before_taxes", "after_taxes"] };
    members.only(&[excl, incl])?;
    let excl_vat = members.required(excl)?.amount()?;
    let incl_vat = match members.optional(incl) {
        None => None,
        Some(node) => {
            let incl_vat = node.amount()?;
            if incl_vat < excl_vat {
                return Err(node.refuse(format!("{incl_vat} is below {excl}"), format!("{excl_vat} or more")));
            }
            Some(incl_vat)
        }
    };
    Ok(PriceBound { excl_vat, incl_vat })
}

/// The items of a list that must have some.
fn filled<'a>(node: &Node<'a>) -> Result<Vec<Node<'a>>, TariffError> {
    let items = node.items()?;
    if items.is_empty() { Err(node.refuse("is empty", "at least one item")) } else { Ok(items) }
}

/// One of a closed list of names.
fn named<T: Copy>(node: &Node<'_>, names: &[(T, &str)]) -> Result<T, TariffError> {
    let text = node.text()?;
    match names.iter().find(|(_, name)| *name == text) {
        Some((value, _)) => Ok(*value),
        None => {
            let allowed: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
            let near = did_you_mean(&text, &allowed);
            Err(node.refuse(format!("{} is not known{near}", node.shown()), allowed.join(", ")))
        }
    }
}

fn identifier(node: &Node<'_>) -> Result<String, TariffError> {
    let id = node.text()?;
    let fits = (1..=36).contains(&id.len()) && id.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits {
        Ok(id)
    } else {
        Err(node.refuse(format!("{} is no identifier", node.shown()), "1 to 36 printable ASCII characters"))
    }
}

fn currency(node: &Node<'_>) -> Result<String, TariffError> {
    let code = node.text()?;
    let fits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if fits { Ok(code) } else { Err(node.refuse(format!("{} is no currency", node.shown()), "an ISO 4217 code such as EUR")) }
}

/// OCPI DateTime: RFC 3339; without an offset it is UTC.
fn date_time(node: &Node<'_>) -> Result<Time, TariffError> {
    let text = node.text()?;
    DateTime::parse_from_rfc3339(&text)
        .map(|instant| instant.with_timezone(&Utc))
        .or_else(|_| text.parse::<NaiveDateTime>().map(|naive| naive.and_utc()))
        .map(|instant| time::from_millis(time::to_millis(instant)))
        .map_err(|_| node.refuse(format!("{} is no instant", node.shown()), "UTC such as 2026-06-30T22:00:00Z"))
}

fn date(node: &Node<'_>) -> Result<NaiveDate, TariffError> {
    let text = node.text()?;
    let read = if text.len() == 10 { NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok() } else { None };
    read.ok_or_else(|| node.refuse(format!("{} is no date", node.shown()), "a date such as 2026-12-24"))
}

fn time_of_day(node: &Node<'_>) -> Result<NaiveTime, TariffError> {
    let text = node.text()?;
    let read = if text.len() == 5 { NaiveTime::parse_from_str(&text, "%H:%M").ok() } else { None };
    read.ok_or_else(|| {
        node.refuse(format!("{} is no time of day", node.shown()), "00:00 to 23:59; 00:00 as end_time is the end of the day")
    })
}
