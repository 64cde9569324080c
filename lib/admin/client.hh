// A small blocking HTTP/1.1 client over a Unix socket, for sluicectl and tests. One connection a call.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.hh"
#include "base/time.hh"

namespace sluice::admin {

class Client {
  public:
    struct Reply {
        int status = 0;
        std::string content_type;
        std::string body;  // empty when the pieces went to a callback
        [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
    };
    // Gets a piece of a successful answer's body as it comes in; false ends the call there.
    using OnPiece = std::function<bool(std::string_view)>;

    // timeout bounds each wait for the server, except between the pieces of a stream given to a callback.
    explicit Client(std::string socket, Duration timeout = std::chrono::seconds(30))
        : socket_(std::move(socket)), timeout_(timeout) {}

    // An Error if there is no whole answer: no socket, no permission, time out, nonsense. A refusal of the
    // server is a Reply with its status.
    [[nodiscard]] Expected<Reply> call(std::string_view method, std::string_view target,
                                       std::string_view body = {}, const OnPiece& on_piece = {}) const;

  private:
    std::string socket_;
    Duration timeout_;
};

}  // namespace sluice::admin
