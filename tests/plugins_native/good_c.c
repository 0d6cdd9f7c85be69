/* A plugin in C that does everything a plugin may do. */
#include "plugward_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct self {
  const plugward_host *host;
  long calls;
};

static plugward_bytes text(const char *s) {
  const plugward_bytes out = {(const uint8_t *)s, strlen(s)};
  return out;
}

static int is(plugward_bytes a, const char *b) { return a.len == strlen(b) && memcmp(a.data, b, a.len) == 0; }

static plugward_status create(const plugward_host *host, plugward_bytes manifest, void **out,
                              plugward_reply *reply) {
  struct self *self = calloc(1, sizeof *self);
  if (!self || manifest.len == 0 || host->struct_size < sizeof *host) {
    host->reply_error(reply, text("ConfigError"), text("no manifest"));
    free(self);
    return PLUGWARD_STATUS_ERROR;
  }
  self->host = host;
  host->log(host, PLUGWARD_LOG_INFO, text("created"));
  *out = self;
  return PLUGWARD_STATUS_OK;
}

static void destroy(void *instance) {
  struct self *self = instance;
  self->host->log(self->host, PLUGWARD_LOG_INFO, text("destroyed"));
  free(self);
}

static plugward_status validate(void *instance, plugward_reply *reply) {
  (void)reply;
  return instance ? PLUGWARD_STATUS_OK : PLUGWARD_STATUS_ERROR;
}

static plugward_status count(const plugward_host *host, const plugward_request *request, plugward_reply *reply) {
  for (uint64_t n = 1; n <= 10; n++)
    if (host->progress(request, n, 10) != PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_CANCELLED;
  return host->reply_json(reply, text("10"));
}

static plugward_status facts(const plugward_request *request, plugward_reply *reply, const plugward_host *host) {
  char json[160];
  snprintf(json, sizeof json, "{\"deadline\": %s, \"call_id\": %s, \"extension\": %s}",
           request->deadline_ns > 0 ? "true" : "false", request->call_id > 0 ? "true" : "false",
           host->get_extension(host, "no.such") ? "true" : "false");
  return host->reply_json(reply, text(json));
}

static plugward_status call(void *instance, const plugward_request *request, plugward_reply *reply) {
  struct self *self = instance;
  const plugward_host *host = self->host;
  if (is(request->tool, "echo")) {
    if (request->tensor_count) host->reply_tensor(reply, request->tensors);
    return host->reply_json(reply, request->args);
  }
  if (is(request->tool, "count")) return count(host, request, reply);
  if (is(request->tool, "facts")) return facts(request, reply, host);
  if (is(request->tool, "input")) {
    host->reply_error(reply, text("InvalidInput"), text("no such file"));
    return PLUGWARD_STATUS_INVALID_INPUT;
  }
  host->reply_error(reply, text("LookupError"), text("unknown tool"));
  return PLUGWARD_STATUS_ERROR;
}

static const plugward_plugin table = {
    sizeof(plugward_plugin), PLUGWARD_ABI_VERSION, create, destroy, validate, call, NULL};

PLUGWARD_PLUGIN_ENTRY { return &table; }
