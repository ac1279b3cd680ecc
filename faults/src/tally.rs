//! The tally: a file with one line for each time that a fault was fired. Any number of threads and processes add to it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::find;

/// Names the file that is added to, for this process and those it starts.
pub const TALLY_VARIABLE: &str = "TWOPENCE_FAULTS";

/// The file to add to, if anybody counts.
pub(crate) fn wanted() -> Option<&'static Path> {
    static WANTED: OnceLock<Option<PathBuf>> = OnceLock::new();
    WANTED
        .get_or_init(|| std::env::var_os(TALLY_VARIABLE).map(PathBuf::from))
        .as_deref()
}

/// Adds one line.
pub(crate) fn add(path: &Path, id: &str, vehicle: &str, times: u64) -> io::Result<()> {
    let line = format!("{id}\t{vehicle}\t{times}\n");
    // One write of so few bytes at the end is never mixed with another one.
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

/// How often each vehicle has fired each fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

impl Tally {
    /// Reads what was added to a file.
    ///
    /// # Errors
    /// If it cannot be read, or holds something that is no tally.
    pub fn read(path: &Path) -> io::Result<Tally> {
        Tally::parse(&fs::read_to_string(path)?)
            .map_err(|line| io::Error::other(format!("{} line {line} is no tally", path.display())))
    }

    /// The number of the line that is wrong, if one is.
    pub(crate) fn parse(text: &str) -> Result<Tally, usize> {
        let mut tally = Tally::default();
        for (at, line) in text.lines().enumerate() {
            let mut parts = line.split('\t');
            let parts = (parts.next(), parts.next(), parts.next(), parts.next());
            let (Some(id), Some(vehicle), Some(times), None) = parts else {
                return Err(at + 1);
            };
            let fault = find(id).ok_or(at + 1)?;
            let times: u64 = times.parse().map_err(|_| at + 1)?;
            let vehicles = tally.counts.entry(fault.id).or_default();
            *vehicles.entry(vehicle.to_owned()).or_default() += times;
        }
        Ok(tally)
    }

    /// How often each vehicle has fired fault `id`.
    pub fn of(&self, id: &str) -> impl Iterator<Item = (&str, u64)> {
        let vehicles = self.counts.get(id).into_iter().flatten();
        vehicles.map(|(vehicle, times)| (vehicle.as_str(), *times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_many_threads_add_up() {
        let path = std::env::temp_dir().join(format!("faults-{}-threads", std::process::id()));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..200 {
                        add(path, "N1", &format!("tests/x t{}", thread % 2), 1).unwrap();
                        add(path, "K-a", "sim", 10).unwrap();
                    }
                });
            }
        });
        let tally = Tally::read(&path);
        fs::remove_file(&path).unwrap();
        let tally = tally.unwrap();
        assert_eq!(
            tally.of("N1").collect::<Vec<_>>(),
            [("tests/x t0", 800), ("tests/x t1", 800)]
        );
        assert_eq!(tally.of("K-a").collect::<Vec<_>>(), [("sim", 16_000)]);
        assert_eq!(tally.of("N2").count(), 0);
    }

    #[test]
    fn what_is_no_tally_is_refused_with_its_line() {
        for (text, line) in [
            ("N1\ta\t1\nN1\ta", 2),
            ("N1\ta\t1\tb", 1),
            ("N0\ta\t1", 1),
            ("N1\ta\t-1", 1),
            ("\n", 1),
        ] {
            assert_eq!(Tally::parse(text), Err(line), "{text:?}");
        }
        assert_eq!(Tally::parse(""), Ok(Tally::default()));
    }
}
