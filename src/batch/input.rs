//! What a line asks for: JSONL, CSV or legs, told apart by the first character.
//!
//! Nothing is sent here and nothing remembered but where the columns of a CSV file are. A line that makes no sense is an
//! error that says why; whoever reads knows its number.

use client::{Leg, Order, RequestId};
use serde::Deserialize;

use crate::cli::LineFormat;

/// The columns of a CSV file that does not name them.
const COLUMNS: [&str; 4] = ["from", "to", "amount", "request_id"];

/// What one line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) order: Order,
    /// The request id that the line names.
    pub(crate) request: Option<RequestId>,
}

/// Reads lines, one after the other.
#[derive(Debug)]
pub(crate) struct Parser {
    format: Option<LineFormat>,
    /// What lines are that begin with neither a brace nor a place and a delta.
    otherwise: LineFormat,
    /// Where each of [`COLUMNS`] stands; `None` before the first line.
    columns: Option<[Option<usize>; COLUMNS.len()]>,
}

/// A line as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    from: Option<String>,
    to: Option<String>,
    amount: Option<u64>,
    legs: Option<Vec<String>>,
    request_id: Option<RequestId>,
}

impl Parser {
    /// Reads lines of `format`, or of the one that the first line shows; `otherwise` if that isn't JSON.
    pub(crate) fn new(format: Option<LineFormat>, otherwise: LineFormat) -> Parser {
        Parser {
            format,
            otherwise,
            columns: None,
        }
    }

    /// What the line asks for; `None` for an empty line and for the names of columns.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub(crate) fn parse(&mut self, line: &str) -> Result<Option<Asked>, String> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(None);
        }
        let otherwise = self.otherwise;
        let format = *self.format.get_or_insert_with(|| {
            if line.starts_with('{') {
                LineFormat::Jsonl
            } else {
                otherwise
            }
        });
        match format {
            LineFormat::Jsonl => json(line).map(Some),
            LineFormat::Csv => self.csv(line),
            LineFormat::Legs => legs(line.split_whitespace(), None).map(Some),
        }
    }

    fn csv(&mut self, line: &str) -> Result<Option<Asked>, String> {
        let fields = fields(line)?;
        let Some(columns) = self.columns else {
            let named = fields.iter().any(|field| field.eq_ignore_ascii_case(COLUMNS[0]));
            self.columns = Some(if named {
                columns(&fields)?
            } else {
                [Some(0), Some(1), Some(2), (fields.len() > 3).then_some(3)]
            });
            return if named { Ok(None) } else { self.csv(line) };
        };
        let named = columns.iter().flatten().count();
        if fields.len() != named {
            return Err(format!("{} fields where {named} are expected", fields.len()));
        }
        let field = |column: usize| columns[column].map_or("", |at| fields[at].as_str());
        let request = match field(3) {
            "" => None,
            id => Some(parsed("request_id", id)?),
        };
        transfer(field(0), field(1), field(2), request).map(Some)
    }
}

/// Where the columns are that a first line names.
fn columns(names: &[String]) -> Result<[Option<usize>; COLUMNS.len()], String> {
    let known = |name: &String| COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column));
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(format!(
            "unknown column {unknown:?}: the columns are {}",
            COLUMNS.join(", ")
        ));
    }
    let at = |column: &str| names.iter().position(|name| name.eq_ignore_ascii_case(column));
    let found = COLUMNS.map(at);
    if found.iter().flatten().count() < names.len() {
        return Err("a column is named twice".to_owned());
    }
    match found.iter().take(3).position(Option::is_none) {
        Some(missing) => Err(format!("there is no column {:?}", COLUMNS[missing])),
        None => Ok(found),
    }
}

/// The fields of a CSV line; quotes may surround them.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        if let Some(quoted) = rest.strip_prefix('"') {
            let (field, behind) = quoted.split_once('"').ok_or("a quote is not closed")?;
            fields.push(field.trim().to_owned());
            let behind = behind.trim_start();
            match behind.strip_prefix(',') {
                Some(next) => rest = next,
                None if behind.is_empty() => return Ok(fields),
                None => return Err("a comma is missing behind a quote".to_owned()),
            }
        } else {
            match rest.split_once(',') {
                Some((field, next)) => {
                    fields.push(field.trim().to_owned());
                    rest = next;
                }
                None => {
                    fields.push(rest.trim().to_owned());
                    return Ok(fields);
                }
            }
        }
    }
}

fn json(line: &str) -> Result<Asked, String> {
    let object: Object = serde_json::from_str(line).map_err(|error| {
        // It counts its own line as the first and only one.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })?;
    match object {
        Object {
            from: Some(from),
            to: Some(to),
            amount: Some(amount),
            legs: None,
            request_id,
        } => transfer(&from, &to, &amount.to_string(), request_id),
        Object {
            from: None,
            to: None,
            amount: None,
            legs: Some(of),
            request_id,
        } => legs(of.iter().map(String::as_str), request_id),
        Object { .. } => Err("give from, to and amount, or legs".to_owned()),
    }
}

fn transfer(from: &str, to: &str, amount: &str, request: Option<RequestId>) -> Result<Asked, String> {
    let (from, to) = (parsed("from", from)?, parsed("to", to)?);
    let order = Order::transfer(from, to, parsed("amount", amount)?).map_err(|bad| bad.to_string())?;
    Ok(Asked { order, request })
}

fn legs<'a>(legs: impl Iterator<Item = &'a str>, request: Option<RequestId>) -> Result<Asked, String> {
    let legs = legs
        .map(|leg| parsed("leg", leg))
        .collect::<Result<Vec<Leg>, String>>()?;
    let order = Order::new(&legs).map_err(|bad| bad.to_string())?;
    Ok(Asked { order, request })
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|bad| {
        let bad = format!("{bad}");
        if bad.contains(text) && !text.is_empty() {
            bad
        } else {
            format!("{what} {text:?}: {bad}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: &str, to: &str, amount: &str, request: Option<u128>) -> Option<Asked> {
        let order = Order::transfer(
            from.parse().unwrap(),
            to.parse().unwrap(),
            amount.parse().unwrap(),
        );
        Some(Asked {
            order: order.unwrap(),
            request: request.map(RequestId),
        })
    }

    fn all(otherwise: LineFormat, text: &str) -> Vec<Result<Option<Asked>, String>> {
        let mut parser = Parser::new(None, otherwise);
        text.lines().map(|line| parser.parse(line)).collect()
    }

    #[test]
    fn a_brace_makes_it_json_and_each_line_has_its_own_form() {
        let lines = all(
            LineFormat::Csv,
            r#"{"from": "N1/A", "to": "N2/B", "amount": 10}

            {"request_id": "7", "legs": ["N1/A:-5", "N2/B:+5"]}"#,
        );
        assert_eq!(
            lines,
            [
                Ok(asked("N1/A", "N2/B", "10", None)),
                Ok(None),
                Ok(asked("N1/A", "N2/B", "5", Some(7))),
            ]
        );
    }

    #[test]
    fn csv_columns_have_a_usual_order_or_are_named() {
        let plain = all(LineFormat::Csv, "N1/A,N2/B,10\r\nN2/B , N1/A , 5\r\n");
        assert_eq!(
            plain,
            [
                Ok(asked("N1/A", "N2/B", "10", None)),
                Ok(asked("N2/B", "N1/A", "5", None))
            ]
        );
        let with_ids = all(LineFormat::Csv, "N1/A,N2/B,10,7\nN1/A,N2/B,11,");
        assert_eq!(
            with_ids,
            [
                Ok(asked("N1/A", "N2/B", "10", Some(7))),
                Ok(asked("N1/A", "N2/B", "11", None))
            ]
        );
        let named = all(
            LineFormat::Csv,
            "Amount,request_id,to,from\n10,\"7\",\"N2/B\",N1/A",
        );
        assert_eq!(named, [Ok(None), Ok(asked("N1/A", "N2/B", "10", Some(7)))]);
    }

    #[test]
    fn legs_are_written_as_for_submit() {
        let lines = all(LineFormat::Legs, "N1/A:-10 N2/B:+10");
        assert_eq!(lines, [Ok(asked("N1/A", "N2/B", "10", None))]);
    }

    #[test]
    fn a_bad_line_is_told_what_is_wrong_with_it() {
        for (format, text, why) in [
            (LineFormat::Csv, "N1/A,N2/B", "2 fields where 3"),
            (LineFormat::Csv, "N1/A,N2/B,ten", "amount \"ten\""),
            (LineFormat::Csv, "N1/A,N2/B,0", "greater than 0"),
            (LineFormat::Csv, "A,N2/B,1", "\"A\" is not an account"),
            (LineFormat::Csv, "N1/A,N1/A,1", "cancel out"),
            (LineFormat::Csv, "N1/A,\"N2/B,1", "a quote is not closed"),
            (LineFormat::Csv, "N1/A,N2/B,1,xyz", "request id"),
            (LineFormat::Csv, "from,to,sum", "unknown column \"sum\""),
            (LineFormat::Csv, "from,to,to,amount", "named twice"),
            (LineFormat::Csv, "from,to", "no column \"amount\""),
            (
                LineFormat::Csv,
                r#"{"from": "N1/A", "to": "N2/B"}"#,
                "give from, to and amount",
            ),
            (
                LineFormat::Csv,
                r#"{"from": "N1/A", "to": "N2/B", "amount": 1.5}"#,
                "1.5",
            ),
            (
                LineFormat::Csv,
                r#"{"from": "N1/A", "to": "N2/B", "amount": 1, "id": 2}"#,
                "unknown field `id`",
            ),
            (
                LineFormat::Csv,
                r#"{"legs": ["N1/A:-1", "N2/B:+2"]}"#,
                "add up to +1",
            ),
            (LineFormat::Csv, r#"{"from": "N1/A""#, "EOF"),
            (LineFormat::Legs, "N1/A:-1", "add up to -1"),
            (LineFormat::Legs, "N1/A:-1,N2/B:+1", "leg"),
        ] {
            let bad = all(format, text).remove(0).unwrap_err();
            assert!(bad.contains(why), "{text}: {bad}");
            assert!(!bad.contains("line 1"), "{text}: {bad}");
        }
    }
}
