//! What can happen to files behind a store's back: bits flip, ends are lost, lines and files move, old ones come back.

use std::collections::BTreeMap;

use super::disk;
use crate::choices::Choices;
use crate::crc32::crc32;
use crate::seen::Seen;

/// A store's files by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Most operations on one store: what is wrong in more places than that is found just as well.
const OPERATIONS_MAX: usize = 6;

/// Operates as `choices` say. `older` gives the files of earlier moments.
pub(super) fn operate(
    files: &mut Files,
    choices: &mut Choices<'_>,
    older: impl Fn(usize) -> Files,
    seen: &mut Seen,
) {
    for _ in 0..OPERATIONS_MAX {
        if choices.is_over() || files.is_empty() {
            return;
        }
        let operation = choices.below(18);
        let name = nth(files, choices);
        match operation {
            0..=11 => {
                let bytes = files.get_mut(&name).expect("it was just named");
                within(operation, bytes, choices);
                seen.fault(fault_of(&name, operation));
            }
            12 => {
                let other = nth(files, choices);
                let (a, b) = (files[&name].clone(), files[&other].clone());
                files.insert(name, b);
                files.insert(other, a);
                seen.fault("D7");
            }
            13 => {
                let bytes = files[&name].clone();
                let other = nth(files, choices);
                files.insert(other, bytes);
                seen.fault("D7");
            }
            14 => {
                files.remove(&name);
                seen.fault("D7");
            }
            15 => {
                let old = older(choices.below(256));
                if let Some(bytes) = old.get(&name) {
                    files.insert(name, bytes.clone());
                    seen.fault("D7");
                }
            }
            16 => {
                let len = choices.below(200);
                files.insert(name, choices.slice(len).to_vec());
                seen.fault("D7");
            }
            _ => {
                // A line moves to another file.
                let line = take_line(files.get_mut(&name).expect("it was just named"), choices);
                let other = nth(files, choices);
                let bytes = files.get_mut(&other).expect("it was just named");
                let at = line_start(bytes, choices);
                bytes.splice(at..at, line);
                seen.fault("D7");
            }
        }
    }
}

/// Which fault of the catalogue it is to operate on the inside of that file.
fn fault_of(name: &str, operation: usize) -> &'static str {
    match operation {
        _ if !name.contains("_log.") => "D6",
        1 | 2 | 8 => "D1",
        9 => "D5",
        5..=7 => "D7",
        _ => "D3",
    }
}

fn nth(files: &Files, choices: &mut Choices<'_>) -> String {
    let index = choices.below(files.len());
    files.keys().nth(index).expect("below the count").clone()
}

fn within(operation: usize, bytes: &mut Vec<u8>, choices: &mut Choices<'_>) {
    if bytes.is_empty() {
        bytes.extend_from_slice(choices.slice(8));
        return;
    }
    let at = choices.below(bytes.len());
    match operation {
        0 => bytes[at] ^= 1 << choices.below(8),
        1 => bytes.truncate(at),
        2 => {
            let len = choices.below(64).min(bytes.len() - at);
            bytes[at..at + len].fill(0);
        }
        3 => {
            let len = choices.below(16);
            bytes.splice(at..at, choices.slice(len).iter().copied());
        }
        4 => {
            let len = choices.below(32).min(bytes.len() - at);
            bytes.drain(at..at + len);
        }
        5 => {
            take_line(bytes, choices);
        }
        6 => {
            let start = line_start(bytes, choices);
            let line = line_at(bytes, start).to_vec();
            bytes.splice(start..start, line);
        }
        7 => {
            let line = take_line(bytes, choices);
            let at = line_start(bytes, choices);
            bytes.splice(at..at, line);
        }
        8 => {
            let len = choices.below(64);
            let filler = *choices.pick(b"\n\0 {");
            bytes.extend(std::iter::repeat_n(filler, len));
        }
        9 => set_number(bytes, at, choices.number()),
        10 => bytes[at] = choices.byte(),
        _ => {
            let len = choices.below(32);
            bytes.extend_from_slice(choices.slice(len));
        }
    }
}

/// Writes another number over the one that stands at or behind `at`.
fn set_number(bytes: &mut Vec<u8>, at: usize, number: u64) {
    let Some(start) = bytes[at..]
        .iter()
        .position(u8::is_ascii_digit)
        .map(|found| at + found)
    else {
        return;
    };
    let len = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.splice(start..start + len, number.to_string().into_bytes());
}

fn line_start(bytes: &[u8], choices: &mut Choices<'_>) -> usize {
    let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let starts: Vec<usize> = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
    *choices.pick(&starts)
}

fn line_at(bytes: &[u8], start: usize) -> &[u8] {
    bytes[start..]
        .split_inclusive(|&byte| byte == b'\n')
        .next()
        .unwrap_or(&[])
}

fn take_line(bytes: &mut Vec<u8>, choices: &mut Choices<'_>) -> Vec<u8> {
    let start = line_start(bytes, choices);
    let len = line_at(bytes, start).len();
    bytes.drain(start..start + len).collect()
}

/// Puts right checksums on everything, and makes segments name each other's digests: what is left is what a reader must
/// make sense of by itself.
pub(super) fn reseal(files: &mut Files) {
    let mut segments: Vec<(Option<u64>, String)> = Vec::new();
    for (name, bytes) in files.iter_mut() {
        disk::reseal_file(bytes);
        bytes.split_mut(|&byte| byte == b'\n').for_each(disk::reseal_line);
        if let Some(middle) = name.strip_prefix("node_N1_log.") {
            let first = middle.split('.').next().and_then(|first| first.parse().ok());
            segments.push((first, name.clone()));
        }
    }
    // By number; the active segment, which has none, comes last.
    segments.sort_by_key(|(first, _)| first.unwrap_or(u64::MAX));
    for pair in segments.windows(2) {
        let digest = format!("{:08x}", crc32(&files[&pair[0].1]));
        let bytes = files.get_mut(&pair[1].1).expect("it was just listed");
        let header = bytes
            .split_mut(|&byte| byte == b'\n')
            .next()
            .expect("a split has parts");
        let member = b"\"previous\":\"";
        if let Some(at) = header.windows(member.len()).position(|window| window == member)
            && let Some(digits) = header.get_mut(at + member.len()..at + member.len() + 8)
        {
            digits.copy_from_slice(digest.as_bytes());
        }
        disk::reseal_line(header);
    }
}
