#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void give_up(const char *why, const char *at) {
  printf("conformance: %s at: %.60s\n", why, at ? at : "(NULL)");
  exit(3);
}

static char *room(size_t size) {
  char *out = malloc(size);
  if (!out) give_up("no memory", NULL);
  return out;
}

static char *copy(const char *from, size_t len) {
  char *out = room(len + 1);
  if (len > 0) memcpy(out, from, len);
  out[len] = '\0';
  return out;
}

char *json_copy(plugward_bytes bytes) { return copy((const char *)bytes.data, bytes.len); }

static const char *skip_blank(const char *at) { return at + strspn(at, " \t\r\n"); }

/* Each skip_ function answers where the thing that begins at `at` ends. */
static const char *skip_string(const char *at) {
  const char *const begin = at;
  for (at++; *at != '"'; at++) {
    if (*at == '\\' && at[1] != '\0') at++;
    if (*at == '\0') give_up("a string without an end", begin);
  }
  return at + 1;
}

static const char *skip_value(const char *at) {
  const char *const begin = at;
  size_t depth = 0;
  do {
    at = skip_blank(at);
    if (*at == '\0') give_up("a value without an end", begin);
    if (*at == '"') at = skip_string(at);
    else if (*at == '{' || *at == '[') depth++, at++;
    else if (*at == '}' || *at == ']') {
      if (depth == 0) give_up("a bracket too many", begin);
      depth--, at++;
    } else if (*at == ',' || *at == ':') {
      if (depth == 0) give_up("no value", begin);
      at++;
    } else at += strcspn(at, " \t\r\n,:]}");
  } while (depth > 0);
  return at;
}

static const char *expect(const char *at, char what) {
  at = skip_blank(at);
  if (*at != what) give_up("no JSON as it was wanted", at);
  return skip_blank(at + 1);
}

/* Behind the comma, or at the bracket that ends the list. */
static const char *next(const char *at, char end) {
  at = skip_blank(at);
  return *at == end ? at : expect(at, ',');
}

char *json_member(const char *object, const char *key) {
  const size_t len = strlen(key);
  for (const char *at = expect(object, '{'); *at != '}';) {
    if (*at != '"') give_up("no key", at);
    const char *const name = at, *const name_end = skip_string(at);
    const char *const value = expect(name_end, ':'), *const value_end = skip_value(value);
    if ((size_t)(name_end - name) == len + 2 && memcmp(name + 1, key, len) == 0)
      return copy(value, (size_t)(value_end - value));
    at = next(value_end, '}');
  }
  return NULL;
}

/* Adds `more` to `*out`, which may be NULL. */
static void append(char **out, const char *more, size_t len) {
  const size_t had = *out ? strlen(*out) : 0;
  char *grown = room(had + len + 1);
  if (*out) memcpy(grown, *out, had);
  memcpy(grown + had, more, len);
  grown[had + len] = '\0';
  free(*out);
  *out = grown;
}

static void append_text(char **out, const char *more) { append(out, more, strlen(more)); }

char *json_column(const char *array, const char *key) {
  char *out = NULL;
  append_text(&out, "[");
  for (const char *at = expect(array, '['); *at != ']';) {
    const char *const end = skip_value(at);
    char *item = copy(at, (size_t)(end - at));
    char *value = json_member(item, key);
    if (out[1] != '\0') append_text(&out, ",");
    append_text(&out, value ? value : "null");
    free(value);
    free(item);
    at = next(end, ']');
  }
  append_text(&out, "]");
  return out;
}

/* The letters that JSON writes behind a backslash, and what they stand for. */
static const char LETTERS[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";

char *json_text(const char *value) {
  if (*value != '"') return NULL;
  char *out = copy(value, strlen(value));
  size_t len = 0;
  for (const char *at = value + 1; *at != '"'; at++) {
    unsigned number = 0;
    if (*at != '\\') {
      out[len++] = *at;
    } else if (*++at == 'u') {
      /* The library writes control characters so, everything else as UTF-8. */
      if (sscanf(at + 1, "%4x", &number) != 1 || number == 0 || number > 0x7f) give_up("an escape not known here", at);
      out[len++] = (char)number;
      at += 4;
    } else {
      const char *letter = *at ? strchr(LETTERS, *at) : NULL;
      if (!letter) give_up("an escape not known here", at);
      out[len++] = MEANT[letter - LETTERS];
    }
  }
  out[len] = '\0';
  return out;
}

void json_put(char **object, const char *key, const char *value) {
  if (*object) (*object)[strlen(*object) - 1] = ',';
  else append_text(object, "{");
  append_text(object, "\"");
  append_text(object, key);
  append_text(object, "\":");
  append_text(object, value);
  append_text(object, "}");
}

void json_put_text(char **object, const char *key, plugward_bytes text) {
  char *out = NULL;
  append_text(&out, "\"");
  for (size_t at = 0; at < text.len; at++) {
    const char byte = (char)text.data[at];
    char escape[8];
    const char *meant = byte && byte != '/' ? strchr(MEANT, byte) : NULL;
    if (meant) snprintf(escape, sizeof escape, "\\%c", LETTERS[meant - MEANT]);
    else snprintf(escape, sizeof escape, text.data[at] < 0x20 ? "\\u%04x" : "%c", text.data[at]);
    append_text(&out, escape);
  }
  append_text(&out, "\"");
  json_put(object, key, out);
  free(out);
}

void json_put_number(char **object, const char *key, uint32_t number) {
  char out[16];
  snprintf(out, sizeof out, "%lu", (unsigned long)number);
  json_put(object, key, out);
}

void json_put_bool(char **object, const char *key, bool value) { json_put(object, key, value ? "true" : "false"); }
