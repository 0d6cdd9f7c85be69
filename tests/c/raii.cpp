// plugward.hpp, as a C++ host uses it.
#include "plugward.hpp"
#include "check.h"

#include <atomic>
#include <type_traits>

using plugward::Call;

namespace {

struct Custom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

plugward::Plugin misbehaving() {
  plugward::Plugin plugin("bad \"quoted\" name");
  plugin.description("raises in \"many\" ways\n").isolation("thread");
  plugin.tool("custom", [](Call &) -> std::string { throw Custom("mine"); });
  plugin.tool("int", [](Call &) -> std::string { throw 1; });
  plugin.tool("input", [](Call &) -> std::string { throw plugward::InvalidInput("no such frame"); });
  plugin.tool("cancelled", [](Call &) -> std::string { throw plugward::Cancelled(); });
  plugin.tool("no_json", [](Call &) { return std::string("{"); });
  plugin.tool("fine", [](Call &) { return std::string("true"); });
  return plugin;
}

void calls(plugward::Runtime &runtime) {
  auto outcome = runtime.call("maths", "double", "{\"x\": 21}");
  CHECK(outcome.ok() && outcome.result() == "{\"x\":21}", "a tool answers");
  CHECK(outcome.value() == outcome.result() && outcome.generation() == 1 && outcome.elapsed_ms() > 0,
        "the outcome's accessors");
  CHECK(outcome.effect() == PLUGWARD_EFFECT_COMPLETED, "its effect");
  plugward::Outcome moved = std::move(outcome);
  CHECK(moved.ok() && !outcome.ok(), "an outcome moves, and is neutral where it was"); // NOLINT
  auto refused = runtime.call("nobody", "t");
  CHECK(!refused.ok() && refused.error().code() == "PW-REG-001" && refused.error().http_status() == 404 &&
            refused.error().number() == PLUGWARD_CODE_REGISTRY_UNKNOWN_PLUGIN && !refused.error().remedy().empty() &&
            !refused.error().cause().empty() && !refused.error().retryable(),
        "an error has all its words");
  bool thrown = false;
  try {
    (void)refused.value();
  } catch (const plugward::Error &error) {
    thrown = std::string(error.what()).find("[PW-REG-001] ") == 0;
  }
  CHECK(thrown, "value() throws the error");
  thrown = false;
  try {
    (void)runtime.call("maths", "double", "{");
  } catch (const plugward::Error &error) {
    thrown = error.code() == "PW-ABI-005";
  }
  CHECK(thrown, "a misuse is thrown");
}

void faults(plugward::Runtime &runtime) {
  const auto name = "bad \"quoted\" name";
  auto reports = runtime.load(misbehaving());
  if (!CHECK(reports.size() == 1 && reports.failed() == 0 && reports.name(0) == name, "an awkward name is kept"))
    std::printf("          (%.*s)\n", static_cast<int>(reports.json().size()), reports.json().data());
  auto outcome = runtime.call(name, "custom");
  CHECK(outcome.error().type().find("Custom") != std::string::npos && outcome.error().message() == "mine",
        "an exception's type and words are kept");
  CHECK(runtime.state(name) == PLUGWARD_STATE_FAILED, "the plugin is FAILED");
  CHECK(runtime.restart(name).failed() == 0 && runtime.call(name, "fine").ok(), "and can be restarted");
  CHECK(runtime.call(name, "int").error().type() == "UnknownException", "an exception that is no std::exception");
  runtime.restart(name);
  CHECK(runtime.call(name, "input").error().code() == "PW-CALL-003" &&
            runtime.call(name, "cancelled").error().code() == "PW-CALL-013" &&
            runtime.call(name, "no_json").error().code() == "PW-CALL-015" && runtime.call(name, "fine").ok(),
        "InvalidInput, Cancelled and a result that is no JSON leave the plugin as it is");
}

void progress_and_tensors(plugward::Runtime &runtime) {
  std::uint8_t pixels[4] = {1, 2, 3, 4};
  std::int64_t shape[2] = {2, 2};
  plugward::CallOptions options;
  options.deadline = std::chrono::seconds(30);
  options.tensors.push_back({pixels, {1, 0}, 2, PLUGWARD_DTYPE_U8, shape, nullptr, 0});
  int reports = 0;
  options.progress = [&](std::uint64_t, std::uint64_t) { return ++reports > 0; };
  auto outcome = runtime.call("maths", "flip", "{}", options);
  CHECK(outcome.ok() && outcome.tensor_count() == 1 && reports == 2, "a tensor there and back, with progress");
  CHECK(static_cast<std::uint8_t *>(outcome.tensor(0).data)[0] == 254, "its values");
  options.progress = [](std::uint64_t, std::uint64_t) -> bool { throw std::runtime_error("no"); };
  CHECK(runtime.call("maths", "flip", "{}", options).error().code() == "PW-CALL-013",
        "a progress callback that throws cancels the call");
}

std::string flip(Call &call) {
  const plugward_tensor &in = call.tensor(0);
  std::vector<std::uint8_t> out;
  for (std::int64_t n = 0; n < in.shape[0] * in.shape[1]; n++) {
    out.push_back(static_cast<std::uint8_t>(255 - static_cast<std::uint8_t *>(in.data)[n]));
    if (n % 2 == 0 && !call.progress(static_cast<std::uint64_t>(n), 4)) throw plugward::Cancelled();
  }
  plugward_tensor view = in;
  view.data = out.data();
  return call.reply_tensor(view) ? "null" : "{";
}

void logs(plugward::Runtime &runtime) {
  auto count = std::make_shared<std::atomic<int>>(0);
  runtime.log_to([count](const plugward_log_record &) {
    ++*count;
    throw std::runtime_error("from the sink");
  });
  plugward::check(plugward_log_write(runtime.get(), PLUGWARD_LOG_INFO, plugward::bytes(""), plugward::bytes("x")));
  CHECK(plugward_log_flush(runtime.get(), 10000) && *count > 0, "the sink is called, and may throw");
  runtime.log_to(nullptr);
  CHECK(count.use_count() == 1, "a sink that was taken away is destroyed");
}

} // namespace

int main() {
  static_assert(std::is_nothrow_move_constructible_v<plugward::Runtime>);
  static_assert(!std::is_copy_constructible_v<plugward::Outcome>);
  auto kept = std::make_shared<int>(0);
  {
    plugward::Runtime runtime;
    {
      plugward::Plugin plugin("maths");
      plugin.tool("double", [kept](Call &call) { return std::string(call.args()); },
                  R"({"type": "object", "properties": {"x": {"type": "integer"}}})");
      plugin.tool("flip", flip);
      CHECK(runtime.load(plugin).failed() == 0, "a plugin of std::functions");
      auto again = runtime.load(plugin);
      CHECK(again.failed() == 1 && again.error(0).code() == "PW-REG-003", "loading it twice is in the report");
    }
    CHECK(kept.use_count() == 2, "the functions live as long as the plugin");
    calls(runtime);
    faults(runtime);
    progress_and_tensors(runtime);
    logs(runtime);
    CHECK(runtime.health().find("\"maths\"") != std::string::npos &&
              runtime.health("maths").find("\"INITIALIZED\"") != std::string::npos &&
              runtime.metrics().find("# EOF") != std::string::npos,
          "health and metrics");
    runtime.unload("maths");
    CHECK(kept.use_count() == 1, "unloading destroys the functions");
    runtime.close();
    CHECK(runtime.call("maths", "double").error().code() == "PW-RT-001", "a closed runtime");
  }
  return checks_done("raii");
}
