package dev.fathom.cuda;

/**
 * What the CUDA runtime answered.
 *
 * @param status 0 or the error code of the runtime
 * @param statusText what the runtime calls the status
 * @param numDevices devices that this process may use
 * @param firstDevice name, compute capability and memory of the first; empty where there is none
 */
record CudaDevices(int status, String statusText, int numDevices, String firstDevice) {}
