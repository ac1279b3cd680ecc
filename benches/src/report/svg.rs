//! Plots as SVG text: lines and bars over one axis each way, in the colours of the page around them.

use std::fmt::Write;

/// Size of a plot and of the room for its axes, in the units of its view box.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// Colours of the page's style sheet: `--s0` and so on.
const COLOURS: usize = 6;

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly, from 0.
    Linear,
    /// By powers of ten; every value is above 0.
    Log,
}

/// An axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis<'a> {
    /// What it shows, with the unit.
    pub(crate) label: &'a str,
    /// How it is divided.
    pub(crate) scale: Scale,
}

/// Points that belong together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// What they are.
    pub(crate) name: String,
    /// From left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot of lines with a dot at each point that was measured.
pub(crate) fn lines(x: Axis<'_>, y: Axis<'_>, series: &[Series], dots: bool) -> String {
    let all = || series.iter().flat_map(|series| series.points.iter().copied());
    let across = Span::of(x.scale, all().map(|(x, _)| x));
    let up = Span::of(y.scale, all().map(|(_, y)| y));
    let at = |(x, y): (f64, f64)| {
        (
            LEFT + across.share(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up.share(y) * (HEIGHT - TOP - BOTTOM),
        )
    };
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    for tick in up.ticks() {
        let (_, y) = at((across.low, tick));
        push(
            &mut svg,
            format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT),
        );
        push(
            &mut svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                short(tick)
            ),
        );
    }
    for tick in across.ticks() {
        let (x, _) = at((tick, up.low));
        push(
            &mut svg,
            format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{:.1}\"/>",
                HEIGHT - BOTTOM
            ),
        );
        push(
            &mut svg,
            format_args!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"mid\">{}</text>",
                HEIGHT - BOTTOM + 16.0,
                short(tick)
            ),
        );
    }
    push(
        &mut svg,
        format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"mid\">{}</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 8.0,
            escaped(x.label)
        ),
    );
    let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
    push(
        &mut svg,
        format_args!(
            "<text x=\"14\" y=\"{middle:.1}\" class=\"mid\" transform=\"rotate(-90 14 {middle:.1})\">{}</text>",
            escaped(y.label)
        ),
    );
    for (index, series) in series.iter().enumerate() {
        let colour = index % COLOURS;
        let mut path = String::new();
        for (count, point) in series.points.iter().enumerate() {
            let (x, y) = at(*point);
            let step = if count == 0 { 'M' } else { 'L' };
            push(&mut path, format_args!("{step}{x:.1} {y:.1}"));
        }
        push(
            &mut svg,
            format_args!(
                "<path class=\"line\" stroke=\"var(--s{colour})\" d=\"{}\"/>",
                path.replace('\n', "")
            ),
        );
        for point in series.points.iter().filter(|_| dots) {
            let (x, y) = at(*point);
            push(
                &mut svg,
                format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"var(--s{colour})\"><title>{}: {} at {}</title></circle>",
                    escaped(&series.name),
                    short(point.1),
                    short(point.0)
                ),
            );
        }
    }
    svg.push_str("</svg>\n");
    svg.push_str(&legend(series));
    svg
}

fn legend(series: &[Series]) -> String {
    let mut html = String::from("<p class=\"legend\">");
    for (index, series) in series.iter().enumerate() {
        let colour = index % COLOURS;
        push(
            &mut html,
            format_args!(
                "<span><i style=\"background:var(--s{colour})\"></i>{}</span>",
                escaped(&series.name)
            ),
        );
    }
    html.push_str("</p>\n");
    html
}

/// The part of an axis that is shown.
#[derive(Clone, Copy, Debug)]
struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Span {
    /// All of `values`, with round ends.
    fn of(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Span {
        let good = values.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0));
        let high = good.clone().fold(f64::MIN, f64::max);
        let low = good.fold(f64::MAX, f64::min);
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        match scale {
            Scale::Linear => {
                let step = step(high.max(1e-9));
                Span {
                    scale,
                    low: 0.0,
                    high: (high / step).ceil().max(1.0) * step,
                }
            }
            Scale::Log => {
                let (low, high) = (low.log10().floor(), high.log10().ceil());
                Span {
                    scale,
                    low: 10_f64.powf(low),
                    high: 10_f64.powf(high.max(low + 1.0)),
                }
            }
        }
    }

    /// Where a value lies, from 0 at the low end to 1 at the high one.
    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high);
                let mut ticks = vec![self.low];
                while ticks[ticks.len() - 1] + step <= self.high * 1.000_001 {
                    ticks.push(ticks[ticks.len() - 1] + step);
                }
                ticks
            }
            Scale::Log => {
                let mut ticks = vec![self.low];
                while ticks[ticks.len() - 1] * 10.0 <= self.high * 1.000_001 {
                    ticks.push(ticks[ticks.len() - 1] * 10.0);
                }
                ticks
            }
        }
    }
}

/// A round number of which four to eight make `high`.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / 4.0).log10().floor());
    let times = high / 4.0 / power;
    let round = [5.0, 2.0, 1.0].into_iter().find(|round| *round <= times);
    round.unwrap_or(1.0) * power
}

/// A number as it stands on an axis.
pub(crate) fn short(number: f64) -> String {
    let (number, unit) = match number.abs() {
        size if size >= 1e6 => (number / 1e6, "M"),
        size if size >= 1e4 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let text = if number == 0.0 || number.abs() >= 100.0 {
        format!("{number:.0}")
    } else if number.abs() >= 1.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.4}")
    };
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

/// Text between tags.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A string takes any text.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ends_and_few_ticks() {
        let span = Span::of(Scale::Linear, [3.0, 47_300.0].into_iter());
        assert_eq!((span.low, span.high), (0.0, 50_000.0));
        assert!((4..=9).contains(&span.ticks().len()), "{:?}", span.ticks());
        let span = Span::of(Scale::Log, [0.4, 64.0].into_iter());
        assert_eq!(span.ticks().len(), 4, "0.1, 1, 10, 100");
        assert!((span.share(1.0) - 1.0 / 3.0).abs() < 1e-9);
        for value in [1.0, 7.0, 99.0, 1234.5, 8e9] {
            let count = value / step(value);
            assert!((4.0..=10.0).contains(&count), "{value}: {count} steps");
        }
    }

    #[test]
    fn numbers_on_axes_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (64.0, "64"),
            (2_500.0, "2500"),
            (40_000.0, "40k"),
            (1.2e6, "1.2M"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_plot_and_names_are_text() {
        let axis = Axis {
            label: "<clients>",
            scale: Scale::Log,
        };
        let svg = lines(
            axis,
            axis,
            &[Series {
                name: "a & b".to_owned(),
                points: Vec::new(),
            }],
            true,
        );
        assert!(
            svg.contains("&lt;clients&gt;") && svg.contains("a &amp; b"),
            "{svg}"
        );
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
