//! The server processes: from flags to a running node or coordinator, and from its end to an exit code.

use engine::{Owner, StoreConfig, failpoint};

use crate::cli::{Address, CoordinatorArgs, NodeArgs, ServerArgs};
use crate::exit::Exit;
use crate::logging;
use crate::memory;
use crate::power_cut;

/// Runs `twopence node`.
pub(crate) fn node(args: &NodeArgs) -> Exit {
    if let Err(why) = prepare(&args.server) {
        return failed(&why, Exit::Other);
    }
    let ended = node::run(node::Config {
        node: args.node_id,
        store: store(&args.server, Owner::Node(args.node_id)),
        listen: Address::new(&args.server.listen, args.port).to_string(),
        locking: args.locking,
        request_window: args.request_window,
        failpoints: args.server.failpoints.clone(),
        parent_pipe: args.server.parent_pipe,
    });
    match ended {
        Ok(()) => Exit::Ok,
        Err(node::Error::Usage(text)) => failed(&text, Exit::Usage),
        Err(node::Error::Store(error)) => failed(&error.to_string(), Exit::from(&error)),
        Err(node::Error::Loop(error)) => failed(&error.to_string(), Exit::Other),
    }
}

/// Runs `twopence coordinator`.
pub(crate) fn coordinator(args: &CoordinatorArgs) -> Exit {
    if let Err(why) = prepare(&args.server) {
        return failed(&why, Exit::Other);
    }
    let ended = coordinator::run(coordinator::Config {
        store: store(&args.server, Owner::Coordinator),
        listen: Address::new(&args.server.listen, args.port).to_string(),
        nodes: args
            .nodes
            .iter()
            .map(|(node, address)| (*node, address.to_string()))
            .collect(),
        prepare_timeout_ms: args.prepare_timeout_ms,
        failpoints: args.server.failpoints.clone(),
        parent_pipe: args.server.parent_pipe,
    });
    match ended {
        Ok(()) => Exit::Ok,
        Err(coordinator::Error::Usage(text)) => failed(&text, Exit::Usage),
        Err(coordinator::Error::Store(error)) => failed(&error.to_string(), Exit::from(&error)),
        Err(coordinator::Error::Loop(error)) => failed(&error.to_string(), Exit::Other),
    }
}

fn prepare(args: &ServerArgs) -> Result<(), String> {
    logging::start(args.log_level);
    memory::settle();
    if args.enable_failpoints {
        failpoint::enable();
    }
    power_cut::prepare(args)
}

fn store(args: &ServerArgs, owner: Owner) -> StoreConfig {
    StoreConfig {
        dir: args.data_dir.clone(),
        owner,
        kind: args.store,
        cluster: args.cluster.clone(),
        segment_len_max: args.segment_bytes,
        power_cut: args.power_cut,
    }
}

fn failed(text: &str, exit: Exit) -> Exit {
    log::error!("{text}");
    exit
}
