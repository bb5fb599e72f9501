//! What one release of the shop is, and in what it differs from the one before.

/// The release that a process belongs to.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// The name of the pod that serves it.
    pub pod: String,
}

impl Release {
    pub fn new(version: &str, pod: &str) -> Self {
        Self {
            version: version.into(),
            pod: pod.into(),
        }
    }

    /// What an item costs is called `price` in the API of release 1, and `amount` from release 2 on. A page of one
    /// with the API of the other shows a cart without prices: a broken screen, not only a wrong label.
    pub fn cost_field(&self) -> &'static str {
        if self.major() < 2 { "price" } else { "amount" }
    }

    /// Versions are free text; what begins with no number is release 1.
    fn major(&self) -> u64 {
        let digits: String = self
            .version
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap_or(1)
    }
}
