// The `log` section of the configuration.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "config/enum_names.hh"
#include "config/mapping.hh"

namespace sluice::telemetry {

enum class LogLevel : uint8_t { trace, debug, info, warn, error };
enum class LogFormat : uint8_t { text, json };

// Where the log goes and what is left out.
struct LogConfig {
    LogLevel level = LogLevel::info;
    config::Path target{"stderr", {}};  // "stderr", "journald" or a file's path
    LogFormat format = LogFormat::text;
    bool operator==(const LogConfig&) const = default;
};

}  // namespace sluice::telemetry

namespace sluice::config {

template <>
struct EnumNames<telemetry::LogLevel> {
    using enum telemetry::LogLevel;
    static constexpr auto names = std::to_array<EnumName<telemetry::LogLevel>>(
        {{trace, "trace"}, {debug, "debug"}, {info, "info"}, {warn, "warn"}, {error, "error"}});
};

template <>
struct EnumNames<telemetry::LogFormat> {
    using enum telemetry::LogFormat;
    static constexpr auto names =
        std::to_array<EnumName<telemetry::LogFormat>>({{text, "text"}, {json, "json"}});
};

template <>
struct Schema<telemetry::LogConfig> {
    static const Mapping<telemetry::LogConfig>& get();
};

}  // namespace sluice::config
