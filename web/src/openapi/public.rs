//! The paths that every server has.

use serde_json::{Map, Value, json};

use super::{ASKS, Operation, TEXT, of, parameter};

pub(super) fn paths() -> Map<String, Value> {
    let node = || parameter("path", "node", "The node.", of("NodeId"), json!("N1"));
    let account = || {
        parameter(
            "path",
            "account",
            "The account on that node.",
            of("AccountId"),
            json!("A"),
        )
    };
    let key = || {
        parameter(
            "header",
            "Idempotency-Key",
            "Whatever is sent again under the same key happens at most once. A UUID, or 32 hexadecimal digits, is the request's \
             id itself; an id is made of anything else.",
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" }),
            json!("01a20e5a-1976-73dc-ac61-845aaf600c23"),
        )
    };
    let reference = || {
        parameter(
            "path",
            "id",
            "A transaction's id or a request's.",
            json!({ "anyOf": [of("TxnId"), of("RequestId")] }),
            json!("9f3c2a71b0d4e655-1-7"),
        )
    };
    let one = |json: Operation| json.written();
    let paths = json!({
        "/healthz": {
            "get": one(Operation::text("healthz", "Is this server alive? Says nothing about the cluster.", TEXT)),
        },
        "/openapi.json": {
            "get": one(Operation { answer: (super::JSON, json!({ "type": "object" })), ..Operation::json("openapi", "This document.", "Problem") }),
        },
        "/metrics": {
            "get": one(Operation::text("metrics", "Counters of every process, for Prometheus.", crate::metrics::KIND).may_fail(ASKS)),
        },
        "/v1/transactions": {
            "get": one(
                Operation::json("list_transactions", "Transactions that have not ended.", "OpenTransactions")
                    .with([parameter(
                        "query",
                        "in_doubt",
                        "Only those that nobody is about to end.",
                        json!({ "type": "boolean", "default": false }),
                        json!(true),
                    )])
                    .may_fail(&[400, 500, 503, 504]),
            ),
            "post": one(
                Operation::json("transact", "Move money: all legs happen, or none does.", "Payment")
                    .with([key()])
                    .sends("Transaction")
                    .may_fail(&[409, 422, 500, 503, 504]),
            ),
        },
        "/v1/transactions/{id}": {
            "get": one(
                Operation::json("show_transaction", "Everything known about one transaction.", "TransactionReport")
                    .with([reference()])
                    .may_fail(&[400, 404, 500, 503, 504]),
            ),
        },
        "/v1/transactions/{id}/receipt": {
            "get": one(
                Operation::json("receipt", "Everything that happened to one transaction, as far as it is still known.", "Receipt")
                    .with([reference()])
                    .may_fail(&[400, 404, 500, 503, 504]),
            ),
        },
        "/v1/transactions/{id}/resolve": {
            "post": one(
                Operation::json("resolve", "Force the outcome of a transaction whose coordinator is gone for good.", "Done")
                    .with([parameter("path", "id", "The transaction.", of("TxnId"), json!("9f3c2a71b0d4e655-1-7"))])
                    .sends("Resolution")
                    .may_fail(&[409, 422, 500, 503, 504]),
            ),
        },
        "/v1/deposits": {
            "post": one(
                Operation::json("deposit", "Bring money in from outside; opens the account if there is none.", "Payment")
                    .with([key()])
                    .sends("Deposit")
                    .may_fail(&[409, 422, 500, 503, 504]),
            ),
        },
        "/v1/nodes/{node}/accounts": {
            "get": one(
                Operation::json("list_accounts", "A page of a node's accounts, in name order.", "Accounts")
                    .with([
                        node(),
                        parameter("query", "after", "Begin behind this account.", of("AccountId"), json!("A")),
                        parameter(
                            "query",
                            "limit",
                            "How many.",
                            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 1000 }),
                            json!(100),
                        ),
                    ])
                    .may_fail(&[400, 404, 500, 503, 504]),
            ),
        },
        "/v1/accounts/{node}/{account}": {
            "get": one(
                Operation::json("balance", "What an account holds.", "Balance")
                    .with([node(), account()])
                    .may_fail(&[400, 404, 500, 503, 504]),
            ),
        },
        "/v1/audit": {
            "get": one(Operation::json("audit", "Is all the money there? A consistent cut over all nodes.", "Audit").may_fail(ASKS)),
        },
        "/v1/status": {
            "get": one(Operation::json("status", "Every coordinator, and its nodes as it sees them.", "Status").may_fail(ASKS)),
        },
        "/v1/events": {
            "get": one(
                Operation::text(
                    "events",
                    "What happens, as it happens: server-sent events named sight, sampling, numbers, audit, process, log and step.",
                    "text/event-stream",
                )
                .with([flag("replay", "Begin with what happened before."), flag("logs", "The processes' log lines, too.")])
                .may_fail(&[400, 503]),
            ),
        },
    });
    match paths {
        Value::Object(paths) => paths,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn flag(name: &str, description: &str) -> Value {
    let schema = json!({ "type": "string", "enum": ["0", "1", "true", "false"], "default": "0" });
    parameter("query", name, description, schema, json!("1"))
}
