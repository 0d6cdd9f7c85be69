/* As much JSON as the stories need: one member of an object, one text, and objects put together.
   All of it is compact JSON of one spelling (the library's), so equal values are equal texts. */
#ifndef PLUGWARD_TESTS_CONFORMANCE_JSON_H
#define PLUGWARD_TESTS_CONFORMANCE_JSON_H

#include "plugward.h"

/* A copy of `bytes` with a final NUL. Like every text here the caller frees it with free(). */
char *json_copy(plugward_bytes bytes);

/* The value of the member `key` of `object` as JSON, or NULL. Members of members are not looked at. */
char *json_member(const char *object, const char *key);

/* The member `key` of every object in `array`, as a JSON array. */
char *json_column(const char *array, const char *key);

/* What a JSON string says, or NULL for any other value. */
char *json_text(const char *value);

/* Puts members into an object, which begins as NULL. */
void json_put(char **object, const char *key, const char *value);
void json_put_text(char **object, const char *key, plugward_bytes text);
void json_put_number(char **object, const char *key, uint32_t number);
void json_put_bool(char **object, const char *key, bool value);

#endif
