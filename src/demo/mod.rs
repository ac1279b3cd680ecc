//! `twopence demo`: watch the protocol at work. Each demo says what it does, shows what is seen and checks it.

mod concurrent;
mod conflict;
mod coordinator_crash;
mod node_crash;
mod restart;
mod stage;
mod wrong;

use crate::cli::{DemoArgs, DemoCommand};
use crate::exit::Exit;
use crate::logging;
use crate::output::{explain, print_line};
use crate::up::interrupt::Interrupt;

use stage::Stage;
use wrong::Wrong;

/// Runs `twopence demo`.
pub(crate) fn run(command: &DemoCommand) -> Exit {
    let args = args(command);
    logging::start(args.log_level);
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            explain(&format!("Cannot catch Ctrl-C: {error}. Nothing was started."));
            return Exit::Other;
        }
    };
    let mut demos = demos(command);
    if args.coord.is_some() && demos.len() > 1 {
        let alone = demos.iter().position(|demo| demo.needs_own_cluster);
        if let Some(demo) = alone.map(|place| demos.remove(place)) {
            print_line(&format!(
                "Left out: {}. It stops every process, so it needs a cluster of its own.\n",
                demo.name
            ));
        }
    }
    let mut worst = Exit::Ok;
    for demo in &demos {
        match show(demo, args, &interrupt) {
            Ok(()) => {}
            Err(wrong @ Wrong::Interrupted) => {
                explain(&wrong.to_string());
                return wrong.exit();
            }
            // Money comes before everything else.
            Err(wrong) => {
                if worst != Exit::Violated {
                    worst = wrong.exit();
                }
            }
        }
    }
    worst
}

type Story = Box<dyn Fn(&mut Stage) -> Result<(), Wrong>>;

/// One demo: a story about a cluster.
struct Demo {
    name: String,
    needs_own_cluster: bool,
    tell: Story,
}

impl Demo {
    fn new(name: &str, tell: impl Fn(&mut Stage) -> Result<(), Wrong> + 'static) -> Demo {
        Demo {
            name: name.to_owned(),
            needs_own_cluster: false,
            tell: Box::new(tell),
        }
    }
}

fn show(demo: &Demo, args: &DemoArgs, interrupt: &Interrupt) -> Result<(), Wrong> {
    print_line(&format!("== {}", demo.name));
    let told = if demo.needs_own_cluster && args.coord.is_some() {
        Err(Wrong::Usage(
            "it stops every process, so it needs a cluster of its own: leave --coord out".to_owned(),
        ))
    } else {
        Stage::set(args, interrupt).and_then(|mut stage| (demo.tell)(&mut stage))
    };
    match &told {
        Ok(()) => {
            print_line(&format!("PASS {}\n", demo.name));
        }
        Err(wrong) => {
            print_line(&format!("FAIL {}: {wrong}\n", demo.name));
        }
    }
    told
}

fn args(command: &DemoCommand) -> &DemoArgs {
    match command {
        DemoCommand::Concurrent(args)
        | DemoCommand::Conflict(args)
        | DemoCommand::NodeCrash { args, .. }
        | DemoCommand::Restart(args)
        | DemoCommand::CoordinatorCrash { args, .. }
        | DemoCommand::All(args) => args,
    }
}

fn demos(command: &DemoCommand) -> Vec<Demo> {
    let restart = || Demo {
        needs_own_cluster: true,
        ..Demo::new("restart", restart::tell)
    };
    match command {
        DemoCommand::Concurrent(_) => vec![Demo::new("concurrent", concurrent::tell)],
        DemoCommand::Conflict(_) => vec![Demo::new("conflict", conflict::tell)],
        DemoCommand::NodeCrash { at, .. } => node_crash::demos(*at),
        DemoCommand::Restart(_) => vec![restart()],
        DemoCommand::CoordinatorCrash { at, .. } => coordinator_crash::demos(*at),
        DemoCommand::All(_) => {
            let mut all = vec![
                Demo::new("concurrent", concurrent::tell),
                Demo::new("conflict", conflict::tell),
            ];
            all.extend(node_crash::demos(None));
            all.push(restart());
            all.extend(coordinator_crash::demos(None));
            all
        }
    }
}

/// A line of a story.
fn say(text: &str) {
    print_line(&format!("   {text}"));
}
