/* One runtime, many threads: callers, health readers, writers. Run with a number to make it shorter. */
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>

enum { CALLERS = 12, READERS = 4, WRITERS = 2 };

static plugward_runtime *runtime;
static int rounds = 400;
static atomic_long good, stale, refused, wrong, reads, torn, callers_left;

static plugward_status echo(void *user, const plugward_request *request, plugward_reply *reply) {
  atomic_fetch_add((atomic_long *)user, 1);
  return plugward_reply_json(reply, request->args);
}

static void *caller(void *number) {
  char args[64], want[64];
  for (int n = 0; n < rounds; n++) {
    const char *plugin = n % 2 ? "inline" : "thread";
    snprintf(args, sizeof args, "{\"n\":%ld}", (long)(intptr_t)number * 1000000 + n);
    snprintf(want, sizeof want, "%s", args);
    plugward_outcome *outcome = call_for(runtime, n % 5 ? plugin : "restarted", "echo", args, 60000);
    switch (plugward_error_code(plugward_outcome_error(outcome))) {
    case 0: atomic_fetch_add(same(plugward_outcome_result_json(outcome), want) ? &good : &wrong, 1); break;
    case PLUGWARD_CODE_LIFECYCLE_STALE: atomic_fetch_add(&stale, 1); break;
    case PLUGWARD_CODE_CALL_CANCELLED:
    case PLUGWARD_CODE_CALL_NOT_READY: atomic_fetch_add(&refused, 1); break;
    default:
      printf("          (%.*s)\n", PLUGWARD_ARG(plugward_outcome_json(outcome)));
      atomic_fetch_add(&wrong, 1);
    }
    plugward_outcome_free(outcome);
  }
  atomic_fetch_sub(&callers_left, 1);
  return NULL;
}

static void *reader(void *unused) {
  while (atomic_load(&callers_left) > 0) {
    plugward_string *health = NULL, *metrics = NULL;
    plugward_state state = 0;
    uint32_t in_flight = 0;
    plugward_error_free(plugward_health_json(runtime, &health));
    plugward_error_free(plugward_metrics_text(runtime, &metrics));
    plugward_error_free(plugward_plugin_state(runtime, text("inline"), &state, NULL, &in_flight));
    if ((state == PLUGWARD_STATE_RUNNING) != (in_flight > 0)) atomic_fetch_add(&torn, 1);
    if (!contains(plugward_string_bytes(health), "\"name\":\"thread\"")) atomic_fetch_add(&torn, 1);
    plugward_string_free(health);
    plugward_string_free(metrics);
    atomic_fetch_add(&reads, 1);
  }
  return unused;
}

static void *writer(void *number) {
  char name[32];
  while (atomic_load(&callers_left) > 0) {
    snprintf(name, sizeof name, "own%ld", (long)(intptr_t)number);
    plugward_error_free(plugward_register(runtime, text(name), text(""), text("")));
    plugward_error_free(plugward_unload(runtime, text(name)));
    if (number == NULL) restart(runtime, "restarted");
    sleep_ms(1);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc > 1) rounds = atoi(argv[1]);
  pthread_t threads[CALLERS + READERS + WRITERS];
  atomic_long inline_runs = 0, thread_runs = 0, restarted_runs = 0;
  runtime = new_runtime();
  CHECK(load_host(runtime, "inline", "\"isolation\": \"inline\",", "{\"id\": \"echo\"}", echo, &inline_runs), "inline");
  CHECK(load_host(runtime, "thread", "\"isolation\": \"thread\",", "{\"id\": \"echo\"}", echo, &thread_runs), "thread");
  CHECK(load_host(runtime, "restarted", "\"isolation\": \"thread\",", "{\"id\": \"echo\"}", echo, &restarted_runs),
        "restarted");
  callers_left = CALLERS;
  int count = 0;
  for (intptr_t n = 0; n < CALLERS; n++) pthread_create(&threads[count++], NULL, caller, (void *)n);
  for (intptr_t n = 0; n < READERS; n++) pthread_create(&threads[count++], NULL, reader, NULL);
  for (intptr_t n = 0; n < WRITERS; n++) pthread_create(&threads[count++], NULL, writer, (void *)n);
  for (int n = 0; n < count; n++) pthread_join(threads[n], NULL);
  printf("          (%ld good, %ld stale, %ld refused, %ld reads)\n", good, stale, refused, reads);
  CHECK(wrong == 0, "every caller got its own answer or a clear refusal");
  CHECK(good + stale + refused == (long)CALLERS * rounds, "no call was lost");
  CHECK(inline_runs + thread_runs == (long)CALLERS * (rounds - (rounds + 4) / 5), "every call ran once");
  CHECK(torn == 0 && reads > 0, "state and in-flight count are of one moment, health is whole");
  CHECK(health_says(runtime, "inline", "\"in_flight\":0") && health_says(runtime, "thread", "\"in_flight\":0"),
        "nothing is left in flight");
  plugward_runtime_free(runtime);
  return checks_done("threads");
}
