//! Every damage to a store's files is refused as corruption, or provably leaves the same state. Never a panic, never
//! other money.

use std::fs;
use std::path::{Path, PathBuf};

use engine::Error;
use faults::fired;
use protocol::fold::Fold;

use crate::toy::{Toy, copy_folder, open, records, step};

/// So many steps in each of three runs make a log of several segments, and a journal that has gone round.
const STEPS_OF_MANY_SEGMENTS: u64 = 6000;

/// Length of sled's segments.
const SEGMENT_LEN: usize = 1024 * 1024;

/// A store with a history: three runs, so that its log was cut and continued, and a snapshot was replaced.
fn template(dir: &Path, steps_per_run: u64) -> Toy {
    let mut toy = Toy::empty();
    for run in 0..3 {
        let mut opened = open(dir).unwrap();
        for at in run * steps_per_run..(run + 1) * steps_per_run {
            step(&mut *opened.engine, &mut toy, records(at)).unwrap();
            if at % 16 == 0 {
                opened.engine.sync().unwrap();
            }
        }
        opened.engine.close(&toy).unwrap();
    }
    toy
}

/// A good store, and what became of its damaged copies.
struct Bench {
    _scratch: tempfile::TempDir,
    good: PathBuf,
    work: PathBuf,
    toy: Toy,
    same: u32,
    refused: u32,
}

impl Bench {
    fn new(steps_per_run: u64) -> Bench {
        let scratch = tempfile::tempdir().unwrap();
        let (good, work) = (scratch.path().join("good"), scratch.path().join("work"));
        let toy = template(&good, steps_per_run);
        Bench {
            _scratch: scratch,
            good,
            work,
            toy,
            same: 0,
            refused: 0,
        }
    }

    /// The files that damage may hit, relative to the data directory. The manifest has tests of its own.
    fn files(&self) -> Vec<PathBuf> {
        let names = file_names(&self.good.join("node_N1.sled"));
        let mut files: Vec<_> = names
            .iter()
            .map(|name| Path::new("node_N1.sled").join(name))
            .collect();
        assert_eq!(files.len(), 3, "conf, db and one snapshot: {files:?}");
        files.push(PathBuf::from("node_N1.synced"));
        files
    }

    fn read(&self, file: &Path) -> Vec<u8> {
        fs::read(self.good.join(file)).unwrap()
    }

    /// Opens a copy of the good store after `damage` was done to it. Says whether it was refused.
    fn open_after(&mut self, damage: impl FnOnce(&Path), what: &str) -> bool {
        copy_folder(&self.good, &self.work);
        damage(&self.work);
        let before = snapshot(&self.work);
        let refused = match open(&self.work) {
            Ok(opened) => {
                assert_eq!(opened.state, self.toy, "{what}: another state");
                self.same += 1;
                false
            }
            Err(Error::Corrupt(_)) => {
                assert!(
                    before == snapshot(&self.work),
                    "{what}: a refused store stays as it was"
                );
                self.refused += 1;
                true
            }
            Err(other) => panic!("{what}: {other}"),
        };
        fs::remove_dir_all(&self.work).unwrap();
        refused
    }

    fn open_with(&mut self, file: &Path, bytes: &[u8], what: &str) -> bool {
        self.open_after(
            |dir| fs::write(dir.join(file), bytes).unwrap(),
            &format!("{}: {what}", file.display()),
        )
    }

    fn flip_bits(&mut self, cases_per_file: usize) {
        for file in self.files() {
            let mut bytes = self.read(&file);
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            let stride = (used * 8 / cases_per_file) | 1; // Odd: every position within a byte comes up.
            for bit in (0..used * 8).step_by(stride) {
                bytes[bit / 8] ^= 1 << (bit % 8);
                fired("D6");
                self.open_with(&file, &bytes, &format!("bit {bit}"));
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        self.expect_a_healthy_end();
    }

    /// Guards against refusals that have nothing to do with the damage.
    fn expect_a_healthy_end(&mut self) {
        assert!(
            self.same > 0 && self.refused > 0,
            "{} same, {} refused",
            self.same,
            self.refused
        );
        assert!(!self.open_after(|_| {}, "no damage"));
    }
}

fn file_names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    names.sort();
    names
}

/// All files of the store with their content.
fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in [dir.to_owned(), dir.join("node_N1.sled")] {
        if folder.exists() {
            for name in file_names(&folder) {
                let bytes = fs::read(folder.join(&name)).unwrap();
                all.push((name, bytes));
            }
        }
    }
    all
}

#[test]
fn every_flipped_bit_is_refused_or_leaves_the_same_state() {
    Bench::new(10).flip_bits(600);
}

#[test]
fn a_flipped_bit_anywhere_in_a_log_of_many_segments_is_refused_or_leaves_the_same_state() {
    let mut bench = Bench::new(STEPS_OF_MANY_SEGMENTS);
    let db = bench.read(Path::new("node_N1.sled/db"));
    assert!(
        db.len() > 2 * SEGMENT_LEN,
        "{} bytes are not many segments",
        db.len()
    );
    bench.flip_bits(120);
}

#[test]
fn every_file_that_was_cut_off_is_refused_or_leaves_the_same_state() {
    let mut bench = Bench::new(10);
    for file in bench.files() {
        let bytes = bench.read(&file);
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let stride = (used / 300).max(1);
        for len in (0..used)
            .step_by(stride)
            .chain([used, (used + bytes.len()) / 2, bytes.len() - 1])
        {
            fired("D6");
            bench.open_with(
                &file,
                &bytes[..len.min(bytes.len())],
                &format!("cut to {len} bytes"),
            );
        }
    }
    bench.expect_a_healthy_end();
}

#[test]
fn every_zeroed_or_appended_block_is_refused_or_leaves_the_same_state() {
    let mut bench = Bench::new(STEPS_OF_MANY_SEGMENTS);
    let db = Path::new("node_N1.sled/db");
    let good = bench.read(db);
    let stride = (good.len() / 4096 / 200).max(1);
    for block in (0..good.len() / 4096).step_by(stride) {
        let mut bytes = good.clone();
        bytes[block * 4096..(block + 1) * 4096].fill(0);
        fired("D6");
        bench.open_with(db, &bytes, &format!("block {block} is zero"));
    }
    for len in [1, 19, 20, 512, SEGMENT_LEN, 1_400_000] {
        let mut bytes = good.clone();
        bytes.resize(good.len() + len, 0xa5);
        fired("D6");
        bench.open_with(db, &bytes, &format!("{len} bytes of garbage at the end"));
    }
    bench.expect_a_healthy_end();
}

#[test]
fn swapped_segments_and_segments_written_twice_are_refused_or_leave_the_same_state() {
    let mut bench = Bench::new(STEPS_OF_MANY_SEGMENTS);
    let db = Path::new("node_N1.sled/db");
    let good = bench.read(db);
    let segments: Vec<&[u8]> = good.chunks(SEGMENT_LEN).collect();
    for at in 1..segments.len() {
        let mut swapped = segments.clone();
        swapped.swap(at - 1, at);
        fired("D7");
        bench.open_with(
            db,
            &swapped.concat(),
            &format!("segments {} and {at} swapped", at - 1),
        );
        let mut twice = segments.clone();
        twice[at] = twice[at - 1];
        fired("D7");
        bench.open_with(
            db,
            &twice.concat(),
            &format!("segment {} also in the place of {at}", at - 1),
        );
    }
    assert!(bench.refused > 0);
    assert!(!bench.open_after(|_| {}, "no damage"));
}

#[test]
fn a_missing_a_strange_and_a_foreign_file_are_refused() {
    let mut bench = Bench::new(10);
    for file in ["node_N1.sled/conf", "node_N1.sled/db"] {
        fired("D7");
        assert!(bench.open_after(|dir| fs::remove_file(dir.join(file)).unwrap(), file));
    }
    assert!(bench.open_after(
        |dir| fs::remove_dir_all(dir.join("node_N1.sled")).unwrap(),
        "no folder"
    ));
    assert!(bench.open_after(
        |dir| fs::write(dir.join("node_N1.sled/blobs/7"), "x").unwrap(),
        "a blob"
    ));
    assert!(bench.open_after(
        |dir| fs::write(dir.join("node_N1.sled/notes"), "x").unwrap(),
        "a strange file"
    ));

    let other = Bench::new(10);
    let foreign = other.good.join("node_N1.sled");
    let swap_in = |dir: &Path| {
        fs::remove_dir_all(dir.join("node_N1.sled")).unwrap();
        copy_folder(&foreign, &dir.join("node_N1.sled"));
    };
    fired("D7");
    assert!(bench.open_after(swap_in, "another store's folder"));
}

#[test]
fn an_older_copy_of_the_store_is_refused_by_its_mark() {
    let mut bench = Bench::new(10);
    let mut opened = open(&bench.good).unwrap();
    let old = bench.good.join("old");
    copy_folder(&bench.good.join("node_N1.sled"), &old);
    step(&mut *opened.engine, &mut bench.toy, records(77)).unwrap();
    opened.engine.close(&bench.toy).unwrap();
    let put_back = |dir: &Path| {
        fs::remove_dir_all(dir.join("node_N1.sled")).unwrap();
        fs::rename(dir.join("old"), dir.join("node_N1.sled")).unwrap();
    };
    fired("D7");
    assert!(bench.open_after(put_back, "an older copy"));
    assert!(!bench.open_after(|_| {}, "no damage"));
}

#[test]
fn without_a_mark_the_store_opens_and_says_what_it_could_not_check() {
    let bench = Bench::new(3);
    fs::remove_file(bench.good.join("node_N1.synced")).unwrap();
    let opened = open(&bench.good).unwrap();
    assert_eq!(opened.state, bench.toy);
    assert!(
        opened.notices[0].contains("node_N1.synced"),
        "{:?}",
        opened.notices
    );
    drop(opened);
    assert!(
        open(&bench.good).unwrap().notices.is_empty(),
        "it was written anew"
    );
}

#[test]
fn an_opening_that_was_interrupted_anywhere_is_finished_or_undone() {
    let mut bench = Bench::new(3);
    let leave_trial = |dir: &Path| fs::create_dir_all(dir.join("node_N1.sled.trial/blobs")).unwrap();
    assert!(!bench.open_after(leave_trial, "while copying"));
    let exchanged = |dir: &Path| {
        copy_folder(&dir.join("node_N1.sled"), &dir.join("node_N1.sled.trial"));
        fs::write(dir.join("node_N1.sled.trial/db"), "half of it").unwrap();
    };
    assert!(!bench.open_after(exchanged, "while the original is opened"));
    let between_renames = |dir: &Path| {
        copy_folder(&dir.join("node_N1.sled"), &dir.join("node_N1.sled.trial"));
        fs::rename(dir.join("node_N1.sled"), dir.join("node_N1.sled.retired")).unwrap();
    };
    assert!(!bench.open_after(between_renames, "between the renames"));
    let before_removal =
        |dir: &Path| copy_folder(&dir.join("node_N1.sled"), &dir.join("node_N1.sled.retired"));
    assert!(!bench.open_after(before_removal, "before the old store is removed"));
    let half_removed = |dir: &Path| fs::create_dir(dir.join("node_N1.sled.retired")).unwrap();
    assert!(!bench.open_after(half_removed, "while the old store is removed"));
    let torn_snapshot =
        |dir: &Path| fs::write(dir.join("node_N1.sled/snap.00000000FFFFFFFF.generating"), "x").unwrap();
    assert!(!bench.open_after(torn_snapshot, "while sled wrote a snapshot"));
}

#[test]
fn nothing_is_left_of_the_old_store_when_the_new_one_is_let_go() {
    let bench = Bench::new(3);
    drop(open(&bench.good).unwrap());
    let names = file_names(&bench.good);
    let left = |name: &String| name.contains("retired") || name.contains("trial");
    assert!(!names.iter().any(left), "{names:?}");
}
