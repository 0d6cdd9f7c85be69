// C++ exceptions out of everything that the library calls: none crosses.
#include "check.h"

#include <atomic>
#include <stdexcept>

struct Odd {};

static void throw_one(const plugward_request *request) {
  if (same(request->tool, "std")) throw std::out_of_range("index 7");
  if (same(request->tool, "int")) throw 42;
  if (same(request->tool, "odd")) throw Odd{};
  if (same(request->tool, "alloc")) throw std::bad_alloc();
  if (same(request->tool, "long")) throw std::runtime_error(std::string(1000000, 'y'));
}

static plugward_status call(void *, const plugward_request *request, plugward_reply *reply) {
  if (same(request->tool, "count"))
    for (std::uint64_t n = 0; n < 3; n++)
      if (plugward_request_progress(request, n, 3) != PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_CANCELLED;
  throw_one(request);
  return plugward_reply_json(reply, text("1"));
}

static plugward_status validate(void *, plugward_reply *) { throw std::runtime_error("not fit"); }

static std::atomic<int> ends;
static void destroy(void *) {
  ends++;
  throw std::runtime_error("in destroy");
}

static std::int32_t progress(void *, std::uint64_t, std::uint64_t) { throw std::runtime_error("in progress"); }

static void on_log(void *, const plugward_log_record *) { throw std::runtime_error("in the log"); }

static const char TOOLS[] = "{\"id\": \"std\"}, {\"id\": \"int\"}, {\"id\": \"odd\"}, {\"id\": \"alloc\"}, "
                            "{\"id\": \"long\"}, {\"id\": \"count\"}, {\"id\": \"fine\"}";

static void in_calls(plugward_runtime *runtime, const char *plugin) {
  const char *const cases[][2] = {{"std", "index 7"},
                                  {"int", "no std::exception"},
                                  {"odd", "no std::exception"},
                                  {"alloc", "bad_alloc"},
                                  {"long", "yyyy"}};
  for (const auto &one : cases) {
    plugward_outcome *outcome = call_for(runtime, plugin, one[0], "{}", 0);
    const plugward_error *error = plugward_outcome_error(outcome);
    CHECK(plugward_error_code(error) == PLUGWARD_CODE_CALL_PANICKED && contains(plugward_error_message(error), one[1]),
          one[0]);
    plugward_outcome_free(outcome);
    CHECK(state_of(runtime, plugin) == PLUGWARD_STATE_FAILED, "the plugin is FAILED");
    CHECK(restart(runtime, plugin) && call_code(runtime, plugin, "fine") == 0, "the next generation works");
  }
}

static void elsewhere(plugward_runtime *runtime) {
  plugward_callbacks callbacks = {sizeof callbacks, 0, nullptr, call, validate, destroy};
  std::uint32_t code = 0;
  CHECK(load(runtime, "{\"name\": \"unfit\", \"kind\": \"host\"}", &callbacks, &code) == PLUGWARD_STATE_FAILED &&
            code == PLUGWARD_CODE_LOAD_VALIDATE && health_says(runtime, "unfit", "not fit"),
        "out of validate: the load fails with its words");
  CHECK(FINE(plugward_unload(runtime, text("unfit"))) && ends == 1, "out of destroy: swallowed, once");
  plugward_call_options options = {sizeof options, 0, 0, nullptr, 0, progress, nullptr};
  for (const char *plugin : {"inline", "thread"}) {
    plugward_outcome *outcome = nullptr;
    CHECK(FINE(plugward_call(runtime, text(plugin), text("count"), text(""), &options, &outcome)) &&
              plugward_error_code(plugward_outcome_error(outcome)) == PLUGWARD_CODE_CALL_CANCELLED,
          "out of the progress callback: the call is cancelled");
    plugward_outcome_free(outcome);
  }
  CHECK(FINE(plugward_log_set_callback(runtime, on_log, nullptr, destroy)), "a log callback that throws");
  plugward_error_free(plugward_log_write(runtime, PLUGWARD_LOG_INFO, text(""), text("x")));
  CHECK(plugward_log_flush(runtime, 10000), "flush");
  plugward_string *summary = nullptr;
  CHECK(FINE(plugward_health_summary_json(runtime, &summary)) &&
            !contains(plugward_string_bytes(summary), "\"sink_errors\":0"),
        "out of the log callback: counted");
  plugward_string_free(summary);
}

int main() {
  plugward_runtime *runtime = new_runtime();
  CHECK(load_host(runtime, "inline", "\"isolation\": \"inline\",", TOOLS, call, nullptr), "inline");
  CHECK(load_host(runtime, "thread", "\"isolation\": \"thread\",", TOOLS, call, nullptr), "thread");
  in_calls(runtime, "inline");
  in_calls(runtime, "thread");
  elsewhere(runtime);
  plugward_runtime_free(runtime);
  for (int n = 0; n < 6000 && ends < 2; n++) sleep_ms(10);
  CHECK(ends == 2, "the log callback's user pointer was ended");
  return checks_done("throws");
}
