//! Is a record's payload what docs/head-office.md promises? Pure: text in, a [`Record`] or a coded fault out.
//!
//! Checked: schema, kind, site, epoch, seq, prev, record id, time; for bills that the lines add up to the CDR's totals, to
//! the last digit, over all and per dimension, and that each amount is its quantity times its unit price. Not checked
//! here: signature ([`super::jws`]), place in the chain ([`super::ledger`]), and whether a price is the right one, for
//! which the tariff is needed.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{json, jws};

pub const KINDS: [&str; 7] = ["charge", "credit", "test", "day-close", "gateway-change", "key-change", "adjustment"];

/// A record whose signature and content were found in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub site: String,
    pub epoch: i64,
    pub seq: u64,
    pub kind: String,
    pub record_id: String,
    pub created_at: DateTime<Utc>,
    /// Digest of the record before; `None` for the first of an epoch.
    pub prev: Option<String>,
    /// Digest of `jws`.
    pub hash: String,
    /// The published bytes.
    pub jws: String,
    /// The signed JSON, as written.
    pub payload: String,
}

impl Record {
    /// The string at this JSON pointer of the payload, such as `/session/station`.
    pub fn text(&self, pointer: &str) -> Option<String> {
        json::string(&self.payload, pointer)
    }

    /// The number or decimal string at this pointer, to its last digit, such as `/cdr/total_cost/incl_vat`.
    pub fn decimal(&self, pointer: &str) -> Option<Decimal> {
        json::decimal(&self.payload, pointer)
    }

    pub fn integer(&self, pointer: &str) -> Option<i64> {
        json::integer(&self.payload, pointer)
    }

    pub fn raw(&self, pointer: &str) -> Option<&str> {
        json::at(&self.payload, pointer)
    }

    pub fn has_bill(&self) -> bool {
        !json::absent(&self.payload, "/cdr")
    }

    /// One line for people: `charge 12.5 kWh 6.49 EUR`.
    pub fn summary(&self) -> String {
        let mut parts = vec![self.kind.clone()];
        if self.has_bill() {
            parts.extend(self.decimal("/cdr/total_energy").map(|kwh| format!("{} kWh", kwh.normalize())));
            let incl = self.decimal("/cdr/total_cost/incl_vat").or_else(|| self.decimal("/cdr/total_cost/excl_vat"));
            parts.extend(incl.map(|cost| format!("{cost} {}", self.text("/cdr/currency").unwrap_or_default())));
        }
        parts.join(" ")
    }
}

/// Why a record is refused; the code goes into the receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Jws(#[from] jws::JwsError),
    #[error("keys: {0}")]
    Keys(#[from] jws::KeyError),
    #[error("{member}: {what}")]
    Member { member: &'static str, what: String },
    #[error("line {line}: {excl} + {vat} is not {incl}")]
    Line { line: usize, excl: Decimal, vat: Decimal, incl: Decimal },
    #[error("line {line}: quantity times unit price is {exact}, the amount says {excl}")]
    Price { line: usize, exact: Decimal, excl: Decimal },
    #[error("{total}: lines add up to {lines}, the CDR says {cdr}")]
    Sum { total: String, lines: Decimal, cdr: String },
    #[error("seq {seq} is held with other bytes")]
    Fork { seq: u64 },
    #[error("prev of seq {seq} is not the digest of the record before it")]
    Chain { seq: u64 },
}

impl Fault {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jws(_) => "signature",
            Self::Keys(_) => "keys",
            Self::Member { .. } => "content",
            Self::Line { .. } | Self::Price { .. } | Self::Sum { .. } => "sums",
            Self::Fork { .. } => "fork",
            Self::Chain { .. } => "chain",
        }
    }
}

/// Reads a payload whose signature was found good. `topic_site` and `topic_kind` are hints of the topic it came on.
pub fn read(jws: &str, payload: String, topic_site: &str, topic_kind: &str) -> Result<Record, Fault> {
    let need = |member: &'static str| {
        json::string(&payload, &format!("/{member}")).ok_or(Fault::Member { member, what: "must be a string".into() })
    };
    expect("schema", &need("schema")?, "forecourt.record/1")?;
    let (site, kind) = (need("site")?, need("kind")?);
    expect("site", &site, topic_site)?;
    if !KINDS.contains(&kind.as_str()) {
        return Err(Fault::Member { member: "kind", what: format!("unknown kind {kind}") });
    }
    expect("kind", &kind, topic_kind)?;
    let epoch = positive(&payload, "epoch")?;
    let seq = positive(&payload, "seq")?.unsigned_abs();
    let prev = prev(&payload, seq)?;
    let record_id = need("record_id")?;
    check_uuid_v7(&record_id)?;
    let created_at = time("created_at", &need("created_at")?)?;
    let record =
        Record { hash: jws::digest(jws), jws: jws.to_owned(), site, epoch, seq, kind, record_id, created_at, prev, payload };
    check_bill(&record)?;
    Ok(record)
}

fn expect(member: &'static str, is: &str, should: &str) -> Result<(), Fault> {
    if is == should { Ok(()) } else { Err(Fault::Member { member, what: format!("is {is}, expected {should}") }) }
}

fn positive(payload: &str, member: &'static str) -> Result<i64, Fault> {
    let value = json::integer(payload, &format!("/{member}")).filter(|value| *value > 0);
    value.ok_or(Fault::Member { member, what: "must be an integer above 0".into() })
}

fn prev(payload: &str, seq: u64) -> Result<Option<String>, Fault> {
    let fault = |what: &str| Fault::Member { member: "prev", what: what.into() };
    match (json::at(payload, "/prev"), seq) {
        (None, _) => Err(fault("is missing")),
        (Some("null"), 1) => Ok(None),
        (Some("null"), _) => Err(fault("null, but not the first record")),
        (Some(_), 1) => Err(fault("must be null in the first record")),
        (Some(raw), _) => {
            let digest: String = serde_json::from_str(raw).map_err(|_| fault("must be a string"))?;
            let length = crate::base64::decode_url(&digest).map(|bytes| bytes.len());
            if length == Some(32) { Ok(Some(digest)) } else { Err(fault("must be base64url of 32 bytes")) }
        }
    }
}

/// RFC 9562, 5.7: version 7, variant 10x.
fn check_uuid_v7(id: &str) -> Result<(), Fault> {
    let bytes = id.as_bytes();
    let form = bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            14 => *byte == b'7',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    if form { Ok(()) } else { Err(Fault::Member { member: "record_id", what: format!("{id} is not a UUIDv7") }) }
}

fn time(member: &'static str, text: &str) -> Result<DateTime<Utc>, Fault> {
    let parsed = DateTime::parse_from_rfc3339(text).ok().filter(|_| text.ends_with('Z'));
    parsed.map(|time| time.to_utc()).ok_or_else(|| Fault::Member { member, what: format!("{text} is not RFC 3339 in UTC") })
}

/// The CDR's total and the line dimension that feeds it (OCPI 2.2.1, CDR object). A line of another dimension, such as the
/// adjustment to a price limit, counts in the total cost only.
const TOTALS: [(&str, Option<&str>); 5] = [
    ("total_cost", None),
    ("total_fixed_cost", Some("FLAT")),
    ("total_energy_cost", Some("ENERGY")),
    ("total_time_cost", Some("TIME")),
    ("total_parking_cost", Some("PARKING_TIME")),
];

struct Line {
    dimension: String,
    excl: Decimal,
    incl: Decimal,
}

fn check_bill(record: &Record) -> Result<(), Fault> {
    let is_bill = ["charge", "credit", "test"].contains(&record.kind.as_str());
    if is_bill != record.has_bill() {
        let what = if is_bill { "is missing" } else { "does not belong here" };
        return Err(Fault::Member { member: "cdr", what: what.into() });
    }
    if !is_bill {
        return Ok(());
    }
    // OCPI 2.2.1 mod_cdrs, CDR object: credit and credit_reference_id go together, and a charge has neither.
    let is_credit = json::at(&record.payload, "/cdr/credit") == Some("true");
    let reference = json::string(&record.payload, "/cdr/credit_reference_id");
    if is_credit != (record.kind == "credit") || is_credit != reference.is_some() {
        return Err(Fault::Member { member: "cdr", what: "credit and credit_reference_id do not fit the kind".into() });
    }
    let lines = json::items(&record.payload, "/lines");
    let lines = lines.into_iter().enumerate().map(|(index, line)| read_line(index, line)).collect::<Result<Vec<_>, _>>()?;
    TOTALS.iter().try_for_each(|(total, dimension)| check_total(record, total, *dimension, &lines))
}

fn read_line(index: usize, line: &str) -> Result<Line, Fault> {
    let amount = |member: &'static str| {
        // Outside the CDR amounts are decimal strings.
        let text = json::string(line, &format!("/{member}"));
        text.and_then(|text| Decimal::from_str_exact(&text).ok())
            .ok_or_else(|| Fault::Member { member: "lines", what: format!("line {index}: {member} must be a decimal string") })
    };
    let (excl, vat, incl) = (amount("amount_excl_vat")?, amount("vat")?, amount("amount_incl_vat")?);
    if excl + vat != incl {
        return Err(Fault::Line { line: index, excl, vat, incl });
    }
    check_price(index, line, excl)?;
    Ok(Line { dimension: json::string(line, "/dimension").unwrap_or_default(), excl, incl })
}

/// Quantity times unit price is the amount, but for its rounding: less than one in the last place it is written with.
fn check_price(index: usize, line: &str, excl: Decimal) -> Result<(), Fault> {
    let (Some(quantity), Some(price)) = (json::decimal(line, "/quantity"), json::decimal(line, "/unit_price")) else {
        return Ok(());
    };
    let exact = quantity.checked_mul(price).unwrap_or(Decimal::MAX);
    // A credit may carry its sign in either.
    if (exact.abs() - excl.abs()).abs() >= Decimal::new(1, excl.scale()) {
        return Err(Fault::Price { line: index, exact: exact.normalize(), excl });
    }
    Ok(())
}

fn check_total(record: &Record, total: &str, dimension: Option<&str>, lines: &[Line]) -> Result<(), Fault> {
    let counted = || lines.iter().filter(|line| dimension.is_none_or(|dimension| line.dimension == dimension));
    let sums: [(&str, Decimal); 2] =
        [("excl_vat", counted().map(|line| line.excl).sum()), ("incl_vat", counted().map(|line| line.incl).sum())];
    if json::absent(&record.payload, &format!("/cdr/{total}")) {
        let sum = sums[0].1;
        if dimension.is_some() && sum.is_zero() {
            return Ok(());
        }
        return Err(Fault::Sum { total: total.into(), lines: sum, cdr: "nothing".into() });
    }
    // A credit has negative lines and a negative total; what makes up the total keeps the signs of the CDR that it takes back.
    let turned = record.kind == "credit" && dimension.is_some();
    for (member, sum) in sums {
        let sum = if turned { -sum } else { sum };
        let pointer = format!("/cdr/{total}/{member}");
        // OCPI 2.2.1, Price: incl_vat is optional when no VAT applies.
        if member == "incl_vat" && json::absent(&record.payload, &pointer) && sum.abs() == sums[0].1.abs() {
            continue;
        }
        if json::decimal(&record.payload, &pointer) != Some(sum) {
            let cdr = json::at(&record.payload, &pointer).unwrap_or("nothing").to_owned();
            return Err(Fault::Sum { total: format!("{total}.{member}"), lines: sum, cdr });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(lines: &str, cdr: &str) -> String {
        format!(
            r#"{{"schema":"forecourt.record/1","kind":"charge","site":"S1","epoch":7,"seq":1,"prev":null,
               "record_id":"0192d3a0-7b1c-7def-8abc-0123456789ab","created_at":"2026-07-22T12:00:00Z","cdr":{{{cdr}}},"lines":[{lines}]}}"#
        )
    }

    fn line(dimension: &str, excl: &str, vat: &str, incl: &str) -> String {
        format!(r#"{{"dimension":"{dimension}","amount_excl_vat":"{excl}","vat":"{vat}","amount_incl_vat":"{incl}"}}"#)
    }

    fn read_bill(lines: &str, cdr: &str) -> Result<Record, Fault> {
        read("a.b.c", payload(lines, cdr), "S1", "charge")
    }

    const CDR: &str = r#""currency":"EUR","total_energy":10.5,"total_cost":{"excl_vat":5.30,"incl_vat":6.36},
        "total_energy_cost":{"excl_vat":5.00,"incl_vat":6.00},"total_fixed_cost":{"excl_vat":0.30,"incl_vat":0.36}"#;

    #[test]
    fn lines_that_add_up_pass() {
        let lines = [line("FLAT", "0.30", "0.06", "0.36"), line("ENERGY", "5.00", "1.00", "6.00")].join(",");
        let record = read_bill(&lines, CDR).unwrap();
        assert_eq!(record.summary(), "charge 10.5 kWh 6.36 EUR");
    }

    #[test]
    fn a_cent_too_much_is_found() {
        let wrong_total = [line("FLAT", "0.30", "0.06", "0.36"), line("ENERGY", "5.01", "1.00", "6.01")].join(",");
        assert_eq!(read_bill(&wrong_total, CDR).unwrap_err().code(), "sums");
        let wrong_line = [line("FLAT", "0.30", "0.06", "0.36"), line("ENERGY", "5.00", "1.01", "6.00")].join(",");
        assert!(matches!(read_bill(&wrong_line, CDR).unwrap_err(), Fault::Line { line: 1, .. }));
        let wrong_dimension = [line("TIME", "0.30", "0.06", "0.36"), line("ENERGY", "5.00", "1.00", "6.00")].join(",");
        assert!(
            matches!(read_bill(&wrong_dimension, CDR).unwrap_err(), Fault::Sum { total, .. } if total == "total_fixed_cost.excl_vat")
        );
    }

    #[test]
    fn a_credit_is_negative_in_lines_and_total_alone() {
        let lines = line("ENERGY", "-5.00", "-1.00", "-6.00");
        let cdr = r#""currency":"EUR","credit":true,"credit_reference_id":"0192d3a0-7b1c-7def-8abc-0123456789aa","total_energy":10.5,
            "total_cost":{"excl_vat":-5.00,"incl_vat":-6.00},"total_energy_cost":{"excl_vat":5.00,"incl_vat":6.00}"#;
        let credit = |cdr: &str| read("a.b.c", payload(&lines, cdr).replace("\"charge\"", "\"credit\""), "S1", "credit");
        assert!(credit(cdr).is_ok());
        for (from, to) in [
            (r#""credit":true,"#, ""),
            (r#""credit_reference_id":"0192d3a0-7b1c-7def-8abc-0123456789aa","#, ""),
            (r#"{"excl_vat":5.00,"incl_vat":6.00}"#, r#"{"excl_vat":-5.00,"incl_vat":-6.00}"#),
            (r#"{"excl_vat":-5.00,"incl_vat":-6.00}"#, r#"{"excl_vat":5.00,"incl_vat":6.00}"#),
        ] {
            assert!(credit(&cdr.replace(from, to)).is_err(), "{from}");
        }
        assert!(read_bill(&lines, cdr).is_err(), "a charge is no credit");
    }

    #[test]
    fn an_amount_is_quantity_times_price() {
        let total = r#""total_cost":{"excl_vat":3.15,"incl_vat":3.15},"total_energy_cost":{"excl_vat":3.15,"incl_vat":3.15}"#;
        let priced = |quantity: &str| {
            let line = line("ENERGY", "3.15", "0", "3.15");
            line.replace('}', &format!(r#","quantity":"{quantity}","unit_price":"0.30"}}"#))
        };
        assert!(read_bill(&priced("10.50025"), total).is_ok());
        assert!(matches!(read_bill(&priced("10.60"), total).unwrap_err(), Fault::Price { line: 0, .. }));
    }

    #[test]
    fn content_is_held_against_the_topic_and_the_interface() {
        let good = payload(&line("FLAT", "0", "0", "0"), r#""total_cost":{"excl_vat":0,"incl_vat":0}"#);
        assert!(read("a.b.c", good.clone(), "S1", "charge").is_ok());
        for (from, to) in [
            (r#""kind":"charge""#, r#""kind":"bonus""#),
            (r#""site":"S1""#, r#""site":"S2""#),
            (r#""seq":1"#, r#""seq":2"#),
            (r#""seq":1"#, r#""seq":0"#),
            ("-7def-", "-4def-"),
            ("12:00:00Z", "12:00:00+02:00"),
            (r#""prev":null,"#, ""),
            (r#""cdr":{"#, r#""cdx":{"#),
            (r#""vat":"0""#, r#""vat":0"#),
        ] {
            let fault = read("a.b.c", good.replace(from, to), "S1", "charge").expect_err(to);
            assert_eq!(fault.code(), "content", "{to}");
        }
    }
}
