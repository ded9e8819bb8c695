//! The station's one task: connects, backs off, sends, waits for answers, answers.
//!
//! ```text
//! offline ──online──▶ dialling ──▶ serving ──┬─ link lost ─▶ back-off ─▶ dialling
//!    ▲                                       └─ ordered offline ─▶ offline
//! serving: idle ── send ──▶ outstanding ── answer ──▶ idle
//!                                └─ timeout ─▶ idle; a transaction message stays at the head of the queue
//! ```

use std::{collections::VecDeque, sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    Answer, Answered, CallError, Options, Order, Received, Shared, check, dial,
    frame::{self, Frame},
    memory::Queued,
};

/// Ids of calls that were given up, for answers that come after all.
const MAX_LATE: usize = 100;

type Socket = WebSocketStream<TcpStream>;
type Asked = oneshot::Sender<Result<Value, CallError>>;

pub struct Link {
    options: Options,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    online: bool,
    /// Ordinary calls that wait for their turn.
    calls: VecDeque<Outstanding>,
    outstanding: Option<Outstanding>,
    /// Not before this may the head of the queue be sent again.
    retry_at: Instant,
    late: VecDeque<String>,
}

struct Outstanding {
    id: String,
    action: String,
    payload: Value,
    /// `None` = the head of the queue.
    asked: Option<Asked>,
    attempts: u32,
    sent_at: Instant,
}

/// The station was dropped, or the link is lost.
enum End {
    Station,
    Link,
}

impl Link {
    pub fn new(options: Options, shared: Arc<Shared>, orders: mpsc::Receiver<Order>) -> Self {
        Self {
            options,
            shared,
            orders,
            online: true,
            calls: VecDeque::new(),
            outstanding: None,
            retry_at: Instant::now(),
            late: VecDeque::new(),
        }
    }

    pub async fn work(mut self) {
        let mut backoff = self.options.first_backoff;
        loop {
            let wait = if !self.online {
                None
            } else {
                match dial::dial(&self.options).await {
                    Ok(socket) => {
                        backoff = self.options.first_backoff;
                        if matches!(self.serve(socket).await, End::Station) {
                            return;
                        }
                    }
                    Err(error) => self.shared.snapshot.send_modify(|now| now.last_error = Some(error.to_string())),
                }
                // Half fixed, half random, so that stations do not come back as one.
                let jitter = fastrand::u64(0..=u64::try_from(backoff.as_millis() / 2).unwrap_or(u64::MAX));
                let wait = backoff / 2 + Duration::from_millis(jitter);
                backoff = (backoff * 2).min(self.options.longest_backoff);
                Some(Instant::now() + wait)
            };
            if matches!(self.be_offline(wait).await, End::Station) {
                return;
            }
        }
    }

    /// Refuses calls until it is time to dial.
    async fn be_offline(&mut self, mut until: Option<Instant>) -> End {
        loop {
            if self.online && until.is_none() {
                return End::Link;
            }
            tokio::select! {
                order = self.orders.recv() => match order {
                    None => return End::Station,
                    Some(Order::Online(true)) => {
                        self.online = true;
                        return End::Link;
                    }
                    Some(Order::Online(false)) => {
                        self.online = false;
                        until = None;
                    }
                    Some(Order::Call { reply, .. }) => resolve(reply, Err(CallError::Offline)),
                },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return End::Link,
            }
        }
    }

    async fn serve(&mut self, mut socket: Socket) -> End {
        self.shared.snapshot.send_modify(|now| {
            now.connected = true;
            now.connections += 1;
            now.last_error = None;
        });
        self.retry_at = Instant::now();
        let end = self.converse(&mut socket).await;
        if let Some(asked) = self.outstanding.take().and_then(|lost| lost.asked) {
            resolve(asked, Err(CallError::LinkLost));
        }
        for call in self.calls.drain(..).filter_map(|call| call.asked) {
            resolve(call, Err(CallError::LinkLost));
        }
        self.shared.snapshot.send_modify(|now| now.connected = false);
        end
    }

    async fn converse(&mut self, socket: &mut Socket) -> End {
        loop {
            if self.outstanding.is_none() && self.send_next(socket).await.is_err() {
                return End::Link;
            }
            let deadline = self.outstanding.as_ref().map(|call| call.sent_at + self.options.answer_timeout);
            let retry = (self.outstanding.is_none() && self.has_head()).then_some(self.retry_at);
            tokio::select! {
                message = socket.next() => {
                    let Some(Ok(message)) = message else { return End::Link };
                    if self.read(socket, message).await.is_err() {
                        return End::Link;
                    }
                }
                order = self.orders.recv() => match order {
                    None => return End::Station,
                    Some(Order::Online(true)) => {}
                    Some(Order::Online(false)) => {
                        self.online = false;
                        return End::Link;
                    }
                    Some(Order::Call { message_id, action, payload, reply }) => self.calls.push_back(Outstanding {
                        id: message_id, action, payload, asked: Some(reply), attempts: 1, sent_at: Instant::now(),
                    }),
                },
                () = self.shared.changed.notified() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => self.give_up(),
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {}
            }
        }
    }

    fn has_head(&self) -> bool {
        self.shared.snapshot.borrow().registered && !self.shared.memory().queue.is_empty()
    }

    /// An ordinary call if there is one, else the head of the queue when its time has come.
    async fn send_next(&mut self, socket: &mut Socket) -> Result<(), ()> {
        let mut call = if let Some(call) = self.calls.pop_front() {
            call
        } else if self.has_head() && Instant::now() >= self.retry_at {
            let head = self.shared.memory().next_attempt(self.options.version);
            let Some(Queued { id, message, attempts, .. }) = head else { return Ok(()) };
            let (action, payload) = (message.action, message.payload);
            Outstanding { id, action, payload, asked: None, attempts, sent_at: Instant::now() }
        } else {
            return Ok(());
        };
        let text = frame::call(&call.id, &call.action, &call.payload);
        tracing::trace!(station = self.options.id, text, "sent");
        call.sent_at = Instant::now();
        self.outstanding = Some(call);
        socket.send(Message::text(text)).await.map_err(drop)
    }

    /// No answer in time: the next CALL may go out.
    fn give_up(&mut self) {
        let Some(call) = self.outstanding.take() else { return };
        self.complain(&call.action, &call.id, "not answered in time");
        self.retry_at = Instant::now() + self.options.retry_interval * call.attempts;
        if let Some(asked) = call.asked {
            self.late.push_back(call.id);
            if self.late.len() > MAX_LATE {
                self.late.pop_front();
            }
            resolve(asked, Err(CallError::Timeout));
        }
    }

    async fn read(&mut self, socket: &mut Socket, message: Message) -> Result<(), ()> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(()),
            Message::Binary(_) => {
                self.complain("frame", "", "binary");
                return Ok(());
            }
            // Pings are answered below us.
            _ => return Ok(()),
        };
        tracing::trace!(station = self.options.id, text = text.as_str(), "received");
        match frame::parse(&text) {
            Err(wrong) => self.complain("frame", text.as_str(), &wrong),
            Ok(Frame::Call { id, action, payload }) => {
                let reply = frame::reply(&id, (self.options.answerer)(&action, &payload));
                self.shared.memory().note_call(Received { message_id: id, action, payload });
                self.shared.count();
                if let Some(reply) = reply {
                    socket.send(Message::text(reply)).await.map_err(drop)?;
                }
            }
            Ok(Frame::Result { id, payload }) => self.complete(&id, Answer::Result(payload)),
            Ok(Frame::Error { id, code, description }) => self.complete(&id, Answer::Error { code, description }),
        }
        Ok(())
    }

    fn complete(&mut self, id: &str, answer: Answer) {
        let Some(call) = self.outstanding.take_if(|call| call.id == id).or_else(|| self.late_head(id)) else {
            if !self.late.iter().any(|late| late == id) {
                self.complain("answer", id, "answers nothing that was asked");
            }
            return;
        };
        if let Answer::Result(payload) = &answer {
            for wrong in check::complaints(self.options.version, &call.action, &call.payload, payload) {
                self.complain(&call.action, id, &wrong);
            }
        }
        if call.asked.is_none() {
            self.complete_head(&call, &answer);
        }
        self.shared.memory().note_answer(Answered {
            message_id: call.id,
            action: call.action,
            transaction: call.asked.is_none(),
            attempts: call.attempts,
            answered_at: Utc::now(),
            took: call.sent_at.elapsed(),
            answer: answer.clone(),
        });
        self.shared.count();
        if let Some(asked) = call.asked {
            resolve(
                asked,
                match answer {
                    Answer::Result(payload) => Ok(payload),
                    Answer::Error { code, description } => Err(CallError::Refused { code, description }),
                },
            );
        }
    }

    /// An answer to the head of the queue that comes between two attempts counts.
    fn late_head(&self, id: &str) -> Option<Outstanding> {
        let memory = self.shared.memory();
        let Queued { id, message, attempts, .. } =
            memory.queue.front().filter(|head| head.id == id && head.attempts > 0)?.clone();
        let (action, payload) = (message.action, message.payload);
        Some(Outstanding { id, action, payload, asked: None, attempts, sent_at: Instant::now() })
    }

    fn complete_head(&mut self, call: &Outstanding, answer: &Answer) {
        let mut memory = self.shared.memory();
        match answer {
            Answer::Result(payload) => memory.deliver_head(payload),
            Answer::Error { code, description } => {
                memory.complain(format!("{} {}: CALLERROR {code} {description}", call.action, call.id));
                let given_up = memory.queue.front_mut().is_some_and(|head| {
                    head.errors += 1;
                    head.errors >= self.options.error_attempts
                });
                if given_up {
                    memory.complain(format!("{} {}: given up", call.action, call.id));
                    memory.queue.pop_front();
                }
                self.retry_at = Instant::now() + self.options.retry_interval * call.attempts;
            }
        }
    }

    fn complain(&self, about: &str, id: &str, wrong: &str) {
        self.shared.memory().complain(format!("{about} {id}: {wrong}"));
    }
}

/// Whoever asked may have stopped listening.
fn resolve(asked: Asked, answer: Result<Value, CallError>) {
    asked.send(answer).ok();
}
