//! What does every process say? The same question to each of them, at once, on connections of their own.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use client::{ClientConfig, Error, Target, Watch};

use crate::state::AppState;

/// How long connecting, and the question, may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The processes of the cluster and their addresses, as far as they are known: a coordinator that is down cannot tell where
/// its nodes are, and just then they are worth a look.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<BTreeMap<String, String>>);

impl Roster {
    /// A process listens there.
    pub(crate) fn note(&self, name: String, address: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name, address);
    }

    /// The cluster is another one.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn known(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The processes that are known now, by name, with their addresses. Blocks while a coordinator is asked.
pub(crate) fn processes(state: &AppState) -> BTreeMap<String, String> {
    if let Some(control) = state.control() {
        let keeper = control.keeper();
        let views = keeper.processes().into_iter();
        return views
            .filter_map(|view| Some((view.name, keeper.address(view.target)?)))
            .collect();
    }
    let config = state.client_config();
    let roster = state.roster();
    for (number, address) in (1..).zip(&config.coordinators) {
        roster.note(coordinator_name(number), address.clone());
        for (node, address) in nodes_of(&config, address).unwrap_or_default() {
            roster.note(node, address);
        }
    }
    roster.known()
}

/// The first coordinator has the name that it has everywhere; there is seldom another.
fn coordinator_name(number: u32) -> String {
    let name = cluster::name(Target::Coordinator);
    match number {
        1 => name,
        _ => format!("{name}-{number}"),
    }
}

fn nodes_of(config: &ClientConfig, coordinator: &str) -> Result<Vec<(String, String)>, Error> {
    let nodes = Watch::connect(coordinator, &config.cluster, TIMEOUT)?.nodes()?;
    Ok(nodes
        .into_iter()
        .map(|(node, address)| (node.to_string(), address))
        .collect())
}

/// Asks every process that is known. Blocks as long as the slowest takes, but not for long.
pub(crate) fn ask_all<T, F>(state: &AppState, question: F) -> BTreeMap<String, Result<T, Error>>
where
    T: Send,
    F: Fn(&mut Watch) -> Result<T, Error> + Sync,
{
    let cluster = state.client_config().cluster;
    let ask = |address: &str| question(&mut Watch::connect(address, &cluster, TIMEOUT)?);
    let processes = processes(state);
    thread::scope(|scope| {
        let asked: Vec<_> = processes
            .into_iter()
            .map(|(name, address)| (name, scope.spawn(move || ask(&address))))
            .collect();
        let answered = asked.into_iter().map(|(name, thread)| {
            let answer = thread
                .join()
                .unwrap_or_else(|_| Err(Error::NoAnswer("the question ended by a panic".to_owned())));
            (name, answer)
        });
        answered.collect()
    })
}
