/* Tensors into a call and out of it. */
#include "check.h"

/* Turns a matrix of floats around and answers its sum. */
static plugward_status turn(void *user, const plugward_request *request, plugward_reply *reply) {
  (void)user;
  if (same(request->tool, "count")) {
    char n[32];
    snprintf(n, sizeof n, "%zu", request->tensor_count);
    return plugward_reply_json(reply, text(n));
  }
  const plugward_tensor *in = request->tensors;
  if (same(request->tool, "bad")) {
    plugward_tensor wrong = *in;
    wrong.ndim = -1;
    if (plugward_reply_tensor(reply, &wrong) == PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_ERROR;
    return PLUGWARD_STATUS_OK;
  }
  if (request->tensor_count != 1 || in->ndim != 2 || in->strides != NULL || in->dtype.bits != 32)
    return PLUGWARD_STATUS_INVALID_INPUT;
  const float *data = in->data;
  double sum = 0;
  for (int64_t n = 0; n < in->shape[0] * in->shape[1]; n++) sum += (double)data[n];
  const int64_t shape[2] = {in->shape[1], in->shape[0]}, strides[2] = {1, in->shape[1]};
  const plugward_tensor out = {in->data, in->device, 2, in->dtype, shape, strides, 0};
  if (plugward_reply_tensor(reply, &out) != PLUGWARD_STATUS_OK) return PLUGWARD_STATUS_ERROR;
  char json[64];
  snprintf(json, sizeof json, "{\"sum\": %.1f}", sum);
  return plugward_reply_json(reply, text(json));
}

static plugward_error *call_with(plugward_runtime *runtime, const char *plugin, const char *tool,
                                 const plugward_tensor *tensors, size_t count, plugward_outcome **out) {
  plugward_call_options options = {sizeof options, 0, 0, tensors, count, NULL, NULL};
  return plugward_call(runtime, text(plugin), text(tool), text("{}"), &options, out);
}

static void there_and_back(plugward_runtime *runtime, const char *plugin, const plugward_tensor *view) {
  plugward_outcome *outcome = NULL;
  CHECK(FINE(call_with(runtime, plugin, "turn", view, 1, &outcome)), plugin);
  CHECK(same(plugward_outcome_result_json(outcome), "{\"sum\":15.0}"), "the plugin saw the values");
  CHECK(plugward_outcome_tensor_count(outcome) == 1, "one tensor came back");
  plugward_tensor back;
  CHECK(FINE(plugward_outcome_tensor(outcome, 0, &back)) && back.ndim == 2 && back.shape[0] == 3 &&
            back.shape[1] == 2 && back.strides == NULL && back.device.kind == 1,
        "it is compact, on the CPU, of the turned shape");
  const float want[6] = {0, 3, 1, 4, 2, 5};
  CHECK(memcmp((const char *)back.data + back.byte_offset, want, sizeof want) == 0, "its values are turned");
  CHECK(raised(plugward_outcome_tensor(outcome, 1, &back), PLUGWARD_CODE_ABI_ARGUMENT) && back.data == NULL &&
            back.ndim == 0,
        "an index beyond the end is PW-ABI-007, and out is zeroed");
  plugward_outcome_free(outcome);
}

static void contradictions(plugward_runtime *runtime, const plugward_tensor *good) {
  plugward_outcome *outcome = NULL;
  const int64_t negative[2] = {2, -3}, vast[2] = {INT64_MAX, INT64_MAX};
  plugward_tensor cases[8];
  for (int n = 0; n < 8; n++) cases[n] = *good;
  cases[0].data = NULL;
  cases[1].shape = negative;
  cases[2].shape = vast;
  cases[3].ndim = 33;
  cases[4].ndim = -1;
  cases[5].device.kind = 2;
  cases[6].dtype.bits = 3;
  cases[7].shape = NULL;
  for (int n = 0; n < 8; n++)
    CHECK(raised(call_with(runtime, "inline", "turn", &cases[n], 1, &outcome), PLUGWARD_CODE_ABI_TENSOR) &&
              outcome == NULL,
          "a description that contradicts itself is PW-ABI-006");
  CHECK(raised(call_with(runtime, "inline", "turn", NULL, 2, &outcome), PLUGWARD_CODE_ABI_NULL),
        "tensors that are not there are PW-ABI-001");
  CHECK(FINE(call_with(runtime, "inline", "count", good, 0, &outcome)) &&
            same(plugward_outcome_result_json(outcome), "0"),
        "no tensors are no tensors");
  plugward_outcome_free(outcome);
  plugward_tensor empty = *good;
  const int64_t none[2] = {0, 3};
  empty.shape = none;
  empty.strides = NULL;
  empty.data = NULL;
  CHECK(FINE(call_with(runtime, "inline", "count", &empty, 1, &outcome)) && plugward_outcome_ok(outcome),
        "an empty tensor needs no data");
  plugward_outcome_free(outcome);
  CHECK(FINE(call_with(runtime, "inline", "bad", good, 1, &outcome)) &&
            plugward_error_code(plugward_outcome_error(outcome)) == PLUGWARD_CODE_CALL_UNSERIALIZABLE,
        "an answer with a wrong tensor is PW-CALL-015");
  plugward_outcome_free(outcome);
}

static void leases(plugward_runtime *runtime) {
  plugward_lease *lease = NULL;
  CHECK(raised(plugward_lease_new(runtime, text("inline"), 100, &lease), PLUGWARD_CODE_WORKER_LEASE) && lease == NULL,
        "a plugin in this process needs no lease: PW-WORKER-013");
  CHECK(raised(plugward_lease_new(runtime, text("nobody"), 100, &lease), PLUGWARD_CODE_REGISTRY_UNKNOWN_PLUGIN),
        "nobody's worker has none");
  CHECK(plugward_lease_data(NULL) == NULL, "NULL has no data");
  plugward_lease_free(NULL);
}

int main(void) {
  /* A 2 x 3 matrix within rows of 4, one float in. */
  const float data[9] = {-1, 0, 1, 2, -1, 3, 4, 5, -1};
  const int64_t shape[2] = {2, 3}, strides[2] = {4, 1};
  const plugward_tensor view = {(void *)(uintptr_t)data, {1, 0}, 2, PLUGWARD_DTYPE_F32, shape, strides, 4};
  plugward_runtime *runtime = new_runtime();
  const char *const tools = "{\"id\": \"turn\"}, {\"id\": \"count\"}, {\"id\": \"bad\"}";
  CHECK(load_host(runtime, "inline", "\"isolation\": \"inline\",", tools, turn, NULL), "inline");
  CHECK(load_host(runtime, "thread", "\"isolation\": \"thread\",", tools, turn, NULL), "thread");
  there_and_back(runtime, "inline", &view);
  there_and_back(runtime, "thread", &view);
  contradictions(runtime, &view);
  leases(runtime);
  plugward_runtime_free(runtime);
  return checks_done("tensors");
}
