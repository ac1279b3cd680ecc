//! Looking into one process while it works: what it says, hears, writes down and syncs, as it happens.
//!
//! A watch costs the process next to nothing, and can hold nothing up but by [`Watch::gate`]. Under load a process keeps
//! only some of its transactions for watchers, and a watch that reads too slowly loses events; both are told, as
//! [`Seen::Sampling`] and [`Seen::Dropped`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use protocol::hello::{Hello, Role};
use protocol::id::{ClusterName, NodeId, TxnId};
use protocol::message::watch::{
    Holding, Numbers, Party, Seen, Sighting, StatePage, Told, WatchAnswer, WatchAsk,
};

use crate::connection::{Connection, Fault};
use crate::error::Error;

/// Shorter waits would not even look at the socket.
const PATIENCE_MIN: Duration = Duration::from_millis(1);

/// A connection to one process, of which nothing but this watch knows.
#[derive(Debug)]
pub struct Watch {
    connection: Connection,
    address: String,
    timeout: Duration,
    /// What came while an answer was awaited.
    seen: VecDeque<Seen>,
}

impl Watch {
    /// Connects to the process at `address` (`host:port`), a coordinator or a node of `cluster`. Connecting, and each
    /// question, may take as long as `timeout`.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] if nothing that fits answers there.
    pub fn connect(address: &str, cluster: &ClusterName, timeout: Duration) -> Result<Watch, Error> {
        let hello = Hello::watcher(cluster.clone());
        let accepts = [Role::Coordinator, Role::Node];
        let opened = Connection::open(address, &hello, &accepts, Instant::now() + timeout);
        let connection = opened.map_err(|fault| lost(address, fault))?;
        Ok(Watch {
            connection,
            address: address.to_owned(),
            timeout,
            seen: VecDeque::new(),
        })
    }

    /// Whom this watch looks at.
    pub fn party(&self) -> Party {
        let theirs = self.connection.theirs();
        match theirs.name {
            Some(node) => Party::Node(node),
            None => Party::Coordinator(theirs.store),
        }
    }

    /// Starts following: from now on [`Watch::next`] tells what happens, with `replay` also what the process still has
    /// of what happened before.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] if the connection is broken or nothing comes in time; then this watch is of no more use.
    pub fn follow(&mut self, replay: bool) -> Result<(), Error> {
        let WatchAnswer::Following { every } = self.ask(WatchAsk::Follow { replay })? else {
            return Err(self.unfit());
        };
        self.seen.push_back(Seen::Sampling { every });
        Ok(())
    }

    /// The next thing that is seen; `None` if nothing is within `patience`. Read on without long pauses: what does not
    /// find room is lost, and counted.
    ///
    /// # Errors
    /// As [`Watch::follow`].
    pub fn next(&mut self, patience: Duration) -> Result<Option<Seen>, Error> {
        if let Some(seen) = self.seen.pop_front() {
            return Ok(Some(seen));
        }
        match self
            .connection
            .receive(Instant::now() + patience.max(PATIENCE_MIN))
        {
            Ok(Told::Seen(seen)) => Ok(Some(seen)),
            Ok(Told::Answer(_)) => Err(self.unfit()),
            Err(Fault::Late) => Ok(None),
            Err(fault @ Fault::Lost(_)) => Err(lost(&self.address, fault)),
        }
    }

    /// What the process still has about one transaction, oldest first.
    ///
    /// # Errors
    /// As [`Watch::follow`].
    pub fn recall(&mut self, txn: TxnId) -> Result<Vec<Sighting>, Error> {
        let WatchAnswer::Recalled(sightings) = self.ask(WatchAsk::Recall(txn))? else {
            return Err(self.unfit());
        };
        Ok(sightings)
    }

    /// The process's counters.
    ///
    /// # Errors
    /// As [`Watch::follow`].
    pub fn numbers(&mut self) -> Result<Numbers, Error> {
        let WatchAnswer::Numbers(numbers) = self.ask(WatchAsk::Numbers)? else {
            return Err(self.unfit());
        };
        Ok(numbers)
    }

    /// A page of the entries that the process's state consists of: the first, or the one behind
    /// [`StatePage::next`]. Pages are of different moments.
    ///
    /// # Errors
    /// As [`Watch::follow`]; [`Error::Failed`] if `after` is not from such a page.
    pub fn state(&mut self, after: Option<String>) -> Result<StatePage, Error> {
        let WatchAnswer::State(page) = self.ask(WatchAsk::State { after })? else {
            return Err(self.unfit());
        };
        Ok(page)
    }

    /// The nodes that a coordinator dials, and the addresses it dials. A node knows none.
    ///
    /// # Errors
    /// As [`Watch::follow`].
    pub fn nodes(&mut self) -> Result<Vec<(NodeId, String)>, Error> {
        let WatchAnswer::Nodes(nodes) = self.ask(WatchAsk::Nodes)? else {
            return Err(self.unfit());
        };
        Ok(nodes)
    }

    /// Closes or opens the gate of a coordinator: while it is closed, its messages about transactions wait for
    /// [`Watch::step`], and its clock stands still while one waits. The gate opens when the watch that closed it ends.
    ///
    /// # Errors
    /// As [`Watch::follow`]; [`Error::Failed`] at a node, or if the gate is another watch's.
    pub fn gate(&mut self, closed: bool) -> Result<Holding, Error> {
        self.holding(WatchAsk::Gate(closed))
    }

    /// Lets one waiting message go.
    ///
    /// # Errors
    /// As [`Watch::gate`].
    pub fn step(&mut self) -> Result<Holding, Error> {
        self.holding(WatchAsk::Step)
    }

    fn holding(&mut self, ask: WatchAsk) -> Result<Holding, Error> {
        let WatchAnswer::Holding(holding) = self.ask(ask)? else {
            return Err(self.unfit());
        };
        Ok(holding)
    }

    /// Asks, and keeps what is seen until the answer comes.
    fn ask(&mut self, ask: WatchAsk) -> Result<WatchAnswer, Error> {
        let until = Instant::now() + self.timeout;
        self.connection.queue_message(&ask);
        let flushed = self.connection.flush(until);
        flushed.map_err(|fault| lost(&self.address, fault))?;
        loop {
            match self.connection.receive(until) {
                Ok(Told::Seen(seen)) => self.seen.push_back(seen),
                Ok(Told::Answer(answer)) => {
                    return match *answer {
                        WatchAnswer::Cannot(why) => Err(Error::Failed(why)),
                        answer @ (WatchAnswer::Following { .. }
                        | WatchAnswer::Recalled(_)
                        | WatchAnswer::Numbers(_)
                        | WatchAnswer::State(_)
                        | WatchAnswer::Nodes(_)
                        | WatchAnswer::Holding(_)) => Ok(answer),
                    };
                }
                Err(fault) => return Err(lost(&self.address, fault)),
            }
        }
    }

    fn unfit(&self) -> Error {
        Error::NoAnswer(format!(
            "{}: an answer that does not fit its question",
            self.address
        ))
    }
}

fn lost(address: &str, fault: Fault) -> Error {
    Error::NoAnswer(match fault {
        Fault::Late => format!("{address}: nothing came in time"),
        Fault::Lost(why) => format!("{address}: {why}"),
    })
}
