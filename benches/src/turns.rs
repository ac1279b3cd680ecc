//! Two things measured in turns, in one run: how their figures are brought together and shown.

use std::path::PathBuf;

use crate::summary::grouped;

/// The `twopence` binary that stands beside this program.
///
/// # Errors
/// A text that says how to make one.
pub fn twopence_beside() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = here.parent().map(|folder| folder.join("twopence"));
    beside
        .filter(|path| path.is_file())
        .ok_or_else(|| "no twopence beside this program: run `cargo build --release` first".to_owned())
}

/// The figure in the middle, or between the two in the middle; not a number if there is none.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    }
}

/// A figure with three digits behind the point, or as a whole number if it is large.
pub fn figure(figure: f64) -> String {
    if figure < 100.0 {
        format!("{figure:.3}")
    } else {
        grouped(figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_between_the_two_middles() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn small_figures_keep_their_digits() {
        assert_eq!(figure(0.4756), "0.476");
        assert_eq!(figure(32_200.4), "32,200");
    }
}
