//! Postcard into bytes that grow, slices in one piece: of its own ways into a vector each puts one byte after the other.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Bytes that grow.
struct Growing(Vec<u8>);

impl Flavor for Growing {
    type Output = Vec<u8>;

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Self::Output> {
        Ok(self.0)
    }
}

/// Appends what postcard makes of something; what was there is lost with an error.
pub(crate) fn put(what: &(impl Serialize + ?Sized), after: Vec<u8>) -> postcard::Result<Vec<u8>> {
    postcard::serialize_with_flavor(what, Growing(after))
}
