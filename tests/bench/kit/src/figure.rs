//! One measured number.

use serde::{Deserialize, Serialize};

/// What was measured, of what, and how much it was.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// What was done.
    pub bench: String,
    /// What did it.
    pub system: String,
    /// What was counted.
    pub metric: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}

impl Figure {
    /// Takes its parts.
    pub fn new(bench: &str, system: &str, metric: &str, value: f64, unit: &str) -> Self {
        let [bench, system, metric, unit] = [bench, system, metric, unit].map(str::to_owned);
        Self { bench, system, metric, value, unit }
    }

    /// Prints it as a line of JSON.
    pub fn print(&self) {
        println!("{}", serde_json::to_string(self).expect("texts and a number"));
    }
}
