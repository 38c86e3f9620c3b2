//! A figure: what was reached, what was to be reached, and from which numbers.

use serde_json::{Value, json};

/// What a figure must not exceed, or reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its line in the table of figures to reach; sorts the document.
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// None if it could not be measured; `raw` says why.
    pub(crate) value: Option<f64>,
    pub(crate) target: Target,
    pub(crate) how: &'static str,
    pub(crate) raw: Value,
}

impl Figure {
    fn ok(&self) -> Option<bool> {
        self.value.map(|value| match self.target {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
        })
    }

    pub(crate) fn json(&self) -> Value {
        let (relation, target) = match self.target {
            Target::AtLeast(least) => ("at least", least),
            Target::AtMost(most) => ("at most", most),
        };
        json!({
            "figure": self.number,
            "name": self.name,
            "value": self.value.map(round),
            "unit": self.unit,
            "target": { relation: target },
            "ok": self.ok(),
            "how": self.how,
            "raw": self.raw,
        })
    }
}

/// Four significant digits: more would pretend.
pub(crate) fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10_f64.powf(3.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}
