// Throws where its name says: call, create, validate, destroy or entry, by -DTHROW_IN_...
#include "plugward_plugin.h"

#include <cstring>
#include <stdexcept>

namespace {

struct Odd {};

plugward_status create(const plugward_host *, plugward_bytes, void **out, plugward_reply *) {
#ifdef THROW_IN_CREATE
  throw std::runtime_error("thrown in create");
#endif
  static int instance;
  *out = &instance;
  return PLUGWARD_STATUS_OK;
}

void destroy(void *) {
#ifdef THROW_IN_DESTROY
  throw std::runtime_error("thrown in destroy");
#endif
}

plugward_status validate(void *, plugward_reply *) {
#ifdef THROW_IN_VALIDATE
  throw std::runtime_error("thrown in validate");
#endif
  return PLUGWARD_STATUS_OK;
}

plugward_status call(void *, const plugward_request *request, plugward_reply *) {
#ifdef THROW_IN_CALL
  if (request->tool.len == 3 && std::memcmp(request->tool.data, "odd", 3) == 0) throw Odd{};
  throw std::out_of_range("thrown in call");
#endif
  (void)request;
  return PLUGWARD_STATUS_OK;
}

const plugward_plugin table = {sizeof(plugward_plugin), PLUGWARD_ABI_VERSION, create, destroy, validate, call, nullptr};

} // namespace

PLUGWARD_PLUGIN_ENTRY {
#ifdef THROW_IN_ENTRY
  throw std::runtime_error("thrown in entry");
#endif
  return &table;
}
