/* What the generated stories are made of: steps, each followed by what is wanted of it. */
#ifndef PLUGWARD_TESTS_CONFORMANCE_REPLAY_H
#define PLUGWARD_TESTS_CONFORMANCE_REPLAY_H

#include "plugward.h"

typedef struct replay {
  const char *file;
  plugward_runtime *runtime;
  int step;
  int steps_taken;
  const char *kind;
  /* What the latest step saw, a JSON object. */
  char *seen;
} replay;

/* A story: its file, and its steps. */
typedef struct story {
  const char *file;
  void (*play)(replay *r);
} story;

/* The generated list. */
extern const story stories[];
extern const size_t story_count;

/* One step of each kind: its number in the story, and what the story says. Missing texts are empty. */
void step_load(replay *r, int number, const char *manifest);
void step_call(replay *r, int number, const char *plugin, const char *tool, const char *args, uint64_t deadline_ms);
void step_restart(replay *r, int number, const char *plugin);
void step_reload(replay *r, int number, const char *plugin);
void step_stop(replay *r, int number, const char *plugin);
void step_unload(replay *r, int number, const char *plugin);
void step_health(replay *r, int number, const char *plugin);
void step_list(replay *r, int number);
void step_register(replay *r, int number, const char *plugin, const char *description, const char *version);
void step_mark(replay *r, int number, const char *plugin, plugward_event event, const char *reason);
/* A negative `elapsed_ms` is unknown. */
void step_record(replay *r, int number, const char *plugin, bool ok, double elapsed_ms);
void step_close(replay *r, int number);
void step_wait(replay *r, int number, const char *plugin, const char *field, const char *value);

/* The field is there and is `value`, compact JSON with sorted keys. */
void want(replay *r, const char *field, const char *value);
/* The field is a text that contains `part`. */
void want_contains(replay *r, const char *field, const char *part);

#endif
