//! How far a producer is.

/// Counters that move while a producer works, as they stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProducerProgress {
    /// User records taken in.
    pub received_records: u64,
    /// Bytes of their data.
    pub received_bytes: u64,
    /// User records that are neither delivered nor given up.
    pub pending_records: u64,
    /// User records delivered.
    pub delivered_records: u64,
    /// Bytes of their data.
    pub delivered_bytes: u64,
    /// User records given up.
    pub undelivered_records: u64,
    /// Records stored, which hold the user records.
    pub entries: u64,
    /// Bytes of their data and partition keys, as the destination counts them.
    pub entry_bytes: u64,
    /// Calls answered or failed.
    pub calls: u64,
    /// Calls on their way.
    pub calls_in_flight: u64,
    /// Times that a record had to be sent again.
    pub retries: u64,
    /// Times that a record was throttled.
    pub throttled: u64,
}
