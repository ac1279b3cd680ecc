//! Many measurements in a row: what changes with the number of clients, nodes or accounts, with a hot account, with
//! the length of a log.

use serde::Serialize;

use crate::load::Tick;
use crate::measure::{Measurement, measure_at};
use crate::options::Options;
use crate::recovery::{Recovery, recover};
use crate::site::Site;
use crate::workload::Dist;

/// What is varied while the rest stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sweep {
    /// Nothing.
    Single,
    /// Clients, one transfer each in flight.
    Clients,
    /// How many of the transfers touch one account.
    Hot,
    /// Nodes.
    Nodes,
    /// Coordinators.
    Coordinators,
    /// Accounts.
    Accounts,
}

/// One measurement, and what it is a part of.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What was varied.
    pub sweep: Sweep,
    /// What was found.
    #[serde(flatten)]
    pub measurement: Measurement,
}

/// All that was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// Loads.
    pub measurements: Vec<Measured>,
    /// Restarts.
    pub recoveries: Vec<Recovery>,
}

/// Hears what begins, how it goes, and what was found.
pub trait Audience {
    /// Something begins.
    fn begins(&mut self, what: &str);
    /// How it goes.
    fn tick(&mut self, tick: Tick);
    /// A load was measured.
    fn measured(&mut self, measured: &Measured);
    /// A restart was measured.
    fn recovered(&mut self, recovery: &Recovery);
}

/// Clients that one transfer each in flight is tried with.
const CLIENTS: [usize; 5] = [1, 4, 16, 64, 256];

/// Shares of the transfers that touch the hot account.
const HOT_SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Nodes.
const NODES: [u16; 3] = [3, 6, 12];

/// Coordinators.
const COORDINATORS: [u16; 3] = [1, 2, 4];

/// Accounts over all nodes.
const ACCOUNTS: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Accounts where something else is varied.
const PLENTY: u64 = 100_000;

/// Loads before the kills of the row of recoveries: so many times as long as the first.
const RECOVERIES: [u32; 4] = [1, 2, 4, 8];

/// Clients and requests in flight where neither is varied: 1,024 in all.
const MANY: (usize, usize) = (4, 256);

/// A run of measurements and what it has found so far.
pub struct Suite<'a> {
    options: Options,
    audience: &'a mut dyn Audience,
    results: &'a mut Results,
}

impl<'a> Suite<'a> {
    /// Measures as `options` say, but for what is varied. What is found goes to `results` at once.
    pub fn new(options: Options, audience: &'a mut dyn Audience, results: &'a mut Results) -> Suite<'a> {
        Suite {
            options,
            audience,
            results,
        }
    }

    /// One measurement as it was asked for.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn single(&mut self, store: &str) -> Result<(), String> {
        let options = self.options.clone();
        self.audience.begins(&format!("{store}, {}", options.locking));
        let site = Site::open(&options, store)?;
        self.measure(&site, &options, store, Sweep::Single)
    }

    /// A load as it was asked for, and a restart in the middle of another one.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn restart(&mut self, store: &str) -> Result<(), String> {
        let options = self.options.clone();
        self.audience.begins(&format!("{store}, restart"));
        let mut site = Site::open(&options, store)?;
        self.measure(&site, &options, store, Sweep::Single)?;
        self.recover(&mut site, &options, store)
    }

    /// What the plots of a report show.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn plots(&mut self, stores: &[String], lockings: &[String]) -> Result<(), String> {
        for store in stores {
            self.by_clients(store)?;
        }
        for locking in lockings {
            self.by_hot_share(&stores[0], locking)?;
        }
        self.by_nodes(&stores[0])?;
        for store in stores {
            self.recoveries(store)?;
        }
        Ok(())
    }

    /// What grows with what: accounts (as many as were asked for at the most), nodes, coordinators.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn scale(&mut self, store: &str) -> Result<(), String> {
        let most = self.options.accounts;
        for accounts in ACCOUNTS.into_iter().filter(|accounts| *accounts <= most) {
            let options = Options {
                accounts,
                ..self.many()
            };
            self.audience.begins(&format!("{store}, accounts: {accounts}"));
            let mut site = Site::open(&options, store)?;
            self.measure(&site, &options, store, Sweep::Accounts)?;
            self.recover(&mut site, &options, store)?;
        }
        self.options.accounts = most.min(PLENTY);
        self.by_nodes(store)?;
        for coordinators in COORDINATORS {
            let options = Options {
                coordinators,
                ..self.many()
            };
            self.audience
                .begins(&format!("{store}, coordinators: {coordinators}"));
            let site = Site::open(&options, store)?;
            self.measure(&site, &options, store, Sweep::Coordinators)?;
        }
        Ok(())
    }

    fn many(&self) -> Options {
        let (clients, in_flight) = MANY;
        Options {
            clients,
            in_flight,
            ..self.options.clone()
        }
    }

    fn by_clients(&mut self, store: &str) -> Result<(), String> {
        let site = Site::open(&self.options, store)?;
        for clients in CLIENTS {
            let options = Options {
                clients,
                in_flight: 1,
                ..self.options.clone()
            };
            self.audience.begins(&format!("{store}, clients: {clients}"));
            self.measure(&site, &options, store, Sweep::Clients)?;
        }
        Ok(())
    }

    fn by_hot_share(&mut self, store: &str, locking: &str) -> Result<(), String> {
        let options = Options {
            locking: locking.to_owned(),
            ..self.many()
        };
        let site = Site::open(&options, store)?;
        for share in HOT_SHARES {
            let options = Options {
                dist: Dist::Hot(share),
                ..options.clone()
            };
            self.audience
                .begins(&format!("{store}, {locking}, hot share: {share}"));
            self.measure(&site, &options, store, Sweep::Hot)?;
        }
        Ok(())
    }

    fn by_nodes(&mut self, store: &str) -> Result<(), String> {
        for nodes in NODES {
            let options = Options { nodes, ..self.many() };
            self.audience.begins(&format!("{store}, nodes: {nodes}"));
            let site = Site::open(&options, store)?;
            self.measure(&site, &options, store, Sweep::Nodes)?;
        }
        Ok(())
    }

    /// Restarts after longer and longer loads, without a checkpoint meanwhile.
    fn recoveries(&mut self, store: &str) -> Result<(), String> {
        for times in RECOVERIES {
            let options = Options {
                node_args: vec!["--segment-bytes".to_owned(), (1_u64 << 40).to_string()],
                time: self.options.time * times,
                ..self.many()
            };
            self.audience
                .begins(&format!("{store}, restart after {} s", options.time.as_secs()));
            let mut site = Site::open(&options, store)?;
            self.recover(&mut site, &options, store)?;
        }
        Ok(())
    }

    fn measure(&mut self, site: &Site, options: &Options, store: &str, sweep: Sweep) -> Result<(), String> {
        let measurement = measure_at(site, options, store, &mut |tick| self.audience.tick(tick))?;
        let measured = Measured { sweep, measurement };
        self.audience.measured(&measured);
        self.results.measurements.push(measured);
        Ok(())
    }

    fn recover(&mut self, site: &mut Site, options: &Options, store: &str) -> Result<(), String> {
        let recovery = recover(site, options, store)?;
        self.audience.recovered(&recovery);
        self.results.recoveries.push(recovery);
        Ok(())
    }
}
