//! What can be done to the processes themselves: the paths below `/v1/control`, and what they send and take.

use serde_json::{Map, Value, json};

use super::schemas::{list, maybe, object, text};
use super::{Operation, TEXT, of, parameter};

pub(super) fn paths() -> Map<String, Value> {
    let name = || {
        parameter(
            "path",
            "name",
            "`coordinator`, a node's name, or `all` to start or stop.",
            text(),
            json!("N1"),
        )
    };
    let filters = || {
        [
            parameter("query", "process", "Of this process only.", text(), json!("N1")),
            parameter(
                "query",
                "contains",
                "Those that contain this.",
                text(),
                json!("prepare"),
            ),
        ]
    };
    let number = || json!({ "type": "integer", "minimum": 0 });
    let owner = || {
        parameter(
            "path",
            "owner",
            "`coordinator` or a node's name.",
            text(),
            json!("N1"),
        )
    };
    let all = [
        (
            "/v1/control/cluster",
            json!({
                "get": Operation::json("cluster", "The processes and how they were started.", "Cluster").may_fail(&[500]).written(),
                "post": Operation::json("renew_cluster", "Delete everything and start another cluster.", "RenewedCluster")
                    .sends("Shape")
                    .may_fail(&[404, 409, 422, 500, 503])
                    .written(),
            }),
        ),
        (
            "/v1/control/processes/{name}/{action}",
            json!({
                "post": Operation::json("act", "Start, stop, kill, restart, freeze or thaw a process.", "Acted")
                    .with([
                        name(),
                        parameter(
                            "path",
                            "action",
                            "What to do.",
                            json!({ "type": "string", "enum": ["start", "stop", "kill", "restart", "freeze", "thaw"] }),
                            json!("restart"),
                        ),
                    ])
                    .sends("Nothing")
                    .may_fail(&[404, 409, 500, 503])
                    .written(),
            }),
        ),
        (
            "/v1/control/auto_restart",
            json!({
                "post": Operation::json("auto_restart", "Whether processes that were killed come back.", "Switch")
                    .sends("Switch")
                    .may_fail(&[500])
                    .written(),
            }),
        ),
        (
            "/v1/control/logs",
            json!({
                "get": Operation::json("logs", "What the processes have written to stderr.", "LogPage")
                    .with(filters().into_iter().chain([
                        parameter("query", "after", "Behind this line; the newest if it is left out.", number(), json!(0)),
                        parameter("query", "limit", "How many lines.", number(), json!(100)),
                    ]))
                    .may_fail(&[400, 500])
                    .written(),
            }),
        ),
        (
            "/v1/control/logs/download",
            json!({
                "get": Operation::text("download_logs", "The same as a file.", TEXT).with(filters()).may_fail(&[400, 500]).written(),
            }),
        ),
        (
            "/v1/control/failpoints",
            json!({
                "get": Operation::json("failpoints", "The points at which a process can be made to die.", "Failpoints")
                    .may_fail(&[500])
                    .written(),
                "post": Operation::json("arm", "Arm a failpoint.", "Armed")
                    .sends("Arming")
                    .may_fail(&[404, 409, 500])
                    .written(),
            }),
        ),
        (
            "/v1/control/step",
            json!({
                "get": Operation::json("step_mode", "What the coordinator holds back.", "Step").may_fail(&[500, 503]).written(),
                "post": Operation::json("switch_step_mode", "Hold every message back, or let all go.", "Step")
                    .sends("Switch")
                    .may_fail(&[409, 500, 503])
                    .written(),
            }),
        ),
        (
            "/v1/control/step/next",
            json!({
                "post": Operation::json("step", "Let one message go.", "Step")
                    .sends("Nothing")
                    .may_fail(&[409, 500, 503])
                    .written(),
            }),
        ),
        (
            "/v1/control/stores/{owner}/state",
            json!({
                "get": Operation::json("stored", "The decoded entries of a store, whether or not its process runs.", "StatePage")
                    .with([owner(), parameter("query", "after", "Go on behind this entry, as `next` said it.", text(), json!(""))])
                    .may_fail(&[400, 404, 409, 500, 503])
                    .written(),
            }),
        ),
        (
            "/v1/control/stores/{owner}/log",
            json!({
                "get": Operation::json("store_log", "The lines of a json log, the newest first; the trees of a sled store.", "StoreLog")
                    .with([
                        owner(),
                        parameter("query", "txn", "Those that name this transaction or request.", text(), json!("")),
                        parameter("query", "before", "Those before this place, as `next` said it.", text(), json!("1:0")),
                        parameter("query", "limit", "How many lines.", number(), json!(100)),
                    ])
                    .may_fail(&[400, 404, 409, 500, 503])
                    .written(),
            }),
        ),
        (
            "/v1/control/scenarios",
            json!({
                "post": Operation::json("play", "Play a story on the live cluster, and judge it by facts.", "Told")
                    .sends("Scenario")
                    .may_fail(&[404, 409, 500, 503])
                    .written(),
            }),
        ),
    ];
    all.into_iter()
        .map(|(path, item)| (path.to_owned(), item))
        .collect()
}

pub(super) fn schemas() -> Map<String, Value> {
    let port = || json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 65535 });
    let mut cluster = json!({
        "coordinator": { "oneOf": [of("Process"), { "type": "null" }] },
        "nodes": list(of("Process")),
        "cluster": text(),
        "store": text(),
        "locking": text(),
        "data_dir": text(),
        "coord_port": port(),
        "base_port": port(),
        "http_port": { "type": "integer" },
        "failpoints": { "type": "boolean" },
        "auto_restart": { "type": "boolean" },
    });
    let plain = object(cluster.clone());
    cluster["opened"] = list(text());
    cluster["cli"] = text();
    let shape = json!({
        "nodes": { "type": ["integer", "null"], "minimum": 1, "maximum": 64 },
        "store": { "enum": ["json", "sled", null] },
        "locking": { "enum": ["no-wait", "wait", "escrow", null] },
        "coord_port": port(),
        "base_port": port(),
        "erase": { "type": "boolean", "description": "Whether all that there is may be deleted." },
    });
    let all = [
        ("Cluster", plain),
        ("RenewedCluster", object(cluster)),
        (
            "Process",
            object(json!({
                "name": text(),
                "state": { "enum": ["starting", "running", "frozen", "stopping", "stopped", "ended"] },
                "why": maybe("string"),
                "pid": maybe("integer"),
                "port": { "type": "integer" },
            })),
        ),
        (
            "Acted",
            object(json!({ "processes": list(of("Process")), "cli": maybe("string") })),
        ),
        (
            "Shape",
            json!({ "type": "object", "properties": shape, "required": ["erase"], "additionalProperties": false }),
        ),
        ("Switch", object(json!({ "on": { "type": "boolean" } }))),
        ("Nothing", object(json!({}))),
        (
            "LogPage",
            object(json!({
                "lines": list(object(json!({
                    "n": { "type": "integer" },
                    "at_us": { "type": "integer" },
                    "process": text(),
                    "line": text(),
                }))),
                "last": { "type": "integer" },
            })),
        ),
        (
            "Failpoints",
            object(json!({ "failpoints": list(json!({ "type": "object" })) })),
        ),
        (
            "Arming",
            object(json!({ "process": text(), "failpoint": text() })),
        ),
        ("Armed", object(json!({ "done": text(), "cli": text() }))),
        (
            "Step",
            object(
                json!({ "on": { "type": "boolean" }, "waiting": { "type": "integer" }, "holding": list(text()) }),
            ),
        ),
        (
            "StatePage",
            object(json!({
                "owner": text(),
                "store": text(),
                "live": { "type": "boolean", "description": "Whether the process told this, or its files." },
                "seq": { "type": "integer" },
                "entries": list(object(json!({ "tree": text(), "key": {}, "value": {} }))),
                "next": maybe("string"),
            })),
        ),
        ("StoreLog", store_log()),
        ("Scenario", scenario()),
        (
            "Told",
            object(json!({
                "verdict": object(json!({
                    "ok": { "type": "boolean" },
                    "title": text(),
                    "text": text(),
                    "facts": list(text()),
                    "conserved": text(),
                })),
                "transactions": list(json!({ "type": "object" })),
                "cli": text(),
            })),
        ),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

/// A json log has lines, a sled store only its trees.
fn store_log() -> Value {
    let line = object(json!({
        "at": text(),
        "seq": maybe("integer"),
        "crc": text(),
        "crc_ok": { "type": "boolean" },
        "action": text(),
        "txn": maybe("string"),
        "text": text(),
        "raw": text(),
    }));
    json!({ "oneOf": [
        object(json!({ "store": { "const": "json" }, "owner": text(), "lines": list(line), "next": maybe("string") })),
        object(json!({
            "store": { "const": "sled" },
            "owner": text(),
            "live": { "type": "boolean" },
            "trees": list(object(json!({ "name": text(), "entries": { "type": "integer" } }))),
            "last_sequence": { "type": "integer" },
            "more": { "type": "boolean" },
        })),
    ] })
}

/// The stories, and what can be said of each.
fn scenario() -> Value {
    let optional = |names: &[&str]| -> Map<String, Value> {
        let one = |name: &&str| {
            let schema = match *name {
                "amount" | "delay_ms" | "times" => json!({ "type": "integer" }),
                "legs" => list(of("Leg")),
                "from" | "to" => of("Place"),
                _ => text(),
            };
            (name.to_string(), schema)
        };
        names.iter().map(one).collect()
    };
    let story = |name: &str, required: &[&str], others: &[&str]| {
        let mut members = optional(&[required, others].concat());
        members.insert("name".to_owned(), json!({ "const": name }));
        let needed = [&["name"], required].concat();
        json!({
            "type": "object",
            "properties": members,
            "required": needed,
            "additionalProperties": false,
        })
    };
    let transfer = ["from", "to", "amount"];
    let crash = [&["at", "delay_ms"][..], &transfer].concat();
    json!({ "oneOf": [
        story("concurrent", &[], &[]),
        story("conflict", &[], &[]),
        story("crash_coordinator", &[], &crash),
        story("crash_node", &["node"], &crash),
        story("die_here", &["process", "what", "kind"], &[&["peer", "legs"][..], &transfer].concat()),
        story("repeat", &["times"], &transfer),
    ] })
}
