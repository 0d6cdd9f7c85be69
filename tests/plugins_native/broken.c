/* Plugins that cannot be loaded, or that break their promises, by -D... */
#include "plugward_plugin.h"

#include <string.h>

static plugward_status create(const plugward_host *host, plugward_bytes manifest, void **out,
                              plugward_reply *reply) {
  (void)manifest;
  *out = NULL;
#ifdef CREATE_FAILS
  const char *message = "the camera is not connected";
  const plugward_bytes kind = {(const uint8_t *)"CameraError", 11};
  const plugward_bytes words = {(const uint8_t *)message, strlen(message)};
  host->reply_error(reply, kind, words);
  return PLUGWARD_STATUS_ERROR;
#else
  (void)host;
  (void)reply;
  return PLUGWARD_STATUS_OK;
#endif
}

/* Never answers, whatever it is asked. */
static plugward_status call(void *self, const plugward_request *request, plugward_reply *reply) {
  (void)self;
  (void)request;
  (void)reply;
  return PLUGWARD_STATUS_OK;
}

#ifndef SIZE
#define SIZE sizeof(plugward_plugin)
#endif
#ifndef VERSION
#define VERSION PLUGWARD_ABI_VERSION
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef CALL
#define CALL call
#endif

static plugward_status (*const unused_create)(const plugward_host *, plugward_bytes, void **, plugward_reply *) = create;
static plugward_status (*const unused_call)(void *, const plugward_request *, plugward_reply *) = call;

/* A truncated table must not be read beyond its size: only the head is there. */
#ifdef TRUNCATED
static const struct {
  uint32_t struct_size, abi_version;
} table = {16, PLUGWARD_ABI_VERSION};
#else
static const plugward_plugin table = {SIZE, VERSION, CREATE, NULL, NULL, CALL, NULL};
#endif

#ifdef NO_SYMBOL
PLUGWARD_PLUGIN_EXPORT const void *some_other_symbol(void);
const void *some_other_symbol(void) { return unused_create && unused_call ? (const void *)&table : NULL; }
#elif defined(NULL_TABLE)
PLUGWARD_PLUGIN_ENTRY { return unused_create && unused_call && table.struct_size ? NULL : &table; }
#else
PLUGWARD_PLUGIN_ENTRY { return unused_create && unused_call ? (const plugward_plugin *)&table : NULL; }
#endif
