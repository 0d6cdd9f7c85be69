// A plugin in C++: an object behind the table, exceptions turned into replies where they occur.
#include "plugward_plugin.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

plugward_bytes bytes(const std::string &s) { return {reinterpret_cast<const std::uint8_t *>(s.data()), s.size()}; }

class Words {
public:
  explicit Words(const plugward_host *host) : host_(host) {}

  plugward_status call(const plugward_request *request, plugward_reply *reply) {
    const std::string tool(reinterpret_cast<const char *>(request->tool.data), request->tool.len);
    if (tool != "count") {
      host_->reply_error(reply, bytes("LookupError"), bytes("no tool " + tool));
      return PLUGWARD_STATUS_ERROR;
    }
    const std::vector<char> all(request->args.data, request->args.data + request->args.len);
    return host_->reply_json(reply, bytes("{\"bytes\": " + std::to_string(all.size()) + "}"));
  }

private:
  const plugward_host *host_;
};

plugward_status create(const plugward_host *host, plugward_bytes, void **out, plugward_reply *) {
  *out = std::make_unique<Words>(host).release();
  return PLUGWARD_STATUS_OK;
}

void destroy(void *self) { delete static_cast<Words *>(self); }

plugward_status call(void *self, const plugward_request *request, plugward_reply *reply) {
  return static_cast<Words *>(self)->call(request, reply);
}

const plugward_plugin table = {sizeof(plugward_plugin), PLUGWARD_ABI_VERSION, create, destroy, nullptr, call, nullptr};

} // namespace

PLUGWARD_PLUGIN_ENTRY { return &table; }
