//! `weir inspect`: what a data directory holds and what of it is damaged. Changes nothing.

use crate::log::disk::plain::PlainDisk;
use crate::log::inspect::{Depth, Inspection, PartitionInspection, inspect};
use crate::model::time::iso_ms;
use std::path::Path;
use std::process::ExitCode;

/// Prints what `dir` holds; `verify` checks every record. Exit status 1 if anything is damaged.
#[must_use]
pub fn run(dir: &Path, verify: bool) -> ExitCode {
    if !dir.is_dir() {
        let shown = dir.display();
        eprintln!("weir: {shown} is no directory; give the data_dir of the configuration");
        return ExitCode::FAILURE;
    }
    let depth = if verify { Depth::EveryRecord } else { Depth::Ends };
    match inspect(&mut PlainDisk::read_only(), dir, depth) {
        Ok(found) => {
            print(&found);
            if found.damage().next().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            let shown = dir.display();
            eprintln!("weir: cannot read {shown}: {error}; give the data_dir of the configuration");
            ExitCode::FAILURE
        }
    }
}

fn print(found: &Inspection) {
    for partition in &found.partitions {
        print_partition(partition);
    }
    for position in &found.positions {
        match &position.position {
            Some(p) => println!(
                "{}: next {}, {} outstanding",
                position.file.display(),
                p.next,
                p.outstanding.len()
            ),
            None => println!("{}: no position", position.file.display()),
        }
    }
    let damage: Vec<_> = found.damage().collect();
    for one in &damage {
        println!("damage: {one}");
    }
    println!("{} partitions, {} places damaged", found.partitions.len(), damage.len());
}

fn print_partition(partition: &PartitionInspection) {
    let records: u64 = partition.segments.iter().map(|s| s.records).sum();
    println!(
        "{}: {records} records in {} segments",
        partition.dir.display(),
        partition.segments.len()
    );
    for segment in &partition.segments {
        println!(
            "  {}: offsets {}..{}, {} of {} bytes, {}, {} to {}",
            segment.file.file_name().unwrap_or_default().to_string_lossy(),
            segment.base,
            segment.end,
            segment.bytes,
            segment.file_bytes,
            if segment.sealed { "sealed" } else { "open" },
            iso_ms(segment.times.0),
            iso_ms(segment.times.1),
        );
    }
    if partition.report.cut_bytes > 0 {
        println!("  {} bytes of a torn write are left out", partition.report.cut_bytes);
    }
    for gap in &partition.report.gaps {
        println!("  gap: offsets {}..{}", gap.start, gap.end);
    }
}
