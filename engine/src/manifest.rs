//! Whose store this is: `<prefix>_manifest.json`, written at the first start and checked at every other one, so that a
//! process never works on another one's files or with another backend.
//!
//! A first start writes the manifest twice: first with `"complete":false`, before any other file of the store; then,
//! when all of them are durable, with `"complete":true`. A first start that was interrupted is done again: nobody can
//! have been promised anything.

use protocol::id::{ClusterName, StoreId};

use crate::disk::Disk;
use crate::seal;
use crate::{Error, Owner, StoreConfig, StoreKind};

const FORMAT: u32 = 1;
const SUFFIX: &[u8] = b"\"\n}\n";

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) store: StoreId,
    pub(crate) kind: StoreKind,
    pub(crate) cluster: ClusterName,
    owner: Owner,
    /// Whether the first start came to its end.
    pub(crate) complete: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(rename = "format")]
    _format: u32,
    kind: String,
    store: StoreId,
    cluster: ClusterName,
    owner: String,
    complete: bool,
    #[serde(rename = "checksum")]
    _checksum: String,
}

/// The manifest's file name.
pub(crate) fn file_name(owner: Owner) -> String {
    format!("{}_manifest.json", owner.prefix())
}

const REPAIR: &str =
    "Nothing was changed. Restore the whole data directory from one backup, or start with an empty one";

/// Whether a file can only be there if a store was: everything with the owner's prefix but the lock, what a crash
/// left half written, and a state file, which may have been written by hand.
fn belongs(name: &str, owner: Owner) -> bool {
    let ours = [
        format!("{}_state.", owner.prefix()),
        format!("{}.", owner.log_stem()),
        format!("{}.", owner.prefix()),
    ];
    let harmless = [
        format!("{}.lock", owner.prefix()),
        format!("{}_state.json", owner.prefix()),
    ];
    ours.iter().any(|stem| name.starts_with(stem))
        && !name.ends_with(".tmp")
        && !harmless.iter().any(|known| name == known)
}

/// Refuses a hand-written balance file beside a store that would not adopt it.
///
/// # Errors
/// [`Error::Mismatch`] if there is one.
pub(crate) fn refuse_by_hand<D: Disk>(disk: &D, config: &StoreConfig) -> Result<(), Error> {
    let name = format!("{}_state.json", config.owner.prefix());
    let path = disk.display(&name);
    match disk.exists(&name) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::Mismatch(format!(
            "{path} is there, but only the json store adopts a hand-written balance file: start with --store json, or move \
             the file away and deposit its balances. Nothing was changed"
        ))),
        Err(error) => Err(Error::io(format!("cannot look for {path}"), error)),
    }
}

impl Manifest {
    /// Reads and checks the manifest of a store that has been started before, if there is one.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if this is another store than `config` asks for, [`Error::Corrupt`] if the manifest is damaged
    /// or missing beside files that belong to it.
    pub(crate) fn find<D: Disk>(disk: &D, config: &StoreConfig) -> Result<Option<Manifest>, Error> {
        let found = Manifest::read(disk, config.owner)?;
        if let Some(manifest) = &found {
            manifest.check(config, disk)?;
        }
        Ok(found)
    }

    /// Reads the manifest of `owner`'s store, whichever kind and cluster it names, if there is one.
    ///
    /// # Errors
    /// As [`Manifest::find`].
    pub(crate) fn read<D: Disk>(disk: &D, owner: Owner) -> Result<Option<Manifest>, Error> {
        let name = file_name(owner);
        let path = disk.display(&name);
        let names = list(disk)?;
        if names.contains(&name) {
            let bytes = disk
                .read(&name)
                .map_err(|error| Error::io(format!("cannot read {path}"), error))?;
            if let Some(other) = other_format(&bytes) {
                let why = format!(
                    "it has format {other}, and this program knows format {FORMAT}: use the version of the program that \
                     made it"
                );
                return Err(mismatch(&path, &why));
            }
            let manifest = Manifest::parse(&bytes)
                .map_err(|why| Error::Corrupt(format!("{path} is damaged: {why}. {REPAIR}")))?;
            if manifest.owner != owner {
                let is = manifest.owner;
                let why = format!("it belongs to {is}, not to {owner}: the files were copied or renamed");
                return Err(mismatch(&path, &why));
            }
            return Ok(Some(manifest));
        }
        match names.iter().find(|name| belongs(name, owner)) {
            None => Ok(None),
            Some(orphan) => Err(Error::Corrupt(format!(
                "{path} is missing, but {} is there: this is a store without its identity. {REPAIR}",
                disk.display(orphan)
            ))),
        }
    }

    /// Begins a first start with the identity `fresh`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn begin<D: Disk>(disk: &D, config: &StoreConfig, fresh: StoreId) -> Result<Manifest, Error> {
        let manifest = Manifest {
            store: fresh,
            kind: config.kind,
            cluster: config.cluster.clone(),
            owner: config.owner,
            complete: false,
        };
        manifest.write(disk)?;
        Ok(manifest)
    }

    /// Notes durably that the first start is over.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn finish<D: Disk>(&mut self, disk: &D) -> Result<(), Error> {
        self.complete = true;
        self.write(disk)
    }

    fn write<D: Disk>(&self, disk: &D) -> Result<(), Error> {
        let name = file_name(self.owner);
        seal::replace(disk, &name, &self.render())
            .map_err(|error| Error::io(format!("cannot write {}", disk.display(&name)), error))
    }

    fn render(&self) -> Vec<u8> {
        let mut text = format!(
            "{{\n  \"format\": {FORMAT},\n  \"kind\": \"{}\",\n  \"store\": \"{}\",\n  \"cluster\": \"{}\",\n  \"owner\": \
             \"{}\",\n  \"complete\": {},\n  ",
            self.kind, self.store, self.cluster, self.owner, self.complete
        )
        .into_bytes();
        seal::seal(&mut text, SUFFIX);
        text
    }

    fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        seal::check(bytes, SUFFIX).map_err(|broken| broken.to_string())?;
        let text: Text = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let owner = match text.owner.strip_prefix("node ") {
            Some(node) => Owner::Node(node.parse().map_err(|error| format!("{error}"))?),
            None if text.owner == Owner::Coordinator.to_string() => Owner::Coordinator,
            None => return Err(format!("unknown owner {:?}", text.owner)),
        };
        Ok(Manifest {
            store: text.store,
            kind: text.kind.parse()?,
            cluster: text.cluster,
            owner,
            complete: text.complete,
        })
    }

    fn check<D: Disk>(&self, config: &StoreConfig, disk: &D) -> Result<(), Error> {
        let why = if self.kind != config.kind {
            let kind = self.kind;
            format!(
                "this directory holds a {kind} store: start it with --store {kind}, or use another --data-dir"
            )
        } else if self.cluster != config.cluster {
            let (is, asked) = (&self.cluster, &config.cluster);
            format!(
                "it belongs to cluster {is}, not {asked}: start it with --cluster {is}, or use another --data-dir"
            )
        } else {
            return Ok(());
        };
        Err(mismatch(&disk.display(&file_name(self.owner)), &why))
    }
}

/// The format of a manifest that is whole and of another format than ours. Whatever else it says means nothing to us.
fn other_format(bytes: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct FormatOnly {
        format: u32,
    }
    seal::check(bytes, SUFFIX).ok()?;
    let text: FormatOnly = serde_json::from_slice(bytes).ok()?;
    (text.format != FORMAT).then_some(text.format)
}

fn mismatch(path: &str, why: &str) -> Error {
    Error::Mismatch(format!("{path}: {why}. Nothing was changed"))
}

/// Every owner of whom there is more than a lock or a balance file written by hand, the coordinator last.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn owners<D: Disk>(disk: &D) -> Result<Vec<Owner>, Error> {
    let names = list(disk)?;
    let mut owners: Vec<Owner> = names
        .iter()
        .filter_map(|name| {
            let owner = named_in(name)?;
            (*name == file_name(owner) || belongs(name, owner)).then_some(owner)
        })
        .collect();
    owners.sort_unstable();
    owners.dedup();
    Ok(owners)
}

/// Whose file a name speaks of.
fn named_in(name: &str) -> Option<Owner> {
    let Some(rest) = name.strip_prefix("node_") else {
        return name
            .starts_with(&Owner::Coordinator.prefix())
            .then_some(Owner::Coordinator);
    };
    // A node's name holds neither of these.
    let end = rest.find(['_', '.'])?;
    rest[..end].parse().ok().map(Owner::Node)
}

fn list<D: Disk>(disk: &D) -> Result<Vec<String>, Error> {
    disk.list()
        .map_err(|error| Error::io("cannot list the data directory", error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::OsDisk;

    fn config(dir: &tempfile::TempDir) -> StoreConfig {
        StoreConfig {
            dir: dir.path().to_owned(),
            owner: Owner::Node("N1".parse().unwrap()),
            kind: StoreKind::Json,
            cluster: "local".parse().unwrap(),
            segment_len_max: StoreConfig::SEGMENT_LEN_MAX,
            power_cut: None,
        }
    }

    fn check_or_begin(disk: &OsDisk, config: &StoreConfig, fresh: StoreId) -> Result<Manifest, Error> {
        match Manifest::find(disk, config)? {
            Some(manifest) => Ok(manifest),
            None => Manifest::begin(disk, config, fresh),
        }
    }

    #[test]
    fn the_first_start_is_repeated_until_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, config) = (OsDisk::new(dir.path()), config(&dir));
        let mut first = check_or_begin(&disk, &config, StoreId(7)).unwrap();
        assert!(!first.complete);
        assert_eq!(check_or_begin(&disk, &config, StoreId(8)).unwrap(), first);
        first.finish(&disk).unwrap();
        let second = check_or_begin(&disk, &config, StoreId(9)).unwrap();
        assert_eq!((second.store, second.complete), (StoreId(7), true));
    }

    #[test]
    fn another_kind_cluster_or_owner_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, config) = (OsDisk::new(dir.path()), config(&dir));
        check_or_begin(&disk, &config, StoreId(7)).unwrap();
        let sled = StoreConfig {
            kind: StoreKind::Sled,
            ..config.clone()
        };
        let refused = check_or_begin(&disk, &sled, StoreId(8)).unwrap_err();
        assert!(
            matches!(&refused, Error::Mismatch(text) if text.contains("--store json")),
            "{refused}"
        );
        let elsewhere = StoreConfig {
            cluster: "other".parse().unwrap(),
            ..config.clone()
        };
        let refused = check_or_begin(&disk, &elsewhere, StoreId(8)).unwrap_err();
        assert!(
            matches!(&refused, Error::Mismatch(text) if text.contains("--cluster local")),
            "{refused}"
        );
        let n2 = StoreConfig {
            owner: Owner::Node("N2".parse().unwrap()),
            ..config
        };
        fs::copy(
            dir.path().join("node_N1_manifest.json"),
            dir.path().join("node_N2_manifest.json"),
        )
        .unwrap();
        let refused = check_or_begin(&disk, &n2, StoreId(8)).unwrap_err();
        assert!(
            matches!(&refused, Error::Mismatch(text) if text.contains("node N1")),
            "{refused}"
        );
    }

    #[test]
    fn a_store_of_another_format_is_refused_and_not_called_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, config) = (OsDisk::new(dir.path()), config(&dir));
        check_or_begin(&disk, &config, StoreId(7)).unwrap();
        let path = dir.path().join("node_N1_manifest.json");
        let now = fs::read_to_string(&path).unwrap();
        let (members, _) = now.rsplit_once("\"checksum\"").unwrap();
        let mut newer = members
            .replace("\"format\": 1", "\"format\": 2,\n  \"from the future\": []")
            .into_bytes();
        seal::seal(&mut newer, SUFFIX);
        fs::write(&path, &newer).unwrap();
        faults::fired("P4");
        let refused = check_or_begin(&disk, &config, StoreId(8)).unwrap_err();
        assert!(
            matches!(&refused, Error::Mismatch(text) if text.contains("format 2") && text.contains("Nothing was changed")),
            "{refused}"
        );
        assert_eq!(fs::read(&path).unwrap(), newer);
    }

    #[test]
    fn a_sled_store_does_not_adopt_a_hand_written_file() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, config) = (OsDisk::new(dir.path()), config(&dir));
        refuse_by_hand(&disk, &config).unwrap();
        fs::write(dir.path().join("node_N1_state.json"), "{\"A\": 100}").unwrap();
        let refused = refuse_by_hand(&disk, &config).unwrap_err();
        assert!(
            matches!(&refused, Error::Mismatch(text) if text.contains("--store json")),
            "{refused}"
        );
    }

    #[test]
    fn a_damaged_or_missing_manifest_is_corruption() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, config) = (OsDisk::new(dir.path()), config(&dir));
        check_or_begin(&disk, &config, StoreId(7)).unwrap();
        let path = dir.path().join("node_N1_manifest.json");
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            let refused = check_or_begin(&disk, &config, StoreId(8));
            assert!(
                matches!(refused, Err(Error::Corrupt(_))),
                "bit {bit}: {refused:?}"
            );
        }
        fs::remove_file(&path).unwrap();
        for (orphan, refused) in [
            ("node_N1_log.jsonl", true),
            ("node_N1_log.7.jsonl", true),
            ("node_N1_state.prev.json", true),
            ("node_N1.synced", true),
            ("node_N1_state.json", false),
            ("node_N1_state.json.tmp", false),
            ("node_N1.lock", false),
            ("node_N10_log.jsonl", false),
            ("coordinator_state.json", false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(orphan), "").unwrap();
            let begun = check_or_begin(&OsDisk::new(dir.path()), &config, StoreId(8));
            assert_eq!(matches!(begun, Err(Error::Corrupt(_))), refused, "{orphan}");
        }
    }
}
