#include "sluice/firewall.hh"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "filter/program.hh"
#include "filter/rule_check.hh"
#include "filter/ways_out.hh"
#include "pipeline/config.hh"
#include "sluice/port_share_check.hh"
#include "sluice/steering.hh"

namespace sluice {
namespace {

std::vector<std::string> interface_names(const GatewayConfig& config) {
    std::vector<std::string> names;
    for (const auto& [name, interface, at] : config.interfaces)
        names.push_back(name);
    for (const auto& [name, members, at] : config.zones)
        names.push_back(name);
    return names;
}

auto interfaces_of(const GatewayConfig& config) {
    return [&config](std::string_view name) {
        return pipeline::interfaces_named(config.interfaces, config.zones, name);
    };
}

auto addresses_of(const GatewayConfig& config) {
    return [&config](std::string_view name) {
        std::vector<IpAddress> addresses;
        for (const auto id : pipeline::interfaces_named(config.interfaces, config.zones, name)) {
            for (const auto& own : std::next(config.interfaces.begin(), index(id))->value.addresses)
                addresses.push_back(own.address);
        }
        return addresses;
    };
}

// By worker. `places`: of the hash's, empty: as many for each.
std::vector<conntrack::Limits> limits_of_workers(const GatewayConfig& config, size_t workers,
                                                 std::span<const uint8_t> places) {
    const auto conntrack = conntrack_of(config);
    if (places.empty())
        return std::vector(workers, conntrack.limits(1, workers, interfaces_of(config)));
    std::vector<conntrack::Limits> limits;
    for (const size_t own : places)
        limits.push_back(conntrack.limits(own, steering::kBuckets, interfaces_of(config)));
    return limits;
}

bool has_nat(const filter::Rulebook& book) {
    return std::ranges::any_of(book.base,
                               [](const auto& chain) { return chain.first.first == filter::Table::nat; });
}

bool masquerades(const filter::Rulebook& book) {
    const auto any = [](const std::vector<filter::Rule>& rules) {
        return std::ranges::any_of(rules, [](const auto& rule) { return rule.masquerade; });
    };
    return std::ranges::any_of(book.base, [&](const auto& chain) { return any(chain.second.rules); }) ||
           std::ranges::any_of(book.chains, [&](const auto& chain) { return any(chain.rules); });
}

// Where hosts are told apart by the interface they are behind, no address may be behind two (R4787-7).
void check_networks(const GatewayConfig& config, config::Problems& problems) {
    std::vector<std::pair<IpPrefix, std::string>> seen;
    for (const auto& [name, interface, at] : config.interfaces) {
        for (const auto& own : interface.addresses) {
            const IpPrefix network = own.network();
            const auto other = std::ranges::find_if(seen, [&](const auto& each) {
                return each.second != name && (each.first.contains(network) || network.contains(each.first));
            });
            if (other != seen.end() && !(own.address.is_ip6() && own.address.ip6().is_link_local()))
                problems.add(at.inside("addresses"),
                             network.to_string() + " and " + other->first.to_string() + " of '" +
                                 other->second + "' have addresses in common",
                             "expected networks that do not overlap, since a rule masquerades");
            seen.emplace_back(network, name);
        }
    }
}

// What rules may name. Borrows the configuration.
filter::KnownNames known_names(const GatewayConfig& config) {
    filter::KnownNames known{
        .interfaces = interface_names(config), .members = interfaces_of(config), .sets = {}};
    for (const auto& set : sets::declarations(config.sets))
        known.sets.push_back({.name = set.name, .type = set.options.type});
    return known;
}

bool has_chains(const GatewayConfig& config) {
    const auto book = filter::rulebook(config.rules);
    return !book.base.empty();
}

}  // namespace

filter::Date today() {
    return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
}

filter::Date day_of(Instant captured) {
    return std::chrono::floor<std::chrono::days>(
        std::chrono::sys_time<Duration>(captured.time_since_epoch()));
}

conntrack::ConntrackConfig conntrack_of(const GatewayConfig& config) {
    return config.conntrack.value_or(conntrack::ConntrackConfig());
}

bool has_firewall(const GatewayConfig& config) {
    return config.conntrack || !config.rules.early.empty() || has_chains(config);
}

void check_firewall(const GatewayConfig& config, config::Problems& problems) {
    const auto declarations = sets::declarations(config.sets);
    const auto book = filter::rulebook(config.rules);
    const auto known = known_names(config);
    filter::check_rules(book, known, problems);
    filter::load_programs(book, known, problems);
    if (masquerades(book))
        check_networks(config, problems);
    check_port_shares(book, config.engine.workers, problems);
    conntrack::check_per_source(conntrack_of(config), known.interfaces, problems);
    sets::SetRegistry registry(0, [](const std::function<void()>& retired) { retired(); });
    registry.prepare(declarations, filter::set_uses(book), Instant{}, problems);
}

FirewallControl::FirewallControl(const GatewayConfig& config, size_t workers, std::vector<uint8_t> places,
                                 uint64_t seed, sets::Retire retire, std::function<filter::Date()> calendar)
    : places_(std::move(places)),
      capacity_(conntrack_of(config).max),
      random_(seed),
      sets_(random_.next(), std::move(retire)),
      calendar_(std::move(calendar)) {
    const auto conntrack = conntrack_of(config);
    const auto even = limits_of_workers(config, workers, {});
    const auto uneven = limits_of_workers(config, workers, places_);
    for (size_t i = 0; i < workers; ++i) {
        // Address space for either; rules decide which it is, and may change.
        const auto& limits = even[i].max < uneven[i].max ? uneven[i] : even[i];
        workers_.push_back(std::make_unique<filter::Firewall>(static_cast<WorkerId>(i), limits,
                                                              conntrack.settings(), random_));
    }
}

Expected<FirewallFiles> FirewallControl::read_files(const GatewayConfig& config, const filter::Rulebook& book,
                                                    Instant now) {
    config::Problems problems;
    auto programs = std::make_shared<const filter::LoadedPrograms>(
        filter::load_programs(book, known_names(config), problems));
    if (!problems.empty())
        return std::unexpected(problems.first());
    auto uses = filter::set_uses(book);
    filter::add_set_uses(*programs, uses);
    auto sets = sets_.prepare(sets::declarations(config.sets), uses, now, problems);
    if (!sets)
        return std::unexpected(problems.first());
    return FirewallFiles{std::move(sets), std::move(programs)};
}

Expected<std::unique_ptr<const filter::FirewallTables>> FirewallControl::prepare(const GatewayConfig& config,
                                                                                 Instant now,
                                                                                 const FirewallFiles* files) {
    const auto book = std::make_shared<const filter::Rulebook>(filter::rulebook(config.rules));
    const auto read = files != nullptr
                          ? Expected<FirewallFiles>({sets_.again(*files->sets, now), files->programs})
                          : read_files(config, *book, now);
    if (!read)
        return std::unexpected(read.error());
    prepared_sets_ = read->sets;
    prepared_programs_ = read->programs;
    prepared_expiry_.reset();
    if (!has_firewall(config))
        return nullptr;
    const auto conntrack = conntrack_of(config);
    auto tables = std::make_unique<filter::FirewallTables>();
    tables->tracks = config.conntrack || has_chains(config);
    tables->repeats = conntrack.decision_cache;
    tables->generation = ++generation_;
    tables->sets = &sets_;
    rules_.begin();
    tables->ruleset = filter::Ruleset::compile(book,
                                               {.interfaces = interfaces_of(config),
                                                .addresses = addresses_of(config),
                                                .sets = prepared_sets_,
                                                .programs = prepared_programs_.get(),
                                                .today = calendar_()},
                                               rules_);
    rules_.end(rule_counters());
    prepared_expiry_ = tables->ruleset->next_expiry();
    tables->limits = limits_of_workers(
        config, workers_.size(), may_own_unequally(*tables->ruleset) ? places() : std::span<const uint8_t>());
    tables->settings = conntrack.settings();
    prepare_nat(config, *book, *tables, now);
    for (const auto& worker : workers_)
        tables->states.push_back(
            std::make_unique<filter::RulesetState>(*tables->ruleset, worker->rule_counters(),
                                                   filter::StateOptions{.workers = workers_.size(),
                                                                        .seed = random_.next(),
                                                                        .now = now,
                                                                        .alive = worker->probe(),
                                                                        .logs = &worker->logs()}));
    return tables;
}

void FirewallControl::prepare_nat(const GatewayConfig& config, const filter::Rulebook& book,
                                  filter::FirewallTables& tables, Instant now) {
    const auto profile = conntrack_of(config).profile;
    tables.nat = config.rules.nat.options.settings(profile);
    tables.nat.outside = filter::ways_outside(tables.ruleset->rules());
    tables.nat_tells = profile == conntrack::Profile::rfc;
    translators_.resize(workers_.size());
    for (size_t i = 0; i < workers_.size(); ++i) {
        auto& translator = translators_[i];
        if (translator == nullptr && has_nat(book))
            translator = std::make_unique<nat::Translator>(
                nat::NatLimits{.mappings = workers_[i]->tracker().table().capacity()}, tables.nat,
                nat::PortShare{.worker = static_cast<uint16_t>(i),
                               .workers = static_cast<uint16_t>(workers_.size())},
                random_, now);
        tables.translators.push_back(translator.get());
    }
}

Expected<std::shared_ptr<const filter::Ruleset>> FirewallControl::compile_aside(const GatewayConfig& config,
                                                                                Instant now) {
    const auto book = std::make_shared<const filter::Rulebook>(filter::rulebook(config.rules));
    config::Problems problems;
    auto sets = sets_.prepare(sets::declarations(config.sets), filter::set_uses(*book), now, problems);
    if (!sets)
        return std::unexpected(problems.first());
    filter::RuleDirectory numbers;
    numbers.begin();
    return filter::Ruleset::compile(book,
                                    {.interfaces = interfaces_of(config),
                                     .addresses = addresses_of(config),
                                     .sets = std::move(sets),
                                     .today = calendar_()},
                                    numbers);
}

void FirewallControl::adopt() {
    sets_.adopt(prepared_sets_);
    programs_ = prepared_programs_;
    next_expiry_ = prepared_expiry_;
}

std::vector<const filter::RuleCounters*> FirewallControl::rule_counters() const {
    std::vector<const filter::RuleCounters*> all;
    for (const auto& worker : workers_)
        all.push_back(&worker->rule_counters());
    return all;
}

}  // namespace sluice
