//! What is sent and what comes back.

use protocol::id::{ACCOUNT_ID_LEN_MAX, NODE_ID_LEN_MAX};
use protocol::leg::LEGS_MAX;
use protocol::money::AMOUNT_MAX;
use serde_json::{Map, Value, json};

use super::of;

/// An object that has all of these members and no other.
pub(super) fn object(members: Value) -> Value {
    let names: Vec<String> = members
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys().cloned())
        .collect();
    json!({ "type": "object", "properties": members, "required": names, "additionalProperties": false })
}

pub(super) fn maybe(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

pub(super) fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A leg of a transaction.
fn leg() -> Value {
    object(json!({
        "node": of("NodeId"),
        "account": of("AccountId"),
        "delta": {
            "type": "integer", "minimum": -AMOUNT_MAX, "maximum": AMOUNT_MAX, "not": { "const": 0 },
            "description": "What the account gains; negative if it loses.",
        },
    }))
}

/// How a payment ended, which is part of an error, too.
fn payment() -> Value {
    json!({
        "outcome": words(&["committed", "aborted", "unknown", "reused", "rejected", "failed", "not_sent"]),
        "success": { "type": ["boolean", "null"], "description": "null while nobody can tell." },
        "reason": { "type": ["string", "null"], "description": "Why it did not commit." },
        "retryable": { "type": "boolean", "description": "Whether a new request may succeed without anyone changing anything." },
        "holder": { "type": ["string", "null"], "description": "The transaction that holds the account, if that is the reason." },
        "held_s": { "type": ["integer", "null"], "description": "For how many seconds it has held it." },
        "txn": { "type": ["string", "null"], "description": "The transaction, if one was begun." },
        "request_id": { "type": ["string", "null"], "description": "Send the same again under this id if the outcome is unknown." },
        "message": { "type": "string", "description": "What happened and whether money moved, in words." },
    })
}

fn problem() -> Value {
    let mut members = payment();
    for (name, schema) in [
        ("type", json!({ "type": "string", "format": "uri" })),
        ("title", text()),
        ("status", json!({ "type": "integer" })),
        (
            "code",
            json!({ "type": "string", "pattern": "^[a-z_]+$", "description": "Which error it is. Never renamed." }),
        ),
        (
            "detail",
            json!({ "type": "string", "description": "What happened." }),
        ),
        ("money_moved", words(&["no", "unknown", "yes"])),
        ("next", json!({ "type": "string", "description": "What to do." })),
    ] {
        members[name] = schema;
    }
    json!({
        "type": "object",
        "properties": members,
        "required": ["type", "title", "status", "code", "detail", "money_moved", "next"],
    })
}

/// A transaction in either form.
fn transaction() -> Value {
    let legs = json!({ "type": "array", "items": of("Leg"), "minItems": 2, "maxItems": LEGS_MAX });
    json!({
        "oneOf": [
            object(json!({ "from": of("Place"), "to": of("Place"), "amount": of("Amount") })),
            object(json!({ "legs": legs })),
        ],
        "examples": [
            { "from": "N1/A", "to": "N2/B", "amount": 10 },
            { "legs": [
                { "node": "N1", "account": "A", "delta": -30 },
                { "node": "N2", "account": "B", "delta": 10 },
                { "node": "N3", "account": "C", "delta": 20 },
            ] },
        ],
    })
}

/// An event of a transaction.
fn event() -> Value {
    json!({
        "type": "object",
        "properties": {
            "n": count(),
            "at_us": { "type": "integer", "description": "Microseconds since 1970, by the process's clock." },
            "process": text(),
            "txn": text(),
            "what": words(&["received", "sent", "held", "recorded", "synced"]),
            "peer": maybe("string"),
            "kind": text(),
            "line": text(),
            "seq": count(),
            "took_us": count(),
            "forced": { "type": "boolean" },
        },
        "required": ["n", "at_us", "process", "txn", "what", "peer", "kind", "line"],
        "additionalProperties": false,
    })
}

fn work() -> Value {
    let members =
        object(json!({ "records": count(), "syncs": count(), "bytes": count(), "checkpoints": count() }));
    json!({ "oneOf": [members, { "type": "null" }] })
}

pub(super) fn public() -> Map<String, Value> {
    let account = format!("[A-Za-z0-9][A-Za-z0-9_.:-]{{0,{}}}", ACCOUNT_ID_LEN_MAX - 1);
    let node = format!("[A-Za-z0-9-]{{1,{NODE_ID_LEN_MAX}}}");
    let named = |pattern: &str, example: &str| json!({ "type": "string", "pattern": format!("^{pattern}$"), "examples": [example] });
    let node_state = words(&[
        "unknown",
        "forgotten",
        "prepared",
        "committed",
        "aborted",
        "no_answer",
    ]);
    let coordinator_view = words(&["collecting", "committed", "delegated", "no_record", "not_mine"]);
    let all = [
        ("NodeId", named(&node, "N1")),
        ("AccountId", named(&account, "A")),
        ("Place", named(&format!("{node}/{account}"), "N1/A")),
        (
            "TxnId",
            named("[0-9a-f]{1,16}-[0-9]{1,9}-[0-9]{1,18}", "9f3c2a71b0d4e655-1-7"),
        ),
        (
            "RequestId",
            named("[0-9a-fA-F]{1,32}", "01a20e5a197673dcac61845aaf600c23"),
        ),
        (
            "Amount",
            json!({ "type": "integer", "minimum": 1, "maximum": AMOUNT_MAX, "examples": [10] }),
        ),
        ("Leg", leg()),
        ("Transaction", transaction()),
        (
            "Deposit",
            object(json!({ "account": of("Place"), "amount": of("Amount") })),
        ),
        ("Payment", object(payment())),
        ("Problem", problem()),
        (
            "Resolution",
            object(json!({
                "outcome": words(&["commit", "abort"]),
                "reason": { "type": "string", "minLength": 1, "description": "Kept with the outcome.", "examples": ["its coordinator is gone"] },
            })),
        ),
        (
            "Done",
            object(json!({ "outcome": words(&["done"]), "message": text() })),
        ),
        (
            "Balance",
            object(json!({
                "outcome": words(&["ok", "in_doubt"]),
                "account": text(),
                "balance": maybe("integer"),
                "lowest": { "type": ["integer", "null"], "description": "In doubt: the lowest balance that the holders' outcomes allow." },
                "highest": maybe("integer"),
                "holders": { "type": "array", "items": text(), "description": "Transactions whose outcome did not become known in time." },
            })),
        ),
        (
            "Accounts",
            object(json!({
                "accounts": list(object(json!({ "node": text(), "account": text(), "balance": { "type": "integer" } }))),
                "more": { "type": "boolean", "description": "Ask for the next page with `after` the last account of this one." },
            })),
        ),
        (
            "Audit",
            object(json!({
                "outcome": words(&["exact", "violated", "incomplete"]),
                "in_accounts": { "type": "integer" },
                "brought_in": { "type": "integer" },
                "prepared": count(),
                "nodes": maybe("integer"),
                "message": text(),
            })),
        ),
        (
            "Status",
            object(json!({ "coordinators": list(of("Coordinator")) })),
        ),
        (
            "Coordinator",
            object(json!({
                "address": text(),
                "state": words(&["up", "down"]),
                "id": maybe("string"),
                "epoch": maybe("integer"),
                "sequence": maybe("integer"),
                "open": maybe("integer"),
                "unacknowledged": maybe("integer"),
                "work": work(),
                "nodes": list(of("Node")),
                "message": maybe("string"),
            })),
        ),
        (
            "Node",
            object(json!({
                "node": text(),
                "state": words(&["up", "quarantined", "down"]),
                "store": maybe("string"),
                "store_kind": maybe("string"),
                "locking": maybe("string"),
                "sequence": maybe("integer"),
                "accounts": maybe("integer"),
                "in_doubt": maybe("integer"),
                "requests": maybe("integer"),
                "request_window": maybe("integer"),
                "request_horizon": maybe("integer"),
                "has_room": maybe("boolean"),
                "work": work(),
                "message": maybe("string"),
            })),
        ),
        (
            "TransactionReport",
            object(json!({
                "id": text(),
                "txn": maybe("string"),
                "coordinator": coordinator_view,
                "waiting_for": list(text()),
                "nodes": list(object(json!({
                    "node": text(),
                    "state": node_state,
                    "reason": maybe("string"),
                    "forced": maybe("string"),
                    "request_id": maybe("string"),
                    "operations": list(text()),
                }))),
            })),
        ),
        (
            "OpenTransactions",
            object(json!({ "transactions": list(object(json!({
            "txn": text(),
            "age_s": count(),
            "state": words(&["deciding", "in_doubt"]),
            "coordinator": coordinator_view,
            "participants": list(text()),
            "prepared": list(object(json!({ "node": text(), "operations": list(text()) }))),
        }))) })),
        ),
        (
            "Receipt",
            object(json!({
                "id": text(),
                "txn": maybe("string"),
                "request_id": maybe("string"),
                "outcome": words(&["committed", "aborted", "open", "unknown"]),
                "reason": maybe("string"),
                "holder": maybe("string"),
                "legs": {
                "type": "array",
                "items": object(json!({ "node": text(), "account": text(), "delta": { "type": "integer" } })),
                "description": "What it does, as far as is known. A deposit takes from `@world`.",
            },
                "events": list(event()),
                "complete": { "type": "boolean", "description": "Whether all of its life is in `events`." },
                "note": { "type": ["string", "null"], "description": "What is missing, and why." },
            "durable": of("TransactionReport"),
            })),
        ),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
