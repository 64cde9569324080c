// An answer of the admin API: whole, or a stream of chunks.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "admin/feed.hh"
#include "base/error.hh"

namespace sluice::admin {

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kJsonLines = "application/x-ndjson";
inline constexpr std::string_view kYaml = "application/yaml";
inline constexpr std::string_view kText = "text/plain; charset=utf-8";
inline constexpr std::string_view kMetricsText = "text/plain; version=0.0.4; charset=utf-8";

// Gives the next piece of a streamed answer, nothing at its end. Called on the control thread when the client
// has taken the piece before, so the client sets the pace; a piece should stay under about 64 KiB. An empty
// piece is skipped: it lets others have a turn.
using Producer = std::function<std::optional<std::string>()>;

struct Response {
    int status = 200;
    std::string content_type{kJson};
    std::string body;
    Producer producer;           // set: the answer is what it produces, body is not used
    std::shared_ptr<Feed> feed;  // set: the answer is what is pushed into it
    std::string allow;           // of a 405: the methods there are
    std::function<void()> sent;  // called once when the answer was handed to the kernel or the client is gone

    static Response json(const boost::json::value& value, int status = 200);
    static Response text(std::string_view content_type, std::string body);
    // {"error": {"message", "hint", "path"}}; path says what the error is about (the request's path, a key of
    // the configuration); empty parts are left out.
    static Response error(int status, std::string_view message, std::string_view hint = {},
                          std::string_view path = {});
    static Response error(int status, const Error& error, std::string_view path = {});
    static Response stream(std::string_view content_type, Producer producer);
    static Response subscribe(std::string_view content_type, std::shared_ptr<Feed> feed);
};

// "Not Found" of 404.
std::string_view reason_phrase(int status);

}  // namespace sluice::admin
