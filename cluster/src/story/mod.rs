//! What do the demos and the panel's scenarios tell alike? The same transfers, deaths at the same points, and the same
//! reading of what recovery says.

mod contention;
mod points;
mod recovery;

pub use contention::{Ending, until_it_commits};
pub use points::{CoordinatorPoint, NodePoint};
pub use recovery::Found;

/// A transfer: from, to, amount.
pub type Transfer = (&'static str, &'static str, i64);

/// Three transfers that start at once, and all want N1/A.
pub const CONCURRENT: [Transfer; 3] = [("N1/A", "N2/B", 10), ("N2/B", "N1/A", 10), ("N3/C", "N1/A", 20)];

/// Two transfers that both want N2/B.
pub const CONFLICTING: [Transfer; 2] = [("N1/A", "N2/B", 100), ("N2/B", "N3/C", 150)];
