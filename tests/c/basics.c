/* Every function once, used as the header says. */
#include "check.h"

static plugward_status echo(void *user, const plugward_request *request, plugward_reply *reply) {
  (void)user;
  return plugward_reply_json(reply, request->args);
}

static void version(void) {
  CHECK(plugward_version() == PLUGWARD_VERSION, "library and header have one version");
  CHECK(same(plugward_version_text(), "0.1.0"), "the version as text");
  CHECK(PLUGWARD_CHECK_VERSION() == NULL, "the header's version is accepted");
  plugward_error *error = plugward_version_check(99, 0);
  CHECK(contains(plugward_error_message(error), "99.0"), "the message names the program's version");
  CHECK(raised(error, PLUGWARD_CODE_ABI_VERSION), "another major version is PW-ABI-004");
}

static void errors(void) {
  plugward_error *error = plugward_version_check(99, 0);
  CHECK(same(plugward_error_code_text(error), "PW-ABI-004"), "an error has its printed code");
  CHECK(same(plugward_error_type(error), "VersionMismatch"), "an error has its type");
  CHECK(plugward_error_cause(error).len > 0, "an error has a cause");
  CHECK(plugward_error_remedy(error).len > 0, "an error has a remedy");
  CHECK(plugward_error_traceback(error).len == 0, "no traceback is the empty text");
  CHECK(plugward_error_http_status(error) == 400, "an error has an HTTP status");
  CHECK(!plugward_error_retryable(error), "an error says whether a retry helps");
  CHECK(contains(plugward_error_json(error), "\"code\":\"PW-ABI-004\""), "an error as JSON");
  plugward_error_free(error);
  size_t told = 0;
  const size_t count = plugward_code_count();
  for (size_t at = 0; at < count; at++) {
    const uint32_t code = plugward_code_at(at);
    told += plugward_code_text(code).len > 0 && plugward_code_type(code).len > 0 &&
            plugward_code_message(code).len > 0 && plugward_code_cause(code).len > 0 &&
            plugward_code_remedy(code).len > 0 && plugward_code_http_status(code) >= 400;
  }
  CHECK(count > 50 && told == count, "the catalogue describes every code");
  CHECK(same(plugward_code_text(PLUGWARD_CODE_GPU_NO_DRIVER), "PW-GPU-001"), "a code by number");
  CHECK(plugward_code_text(1).len == 0 && plugward_code_at(count) == 0, "unknown codes are empty");
}

static void calls(plugward_runtime *runtime) {
  plugward_outcome *outcome = call_for(runtime, "echo", "say", "{\"x\": 1}", 0);
  CHECK(plugward_outcome_ok(outcome), "a call that answers is ok");
  CHECK(same(plugward_outcome_result_json(outcome), "{\"x\":1}"), "the result as JSON");
  CHECK(contains(plugward_outcome_json(outcome), "\"ok\":true"), "the whole answer as JSON");
  CHECK(plugward_outcome_error(outcome) == NULL, "a result has no error");
  CHECK(plugward_outcome_effect(outcome) == PLUGWARD_EFFECT_COMPLETED, "its effect is completed");
  CHECK(plugward_outcome_elapsed_ms(outcome) > 0, "a call takes time");
  CHECK(plugward_outcome_generation(outcome) == 1, "the generation is the first");
  CHECK(plugward_outcome_call_id(outcome) > 0, "a call has a number");
  CHECK(plugward_outcome_tensor_count(outcome) == 0, "no tensors");
  plugward_outcome_free(outcome);
  outcome = call_for(runtime, "ecko", "say", "", 0);
  const plugward_error *error = plugward_outcome_error(outcome);
  CHECK(plugward_error_code(error) == PLUGWARD_CODE_REGISTRY_UNKNOWN_PLUGIN, "an unknown plugin");
  CHECK(contains(plugward_error_message(error), "\"echo\""), "the nearest name is told");
  CHECK(plugward_outcome_effect(outcome) == PLUGWARD_EFFECT_NOT_STARTED, "nothing was started");
  plugward_outcome_free(outcome);
  CHECK(call_code(runtime, "echo", "shout") == PLUGWARD_CODE_REGISTRY_UNKNOWN_TOOL,
        "an unknown tool");
  outcome = call_for(runtime, "strict", "say", "{\"n\": \"x\"}", 0);
  error = plugward_outcome_error(outcome);
  CHECK(plugward_error_code(error) == PLUGWARD_CODE_CALL_INVALID_INPUT, "input is validated");
  CHECK(contains(plugward_error_message(error), "/n"), "the place is told");
  plugward_outcome_free(outcome);
  CHECK(state_of(runtime, "strict") == PLUGWARD_STATE_INITIALIZED, "bad input is no fault");
  plugward_outcome *none = NULL;
  CHECK(raised(plugward_call(runtime, text("echo"), text("say"), text("{"), NULL, &none),
               PLUGWARD_CODE_ABI_JSON) && none == NULL,
        "arguments that are no JSON are PW-ABI-005");
}

static void views(plugward_runtime *runtime) {
  plugward_string *out = NULL;
  CHECK(FINE(plugward_health_json(runtime, &out)) && contains(plugward_string_bytes(out), "\"name\":\"echo\""),
        "health lists the plugin");
  plugward_string_free(out);
  CHECK(FINE(plugward_health_plugin_json(runtime, text("echo"), &out)) &&
            contains(plugward_string_bytes(out), "\"state\":\"INITIALIZED\""),
        "health of one plugin");
  plugward_string_free(out);
  CHECK(raised(plugward_health_plugin_json(runtime, text("nobody"), &out),
               PLUGWARD_CODE_REGISTRY_UNKNOWN_PLUGIN) && out == NULL,
        "health of nobody is PW-REG-001, and out is zeroed");
  CHECK(FINE(plugward_health_summary_json(runtime, &out)) && contains(plugward_string_bytes(out), "\"ready\":true"),
        "the summary is ready");
  plugward_string_free(out);
  CHECK(plugward_health_ready(runtime), "the runtime is ready");
  CHECK(FINE(plugward_metrics_text(runtime, &out)) && contains(plugward_string_bytes(out), "# EOF"),
        "metrics are OpenMetrics text");
  plugward_string_free(out);
  CHECK(FINE(plugward_log_write(runtime, PLUGWARD_LOG_WARN, text("echo"), text("hello"))), "a log line");
  CHECK(FINE(plugward_log_recent_json(runtime, &out)) && contains(plugward_string_bytes(out), "\"message\":\"hello\""),
        "the latest records hold it");
  plugward_string_free(out);
}

static void own(plugward_runtime *runtime) {
  plugward_state state = 77;
  uint32_t generation = 77, in_flight = 77;
  CHECK(FINE(plugward_register(runtime, text("mine"), text("runs in the host"), text("2.0"))), "register");
  CHECK(raised(plugward_register(runtime, text("mine"), text(""), text("")), PLUGWARD_CODE_REGISTRY_DUPLICATE),
        "registering twice is PW-REG-003");
  CHECK(state_of(runtime, "mine") == PLUGWARD_STATE_LOADED, "a registered plugin is LOADED");
  CHECK(FINE(plugward_mark(runtime, text("mine"), PLUGWARD_EVENT_READY, text(""), &state)) &&
            state == PLUGWARD_STATE_INITIALIZED,
        "ready leads to INITIALIZED");
  CHECK(raised(plugward_mark(runtime, text("mine"), PLUGWARD_EVENT_DEPENDENCY_MISSING, text(""), &state),
               PLUGWARD_CODE_LIFECYCLE_FORBIDDEN) && state == 0,
        "a forbidden event is PW-LIFE-001, and out is zeroed");
  CHECK(raised(plugward_mark(runtime, text("mine"), 99, text(""), NULL), PLUGWARD_CODE_ABI_ARGUMENT),
        "an unknown event is PW-ABI-007");
  CHECK(FINE(plugward_record(runtime, text("mine"), true, 12.5)) &&
            FINE(plugward_record(runtime, text("mine"), false, -1)) &&
            health_says(runtime, "mine", "\"success_count\":1,\"error_count\":1"),
        "executions are counted");
  CHECK(FINE(plugward_mark(runtime, text("mine"), PLUGWARD_EVENT_FAULT, text("disk on fire"), NULL)) &&
            health_says(runtime, "mine", "disk on fire"),
        "a fault has its reason in health");
  CHECK(FINE(plugward_mark(runtime, text("mine"), PLUGWARD_EVENT_RESTART, text(""), NULL)) &&
            FINE(plugward_plugin_state(runtime, text("mine"), &state, &generation, &in_flight)) &&
            state == PLUGWARD_STATE_LOADED && generation == 2 && in_flight == 0,
        "a restart begins generation 2 at LOADED");
  CHECK(same(plugward_state_name(PLUGWARD_STATE_UNAVAILABLE), "UNAVAILABLE") &&
            plugward_state_name(99).len == 0,
        "states have names");
}

static void manifests(void) {
  plugward_string *out = NULL;
  CHECK(contains(plugward_manifest_schema(), "json-schema.org"), "the manifest's schema");
  CHECK(FINE(plugward_manifest_read(text("name = \"a\"\nkind = \"host\"\n"), &out)) &&
            contains(plugward_string_bytes(out), "\"queue\":64"),
        "a TOML manifest with its defaults");
  plugward_string_free(out);
  plugward_error *error = plugward_manifest_read(text("{\"nane\": 1}"), &out);
  CHECK(error != NULL && out == NULL && contains(plugward_error_json(error), "nane"), "a wrong key is told");
  plugward_error_free(error);
  CHECK(FINE(plugward_check_manifest(
            text("{\"name\": \"a\", \"kind\": \"host\", \"env\": [\"PLUGWARD_NO_SUCH\"]}"), &out)) &&
            contains(plugward_string_bytes(out), "\"PW-ENV-001\""),
        "the dependency check finds what is missing");
  plugward_string_free(out);
  CHECK(FINE(plugward_check_manifest(
            text("{\"name\": \"a\", \"kind\": \"native\", \"entrypoint\": \"a.so\", \"dependencies\": [\"torch\"]}"), &out)) &&
            contains(plugward_string_bytes(out), "1 package was not looked at"),
        "packages that this door cannot look at are no clean bill");
  plugward_string_free(out);
  CHECK(raised(plugward_check_path(text("/nowhere/at/all"), &out), PLUGWARD_CODE_MANIFEST_NOT_FOUND),
        "a check of a path that is not there");
  CHECK(FINE(plugward_permissions_manifest(
            text("{\"name\": \"a\", \"kind\": \"native\", \"entrypoint\": \"a.so\", \"isolation\": \"process\","
                 " \"permissions\": {\"write\": [\"/out\"]}}"), &out)) &&
            contains(plugward_string_bytes(out), "\"line\":\"permissions.write\"") &&
            contains(plugward_string_bytes(out), "/out"),
        "what it may do is told with the lines that grant it");
  plugward_string_free(out);
  CHECK(raised(plugward_permissions_path(text("/nowhere/at/all"), &out), PLUGWARD_CODE_MANIFEST_NOT_FOUND),
        "the permissions of a path that is not there");
}

static void options(void) {
  plugward_runtime_options set = {0};
  plugward_runtime *runtime = (plugward_runtime *)&set;
  const uint32_t wrong[] = {0, 4, (uint32_t)sizeof set - 1};
  for (size_t at = 0; at < 3; at++) {
    set.struct_size = wrong[at];
    CHECK(raised(plugward_runtime_new(&set, &runtime), PLUGWARD_CODE_ABI_STRUCT_SIZE) && runtime == NULL,
          "a struct that is too small is PW-ABI-003");
  }
  struct {
    plugward_runtime_options known;
    uint64_t later[8];
  } newer = {{sizeof newer, 16, 0, 0, 50, 0, 0}, {1, 2, 3}};
  CHECK(FINE(plugward_runtime_new(&newer.known, &runtime)), "a larger struct is understood");
  plugward_runtime_free(runtime);
  plugward_call_options call = {8, 0, 0, NULL, 0, NULL, NULL};
  plugward_outcome *outcome = NULL;
  runtime = new_runtime();
  CHECK(raised(plugward_call(runtime, text("a"), text("b"), text(""), &call, &outcome),
               PLUGWARD_CODE_ABI_STRUCT_SIZE),
        "call options that are too small");
  plugward_callbacks callbacks = {8, 0, NULL, echo, NULL, NULL};
  plugward_reports *reports = NULL;
  CHECK(raised(plugward_load_manifest(runtime, text("{}"), &callbacks, &reports), PLUGWARD_CODE_ABI_STRUCT_SIZE),
        "callbacks that are too small");
  callbacks.struct_size = sizeof callbacks;
  callbacks.call = NULL;
  CHECK(raised(plugward_load_manifest(runtime, text("{\"name\": \"a\", \"kind\": \"host\"}"), &callbacks, &reports),
               PLUGWARD_CODE_ABI_NULL),
        "callbacks without call are PW-ABI-001");
  callbacks.call = echo;
  CHECK(raised(plugward_load_manifest(
                   runtime, text("{\"name\": \"a\", \"kind\": \"native\", \"entrypoint\": \"a.so\"}"),
                   &callbacks, &reports),
               PLUGWARD_CODE_ABI_ARGUMENT),
        "callbacks for another kind are PW-ABI-007");
  plugward_bytes absurd = {(const uint8_t *)"x", SIZE_MAX};
  CHECK(raised(plugward_unload(runtime, absurd), PLUGWARD_CODE_ABI_ARGUMENT), "an impossible length");
  char room[64] = {0};
  CHECK(raised(plugward_unload((plugward_runtime *)(room + 1), text("a")), PLUGWARD_CODE_ABI_ARGUMENT),
        "a misaligned handle is PW-ABI-007");
  plugward_runtime_free(runtime);
}

int main(void) {
  version();
  errors();
  manifests();
  options();
  plugward_runtime *runtime = new_runtime();
  CHECK(load_host(runtime, "echo", "", "{\"id\": \"say\"}", echo, NULL), "a host plugin is INITIALIZED");
  CHECK(load_host(runtime, "strict", "",
                  "{\"id\": \"say\", \"input_schema\": {\"properties\": {\"n\": {\"type\": \"integer\"}}}}", echo,
                  NULL),
        "a host plugin with a schema");
  uint32_t code = 0;
  plugward_callbacks again = {sizeof again, 0, NULL, echo, NULL, NULL};
  load(runtime, "{\"name\": \"echo\", \"kind\": \"host\"}", &again, &code);
  CHECK(code == PLUGWARD_CODE_REGISTRY_DUPLICATE, "a second plugin of that name is in the report");
  calls(runtime);
  views(runtime);
  own(runtime);
  CHECK(restart(runtime, "echo") && call_code(runtime, "echo", "say") == 0, "restart, then call");
  CHECK(FINE(plugward_unload(runtime, text("echo"))) &&
            call_code(runtime, "echo", "say") == PLUGWARD_CODE_REGISTRY_UNKNOWN_PLUGIN,
        "an unloaded plugin is unknown");
  plugward_reports *reports = NULL;
  CHECK(raised(plugward_restart(runtime, text("echo"), &reports), PLUGWARD_CODE_REGISTRY_UNKNOWN_PLUGIN),
        "and cannot be restarted");
  CHECK(FINE(plugward_runtime_close(runtime)) && FINE(plugward_runtime_close(runtime)), "close twice");
  CHECK(call_code(runtime, "strict", "say") == PLUGWARD_CODE_RUNTIME_CLOSED, "a closed runtime takes no calls");
  plugward_runtime_free(runtime);
  return checks_done("basics");
}
