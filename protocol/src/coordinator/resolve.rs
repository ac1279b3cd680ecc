//! An operator forces the outcome of a transaction whose coordinator is gone (R21): look at everyone first, never
//! contradict what has already happened anywhere, then write it down at each node that is still in doubt.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ask::{Topic, as_view};
use super::{ClientRef, Coordinator};
use crate::effects::Effects;
use crate::id::{NodeId, TxnId};
use crate::message::{Answer, CoordinatorView, NodeAnswer, NodeQuestion, OperatorWord, Reference, TxnState};

const RESOLVE_WAIT_MS: u32 = 3_000;

impl Coordinator {
    pub(super) fn on_resolve(
        &mut self,
        client: ClientRef,
        txn: TxnId,
        word: OperatorWord,
        why: String,
        effects: &mut Effects<Coordinator>,
    ) {
        let own = match self.txn_view(txn) {
            CoordinatorView::NotMine => None,
            CoordinatorView::Collecting { .. } | CoordinatorView::Delegated { .. } => {
                Some("is still deciding it")
            }
            CoordinatorView::Committed { .. } => Some("has COMMIT for it on disk"),
            CoordinatorView::NoRecord => Some("has it as ended or, by presumed abort, aborted"),
        };
        if let Some(own) = own {
            let text = format!(
                "nothing to force: {txn} belongs to this coordinator, which {own} and tells every node that can be \
                 reached. Nothing was changed"
            );
            return self.reply(client, Answer::Failed(text), effects);
        }
        let question = NodeQuestion::Show(Reference::Txn(txn));
        self.ask_all(client, Topic::ResolveLook { txn, word, why }, &question, effects);
    }

    pub(super) fn on_resolve_looked(
        &mut self,
        client: ClientRef,
        txn: TxnId,
        word: OperatorWord,
        why: String,
        answers: &BTreeMap<NodeId, NodeAnswer>,
        effects: &mut Effects<Coordinator>,
    ) {
        let refuse = |text: String| Answer::Failed(format!("{text}. Nothing was changed"));
        let mut in_doubt = Vec::new();
        let mut ended_so = false;
        for (&node, answer) in answers {
            let Some(view) = as_view(answer) else { continue };
            let ended = match &view.state {
                TxnState::Committed => Some(OperatorWord::Commit),
                TxnState::Aborted(_) => Some(OperatorWord::Abort),
                TxnState::Prepared => {
                    in_doubt.push(node);
                    None
                }
                TxnState::Unknown | TxnState::Forgotten => None,
            };
            if let Some(ended) = ended.filter(|&ended| ended != word) {
                let text = format!(
                    "{node} has ended {txn} with {ended}, which decides it: run `twopence tx resolve {txn} {ended}`"
                );
                return self.reply(client, refuse(text), effects);
            }
            ended_so |= ended == Some(word);
            if view.state == TxnState::Prepared && view.coordinator_connected {
                let text = format!("the coordinator of {txn} is connected to {node} and will end it");
                return self.reply(client, refuse(text), effects);
            }
        }
        let named = answers
            .values()
            .filter_map(as_view)
            .flat_map(|view| view.participants.iter());
        if let Some(silent) = named.into_iter().find(|node| !answers.contains_key(node)) {
            let text = format!(
                "{silent} takes part in {txn} and did not answer, so it may have ended it already: start {silent} first \
                 (with an empty data directory if its data is gone)"
            );
            return self.reply(client, refuse(text), effects);
        }
        if in_doubt.is_empty() && ended_so {
            let done = Answer::Done(format!(
                "{txn} had ended with {word} already; nothing was changed"
            ));
            return self.reply(client, done, effects);
        }
        if in_doubt.is_empty() {
            let text = format!("no reachable node has {txn} prepared");
            return self.reply(client, refuse(text), effects);
        }
        let question = NodeQuestion::Resolve { txn, word, why };
        self.ask(
            client,
            Topic::ResolveDo,
            &in_doubt,
            &question,
            RESOLVE_WAIT_MS,
            effects,
        );
    }

    pub(super) fn resolved(answers: &BTreeMap<NodeId, NodeAnswer>) -> Answer {
        let texts: Vec<String> = answers.values().map(ToString::to_string).collect();
        let done = !answers.is_empty()
            && answers
                .values()
                .all(|answer| matches!(answer, NodeAnswer::Done(_)));
        let text = texts.join("; ").replace("done ", "").replace("failed ", "");
        if done {
            Answer::Done(text)
        } else if text.is_empty() {
            Answer::Failed("no node answered; repeat the command, it is safe".to_string())
        } else {
            Answer::Failed(text)
        }
    }
}
