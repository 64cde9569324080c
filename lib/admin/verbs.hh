// The methods of the admin API: other folders add theirs here, the server looks them up. Control thread only.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "admin/request.hh"
#include "admin/response.hh"

namespace sluice::admin {

class Verbs {
  public:
    // Runs on the control thread and must return quickly; long answers are streams. What it throws becomes a
    // 500.
    using Handler = std::function<Response(const Request&)>;

    struct Entry {
        std::string method;
        std::string path;
        std::string help;
    };

    // path is a pattern: "/v1/sets/{name}/elements" fills Request::params["name"]. A literal segment wins
    // over a {param}. The same method and pattern twice is a programming error (std::logic_error).
    void add(std::string method, std::string path, std::string help, Handler handler);

    // Finds and calls the handler: 404 for an unknown path, 405 (with the methods allowed) for an unknown
    // method. HEAD is answered by GET's handler.
    [[nodiscard]] Response handle(Request request) const;

    // All methods, sorted by path, for GET /v1.
    [[nodiscard]] std::vector<Entry> entries() const;

  private:
    struct Verb {
        Entry entry;
        std::vector<std::string> segments;
        Handler handler;
    };
    std::vector<Verb> verbs_;
};

// {"items": [...], "total": N} of a list, N counting all items; ?limit= and ?offset= choose which are shown.
// 400 if they are not numbers.
Response paged(const Request& request, boost::json::array items);

// GET /v1: every method with its help.
void add_index(Verbs& verbs);

}  // namespace sluice::admin
