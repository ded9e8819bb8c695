//! ISO 4217: currency codes and their minor digits.

/// A currency in use. Bills are rounded to its minor digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    pub code: &'static str,
    pub minor_digits: u32,
}

/// By minor digits. Fund, metal and test codes are left out: nobody pays for a charge with them.
const CODES: &[(u32, &str)] = &[
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE \
         CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW \
         KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK \
         PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS \
         UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

impl Currency {
    /// Every currency in use.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES
            .iter()
            .flat_map(|&(minor_digits, codes)| codes.split_ascii_whitespace().map(move |code| Self { code, minor_digits }))
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|currency| currency.code == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_digits() {
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("ZWG", 2)] {
            assert_eq!(Currency::from_code(code), Some(Currency { code, minor_digits: digits }));
        }
        assert_eq!(Currency::from_code("eur"), None);
        assert_eq!(Currency::from_code("XXX"), None);
    }

    #[test]
    fn each_code_is_three_capitals_and_listed_once() {
        let mut codes: Vec<_> = Currency::all().map(|currency| currency.code).collect();
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
