/* A plugin that does, on request, everything that a plugin should not do. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <netinet/in.h>
#include <errno.h>
#include <unistd.h>
#include <sys/wait.h>
#include <time.h>

#include "plugward_plugin.h"

static const plugward_host *host;

static int is(plugward_bytes name, const char *word) {
    return name.len == strlen(word) && memcmp(name.data, word, name.len) == 0;
}

static plugward_bytes text(const char *word) {
    plugward_bytes bytes = {(const uint8_t *)word, strlen(word)};
    return bytes;
}

static plugward_status json(plugward_reply *reply, const char *format, long number) {
    char buffer[128];
    snprintf(buffer, sizeof buffer, format, number);
    return host->reply_json(reply, text(buffer));
}

static plugward_status failed(plugward_reply *reply) {
    host->reply_error(reply, text("OSError"), text(strerror(errno)));
    return PLUGWARD_STATUS_ERROR;
}

/* The string value of the arguments' only member, as in {"path":"/tmp/x"}. */
static void argument(const plugward_request *request, char *out, size_t size) {
    const char *at = memchr(request->args.data, ':', request->args.len);
    size_t n = 0;
    out[0] = 0;
    if (!at) return;
    at += 1;
    while (*at == '"' || *at == ' ') at++;
    while (at[n] != '"' && at[n] != '}' && n + 1 < size) { out[n] = at[n]; n++; }
    out[n] = 0;
}

static int deeper(int n) {
    volatile char frame[4096];
    frame[0] = (char)n;
    return deeper(n + 1) + frame[0];
}

static void *rest(void *nothing) {
    for (;;) pause();
    return nothing;
}

/* Overwrites the first `most` parts of what it shares with its host and may write. */
static void scribble_all(int most) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (most > 0 && maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3) continue;
        if (!strstr(line, "memfd:plugward") || rights[1] != 'w') continue;
        size_t size = end - start;
        memset((void *)start, 0xff, size < (16u << 20) ? size : 16u << 20);
        most--;
    }
    if (maps) fclose(maps);
}

/* A process that tries to leave the worker's group in one of several ways; its number. */
static pid_t escape(const char *how) {
    if (strncmp(how, "spawn_", 6) == 0) {
        char *const argv[] = {"sleep", "600", NULL};
        posix_spawnattr_t with;
        pid_t child;
        posix_spawnattr_init(&with);
        int session = strcmp(how, "spawn_session") == 0;
        posix_spawnattr_setflags(&with, session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP);
        errno = posix_spawnp(&child, "sleep", NULL, &with, argv, environ);
        return errno ? -1 : child;
    }
    int ends[2];
    pid_t last = -1;
    if (pipe(ends) != 0) return -1;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        int done = strcmp(how, "group") == 0 ? setpgid(0, 0) : (int)setsid();
        if (done < 0) _exit(1);
        if (strcmp(how, "daemon") == 0) {
            pid_t again = fork();
            if (again != 0) _exit(0);
        }
        last = getpid();
        if (write(ends[1], &last, sizeof last) != sizeof last) _exit(1);
        for (;;) pause();
    }
    close(ends[1]);
    if (strcmp(how, "daemon") == 0) waitpid(child, NULL, 0);
    if (read(ends[0], &last, sizeof last) != sizeof last) errno = ECHILD;
    close(ends[0]);
    return last;
}

/* Whoever passes {"say": "say a word"} learns from the log that the call is here. */
static void begun(const char *arg) {
    if (strncmp(arg, "say ", 4) == 0) fprintf(stderr, "%s\n", arg);
}

static plugward_status misbehave(const plugward_request *request, plugward_reply *reply) {
    plugward_bytes tool = request->tool;
    char arg[512];
    argument(request, arg, sizeof arg);
    begun(arg);
    if (is(tool, "echo")) return host->reply_json(reply, request->args);
    if (is(tool, "pid")) return json(reply, "%ld", getpid());
    if (is(tool, "segfault")) { *(volatile int *)0x10 = 1; }
    if (is(tool, "log_and_segfault")) {
        host->log(host, PLUGWARD_LOG_ERROR, text("about to look at 0x10"));
        *(volatile int *)0x10 = 1;
    }
    if (is(tool, "overflow")) return deeper(0);
    if (is(tool, "abort")) { fprintf(stderr, "giving up: %s\n", arg); abort(); }
    if (is(tool, "exit")) _exit(7);
    if (is(tool, "atexit")) exit(3);
    if (is(tool, "thread_exit")) syscall(SYS_exit, 0);
    if (is(tool, "kill")) kill(getpid(), SIGKILL);
    if (is(tool, "hang")) for (;;) pause();
    if (is(tool, "spin")) for (volatile long n = 0;; n++) {}
    if (is(tool, "sleep")) { usleep((useconds_t)atol(arg) * 1000); return json(reply, "%ld", 1); }
    if (is(tool, "raise")) {
        host->reply_error(reply, text("ValueError"), text(arg));
        return PLUGWARD_STATUS_ERROR;
    }
    if (is(tool, "memory")) for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    if (is(tool, "shared_memory")) for (;;) {
        char *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED) return failed(reply);
        memset(more, 1, 1 << 20);
        usleep(100);
    }
    if (is(tool, "flood")) {
        long most = atol(arg) > 0 ? atol(arg) : 2000000;
        for (long n = 0; n < most; n++) fprintf(stderr, "line %ld of a flood of lines\n", n);
        return json(reply, "%ld", 1);
    }
    if (is(tool, "stdout")) { printf("said on stdout\n"); fflush(stdout); return json(reply, "%ld", 1); }
    if (is(tool, "forks")) {
        long n = 0;
        while (n < 2000) {
            pid_t child = fork();
            if (child == 0) { for (;;) pause(); }
            if (child < 0) { fprintf(stderr, "fork: %s\n", strerror(errno)); return failed(reply); }
            n++;
        }
        return json(reply, "%ld", n);
    }
    if (is(tool, "threads")) {
        for (long n = 0; n < 3000; n++) {
            pthread_t thread;
            int refused = pthread_create(&thread, NULL, rest, NULL);
            if (refused == 0) continue;
            host->reply_error(reply, text("OSError"), text("can't start new thread"));
            return PLUGWARD_STATUS_ERROR;
        }
        return json(reply, "%ld", 3000);
    }
    if (is(tool, "leaves_the_group")) {
        pid_t child = fork();
        if (child < 0) return failed(reply);
        if (child == 0) { setsid(); for (;;) pause(); }
        usleep(200000);
        abort();
    }
    if (is(tool, "memory_files")) {
        static char block[1 << 20];
        int fd = memfd_create("matrix", 0);
        memset(block, 1, sizeof block);
        for (long n = 0; n < 4096; n++)
            if (write(fd, block, sizeof block) < 0) return failed(reply);
        return json(reply, "%ld", 4096);
    }
    if (is(tool, "orphan")) {
        pid_t child = fork();
        if (child == 0) { for (;;) pause(); }
        return child < 0 ? failed(reply) : json(reply, "%ld", child);
    }
    if (is(tool, "escape")) {
        pid_t last = escape(arg);
        return last < 0 ? failed(reply) : json(reply, "%ld", last);
    }
    if (is(tool, "memfd")) {
        static char block[1 << 20];
        int fd = memfd_create("bomb", 0);
        memset(block, 1, sizeof block);
        for (long n = atol(arg); n > 0; n--)
            if (write(fd, block, sizeof block) < 0) return failed(reply);
        usleep(2000000);
        close(fd);
        return json(reply, "%ld", 1);
    }
    if (is(tool, "family")) {
        for (int n = 0; n < 8; n++) {
            size_t size = (size_t)atol(arg) << 20;
            pid_t child = fork();
            if (child < 0) return failed(reply);
            if (child == 0) { memset(malloc(size), 1, size); for (;;) pause(); }
        }
        usleep(3000000);
        return json(reply, "%ld", 8);
    }
    if (is(tool, "line")) {
        static char block[1 << 16];
        memset(block, 'x', sizeof block);
        for (long n = atol(arg) * 16; n > 0; n--)
            if (write(1, block, sizeof block) < 0) return failed(reply);
        return json(reply, "%ld", 1);
    }
    if (is(tool, "files")) {
        long n = 0;
        while (open("/dev/null", O_RDONLY) >= 0) n++;
        return n < 100000 ? failed(reply) : json(reply, "%ld", n);
    }
    if (is(tool, "big_file")) {
        char block[1 << 16] = {0};
        snprintf(arg, sizeof arg, "%s/big", getenv("TMPDIR"));
        int fd = open(arg, O_WRONLY | O_CREAT, 0600);
        for (int n = 0; n < 64; n++)
            if (write(fd, block, sizeof block) < 0) return failed(reply);
        return json(reply, "%ld", 1);
    }
    if (is(tool, "huge")) {
        size_t size = (size_t)2 << 30;
        uint8_t *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        int64_t shape[1] = {(int64_t)size};
        plugward_tensor tensor = {data, {1, 0}, 1, {1, 8, 1}, shape, NULL, 0};
        if (data == MAP_FAILED) return failed(reply);
        plugward_status status = host->reply_tensor(reply, &tensor);
        munmap(data, size);
        return status;
    }
    if (is(tool, "big")) {
        size_t size = (size_t)atol(arg) << 20;
        uint8_t *data = malloc(size);
        memset(data, 7, size);
        int64_t shape[1] = {(int64_t)size};
        plugward_tensor tensor = {data, {1, 0}, 1, {1, 8, 1}, shape, NULL, 0};
        plugward_status status = host->reply_tensor(reply, &tensor);
        free(data);
        return status;
    }
    if (is(tool, "sum")) {
        const plugward_tensor *tensor = request->tensors;
        long sum = 0;
        for (int64_t n = 0; n < tensor->shape[0]; n++) sum += ((const uint8_t *)tensor->data)[n];
        return json(reply, "%ld", sum);
    }
    if (is(tool, "scribble")) { ((uint8_t *)request->tensors->data)[0] = 1; return json(reply, "%ld", 1); }
    if (is(tool, "scribbles")) { scribble_all(2); return json(reply, "%ld", 1); }
    if (is(tool, "scribbles_words")) { scribble_all(1); return json(reply, "%ld", 1); }
    if (is(tool, "touch")) {
        struct timespec times[2] = {{1, 0}, {1, 0}};
        if (chmod(arg, 0640) != 0 || utimensat(AT_FDCWD, arg, times, 0) != 0) return failed(reply);
        return json(reply, "%ld", 1);
    }
    if (is(tool, "progress")) {
        for (uint64_t n = 1; n <= 5; n++)
            if (host->progress(request, n, 5) != PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_CANCELLED;
        return json(reply, "%ld", 5);
    }
    if (is(tool, "until_cancelled")) {
        for (uint64_t n = 1;; n++) {
            if (host->progress(request, n, 0) != PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_CANCELLED;
            usleep(1000);
        }
    }
    if (is(tool, "write")) {
        int fd = open(arg, O_WRONLY | O_CREAT, 0600);
        if (fd < 0) return failed(reply);
        return write(fd, "x", 1) == 1 && close(fd) == 0 ? json(reply, "%ld", 1) : failed(reply);
    }
    if (is(tool, "scratch")) {
        snprintf(arg, sizeof arg, "%s/file", getenv("TMPDIR"));
        int fd = open(arg, O_WRONLY | O_CREAT, 0600);
        return fd < 0 ? failed(reply) : json(reply, "%ld", 1);
    }
    if (is(tool, "read")) {
        int fd = open(arg, O_RDONLY);
        return fd < 0 ? failed(reply) : json(reply, "%ld", 1);
    }
    if (is(tool, "connect")) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arg))};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) return failed(reply);
        return connect(fd, (struct sockaddr *)&to, sizeof to) ? failed(reply) : json(reply, "%ld", 1);
    }
    if (is(tool, "spawn")) {
        char *const argv[] = {"true", NULL};
        pid_t child;
        errno = posix_spawn(&child, "/bin/true", NULL, NULL, argv, environ);
        return errno ? failed(reply) : json(reply, "%ld", waitpid(child, NULL, 0) == child);
    }
    if (is(tool, "exec")) {
        execl("/bin/true", "true", (char *)NULL);
        return failed(reply);
    }
    if (is(tool, "env")) { const char *value = getenv(arg); return json(reply, "%ld", value != NULL); }
    if (is(tool, "ptrace")) {
        /* The host's memory, by the front door. */
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/mem", getppid());
        int fd = open(path, O_RDWR);
        return fd < 0 ? failed(reply) : json(reply, "%ld", 1);
    }
    if (is(tool, "raise_limit")) {
        struct rlimit more = {1 << 20, 1 << 20};
        return setrlimit(RLIMIT_NOFILE, &more) ? failed(reply) : json(reply, "%ld", 1);
    }
    if (is(tool, "kill_host")) return kill(getppid(), 0) ? failed(reply) : json(reply, "%ld", 1);
    host->reply_error(reply, text("LookupError"), text("no such tool"));
    return PLUGWARD_STATUS_ERROR;
}

static plugward_status create(const plugward_host *given, plugward_bytes manifest, void **self, plugward_reply *reply) {
    (void)reply;
    host = given;
    *self = &host;
    if (memmem(manifest.data, manifest.len, "crash-on-create", 15)) abort();
    if (memmem(manifest.data, manifest.len, "hang-on-create", 14)) for (;;) pause();
    return PLUGWARD_STATUS_OK;
}

static plugward_status call(void *self, const plugward_request *request, plugward_reply *reply) {
    (void)self;
    return misbehave(request, reply);
}

static const plugward_plugin table = {
    .struct_size = sizeof(plugward_plugin),
    .abi_version = PLUGWARD_ABI_VERSION,
    .create = create,
    .call = call,
};

PLUGWARD_PLUGIN_ENTRY { return &table; }
