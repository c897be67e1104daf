//! A stretch of one series, and its consolidation to any step.

use crate::series::archive::Consolidation;

/// What one series is worth over time, where this source knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    /// Answers for rows that begin here or later.
    pub(super) from: i64,
    /// Answers for rows that end here or before.
    pub(super) to: i64,
    /// Pieces by rising time that do not overlap: after `from`, up to `to`; known ones only.
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    from: i64,
    to: i64,
    value: f64,
}

impl Track {
    /// A track that answers for that time.
    pub(super) fn over(from: i64, to: i64) -> Self {
        Self { from, to, pieces: Vec::new() }
    }

    /// Adds a piece later than all others; unknown ones need none.
    pub(super) fn push(&mut self, from: i64, to: i64, value: Option<f64>) {
        if let Some(value) = value {
            self.pieces.push(Piece { from, to, value });
        }
    }

    /// Says whether this source answers for the row.
    pub(super) fn covers(&self, from: i64, to: i64) -> bool {
        self.from <= from && to <= self.to
    }

    /// What a row is worth: after `from`, up to `to`.
    ///
    /// Unknown: a row of which nothing is known; an average is that of the known time.
    pub(super) fn value(&self, from: i64, to: i64, how: Consolidation) -> Option<f64> {
        let first = self.pieces.partition_point(|piece| piece.to <= from);
        let inside = self.pieces.get(first..)?.iter().take_while(|piece| piece.from < to);
        match how {
            Consolidation::Average => average(inside, from, to),
            Consolidation::Min => inside.map(|piece| piece.value).reduce(f64::min),
            Consolidation::Max => inside.map(|piece| piece.value).reduce(f64::max),
            Consolidation::Last => inside.map(|piece| piece.value).last(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a range are exact")]
fn average<'a>(mut pieces: impl Iterator<Item = &'a Piece>, from: i64, to: i64) -> Option<f64> {
    let weight = |piece: &Piece| (piece.to.min(to) - piece.from.max(from)) as f64;
    let first = pieces.next()?;
    let Some(second) = pieces.next() else { return Some(first.value) };
    let (mut sum, mut known) = (0.0, 0.0);
    for piece in [first, second].into_iter().chain(pieces) {
        sum += piece.value * weight(piece);
        known += weight(piece);
    }
    Some(sum / known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_made_of_what_is_known_of_their_time() {
        let mut track = Track::over(0, 600);
        for (to, value) in [(60, Some(1.0)), (120, None), (180, Some(4.0)), (240, Some(7.0))] {
            track.push(to - 60, to, value);
        }
        let all = [Consolidation::Average, Consolidation::Min, Consolidation::Max, Consolidation::Last];
        let row = |from, to| all.map(|how| track.value(from, to, how));
        assert_eq!(row(0, 60), [Some(1.0); 4]);
        assert_eq!(row(60, 120), [None; 4]);
        assert_eq!(row(0, 180), [Some(2.5), Some(1.0), Some(4.0), Some(4.0)]);
        assert_eq!(row(0, 300), [Some(4.0), Some(1.0), Some(7.0), Some(7.0)]);
        assert_eq!(row(150, 210), [Some(5.5), Some(4.0), Some(7.0), Some(7.0)]);
        assert_eq!(row(240, 600), [None; 4]);
        assert!(track.covers(0, 600) && !track.covers(-60, 0) && !track.covers(540, 660));
    }
}
