//! How the process asks the system for memory.
//!
//! Batches are built on one thread and freed on another, and lookups take hundreds of small buffers beside them. With glibc's allocator their threads
//! wait for each other, or each keeps what others have freed. jemalloc does neither.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// jemalloc's settings: what was freed goes back to the system within a second, and a thread of its own sees to that.
///
/// Source: jemalloc(3), "TUNING".
#[used]
#[expect(unsafe_code, reason = "jemalloc looks for its settings under this name, as a pointer to a C string")]
// SAFETY: nothing else has this name, and a reference to an array is such a pointer.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static SETTINGS: &[u8; 60] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";
