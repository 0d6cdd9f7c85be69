/* Replays the stories of tests/conformance at the C door; generate.py turns them into the calls of replay.h. */
#include "replay.h"
#include "check.h"
#include "fixture.h"
#include "json.h"

/* Counts one check; one that fails says where, what was wanted and what was seen. */
static void judge(const replay *r, bool ok, const char *field, const char *how, const char *wanted, const char *seen) {
  if (ok) {
    checks_passed++;
    return;
  }
  checks_failed++;
  printf("  FAILED  %s step %d (%s): %s: want %s%s, seen %s\n", r->file, r->step, r->kind, field, how, wanted, seen);
  fflush(stdout);
}

static void begin(replay *r, int number, const char *kind) {
  r->step = number;
  r->kind = kind;
  r->steps_taken++;
  free(r->seen);
  r->seen = NULL;
}

/* Notes the code of an error, "code":null where there is none; frees it. */
static bool note_code(replay *r, plugward_error *error) {
  if (error) json_put_text(&r->seen, "code", plugward_error_code_text(error));
  else json_put(&r->seen, "code", "null");
  plugward_error_free(error);
  return !error;
}

static void note_report(replay *r, plugward_error *error, plugward_reports *reports) {
  if (error) {
    note_code(r, error);
    return;
  }
  const plugward_error *fault = plugward_reports_error(reports, 0);
  json_put_text(&r->seen, "state", plugward_state_name(plugward_reports_state(reports, 0)));
  json_put_number(&r->seen, "generation", plugward_reports_generation(reports, 0));
  if (fault) json_put_text(&r->seen, "code", plugward_error_code_text(fault));
  else json_put(&r->seen, "code", "null");
  plugward_reports_free(reports);
}

/* For steps that just succeed. */
static void must(replay *r, plugward_error *error) {
  char *seen = json_copy(error ? plugward_error_message(error) : text("no error"));
  judge(r, !error, "error", "", "none", seen);
  free(seen);
  plugward_error_free(error);
}

void step_load(replay *r, int number, const char *manifest) {
  begin(r, number, "load");
  plugward_reports *reports = NULL;
  plugward_error *error = fixture_load(r->runtime, text(manifest), &reports);
  note_report(r, error, reports);
}

static plugward_bytes effect_name(plugward_effect effect) {
  static const char *const names[] = {"not_started", "completed", "stopped", "may_have_run"};
  return text(effect < sizeof names / sizeof *names ? names[effect] : "an effect without a name");
}

static void note_fault(replay *r, const plugward_error *fault) {
  json_put_text(&r->seen, "error", plugward_error_message(fault));
  json_put_text(&r->seen, "error_type", plugward_error_type(fault));
  json_put_text(&r->seen, "code", plugward_error_code_text(fault));
  json_put_number(&r->seen, "http_status", plugward_error_http_status(fault));
  json_put_bool(&r->seen, "retryable", plugward_error_retryable(fault));
}

/* The accessors and plugward_outcome_json say the same. */
static void compare_with_json(const replay *r, const plugward_outcome *outcome) {
  static const char *const fields[] = {"ok",   "result",    "effect",     "generation", "error", "error_type",
                                       "code", "retryable", "http_status"};
  char *json = json_copy(plugward_outcome_json(outcome));
  for (size_t at = 0; at < sizeof fields / sizeof *fields; at++) {
    char *by_accessor = json_member(r->seen, fields[at]), *by_json = json_member(json, fields[at]);
    const char *const a = by_accessor ? by_accessor : "nothing", *const b = by_json ? by_json : "nothing";
    judge(r, strcmp(a, b) == 0, fields[at], "by plugward_outcome_json ", a, b);
    free(by_accessor);
    free(by_json);
  }
  free(json);
}

void step_call(replay *r, int number, const char *plugin, const char *tool, const char *args, uint64_t deadline_ms) {
  begin(r, number, "call");
  const plugward_call_options options = {sizeof options, 0, deadline_ms, NULL, 0, NULL, NULL};
  plugward_outcome *outcome = NULL;
  must(r, plugward_call(r->runtime, text(plugin), text(tool), text(args), &options, &outcome));
  const bool ok = plugward_outcome_ok(outcome);
  json_put_bool(&r->seen, "ok", ok);
  json_put_text(&r->seen, "effect", effect_name(plugward_outcome_effect(outcome)));
  json_put_number(&r->seen, "generation", plugward_outcome_generation(outcome));
  if (ok) {
    char *result = json_copy(plugward_outcome_result_json(outcome));
    json_put(&r->seen, "result", result);
    free(result);
  } else {
    note_fault(r, plugward_outcome_error(outcome));
  }
  if (outcome) compare_with_json(r, outcome);
  plugward_outcome_free(outcome);
}

void step_restart(replay *r, int number, const char *plugin) {
  begin(r, number, "restart");
  plugward_reports *reports = NULL;
  plugward_error *error = plugward_restart(r->runtime, text(plugin), &reports);
  note_report(r, error, reports);
}

void step_reload(replay *r, int number, const char *plugin) {
  begin(r, number, "reload");
  plugward_reports *reports = NULL;
  plugward_error *error = plugward_reload(r->runtime, text(plugin), &reports);
  note_report(r, error, reports);
}

void step_stop(replay *r, int number, const char *plugin) {
  begin(r, number, "stop");
  plugward_reports *reports = NULL;
  plugward_error *error = plugward_stop(r->runtime, text(plugin), &reports);
  note_report(r, error, reports);
}

void step_unload(replay *r, int number, const char *plugin) {
  begin(r, number, "unload");
  note_code(r, plugward_unload(r->runtime, text(plugin)));
}

/* One plugin's health; {"missing":true} where there is no such plugin. */
static void note_health(replay *r, const char *plugin) {
  plugward_string *health = NULL;
  plugward_error *error = plugward_health_plugin_json(r->runtime, text(plugin), &health);
  if (plugward_error_code(error) == PLUGWARD_CODE_REGISTRY_UNKNOWN_PLUGIN) json_put(&r->seen, "missing", "true");
  else if (error) json_put_text(&r->seen, "code", plugward_error_code_text(error));
  else r->seen = json_copy(plugward_string_bytes(health));
  plugward_error_free(error);
  plugward_string_free(health);
}

void step_health(replay *r, int number, const char *plugin) {
  begin(r, number, "health");
  note_health(r, plugin);
}

void step_list(replay *r, int number) {
  begin(r, number, "list");
  plugward_string *health = NULL;
  must(r, plugward_health_json(r->runtime, &health));
  if (health) {
    char *all = json_copy(plugward_string_bytes(health)), *names = json_column(all, "name");
    json_put(&r->seen, "names", names);
    free(names);
    free(all);
  }
  plugward_string_free(health);
}

void step_register(replay *r, int number, const char *plugin, const char *description, const char *version) {
  begin(r, number, "register");
  note_code(r, plugward_register(r->runtime, text(plugin), text(description), text(version)));
}

void step_mark(replay *r, int number, const char *plugin, plugward_event event, const char *reason) {
  begin(r, number, "mark");
  plugward_state state = PLUGWARD_STATE_NONE;
  if (note_code(r, plugward_mark(r->runtime, text(plugin), event, text(reason), &state)))
    json_put_text(&r->seen, "state", plugward_state_name(state));
}

void step_record(replay *r, int number, const char *plugin, bool ok, double elapsed_ms) {
  begin(r, number, "record");
  note_code(r, plugward_record(r->runtime, text(plugin), ok, elapsed_ms));
}

void step_close(replay *r, int number) {
  begin(r, number, "close");
  must(r, plugward_runtime_close(r->runtime));
}

static bool is(const replay *r, const char *field, const char *value) {
  char *seen = r->seen ? json_member(r->seen, field) : NULL;
  const bool equal = seen && strcmp(seen, value) == 0;
  free(seen);
  return equal;
}

void step_wait(replay *r, int number, const char *plugin, const char *field, const char *value) {
  const double until = now_ms() + 60000;
  begin(r, number, "wait");
  note_health(r, plugin);
  while (!is(r, field, value) && now_ms() < until) {
    sleep_ms(20);
    free(r->seen);
    r->seen = NULL;
    note_health(r, plugin);
  }
  want(r, field, value);
}

void want(replay *r, const char *field, const char *value) {
  char *seen = r->seen ? json_member(r->seen, field) : NULL;
  judge(r, is(r, field, value), field, "", value, seen ? seen : "no such field");
  free(seen);
}

void want_contains(replay *r, const char *field, const char *part) {
  char *seen = r->seen ? json_member(r->seen, field) : NULL;
  char *said = seen ? json_text(seen) : NULL;
  judge(r, said && strstr(said, part), field, "a text with ", part, seen ? seen : "no such field");
  free(said);
  free(seen);
}

/* Every plugin's `destroy` has run: at once, or when its abandoned call has returned. */
static void check_the_ends(replay *r) {
  begin(r, r->step, "end of the story");
  const double until = now_ms() + 60000;
  while (!fixture_all_ended() && now_ms() < until) sleep_ms(20);
  judge(r, fixture_all_ended(), "destroy", "", "once for each plugin", "another number of times");
}

static void play(const story *one) {
  replay r = {one->file, new_runtime(), 0, 0, "", NULL};
  const int passed = checks_passed, failed = checks_failed;
  one->play(&r);
  const int steps = r.steps_taken;
  plugward_runtime_free(r.runtime);
  check_the_ends(&r);
  judge(&r, steps > 0, "steps", "", "some", "none");
  printf("  %s %s: %d steps, %d checks passed, %d failed\n", checks_failed == failed ? "ok     " : "FAILED ", one->file,
         steps, checks_passed - passed, checks_failed - failed);
  fflush(stdout);
}

/* The reader itself: keys of inner objects and keys in texts are not members; escapes are read and written. */
static void check_the_reader(void) {
  static const char object[] = "{\"a\":{\"state\":1,\"s\":\"}\"},\"b\":\"\\\"state\\\":2\",\"l\":[{\"state\":3}],"
                               " \"state\" : \"q\\\"\\\\\\n\\u0001\xc3\xa9/\" , \"end\":-0.5}";
  static const char said[] = "q\"\\\n\001\xc3\xa9/";
  char *value = json_member(object, "state"), *end = json_member(object, "end"), *inner = json_member(object, "s");
  char *read = value ? json_text(value) : NULL, *names = json_column("[{\"n\":[1,2]},{\"m\":{}}]", "n");
  char *written = NULL;
  json_put_number(&written, "n", 4294967295u);
  json_put_text(&written, "t", text(said));
  char *back = json_member(written, "t");
  CHECK(read && strcmp(read, said) == 0, "the reader finds members of the top level only");
  CHECK(end && strcmp(end, "-0.5") == 0 && !inner, "it finds the last member, and none of an inner object");
  CHECK(names && strcmp(names, "[[1,2],null]") == 0, "it reads one member of each object in a list");
  CHECK(back && value && strcmp(back, value) == 0, "what is written is spelled as what is read");
  char *const all[] = {value, end, inner, read, names, written, back};
  for (size_t at = 0; at < sizeof all / sizeof *all; at++) free(all[at]);
}

int main(void) {
  check_the_reader();
  for (size_t at = 0; at < story_count; at++) play(&stories[at]);
  return checks_done("conformance");
}
