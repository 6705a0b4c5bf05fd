//! Reading and writing fixed layouts, little-endian, without a way to panic on what a file holds.
#![deny(clippy::indexing_slicing)]

/// Takes fields off the front of bytes; every method is `None` once they run short.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Fields(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Puts fields one after the other into a buffer that has room for all of them.
pub(super) struct Put<'a>(&'a mut [u8]);

impl<'a> Put<'a> {
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Put(bytes)
    }

    pub fn bytes(self, field: &[u8]) -> Self {
        let (to, rest) = self.0.split_at_mut_checked(field.len()).expect("a layout's fields add up to its size");
        to.copy_from_slice(field);
        Put(rest)
    }

    pub fn u32(self, field: u32) -> Self {
        self.bytes(&field.to_le_bytes())
    }

    pub fn u64(self, field: u64) -> Self {
        self.bytes(&field.to_le_bytes())
    }

    pub fn i64(self, field: i64) -> Self {
        self.bytes(&field.to_le_bytes())
    }
}
