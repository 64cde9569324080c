// `sluicectl conntrack`.
#include <boost/json/parse.hpp>
#include <ostream>

#include "sluicectl/commands.hh"
#include "sluicectl/json_items.hh"
#include "sluicectl/json_view.hh"
#include "sluicectl/table.hh"

namespace sluice::sluicectl {
namespace json = boost::json;

int Commands::stream(std::string_view target, int depth, const Renderer& render) {
    JsonItems items(depth);
    const auto reply = client_.call("GET", target, {}, [&](std::string_view piece) {
        if (json_)
            console_.out << piece;
        else
            items.add(piece, [&](std::string_view item) {
                json::error_code error;
                const json::value value = json::parse(item, error);
                if (!error)
                    console_.out << render(value);
            });
        console_.out.flush();
        return console_.out.good();
    });
    if (!reply) {
        console_.err << "sluicectl: " << printable(reply.error().text()) << "\n";
        return kRefused;
    }
    if (!reply->ok()) {
        if (json_)
            console_.out << reply->body;
        console_.err << "sluicectl: " << render_refusal(reply->status, reply->body) << "\n";
        return kRefused;
    }
    return kDone;
}

int Commands::conntrack_list(const Query& query) {
    size_t shown = 0;
    const int code = stream(with_query("/v1/conntrack", query), 2, [&](const json::value& flow) {
        ++shown;
        return render_flow(flow, true);
    });
    if (code == kDone && !json_)
        console_.err << shown << " flow entries have been shown.\n";
    return code;
}

int Commands::conntrack_count(const Query& query) {
    return ask("GET", with_query("/v1/conntrack/count", query),
               [](const json::value& answer) { return text(answer, "count") + "\n"; });
}

int Commands::conntrack_stats() {
    return ask("GET", "/v1/conntrack/stats", render_conntrack_stats);
}

int Commands::conntrack_events(const Query& query) {
    return stream(with_query("/v1/conntrack/events", query), 0, render_flow_event);
}

int Commands::conntrack_delete(const Query& query) {
    bool none = false;
    const int code = ask("DELETE", with_query("/v1/conntrack", query), [&none](const json::value& answer) {
        none = number(answer, "deleted") == 0;
        return text(answer, "deleted") + " flow entries have been deleted.\n";
    });
    return none ? kRefused : code;  // as conntrack -D
}

}  // namespace sluice::sluicectl
