// Calls a plugin's functions so that a C++ exception ends here, as a status, and never reaches a
// Rust frame, where it would abort the process. Rust cannot catch foreign exceptions by itself.
//
// pthread_cancel's forced unwind is let through: swallowing it is undefined.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <cxxabi.h>
#include <exception>

namespace {

constexpr int32_t kThrew = -0x7077;

struct Bytes {
  const uint8_t *data;
  size_t len;
};

void describe(const char *text, char *what, size_t capacity) {
  if (what == nullptr || capacity == 0) return;
  std::strncpy(what, text != nullptr ? text : "", capacity - 1);
  what[capacity - 1] = '\0';
}

template <class Body> int32_t guarded(char *what, size_t capacity, Body body) {
  try {
    return body();
  } catch (abi::__forced_unwind &) {
    throw;
  } catch (const std::exception &e) {
    describe(e.what(), what, capacity);
  } catch (...) {
    describe("a C++ exception that is no std::exception", what, capacity);
  }
  return kThrew;
}

} // namespace

extern "C" {

int32_t plugward_shim_create(int32_t (*create)(const void *, Bytes, void **, void *),
                             const void *host, Bytes manifest, void **instance, void *reply,
                             char *what, size_t capacity) {
  return guarded(what, capacity, [&] { return create(host, manifest, instance, reply); });
}

int32_t plugward_shim_destroy(void (*destroy)(void *), void *instance, char *what,
                              size_t capacity) {
  return guarded(what, capacity, [&]() -> int32_t {
    destroy(instance);
    return 0;
  });
}

int32_t plugward_shim_validate(int32_t (*validate)(void *, void *), void *instance, void *reply,
                               char *what, size_t capacity) {
  return guarded(what, capacity, [&] { return validate(instance, reply); });
}

int32_t plugward_shim_call(int32_t (*call)(void *, const void *, void *), void *instance,
                           const void *request, void *reply, char *what, size_t capacity) {
  return guarded(what, capacity, [&] { return call(instance, request, reply); });
}

int32_t plugward_shim_get_extension(const void *(*get)(const char *), const char *id,
                                    const void **table, char *what, size_t capacity) {
  return guarded(what, capacity, [&]() -> int32_t {
    *table = get(id);
    return 0;
  });
}

int32_t plugward_shim_restore(int32_t (*restore)(void *, Bytes, void *), void *instance,
                              Bytes state, void *reply, char *what, size_t capacity) {
  return guarded(what, capacity, [&] { return restore(instance, state, reply); });
}

int32_t plugward_shim_entry(const void *(*entry)(), const void **table, char *what,
                            size_t capacity) {
  return guarded(what, capacity, [&]() -> int32_t {
    *table = entry();
    return 0;
  });
}
}
