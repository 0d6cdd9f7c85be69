/* Whatever a host's callback does, inline and on a thread, is an outcome. */
#include "check.h"
#include <limits.h>

static plugward_runtime *runtime;

static bool is(const plugward_request *request, const char *tool) { return same(request->tool, tool); }

static plugward_status say(plugward_reply *reply, const char *type, const char *message) {
  return plugward_reply_error(reply, text(type), text(message)) + PLUGWARD_STATUS_ERROR;
}

static plugward_status huge(plugward_reply *reply) {
  const size_t size = 100u * 1000 * 1000;
  char *message = malloc(size);
  if (!message) return PLUGWARD_STATUS_ERROR;
  memset(message, 'x', size);
  const plugward_bytes bytes = {(const uint8_t *)message, size};
  plugward_reply_error(reply, text("Huge"), bytes);
  free(message);
  return PLUGWARD_STATUS_ERROR;
}

static plugward_status deep(plugward_reply *reply) {
  static char nest[200000];
  memset(nest, '[', sizeof nest / 2);
  memset(nest + sizeof nest / 2, ']', sizeof nest / 2);
  const plugward_bytes bytes = {(const uint8_t *)nest, sizeof nest};
  plugward_reply_json(reply, bytes);
  return PLUGWARD_STATUS_OK;
}

static plugward_status from_inside(const char *plugin, plugward_reply *reply) {
  plugward_reports *reports = NULL;
  const bool refused =
      raised(plugward_restart(runtime, text(plugin), &reports), PLUGWARD_CODE_RUNTIME_REENTRANT) &&
      raised(plugward_unload(runtime, text(plugin)), PLUGWARD_CODE_RUNTIME_REENTRANT);
  return plugward_reply_json(reply, text(refused ? "true" : "false"));
}

static plugward_status misuse(const plugward_request *request, plugward_reply *reply) {
  const plugward_bytes nothing = {NULL, 5};
  const bool fine = plugward_reply_json(NULL, text("1")) == PLUGWARD_STATUS_ERROR &&
                    plugward_reply_json(reply, nothing) == PLUGWARD_STATUS_ERROR &&
                    plugward_reply_error(NULL, nothing, nothing) == PLUGWARD_STATUS_ERROR &&
                    plugward_reply_tensor(NULL, NULL) == PLUGWARD_STATUS_ERROR &&
                    plugward_request_progress(NULL, 1, 2) == PLUGWARD_STATUS_ERROR &&
                    !plugward_request_should_stop(NULL) && !plugward_request_should_stop(request);
  return plugward_reply_json(reply, text(fine ? "true" : "false"));
}

static plugward_status act(void *user, const plugward_request *request, plugward_reply *reply) {
  const char *plugin = user;
  if (is(request, "fine")) return plugward_reply_json(reply, text("{\"x\": 1}"));
  if (is(request, "error")) return say(reply, "ValueError", "no");
  if (is(request, "silent")) return PLUGWARD_STATUS_ERROR;
  if (is(request, "garbage")) return 123456;
  if (is(request, "smallest")) return INT_MIN;
  if (is(request, "no_json")) return plugward_reply_json(reply, text("{")), PLUGWARD_STATUS_OK;
  if (is(request, "empty_json")) return plugward_reply_json(reply, text("")), PLUGWARD_STATUS_OK;
  if (is(request, "no_reply")) return PLUGWARD_STATUS_OK;
  if (is(request, "two"))
    return plugward_reply_json(reply, text("1")), plugward_reply_json(reply, text("2"));
  if (is(request, "huge")) return huge(reply);
  if (is(request, "deep")) return deep(reply);
  if (is(request, "bad_utf8")) return say(reply, "Bad\xff", "a\xc3(b");
  if (is(request, "input")) {
    say(reply, "InvalidInput", "no such file");
    return PLUGWARD_STATUS_INVALID_INPUT;
  }
  if (is(request, "cancelled")) return PLUGWARD_STATUS_CANCELLED;
  if (is(request, "inside")) return from_inside(plugin, reply);
  if (is(request, "misuse")) return misuse(request, reply);
  return say(reply, "LookupError", "no such tool");
}

static char label[128];
static const char *named(const char *mode, const char *what) {
  snprintf(label, sizeof label, "%s: %s", mode, what);
  return label;
}

static const char TOOLS[] =
    "{\"id\": \"fine\"}, {\"id\": \"error\"}, {\"id\": \"silent\"}, {\"id\": \"garbage\"}, "
    "{\"id\": \"smallest\"}, {\"id\": \"no_json\"}, {\"id\": \"empty_json\"}, {\"id\": \"no_reply\"}, "
    "{\"id\": \"two\"}, {\"id\": \"huge\"}, {\"id\": \"deep\"}, {\"id\": \"bad_utf8\"}, "
    "{\"id\": \"input\"}, {\"id\": \"cancelled\"}, {\"id\": \"inside\"}, {\"id\": \"misuse\"}";

static void results(const char *mode) {
  const char *const good[][2] = {{"fine", "{\"x\":1}"}, {"no_reply", "null"}, {"two", "2"},
                                 {"inside", "true"},    {"misuse", "true"}};
  for (size_t at = 0; at < sizeof good / sizeof *good; at++) {
    plugward_outcome *outcome = call_for(runtime, mode, good[at][0], "{}", 0);
    CHECK(same(plugward_outcome_result_json(outcome), good[at][1]), named(mode, good[at][0]));
    plugward_outcome_free(outcome);
  }
}

/* Errors that leave the plugin as it is. */
static void refusals(const char *mode) {
  const struct {
    const char *tool;
    uint32_t code;
  } cases[] = {{"no_json", PLUGWARD_CODE_CALL_UNSERIALIZABLE},
               {"empty_json", PLUGWARD_CODE_CALL_UNSERIALIZABLE},
               {"deep", PLUGWARD_CODE_CALL_UNSERIALIZABLE},
               {"input", PLUGWARD_CODE_CALL_REFUSED_INPUT},
               {"cancelled", PLUGWARD_CODE_CALL_CANCELLED}};
  for (size_t at = 0; at < sizeof cases / sizeof *cases; at++)
    CHECK(call_code(runtime, mode, cases[at].tool) == cases[at].code &&
              state_of(runtime, mode) == PLUGWARD_STATE_INITIALIZED,
          named(mode, cases[at].tool));
}

/* Errors that end the generation. */
static void faults(const char *mode) {
  const struct {
    const char *tool, *type, *message;
  } cases[] = {{"error", "ValueError", "no"},
               {"silent", "PluginError", "status 1"},
               {"garbage", "PluginError", "status 123456"},
               {"smallest", "PluginError", "status -2147483648"},
               {"bad_utf8", "Bad\xef\xbf\xbd", "(b"},
               {"huge", "Huge", "100000000 bytes in all"}};
  for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
    plugward_outcome *outcome = call_for(runtime, mode, cases[at].tool, "{}", 0);
    const plugward_error *error = plugward_outcome_error(outcome);
    CHECK(plugward_error_code(error) == PLUGWARD_CODE_CALL_PLUGIN_ERROR &&
              same(plugward_error_type(error), cases[at].type) &&
              contains(plugward_error_message(error), cases[at].message) &&
              plugward_error_message(error).len < 70000 &&
              plugward_outcome_effect(outcome) == PLUGWARD_EFFECT_STOPPED,
          named(mode, cases[at].tool));
    plugward_outcome_free(outcome);
    CHECK(state_of(runtime, mode) == PLUGWARD_STATE_FAILED &&
              call_code(runtime, mode, "fine") == PLUGWARD_CODE_CALL_PLUGIN_FAILED,
          named(mode, "FAILED, and not entered again"));
    CHECK(restart(runtime, mode) && call_code(runtime, mode, "fine") == 0,
          named(mode, "the next generation works"));
  }
}

static plugward_status nest(void *user, const plugward_request *request, plugward_reply *reply) {
  (void)user;
  (void)request;
  const uint32_t code = call_code(runtime, "nest", "again");
  char answer[32];
  snprintf(answer, sizeof answer, "%u", code);
  if (code == PLUGWARD_CODE_CALL_NESTED) say(reply, "Nested", answer);
  return code == 0 ? plugward_reply_json(reply, text("0")) : PLUGWARD_STATUS_INVALID_INPUT;
}

static plugward_status unfit(void *user, plugward_reply *reply) {
  (void)user;
  return say(reply, "ConfigError", "no model");
}

static plugward_status suicide(void *user, const plugward_request *request, plugward_reply *reply) {
  (void)request;
  plugward_runtime_free(user);
  return plugward_reply_json(reply, text("1"));
}

int main(void) {
  runtime = new_runtime();
  CHECK(load_host(runtime, "inline", "\"isolation\": \"inline\",", TOOLS, act, "inline"), "inline");
  CHECK(load_host(runtime, "thread", "\"isolation\": \"thread\",", TOOLS, act, "thread"), "thread");
  const char *const modes[] = {"inline", "thread"};
  for (size_t at = 0; at < 2; at++) {
    results(modes[at]);
    refusals(modes[at]);
    faults(modes[at]);
  }
  CHECK(load_host(runtime, "nest", "\"isolation\": \"inline\",", "{\"id\": \"again\"}", nest, NULL), "nest");
  CHECK(call_code(runtime, "nest", "again") == PLUGWARD_CODE_CALL_REFUSED_INPUT &&
            health_says(runtime, "nest", "\"in_flight\":0"),
        "a plugin that calls itself without end is stopped");
  plugward_callbacks callbacks = {sizeof callbacks, 0, NULL, act, unfit, NULL};
  uint32_t code = 0;
  CHECK(load(runtime, "{\"name\": \"unfit\", \"kind\": \"host\"}", &callbacks, &code) == PLUGWARD_STATE_FAILED &&
            code == PLUGWARD_CODE_LOAD_VALIDATE && health_says(runtime, "unfit", "no model"),
        "validate's own words are the reason");
  plugward_runtime_free(runtime);
  plugward_runtime *other = new_runtime();
  CHECK(load_host(other, "suicide", "", "{\"id\": \"now\"}", suicide, other), "suicide");
  CHECK(call_code(other, "suicide", "now") == PLUGWARD_CODE_LIFECYCLE_STALE,
        "a plugin that frees its own runtime only loses its answer");
  return checks_done("faults");
}
