//! OCPP 1.6 edition 2 with errata and the security whitepaper.

mod messages;

pub(super) use messages::MESSAGES;
