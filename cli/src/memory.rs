//! How the process asks the system for memory.

/// Keeps the system's allocator to two arenas.
///
/// Batches are built on one thread of a pool and freed on another. With an arena for each thread, glibc keeps what was freed in
/// arenas that no longer need it. Call it before any other thread is started; elsewhere than with glibc it does nothing.
pub fn keep_to_few_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const ARENAS: libc::c_int = 2;
        // SAFETY: `mallopt` takes two plain numbers and may be called at any time; a refusal leaves the default.
        #[expect(unsafe_code, reason = "glibc has no safe way to say this")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        }
    }
}
