//! How a sled server with `--power-cut` comes under the library that plays power cuts: the program starts itself again
//! with it preloaded. A json server needs none: its disk is our own code.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use engine::StoreKind;

use crate::again;
use crate::cli::ServerArgs;

/// Built with this program by the package `twopence-powercut`, which says what the variables mean.
const LIBRARY: &str = "libpowercut.so";
const DIR: &str = "TWOPENCE_POWER_CUT_DIR";
const SEED: &str = "TWOPENCE_POWER_CUT_SEED";

/// Sees to it that this process is what `args` ask for; if need be, by becoming another one.
///
/// # Errors
/// If power cuts cannot be played here, and why.
pub(crate) fn prepare(args: &ServerArgs) -> Result<(), String> {
    match (args.power_cut, args.store) {
        (None, _) | (Some(_), StoreKind::Json) => Ok(()),
        (Some(_), StoreKind::Sled) if is_loaded() => Ok(()),
        (Some(_), StoreKind::Sled) if env::var_os(DIR).is_some() => Err(format!(
            "{LIBRARY} could not be loaded into this process, so power cuts cannot be played. Nothing was started"
        )),
        (Some(seed), StoreKind::Sled) => {
            let library = library(StoreKind::Sled)?;
            Err(start_again(args, seed, library.as_deref()))
        }
    }
}

/// What has to be preloaded into a server with this store.
///
/// # Errors
/// If it is not there, with what to do about it.
pub(crate) fn library(store: StoreKind) -> Result<Option<PathBuf>, String> {
    match store {
        StoreKind::Json => Ok(None),
        StoreKind::Sled if !cfg!(target_os = "linux") => Err(
            "power cuts of a sled store can be played on Linux only; use --store json. Nothing was started"
                .to_owned(),
        ),
        StoreKind::Sled => {
            let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
            let beside = program.with_file_name(LIBRARY);
            let built = program.with_file_name("deps").join(LIBRARY);
            let found = [beside, built].into_iter().find(|path| path.exists());
            found.map(Some).ok_or_else(|| {
                format!(
                    "power cuts of a sled store need {LIBRARY}, which is neither beside {} nor in deps/ there: run it where \
                     cargo built it, or copy target/release/deps/{LIBRARY} beside it. Nothing was started",
                    program.display()
                )
            })
        }
    }
}

fn is_loaded() -> bool {
    let maps = fs::read_to_string("/proc/self/maps");
    maps.is_ok_and(|maps| maps.lines().any(|line| line.ends_with(LIBRARY)))
}

/// Returns only if that fails, with the reason.
fn start_again(args: &ServerArgs, seed: u64, library: Option<&Path>) -> String {
    let variables = || -> io::Result<Vec<(&str, OsString)>> {
        fs::create_dir_all(&args.data_dir)?;
        let dir = fs::canonicalize(&args.data_dir)?;
        let mut variables = vec![(DIR, dir.into()), (SEED, seed.to_string().into())];
        variables.extend(library.map(|library| ("LD_PRELOAD", library.into())));
        Ok(variables)
    };
    let error = variables().map_or_else(|error| error, again::start);
    format!("cannot start again under {LIBRARY}: {error}. Nothing was started")
}
