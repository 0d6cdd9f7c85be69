/*
 * Plugward for C++17: RAII over plugward.h, header-only.
 *
 *     plugward::Runtime runtime;
 *     runtime.load(plugward::Plugin("maths").tool("double", [](plugward::Call &call) {
 *       return std::string(call.args());          // JSON text in, JSON text out
 *     }));
 *     plugward::Outcome outcome = runtime.call("maths", "double", R"({"x": 21})");
 *     if (!outcome.ok()) std::cerr << outcome.error().what();
 *
 * Functions throw plugward::Error for what the C functions return as plugward_error*; what a plugin
 * does is in the Outcome and never thrown. Callbacks may throw: the exception ends in the wrapper.
 */
#ifndef PLUGWARD_HPP
#define PLUGWARD_HPP

#include "plugward.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>
#if defined(__GNUG__)
#include <cxxabi.h>
#endif

namespace plugward {

/** Lends text to a C function; the text must outlive the call. */
inline plugward_bytes bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

/** Views text that a C function lent. */
inline std::string_view view(plugward_bytes text) noexcept {
  return text.len == 0 ? std::string_view()
                       : std::string_view(reinterpret_cast<const char *>(text.data), text.len);
}

/** What went wrong, why, and what to do about it. what() is "[code] message". */
class Error : public std::runtime_error {
public:
  /** Copies what a C error says; it still belongs to whoever holds it. */
  explicit Error(const plugward_error *error)
      : std::runtime_error("[" + std::string(view(plugward_error_code_text(error))) + "] " +
                           std::string(view(plugward_error_message(error)))),
        number_(plugward_error_code(error)), code_(view(plugward_error_code_text(error))),
        type_(view(plugward_error_type(error))), message_(view(plugward_error_message(error))),
        cause_(view(plugward_error_cause(error))), remedy_(view(plugward_error_remedy(error))),
        http_status_(plugward_error_http_status(error)),
        retryable_(plugward_error_retryable(error)) {}

  /** The number, one of plugward_code. */
  std::uint32_t number() const noexcept { return number_; }
  /** The printed code, "PW-CALL-005". */
  const std::string &code() const noexcept { return code_; }
  /** The plugin's own exception class, else the catalogue's kind. */
  const std::string &type() const noexcept { return type_; }
  /** What happened. */
  const std::string &message() const noexcept { return message_; }
  /** Why it happened. */
  const std::string &cause() const noexcept { return cause_; }
  /** What to do about it. */
  const std::string &remedy() const noexcept { return remedy_; }
  /** The HTTP status that fits. */
  std::uint32_t http_status() const noexcept { return http_status_; }
  /** Whether the same call may succeed later by itself. */
  bool retryable() const noexcept { return retryable_; }

private:
  std::uint32_t number_;
  std::string code_, type_, message_, cause_, remedy_;
  std::uint32_t http_status_;
  bool retryable_;
};

/** Throw this in a tool when the input is at fault: the plugin stays healthy. */
struct InvalidInput : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/** Throw this in a tool that gave up because Call::should_stop said so. */
struct Cancelled : std::runtime_error {
  Cancelled() : std::runtime_error("cancelled") {}
};

/** Throws what a C function returned, and frees it. */
inline void check(plugward_error *error) {
  if (error == nullptr) return;
  std::unique_ptr<plugward_error, void (*)(plugward_error *)> owner(error, plugward_error_free);
  throw Error(error);
}

namespace detail {

template <class T, void (*Free)(T *)> struct Deleter {
  void operator()(T *handle) const noexcept { Free(handle); }
};
template <class T, void (*Free)(T *)> using Handle = std::unique_ptr<T, Deleter<T, Free>>;

using RuntimeHandle = Handle<plugward_runtime, plugward_runtime_free>;
using LeaseHandle = Handle<plugward_lease, plugward_lease_free>;
using OutcomeHandle = Handle<plugward_outcome, plugward_outcome_free>;
using ReportsHandle = Handle<plugward_reports, plugward_reports_free>;
using StringHandle = Handle<plugward_string, plugward_string_free>;

/** Text that a C function gives through its last parameter. */
template <class F> std::string text_of(F &&function) {
  plugward_string *out = nullptr;
  check(function(&out));
  StringHandle owner(out);
  return std::string(view(plugward_string_bytes(out)));
}

inline std::string quoted(std::string_view text) {
  static const char *const digits = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

inline std::string type_name(const std::type_info &type) {
#if defined(__GNUG__)
  int status = 0;
  std::unique_ptr<char, void (*)(void *)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
  if (status == 0 && name) return name.get();
#endif
  return type.name();
}

} // namespace detail

/** How a load or restart went, plugin by plugin. */
class Reports {
public:
  explicit Reports(plugward_reports *handle) noexcept : handle_(handle) {}
  /** How many plugins it speaks of. */
  std::size_t size() const noexcept { return plugward_reports_count(handle_.get()); }
  /** How many of them do not take calls. */
  std::size_t failed() const noexcept { return plugward_reports_failed(handle_.get()); }
  /** The name of one. */
  std::string_view name(std::size_t at) const noexcept {
    return view(plugward_reports_name(handle_.get(), at));
  }
  /** Its state, one of PLUGWARD_STATE_. */
  plugward_state state(std::size_t at) const noexcept {
    return plugward_reports_state(handle_.get(), at);
  }
  /** Why it takes no calls. Only where it does not. */
  Error error(std::size_t at) const { return Error(plugward_reports_error(handle_.get(), at)); }
  /** All of it as JSON. */
  std::string_view json() const noexcept { return view(plugward_reports_json(handle_.get())); }

private:
  detail::ReportsHandle handle_;
};

/** Memory of a plugin's worker: a tensor argument that lies in it is not copied. */
class Lease {
public:
  explicit Lease(plugward_lease *handle) noexcept : handle_(handle) {}
  /** Where its bytes begin; valid as long as the lease lives. */
  std::uint8_t *data() const noexcept { return plugward_lease_data(handle_.get()); }

private:
  detail::LeaseHandle handle_;
};

/** The answer to a call. Views live as long as it does. */
class Outcome {
public:
  explicit Outcome(plugward_outcome *handle) noexcept : handle_(handle) {}
  /** Whether there is a result. */
  bool ok() const noexcept { return plugward_outcome_ok(handle_.get()); }
  /** The result, one JSON value; empty where there is an error. */
  std::string_view result() const noexcept {
    return view(plugward_outcome_result_json(handle_.get()));
  }
  /** The whole answer as JSON. */
  std::string_view json() const noexcept { return view(plugward_outcome_json(handle_.get())); }
  /** What went wrong. Only where ok() is false. */
  Error error() const { return Error(plugward_outcome_error(handle_.get())); }
  /** The result, or the error thrown. */
  std::string_view value() const {
    if (!ok()) throw error();
    return result();
  }
  /** What may have happened to the outside world, one of PLUGWARD_EFFECT_. */
  plugward_effect effect() const noexcept { return plugward_outcome_effect(handle_.get()); }
  /** From admission to end, in milliseconds. */
  double elapsed_ms() const noexcept { return plugward_outcome_elapsed_ms(handle_.get()); }
  /** The generation that was called. */
  std::uint32_t generation() const noexcept { return plugward_outcome_generation(handle_.get()); }
  /** How many tensors go with the result. */
  std::size_t tensor_count() const noexcept { return plugward_outcome_tensor_count(handle_.get()); }
  /** A view of one of them. */
  plugward_tensor tensor(std::size_t at) const {
    plugward_tensor out{};
    check(plugward_outcome_tensor(handle_.get(), at, &out));
    return out;
  }

private:
  detail::OutcomeHandle handle_;
};

/** One call, as a tool sees it; valid until the tool returns. */
class Call {
public:
  Call(const plugward_request *request, plugward_reply *reply) noexcept
      : request_(request), reply_(reply) {}
  /** The tool's id. */
  std::string_view tool() const noexcept { return view(request_->tool); }
  /** The arguments, one JSON object as text. */
  std::string_view args() const noexcept { return view(request_->args); }
  /** How many tensors go with the arguments. */
  std::size_t tensor_count() const noexcept { return request_->tensor_count; }
  /** One of them, read-only. */
  const plugward_tensor &tensor(std::size_t at) const noexcept { return request_->tensors[at]; }
  /** Whether to return soon. */
  bool should_stop() const noexcept { return plugward_request_should_stop(request_); }
  /** Reports progress; false when the call should end. */
  bool progress(std::uint64_t current, std::uint64_t total) const noexcept {
    return plugward_request_progress(request_, current, total) == PLUGWARD_STATUS_OK;
  }
  /** Adds a tensor to the answer; it is copied. False where its description contradicts itself. */
  bool reply_tensor(const plugward_tensor &tensor) const noexcept {
    return plugward_reply_tensor(reply_, &tensor) == PLUGWARD_STATUS_OK;
  }

private:
  const plugward_request *request_;
  plugward_reply *reply_;
};

/** A tool: returns its result as JSON text, or throws. */
using Tool = std::function<std::string(Call &)>;

/** The host's own functions as a plugin of kind `host`. */
class Plugin {
public:
  explicit Plugin(std::string_view name) : name_(name) {}

  /** Adds a tool. The schema is JSON text; empty accepts everything. */
  Plugin &tool(std::string_view id, Tool function, std::string_view input_schema = {}) {
    if (!tools_.empty()) tools_ += ", ";
    tools_ += "{\"id\": " + detail::quoted(id);
    if (!input_schema.empty()) tools_ += ", \"input_schema\": " + std::string(input_schema);
    tools_ += "}";
    functions_[std::string(id)] = std::move(function);
    return *this;
  }
  /** One sentence for people. */
  Plugin &description(std::string_view text) { return member("description", detail::quoted(text)); }
  /** `inline` or `thread`. */
  Plugin &isolation(std::string_view word) { return member("isolation", detail::quoted(word)); }
  /** Any other member of the manifest, its value as JSON text. */
  Plugin &member(std::string_view key, std::string_view json) {
    members_ += ", " + detail::quoted(key) + ": " + std::string(json);
    return *this;
  }
  /** The manifest as JSON text. */
  std::string manifest() const {
    return "{\"name\": " + detail::quoted(name_) + ", \"kind\": \"host\"" + members_ +
           ", \"tools\": [" + tools_ + "]}";
  }

private:
  friend class Runtime;
  using Functions = std::map<std::string, Tool, std::less<>>;

  static plugward_status call(void *user, const plugward_request *request,
                              plugward_reply *reply) noexcept {
    try {
      const auto &functions = *static_cast<const Functions *>(user);
      Call call(request, reply);
      const auto found = functions.find(call.tool());
      if (found == functions.end()) throw std::logic_error("the plugin has no such tool");
      const std::string result = found->second(call);
      // A result that is no JSON is the runtime's to refuse: PW-CALL-015.
      (void)plugward_reply_json(reply, bytes(result));
      return PLUGWARD_STATUS_OK;
    } catch (const InvalidInput &wrong) {
      return failed(reply, PLUGWARD_STATUS_INVALID_INPUT, "InvalidInput", wrong.what());
    } catch (const Cancelled &) {
      return PLUGWARD_STATUS_CANCELLED;
    } catch (const std::exception &wrong) {
      return thrown(reply, wrong);
    } catch (...) {
      return failed(reply, PLUGWARD_STATUS_ERROR, "UnknownException",
                    "an exception that is no std::exception");
    }
  }

  static plugward_status thrown(plugward_reply *reply, const std::exception &wrong) noexcept {
    try {
      const std::string type = detail::type_name(typeid(wrong));
      return failed(reply, PLUGWARD_STATUS_ERROR, type.c_str(), wrong.what());
    } catch (...) {
      return failed(reply, PLUGWARD_STATUS_ERROR, "std::exception", wrong.what());
    }
  }

  static plugward_status failed(plugward_reply *reply, plugward_status status, const char *type,
                                const char *message) noexcept {
    (void)plugward_reply_error(reply, bytes(type), bytes(message));
    return status;
  }

  static void destroy(void *user) noexcept { delete static_cast<Functions *>(user); }

  std::string name_, members_, tools_;
  Functions functions_;
};

/** How one call is to be made. */
struct CallOptions {
  /** From now; 0 takes the tool's, then the plugin's, then the runtime's. */
  std::chrono::milliseconds deadline{0};
  /** CPU tensors that go with the arguments. */
  std::vector<plugward_tensor> tensors;
  /** Told how far the call has come; false asks the plugin to stop, and so does an exception. */
  std::function<bool(std::uint64_t current, std::uint64_t total)> progress;
};

/** Takes log records, on the runtime's log thread. */
using LogSink = std::function<void(const plugward_log_record &)>;

/** One instance of Plugward. */
class Runtime {
public:
  /** Makes a runtime; `struct_size` is filled in. Throws where library and header do not fit. */
  explicit Runtime(plugward_runtime_options options = {}) {
    check(PLUGWARD_CHECK_VERSION());
    options.struct_size = sizeof options;
    plugward_runtime *out = nullptr;
    check(plugward_runtime_new(&options, &out));
    handle_.reset(out);
  }

  /** The C handle, for functions that have no method here. */
  plugward_runtime *get() const noexcept { return handle_.get(); }

  /** Loads a manifest, a plugin's folder, or a folder of them. */
  Reports load_path(std::string_view path) {
    plugward_reports *out = nullptr;
    check(plugward_load_path(get(), bytes(path), &out));
    return Reports(out);
  }
  /** Loads one plugin from its manifest (JSON or TOML text). */
  Reports load_manifest(std::string_view manifest) {
    plugward_reports *out = nullptr;
    check(plugward_load_manifest(get(), bytes(manifest), nullptr, &out));
    return Reports(out);
  }
  /** Loads the host's own functions. */
  Reports load(const Plugin &plugin) {
    auto functions = std::make_unique<Plugin::Functions>(plugin.functions_);
    const plugward_callbacks callbacks = {
        sizeof callbacks, 0, functions.get(), &Plugin::call, nullptr, &Plugin::destroy};
    plugward_reports *out = nullptr;
    check(plugward_load_manifest(get(), bytes(plugin.manifest()), &callbacks, &out));
    (void)functions.release(); // destroy ends it
    return Reports(out);
  }
  /** Begins the plugin's next generation. */
  Reports restart(std::string_view plugin) {
    plugward_reports *out = nullptr;
    check(plugward_restart(get(), bytes(plugin), &out));
    return Reports(out);
  }
  /** Puts a new generation in the place of the present one without losing a call. */
  Reports reload(std::string_view plugin) {
    plugward_reports *out = nullptr;
    check(plugward_reload(get(), bytes(plugin), &out));
    return Reports(out);
  }
  /** Stops a plugin in good order; it stays listed. */
  Reports stop(std::string_view plugin) {
    plugward_reports *out = nullptr;
    check(plugward_stop(get(), bytes(plugin), &out));
    return Reports(out);
  }
  /** Ends a plugin and forgets it. */
  void unload(std::string_view plugin) { check(plugward_unload(get(), bytes(plugin))); }

  /** Leases `size` bytes of the memory of a plugin's worker, to be filled in place. */
  Lease lease(std::string_view plugin, std::size_t size) {
    plugward_lease *out = nullptr;
    check(plugward_lease_new(get(), bytes(plugin), size, &out));
    return Lease(out);
  }

  /** Calls a tool with one JSON object as text. Whatever the plugin does is in the outcome. */
  Outcome call(std::string_view plugin, std::string_view tool, std::string_view args = "{}",
               const CallOptions &options = {}) {
    plugward_call_options c = {};
    c.struct_size = sizeof c;
    c.deadline_ms = static_cast<std::uint64_t>(options.deadline.count());
    c.tensors = options.tensors.data();
    c.tensor_count = options.tensors.size();
    if (options.progress) {
      c.progress = &Runtime::progress;
      c.progress_user = const_cast<void *>(static_cast<const void *>(&options.progress));
    }
    plugward_outcome *out = nullptr;
    check(plugward_call(get(), bytes(plugin), bytes(tool), bytes(args), &c, &out));
    return Outcome(out);
  }

  /** The plugin's state, one of PLUGWARD_STATE_. */
  plugward_state state(std::string_view plugin) const {
    plugward_state out = PLUGWARD_STATE_NONE;
    check(plugward_plugin_state(get(), bytes(plugin), &out, nullptr, nullptr));
    return out;
  }
  /** Health of every plugin, a JSON array. */
  std::string health() const {
    return detail::text_of([&](plugward_string **out) { return plugward_health_json(get(), out); });
  }
  /** Health of one plugin, a JSON object. */
  std::string health(std::string_view plugin) const {
    return detail::text_of([&](plugward_string **out) {
      return plugward_health_plugin_json(get(), bytes(plugin), out);
    });
  }
  /** All figures as OpenMetrics text. */
  std::string metrics() const {
    return detail::text_of([&](plugward_string **out) { return plugward_metrics_text(get(), out); });
  }
  /** Sends log records to `sink` from now on; an empty one stops that. */
  void log_to(LogSink sink) {
    if (!sink) return check(plugward_log_set_callback(get(), nullptr, nullptr, nullptr));
    auto owner = std::make_unique<LogSink>(std::move(sink));
    check(plugward_log_set_callback(get(), &Runtime::log, owner.get(), &Runtime::end_log));
    (void)owner.release(); // end_log ends it
  }
  /** Takes no further calls and ends all plugins. */
  void close() { check(plugward_runtime_close(get())); }

private:
  static std::int32_t progress(void *user, std::uint64_t current, std::uint64_t total) noexcept {
    try {
      using Function = decltype(CallOptions::progress);
      return (*static_cast<const Function *>(user))(current, total) ? 1 : 0;
    } catch (...) {
      return 0;
    }
  }
  static void log(void *user, const plugward_log_record *record) noexcept {
    try {
      (*static_cast<const LogSink *>(user))(*record);
    } catch (...) { // NOLINT(bugprone-empty-catch): a log line is not worth more
    }
  }
  static void end_log(void *user) noexcept { delete static_cast<LogSink *>(user); }

  detail::RuntimeHandle handle_;
};

} // namespace plugward

#endif /* PLUGWARD_HPP */
