/* A stand-in for libnvidia-ml.so.1. What it answers is set by -D flags; -DWITHOUT_x leaves x out. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef INIT
#define INIT 0
#endif
#ifndef COUNT
#define COUNT 1
#endif
#ifndef CUDA
#define CUDA 12040
#endif
#ifndef CUDA_RC
#define CUDA_RC 0
#endif
#ifndef MAJOR
#define MAJOR 9
#define MINOR 0
#endif
#ifndef FREE_MB
#define FREE_MB 80000ULL
#endif
#ifndef TOTAL_MB
#define TOTAL_MB 81559ULL
#endif
#ifndef HANDLE_RC
#define HANDLE_RC 0
#endif
#ifndef MIG
#define MIG 0
#endif

typedef struct { unsigned long long total, free, used; } memory;

static int numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static int part = 100;

/* Every call is written down where the test can read it: that no call is missing or too much. */
static void note(const char *call) {
#ifdef LOG
  FILE *log = fopen(LOG, "a");
  if (log) {
    fprintf(log, "%s\n", call);
    fclose(log);
  }
#else
  (void)call;
#endif
}

#ifndef WITHOUT_nvmlInit_v2
int nvmlInit_v2(void) {
  note("init");
#ifdef HANG
  sleep(HANG);
#endif
  return INIT;
}
#endif

int nvmlShutdown(void) {
  note("shutdown");
  return 0;
}

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
#ifdef WILD
  memset(text, 'x', size); /* no NUL at all */
  return 0;
#else
  return snprintf(text, size, "550.54.15") > 0 ? 0 : 7;
#endif
}

#ifndef WITHOUT_nvmlSystemGetCudaDriverVersion_v2
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
  *version = CUDA;
  return CUDA_RC;
}
#endif

#ifndef WITHOUT_nvmlDeviceGetCount_v2
int nvmlDeviceGetCount_v2(unsigned *count) {
  *count = COUNT;
  return 0;
}
#endif

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  if (HANDLE_RC) return HANDLE_RC;
  if (index > 15) return 2;
  *device = &numbers[index];
  return 0;
}

int nvmlDeviceGetName(void *device, char *text, unsigned size) {
#ifdef WILD
  (void)device;
  memset(text, 0xff, size);
#else
  snprintf(text, size, *(int *)device % 2 ? "NVIDIA L4" : "NVIDIA H100 80GB HBM3");
#endif
  return 0;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
  int number = *(int *)device;
  snprintf(text, size, number == part ? "MIG-part-%d" : "GPU-0000%d", number);
  return 0;
}

#ifndef WITHOUT_nvmlDeviceGetMemoryInfo
int nvmlDeviceGetMemoryInfo(void *device, memory *info) {
  unsigned long long scale = *(int *)device == part ? 8 : 1;
  info->total = TOTAL_MB / scale << 20;
  info->free = FREE_MB / scale << 20;
  info->used = info->total - info->free;
  return 0;
}
#endif

#ifndef WITHOUT_nvmlDeviceGetCudaComputeCapability
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
  (void)device;
  *major = MAJOR;
  *minor = MINOR;
  return 0;
}
#endif

int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending) {
  (void)device;
  *now = *pending = MIG > 0;
  return 0;
}

int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) {
  (void)device;
  *count = 7;
  return 0;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **found) {
  (void)device;
  if ((int)index + 1 >= MIG) return 6;
  *found = &part;
  return 0;
}
