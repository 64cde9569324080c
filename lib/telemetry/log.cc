#include "telemetry/log.hh"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "telemetry/cause_limit.hh"
#include "telemetry/journal_socket.hh"
#include "telemetry/log_line.hh"

namespace sluice::telemetry {
namespace {

constexpr mode_t kFileMode = 0640;

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::trace:
            return spdlog::level::trace;
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warn:
            return spdlog::level::warn;
        case LogLevel::error:
            break;
    }
    return spdlog::level::err;
}

int syslog_priority(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::critical:
        case spdlog::level::err:
            return 3;
        case spdlog::level::warn:
            return 4;
        case spdlog::level::info:
            return 6;
        default:
            return 7;
    }
}

// Writes each line with one system call, so that lines of several processes do not mix.
class DescriptorSink : public spdlog::sinks::base_sink<std::mutex> {
  public:
    DescriptorSink(int fd, bool owned) : fd_(fd), owned_(owned) {}
    ~DescriptorSink() override {
        if (owned_)
            ::close(fd_);
    }
    DescriptorSink(const DescriptorSink&) = delete;
    DescriptorSink& operator=(const DescriptorSink&) = delete;

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        std::string line(message.payload.data(), message.payload.size());
        line += '\n';
        std::string_view rest = line;
        while (!rest.empty()) {
            const ssize_t written = ::write(fd_, rest.data(), rest.size());
            if (written < 0 && errno == EINTR)
                continue;
            if (written < 0)
                return;  // a full disk or a closed terminal loses lines, not the box
            rest.remove_prefix(static_cast<size_t>(written));
        }
    }
    void flush_() override {}

  private:
    int fd_;
    bool owned_;
};

// The logger's name carries the cause: of all that spdlog hands to a sink it is what is free to use.
class JournalSink : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit JournalSink(JournalSocket socket) : socket_(std::move(socket)) {}

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        socket_.send(syslog_priority(message.level), {message.payload.data(), message.payload.size()},
                     {message.logger_name.data(), message.logger_name.size()});
    }
    void flush_() override {}

  private:
    JournalSocket socket_;
};

Expected<spdlog::sink_ptr> open_sink(const config::Path& target) {
    if (target.written == "stderr")
        return std::make_shared<DescriptorSink>(STDERR_FILENO, false);
    if (target.written == "journald") {
        auto socket = JournalSocket::open();
        if (!socket)
            return std::unexpected(std::move(socket.error()));
        return std::make_shared<JournalSink>(std::move(*socket));
    }
    const std::string& path = target.full.empty() ? target.written : target.full;
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kFileMode);
    if (fd < 0)
        return fail("cannot write the log to " + path + ": " + std::generic_category().message(errno),
                    "make its directory, or choose another log.target");
    return std::make_shared<DescriptorSink>(fd, true);
}

}  // namespace

struct Log::Impl {
    Impl(LogConfig c, spdlog::sink_ptr s, Clock k)
        : config(std::move(c)), sink(std::move(s)), level(config.level), clock(std::move(k)) {}

    // Both are called with the mutex held.
    void emit(LogLevel line_level, std::string_view cause, std::string_view message) {
        const auto now = std::chrono::system_clock::now();
        std::string line;
        if (config.format == LogFormat::json)
            line = json_line(now, line_level, cause, message);
        else if (config.target.written == "journald")
            line = escape_control(message);  // the journal has its own time and level
        else
            line = text_line(now, line_level, cause, message);
        sink->log(spdlog::details::log_msg({cause.data(), cause.size()}, spdlog_level(line_level),
                                           {line.data(), line.size()}));
    }
    void emit_suppressed(LogLevel line_level, std::string_view cause, uint64_t count) {
        emit(line_level, cause, fmt::format("suppressed {} messages of {}", count, cause));
    }

    std::mutex mutex;  // guards all but level
    LogConfig config;
    spdlog::sink_ptr sink;
    std::atomic<LogLevel> level;
    Clock clock;
    CauseLimit limit{kBurst, kRefill, kMaxCauses};
};

Expected<std::unique_ptr<Log>> Log::open(const LogConfig& config, Clock clock) {
    auto sink = open_sink(config.target);
    if (!sink)
        return std::unexpected(std::move(sink.error()));
    if (!clock) {
        clock = [] {
            return Instant(
                std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
        };
    }
    return std::unique_ptr<Log>(new Log(std::make_unique<Impl>(config, std::move(*sink), std::move(clock))));
}

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Log::~Log() {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [cause, count] : impl_->limit.all())
        impl_->emit_suppressed(LogLevel::warn, cause, count);
}

void Log::write(LogLevel level, std::string_view message) {
    if (enabled(level))
        emit(level, {}, message);
}

void Log::write(LogLevel level, Cause cause, std::string_view message) {
    if (enabled(level) && admit(level, cause))
        emit(level, cause.name, message);
}

bool Log::enabled(LogLevel level) const {
    return level >= impl_->level.load(std::memory_order_relaxed);
}

LogLevel Log::level() const {
    return impl_->level.load(std::memory_order_relaxed);
}

void Log::set_level(LogLevel level) {
    const std::lock_guard lock(impl_->mutex);
    impl_->config.level = level;
    impl_->level.store(level, std::memory_order_relaxed);
}

LogConfig Log::config() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->config;
}

Expected<void> Log::apply(const LogConfig& config) {
    const std::lock_guard lock(impl_->mutex);
    if (config.target != impl_->config.target) {
        auto sink = open_sink(config.target);
        if (!sink)
            return std::unexpected(std::move(sink.error()));
        impl_->sink = std::move(*sink);
    }
    impl_->config = config;
    impl_->level.store(config.level, std::memory_order_relaxed);
    return {};
}

Expected<void> Log::reopen() {
    const std::lock_guard lock(impl_->mutex);
    auto sink = open_sink(impl_->config.target);
    if (!sink)
        return std::unexpected(std::move(sink.error()));
    impl_->sink = std::move(*sink);
    return {};
}

void Log::report_suppressed() {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [cause, count] : impl_->limit.quiet(impl_->clock()))
        impl_->emit_suppressed(LogLevel::warn, cause, count);
}

uint64_t Log::suppressed() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->limit.total_suppressed();
}

bool Log::admit(LogLevel level, Cause cause) {
    const std::lock_guard lock(impl_->mutex);
    const auto admission = impl_->limit.admit(cause.name, impl_->clock());
    if (admission.admitted && admission.suppressed > 0)
        impl_->emit_suppressed(level, cause.name, admission.suppressed);
    return admission.admitted;
}

void Log::emit(LogLevel level, std::string_view cause, std::string_view message) {
    const std::lock_guard lock(impl_->mutex);
    impl_->emit(level, cause, message);
}

}  // namespace sluice::telemetry
