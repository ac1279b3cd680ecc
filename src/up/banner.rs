//! The first thing a newcomer reads: what runs, where the data is, and what to type next.

use std::fmt::Write;
use std::net::SocketAddr;

use client::ClientConfig;

use super::invocation::{connection_flags, own_name, shown};
use crate::cli::UpArgs;

/// The text, without a line break at its end. `opened` names the accounts that were opened just now.
pub(crate) fn text(args: &UpArgs, client: &ClientConfig, http: SocketAddr, opened: Option<&str>) -> String {
    let coordinator = client.coordinators.first().map_or("", String::as_str);
    render(args, &own_name(), coordinator, http, opened)
}

fn render(args: &UpArgs, own: &str, coordinator: &str, http: SocketAddr, opened: Option<&str>) -> String {
    let flags = connection_flags(coordinator, &args.cluster.to_string());
    let last = args.base_port + (args.nodes - 1);
    let nodes = match args.nodes {
        1 => format!("node N1 on port {last}"),
        nodes => format!("nodes N1 to N{nodes} on ports {} to {last}", args.base_port),
    };
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes all");
    line("");
    line(&format!(
        "Twopence is up: coordinator on {coordinator}, {nodes}, {} store.",
        args.store
    ));
    match opened {
        Some(opened) => line(&format!("Opened with 1000 each: {opened}.")),
        None if args.empty => line("No account is opened for you (--empty); deposits open them."),
        None => line("Accounts and balances are as they were left."),
    }
    line(&format!(
        "Data is kept in {} when this stops; --fresh deletes it and starts over.",
        shown(&args.data_dir)
    ));
    line("");
    line(&format!("Watch it at http://{http}"));
    line("");
    line("Or, in another terminal:");
    let tries: &[(&str, &str)] = match (args.nodes, opened) {
        (1, _) => &[
            ("deposit N1/B 10", "opens an account with 10"),
            ("accounts", "shows every account"),
        ],
        (_, Some(_)) => &[
            ("transfer N1/A N2/B 10", "moves 10 from one node to another"),
            ("audit", "checks that no money was made or lost"),
        ],
        (_, None) => &[
            ("accounts", "shows every account"),
            ("transfer N1/A N2/B 10", "moves 10 between two nodes"),
        ],
    };
    let width = tries.iter().map(|(command, _)| command.len()).max().unwrap_or(0) + flags.len();
    for (command, what) in tries {
        let command = format!("{command}{flags}");
        line(&format!("  {own} {command:width$}   {what}"));
    }
    line("");
    line("Kill any of the processes if you like: it is started again. Ctrl-C stops everything cleanly.");
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn banner(words: &[&str], opened: Option<&str>) -> String {
        let words = [&["twopence", "up"], words].concat();
        let Command::Up(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not up")
        };
        let coordinator = format!("127.0.0.1:{}", args.coord_port);
        let http = SocketAddr::from(([127, 0, 0, 1], args.http_port));
        render(&args, "twopence", &coordinator, http, opened)
    }

    #[test]
    fn a_newcomer_is_told_what_runs_and_what_to_type() {
        assert_eq!(
            banner(&[], Some("N1/A, N2/B, N3/C")),
            "
Twopence is up: coordinator on 127.0.0.1:5000, nodes N1 to N3 on ports 6001 to 6003, json store.
Opened with 1000 each: N1/A, N2/B, N3/C.
Data is kept in ./data when this stops; --fresh deletes it and starts over.

Watch it at http://127.0.0.1:8080

Or, in another terminal:
  twopence transfer N1/A N2/B 10   moves 10 from one node to another
  twopence audit                   checks that no money was made or lost

Kill any of the processes if you like: it is started again. Ctrl-C stops everything cleanly."
        );
    }

    #[test]
    fn commands_carry_the_flags_that_reach_this_cluster() {
        let text = banner(
            &["--coord-port", "5009", "--nodes", "1", "--data-dir", "/tmp/x"],
            None,
        );
        assert!(
            text.contains("coordinator on 127.0.0.1:5009, node N1 on port 6001, json store"),
            "{text}"
        );
        assert!(
            text.contains("  twopence deposit N1/B 10 --coord 127.0.0.1:5009   opens"),
            "{text}"
        );
        assert!(text.contains("kept in /tmp/x when"), "{text}");
    }
}
