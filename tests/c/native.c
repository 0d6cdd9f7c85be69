/* Native plugins through dlopen. Run with the folder of the compiled test plugins. */
#include "check.h"

static const char *folder;
static plugward_runtime *runtime;

static plugward_state load_library(const char *name, const char *isolation, const char *tools, uint32_t *code) {
  char manifest[2048];
  snprintf(manifest, sizeof manifest,
           "{\"name\": \"%s\", \"kind\": \"native\", \"entrypoint\": \"%s/lib%s.so\", \"isolation\": \"%s\", "
           "\"tools\": [%s]}",
           name, folder, name, isolation, tools);
  return load(runtime, manifest, NULL, code);
}

static bool answers(const char *plugin, const char *tool, const char *args, const char *want) {
  plugward_outcome *outcome = call_for(runtime, plugin, tool, args, 20000);
  const bool ok = same(plugward_outcome_result_json(outcome), want);
  if (!ok) printf("          (%.*s)\n", PLUGWARD_ARG(plugward_outcome_json(outcome)));
  plugward_outcome_free(outcome);
  return ok;
}

static bool log_holds(const char *what) {
  plugward_string *recent = NULL;
  const bool found = FINE(plugward_log_recent_json(runtime, &recent)) && contains(plugward_string_bytes(recent), what);
  plugward_string_free(recent);
  return found;
}

static int32_t count_reports(void *user, uint64_t current, uint64_t total) {
  *(uint64_t *)user += current <= total;
  return 1;
}

static void good_c(const char *isolation) {
  const char *const tools = "{\"id\": \"echo\"}, {\"id\": \"count\"}, {\"id\": \"facts\"}, {\"id\": \"input\"}, {\"id\": \"else\"}";
  CHECK(load_library("good_c", isolation, tools, NULL) == PLUGWARD_STATE_INITIALIZED, isolation);
  CHECK(answers("good_c", "echo", "{\"a\":[1,2]}", "{\"a\":[1,2]}"), "a C plugin answers");
  CHECK(answers("good_c", "facts", "{}", "{\"deadline\":true,\"call_id\":true,\"extension\":false}"), "it knows its call");
  uint64_t reports = 0;
  plugward_call_options options = {sizeof options, 0, 0, NULL, 0, count_reports, &reports};
  plugward_outcome *outcome = NULL;
  CHECK(FINE(plugward_call(runtime, text("good_c"), text("count"), text(""), &options, &outcome)) &&
            plugward_outcome_ok(outcome) && reports == 10,
        "it reports progress");
  plugward_outcome_free(outcome);
  const int64_t shape[1] = {3};
  uint8_t data[3] = {7, 8, 9};
  const plugward_tensor tensor = {data, {1, 0}, 1, PLUGWARD_DTYPE_U8, shape, NULL, 0};
  plugward_call_options with = {sizeof with, 0, 0, &tensor, 1, NULL, NULL};
  plugward_tensor back = {0};
  CHECK(FINE(plugward_call(runtime, text("good_c"), text("echo"), text(""), &with, &outcome)) &&
            FINE(plugward_outcome_tensor(outcome, 0, &back)) && memcmp(back.data, data, 3) == 0,
        "a tensor goes there and back");
  plugward_outcome_free(outcome);
  CHECK(call_code(runtime, "good_c", "input") == PLUGWARD_CODE_CALL_REFUSED_INPUT, "it may refuse its input");
  CHECK(call_code(runtime, "good_c", "else") == PLUGWARD_CODE_CALL_PLUGIN_ERROR, "it may fail");
  CHECK(restart(runtime, "good_c") && answers("good_c", "echo", "{}", "{}"), "its next generation works");
  CHECK(log_holds("\"message\":\"created\""), "its log lines arrive");
  CHECK(FINE(plugward_unload(runtime, text("good_c"))), "unload");
  bool destroyed = false;
  for (int n = 0; n < 6000 && !(destroyed = log_holds("\"message\":\"destroyed\"")); n++) sleep_ms(10);
  CHECK(destroyed, "its instances are destroyed");
}

static void good_cpp(void) {
  CHECK(load_library("good_cpp", "thread", "{\"id\": \"count\"}, {\"id\": \"else\"}", NULL) == PLUGWARD_STATE_INITIALIZED,
        "a C++ plugin is loaded");
  CHECK(answers("good_cpp", "count", "{\"a\":1}", "{\"bytes\":7}"), "a C++ plugin answers");
  CHECK(call_code(runtime, "good_cpp", "else") == PLUGWARD_CODE_CALL_PLUGIN_ERROR, "it may fail");
}

static void throwing(const char *isolation) {
  const char *const tools = "{\"id\": \"std\"}, {\"id\": \"odd\"}";
  CHECK(load_library("throws_call", isolation, tools, NULL) == PLUGWARD_STATE_INITIALIZED, isolation);
  CHECK(call_code(runtime, "throws_call", "std") == PLUGWARD_CODE_CALL_PANICKED &&
            health_says(runtime, "throws_call", "thrown in call"),
        "an exception out of call is PW-CALL-012, with its words");
  CHECK(restart(runtime, "throws_call") && call_code(runtime, "throws_call", "odd") == PLUGWARD_CODE_CALL_PANICKED,
        "also one that is no std::exception");
  CHECK(FINE(plugward_unload(runtime, text("throws_call"))), "unload");
  const struct {
    const char *name, *words;
    uint32_t code;
  } cases[] = {{"throws_create", "thrown in create", PLUGWARD_CODE_LOAD_CONSTRUCT},
               {"throws_validate", "thrown in validate", PLUGWARD_CODE_LOAD_VALIDATE},
               {"throws_entry", "thrown in entry", PLUGWARD_CODE_NATIVE_TABLE}};
  for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
    uint32_t code = 0;
    CHECK(load_library(cases[at].name, isolation, tools, &code) == PLUGWARD_STATE_FAILED && code == cases[at].code &&
              health_says(runtime, cases[at].name, cases[at].words),
          cases[at].name);
    CHECK(FINE(plugward_unload(runtime, text(cases[at].name))), "unload");
  }
  CHECK(load_library("throws_destroy", isolation, tools, NULL) == PLUGWARD_STATE_INITIALIZED &&
            FINE(plugward_unload(runtime, text("throws_destroy"))),
        "out of destroy: swallowed");
}

static void broken(void) {
  const struct {
    const char *name;
    uint32_t code;
    const char *words;
  } cases[] = {{"bad_version", PLUGWARD_CODE_NATIVE_VERSION, "2.0"},
               {"no_symbol", PLUGWARD_CODE_NATIVE_SYMBOL, "plugward_plugin_entry"},
               {"truncated", PLUGWARD_CODE_NATIVE_TABLE, "struct_size 16"},
               {"null_table", PLUGWARD_CODE_NATIVE_TABLE, "NULL"},
               {"no_call", PLUGWARD_CODE_NATIVE_TABLE, "NULL"},
               {"no_create", PLUGWARD_CODE_NATIVE_TABLE, "NULL"},
               {"create_fails", PLUGWARD_CODE_LOAD_CONSTRUCT, "the camera is not connected"},
               {"garbage", PLUGWARD_CODE_NATIVE_OPEN, "garbage"},
               {"absent", PLUGWARD_CODE_NATIVE_OPEN, "libabsent.so"}};
  for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
    uint32_t code = 0;
    CHECK(load_library(cases[at].name, "thread", "{\"id\": \"t\"}", &code) == PLUGWARD_STATE_FAILED &&
              code == cases[at].code && health_says(runtime, cases[at].name, cases[at].words),
          cases[at].name);
  }
  CHECK(load_library("newer_minor", "thread", "{\"id\": \"t\"}", NULL) == PLUGWARD_STATE_INITIALIZED,
        "a newer minor version is understood");
  CHECK(load_library("silent", "thread", "{\"id\": \"t\"}", NULL) == PLUGWARD_STATE_INITIALIZED &&
            answers("silent", "t", "{}", "null"),
        "a plugin that never calls reply answers null");
}

static void from_a_path(void) {
  char path[1024];
  snprintf(path, sizeof path, "%s/libsilent.so", folder);
  plugward_reports *reports = NULL;
  CHECK(FINE(plugward_load_path(runtime, text("/nowhere/at/all"), &reports)) && plugward_reports_count(reports) == 1 &&
            plugward_reports_failed(reports) == 1 &&
            plugward_error_code(plugward_reports_error(reports, 0)) == PLUGWARD_CODE_MANIFEST_NOT_FOUND,
        "a path that is not there is one FAILED report");
  CHECK(plugward_reports_error(reports, 1) == NULL && plugward_reports_name(reports, 1).len == 0, "and no second one");
  CHECK(contains(plugward_reports_json(reports), "PW-MAN-001"), "reports as JSON");
  plugward_reports_free(reports);
  CHECK(FINE(plugward_unload(runtime, text("silent"))), "unload");
  CHECK(FINE(plugward_load_path(runtime, text(path), &reports)) && plugward_reports_failed(reports) == 0 &&
            same(plugward_reports_name(reports, 0), "silent") && plugward_reports_generation(reports, 0) == 1,
        "a bare library is a plugin of its name");
  plugward_reports_free(reports);
}

int main(int argc, char **argv) {
  if (argc != 2) return fputs("usage: native FOLDER\n", stderr), 2;
  folder = argv[1];
  runtime = new_runtime();
  good_c("thread");
  good_c("inline");
  good_cpp();
  throwing("thread");
  throwing("inline");
  broken();
  from_a_path();
  plugward_runtime_free(runtime);
  return checks_done("native");
}
