/* A C host that survives its plugins: one works, one hangs, one breaks its word. */
#include <plugward.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static plugward_bytes text(const char *s) {
  plugward_bytes out = {(const uint8_t *)s, strlen(s)};
  return out;
}

static void must(plugward_error *error) {
  if (!error) return;
  fprintf(stderr, "%.*s\n", PLUGWARD_ARG(plugward_error_message(error)));
  exit(1);
}

/* The plugins' code: counts the words of {"text": "..."}, hangs, or answers something that is no JSON. */
static plugward_status run(void *user, const plugward_request *request, plugward_reply *reply) {
  if (strcmp(user, "hanger") == 0)
    while (!plugward_request_should_stop(request)) usleep(1000);
  if (strcmp(user, "liar") == 0) return plugward_reply_json(reply, text("{\"words\": ")), PLUGWARD_STATUS_OK;
  unsigned words = 0;
  for (size_t at = 1; at < request->args.len; at++)
    words += request->args.data[at - 1] == ' ' && request->args.data[at] != ' ';
  char json[32];
  snprintf(json, sizeof json, "{\"words\": %u}", words);
  return plugward_reply_json(reply, text(json));
}

static void call(plugward_runtime *runtime, const char *plugin) {
  plugward_call_options options = {.struct_size = sizeof options, .deadline_ms = 200};
  plugward_outcome *outcome = NULL;
  must(plugward_call(runtime, text(plugin), text("count"), text("{\"text\": \"to be or not\"}"), &options, &outcome));
  if (plugward_outcome_ok(outcome))
    printf("%-6s -> %.*s\n", plugin, PLUGWARD_ARG(plugward_outcome_result_json(outcome)));
  else
    printf("%-6s -> %.*s\n", plugin, PLUGWARD_ARG(plugward_error_code_text(plugward_outcome_error(outcome))));
  plugward_outcome_free(outcome);
}

int main(void) {
  must(PLUGWARD_CHECK_VERSION());
  plugward_runtime *runtime = NULL;
  must(plugward_runtime_new(NULL, &runtime));
  char *const names[] = {"worker", "hanger", "liar"};
  for (int at = 0; at < 3; at++) {
    char manifest[128];
    snprintf(manifest, sizeof manifest, "name = '%s'\nkind = 'host'\nisolation = 'thread'\ntools = [{id = 'count'}]", names[at]);
    plugward_callbacks callbacks = {.struct_size = sizeof callbacks, .user = names[at], .call = run};
    plugward_reports *reports = NULL;
    must(plugward_load_manifest(runtime, text(manifest), &callbacks, &reports));
    plugward_reports_free(reports);
  }
  for (int at = 0; at < 3; at++) call(runtime, names[at]);
  for (int at = 0; at < 3; at++) {
    plugward_state state = PLUGWARD_STATE_NONE;
    must(plugward_plugin_state(runtime, text(names[at]), &state, NULL, NULL));
    printf("%-6s is %.*s\n", names[at], PLUGWARD_ARG(plugward_state_name(state)));
  }
  plugward_runtime_free(runtime);
  return 0;
}
