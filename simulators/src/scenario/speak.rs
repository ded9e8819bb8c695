//! How a play speaks: transaction messages into the station's queue, ordinary calls now or, while cut off, never.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Player,
    cast::{Running, Scene, Status, Words},
    v2x, v16,
};
use crate::station::{CallError, TransactionMessage, fresh_id};

/// Times an ordinary call is said again after the link was lost under it.
const ORDINARY_ATTEMPTS: usize = 50;

impl Player<'_> {
    /// Queues a transaction message of the running transaction.
    pub(super) fn send(&mut self, words: Words, opens: bool, expect: &str) -> Result<String> {
        debug_assert!(words.transaction);
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
            TransactionMessage { action: words.action.into(), payload: words.payload, tx, opens, message_id: Some(id.clone()) };
        self.station.send_transaction(message.clone())?;
        if opens {
            self.cast.start = Some(message.clone());
        }
        self.cast.last = Some(message);
        self.cast.sent.push((id.clone(), expect.to_owned()));
        self.cast.messages += 1;
        Ok(id)
    }

    /// An ordinary call, after what is queued; again when the link is lost under it. `None` while the network is cut.
    pub(super) async fn say(&mut self, words: Words) -> Result<Option<Value>> {
        for _ in 0..ORDINARY_ATTEMPTS {
            if self.cast.cut {
                return Ok(None);
            }
            self.station.connected(self.patience).await?;
            self.station.drained(self.patience).await?;
            match self.station.call(words.action, words.payload.clone()).await {
                Ok(answer) => {
                    self.cast.messages += 1;
                    return Ok(Some(answer));
                }
                Err(CallError::Offline | CallError::LinkLost | CallError::Timeout) => {}
                Err(error @ CallError::Refused { .. }) => {
                    self.cast.complaints.push(format!("{}: {error}", words.action));
                    return Ok(None);
                }
                Err(CallError::Ended) => bail!("the station has ended"),
            }
        }
        bail!("{} was not answered in {ORDINARY_ATTEMPTS} attempts", words.action)
    }

    /// The connector's state, in the version's own way: a status in 1.6, an event of the transaction in 2.x.
    pub(super) async fn tell_state(&mut self, status: Status, charging_state: Option<&'static str>) -> Result<()> {
        if !self.is_2x() {
            return self.tell_status(status).await;
        }
        if let Some(state) = charging_state {
            let words = v2x::updated(&self.scene(0), "ChargingStateChanged", Some(state), None);
            self.send(words, false, "Accepted")?;
        }
        Ok(())
    }

    /// Stations do not queue these; the last one is told after the reconnect.
    pub(super) async fn tell_status(&mut self, status: Status) -> Result<()> {
        let scene = self.scene(0);
        let words = if self.is_2x() { v2x::status(&scene, status) } else { v16::status(&scene, status) };
        if self.cast.cut {
            self.cast.untold = Some(words);
            return Ok(());
        }
        self.say(words).await.map(drop)
    }

    pub(super) fn scene(&self, watts: i64) -> Scene {
        let running = self.cast.running.as_ref();
        Scene {
            at: self.at,
            connector: self.cast.connector,
            token: self.cast.token.clone(),
            tx: running.map(|running| running.tx.clone()).unwrap_or_default(),
            seq: running.map_or(0, |running| running.seq),
            register_wh: self.meter.register_wh(),
            watts,
            offline: self.is_offline(),
        }
    }

    pub(super) fn running(&mut self) -> Result<&mut Running> {
        self.cast.running.as_mut().context("no transaction is running")
    }

    pub(super) fn is_2x(&self) -> bool {
        self.station.version().is_2x()
    }

    /// By choice or by accident.
    pub(super) fn is_offline(&self) -> bool {
        !self.station.snapshot().connected
    }
}
