//! One line of JSON, built field by field.

use hdrhistogram::Histogram;

/// The line so far.
pub struct Line(String);

impl Line {
    /// No field yet.
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// A number without fraction.
    pub fn int(self, name: &str, value: u64) -> Self {
        self.raw(name, &value.to_string())
    }

    /// A number with three digits of fraction.
    pub fn float(self, name: &str, value: f64) -> Self {
        let value = if value.is_finite() { value } else { 0.0 };
        self.raw(name, &format!("{value:.3}"))
    }

    /// Quantiles of a histogram of nanoseconds, as `<name>_p50` and so on in microseconds.
    pub fn quantiles(mut self, name: &str, histogram: &Histogram<u64>) -> Self {
        for (suffix, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            let us = histogram.value_at_quantile(quantile) as f64 / 1e3;
            self = self.float(&format!("{name}_{suffix}"), us);
        }
        self.float(&format!("{name}_max"), histogram.max() as f64 / 1e3)
    }

    /// The whole line.
    pub fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn raw(mut self, name: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&format!("\"{name}\":{value}"));
        self
    }
}

/// A histogram of nanoseconds with three digits, up to a minute; what is later counts as a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("3 digits are allowed")
}
