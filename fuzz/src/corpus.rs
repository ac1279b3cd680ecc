//! The corpus: small files, one input each, in a folder for each target.
//!
//! Seeds come from the target itself and are written by `twopence-fuzz seeds`, as `seed-…`. What coverage-guided runs found
//! worth keeping is called `found-…`; an input that once proved the code wrong has a name that says what was wrong.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::Target;

/// One input with the name of its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// The file's name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Where the inputs of a target are.
pub fn folder(target: &Target) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", target.name]
        .iter()
        .collect()
}

/// The target's inputs, by name.
///
/// # Errors
/// If they cannot be read.
pub fn read(target: &Target) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        inputs.push(Input {
            name: entry.file_name().to_string_lossy().into_owned(),
            bytes: fs::read(entry.path())?,
        });
    }
    inputs.sort();
    Ok(inputs)
}

/// The target's own seeds, as they are called in the corpus.
pub fn seeds(target: &Target) -> Vec<Input> {
    let seed = |(index, (name, bytes)): (usize, (&str, Vec<u8>))| Input {
        name: format!("seed-{index:02}-{name}"),
        bytes,
    };
    (target.seeds)().into_iter().enumerate().map(seed).collect()
}

/// Writes the target's seeds anew, and takes those away that it no longer has.
///
/// # Errors
/// If they cannot be written.
pub fn write_seeds(target: &Target) -> io::Result<usize> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    for old in read(target)?
        .iter()
        .filter(|input| input.name.starts_with("seed-"))
    {
        fs::remove_file(folder.join(&old.name))?;
    }
    let seeds = seeds(target);
    for seed in &seeds {
        fs::write(folder.join(&seed.name), &seed.bytes)?;
    }
    Ok(seeds.len())
}
