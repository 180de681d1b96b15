//! One event handed to the function, again where that may help.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium_core::ports::{Advice, Function};

use super::chance::Chance;
use super::event::Event;
use super::failed::Failure;
use super::progress::FirehoseProgress;
use super::response::{self, Verdict};
use super::settings::FirehoseSettings;

/// What invokes the function.
pub(super) struct Invoker {
    pub(super) function: Arc<dyn Function>,
    pub(super) settings: Arc<FirehoseSettings>,
    pub(super) chance: Arc<Chance>,
    pub(super) progress: Arc<FirehoseProgress>,
}

/// An event that was given up.
pub(super) struct GivenUp {
    /// How often the function was asked.
    pub(super) attempts: u32,
    pub(super) why: Failure,
}

/// Why one invocation came to nothing.
enum Fault {
    /// The next may come to something.
    Passing(Failure),
    /// So would the next.
    Lasting(Failure),
}

impl Invoker {
    /// The verdict on each record of the event, and how often the function was asked for them.
    ///
    /// # Errors
    ///
    /// When the function failed, took too long or was throttled, each time; or what it answered is no response.
    pub(super) async fn invoke(&self, event: &Event) -> Result<(u32, Vec<Verdict>), GivenUp> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let why = match self.once(event).await {
                Ok(verdicts) => return Ok((attempts, verdicts)),
                Err(Fault::Passing(why)) if attempts <= self.settings.retries => why,
                Err(Fault::Passing(why) | Fault::Lasting(why)) => return Err(GivenUp { attempts, why }),
            };
            let pause = self.chance.pause(self.settings.retry_pause, attempts - 1);
            tracing::warn!(code = why.code, error = %why.message, attempts, ?pause, "an invocation failed and is tried again");
            self.progress.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, event: &Event) -> Result<Vec<Verdict>, Fault> {
        self.progress.invocations.fetch_add(1, Ordering::Relaxed);
        let payload = event.payload(self.chance.id());
        let passing = |code, message| Fault::Passing(Failure::new(code, message));
        let answered = tokio::time::timeout(self.settings.invocation_time, self.function.invoke(payload)).await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.advice == Advice::BackOff => {
                return Err(passing("Lambda.InvokeLimitExceeded", error.message));
            }
            Ok(Err(error)) if error.advice == Advice::Stop => {
                return Err(Fault::Lasting(Failure::new("Lambda.FunctionError", error.message)));
            }
            Ok(Err(error)) => return Err(passing("Lambda.FunctionError", error.message)),
            Err(_) => {
                let message = format!("the function took more than {:?}", self.settings.invocation_time);
                return Err(passing("Lambda.FunctionError", message));
            }
        };
        if response.len() > self.settings.event_bytes {
            let (bytes, most) = (response.len(), self.settings.event_bytes);
            return Err(passing(
                "Lambda.FunctionError",
                format!("the response has {bytes} bytes; at most {most} are allowed"),
            ));
        }
        response::read(&response, &event.ids).map_err(Fault::Lasting)
    }
}
