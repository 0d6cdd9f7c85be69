// NULL in every pointer parameter of every exported function, and text that is not UTF-8 in every
// text parameter.
#include "every.hpp"

#include <set>

namespace {

plugward_runtime *runtime;
plugward_error *error;
plugward_outcome *outcome;
plugward_reports *reports;
plugward_string *string;
int tried;

// Parameters that may be NULL, as the header says: "function/position from 0".
const std::set<std::string> optional = {
    "plugward_call/4",          "plugward_load_manifest/2",      "plugward_log_set_callback/1",
    "plugward_log_set_callback/2", "plugward_log_set_callback/3", "plugward_mark/4",
    "plugward_plugin_state/3",  "plugward_plugin_state/4",       "plugward_runtime_new/0"};

// A place for whatever a function gives, whichever type it has.
union {
  void *pointer;
  plugward_tensor tensor;
} place;

// An argument that is fine as far as a NULL beside it is concerned.
template <class T> T good() { return T{}; }
template <> plugward_bytes good() { return text("x"); }
template <> const plugward_runtime *good() { return runtime; }
template <> const plugward_error *good() { return error; }
template <> const plugward_outcome *good() { return outcome; }
template <> const plugward_reports *good() { return reports; }
template <> const plugward_string *good() { return string; }
template <> plugward_runtime **good() { return reinterpret_cast<plugward_runtime **>(&place); }
template <> plugward_outcome **good() { return reinterpret_cast<plugward_outcome **>(&place); }
template <> plugward_lease **good() { return reinterpret_cast<plugward_lease **>(&place); }
template <> plugward_reports **good() { return reinterpret_cast<plugward_reports **>(&place); }
template <> plugward_string **good() { return reinterpret_cast<plugward_string **>(&place); }
template <> plugward_tensor *good() { return &place.tensor; }
template <> std::uint32_t *good() { return reinterpret_cast<std::uint32_t *>(&place); }

template <class R, class... A> std::tuple<A...> goods(R (*)(A...)) { return std::tuple<A...>(good<A>()...); }

template <std::size_t I, class F, class Tuple> void spoil(const char *name, F function, Tuple arguments) {
  using T = std::tuple_element_t<I, Tuple>;
  const std::string what = std::string(name) + "/" + std::to_string(I);
  if (optional.count(what) != 0) return;
  if constexpr (std::is_same_v<T, plugward_bytes>) {
    std::get<I>(arguments) = {nullptr, 5};
    CHECK(judged(function, arguments, PLUGWARD_CODE_ABI_NULL), (what + " (NULL, 5)").c_str());
    std::get<I>(arguments) = text("a\xff");
    // Replies take any bytes: a plugin's message is made UTF-8, its JSON is parsed.
    const bool lossy = what.find("plugward_reply_") == 0;
    if (!lossy) CHECK(judged(function, arguments, PLUGWARD_CODE_ABI_UTF8), (what + " not UTF-8").c_str());
    tried++;
  } else if constexpr (std::is_pointer_v<T>) {
    std::get<I>(arguments) = nullptr;
    CHECK(judged(function, arguments, PLUGWARD_CODE_ABI_NULL), (what + " NULL").c_str());
    tried++;
  }
}

template <class F, class Tuple, std::size_t... I>
void each([[maybe_unused]] const char *name, [[maybe_unused]] F function, [[maybe_unused]] Tuple arguments,
          std::index_sequence<I...>) {
  (spoil<I>(name, function, arguments), ...);
}

template <class F> void every(const char *name, F function) {
  const auto arguments = goods(function);
  each(name, function, arguments, std::make_index_sequence<std::tuple_size_v<decltype(arguments)>>());
}

plugward_status echo(void *, const plugward_request *request, plugward_reply *reply) {
  return plugward_reply_json(reply, request->args);
}

} // namespace

int main() {
  runtime = new_runtime();
  load_host(runtime, "echo", "", "{\"id\": \"t\"}", echo, nullptr);
  error = plugward_version_check(99, 0);
  outcome = call_for(runtime, "echo", "t", "{}", 0);
  plugward_error_free(plugward_load_path(runtime, text("/nowhere"), &reports));
  plugward_error_free(plugward_health_json(runtime, &string));
#define EVERY(name) every(#name, &name);
#include "exports.inc"
#undef EVERY
  CHECK(tried > 80, "the list of exports was not empty");
  CHECK(call_code(runtime, "echo", "t") == 0, "the runtime works on");
  plugward_string_free(string);
  plugward_reports_free(reports);
  plugward_outcome_free(outcome);
  plugward_error_free(error);
  plugward_runtime_free(runtime);
  return checks_done("nulls");
}
