#include "fixture.h"
#include "check.h"
#include "json.h"

#include <stdatomic.h>

static atomic_int loaded, ended;

/* Answers with an error of that type and message. */
static plugward_status fail(plugward_reply *reply, const char *kind, const char *message, plugward_status status) {
  plugward_reply_error(reply, text(kind), text(message));
  return status;
}

/* A text among the arguments; empty where there is none. */
static char *argument(const plugward_request *request, const char *key) {
  char *args = json_copy(request->args);
  char *value = json_member(args, key);
  char *out = value ? json_text(value) : NULL;
  free(value);
  free(args);
  return out ? out : json_copy(text(""));
}

static plugward_status raise_error(const plugward_request *request, plugward_reply *reply) {
  char *type = argument(request, "type"), *message = argument(request, "message");
  const plugward_status status = fail(reply, type, message, PLUGWARD_STATUS_ERROR);
  free(type);
  free(message);
  return status;
}

static plugward_status refuse(const plugward_request *request, plugward_reply *reply) {
  char *message = argument(request, "message");
  const plugward_status status = fail(reply, "InvalidInput", message, PLUGWARD_STATUS_INVALID_INPUT);
  free(message);
  return status;
}

/* Never looks at plugward_request_should_stop. */
static plugward_status hang(plugward_reply *reply) {
  const double until = now_ms() + 4000;
  while (now_ms() < until) sleep_ms(20);
  return plugward_reply_json(reply, text("\"late\""));
}

static plugward_status act(void *user, const plugward_request *request, plugward_reply *reply) {
  if (*(const char *)user != 'u') return fail(reply, "TestError", "the fixture has another user", PLUGWARD_STATUS_ERROR);
  if (same(request->tool, "echo")) return plugward_reply_json(reply, request->args);
  if (same(request->tool, "text")) return plugward_reply_json(reply, text("\"text\""));
  if (same(request->tool, "raise")) return raise_error(request, reply);
  if (same(request->tool, "refuse")) return refuse(request, reply);
  if (same(request->tool, "hang")) return hang(reply);
  return fail(reply, "TestError", "the fixture has no such tool", PLUGWARD_STATUS_ERROR);
}

static void end(void *user) {
  free(user);
  ended++;
}

plugward_error *fixture_load(const plugward_runtime *runtime, plugward_bytes manifest, plugward_reports **out) {
  char *user = json_copy(text("u"));
  const plugward_callbacks callbacks = {sizeof callbacks, 0, user, act, NULL, end};
  plugward_error *error = plugward_load_manifest(runtime, manifest, &callbacks, out);
  if (error) free(user);
  else loaded++;
  return error;
}

bool fixture_all_ended(void) { return loaded == ended; }
