//! What was claimed so far, and whether all of it holds.

use anyhow::{Result, bail};

/// The claims.
#[derive(Default)]
pub(super) struct Score {
    holding: usize,
    broken: Vec<String>,
}

impl Score {
    /// Counts a claim that holds.
    pub(super) fn holds(&mut self) {
        self.holding += 1;
    }

    /// Remembers one that does not.
    pub(super) fn fails(&mut self, claim: &str) {
        self.broken.push(claim.to_owned());
    }

    /// How many there were; fails if one does not hold.
    pub(super) fn total(&self) -> Result<usize> {
        let total = self.holding + self.broken.len();
        if self.broken.is_empty() {
            return Ok(total);
        }
        let list = self.broken.join("\n  ");
        bail!(
            "{} of {total} claims are not true:\n  {list}",
            self.broken.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_is_true_if_all_of_it_is() {
        let mut score = Score::default();
        score.holds();
        score.holds();
        assert_eq!(score.total().ok(), Some(2));
    }

    #[test]
    fn what_is_not_true_is_named() {
        let mut score = Score::default();
        score.fails("two is three");
        score.holds();
        score.fails("fire is cold");
        let error = score.total().expect_err("two are false").to_string();
        assert_eq!(
            error,
            "2 of 3 claims are not true:\n  two is three\n  fire is cold"
        );
    }
}
