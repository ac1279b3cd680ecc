//! Files that a person wrote, changed or damaged: adopted whole at the very first start, refused ever after.

use std::fs;
use std::path::{Path, PathBuf};

use faults::fired;

use crate::world::{STORES, World, files, free_port, node, node_args, put_back, run, temp_dir};

#[test]
fn balances_written_by_hand_are_adopted_at_the_first_start() {
    let mut world = World::start_with("json", |config| {
        fs::write(
            config.dir.join("node_N1_state.json"),
            "{\"old\": 100, \"empty\": 0}\n",
        )
        .unwrap();
        fs::write(config.dir.join("node_N2_state.json"), "{}").unwrap();
    });
    world.run("balance N1/old").prints(&["100"]);
    world.run("balance N1/empty").prints(&["0"]);
    world.run("audit").prints(&["Money conserved: 3100 = 3100"]);
    world.run("transfer N1/old N2/B 40").prints(&["success=true"]);
    // Once only, however often it starts.
    for _ in 0..2 {
        world.cluster.kill9_all();
        world.cluster.start_all().unwrap();
        world.run("balance N1/old").prints(&["60"]);
        world.run("audit").prints(&["Money conserved: 3100 = 3100"]);
    }
    world.works_and_stops();
}

#[test]
fn balances_written_badly_are_refused_whole() {
    for (text, flaw) in [
        ("{\"A\": 1, \"B\": 2, \"A\": 1}", "A is there twice"),
        ("{\"A\": 1, \"B\": 1.5}", "account B"),
        ("{\"A\": 1, \"B\": -1}", "account B"),
        ("{\"A\": 1, \"b b\": 1}", "not an account id"),
        ("{\"A\": 1, \"@world\": -1}", "not an account id"),
        ("{\"A\": 1, \"B\": {\"C\": 1}}", "account B"),
        ("{\"A\": 1, \"B\": 99999999999999999999}", "account B"),
        ("{\"A\": 1", "EOF"),
        ("", "EOF"),
    ] {
        let dir = temp_dir();
        let path = dir.path().join("node_N1_state.json");
        fs::write(&path, text).unwrap();
        fired("I12");
        let refused = run(&node_args(dir.path(), "N1", free_port(), "json"));
        refused.says(
            5,
            &[
                "node_N1_state.json was not adopted",
                flaw,
                "Nothing was changed",
                "correct the file",
            ],
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        // Nothing but its lock: the corrected file is adopted by the next start as by a first one.
        let names: Vec<PathBuf> = files(dir.path(), "").into_keys().collect();
        assert_eq!(names, [dir.path().join("node_N1.lock"), path], "{text}");
    }
    let dir = temp_dir();
    let path = dir.path().join("node_N1_state.json");
    fs::write(&path, "{\"A\": 1}").unwrap();
    let refused = run(&node_args(dir.path(), "N1", free_port(), "sled"));
    refused.says(5, &["node_N1_state.json", "--store json", "Nothing was changed"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"A\": 1}");
}

#[test]
fn a_later_edit_by_hand_is_refused_and_the_right_command_named() {
    let mut world = World::start("json");
    world.run("transfer N1/A N2/B 10").prints(&[]);
    // The client hears of a decision before every node does.
    world.whole();
    world.cluster.stop(node("N1")).unwrap();
    let whole = files(world.path(), "node_N1");
    let path = world.path().join("node_N1_state.json");
    let text = fs::read_to_string(&path).unwrap();
    for edited in [
        "{\"A\": 5000}".to_owned(),
        text.replacen("990", "991", 1),
        text.replacen('{', "{ ", 1),
    ] {
        assert_ne!(edited, text);
        fs::write(&path, &edited).unwrap();
        fired("I13");
        let refused = run(&world.node_args("N1", free_port()));
        refused.says(9, &["node_N1_state.json", "twopence deposit"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
        put_back(world.path(), "node_N1", &whole);
    }
    world.cluster.start_all().unwrap();
    world.run("balance N1/A").prints(&["990"]);
    world.works_and_stops();
}

#[test]
fn one_flipped_bit_is_found_in_every_kind_of_file() {
    for store in STORES {
        let mut world = World::start(store);
        for _ in 0..5 {
            world.run("transfer N1/A N2/B 10").prints(&[]);
        }
        world.whole();
        world.cluster.stop_all();
        let whole = files(world.path(), "");
        for (who, file, at) in flips(world.path(), store) {
            let mut bytes = fs::read(&file).unwrap();
            let at = at(&bytes);
            bytes[at] ^= 0x10;
            fs::write(&file, &bytes).unwrap();
            let port = free_port();
            let args = match who {
                "coordinator" => coordinator_args(world.path(), port, store),
                name => node_args(world.path(), name, port, store),
            };
            let name = file.file_name().unwrap().to_str().unwrap();
            fired(if name.contains("log") { "D3" } else { "D6" });
            let refused = run(&args);
            assert_eq!(refused.code, 9, "{name} byte {at}: {refused:#?}");
            let said = refused.stderr.to_lowercase();
            assert!(
                said.contains("node_n1") || said.contains("coordinator"),
                "which store: {refused:#?}"
            );
            assert!(said.contains("nothing was changed"), "{refused:#?}");
            assert!(
                said.contains("restore") || said.contains("copy"),
                "what to do next: {refused:#?}"
            );
            assert!(!said.contains("panicked"), "{refused:#?}");
            put_back(world.path(), "", &whole);
        }
        world.cluster.start_all().unwrap();
        world.run("balance N1/A").prints(&["950"]);
        world.works_and_stops();
    }
}

/// A file, whose it is, and where to flip a bit in it.
type Flip = (&'static str, PathBuf, fn(&[u8]) -> usize);

fn flips(dir: &Path, store: &str) -> Vec<Flip> {
    /// Inside the second record of a log: others follow, so it is no torn tail.
    fn early_record(bytes: &[u8]) -> usize {
        let mut lines = bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at);
        lines.nth(2).expect("some lines") + 20
    }
    fn middle(bytes: &[u8]) -> usize {
        bytes.len() / 2
    }
    fn sled_page(bytes: &[u8]) -> usize {
        let name = b"__sled__default";
        let at = bytes.windows(name.len()).position(|window| window == name);
        at.expect("the name of the tree") + 2
    }
    match store {
        "json" => vec![
            ("N1", dir.join("node_N1_log.jsonl"), early_record),
            ("N1", dir.join("node_N1_state.json"), middle),
            ("N1", dir.join("node_N1_manifest.json"), middle),
            ("coordinator", dir.join("coordinator_tx_log.jsonl"), early_record),
            ("coordinator", dir.join("coordinator_manifest.json"), middle),
        ],
        _ => vec![
            ("N1", dir.join("node_N1.sled/db"), sled_page),
            ("N1", dir.join("node_N1_manifest.json"), middle),
            ("coordinator", dir.join("coordinator_manifest.json"), middle),
        ],
    }
}

fn coordinator_args(dir: &Path, port: u16, store: &str) -> Vec<String> {
    let line =
        format!("coordinator --port {port} --store {store} --nodes N1:127.0.0.1:1,N2:127.0.0.1:2 --data-dir");
    let dir = dir.to_str().unwrap().to_owned();
    line.split(' ').map(str::to_owned).chain([dir]).collect()
}
