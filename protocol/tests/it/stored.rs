//! Records and entries as files hold them: whatever this program does not know in them is refused, never skipped.

use protocol::coordinator::{CoordinatorEntry, CoordinatorRecord};
use protocol::fold::Fold;
use protocol::participant::{NodeEntry, NodeRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::transcripts::{C, N1, N2, Story};

/// Every way to add a member to one of the objects within `value`.
fn with_one_more(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let mut all = Vec::new();
            let mut longer = members.clone();
            longer.insert("unexpected".to_owned(), Value::from(1));
            all.push(Value::Object(longer));
            for (name, member) in members {
                for changed in with_one_more(member) {
                    let mut members = members.clone();
                    members.insert(name.clone(), changed);
                    all.push(Value::Object(members));
                }
            }
            all
        }
        Value::Array(items) => {
            let changed = |(at, item): (usize, &Value)| -> Vec<Value> {
                let one = |changed: Value| {
                    let mut items = items.clone();
                    items[at] = changed;
                    Value::Array(items)
                };
                with_one_more(item).into_iter().map(one).collect()
            };
            items.iter().enumerate().flat_map(changed).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn refuse_more<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(all: impl Iterator<Item = T>) {
    for one in all {
        let value = serde_json::to_value(&one).unwrap();
        assert_eq!(serde_json::from_value::<T>(value.clone()).unwrap(), one);
        for longer in with_one_more(&value) {
            let read = serde_json::from_value::<T>(longer.clone());
            assert!(read.is_err(), "{longer} is read as {read:?}");
        }
    }
}

#[test]
fn a_member_that_this_program_does_not_know_is_refused() {
    let mut story = Story::new(1, 2);
    story.decided();
    story.world.settle();
    story.prepared_everywhere();
    for n in [N1, N2] {
        let process = &story.world.nodes[n];
        let state = protocol::effects::Machine::state(process.machine.as_ref().unwrap());
        refuse_more::<NodeEntry>(state.entries());
        refuse_more::<NodeRecord>(process.records.iter().map(|(_, record)| record.clone()));
    }
    let process = &story.world.coordinators[C];
    let state = protocol::effects::Machine::state(process.machine.as_ref().unwrap());
    refuse_more::<CoordinatorEntry>(state.entries());
    refuse_more::<CoordinatorRecord>(process.records.iter().map(|(_, record)| record.clone()));
}
