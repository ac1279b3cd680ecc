//! The calls: one method for each thing a cluster can be asked.

use std::thread;
use std::time::{Duration, Instant};

use protocol::id::{AccountId, NodeId, Place, RequestId, TxnId};
use protocol::leg::Order;
use protocol::message::{
    Answer, Ask, AuditReport, AuditVerdict, BalanceAnswer, ClusterStatus, InDoubt, OperatorWord, Outcome,
    Page, Reference, Target, TxnReport,
};
use protocol::money::Balance;
use protocol::request::End;

use crate::config::{ClientConfig, fresh_request_id, retried_request_id};
use crate::driver::Driver;
use crate::error::Error;

const AUDIT_PAUSE: Duration = Duration::from_millis(100);
const AUDIT_TRIES_MAX: u32 = 5;

/// A client of one cluster. One call at a time; for many at once use several clients or a
/// [`Pipeline`](crate::Pipeline).
#[derive(Debug)]
pub struct Client {
    driver: Driver,
    timeout: Duration,
}

/// A request and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The request's id: send the same order again under it if the outcome is unknown.
    pub request: RequestId,
    /// How it ended, as far as anybody can tell.
    pub outcome: Outcome,
}

impl Client {
    /// A client that connects when it is first asked something.
    ///
    /// # Errors
    /// If no coordinator is named or there is no time to ask one.
    pub fn new(config: ClientConfig) -> Result<Client, Error> {
        if config.coordinators.is_empty() {
            return Err(Error::Config(
                "a client needs the address of a coordinator".to_owned(),
            ));
        }
        if config.timeout.is_zero() {
            return Err(Error::Config("a client needs a timeout above 0".to_owned()));
        }
        Ok(Client {
            driver: Driver::new(&config),
            timeout: config.timeout,
        })
    }

    /// Makes `order` happen, at most once under `request`. Without an id it gets a fresh one; an id that is given
    /// counts as sent before, which costs the request's home one more record should it abort.
    ///
    /// # Errors
    /// [`Error::NoCoordinator`]: nothing was sent. [`Error::Failed`]: the coordinator could not take it. An answer
    /// that did not come is not an error but [`Outcome::Unknown`].
    pub fn submit(&mut self, request: Option<RequestId>, order: Order) -> Result<Submission, Error> {
        let repeated = request.is_some();
        self.submit_as(request.unwrap_or_else(fresh_request_id), repeated, order)
    }

    /// Tries `order` again that aborted under `first`, under a fresh id of the same age; see [`retried_request_id`].
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub fn retry(&mut self, first: RequestId, order: Order) -> Result<Submission, Error> {
        self.submit_as(retried_request_id(first), false, order)
    }

    fn submit_as(&mut self, request: RequestId, repeated: bool, order: Order) -> Result<Submission, Error> {
        let ask = Ask::Submit {
            request,
            repeated,
            order,
        };
        match self.driver.run(ask, self.timeout) {
            End::Answer(Answer::Outcome(outcome)) => Ok(Submission { request, outcome }),
            End::Answer(Answer::Failed(why)) => Err(Error::Failed(why)),
            End::Answer(_) => unfit(),
            End::Unknown { failures } => Ok(Submission {
                request,
                outcome: Outcome::Unknown {
                    why: self.driver.explain(&failures),
                },
            }),
            End::NoCoordinator { failures } => Err(Error::NoCoordinator(self.driver.explain(&failures))),
        }
    }

    /// What an account holds. Waits half of the timeout for transactions that hold the account now; what is in doubt
    /// for longer is named in the answer.
    ///
    /// # Errors
    /// As for every question: [`Error::NoCoordinator`], [`Error::NoAnswer`] or [`Error::Failed`].
    pub fn balance(&mut self, place: Place) -> Result<BalanceAnswer, Error> {
        let wait_ms = u32::try_from((self.timeout / 2).as_millis()).unwrap_or(u32::MAX);
        let Answer::Balance(answer) = self.ask(Ask::Balance { place, wait_ms })? else {
            unfit();
        };
        Ok(answer)
    }

    /// One page of a node's accounts in name order: those behind `after`, or the first.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub fn accounts(&mut self, node: NodeId, after: Option<AccountId>) -> Result<Page, Error> {
        let Answer::Accounts(page) = self.ask(Ask::Accounts { node, after })? else {
            unfit();
        };
        Ok(page)
    }

    /// All of a node's accounts, page by page. Balances of different pages are of different moments.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub fn all_accounts(&mut self, node: NodeId) -> Result<Vec<(AccountId, Balance)>, Error> {
        let mut all: Vec<(AccountId, Balance)> = Vec::new();
        loop {
            let page = self.accounts(node, all.last().map(|(account, _)| account.clone()))?;
            let ended = !page.more || page.accounts.is_empty();
            all.extend(page.accounts);
            if ended {
                return Ok(all);
            }
        }
    }

    /// Whether all the money is there. An audit that could not see everything is tried a few times again, while the
    /// timeout lasts.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub fn audit(&mut self) -> Result<AuditReport, Error> {
        let until = Instant::now() + self.timeout;
        let mut tries = 0;
        loop {
            let Answer::Audit(report) = self.ask(Ask::Audit)? else {
                unfit();
            };
            tries += 1;
            match report.verdict {
                AuditVerdict::Exact | AuditVerdict::Violated => return Ok(report),
                AuditVerdict::Incomplete(_) => {
                    if tries == AUDIT_TRIES_MAX || Instant::now() + AUDIT_PAUSE >= until {
                        return Ok(report);
                    }
                    thread::sleep(AUDIT_PAUSE);
                }
            }
        }
    }

    /// The cluster as the coordinator sees it.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub fn status(&mut self) -> Result<ClusterStatus, Error> {
        let Answer::Status(status) = self.ask(Ask::Status)? else {
            unfit();
        };
        Ok(status)
    }

    /// Everything known about one transaction.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub fn show(&mut self, reference: Reference) -> Result<TxnReport, Error> {
        let Answer::Txn(report) = self.ask(Ask::Show(reference))? else {
            unfit();
        };
        Ok(report)
    }

    /// Transactions that have not ended, or only those that nobody is about to end.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub fn list(&mut self, in_doubt: bool) -> Result<Vec<InDoubt>, Error> {
        let Answer::List(list) = self.ask(Ask::List { in_doubt })? else {
            unfit();
        };
        Ok(list)
    }

    /// Forces the outcome of an in-doubt transaction at every node that waits for it. Returns what was done.
    ///
    /// # Errors
    /// As [`Client::balance`]. After [`Error::NoAnswer`] it may have been done: look with [`Client::show`].
    pub fn resolve(&mut self, txn: TxnId, word: OperatorWord, why: &str) -> Result<String, Error> {
        self.order(Ask::Resolve {
            txn,
            word,
            why: why.to_owned(),
        })
    }

    /// Accepts a node's present store, and makes the node accept the coordinator's log. Returns what was done.
    ///
    /// # Errors
    /// As [`Client::balance`]. After [`Error::NoAnswer`] it may have been done: look with [`Client::status`].
    pub fn adopt(&mut self, node: NodeId) -> Result<String, Error> {
        self.order(Ask::Adopt { node })
    }

    /// Arms a failpoint, `name=action`, in a process started with `--enable-failpoints`. Returns what was done.
    ///
    /// # Errors
    /// As [`Client::balance`]. After [`Error::NoAnswer`] it may have been done.
    pub fn arm(&mut self, target: Target, failpoint: &str) -> Result<String, Error> {
        self.order(Ask::Arm {
            target,
            failpoint: failpoint.to_owned(),
        })
    }

    fn order(&mut self, ask: Ask) -> Result<String, Error> {
        let Answer::Done(text) = self.ask(ask)? else {
            unfit();
        };
        Ok(text)
    }

    /// Runs anything but a submit.
    fn ask(&mut self, ask: Ask) -> Result<Answer, Error> {
        match self.driver.run(ask, self.timeout) {
            End::Answer(Answer::Failed(why)) => Err(Error::Failed(why)),
            End::Answer(answer) => Ok(answer),
            End::NoCoordinator { failures } => Err(Error::NoCoordinator(self.driver.explain(&failures))),
            End::Unknown { failures } => Err(Error::NoAnswer(self.driver.explain(&failures))),
        }
    }
}

/// The request machine passes on only what fits the question.
fn unfit() -> ! {
    unreachable!("an answer that does not fit its question")
}
