//! The stores that are looked at: which there are in some directories, and what could not be read.

use std::fmt;
use std::path::{Path, PathBuf};

use engine::{Inspection, Owner};
use protocol::coordinator::CoordinatorState;
use protocol::id::ClusterName;
use protocol::participant::NodeState;

/// The stores of one cluster at one moment, each node once.
#[derive(Debug, Default)]
pub struct Images {
    /// Those of nodes.
    pub nodes: Vec<Inspection<NodeState>>,
    /// Those of coordinators.
    pub coordinators: Vec<Inspection<CoordinatorState>>,
    /// Those that are there and could not be read. Nothing is known of them.
    pub refused: Vec<Refused>,
}

/// A store that could not be read.
#[derive(Debug)]
pub struct Refused {
    /// Where it is.
    pub dir: PathBuf,
    /// Whose it is.
    pub owner: Owner,
    /// Why, and what to do about it.
    pub error: engine::Error,
}

/// Why there is nothing to check.
#[derive(Debug)]
pub enum Error {
    /// A directory cannot be read, or a process has a store open.
    Store(engine::Error),
    /// No directory, or one without any store.
    NoStore(PathBuf),
    /// Two stores that cannot belong together.
    Apart(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store(error) => error.fmt(f),
            Error::NoStore(dir) => write!(f, "there is no store in {}", dir.display()),
            Error::Apart(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            Error::NoStore(_) | Error::Apart(_) => None,
        }
    }
}

impl Images {
    /// Reads every store in these directories, and changes none.
    ///
    /// # Errors
    /// [`Error::Store`] if a process has one of them open or the system fails, [`Error::NoStore`], and
    /// [`Error::Apart`] if they are of different clusters or a node is there twice. A store that is damaged is no error:
    /// see [`Images::refused`].
    pub fn read(dirs: &[impl AsRef<Path>]) -> Result<Images, Error> {
        let mut images = Images::default();
        for dir in dirs.iter().map(AsRef::as_ref) {
            let owners = if dir.is_dir() {
                engine::owners(dir).map_err(Error::Store)?
            } else {
                Vec::new()
            };
            if owners.is_empty() {
                return Err(Error::NoStore(dir.to_owned()));
            }
            for owner in owners {
                images.read_one(dir, owner)?;
            }
        }
        images.check_together()?;
        Ok(images)
    }

    fn read_one(&mut self, dir: &Path, owner: Owner) -> Result<(), Error> {
        let read = match owner {
            Owner::Node(_) => engine::inspect(dir, owner).map(|image| self.nodes.push(image)),
            Owner::Coordinator => engine::inspect(dir, owner).map(|image| self.coordinators.push(image)),
        };
        match read {
            Ok(()) => Ok(()),
            Err(error @ (engine::Error::Corrupt(_) | engine::Error::Mismatch(_))) => {
                self.refused.push(Refused {
                    dir: dir.to_owned(),
                    owner,
                    error,
                });
                Ok(())
            }
            Err(error @ (engine::Error::Locked { .. } | engine::Error::Io { .. })) => {
                Err(Error::Store(error))
            }
        }
    }

    fn check_together(&self) -> Result<(), Error> {
        let nodes = self
            .nodes
            .iter()
            .map(|image| (image.owner, image.store, &image.cluster));
        let coordinators = self.coordinators.iter();
        let coordinators = coordinators.map(|image| (image.owner, image.store, &image.cluster));
        let all: Vec<_> = nodes.chain(coordinators).collect();
        let Some(&(first, _, cluster)) = all.first() else {
            return Ok(());
        };
        for (index, (owner, store, other)) in all.iter().enumerate() {
            if *other != cluster {
                return Err(apart(first, cluster, *owner, other));
            }
            let twice = |(before, id, _): &&(Owner, _, _)| {
                id == store || (before == owner && *owner != Owner::Coordinator)
            };
            if all[..index].iter().any(|before| twice(&before)) {
                return Err(Error::Apart(format!(
                    "{owner} is there twice (store {store}), and only one of them can be what it holds now"
                )));
            }
        }
        Ok(())
    }
}

fn apart(first: Owner, cluster: &ClusterName, second: Owner, other: &ClusterName) -> Error {
    Error::Apart(format!(
        "{first} belongs to cluster {cluster} and {second} to cluster {other}: their money does not add up together"
    ))
}
