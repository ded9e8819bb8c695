//! Records as an outsider sees them: shape, signature, contradictions, chains.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::examples::{EPOCH, TARIFF, at, dec, example, key, keys, line_of, place, rated, records, seal};
use super::{
    Algorithm, Body, Chain, GatewayChange, Hash, Head, JwkSet, Record, SCHEMA, SealError, Severity, SignError, Signer,
    SigningKey, open, verify_one,
};
use crate::rating::{Activity, Dimension, Line, LineSource, Period, Price, Rated, Totals};
use crate::units::{Decimal, Finding, MilliWh, Token, TokenKind};

/// One member per line there, none of the white space at line ends here.
fn golden() -> String {
    let text: String = include_str!("golden/charge.txt").lines().map(str::trim_start).collect();
    text.replace("@ENGINE@", crate::billing::ENGINE)
}

/// The payload keeps the tariff's line breaks; the golden file cannot.
fn flat(payload: &str) -> String {
    payload.lines().map(str::trim_start).collect()
}

#[test]
fn payload_is_exactly_this() {
    let hash = Hash::of(b"record 41");
    let record = seal(EPOCH, 42, Some(hash));
    assert_eq!(flat(&record.text), golden());
    assert!(record.text.contains(TARIFF), "the tariff is verbatim, line breaks included");
    assert_eq!(record.text.matches("04A1B2C3D4A1F3").count(), 1, "the token stands in one place");
    let shown = format!("{record:?} {:?}", open(&record.jws, &keys()).expect("opens"));
    assert!(!shown.contains("04A1B2C3D4A1F3"), "{shown}");
    let payload = open(&record.jws, &keys()).expect("opens").payload;
    assert!(!format!("{payload:?}").contains("04A1B2C3D4A1F3"));
}

#[test]
fn the_first_record_of_a_new_epoch_is_exactly_this() {
    let findings = vec![Finding::new("store-copied", "the file was copied")];
    let record = Body::GatewayChange(GatewayChange { findings }).seal(&place(EPOCH, 1, None), &key()).expect("seals");
    let expected = concat!(
        r#"{"schema":"forecourt.record/1","kind":"gateway-change","site":"site-1","epoch":1795000000000,"seq":1,"prev":null,"#,
        r#""record_id":"0199aa00-0000-7000-8000-000000000001","created_at":"2026-11-21T12:00:02.250Z","#,
        r#""findings":[{"code":"store-copied","detail":"the file was copied"}]}"#
    );
    assert_eq!(record.text, expected);
    assert!(verify_one(&record.jws, &keys()).is_ok());
}

#[test]
fn a_pin_stands_nowhere_in_a_record() {
    for kind in ["KeyCode", "keycode"] {
        let pin = Token::new(TokenKind::Named(kind.into()), "73194682");
        let mut example = example();
        example.session.token = Some(pin);
        let record = example.body(&rated()).seal(&place(EPOCH, 1, None), &key()).expect("seals");
        assert!(!record.text.contains("4682"), "{}", record.text);
        let payload = open(&record.jws, &keys()).expect("opens").payload;
        let charge = payload.charge().expect("a charge");
        assert_eq!((charge.cdr.cdr_token.uid.as_str(), charge.session.token_masked.as_deref()), ("#NA", Some("…")));
    }
}

#[test]
fn protected_header_is_exactly_this() {
    let record = seal(EPOCH, 1, None);
    let header = URL_SAFE_NO_PAD.decode(record.jws.split('.').next().expect("header")).expect("base64url");
    let expected = format!(r#"{{"alg":"ES256","kid":"{}","typ":"forecourt-record+json"}}"#, key().kid());
    assert_eq!(String::from_utf8(header).expect("text"), expected);
    assert_eq!(record.hash, Hash::of(record.jws.as_bytes()));
}

#[test]
fn a_sealed_record_verifies_from_text_and_public_key_alone() {
    let record = seal(EPOCH, 1, None);
    let published = JwkSet::parse(&keys().to_json()).expect("published keys");
    let verified = verify_one(&record.jws, &published).expect("verifies");
    assert_eq!(verified.text, record.text);
    assert_eq!((verified.kid.as_str(), verified.hash), (key().kid(), record.hash));
    assert_eq!(verified.payload.header.schema, SCHEMA);
    let cdr = &verified.payload.charge().expect("a charge").cdr;
    assert_eq!(cdr.total_cost.incl_vat.0.to_string(), "6.05");
    assert_eq!(cdr.tariffs[0].get(), TARIFF);
}

fn refusal(jws: &str) -> String {
    verify_one(jws, &keys()).expect_err("refused").code().to_owned()
}

/// The record with its header and payload texts put through `edit`, signature kept.
fn altered(record: &Record, header: impl Fn(String) -> String, payload: impl Fn(String) -> String) -> String {
    let parts: Vec<&str> = record.jws.split('.').collect();
    let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("text");
    let (header, payload) = (header(text(parts[0])), payload(text(parts[1])));
    format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload), parts[2])
}

#[test]
fn each_alteration_is_refused_with_its_code() {
    let record = seal(EPOCH, 1, None);
    let same = |text: String| text;
    let header = |from: &'static str, to: &'static str| refusal(&altered(&record, move |text| text.replacen(from, to, 1), same));
    assert_eq!(header("ES256", "none"), "alg-refused");
    assert_eq!(header("ES256", "HS256"), "alg-refused");
    assert_eq!(header("record+json", "JWT"), "typ-refused");
    assert_eq!(header("\"typ\"", "\"crit\":[\"b64\"],\"typ\""), "crit-refused");
    assert_eq!(header("\"kid\":\"", "\"kid\":\"x"), "kid-unknown");
    assert_eq!(header("\"kid\"", "\"other\""), "kid-missing");
    assert_eq!(header("\"alg\"", "\"gla\""), "header-unreadable");
    assert_eq!(header("{", "{ "), "signature-invalid");
    assert_eq!(refusal(&altered(&record, same, |text| text.replacen("6.05", "6.06", 1))), "signature-invalid");

    let (signed, signature) = record.jws.rsplit_once('.').expect("signature");
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    bytes[10] ^= 1;
    assert_eq!(refusal(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&bytes))), "signature-invalid");
    assert_eq!(refusal(&format!("{signed}.")), "signature-invalid");
    assert_eq!(refusal(signed), "jws-shape");
    assert_eq!(refusal(&format!("{}.x", record.jws)), "jws-shape");
    assert_eq!(refusal(""), "jws-shape");
    assert_eq!(refusal(&format!("{}=", record.jws)), "jws-base64");
    assert_eq!(refusal(&format!("{}\n", record.jws)), "jws-base64");
    assert_eq!(refusal(&"A".repeat(super::MAX_JWS_BYTES + 1)), "record-too-large");

    let (unknown, _) = SigningKey::generate().expect("key");
    let refused = verify_one(&record.jws, &JwkSet::from(unknown.jwk().clone())).expect_err("unknown");
    assert_eq!(refused.code(), "kid-unknown");
}

/// What a holder of our key might sign.
fn signed(payload: &str) -> String {
    super::sign::compact(payload, super::document::TYP, &key()).expect("signed")
}

#[test]
fn each_contradiction_is_refused_with_its_code() {
    let payload = seal(EPOCH, 1, None).text;
    let cases = [
        ("\"schema\":\"forecourt.record/1\"", "\"schema\":\"forecourt.record/2\"", "schema-unknown"),
        ("\"prev\":null,", "", "payload-unreadable"),
        ("\"seq\":1", "\"seq\":0", "payload-unreadable"),
        ("\"seq\":1", "\"seq\":1,\"seq\":2", "payload-unreadable"),
        ("\"total_energy\":10.50025", "\"total_energy\":\"10.50025\"", "payload-unreadable"),
        ("\"amount_excl_vat\":\"0.50\"", "\"amount_excl_vat\":0.50", "payload-unreadable"),
        ("\"meter\":{", "\"retem\":{", "member-missing"),
        ("\"vat\":\"0.11\"", "\"vat\":\"0.12\"", "line-vat"),
        ("{\"excl_vat\":5.00,\"incl_vat\":6.05}", "{\"excl_vat\":5.00,\"incl_vat\":6.06}", "lines-total"),
        ("{\"excl_vat\":3.15,", "{\"excl_vat\":3.14,", "lines-dimension"),
        ("\"total_parking_cost\"", "\"total_nothing_cost\"", "lines-dimension"),
        ("\"dimension\":\"FLAT\"", "\"dimension\":\"RESERVATION\"", "lines-dimension"),
        ("\"type\":\"ENERGY\",\"volume\":6}", "\"type\":\"ENERGY\",\"volume\":7}", "period-energy"),
        ("\"type\":\"TIME\",\"volume\":0.666667}", "\"type\":\"TIME\",\"volume\":0.7}", "period-time"),
        ("\"total_parking_time\":0.333333", "\"total_parking_time\":0.333334", "period-time"),
        ("\"total_time\":2,", "\"total_time\":2.1,", "session-time"),
        ("\"start_date_time\":\"2026-11-21T11:00:00Z\"", "\"start_date_time\":\"2026-11-21T10:30:00Z\"", "period-order"),
        ("\"stop_register_wh\":\"1010500.25\"", "\"stop_register_wh\":\"1010500.26\"", "meter-energy"),
        ("\"price\":0.30", "\"price\":0.31", "tariff-hash"),
        (
            "\"cdr\":{\"country_code\":\"NL\",\"party_id\":\"FCT\",\"id\":\"0",
            "\"cdr\":{\"country_code\":\"NL\",\"party_id\":\"FCT\",\"id\":\"1",
            "cdr-id",
        ),
    ];
    for (from, to, code) in cases {
        assert!(payload.contains(from), "{from}");
        assert_eq!(refusal(&signed(&payload.replacen(from, to, 1))), code, "{from} -> {to}");
    }
    assert!(verify_one(&signed(&payload), &keys()).is_ok());
    assert!(open(&signed(&payload.replacen("6.05", "6.06", 1)), &keys()).is_ok(), "open leaves arithmetic to others");
}

/// A record that a later version of this program makes, or of which an earlier one knew the kind.
#[test]
fn a_kind_that_is_not_known_is_shown_by_its_name() {
    let [one, two] = &records(EPOCH, 2)[..] else { panic!("two records") };
    let credit = signed(&two.text.replacen("\"kind\":\"charge\"", "\"kind\":\"adjustment\"", 1));
    let verified = verify_one(&credit, &keys()).expect("its signature is good");
    assert_eq!((verified.payload.header.kind.as_str(), verified.payload.body.is_none()), ("adjustment", true));
    assert_eq!(walk(&[one.jws.clone(), credit], None), [vec![], vec!["kind-unknown".to_owned()], vec![]]);
}

#[test]
fn a_contradiction_is_not_signed() {
    let mut rated = rated();
    rated.totals.energy_delivered = MilliWh(1);
    let refused = example().body(&rated).seal(&place(EPOCH, 1, None), &key()).expect_err("refused");
    let SealError::Inconsistent(findings) = refused else { panic!("{refused}") };
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_ref()).collect();
    assert_eq!(codes, ["period-energy", "meter-energy"]);
}

#[test]
fn a_place_that_cannot_be_is_refused() {
    let hash = Some(Hash::of(b"x"));
    for (seq, prev) in [(0, None), (1, hash), (2, None)] {
        let draft = example().body(&rated());
        assert!(matches!(draft.seal(&place(EPOCH, seq, prev), &key()), Err(SealError::Place { .. })), "{seq}");
    }
}

struct Broken;

impl Signer for Broken {
    fn kid(&self) -> &str {
        "broken"
    }
    fn alg(&self) -> Algorithm {
        Algorithm::Es256
    }
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError("the TPM is gone".to_owned()))
    }
}

#[test]
fn a_signer_that_fails_makes_no_record() {
    let refused = example().body(&rated()).seal(&place(EPOCH, 1, None), &Broken).expect_err("refused");
    assert_eq!(refused.to_string(), "cannot sign: the TPM is gone");
}

#[test]
fn a_session_without_token_energy_or_time_is_a_record_too() {
    let mut example = example();
    example.session.token = None;
    example.signed.clear();
    example.end = example.start;
    example.energy = MilliWh(0);
    let rated = Rated { periods: vec![], lines: vec![], totals: Totals::default(), ..rated() };
    let record = example.body(&rated).seal(&place(EPOCH, 1, None), &key()).expect("sealed");
    let payload = verify_one(&record.jws, &keys()).expect("verifies").payload;
    let cdr = &payload.charge().expect("a charge").cdr;
    assert_eq!((cdr.cdr_token.uid.as_str(), cdr.cdr_token.kind.as_str()), ("#NA", "OTHER"));
    assert_eq!(cdr.charging_periods.len(), 1);
    assert!(cdr.signed_data.is_none());
    assert!(record.text.contains("\"lines\":[]") && record.text.contains("\"token_class\":null"));
}

/// Feeds the texts, one code list for each record, the last for the end.
fn walk(texts: &[String], expected: Option<Head>) -> Vec<Vec<String>> {
    let keys = keys();
    let mut chain = Chain::new(&keys);
    if let Some(head) = expected {
        chain.expect(head);
    }
    let codes = |problems: Vec<super::Problem>| problems.iter().map(|problem| problem.code.to_string()).collect::<Vec<_>>();
    let mut all: Vec<Vec<String>> = texts.iter().map(|text| codes(chain.feed(text).problems)).collect();
    all.push(codes(chain.finish()));
    all
}

/// Name, texts fed, record to be reached, codes per record and at the end.
type Walk = (&'static str, Vec<String>, Option<Head>, Vec<Vec<String>>);

#[test]
fn chain_table() {
    let records = records(EPOCH, 5);
    let later = super::examples::records(EPOCH + 1, 2);
    let text = |index: usize| records[index - 1].jws.clone();
    let head = |record: &Record| Head { epoch: EPOCH, seq: record.payload.header.seq, hash: record.hash };
    let edit = |index: usize| {
        altered(&records[index - 1], |text| text, |text| text.replacen("\"currency\":\"EUR\"", "\"currency\":\"USD\"", 1))
    };
    let twin = seal(EPOCH, 3, Some(records[1].hash)).jws;
    let foreign = signed(&records[1].text.replacen("\"site\":\"site-1\"", "\"site\":\"site-2\"", 1));
    let wrong_sum = signed(&records[1].text.replacen("\"incl_vat\":6.05", "\"incl_vat\":6.06", 1));
    let first_again = signed(&records[1].text.replacen("\"seq\":2", "\"seq\":1", 1));
    let end = |index: usize| Some(head(&records[index - 1]));
    let one = |code: &str| vec![code.to_owned()];
    let none = Vec::<String>::new;
    let table: Vec<Walk> = vec![
        ("whole", vec![text(1), text(2), text(3)], end(3), vec![none(), none(), none(), none()]),
        ("nothing", vec![], end(1), vec![one("tail-missing")]),
        ("gap", vec![text(1), text(4), text(5)], None, vec![none(), one("gap"), none(), none()]),
        (
            "swapped",
            vec![text(1), text(3), text(2), text(4)],
            None,
            vec![none(), one("gap"), one("out-of-order"), none(), none()],
        ),
        ("altered", vec![text(1), edit(2), text(3)], None, vec![none(), one("signature-invalid"), one("prev-mismatch"), none()]),
        (
            "re-signed",
            vec![text(1), text(2), twin.clone(), text(4)],
            None,
            vec![none(), none(), none(), one("prev-mismatch"), none()],
        ),
        ("conflict", vec![text(1), text(2), text(3), twin], None, vec![none(), none(), none(), one("conflict"), none()]),
        ("duplicate", vec![text(1), text(2), text(1), text(3)], None, vec![none(), none(), one("duplicate"), none(), none()]),
        ("garbage", vec![text(1), "x".to_owned(), text(3)], None, vec![none(), one("jws-shape"), one("prev-mismatch"), none()]),
        ("tail", vec![text(1), text(2)], end(3), vec![none(), none(), one("tail-missing")]),
        ("part", vec![text(3), text(4)], end(4), vec![one("starts-late"), none(), none()]),
        ("part after receipt", vec![text(3), text(4)], end(2), vec![one("starts-late"), none(), none()]),
        (
            "epoch",
            vec![text(1), later[0].jws.clone(), later[1].jws.clone()],
            None,
            vec![none(), one("epoch-changed"), none(), none()],
        ),
        ("old epoch", vec![later[0].jws.clone(), text(1)], None, vec![none(), one("epoch-backwards"), none()]),
        (
            "epoch with gap",
            vec![text(1), later[1].jws.clone()],
            None,
            vec![none(), vec!["epoch-changed".to_owned(), "gap".to_owned()], none()],
        ),
        ("site", vec![text(1), foreign], None, vec![none(), one("site-changed"), none()]),
        ("sums", vec![text(1), wrong_sum], None, vec![none(), one("lines-total"), none()]),
        ("first with prev", vec![first_again], None, vec![one("prev-in-first"), none()]),
        (
            "receipt for other bytes",
            vec![text(1), text(2)],
            Some(Head { hash: records[0].hash, ..head(&records[1]) }),
            vec![none(), one("anchor-mismatch"), none()],
        ),
    ];
    for (name, texts, expected, codes) in table {
        assert_eq!(walk(&texts, expected), codes, "{name}");
    }
}

#[test]
fn a_broken_link_is_told_to_a_person() {
    let records = records(EPOCH, 3);
    let keys = keys();
    let head = Head { epoch: EPOCH, seq: 1, hash: Hash::of(b"another record 1") };
    let mut chain = Chain::after(&keys, head);
    let step = chain.feed(&records[1].jws);
    let text = "record 2: previous hash does not match record 1: a record was altered, removed or inserted";
    assert_eq!(step.problems[0].text, text);
    assert_eq!((step.problems[0].severity, step.problems[0].seq), (Severity::Fault, Some(2)));
    assert!(step.verified.is_some(), "by itself the record is good");
    assert!(chain.feed(&records[2].jws).problems.is_empty());
    let summary = chain.summary();
    assert_eq!((summary.records, summary.faults, summary.head.map(|head| head.hash)), (2, 1, Some(records[2].hash)));
}

const DIMENSIONS: [Dimension; 4] = [Dimension::Flat, Dimension::Energy, Dimension::Time, Dimension::ParkingTime];

/// Any bill and any cutting of a session, consistent by construction.
fn any_rated() -> impl Strategy<Value = Rated> {
    let lines = prop::collection::vec((0_usize..5, -100_000_i64..10_000_000, 0_i64..2_000_000, 0_u32..5), 0..12);
    let periods = prop::collection::vec((1_i64..100_000_000, 0_i64..500_000_000, 0_usize..3), 1..40);
    (lines, periods).prop_map(|(lines, periods)| {
        let mut rated = Rated { periods: Vec::new(), lines: Vec::new(), totals: Totals::default(), ..rated() };
        for (dimension, cents, vat, scale) in lines {
            let source = match DIMENSIONS.get(dimension) {
                Some(&dimension) => LineSource::Component { dimension, element: dimension as usize, component: 0 },
                None => LineSource::PriceLimit,
            };
            bill(&mut rated, source, Decimal::new(cents, scale), Decimal::new(vat, scale));
        }
        let mut start = at("2026-11-21T10:00:00Z");
        for (length, energy, activity) in periods {
            let end = start + chrono::TimeDelta::milliseconds(length);
            let activity = [Activity::Charging, Activity::Idle, Activity::Paused][activity];
            let energy = MilliWh(energy);
            rated.periods.push(Period { start, end, energy, activity, boundary: "sample", interpolated: false });
            rated.totals.energy_delivered = rated.totals.energy_delivered + energy;
            rated.totals.duration_ms += length;
            rated.totals.idle_ms += if activity == Activity::Idle { length } else { 0 };
            start = end;
        }
        rated
    })
}

fn bill(rated: &mut Rated, source: LineSource, excl: Decimal, vat: Decimal) {
    let totals = &mut rated.totals;
    let bucket = match source {
        LineSource::Component { dimension: Dimension::Flat, .. } => Some(&mut totals.fixed),
        LineSource::Component { dimension: Dimension::Energy, .. } => Some(&mut totals.energy),
        LineSource::Component { dimension: Dimension::Time, .. } => Some(&mut totals.time),
        LineSource::Component { dimension: Dimension::ParkingTime, .. } => Some(&mut totals.parking),
        LineSource::PriceLimit => None,
    };
    let add = |price: &mut Price| {
        price.excl_vat += excl;
        price.incl_vat += excl + vat;
    };
    if let Some(bucket) = bucket {
        add(bucket.get_or_insert_default());
    }
    add(&mut totals.cost);
    let line = Line { source, amount_excl_vat: excl, vat, amount_incl_vat: excl + vat, ..line_of(dec("1")) };
    rated.lines.push(line);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_adds_up_is_sealed_and_verifies(rated in any_rated(), wrong in 1_i64..1000) {
        let body = |rated: &Rated| {
            let mut example = example();
            example.energy = rated.totals.energy_delivered;
            example.end = example.start + chrono::TimeDelta::milliseconds(rated.totals.duration_ms);
            example.body(rated)
        };
        let record = body(&rated).seal(&place(EPOCH, 1, None), &key()).expect("sealed");
        let verified = verify_one(&record.jws, &keys()).expect("verifies");
        prop_assert_eq!(&verified.text, &record.text);
        // Reading and writing again gives the same bytes: no digit is lost on the way in.
        prop_assert_eq!(serde_json::to_string(&verified.payload).expect("json"), record.text);

        let mut mispriced = rated;
        mispriced.totals.cost.incl_vat += Decimal::new(wrong, 6);
        let refused = body(&mispriced).seal(&place(EPOCH, 1, None), &key());
        prop_assert!(matches!(refused, Err(SealError::Inconsistent(_))));
    }

    #[test]
    fn no_text_makes_the_verifier_panic(text in "[A-Za-z0-9_.-]{0,200}", cut in 0_usize..2000, byte in any::<char>()) {
        let keys = keys();
        prop_assert!(verify_one(&text, &keys).is_err());
        let mut jws = seal(EPOCH, 1, None).jws;
        jws.insert(cut.min(jws.len()), byte);
        prop_assert!(verify_one(&jws, &keys).is_err());
    }
}
