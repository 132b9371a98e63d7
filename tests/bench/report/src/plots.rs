//! The plots, as SVG.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use crate::{figures::Figures, runtimes::RUNTIMES, table::shown};

const OURS: RGBColor = RGBColor(0x1b, 0x6c, 0xa8);
const OTHERS: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const WIDTH: u32 = 840;

/// Bars of one metric, a bar a system: file, title, bench, metric.
const BARS: [(&str, &str, &str, &str); 8] = [
    (
        "untouched-instructions",
        "Untouched, in process: instructions of a request",
        "untouched, 6 foreign cookies, 200",
        "instructions",
    ),
    (
        "untouched-allocations",
        "Untouched, in process: allocations of a request",
        "untouched, 6 foreign cookies, 200",
        "allocations",
    ),
    (
        "read-instructions",
        "One key read, in process: instructions of a request",
        "read, 6 foreign cookies, 200",
        "instructions",
    ),
    (
        "change-instructions",
        "One key changed, in process: instructions of a request",
        "change, 6 foreign cookies, 200",
        "instructions",
    ),
    (
        "large-read-instructions",
        "One key of 1,300 read (64 KB): instructions of a request",
        "read, 6 foreign cookies, 1300x40",
        "instructions",
    ),
    (
        "redis-read",
        "Read with Redis, 16 connections: requests per second",
        "read over loopback, 16 connections",
        "requests",
    ),
    (
        "redis-change",
        "Change with Redis, 16 connections: requests per second",
        "change over loopback, 16 connections",
        "requests",
    ),
    (
        "redis-processor",
        "Change with Redis: processor time of server and Redis, in us",
        "change over loopback, 16 connections",
        "processor time",
    ),
];

/// Lines over the number of sessions: file, title, metric.
const LINES: [(&str, &str, &str); 4] = [
    ("scale-bytes", "Bytes that a session takes beside its record of 300", "bytes beside 300"),
    ("scale-load", "Time of a load, in ns", "load"),
    ("scale-replace", "Time of a replace, in ns", "replace"),
    ("scale-instructions", "Instructions of a load in memory", "instructions of load"),
];

/// Draws what there are figures for.
pub(crate) fn draw_all(figures: &Figures, folder: &Path) -> anyhow::Result<()> {
    for (file, title, bench, metric) in BARS {
        bars(figures, &folder.join(file).with_extension("svg"), title, bench, metric)?;
    }
    for (file, title, metric) in LINES {
        lines(figures, &folder.join(file).with_extension("svg"), title, metric)?;
    }
    Ok(())
}

/// Horizontal bars, the shortest on top, each with its number.
fn bars(figures: &Figures, path: &Path, title: &str, bench: &str, metric: &str) -> anyhow::Result<()> {
    // What has nothing to do with Redis is loaded beside it; what is on runtimes is compared among them alone.
    let is_meant = |system: &str| {
        !title.contains("Redis") || (system.contains("redis") && !RUNTIMES.iter().any(|name| system.starts_with(name)))
    };
    let of =
        figures.iter().filter(|figure| figure.bench == bench && figure.metric == metric && is_meant(&figure.system));
    let mut bars: Vec<_> = of.map(|figure| (figure.system.as_str(), figure.value)).collect();
    if bars.is_empty() {
        return Ok(());
    }
    bars.sort_by(|one, other| one.1.total_cmp(&other.1));
    let longest = bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
    let (row, top, left, right) = (24, 44, 230, 90);
    let size = (WIDTH, top + row * bars.len() as u32 + 10);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&BLACK);
    root.draw(&Text::new(title.to_owned(), (10, 12), text(18)))?;
    for (number, (system, value)) in bars.into_iter().enumerate() {
        let y = (top + row * number as u32) as i32;
        let end = left + ((f64::from(WIDTH) - f64::from(left + right)) * value / longest) as i32;
        let color = if system.contains("cloakroom") { OURS } else { OTHERS };
        root.draw(&Text::new(system.to_owned(), (10, y + 3), text(14)))?;
        root.draw(&Rectangle::new([(left, y), (end, y + row as i32 - 6)], color.filled()))?;
        root.draw(&Text::new(shown(value), (end + 6, y + 3), text(14)))?;
    }
    root.present().map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// A line a store over the number of sessions, both axes logarithmic.
fn lines(figures: &Figures, path: &Path, title: &str, metric: &str) -> anyhow::Result<()> {
    let mut stores: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for figure in figures.iter().filter(|figure| figure.metric == metric) {
        let Some(sessions) = figure.bench.strip_suffix(" sessions").and_then(|count| count.parse().ok()) else {
            continue;
        };
        let point = (sessions, figure.value.max(1.0));
        match stores.iter_mut().find(|store| store.0 == figure.system) {
            Some((_, points)) => points.push(point),
            None => stores.push((&figure.system, vec![point])),
        }
    }
    let points = || stores.iter().flat_map(|store| store.1.iter().copied());
    let bounds = |of: fn((f64, f64)) -> f64| {
        points().map(of).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (x, y) = (bounds(|point| point.0), bounds(|point| point.1));
    if points().count() < 2 || x.0 >= x.1 {
        return Ok(());
    }
    let root = SVGBackend::new(path, (WIDTH, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0 / 2.0..y.1 * 2.0).log_scale())?;
    chart.configure_mesh().x_desc("sessions").draw()?;
    let colors = [OURS, RGBColor(0xc0, 0x5a, 0x1c), RGBColor(0x3b, 0x8c, 0x4a), RGBColor(0x7a, 0x4f, 0x9e)];
    for ((store, points), color) in stores.into_iter().zip(colors) {
        let series = LineSeries::new(points, color.stroke_width(2)).point_size(3);
        chart
            .draw_series(series)?
            .label(store)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], color.filled()));
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    root.present().map_err(|error| anyhow!("{}: {error}", path.display()))
}
