//! A tariff in sentences, as a table of one week, and what differs between two of them. For people; nothing is priced by it.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use super::moment::{Lookup, Moment};
use super::rated::Dimension;
use super::tariff::{Element, PriceComponent, Restrictions, Tariff, Taxes};
use crate::units::{MilliWh, time};

/// Dimensions in the order in which prices are to be shown (Regulation (EU) 2023/1804, article 5(4)): per kWh, per time, per session, other.
const SHOWN: [Dimension; 4] = [Dimension::Energy, Dimension::Time, Dimension::Flat, Dimension::ParkingTime];

/// The prices of one dimension from one time of day to another, on the days of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeekRow {
    pub dimension: Dimension,
    pub from: NaiveTime,
    /// Exclusive; 00:00 = the end of the day.
    pub until: NaiveTime,
    /// From Monday: the price when a session begins then, `-` where nothing is charged; `*`: it depends on energy, power, current or
    /// duration, too.
    pub days: [String; 7],
}

impl Tariff {
    /// What it says, sentence by sentence.
    pub fn sentences(&self) -> Vec<String> {
        let mut said = vec![format!("tariff {}, in {}{}", self.id, self.currency, self.for_whom())];
        said.push(match self.taxes {
            Taxes::Unstated | Taxes::Excluded => "prices are excl. VAT".to_owned(),
            Taxes::Included => "prices include tax".to_owned(),
            Taxes::NotApplicable => "no taxes apply".to_owned(),
        });
        let shown = |at| time::rfc3339(at);
        said.extend(match (self.valid_from.map(shown), self.valid_until.map(shown)) {
            (None, None) => None,
            (Some(from), None) => Some(format!("for sessions that begin from {from} on")),
            (None, Some(until)) => Some(format!("for sessions that begin before {until}")),
            (Some(from), Some(until)) => Some(format!("for sessions that begin from {from} on and before {until}")),
        });
        for (index, element) in self.elements.iter().enumerate() {
            let words = element.restrictions.words();
            let prices: Vec<String> = in_order(element).into_iter().map(|component| self.price_words(component)).collect();
            said.push(format!("element {}, {words}: {}", index + 1, prices.join("; ")));
        }
        let limit = |name: &str, bound: Option<super::PriceBound>| {
            bound.map(|bound| {
                let incl = bound.incl_vat.map(|incl| format!(", {incl} {} incl. VAT", self.currency)).unwrap_or_default();
                format!("a session costs at {name} {} {} excl. VAT{incl}", bound.excl_vat, self.currency)
            })
        };
        said.extend(limit("least", self.min_price));
        said.extend(limit("most", self.max_price));
        said.push("of several elements that apply, the first one with a price for the dimension counts".to_owned());
        said
    }

    fn for_whom(&self) -> String {
        self.kind.map_or_else(String::new, |kind| format!(", for sessions of type {}", kind.as_str()))
    }

    /// `0.59 EUR/kWh, 19 % VAT, in steps of 100 Wh`.
    pub fn price_words(&self, component: &PriceComponent) -> String {
        let PriceComponent { dimension, price, vat, step_size } = component;
        let what = match dimension {
            Dimension::Energy => "/kWh",
            Dimension::Time => "/h of charging",
            Dimension::ParkingTime => "/h connected without charging",
            Dimension::Flat => " per session",
        };
        let vat = vat.map_or_else(String::new, |vat| format!(", {} % VAT", vat.normalize()));
        let step = match (dimension, step_size) {
            (Dimension::Flat, _) | (_, 0 | 1) => String::new(),
            (Dimension::Energy, step) => format!(", in steps of {step} Wh"),
            (_, step) => format!(", in steps of {step} s"),
        };
        format!("{price} {}{what}{vat}{step}", self.currency)
    }

    /// The prices of the seven days from the Monday before `day`. Rows of one dimension follow each other through the day.
    pub fn week(&self, day: NaiveDate) -> Vec<WeekRow> {
        let monday = day - Days::new(u64::from(day.weekday().num_days_from_monday()));
        let lookup = Lookup::new(self);
        let edges = self.restrictions().flat_map(|one| [one.start_time, one.end_time]).flatten();
        let edges: BTreeSet<NaiveTime> = edges.chain([NaiveTime::MIN]).collect();
        let edges: Vec<NaiveTime> = edges.into_iter().collect();
        let mut rows: Vec<WeekRow> = Vec::new();
        for dimension in SHOWN {
            if !self.components().any(|component| component.dimension == dimension) {
                continue;
            }
            for (index, from) in edges.iter().enumerate() {
                let until = edges.get(index + 1).copied().unwrap_or(NaiveTime::MIN);
                let days = std::array::from_fn(|at| {
                    let date = monday + Days::new(u64::try_from(at).unwrap_or_default());
                    self.cell(&lookup, dimension, date, *from)
                });
                match rows.last_mut() {
                    Some(last) if last.dimension == dimension && last.days == days => last.until = until,
                    _ => rows.push(WeekRow { dimension, from: *from, until, days }),
                }
            }
        }
        rows
    }

    fn cell(&self, lookup: &Lookup<'_>, dimension: Dimension, date: NaiveDate, from: NaiveTime) -> String {
        let local = date.and_time(from);
        let moment = Moment { local, energy: MilliWh(0), elapsed_ms: 0, power: None, current: None };
        let price = lookup.find(dimension, &moment).and_then(|(element, component)| self.component(element, component));
        let price = price.map_or_else(|| "-".to_owned(), |component| component.price.to_string());
        let depends = self.elements.iter().any(|element| {
            let restrictions = &element.restrictions;
            restrictions.look_at_the_session()
                && restrictions.reservation.is_none()
                && restrictions.calendar_only().match_moment(&moment)
                && element.price_components.iter().any(|component| component.dimension == dimension)
        });
        if depends { format!("{price}*") } else { price }
    }

    /// What `other` says otherwise, in the order of the tariff. Empty: they price every session alike.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut said = Vec::new();
        let mut compare = |what: &str, before: String, after: String| {
            if before != after {
                said.push(format!("{what}: {before} -> {after}"));
            }
        };
        let instant = |at: Option<_>| at.map_or_else(|| "open".to_owned(), time::rfc3339);
        let limit = |tariff: &Self, bound: Option<super::PriceBound>| {
            bound.map_or_else(
                || "none".to_owned(),
                |bound| {
                    let incl = bound.incl_vat.map(|incl| format!(" excl., {} incl. VAT", incl.normalize())).unwrap_or_default();
                    format!("{}{incl} {}", bound.excl_vat.normalize(), tariff.currency)
                },
            )
        };
        let kind = |tariff: &Self| tariff.kind.map_or("none", |kind| kind.as_str()).to_owned();
        compare("id", self.id.clone(), other.id.clone());
        compare("currency", self.currency.clone(), other.currency.clone());
        compare("type", kind(self), kind(other));
        compare("tax_included", self.taxes.as_str().to_owned(), other.taxes.as_str().to_owned());
        compare("start_date_time", instant(self.valid_from), instant(other.valid_from));
        compare("end_date_time", instant(self.valid_until), instant(other.valid_until));
        compare("min_price", limit(self, self.min_price), limit(other, other.min_price));
        compare("max_price", limit(self, self.max_price), limit(other, other.max_price));
        said.extend(self.element_differences(other));
        said
    }

    fn element_differences(&self, other: &Self) -> Vec<String> {
        let words = |tariff: &Self, element: &Element| -> String {
            let prices: Vec<String> = in_order(element).into_iter().map(|component| tariff.price_words(component)).collect();
            prices.join("; ")
        };
        let mut said = Vec::new();
        // An element is the same where its restrictions are; of several alike, in their order.
        let mut left: Vec<(usize, &Element)> = other.elements.iter().enumerate().collect();
        let mut order = Vec::new();
        for (index, element) in self.elements.iter().enumerate() {
            let found = left.iter().position(|(_, candidate)| candidate.restrictions == element.restrictions);
            let Some(found) = found else {
                said.push(format!("element {}, {}: removed: {}", index + 1, element.restrictions.words(), words(self, element)));
                continue;
            };
            let (place, same) = left.remove(found);
            order.push(place);
            // By value: 0.20 and 0.200 are one price.
            if element.price_components != same.price_components {
                let (before, after) = (words(self, element), words(other, same));
                said.push(format!("element {}, {}: {before} -> {after}", index + 1, element.restrictions.words()));
            }
        }
        let added = |(place, element): &(usize, &Element)| {
            format!("element {} of the new one, {}: added: {}", place + 1, element.restrictions.words(), words(other, element))
        };
        said.extend(left.iter().map(added));
        if !order.is_sorted() {
            said.push("the elements stand in another order, and the first that applies counts".to_owned());
        }
        said
    }
}

fn in_order(element: &Element) -> Vec<&PriceComponent> {
    SHOWN.iter().flat_map(|dimension| element.price_components.iter().filter(move |one| one.dimension == *dimension)).collect()
}

impl Restrictions {
    fn look_at_the_session(&self) -> bool {
        *self != self.calendar_only()
    }

    /// Without what depends on the session.
    fn calendar_only(&self) -> Self {
        Self {
            min_kwh: None,
            max_kwh: None,
            min_current: None,
            max_current: None,
            min_power: None,
            max_power: None,
            min_duration: None,
            max_duration: None,
            reservation: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARIFF: &str = r#"{"country_code":"DE","party_id":"ABC","id":"T","currency":"EUR","last_updated":"2026-01-01T00:00:00Z",
        "max_price":{"excl_vat":50},"elements":[
        {"price_components":[{"type":"ENERGY","price":0.59,"vat":19,"step_size":1},{"type":"PARKING_TIME","price":6,"step_size":60}],
         "restrictions":{"start_time":"06:00","end_time":"22:00","day_of_week":["MONDAY","TUESDAY"]}},
        {"price_components":[{"type":"ENERGY","price":0.20,"step_size":1}],"restrictions":{"min_kwh":20}},
        {"price_components":[{"type":"ENERGY","price":0.39,"step_size":1}]}]}"#;

    fn tariff(from: &str, to: &str) -> Tariff {
        Tariff::parse(&TARIFF.replace(from, to)).expect("tariff")
    }

    #[test]
    fn a_tariff_is_told_in_sentences_and_as_a_week() {
        let tariff = tariff("", "");
        let said = tariff.sentences();
        assert_eq!(
            said[2],
            "element 1, Mon-Tue 06:00-22:00: 0.59 EUR/kWh, 19 % VAT; 6 EUR/h connected without charging, in steps of 60 s"
        );
        assert_eq!(said[5], "a session costs at most 50 EUR excl. VAT");
        let week = tariff.week(NaiveDate::from_ymd_opt(2026, 6, 3).expect("a Wednesday"));
        let shown = |row: &WeekRow| format!("{} {}-{} {}", row.dimension.as_str(), row.from, row.until, row.days.join(" "));
        assert_eq!(
            week.iter().map(shown).collect::<Vec<_>>(),
            [
                "ENERGY 00:00:00-06:00:00 0.39* 0.39* 0.39* 0.39* 0.39* 0.39* 0.39*",
                "ENERGY 06:00:00-22:00:00 0.59* 0.59* 0.39* 0.39* 0.39* 0.39* 0.39*",
                "ENERGY 22:00:00-00:00:00 0.39* 0.39* 0.39* 0.39* 0.39* 0.39* 0.39*",
                "PARKING_TIME 00:00:00-06:00:00 - - - - - - -",
                "PARKING_TIME 06:00:00-22:00:00 6 6 - - - - -",
                "PARKING_TIME 22:00:00-00:00:00 - - - - - - -",
            ]
        );
    }

    #[test]
    fn differences_are_told() {
        let before = tariff("", "");
        assert_eq!(before.differences(&tariff("0.20", "0.25")), ["element 2, from 20 kWh: 0.20 EUR/kWh -> 0.25 EUR/kWh"]);
        assert_eq!(before.differences(&tariff("0.20", "0.200")), [""; 0]);
        let after = before.differences(&tariff(r#","restrictions":{"min_kwh":20}"#, r#","restrictions":{"min_kwh":30}"#));
        assert_eq!(
            after,
            ["element 2, from 20 kWh: removed: 0.20 EUR/kWh", "element 2 of the new one, from 30 kWh: added: 0.20 EUR/kWh"]
        );
        assert_eq!(
            before.differences(&tariff(r#"{"excl_vat":50}"#, r#"{"excl_vat":45,"incl_vat":50}"#)),
            ["max_price: 50 EUR -> 45 excl., 50 incl. VAT EUR"]
        );
    }
}
