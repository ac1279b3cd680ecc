//! Stories that are played on the live cluster, and end with a verdict in plain words.
//!
//! Each says what it will do, does it, puts everything back to work, and then judges by facts: what was on disk, what
//! recovery said, what the client was told, where the money is. One at a time.
//!
//! | file | question it answers |
//! |---|---|
//! | `stage.rs` | what do all of them need of the cluster |
//! | `crash.rs` | a process dies in the middle of a transfer |
//! | `together.rs` | several transfers at once |
//! | `verdict.rs` | what is to be said about a death |

mod crash;
mod stage;
mod together;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use client::report::PaymentReport;
use client::{Leg, Order, Place, Target};
use cluster::story::{CoordinatorPoint, NodePoint};
use serde::{Deserialize, Serialize};

use super::{Control, Here, bad, blocking};
use crate::extract::JsonOrNone;
use crate::paths::Paths;
use crate::problem::Problem;

use crash::{Crash, Trigger};
use stage::Stage;

/// Longest wait before a crash.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// Where deposits come from.
const WORLD: &str = "@world";

/// Most repetitions.
const TIMES_MAX: u32 = 1000;

/// The paths.
pub(super) fn paths() -> Paths {
    Paths::default().post("/scenarios", play)
}

/// What is to be played.
#[derive(Debug, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
enum Scenario {
    /// Three transfers at once.
    Concurrent {},
    /// Two transfers that want one account.
    Conflict {},
    /// A transfer during which the coordinator dies.
    CrashCoordinator {
        at: Option<String>,
        #[serde(default)]
        delay_ms: u64,
        from: Option<String>,
        to: Option<String>,
        amount: Option<i64>,
    },
    /// A transfer during which a node dies.
    CrashNode {
        node: String,
        at: Option<String>,
        #[serde(default)]
        delay_ms: u64,
        from: Option<String>,
        to: Option<String>,
        amount: Option<i64>,
    },
    /// The same order again, with a death at one of its steps.
    DieHere {
        process: String,
        what: String,
        kind: String,
        peer: Option<String>,
        from: Option<String>,
        to: Option<String>,
        amount: Option<i64>,
        legs: Option<Vec<LegLine>>,
    },
    /// One transfer many times.
    Repeat {
        from: Option<String>,
        to: Option<String>,
        amount: Option<i64>,
        times: u32,
    },
}

/// A leg as the public API writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LegLine {
    node: String,
    account: String,
    delta: i64,
}

/// How it came out.
#[derive(Debug, Serialize)]
struct Told {
    verdict: Verdict,
    transactions: Vec<TransactionLine>,
    cli: String,
}

/// What is to be thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Verdict {
    /// Whether everything is as it must be.
    ok: bool,
    title: String,
    /// What happened and why, in a sentence or two.
    text: String,
    /// What that rests on.
    facts: Vec<String>,
    /// `3000 = 3000`.
    conserved: String,
}

#[derive(Debug, Serialize)]
struct TransactionLine {
    order: String,
    #[serde(flatten)]
    report: PaymentReport,
}

async fn play(
    Here(control): Here,
    JsonOrNone(scenario): JsonOrNone<Scenario>,
) -> Result<Json<Told>, Problem> {
    blocking(move || {
        let _begun = control.begin("a scenario")?;
        scenario.play(&control).map(Json)
    })
    .await
}

impl Scenario {
    fn play(&self, control: &Arc<Control>) -> Result<Told, Problem> {
        let stage = Stage::set(control)?;
        let program = control.program.name();
        let flags = stage.flags();
        match self {
            Scenario::Concurrent {} => {
                together::concurrent(&stage, format!("{program} demo concurrent{flags}"))
            }
            Scenario::Conflict {} => together::conflict(&stage, format!("{program} demo conflict{flags}")),
            Scenario::CrashCoordinator {
                at,
                delay_ms,
                from,
                to,
                amount,
            } => {
                let transfer = Transfer::of(from.as_deref(), to.as_deref(), *amount, 50)?;
                let delay = delay(*delay_ms)?;
                if transfer.from.node == transfer.to.node {
                    return Err(bad(
                        "A transfer within one node is decided by that node alone: name accounts on two nodes.",
                    ));
                }
                let point = coordinator_point(at.as_deref())?;
                let cli = match point {
                    Some(point) => format!("{program} demo coordinator-crash --at {}{flags}", point.name()),
                    None => stage.by_hand(&transfer.typed(), Target::Coordinator),
                };
                let trigger = match point {
                    Some(point) => {
                        let (name, hit) = point.failpoint();
                        Trigger::at(name, hit, delay)
                    }
                    None => Trigger::After(delay),
                };
                crash::play(
                    &stage,
                    &Crash {
                        target: Target::Coordinator,
                        trigger,
                        order: transfer.order()?,
                        cli,
                    },
                )
            }
            Scenario::CrashNode {
                node,
                at,
                delay_ms,
                from,
                to,
                amount,
            } => {
                let transfer = Transfer::of(from.as_deref(), to.as_deref(), *amount, 50)?;
                let delay = delay(*delay_ms)?;
                let target = control.keeper().find(node)?.target;
                if target == Target::Coordinator {
                    return Err(bad("The coordinator is no node: play crash_coordinator."));
                }
                let at = at.as_deref().filter(|at| *at != "none");
                let (cli, trigger) = match at {
                    Some(at) => {
                        control.known_failpoint(at, target)?;
                        let demo = NodePoint::ALL.into_iter().find(|point| point.failpoint() == at);
                        let cli = match demo {
                            Some(point) => format!("{program} demo node-crash --at {}{flags}", point.name()),
                            None => stage.armed(target, &format!("{at}=kill")),
                        };
                        (cli, Trigger::at(at, 1, delay))
                    }
                    None => (stage.by_hand(&transfer.typed(), target), Trigger::After(delay)),
                };
                crash::play(
                    &stage,
                    &Crash {
                        target,
                        trigger,
                        order: transfer.order()?,
                        cli,
                    },
                )
            }
            Scenario::DieHere {
                process,
                what,
                kind,
                peer,
                from,
                to,
                amount,
                legs,
            } => {
                if process == "client" {
                    return Err(bad(
                        "The client is whoever reads this: only a coordinator or a node can be made to die.",
                    ));
                }
                let target = control.keeper().find(process)?.target;
                let name = step(target, what, kind, peer.as_deref())?;
                let order = match legs {
                    Some(legs) => order_of(legs)?,
                    None => Transfer::of(from.as_deref(), to.as_deref(), *amount, 10)?.order()?,
                };
                crash::play(
                    &stage,
                    &Crash {
                        target,
                        cli: stage.armed(target, &format!("{name}=kill")),
                        trigger: Trigger::at(&name, 1, Duration::ZERO),
                        order,
                    },
                )
            }
            Scenario::Repeat {
                from,
                to,
                amount,
                times,
            } => {
                if !(1..=TIMES_MAX).contains(times) {
                    return Err(bad(format!("It can be repeated 1 to {TIMES_MAX} times.")));
                }
                let transfer = Transfer::of(from.as_deref(), to.as_deref(), *amount, 10)?;
                let cli = format!(
                    "for i in $(seq {times}); do {program} {}{flags}; done",
                    transfer.typed()
                );
                together::repeat(&stage, &transfer.order()?, *times, cli)
            }
        }
    }
}

/// A transfer as a person fills it in.
struct Transfer {
    from: Place,
    to: Place,
    amount: client::Amount,
}

impl Transfer {
    fn of(
        from: Option<&str>,
        to: Option<&str>,
        amount: Option<i64>,
        amount_else: i64,
    ) -> Result<Transfer, Problem> {
        let place = |text: &str| {
            text.parse::<Place>()
                .map_err(|error| bad(format!("{text:?} is no account, such as N1/A: {error}.")))
        };
        let amount = amount.unwrap_or(amount_else);
        Ok(Transfer {
            from: place(from.unwrap_or("N1/A"))?,
            to: place(to.unwrap_or("N2/B"))?,
            amount: amount
                .try_into()
                .map_err(|error| bad(format!("{amount} is no amount: {error}.")))?,
        })
    }

    fn order(self) -> Result<Order, Problem> {
        Order::transfer(self.from, self.to, self.amount).map_err(|error| bad(format!("{error}.")))
    }

    /// What follows the program's name on a command line.
    fn typed(&self) -> String {
        format!("transfer {} {} {}", self.from, self.to, self.amount)
    }
}

fn order_of(legs: &[LegLine]) -> Result<Order, Problem> {
    // A deposit, as a diagram shows it: what comes in on one side, the world on the other.
    if let [one, other] = legs
        && let Some(leg) = [(one, other), (other, one)]
            .into_iter()
            .find_map(|(world, leg)| (world.account == WORLD).then_some(leg))
    {
        let place = format!("{}/{}", leg.node, leg.account);
        let amount = leg.delta.try_into();
        let amount = amount.map_err(|error| bad(format!("{} is no amount: {error}.", leg.delta)))?;
        let place: Place = place
            .parse()
            .map_err(|error| bad(format!("{place:?}: {error}.")))?;
        return Ok(Order::deposit(place, amount));
    }
    let leg = |leg: &LegLine| {
        let text = format!("{}/{}:{}", leg.node, leg.account, leg.delta);
        text.parse::<Leg>()
            .map_err(|error| bad(format!("{text:?} is no leg: {error}.")))
    };
    let legs: Vec<Leg> = legs.iter().map(leg).collect::<Result<_, Problem>>()?;
    Order::new(&legs).map_err(|error| bad(format!("{error}.")))
}

fn delay(ms: u64) -> Result<Duration, Problem> {
    let delay = Duration::from_millis(ms);
    if delay > DELAY_MAX {
        return Err(bad(format!(
            "A crash can wait {} ms at the most.",
            DELAY_MAX.as_millis()
        )));
    }
    Ok(delay)
}

fn coordinator_point(at: Option<&str>) -> Result<Option<CoordinatorPoint>, Problem> {
    let Some(at) = at else {
        return Ok(None);
    };
    let at = at.to_lowercase().replace('_', "-");
    if at == "none" {
        return Ok(None);
    }
    let found = CoordinatorPoint::ALL.into_iter().find(|point| point.name() == at);
    found.map(Some).ok_or_else(|| {
        bad(format!(
            "{at:?} is none of none, prepare, before_commit, after_commit."
        ))
    })
}

/// The failpoint of a step in a diagram.
fn step(target: Target, what: &str, kind: &str, peer: Option<&str>) -> Result<String, Problem> {
    if kind.is_empty()
        || !kind
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err(bad(format!("{kind:?} is no kind of message or record.")));
    }
    match what {
        "received" => Ok(format!("received.{kind}")),
        "sent" => {
            // Of a coordinator's messages to several nodes, this one.
            let to_node = peer.filter(|peer| *peer != "client");
            let to_node = to_node.and_then(|peer| peer.parse::<client::NodeId>().ok());
            Ok(match (target, to_node) {
                (Target::Coordinator, Some(node)) => format!("sent.{kind}@{node}"),
                (Target::Coordinator | Target::Node(_), _) => format!("sent.{kind}"),
            })
        }
        "held" => Ok(format!("sending.{kind}")),
        "recorded" => Ok(format!("appended.{kind}")),
        "synced" => Ok(format!("synced.{kind}")),
        _ => Err(bad(format!(
            "{what:?} is none of received, sent, held, recorded, synced."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_diagram_has_a_failpoint() {
        let n1 = Target::Node("N1".parse().unwrap());
        let of = |target, what, kind, peer| step(target, what, kind, peer).unwrap();
        assert_eq!(
            of(Target::Coordinator, "sent", "prepare", Some("N2")),
            "sent.prepare@N2"
        );
        assert_eq!(
            of(Target::Coordinator, "sent", "outcome", Some("client")),
            "sent.outcome"
        );
        assert_eq!(of(n1, "sent", "vote", Some("coordinator")), "sent.vote");
        assert_eq!(of(n1, "recorded", "prepare_ok", None), "appended.prepare_ok");
        assert!(step(n1, "sent", "vote=kill", None).is_err());
        assert!(step(n1, "dreamt", "vote", None).is_err());
    }

    #[test]
    fn points_are_named_as_the_old_panel_named_them_too() {
        for (text, point) in [
            ("PREPARE", Some(CoordinatorPoint::Prepare)),
            ("BEFORE_COMMIT", Some(CoordinatorPoint::BeforeCommit)),
            ("after-commit", Some(CoordinatorPoint::AfterCommit)),
            ("None", None),
        ] {
            assert_eq!(coordinator_point(Some(text)).unwrap(), point);
        }
        assert!(coordinator_point(Some("later")).is_err());
    }
}
