/* Attacks on the host, its files and its neighbours. Each returns 0 where it succeeds, else errno.
 *
 * Built twice: as a plugin, and with -DSTANDALONE as a program (attack ARGUMENT), which is not confined: there
 * each of them must succeed, or it proves nothing. The host is the parent of both.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int done(long result) { return result < 0 ? errno : 0; }

/* A path in the scratch folder. */
static const char *scratch(void) {
    static char path[512];
    snprintf(path, sizeof path, "%s/attack-%d", getenv("TMPDIR"), getpid());
    unlink(path);
    return path;
}

static int write_to(const char *path, int flags) {
    int fd = open(path, O_WRONLY | flags, 0600);
    return fd < 0 ? errno : done(write(fd, "attacked", 8));
}

static int of_host(const char *file, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", getppid(), file);
    int fd = open(path, flags);
    char byte;
    return fd < 0 ? errno : done(flags == O_RDONLY ? read(fd, &byte, 1) : 0);
}

static int symlink_out(const char *file) {
    const char *link = scratch();
    return symlink(file, link) ? errno : write_to(link, 0);
}

static int hardlink_out(const char *file) {
    const char *twin = scratch();
    return link(file, twin) ? errno : write_to(twin, 0);
}

static int rename_away(const char *file) { return done(rename(file, scratch())); }
static int truncate_it(const char *file) { return done(truncate(file, 0)); }
static int remove_it(const char *file) { return done(unlink(file)); }
static int own_it(const char *file) { return done(chown(file, 65534, -1)); }
static int label_it(const char *file) { return done(setxattr(file, "user.attack", "x", 1, 0)); }

static int by_openat2(const char *file) {
    struct { unsigned long flags, mode, resolve; } how = {O_WRONLY | O_TRUNC, 0, 0};
    return done(syscall(437, AT_FDCWD, file, &how, sizeof how));
}

static int by_io_uring(const char *file) {
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    (void)file;
    return done(syscall(SYS_io_uring_setup, 4, &params));
}

static int host_memory(const char *_) { (void)_; return of_host("mem", O_RDWR); }
static int host_environment(const char *_) { (void)_; return of_host("environ", O_RDONLY); }
static int host_files(const char *_) { (void)_; return of_host("fd/0", O_RDONLY | O_NONBLOCK); }
static int host_oom_score(const char *_) { (void)_; return of_host("oom_score_adj", O_WRONLY); }

/* The victim is a process of the host's that may be traced by anybody of its user. */
static int trace(const char *victim) {
    pid_t pid = atoi(victim);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0)) return errno;
    ptrace(PTRACE_DETACH, pid, 0, 0);
    return 0;
}

static int read_memory(const char *victim) {
    char byte, path[64];
    unsigned long at = 0;
    snprintf(path, sizeof path, "/proc/%s/maps", victim);
    FILE *maps = fopen(path, "r");
    if (!maps) return errno;
    if (fscanf(maps, "%lx", &at) != 1) { fclose(maps); return EACCES; }
    fclose(maps);
    struct iovec here = {&byte, 1}, there = {(void *)at, 1};
    return done(process_vm_readv(atoi(victim), &here, 1, &there, 1, 0));
}

static int take_file(const char *victim) {
    int pidfd = (int)syscall(SYS_pidfd_open, atoi(victim), 0);
    return pidfd < 0 ? errno : done(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}

static int kill_it(const char *victim) { return done(kill(atoi(victim), SIGKILL)); }
static int queue_signal(const char *victim) {
    siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_QUEUE};
    return done(syscall(SYS_rt_sigqueueinfo, atoi(victim), SIGKILL, &info));
}

static int kill_by_pidfd(const char *victim) {
    int pidfd = (int)syscall(SYS_pidfd_open, atoi(victim), 0);
    return pidfd < 0 ? errno : done(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
}

/* The kernel sends it, when data comes. Whether it died is for the host to see. */
static int kill_by_io(const char *victim) {
    int ends[2];
    if (pipe(ends)) return errno;
    if (fcntl(ends[0], F_SETOWN, atoi(victim)) || fcntl(ends[0], F_SETSIG, SIGKILL)) return errno;
    if (fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK)) return errno;
    return done(write(ends[1], "x", 1));
}

static int limit_it(const char *victim) {
    unsigned long limit[2] = {16, 16};
    return done(syscall(SYS_prlimit64, atoi(victim), 7, limit, NULL));
}

static int slow_down(const char *victim) { return done(syscall(SYS_setpriority, 0, atoi(victim), 19)); }

static int address(const char *name, struct sockaddr_un *to, socklen_t *size) {
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    int abstract = name[0] == '@';
    strncpy(to->sun_path, name, sizeof to->sun_path - 1);
    if (abstract) to->sun_path[0] = 0;
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + !abstract);
    return 0;
}

static int unix_socket(const char *name) {
    struct sockaddr_un to;
    socklen_t size;
    address(name, &to, &size);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 ? errno : done(connect(fd, (struct sockaddr *)&to, size));
}

/* Two sockets that nobody asked socket() for; one of them then speaks to somebody else. */
static int pair_to_other(const char *name) {
    struct sockaddr_un to;
    socklen_t size;
    int ends[2];
    address(name, &to, &size);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends)) return errno;
    return done(sendto(ends[0], "x", 1, 0, (struct sockaddr *)&to, size));
}

static int system_v_memory(const char *key) {
    int id = shmget(atoi(key), 0, 0);
    if (id < 0) return errno;
    char *at = shmat(id, NULL, 0);
    if (at == (char *)-1) return errno;
    at[0] = 'x';
    return 0;
}

static int run_from_memory(const char *_) {
    char *const argv[] = {"true", NULL};
    char block[1 << 16];
    (void)_;
    int from = open("/bin/true", O_RDONLY), to = (int)syscall(SYS_memfd_create, "attack", 0);
    if (from < 0 || to < 0) return errno;
    for (ssize_t n; (n = read(from, block, sizeof block)) > 0;)
        if (write(to, block, (size_t)n) != n) return errno;
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        syscall(SYS_execveat, to, "", argv, environ, AT_EMPTY_PATH);
        _exit(errno);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) return errno;
    return WEXITSTATUS(status);
}

static int user_namespace(const char *_) { (void)_; return done(unshare(CLONE_NEWUSER)); }

static int clone_namespace(const char *_) {
    (void)_;
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return child < 0 ? errno : done(waitpid(child, NULL, 0));
}

/* A child of the host's, which nobody there waits for, kills or counts. */
static int child_of_host(const char *_) {
    (void)_;
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return done(child);
}

static int change_personality(const char *_) { (void)_; return done(personality(ADDR_NO_RANDOMIZE)); }
static int add_key(const char *_) { (void)_; return done(syscall(SYS_add_key, "user", "attack", "x", 1, -3)); }
static int shrink_lanes(const char *_) {
    char path[64], link[64];
    (void)_;
    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        if (strstr(link, "memfd:plugward")) return done(ftruncate(fd, 0));
    }
    return EPERM;
}

static const struct { const char *name; int (*run)(const char *); } ATTACKS[] = {
    {"symlink_out", symlink_out}, {"hardlink_out", hardlink_out}, {"rename_away", rename_away},
    {"truncate_it", truncate_it}, {"remove_it", remove_it}, {"own_it", own_it}, {"label_it", label_it},
    {"by_openat2", by_openat2}, {"by_io_uring", by_io_uring},
    {"host_memory", host_memory}, {"host_environment", host_environment}, {"host_files", host_files},
    {"host_oom_score", host_oom_score}, {"trace", trace}, {"read_memory", read_memory}, {"take_file", take_file},
    {"kill_it", kill_it}, {"queue_signal", queue_signal}, {"kill_by_pidfd", kill_by_pidfd},
    {"kill_by_io", kill_by_io}, {"limit_it", limit_it}, {"slow_down", slow_down},
    {"unix_socket", unix_socket}, {"pair_to_other", pair_to_other}, {"system_v_memory", system_v_memory},
    {"run_from_memory", run_from_memory}, {"user_namespace", user_namespace}, {"clone_namespace", clone_namespace},
    {"child_of_host", child_of_host}, {"change_personality", change_personality}, {"add_key", add_key},
    {"shrink_lanes", shrink_lanes},
};

static int attack(const char *name, size_t length, const char *argument) {
    for (size_t n = 0; n < sizeof ATTACKS / sizeof *ATTACKS; n++)
        if (strlen(ATTACKS[n].name) == length && memcmp(ATTACKS[n].name, name, length) == 0)
            return ATTACKS[n].run(argument);
    return ENOSYS;
}

#ifdef STANDALONE

int main(int argc, char **argv) {
    return argc == 3 ? attack(argv[1], strlen(argv[1]), argv[2]) : ENOSYS;
}

#else

#include "plugward_plugin.h"

static const plugward_host *host;

static plugward_status create(const plugward_host *given, plugward_bytes _, void **self, plugward_reply *reply) {
    (void)_, (void)reply;
    host = given;
    *self = &host;
    return PLUGWARD_STATUS_OK;
}

/* The arguments are {"at":"..."}: the answer is errno, so that a refusal is no fault. */
static plugward_status call(void *self, const plugward_request *request, plugward_reply *reply) {
    char argument[512] = "", answer[16];
    (void)self;
    size_t n = request->args.len;
    if (n > 9 && n < sizeof argument) {
        memcpy(argument, request->args.data + 7, n - 9);
        argument[n - 9] = 0;
    }
    int code = attack((const char *)request->tool.data, request->tool.len, argument);
    snprintf(answer, sizeof answer, "%d", code);
    plugward_bytes bytes = {(const uint8_t *)answer, strlen(answer)};
    return host->reply_json(reply, bytes);
}

static const plugward_plugin table = {
    .struct_size = sizeof(plugward_plugin),
    .abi_version = PLUGWARD_ABI_VERSION,
    .create = create,
    .call = call,
};

PLUGWARD_PLUGIN_ENTRY { return &table; }

#endif
