"""The system calls that a student's process has no need of, as a filter for bubblewrap.

Each is a way around the sandbox: into more of the kernel than a notebook needs, or to memory and other things
that no limit of the sandbox counts. The list follows flatpak's (common/flatpak-run.c, ``setup_seccomp``) and
goes further where a notebook needs less than a desktop program.
"""

import errno
import os
from functools import cache

# To do what an administrator does, or to look into other processes and into the kernel.
PRIVILEGED = """acct add_key bpf chroot fanotify_init fsconfig fsmount fsopen fspick init_module finit_module
delete_module ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mount mount_setattr move_mount
move_pages migrate_pages name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd
pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key setns
swapoff swapon syslog umount umount2 unshare uselib userfaultfd vhangup modify_ldt io_uring_enter io_uring_register
io_uring_setup landlock_restrict_self""".split()
# Memory and other things that the kernel counts for a user, or for nobody, instead of for this sandbox.
UNCOUNTED = """memfd_create memfd_secret shmget msgget semget mq_open inotify_init inotify_init1 sched_setaffinity
sched_setscheduler sched_setattr mbind set_mempolicy setpriority ioprio_set""".split()
# Local sockets, and those of the network that is not there; no others.
UNIX, INET, INET6 = 1, 2, 10
NEW_USER_NAMESPACE = 0x10000000
FAKE_INPUT = (0x5412, 0x541C)  # ioctl: TIOCSTI and TIOCLINUX type into a terminal


@cache
def program() -> bytes:
    """The filter in the kernel's own form (BPF) for this machine.

    Raises
    ------
    OSError
        There is no libseccomp on this machine.
    """
    try:
        import pyseccomp as seccomp
    except (RuntimeError, OSError) as error:  # pyseccomp is Python alone; the library comes with the system
        raise OSError(f"libseccomp: {error}") from None
    forbid, equal = seccomp.ERRNO(errno.EPERM), seccomp.EQ
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in PRIVILEGED + UNCOUNTED:
        try:
            rules.add_rule(forbid, name)
        except (ValueError, OSError):  # unknown to this libseccomp or to this processor
            pass
    namespace = seccomp.Arg(0, seccomp.MASKED_EQ, NEW_USER_NAMESPACE, NEW_USER_NAMESPACE)
    rules.add_rule(forbid, "clone", namespace)
    # clone3 hides its flags in memory, which a filter cannot read; without it the C library takes clone.
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    for request in FAKE_INPUT:
        rules.add_rule(forbid, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    gaps = [range(UNIX), range(INET + 1, INET6)]
    for family in [number for gap in gaps for number in gap]:
        rules.add_rule(forbid, "socket", seccomp.Arg(0, equal, family))
    rules.add_rule(forbid, "socket", seccomp.Arg(0, seccomp.GT, INET6))
    with os.fdopen(os.memfd_create("filter"), "rb") as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
