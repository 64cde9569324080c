// Sends the frames of a capture out of an interface as fast as one CPU can, over and over, past the queueing
// discipline. What a virtual Ethernet's other end does with a frame happens on the same CPU, in this thread's
// time or its ksoftirqd's. Prints what it did as JSON.
//
//   raw_sender INTERFACE CAPTURE CPU SECONDS [PASSES [FRAMES_PER_SECOND]]
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBatch = 64;
constexpr size_t kFileHeader = 24;
constexpr size_t kRecordHeader = 16;
constexpr int kSendBuffer = 64 << 20;

[[noreturn]] void give_up(const std::string& what) {
    std::fprintf(stderr, "raw_sender: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

// The frames of a pcap file in this machine's byte order; the mapping lives as long as the process.
std::vector<iovec> frames_of(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status{};
    if (file < 0 || ::fstat(file, &status) != 0)
        give_up(path);
    const auto size = static_cast<size_t>(status.st_size);
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (mapped == MAP_FAILED)
        give_up(path);
    ::close(file);
    auto* bytes = static_cast<uint8_t*>(mapped);
    std::vector<iovec> frames;
    for (size_t at = kFileHeader; at + kRecordHeader <= size;) {
        uint32_t length = 0;
        std::memcpy(&length, bytes + at + 8, sizeof length);
        at += kRecordHeader;
        if (length > size - at)
            break;
        frames.push_back({bytes + at, length});
        at += length;
    }
    if (frames.empty()) {
        errno = EINVAL;
        give_up(path + " holds no frames");
    }
    return frames;
}

int open_socket(const std::string& interface) {
    const unsigned index = ::if_nametoindex(interface.c_str());
    if (index == 0)
        give_up(interface);
    // Of protocol 0: it receives nothing.
    const int made = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (made < 0)
        give_up("socket");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(index);
    const int yes = 1;
    if (::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::setsockopt(made, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes) != 0 ||
        ::setsockopt(made, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer) != 0)
        give_up("socket of " + interface);
    return made;
}

void pin_to(int cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0)
        give_up("CPU " + std::to_string(cpu));
}

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Sender {
  public:
    explicit Sender(int socket) : socket_(socket) {}

    // Sends all of at most kBatch frames.
    void send(std::span<iovec> frames) {
        std::array<mmsghdr, kBatch> messages{};
        for (size_t i = 0; i < frames.size(); ++i) {
            messages[i].msg_hdr.msg_iov = &frames[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        for (size_t done = 0; done < frames.size();) {
            const int taken =
                ::sendmmsg(socket_, &messages[done], static_cast<unsigned>(frames.size() - done), 0);
            if (taken > 0) {
                done += static_cast<size_t>(taken);
                sent_ += static_cast<uint64_t>(taken);
            } else if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR) {
                ++refused_;
            } else {
                give_up("sendmmsg");
            }
        }
    }
    [[nodiscard]] uint64_t sent() const { return sent_; }
    [[nodiscard]] uint64_t refused() const { return refused_; }

  private:
    int socket_;
    uint64_t sent_ = 0;
    uint64_t refused_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    if (count < 5 || count > 7) {
        std::fputs("usage: raw_sender INTERFACE CAPTURE CPU SECONDS [PASSES [FRAMES_PER_SECOND]]\n", stderr);
        return 2;
    }
    const std::string interface = arguments[1];
    const std::string capture = arguments[2];
    auto frames = frames_of(capture);
    const uint64_t passes = count > 5 ? std::strtoull(arguments[5], nullptr, 10) : UINT64_MAX;
    const double pace = count > 6 ? std::strtod(arguments[6], nullptr) : 0;
    const int made = open_socket(interface);
    pin_to(std::atoi(arguments[3]));

    Sender sender(made);
    const auto began = Clock::now();
    const auto end = began + std::chrono::duration<double>(std::strtod(arguments[4], nullptr));
    const double cpu_began = cpu_seconds();
    uint64_t passed = 0;
    size_t at = 0;
    while (passed < passes && Clock::now() < end) {
        const size_t batch = std::min(kBatch, frames.size() - at);
        sender.send(std::span(frames).subspan(at, batch));
        at += batch;
        if (at == frames.size()) {
            at = 0;
            ++passed;
        }
        if (pace > 0)
            std::this_thread::sleep_until(
                began + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(static_cast<double>(sender.sent()) / pace)));
    }
    const double cpu = cpu_seconds() - cpu_began;
    const std::chrono::duration<double> took = Clock::now() - began;
    ::close(made);
    std::printf(
        "{\"sent\": %llu, \"refused\": %llu, \"passes\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
        static_cast<unsigned long long>(sender.sent()), static_cast<unsigned long long>(sender.refused()),
        static_cast<unsigned long long>(passed), took.count(), cpu);
    return 0;
}
