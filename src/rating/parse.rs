//! From OCPI 2.2.1 JSON to a checked [`Tariff`].
//!
//! Lenient where nothing can go wrong (numbers in strings, unknown members of the tariff itself, a missing `step_size` of a FLAT
//! component); strict wherever ignoring something could change a price: unknown members of elements, components, prices and
//! restrictions, unknown enum values, doubled members. Limit: [`MAX_TARIFF_BYTES`].

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use serde_json::value::RawValue;

use super::json::{Members, Node};
use super::rated::Dimension;
use super::tariff::{
    Element, MAX_TARIFF_BYTES, PriceBound, PriceComponent, Reservation, Restrictions, Tariff, TariffError, TariffType,
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

impl Tariff {
    /// Reads one OCPI 2.2.1 Tariff object. The error names the member, what is wrong with it and what is allowed.
    pub fn parse(json: &str) -> Result<Self, TariffError> {
        if json.len() > MAX_TARIFF_BYTES {
            return Err(TariffError::TooLong(json.len()));
        }
        let raw: &RawValue = serde_json::from_str(json).map_err(|error| TariffError::Json(error.to_string()))?;
        let members = Node::root(raw).members()?;
        if let Some(node) = members.optional("tax_included") {
            return Err(node
                .refuse("belongs to the tax model of OCPI 2.3", "an OCPI 2.2.1 tariff: prices excl. VAT, `vat` per component"));
        }
        let bound = |name: &str| members.optional(name).map(|node| price_bound(&node)).transpose();
        let instant = |name: &str| members.optional(name).map(|node| date_time(&node)).transpose();
        let tariff = Self {
            id: identifier(&members.required("id")?)?,
            currency: currency(&members.required("currency")?)?,
            kind: members
                .optional("type")
                .map(|node| named(&node, &TariffType::ALL.map(|kind| (kind, kind.as_str()))))
                .transpose()?,
            valid_from: instant("start_date_time")?,
            valid_until: instant("end_date_time")?,
            min_price: bound("min_price")?,
            max_price: bound("max_price")?,
            elements: filled(&members.required("elements")?)?.iter().map(element).collect::<Result<_, _>>()?,
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

fn element(node: &Node<'_>) -> Result<Element, TariffError> {
    let members = node.members()?;
    members.only(&["price_components", "restrictions"])?;
    Ok(Element {
        price_components: filled(&members.required("price_components")?)?.iter().map(component).collect::<Result<_, _>>()?,
        restrictions: members.optional("restrictions").map(|node| restrictions(&node)).transpose()?.unwrap_or_default(),
    })
}

fn component(node: &Node<'_>) -> Result<PriceComponent, TariffError> {
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
    let amount = |name: &str| members.optional(name).map(|node| node.amount()).transpose();
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
        min_kwh: amount("min_kwh")?,
        max_kwh: amount("max_kwh")?,
        min_current: amount("min_current")?,
        max_current: amount("max_current")?,
        min_power: amount("min_power")?,
        max_power: amount("max_power")?,
        min_duration: seconds("min_duration")?,
        max_duration: seconds("max_duration")?,
        day_of_week,
        reservation: reservation.map(|node| named(&node, &Reservation::ALL.map(|kind| (kind, kind.as_str())))).transpose()?,
    })
}

fn price_bound(node: &Node<'_>) -> Result<PriceBound, TariffError> {
    let members = node.members()?;
    members.only(&["excl_vat", "incl_vat"])?;
    let excl_vat = members.required("excl_vat")?.amount()?;
    let incl_vat = match members.optional("incl_vat") {
        None => None,
        Some(node) => {
            let incl_vat = node.amount()?;
            if incl_vat < excl_vat {
                return Err(node.refuse(format!("{incl_vat} is below excl_vat"), format!("{excl_vat} or more")));
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
            Err(node.refuse(format!("{} is not known", node.shown()), allowed.join(", ")))
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
