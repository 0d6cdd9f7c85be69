// Calls the host's own functions so that a C++ exception ends here, as a status, and never reaches
// a Rust frame, where it would abort the process. Plugin functions have the same in the core.
//
// pthread_cancel's forced unwind is let through: swallowing it is undefined.

#include <cstdint>
#include <cxxabi.h>

namespace {

constexpr int32_t kThrew = -0x7077;

template <class Body> int32_t guarded(Body body) {
  try {
    return body();
  } catch (abi::__forced_unwind &) {
    throw;
  } catch (...) {
    return kThrew;
  }
}

} // namespace

extern "C" {

int32_t plugward_edge_progress(int32_t (*progress)(void *, uint64_t, uint64_t), void *user,
                               uint64_t current, uint64_t total) {
  return guarded([&] { return progress(user, current, total); });
}

int32_t plugward_edge_log(void (*log)(void *, const void *), void *user, const void *record) {
  return guarded([&]() -> int32_t {
    log(user, record);
    return 0;
  });
}

int32_t plugward_edge_destroy(void (*destroy)(void *), void *user) {
  return guarded([&]() -> int32_t {
    destroy(user);
    return 0;
  });
}
}
