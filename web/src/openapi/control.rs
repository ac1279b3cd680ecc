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
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
