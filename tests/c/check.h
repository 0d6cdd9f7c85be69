/* A line per check, a count at the end, and short words for what every program needs. */
#ifndef PLUGWARD_TESTS_CHECK_H
#define PLUGWARD_TESTS_CHECK_H

#include "plugward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int checks_passed, checks_failed;

static inline bool check_(bool ok, const char *what, const char *file, int line) {
  if (ok) {
    checks_passed++;
    printf("  ok      %s\n", what);
  } else {
    checks_failed++;
    printf("  FAILED  %s (%s:%d)\n", what, file, line);
  }
  fflush(stdout);
  return ok;
}
#define CHECK(ok, what) check_((ok), (what), __FILE__, __LINE__)

/* Ends a program: its line of counts, and its exit status. */
static inline int checks_done(const char *program) {
  printf("%s: %d passed, %d failed\n", program, checks_passed, checks_failed);
  return checks_failed != 0;
}

static inline plugward_bytes text(const char *s) {
  plugward_bytes out;
  out.data = (const uint8_t *)s;
  out.len = strlen(s);
  return out;
}

static inline bool same(plugward_bytes a, const char *b) {
  return a.len == strlen(b) && (a.len == 0 || memcmp(a.data, b, a.len) == 0);
}

static inline bool contains(plugward_bytes a, const char *b) {
  const size_t n = strlen(b);
  for (size_t at = 0; at + n <= a.len; at++)
    if (memcmp(a.data + at, b, n) == 0) return true;
  return false;
}

/* Whether `error` has that number; frees it. */
static inline bool raised(plugward_error *error, uint32_t code) {
  const uint32_t seen = plugward_error_code(error);
  if (seen != code)
    printf("          (error %u, wanted %u: %.*s)\n", seen, code,
           PLUGWARD_ARG(plugward_error_message(error)));
  plugward_error_free(error);
  return seen == code;
}
#define FINE(error) raised((error), 0)

static inline plugward_runtime *new_runtime(void) {
  plugward_runtime *runtime = NULL;
  if (!FINE(plugward_runtime_new(NULL, &runtime))) exit(3);
  return runtime;
}

/* Loads a manifest; the state of its plugin. With `code`, the number of the report's error. */
static inline plugward_state load(plugward_runtime *runtime, const char *manifest,
                                  const plugward_callbacks *callbacks, uint32_t *code) {
  plugward_reports *reports = NULL;
  if (!FINE(plugward_load_manifest(runtime, text(manifest), callbacks, &reports)))
    return PLUGWARD_STATE_NONE;
  const plugward_state state = plugward_reports_state(reports, 0);
  if (code) *code = plugward_error_code(plugward_reports_error(reports, 0));
  plugward_reports_free(reports);
  return state;
}

/* A host plugin of one function, with the tools that `tools` lists as JSON. */
static inline bool load_host(plugward_runtime *runtime, const char *name, const char *members,
                             const char *tools, plugward_call_fn call, void *user) {
  char manifest[2048];
  snprintf(manifest, sizeof manifest, "{\"name\": \"%s\", \"kind\": \"host\", %s \"tools\": [%s]}", name,
           members, tools);
  plugward_callbacks callbacks = {sizeof callbacks, 0, user, call, NULL, NULL};
  return load(runtime, manifest, &callbacks, NULL) == PLUGWARD_STATE_INITIALIZED;
}

/* A call without arguments. The caller frees the outcome. */
static inline plugward_outcome *call_for(plugward_runtime *runtime, const char *plugin,
                                         const char *tool, const char *args, uint64_t deadline_ms) {
  plugward_call_options options = {sizeof options, 0, deadline_ms, NULL, 0, NULL, NULL};
  plugward_outcome *outcome = NULL;
  FINE(plugward_call(runtime, text(plugin), text(tool), text(args), &options, &outcome));
  return outcome;
}

/* Calls once and answers the number of the error, 0 for a result. */
static inline uint32_t call_code(plugward_runtime *runtime, const char *plugin, const char *tool) {
  plugward_outcome *outcome = call_for(runtime, plugin, tool, "{}", 0);
  const uint32_t code = plugward_error_code(plugward_outcome_error(outcome));
  plugward_outcome_free(outcome);
  return code;
}

static inline bool restart(plugward_runtime *runtime, const char *plugin) {
  plugward_reports *reports = NULL;
  const bool ok = FINE(plugward_restart(runtime, text(plugin), &reports)) &&
                  plugward_reports_failed(reports) == 0;
  plugward_reports_free(reports);
  return ok;
}

static inline plugward_state state_of(plugward_runtime *runtime, const char *plugin) {
  plugward_state state = PLUGWARD_STATE_NONE;
  plugward_error_free(plugward_plugin_state(runtime, text(plugin), &state, NULL, NULL));
  return state;
}

/* Whether a plugin's health contains `what`, waiting for it at most a minute. */
static inline bool health_says(plugward_runtime *runtime, const char *plugin, const char *what) {
  for (int tries = 0; tries < 6000; tries++) {
    plugward_string *health = NULL;
    if (!FINE(plugward_health_plugin_json(runtime, text(plugin), &health))) return false;
    const bool found = contains(plugward_string_bytes(health), what);
    if (!found && tries == 5999)
      printf("          (%.*s)\n", PLUGWARD_ARG(plugward_string_bytes(health)));
    plugward_string_free(health);
    if (found) return true;
    struct timespec nap = {0, 10 * 1000 * 1000};
    nanosleep(&nap, NULL);
  }
  return false;
}

static inline double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline void sleep_ms(long ms) {
  struct timespec nap = {ms / 1000, (ms % 1000) * 1000000};
  nanosleep(&nap, NULL);
}

#endif
