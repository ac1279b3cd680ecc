//! Events of several processes in one order. Their clocks may differ, so causes decide: nothing comes before what is
//! before it in its own process, and no message is received before it was sent. What neither decides, clocks do.

use std::collections::HashMap;

use super::Event;

/// A message as both sides name it: from whom, to whom, what, and the how many-th of its kind.
type Message = (String, String, String, usize);

/// Merges what processes saw; each part holds one process's events in its own order.
pub fn in_order(parts: Vec<Vec<Event>>) -> Vec<Event> {
    let mut sent = HashMap::new();
    let keys: Vec<Vec<Option<Message>>> = parts.iter().map(|part| messages(part)).collect();
    for (part, keys) in parts.iter().zip(&keys) {
        for (event, key) in part.iter().zip(keys) {
            if let (true, Some(key)) = (event.what == "sent", key) {
                sent.insert(key.clone(), false);
            }
        }
    }
    let mut queues: Vec<_> = parts
        .into_iter()
        .zip(keys)
        .map(|(part, keys)| part.into_iter().zip(keys).peekable())
        .collect();
    let mut all = Vec::new();
    loop {
        // Of the events that are first in their process, those that nothing unheard-of must precede; by the clock.
        let mut next: Option<(bool, u64, usize)> = None;
        for (place, queue) in queues.iter_mut().enumerate() {
            let Some((event, key)) = queue.peek() else {
                continue;
            };
            let early =
                event.what == "received" && key.as_ref().is_some_and(|key| sent.get(key) == Some(&false));
            let rank = (early, event.at_us, place);
            if next.is_none_or(|best| rank < best) {
                next = Some(rank);
            }
        }
        let Some((_, _, place)) = next else {
            return all;
        };
        let (event, key) = queues[place].next().expect("just seen");
        if let (true, Some(key)) = (event.what == "sent", key) {
            sent.insert(key, true);
        }
        all.push(event);
    }
}

/// For each event that is one side of a message: which message.
pub(super) fn messages(part: &[Event]) -> Vec<Option<Message>> {
    let mut counts: HashMap<(String, String, String), usize> = HashMap::new();
    let mut message = |event: &Event| {
        let peer = event.peer.clone()?;
        let (from, to) = match event.what {
            "sent" => (event.process.clone(), peer),
            "received" => (peer, event.process.clone()),
            _ => return None,
        };
        let count = counts
            .entry((from.clone(), to.clone(), event.line.clone()))
            .or_default();
        *count += 1;
        Some((from, to, event.line.clone(), *count))
    };
    part.iter().map(&mut message).collect()
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::event;
    use super::*;

    #[test]
    fn causes_come_before_effects_however_clocks_differ() {
        let coordinator = vec![
            event("coordinator", 100, "sent", "N1", "prepare c-1-7 A -10"),
            event("coordinator", 110, "received", "N1", "vote c-1-7 yes"),
            event("coordinator", 120, "sent", "N1", "commit c-1-7"),
            event("coordinator", 130, "sent", "N1", "commit c-1-7"),
        ];
        // N1's clock is behind.
        let n1 = vec![
            event("N1", 20, "received", "coordinator", "prepare c-1-7 A -10"),
            event("N1", 25, "sent", "coordinator", "vote c-1-7 yes"),
            event("N1", 50, "received", "coordinator", "commit c-1-7"),
            event("N1", 51, "received", "coordinator", "commit c-1-7"),
        ];
        let times = |events: &[Event]| events.iter().map(|event| event.at_us).collect::<Vec<_>>();
        let all = in_order(vec![coordinator.clone(), n1]);
        assert_eq!(times(&all), [100, 20, 25, 110, 120, 50, 130, 51]);
        // What nobody is seen to have sent has been sent all the same.
        let alone = in_order(vec![coordinator]);
        assert_eq!(times(&alone), [100, 110, 120, 130]);
    }
}
