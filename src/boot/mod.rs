//! The composition root: checks the machine, takes the data directory, binds the ports, starts the
//! shards, and then watches over them until it is told to stop.

pub mod inspect;

use crate::cli::{ServeOptions, demo};
use crate::config::access::Secret;
use crate::config::{Config, Role};
use crate::limits::SHARDS_MAX;
use crate::metrics;
use crate::proto::PROTOCOLS;
use crate::shard::mail::Mail;
use crate::shard::process::{STEP_NAMES, Step};
use crate::shard::{self, BoundPort, Process};
use crate::sys::net::{Listener, probe_free};
use crate::sys::notify::{self, Signal};
use crate::sys::{clock, executor, files, host};
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Locked memory that glommio wants for each executor, in bytes.
const LOCKED_BYTES: u64 = 512 << 10;
/// A shard that does not move for so long ends the process.
const STALL: Duration = Duration::from_secs(10);
/// Time that a stop may take.
const STOP: Duration = Duration::from_millis(4_700);
/// Time between looks at the shards.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the appliance until it is stopped.
pub fn serve(config: Config, options: ServeOptions) -> ExitCode {
    let started_ns = clock::monotonic_ns();
    host::keep_pages_small();
    // The first executor would pay for it otherwise, and with it the time to listening.
    executor::register_barrier();
    abort_on_panic();
    notify::hold_signals();
    metrics::set_resident_source(host::resident_bytes);
    match start(config, started_ns) {
        Ok(running) if options.demo => running.with_demo(),
        Ok(running) => running.watch(),
        Err(problem) => {
            tracing::error!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// A panic anywhere ends the process: systemd starts it again, and recovery is the normal path.
fn abort_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        std::process::abort();
    }));
}

struct Running {
    process: Arc<Process>,
    /// Keeps the lock of the data directory.
    _lock: File,
}

fn start(config: Config, started_ns: u64) -> Result<Running, String> {
    let processors = host::processors();
    let shards = match config.shards {
        0 => processors.len().clamp(1, SHARDS_MAX),
        n => n.min(SHARDS_MAX),
    };
    let open_files = check_machine(shards as u64)?;
    let lock = take_directory(&config)?;
    let (config, mut ports) = bind(config, shards)?;
    let pin = config.pin && shards <= processors.len();
    let process = Process::new(config, shards, started_ns, open_files)
        .map_err(|error| format!("cannot make the mailboxes: {error}; raise LimitNOFILE"))?;
    for id in 0..shards {
        let cpu = pin.then(|| processors[id]);
        let listeners = std::mem::take(&mut ports[id]);
        shard::spawn(Arc::clone(&process), id as u16, cpu, listeners).map_err(|error| {
            format!("cannot start shard {id}: {error}; is locked memory (LimitMEMLOCK) enough?")
        })?;
    }
    Ok(Running { process, _lock: lock })
}

/// Gives the number of files that may be open.
fn check_machine(shards: u64) -> Result<u64, String> {
    if let Err(error) = host::probe_ring() {
        let (major, minor) = host::kernel();
        return Err(format!(
            "io_uring is not available ({error}) on this kernel {major}.{minor}; weir needs Linux 5.8 \
             or later, and no seccomp filter or kernel.io_uring_disabled in the way"
        ));
    }
    let locked = host::raise_locked_memory();
    if locked < LOCKED_BYTES * shards {
        let needed = LOCKED_BYTES * shards / 1024;
        return Err(format!(
            "{} KiB of locked memory are allowed, {needed} KiB are needed for {shards} shards; raise \
             LimitMEMLOCK in the unit, or `ulimit -l`",
            locked / 1024
        ));
    }
    let open = host::raise_open_files();
    if open < 1024 {
        tracing::warn!(open, "few open files are allowed; raise LimitNOFILE in the unit");
    }
    Ok(open.max(64))
}

/// Makes the data directory if absent and takes its lock.
fn take_directory(config: &Config) -> Result<File, String> {
    let dir = &config.data_dir;
    let shown = dir.display();
    fs::create_dir_all(dir).map_err(|error| {
        format!(
            "cannot make the data directory {shown}: {error}; set data_dir to one that can be made"
        )
    })?;
    let path = dir.join("LOCK");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| {
        format!("cannot write in the data directory {shown}: {error}; give it to this user")
    })?;
    match files::lock(&file) {
        Ok(true) => Ok(file),
        Ok(false) => Err(format!(
            "the data directory {shown} is in use by another weir; stop that one, or set another data_dir"
        )),
        Err(error) => Err(format!("cannot lock {}: {error}", path.display())),
    }
}

/// Binds every port once for each shard. A port 0 becomes the one that the system chose.
fn bind(mut config: Config, shards: usize) -> Result<(Config, Vec<Vec<BoundPort>>), String> {
    let mut ports: Vec<Vec<BoundPort>> = (0..shards).map(|_| Vec::new()).collect();
    let rows = PROTOCOLS
        .iter()
        .enumerate()
        .map(|(index, protocol)| (Some(index), protocol.name, (protocol.address)(&config), index));
    let admin = (None, "admin", config.listen.admin, metrics::ADMIN);
    let rows: Vec<_> = rows.chain([admin]).collect();
    for (protocol, name, address, front) in rows {
        let Some(wanted) = address else { continue };
        let mut address = wanted;
        for (shard, of_shard) in ports.iter_mut().enumerate() {
            let listener = listen(name, address, shard == 0)?;
            if address.port() == 0 {
                address = listener.address().map_err(|error| error.to_string())?;
            }
            of_shard.push(BoundPort { listener, protocol, front: front as u8 });
        }
        set_address(&mut config, name, address);
    }
    Ok((config, ports))
}

fn listen(name: &str, address: SocketAddr, first: bool) -> Result<Listener, String> {
    // Sharing is between our own shards only, so the first one asks whether the address is free.
    let free = if first && address.port() != 0 { probe_free(address) } else { Ok(()) };
    free.and_then(|()| Listener::bind(address)).map_err(|error| {
        format!(
            "cannot listen on {address} for {name}: {error}; set listen.{name} to a free address, \
             or to \"off\""
        )
    })
}

fn set_address(config: &mut Config, name: &str, address: SocketAddr) {
    let listen = &mut config.listen;
    let slot = match name {
        "jsonjet" => &mut listen.jsonjet,
        "mesh" => &mut listen.mesh,
        "users" => &mut listen.users,
        "nsdb" => &mut listen.nsdb,
        "taos" => &mut listen.taos,
        "raw" => &mut listen.raw,
        _ => &mut listen.admin,
    };
    *slot = Some(address);
}

impl Running {
    /// Simulated sensors feed a stream, and the screen says what to try.
    fn with_demo(&self) -> ExitCode {
        let config = &self.process.config;
        let own = std::env::args().next();
        println!("{}", demo::greeting(config, own.as_deref().unwrap_or("weir")));
        let token = config.users.iter().find_map(|user| match &user.token {
            Some(Secret::Plain(token)) if user.may(Role::Write) && user.may(Role::Admin) => {
                Some(token.clone())
            }
            _ => None,
        });
        let stop = Arc::new(AtomicBool::new(false));
        if let Some(address) = config.listen.jsonjet {
            let stop = Arc::clone(&stop);
            thread::spawn(move || demo::run(address, token, &stop));
        }
        let code = self.watch();
        stop.store(true, Ordering::Release);
        code
    }

    /// Waits for the end, feeding the service manager's watchdog only while every shard moves.
    fn watch(&self) -> ExitCode {
        let watchdog = notify::watchdog_interval();
        let mut last_fed = Instant::now();
        let mut ready_told = false;
        let mut seen: Vec<(u64, Instant)> = vec![(0, Instant::now()); self.process.shards()];
        loop {
            match notify::next_signal(LOOK) {
                Some(Signal::Stop) => return self.stop(),
                Some(Signal::Reload) => tracing::info!("the configuration is read at start only"),
                None => {}
            }
            self.look_for_stalls(&mut seen);
            if !ready_told && self.process.recovering.load(Ordering::Acquire) == 0 {
                ready_told = true;
                tracing::info!(shards = self.process.shards(), "ready");
                self.tell("READY=1");
            }
            if watchdog.is_some_and(|every| last_fed.elapsed() >= every.min(Duration::from_secs(5)))
            {
                self.tell("WATCHDOG=1");
                last_fed = Instant::now();
            }
        }
    }

    fn look_for_stalls(&self, seen: &mut [(u64, Instant)]) {
        for (shard, pulse) in self.process.pulses.iter().enumerate() {
            let turns = pulse.turns.load(Ordering::Relaxed);
            let step = pulse.step.load(Ordering::Relaxed);
            let exempt = [Step::Start as u8, Step::Ended as u8].contains(&step);
            if turns != seen[shard].0 || exempt {
                seen[shard] = (turns, Instant::now());
            } else if seen[shard].1.elapsed() >= STALL {
                let name = STEP_NAMES.get(step as usize).copied().unwrap_or("?");
                tracing::error!(
                    shard,
                    step = name,
                    "a shard has not moved for 10 s: ending the process"
                );
                std::process::abort();
            }
        }
    }

    fn stop(&self) -> ExitCode {
        tracing::info!("stopping");
        self.tell("STOPPING=1");
        self.process.stopping.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + STOP;
        let mut told = vec![false; self.process.shards()];
        while Instant::now() < deadline {
            for (shard, told) in told.iter_mut().enumerate() {
                *told = *told || self.process.mailboxes[shard].post(Mail::Stop).is_ok();
            }
            let ended = |p: &crate::shard::process::Pulse| {
                p.step.load(Ordering::Relaxed) == Step::Ended as u8
            };
            if self.process.pulses.iter().all(ended) {
                tracing::info!("stopped");
                return ExitCode::SUCCESS;
            }
            if notify::next_signal(Duration::from_millis(10)) == Some(Signal::Stop) {
                tracing::warn!("stopped at once by a second signal");
                std::process::exit(1);
            }
        }
        tracing::warn!("not everything was closed in time; what was acknowledged is safe");
        ExitCode::SUCCESS
    }

    fn tell(&self, state: &str) {
        if let Err(error) = notify::service_state(state) {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    }
}
