//! How do many requests share few connections to the cluster?
//!
//! A [`Client`] blocks and asks one thing at a time, so each call gets a thread and a client of its own while it lasts.
//! There is a limit to both, and to those who wait for them: whoever comes when the line is full is sent away at once,
//! which is better for everybody than a line that only gets longer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Client, ClientConfig, Error};
use tokio::sync::Semaphore;
use tokio::{task, time};

use crate::problem::{Code, Problem};

/// Calls to the cluster at a time.
const CALLS_MAX: usize = 32;

/// Those who may wait for their turn beside them.
const WAITING_MAX: usize = 256;

/// How long they wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Clients of one cluster.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Whoever has come: calls, and those who wait.
    line: Arc<Semaphore>,
    /// Whoever's turn it is.
    calls: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    config: ClientConfig,
    /// Counts the configurations: a client of an earlier one is not kept.
    age: u64,
    clients: Vec<Client>,
}

impl Clients {
    pub(crate) fn new(config: ClientConfig) -> Clients {
        Clients {
            line: Arc::new(Semaphore::new(CALLS_MAX + WAITING_MAX)),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            idle: Mutex::new(Idle {
                config,
                age: 0,
                clients: Vec::new(),
            }),
        }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        self.idle().config.clone()
    }

    /// Other coordinators from now on. Calls that are under way go on where they are.
    pub(crate) fn set_config(&self, config: ClientConfig) {
        let mut idle = self.idle();
        idle.config = config;
        idle.age += 1;
        idle.clients.clear();
    }

    /// Lets `call` use a client. It comes to its end also if nobody waits for it any more.
    ///
    /// # Errors
    /// If too many calls are under way: nothing was asked.
    pub(crate) async fn call<T, F>(self: &Arc<Clients>, call: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Client) -> T + Send + 'static,
    {
        let place = Arc::clone(&self.line)
            .try_acquire_owned()
            .map_err(|_| overloaded())?;
        let turn = time::timeout(PATIENCE, Arc::clone(&self.calls).acquire_owned()).await;
        let turn = turn.map_err(|_| overloaded())?.map_err(|_| overloaded())?;
        let clients = Arc::clone(self);
        let called = task::spawn_blocking(move || {
            let (age, mut client) = clients.take().map_err(|error| unusable(&error))?;
            let answer = call(&mut client);
            clients.put(age, client);
            drop((turn, place));
            Ok(answer)
        });
        called.await.map_err(|error| broken(&error))?
    }

    fn take(&self) -> Result<(u64, Client), Error> {
        let mut idle = self.idle();
        let client = match idle.clients.pop() {
            Some(client) => client,
            None => Client::new(idle.config.clone())?,
        };
        Ok((idle.age, client))
    }

    fn put(&self, age: u64, client: Client) {
        let mut idle = self.idle();
        if idle.age == age {
            idle.clients.push(client);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn overloaded() -> Problem {
    Problem::new(
        Code::Overloaded,
        "Refused: too many requests are being answered. This one was not begun.",
    )
    .next("Wait a second, then send it again.")
}

fn unusable(error: &Error) -> Problem {
    Problem::new(
        Code::Internal,
        format!("This server is set up wrongly: {error}. Nothing was sent."),
    )
}

/// A call that panicked: nobody knows how far it came.
fn broken(error: &task::JoinError) -> Problem {
    log::error!("a call to the cluster ended by a panic: {error}");
    Problem::new(Code::Internal, "A bug of this server cut the call short.")
        .money(crate::problem::MoneyMoved::Unknown)
        .next("If you sent an Idempotency-Key, send the same again with it: nothing happens twice.")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_comes_when_the_line_is_full_is_sent_away_and_the_others_get_their_turn() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(CALLS_MAX)
            .enable_all()
            .build()
            .unwrap();
        // Nobody listens there, and nobody asks.
        let clients = Arc::new(Clients::new(ClientConfig::at(["127.0.0.1:1"])));
        let (enter, entered) = mpsc::channel();
        let (leave, left) = mpsc::channel::<()>();
        let left = Arc::new(Mutex::new(left));
        let begun: Vec<_> = (0..CALLS_MAX)
            .map(|_| {
                let (clients, enter, left) = (Arc::clone(&clients), enter.clone(), Arc::clone(&left));
                runtime.spawn(async move {
                    let wait = move |_: &mut Client| {
                        enter.send(()).unwrap();
                        left.lock().unwrap().recv().unwrap();
                    };
                    clients.call(wait).await.map_err(|problem| problem.code())
                })
            })
            .collect();
        (0..CALLS_MAX).for_each(|_| entered.recv().unwrap());
        let places: Vec<_> = (0..WAITING_MAX)
            .map(|_| Arc::clone(&clients.line).try_acquire_owned().unwrap())
            .collect();
        let refused = runtime.block_on(clients.call(|_| ()));
        assert_eq!(refused.map_err(|problem| problem.code()), Err(Code::Overloaded));
        drop(places);
        (0..CALLS_MAX).for_each(|_| leave.send(()).unwrap());
        for call in begun {
            assert_eq!(runtime.block_on(call).unwrap(), Ok(()));
        }
        assert_eq!(runtime.block_on(clients.call(|_| 7)).ok(), Some(7));
        assert!(clients.idle().clients.len() <= CALLS_MAX);
        clients.set_config(ClientConfig::at(["127.0.0.1:2"]));
        assert!(clients.idle().clients.is_empty());
    }
}
