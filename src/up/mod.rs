//! `twopence up`: a whole cluster on this machine, from the first look at the data directory to the last process's end.

mod banner;
mod fresh;
pub(crate) mod interrupt;
pub(crate) mod invocation;
pub(crate) mod lines;
mod memory;
mod opening;
mod panel;
mod stored;
mod supervise;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use cluster::{Cluster, ClusterConfig, Error, Keeper, Log, Ports};

use crate::cli::UpArgs;
use crate::exit::Exit;
use crate::output::{explain, print_line};

use interrupt::Interrupt;
use memory::Memory;
use panel::Panel;
use web::control::{Control, LogBook};
use web::{Bound, Server, Site};

/// Why `up` ends other than by being told to.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    /// It could not start or go on.
    fn start(text: String) -> Failure {
        Failure {
            exit: Exit::Other,
            text,
        }
    }

    /// What was asked for makes no sense.
    fn usage(text: String) -> Failure {
        Failure {
            exit: Exit::Usage,
            text,
        }
    }
}

/// Runs `twopence up` until it is told to stop.
pub(crate) fn run(args: &UpArgs) -> Exit {
    match up(args) {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            explain(&failure.text);
            failure.exit
        }
    }
}

fn up(args: &UpArgs) -> Result<(), Failure> {
    let interrupt =
        Interrupt::watch().map_err(|error| Failure::start(format!("cannot catch Ctrl-C: {error}")))?;
    let dir = &args.data_dir;
    fs::create_dir_all(dir)
        .map_err(|error| Failure::start(format!("cannot make {}: {error}", dir.display())))?;
    // Ours alone, until the end: two `up`s on one directory would get into each other's way.
    let _only_one = fresh::lock(dir, "up")?;
    // Before anything is deleted or started.
    let http = bind(args.http_port)?;
    if args.fresh {
        report_cleared(dir, fresh::clear(dir)?);
    }
    let logs = Arc::new(LogBook::default());
    let memory = Memory::recall(dir, args.nodes, args.store, args.empty)?;
    let cluster = match Cluster::start(config(args, &interrupt, &logs)) {
        Ok(cluster) => cluster,
        Err(Error::Interrupted) => {
            print_line("Stopped before everything was up. No money moved.");
            return Ok(());
        }
        Err(error) => return Err(not_started(&error, args)),
    };
    let keeper = Keeper::new(cluster);
    let opened = if memory.must_open(dir) {
        Some(opening::open(&keeper, &memory, dir)?.join(", "))
    } else {
        None
    };
    let panel = Panel::new(args, &interrupt, &logs);
    let server = serve(http, Control::new(keeper.clone(), logs, panel))?;
    print_line(&banner::text(
        args,
        &keeper.client_config(),
        server.address(),
        opened.as_deref(),
    ));
    let ended = supervise::until_told_to_stop(&keeper, &interrupt);
    // Before the cluster, so that nobody is told half of what happens.
    server.stop();
    stop(&keeper, &ended, dir);
    ended
}

/// Takes the port of the control panel.
fn bind(port: u16) -> Result<Bound, Failure> {
    Bound::to(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(|error| {
        Failure::start(if error.kind() == io::ErrorKind::AddrInUse {
            format!(
                "port {port} of 127.0.0.1 is already in use by another process, and the control panel needs it. Nothing \
                 was started. Choose another with --http-port, or any that is free with --http-port 0"
            )
        } else {
            format!("cannot listen on port {port} of 127.0.0.1: {error}. Nothing was started. Choose another with --http-port")
        })
    })
}

/// Begins to serve the control panel and the API.
fn serve(http: Bound, control: Control) -> Result<Server, Failure> {
    let client = control.keeper().client_config();
    let site = Site {
        control: Some(Arc::new(control)),
        ..Site::of(client)
    };
    http.serve(site).map_err(|error| {
        Failure::start(format!(
            "cannot serve the control panel: {error}. Everything was stopped again."
        ))
    })
}

fn config(args: &UpArgs, interrupt: &Interrupt, logs: &Arc<LogBook>) -> ClusterConfig {
    let binary = std::env::current_exe().unwrap_or_else(|_| invocation::own_name().into());
    ClusterConfig {
        nodes: args.nodes,
        store: args.store.to_string(),
        locking: args.locking.to_string(),
        cluster: args.cluster.clone(),
        ports: Ports::Fixed {
            coordinator: args.coord_port,
            nodes_from: args.base_port,
        },
        log: Log::To(logs.take(lines::printer(args.nodes))),
        log_level: args.log_level.to_string().to_lowercase(),
        interrupt: interrupt.flag(),
        ..ClusterConfig::new(binary, &args.data_dir)
    }
}

fn report_cleared(dir: &Path, removed: usize) {
    print_line(&match removed {
        0 => format!(
            "--fresh: there was nothing to delete in {}.",
            invocation::shown(dir)
        ),
        1 => format!("--fresh: deleted 1 file in {}.", invocation::shown(dir)),
        _ => format!(
            "--fresh: deleted {removed} files and folders in {}.",
            invocation::shown(dir)
        ),
    });
}

/// What a start that failed looks like to the person who asked for it.
fn not_started(error: &Error, args: &UpArgs) -> Failure {
    match error {
        Error::Config(text) => Failure::usage(format!("{text}. Nothing was started.")),
        Error::PortInUse(port) if *port == args.coord_port => Failure::start(format!(
            "{error}, and the coordinator needs it. Nothing was started. If another `twopence up` runs, use that one \
             or stop it; or choose another port with --coord-port"
        )),
        Error::PortInUse(port) => Failure::start(format!(
            "{error}, and node N{} needs it. Nothing was started. If another `twopence up` runs, use that one or stop \
             it; or choose other ports with --base-port",
            port - args.base_port + 1
        )),
        Error::Exited(exit) => Failure {
            exit: exit_of(exit),
            text: format!("{exit}\nEverything was stopped again; what is on disk stays as it was."),
        },
        Error::Io(..) | Error::TooSlow { .. } | Error::Interrupted | Error::NotRunning(_) => {
            Failure::start(format!("{error}. Everything was stopped again."))
        }
    }
}

/// The code that a process ended with, as ours.
fn exit_of(exit: &cluster::Exit) -> Exit {
    match exit.status.code() {
        Some(2) => Exit::Usage,
        Some(9) => Exit::Corrupt,
        Some(_) | None => Exit::Other,
    }
}

fn stop(keeper: &Keeper, ended: &Result<(), Failure>, dir: &Path) {
    if ended.is_ok() {
        print_line("Stopping: the coordinator first, then the nodes.");
    }
    let hard = keeper.close();
    for exit in &hard {
        explain(&format!("{} {} while it was stopping.", exit.name, exit.how()));
    }
    let end = if hard.is_empty() {
        "Stopped cleanly."
    } else {
        "Stopped; what was promised is on disk."
    };
    if ended.is_ok() {
        print_line(&format!(
            "{end} Everything is kept in {}.",
            invocation::shown(dir)
        ));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(words: &[&str]) -> UpArgs {
        let words = [&["twopence", "up"], words].concat();
        let Command::Up(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not up");
        };
        args
    }

    #[test]
    fn the_panels_port_in_use_is_named_with_its_flag_too() {
        let free = bind(0).unwrap();
        let failure = bind(free.address().port()).unwrap_err();
        assert!(failure.text.contains("is already in use"), "{}", failure.text);
        assert!(failure.text.ends_with("--http-port 0"), "{}", failure.text);
        assert_eq!(failure.exit, Exit::Other);
    }

    #[test]
    fn a_port_in_use_is_named_with_its_flag() {
        let args = args(&["--coord-port", "5005", "--base-port", "7001"]);
        let failure = not_started(&Error::PortInUse(5005), &args);
        assert!(
            failure
                .text
                .starts_with("port 5005 of 127.0.0.1 is already in use"),
            "{}",
            failure.text
        );
        assert!(failure.text.ends_with("--coord-port"), "{}", failure.text);
        let failure = not_started(&Error::PortInUse(7003), &args);
        assert!(
            failure.text.contains("node N3") && failure.text.ends_with("--base-port"),
            "{}",
            failure.text
        );
        assert_eq!(failure.exit, Exit::Other);
        assert_eq!(
            not_started(&Error::Config("no".to_owned()), &args).exit,
            Exit::Usage
        );
    }
}
