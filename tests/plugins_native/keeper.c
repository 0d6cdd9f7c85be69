/* A plugin in C that keeps a count over its generations. -DEDITION sets what "edition" answers;
 * -DREFUSES makes it refuse every checkpoint, -DCRASHES die of it, -DUNFIT fail its validate. */
#define _GNU_SOURCE
#include "plugward_plugin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef EDITION
#define EDITION "one"
#endif

struct self {
  const plugward_host *host;
  const plugward_checkpoint *keep;
  long count;
  int restored;
};

static plugward_bytes text(const char *s) {
  const plugward_bytes out = {(const uint8_t *)s, strlen(s)};
  return out;
}

static int is(plugward_bytes a, const char *b) { return a.len == strlen(b) && memcmp(a.data, b, a.len) == 0; }

static plugward_status create(const plugward_host *host, plugward_bytes manifest, void **out,
                              plugward_reply *reply) {
  (void)manifest;
  struct self *self = calloc(1, sizeof *self);
  if (!self) return PLUGWARD_STATUS_ERROR;
  self->host = host;
  self->keep = host->get_extension(host, PLUGWARD_EXT_CHECKPOINT);
  if (!self->keep || self->keep->struct_size < sizeof *self->keep) {
    host->reply_error(reply, text("LookupError"), text("the host keeps no checkpoints"));
    free(self);
    return PLUGWARD_STATUS_ERROR;
  }
  *out = self;
  return PLUGWARD_STATUS_OK;
}

static void destroy(void *instance) { free(instance); }

static plugward_status restore(void *instance, plugward_bytes state, plugward_reply *reply) {
  struct self *self = instance;
  char number[32] = "";
#ifdef CRASHES
  raise(SIGSEGV);
#endif
#ifdef REFUSES
  self->host->reply_error(reply, text("ValueError"), text("that state is not mine"));
  return PLUGWARD_STATUS_ERROR;
#endif
  (void)reply;
  memcpy(number, state.data, state.len < sizeof number ? state.len : sizeof number - 1);
  self->count = strtol(number, NULL, 10);
  self->restored = 1;
  return PLUGWARD_STATUS_OK;
}

static plugward_status validate(void *instance, plugward_reply *reply) {
  struct self *self = instance;
#ifdef UNFIT
  self->host->reply_error(reply, text("ConfigError"), text("this edition is broken"));
  return PLUGWARD_STATUS_ERROR;
#endif
  (void)reply;
  return self ? PLUGWARD_STATUS_OK : PLUGWARD_STATUS_ERROR;
}

static plugward_status look(const struct self *self, plugward_reply *reply) {
  char json[160];
  snprintf(json, sizeof json, "{\"count\": %ld, \"restored\": %s, \"pid\": %d, \"edition\": \"%s\"}",
           self->count, self->restored ? "true" : "false", (int)getpid(), EDITION);
  return self->host->reply_json(reply, text(json));
}

static plugward_status count(struct self *self, plugward_reply *reply) {
  char state[32];
  snprintf(state, sizeof state, "%ld", ++self->count);
  if (self->keep->save(self->host, text(state)) != PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_ERROR;
  return look(self, reply);
}

/* One byte more than a checkpoint may have. */
static plugward_status huge(struct self *self, plugward_reply *reply) {
  const size_t size = (16u << 20) + 1;
  uint8_t *bytes = calloc(size, 1);
  const plugward_bytes state = {bytes, size};
  const plugward_status said = self->keep->save(self->host, state);
  free(bytes);
  return self->host->reply_json(reply, text(said == PLUGWARD_STATUS_ERROR ? "\"refused\"" : "\"kept\""));
}

/* {"ms": 5}: that long. {"until": "/file"}: says so, and waits until there is such a file, at most a minute. */
static plugward_status nap(struct self *self, const plugward_request *request, plugward_reply *reply) {
  long ms = 0;
  char args[512] = "", file[512] = "";
  memcpy(args, request->args.data, request->args.len < sizeof args ? request->args.len : sizeof args - 1);
  sscanf(args, "{\"ms\":%ld", &ms);
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000}, moment = {0, 5000000};
  if (sscanf(args, "{\"until\":\"%511[^\"]", file) == 1) {
    printf("naps until %s\n", file);
    fflush(stdout);
    for (int n = 0; n < 12000 && access(file, F_OK) != 0; n++) nanosleep(&moment, NULL);
  }
  nanosleep(&time, NULL);
  return look(self, reply);
}

static plugward_status call(void *instance, const plugward_request *request, plugward_reply *reply) {
  struct self *self = instance;
  if (is(request->tool, "count")) return count(self, reply);
  if (is(request->tool, "look")) return look(self, reply);
  if (is(request->tool, "huge")) return huge(self, reply);
  if (is(request->tool, "nap")) return nap(self, request, reply);
  if (is(request->tool, "die")) kill(getpid(), SIGKILL);
  if (is(request->tool, "raise")) return PLUGWARD_STATUS_ERROR;
  self->host->reply_error(reply, text("LookupError"), text("unknown tool"));
  return PLUGWARD_STATUS_ERROR;
}

static const plugward_restore restore_table = {sizeof(plugward_restore), 0, restore};

static const void *get_extension(const char *id) {
  return strcmp(id, PLUGWARD_EXT_RESTORE) == 0 ? &restore_table : NULL;
}

static const plugward_plugin table = {
    sizeof(plugward_plugin), PLUGWARD_ABI_VERSION, create, destroy, validate, call, get_extension};

PLUGWARD_PLUGIN_ENTRY { return &table; }
