//! The sled backend from outside: what it keeps, what it refuses, and what a crash leaves.

mod crash;
mod damage;
mod keeps;
mod toy;
mod trace;
