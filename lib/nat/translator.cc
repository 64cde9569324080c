#include "nat/translator.hh"

#include <algorithm>

#include "nat/manip.hh"
#include "nat/port_search.hh"
#include "nat/translator_plain.hh"

namespace sluice::nat {
namespace {

using conntrack::Tuple;
using wire::IpProtocol;

// Addresses tried where pooling is soft.
constexpr int kMostAddresses = 64;

// Of the remote endpoint what a mapping depends on.
Endpoint scope_of(const Tuple& tuple, Dependence mapping) {
    const IpAddress nobody = tuple.family() == Family::ip4 ? IpAddress(Ip4Address{}) : Ip6Address{};
    switch (mapping) {
        case Dependence::endpoint_independent:
            return {nobody, 0};
        case Dependence::address_dependent:
            return {tuple.destination(), 0};
        case Dependence::address_and_port_dependent:
            break;
    }
    return tuple.is_icmp() ? Endpoint{tuple.destination(), 0} : endpoint_of(tuple, Manip::destination);
}

// Which ports may be given out where a rule names none (R4787-3a). Identifiers of queries have no classes.
PortRange class_of(const Tuple& tuple) {
    return tuple.is_icmp() ? PortRange{0, 65535} : port_class(tuple.sport);
}

// The first address of a family as a pool of one.
std::optional<NatTarget> first_of(std::span<const IpAddress> addresses, Family family) {
    const auto found =
        std::ranges::find_if(addresses, [family](const auto& one) { return one.family() == family; });
    if (found == addresses.end())
        return std::nullopt;
    return NatTarget{.first = *found, .last = *found, .ports = {}};
}

}  // namespace

Translator::Translator(const NatLimits& limits, const NatSettings& settings, const PortShare& share,
                       Random& random, Instant now)
    : settings_(settings),
      share_(share),
      random_(random.next()),
      started_(now),
      hash_{{random.next(), random.next(), random.next(), random.next()}},
      mappings_(limits.mappings, hash_),
      hosts_(limits.mappings, hash_),
      spaces_(limits.port_spaces, limits.hold_down, share, hash_),
      contacts_(limits.mappings, hash_),
      identifications_(share, hash_.key[0]),
      log_(limits.history) {}

std::expected<Endpoint, NatRefusal> Translator::choose_source(const NatRule& rule, const Leaving& packet,
                                                              const UsedProbe& used, Instant now) {
    const Terms terms = terms_of(rule, packet.tuple.protocol());
    if (rule.kind != NatKind::masquerade)
        return choose({rule.targets, rule.ports}, terms, packet, used, now);
    const auto target = first_of(packet.out_addresses, packet.tuple.family());
    if (!target)
        return std::unexpected(NatRefusal::no_address);
    return choose({{&*target, 1}, rule.ports}, terms, packet, used, now);
}

std::expected<Endpoint, NatRefusal> Translator::choose_hairpin_source(const IpAddress& reached_by,
                                                                      const Leaving& packet,
                                                                      const UsedProbe& used, Instant now) {
    const Terms terms = terms_of({}, packet.tuple.protocol());
    // Whoever has an external address already is not seen by another one.
    const InsideHost* const host = hosts_.find(packet.tuple.source());
    const IpAddress external = host != nullptr ? host->paired : reached_by;
    const NatTarget target{.first = external, .last = external, .ports = {}};
    return choose({{&target, 1}, {}}, terms, packet, used, now);
}

std::expected<Endpoint, NatRefusal> Translator::choose_expected_source(const IpAddress& external,
                                                                       const Leaving& packet,
                                                                       const UsedProbe& used, Instant now) {
    const NatTarget target{.first = external, .last = external, .ports = {}};
    return choose({{&target, 1}, {}}, terms_of({}, packet.tuple.protocol()), packet, used, now);
}

bool Translator::may_expect(const Endpoint& external, const Endpoint& inside, IpProtocol protocol) const {
    if (!share_.owns(external.port))
        return false;
    const MappingRef ref = mappings_.by_external(external, protocol);
    return ref == kNoMapping || mappings_.has_inside(ref, inside);
}

bool Translator::map_expected(const Tuple& tuple, const Endpoint& inside, InterfaceId in, Instant now) {
    const IpProtocol protocol = tuple.protocol();
    const Terms terms = terms_of({}, protocol);
    const Endpoint external = endpoint_of(tuple, Manip::destination);
    if (terms.overlaps)
        return false;
    if (const MappingRef ref = mappings_.by_external(external, protocol); ref != kNoMapping)
        return mappings_.has_inside(ref, inside);
    const PortSpaceRef space = spaces_.open(external.address, protocol);
    if (space == kNoPortSpace || !share_.owns(external.port) || !spaces_[space].is_free(external.port))
        return false;
    const Tuple answer(inside.address, tuple.source(), protocol, inside.port, tuple.sport);
    return map(external, space, terms, {.tuple = answer, .out = in, .out_addresses = {}},
               {.host = hosts_.ref(inside.address), .is_first = false}, now)
        .has_value();
}

Translator::Choice Translator::choose(const Pool& pool, const Terms& terms, const Leaving& packet,
                                      const UsedProbe& used, Instant now) {
    return terms.overlaps ? choose_overlapping(pool, terms, packet, used, now)
                          : choose_alone(pool, terms, packet, used, now);
}

bool Translator::reaches_limit(HostRef host, const Terms& terms) const {
    return terms.ports_per_host != 0 && host != kNoHost && hosts_[host].mappings >= terms.ports_per_host;
}

Translator::Choice Translator::choose_alone(const Pool& pool, const Terms& terms, const Leaving& packet,
                                            const UsedProbe& used, Instant now) {
    const Tuple& tuple = packet.tuple;
    const Endpoint inside = packet.inside();
    // A second mapping of the endpoint is only made where the first would confuse two flows, which differ in
    // what they were sent to before their destinations were translated.
    const MappingRef oldest =
        mappings_.first(inside, scope_of(tuple, terms.mapping), tuple.protocol(), false);
    for (MappingRef ref = oldest; ref != kNoMapping; ref = mappings_.next(ref)) {
        const Endpoint external = mappings_.external(ref);
        if (pool.contains(external, true) && !used(with_endpoint(tuple, Manip::source, external))) {
            mappings_.keep(ref);
            return external;
        }
    }

    const HostRef host = hosts_.ref(inside.address);
    if (reaches_limit(host, terms))
        return std::unexpected(NatRefusal::host_limit);
    if (mappings_.size() == mappings_.capacity())
        return std::unexpected(NatRefusal::table_full);
    std::optional<IpAddress> external;
    if (host != kNoHost && pool.target_of(hosts_[host].paired) != nullptr)
        external = hosts_[host].paired;
    else
        external = choose_address(pool, inside.address, tuple.destination(), true);
    if (!external)
        return std::unexpected(NatRefusal::no_address);
    const IpAddress first = *external;
    for (int attempt = 0;; ++attempt) {
        const auto port = find_port(*external, pool.ports_of(*pool.target_of(*external)), terms, tuple, used);
        if (port)
            return map({*external, port->number}, port->space, terms, packet,
                       {.host = host, .is_first = oldest == kNoMapping}, now);
        external = next_address(pool, *external);
        if (terms.pooling != Pooling::soft || *external == first || attempt == kMostAddresses)
            return std::unexpected(port.error());
    }
}

std::expected<Translator::Port, NatRefusal> Translator::find_port(const IpAddress& external,
                                                                  const std::optional<PortRange>& ports,
                                                                  const Terms& terms, const Tuple& tuple,
                                                                  const UsedProbe& used) {
    const PortSpaceRef ref = spaces_.open(external, tuple.protocol());
    if (ref == kNoPortSpace)
        return std::unexpected(NatRefusal::space_limit);
    PortSpace& space = spaces_[ref];
    const PortRange range = ports.value_or(class_of(tuple));
    space.offer(range, share_);
    const auto is_usable = [&](uint16_t port) {
        return !used(with_endpoint(tuple, Manip::source, {external, port}));
    };
    const auto port = pick_port(space, range, terms, tuple.sport, !tuple.is_icmp(), is_usable);
    if (!port)
        return std::unexpected(NatRefusal::exhausted);
    return Port{ref, *port};
}

MappingRef Translator::create(Mapping mapping, bool is_first) {
    if (mapping.host != kNoHost)
        hosts_.add_mapping(mapping.host);
    else
        mapping.host = hosts_.add_first_mapping(mapping.inside.address, mapping.external.address);
    if (mapping.host == kNoHost)
        return kNoMapping;
    const MappingRef ref = mappings_.create(mapping, is_first);
    if (ref == kNoMapping)
        hosts_.end_mapping(mapping.host);
    else
        ++made_;
    return ref;
}

Translator::Choice Translator::map(const Endpoint& external, PortSpaceRef space, const Terms& terms,
                                   const Leaving& packet, Inside inside, Instant now) {
    const Tuple& tuple = packet.tuple;
    const Mapping mapping{.inside = packet.inside(),
                          .external = external,
                          .remote = scope_of(tuple, terms.mapping),
                          .protocol = tuple.protocol(),
                          .filtering = terms.filtering,
                          .hairpin = terms.hairpin,
                          .out = packet.out,
                          .port_space = space,
                          .host = inside.host,
                          .began = now};
    if (settings_.hold_down_at_start &&
        is_to_be_held(mapping.protocol, mapping.filtering, mapping.overlaps) &&
        now < started_ + settings_.hold_down)
        return std::unexpected(NatRefusal::held_down);
    if (create(mapping, inside.is_first) == kNoMapping)
        return std::unexpected(NatRefusal::table_full);
    spaces_[space].take(external.port);
    return external;
}

bool Translator::may_overlap(const Endpoint& external, IpProtocol protocol) const {
    if (!has_port(protocol))
        return true;
    if (!share_.owns(external.port))
        return false;
    const PortSpaceRef ref = spaces_.find(external.address, protocol);
    return ref == kNoPortSpace || spaces_[ref].is_free(external.port) ||
           spaces_[ref].is_shared(external.port);
}

Translator::Choice Translator::choose_overlapping(const Pool& pool, const Terms& terms, const Leaving& packet,
                                                  const UsedProbe& used, Instant now) {
    const Tuple& tuple = packet.tuple;
    const bool ported = has_port(tuple.protocol());
    const Endpoint inside = endpoint_of(tuple, Manip::source);
    const auto is_usable = [&](const Endpoint& external) {
        return may_overlap(external, tuple.protocol()) &&
               !used(with_endpoint(tuple, Manip::source, external));
    };
    const auto range_of = [&](const IpAddress& address) {
        return pool.ports_of(*pool.target_of(address))
            .value_or(replacement_ports(tuple.protocol(), inside.port));
    };
    const auto map_to = [&](const Endpoint& external) {
        const auto chosen = map_overlapping(external, terms, packet, now);
        if (const PortSpaceRef ref = spaces_.find(external.address, tuple.protocol()); ref != kNoPortSpace)
            spaces_[ref].offer(range_of(external.address), share_);
        return chosen;
    };
    if (!terms.random) {
        if (pool.contains(inside, ported)) {
            if (is_usable(inside))
                return map_to(inside);
        } else {
            const Endpoint anywhere = scope_of(tuple, Dependence::endpoint_independent);
            MappingRef ref = mappings_.first(packet.inside(), anywhere, tuple.protocol(), true);
            while (ref != kNoMapping && !pool.contains(mappings_.external(ref), ported))
                ref = mappings_.next(ref);
            if (ref != kNoMapping && is_usable(mappings_.external(ref))) {
                mappings_.keep(ref);
                return mappings_.external(ref);
            }
        }
    }
    const auto address = choose_address(pool, inside.address, tuple.destination(), terms.persistent);
    if (!address)
        return std::unexpected(NatRefusal::no_address);
    Endpoint external{*address, inside.port};
    const auto& ports = pool.ports_of(*pool.target_of(*address));
    const bool keeps_port = !ported || (!terms.random && (!ports || ports->contains(inside.port)));
    if (keeps_port && is_usable(external))
        return map_to(external);
    if (!ported)
        return std::unexpected(NatRefusal::exhausted);
    uint16_t last = 0;
    const auto port = search_port(
        range_of(*address), share_, static_cast<uint16_t>(random_.below(65536)), random_,
        [&](uint16_t candidate) { return is_usable({*address, candidate}); }, last);
    if (!port) {
        if (const PortSpaceRef ref = spaces_.find(*address, tuple.protocol()); ref != kNoPortSpace)
            spaces_[ref].count_refused();
        return std::unexpected(NatRefusal::exhausted);
    }
    external.port = *port;
    return map_to(external);
}

Translator::Choice Translator::map_overlapping(const Endpoint& external, const Terms& terms,
                                               const Leaving& packet, Instant now) {
    const Tuple& tuple = packet.tuple;
    const IpProtocol protocol = tuple.protocol();
    const Endpoint inside = packet.inside();
    if (const MappingRef ref = mappings_.between(inside, external, protocol); ref != kNoMapping) {
        mappings_.keep(ref);
        return external;
    }
    const HostRef host = hosts_.ref(inside.address);
    if (reaches_limit(host, terms))
        return std::unexpected(NatRefusal::host_limit);
    Mapping mapping{.inside = inside,
                    .external = external,
                    .remote = scope_of(tuple, Dependence::endpoint_independent),
                    .protocol = protocol,
                    .filtering = Dependence::address_and_port_dependent,
                    .overlaps = true,
                    .out = packet.out,
                    .host = host,
                    .began = now};
    // Counting ports is for operators here: without a space the mapping is made all the same.
    if (has_port(protocol))
        mapping.port_space = spaces_.open(external.address, protocol);
    if (mapping.port_space != kNoPortSpace && !spaces_[mapping.port_space].share(external.port))
        return std::unexpected(NatRefusal::exhausted);
    if (create(mapping, false) != kNoMapping)
        return external;
    if (mapping.port_space != kNoPortSpace)
        spaces_[mapping.port_space].unshare(external.port);
    return std::unexpected(NatRefusal::table_full);
}

std::expected<Endpoint, NatRefusal> Translator::keep_source(const Leaving& packet, const UsedProbe& used) {
    const Tuple& tuple = packet.tuple;
    Endpoint source = endpoint_of(tuple, Manip::source);
    if (!used(tuple))
        return source;
    if (!has_port(tuple.protocol()))
        return std::unexpected(NatRefusal::exhausted);
    uint16_t last = 0;
    const auto port = search_port(
        replacement_ports(tuple.protocol(), source.port), share_, static_cast<uint16_t>(random_.below(65536)),
        random_,
        [&](uint16_t candidate) {
            const Endpoint other{source.address, candidate};
            return may_overlap(other, tuple.protocol()) && !used(with_endpoint(tuple, Manip::source, other));
        },
        last);
    if (!port)
        return std::unexpected(NatRefusal::exhausted);
    source.port = *port;
    return source;
}

std::expected<Endpoint, NatRefusal> Translator::choose_destination(const NatRule& rule, const Tuple& tuple,
                                                                   std::span<const IpAddress> own_addresses,
                                                                   const UsedProbe& used) {
    std::optional<NatTarget> own;
    Pool pool{rule.targets, rule.ports};
    if (rule.kind == NatKind::redirect) {
        own = first_of(own_addresses, tuple.family());
        if (!own)
            return std::unexpected(NatRefusal::no_address);
        pool.targets = {&*own, 1};
    }
    const auto address = choose_address(pool, tuple.source(), tuple.destination(), rule.persistent);
    if (!address)
        return std::unexpected(NatRefusal::no_address);
    Endpoint destination{*address, endpoint_of(tuple, Manip::destination).port};
    if (!has_port(tuple.protocol()))
        return destination;
    const auto& ports = pool.ports_of(*pool.target_of(*address));
    const auto is_usable = [&](uint16_t port) {
        return !used(with_endpoint(tuple, Manip::destination, {*address, port}));
    };
    const bool is_named = ports && ports->size() == 1;
    if (!rule.random && (!ports || ports->contains(destination.port)) &&
        (is_named || is_usable(destination.port)))
        return destination;
    // The port of a service is never exchanged for one that nobody named.
    if (!ports && !tuple.is_icmp())
        return destination;
    const auto offset = rule.random ? static_cast<uint16_t>(random_.below(65536)) : uint16_t{0};
    uint16_t last = 0;
    static_cast<void>(
        search_port(ports.value_or(PortRange{0, 65535}), PortShare{}, offset, random_, is_usable, last));
    destination.port = last;
    return destination;
}

std::expected<Inbound, NatRefusal> Translator::inbound(const Tuple& tuple, InterfaceId in,
                                                       const WayProbe& way) const {
    // Queries are answered by whom they reach: only hosts inside begin them (R5508-1).
    if (!has_port(tuple.protocol()) || tuple.is_icmp())
        return std::unexpected(NatRefusal::no_mapping);
    const MappingRef ref = mappings_.by_external(endpoint_of(tuple, Manip::destination), tuple.protocol());
    if (ref == kNoMapping)
        return std::unexpected(NatRefusal::no_mapping);
    const Mapping mapping = mappings_[ref];
    // The box's own ports are for its own filter.
    if (mapping.inside == mapping.external)
        return std::unexpected(NatRefusal::no_mapping);
    const bool is_around =
        in != mapping.out && (!settings_.outside[index(in)] || way(mapping.inside.address, in));
    const Inbound found{.inside = mapping.inside, .out = mapping.out, .is_around = is_around};
    if (is_around) {
        if (!mapping.hairpin)
            return std::unexpected(NatRefusal::no_mapping);
        return found;
    }
    switch (mapping.filtering) {
        case Dependence::endpoint_independent:
            return found;
        case Dependence::address_dependent:
            if (mappings_.has_contact(ref, tuple.source()) || contacts_.has(ref, tuple.source()))
                return found;
            break;
        case Dependence::address_and_port_dependent:
            break;  // what this lets in belongs to a flow already
    }
    return std::unexpected(NatRefusal::filtered);
}

bool Translator::is_external(const IpAddress& address) const {
    return spaces_.find(address, IpProtocol::tcp) != kNoPortSpace ||
           spaces_.find(address, IpProtocol::udp) != kNoPortSpace;
}

void Translator::add_flow(MappingRef ref, const IpAddress& remote) {
    mappings_.add_flow(ref);
    if (mappings_.filtering(ref) == Dependence::address_dependent && !mappings_.add_contact(ref, remote))
        contacts_.add(ref, remote);
}

void Translator::end_flow(MappingRef ref, const IpAddress& remote, Instant now) {
    if (mappings_.filtering(ref) == Dependence::address_dependent && !mappings_.end_contact(ref, remote))
        contacts_.end(ref, remote);
    if (mappings_.end_flow(ref))
        end_mapping(ref, now);
}

// A mapping's remotes are known by what they send and are sent on its external side: what the other end of a
// flow shows.
void Translator::flow_began(const Tuple& original, const Tuple& reply, MappedEnds ends) {
    if (ends.source) {
        const MappingRef ref = mappings_.between(endpoint_of(original, Manip::source),
                                                 endpoint_of(reply, Manip::destination), original.protocol());
        if (ref != kNoMapping)
            add_flow(ref, reply.source());
    }
    if (ends.destination) {
        const MappingRef ref =
            mappings_.by_external(endpoint_of(original, Manip::destination), original.protocol());
        if (ref != kNoMapping)
            add_flow(ref, reply.destination());
    }
}

void Translator::flow_ended(const Tuple& original, const Tuple& reply, MappedEnds ends, Instant now) {
    if (ends.source) {
        const MappingRef ref = mappings_.between(endpoint_of(original, Manip::source),
                                                 endpoint_of(reply, Manip::destination), original.protocol());
        if (ref != kNoMapping)
            end_flow(ref, reply.source(), now);
    }
    if (ends.destination) {
        const MappingRef ref =
            mappings_.by_external(endpoint_of(original, Manip::destination), original.protocol());
        if (ref != kNoMapping)
            end_flow(ref, reply.destination(), now);
    }
}

bool Translator::flow_ended(const TranslatedFlow& flow, Instant now) {
    const MappingRef ref = mappings_.between(Ip4Endpoint::source_of(flow.original),
                                             Ip4Endpoint::destination_of(flow.reply), flow.original.protocol);
    if (ref == kNoMapping)
        return false;
    const Ip4Address remote = Ip4Endpoint::source_of(flow.reply).ip4();
    if (mappings_.filtering(ref) == Dependence::address_dependent && !mappings_.end_contact(ref, remote))
        contacts_.end(ref, remote);
    if (mappings_.end_flow(ref))
        end_mapping(ref, now);
    return true;
}

bool Translator::is_to_be_held(IpProtocol protocol, Dependence filtering, bool overlaps) const {
    return settings_.hold_down > Duration::zero() && !overlaps && protocol != IpProtocol::icmp &&
           protocol != IpProtocol::icmpv6 && (protocol != IpProtocol::tcp || settings_.hold_down_tcp) &&
           (filtering == Dependence::endpoint_independent || settings_.hold_down_filtered);
}

void Translator::end_mapping(MappingRef ref, Instant now) {
    const auto ending = mappings_.ending(ref);
    if (ending.had_flows && ending.family == Family::ip4) [[likely]]
        log_.add(ending.inside, ending.external, ending.protocol, ending.began, now);
    else if (ending.had_flows)
        log_.add(mappings_[ref], now);
    if (ending.port_space != kNoPortSpace) {
        PortSpace& space = spaces_[ending.port_space];
        if (ending.overlaps)
            space.unshare(ending.external.port);
        else if (ending.had_flows && is_to_be_held(ending.protocol, ending.filtering, ending.overlaps))
            spaces_.hold(ending.port_space, ending.external.port, now + settings_.hold_down);
        else
            space.give_back(ending.external.port);
    }
    hosts_.end_mapping(ending.host);
    mappings_.erase(ref);
    ++ended_;
}

bool Translator::expire(Instant now, size_t budget) {
    mappings_.settle([&](MappingRef ref) { end_mapping(ref, now); });
    return spaces_.expire(now, budget);
}

}  // namespace sluice::nat
