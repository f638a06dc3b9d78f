//! `bpf2iam_properties::metadata`, with what libFuzzer thinks of.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bpf2iam_properties::metadata::check(input));
