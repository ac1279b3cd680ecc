//! The directory of a [`VolatileDisk`](super::VolatileDisk): names as the process sees them, and changes to them that
//! would not survive a power cut.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::inode::Inode;
use crate::dice::Dice;
use crate::disk::{Disk, OsDisk};

/// The names.
#[derive(Debug)]
pub(super) struct Names {
    real: OsDisk,
    /// What this process has changed: what a name means now, or that it is gone. All other names are as in the real
    /// directory, which other processes use too.
    changed: BTreeMap<String, Option<Arc<Inode>>>,
    /// What no directory sync has covered, in order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Create { name: String, inode: Arc<Inode> },
    Rename { from: String, to: String },
    Link { name: String, link: String },
    Remove { name: String },
}

impl Names {
    pub(super) fn new(real: OsDisk) -> Names {
        Names {
            real,
            changed: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// The file with this name if this process gave it the name; `None` if the real directory knows better.
    ///
    /// # Errors
    /// Not found, if this process removed it.
    pub(super) fn ours(&self, name: &str) -> io::Result<Option<Arc<Inode>>> {
        match self.changed.get(name) {
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            Some(Some(inode)) => Ok(Some(inode.clone())),
            None => Ok(None),
        }
    }

    pub(super) fn exists(&self, name: &str) -> io::Result<bool> {
        match self.changed.get(name) {
            Some(now) => Ok(now.is_some()),
            None => self.real.exists(name),
        }
    }

    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let mut names = self.real.list()?;
        names.retain(|name| !self.changed.contains_key(name));
        let ours = self.changed.iter().filter(|(_, now)| now.is_some());
        names.extend(ours.map(|(name, _)| name.clone()));
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn create(&mut self, name: &str) -> Arc<Inode> {
        let inode = Inode::new();
        self.changed.insert(name.to_owned(), Some(inode.clone()));
        self.pending.push(Change::Create {
            name: name.to_owned(),
            inode: inode.clone(),
        });
        inode
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from)?;
        // As POSIX has it: two names of one file stay as they are.
        if self.exists(to)? && inode.is(&self.find(to)?)? {
            return Ok(());
        }
        self.changed.insert(from.to_owned(), None);
        self.changed.insert(to.to_owned(), Some(inode));
        self.pending.push(Change::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    pub(super) fn link(&mut self, name: &str, link: &str) -> io::Result<()> {
        let inode = self.find(name)?;
        if self.exists(link)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.changed.insert(link.to_owned(), Some(inode));
        self.pending.push(Change::Link {
            name: name.to_owned(),
            link: link.to_owned(),
        });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        if !self.exists(name)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.changed.insert(name.to_owned(), None);
        self.pending.push(Change::Remove {
            name: name.to_owned(),
        });
        Ok(())
    }

    /// Gives every change to the real directory, in order.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            self.settle_one(0)?;
        }
        self.changed.retain(|_, now| now.is_some());
        Ok(())
    }

    /// Makes one change durable, although nobody asked for it: perhaps not the oldest one, but then one that has no name
    /// in common with those before it.
    pub(super) fn leak(&mut self, dice: &mut Dice) -> io::Result<()> {
        let Some(count) = u64::try_from(self.pending.len()).ok().filter(|count| *count > 0) else {
            return Ok(());
        };
        let wanted = usize::try_from(dice.below(count)).expect("an index");
        let before = &self.pending[..wanted];
        let free = !before
            .iter()
            .any(|earlier| earlier.touches(&self.pending[wanted]));
        self.settle_one(if free { wanted } else { 0 })
    }

    fn settle_one(&mut self, index: usize) -> io::Result<()> {
        match &self.pending[index] {
            Change::Create { name, inode } => inode.appear(|content| self.real.put_file(name, content))?,
            Change::Rename { from, to } => self.real.rename(from, to)?,
            Change::Link { name, link } => self.real.link(name, link)?,
            Change::Remove { name } => self.real.remove(name)?,
        }
        self.pending.remove(index);
        Ok(())
    }

    /// Every file that this process gave a name.
    pub(super) fn inodes(&self) -> impl Iterator<Item = &Arc<Inode>> {
        self.changed.values().flatten()
    }

    /// The file with this name, to be written to from now on; `None` if it has another name as well.
    pub(super) fn only(&mut self, name: &str) -> io::Result<Option<Arc<Inode>>> {
        let inode = self.find(name)?;
        for other in self.list()? {
            if other != name && inode.is(&self.find(&other)?)? {
                return Ok(None);
            }
        }
        self.changed.insert(name.to_owned(), Some(inode.clone()));
        Ok(Some(inode))
    }

    /// The file with this name, whoever made it.
    fn find(&self, name: &str) -> io::Result<Arc<Inode>> {
        match self.ours(name)? {
            Some(inode) => Ok(inode),
            None => self.real.open_file_to_write(name).map(Inode::real),
        }
    }
}

impl Change {
    fn names(&self) -> [&str; 2] {
        match self {
            Change::Create { name, .. } | Change::Remove { name } => [name, name],
            Change::Rename { from, to } => [from, to],
            Change::Link { name, link } => [name, link],
        }
    }

    fn touches(&self, other: &Change) -> bool {
        self.names().iter().any(|name| other.names().contains(name))
    }
}
