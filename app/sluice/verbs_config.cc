#include <boost/json.hpp>

#include <algorithm>

#include "config/print.hh"
#include "sluice/flows_cut.hh"
#include "sluice/verbs.hh"

namespace sluice {
namespace {

namespace json = boost::json;

json::array problems_json(const config::Problems& problems) {
    json::array items;
    for (const auto& problem : problems)
        items.push_back({{"file", problem.file},
                         {"line", problem.mark.line},
                         {"column", problem.mark.column},
                         {"path", problem.path},
                         {"message", problem.message},
                         {"hint", problem.hint}});
    return items;
}

admin::Response refused(const config::Problems& problems) {
    const size_t count = problems.size();
    json::object error{{"message", "the configuration is not valid: " + std::to_string(count) +
                                       (count == 1 ? " problem" : " problems")},
                       {"hint", "mend what is listed; the configuration in force has not changed"},
                       {"problems", problems_json(problems)}};
    return admin::Response::json(json::value{{"error", std::move(error)}}, 422);
}

json::array differences_json(const std::vector<config::Difference>& differences) {
    json::array items;
    for (const auto& one : differences)
        items.push_back(
            {{"path", one.path}, {"before", one.before}, {"after", one.after}, {"fixed", one.fixed}});
    return items;
}

// The candidate in a request's body; ?file= names it in problems, and paths in it are relative to that file.
std::expected<GatewayConfig, config::Problems> candidate_of(const Box& box, const admin::Request& request) {
    const auto file = request.query_value("file");
    if (!file)
        return box.config.parse(request.body);
    return config::read_text<GatewayConfig>(*file, request.body,
                                            std::filesystem::path(*file).parent_path().string());
}

json::object in_force(const Box& box) {
    json::object object{{"generation", box.config.generation()}};
    if (const auto left = box.config.unconfirmed_for())
        object["confirm"] = *left;
    return object;
}

admin::Response answer(const Box& box, const Expected<void>& done) {
    return done ? admin::Response::json(in_force(box)) : admin::Response::error(409, done.error());
}

admin::Response check(const Box& box, const admin::Request& request) {
    if (const auto known = request.only({"file"}); !known)
        return admin::Response::error(400, known.error(), request.path);
    const auto candidate = candidate_of(box, request);
    if (!candidate)
        return refused(candidate.error());
    return admin::Response::json(json::value{{"valid", true}});
}

admin::Response diff(Box& box, const admin::Request& request) {
    if (const auto known = request.only({"file"}); !known)
        return admin::Response::error(400, known.error(), request.path);
    auto candidate = candidate_of(box, request);
    if (!candidate)
        return refused(candidate.error());
    const auto differences = box.config.difference(*candidate);
    json::object answer{{"changes", differences_json(differences)}};
    // Rules that cannot be put in force here cut nothing here; their interfaces may be others.
    auto interfaces = pipeline::in_place_of(box.config.config().interfaces, candidate->interfaces);
    if (!interfaces || std::ranges::any_of(differences, &config::Difference::fixed)) {
        answer["flows_cut"] = nullptr;
        return admin::Response::json(std::move(answer));
    }
    candidate->interfaces = std::move(*interfaces);
    auto rules = box.gateway.firewall().compile_aside(*candidate, pipeline::read_clock());
    if (!rules)
        return admin::Response::error(409, rules.error());
    return with_flows_cut(std::move(answer), conntrack::FlowAction::list, flow_access(box.gateway),
                          not_let_begin(box.gateway, std::move(*rules)));
}

constexpr double kLongestConfirm = 86400;  // seconds

admin::Response apply(Box& box, const admin::Request& request) {
    if (const auto known = request.only({"file", "confirm", "cut"}); !known)
        return admin::Response::error(400, known.error(), request.path);
    const auto confirm = request.query_seconds("confirm", 0, kLongestConfirm);
    if (!confirm)
        return admin::Response::error(400, confirm.error(), "confirm");
    auto candidate = candidate_of(box, request);
    if (!candidate)
        return refused(candidate.error());
    std::optional<Duration> wait;
    if (*confirm > 0)
        wait = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*confirm));
    const auto cut = request.query_value("cut");
    if (cut && *cut != "true" && *cut != "false")
        return admin::Response::error(400, Error{"?cut=" + *cut, "expected true or false"}, "cut");
    auto done = box.config.apply(std::move(*candidate), wait);
    const auto& firewall = box.gateway.snapshot().firewall;
    if (!done || !cut || *cut == "false" || !firewall)
        return answer(box, done);
    return with_flows_cut(in_force(box), conntrack::FlowAction::erase, flow_access(box.gateway),
                          not_let_begin(box.gateway, firewall->ruleset));
}

// Of a method that takes nothing.
admin::Response act(Box& box, const admin::Request& request, Expected<void> (RunningConfig::*done)()) {
    if (const auto known = request.only({}); !known)
        return admin::Response::error(400, known.error(), request.path);
    return answer(box, (box.config.*done)());
}

admin::Response reload(Box& box, const admin::Request& request) {
    if (const auto known = request.only({}); !known)
        return admin::Response::error(400, known.error(), request.path);
    auto candidate = box.config.read();
    if (!candidate)
        return refused(candidate.error());
    return answer(box, box.config.apply(std::move(*candidate), std::nullopt));
}

}  // namespace

void add_config_verbs(admin::Verbs& verbs, Box& box) {
    verbs.add("GET", "/v1/config", "the configuration in force as YAML, with every default",
              [&box](const admin::Request&) {
                  return admin::Response::text(admin::kYaml, config::to_yaml(box.config.config()));
              });
    verbs.add("POST", "/v1/config/check", "checks a configuration without applying it",
              [&box](const admin::Request& request) { return check(box, request); });
    verbs.add("POST", "/v1/config/diff",
              "what a configuration would change, and which flows it would not have let begin",
              [&box](const admin::Request& request) { return diff(box, request); });
    verbs.add(
        "POST", "/v1/config/apply",
        "puts a configuration in force; ?confirm=SECONDS takes it back unless confirmed; ?cut=true ends "
        "the flows it would not have let begin",
        [&box](const admin::Request& request) { return apply(box, request); });
    verbs.add("POST", "/v1/config/confirm", "keeps the configuration that waits for confirmation",
              [&box](const admin::Request& request) { return act(box, request, &RunningConfig::confirm); });
    verbs.add("POST", "/v1/config/rollback", "goes back to the configuration before",
              [&box](const admin::Request& request) { return act(box, request, &RunningConfig::rollback); });
    verbs.add("POST", "/v1/reload", "reads the configuration's file again",
              [&box](const admin::Request& request) { return reload(box, request); });
}

}  // namespace sluice
