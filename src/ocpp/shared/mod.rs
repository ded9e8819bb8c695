//! Messages of stations that are the same in 1.6, 2.0.1 and 2.1; the table of each version lists them.

pub(super) mod boot_answer;
pub(super) mod data_transfer;
pub(super) mod heartbeat;
pub(super) mod security_event_notification;
