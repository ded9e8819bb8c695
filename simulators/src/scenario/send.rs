//! How messages are sent: transaction messages into the station's queue, ordinary calls now or, while cut off, never.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Player,
    state::{Call, Moment, Running, Status},
    v2x, v16,
};
use crate::station::{CallError, TransactionMessage, fresh_id};

/// Times an ordinary call is repeated after the link was lost under it.
const ORDINARY_ATTEMPTS: usize = 50;

impl Player<'_> {
    /// Queues a transaction message of the running transaction.
    pub(super) fn send(&mut self, call: Call, opens: bool, expect: &str) -> Result<String> {
        debug_assert!(call.transaction);
        let offline = self.is_offline();
        let (at, register_wh) = (self.at, self.meter.register_wh());
        let running = self.running()?;
        running.seq += 1;
        running.expected.offline |= offline;
        (running.expected.last_at, running.expected.last_register_wh) = (at, register_wh);
        let id = fresh_id();
        if opens {
            running.expected.start_message_id.clone_from(&id);
        }
        let tx = Some(running.tx.clone());
        let message =
            TransactionMessage { action: call.action.into(), payload: call.payload, tx, opens, message_id: Some(id.clone()) };
        self.station.send_transaction(message.clone())?;
        if opens {
            self.state.start = Some(message.clone());
        }
        self.state.last = Some(message);
        self.state.sent.push((id.clone(), expect.to_owned()));
        self.state.messages += 1;
        Ok(id)
    }

    /// An ordinary call, after what is queued; again when the link is lost under it. `None` while the network is cut.
    pub(super) async fn call(&mut self, call: Call) -> Result<Option<Value>> {
        for _ in 0..ORDINARY_ATTEMPTS {
            if self.state.cut {
                return Ok(None);
            }
            self.station.connected(self.patience).await?;
            self.station.drained(self.patience).await?;
            match self.station.call(call.action, call.payload.clone()).await {
                Ok(answer) => {
                    self.state.messages += 1;
                    return Ok(Some(answer));
                }
                Err(CallError::Offline | CallError::LinkLost | CallError::Timeout) => {}
                Err(error @ CallError::Refused { .. }) => {
                    self.state.complaints.push(format!("{}: {error}", call.action));
                    return Ok(None);
                }
                Err(CallError::Ended) => bail!("the station has ended"),
            }
        }
        bail!("{} was not answered in {ORDINARY_ATTEMPTS} attempts", call.action)
    }

    /// The connector's state, in the version's own way: a status in 1.6, an event of the transaction in 2.x.
    pub(super) async fn report_state(&mut self, status: Status, charging_state: Option<&'static str>) -> Result<()> {
        if !self.is_2x() {
            return self.report_status(status).await;
        }
        if let Some(state) = charging_state {
            let call = v2x::updated(&self.moment(0), "ChargingStateChanged", Some(state), None);
            self.send(call, false, "Accepted")?;
        }
        Ok(())
    }

    /// Stations do not queue these; the last one is sent after the reconnect.
    pub(super) async fn report_status(&mut self, status: Status) -> Result<()> {
        let moment = self.moment(0);
        let call = if self.is_2x() { v2x::status(&moment, status) } else { v16::status(&moment, status) };
        if self.state.cut {
            self.state.unsent_status = Some(call);
            return Ok(());
        }
        self.call(call).await.map(drop)
    }

    pub(super) fn moment(&self, watts: i64) -> Moment {
        let running = self.state.running.as_ref();
        Moment {
            at: self.at,
            connector: self.state.connector,
            token: self.state.token.clone(),
            tx: running.map(|running| running.tx.clone()).unwrap_or_default(),
            seq: running.map_or(0, |running| running.seq),
            register_wh: self.meter.register_wh(),
            watts,
            offline: self.is_offline(),
        }
    }

    pub(super) fn running(&mut self) -> Result<&mut Running> {
        self.state.running.as_mut().context("no transaction is running")
    }

    pub(super) fn is_2x(&self) -> bool {
        self.station.version().is_2x()
    }

    /// By choice or by accident.
    pub(super) fn is_offline(&self) -> bool {
        !self.station.snapshot().connected
    }
}
