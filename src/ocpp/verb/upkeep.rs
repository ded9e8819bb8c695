//! Firmware, logs, certificates, and how the station finds us.

use serde_json::{Value, json};

use super::asked::Asked;
use super::table::{Kind, Make, Message, REQUEST, Verb, arg};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "firmware",
        about: "Have the station fetch and install firmware",
        args: &[
            arg(Kind::Needed, "url", "URL", "Where it is"),
            arg(Kind::Option, "at", "WHEN", "Fetch it then: 30m, 2h or RFC 3339 [default: now]"),
            arg(Kind::Option, "install-at", "WHEN", "Install it then [default: when fetched]"),
            arg(Kind::File, "certificate", "FILE", "Signing certificate (PEM): signed firmware; with --signature"),
            arg(Kind::Option, "signature", "BASE64", "Signature of the firmware"),
            arg(Kind::Option, "retries", "N", "How often to try again"),
            arg(Kind::Option, "retry-interval", "S", "Seconds between"),
            REQUEST,
        ],
        make: Make::One(firmware),
        actions: [&["UpdateFirmware", "SignedUpdateFirmware"], &["UpdateFirmware"]],
        shows: false,
    },
    Verb {
        name: "log",
        about: "Have the station upload its diagnostics, or its security log",
        args: &[
            arg(Kind::Needed, "url", "URL", "Where to: a folder"),
            arg(Kind::Flag, "security", "", "The security log"),
            arg(Kind::Option, "since", "WHEN", "RFC 3339"),
            arg(Kind::Option, "until", "WHEN", "RFC 3339"),
            arg(Kind::Option, "retries", "N", "How often to try again"),
            arg(Kind::Option, "retry-interval", "S", "Seconds between"),
            REQUEST,
        ],
        make: Make::One(log),
        actions: [&["GetDiagnostics", "GetLog"], &["GetLog"]],
        shows: true,
    },
    Verb {
        name: "certificate install",
        about: "Install a root certificate",
        args: &[
            arg(Kind::Needed, "use", "USE", "1.6: central-system, manufacturer; 2.x: csms, manufacturer, v2g, mo"),
            arg(Kind::File, "file", "FILE", "PEM"),
        ],
        make: Make::One(|asked| {
            let payload = json!({"certificateType": asked.text("use")?, "certificate": asked.text("file")?});
            Ok(("InstallCertificate", payload))
        }),
        actions: [&["InstallCertificate"], &["InstallCertificate"]],
        shows: false,
    },
    Verb {
        name: "certificate list",
        about: "Which certificates the station has",
        args: &[arg(Kind::Option, "use", "USE", "Only these; needed in 1.6: central-system or manufacturer")],
        make: Make::One(certificate_list),
        actions: [&["GetInstalledCertificateIds"], &["GetInstalledCertificateIds"]],
        shows: true,
    },
    Verb {
        name: "certificate delete",
        about: "Delete a certificate that `certificate list` shows",
        args: &[
            arg(Kind::Needed, "serial", "SERIAL", "Its serial number"),
            arg(Kind::Option, "use", "USE", "Look only among these; needed in 1.6: central-system or manufacturer"),
        ],
        make: Make::CertificateDelete,
        actions: [&["GetInstalledCertificateIds", "DeleteCertificate"], &["GetInstalledCertificateIds", "DeleteCertificate"]],
        shows: false,
    },
    Verb {
        name: "network-profile",
        about: "Tell the station how to find us; it is used when NetworkConfigurationPriority names its slot (2.x)",
        args: &[
            arg(Kind::Needed, "slot", "N", "Slot of the configuration"),
            arg(Kind::Needed, "url", "URL", "Of this CSMS, without the station's identity"),
            arg(Kind::NeededOption, "security-profile", "0..3", "Security profile"),
            arg(Kind::Option, "interface", "NAME", "Such as Wired0 or Wireless0 [default: Wired0]"),
            arg(Kind::Option, "timeout-of-messages", "S", "Seconds that the station waits for an answer [default: 30]"),
        ],
        make: Make::One(network_profile),
        actions: [&[], &["SetNetworkProfile"]],
        shows: false,
    },
];

fn firmware(asked: &Asked<'_>) -> Result<Message, String> {
    let (url, at) = (asked.text("url")?, asked.time("at")?.unwrap_or_else(|| asked.now()));
    let (certificate, signature) = (asked.maybe("certificate"), asked.maybe("signature"));
    if certificate.is_some() != signature.is_some() {
        return Err("signed firmware takes both, --certificate and --signature".to_owned());
    }
    let (retries, interval) = (asked.number("retries")?, asked.number("retry-interval")?);
    if asked.is_16() && certificate.is_none() {
        if asked.maybe("install-at").is_some() {
            return Err("OCPP 1.6 installs unsigned firmware when it is fetched, without --install-at".to_owned());
        }
        let payload = json!({"location": url, "retrieveDate": at, "retries": retries, "retryInterval": interval});
        return Ok(("UpdateFirmware", payload));
    }
    let firmware = json!({"location": url, "retrieveDateTime": at, "installDateTime": asked.time("install-at")?,
        "signingCertificate": certificate, "signature": signature});
    let payload = json!({"requestId": asked.id("request")?, "firmware": firmware, "retries": retries, "retryInterval": interval});
    Ok((if asked.is_16() { "SignedUpdateFirmware" } else { "UpdateFirmware" }, payload))
}

fn log(asked: &Asked<'_>) -> Result<Message, String> {
    let (url, since, until) = (asked.text("url")?, asked.time("since")?, asked.time("until")?);
    let (retries, interval) = (asked.number("retries")?, asked.number("retry-interval")?);
    if asked.is_16() && !asked.flag("security") {
        let payload =
            json!({"location": url, "startTime": since, "stopTime": until, "retries": retries, "retryInterval": interval});
        return Ok(("GetDiagnostics", payload));
    }
    let kind = if asked.flag("security") { "SecurityLog" } else { "DiagnosticsLog" };
    let log = json!({"remoteLocation": url, "oldestTimestamp": since, "latestTimestamp": until});
    let payload =
        json!({"logType": kind, "requestId": asked.id("request")?, "log": log, "retries": retries, "retryInterval": interval});
    Ok(("GetLog", payload))
}

/// GetInstalledCertificateIds: in 1.6 of one kind, in 2.x of any.
pub fn certificate_list(asked: &Asked<'_>) -> Result<Message, String> {
    let kind = asked.maybe("use");
    let payload = match (asked.is_16(), kind) {
        (true, None) => return Err("OCPP 1.6 lists one kind at a time: --use central-system or --use manufacturer".to_owned()),
        (true, kind) => json!({"certificateType": kind}),
        (false, kind) => json!({"certificateType": kind.map(|kind| vec![kind])}),
    };
    Ok(("GetInstalledCertificateIds", payload))
}

fn network_profile(asked: &Asked<'_>) -> Result<Message, String> {
    let profile = json!({"ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": asked.text("url")?,
        "messageTimeout": asked.number("timeout-of-messages")?.unwrap_or(30),
        "securityProfile": asked.needed_number("security-profile")?, "ocppInterface": asked.maybe("interface").unwrap_or("Wired0")});
    Ok(("SetNetworkProfile", json!({"configurationSlot": asked.needed_number("slot")?, "connectionData": profile})))
}

/// The hash of the certificate with this serial number in the answer to [`certificate_list`].
pub fn certificate_of(answer: &Value, serial: &str) -> Option<Value> {
    let chains = ["certificateHashData", "certificateHashDataChain"].into_iter().find_map(|name| answer.get(name)?.as_array())?;
    let hashes = chains.iter().flat_map(|chain| match chain.get("certificateHashData") {
        Some(hash) => {
            let children = chain.get("childCertificateHashData").and_then(Value::as_array);
            [hash].into_iter().chain(children.into_iter().flatten()).collect()
        }
        None => vec![chain],
    });
    let is_it =
        |hash: &&Value| hash.get("serialNumber").and_then(Value::as_str).is_some_and(|known| known.eq_ignore_ascii_case(serial));
    hashes.into_iter().find(is_it).cloned()
}

/// DeleteCertificate, of the certificate with this hash.
pub fn certificate_delete(hash: &Value) -> Message {
    ("DeleteCertificate", json!({"certificateHashData": hash}))
}
