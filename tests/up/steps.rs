//! Step mode over HTTP: the coordinator waits before each message, and goes on when it is told to.

use std::thread;

use serde_json::{Value, json};

use crate::http::{get, post};
use crate::running::{Up, eventually};
use crate::temp;

#[test]
fn a_transfer_goes_on_message_by_message_and_freely_again_afterwards() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    let step = |path: &str, body: &Value| post(&up.http(), &format!("/v1/control/step{path}"), body);
    step("/next", &json!({})).problem(409, "not_now");
    let long = json!({"on": true, "why": "x".repeat(70_000)});
    step("", &long).problem(413, "too_large");
    let on = step("", &json!({"on": true})).ok();
    assert_eq!((&on["on"], &on["holding"]), (&json!(true), &json!([])));

    thread::scope(|scope| {
        let transfer = scope.spawn(|| up.client(&["transfer", "N1/A", "N2/B", "10"]));
        let holding = || get(&up.http(), "/v1/control/step").ok()["holding"].clone();
        eventually("a message waits", || holding() != json!([]));
        let first = holding()[0].as_str().unwrap().to_owned();
        assert!(
            first.starts_with("c → N") && first.contains(" prepare "),
            "{first}"
        );
        // Nothing can be played while nothing moves.
        let refused = post(
            &up.http(),
            "/v1/control/scenarios",
            &json!({"name": "repeat", "times": 1}),
        );
        refused.problem(409, "not_now");
        let mut steps = 0;
        while !transfer.is_finished() {
            if holding() == json!([]) {
                thread::yield_now();
            } else {
                step("/next", &json!({})).ok();
                steps += 1;
            }
        }
        // Two prepares at least, and the answer.
        assert!(steps >= 3, "{steps}");
        transfer.join().unwrap();
    });
    let off = step("", &json!({"on": false})).ok();
    assert_eq!(off["on"], false);
    up.client(&["transfer", "N1/A", "N2/B", "10"]);
    assert_eq!((up.balance("N1/A"), up.balance("N2/B")), (980, 1020));

    // A coordinator that dies takes the gate with it.
    step("", &json!({"on": true})).ok();
    up.kill_child("coordinator");
    up.wait_for("coordinator is back.");
    let once = json!({"name": "repeat", "times": 1});
    post(&up.http(), "/v1/control/scenarios", &once).ok();
    assert_eq!(get(&up.http(), "/v1/control/step").ok()["on"], false);
    up.client(&["transfer", "N1/A", "N2/B", "10"]);
    up.stop();
}
