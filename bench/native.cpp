// The same operations in C++, to know how far from the machine JavaScript is.
//
//   native mutex BATCH BATCHES     median nanoseconds of one pthread_mutex lock + unlock, nobody else wanting it
//
// Compiled when the benchmarks run: c++ -O2 -std=c++17 -pthread
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <thread>
#include <vector>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static double nanosecondsOfOne(long batch) {
  const auto start = std::chrono::steady_clock::now();
  for (long i = 0; i < batch; i++) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
  return elapsed.count() / batch;
}

int main(int argc, char **argv) {
  if (argc != 4 || std::strcmp(argv[1], "mutex") != 0) {
    std::fprintf(stderr, "usage: native mutex BATCH BATCHES\n");
    return 2;
  }
  const long batch = std::atol(argv[2]), batches = std::atol(argv[3]);

  // glibc leaves the atomic instructions out while a process has one thread. Node never has just one.
  std::atomic<bool> done{false};
  std::thread other([&] {
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });

  for (long i = 0; i < batches / 4; i++) nanosecondsOfOne(batch);
  std::vector<double> figures;
  for (long i = 0; i < batches; i++) figures.push_back(nanosecondsOfOne(batch));
  std::sort(figures.begin(), figures.end());
  std::printf("%.3f\n", figures[figures.size() / 2]);

  done = true;
  other.join();
}
