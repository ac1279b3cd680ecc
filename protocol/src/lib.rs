//! To come: the whole protocol in prose.
#![no_std]

extern crate alloc;

pub mod codec;
pub mod coordinator;
pub mod effects;
pub mod fold;
pub mod frame;
pub mod hello;
pub mod id;
pub mod ledger;
pub mod leg;
pub mod message;
pub mod money;
pub mod participant;
pub mod reason;
pub mod request;
