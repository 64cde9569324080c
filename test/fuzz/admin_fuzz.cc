// Arbitrary bytes as what a client of the admin socket sends: HTTP, the search for a verb, query, JSON body,
// streams. Needs admin_dep and boost (JSON).
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "admin/session.hh"

namespace {

using namespace sluice::admin;

void require(bool condition) {
    if (!condition)
        abort();
}

void add_verbs(Verbs& verbs, std::shared_ptr<Feed>& feed) {
    add_index(verbs);
    verbs.add("GET", "/v1/list", "",
              [](const Request& request) { return paged(request, boost::json::array(20)); });
    verbs.add("PUT", "/v1/json", "", [](const Request& request) {
        const auto value = request.json();
        return value ? Response::json(*value) : Response::error(400, value.error(), request.path);
    });
    verbs.add("POST", "/v1/sets/{name}/elements", "", [](const Request& request) {
        const auto known = request.only({"timeout", "limit"});
        const auto timeout = request.query_seconds("timeout", 0, 1e6);
        if (!known || !timeout)
            return Response::error(400, known ? timeout.error() : known.error());
        return Response::text(kText, request.param("name") + request.body);
    });
    verbs.add("GET", "/v1/stream", "", [](const Request& request) {
        const auto count = request.query_number("n", 3, 50);
        if (!count)
            return Response::error(400, count.error());
        return Response::stream(kJsonLines, [left = *count]() mutable -> std::optional<std::string> {
            if (left == 0)
                return std::nullopt;
            return std::string(--left % 7, 'x');
        });
    });
    verbs.add("GET", "/v1/events", "", [&feed](const Request&) {
        feed = std::make_shared<Feed>(64);
        return Response::subscribe(kJsonLines, feed);
    });
}

}  // namespace

// The first byte says how the rest is cut into reads, and how much is written at a time.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0)
        return 0;
    const size_t read_size = data[0] % 16 == 0 ? size : data[0] % 16 * 3;
    const size_t write_size = data[0] / 16 == 0 ? SIZE_MAX : data[0] / 16 * 5;
    std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

    Verbs verbs;
    std::shared_ptr<Feed> feed;
    add_verbs(verbs, feed);
    Limits limits;
    limits.header_bytes = 2048;
    limits.body_bytes = 4096;
    limits.all_body_bytes = 6000;
    ServerCounters counters;
    BodyBudget budget;
    {
        Session session(verbs, limits, counters, budget);
        std::string written;
        const auto write = [&] {
            for (int idle = 0; idle < 100;) {
                const std::string_view out = session.output();
                const size_t taken = std::min(out.size(), write_size);
                idle = taken == 0 ? (session.wants_turn() ? idle + 1 : 100) : 0;
                written += out.substr(0, taken);
                session.sent(taken);
            }
        };
        while (!bytes.empty() && !session.done()) {
            const std::string_view piece = bytes.substr(0, read_size);
            bytes.remove_prefix(piece.size());
            session.receive(piece);
            write();
            if (feed && !feed->push("event\n"))
                feed.reset();
            write();
            require(budget.used <= limits.all_body_bytes);
            require(!session.in_header() || session.wants_input());
        }
        session.receive_end();
        write();
        require(session.done());
        require(written.empty() || written.starts_with("HTTP/1."));
        require(counters.requests == 0 || !written.empty());
    }
    require(budget.used == 0);
    require(!feed || feed->gone());
    return 0;
}
