//! The way to a panic. An assertion of a machine that fails is as good a find as a broken property, but the checker
//! knows nothing of it: so each thread remembers where it is, and the panic hook tells.

use std::cell::RefCell;
use std::panic;
use std::sync::Arc;

use crate::model::Model;
use crate::scenario::Scenario;
use crate::state::Chapter;
use crate::transcript;

/// What a thread is doing.
struct Underway {
    scenario: Arc<Scenario>,
    story: Option<Arc<Chapter>>,
    healing: bool,
}

thread_local! {
    static UNDERWAY: RefCell<Option<Underway>> = const { RefCell::new(None) };
}

/// Remembers the run whose last action is about to be performed; or, healing, the run that is over.
pub(crate) fn remember(scenario: &Arc<Scenario>, story: &Option<Arc<Chapter>>, healing: bool) {
    let underway = Underway {
        scenario: Arc::clone(scenario),
        story: story.clone(),
        healing,
    };
    UNDERWAY.set(Some(underway));
}

/// From here on a panic of a machine prints the run that led to it.
pub fn tell_last_words() {
    let tell_panic = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tell_panic(info);
        let Some(Underway {
            scenario,
            story,
            healing,
        }) = UNDERWAY.take()
        else {
            return;
        };
        let (before, last) = match story.as_deref() {
            Some(chapter) if !healing => (chapter.before.as_deref(), format!("{:?}", chapter.action)),
            story => (story, "everything heals".to_owned()),
        };
        eprintln!("this happened in {}, in a run that began so:", scenario.name);
        for line in transcript::of(&Model::of(scenario), before, false) {
            eprintln!("{line}");
        }
        eprintln!("--- and went on with: {last}");
    }));
}
