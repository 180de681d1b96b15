#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alluvium_fuzz_checks::postgres(bytes));
