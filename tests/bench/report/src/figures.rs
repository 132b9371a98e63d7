//! All figures of a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufReader, BufWriter},
    path::Path,
};

use anyhow::Context as _;
use bench_kit::{Figure, median};

/// What stands after a metric that is no figure of its own, but tells how far the rounds of one are apart.
const SPREAD: [&str; 3] = [", lowest", ", median", ", highest"];
/// From so many rounds on their spread is kept.
const MANY: usize = 5;

/// Tells whether a metric is of the spread of another.
pub(crate) fn is_spread(metric: &str) -> bool {
    SPREAD.iter().any(|suffix| metric.ends_with(suffix))
}

/// Figures in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let figures = serde_json::from_reader(BufReader::new(file));
        Ok(Self(figures.with_context(|| format!("{} holds no figures", path.display()))?))
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(serde_json::to_writer_pretty(BufWriter::new(file), &self.0)?)
    }

    pub(crate) fn add(&mut self, bench: &str, system: &str, metric: &str, value: f64, unit: &str) {
        self.0.push(Figure::new(bench, system, metric, value, unit));
    }

    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Adds what a program printed: a figure in each line.
    pub(crate) fn add_lines(&mut self, lines: &str) -> anyhow::Result<()> {
        for line in lines.lines() {
            self.0.push(serde_json::from_str(line).with_context(|| format!("not a figure: {line}"))?);
        }
        Ok(())
    }

    /// Adds the median of what is the same but for its value, in the order in which each first came; and of many that differ
    /// the lowest and the highest.
    pub(crate) fn add_medians(&mut self, rounds: Self) {
        self.add_each(rounds, |_| 1);
    }

    /// The same with the lowest in place of the median of times, for what else the machine does only adds to them.
    pub(crate) fn add_lowest_times(&mut self, rounds: Self) {
        self.add_each(rounds, |metric| usize::from(metric != "time"));
    }

    /// Adds one of the lowest, the median and the highest by its own name, and of many the others by theirs.
    fn add_each(&mut self, rounds: Self, one_of: impl Fn(&str) -> usize) {
        let mut places: BTreeMap<(String, String, String), usize> = BTreeMap::new();
        let mut all: Vec<(Figure, Vec<f64>)> = Vec::new();
        for figure in rounds.0 {
            let name = (figure.bench.clone(), figure.system.clone(), figure.metric.clone());
            let place = *places.entry(name).or_insert(all.len());
            match all.get_mut(place) {
                Some((_, values)) => values.push(figure.value),
                None => all.push((figure.clone(), vec![figure.value])),
            }
        }
        for (figure, mut values) in all {
            let middle = median(&mut values);
            // The median has sorted them.
            let Some((&lowest, &highest)) = values.first().zip(values.last()) else { continue };
            let (of, one) = ([lowest, middle, highest], one_of(&figure.metric));
            for (place, value) in of.into_iter().enumerate() {
                let metric = format!("{}{}", figure.metric, if place == one { "" } else { SPREAD[place] });
                if place == one || values.len() >= MANY && lowest < highest {
                    self.0.push(Figure { metric, value, ..figure.clone() });
                }
            }
        }
    }

    pub(crate) fn find(&self, bench: &str, system: &str, metric: &str) -> Option<f64> {
        let is_it = |figure: &&Figure| figure.bench == bench && figure.system == system && figure.metric == metric;
        self.0.iter().find(is_it).map(|figure| figure.value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }

    /// Returns the names of the benches, in the order in which they came.
    pub(crate) fn benches(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.0.iter().map(|figure| figure.bench.as_str()).filter(|bench| seen.insert(*bench)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_what_is_the_same_but_for_its_value() {
        let mut rounds = Figures::default();
        for (system, value) in [("b", 9.0), ("a", 1.0), ("b", 1.0), ("a", 4.0), ("b", 2.0)] {
            rounds.add("read", system, "time", value, "us");
        }
        rounds.add("read", "b", "requests", 7.0, "1/s");
        let mut figures = Figures::default();
        figures.add_medians(rounds);
        let all: Vec<_> = figures.iter().map(|figure| (&*figure.system, &*figure.metric, figure.value)).collect();
        // Between two, there is what lies in their middle.
        assert_eq!(all, [("b", "time", 2.0), ("a", "time", 2.5), ("b", "requests", 7.0)]);
    }

    #[test]
    fn of_many_rounds_the_spread_is_kept() {
        let rounds = || {
            let mut rounds = Figures::default();
            for value in [9.0, 2.0, 7.0, 1.0, 4.0] {
                rounds.add("read", "a", "time", value, "us");
                rounds.add("read", "a", "allocations", 3.0, "1/request");
                rounds.add("read", "a", "allocated", value, "B/request");
            }
            rounds
        };
        let mut figures = Figures::default();
        figures.add_medians(rounds());
        let of =
            |figures: &Figures| figures.iter().map(|figure| (figure.metric.clone(), figure.value)).collect::<Vec<_>>();
        let named =
            |all: &[(&str, f64)]| all.iter().map(|(metric, value)| ((*metric).to_owned(), *value)).collect::<Vec<_>>();
        // What never differs has no spread.
        let medians = [
            ("time, lowest", 1.0),
            ("time", 4.0),
            ("time, highest", 9.0),
            ("allocations", 3.0),
            ("allocated, lowest", 1.0),
            ("allocated", 4.0),
            ("allocated, highest", 9.0),
        ];
        assert_eq!(of(&figures), named(&medians));
        let mut figures = Figures::default();
        figures.add_lowest_times(rounds());
        let lowest = [
            ("time", 1.0),
            ("time, median", 4.0),
            ("time, highest", 9.0),
            ("allocations", 3.0),
            ("allocated, lowest", 1.0),
            ("allocated", 4.0),
            ("allocated, highest", 9.0),
        ];
        assert_eq!(of(&figures), named(&lowest));
        assert!(is_spread("time, median") && !is_spread("time"));
    }
}
