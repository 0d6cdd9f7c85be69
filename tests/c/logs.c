/* The log callback: what it gets, on which thread, and that a blocking one delays nobody. */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static atomic_int seen, own_thread, with_code, reentered, ended, blocked_calls;
static pthread_t main_thread;
static sem_t gate;

static plugward_status fail(void *user, const plugward_request *request, plugward_reply *reply) {
  (void)user;
  (void)request;
  plugward_reply_error(reply, text("ValueError"), text("no"));
  return PLUGWARD_STATUS_ERROR;
}

static void on_record(void *user, const plugward_log_record *record) {
  seen++;
  if (pthread_equal(pthread_self(), main_thread) == 0) own_thread++;
  if (record->struct_size >= sizeof *record && record->code == PLUGWARD_CODE_CALL_PLUGIN_ERROR &&
      record->level == PLUGWARD_LOG_ERROR && same(record->plugin, "bad") && record->unix_ms > 0 &&
      contains(record->message, "ValueError"))
    with_code++;
  plugward_string *health = NULL;
  if (FINE(plugward_health_json(user, &health))) reentered++;
  plugward_string_free(health);
}

static void blocks(void *user, const plugward_log_record *record) {
  (void)user;
  (void)record;
  blocked_calls++;
  while (sem_wait(&gate) != 0) {}
}

static void on_end(void *user) {
  (void)user;
  ended++;
}

static void listens(void) {
  plugward_runtime *runtime = new_runtime();
  CHECK(FINE(plugward_log_set_callback(runtime, on_record, runtime, on_end)), "set a log callback");
  CHECK(load_host(runtime, "bad", "", "{\"id\": \"t\"}", fail, NULL), "a plugin that fails");
  call_code(runtime, "bad", "t");
  CHECK(plugward_log_flush(runtime, 60000), "flush");
  CHECK(with_code == 1, "the fault is one record, with level, plugin, code and time");
  CHECK(own_thread == seen && seen > 0, "records arrive on the log thread");
  CHECK(reentered == seen, "the callback may ask for health");
  CHECK(FINE(plugward_log_set_callback(runtime, NULL, NULL, NULL)), "take the callback away");
  const int before = seen;
  plugward_error_free(plugward_log_write(runtime, PLUGWARD_LOG_INFO, text(""), text("unheard")));
  CHECK(plugward_log_flush(runtime, 60000) && seen == before && ended == 1, "it is ended once, and hears no more");
  plugward_runtime_free(runtime);
}

static void hangs(void) {
  ended = 0;
  plugward_runtime_options options = {sizeof options, 4, 0, 0, 0, 100, 0};
  plugward_runtime *runtime = NULL;
  CHECK(FINE(plugward_runtime_new(&options, &runtime)), "a runtime with a queue of 4 records");
  CHECK(FINE(plugward_log_set_callback(runtime, blocks, NULL, on_end)), "a log callback that blocks");
  CHECK(load_host(runtime, "bad", "\"fails_on\": \"crash\",", "{\"id\": \"t\"}", fail, NULL), "a plugin that fails");
  const double since = now_ms();
  for (int n = 0; n < 15; n++) call_code(runtime, "bad", "t");
  CHECK(now_ms() - since < 60000, "calls are not delayed");
  plugward_string *summary = NULL;
  CHECK(FINE(plugward_health_summary_json(runtime, &summary)) &&
            !contains(plugward_string_bytes(summary), "\"dropped\":0,"),
        "records that did not fit are counted");
  plugward_string_free(summary);
  CHECK(!plugward_log_flush(runtime, 10), "flush says that the callback has not had everything");
  plugward_runtime_free(runtime);
  CHECK(now_ms() - since < 60000, "free does not wait for the callback");
  CHECK(ended == 0, "the callback's user pointer is still in use");
  for (int n = 0; n < 64; n++) sem_post(&gate);
  for (int n = 0; n < 6000 && ended == 0; n++) sleep_ms(10);
  CHECK(ended == 1 && blocked_calls > 0, "and is ended once the callback is back");
}

int main(void) {
  main_thread = pthread_self();
  sem_init(&gate, 0, 0);
  listens();
  hangs();
  return checks_done("logs");
}
