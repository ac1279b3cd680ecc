//! Claims that anyone can measure again: how long one transfer takes beside the disk's own sync, and what group
//! commit makes of many clients.

pub mod calibrate;
pub mod load;
pub mod place;
pub mod quantile;
