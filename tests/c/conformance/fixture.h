/* The plugin of the stories: tools that do what their ids say. */
#ifndef PLUGWARD_TESTS_CONFORMANCE_FIXTURE_H
#define PLUGWARD_TESTS_CONFORMANCE_FIXTURE_H

#include "plugward.h"

/* Loads it under a manifest. The error is that of plugward_load_manifest. */
plugward_error *fixture_load(const plugward_runtime *runtime, plugward_bytes manifest, plugward_reports **out);

/* Whether every fixture that was loaded so far has been ended, exactly once. */
bool fixture_all_ended(void);

#endif
