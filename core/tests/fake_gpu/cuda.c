/* A stand-in for libcuda.so.1. A call of cuInit ends the process: the host must never make it. */
#include <stdlib.h>

#ifndef CUDA
#define CUDA 12040
#endif

int cuInit(unsigned flags) {
  (void)flags;
  abort();
}

#ifndef WITHOUT_cuDriverGetVersion
int cuDriverGetVersion(int *version) {
  *version = CUDA;
  return 0;
}
#endif
