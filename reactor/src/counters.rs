//! What a loop has seen since it started, for `status` and the panel.

/// Counts since the start of the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused: busy, wrong hello, or something that cannot be decoded.
    pub refused: u64,
    /// Connections that ran out of time: no hello, half a frame, unread answers, silence.
    pub timed_out: u64,
    /// Frames received.
    pub frames_in: u64,
    /// Frames handed to connections.
    pub frames_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes the kernel took.
    pub bytes_out: u64,
    /// Byte streams that were not frames.
    pub bad_frames: u64,
    /// Frames whose body could not be decoded.
    pub bad_bodies: u64,
    /// Turns of the loop.
    pub turns: u64,
}
