// How far two CPUs are from each other: prints the nanoseconds in which a line of memory that one has written
// is written by the other and read by the first again.
//
//   line_trip CPU OTHER_CPU
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

constexpr uint32_t kTrips = 500'000;

struct alignas(128) Line {
    std::atomic<uint32_t> trip{0};
};

void run_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        std::fprintf(stderr, "line_trip: cannot run on CPU %d; expected one of those this process may use\n",
                     cpu);
        std::exit(1);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: line_trip CPU OTHER_CPU\n");
        return 2;
    }
    run_on(std::atoi(argv[1]));
    Line there;
    Line back;
    std::thread other([&, cpu = std::atoi(argv[2])] {
        run_on(cpu);
        for (uint32_t trip = 1; trip <= kTrips; ++trip) {
            while (there.trip.load(std::memory_order_acquire) != trip) {
            }
            back.trip.store(trip, std::memory_order_release);
        }
    });
    const auto began = std::chrono::steady_clock::now();
    for (uint32_t trip = 1; trip <= kTrips; ++trip) {
        there.trip.store(trip, std::memory_order_release);
        while (back.trip.load(std::memory_order_acquire) != trip) {
        }
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    other.join();
    std::printf("%.1f\n", took.count() / kTrips);
    return 0;
}
