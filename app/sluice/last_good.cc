#include "sluice/last_good.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "config/print.hh"

namespace sluice {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);
constexpr mode_t kFileMode = 0640;

bool write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(descriptor, text.data(), text.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        text.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

// Beside the file first, so that a power cut leaves the former one or this one.
std::optional<std::string> replace_file(const std::filesystem::path& file, std::string_view text) {
    std::error_code error;
    std::filesystem::create_directories(file.parent_path(), error);
    const std::string fresh = file.string() + ".new";
    const int descriptor = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode);
    const bool written = descriptor >= 0 && write_all(descriptor, text) && fsync(descriptor) == 0;
    const int problem = errno;
    if (descriptor >= 0)
        close(descriptor);
    if (!written)
        return "cannot write " + fresh + ": " + std::generic_category().message(problem) +
               "; make its folder writable or set SLUICE_STATE_DIR, or --last-good finds no file";
    std::filesystem::rename(fresh, file, error);
    if (error)
        return "cannot replace " + file.string() + ": " + error.message() + "; look what is in its place";
    return std::nullopt;
}

}  // namespace

namespace {

template <typename File>
void write_whole(File& file) {
    if (!file.full.empty())
        file.written = file.full;
}

}  // namespace

std::string last_good_text(GatewayConfig config) {
    write_whole(config.control.socket);
    if (config.log.target.written != "stderr" && config.log.target.written != "journald")
        write_whole(config.log.target);
    for (auto& rule : config.rules.early) {
        if (rule.program)
            write_whole(*rule.program);
    }
    sets::SetsConfig sets;
    for (const auto& [name, set, at] : config.sets) {
        auto& added = sets.add(name, set, at);
        if (added.file)
            write_whole(*added.file);
    }
    config.sets = std::move(sets);
    return config::to_yaml(config);
}

std::filesystem::path last_good_file() {
    const char* chosen = std::getenv("SLUICE_STATE_DIR");
    return std::filesystem::path(chosen != nullptr ? chosen : "/var/lib/sluice") / "last-good.yaml";
}

// What both threads know. Shared, because a thread that waits for a dead disk is left behind.
struct LastGood::Desk {
    std::filesystem::path file;
    std::mutex mutex;  // guards what follows
    std::condition_variable changed;
    Complaint complaint;
    std::optional<std::string> text;  // to be written
    bool is_writing = false;
    bool is_closed = false;

    void work() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return text || is_closed; });
            if (!text)
                return;
            const std::string now = *std::exchange(text, std::nullopt);
            is_writing = true;
            lock.unlock();
            const auto problem = replace_file(file, now);
            lock.lock();
            is_writing = false;
            if (problem && complaint)
                complaint(*problem);
            changed.notify_all();
        }
    }
};

LastGood::LastGood(std::filesystem::path file, Complaint complaint) : desk_(std::make_shared<Desk>()) {
    desk_->file = std::move(file);
    desk_->complaint = std::move(complaint);
    std::thread([desk = desk_] { desk->work(); }).detach();
}

LastGood::~LastGood() {
    std::unique_lock lock(desk_->mutex);
    desk_->is_closed = true;
    desk_->changed.notify_all();
    desk_->changed.wait_for(lock, kPatience, [this] { return !desk_->text && !desk_->is_writing; });
    desk_->text.reset();
    desk_->complaint = nullptr;
}

void LastGood::keep(std::string text) {
    {
        const std::lock_guard lock(desk_->mutex);
        desk_->text = std::move(text);
    }
    desk_->changed.notify_all();
}

}  // namespace sluice
