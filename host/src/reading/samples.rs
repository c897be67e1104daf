//! The samples of a reading where they lie: in the bytes of a record, or in an outcome that was read otherwise.
//!
//! A codec of its own, for these bytes alone: they are most of what a journal has, and making a thing of each costs more than all else that
//! series do with it. Source: postcard's wire format, "Varint Encoded Integers", "Arrays and Slices"; that both read the same is what a property holds.

use watchpost_services::outcome::Sample;

/// Bytes of a number whose length is told by itself, at most.
const VARINT_BYTES: u32 = 10;

/// What a run recorded, in order.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a>(Place<'a>);

#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    /// So many of them, one after the other; what these bytes are is checked.
    Wire(usize, &'a [u8]),
    Memory(&'a [Sample]),
}

/// One value of one series.
#[derive(Clone, Copy, Debug)]
pub struct GivenSample<'a> {
    /// The metric's name.
    pub metric: &'a [u8],
    /// Values of the metric's label keys.
    pub labels: Labels<'a>,
    /// A finite number.
    pub value: f64,
}

/// Values of label keys, in order.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a>(LabelsPlace<'a>);

#[derive(Clone, Copy, Debug)]
enum LabelsPlace<'a> {
    Wire(usize, &'a [u8]),
    Memory(&'a [String]),
}

impl<'a> Samples<'a> {
    /// Reads them where they stand in a record; gives the bytes after them. Nothing if they are not understood.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut wire = Wire(bytes);
        let count = wire.length()?;
        let begin = wire.0;
        for _ in 0..count {
            wire.checked_sample()?;
        }
        Some((Self(Place::Wire(count, begin)), wire.0))
    }

    pub(super) fn of(samples: &'a [Sample]) -> Self {
        Self(Place::Memory(samples))
    }

    /// Gives each of them.
    #[inline]
    pub fn for_each(self, mut take: impl FnMut(GivenSample<'a>)) {
        match self.0 {
            Place::Wire(count, bytes) => {
                let mut wire = Wire(bytes);
                for _ in 0..count {
                    let Some(sample) = wire.sample() else { return };
                    take(sample);
                }
            }
            Place::Memory(samples) => {
                for Sample { metric, labels, value } in samples {
                    take(GivenSample { metric: metric.as_bytes(), labels: Labels(LabelsPlace::Memory(labels)), value: *value });
                }
            }
        }
    }
}

impl PartialEq for Samples<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        self.for_each(|sample| mine.push(sample));
        other.for_each(|sample| others.push(sample));
        mine == others
    }
}

impl PartialEq for GivenSample<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.metric == other.metric && self.labels.iter().eq(other.labels.iter()) && self.value == other.value
    }
}

impl<'a> Labels<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self.0 {
            LabelsPlace::Wire(count, _) => count,
            LabelsPlace::Memory(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let (mut wire, count, memory) = match self.0 {
            LabelsPlace::Wire(count, bytes) => (Wire(bytes), count, &[][..]),
            LabelsPlace::Memory(labels) => (Wire(&[]), 0, labels),
        };
        let texts = (0..count).map_while(move |_| std::str::from_utf8(wire.bytes()?).ok());
        texts.chain(memory.iter().map(String::as_str))
    }
}

/// Appends samples as they stand in a record.
pub(super) fn write(samples: &[Sample], out: &mut Vec<u8>) {
    write_length(samples.len(), out);
    for Sample { metric, labels, value } in samples {
        write_text(metric, out);
        write_length(labels.len(), out);
        labels.iter().for_each(|label| write_text(label, out));
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn write_length(mut length: usize, out: &mut Vec<u8>) {
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Bytes as postcard writes them, from where is read next.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A length: seven bits of it in a byte, the lowest first; all bytes but the last have the eighth.
    #[inline]
    fn length(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ ..0x80 => Some(usize::from(short)),
            first => self.long_length(first),
        }
    }

    #[cold]
    fn long_length(&mut self, first: u8) -> Option<usize> {
        let mut length = u64::from(first & 0x7f);
        for n in 1..VARINT_BYTES {
            let byte = self.byte()?;
            // Of the last byte there is room for one bit.
            if n == VARINT_BYTES - 1 && byte > 1 {
                return None;
            }
            length |= u64::from(byte & 0x7f) << (7 * n);
            if byte < 0x80 {
                return usize::try_from(length).ok();
            }
        }
        None
    }

    #[inline]
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    #[inline]
    fn sample(&mut self) -> Option<GivenSample<'a>> {
        let metric = self.bytes()?;
        let count = self.length()?;
        let labels = Labels(LabelsPlace::Wire(count, self.0));
        for _ in 0..count {
            self.bytes()?;
        }
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(GivenSample { metric, labels, value: f64::from_le_bytes(*value) })
    }

    /// The same, whose texts are texts.
    fn checked_sample(&mut self) -> Option<()> {
        let sample = self.sample()?;
        let is_text = |bytes: &[u8]| bytes.is_ascii() || std::str::from_utf8(bytes).is_ok();
        let are_texts = is_text(sample.metric) && (sample.labels.is_empty() || sample.labels.iter().count() == sample.labels.len());
        are_texts.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> impl Strategy<Value = Sample> {
        let text = prop_oneof!["[a-z_]{0,12}", "\\PC{0,60}", "[a-z]{120,300}"];
        let labels = prop::collection::vec("\\PC{0,20}", 0..4);
        (text, labels, -1e9..1e9_f64).prop_map(|(metric, labels, value)| Sample { metric, labels, value })
    }

    proptest! {
        #[test]
        fn samples_are_read_from_bytes_as_postcard_reads_them(samples in prop::collection::vec(sample(), 0..200), rest in prop::collection::vec(any::<u8>(), 0..5)) {
            let bytes = [postcard::to_stdvec(&samples).unwrap(), rest.clone()].concat();
            let (read, after) = Samples::read(&bytes).unwrap();
            prop_assert_eq!(read, Samples::of(&samples));
            let mut written = Vec::new();
            write(&samples, &mut written);
            prop_assert_eq!(written, postcard::to_stdvec(&samples).unwrap());
            prop_assert_eq!(after, &rest[..]);
        }

        #[test]
        fn bytes_that_are_damaged_are_read_as_postcard_reads_them_or_not_at_all(
            samples in prop::collection::vec(sample(), 0..4), at in any::<prop::sample::Index>(), flip in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = postcard::to_stdvec(&samples).unwrap();
            let place = at.index(bytes.len());
            bytes[place] ^= flip;
            bytes.truncate(1 + cut.index(bytes.len()));
            let expected = postcard::take_from_bytes::<Vec<Sample>>(&bytes).ok();
            let read = Samples::read(&bytes);
            prop_assert_eq!(read.is_some(), expected.is_some());
            if let (Some((read, after)), Some((samples, rest))) = (read, &expected) {
                let mut all = Vec::new();
                read.for_each(|sample| all.push(sample));
                prop_assert!(all.iter().zip(samples).all(|(a, b)| a.metric == b.metric.as_bytes() && a.value.to_bits() == b.value.to_bits()));
                prop_assert!(all.iter().zip(samples).all(|(a, b)| a.labels.iter().eq(b.labels.iter().map(String::as_str))));
                prop_assert_eq!((all.len(), after), (samples.len(), *rest));
            }
        }
    }
}
