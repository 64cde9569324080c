#include "telemetry/log_config.hh"

namespace sluice::config {

const Mapping<telemetry::LogConfig>& Schema<telemetry::LogConfig>::get() {
    using telemetry::LogConfig;
    static const auto mapping =
        Mapping<LogConfig>("the log")
            .optional("level", &LogConfig::level,
                      "what is less important is left out; can be changed at run time")
            .optional("target", &LogConfig::target,
                      "stderr, journald, or a file, which is opened again on SIGHUP")
            .optional("format", &LogConfig::format, "lines for people, or one JSON object a line");
    return mapping;
}

}  // namespace sluice::config
