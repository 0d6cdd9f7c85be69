//! What a plugin may ask of the kernel: seccomp filters.
//!
//! Several filters, because each has one answer: what no plugin needs and the network is refused with
//! "permission denied", other processes with "not permitted", which tells the two apart; `clone3` is answered "no such call", so that the C
//! library falls back to `clone`, whose flags a filter can see; calls of the x32 numbering, which
//! would slip past the other filters, are "no such call" as well.

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

pub(super) fn restrict(permissions: &Permissions, report: &mut Map<String, Value>) {
    let done = filters(permissions).and_then(|all| {
        all.iter()
            .try_for_each(|filter| apply_filter_all_threads(filter).map_err(|e| e.to_string()))
    });
    let how = match done {
        Ok(()) => "seccomp".to_owned(),
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
}

fn filters(permissions: &Permissions) -> Result<Vec<BpfProgram>, String> {
    let mut refused: Rules = NEVER.iter().map(|n| (*n, Vec::new())).collect();
    // Raising a limit again; reading one stays allowed.
    refused.insert(libc::SYS_prlimit64, vec![rule(&[(2, Op::Ne, 0)])?]);
    if !permissions.network {
        refused.insert(libc::SYS_socket, Vec::new());
    }
    let mut all = vec![program(refused, libc::EACCES)?];
    if !permissions.subprocess {
        let missing = Rules::from([(libc::SYS_clone3, Vec::new())]);
        all.push(program(lone()?, libc::EPERM)?);
        all.push(program(missing, libc::ENOSYS)?);
    }
    if cfg!(target_arch = "x86_64") {
        all.push(no_x32());
    }
    Ok(all)
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
