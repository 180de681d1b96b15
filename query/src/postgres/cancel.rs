//! Requests to cancel: each comes on a connection of its own and names the one that it means by a number and a secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::SecretKey;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio_util::sync::CancellationToken;

/// The connections whose statements can be cancelled.
#[derive(Debug, Default)]
pub(super) struct Cancels(Mutex<HashMap<i32, Named>>);

#[derive(Debug)]
struct Named {
    secret: i32,
    running: Arc<Mutex<CancellationToken>>,
}

impl Cancels {
    /// A connection that can be named; `None`: there is no randomness for its secret.
    pub(super) fn register(self: &Arc<Self>) -> Option<Cancellable> {
        let random = || {
            let mut bytes = [0; 4];
            SystemRandom::new().fill(&mut bytes).ok()?;
            Some(i32::from_be_bytes(bytes))
        };
        let mut named = self.named();
        let number = loop {
            let number = random()? & i32::MAX;
            if !named.contains_key(&number) {
                break number;
            }
        };
        let secret = random()?;
        let running = Arc::<Mutex<CancellationToken>>::default();
        named.insert(number, Named { secret, running: running.clone() });
        Some(Cancellable { number, secret, running, of: self.clone() })
    }

    /// Stops what the named connection runs at the moment. Who asks is told nothing.
    pub(super) fn cancel(&self, request: &CancelRequest) {
        if let Some(named) = self.named().get(&request.pid)
            && request.secret_key.eq_value(&SecretKey::I32(named.secret))
        {
            locked(&named.running).cancel();
        }
    }

    fn named(&self) -> MutexGuard<'_, HashMap<i32, Named>> {
        locked(&self.0)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection's name, which goes with it.
#[derive(Debug)]
pub(super) struct Cancellable {
    pub(super) number: i32,
    pub(super) secret: i32,
    running: Arc<Mutex<CancellationToken>>,
    of: Arc<Cancels>,
}

impl Cancellable {
    /// What cancels the statement that begins now, and none before or after it.
    pub(super) fn next(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *locked(&self.running) = token.clone();
        token
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.of.named().remove(&self.number);
    }
}
