//! A client: the real request machine, what it has sent, and what it was told.

use protocol::message::{Answer, Ask, Outcome};
use protocol::request::{Effect, End, Input, Request, Timer};

/// A call on its way. It may arrive late, after its client has turned to another coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sent {
    pub(crate) coordinator: usize,
    pub(crate) attempt: u32,
    pub(crate) ask: Ask,
}

/// One request and whoever waits for its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    request: Request,
    /// The newest attempt.
    attempt: u32,
    /// Calls that have not arrived.
    pub(crate) calls: Vec<Sent>,
    /// How often it may still send.
    pub(crate) sends: u32,
    /// The last word, once there is one.
    pub(crate) told: Option<Answer>,
}

impl Client {
    /// A client that has sent its call to the first of its coordinators.
    pub(crate) fn new(ask: Ask, coordinators: usize, first: usize, sends: u32) -> Client {
        let mut client = Client {
            request: Request::new(ask, coordinators, first),
            attempt: 0,
            calls: Vec::new(),
            sends,
            told: None,
        };
        client.step(Input::Start);
        client
    }

    /// Steps the request. Connections are made at once and pauses take no time: a call may be on its way for as long
    /// as one likes, and that says the same.
    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            self.request.step(input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Connect { attempt, .. } => {
                        self.attempt = attempt;
                        if self.sends > 0 {
                            self.sends -= 1;
                            inputs.push(Input::Connected { attempt });
                        }
                    }
                    Effect::Send { attempt, ask } => self.calls.push(Sent {
                        coordinator: self.request.coordinator(),
                        attempt,
                        ask,
                    }),
                    Effect::Set(timer @ Timer::Backoff { .. }) => inputs.push(Input::Expired(timer)),
                    Effect::Set(Timer::Connect | Timer::Answer | Timer::Deadline)
                    | Effect::Cancel(_)
                    | Effect::Hangup => {}
                    Effect::End(End::Answer(answer)) => self.told = Some(answer),
                    Effect::End(End::NoCoordinator { .. } | End::Unknown { .. }) => {
                        unreachable!("its deadline never comes and it has been sent")
                    }
                }
            }
        }
    }

    /// Whether `attempt` is the one whose answer counts.
    pub(crate) fn listens_to(&self, attempt: u32) -> bool {
        self.told.is_none() && self.attempt == attempt
    }

    /// The call whose answer would count, if it is on its way.
    pub(crate) fn newest_call(&self) -> Option<usize> {
        self.calls.iter().position(|call| call.attempt == self.attempt)
    }

    /// Whether it had to ask more than once.
    pub(crate) fn has_repeated(&self) -> bool {
        self.attempt > 1
    }

    /// Whether the newest call has arrived, so that its coordinator may answer.
    pub(crate) fn waits_at(&self, coordinator: usize) -> bool {
        self.told.is_none()
            && self.request.coordinator() == coordinator
            && self.calls.iter().all(|call| call.attempt != self.attempt)
    }

    /// The answer to an attempt; one that was given up is not listened to.
    pub(crate) fn hear(&mut self, attempt: u32, answer: Answer) {
        self.step(Input::Answered { attempt, answer });
    }

    /// It has waited long enough, and asks again.
    pub(crate) fn give_up(&mut self) {
        self.step(Input::Expired(Timer::Answer));
    }

    /// The coordinator died: with it calls that were given up, and what it would have answered.
    pub(crate) fn lose(&mut self, coordinator: usize) {
        let newest = self.attempt;
        self.calls
            .retain(|call| call.coordinator != coordinator || call.attempt == newest);
        if self.waits_at(coordinator) {
            self.step(Input::Lost {
                attempt: newest,
                why: "it died".to_owned(),
            });
        }
    }

    /// May send once more, as in a world that has come to rest.
    pub(crate) fn send_once_more(&mut self) {
        if self.told.is_none() {
            self.sends += 1;
            let attempt = self.attempt;
            self.give_up();
            if self.attempt == attempt {
                // It had run out of sends on its way to the next coordinator.
                self.sends -= 1;
                self.step(Input::Connected { attempt });
            }
        }
    }

    /// The final outcome of a submit, if it has one.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.told {
            Some(Answer::Outcome(outcome)) => Some(outcome),
            Some(
                Answer::Balance(_)
                | Answer::Accounts(_)
                | Answer::Audit(_)
                | Answer::Status(_)
                | Answer::Txn(_)
                | Answer::List(_)
                | Answer::Done(_)
                | Answer::Failed(_),
            )
            | None => None,
        }
    }
}
