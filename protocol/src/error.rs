//! What can be wrong with bytes from a peer.

/// Why a check stream can't be read on. The stream has lost its frame borders then; its connection goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header, or longer than the longest frame.
    #[error("frame length `{0}` is out of range: a frame has 24 to 16408 bytes")]
    Length(u32),
    /// A version that this side doesn't speak.
    #[error("frame version `{0}` is not spoken here: this side speaks 1")]
    Version(u8),
    /// A flag that means nothing in this direction.
    #[error("frame flags `{0:#04x}` are not known here")]
    Flags(u8),
    /// No checks at all, or more than a frame may have.
    #[error("frame count `{0}` is out of range: send 1 to 1024 checks a frame")]
    Count(u16),
    /// The length is not what so many checks or answers take.
    #[error("frame length `{length}` does not fit its count `{count}`")]
    Mismatch {
        /// The length that the header claims, in bytes.
        length: u32,
        /// The count that the header claims.
        count: u16,
    },
}

impl FrameError {
    /// The number of this error in a refusal's revision field.
    pub const fn number(self) -> u64 {
        match self {
            FrameError::Length(_) => 1,
            FrameError::Version(_) => 2,
            FrameError::Flags(_) => 3,
            FrameError::Count(_) => 4,
            FrameError::Mismatch { .. } => 5,
        }
    }
}

/// More checks than a frame may have, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` checks don't fit a frame: send 1 to 1024")]
pub struct CountError(pub usize);
