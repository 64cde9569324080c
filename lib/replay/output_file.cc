#include "replay/output_file.hh"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace sluice::replay {

OutputFile::OutputFile(std::filesystem::path path, std::ofstream stream)
    : path_(std::move(path)), stream_(std::move(stream)) {}

Expected<OutputFile> OutputFile::create(std::filesystem::path path) {
    errno = 0;
    std::ofstream stream(path, std::ios::binary | std::ios::trunc);
    if (!stream) {
        return fail("cannot write " + path.string() + ": " + std::strerror(errno),
                    "name a directory you may write to with --out");
    }
    return OutputFile(std::move(path), std::move(stream));
}

Expected<void> OutputFile::close() {
    stream_.close();
    if (!stream_) {
        return fail("cannot write " + path_.string() + " to its end", "is the disk full?");
    }
    return {};
}

}  // namespace sluice::replay
