//! System calls that agents do without: seccomp.
//!
//! A list of what is denied, not of what is allowed: libraries of the system are free to find new ways to do what is harmless. Whatever
//! landlock leaves open is closed here: it knows no modes, owners, attributes and limits, and of sockets only TCP's.

use std::collections::BTreeMap;

use libc::{self as sys, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter, sock_filter,
};

use super::{Confinement, Unconfined};

/// Never, by any agent or program.
const DENIED: &[c_long] = &[
    // Other processes.
    sys::SYS_ptrace,
    sys::SYS_process_vm_readv,
    sys::SYS_process_vm_writev,
    sys::SYS_process_madvise,
    sys::SYS_process_mrelease,
    sys::SYS_pidfd_getfd,
    sys::SYS_kcmp,
    sys::SYS_setpriority,
    sys::SYS_ioprio_set,
    sys::SYS_migrate_pages,
    sys::SYS_move_pages,
    // A session of its own: by its session a worker is known at the daemon's socket.
    sys::SYS_setsid,
    // File systems and namespaces.
    sys::SYS_mount,
    sys::SYS_umount2,
    sys::SYS_pivot_root,
    sys::SYS_chroot,
    sys::SYS_move_mount,
    sys::SYS_open_tree,
    sys::SYS_fsopen,
    sys::SYS_fsconfig,
    sys::SYS_fsmount,
    sys::SYS_fspick,
    sys::SYS_mount_setattr,
    sys::SYS_unshare,
    sys::SYS_setns,
    sys::SYS_quotactl,
    sys::SYS_swapon,
    sys::SYS_swapoff,
    sys::SYS_open_by_handle_at,
    sys::SYS_fanotify_init,
    // Files as landlock does not know them.
    sys::SYS_fchmod,
    sys::SYS_fchmodat,
    sys::SYS_fchown,
    sys::SYS_fchownat,
    sys::SYS_utimensat,
    sys::SYS_truncate,
    sys::SYS_setxattr,
    sys::SYS_lsetxattr,
    sys::SYS_fsetxattr,
    sys::SYS_removexattr,
    sys::SYS_lremovexattr,
    sys::SYS_fremovexattr,
    sys::SYS_memfd_create,
    sys::SYS_memfd_secret,
    sys::SYS_execveat,
    // The kernel and its keys.
    sys::SYS_bpf,
    sys::SYS_perf_event_open,
    sys::SYS_userfaultfd,
    sys::SYS_io_uring_setup,
    sys::SYS_io_uring_enter,
    sys::SYS_io_uring_register,
    sys::SYS_keyctl,
    sys::SYS_add_key,
    sys::SYS_request_key,
    sys::SYS_kexec_load,
    sys::SYS_init_module,
    sys::SYS_finit_module,
    sys::SYS_delete_module,
    sys::SYS_reboot,
    sys::SYS_acct,
    sys::SYS_syslog,
    sys::SYS_vhangup,
    sys::SYS_personality,
    sys::SYS_sethostname,
    sys::SYS_setdomainname,
    sys::SYS_settimeofday,
    sys::SYS_clock_settime,
    sys::SYS_clock_adjtime,
    sys::SYS_adjtimex,
    // What outlives who made it, and is anybody's who finds it: memory, messages and semaphores that have no file.
    sys::SYS_shmget,
    sys::SYS_shmat,
    sys::SYS_shmctl,
    sys::SYS_msgget,
    sys::SYS_msgsnd,
    sys::SYS_msgrcv,
    sys::SYS_msgctl,
    sys::SYS_semget,
    sys::SYS_semop,
    sys::SYS_semtimedop,
    sys::SYS_semctl,
    sys::SYS_mq_open,
    sys::SYS_mq_unlink,
    // Who touches which file, by name, in folders that are out of reach.
    sys::SYS_inotify_init1,
    sys::SYS_inotify_add_watch,
    sys::SYS_fanotify_mark,
    // Users.
    sys::SYS_setuid,
    sys::SYS_setgid,
    sys::SYS_setreuid,
    sys::SYS_setregid,
    sys::SYS_setresuid,
    sys::SYS_setresgid,
    sys::SYS_setfsuid,
    sys::SYS_setfsgid,
    sys::SYS_setgroups,
    sys::SYS_capset,
];

/// Numbers that libc has no name for: fchmodat2, setxattrat, removexattrat, open_tree_attr.
const DENIED_BY_NUMBER: [c_long; 4] = [452, 463, 466, 467];

/// Of this machine alone.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[c_long] = &[
    sys::SYS_inotify_init,
    sys::SYS_chmod,
    sys::SYS_chown,
    sys::SYS_lchown,
    sys::SYS_utime,
    sys::SYS_utimes,
    sys::SYS_futimesat,
    sys::SYS_kexec_file_load,
    sys::SYS_iopl,
    sys::SYS_ioperm,
    sys::SYS_modify_ldt,
    sys::SYS_uselib,
    sys::SYS_ustat,
];
/// Of this machine alone.
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[c_long] = &[];

/// Denied to whoever starts no program.
#[cfg(target_arch = "x86_64")]
const OF_PROGRAMS: &[c_long] = &[sys::SYS_execve, sys::SYS_tkill, sys::SYS_pidfd_send_signal, sys::SYS_fork, sys::SYS_vfork];
/// Denied to whoever starts no program.
#[cfg(not(target_arch = "x86_64"))]
const OF_PROGRAMS: &[c_long] = &[sys::SYS_execve, sys::SYS_tkill, sys::SYS_pidfd_send_signal];

/// Calls that name a process first: none but the caller's own.
const OF_A_PROCESS: [c_long; 4] = [sys::SYS_kill, sys::SYS_tgkill, sys::SYS_rt_sigqueueinfo, sys::SYS_rt_tgsigqueueinfo];
/// Calls that name a process first, or nobody.
const OF_NOBODY_ELSE: [c_long; 5] =
    [sys::SYS_prlimit64, sys::SYS_sched_setaffinity, sys::SYS_sched_setscheduler, sys::SYS_sched_setparam, sys::SYS_sched_setattr];

/// Namespaces that a new process can be given: mount, cgroup, UTS, IPC, user, PID, network.
const NAMESPACES: [i32; 7] = [
    sys::CLONE_NEWNS,
    sys::CLONE_NEWCGROUP,
    sys::CLONE_NEWUTS,
    sys::CLONE_NEWIPC,
    sys::CLONE_NEWUSER,
    sys::CLONE_NEWPID,
    sys::CLONE_NEWNET,
];

/// System calls and when they are denied; always where there is no rule.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

type Built<T> = Result<T, seccompiler::BackendError>;

/// Denies them to this thread, and to all that come of it.
pub(super) fn apply(confinement: &Confinement) -> Result<(), Unconfined> {
    let failed = |error: &dyn std::fmt::Display| Unconfined::Calls(error.to_string());
    for program in programs(confinement).map_err(|error| failed(&error))? {
        apply_filter(&program).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn programs(confinement: &Confinement) -> Built<Vec<BpfProgram>> {
    let machine: TargetArch = std::env::consts::ARCH.try_into()?;
    let denying = |rules: Rules, errno: i32| -> Built<BpfProgram> {
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), machine)?.try_into()
    };
    // What it asks for lies in memory, where no filter looks; whoever does without asks by `clone`.
    let unseen = denying(Rules::from([(sys::SYS_clone3, Vec::new())]), sys::ENOSYS)?;
    // As on a machine without them: who asks whether they are there takes no for an answer.
    let socket = |rule: SeccompRule, errno: i32| denying(Rules::from([(sys::SYS_socket, vec![rule])]), errno);
    let families = socket(other_families(!confinement.needs.sockets.is_empty())?, sys::EAFNOSUPPORT)?;
    let protocols = socket(other_protocols()?, sys::EPROTONOSUPPORT)?;
    Ok(vec![denying(rules(confinement)?, sys::EPERM)?, families, protocols, unseen, second_numbers().to_vec()])
}

/// Denies the second set of numbers that some kernels have for the same calls: x32.
fn second_numbers() -> [sock_filter; 4] {
    const FIRST: u32 = 0x4000_0000;
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    [
        step(LOAD_NUMBER, 0, 0, 0),
        step(JUMP_IF_AT_LEAST, 0, 1, FIRST),
        step(RETURN, 0, 0, sys::SECCOMP_RET_ERRNO | sys::ENOSYS.unsigned_abs()),
        step(RETURN, 0, 0, sys::SECCOMP_RET_ALLOW),
    ]
}

fn rules(confinement: &Confinement) -> Built<Rules> {
    let always = DENIED.iter().chain(DENIED_HERE).chain(&DENIED_BY_NUMBER);
    let mut rules: Rules = always.map(|&call| (call, Vec::new())).collect();
    for call in OF_NOBODY_ELSE {
        rules.insert(call, vec![when([differs(0, 0)?])?]);
    }
    if confinement.starts_programs() {
        let namespaced = |flag: &i32| when([has_bits(0, bits(*flag), bits(*flag))?]);
        rules.insert(sys::SYS_clone, NAMESPACES.iter().map(namespaced).collect::<Built<_>>()?);
    } else {
        rules.extend(OF_PROGRAMS.iter().map(|&call| (call, Vec::new())));
        for call in OF_A_PROCESS {
            rules.insert(call, vec![when([differs(0, std::process::id().into())?])?]);
        }
        // A new thread, never a new process.
        rules.insert(sys::SYS_clone, vec![when([has_bits(0, bits(sys::CLONE_THREAD), 0)?])?]);
    }
    rules.insert(sys::SYS_socket, sockets()?);
    // A connection that is opened by its first bytes is one that landlock does not see.
    for (call, flags) in [(sys::SYS_sendto, 3), (sys::SYS_sendmsg, 2), (sys::SYS_sendmmsg, 3)] {
        rules.insert(call, vec![when([has_bits(flags, bits(sys::MSG_FASTOPEN), bits(sys::MSG_FASTOPEN))?])?]);
    }
    let dies_with_us = when([equals(0, bits(sys::PR_SET_PDEATHSIG))?, equals(1, 0)?])?;
    rules.insert(sys::SYS_prctl, vec![when([equals(0, bits(sys::PR_SET_DUMPABLE))?])?, dies_with_us]);
    Ok(rules)
}

/// When a socket is denied: what goes past TCP and UDP, and all news of the kernel but those of the machine's addresses.
fn sockets() -> Built<Vec<SeccompRule>> {
    /// The bits of a type beside its flags (socket(2), "SOCK_NONBLOCK").
    const TYPE: u64 = 0xf;
    Ok(vec![
        when([no(sys::AF_NETLINK)?, has_bits(1, TYPE, bits(sys::SOCK_RAW))?])?,
        when([equals(0, bits(sys::AF_NETLINK))?, differs(2, bits(sys::NETLINK_ROUTE))?])?,
    ])
}

/// When a socket is of another family than the internet's and netlink; Unix sockets are there where some are declared.
fn other_families(unix: bool) -> Built<SeccompRule> {
    let mut other = vec![no(sys::AF_INET)?, no(sys::AF_INET6)?, no(sys::AF_NETLINK)?];
    if unix {
        other.push(no(sys::AF_UNIX)?);
    }
    when(other)
}

/// When a socket of the internet has a protocol that landlock does not know: there are several ways to speak TCP.
fn other_protocols() -> Built<SeccompRule> {
    let [tcp, udp] = [sys::IPPROTO_TCP, sys::IPPROTO_UDP].map(|protocol| differs(2, bits(protocol)));
    when([no(sys::AF_NETLINK)?, no(sys::AF_UNIX)?, differs(2, 0)?, tcp?, udp?])
}

fn no(family: i32) -> Built<SeccompCondition> {
    differs(0, bits(family))
}

fn bits(constant: i32) -> u64 {
    constant.unsigned_abs().into()
}

/// A rule that holds when all of these do.
fn when(conditions: impl Into<Vec<SeccompCondition>>) -> Built<SeccompRule> {
    SeccompRule::new(conditions.into())
}

fn equals(argument: u8, value: u64) -> Built<SeccompCondition> {
    SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, value)
}

fn differs(argument: u8, value: u64) -> Built<SeccompCondition> {
    SeccompCondition::new(argument, Dword, SeccompCmpOp::Ne, value)
}

fn has_bits(argument: u8, mask: u64, value: u64) -> Built<SeccompCondition> {
    SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(mask), value)
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Needs;

    use super::*;

    #[test]
    fn whoever_starts_no_program_makes_no_process() {
        let denied = |needs: Needs| rules(&Confinement { needs, ..Confinement::default() }).unwrap();
        let (none, some) = (denied(Needs::none()), denied(Needs::none().program("/bin/true")));
        assert!(none.contains_key(&sys::SYS_execve) && !some.contains_key(&sys::SYS_execve));
        assert!(none.contains_key(&sys::SYS_kill) && !some.contains_key(&sys::SYS_kill));
        assert!([&none, &some].iter().all(|rules| rules.contains_key(&sys::SYS_ptrace) && !rules.contains_key(&sys::SYS_connect)));
        assert_eq!((none[&sys::SYS_clone].len(), some[&sys::SYS_clone].len()), (1, NAMESPACES.len()));
    }

    #[test]
    fn the_filters_are_short_enough_for_the_kernel() {
        let made = programs(&Confinement::default()).unwrap();
        assert!(made.iter().all(|program| !program.is_empty() && program.len() < 4096));
    }
}
