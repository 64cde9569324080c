// What the symbols of a program mean (include/sluice_bpf.h says how they are written).
#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

#include "base/file.hh"
#include "config/names.hh"
#include "filter/program.hh"
#include "filter/program_helpers.hh"

namespace sluice::filter {
namespace {

using bpf::Handle;

// "10/second"
std::optional<std::pair<uint64_t, Duration>> parse_rate(std::string_view text) {
    const size_t slash = text.find('/');
    uint64_t amount = 0;
    const auto* const end = text.data() + std::min(slash, text.size());
    if (slash == std::string_view::npos ||
        std::from_chars(text.data(), end, amount) != std::from_chars_result{end, std::errc()} ||
        amount == 0 || amount > kMaxRate)
        return std::nullopt;
    constexpr std::pair<std::string_view, Duration> kUnits[] = {{"second", std::chrono::seconds(1)},
                                                                {"minute", std::chrono::minutes(1)},
                                                                {"hour", std::chrono::hours(1)},
                                                                {"day", std::chrono::days(1)}};
    const auto* const unit =
        std::ranges::find(kUnits, text.substr(slash + 1), &std::pair<std::string_view, Duration>::first);
    if (unit == std::end(kUnits))
        return std::nullopt;
    return std::pair(amount, unit->second);
}

class Symbols {
  public:
    Symbols(const KnownNames& known, LoadedProgram& loaded) : known_(known), loaded_(loaded) {}

    Expected<Handle> resolve(std::string_view symbol) {
        const size_t colon = symbol.find(':');
        const auto kind = symbol.substr(0, colon);
        if (colon != std::string_view::npos) {
            const auto rest = symbol.substr(colon + 1);
            if (kind == "sluice_set")
                return set(rest);
            if (kind == "sluice_interface")
                return interface(rest);
            if (kind == "sluice_counter")
                return counter(rest);
            if (kind == "sluice_limit")
                return limit(rest);
        }
        return fail("there is nothing outside the program called '" + std::string(symbol) + "'",
                    "expected SLUICE_SET, SLUICE_INTERFACE, SLUICE_COUNTER or SLUICE_LIMIT");
    }

  private:
    // The number of a value in a list, to which it is added if need be.
    template <typename T>
    static Expected<uint32_t> number(std::vector<T>& list, T value, size_t most = kMaxProgramSymbols) {
        const auto found = std::ranges::find(list, value);
        if (found != list.end())
            return static_cast<uint32_t>(found - list.begin());
        if (list.size() == most)
            return fail("the program names more things of one kind than it may",
                        "expected at most " + std::to_string(most));
        list.push_back(std::move(value));
        return static_cast<uint32_t>(list.size() - 1);
    }
    static Expected<Handle> handle(uint32_t kinds, const Expected<uint32_t>& number) {
        if (!number)
            return std::unexpected(number.error());
        return Handle{.kinds = kinds, .number = *number};
    }

    Expected<Handle> set(std::string_view name) {
        const auto found = std::ranges::find(known_.sets, name, &KnownSet::name);
        if (found == known_.sets.end()) {
            std::vector<std::string_view> names;
            for (const KnownSet& set : known_.sets)
                names.push_back(set.name);
            return fail("there is no set '" + std::string(name) + "', which the program names",
                        config::one_of(name, names));
        }
        uint32_t kinds = 0;
        if (found->type.size() == 1 && sets::is_address(found->type[0]))
            kinds = kAddressSet;
        else if (found->type.size() == 1 && found->type[0] == sets::FieldKind::port)
            kinds = kPortSet;
        else
            return fail("the set '" + std::string(name) + "' holds " + found->type.to_string() +
                            ", in which programs cannot look anything up",
                        "expected a set of type ip, net or port");
        return handle(kinds, number(loaded_.sets, std::string(name)));
    }

    Expected<Handle> interface(std::string_view name) {
        const bool is_known = std::ranges::find(known_.interfaces, name) != known_.interfaces.end();
        const auto members = is_known && known_.members ? known_.members(name) : std::vector<InterfaceId>();
        if (members.size() != 1) {
            const std::vector<std::string_view> names(known_.interfaces.begin(), known_.interfaces.end());
            return fail("'" + std::string(name) + "', which the program names, is no interface",
                        config::one_of(name, names));
        }
        return handle(kInterface, number(loaded_.interfaces, members.front()));
    }

    Expected<Handle> counter(std::string_view name) {
        if (!config::is_name(name))
            return fail("'" + std::string(name) + "' is no name for a counter",
                        "expected letters, digits, _, . and -");
        return handle(kCounter, number(loaded_.counters, std::string(name)));
    }

    // NAME:RATE:BURST
    Expected<Handle> limit(std::string_view text) {
        const size_t first = text.find(':');
        const size_t last = text.rfind(':');
        Limit limit{.per = LimitKey::saddr};
        const auto wrong = fail("'" + std::string(text) + "' is no limit",
                                "expected SLUICE_LIMIT(symbol, \"NAME\", \"100/second\", 20)");
        if (first == std::string_view::npos || first == last || !config::is_name(text.substr(0, first)))
            return wrong;
        const auto rate = parse_rate(text.substr(first + 1, last - first - 1));
        const auto burst = text.substr(last + 1);
        const auto* const end = burst.data() + burst.size();
        constexpr uint32_t kMaxBurst = 1'000'000;
        if (!rate ||
            std::from_chars(burst.data(), end, limit.burst) != std::from_chars_result{end, std::errc()} ||
            limit.burst == 0 || limit.burst > kMaxBurst)
            return wrong;
        limit.amount = rate->first;
        limit.period = rate->second;
        if (const auto most = largest_burst(limit.amount, limit.period); limit.burst > most)
            return fail(
                "so large a burst as '" + std::string(text) + "' asks for would take years to save up",
                "expected at most " + std::to_string(most));
        // Two limits of the same rate under different names are two.
        limits_.emplace_back(text.substr(0, first));
        for (size_t i = 0; i + 1 < limits_.size(); ++i) {
            if (limits_[i] != limits_.back())
                continue;
            limits_.pop_back();
            if (loaded_.limits[i] != limit)
                return fail("the limit '" + limits_[i] + "' is declared twice, with different rates",
                            "expected one declaration");
            return Handle{.kinds = kLimit, .number = static_cast<uint32_t>(i)};
        }
        if (loaded_.limits.size() == kMaxProgramLimits)
            return fail("the program has more limits than it may",
                        "expected at most " + std::to_string(kMaxProgramLimits));
        loaded_.limits.push_back(limit);
        return Handle{.kinds = kLimit, .number = static_cast<uint32_t>(limits_.size() - 1)};
    }

    const KnownNames& known_;
    LoadedProgram& loaded_;
    std::vector<std::string> limits_;
};

}  // namespace

Expected<LoadedProgram> load_program(const Rule& rule, const KnownNames& known) {
    const auto in_file = [&](const Error& error) {
        return fail("the program '" + rule.program->written + "': " + error.message, error.hint);
    };
    const auto bytes = read_file(rule.program->full, bpf::kMaxObjectBytes, "an eBPF object file");
    if (!bytes)
        return std::unexpected(bytes.error());
    const std::span object(reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size());
    const auto code = bpf::read_object(object, rule.section);
    if (!code)
        return in_file(code.error());
    LoadedProgram loaded;
    Symbols symbols(known, loaded);
    auto program = bpf::Program::load(*code, program_helpers(),
                                      [&](std::string_view symbol) { return symbols.resolve(symbol); });
    if (!program)
        return in_file(program.error());
    loaded.program = std::move(*program);
    const auto calls = [&](std::string_view function) {
        return std::ranges::any_of(code->references, [&](const bpf::Reference& reference) {
            return reference.is_call && reference.symbol == function;
        });
    };
    loaded.asks_source = calls(kContainsSource);
    loaded.asks_destination = calls(kContainsDestination);
    return loaded;
}

LoadedPrograms load_programs(const Rulebook& book, const KnownNames& known, config::Problems& problems) {
    LoadedPrograms programs;
    for (const Rule& rule : book.early) {
        if (!rule.program)
            continue;
        auto loaded = load_program(rule, known);
        if (loaded)
            programs.emplace(rule.name, std::move(*loaded));
        else
            problems.add(rule.location.inside("program"), loaded.error().message, loaded.error().hint);
    }
    return programs;
}

void add_set_uses(const LoadedPrograms& programs, std::vector<sets::SetUse>& uses) {
    for (const auto& [rule, loaded] : programs) {
        for (const auto& set : loaded.sets)
            uses.push_back({set, std::string(kEarlyChain) + ": " + rule, false});
    }
}

std::string verdict_label(std::string_view rule, bpf::Verdict verdict) {
    return rule_label(kEarlyChain, rule) + ":verdict:" + std::string(bpf::to_string(verdict));
}

std::string program_counter_label(std::string_view rule, std::string_view counter) {
    return rule_label(kEarlyChain, rule) + ":counter:" + std::string(counter);
}

}  // namespace sluice::filter
