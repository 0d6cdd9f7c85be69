/* A plugin that does not come back: the caller is, at its deadline. */
#include "check.h"
#include <semaphore.h>

static sem_t gate;
static int stops_seen;

static plugward_status act(void *user, const plugward_request *request, plugward_reply *reply) {
  (void)user;
  if (same(request->tool, "hang")) {
    while (sem_wait(&gate) != 0) {}
    if (plugward_request_should_stop(request)) stops_seen++;
  }
  if (same(request->tool, "slow")) sleep_ms(1500);
  if (same(request->tool, "polite")) {
    for (int n = 0; n < 20000 && !plugward_request_should_stop(request); n++) sleep_ms(5);
    if (plugward_request_should_stop(request)) return PLUGWARD_STATUS_CANCELLED;
  }
  if (same(request->tool, "counts")) {
    for (uint64_t n = 1; n <= 1000; n++)
      if (plugward_request_progress(request, n, 1000) != PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_CANCELLED;
  }
  return plugward_reply_json(reply, text("\"done\""));
}

static int32_t until_three(void *user, uint64_t current, uint64_t total) {
  *(uint64_t *)user = current;
  return total == 1000 && current < 3;
}

static const char TOOLS[] = "{\"id\": \"hang\"}, {\"id\": \"slow\"}, {\"id\": \"polite\"}, {\"id\": \"counts\"}";

static void on_a_thread(plugward_runtime *runtime) {
  const double since = now_ms();
  plugward_outcome *outcome = call_for(runtime, "thread", "hang", "{}", 1000);
  const double took = now_ms() - since;
  const plugward_error *error = plugward_outcome_error(outcome);
  CHECK(plugward_error_code(error) == PLUGWARD_CODE_CALL_DEADLINE, "thread: a hang is PW-CALL-005");
  CHECK(took >= 999 && took < 60000, "thread: the caller is back at its deadline");
  CHECK(plugward_outcome_effect(outcome) == PLUGWARD_EFFECT_MAY_HAVE_RUN, "thread: it may have run");
  CHECK(contains(plugward_error_message(error), "abandoned"), "thread: the answer says what became of it");
  CHECK(plugward_error_http_status(error) == 504, "thread: HTTP 504");
  plugward_outcome_free(outcome);
  CHECK(health_says(runtime, "thread", "\"abandoned_threads\":1"), "thread: health names the abandoned thread");
  CHECK(state_of(runtime, "thread") == PLUGWARD_STATE_FAILED, "thread: the plugin is FAILED");
  CHECK(restart(runtime, "thread"), "thread: it can be restarted while the old call hangs");
  CHECK(health_says(runtime, "thread", "\"abandoned_threads\":1"), "thread: health still names it");
  CHECK(call_code(runtime, "thread", "slow") == 0, "thread: the next generation works");
  sem_post(&gate);
  CHECK(health_says(runtime, "thread", "\"late_results\":1"), "thread: the late result is counted");
  CHECK(health_says(runtime, "thread", "\"abandoned_threads\":0"), "thread: the thread is given back");
  CHECK(stops_seen == 1, "thread: should_stop told it");
  CHECK(health_says(runtime, "thread", "\"success_count\":1,\"error_count\":1"), "thread: the late result is refused");
}

static void on_the_caller(plugward_runtime *runtime) {
  plugward_outcome *outcome = call_for(runtime, "inline", "slow", "{}", 1000);
  const plugward_error *error = plugward_outcome_error(outcome);
  CHECK(plugward_error_code(error) == PLUGWARD_CODE_CALL_DEADLINE &&
            contains(plugward_error_message(error), "late") &&
            plugward_outcome_effect(outcome) == PLUGWARD_EFFECT_COMPLETED,
        "inline: a late result is refused, and the answer says so");
  plugward_outcome_free(outcome);
  CHECK(restart(runtime, "inline"), "inline: restart");
  outcome = call_for(runtime, "inline", "polite", "{}", 1000);
  error = plugward_outcome_error(outcome);
  CHECK(plugward_error_code(error) == PLUGWARD_CODE_CALL_DEADLINE &&
            plugward_outcome_effect(outcome) == PLUGWARD_EFFECT_STOPPED,
        "inline: code that looks at should_stop is stopped at its deadline");
  plugward_outcome_free(outcome);
  CHECK(restart(runtime, "inline"), "inline: restart again");
}

static void with_progress(plugward_runtime *runtime, const char *plugin) {
  uint64_t last = 0;
  plugward_call_options options = {sizeof options, 0, 0, NULL, 0, until_three, &last};
  plugward_outcome *outcome = NULL;
  CHECK(FINE(plugward_call(runtime, text(plugin), text("counts"), text(""), &options, &outcome)) &&
            plugward_error_code(plugward_outcome_error(outcome)) == PLUGWARD_CODE_CALL_CANCELLED && last >= 3,
        "progress arrives, and its answer 0 cancels the call");
  plugward_outcome_free(outcome);
}

int main(void) {
  sem_init(&gate, 0, 0);
  plugward_runtime *runtime = new_runtime();
  CHECK(load_host(runtime, "thread", "\"isolation\": \"thread\",", TOOLS, act, NULL), "thread");
  CHECK(load_host(runtime, "inline", "\"isolation\": \"inline\",", TOOLS, act, NULL), "inline");
  with_progress(runtime, "inline");
  with_progress(runtime, "thread");
  CHECK(FINE(plugward_unload(runtime, text("thread"))) &&
            load_host(runtime, "thread", "\"isolation\": \"thread\",", TOOLS, act, NULL),
        "a fresh plugin under the old name");
  on_a_thread(runtime);
  on_the_caller(runtime);
  /* A runtime that is freed while a thread hangs: free returns, destroy follows the return. */
  plugward_outcome_free(call_for(runtime, "thread", "hang", "{}", 1000));
  const double since = now_ms();
  plugward_runtime_free(runtime);
  CHECK(now_ms() - since < 60000, "free does not wait for a hanging plugin");
  sem_post(&gate);
  sleep_ms(1000);
  return checks_done("hang");
}
