/* A forked child gets a clear refusal and can make a runtime of its own; nothing deadlocks, whatever
   the parent's threads held at that moment. Run with a number for fewer forks, and with "quiet" for a
   parent without busy threads, which forks only while the runtime's own threads sleep: a checker's
   allocator may be what they hold. */
#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static plugward_runtime *runtime;
static atomic_bool stop;
static int destroyed;

static plugward_status echo(void *user, const plugward_request *request, plugward_reply *reply) {
  (void)user;
  return plugward_reply_json(reply, request->args);
}

static void on_end(void *user) {
  (void)user;
  destroyed++;
}

static void *busy(void *plugin) {
  while (!stop) {
    plugward_string *health = NULL;
    call_code(runtime, plugin, "echo");
    plugward_error_free(plugward_health_json(runtime, &health));
    plugward_string_free(health);
  }
  return NULL;
}

/* The child's checks, as an exit status: 0, or the number of the first that failed. */
static int child(void) {
  plugward_string *out = NULL;
  plugward_reports *reports = NULL;
  alarm(30);
  if (call_code(runtime, "thread", "echo") != PLUGWARD_CODE_RUNTIME_FORKED) return 1;
  if (!raised(plugward_health_json(runtime, &out), PLUGWARD_CODE_RUNTIME_FORKED)) return 2;
  if (!raised(plugward_restart(runtime, text("thread"), &reports), PLUGWARD_CODE_RUNTIME_FORKED)) return 3;
  if (!raised(plugward_log_write(runtime, PLUGWARD_LOG_INFO, text(""), text("x")), PLUGWARD_CODE_RUNTIME_FORKED)) return 4;
  if (!raised(plugward_runtime_close(runtime), PLUGWARD_CODE_RUNTIME_FORKED)) return 5;
  if (plugward_health_ready(runtime) || plugward_log_flush(runtime, 60000)) return 6;
  plugward_runtime *own = new_runtime();
  if (!load_host(own, "echo", "\"isolation\": \"thread\",", "{\"id\": \"echo\"}", echo, NULL)) return 7;
  if (call_code(own, "echo", "echo") != 0) return 8;
  plugward_runtime_free(own);
  plugward_runtime_free(runtime);
  return destroyed == 0 ? 0 : 9;
}

/* Whether all other threads of this process sleep. */
static int all_sleep(void) {
  char path[64], line[512];
  int asleep = 1;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; tasks && (task = readdir(tasks));) {
    const int tid = atoi(task->d_name);
    if (tid <= 0 || tid == getpid()) continue;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *stat = fopen(path, "r");
    if (!stat) continue;
    const char *name_end = fgets(line, sizeof line, stat) ? strrchr(line, ')') : NULL;
    if (!name_end || name_end[2] != 'S') asleep = 0;
    fclose(stat);
  }
  if (tasks) closedir(tasks);
  return asleep;
}

int main(int argc, char **argv) {
  const int forks = argc > 1 ? atoi(argv[1]) : 20;
  const int busy_threads = argc > 2 ? 0 : 3;
  runtime = new_runtime();
  plugward_callbacks callbacks = {sizeof callbacks, 0, NULL, echo, NULL, on_end};
  CHECK(load(runtime, "{\"name\": \"thread\", \"kind\": \"host\", \"isolation\": \"thread\", \"tools\": [{\"id\": \"echo\"}]}",
             &callbacks, NULL) == PLUGWARD_STATE_INITIALIZED,
        "a plugin on threads");
  pthread_t threads[3];
  for (int n = 0; n < busy_threads; n++) pthread_create(&threads[n], NULL, busy, "thread");
  int bad = 0;
  for (int n = 0; n < forks; n++) {
    for (int look = 0; busy_threads == 0 && look < 6000 && !all_sleep(); look++) sleep_ms(10);
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) _exit(child());
    int status = -1;
    waitpid(pid, &status, 0);
    if (status != 0) {
      printf("          (the child ended with status 0x%x)\n", status);
      bad++;
    }
    sleep_ms(3);
  }
  stop = true;
  for (int n = 0; n < busy_threads; n++) pthread_join(threads[n], NULL);
  CHECK(bad == 0, "every child got PW-RT-002, made its own runtime, and ended");
  CHECK(call_code(runtime, "thread", "echo") == 0, "the parent goes on");
  plugward_runtime_free(runtime);
  for (int n = 0; n < 6000 && destroyed == 0; n++) sleep_ms(10);
  CHECK(destroyed == 1, "the parent's plugin is ended once, by the parent");
  return checks_done("fork");
}
