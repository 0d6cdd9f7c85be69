//! What a plugin may ask of the kernel: seccomp filters.
//!
//! Several filters, because each has one answer: what no plugin needs and the network is refused with
//! "permission denied", other processes with "not permitted", which tells the two apart; `clone3` is answered "no such call", so that the C
//! library falls back to `clone`, whose flags a filter can see; calls of the x32 numbering, which
//! would slip past the other filters, are "no such call" as well. And two calls are answered "done" although nothing
//! is: whoever left the worker's process group would outlive it, and programs that make a session of
//! their own take a refusal for a failure. No other call leaves a group: a terminal's (`TIOCSCTTY`,
//! `TIOCSPGRP`) change the terminal, and `clone` has no flag for it.

use crate::manifest::Permissions;
use crate::permissions::NOT;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads, sock_filter,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The kernel's corners that no plugin needs and from which other processes can be harmed.
const NEVER: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_setrlimit,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// System V and POSIX message queues, semaphores and memory: found by number or name by every
/// process of a user, and no file that Landlock could hold.
const SHARED_BY_NAME: &[i64] = &[
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgctl,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_semctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmget,
];

/// Extended attributes of files: Landlock has no right for them.
const ATTRIBUTES: &[i64] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SYS_SETXATTRAT,
    SYS_REMOVEXATTRAT,
];
/// Linux 6.13; the same number on every platform.
const SYS_SETXATTRAT: i64 = 463;
const SYS_REMOVEXATTRAT: i64 = 466;

/// What leaves a process group.
const LEAVES: &[i64] = &[libc::SYS_setpgid, libc::SYS_setsid];
/// The answer to that: success.
const DONE: i32 = 0;

/// Flags of `clone` that make a namespace: in one of its own, a process is root again.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// The mechanism, as reports name it.
const HELD: &str = "seccomp";

/// Returns whether it holds.
pub(super) fn restrict(permissions: &Permissions, report: &mut Map<String, Value>) -> bool {
    let done = filters(permissions).and_then(|all| {
        all.iter()
            .try_for_each(|filter| apply_filter_all_threads(filter).map_err(|e| e.to_string()))
    });
    let how = match done {
        Ok(()) => HELD.to_owned(),
        Err(e) => format!("{NOT}: {e}"),
    };
    let granted = |granted: bool| {
        if granted {
            "granted".to_owned()
        } else {
            how.clone()
        }
    };
    report.insert(
        "permissions.network".into(),
        json!(granted(permissions.network)),
    );
    report.insert(
        "permissions.subprocess".into(),
        json!(granted(permissions.subprocess)),
    );
    report.insert("dangerous system calls".into(), json!(how));
    how == HELD
}

fn filters(permissions: &Permissions) -> Result<Vec<BpfProgram>, String> {
    let never = NEVER.iter().chain(SHARED_BY_NAME);
    let mut refused: Rules = never.map(|n| (*n, Vec::new())).collect();
    // Raising a limit again; reading one stays allowed.
    refused.insert(libc::SYS_prlimit64, vec![rule(&[(2, Op::Ne, 0)])?]);
    // Asking for the present one is harmless.
    refused.insert(
        libc::SYS_personality,
        vec![rule(&[(0, Op::Ne, 0xffff_ffff)])?],
    );
    // Its own thread's, and nobody else's.
    for call in [libc::SYS_setpriority, libc::SYS_ioprio_set] {
        refused.insert(call, vec![rule(&[(1, Op::Ne, 0)])?]);
    }
    if !permissions.network {
        refused.insert(libc::SYS_socket, Vec::new());
        refused.insert(libc::SYS_socketpair, unbound_pairs()?);
    }
    let mut processes = match permissions.subprocess {
        true => Rules::from([(libc::SYS_clone, strange_clones()?)]),
        false => lone()?,
    };
    processes.extend(ATTRIBUTES.iter().map(|n| (*n, Vec::new())));
    let missing = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let leaves = LEAVES.iter().map(|n| (*n, Vec::new())).collect();
    let mut all = vec![
        program(refused, libc::EACCES)?,
        program(processes, libc::EPERM)?,
        program(missing, libc::ENOSYS)?,
        program(leaves, DONE)?,
    ];
    if cfg!(target_arch = "x86_64") {
        all.push(no_x32());
    }
    Ok(all)
}

/// Pairs whose ends may speak to others as well, by an address: only streams within the process stay.
fn unbound_pairs() -> Result<Vec<SeccompRule>, String> {
    const KIND: u64 = 0xf;
    let kind = |kind: i32| rule(&[(1, Op::MaskedEq(KIND), kind as u64)]);
    Ok(vec![
        rule(&[(0, Op::Ne, libc::AF_UNIX as u64)])?,
        kind(libc::SOCK_DGRAM)?,
        kind(libc::SOCK_RAW)?,
    ])
}

/// Namespaces, and children of the host that nobody there waits for.
fn strange_clones() -> Result<Vec<SeccompRule>, String> {
    let one = |flag: &i32| {
        let flag = u64::from(*flag as u32);
        rule(&[(0, Op::MaskedEq(flag), flag)])
    };
    let flags = NAMESPACES.iter().chain(&[libc::CLONE_PARENT]);
    flags.map(one).collect()
}

/// For a plugin that may not start processes: threads only, and signals to itself only.
fn lone() -> Result<Rules, String> {
    let mut refused = Rules::new();
    let thread = libc::CLONE_THREAD as u64;
    refused.insert(
        libc::SYS_clone,
        vec![rule(&[(0, Op::MaskedEq(thread), 0)])?],
    );
    let own = u64::from(std::process::id());
    let others = || rule(&[(0, Op::Ne, own), (0, Op::Ne, 0)]);
    for call in [
        libc::SYS_kill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
    ] {
        refused.insert(call, vec![others()?]);
    }
    for call in [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_tkill,
        libc::SYS_pidfd_send_signal,
    ] {
        refused.insert(call, Vec::new());
    }
    #[cfg(target_arch = "x86_64")]
    for call in [libc::SYS_fork, libc::SYS_vfork] {
        refused.insert(call, Vec::new());
    }
    Ok(refused)
}

fn rule(conditions: &[(u8, Op, u64)]) -> Result<SeccompRule, String> {
    let each = conditions.iter().map(|(argument, op, value)| {
        // Process numbers are ints: the upper half of their register means nothing.
        SeccompCondition::new(*argument, Len::Dword, op.clone(), *value).map_err(|e| e.to_string())
    });
    SeccompRule::new(each.collect::<Result<_, _>>()?).map_err(|e| e.to_string())
}

fn program(rules: Rules, errno: i32) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    let answer = SeccompAction::Errno(errno as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|e| e.to_string())
}

/// `if number >= 0x4000_0000 { ENOSYS } else { allow }`; not a filter of system call names, which
/// is all that the crate writes.
fn no_x32() -> BpfProgram {
    let step = |code: u32, jt: u8, jf: u8, k: u32| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let number = 0;
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number),
        step(
            libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K,
            0,
            1,
            0x4000_0000,
        ),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
