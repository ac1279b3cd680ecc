//! Logs: one line each on stderr, with time (UTC) and level.

use std::io::{LineWriter, Stderr, stderr};

use log::LevelFilter;
use simplelog::{Config, ConfigBuilder, WriteLogger};
use time::macros::format_description;

/// Logs everything up to `level` from now on. Later calls change nothing.
pub(crate) fn start(level: LevelFilter) {
    // Several processes may share one stderr: a line has to leave in one write.
    let lines: LineWriter<Stderr> = LineWriter::new(stderr());
    // Only a second call can fail, and then the first one counts.
    let _ = WriteLogger::init(level, config(), lines);
}

fn config() -> Config {
    let time = format_description!("[hour]:[minute]:[second].[subsecond digits:3]Z");
    ConfigBuilder::new()
        .set_time_format_custom(time)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .build()
}
