//! Runs a scenario on a station, and keeps the sessions that should be billed.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Border, ExpectedSession, MessageId, Outcome, Scenario, Step, What, Who,
    meter::Meter,
    state::{Call, RunState, Running, Status},
    v2x, v16,
};
use crate::station::{Station, fresh_id};

/// Plays scenarios on one station, one after the other, on one meter that goes on counting.
pub struct Player<'a> {
    pub(super) station: &'a Station,
    pub(super) meter: Meter,
    /// When it is in the scenario.
    pub(super) at: DateTime<Utc>,
    pub utc_offset: FixedOffset,
    /// How long to wait for the CSMS before the run fails; real time.
    pub patience: Duration,
    /// Instead of the scenario's.
    pub token: Option<String>,
    pub connector: Option<u32>,
    pub(super) state: RunState,
}

impl<'a> Player<'a> {
    /// The meter starts at this scenario's register.
    pub fn new(station: &'a Station, scenario: &Scenario) -> Self {
        Self {
            station,
            meter: Meter::new(scenario.register_wh),
            at: station.clock().now_s(),
            utc_offset: Utc.fix(),
            patience: Duration::from_secs(60),
            token: None,
            connector: None,
            state: RunState::of(scenario),
        }
    }

    /// Plays one scenario to its end, and until the queue is empty unless it ends offline.
    pub async fn play(&mut self, scenario: &Scenario) -> Result<Outcome> {
        self.state = RunState::of(scenario);
        self.state.token = self.token.clone().unwrap_or_else(|| scenario.token.clone());
        self.state.connector = self.connector.unwrap_or(scenario.connector);
        let complained = self.station.complaints().len();
        if !self.station.snapshot().registered {
            self.station.connected(self.patience).await?;
            self.station.boot().await?;
        }
        self.at = scenario.begin(self.at.max(self.station.clock().now_s()), self.utc_offset)?;
        self.station.clock().sleep_until(self.at).await;
        for (index, step) in scenario.steps.iter().enumerate() {
            self.execute(step).await.with_context(|| format!("{}, step {} ({step:?})", scenario.name, index + 1))?;
        }
        if !self.state.cut {
            self.station.drained(self.patience).await?;
        }
        Ok(self.conclude(complained))
    }

    async fn execute(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Plug {} => self.plug().await,
            Step::Authorize { token, expect } => self.authorize(token.as_deref(), expect).await,
            Step::Start { token, expect } => self.start(token.as_deref(), expect).await,
            Step::Meter { watts, minutes, seconds, every_s } => self.meter(*watts, minutes * 60 + seconds, *every_s).await,
            Step::Suspend { by } => self.suspend(*by).await,
            Step::Resume {} => self.resume().await,
            Step::Wait { minutes, seconds, every_s } => match every_s {
                Some(every_s) => self.report(0, minutes * 60 + seconds, *every_s).await,
                None => self.pass(minutes * 60 + seconds).await,
            },
            Step::Disconnect {} => self.disconnect().await,
            Step::Reconnect {} => self.reconnect().await,
            Step::Stop { reason, token } => self.stop(reason.as_deref(), token.as_deref()).await,
            Step::Unplug {} => self.unplug().await,
            Step::Repeat { what, id } => self.repeat(*what, *id),
            Step::LoseStop {} => self.lose_stop(),
            Step::ResetRegister { to_wh } => {
                self.meter.reset(*to_wh);
                Ok(())
            }
            Step::Reboot {} => {
                self.disconnect().await?;
                self.state.cut = false;
                self.station.reconnect(self.patience).await?;
                self.station.boot().await.map(drop).map_err(Into::into)
            }
            Step::Heartbeat {} => self.call(Call::ordinary("Heartbeat", json!({}))).await.map(drop),
        }
    }

    async fn plug(&mut self) -> Result<()> {
        self.report_status(Status::Plugged).await?;
        if self.is_2x() && self.state.tx_start == Border::Plugged {
            self.open()?;
            let moment = self.moment(0);
            self.running()?.parked_since = Some(moment.at);
            self.send(v2x::started(&moment, "CablePluggedIn", "EVConnected", None), true, "Accepted")?;
        }
        Ok(())
    }

    async fn authorize(&mut self, token: Option<&str>, expect: &str) -> Result<()> {
        let token = token.unwrap_or(&self.state.token).to_owned();
        let call = if self.is_2x() { v2x::authorize(&token) } else { v16::authorize(&token) };
        let answer = self.call(call).await?;
        let info = if self.is_2x() { "/idTokenInfo/status" } else { "/idTagInfo/status" };
        let status = answer.as_ref().map(|answer| answer.pointer(info).and_then(Value::as_str).unwrap_or("missing"));
        if let Some(status) = status.filter(|status| *status != expect) {
            self.state.complaints.push(format!("Authorize {token}: {status}, expected {expect}"));
        }
        Ok(())
    }

    async fn start(&mut self, token: Option<&str>, expect: &str) -> Result<()> {
        if let Some(token) = token {
            token.clone_into(&mut self.state.token);
        }
        let opened_by_plug = self.state.running.as_ref().is_some_and(|running| running.parked_since.is_some());
        if opened_by_plug {
            let (at, token) = (self.at, self.state.token.clone());
            self.running()?.expected.token.clone_from(&token);
            self.running()?.unpark(at);
            self.send(v2x::updated(&self.moment(0), "Authorized", None, Some(&token)), false, expect)?;
            self.send(v2x::updated(&self.moment(0), "ChargingStateChanged", Some("Charging"), None), false, expect)?;
        } else {
            self.open()?;
            let moment = self.moment(0);
            let call = if self.is_2x() {
                v2x::started(&moment, "Authorized", "Charging", Some(&moment.token))
            } else {
                v16::started(&moment)
            };
            self.send(call, true, expect)?;
        }
        self.report_state(Status::Charging, None).await
    }

    async fn meter(&mut self, watts: i64, seconds: i64, every_s: i64) -> Result<()> {
        if self.running()?.idle_since.is_some() {
            bail!("suspended: resume first");
        }
        self.report(watts, seconds, every_s).await
    }

    /// Time passes at this power; a reading after each full interval.
    async fn report(&mut self, watts: i64, mut seconds: i64, every_s: i64) -> Result<()> {
        if every_s < 1 || seconds < 0 || watts < 0 {
            bail!("every_s, the time and the power must be positive");
        }
        while seconds > 0 {
            let stretch = seconds.min(every_s);
            self.pass(stretch).await?;
            self.meter.run(watts, stretch);
            seconds -= stretch;
            if stretch == every_s {
                let moment = self.moment(watts);
                let call = if self.is_2x() { v2x::metered(&moment) } else { v16::metered(&moment) };
                self.send(call, false, "Accepted")?;
            }
        }
        Ok(())
    }

    async fn suspend(&mut self, by: Who) -> Result<()> {
        let at = self.at;
        self.running()?.idle_since = Some(at);
        match by {
            Who::Ev => self.report_state(Status::SuspendedEv, Some("SuspendedEV")).await,
            Who::Evse => self.report_state(Status::SuspendedEvse, Some("SuspendedEVSE")).await,
        }
    }

    async fn resume(&mut self) -> Result<()> {
        let at = self.at;
        self.running()?.unsuspend(at);
        self.report_state(Status::Charging, Some("Charging")).await
    }

    async fn disconnect(&mut self) -> Result<()> {
        // What was sent before is delivered before; what follows is queued.
        self.station.drained(self.patience).await?;
        self.station.disconnect().await?;
        self.state.cut = true;
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<()> {
        self.state.cut = false;
        self.station.reconnect(self.patience).await?;
        self.station.drained(self.patience).await?;
        if let Some(status) = self.state.unsent_status.take() {
            self.call(status).await?;
        }
        Ok(())
    }

    async fn stop(&mut self, reason: Option<&str>, token: Option<&str>) -> Result<()> {
        let at = self.at;
        self.running()?.unsuspend(at);
        // Only a person at the station shows a token.
        let token = token
            .or_else(|| reason.is_none_or(|reason| reason == "Local").then_some(self.state.token.as_str()))
            .map(str::to_owned);
        let moment = self.moment(0);
        if self.is_2x() && self.state.tx_stop == Border::Plugged {
            self.running()?.parked_since = Some(at);
            self.running()?.stopped = true;
            self.send(v2x::updated(&moment, "StopAuthorized", Some("EVConnected"), token.as_deref()), false, "Accepted")?;
        } else {
            let call = if self.is_2x() {
                let trigger = if token.is_some() { "StopAuthorized" } else { "ChargingStateChanged" };
                v2x::ended(&moment, trigger, "EVConnected", token.as_deref(), reason)
            } else {
                v16::stopped(&moment, token.as_deref(), reason)
            };
            self.close(call)?;
        }
        self.report_state(Status::Finishing, None).await
    }

    async fn unplug(&mut self) -> Result<()> {
        if self.state.running.is_some() {
            if !self.is_2x() || self.state.tx_stop == Border::Energy {
                bail!("stop first");
            }
            let at = self.at;
            let running = self.running()?;
            let reason = if running.stopped { "Local" } else { "EVDisconnected" };
            running.unpark(at);
            running.unsuspend(at);
            let call = v2x::ended(&self.moment(0), "EVCommunicationLost", "Idle", None, Some(reason));
            self.close(call)?;
        }
        self.report_status(Status::Available).await
    }

    fn repeat(&mut self, what: What, id: MessageId) -> Result<()> {
        let message = match what {
            What::Start => &self.state.start,
            What::Stop => &self.state.stop,
            What::Last => &self.state.last,
        };
        let mut message = message.clone().context("nothing to repeat")?;
        if id == MessageId::New {
            message.message_id = None;
        }
        self.station.send_transaction(message)?;
        self.state.messages += 1;
        Ok(())
    }

    fn lose_stop(&mut self) -> Result<()> {
        let mut running = self.state.running.take().context("no transaction to lose")?;
        running.unsuspend(self.at);
        running.expected.delivered_wh = self.meter.delivered_wh() - running.delivered_before_wh;
        self.state.sessions.push((running.tx, running.expected));
        Ok(())
    }

    /// A new transaction from here. Its expected session begins before its first message is rendered.
    fn open(&mut self) -> Result<()> {
        if self.state.running.is_some() {
            bail!("a transaction is running");
        }
        let register_wh = self.meter.register_wh();
        self.state.running = Some(Running {
            tx: fresh_id(),
            seq: 0,
            delivered_before_wh: self.meter.delivered_wh(),
            idle_since: None,
            parked_since: None,
            stopped: false,
            expected: ExpectedSession {
                station: self.station.id().to_owned(),
                version: self.station.version(),
                connector: self.state.connector,
                tx: None,
                token: self.state.token.clone(),
                started_at: self.at,
                start_register_wh: register_wh,
                stopped_at: None,
                stop_register_wh: None,
                last_register_wh: register_wh,
                last_at: self.at,
                delivered_wh: 0,
                idle_s: 0,
                parked_s: 0,
                offline: false,
                start_message_id: String::new(),
                stop_message_id: None,
            },
        });
        Ok(())
    }

    /// The last message of the transaction.
    fn close(&mut self, call: Call) -> Result<()> {
        let id = self.send(call, false, "Accepted")?;
        let mut running = self.state.running.take().context("no transaction is running")?;
        running.expected.stopped_at = Some(self.at);
        running.expected.stop_register_wh = Some(self.meter.register_wh());
        running.expected.delivered_wh = self.meter.delivered_wh() - running.delivered_before_wh;
        running.expected.stop_message_id = Some(id);
        self.state.stop.clone_from(&self.state.last);
        self.state.sessions.push((running.tx, running.expected));
        Ok(())
    }

    async fn pass(&mut self, seconds: i64) -> Result<()> {
        self.at += TimeDelta::try_seconds(seconds).context("too long")?;
        self.station.clock().sleep_until(self.at).await;
        Ok(())
    }

    fn conclude(&mut self, complained: usize) -> Outcome {
        let ids: HashSet<&str> = self.state.sent.iter().map(|(id, _)| id.as_str()).collect();
        let mut answered = self.station.answered();
        answered.retain(|answer| answer.transaction && ids.contains(answer.message_id.as_str()));
        let mut complaints = std::mem::take(&mut self.state.complaints);
        complaints.extend(self.station.complaints().into_iter().skip(complained));
        for (id, expect) in &self.state.sent {
            let status = answered.iter().find(|answer| &answer.message_id == id).and_then(|answer| answer.status());
            if let Some(status) = status.filter(|status| status != expect) {
                complaints.push(format!("{id}: {status}, expected {expect}"));
            }
        }
        let is_2x = self.is_2x();
        let name = |(tx, mut session): (String, ExpectedSession)| {
            session.tx = if is_2x { Some(tx) } else { self.station.transaction_number(&tx).map(|number| number.to_string()) };
            session
        };
        let sessions = std::mem::take(&mut self.state.sessions).into_iter().map(name).collect();
        Outcome { sessions, messages: self.state.messages, answered, complaints }
    }
}
