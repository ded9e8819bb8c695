//! Commands of head office: what comes on `cmd/{name}` is passed on to whoever carries it out, and what came of it is published.
//!
//! The answer goes to the Response Topic with the Correlation Data of the command (MQTT 5 §4.10), else to `reply/{name}`; it is not retained. A
//! command that the broker kept from earlier is not carried out: nobody waits for it, and it would come again with every connection.
//! Limit: [`MAX_IN_HAND`] commands at a time whose answer the broker has not taken; more are passed over.

use tokio::sync::{mpsc, oneshot};

pub const MAX_IN_HAND: u16 = 32;
/// Longer Response Topics are not used.
const MAX_TOPIC: usize = 1_024;

/// A command, and where its answer (JSON text) is awaited.
pub struct Command {
    pub payload: Vec<u8>,
    pub reply: oneshot::Sender<String>,
}

/// Where commands are carried out.
pub type Commands = mpsc::Sender<Command>;

/// A command as it came.
pub struct Request {
    pub payload: Vec<u8>,
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
    /// Published just now, not kept by the broker from earlier.
    pub live: bool,
}

impl Request {
    /// Where it asks to be answered, if one can publish there.
    pub fn answer_to(&self) -> Option<&str> {
        self.response_topic.as_deref().filter(|topic| {
            !topic.is_empty() && topic.len() <= MAX_TOPIC && !topic.contains(['+', '#', '\0']) && !topic.starts_with('$')
        })
    }
}

/// What became of a command; `Err`: nobody carries it out.
pub async fn carry_out(commands: Option<Commands>, payload: Vec<u8>) -> Result<String, &'static str> {
    let (reply, answer) = oneshot::channel();
    let commands = commands.ok_or("commands are not carried out here")?;
    commands.send(Command { payload, reply }).await.map_err(|_| "the daemon is about to stop")?;
    answer.await.map_err(|_| "the daemon is about to stop")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_only_where_one_can_publish() {
        for (topic, fits) in [("office/1", true), ("", false), ("a/+", false), ("#", false), ("$SYS/x", false)] {
            let request = Request { payload: Vec::new(), response_topic: Some(topic.to_owned()), correlation: None, live: true };
            assert_eq!(request.answer_to().is_some(), fits, "{topic}");
        }
    }
}
