//! Messages as text with gaps: parsed once, filled per message by copying.
//!
//! A gap is written `<id>`, `<time>`, `<register>`, `<transaction>`, `<sequence>` or `<token>`; OCPP's JSON needs no
//! angle brackets of its own.

use std::fmt::Write;

use anyhow::{Result, bail};

enum Part {
    Text(String),
    Id,
    Time,
    Register,
    Transaction,
    Sequence,
    Token,
}

pub struct Template {
    parts: Vec<Part>,
}

/// What goes into the gaps.
pub struct Fields<'a> {
    pub id: &'a str,
    /// Seconds since 1970, UTC.
    pub time: i64,
    pub register_wh: u64,
    pub transaction: &'a str,
    pub sequence: u32,
    pub token: &'a str,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            parts.push(Part::Text(before.to_owned()));
            let Some((name, after)) = after.split_once('>') else { bail!("unclosed gap in {text}") };
            parts.push(match name {
                "id" => Part::Id,
                "time" => Part::Time,
                "register" => Part::Register,
                "transaction" => Part::Transaction,
                "sequence" => Part::Sequence,
                "token" => Part::Token,
                _ => bail!("unknown gap <{name}>"),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { parts })
    }

    pub fn fill(&self, fields: &Fields<'_>) -> String {
        let mut out = String::with_capacity(2048);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Id => out.push_str(fields.id),
                Part::Time => push_time(&mut out, fields.time),
                Part::Register => push_number(&mut out, fields.register_wh),
                Part::Transaction => out.push_str(fields.transaction),
                Part::Sequence => push_number(&mut out, u64::from(fields.sequence)),
                Part::Token => out.push_str(fields.token),
            }
        }
        out
    }
}

fn push_number(out: &mut String, number: u64) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{number}");
}

/// RFC 3339 in UTC. By hand, because this runs in every message and a formatter costs more than the rest of it.
fn push_time(out: &mut String, seconds: i64) {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to civil date, with years that begin in March: the leap day is then the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    two_digits(out, year / 100);
    two_digits(out, year % 100);
    for (mark, value) in [('-', month), ('-', day), ('T', second / 3600), (':', second / 60 % 60), (':', second % 60)] {
        out.push(mark);
        two_digits(out, value);
    }
    out.push('Z');
}

fn two_digits(out: &mut String, value: i64) {
    for digit in [value / 10, value % 10] {
        out.push(char::from(b'0' + (digit % 10) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_agree_with_chrono() {
        for step in 0..5000i64 {
            let seconds = 951_000_000 + step * 123_457;
            let mut text = String::new();
            push_time(&mut text, seconds);
            let expected = chrono::DateTime::from_timestamp(seconds, 0).map(|time| time.format("%FT%TZ").to_string());
            assert_eq!(Some(text), expected);
        }
    }

    #[test]
    fn gaps_are_filled() -> Result<()> {
        let template =
            Template::parse(r#"[2,"<id>",{"t":"<time>","r":<register>,"x":<transaction>,"s":<sequence>,"k":"<token>"}]"#)?;
        let fields = Fields { id: "m1", time: 0, register_wh: 5, transaction: "7", sequence: 3, token: "T" };
        assert_eq!(template.fill(&fields), r#"[2,"m1",{"t":"1970-01-01T00:00:00Z","r":5,"x":7,"s":3,"k":"T"}]"#);
        assert!(Template::parse("<nonsense>").is_err() && Template::parse("<id").is_err());
        Ok(())
    }
}
