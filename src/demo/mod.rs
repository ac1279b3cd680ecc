//! `twopence demo`: watch the protocol at work. Each demo says what it does, shows what is seen and checks it.

mod concurrent;
mod conflict;
mod coordinator_crash;
mod evidence;
mod node_crash;
mod report;
mod restart;
mod stage;
mod wrong;

use std::time::Instant;

use crate::cli::{DemoArgs, DemoCommand};
use crate::exit::Exit;
use crate::logging;
use crate::output::{explain, print_line};
use crate::up::interrupt::Interrupt;
use crate::up::invocation::shown;

use report::{Report, Section};
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
    let mut report = match args.report.as_deref().map(Report::begin).transpose() {
        Ok(report) => report,
        Err(why) => {
            explain(&format!("{why} Nothing was started."));
            return Exit::Usage;
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
        match show(demo, args, &interrupt, report.as_mut()) {
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
    match report.map(|report| report.write(args.store)) {
        None => worst,
        Some(Ok(path)) => {
            print_line(&format!("The evidence is in {}.", shown(&path)));
            worst
        }
        Some(Err(why)) => {
            explain(&why);
            Exit::Other
        }
    }
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

fn show(
    demo: &Demo,
    args: &DemoArgs,
    interrupt: &Interrupt,
    report: Option<&mut Report>,
) -> Result<(), Wrong> {
    print_line(&format!("== {}", demo.name));
    let began = Instant::now();
    let mut stage = if demo.needs_own_cluster && args.coord.is_some() {
        Err(Wrong::Usage(
            "it stops every process, so it needs a cluster of its own: leave --coord out".to_owned(),
        ))
    } else {
        Stage::set(args, interrupt)
    };
    let told = match &mut stage {
        Ok(stage) => (demo.tell)(stage),
        Err(_) => Ok(()),
    };
    let took = began.elapsed();
    let (words, evidence) = match (&mut stage, &report) {
        (Ok(stage), Some(_)) => (stage.told(), stage.evidence()),
        (Ok(_) | Err(_), _) => (Vec::new(), None),
    };
    let ended = stage.and(told);
    let verdict = match &ended {
        Ok(()) => format!("PASS {}", demo.name),
        Err(wrong) => format!("FAIL {}: {wrong}", demo.name),
    };
    print_line(&format!("{verdict}\n"));
    if let Some(report) = report {
        report.add(Section {
            name: demo.name.clone(),
            passed: ended.is_ok(),
            verdict,
            took,
            words,
            evidence,
        });
    }
    ended
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
