// The log: lines for the operator, from the control plane only (never from a worker's packet path). An object
// that is passed on, not a global. Thread safe.
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hh"
#include "base/time.hh"
#include "telemetry/log_config.hh"

namespace sluice::telemetry {

// What a repeated message is about, for instance Cause{"neighbour_table_full"}. Messages of one cause share a
// token bucket: 5 lines, one more every 2 s. snake_case; a name, so that "suppressed" lines and JSON can
// carry it.
struct Cause {
    std::string_view name;
};

class Log {
  public:
    // Says what time it is for the rate limit; tests give their own.
    using Clock = std::function<Instant()>;

    static constexpr uint32_t kBurst = 5;
    static constexpr Duration kRefill = std::chrono::seconds(2);
    static constexpr size_t kMaxCauses = 1024;  // further ones share a bucket named "other"

    // A file is appended to, made with mode 0640; its directory must be there.
    static Expected<std::unique_ptr<Log>> open(const LogConfig& settings, Clock clock = {});
    // Writes what was counted as suppressed and flushes.
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    template <typename... Args>
    void trace(fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::trace, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void debug(fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::debug, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::info, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void warn(fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::warn, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void error(fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::error, format, std::forward<Args>(args)...);
    }
    // The same with a rate limit; use these for whatever traffic or a client can cause.
    template <typename... Args>
    void debug(Cause cause, fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::debug, cause, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void info(Cause cause, fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::info, cause, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void warn(Cause cause, fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::warn, cause, format, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void error(Cause cause, fmt::format_string<Args...> format, Args&&... args) {
        log(LogLevel::error, cause, format, std::forward<Args>(args)...);
    }

    // One finished line, whatever the level in force admits. Line breaks and control characters are escaped.
    void write(LogLevel level, std::string_view message);
    void write(LogLevel level, Cause cause, std::string_view message);

    [[nodiscard]] bool enabled(LogLevel level) const;
    [[nodiscard]] LogLevel level() const;
    void set_level(LogLevel level);
    [[nodiscard]] LogConfig config() const;
    // Changes level, target and format together; on an error all stays as it was.
    Expected<void> apply(const LogConfig& settings);
    // Opens the file again by its name, after it was rotated. Nothing to do for other targets.
    Expected<void> reopen();
    // Writes "suppressed N messages of CAUSE" for each cause that has lost some and is quiet now. Call it
    // every few seconds; a cause that goes on says so by itself with its next line.
    void report_suppressed();
    // Lines left out by the rate limit since the start.
    [[nodiscard]] uint64_t suppressed() const;

  private:
    template <typename... Args>
    void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
        if (enabled(level))
            write(level, fmt::format(format, std::forward<Args>(args)...));
    }
    template <typename... Args>
    void log(LogLevel level, Cause cause, fmt::format_string<Args...> format, Args&&... args) {
        if (enabled(level) && admit(level, cause))
            emit(level, cause.name, fmt::format(format, std::forward<Args>(args)...));
    }
    struct Impl;
    explicit Log(std::unique_ptr<Impl> impl);
    // Takes a token of the cause's bucket; before a line after suppressed ones, writes how many those were.
    bool admit(LogLevel level, Cause cause);
    void emit(LogLevel level, std::string_view cause, std::string_view message);

    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::telemetry
