#include "admin/verbs.hh"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <limits>
#include <optional>
#include <stdexcept>
#include <tuple>

namespace sluice::admin {
namespace {

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> segments;
    path.remove_prefix(1);
    while (true) {
        const size_t slash = path.find('/');
        segments.emplace_back(path.substr(0, slash));
        if (slash == std::string_view::npos)
            return segments;
        path.remove_prefix(slash + 1);
    }
}

bool is_param(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

// How many literal segments a pattern that fits has; nothing if it does not fit.
std::optional<size_t> match(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
    if (pattern.size() != path.size())
        return std::nullopt;
    size_t literals = 0;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (is_param(pattern[i])) {
            if (path[i].empty())
                return std::nullopt;
        } else if (pattern[i] == path[i]) {
            ++literals;
        } else {
            return std::nullopt;
        }
    }
    return literals;
}

}  // namespace

void Verbs::add(std::string method, std::string path, std::string help, Handler handler) {
    if (!path.starts_with('/') || !handler)
        throw std::logic_error("a verb needs a path and a handler: " + path);
    for (const Verb& verb : verbs_) {
        if (verb.entry.method == method && verb.entry.path == path)
            throw std::logic_error("two verbs are called " + method.append(" ").append(path));
    }
    std::vector<std::string> segments = split(path);
    verbs_.push_back(
        {{std::move(method), std::move(path), std::move(help)}, std::move(segments), std::move(handler)});
}

Response Verbs::handle(Request request) const {
    // An empty segment only matches an empty literal, so a path may not smuggle in another one by "%2f":
    // segments are made from the decoded path and names with a slash in them do not exist.
    const std::vector<std::string> path = split(request.path.starts_with('/') ? request.path : "/");
    const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
    const Verb* found = nullptr;
    size_t found_literals = 0;
    std::string allow;
    for (const Verb& verb : verbs_) {
        const auto literals = match(verb.segments, path);
        if (!literals)
            continue;
        if (verb.entry.method != method) {
            if (allow.find(verb.entry.method) == std::string::npos)
                allow += (allow.empty() ? "" : ", ") + verb.entry.method;
        } else if (!found || *literals > found_literals) {
            found = &verb;
            found_literals = *literals;
        }
    }
    if (!found && allow.empty())
        return Response::error(404, "there is no such path", "GET /v1 lists what there is", request.path);
    if (!found) {
        Response response = Response::error(405, request.method + " is not what this path takes",
                                            "it takes " + allow, request.path);
        response.allow = std::move(allow);
        return response;
    }
    for (size_t i = 0; i < path.size(); ++i) {
        const std::string& segment = found->segments[i];
        if (is_param(segment))
            request.params[segment.substr(1, segment.size() - 2)] = path[i];
    }
    try {
        return found->handler(request);
    } catch (const std::exception& exception) {
        return Response::error(500, exception.what(), "this is a defect of the program; please report it",
                               request.path);
    }
}

std::vector<Verbs::Entry> Verbs::entries() const {
    std::vector<Entry> result;
    for (const Verb& verb : verbs_)
        result.push_back(verb.entry);
    std::ranges::sort(result, {}, [](const Entry& entry) { return std::tie(entry.path, entry.method); });
    return result;
}

Response paged(const Request& request, boost::json::array items) {
    constexpr uint64_t kMax = std::numeric_limits<uint32_t>::max();
    const auto limit = request.query_number("limit", kMax, kMax);
    const auto offset = request.query_number("offset", 0, kMax);
    if (!limit || !offset)
        return Response::error(400, limit ? offset.error() : limit.error(), request.path);
    boost::json::object whole;
    const size_t total = items.size();
    const size_t first = std::min<size_t>(*offset, total);
    const size_t last = first + std::min<size_t>(*limit, total - first);
    items.erase(items.begin() + last, items.end());
    items.erase(items.begin(), items.begin() + first);
    whole["items"] = std::move(items);
    whole["total"] = total;
    return Response::json(whole);
}

void add_index(Verbs& verbs) {
    verbs.add("GET", "/v1", "the methods of this API", [&verbs](const Request& request) {
        boost::json::array items;
        for (const Verbs::Entry& entry : verbs.entries())
            items.push_back(
                boost::json::object{{"method", entry.method}, {"path", entry.path}, {"help", entry.help}});
        return paged(request, std::move(items));
    });
}

}  // namespace sluice::admin
