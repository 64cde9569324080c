#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "sluicectl/json_view.hh"
#include "sluicectl/render.hh"
#include "sluicectl/table.hh"
#include "sluicectl/units.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;

// Block style for what holds more than scalars; JSON for the leaves, which is YAML too.
std::string yaml(const json::value& value, size_t indent) {
    const std::string margin(indent, ' ');
    std::string result;
    if (const auto* object = value.if_object(); object && !object->empty()) {
        for (const auto& [name, item] : *object) {
            const bool nested = item.is_structured() && item != json::object() && item != json::array();
            result += margin + std::string(name) + ":" + (nested ? "\n" : " ") + yaml(item, indent + 2);
        }
        return result;
    }
    if (const auto* array = value.if_array(); array && !array->empty()) {
        for (const json::value& item : *array)
            result += margin + "- " + json::serialize(item) + "\n";
        return result;
    }
    return json::serialize(value) + "\n";
}

// "FILE:LINE:COL: path: message; hint", from a text or an object.
std::string problem_text(const json::value& problem) {
    if (!problem.is_object())
        return words(problem);
    std::string result = text(problem, "file");
    for (const std::string_view part : {"line", "column"}) {
        if (number(problem, part) > 0)
            result += ":" + text(problem, part);
    }
    for (const std::string_view part : {"path", "message"}) {
        if (const std::string said = text(problem, part); !said.empty())
            result += (result.empty() ? "" : ": ") + said;
    }
    const std::string hint = text(problem, "hint");
    return hint.empty() ? result : result + "; " + hint;
}

std::string flows_text(double count) {
    return number_text(count) + (count == 1 ? " live flow" : " live flows");
}

std::string warnings_text(const json::value& answer, const Look& look) {
    std::string result;
    for (const json::value& warning : items(member(answer, "warnings")))
        result +=
            paint("warning", Colour::yellow, look.colours) + ": " + printable(problem_text(warning)) + "\n";
    return result;
}

}  // namespace

std::string render_config(const json::value& answer) {
    const json::value& config = member(answer, "config");
    for (const json::value* candidate : {&member(answer, "text"), &config}) {
        if (const auto* whole = candidate->if_string())
            return std::string(*whole) + (whole->ends_with('\n') ? "" : "\n");
    }
    return yaml(config.is_object() ? config : answer, 0);
}

std::string render_check(const json::value& answer, const Look& look) {
    return warnings_text(answer, look) + "the configuration is valid\n";
}

std::string render_diff(const json::value& answer, const Look& look) {
    const json::array& changes = has(answer, "changes") ? items(member(answer, "changes")) : items(answer);
    std::string result;
    for (const json::value& change : changes) {
        const std::string path = printable(text(change, "path"));
        const std::string before = printable(text(change, "before"));
        const std::string after = printable(text(change, "after"));
        if (before.empty())
            result += paint("+ " + path + ": " + after, Colour::green, look.colours);
        else if (after.empty())
            result += paint("- " + path + ": " + before, Colour::red, look.colours);
        else
            result += paint("~ " + path + ": " + before + " -> " + after, Colour::yellow, look.colours);
        if (member(change, "fixed") == json::value(true))
            result += "  (needs a restart)";
        result += "\n";
    }
    if (changes.empty())
        result = "no difference\n";
    if (const double cut = number(answer, "flows_cut"); cut > 0) {
        const json::array& listed = items(member(answer, "flows"));
        result += flows_text(cut) + " would not have been let begin" +
                  (listed.empty() ? "\n" : " (config apply --cut ends them):\n");
        for (const json::value& flow : listed)
            result += "  " + render_flow(flow, true);
        if (const double more = cut - static_cast<double>(listed.size()); more > 0 && !listed.empty())
            result += "  and " + number_text(more) + " more\n";
    }
    return warnings_text(answer, look) + result;
}

std::string render_applied(const json::value& answer, const Look& look) {
    std::string result = warnings_text(answer, look);
    result +=
        has(answer, "generation") ? "generation " + text(answer, "generation") + " is in force\n" : "done\n";
    if (has(answer, "flows_cut"))
        result += flows_text(number(answer, "flows_cut")) + " ended\n";
    if (number(answer, "confirm") > 0)
        result += "it is rolled back in " + duration_text(number(answer, "confirm")) +
                  " unless you run: sluicectl config confirm\n";
    return result;
}

std::string render_refusal(int status, const std::string& body) {
    json::error_code failure;
    const json::value answer = json::parse(body, failure);
    const json::value& error = member(answer, "error");
    if (failure || !has(error, "message"))
        return "the box answered with status " + std::to_string(status) + " and no reason\n";
    std::string result = text(error, "message");
    if (const std::string path = text(error, "path"); !path.empty() && result.find(path) == std::string::npos)
        result = path + ": " + result;
    if (const std::string hint = text(error, "hint"); !hint.empty())
        result += " (" + hint + ")";
    result = printable(result) + "\n";
    for (const json::value& problem : items(member(error, "problems")))
        result += printable(problem_text(problem)) + "\n";
    return result;
}

}  // namespace sluice::sluicectl
