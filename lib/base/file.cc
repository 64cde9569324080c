#include "base/file.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace sluice {
namespace {

// Closes itself.
class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0)
            ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int number() const { return number_; }

  private:
    int number_;
};

std::string reason() {
    return std::generic_category().message(errno);
}

}  // namespace

Expected<std::string> read_file(const std::string& path, size_t most, std::string_view expected) {
    const std::string hint = "expected " + std::string(expected);
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat about{};
    if (file.number() < 0 || ::fstat(file.number(), &about) != 0)
        return fail("cannot read '" + path + "': " + reason(), hint);
    if (!S_ISREG(about.st_mode))
        return fail("'" + path + "' is no ordinary file", hint);
    if (static_cast<uint64_t>(about.st_size) > most)
        return fail("'" + path + "' is too large: " + std::to_string(about.st_size) + " bytes, at most " +
                        std::to_string(most) + " are read",
                    hint);
    std::string bytes(static_cast<size_t>(about.st_size), '\0');
    size_t have = 0;
    while (have < bytes.size()) {
        const ssize_t got = ::read(file.number(), bytes.data() + have, bytes.size() - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail("cannot read '" + path + "': " + reason());
        if (got == 0)
            break;
        have += static_cast<size_t>(got);
    }
    bytes.resize(have);
    return bytes;
}

}  // namespace sluice
