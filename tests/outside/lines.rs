//! `transfer --stdin` and `submit-batch` as somebody uses them: files in, results out, killed and started again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use client::{Ask, Client, Order, Pipeline, Target, fresh_request_id};
use faults::fired;
use serde_json::Value;

use crate::world::{BINARY, PATIENCE, Run, STORES, World, free_port, node, run, wait};

/// Accounts `a0`, `a1`, … on N1 and `b0`, `b1`, … on N2, with 1000 each.
fn open_accounts(world: &World, count: usize) {
    let mut pipeline = Pipeline::connect(&world.cluster.client_config()).unwrap();
    let places = (0..count).flat_map(|n| [format!("N1/a{n}"), format!("N2/b{n}")]);
    let deposits = places.map(|place| Ask::Submit {
        request: fresh_request_id(),
        repeated: false,
        order: Order::deposit(place.parse().unwrap(), "1000".parse().unwrap()),
    });
    pipeline.send_batch(deposits).unwrap();
    for _ in 0..2 * count {
        pipeline.receive(PATIENCE).unwrap().unwrap();
    }
}

/// The command with its input as stdin.
fn command(world: &World, line: &str, input: &Path) -> Command {
    let mut command = Command::new(BINARY);
    let coord = world.coord();
    command.args(line.split_whitespace()).args(["--coord", &coord]);
    command.stdin(File::open(input).unwrap());
    command
}

/// A command under way. Killed with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it to its end.
#[track_caller]
fn finish(world: &World, line: &str, input: &Path) -> Run {
    let output = command(world, line, input).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        line: line.to_owned(),
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn write(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// The results by line. None has two.
#[track_caller]
fn results(text: &str) -> BTreeMap<u64, Value> {
    let mut results = BTreeMap::new();
    for line in text.lines() {
        let result: Value = serde_json::from_str(line).unwrap();
        if result.get("batch_id").is_none() {
            let line = result["line"].as_u64().unwrap();
            assert!(
                results.insert(line, result).is_none(),
                "line {line} has two results"
            );
        }
    }
    results
}

fn outcome(result: &Value) -> &str {
    result["outcome"].as_str().unwrap()
}

/// Asserts that `a0`, `a1`, … have paid that much each, and `b0`, `b1`, … have got it.
#[track_caller]
fn paid(world: &World, accounts: usize, each: i64) {
    let mut client = Client::new(world.cluster.client_config()).unwrap();
    for (node, letter, holds) in [("N1", 'a', 1000 - each), ("N2", 'b', 1000 + each)] {
        let all = client.all_accounts(node.parse().unwrap()).unwrap();
        let ours: Vec<i64> = all
            .into_iter()
            .filter(|(account, _)| account.as_str().starts_with(letter))
            .map(|(_, balance)| balance)
            .collect();
        assert_eq!(ours, vec![holds; accounts], "{letter}0, {letter}1, …");
    }
}

/// What a batch of each kind looks like: its command without results, and its lines.
fn kinds(lines: usize, accounts: usize) -> [(&'static str, String); 4] {
    let places = |n: usize| (format!("N1/a{}", n % accounts), format!("N2/b{}", n % accounts));
    let all = |line: &dyn Fn(usize) -> String| (0..lines).map(line).collect::<String>();
    [
        (
            "transfer --stdin --batch-id may",
            "from,to,amount\n".to_owned()
                + &all(&|n| {
                    let (from, to) = places(n);
                    format!("{from},{to},1\n")
                }),
        ),
        (
            "transfer --stdin",
            all(&|n| {
                let (from, to) = places(n);
                format!(
                    "{{\"request_id\": \"{:x}\", \"from\": \"{from}\", \"to\": \"{to}\", \"amount\": 1}}\n",
                    n + 7
                )
            }),
        ),
        (
            "submit-batch - --in-flight 64",
            all(&|n| {
                let (from, to) = places(n);
                format!("{from}:-1 {to}:+1\n")
            }),
        ),
        (
            "submit-batch - --batch-id may --unordered --in-flight 40",
            all(&|n| {
                let (from, to) = places(n);
                format!("{{\"legs\": [\"{from}:-1\", \"{to}:+1\"]}}\n")
            }),
        ),
    ]
}

#[test]
fn a_command_killed_again_and_again_moves_all_money_once_and_gives_each_line_one_result() {
    const LINES: usize = 2_000;
    const ACCOUNTS: usize = 40;
    const EACH: i64 = 50;
    for (store, kinds_of) in [("json", 0..3), ("sled", 3..4)] {
        for (kind, input) in kinds(LINES, ACCOUNTS)
            .into_iter()
            .skip(kinds_of.start)
            .take(kinds_of.len())
        {
            let world = World::start(store);
            open_accounts(&world, ACCOUNTS);
            let input = write(&world, "input", &input);
            let path = world.path().join("results.jsonl");
            let line = format!("{kind} --results {}", path.display());
            let there = || fs::read(&path).unwrap_or_default();
            let mut killed_in_the_middle = 0;
            for kill_at in [1, 300, 900] {
                let mut quiet = command(&world, &line, &input);
                let mut child = Running(quiet.stderr(Stdio::null()).spawn().unwrap());
                let lines = |bytes: Vec<u8>| bytes.iter().filter(|&&byte| byte == b'\n').count();
                wait("some lines have a result", || {
                    (lines(there()) >= kill_at || child.0.try_wait().unwrap().is_some()).then_some(())
                });
                fired("I8");
                drop(child);
                killed_in_the_middle += usize::from(lines(there()) < LINES);
                // And one that was killed while it wrote.
                let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(b"{\"line\":1,\"reque").unwrap();
            }
            assert!(
                killed_in_the_middle > 0,
                "{kind}: it was never killed in the middle"
            );
            finish(&world, &line, &input).says(0, &[]);
            let results = results(&fs::read_to_string(&path).unwrap());
            assert_eq!(results.len(), LINES, "{kind}");
            for result in results.values() {
                assert_eq!(outcome(result), "committed", "{kind}: {result}");
            }
            paid(&world, ACCOUNTS, EACH);
            if kind != "submit-batch - --in-flight 64" {
                // Once more, without the results: every line is known at its home.
                let again = finish(&world, kind, &input);
                assert_eq!(self::results(&again.says(0, &[]).stdout).len(), LINES, "{kind}");
                paid(&world, ACCOUNTS, EACH);
            }
            world.works_and_stops();
        }
    }
}

#[test]
fn a_killed_coordinator_is_waited_for_and_no_line_is_lost_or_done_twice() {
    const LINES: usize = 2_000;
    const ACCOUNTS: usize = 40;
    for store in STORES {
        let mut world = World::start(store);
        open_accounts(&world, ACCOUNTS);
        let [(kind, input), ..] = kinds(LINES, ACCOUNTS);
        let input = write(&world, "input", &input);
        let path = world.path().join("results.jsonl");
        let line = format!("{kind} --timeout-ms 30000 --results {}", path.display());
        let mut child = Running(command(&world, &line, &input).spawn().unwrap());
        for kill_at in [100, 500] {
            wait("some lines have a result", || {
                let there = fs::read_to_string(&path).unwrap_or_default();
                (there.lines().count() >= kill_at).then_some(())
            });
            fired("P14");
            world.cluster.kill9(Target::Coordinator);
            world.cluster.restart(Target::Coordinator).unwrap();
        }
        let status = child.0.wait().unwrap();
        let results = results(&fs::read_to_string(&path).unwrap());
        assert_eq!(results.len(), LINES);
        // Those that were being decided may have aborted, for good.
        let committed = results
            .values()
            .filter(|result| outcome(result) == "committed")
            .count();
        assert_eq!(status.code(), Some(if committed == LINES { 0 } else { 5 }));
        let paid = |line: &u64| outcome(&results[line]) == "committed";
        let mut expected = vec![0; ACCOUNTS];
        for line in results.keys().filter(|line| paid(line)) {
            // The first line names the columns.
            expected[usize::try_from(line - 2).unwrap() % ACCOUNTS] += 1;
        }
        let mut client = Client::new(world.cluster.client_config()).unwrap();
        for (account, balance) in client.all_accounts("N2".parse().unwrap()).unwrap() {
            if let Some(number) = account.as_str().strip_prefix('b') {
                assert_eq!(
                    balance,
                    1000 + expected[number.parse::<usize>().unwrap()],
                    "{account}"
                );
            }
        }
        world.works_and_stops();
    }
}

#[test]
fn the_first_bad_line_ends_the_reading_and_what_stands_before_it_is_finished() {
    let world = World::start("json");
    let bad = write(
        &world,
        "bad",
        "N1/A,N2/B,1\nN1/A,N2/B,2\nN1/A,N2,3\nN1/A,N2/B,4\nx\n",
    );
    let path = world.path().join("results.jsonl");
    let line = format!("transfer --stdin --results {} --batch-id may", path.display());
    let run = finish(&world, &line, &bad);
    run.says(
        2,
        &[
            "error: line 3: ",
            "\"N2\"",
            "It was not sent",
            "Stopped at line 3",
            "2 committed",
        ],
    );
    assert!(!run.stderr.contains("line 4"), "{run:?}");
    world.run("balance N2/B").prints(&["1003"]);
    // Corrected, and the rest goes on where it stopped.
    let good = write(
        &world,
        "good",
        "N1/A,N2/B,1\nN1/A,N2/B,2\nN1/A,N2/B,3\nN1/A,N2/B,4\nx\n",
    );
    finish(&world, &(line.clone() + " --skip-bad-lines"), &good).says(2, &["error: line 5: ", "4 committed"]);
    world.run("balance N2/B").prints(&["1010"]);
    assert_eq!(results(&fs::read_to_string(&path).unwrap()).len(), 4);
    // A line that has a result must stay what it was.
    let changed = write(&world, "changed", "N1/A,N2/B,1\nN1/A,N2/B,200\n");
    finish(&world, &line, &changed).says(2, &["line 2: the results say that it was N1/A:-2 N2/B:+2"]);
    let twice = write(&world, "twice", "N1/A,N2/B,1,77\nN1/A,N2/B,1,77\n");
    finish(&world, "transfer --stdin", &twice).says(2, &["line 2: request_id", "stands in an earlier line"]);
    world.run("balance N2/B").prints(&["1011"]);
    world.works_and_stops();
}

#[test]
fn the_exit_code_tells_what_became_of_all_lines_together() {
    let world = World::start("sled");
    for (input, code, words) in [
        ("N1/A:-1 N2/B:+1\nN2/B:-1 N1/A:+1\n", 0, &[][..]),
        ("", 0, &[]),
        (
            "N1/A:-1 N2/B:+1\nN1/A:-5000 N2/B:+5000\n",
            3,
            &["1 committed", "1 aborted for insufficient funds"],
        ),
        (
            "N1/A:-1 N2/nobody:+1\n",
            5,
            &["0 committed", "1 aborted for another reason"],
        ),
        ("N1/A:-1 N2/nobody:+1\nN1/A:-5000 N2/B:+5000\n", 5, &["no money"]),
    ] {
        let input = write(&world, "input", input);
        let run = finish(&world, "submit-batch - --batch-id x", &input);
        // Another input under an old name: what is sent before is found, and something else is refused.
        if code == 0 {
            run.says(0, &[]);
        } else {
            let fresh = format!("submit-batch - --batch-id y{code}{}", words.len());
            finish(&world, &fresh, &input).says(code, words);
        }
    }
    let reused = write(&world, "reused", "N1/A:-2 N2/B:+2\n");
    let run = finish(&world, "submit-batch - --batch-id x", &reused);
    run.says(10, &["used for something else"]);
    assert_eq!(outcome(&results(&run.stdout)[&1]), "reused");
    world.works_and_stops();
}

#[test]
fn lines_without_an_outcome_have_no_result_until_they_are_asked_about_again() {
    let mut world = World::start("json");
    let input = write(
        &world,
        "input",
        "N2/B:-1 N3/C:+1\nN1/A:-1 N2/B:+1\nN1/A:-2 N3/C:+2\n",
    );
    let path = world.path().join("results.jsonl");
    let line = format!(
        "submit-batch {} --timeout-ms 1500 --results {}",
        input.display(),
        path.display()
    );
    world.cluster.kill9(node("N1"));
    let run = world.run(&line);
    run.says(
        6,
        &[
            "The outcome of 2 lines is unknown (line 2, 3)",
            "1 committed",
            "nothing moves twice",
        ],
    );
    assert_eq!(results(&fs::read_to_string(&path).unwrap()).len(), 1);
    world.cluster.restart(node("N1")).unwrap();
    world.run(&line).says(0, &["1 lines have their result"]);
    assert_eq!(results(&fs::read_to_string(&path).unwrap()).len(), 3);
    world.run("balance N3/C").prints(&["1003"]);
    world.works_and_stops();
}

#[test]
fn lines_on_one_account_do_not_stand_in_each_others_way() {
    const LINES: usize = 300;
    let world = World::start("json");
    let input = write(&world, "input", &"N1/A,N2/B,1\n".repeat(LINES));
    let run = finish(&world, "transfer --stdin --progress", &input);
    run.says(0, &["This is batch ", "300 lines have a result: 300 committed."]);
    world.run("balance N2/B").prints(&["1300"]);
    world.works_and_stops();
}

#[test]
fn without_a_coordinator_nothing_is_sent_and_without_an_input_nothing_begins() {
    let dir = crate::world::temp_dir();
    let input = dir.path().join("input");
    fs::write(&input, "N1/A:-1 N2/B:+1\n").unwrap();
    let input = input.to_str().unwrap();
    let port = free_port().to_string();
    let nobody = ["submit-batch", input, "--coord-port", &port];
    run(&nobody).says(
        7,
        &[
            "no coordinator can be reached",
            "0 committed",
            "run the same command again",
        ],
    );
    let missing = ["submit-batch", "nowhere.txt", "--coord-port", &port];
    run(&missing).says(2, &["cannot read nowhere.txt", "no money moved"]);
    for line in [
        "transfer N1/A N2/B 1 --batch-id x",
        "transfer N1/A N2/B 1 --in-flight 5",
        "transfer N1/A N2/B 1 --stdin",
        "transfer --batch-id x",
        "transfer --stdin --request-id 1",
        "transfer --stdin --in-flight 0",
        "transfer --stdin --in-flight 1000000",
        "transfer --stdin --batch-id a/b",
        "submit-batch",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        run(&words).says(2, &["error:", "no money moved"]);
    }
}
