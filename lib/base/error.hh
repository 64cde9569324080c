// Errors of start-up, configuration and the control plane. Never used per packet.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace sluice {

// What went wrong and how to mend it, in words for the operator.
struct Error {
    std::string message;
    std::string hint = {};
    bool operator==(const Error&) const = default;
    // "message (hint)" on one line.
    [[nodiscard]] std::string text() const { return hint.empty() ? message : message + " (" + hint + ")"; }
};

template <typename T>
using Expected = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string message, std::string hint = {}) {
    return std::unexpected(Error{std::move(message), std::move(hint)});
}

}  // namespace sluice
