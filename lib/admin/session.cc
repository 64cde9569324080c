#include "admin/session.hh"

#include <fmt/core.h>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <utility>

namespace sluice::admin {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;

// How a chunked body ends at least. Beast 1.81 asserts that it is never shown less of it again.
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr size_t kBufferedInput = size_t{64} << 10;  // of requests that wait behind the one being answered

Response bad_request(const boost::beast::error_code& error, const Limits& limits) {
    if (error == http::error::header_limit)
        return Response::error(431, "the request's header is too large",
                               fmt::format("at most {} bytes", limits.header_bytes));
    if (error == http::error::body_limit || error == http::error::buffer_overflow)
        return Response::error(413, "the request's body is too large",
                               fmt::format("at most {} bytes", limits.body_bytes));
    if (error == http::error::bad_version)
        return Response::error(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    return Response::error(400, "this is no HTTP request: " + error.message());
}

}  // namespace

struct Session::Impl {
    const Verbs& verbs;
    const Limits& limits;
    ServerCounters& counters;
    BodyBudget& budget;

    std::string input;  // read but not parsed
    std::optional<Parser> parser;
    uint64_t reserved = 0;   // of the budget, by the request being received
    bool continued = false;  // "100 Continue" was sent, or is not wanted

    std::string out;          // to be sent next
    std::string sending;      // being sent: stays where it is until all is
    size_t sending_done = 0;  // bytes of it already written
    Response answer;          // while it streams
    bool answering = false;   // an answer is not wholly written
    bool streaming = false;
    bool chunked = false;
    bool keep_alive = true;
    bool input_ended = false;
    std::function<void()> wake;

    Impl(const Verbs& v, const Limits& l, ServerCounters& c, BodyBudget& b)
        : verbs(v), limits(l), counters(c), budget(b) {
        new_parser();
    }

    void new_parser() {
        parser.emplace();
        parser->eager(true);
        parser->header_limit(limits.header_bytes);
        parser->body_limit(limits.body_bytes);
        budget.used -= std::exchange(reserved, 0);
        continued = false;
    }

    // Parses what is buffered until a request was answered or more bytes are needed.
    void parse() {
        while (!answering && keep_alive && !input.empty()) {
            if (!parser->got_some()) {  // empty lines before a request are ignored (RFC 9112 2.2)
                input.erase(0, input.find_first_not_of("\r\n"));
                if (input.empty())
                    return;
            }
            if (parser->is_header_done() && parser->chunked() && input.size() < kLastChunk.size())
                return;
            boost::beast::error_code error;
            const bool had_header = parser->is_header_done();
            const size_t used = parser->put(boost::asio::const_buffer(input.data(), input.size()), error);
            input.erase(0, used);
            if (error == http::error::need_more) {
                // Until its header is complete the parser leaves the bytes with us.
                if (input.size() > limits.header_bytes && !parser->is_header_done())
                    return refuse(bad_request(http::error::header_limit, limits));
                error = {};
            }
            if (error)
                return refuse(bad_request(error, limits));
            if (!had_header && parser->is_header_done() && !header_done())
                return;
            if (!parser->is_header_done())
                return;
            if (!reserve(parser->get().body().size()))
                return;
            if (parser->is_done())
                answer_request();
            else if (used == 0)
                return;
        }
    }

    // False if the request was refused by its header.
    bool header_done() {
        if (const auto length = parser->content_length()) {
            if (*length > limits.body_bytes) {
                refuse(bad_request(http::error::body_limit, limits));
                return false;
            }
            if (!reserve(*length))
                return false;
        }
        if (parser->get().version() != 11 && parser->get().version() != 10) {
            refuse(bad_request(http::error::bad_version, limits));
            return false;
        }
        if (parser->get().version() == 11 && parser->get().count(http::field::host) != 1) {
            refuse(Response::error(400, "the request has no Host header, or several",
                                   "send one; its value does not matter"));
            return false;
        }
        if (!parser->is_done() && !continued && parser->get().version() == 11 &&
            boost::beast::iequals(parser->get()[http::field::expect], "100-continue"))
            out += "HTTP/1.1 100 Continue\r\n\r\n";
        continued = true;
        return true;
    }

    // Takes memory for the body from what all sessions share; false if the request was refused for lack of
    // it.
    bool reserve(uint64_t bytes) {
        if (bytes <= reserved)
            return true;
        if (budget.used - reserved + bytes > limits.all_body_bytes) {
            refuse(Response::error(503, "too many large requests at once", "try again"));
            return false;
        }
        budget.used += bytes - std::exchange(reserved, bytes);
        return true;
    }

    // Answers what is not a request, and closes.
    void refuse(Response response) {
        ++counters.bad_requests;
        keep_alive = false;
        input.clear();
        begin(std::move(response), true, false);
        new_parser();
    }

    void answer_request() {
        auto message = parser->release();
        keep_alive = message.keep_alive();
        const bool http11 = message.version() == 11;
        Request request;
        request.method = std::string(message.method_string());
        const auto target = parse_target({message.target().data(), message.target().size()}, request);
        request.body = std::move(message.body());
        const bool head = request.method == "HEAD";
        Response response;
        if (!target) {
            ++counters.bad_requests;
            response = Response::error(400, target.error());
        } else {
            response = verbs.handle(std::move(request));
        }
        new_parser();
        begin(std::move(response), http11, head);
    }

    void begin(Response response, bool http11, bool head) {
        ++counters.requests;
        answer = std::move(response);
        answering = true;
        streaming = answer.producer || answer.feed;
        chunked = streaming && http11;
        if (streaming && !http11)
            keep_alive = false;  // the end of the connection is the end of the answer
        out += fmt::format("HTTP/1.{} {} {}\r\nServer: sluice\r\nContent-Type: {}\r\n", http11 ? 1 : 0,
                           answer.status, reason_phrase(answer.status), answer.content_type);
        if (!answer.allow.empty())
            out += "Allow: " + answer.allow + "\r\n";
        if (chunked)
            out += "Transfer-Encoding: chunked\r\n";
        else if (!streaming)
            out += fmt::format("Content-Length: {}\r\n", answer.body.size());
        if (!keep_alive)
            out += "Connection: close\r\n";
        else if (!http11)
            out += "Connection: keep-alive\r\n";
        out += "\r\n";
        if (answer.feed && input_ended)
            return break_off();  // nobody is there to subscribe
        if (head)
            end_stream();
        else if (!streaming)
            out += answer.body;
        answer.body = {};
        if (answer.feed && streaming) {
            answer.feed->on_push([this] {
                if (wake)
                    wake();
            });
        }
    }

    // Puts more of a stream into out.
    void pull() {
        while (streaming && out.empty()) {
            std::optional<std::string> piece;
            if (answer.producer) {
                try {
                    piece = answer.producer();
                } catch (const std::exception&) {
                    return break_off();  // too late for a status: the missing end tells the client
                }
                if (!piece)
                    return finish_stream();
                if (piece->empty())
                    return;
            } else {
                piece = answer.feed->pop();
                if (!piece && answer.feed->overrun()) {
                    ++counters.slow_clients;
                    return break_off();
                }
                if (!piece && answer.feed->finished())
                    return finish_stream();
                if (!piece)
                    return;
            }
            out += chunked ? fmt::format("{:x}\r\n{}\r\n", piece->size(), *piece) : std::move(*piece);
        }
    }

    // Makes out hold what is to be written next, if there is anything.
    void advance() {
        while (out.empty() && answering) {
            pull();
            if (!out.empty() || streaming)
                return;
            end_answer();
            parse();
        }
    }

    void finish_stream() {
        if (chunked)
            out += "0\r\n\r\n";
        end_stream();
    }

    void break_off() {
        keep_alive = false;
        end_stream();
    }

    void end_stream() {
        if (answer.feed)
            answer.feed->client_gone();
        answer.feed.reset();
        answer.producer = nullptr;
        streaming = false;
    }

    // The answer is written, or never will be.
    void end_answer() {
        end_stream();
        answering = false;
        if (const auto sent = std::exchange(answer.sent, nullptr))
            sent();
        answer = {};
    }
};

Session::Session(const Verbs& verbs, const Limits& limits, ServerCounters& counters, BodyBudget& budget)
    : impl_(std::make_unique<Impl>(verbs, limits, counters, budget)) {}

Session::~Session() {
    impl_->wake = nullptr;
    impl_->end_answer();
    impl_->new_parser();
}

void Session::receive(std::string_view bytes) {
    if (impl_->input_ended || !impl_->keep_alive)
        return;  // the answer being sent is the last one
    impl_->input += bytes;
    impl_->parse();
}

void Session::receive_end() {
    impl_->input_ended = true;
    if (impl_->answer.feed)
        impl_->break_off();
}

std::string_view Session::output() {
    if (impl_->sending.empty()) {
        impl_->advance();
        impl_->sending.swap(impl_->out);
    }
    return std::string_view(impl_->sending).substr(impl_->sending_done);
}

void Session::sent(size_t bytes) {
    impl_->sending_done += bytes;
    if (impl_->sending_done < impl_->sending.size())
        return;
    impl_->sending.clear();
    impl_->sending_done = 0;
}

void Session::abort() {
    impl_->wake = nullptr;
    impl_->keep_alive = false;
    impl_->end_answer();
}

bool Session::wants_input() const {
    return !impl_->input_ended &&
           (impl_->answering ? impl_->input.size() < kBufferedInput : impl_->keep_alive);
}

bool Session::done() {
    // A stream is not asked for more here: a piece that came just now would be left lying.
    return !impl_->streaming && output().empty() && !impl_->answering &&
           (!impl_->keep_alive || impl_->input_ended);
}

bool Session::in_header() const {
    return impl_->keep_alive && !impl_->answering && !impl_->parser->is_header_done() &&
           (impl_->parser->got_some() || !impl_->input.empty());
}

bool Session::waits_for_feed() const {
    return impl_->streaming && impl_->answer.feed && impl_->out.empty() && impl_->sending.empty();
}

bool Session::wants_turn() const {
    return impl_->streaming && impl_->answer.producer && impl_->out.empty() && impl_->sending.empty();
}

void Session::on_wake(std::function<void()> fn) {
    impl_->wake = std::move(fn);
}

}  // namespace sluice::admin
