//! What does a person hear while the processes are looked after?
//!
//! Which one ended, what that means for the money, and when it is back. One that cannot be kept running ends all of it
//! with its message and its exit code.

use std::thread;
use std::time::Duration;

use client::Target;
use cluster::{Exit, Keeper, News, Returns};

use super::interrupt::Interrupt;
use super::{Failure, exit_of};
use crate::output::print_line;

const POLL: Duration = Duration::from_millis(20);

/// Keeps every process of the cluster running until a signal comes, but for those that somebody has stopped.
///
/// # Errors
/// If one cannot be kept running. The others run on; stopping them is up to the caller.
pub(super) fn until_told_to_stop(keeper: &Keeper, interrupt: &Interrupt) -> Result<(), Failure> {
    while !interrupt.came() {
        for news in keeper.tend() {
            match news {
                News::Ended(exit, Returns::Never) => return Err(given_up(&exit)),
                News::Ended(exit, returns) => {
                    print_line(&obituary(&exit, returns));
                }
                News::Back(target) => {
                    print_line(&format!("{} is back.", cluster::name(target)));
                }
                News::NotStarted(error) => return Err(Failure::start(error.to_string())),
            }
        }
        thread::sleep(POLL);
    }
    Ok(())
}

fn given_up(exit: &Exit) -> Failure {
    Failure {
        exit: exit_of(exit),
        text: format!(
            "{exit}\nIt would end like that again, so everything was stopped. What was promised is on disk."
        ),
    }
}

/// The news of an end, and what it means for the money.
fn obituary(exit: &Exit, returns: Returns) -> String {
    let meanwhile = if exit.name == cluster::name(Target::Coordinator) {
        "clients have to wait, and what it had decided is finished when it is back"
    } else {
        "its accounts have to wait, and what it had promised is kept"
    };
    let returns = match returns {
        Returns::Soon => "It is started again in a second",
        Returns::WhenReleased => "A scenario starts it again",
        Returns::WhenTold | Returns::Never => "It stays down until somebody starts it",
    };
    format!("{} {}. {returns}; until then {meanwhile}.", exit.name, exit.how())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn exit(raw: i32) -> Exit {
        Exit {
            name: "N1".to_owned(),
            status: ExitStatus::from_raw(raw),
            was_ready: false,
            last_lines: vec!["why".to_owned()],
        }
    }

    #[test]
    fn an_end_is_told_with_what_becomes_of_it() {
        assert_eq!(
            obituary(&exit(9), Returns::Soon),
            "N1 was killed (SIGKILL). It is started again in a second; until then its accounts have to wait, and what \
             it had promised is kept."
        );
        assert!(obituary(&exit(9), Returns::WhenTold).contains("stays down until somebody starts it"));
    }

    #[test]
    fn one_that_cannot_start_ends_everything_with_its_code() {
        let failure = given_up(&exit(9 << 8));
        assert_eq!(failure.exit, crate::exit::Exit::Corrupt);
        assert!(
            failure
                .text
                .starts_with("N1 exited with code 9; its last lines:\n  why\n"),
            "{}",
            failure.text
        );
    }
}
