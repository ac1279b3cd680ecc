//! The targets, one file each. Where an input is a story, others tell what can happen in it, what it adds up to and what may be said.

mod by_hand;
mod coordinator;
mod coordinator_seeds;
mod coordinator_shadow;
mod coordinator_story;
mod coordinator_word;
mod disk;
mod entries;
mod failpoint;
mod frames;
mod hello;
mod history;
mod log;
mod messages;
mod names;
mod node;
mod node_seeds;
mod node_shadow;
mod node_story;
mod node_word;
mod orders;
mod samples;
mod state;
mod surgery;
mod tape;

use crate::target::Target;

/// Every target.
pub const ALL: [Target; 14] = [
    frames::TARGET,
    hello::TARGET,
    messages::TO_NODE,
    messages::FROM_NODE,
    messages::CALL,
    messages::REPLY,
    names::TARGET,
    orders::TARGET,
    failpoint::TARGET,
    by_hand::TARGET,
    state::TARGET,
    log::TARGET,
    node::TARGET,
    coordinator::TARGET,
];
