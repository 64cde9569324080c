// How a FIB is made: every interface address and every configured route becomes a record that points to a
// next hop; the records of a table are sorted by network, the best of each network goes into the table's Lpm.
#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "config/names.hh"
#include "routing/fib.hh"

namespace sluice::routing {
namespace {

// Which of the records for one network counts: own addresses before all else (Linux: table local), then the
// metric, then the order of appearance.
enum class Rank : uint8_t { own_unicast, own_other, route };

template <typename Address>
struct Candidate {
    table::LpmEntry<Address> entry;
    Rank rank;
    uint32_t metric;
    uint32_t record;
};

template <typename Address>
bool same_network(const Candidate<Address>& a, const Candidate<Address>& b) {
    return a.entry.prefix == b.entry.prefix && a.entry.length == b.entry.length;
}

// Link-local networks mean something only together with an interface: they are not in the FIB.
bool is_link_local(const IpAddress& address) {
    return address.is_ip6() && address.ip6().is_link_local();
}

RouteStatus::Source source_of(Rank rank) {
    return rank == Rank::route ? RouteStatus::Source::connected : RouteStatus::Source::local;
}

NextHopKind kind_of(RouteType type) {
    switch (type) {
        case RouteType::blackhole:
            return NextHopKind::blackhole;
        case RouteType::unreachable:
            return NextHopKind::unreachable;
        case RouteType::prohibit:
            return NextHopKind::prohibit;
        case RouteType::unicast:
            break;
    }
    return NextHopKind::gateway;
}

}  // namespace

class FibBuilder {
  public:
    FibBuilder(const FibInput& input, config::Problems& problems) : input_(input), problems_(problems) {
        fib_->next_hops_.emplace_back();  // kNoNextHop
        table_of(kMainTableName);
    }

    std::unique_ptr<const Fib> build() {
        const size_t before = problems_.size();
        for (const auto& interface : input_.interfaces)
            add_interface(interface);
        own_records_ = fib_->routes_.size();
        fib_->routes_.reserve(own_records_ + input_.routes.size());
        configs_.reserve(input_.routes.size());
        for (const auto& route : input_.routes)
            add_route(route);
        for (const auto& rule : input_.rules)
            add_rule(rule);
        for (size_t i = 0; i < fib_->tables_.size(); ++i) {
            const auto table = static_cast<TableId>(i);
            fib_->tables_[i].ip4 = build_lpm<Ip4Address>(table);
            fib_->tables_[i].ip6 = build_lpm<Ip6Address>(table);
        }
        if (problems_.size() != before)
            return nullptr;
        pin_gateways();
        return std::move(fib_);
    }

  private:
    // --- Next hops: one for each different one. ---

    NextHopIndex next_hop(const NextHop& wanted) {
        const auto key = std::tuple(wanted.kind, wanted.anycast, wanted.out, wanted.gateway);
        const auto [place, fresh] = next_hop_places_.try_emplace(key, fib_->next_hops_.size());
        if (fresh)
            fib_->next_hops_.push_back(wanted);
        return place->second;
    }

    void pin_gateways() {
        if (!input_.pin_neighbour)
            return;
        for (auto& hop : fib_->next_hops_) {
            if (hop.kind != NextHopKind::gateway)
                continue;
            hop.neighbour = input_.pin_neighbour(hop.out, hop.gateway);
            if (hop.neighbour != kNoNeighbour)
                fib_->pinned_.push_back(hop.neighbour);
        }
    }

    // --- Tables ---

    // Names beyond the bound share the last table; add_route reports the first of them.
    TableId table_of(std::string_view name) {
        const auto next = static_cast<TableId>(std::min(fib_->tables_.size(), kMaxTables));
        const auto [place, fresh] = table_ids_.try_emplace(std::string(name), next);
        if (fresh && fib_->tables_.size() <= kMaxTables)
            fib_->tables_.emplace_back().name = name;
        return place->second;
    }

    // --- What follows from the interfaces ---

    void add_interface(const FibInterface& interface) {
        for (const auto& own : interface.addresses) {
            if (is_link_local(own.address))
                continue;
            add_own(IpPrefix::host(own.address), Rank::own_unicast,
                    {.kind = NextHopKind::local, .out = interface.id, .mtu = interface.mtu});
            if (own.has_broadcast()) {  // R3021: a /31 has none
                add_own(IpPrefix::host(own.broadcast()), Rank::own_other,
                        {.kind = NextHopKind::broadcast, .out = interface.id, .mtu = interface.mtu});
            }
            if (own.has_subnet_anycast()) {
                add_own(
                    IpPrefix::host(own.network().address()), Rank::own_other,
                    {.kind = NextHopKind::local, .anycast = true, .out = interface.id, .mtu = interface.mtu});
            }
            if (own.length != address_bits(own.address.family())) {
                add_own(own.network(), Rank::route,
                        {.kind = NextHopKind::connected, .out = interface.id, .mtu = interface.mtu});
            }
        }
    }

    void add_own(const IpPrefix& to, Rank rank, const NextHop& hop) {
        fib_->routes_.push_back({to, next_hop(hop), 0, kMainTable, source_of(rank)});
        own_ranks_.push_back(rank);
    }

    // --- Configured routes ---

    void add_route(const RouteConfig& route) {
        const auto hop = hop_of(route);
        if (!hop)
            return;
        const auto add = [&](const IpPrefix& to) {
            fib_->routes_.push_back(
                {to, *hop, route.metric, table_of_route(route), RouteStatus::Source::configured});
            configs_.push_back(&route);
        };
        if (route.to.prefix)
            return add(*route.to.prefix);
        if (!route.via || route.via->is_ip4())
            add(IpPrefix::any(Family::ip4));
        if (!route.via || route.via->is_ip6())
            add(IpPrefix::any(Family::ip6));
    }

    // Long lists of routes name few tables and few gateways, mostly the same as the line before.
    TableId table_of_route(const RouteConfig& route) {
        if (last_table_ == nullptr || *last_table_ != route.table) {
            last_table_ = &route.table;
            last_table_id_ = table_of(route.table);
            if (last_table_id_ == static_cast<TableId>(kMaxTables))
                problems_.add(route.location.inside("table"),
                              "one routing table too many: '" + route.table + "'",
                              "expected at most " + std::to_string(kMaxTables));
        }
        return last_table_id_;
    }

    std::optional<NextHopIndex> hop_of(const RouteConfig& route) {
        if (route.type != RouteType::unicast)
            return next_hop({.kind = kind_of(route.type)});
        const auto key = std::pair(std::string_view(route.interface), route.via);
        const auto known = hops_by_words_.find(key);
        if (known != hops_by_words_.end())
            return known->second;
        const auto* out = route.interface.empty() ? interface_of_gateway(route) : interface_named(route);
        if (out == nullptr)
            return std::nullopt;
        NextHop hop{.kind = NextHopKind::connected, .out = out->id, .mtu = out->mtu};
        if (route.via) {
            if (!is_on_link(*out, route))
                return std::nullopt;
            hop.kind = NextHopKind::gateway;
            hop.gateway = *route.via;
        }
        return hops_by_words_[key] = next_hop(hop);
    }

    const FibInterface* interface_named(const RouteConfig& route) {
        const auto found = std::ranges::find(input_.interfaces, route.interface, &FibInterface::name);
        if (found != input_.interfaces.end())
            return &*found;
        std::vector<std::string_view> known;
        for (const auto& interface : input_.interfaces)
            known.emplace_back(interface.name);
        problems_.add(route.location.inside("interface"), "there is no interface '" + route.interface + "'",
                      config::one_of(route.interface, known));
        return nullptr;
    }

    // The interface with the narrowest network around the gateway.
    const FibInterface* interface_of_gateway(const RouteConfig& route) {
        if (!route.via)
            return nullptr;  // refused when the route was read
        const FibInterface* best = nullptr;
        uint8_t best_length = 0;
        for (const auto& interface : input_.interfaces) {
            for (const auto& own : interface.addresses) {
                if (is_link_local(own.address) || !own.network().contains(*route.via) ||
                    (best != nullptr && own.length <= best_length))
                    continue;
                best = &interface;
                best_length = own.length;
            }
        }
        if (best == nullptr && is_link_local(*route.via)) {
            problems_.add(route.location.inside("via"), "a link-local gateway may be on any interface",
                          "say on which with interface");
        } else if (best == nullptr) {
            problems_.add(route.location.inside("via"),
                          "the gateway " + route.via->to_string() + " is in no network of an interface",
                          "expected an address on a connected network");
        }
        return best;
    }

    // Whether the gateway can be a neighbour on that interface.
    bool is_on_link(const FibInterface& out, const RouteConfig& route) {
        const IpAddress& via = *route.via;
        bool inside = is_link_local(via);
        for (const auto& interface : input_.interfaces) {
            for (const auto& own : interface.addresses) {
                if (own.address == via) {
                    problems_.add(route.location.inside("via"),
                                  "the gateway " + via.to_string() + " is the box itself",
                                  "expected the address of another router");
                    return false;
                }
            }
        }
        for (const auto& own : out.addresses) {
            if (!own.network().contains(via))
                continue;
            inside = true;
            if (own.has_broadcast() && IpAddress(own.broadcast()) == via) {
                problems_.add(route.location.inside("via"),
                              "the gateway " + via.to_string() + " is the broadcast address of its network",
                              "expected the address of a router");
                return false;
            }
        }
        if (!inside)
            problems_.add(route.location.inside("via"),
                          "the gateway " + via.to_string() + " is in no network of " + out.name,
                          "expected an address on a connected network");
        return inside;
    }

    // --- Route rules ---

    void add_rule(const RouteRuleConfig& config) {
        Fib::Rule rule;
        rule.any_in = config.in.empty();
        for (const auto& name : config.in) {
            const auto ids = input_.interfaces_named(name);
            if (ids.empty())
                problems_.add(config.location.inside("in"), "there is no interface or zone '" + name + "'",
                              "expected the name of one");
            for (const InterfaceId id : ids)
                rule.in.set(index(id));
        }
        const auto table = table_ids_.find(config.table);
        if (table == table_ids_.end()) {
            std::vector<std::string_view> known;
            for (const auto& [name, id] : table_ids_)
                known.emplace_back(name);
            problems_.add(config.location.inside("table"), "no route is in table '" + config.table + "'",
                          config::one_of(config.table, known));
            return;
        }
        rule.table = table->second;
        rule.saddr = config.saddr.value_or(AddressMatch{});
        rule.daddr = config.daddr.value_or(AddressMatch{});
        if (config.proto)
            rule.proto = config.proto->number;
        rule.sport = config.sport;
        rule.dport = config.dport;
        fib_->rules_.push_back(std::move(rule));
    }

    // --- The tables of prefixes ---

    template <typename Address>
    table::Lpm<Address> build_lpm(TableId table) {
        auto candidates = candidates_of<Address>(table);
        std::ranges::sort(candidates, [](const auto& a, const auto& b) {
            return std::tie(a.entry.prefix, a.entry.length, a.rank, a.metric, a.record) <
                   std::tie(b.entry.prefix, b.entry.length, b.rank, b.metric, b.record);
        });
        std::vector<table::LpmEntry<Address>> best;
        best.reserve(candidates.size());
        for (size_t i = 0; i < candidates.size(); ++i) {
            const auto& candidate = candidates[i];
            if (i == 0 || !same_network(candidates[i - 1], candidate))
                best.push_back(candidate.entry);
            else
                refuse_twin(candidates[i - 1], candidate);
        }
        return table::Lpm<Address>::build(best);
    }

    template <typename Address>
    std::vector<Candidate<Address>> candidates_of(TableId table) const {
        std::vector<Candidate<Address>> result;
        for (uint32_t i = 0; i < fib_->routes_.size(); ++i) {
            const Fib::Record& record = fib_->routes_[i];
            const Rank rank = i < own_records_ ? own_ranks_[i] : Rank::route;
            if (rank == Rank::route && record.table != table)
                continue;
            if constexpr (std::is_same_v<Address, Ip4Address>) {
                if (record.to.family() == Family::ip4)
                    result.push_back({{record.to.address().ip4(), record.to.length(), record.next_hop},
                                      rank,
                                      record.metric,
                                      i});
            } else {
                if (record.to.family() == Family::ip6)
                    result.push_back({{record.to.address().ip6(), record.to.length(), record.next_hop},
                                      rank,
                                      record.metric,
                                      i});
            }
        }
        return result;
    }

    // Two routes to one network with one metric leave open which is meant.
    template <typename Address>
    void refuse_twin(const Candidate<Address>& first, const Candidate<Address>& second) {
        if (second.rank != Rank::route || first.rank != Rank::route || first.metric != second.metric ||
            second.record < own_records_)
            return;
        const RouteConfig& route = *configs_[second.record - own_records_];
        const IpPrefix& to = fib_->routes_[second.record].to;
        problems_.add(route.location.inside("to"),
                      first.record < own_records_
                          ? "the network " + to.to_string() + " is connected already"
                          : "there is another route to " + to.to_string() + " with the same metric",
                      "give one of them another metric");
    }

    const FibInput& input_;
    config::Problems& problems_;
    std::unique_ptr<Fib> fib_{new Fib};
    std::map<std::tuple<NextHopKind, bool, InterfaceId, IpAddress>, NextHopIndex> next_hop_places_;
    std::map<std::pair<std::string_view, std::optional<IpAddress>>, NextHopIndex> hops_by_words_;
    std::map<std::string, TableId, std::less<>> table_ids_;
    const std::string* last_table_ = nullptr;
    TableId last_table_id_ = kMainTable;
    std::vector<Rank> own_ranks_;  // by record, of the first own_records_
    size_t own_records_ = 0;
    std::vector<const RouteConfig*> configs_;  // by record, of those behind
};

std::unique_ptr<const Fib> Fib::build(const FibInput& input, config::Problems& problems) {
    return FibBuilder(input, problems).build();
}

}  // namespace sluice::routing
