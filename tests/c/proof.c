/* Faulty on purpose: a checker that lets one of these pass is not switched on. */
#include "check.h"
#include <limits.h>

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "overflow") == 0) {
    char *room = malloc(8);
    volatile size_t beyond = 8;
    if (room) memset(room, 0, 8);
    const char read = room[beyond];
    free(room);
    return read == 1;
  }
  if (strcmp(what, "after_free") == 0) {
    /* Memory of the library: what it allocates is watched as well. */
    plugward_error *error = plugward_version_check(99, 0);
    const plugward_bytes message = plugward_error_message(error);
    plugward_error_free(error);
    return ((volatile const uint8_t *)message.data)[0] == 1;
  }
  if (strcmp(what, "leak") == 0) {
    plugward_runtime *runtime = new_runtime();
    plugward_string *health = NULL;
    plugward_error_free(plugward_health_json(runtime, &health));
    health = NULL;
    plugward_runtime_free(runtime);
    return 0;
  }
  if (strcmp(what, "undefined") == 0) {
    volatile int most = INT_MAX;
    return most + argc == 1;
  }
  return 0;
}
