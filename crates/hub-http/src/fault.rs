//! Where the crash test ends a process: named steps of the ways in which files are written.
//!
//! A step does nothing and costs nothing, unless the feature `fault-hooks` is on in a debug build for Unix. There, the
//! variable `HUB_FAULT_KILL_AT` lets a process end itself by SIGKILL at a step, and `HUB_FAULT_TRACE` lets it tell the
//! steps that it passes.

/// A step of a way to write; the next thing that happens is what `name` says is done.
#[inline(always)]
pub fn step(name: &'static str) {
    #[cfg(all(feature = "fault-hooks", debug_assertions, unix))]
    hooks::step(name);
    #[cfg(not(all(feature = "fault-hooks", debug_assertions, unix)))]
    let _ = name;
}

#[cfg(all(feature = "fault-hooks", debug_assertions, unix))]
mod hooks {
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use hub_types::env::{Env, Kind, Variable};

    const HUB_FAULT_KILL_AT: Variable = Variable {
        name: "HUB_FAULT_KILL_AT",
        kind: Kind::Text,
        default: "none",
        meaning: "NAME:N ends the process when it passes the step NAME for the Nth time; of * every step counts.",
    };

    const HUB_FAULT_TRACE: Variable = Variable {
        name: "HUB_FAULT_TRACE",
        kind: Kind::Path,
        default: "none",
        meaning: "A file that gets the name of every step that is passed, one a line.",
    };

    struct Order {
        name: String,
        left: AtomicU64,
    }

    #[derive(Default)]
    struct Orders {
        kill: Option<Order>,
        trace: Option<PathBuf>,
    }

    impl Orders {
        fn read() -> Self {
            let env = Env::process();
            let text = env.text(HUB_FAULT_KILL_AT).ok().flatten();
            let kill = text.and_then(|text| {
                let (name, count) = text.rsplit_once(':')?;
                let left = count.parse::<u64>().ok()?.into();
                Some(Order {
                    name: name.to_owned(),
                    left,
                })
            });
            Self {
                kill,
                trace: env.path(HUB_FAULT_TRACE),
            }
        }
    }

    pub(super) fn step(name: &'static str) {
        static ORDERS: OnceLock<Orders> = OnceLock::new();
        let orders = ORDERS.get_or_init(Orders::read);
        if let Some(path) = &orders.trace {
            let line = format!("{name}\n");
            let file = fs_err::OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(line.as_bytes()))
                .expect("the file for the steps can be written");
        }
        let Some(order) = orders
            .kill
            .as_ref()
            .filter(|kill| kill.name == name || kill.name == "*")
        else {
            return;
        };
        if order.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}
