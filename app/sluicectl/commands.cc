#include "sluicectl/commands.hh"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <istream>
#include <iterator>
#include <ostream>
#include <system_error>

#include "admin/request.hh"
#include "sluicectl/json_view.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

void complain(const Console& console, const std::string& line) {
    console.err << "sluicectl: " << line << (line.ends_with('\n') ? "" : "\n");
}

// The text of a file, or of the standard input for "-".
Expected<std::string> read_input(const std::string& file, std::istream& in) {
    const auto all = [](std::istream& from) {
        return std::string(std::istreambuf_iterator<char>(from), std::istreambuf_iterator<char>());
    };
    if (file == "-")
        return all(in);
    std::error_code error;
    if (std::filesystem::is_directory(file, error))
        return fail(file + " is a directory", "name the configuration's file");
    std::ifstream from(file, std::ios::binary);
    if (!from)
        return fail("cannot read " + file + ": " + std::generic_category().message(errno),
                    "name a readable file, or - for the standard input");
    return all(from);
}

}  // namespace

std::string with_query(std::string target, const Query& query) {
    char mark = '?';
    for (const auto& [name, value] : query) {
        target += mark + name + "=" + admin::percent_encode(value);
        mark = '&';
    }
    return target;
}

Expected<std::string> Commands::fetch(std::string_view method, std::string_view target, std::string_view body,
                                      int& exit_code) {
    exit_code = kRefused;
    auto reply = client_.call(method, target, body);
    if (!reply) {
        complain(console_, printable(reply.error().text()));
        return std::unexpected(std::move(reply.error()));
    }
    if (!reply->ok()) {
        if (json_)
            console_.out << reply->body;
        const std::string why = render_refusal(reply->status, reply->body);
        complain(console_, why);
        return fail(why);
    }
    exit_code = kDone;
    return std::move(reply->body);
}

Expected<json::value> Commands::fetch_json(std::string_view target, int& exit_code) {
    const auto body = fetch("GET", target, {}, exit_code);
    if (!body)
        return std::unexpected(body.error());
    json::error_code error;
    json::value value = json::parse(*body, error);
    if (!error)
        return value;
    exit_code = kRefused;
    complain(console_, "the box answered something that is not JSON");
    return fail("not JSON");
}

int Commands::ask(std::string_view method, std::string_view target, const Renderer& render,
                  std::string_view body) {
    int exit_code = kDone;
    const auto answer = fetch(method, target, body, exit_code);
    if (!answer)
        return exit_code;
    json::error_code error;
    const json::value value = json::parse(answer->empty() ? "null" : *answer, error);
    // Also where its text is not wanted: it tells what was not found.
    const std::string rendered = error ? *answer : render(value);
    console_.out << (json_ ? *answer : rendered);
    return kDone;
}

int Commands::status() {
    return ask("GET", "/v1/status", [this](const json::value& v) { return render_status(v, look_); });
}

int Commands::interfaces(const std::vector<std::string>& names) {
    bool missing = false;
    const int code = ask("GET", "/v1/interfaces", [&](const json::value& list) {
        if (names.empty())
            return render_interfaces(list, look_);
        std::string result;
        for (const std::string& name : names) {
            const json::array& all = items(list);
            const auto found =
                std::ranges::find(all, name, [](const json::value& one) { return text(one, "name"); });
            if (found == all.end()) {
                complain(console_, "there is no interface " + name + " (sluicectl interfaces lists them)");
                missing = true;
            } else {
                result += render_interface(*found, look_);
            }
        }
        return result;
    });
    return missing ? kRefused : code;
}

int Commands::workers() {
    return ask("GET", "/v1/workers", [this](const json::value& v) { return render_workers(v, look_); });
}

int Commands::drops() {
    return ask("GET", "/v1/drops", [this](const json::value& v) { return render_drops(v, look_); });
}

int Commands::counters(bool zeros) {
    return ask("GET", "/v1/counters", [&](const json::value& v) { return render_counters(v, zeros, look_); });
}

int Commands::routes() {
    return ask("GET", "/v1/routes", [this](const json::value& v) { return render_routes(v, look_); });
}

int Commands::neighbours() {
    return ask("GET", "/v1/neighbours", [this](const json::value& v) { return render_neighbours(v, look_); });
}

int Commands::config_show() {
    return ask("GET", "/v1/config", render_config);
}

int Commands::post_file(std::string_view target, const std::string& file, const Renderer& render,
                        std::string_view method) {
    const auto body = read_input(file, console_.in);
    if (!body) {
        complain(console_, printable(body.error().text()));
        return kRefused;
    }
    // The box names the file in what it says, and starts relative paths at its folder.
    std::string whole(target);
    if (file != "-") {
        std::error_code error;
        const auto absolute = std::filesystem::absolute(file, error);
        whole += (whole.find('?') == std::string::npos ? "?" : "&") + std::string("file=") +
                 admin::percent_encode(error ? file : absolute.lexically_normal().string());
    }
    return ask(method, whole, render, *body);
}

int Commands::config_check(const std::string& file) {
    return post_file("/v1/config/check", file,
                     [this](const json::value& v) { return render_check(v, look_); });
}

int Commands::config_diff(const std::string& file) {
    return post_file("/v1/config/diff", file, [this](const json::value& v) { return render_diff(v, look_); });
}

int Commands::config_apply(const std::string& file, double confirm, bool cut) {
    std::string target = "/v1/config/apply";
    if (confirm > 0)
        target += "?confirm=" + number_text(confirm);
    if (cut)
        target += std::string(confirm > 0 ? "&" : "?") + "cut=true";
    return post_file(target, file, [this](const json::value& v) { return render_applied(v, look_); });
}

int Commands::config_confirm() {
    return ask("POST", "/v1/config/confirm",
               [this](const json::value& v) { return render_applied(v, look_); });
}

int Commands::config_rollback() {
    return ask("POST", "/v1/config/rollback",
               [this](const json::value& v) { return render_applied(v, look_); });
}

int Commands::reload() {
    return ask("POST", "/v1/reload", [this](const json::value& v) { return render_applied(v, look_); });
}

int Commands::log(const std::string& wanted) {
    const std::string body =
        wanted.starts_with('{') ? wanted : json::serialize(json::object{{"level", wanted}});
    return ask("PUT", "/v1/log", [](const json::value& v) { return words(v) + "\n"; }, body);
}

int Commands::stop() {
    return ask("POST", "/v1/stop", [](const json::value&) { return std::string("stopping\n"); });
}

}  // namespace sluice::sluicectl
