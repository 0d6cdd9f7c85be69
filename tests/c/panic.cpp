// A panic inside every exported function becomes an error or a neutral value. Needs a library built
// with the feature `fault-injection`.
#include "every.hpp"

#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

static int panics;

// The panic's message on stderr proves that it was raised: many neutral values are also the answer
// to NULL.
struct Stderr {
  int saved = dup(2);
  std::FILE *file = std::tmpfile();
  Stderr() { dup2(fileno(file), 2); }
  std::string read() {
    std::string out(4096, '\0');
    std::fflush(stderr);
    dup2(saved, 2);
    close(saved);
    std::rewind(file);
    out.resize(std::fread(out.data(), 1, out.size(), file));
    std::fclose(file);
    return out;
  }
};

template <class F> void every(const char *name, F function) {
  setenv("PLUGWARD_TEST_PANIC", name, 1);
  Stderr captured;
  const bool contained = judged(function, zeros(function), PLUGWARD_CODE_RUNTIME_INTERNAL);
  const std::string said = captured.read();
  setenv("PLUGWARD_TEST_PANIC", "", 1);
  if (!CHECK(contained && said.find("injected into " + std::string(name)) != std::string::npos, name))
    std::printf("          (%s)\n", said.c_str());
  panics++;
}

int main() {
#define EVERY(name) every(#name, &name);
#include "exports.inc"
#undef EVERY
  CHECK(panics > 50, "the list of exports was not empty");
  setenv("PLUGWARD_TEST_PANIC", "plugward_runtime_new", 1);
  plugward_runtime *runtime = nullptr;
  plugward_error *error = plugward_runtime_new(nullptr, &runtime);
  CHECK(contains(plugward_error_message(error), "plugward_runtime_new") &&
            raised(error, PLUGWARD_CODE_RUNTIME_INTERNAL) && runtime == nullptr,
        "the error names the function");
  setenv("PLUGWARD_TEST_PANIC", "", 1);
  runtime = new_runtime();
  CHECK(plugward_health_ready(runtime), "the library works on");
  plugward_runtime_free(runtime);
  return checks_done("panic");
}
