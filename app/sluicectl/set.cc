// `sluicectl set`.
#include <boost/json/parse.hpp>
#include <ostream>

#include "admin/request.hh"
#include "sluicectl/commands.hh"
#include "sluicectl/json_view.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

std::string target_of(const std::string& name, std::string_view rest = "") {
    return "/v1/sets/" + admin::percent_encode(name) + std::string(rest);
}

// One line for each element, as the box reads them from files too.
std::string lines_of(const SetElements& elements) {
    std::string result;
    for (const std::string& value : elements.values) {
        result += value;
        if (!elements.timeout.empty())
            result += " timeout " + elements.timeout;
        if (!elements.comment.empty())
            result += " comment \"" + elements.comment + "\"";
        result += '\n';
    }
    return result;
}

}  // namespace

int Commands::set_list() {
    return ask("GET", "/v1/sets", [this](const json::value& list) { return render_sets(list, look_); });
}

int Commands::set_show(const std::string& name, const Query& query) {
    std::string target = target_of(name);
    if (const auto limit = query.find("limit"); limit != query.end())
        target += "?limit=" + admin::percent_encode(limit->second);
    return stream(target, 2, render_element);
}

int Commands::change_set(std::string_view method, const std::string& name, const SetElements& elements) {
    const std::string target = target_of(name, "/elements");
    if (elements.file.empty())
        return ask(method, target, render_set_change, lines_of(elements));
    return post_file(target, elements.file, render_set_change, method);
}

int Commands::set_add(const std::string& name, const SetElements& elements) {
    return change_set("POST", name, elements);
}

int Commands::set_del(const std::string& name, const SetElements& elements) {
    return change_set("DELETE", name, elements);
}

int Commands::set_test(const std::string& name, const std::string& element) {
    bool match = false;
    int exit_code = kDone;
    const std::string target = target_of(name, "/test?element=") + admin::percent_encode(element);
    const auto body = fetch("GET", target, {}, exit_code);
    if (!body)
        return exit_code;
    json::error_code error;
    const json::value answer = json::parse(*body, error);
    match = !error && member(answer, "match") == json::value(true);
    console_.out << (json_ ? *body : render_set_test(answer, name));
    return match ? kDone : kRefused;
}

int Commands::set_load(const std::string& name, const std::string& file) {
    const std::string target = target_of(name, "/load");
    if (file.empty())
        return ask("POST", target, render_set_change);
    // A file of nothing empties the set: that there is one is said by its name.
    return post_file(file == "-" ? target + "?file=-" : target, file, render_set_change);
}

int Commands::set_flush(const std::string& name) {
    return ask("POST", target_of(name, "/flush"), render_set_change);
}

int Commands::set_swap(const std::string& name, const std::string& other) {
    return ask("POST", target_of(name, "/swap?with=") + admin::percent_encode(other),
               [&](const json::value&) { return name + " and " + other + " have been swapped\n"; });
}

}  // namespace sluice::sluicectl
