//! Jobs on all cores, each thread with a small runtime of its own for its solver.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};

/// Stack of a thread: the symbolic compiler descends into conditions.
const STACK_BYTES: usize = 64 << 20;

/// `work` done for each of `jobs`, by at most `workers` threads; the results in the order of jobs.
pub(super) fn each<J: Sync, R: Send>(
    workers: usize,
    jobs: &[J],
    work: &(dyn Fn(&J, &Runtime) -> R + Sync),
) -> io::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else {
                return io::Result::Ok(done);
            };
            done.push((at, work(job, &runtime)));
        }
    };
    let threads = workers.min(jobs.len()).max(1);
    let mut done = std::thread::scope(|scope| {
        let spawn = |_| {
            let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
            builder.name("prove".to_owned()).spawn_scoped(scope, worker)
        };
        let threads: io::Result<Vec<_>> = (0..threads).map(spawn).collect();
        let mut done = Vec::new();
        for thread in threads? {
            let panicked = |_| io::Error::other("the analysis of the policies panicked");
            done.extend(thread.join().map_err(panicked)??);
        }
        io::Result::Ok(done)
    })?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
