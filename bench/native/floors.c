/* What no call of another process can be faster than: a futex or a pipe there and back, and one memcpy. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Atomic uint32_t *word;
static int there[2], back[2];

static void wait_while(uint32_t seen) {
  while (atomic_load(word) == seen) syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void turn(uint32_t to) {
  atomic_store(word, to);
  syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void child(void (*serve)(void)) {
  const pid_t parent = getpid();
  if (fork() != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == parent) serve();
  _exit(0);
}

static void answer_futex(void) {
  for (;;) {
    wait_while(0);
    turn(0);
  }
}

static void answer_pipe(void) {
  char byte;
  while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) continue;
}

/* Starts the two processes that answer. */
int floors_start(void) {
  word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (word == MAP_FAILED || pipe(there) != 0 || pipe(back) != 0) return errno;
  child(answer_futex);
  child(answer_pipe);
  return 0;
}

/* Seconds for `number` turns of a futex word. */
double floors_futex(long number) {
  const double since = now();
  for (long n = 0; n < number; n++) {
    turn(1);
    wait_while(1);
  }
  return now() - since;
}

/* Seconds for `number` bytes there and back. */
double floors_pipe(long number) {
  char byte = 1;
  const double since = now();
  for (long n = 0; n < number; n++)
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) return -1;
  return now() - since;
}

/* Seconds for `number` copies of `size` bytes. */
double floors_memcpy(void *to, const void *from, size_t size, long number) {
  const double since = now();
  for (long n = 0; n < number; n++) {
    memcpy(to, from, size);
    __asm__ volatile("" : : "r"(to) : "memory");
  }
  return now() - since;
}
