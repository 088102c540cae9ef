//! The CPU time and memory of a process, from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Clock ticks of `/proc/<pid>/stat` in a second: `USER_HZ`, which Linux keeps at 100.
const TICKS: u64 = 100;

/// The CPU time of a process so far, with a resolution of 10 ms.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses that may contain anything; utime and stime are fields 14 and 15 (proc(5)).
    let after = stat.rsplit_once(')').context("/proc/<pid>/stat")?.1;
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap_or_default())
        .sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Resident memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Now, in KiB.
    pub now: u64,
    /// The peak so far, in KiB.
    pub peak: u64,
    /// The part of `now` that is pages of the binary, which the kernel can drop and read again, in KiB.
    pub file: u64,
}

/// The resident memory of a process.
pub fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(Memory {
        now: kib(&status, "VmRSS:"),
        peak: kib(&status, "VmHWM:"),
        file: kib(&status, "RssFile:"),
    })
}

/// A short description of the machine, without its host name.
pub fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = kib(
        &fs::read_to_string("/proc/meminfo").unwrap_or_default(),
        "MemTotal:",
    );
    format!(
        "{cores} cores ({model}), {} GiB of memory",
        memory / 1024 / 1024
    )
}

/// The load average of the last minute, which shows what else the machine was doing.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

fn kib(text: &str, field: &str) -> u64 {
    text.lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or_default()
}
