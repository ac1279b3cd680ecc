//! `gateway`: serves HTTP until it is told to stop.

use std::io;
use std::thread;
use std::time::Duration;

use web::{Bound, Site};

use crate::cli::GatewayArgs;
use crate::exit::Exit;
use crate::logging;
use crate::output::{explain, print_line};
use crate::up::interrupt::Interrupt;

const POLL: Duration = Duration::from_millis(50);

/// Runs `twopence gateway`.
pub(crate) fn gateway(args: &GatewayArgs) -> Exit {
    logging::start(args.log_level);
    match serve(args) {
        Ok(()) => Exit::Ok,
        Err(text) => {
            explain(&text);
            Exit::Other
        }
    }
}

fn serve(args: &GatewayArgs) -> Result<(), String> {
    let interrupt = Interrupt::watch().map_err(|error| format!("cannot catch Ctrl-C: {error}"))?;
    let bound = Bound::to(args.address()).map_err(|error| not_bound(args, &error))?;
    let address = bound.address();
    if !address.ip().is_loopback() {
        explain(&format!(
            "Everybody who can reach {address} can move money: there are no passwords."
        ));
    }
    let site = Site {
        allow_hosts: args.allow_host.iter().map(ToString::to_string).collect(),
        ..Site::of(args.client_config())
    };
    let server = bound
        .serve(site)
        .map_err(|error| format!("cannot serve: {error}"))?;
    print_line(&format!(
        "Serving the HTTP API at http://{address}, described at http://{address}/openapi.json. Ctrl-C stops it."
    ));
    while !interrupt.came() {
        thread::sleep(POLL);
    }
    server.stop();
    print_line("Stopped. The cluster runs on.");
    Ok(())
}

fn not_bound(args: &GatewayArgs, error: &io::Error) -> String {
    let address = args.address();
    if error.kind() == io::ErrorKind::AddrInUse {
        format!(
            "{address} is already in use by another process (`twopence up` serves the API too). Choose another port with \
             --http-port, or any that is free with --http-port 0"
        )
    } else {
        format!("cannot listen on {address}: {error}. Choose another with --listen and --http-port")
    }
}
